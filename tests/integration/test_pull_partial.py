"""Downloads that are cut, killed, cancelled, or fill the disk: the next one goes on where they ended, and nothing else is left."""
import contextlib
import hashlib
import http.server
import io
import json
import os
import pathlib
import random
import signal
import socket
import subprocess
import tarfile
import tempfile
import threading
import time

import pytest

from harness.engine import SLOW, Engine, processes, wait_for

LAYER_BYTES = 12 << 20
HALF = LAYER_BYTES // 2
AT_ONCE = 20 * SLOW  # and the Gate stays closed for a minute
MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json"


def layer_of(seed, size=LAYER_BYTES):
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as tar:
        member = tarfile.TarInfo(f"file-{seed}")
        member.size = size
        tar.addfile(member, io.BytesIO(random.Random(seed).randbytes(size)))
    return stream.getvalue()


class Source:
    """A registry of one repository, t/x. A layer's bytes are sent by `send(request, digest, data)`, which each test gives; the
    requests for them are noted."""

    def __init__(self, *layers):
        self.blobs, self.manifests, self.asked, self.send = {}, {}, [], lambda request, digest, data: request.part(data)
        self.layers = [self.keep(data) for data in layers]
        self.tag("1", self.layers)
        source = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self, status, data, length=None, **headers):
                """With `length` more is promised than comes."""
                self.send_response(status)
                for name, value in {**headers, "Content-Length": str(len(data) if length is None else length)}.items():
                    self.send_header(name.replace("_", "-"), value)
                self.end_headers()
                with contextlib.suppress(OSError):
                    self.wfile.write(data)
                    self.wfile.flush()
                self.close_connection = length is not None

            def start(self):
                """Where the Range begins that is asked for; None if there is none."""
                wish = self.headers.get("Range")
                return int(wish.removeprefix("bytes=").removesuffix("-")) if wish else None

            def part(self, data, end=None, **headers):
                """As asked for; up to `end` if the connection is to be cut there."""
                first = self.start()
                rest = data[first or 0:]
                if first is not None:
                    headers["Content-Range"] = f"bytes {first}-{len(data) - 1}/{len(data)}"
                self.answer(200 if first is None else 206, rest if end is None else rest[:end - (first or 0)], len(rest), **headers)

            def do_GET(self):
                what = self.path.rpartition("/")[2]
                if "/manifests/" in self.path and what in source.manifests:
                    self.answer(200, source.manifests[what], Content_Type=MANIFEST_TYPE)
                elif what in source.layers:
                    source.asked.append((what, self.start(), self.headers.get("If-Range")))
                    source.send(self, what, source.blobs[what])
                elif what in source.blobs:
                    self.answer(200, source.blobs[what])
                else:
                    self.answer(200 if self.path == "/v2/" else 404, b"{}")

            def log_message(self, *_):
                pass
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.host = "127.0.0.1:%d" % self.server.server_address[1]
        self.name = f"{self.host}/t/x:1"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def keep(self, data):
        digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
        self.blobs[digest] = data
        return digest

    def tag(self, tag, layers, **config):
        """An image of these layers, and what else its config is to say."""
        text = json.dumps({"architecture": "amd64", "os": "linux", **config, "rootfs": {"type": "layers", "diff_ids": layers}}).encode()
        self.manifests[tag] = json.dumps({
            "schemaVersion": 2, "mediaType": MANIFEST_TYPE,
            "config": {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": self.keep(text), "size": len(text)},
            "layers": [{"mediaType": "application/vnd.oci.image.layer.v1.tar", "digest": digest, "size": len(self.blobs[digest])} for digest in layers],
        }).encode()

    def ranges(self, digest):
        return [start for asked, start, _ in self.asked if asked == digest]

    def close(self):
        self.server.shutdown()
        self.server.server_close()


class Gate:
    """Sends the first half of each layer, then keeps still until it is opened."""

    def __init__(self):
        self.waiting, self.open = threading.Semaphore(0), threading.Event()

    def __call__(self, request, digest, data):
        if request.start() is not None or self.open.is_set():
            request.part(data)
            return
        request.answer(200, data[:HALF], len(data))
        self.waiting.release()
        self.open.wait(60)

    def arrived(self, engine, digest):
        assert self.waiting.acquire(timeout=60 * SLOW)
        path = engine.data / "partial" / digest.partition(":")[2]
        wait_for(lambda: path.exists() and path.stat().st_size == HALF, "the first half")


@pytest.fixture
def source():
    source = Source(layer_of(1))
    yield source
    source.close()


@pytest.fixture
def bare(engine):
    yield engine
    assert engine.api("POST", "/images/prune")[0] == 200
    listed = set(engine.tare("images", "-q", "--no-trunc").stdout.split())
    if listed:
        engine.tare("rmi", "-f", *listed)
    wait_for(lambda: not os.listdir(engine.data / "tmp") and not os.listdir(engine.data / "trash"), "an empty store")
    assert os.listdir(engine.data / "partial") == [] and os.listdir(engine.data / "layers") == []


def pull(engine, name):
    """The messages of a whole pull."""
    repository, _, tag = name.rpartition(":")
    status, data = engine.api("POST", f"/images/create?fromImage={repository}&tag={tag}", raw=True)
    assert status == 200, data
    return [json.loads(line) for line in data.decode().splitlines() if line]


def assert_pulled(messages):
    assert messages[-1].get("status", "").startswith("Status: Downloaded newer image"), messages[-3:]


def workers(engine):
    """The trusted ones; what they have forked has the same command line."""
    found = processes(lambda c: c[0].endswith("tare-transfer") and str(engine.data) in c)
    return [pid for pid in found if parent_of(pid) == engine.holder.pid]


def parent_of(pid):
    try:
        return int(pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return 0


def partials(engine):
    return {path.name: path.stat().st_size for path in (engine.data / "partial").iterdir()}


def kill_worker(engine):
    wait_for(lambda: len(workers(engine)) == 1, "the end of what came before")
    worker, = workers(engine)
    os.kill(worker, signal.SIGKILL)
    wait_for(lambda: not processes(lambda c: c[0].endswith("tare-transfer") and str(engine.data) in c), "the end of what it had forked")
    wait_for(lambda: not os.listdir(engine.data / "tmp"), "the sweep")


def leave_half(engine, source):
    """A partial blob whose owner was killed."""
    gate = source.send = Gate()
    client = engine.popen(str(engine.programs / "tare"), "pull", source.name, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    gate.arrived(engine, source.layers[0])
    kill_worker(engine)
    gate.open.set()
    assert client.wait(60) != 0
    assert partials(engine) == {source.layers[0].partition(":")[2]: HALF}
    source.asked.clear()
    source.send = lambda request, digest, data: request.part(data)
    return engine.data / "partial" / source.layers[0].partition(":")[2]


def test_a_cut_connection_goes_on(bare, source):
    cuts = iter([HALF, HALF + 1, LAYER_BYTES])
    source.send = lambda request, digest, data: request.part(data, next(cuts, None), ETag='"one"')
    assert_pulled(pull(bare, source.name))
    assert [(start, tag) for _, start, tag in source.asked] == [(None, None), (HALF, '"one"'), (HALF + 1, '"one"'), (LAYER_BYTES, '"one"')]


def test_a_killed_worker_leaves_what_it_had(bare, source):
    leave_half(bare, source)
    assert bare.tare("images", "-q").stdout == bare.tare("images", "-aq").stdout == ""
    assert os.listdir(bare.data / "blobs/sha256") == os.listdir(bare.data / "layers") == []
    status, usage = bare.api("GET", "/system/df")
    assert status == 200 and usage["LayersSize"] == 0
    assert_pulled(pull(bare, source.name))
    assert source.ranges(source.layers[0]) == [HALF]
    assert partials(bare) == {}


@pytest.mark.parametrize("answer, ranges", [
    (lambda request, data: request.part(data), [HALF]),
    (lambda request, data: request.answer(416, b"") if request.start() else request.part(data), [HALF, None]),
    (lambda request, data: request.answer(200, data), [HALF]),
    (lambda request, data: request.part(data, ETag='"two"'), [HALF, None]),
], ids=["206", "416", "no ranges", "another version"])
def test_what_a_server_makes_of_a_range(bare, source, answer, ranges):
    """The first half was of version "one"."""
    path = leave_half(bare, source)
    os.setxattr(path, "trusted.tare.etag", b'"one"')
    source.send = lambda request, digest, data: answer(request, data)
    assert_pulled(pull(bare, source.name))
    assert source.ranges(source.layers[0]) == ranges and source.asked[0][2] == '"one"'


@pytest.mark.parametrize("how", ["changed", "too long"])
def test_what_was_left_is_not_trusted(bare, source, how):
    path = leave_half(bare, source)
    with open(path, "r+b") as file:
        file.seek(1000 if how == "changed" else HALF)
        file.write(b"x" * (10 if how == "changed" else LAYER_BYTES))
    assert_pulled(pull(bare, source.name))
    assert source.ranges(source.layers[0]) == ([HALF, None] if how == "changed" else [None])


def test_wrong_content_is_not_kept(bare, source):
    source.send = lambda request, digest, data: request.answer(200, bytes(len(data)))
    assert "other content" in pull(bare, source.name)[-1]["error"]
    assert len(source.asked) == 1 and partials(bare) == {}


def test_a_blob_is_never_written_to(bare, source):
    """Killed between the blob's name and the end of the partial one: both are the same file then."""
    path = leave_half(bare, source)
    other = bare.data / "blobs" / "twin"
    os.link(path, other)
    before = other.read_bytes()
    assert_pulled(pull(bare, source.name))
    assert other.read_bytes() == before and source.ranges(source.layers[0]) == [None]
    other.unlink()


class Reader:
    """A pull whose messages are read as they come."""

    def __init__(self, engine, name):
        repository, _, tag = name.rpartition(":")
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(60 * SLOW)
        self.socket.connect(str(engine.socket))
        self.socket.sendall(f"POST /v1.50/images/create?fromImage={repository}&tag={tag} HTTP/1.0\r\nHost: x\r\n\r\n".encode())
        self.file = self.socket.makefile("r", newline="\n")

    def until(self, text):
        for line in self.file:
            if text in line:
                return line
        raise AssertionError(f"no {text} came")

    def close(self):
        self.file.close()
        self.socket.close()


def test_whoever_waits_takes_over(bare, source):
    """Two pulls of one layer are one download; the second goes on where the first was killed."""
    gate = source.send = Gate()
    first = Reader(bare, source.name)
    gate.arrived(bare, source.layers[0])
    second = Reader(bare, source.name)
    second.until('"Waiting"')
    owner = min(workers(bare))
    os.kill(owner, signal.SIGKILL)
    second.until("Status: Downloaded newer image")
    gate.open.set()
    first.close()
    second.close()
    assert source.ranges(source.layers[0]) == [None, HALF]
    wait_for(lambda: not os.listdir(bare.data / "tmp"), "the sweep")


def test_one_of_two_is_cancelled(bare):
    source = Source(layer_of(1), layer_of(2))
    source.tag("2", source.layers[:1])
    try:
        gate = source.send = Gate()
        first = Reader(bare, source.name)
        gate.arrived(bare, source.layers[0])
        gate.arrived(bare, source.layers[1])
        second = Reader(bare, f"{source.host}/t/x:2")
        second.until('"Waiting"')
        start = time.monotonic()
        first.close()
        wait_for(lambda: len(workers(bare)) == 1, "the end of the cancelled one")
        assert time.monotonic() - start < AT_ONCE
        second.until("Status: Downloaded newer image")
        assert source.ranges(source.layers[0]) == [None, HALF]
        assert partials(bare) == {source.layers[1].partition(":")[2]: HALF}
        gate.open.set()
        second.close()
    finally:
        source.close()


def test_an_interrupted_client_ends_its_pull(bare, source):
    gate = source.send = Gate()
    client = bare.popen(str(bare.programs / "tare"), "pull", source.name, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    gate.arrived(bare, source.layers[0])
    start = time.monotonic()
    client.send_signal(signal.SIGINT)
    wait_for(lambda: not workers(bare), "the end of the pull")
    client.wait(60 * SLOW)
    assert time.monotonic() - start < AT_ONCE
    assert partials(bare) == {source.layers[0].partition(":")[2]: HALF}
    gate.open.set()


def test_pruning_takes_what_was_left(bare, source):
    leave_half(bare, source)
    status, answer = bare.api("POST", "/images/prune")
    assert status == 200 and answer["SpaceReclaimed"] == HALF
    assert partials(bare) == {}


def test_old_ones_and_small_ones_go(bare, source):
    path = leave_half(bare, source)
    (bare.data / "partial/small").write_bytes(bytes(1000))
    bare.kill_engine()
    wait_for(lambda: list(partials(bare)) == [path.name], "the end of the small one")
    old = time.time() - 3600
    os.utime(path, (old, old))
    bare.kill_engine()
    wait_for(lambda: not partials(bare), "the end of the old one")


def test_a_disk_that_fills():
    """Nothing stays of the pull that did not fit, and what another had left goes too; a smaller one still fits."""
    source = Source(layer_of(1), layer_of(2), layer_of(3))
    root = pathlib.Path(tempfile.mkdtemp(prefix="tare-full-"))
    (root / "data").mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=40m", "tare-test", root / "data"], check=True)
    engine = Engine(root=root).start()

    def used():
        status = os.statvfs(root / "data")
        return (status.f_blocks - status.f_bfree) * status.f_frsize
    try:
        source.tag("small", source.layers[:1])
        before = used()
        assert "no space left on device" in pull(engine, source.name)[-1]["error"]
        wait_for(lambda: used() <= before + (1 << 20), f"the space: {used()} and not {before}")
        assert partials(engine) == {} and engine.tare("images", "-q").stdout == ""
        assert_pulled(pull(engine, f"{source.host}/t/x:small"))
    finally:
        subprocess.run(["umount", "-l", root / "data"])  # what is open goes on
        left = engine.stop()
        source.close()
    assert not left, left
