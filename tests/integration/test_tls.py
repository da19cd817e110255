"""Registries behind TLS: own authorities and client certificates in certs.d, what is insecure and what is not; and ways there: proxies,
mirrors, addresses. (security.md: T-RG05, T-RG14)"""
import base64
import http.server
import json
import pathlib
import socket
import subprocess
import threading
import urllib.parse
import urllib.request

import pytest

from harness import images
from harness.distribution import Registry
from harness.engine import Engine
from harness.hostile import HostileRegistry, context, layer, status

OWN = ["10.99.0.1", "10.99.0.2", "fd99::1"]  # addresses of this host that are not loopback
PASSWORD = "geheim-17"


def openssl(folder, *arguments):
    subprocess.run(["openssl", *map(str, arguments)], cwd=folder, check=True, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL)


class Authority:
    """One that signs certificates for addresses and for clients."""

    def __init__(self, folder, name):
        self.folder, self.name = folder, name
        openssl(folder, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", f"{name}.key", "-out", f"{name}.crt",
                "-subj", f"/CN={name}", "-days", "2")
        self.certificate = folder / f"{name}.crt"

    def sign(self, name, *addresses):
        openssl(self.folder, "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={name}")
        (self.folder / f"{name}.ext").write_text("subjectAltName=" + ",".join(f"IP:{address}" for address in addresses or ["127.0.0.1"]))
        openssl(self.folder, "x509", "-req", "-in", f"{name}.csr", "-CA", self.certificate, "-CAkey", f"{self.name}.key", "-CAcreateserial", "-out", f"{name}.crt",
                "-days", "2", "-extfile", f"{name}.ext")
        return self.folder / f"{name}.crt", self.folder / f"{name}.key"


@pytest.fixture(scope="module", autouse=True)
def own_addresses():
    for address in OWN:
        subprocess.run(["ip", "address", "add", f"{address}/{128 if ':' in address else 32}", "dev", "lo", *(["nodad"] if ":" in address else [])], check=True)
    yield
    for address in OWN:
        subprocess.run(["ip", "address", "del", f"{address}/{128 if ':' in address else 32}", "dev", "lo"], check=True)


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("authority"), "tests")


@pytest.fixture
def certs():
    """Makes HOST's folder in a certs.d, on a file system of its own over what the machine may have there."""
    covered = []

    def make(host, where="/etc/docker/certs.d"):
        if where not in covered:
            pathlib.Path(where).mkdir(parents=True, exist_ok=True)
            subprocess.run(["mount", "-t", "tmpfs", "tests", where], check=True)
            covered.append(where)
        folder = pathlib.Path(where, host)
        folder.mkdir()
        return folder
    yield make
    for where in covered:
        subprocess.run(["umount", where], check=True)


@pytest.fixture
def served():
    made = []

    def make(*arguments, **options):
        registry = HostileRegistry(*arguments, **options)
        registry.image("a", "1", [layer({"f": b"x" * 5000})])
        made.append(registry)
        return registry
    yield make
    for registry in made:
        registry.stop()


def pull(engine, name):
    image, _, tag = name.rpartition(":")
    code, data = engine.api("POST", f"/images/create?fromImage={image}&tag={tag}", raw=True)
    lines = [json.loads(line) for line in data.decode().splitlines() if line]
    if code == 200 and "error" not in lines[-1]:
        engine.api("DELETE", f"/images/{name}?force=1")
        return "pulled"
    return str(lines[-1])


@pytest.mark.parametrize("where", ["/etc/docker/certs.d", "/etc/tare/certs.d"])
def test_an_authority_of_the_administrators(engine, served, authority, certs, where):
    registry = served("10.99.0.1", context(*authority.sign("server", "10.99.0.1")))
    said = pull(engine, f"{registry.host}/a:1")
    assert "tls:" in said and registry.host in said and "certificate" in said, said
    assert registry.seen == []
    folder = certs(registry.host, where)
    (folder / "ca.crt").write_bytes(authority.certificate.read_bytes())
    assert pull(engine, f"{registry.host}/a:1") == "pulled"
    (folder / "ca.crt").write_text("no certificate")
    assert "pulled" not in pull(engine, f"{registry.host}/a:1")


def test_a_certificate_for_another_host(engine, served, authority, certs):
    registry = served("10.99.0.1", context(*authority.sign("other", "10.99.0.7")))
    (certs(registry.host) / "ca.crt").write_bytes(authority.certificate.read_bytes())
    said = pull(engine, f"{registry.host}/a:1")
    assert "tls:" in said and "pulled" not in said
    assert registry.seen == []


def test_client_certificates(engine, served, authority, certs):
    registry = served("10.99.0.1", context(*authority.sign("server", "10.99.0.1"), client_authority=authority.certificate))
    folder = certs(registry.host)
    (folder / "ca.crt").write_bytes(authority.certificate.read_bytes())
    assert "pulled" not in pull(engine, f"{registry.host}/a:1")
    assert registry.seen == []
    certificate, key = authority.sign("client")
    (folder / "client.cert").write_bytes(certificate.read_bytes())
    (folder / "client.key").write_bytes(key.read_bytes())
    assert pull(engine, f"{registry.host}/a:1") == "pulled"
    (folder / "client.key").unlink()
    assert "pulled" not in pull(engine, f"{registry.host}/a:1")


def test_never_from_https_to_http(engine, served, authority, certs):
    """Neither a redirect nor the place of an upload leads there; nor does a registry that has no TLS get a request in plain."""
    plain = served("10.99.0.2")
    registry = served("10.99.0.1", context(*authority.sign("server", "10.99.0.1")))
    (certs(registry.host) / "ca.crt").write_bytes(authority.certificate.read_bytes())
    registry.fault("GET", "/blobs/", status(307, {"Location": f"http://{plain.host}/x"}), times=99)
    assert "redirects from https to plain http" in pull(engine, f"{registry.host}/a:1")
    registry.faults.clear()
    registry.location = f"http://{plain.host}"
    engine.tare("tag", "busybox", f"{registry.host}/b:1")
    refused = engine.tare("push", f"{registry.host}/b:1", check=False)
    assert refused.returncode == 1 and "wants an upload over plain http" in refused.stderr, refused
    engine.tare("rmi", f"{registry.host}/b:1")
    said = pull(engine, f"{plain.host}/a:1")
    assert "pulled" not in said and plain.host in said
    assert plain.seen == []


@pytest.fixture(scope="module")
def lenient():
    """An engine that takes what is in 10.99.0.0/24 as it is, looks for Docker Hub's images at two mirrors, and has proxies."""
    proxy = Proxy("10.99.0.2")
    engine = Engine("--insecure-registry", "10.99.0.0/24", "--registry-mirror", "http://127.0.0.1:1", "--registry-mirror", "http://10.99.0.2:7999")
    engine.env.update(HTTP_PROXY=f"http://{proxy.host}", HTTPS_PROXY=f"http://{proxy.host}", http_proxy=f"http://{proxy.host}", https_proxy=f"http://{proxy.host}",
                      NO_PROXY="10.99.0.2,fd99::1", no_proxy="10.99.0.2,fd99::1")
    engine.proxy = proxy
    engine.start()
    yield engine
    left = engine.stop()
    proxy.stop()
    assert not left, left


class Proxy:
    """Notes what is asked for, and fetches plain HTTP for who asks."""

    def __init__(self, address):
        self.seen = seen = []

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                seen.append(self.path)
                opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
                headers = {name: value for name, value in self.headers.items() if name.lower() not in ("host", "proxy-connection")}
                try:
                    with opener.open(urllib.request.Request(self.path, headers=headers), timeout=10) as answer:
                        body, code, given = answer.read(), answer.status, dict(answer.headers)
                except urllib.error.HTTPError as error:
                    body, code, given = error.read(), error.code, dict(error.headers)
                except OSError:
                    body, code, given = b"", 502, {}
                self.send_response(code)
                for name, value in {**given, "Content-Length": str(len(body)), "Connection": "close"}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def do_CONNECT(self):
                seen.append(self.path)
                self.send_error(502)

            def log_message(self, *_):
                pass
        self.server = http.server.ThreadingHTTPServer((address, 0), Handler)
        self.host = "%s:%d" % self.server.server_address
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()

    def stop(self):
        self.server.shutdown()
        self.server.server_close()


def test_insecure_by_its_network(lenient, served, authority):
    """Any certificate, or none at all; what is outside of the network is not taken so."""
    for registry in (served("10.99.0.2", context(*authority.sign("other", "10.99.0.7"))), served("10.99.0.2")):
        assert pull(lenient, f"{registry.host}/a:1") == "pulled"
    outside = served("fd99::1", context(*authority.sign("other", "10.99.0.7")), family=socket.AF_INET6)
    assert "tls:" in pull(lenient, f"{outside.host}/a:1")
    assert outside.seen == []


def test_ipv6(engine, served, authority, certs):
    """Addresses in brackets, on loopback in plain and elsewhere with a certificate for them."""
    registry = served("::1", family=socket.AF_INET6)
    assert registry.host.startswith("[::1]:")
    assert pull(engine, f"{registry.host}/a:1") == "pulled"
    secure = served("fd99::1", context(*authority.sign("six", "fd99::1")), family=socket.AF_INET6)
    (certs(secure.host.replace("[", "").replace("]", "")) / "ca.crt").write_bytes(authority.certificate.read_bytes())
    assert pull(engine, f"{secure.host}/a:1") == "pulled"


def test_proxies(lenient, served):
    """Who is not named in NO_PROXY is asked through them, by https too; loopback never is."""
    near, far, home = served("10.99.0.2"), served("10.99.0.1"), served()
    del lenient.proxy.seen[:]
    assert pull(lenient, f"{near.host}/a:1") == "pulled" and pull(lenient, f"{home.host}/a:1") == "pulled"
    assert lenient.proxy.seen == []
    assert pull(lenient, f"{far.host}/a:1") == "pulled"
    assert far.host in lenient.proxy.seen[0] and f"http://{far.host}/v2/a/manifests/1" in lenient.proxy.seen


def test_mirrors(lenient, served):
    """The first is down, the second has it; no password goes to either. A repository elsewhere is not looked for there."""
    mirror = HostileRegistry("10.99.0.2", port=7999)
    try:
        mirror.image("library/thing", "1", [layer({"f": b"mirrored"})])
        secret = base64.urlsafe_b64encode(json.dumps({"username": "u", "password": PASSWORD}).encode()).decode()
        code, data = lenient.api("POST", "/images/create?fromImage=thing&tag=1", headers={"X-Registry-Auth": secret}, raw=True)
        assert code == 200 and b"Downloaded newer image for thing:1" in data, data
        assert not any("Authorization" in seen.headers for seen in mirror.seen)
        lenient.api("DELETE", "/images/thing:1?force=1")
        # What the mirror lacks is asked of the Hub, by name.
        del lenient.proxy.seen[:]
        code, data = lenient.api("POST", "/images/create?fromImage=other&tag=1", raw=True)
        assert "registry-1.docker.io:443" in lenient.proxy.seen, (data, lenient.proxy.seen)
        assert code >= 500 and b"registry-1.docker.io" in data
        before = len(mirror.seen)
        elsewhere = served("10.99.0.2")
        assert "pulled" not in pull(lenient, f"{elsewhere.host}/library/thing:1")
        assert len(mirror.seen) == before
    finally:
        mirror.stop()


@pytest.mark.parametrize("name, words", [
    ("h/" + "a" * 260, "must not be more than 255"), ("münchen.example/a", "invalid reference"), ("[::1/a", "invalid reference"), ("[::g]:5/a", "invalid reference"),
    ("host:port/a", "invalid reference"), ("host:99999/a", "")])
def test_names(engine, name, words):
    code, answer = engine.api("POST", f"/images/create?fromImage={urllib.parse.quote(name)}&tag=1")
    assert code >= 400 and words in str(answer), answer


def test_docker_registry_with_tls_and_passwords(engine, tmp_path, authority, certs):
    """Filled by skopeo; login, pull and push by both commands."""
    registry = Registry(tmp_path / "registry", {"alice": PASSWORD}, tls=authority.sign("registry", "10.99.0.1"), address="10.99.0.1").start()
    try:
        folder = certs(registry.host)
        (folder / "ca.crt").write_bytes(authority.certificate.read_bytes())
        registry.fill(f"docker-archive:{images.busybox()}", "team/busybox:1")
        for client in (engine.docker, engine.tare):
            name = f"{registry.host}/team/busybox:1"
            assert "no basic auth credentials" in client("pull", name, check=False).stderr
            client("login", "-u", "alice", "--password-stdin", registry.host, input=PASSWORD)
            assert f"image for {name}" in client("pull", name).stdout
            client("tag", name, f"{registry.host}/own/copy:1")
            assert "digest: sha256:" in client("push", f"{registry.host}/own/copy:1").stdout
            client("rmi", name, f"{registry.host}/own/copy:1")
            client("logout", registry.host)
        assert PASSWORD not in engine.log.read_text()
    finally:
        registry.stop()
