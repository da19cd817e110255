"""An engine that answers what a test tells it to, on a unix socket: for clients' framing, order, exit codes and terminals.

Routes are (method, pattern of the path without its version, function). The function gets a Request and answers through it. One
container is scripted: its `program` runs in a thread once it is started, and talks over the attached connection.
"""
import json
import os
import re
import socket
import struct
import subprocess
import tempfile
import threading
import urllib.parse

from .engine import SLOW

ID = "0123456789abcdef" * 4
TIMEOUT = 60 * SLOW


class Request:
    def __init__(self, connection, method, target, headers, body):
        self.connection = connection
        self.method = method
        self.target = target
        parts = urllib.parse.urlsplit(target)
        self.path = re.sub(r"^/v[0-9.]+", "", parts.path)
        self.query = dict(urllib.parse.parse_qsl(parts.query, keep_blank_values=True))
        self.headers = headers
        self.body = body

    def json(self):
        return json.loads(self.body)

    def send(self, data):
        self.connection.sendall(data)

    def answer(self, status, body=b"", kind="application/json", headers=""):
        if not isinstance(body, bytes):
            body = json.dumps(body).encode()
        length = "" if status in (204, 304) else f"Content-Length: {len(body)}\r\n"
        self.send(f"HTTP/1.1 {status} X\r\nContent-Type: {kind}\r\n{length}{headers}\r\n".encode() + body)

    def begin(self, kind="application/json"):
        """A chunked answer whose body comes later."""
        self.send(f"HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nTransfer-Encoding: chunked\r\n\r\n".encode())

    def chunk(self, data):
        if not isinstance(data, bytes):
            data = json.dumps(data).encode() + b"\n"
        self.send(b"%x\r\n%s\r\n" % (len(data), data))

    def end(self):
        self.send(b"0\r\n\r\n")

    def upgrade(self):
        self.send(b"HTTP/1.1 101 UPGRADED\r\nContent-Type: application/vnd.docker.raw-stream\r\n"
                  b"Connection: Upgrade\r\nUpgrade: tcp\r\n\r\n")


def frame(stream, data):
    return struct.pack(">BxxxI", stream, len(data)) + data


class Container:
    """What the scripted container is and does. `program(attached)` gets a Stream and returns the exit code."""

    def __init__(self, program=lambda stream: 0, tty=False, stdin=False):
        self.program = program
        self.tty = tty
        self.stdin = stdin
        self.started = threading.Event()
        self.ended = threading.Event()
        self.code = None
        self.attached = None
        self.sizes = []
        self.signals = []
        self.signalled = threading.Condition()
        self.start_error = None

    def inspect(self):
        return {"Id": ID, "Name": "/web", "State": {"Running": not self.ended.is_set(), "Paused": False, "Restarting": False},
                "Config": {"Tty": self.tty, "OpenStdin": self.stdin}, "HostConfig": {"AutoRemove": False},
                "NetworkSettings": {"Ports": {}}}

    def wait_signal(self, count=1):
        with self.signalled:
            assert self.signalled.wait_for(lambda: len(self.signals) >= count, TIMEOUT), "no signal came"
            return self.signals[count - 1]

    def wait_size(self, size):
        with self.signalled:
            assert self.signalled.wait_for(lambda: size in self.sizes, TIMEOUT), f"{size} not in {self.sizes}"

    def run(self):
        try:
            self.code = self.program(Stream(self.attached, self.tty))
        except OSError:  # the client has left
            pass
        finally:
            self.ended.set()
            if self.attached:
                try:
                    self.attached.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass


class Stream:
    def __init__(self, connection, tty):
        self.connection = connection
        self.tty = tty

    def out(self, data):
        self.connection.sendall(data if self.tty else frame(1, data))

    def err(self, data):
        self.connection.sendall(frame(2, data))

    def read(self, size=65536):
        return self.connection.recv(size)

    def read_all(self):
        data = b""
        while piece := self.read():
            data += piece
        return data


class FakeEngine:
    def __init__(self, program_path):
        self.folder = tempfile.TemporaryDirectory(prefix="tare-test-")
        self.path = os.path.join(self.folder.name, "s")
        self.program = str(program_path)
        self.requests = []
        self.routes = []
        self.container = Container()
        self.lock = threading.Lock()
        self.env = {"PATH": os.environ["PATH"], "HOME": self.folder.name, "TERM": "xterm", "TZ": "UTC",
                    "DOCKER_HOST": f"unix://{self.path}", "DOCKER_CONFIG": self.folder.name}
        for name in ("ASAN_OPTIONS", "UBSAN_OPTIONS"):
            if name in os.environ:
                self.env[name] = os.environ[name]
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.listener.bind(self.path)
        self.listener.listen(64)
        self.acceptor = threading.Thread(target=self.accept, daemon=True)
        self.acceptor.start()

    def close(self):
        self.listener.shutdown(socket.SHUT_RDWR)  # wakes accept(), which must not meet the descriptor's next owner
        self.acceptor.join(TIMEOUT)
        self.listener.close()
        self.folder.cleanup()

    def route(self, method, pattern, answer):
        """`answer` is a function of the request, or a document to answer with 200."""
        function = answer if callable(answer) else lambda request: request.answer(200, answer)
        self.routes.insert(0, (method, re.compile(pattern + "$"), function))

    def asked(self, method, pattern):
        with self.lock:
            return [r for r in self.requests if r.method == method and re.match(pattern + "$", r.path)]

    def order(self):
        with self.lock:
            return [f"{r.method} {r.path}" for r in self.requests]

    # The server

    def accept(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            connection.settimeout(TIMEOUT)
            threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def serve(self, connection):
        file = connection.makefile("rb", buffering=0)
        try:
            while True:
                request = self.read_request(connection, file)
                if not request:
                    break
                with self.lock:
                    self.requests.append(request)
                if self.handle(request) == "taken":
                    return
        except (OSError, ValueError):
            pass
        file.close()
        connection.close()

    @staticmethod
    def read_line(file):
        line = b""
        while not line.endswith(b"\n"):
            byte = file.read(1)
            if not byte:
                return b""
            line += byte
        return line.rstrip(b"\r\n")

    def read_request(self, connection, file):
        first = self.read_line(file)
        if not first:
            return None
        method, target, _ = first.decode().split(" ")
        headers = {}
        while line := self.read_line(file):
            name, value = line.decode().split(":", 1)
            headers[name.lower()] = value.strip()
        request = Request(connection, method, target, headers, b"")
        request.file = file
        refuse = next((f for m, p, f in self.routes if m == method and p.match(request.path) and getattr(f, "early", False)), None)
        if not refuse:
            request.body = self.read_body(headers, file)
        return request

    def read_exactly(self, file, size):
        data = b""
        while len(data) < size:
            piece = file.read(size - len(data))
            if not piece:
                raise ValueError("cut off")
            data += piece
        return data

    def read_body(self, headers, file):
        if headers.get("transfer-encoding") != "chunked":
            return self.read_exactly(file, int(headers.get("content-length", 0)))
        body = b""
        while size := int(self.read_line(file), 16):
            body += self.read_exactly(file, size)
            self.read_line(file)
        self.read_line(file)
        return body

    def handle(self, request):
        for method, pattern, function in self.routes + self.container_routes():
            if method == request.method and pattern.match(request.path):
                return function(request)
        request.answer(404, {"message": "page not found"})

    # The scripted container

    def container_routes(self):
        one = r"/containers/[^/]+"
        return [(m, re.compile(p + "$"), f) for m, p, f in [
            ("POST", "/containers/create", lambda r: r.answer(201, {"Id": ID, "Warnings": []})),
            ("POST", one + "/attach", self.attach),
            ("POST", one + "/wait", self.wait),
            ("POST", one + "/start", self.start),
            ("POST", one + "/resize", self.resize),
            ("POST", one + "/kill", self.kill),
            ("GET", one + "/json", lambda r: r.answer(200, self.container.inspect())),
            ("POST", one + "/exec", lambda r: r.answer(201, {"Id": "e" * 64})),
            ("POST", "/exec/[^/]+/start", self.exec_start),
            ("POST", "/exec/[^/]+/resize", self.resize),
            ("GET", "/exec/[^/]+/json", self.exec_inspect),
            ("GET", "/_ping", self.ping),
            ("HEAD", "/_ping", self.ping),
        ]]

    @staticmethod
    def ping(request):
        request.send(b"HTTP/1.1 200 OK\r\nApi-Version: 1.50\r\nOstype: linux\r\nContent-Length: 2\r\n\r\n" +
                     (b"OK" if request.method == "GET" else b""))

    def attach(self, request):
        self.container.attached = request.connection
        request.upgrade()
        return "taken"

    def wait(self, request):
        container = self.container
        request.begin()
        container.ended.wait(TIMEOUT)
        request.chunk({"StatusCode": container.code})
        request.end()

    def start(self, request):
        container = self.container
        if container.start_error:
            request.answer(*container.start_error)
            container.code = 127
            container.ended.set()
            return
        request.answer(204)
        container.started.set()
        threading.Thread(target=container.run, daemon=True).start()

    def exec_start(self, request):
        if request.json().get("Detach"):
            request.answer(200)
            return None
        self.container.attached = request.connection
        request.upgrade()
        threading.Thread(target=self.container.run, daemon=True).start()
        return "taken"

    def exec_inspect(self, request):
        self.container.ended.wait(TIMEOUT)
        request.answer(200, {"ID": "e" * 64, "Running": False, "ExitCode": self.container.code})

    def resize(self, request):
        with self.container.signalled:
            self.container.sizes.append((int(request.query["h"]), int(request.query["w"])))
            self.container.signalled.notify_all()
        request.answer(200)

    def kill(self, request):
        request.answer(204)
        with self.container.signalled:
            self.container.signals.append(request.query.get("signal"))
            self.container.signalled.notify_all()

    # The client

    def tare(self, *arguments, program=None, input=None, check=None):
        command = [program or self.program, *map(str, arguments)]
        done = subprocess.run(command, env=self.env, input=input, stdin=None if input is not None else subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=TIMEOUT)
        if check is not None:
            assert done.returncode == check, f"{command}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done
