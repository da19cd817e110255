"""Drives tare-worker by itself, in the engine's place: a channel as descriptor 3, a hand-over, and the client's end of the
connection. Nothing else of tare runs."""
import array
import contextlib
import json
import os
import pathlib
import socket
import sqlite3
import subprocess
import threading

from harness.engine import BUILD

PROGRAM = BUILD / "src/main/tare-worker"
SWEEP = BUILD / "tests/integration/helpers/sweep-store"


class Answer:
    def __init__(self, raw, events, status):
        self.interim = []
        head, _, body = raw.partition(b"\r\n\r\n")
        while head.startswith(b"HTTP/1.1 100"):
            self.interim.append(head.decode())
            head, _, body = body.partition(b"\r\n\r\n")
        self.head, self.events, self.exit = head.decode(), events, status
        self.status = int(head.split()[1]) if head else 0
        if b"transfer-encoding: chunked" in head.lower():
            body = unchunk(body)
        self.messages = [json.loads(line) for line in body.split(b"\r\n") if line.strip()]

    @property
    def error(self):
        for message in self.messages:
            for key in ("error", "message"):
                if key in message:
                    return message[key]
        return None

    @property
    def text(self):
        return "".join(message.get("stream", "") for message in self.messages)


def unchunk(data):
    out = b""
    while data:
        line, _, data = data.partition(b"\r\n")
        size = int(line, 16)
        out, data = out + data[:size], data[size + 2:]
    return out


def tcp_pair():
    with socket.create_server(("127.0.0.1", 0)) as server:
        ours = socket.create_connection(server.getsockname())
        return ours, server.accept()[0]


class Worker:
    """One process, not yet told anything."""

    def __init__(self, root):
        self.channel, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        def install():
            os.dup2(theirs.fileno(), 3, inheritable=True)
        self.process = subprocess.Popen([PROGRAM, "--data-root", root, "--exec-root", root], pass_fds=[3, theirs.fileno()],
                                        preexec_fn=install, stderr=subprocess.PIPE)
        theirs.close()

    def send(self, message, fds=(), surplus=b""):
        text = json.dumps({"v": 1, **message}).encode() + (b"\0" + surplus if surplus else b"")
        ancillary = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
        self.channel.sendmsg([text], ancillary)

    def receive(self):
        data = self.channel.recv(1 << 20)
        return json.loads(data) if data else None

    def handover(self, request, surplus=b"", tcp=False):
        """Returns our end of the client's connection."""
        ours, theirs = tcp_pair() if tcp else socket.socketpair()
        self.send({"op": "handover", "id": 1, "request": request}, [theirs.fileno()], surplus)
        theirs.close()
        answer = self.receive()
        assert answer and answer["op"] == "ack", answer
        return ours

    def end(self):
        events = []
        while (message := self.receive()) is not None:
            events.append(message)
        status = self.process.wait()
        self.log = self.process.stderr.read().decode()
        self.process.stderr.close()
        self.channel.close()
        return events, status


def feed(connection, body):
    """Sends in a thread of its own, since the answer may come before the body's end."""
    def run():
        try:
            for piece in body if not isinstance(body, bytes) else [body]:
                connection.sendall(piece)
        except OSError as error:
            thread.error = error
    thread = threading.Thread(target=run)
    thread.error = None
    thread.start()
    return thread


def read_all(connection):
    data = b""
    with contextlib.suppress(ConnectionResetError):
        while piece := connection.recv(1 << 16):
            data += piece
    return data


def body_of(data):
    return {"content_length": len(data), "http_minor": 1}


def transfer(root, request, data, framing=None, surplus=b"", tcp=False):
    worker = Worker(root)
    connection = worker.handover({"method": "POST", "api_minor": 50, "body": framing or body_of(data), **request}, surplus, tcp)
    thread = feed(connection, data[len(surplus):] if surplus else data)
    raw = read_all(connection)
    if not raw:  # nobody answers, nobody reads
        connection.close()
    thread.join()
    connection.close()
    events, status = worker.end()
    answer = Answer(raw, events, status)
    answer.send_error = thread.error
    return answer


def load(root, data, **options):
    parameters = {key: options.pop(key) for key in ("quiet", "platform") if key in options}
    return transfer(root, {"kind": "load", "load": parameters}, data, **options)


def import_root(root, data, **parameters):
    return transfer(root, {"kind": "import", "import": parameters}, data)


def remove(root):
    worker = Worker(root)
    worker.send({"op": "job", "kind": "remove", "id": 1})
    assert worker.receive()["op"] == "ack"
    return worker.end()


def sweep(root):
    """The start of an engine, and the emptying of the trash that follows it."""
    subprocess.run([SWEEP, root], check=True)
    _, status = remove(root)
    assert status == 0


class Store:
    """What a data root holds, read behind tare's back."""

    def __init__(self, root):
        self.root = pathlib.Path(root)

    def query(self, sql, *values):
        with contextlib.closing(sqlite3.connect(self.root / "store.db")) as database:
            return database.execute(sql, values).fetchall()

    def layers(self, image):
        return [self.root / "layers" / row[0][7:] for row in
                self.query("SELECT diff_id FROM image_layers WHERE image = ? ORDER BY position", image)]

    def images(self):
        return [row[0] for row in self.query("SELECT id FROM images")]

    def names(self):
        return {f"{repository}:{tag}": image for repository, tag, image in
                self.query("SELECT repository, tag, image FROM names")}

    def left(self):
        """What a failed job may not leave."""
        return [str(path.relative_to(self.root)) for folder in ("layers", "blobs/sha256", "tmp", "trash")
                for path in (self.root / folder).iterdir()] + self.query("SELECT id FROM leases")
