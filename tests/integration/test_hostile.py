"""Registries that misbehave, each in one way: a clear error with its cause or the right image, nothing half there, nothing told to
others, bounded time and memory, and an engine that goes on. (security.md: T-RG03 to 12, T-IM07, 12, 13, 14, 21)"""
import base64
import concurrent.futures
import gzip
import http.client
import json
import os
import re
import socket
import threading
import time

import pytest

from harness import hostile
from harness.engine import SLOW, processes, wait_for
from harness.hostile import CONFIG, LAYER, MANIFEST, HostileRegistry, Tokens, bytes_changed, cut, digest_of, endless, headers_changed, layer, read_then, \
    silent, stall, status

PASSWORD = "geheim-99"
SECRET = {"X-Registry-Auth": base64.urlsafe_b64encode(json.dumps({"username": "u", "password": PASSWORD}).encode()).decode()}
BIG = layer({"f": os.urandom(3 << 20)})
INDEX = "application/vnd.oci.image.index.v1+json"


@pytest.fixture
def evil():
    made = []

    def make(**options):
        made.append(HostileRegistry(**options))
        return made[-1]
    yield make
    for registry in made:
        registry.stop()


@pytest.fixture
def registry(evil):
    registry = evil()
    registry.image("a", "1", [BIG, layer({"g": b"y" * 5000})])
    return registry


@pytest.fixture(autouse=True)
def nothing_left(engine):
    """No image, no layer, no job's folder, no secret in the log; and the engine answers."""
    yield
    left = engine.api("GET", "/images/json")[1]
    for image in left:
        if not any(tag.startswith("busybox") for tag in image["RepoTags"]):
            engine.api("DELETE", f"/images/{image['Id']}?force=1")
    wait_for(lambda: not workers(engine), "the workers' end")
    assert len(os.listdir(engine.data / "layers")) == 1
    wait_for(lambda: os.listdir(engine.data / "tmp") == [], "an empty tmp/")
    assert PASSWORD not in engine.log.read_text()


def workers(engine):
    return processes(lambda command: command[0].endswith("tare-transfer") and str(engine.data) in command)


def pull(engine, registry, name="a:1", headers=None, timeout=60):
    image, _, tag = name.rpartition(":")
    code, data = engine.api("POST", f"/images/create?fromImage={registry.host}/{image}&tag={tag}", headers=headers, raw=True, timeout=timeout)
    lines = [json.loads(line) for line in data.decode().splitlines() if line]
    return code == 200 and "error" not in lines[-1], str(lines[-1])


def works(engine, registry, name="a:1", headers=None):
    ok, said = pull(engine, registry, name, headers)
    assert ok and "Downloaded newer image" in said, said
    return said


def fails(engine, registry, words, name="a:1", headers=None):
    ok, said = pull(engine, registry, name, headers)
    assert not ok and re.search(words, said), said
    status, answer = engine.api("GET", f"/images/{registry.host}/{name}/json")
    assert status == 404, answer


def first_layer(registry):
    return json.loads(registry.manifests["a", "1"][1])["layers"][0]["digest"]


# What passes: it is tried again.

@pytest.mark.parametrize("act", [cut(0), cut(1000), cut(1000, True), cut((3 << 20) - 100), status(500), status(503), status(502, {"Retry-After": "0"}),
                                 status(429), status(429, {"Retry-After": "-5"}), status(429, {"Retry-After": "garbage"}),
                                 status(429, {"Retry-After": "Thu, 01 Jan 1970 00:00:00 GMT"})])
def test_once_is_forgiven(engine, registry, act):
    registry.fault("GET", first_layer(registry), act)
    works(engine, registry)
    assert len(registry.asked("GET", "/blobs/")) == 4  # the config, two layers, and one of them again


def test_it_goes_on_where_it_was(engine, registry):
    """Three times cut, by Range; and a server that has none is read again from the beginning."""
    for count in (1 << 20, 1 << 20, 500000):
        registry.fault("GET", first_layer(registry), cut(count))
    works(engine, registry)
    assert len([seen for seen in registry.seen if "Range" in seen.headers]) == 3


def test_retries_are_bounded_and_wait_longer(engine, evil):
    """Each with a registry of its own, all at once: they take their time."""
    def one(act):
        registry = evil()
        registry.image("a", "1", [layer({"f": b"x"})])
        registry.fault("GET", "/manifests/", act, times=1000)
        start = time.monotonic()
        ok, said = pull(engine, registry)
        return registry, ok, said, time.monotonic() - start
    faults = {"429": status(429, {}, b'{"errors":[{"code":"TOOMANYREQUESTS","message":"slow down"}]}'), "503": status(503), "cut": cut(10), "reset": cut(0, True)}
    with concurrent.futures.ThreadPoolExecutor() as pool:
        outcomes = dict(zip(faults, pool.map(one, faults.values())))
    for name, (registry, ok, said, seconds) in outcomes.items():
        assert not ok and 2 <= len(registry.asked("GET", "/manifests/")) <= 6, (name, said)
        assert 1 < seconds < 60 * SLOW, (name, seconds)
    assert "toomanyrequests: slow down" in outcomes["429"][2] and "503" in outcomes["503"][2]


# Time.

class Client:
    """A pull under way, to be given up."""

    def __init__(self, engine, registry, path=None):
        self.connection = socket.socket(socket.AF_UNIX)
        self.connection.connect(str(engine.socket))
        path = path or f"/images/create?fromImage={registry.host}/a&tag=1"
        self.connection.sendall(f"POST {path} HTTP/1.1\r\nHost: x\r\nX-Registry-Auth: e30=\r\nContent-Length: 0\r\n\r\n".encode())

    def leave(self):
        self.connection.close()


# Far below every time-out of the registry's side, far above what a machine with other things to do needs.
AT_ONCE = 10 * SLOW


def given_up_at_once(engine, registry, ready, path=None):
    client = Client(engine, registry, path)
    wait_for(ready, "the request")
    assert workers(engine)
    start = time.monotonic()
    client.leave()
    wait_for(lambda: not workers(engine), "the worker's end")
    assert time.monotonic() - start < AT_ONCE, "it took too long"


@pytest.mark.parametrize("where, act", [("/v2/$", silent), ("/manifests/", silent), ("/manifests/", stall(10)), ("/blobs/", stall(10)), ("/blobs/", stall(1 << 20)),
                                        ("/blobs/", status(429, {"Retry-After": str(10**9)})), ("/manifests/", status(503, {"Retry-After": "20"}))])
def test_leaving_a_stalled_pull(engine, registry, where, act):
    registry.fault("GET", where, act, times=1000)
    given_up_at_once(engine, registry, lambda: registry.asked("GET", where))


def test_leaving_a_stalled_token_server_and_a_stalled_handshake(engine, registry):
    with socket.create_server(("127.0.0.1", 0)) as mute:
        registry.realm = "http://127.0.0.1:%d/token" % mute.getsockname()[1]
        given_up_at_once(engine, registry, lambda: registry.asked("GET", "/v2/"))
        # The same as a registry: TLS is tried first, and nobody answers the hello.
        registry.realm, registry.host = None, "127.0.0.1:%d" % mute.getsockname()[1]
        given_up_at_once(engine, registry, lambda: workers(engine))


def test_others_go_on_beside_a_hundred_stalled_layers(engine, evil):
    slow, quick = evil(), evil()
    slow.image("a", "1", [layer({"f": b"%d" % number}) for number in range(100)])
    quick.image("a", "1", [layer({"f": b"x"})])
    layers = "|".join(entry["digest"] for entry in json.loads(slow.manifests["a", "1"][1])["layers"])
    slow.fault("GET", layers, stall(10), times=1000)
    client = Client(engine, slow)
    wait_for(lambda: slow.asked("GET", layers), "a layer asked for")
    works(engine, quick)
    client.leave()


# Space: the worker's memory is looked at while it is fed.

def fed(engine, registry, words, name="a:1", headers=None, limit_mb=64):
    peak, done = [0], threading.Event()

    def watch():
        while not done.wait(0.02):
            for pid in workers(engine):
                try:
                    with open(f"/proc/{pid}/status") as file:
                        peak[0] = max(peak[0], *(int(line.split()[1]) for line in file if line.startswith("VmHWM")))
                except (OSError, TypeError):
                    pass
    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        fails(engine, registry, words, name, headers)
    finally:
        done.set()
        watcher.join()
    assert "ASAN_OPTIONS" in os.environ or peak[0] < limit_mb << 10, f"{peak[0]} KiB"


ONE_MB = b"x" * (1 << 20)
OK_HEAD = b"HTTP/1.1 200 OK\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n\r\n"
CHUNK = b"100000\r\n" + ONE_MB + b"\r\n"


@pytest.mark.parametrize("where, act, words", [
    ("/manifests/", endless(OK_HEAD, b"X-Header: value\r\n" * 100), "head of an answer is too large"),
    ("/manifests/", endless(OK_HEAD + b"X-Long: ", ONE_MB), "too large|Get "),
    ("/manifests/", endless(b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 100 Continue\r\n\r\n" * 100), "head of an answer is too large"),
    ("/manifests/", endless(OK_HEAD + b"Content-Type: " + MANIFEST.encode() + b"\r\n" + CHUNKED, CHUNK), "larger than"),
    ("/manifests/", endless(OK_HEAD + b"Content-Length: 10737418240\r\n\r\n", ONE_MB), "larger than"),
    ("/manifests/", endless(b"HTTP/1.1 403 No\r\n" + CHUNKED, CHUNK), "403"),
    ("/blobs/", endless(OK_HEAD + CHUNKED, CHUNK), "larger than|bytes or more"),
    ("/manifests/", status(200, {"Content-Length": "-1"}), ""),
    ("/manifests/", endless(b"nonsense\r\n", b"more of it\r\n"), "Get "),
])
def test_endless_answers(engine, registry, where, act, words):
    registry.fault("GET", where, act, times=1000)
    fed(engine, registry, words)


@pytest.mark.parametrize("act", [endless(OK_HEAD + CHUNKED, CHUNK), endless(OK_HEAD, b"X-Header: value\r\n" * 100)])
def test_an_endless_root(engine, registry, act):
    """Enough of it is read to know that somebody is there."""
    registry.fault("GET", "/v2/$", act, times=1000)
    works(engine, registry)


def test_endless_token(engine, registry):
    tokens = Tokens(registry, answer=b'{"token": "' + b"x" * (3 << 20) + b'"}')
    fed(engine, registry, "token server's answer is too large")
    tokens.stop()


def test_a_bomb(engine, registry):
    """A layer that is ten thousand times as large unpacked is stopped long before."""
    bomb = gzip.compress(layer({"f": b""})[:512], 9) + gzip.compress(bytes(16 << 20), 9) * 32
    def manifest(document):
        document["layers"] = [{"mediaType": LAYER, **registry.blob(bomb)}]
        return document
    registry.image("bomb", "1", [layer({"f": b"x"})], manifest=manifest)
    fed(engine, registry, "cannot unpack|diff ID|grows", "bomb:1")


# Who sees the credentials, and who answers for what.

def test_redirects(engine, registry, evil):
    """Ten are followed, an eleventh is not; relative ones are understood; a name in the address is refused."""
    def hop(handler):
        number = int(handler.path.rpartition("=")[2]) if "=" in handler.path else 0
        handler.answer(307, {"Location": f"{handler.path.partition('?')[0]}?hop={number + 1}"}) if number < hops else handler.registry.respond(handler)
    registry.fault("GET", "/manifests/", hop, times=1000)
    hops = 10
    works(engine, registry)
    hops = 11
    engine.api("DELETE", f"/images/{registry.host}/a:1")
    fails(engine, registry, "more than 10 redirects")
    for to in (f"http://user:{PASSWORD}@{registry.host}/x", "unix:///run/x", "gopher://127.0.0.1/x", "http:///x"):
        other = evil()
        other.fault("GET", "/manifests/", status(307, {"Location": to}))
        fails(engine, other, "redirects to what is not|Get ")


def test_foreign_layers_are_asked_of_the_registry(engine, registry, evil):
    """urls[] are the image author's: no host that they name hears of us."""
    other = evil()

    def manifest(document):
        for entry in document["layers"]:
            entry["urls"] = [f"http://{other.host}/v2/a/blobs/{entry['digest']}"]
        return document
    registry.users = {"u": PASSWORD}
    registry.image("foreign", "1", [layer({"f": b"x"})], manifest=manifest)
    works(engine, registry, "foreign:1", SECRET)

    def foreign(document):
        document = manifest(document)
        document["layers"][0]["mediaType"] = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"
        return document
    registry.image("foreign", "2", [layer({"f": b"z"})], manifest=foreign)
    works(engine, registry, "foreign:2", SECRET)
    assert other.seen == []


def test_blobs_from_another_host(engine, registry, evil):
    """It gets no credentials, and its bytes count by their digest alone."""
    other = evil()
    other.blobs = registry.blobs
    registry.users = {"u": PASSWORD}

    def elsewhere(handler):
        if "Authorization" not in handler.headers:
            return True
        return handler.answer(307, {"Location": f"http://{other.host}{handler.path}"})
    registry.fault("GET", "/blobs/", elsewhere, times=1000)
    works(engine, registry, headers=SECRET)
    assert len(other.seen) == 3 and not any("Authorization" in seen.headers for seen in other.seen)
    other.users = {"u": PASSWORD}  # and when it asks for them
    engine.api("DELETE", f"/images/{registry.host}/a:1")
    fails(engine, registry, "401|UNAUTHORIZED|unauthorized", headers=SECRET)
    assert not any("Authorization" in seen.headers for seen in other.seen)


def test_a_token_server_elsewhere_gets_no_password(engine, registry):
    tokens = Tokens(registry)
    registry.realm = registry.realm.replace("127.0.0.1", "localhost")
    for auth in (SECRET, {"X-Registry-Auth": base64.urlsafe_b64encode(json.dumps({"identitytoken": PASSWORD}).encode()).decode()}):
        works(engine, registry, headers=auth)
        engine.api("DELETE", f"/images/{registry.host}/a:1")
    assert len(tokens.seen) == 2
    assert not any("Authorization" in seen.headers or PASSWORD in str(seen) for seen in tokens.seen)
    tokens.stop()


# Who we are.

def test_a_token_that_expires_in_the_middle(engine, registry):
    tokens = Tokens(registry, uses=2)
    works(engine, registry)
    assert 2 <= len(tokens.seen) <= 5
    assert all("scope=repository%3Aa%3Apull" in seen.path and "service=tests" in seen.path for seen in tokens.seen)
    tokens.stop()


def test_a_token_that_is_never_enough(engine, registry):
    tokens = Tokens(registry, uses=0)
    fails(engine, registry, "UNAUTHORIZED|unauthorized|denied")
    assert len(tokens.seen) <= 6 and len(registry.asked("GET", "/manifests/")) <= 3
    tokens.stop()


@pytest.mark.parametrize("header, works_", [
    ('Bearer realm="{realm}",service="a\\"b, c",scope="x"', True), ('Basic realm="x", Bearer realm="{realm}"', True),
    ('Negotiate, Bearer realm="{realm}"', True), ('bearer REALM="{realm}"', True), ('Bearer realm="{realm}', False), ("Bearer", False),
    ('Bearer realm=""', False), ('Bearer realm="{realm}\r\n X"', False), ("", False), (",,,,=", False), ("Digest realm=x", False)])
def test_challenges(engine, registry, header, works_):
    tokens = Tokens(registry)
    realm, registry.realm = registry.realm, None

    def ask(handler):
        if handler.headers.get("Authorization", "").startswith("Bearer token"):
            return True
        return handler.answer(401, {"WWW-Authenticate": header.format(realm=realm)})
    registry.fault("*", "", ask, times=1000)
    if works_:
        works(engine, registry)
    else:
        fails(engine, registry, "authentication required|unauthorized|token server's address|no basic auth")
        assert tokens.seen == []
    tokens.stop()


@pytest.mark.parametrize("answer, words", [(b"", "no token"), (b"[]", "no token"), (b'{"token": 5}', "no token"), (b'{"token": "a\\nb"}', "damaged"),
                                           (b'{"token": "\xc3\xa9"}', "damaged"), (b'{"access_token": ""}', "no token")])
def test_tokens_that_are_none(engine, registry, answer, words):
    tokens = Tokens(registry, answer=answer)
    fails(engine, registry, words)
    tokens.stop()


# Documents.

def test_content_types(engine, registry):
    text = registry.manifests["a", "1"][1]
    for number, kind in enumerate([None, f"{MANIFEST}; charset=utf-8", MANIFEST.upper(), "application/octet-stream", "application/json"]):
        registry.put("kinds", str(number), text, kind or "")
        if kind is None:
            registry.fault("GET", "/manifests/", headers_changed(Content_Type=None))
        ok, said = pull(engine, registry, f"kinds:{number}")
        assert ok or (kind and not kind.lower().startswith(MANIFEST) and "media type" in said), (kind, said)
    for number, kind in enumerate(["text/html", INDEX, CONFIG]):
        registry.put("wrong", str(number), text, kind)
        fails(engine, registry, "invalid manifest|media type", f"wrong:{number}")


def two_meanings(document):
    return {**document, "manifests": [{"mediaType": MANIFEST, "digest": "sha256:" + "0" * 64, "size": 1}]}


def config_as_layer(document):
    return {**document, "layers": [document["config"]] * len(document["layers"])}


@pytest.mark.parametrize("manifest, words", [
    (two_meanings, "invalid manifest"), (config_as_layer, "media type"),
    (lambda document: {**document, "schemaVersion": 1}, "invalid manifest"),
    (lambda document: {**document, "mediaType": INDEX}, "invalid manifest"),
    (lambda document: {"schemaVersion": 1, "name": "a", "tag": "1", "fsLayers": [], "history": [], "signatures": []}, "invalid manifest"),
    (lambda document: {**document, "config": {"mediaType": "application/vnd.oci.empty.v1+json", "digest": digest_of(b"{}"), "size": 2}, "layers": []}, ""),
    (lambda document: {**document, "config": {**document["config"], "mediaType": "application/vnd.unknown+json"}, "artifactType": "application/x"}, ""),
    (lambda document: {**document, "layers": [{**entry, "mediaType": "application/x"} for entry in document["layers"]]}, "media type"),
    (lambda document: {**document, "layers": document["layers"] * 2}, "layers"),
    (lambda document: {**document, "layers": document["layers"][:1]}, "layers"),
    (lambda document: {**document, "layers": document["layers"] * 1000}, "layers"),
])
def test_ambiguous_documents(engine, registry, manifest, words):
    registry.image("odd", "1", [layer({"f": b"x"}), layer({"g": b"x"})], manifest=manifest)
    fails(engine, registry, words, "odd:1")


WRONG_DIGESTS = ["sha256:../../../../etc/passwd", "SHA256:" + "a" * 64, "sha256:" + "A" * 64, "sha256:" + "a" * 63, "sha256:" + "a" * 65, "sha512:" + "a" * 128,
                 "blake3:" + "a" * 64, "x:" + "a" * 64, "a" * 64, "sha256:" + "a" * 62 + "\0a", "sha256:%2f" + "a" * 61, "sha256:" + "a" * 64 + "?x", "", "sha256:"]


@pytest.mark.parametrize("digest", WRONG_DIGESTS)
def test_wrong_digests_ask_nobody(engine, registry, digest):
    """Neither in a reference nor in a document does one reach an address or a path."""
    quoted = "".join(f"%{byte:02x}" for byte in digest.encode())
    code, answer = engine.api("POST", f"/images/create?fromImage={registry.host}/a@{quoted}")
    assert code == 400, answer
    assert registry.seen == []
    for part in ("config", "layers"):
        def manifest(document):
            entry = {"mediaType": CONFIG if part == "config" else LAYER, "digest": digest, "size": 5}
            return {**document, part: entry if part == "config" else [entry]}
        registry.image("odd", part, [layer({"f": b"x"})], manifest=manifest)
        fails(engine, registry, "invalid manifest", f"odd:{part}")
    registry.image("odd", "diff", [layer({"f": b"x"})], config=lambda document: {**document, "rootfs": {"type": "layers", "diff_ids": [digest]}})
    fails(engine, registry, "invalid image config", "odd:diff")
    assert all(re.fullmatch(r"/v2/(a|odd/(manifests/(config|layers|diff)|blobs/sha256:[0-9a-f]{64}))?", seen.path) for seen in registry.seen)


WRONG = [-1, 2**63, 1e300, "", "x" * 5000, [], {}, True, [[]], {"a": {"a": 1}}]


def sweep(document, turn=0):
    """The document with each member missing, null, or of a wrong kind."""
    for key in list(document if isinstance(document, dict) else range(len(document))):
        turn += 3
        for value in (None, *(WRONG[(turn + more) % len(WRONG)] for more in range(3)), "<missing>"):
            copy = json.loads(json.dumps(document))
            if value == "<missing>":
                del copy[key]
            else:
                copy[key] = value
            yield copy
        if isinstance(document[key], (dict, list)):
            for inner in sweep(document[key], turn):
                yield {**document, key: inner} if isinstance(document, dict) else [*document[:key], inner, *document[key + 1:]]


RAW = [b"", b"null", b"[]", b"\xef\xbb\xbf{}", b"[" * 100000, b'{"a":' * 100000, b"{}garbage", b"\xff\xfe{\0}\0", b'{"schemaVersion": 2, "schemaVersion": 2}',
       b"// {}\n{}", b'{"a": "\xff"}', b'{"a": "\\ud800"}', b"\0" * 1000, b'{"a":1e999999}', b"{" + b'"a":1,' * 200000 + b'"b":1}']


def test_manifest_sweep(engine, registry):
    """Hundreds of documents, several at once: each pull ends with an error or an image, and no worker dies."""
    registry.image("a", "1", [layer({"g": b"y" * 5000})])
    plain = json.loads(registry.manifests["a", "1"][1])
    documents = [json.dumps(document).encode() for document in sweep(plain)] + RAW + [registry.manifests["a", "1"][1] + tail for tail in (b"x", b"{}", b"\0")]
    for number, text in enumerate(documents):
        registry.put("sweep", str(number), text, MANIFEST)
    configs = [json.dumps(document).encode() for document in sweep(json.loads(registry.blobs[plain["config"]["digest"]]))] + RAW
    for number, text in enumerate(configs):
        registry.image("configs", str(number), [layer({"g": b"y" * 5000})], config=lambda _: text)
    names = [f"sweep:{number}" for number in range(len(documents))] + [f"configs:{number}" for number in range(len(configs))]
    start = engine.log.stat().st_size
    with concurrent.futures.ThreadPoolExecutor(6) as pool:
        outcomes = list(pool.map(lambda name: pull(engine, registry, name), names))
    assert all(said for _, said in outcomes)
    assert len([ok for ok, _ in outcomes if not ok]) > len(names) / 2
    assert "ended with status" not in engine.log.read_bytes()[start:].decode()
    assert engine.api("GET", "/_ping")[0] == 200


# Digests.

@pytest.mark.parametrize("where", ["layer", "config", "manifest"])
def test_right_length_and_wrong_bytes(engine, registry, where):
    """Refused, nothing is seen of it; and the same registry, honest again, is believed."""
    document = json.loads(registry.manifests["a", "1"][1])
    path, words = {"layer": (document["layers"][1]["digest"], "other content"), "config": (document["config"]["digest"], "other content"),
                   "manifest": ("/manifests/sha256", "other content")}[where]
    name = f"a@{digest_of(registry.manifests['a', '1'][1])}" if where == "manifest" else "a:1"
    registry.fault("GET", path, bytes_changed(lambda data: data[:-1] + bytes([data[-1] ^ 1])))
    query = f"fromImage={registry.host}/{name}" if "@" in name else f"fromImage={registry.host}/a&tag=1"
    code, data = engine.api("POST", f"/images/create?{query}", raw=True)
    assert (code != 200 or b'"error"' in data) and words in data.decode(), data
    assert [image for image in engine.api("GET", "/images/json")[1] if not any("busybox" in tag for tag in image["RepoTags"])] == []
    works(engine, registry)


def test_right_bytes_and_wrong_diff_id(engine, registry):
    def other_ids(document):
        document["rootfs"]["diff_ids"].reverse()
        return document
    registry.image("swapped", "1", [layer({"f": b"x"}), layer({"g": b"x"})], config=other_ids)
    fails(engine, registry, "diff ID", "swapped:1")
    registry.image("swapped", "1", [layer({"f": b"x"}), layer({"g": b"x"})])
    works(engine, registry, "swapped:1")


def test_one_blob_as_two_layers(engine, registry):
    """One digest can't be the content of two different diff IDs."""
    one, two = layer({"f": b"x"}), layer({"g": b"x"})

    def manifest(document):
        document["layers"][1] = document["layers"][0]
        return document
    registry.image("twice", "1", [one, two], manifest=manifest)
    fails(engine, registry, "diff ID", "twice:1")


def test_lengths_that_lie(engine, registry):
    document = json.loads(registry.manifests["a", "1"][1])
    for wrong in (-1, 1):
        def manifest(made):
            made["layers"][0]["size"] += wrong
            return made
        registry.image("sizes", "1", [BIG, layer({"g": b"y" * 5000})], manifest=manifest)
        fails(engine, registry, "bytes", "sizes:1")
    registry.fault("GET", document["layers"][0]["digest"], headers_changed(Content_Length="5"), times=1000)
    fails(engine, registry, "bytes")
    registry.faults.clear()
    # A Range that is not the one that was asked for.
    registry.fault("GET", document["layers"][0]["digest"], cut(1 << 20))
    registry.fault("GET", document["layers"][0]["digest"], headers_changed(Content_Range="bytes 5-6/7"), times=1000)
    fails(engine, registry, "another range|bytes|other content")


# Many at once.

def test_overlapping_pulls_download_each_layer_once(engine, registry):
    shared = [layer({f"f{number}": os.urandom(100000)}) for number in range(3)]
    for number in range(20):
        registry.image(f"many{number % 2}", str(number), [*shared, layer({f"own{number % 4}": b"x" * 1000})])
    engine.api("POST", "/images/prune")
    with concurrent.futures.ThreadPoolExecutor(20) as pool:
        outcomes = list(pool.map(lambda number: pull(engine, registry, f"many{number % 2}:{number}"), range(20)))
    assert all(ok for ok, _ in outcomes), outcomes
    layers = {entry["digest"] for number in range(20) for entry in json.loads(registry.manifests[f"many{number % 2}", str(number)][1])["layers"]}
    counts = [len(registry.asked("GET", digest)) for digest in layers]
    assert len(layers) == 7 and counts == [1] * 7, counts


def test_one_leaves_others_go_on(engine, registry):
    """The layer that the leaving one was making is made by the next."""
    digest = first_layer(registry)
    registry.fault("GET", digest, stall(1 << 20))
    first = Client(engine, registry)
    wait_for(lambda: registry.asked("GET", digest), "the first pull")
    with concurrent.futures.ThreadPoolExecutor(3) as pool:
        others = [pool.submit(pull, engine, registry) for _ in range(3)]
        wait_for(lambda: len(registry.asked("GET", "/manifests/1")) == 4, "all at it")
        engine.api("POST", "/images/prune")
        first.leave()
        assert all(other.result()[0] for other in others)
