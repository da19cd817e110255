"""Network namespaces that live as long as a descriptor, and sockets in them: hosts and containers for tests, without a process each."""
import ctypes
import os
import socket
import subprocess
import threading

CLONE_NEWNET = 0x40000000
libc = ctypes.CDLL(None, use_errno=True)
PATIENCE = 5


def in_thread(function, *arguments):
    """What `function` returns or raises, run by a thread of its own, which may go into other namespaces."""
    result = []

    def body():
        try:
            result.append((function(*arguments), None))
        except BaseException as error:
            result.append((None, error))
    thread = threading.Thread(target=body)
    thread.start()
    thread.join()
    value, error = result[0]
    if error:
        raise error
    return value


def check(result):
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


class Namespace:
    def __init__(self, path=None):
        """A new one, or the one that `path` names (/proc/PID/ns/net)."""
        self.fd = os.open(path, os.O_RDONLY) if path else in_thread(self._make)
        if not path:
            self.ip("link set lo up")

    @staticmethod
    def _make():
        check(libc.unshare(CLONE_NEWNET))
        return os.open("/proc/thread-self/ns/net", os.O_RDONLY)

    def close(self):
        os.close(self.fd)

    def do(self, function, *arguments):
        """Calls it inside."""
        def inside():
            check(libc.setns(self.fd, CLONE_NEWNET))
            return function(*arguments)
        return in_thread(inside)

    def run(self, *command, **options):
        return subprocess.run(["nsenter", f"--net=/proc/self/fd/{self.fd}", *map(str, command)], pass_fds=[self.fd],
                              text=True, **options)

    def ip(self, *commands):
        """Lines for ip -batch."""
        self.run("ip", "-batch", "-", input="\n".join(commands) + "\n", check=True)

    def sysctl(self, name, value):
        def write():
            with open(f"/proc/sys/net/{name}", "w") as file:
                file.write(str(value))
        self.do(write)

    def socket(self, address, kind=socket.SOCK_STREAM, proto=0):
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        made = self.do(socket.socket, family, kind, proto)
        made.settimeout(PATIENCE)
        return made

    def listen(self, address, port):
        listener = self.socket(address)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((address, port))
        listener.listen(64)
        return listener

    def udp(self, address, port):
        bound = self.socket(address, socket.SOCK_DGRAM)
        bound.bind((address, port))
        return bound

    def connect(self, address, port, timeout=PATIENCE, source=None):
        """A connection, or the error that it got; "silence" if nobody said anything."""
        client = self.socket(address)
        client.settimeout(timeout)
        if source:
            client.bind((source, 0))
        try:
            client.connect((address, port))
            return client
        except TimeoutError:
            client.close()
            return "silence"
        except OSError as error:
            client.close()
            return error.strerror


def join(one, one_name, other, other_name):
    """A veth pair between two namespaces, up."""
    one.run("ip", "link", "add", one_name, "type", "veth", "peer", other_name, "netns", f"/proc/{os.getpid()}/fd/{other.fd}",
            check=True)
    one.ip(f"link set {one_name} up")
    other.ip(f"link set {other_name} up")


def peer_of(client, listener):
    """Whom `listener` says that it was; both ends are closed."""
    assert isinstance(client, socket.socket), client
    accepted, peer = listener.accept()
    accepted.close()
    client.close()
    return peer[0]
