"""Pushes to registries that misbehave, each in one way: tried again from where they were, or a clear error, and what was opened is closed
again. (security.md: T-RG08, 09, 11)"""
import base64
import concurrent.futures
import gzip
import json
import os
import re
import socket
import time

import pytest

from harness.engine import SLOW, processes, wait_for
from harness.hostile import HostileRegistry, Tokens, cut, digest_of, headers_changed, layer, read_then, silent, status

PASSWORD = "geheim-99"
SECRET = {"X-Registry-Auth": base64.urlsafe_b64encode(json.dumps({"username": "u", "password": PASSWORD}).encode()).decode()}
PLAIN = layer({"f": os.urandom(2 << 20), "z": bytes(1 << 20)})


def docker_archive(plain):
    config = json.dumps({"architecture": "amd64", "os": "linux", "config": {}, "rootfs": {"type": "layers", "diff_ids": [digest_of(plain)]}}).encode()
    manifest = [{"Config": "config.json", "RepoTags": ["plain:1"], "Layers": ["layer.tar"]}]
    return layer({"layer.tar": plain, "config.json": config, "manifest.json": json.dumps(manifest).encode()})


@pytest.fixture
def registry():
    registry = HostileRegistry()
    yield registry
    registry.stop()


@pytest.fixture(params=["plain", "gzip"])
def image(request, engine, registry):
    """An image as a name in `registry`: its one layer is compressed on the way, or has been pulled as it is."""
    name = f"{registry.host}/team/{request.param}"
    if request.param == "plain":
        status, _ = engine.api("POST", "/images/load", docker_archive(PLAIN), raw=True)
        assert status == 200
        source = "plain:1"
    else:
        registry.image("source", "1", [PLAIN])
        source = f"{registry.host}/source:1"
        status, data = engine.api("POST", f"/images/create?fromImage={registry.host}/source&tag=1", raw=True)
        assert status == 200 and b"error" not in data, data
        registry.blobs.clear()
        registry.seen.clear()
    engine.tare("tag", source, f"{name}:1")
    yield name
    engine.tare("rmi", "-f", engine.api("GET", f"/images/{name}:1/json")[1]["Id"])
    wait_for(lambda: not processes(lambda command: command[0].endswith("tare-transfer") and str(engine.data) in command), "the workers' end")
    assert PASSWORD not in engine.log.read_text()


def push(engine, name, headers=None):
    status, data = engine.api("POST", f"/images/{name}/push?tag=1", headers=headers or {"X-Registry-Auth": "e30="}, raw=True)
    assert status == 200, data
    lines = [json.loads(line) for line in data.decode().splitlines() if line]
    return "aux" in lines[-1], lines


def works(engine, registry, name, headers=None):
    """All of it is there, is what the manifest says, and nothing is left open."""
    ok, lines = push(engine, name, headers)
    assert ok, lines[-1]
    repository = name.partition("/")[2]
    _, text = registry.manifests[repository, "1"]
    manifest = json.loads(text)
    assert lines[-1]["aux"] == {"Tag": "1", "Digest": digest_of(text), "Size": len(text)}
    assert digest_of(gzip.decompress(registry.blobs[manifest["layers"][0]["digest"]])) == digest_of(PLAIN)
    assert manifest["config"]["digest"] in registry.blobs and registry.uploads == {}
    return lines


def fails(engine, registry, name, words, headers=None, left_open=0):
    ok, lines = push(engine, name, headers)
    assert not ok and re.search(words, lines[-1]["error"]), lines[-1]
    assert (name.partition("/")[2], "1") not in registry.manifests and len(registry.uploads) == left_open
    assert not [line for line in engine.api("GET", f"/images/{name}:1/json")[1]["RepoDigests"] if line.startswith(name)]


PATCHES = "/blobs/uploads/[0-9]"


def keep(count):
    """Takes a part of the body into the upload, as a registry that is cut off does."""
    def act(handler):
        data = handler.take_body(count)
        number = re.search(r"uploads/(\d+)", handler.path)[1]
        handler.registry.uploads[number] += data[:count]
        handler.hang_up(reset=True)
    return act


PASSING = [
    ("PATCH", PATCHES, keep(1000000), 3), ("PATCH", PATCHES, keep(0), 1), ("PATCH", PATCHES, keep(1), 1), ("PATCH", PATCHES, read_then(status(500)), 2),
    ("PATCH", PATCHES, status(503, {"Retry-After": "0", "Connection": "close"}), 1), ("PUT", PATCHES, read_then(status(500)), 2), ("PUT", PATCHES, cut(0, True), 1),
    ("POST", "/uploads/$", status(500), 2), ("POST", "/uploads/$", status(429, {"Retry-After": "0"}), 1), ("HEAD", "/blobs/", status(500), 2),
    ("HEAD", "/blobs/", status(405), 2), ("PUT", "/manifests/", read_then(status(503)), 2), ("GET", PATCHES, status(404), 9),
    ("PATCH", PATCHES, read_then(status(404)), 1), ("PATCH", PATCHES, read_then(status(416)), 1),
    ("PATCH", PATCHES, headers_changed(Location=None), 9), ("PATCH", PATCHES, headers_changed(Range="nonsense"), 9),
    ("PUT", PATCHES, headers_changed(Docker_Content_Digest=None), 9)]


@pytest.mark.parametrize("image, method, where, act, times", [("plain", *fault) for fault in PASSING] +
                         [("gzip", *fault) for fault in PASSING if fault[0] == "PATCH"], indirect=["image"])
def test_what_passes(engine, registry, image, method, where, act, times):
    registry.fault(method, where, act, times)
    works(engine, registry, image)
    again = works(engine, registry, image)
    assert method == "HEAD" or "Layer already exists" in str(again)


def test_it_goes_on_where_it_was(engine, registry, image):
    """No byte that has arrived is sent again: what is compressed on the way comes out the same."""
    for _ in range(3):
        registry.fault("PATCH", PATCHES, keep(500000))
    works(engine, registry, image)
    patches = registry.asked("PATCH", PATCHES)
    assert len(patches) == 5 and len(registry.asked("GET", PATCHES)) == 3  # the config's too
    if "plain" not in image:
        assert [seen.headers.get("Content-Range", "")[:8] for seen in patches[1:4]] == ["500000-2", "1000000-", "1500000-"]


def test_a_lost_answer_is_not_another_upload(engine, registry, image):
    """The blob is there, and only nobody said so: it is looked for, and not sent again."""
    def done_and_gone(handler):
        handler.changes = {}
        handler.shape = lambda data: None
        number = re.search(r"uploads/(\d+)", handler.path)[1]
        handler.registry.blob(bytes(handler.registry.uploads.pop(number)))
        handler.hang_up(reset=True)
    registry.fault("PUT", PATCHES, done_and_gone)
    works(engine, registry, image)
    assert len(registry.asked("PATCH", PATCHES)) == 2


@pytest.mark.parametrize("image", ["plain"], indirect=True)
@pytest.mark.parametrize("method, where, act, words", [
    ("POST", "/uploads/$", headers_changed(Location=None), "does not say where"),
    ("POST", "/uploads/$", headers_changed(Location="file:///etc/passwd"), "not an http or https address"),
    ("POST", "/uploads/$", headers_changed(Location="http://u:p@127.0.0.1/"), "not an http or https address"),
    ("POST", "/uploads/$", status(403, {}, b'{"errors":[{"code":"DENIED","message":"requested access to the resource is denied"}]}'),
     "denied: requested access to the resource is denied"),
    ("POST", "/uploads/$", status(301, {"Location": "/v2/elsewhere/blobs/uploads/"}), "301"),
    ("PATCH", PATCHES, read_then(status(413)), "413"),
    ("PUT", PATCHES, read_then(status(400, {}, b'{"errors":[{"code":"DIGEST_INVALID","message":"other content"}]}')), "digest invalid: other content"),
    ("PUT", PATCHES, headers_changed(Docker_Content_Digest="sha256:" + "0" * 64), "as another"),
    ("PUT", "/manifests/", read_then(status(413)), "413"), ("PUT", "/manifests/", read_then(status(400, {}, b"x" * 5000000)), "400"),
])
def test_what_does_not_pass(engine, registry, image, method, where, act, words):
    registry.fault(method, where, act, times=1000)
    fails(engine, registry, image, words, left_open=int("where" in words or "http" in words))  # of those it can't know
    assert len(registry.seen) < 20
    registry.faults.clear()
    registry.uploads.clear()
    works(engine, registry, image)


@pytest.mark.parametrize("image", ["plain"], indirect=True)
def test_what_never_passes(engine, image):
    """Bounded; each with a registry of its own, all at once."""
    def one(fault):
        registry = HostileRegistry()
        name = f"{registry.host}/never"
        engine.tare("tag", f"{image}:1", f"{name}:1")
        registry.fault(*fault[:3], times=1000)
        try:
            fails(engine, registry, name, fault[3])
            return len(registry.seen)
        finally:
            engine.tare("rmi", f"{name}:1")
            registry.stop()
    faults = [("POST", "/uploads/$", status(500), "500"), ("PATCH", PATCHES, read_then(status(500)), "500"), ("PATCH", PATCHES, keep(0), "Patch "),
              ("PUT", PATCHES, read_then(status(500)), "500"), ("PUT", "/manifests/", read_then(status(500)), "500"),
              ("HEAD", "/blobs/", status(500), "500")]
    with concurrent.futures.ThreadPoolExecutor() as pool:
        counts = list(pool.map(one, faults))
    assert max(counts) < 60, counts


def test_the_manifest_is_another(engine, registry, image):
    registry.fault("PUT", "/manifests/", headers_changed(Docker_Content_Digest="sha256:" + "0" * 64))
    ok, lines = push(engine, image)
    assert not ok and "as another" in lines[-1]["error"]


def opens(handler):
    return handler.registry.open_upload(handler, {}, "other/copy")


@pytest.mark.parametrize("act", [None, opens, status(202), status(404), status(405), status(403), status(401, {"WWW-Authenticate": "Basic"}), status(400)])
def test_mounts(engine, registry, image, act):
    """A refused one is an upload like others."""
    works(engine, registry, image)
    kept = dict(registry.blobs)
    registry.seen.clear()
    other = f"{registry.host}/other/copy"
    engine.tare("tag", f"{image}:1", f"{other}:1")
    registry.fault("HEAD", "/blobs/", status(404))

    def refuse(handler):
        handler.registry.blobs.clear()
        return act(handler)
    if act:
        registry.fault("POST", "mount=", refuse)
    lines = works(engine, registry, other)
    assert len(registry.asked("POST", "mount=sha256.*from=(team|source)")) == 1
    assert ("Mounted from" in str(lines)) == (act is None)
    assert act or registry.blobs == kept
    engine.tare("rmi", f"{other}:1")


def test_places_on_another_host(engine, registry, image):
    """It gets the bytes and no credentials; a refusal there is not answered with any."""
    other = HostileRegistry()
    other.uploads, other.blobs = registry.uploads, registry.blobs
    registry.users, registry.location = {"u": PASSWORD}, f"http://{other.host}"
    works(engine, registry, image, SECRET)
    assert len(other.asked("PATCH", PATCHES)) == 2 and registry.asked("PATCH", PATCHES) == []
    assert not any("Authorization" in seen.headers for seen in other.seen)
    registry.blobs.clear()
    registry.manifests.clear()
    engine.tare("tag", f"{image}:1", f"{image}-again:1")
    other.users = {"u": PASSWORD}
    ok, lines = push(engine, f"{image}-again", SECRET)
    assert not ok and "UNAUTHORIZED" in lines[-1]["error"].upper(), lines[-1]
    assert not any("Authorization" in seen.headers for seen in other.seen)
    engine.tare("rmi", f"{image}-again:1")
    other.stop()


def test_redirected_uploads(engine, registry, image):
    """307 and 308 keep method and body; the other host hears no password."""
    other = HostileRegistry()
    other.uploads, other.blobs = registry.uploads, registry.blobs
    registry.users = {"u": PASSWORD}

    def elsewhere(handler):
        if "Authorization" not in handler.headers:
            return True
        handler.take_body()
        return handler.answer(307, {"Location": f"http://{other.host}{handler.path}"})
    registry.fault("PATCH", PATCHES, elsewhere, times=9)
    works(engine, registry, image, SECRET)
    assert len(other.asked("PATCH", PATCHES)) == 2 and not any("Authorization" in seen.headers for seen in other.seen)
    other.stop()


def test_tokens_that_expire_all_the_time(engine, registry, image):
    tokens = Tokens(registry, uses=2)
    works(engine, registry, image)
    assert tokens.seen and all("scope=repository%3Ateam%2F" in seen.path and "%3Apull%2Cpush" in seen.path for seen in tokens.seen)
    if "gzip" in image:
        assert all("scope=repository%3Asource%3Apull" in seen.path for seen in tokens.seen)
    tokens.stop()


def test_a_token_that_is_never_enough(engine, registry, image):
    tokens = Tokens(registry, uses=0)
    fails(engine, registry, image, "unauthorized: no")
    assert len(tokens.seen) <= 10
    tokens.stop()


def test_leaving(engine, registry, image):
    registry.fault("PATCH", PATCHES, silent)
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(engine.socket))
        client.sendall(f"POST /images/{image}/push?tag=1 HTTP/1.1\r\nHost: x\r\nX-Registry-Auth: e30=\r\nContent-Length: 0\r\n\r\n".encode())
        wait_for(lambda: registry.asked("PATCH", PATCHES), "the upload")
        start = time.monotonic()
    wait_for(lambda: not processes(lambda command: command[0].endswith("tare-transfer") and str(engine.data) in command), "the worker's end")
    assert time.monotonic() - start < 20 * SLOW  # and the registry is silent for a minute
