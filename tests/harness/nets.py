"""Network namespaces that live as long as a descriptor, and sockets in them: hosts and containers for tests, without a process each."""
import contextlib
import ctypes
import itertools
import os
import selectors
import socket
import subprocess
import threading
import time
import weakref

import pytest

from .engine import SLOW

CLONE_NEWNET = 0x40000000
libc = ctypes.CDLL(None, use_errno=True)
PATIENCE = 30 * SLOW  # with what must come; nobody waits so long for what must not
AGAIN = 2  # when a datagram is sent again that nobody answered
opened, numbers = weakref.WeakValueDictionary(), itertools.count()  # namespaces and sockets, in the order of their making


@contextlib.contextmanager
def closing():
    """What was opened meanwhile is closed: a socket that a failed test holds would keep a container's network alive beside the next."""
    before = set(opened)
    try:
        yield
    finally:
        for number in sorted(set(opened) - before, reverse=True):
            if left := opened.get(number):
                left.close()


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


class Socket(socket.socket):
    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        self.settimeout(PATIENCE)
        opened[next(numbers)] = self

    def accept(self):
        accepted, peer = super().accept()
        return Socket(fileno=accepted.detach()), peer


class Namespace:
    fd = -1

    def __init__(self, path=None):
        """A new one, or the one that `path` names (/proc/PID/ns/net)."""
        self.fd = os.open(path, os.O_RDONLY) if path else in_thread(self._make)
        opened[next(numbers)] = self
        if not path:
            self.ip("link set lo up")

    @staticmethod
    def _make():
        check(libc.unshare(CLONE_NEWNET))
        return os.open("/proc/thread-self/ns/net", os.O_RDONLY)

    def close(self):
        fd, self.fd = self.fd, -1
        if fd >= 0:
            os.close(fd)

    __del__ = close

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

    def bridge_netfilter(self, passes):
        """Whether what is bridged passes the packet filter; without the module br_netfilter it never does."""
        for name in ("iptables", "ip6tables"):
            try:
                self.sysctl(f"bridge/bridge-nf-call-{name}", passes)
            except FileNotFoundError:
                if passes:
                    pytest.skip("no br_netfilter")

    def socket(self, address, kind=socket.SOCK_STREAM, proto=0):
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        return self.do(Socket, family, kind, proto)

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


def heard(receiver, send, text):
    """Whom that datagram came from. It is sent until it is heard: the kernel may drop any, when somebody else floods the machine."""
    receiver.settimeout(AGAIN)
    deadline = time.monotonic() + PATIENCE
    while True:
        send()
        try:
            while (got := receiver.recvfrom(2000))[0] != text:  # another one, that was late
                pass
            return got[1]
        except TimeoutError:
            if time.monotonic() >= deadline:
                raise


def bare(address):
    return address.strip("[]").removeprefix("::ffff:")


class Echo:
    """Tells whoever comes, by TCP or UDP, where from."""

    def __init__(self, inside, address, port):
        self.sockets = [inside.listen(address, port), inside.udp(address, port)]
        self.end = socket.socketpair()
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()
        opened[next(numbers)] = self

    def serve(self):
        with selectors.DefaultSelector() as selector:
            for one in (*self.sockets, self.end[1]):
                selector.register(one, selectors.EVENT_READ)
            while True:
                for key, _ in selector.select():
                    if key.fileobj is self.end[1]:
                        return
                    if key.fileobj is self.sockets[0]:
                        client, peer = key.fileobj.accept()
                        client.sendall(bare(peer[0]).encode())
                        client.close()
                    else:
                        _, peer = key.fileobj.recvfrom(100)
                        key.fileobj.sendto(bare(peer[0]).encode(), peer)

    def close(self):
        if self.thread.is_alive():
            self.end[0].send(b"x")
            self.thread.join()
        for one in (*self.sockets, *self.end):
            one.close()


def ask(client, protocol, address, port, timeout=PATIENCE):
    """What the server says, or the error. A datagram is sent again, since nothing says that it arrives."""
    udp, deadline = protocol == "udp", time.monotonic() + timeout
    with client.socket(address, socket.SOCK_DGRAM if udp else socket.SOCK_STREAM) as asker:
        asker.settimeout(min(AGAIN, timeout) if udp else timeout)
        try:
            asker.connect((address, port))
            while True:
                if udp:
                    asker.send(b"who am I?")
                try:
                    return asker.recv(100).decode() or "nothing"
                except TimeoutError:
                    if time.monotonic() >= deadline:
                        return "silence"
        except TimeoutError:
            return "silence"
        except OSError as error:
            return error.strerror
