"""DNS for tests: messages, clients inside of containers, and a server for the host to have."""
import contextlib
import os
import pathlib
import random
import socket
import struct
import subprocess
import threading

from .nets import PATIENCE, Namespace

A, PTR, TXT, AAAA, OPT = 1, 12, 16, 28, 41
NOERROR, SERVFAIL, NXDOMAIN, REFUSED = 0, 2, 3, 5
RESOLVER = ("127.0.0.11", 53)


# --- messages

def name_bytes(name):
    return b"".join(bytes([len(label)]) + label.encode() for label in name.split(".") if label) + b"\0"


def query(name, kind=A, number=None, edns=0):
    number = random.randrange(65536) if number is None else number
    extra = struct.pack(">BHHIH", 0, OPT, edns, 0, 0) if edns else b""
    return struct.pack(">6H", number, 0x0100, 1, 0, 0, 1 if edns else 0) + name_bytes(name) + struct.pack(">2H", kind, 1) + extra


def read_name(message, at):
    labels, end = [], None
    while True:
        length = message[at]
        if length >= 0xc0:
            end = end or at + 2
            at = (length & 0x3f) << 8 | message[at + 1]
        elif length == 0:
            return ".".join(labels), end or at + 1
        else:
            labels.append(message[at + 1:at + 1 + length].decode("latin-1"))
            at += 1 + length


class Answer:
    def __init__(self, message):
        self.number, flags, self.questions, answers = struct.unpack(">4H", message[:8])
        self.rcode, self.cut = flags & 15, bool(flags & 0x200)
        self.values = []
        at = 12
        self.question, at = read_name(message, at)
        at += 4
        for _ in range(answers):
            _, at = read_name(message, at)
            kind, _, _, length = struct.unpack(">HHIH", message[at:at + 10])
            at += 10
            if kind in (A, AAAA):
                self.values.append(socket.inet_ntop(socket.AF_INET if kind == A else socket.AF_INET6, message[at:at + length]))
            elif kind == PTR:
                self.values.append(read_name(message, at)[0])
            else:
                self.values.append(message[at:at + length])
            at += length


def answer_to(message, rcode=NOERROR, addresses=()):
    """A server's answer: with the question as it came, and these IPv4 addresses for a minute."""
    _, end = read_name(message, 12)
    records = b"".join(struct.pack(">HHHIH", 0xc00c, A, 1, 60, 4) + socket.inet_aton(address) for address in addresses)
    return message[:2] + struct.pack(">5H", 0x8180 | rcode, 1, len(addresses), 0, 0) + message[12:end + 4] + records


# --- clients

def network_of(pid):
    return Namespace(f"/proc/{pid}/ns/net")


def client_socket(pid, kind=socket.SOCK_DGRAM):
    made = network_of(pid).socket(RESOLVER[0], kind)
    made.connect(RESOLVER)
    return made


def receive_exactly(connection, size):
    data = b""
    while len(data) < size:
        more = connection.recv(size - len(data))
        if not more:
            raise EOFError
        data += more
    return data


def send_tcp(connection, message):
    connection.sendall(struct.pack(">H", len(message)) + message)


def receive_tcp(connection):
    return receive_exactly(connection, struct.unpack(">H", receive_exactly(connection, 2))[0])


def exchange(client, message):
    """The answer to a datagram, which is sent again as every client does: nothing says that it arrives."""
    client.settimeout(PATIENCE / 6)
    for _ in range(6):
        client.send(message)
        try:
            return client.recv(65535)
        except TimeoutError:
            pass
    raise AssertionError("no answer")


def ask(pid, name, kind=A, tcp=False, edns=0):
    """Asks the resolver of the container whose init that is."""
    with client_socket(pid, socket.SOCK_STREAM if tcp else socket.SOCK_DGRAM) as client:
        message = query(name, kind, edns=edns)
        if tcp:
            send_tcp(client, message)
            return Answer(receive_tcp(client))
        return Answer(exchange(client, message))


# --- the host's server

class Server:
    """UDP and TCP on `address`:53 of the namespace of the tests. `zone`: name to addresses; others do not exist. `seen`: what was
    asked for, in lower case; `handler` may answer a message itself."""

    def __init__(self, address="127.0.0.1", zone=None):
        self.zone, self.seen, self.handler = zone or {}, [], None
        self.udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.tcp = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self.tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        for made in (self.udp, self.tcp):
            made.bind((address, 53))
        self.tcp.listen()
        for work in (self.serve_udp, self.serve_tcp):
            threading.Thread(target=work, daemon=True).start()

    def answer(self, message):
        name = read_name(message, 12)[0].lower()
        self.seen.append(name)
        if self.handler:
            return self.handler(message)
        if name not in self.zone:
            return answer_to(message, NXDOMAIN)
        return answer_to(message, NOERROR, self.zone[name])

    def serve_udp(self):
        with contextlib.suppress(OSError):
            while True:
                message, client = self.udp.recvfrom(65535)
                if not message:  # shut down
                    return
                threading.Thread(target=self.answer_udp, args=(message, client), daemon=True).start()

    def answer_udp(self, message, client):
        with contextlib.suppress(OSError):
            answer = self.answer(message)
            if len(answer) > 512:
                answer = answer_to(message)
                answer = answer[:2] + bytes([answer[2] | 2]) + answer[3:]
            self.udp.sendto(answer, client)

    def serve_tcp(self):
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self.tcp.accept()
                with connection, contextlib.suppress(OSError, EOFError):
                    send_tcp(connection, self.answer(receive_tcp(connection)))

    def close(self):
        for made in (self.udp, self.tcp):
            with contextlib.suppress(OSError):
                made.shutdown(socket.SHUT_RDWR)
            made.close()


class HostResolvConf:
    """Another /etc/resolv.conf for the namespace of the tests, as long as this is open."""

    def __init__(self, folder, text):
        self.path = pathlib.Path(folder) / "resolv.conf"
        self.write(text)
        target = pathlib.Path("/etc/resolv.conf")
        self.made = not target.exists()
        if self.made:
            target.touch()
        self.target = os.path.realpath(target)
        subprocess.run(["mount", "--bind", self.path, self.target], check=True)

    def write(self, text):
        self.path.write_text(text)

    def close(self):
        subprocess.run(["umount", self.target], check=True)
        if self.made:
            os.unlink(self.target)
