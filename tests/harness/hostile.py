"""A registry of our own that keeps all in memory, notes whoever comes, and misbehaves on command.

    registry = HostileRegistry()
    registry.image("a", "1", [layer({"f": b"x"})])
    registry.fault("GET", "/blobs/", cut(100))          # once
    registry.fault("*", "/manifests/", status(429), times=99)
"""
import base64
import collections
import functools
import gzip
import hashlib
import http.server
import io
import json
import re
import socket
import ssl
import struct
import tarfile
import threading
import urllib.parse

MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
CONFIG = "application/vnd.docker.container.image.v1+json"
LAYER = "application/vnd.docker.image.rootfs.diff.tar.gzip"
Seen = collections.namedtuple("Seen", "method path headers")


def digest_of(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


def layer(files):
    """A plain tar of {name: bytes}."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as tar:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return stream.getvalue()


@functools.lru_cache(64)
def packed(plain):
    return gzip.compress(plain, 1, mtime=0)


# Faults: each answers one request, or returns True to have it answered as usual.

def status(code, headers=None, body=b""):
    return lambda handler: handler.answer(code, headers, body)


def cut(count, reset=False):
    """The real answer's head, `count` bytes of its body, and then the connection is gone."""
    def act(handler):
        def end(data):
            handler.wfile.write(data[:count])
            handler.hang_up(reset)
        handler.shape = end
        return True
    return act


def stall(count=0):
    """The same, but the connection stays and says nothing."""
    def act(handler):
        def hold(data):
            handler.wfile.write(data[:count])
            handler.wfile.flush()
            handler.registry.closed.wait(60)
            handler.hang_up()
        handler.shape = hold
        return True
    return act


def silent(handler):
    """Not even a status line."""
    handler.registry.closed.wait(60)
    handler.hang_up()


def bytes_changed(change):
    def act(handler):
        handler.shape = lambda data: handler.wfile.write(change(data))
        return True
    return act


def headers_changed(**changes):
    """Names with "_" for "-"; None takes one away."""
    def act(handler):
        handler.changes = {name.replace("_", "-"): value for name, value in changes.items()}
        return True
    return act


def endless(head, piece):
    """`head`, and `piece` until nobody reads any more."""
    def act(handler):
        try:
            handler.wfile.write(head)
            while not handler.registry.closed.is_set():
                handler.wfile.write(piece)
        except OSError:
            pass
        handler.hang_up()
    return act


def read_then(act, count=None):
    """Takes the request's body (or `count` bytes of it) before it misbehaves."""
    def both(handler):
        handler.take_body(count)
        return act(handler)
    return both


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def __getattr__(self, name):
        if name.startswith("do_"):
            return self.serve
        raise AttributeError(name)

    def serve(self):
        self.registry = self.server.registry
        self.shape, self.changes = None, {}
        self.registry.seen.append(Seen(self.command, self.path, dict(self.headers)))
        try:
            fault = self.registry.next_fault(self.command, self.path)
            if fault is None or fault(self) is True:
                self.registry.respond(self)
        except OSError:
            self.close_connection = True

    def hang_up(self, reset=False):
        self.close_connection = True
        if reset:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close() if reset else self.connection.shutdown(socket.SHUT_RDWR)

    def take_body(self, count=None):
        """The decoded body; one that is cut off is what has come of it."""
        if self.headers.get("Transfer-Encoding") == "chunked":
            data = b""
            while size := int(self.rfile.readline() or b"0", 16):
                data += self.rfile.read(size)
                self.rfile.readline()
                if count is not None and len(data) >= count:
                    return data
            self.rfile.readline()
            return data
        length = int(self.headers.get("Content-Length", 0))
        return self.rfile.read(length if count is None else min(count, length))

    def answer(self, code, headers=None, body=b""):
        self.send_response(code)
        for name, value in {"Content-Length": str(len(body)), **(headers or {}), **self.changes}.items():
            if value is not None:
                self.send_header(name, value)
        self.end_headers()
        if self.command == "HEAD":
            return
        if self.shape:
            self.wfile.flush()
            self.shape(body)
        else:
            self.wfile.write(body)


class HostileRegistry:
    def __init__(self, address="127.0.0.1", context=None, family=socket.AF_INET, port=0):
        self.blobs, self.manifests, self.uploads, self.seen = {}, {}, {}, []
        self.faults, self.lock, self.closed = [], threading.Lock(), threading.Event()
        self.users = self.realm = None  # {name: password}; the URL of a token server
        self.tokens = {}                # token -> how many requests it is still good for
        self.location = None            # base of the places of uploads
        self.server = type("Server", (http.server.ThreadingHTTPServer,), {"address_family": family, "daemon_threads": True, "request_queue_size": 128})(
            (address, port), Handler)
        self.server.registry = self
        if context:
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True, do_handshake_on_connect=False)
        port = self.server.server_address[1]
        self.host = f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
        self.scheme = "https" if context else "http"
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()

    def stop(self):
        self.closed.set()
        self.server.shutdown()
        self.server.server_close()

    # Content

    def blob(self, data):
        self.blobs[digest_of(data)] = data
        return {"digest": digest_of(data), "size": len(data)}

    def image(self, name, tag, layers, config=None, manifest=None, content_type=MANIFEST):
        """`layers`: plain tars. `config` and `manifest` change the documents before they are kept. Returns the manifest."""
        document = {"architecture": "amd64", "os": "linux", "config": {},
                    "rootfs": {"type": "layers", "diff_ids": [digest_of(plain) for plain in layers]}}
        document = config(document) if config else document
        text = document if isinstance(document, bytes) else json.dumps(document).encode()
        made = {"schemaVersion": 2, "mediaType": MANIFEST, "config": {"mediaType": CONFIG, **self.blob(text)},
                "layers": [{"mediaType": LAYER, **self.blob(packed(plain))} for plain in layers]}
        made = manifest(made) if manifest else made
        self.put(name, tag, made if isinstance(made, bytes) else json.dumps(made).encode(), content_type)
        return made

    def put(self, name, reference, text, content_type):
        self.manifests[name, reference] = self.manifests[name, digest_of(text)] = (content_type, text)

    # Faults

    def fault(self, method, path, act, times=1):
        """The next `times` requests of that method ("*": any) whose path matches. Those given first count first."""
        self.faults.append([method, re.compile(path), act, times])

    def next_fault(self, method, path):
        with self.lock:
            for fault in self.faults:
                if fault[3] > 0 and fault[0] in ("*", method) and fault[1].search(path):
                    fault[3] -= 1
                    return fault[2]
        return None

    def asked(self, method, path):
        return [seen for seen in self.seen if seen.method == method and re.search(path, seen.path)]

    # Answers

    def is_welcome(self, handler):
        given = handler.headers.get("Authorization", "")
        if self.realm:
            with self.lock:
                left = self.tokens.get(given.removeprefix("Bearer "), 0)
                self.tokens[given.removeprefix("Bearer ")] = left - 1
            return left > 0
        if self.users:
            return given in [f"Basic {base64.b64encode(f'{user}:{password}'.encode()).decode()}" for user, password in self.users.items()]
        return True

    def respond(self, handler):
        url = urllib.parse.urlsplit(handler.path)
        query = dict(urllib.parse.parse_qsl(url.query))
        if not self.is_welcome(handler):
            wanted = f'Bearer realm="{self.realm}",service="tests"' if self.realm else 'Basic realm="tests"'
            return handler.answer(401, {"WWW-Authenticate": wanted, "Connection": "close"}, b'{"errors":[{"code":"UNAUTHORIZED","message":"no"}]}')
        for pattern, answer in ((r"/v2/?$", lambda: handler.answer(200)), (r"/v2/(.+)/manifests/([^/]+)$", self.manifest),
                                (r"/v2/(.+)/blobs/uploads/$", self.open_upload), (r"/v2/(.+)/blobs/uploads/([0-9]+)$", self.upload),
                                (r"/v2/(.+)/blobs/([^/]+)$", self.give_blob)):
            found = re.match(pattern, url.path)
            if found:
                return answer(*((handler, query, *found.groups()) if found.groups() else ()))
        return handler.answer(404)

    def manifest(self, handler, query, name, reference):
        if handler.command == "PUT":
            text = handler.take_body()
            self.put(name, reference, text, handler.headers["Content-Type"])
            return handler.answer(201, {"Docker-Content-Digest": digest_of(text)})
        if (name, reference) not in self.manifests:
            return handler.answer(404, {}, b'{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown"}]}')
        content_type, text = self.manifests[name, reference]
        return handler.answer(200, {"Content-Type": content_type, "Docker-Content-Digest": digest_of(text)}, text)

    def give_blob(self, handler, query, name, digest):
        if digest not in self.blobs:
            return handler.answer(404)
        data, start = self.blobs[digest], re.match(r"bytes=(\d+)-$", handler.headers.get("Range", ""))
        if start:
            first = int(start[1])
            return handler.answer(206, {"Content-Range": f"bytes {first}-{len(data) - 1}/{len(data)}"}, data[first:])
        return handler.answer(200, {}, data)

    def place(self, name, number):
        return f"{self.location or ''}/v2/{name}/blobs/uploads/{number}?state=x"

    def open_upload(self, handler, query, name):
        handler.take_body()
        if query.get("mount") in self.blobs:
            return handler.answer(201, {"Location": f"/v2/{name}/blobs/{query['mount']}"})
        with self.lock:
            number = str(len(self.seen))
            self.uploads[number] = bytearray()
        return handler.answer(202, {"Location": self.place(name, number)})

    def upload(self, handler, query, name, number):
        if number not in self.uploads:
            return handler.answer(404, {}, b'{"errors":[{"code":"BLOB_UPLOAD_UNKNOWN","message":"unknown"}]}')
        kept = self.uploads[number]
        if handler.command == "DELETE":
            del self.uploads[number]
            return handler.answer(204)
        kept += handler.take_body()
        if handler.command == "PUT":
            del self.uploads[number]
            if digest_of(bytes(kept)) != query.get("digest"):
                return handler.answer(400, {}, b'{"errors":[{"code":"DIGEST_INVALID","message":"provided digest did not match uploaded content"}]}')
            return handler.answer(201, {"Docker-Content-Digest": self.blob(bytes(kept))["digest"]})
        code = 202 if handler.command == "PATCH" else 204
        return handler.answer(code, {"Location": self.place(name, number), "Range": f"0-{max(len(kept) - 1, 0)}"})


class Tokens:
    """A token server: each token is good for `uses` requests. `answer` replaces what it says."""

    def __init__(self, registry, uses=1000, answer=None):
        self.seen = seen = []

        class TokenHandler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
                seen.append(Seen(self.command, self.path, {**self.headers, "Body": body}))
                token = f"token-{len(seen)}"
                registry.tokens[token] = uses
                text = json.dumps({"token": token}).encode() if answer is None else answer
                self.send_response(200)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)
            do_POST = do_GET

            def log_message(self, *_):
                pass
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), TokenHandler)
        registry.realm = f"http://127.0.0.1:{self.server.server_address[1]}/token"
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()

    def stop(self):
        self.server.shutdown()
        self.server.server_close()


def context(certificate, key, client_authority=None):
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.load_cert_chain(certificate, key)
    if client_authority:
        made.load_verify_locations(client_authority)
        made.verify_mode = ssl.CERT_REQUIRED
    return made
