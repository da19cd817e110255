"""Pulling from Debian's docker-registry, by the stock `docker` command and by ours."""
import base64
import hashlib
import io
import json
import os
import shutil
import subprocess
import tarfile

import pytest

from harness import images
from harness.distribution import Registry
from harness.engine import PROGRAMS, docker_program


@pytest.fixture
def bare(engine):
    """No images but what the test pulls."""
    listed = engine.tare("images", "-q", "--no-trunc").stdout.split()
    if listed:
        engine.tare("rmi", "-f", *set(listed))
    yield engine
    engine.api("POST", "/containers/prune")


def manifest_digest(registry, name, tag):
    done = subprocess.run(["skopeo", "--insecure-policy", "inspect", "--raw", "--tls-verify=false", f"docker://{registry.host}/{name}:{tag}"],
                          check=True, stdout=subprocess.PIPE)
    return "sha256:" + hashlib.sha256(done.stdout).hexdigest()


def pull_by_api(engine, reference, headers=None):
    name, _, tag = reference.rpartition(":")
    status, data = engine.api("POST", f"/images/create?fromImage={name}&tag={tag}", headers=headers, raw=True)
    return status, [json.loads(line) for line in data.decode().splitlines() if line]


def test_ours_pulls(bare, registry):
    name = f"{registry.host}/team/busybox:1"
    done = bare.tare("pull", name)
    assert "1: Pulling from team/busybox" in done.stdout and done.stdout.endswith(f"\n{name}\n")
    assert bare.tare("pull", "-q", name).stdout == f"{name}\n"
    assert bare.tare("pull", f"{registry.host}/team/nothing", check=False).returncode == 1


def test_docker_pulls_runs_and_removes(bare, registry):
    name = f"{registry.host}/team/busybox"
    digest = manifest_digest(registry, "team/busybox", "1")
    done = bare.run(docker_program(), "pull", f"{name}:1")
    assert f"Digest: {digest}" in done.stdout and f"Status: Downloaded newer image for {name}:1" in done.stdout
    assert "1: Pulling from team/busybox" in done.stdout and "Pull complete" in done.stdout
    assert bare.run(docker_program(), "run", "--rm", f"{name}:1", "echo", "hi").stdout == "hi\n"
    inspected = json.loads(bare.run(docker_program(), "image", "inspect", f"{name}:1").stdout)[0]
    assert inspected["RepoDigests"] == [f"{name}@{digest}"] and inspected["RepoTags"] == [f"{name}:1"]
    assert "Image is up to date" in bare.run(docker_program(), "pull", f"{name}:1").stdout
    assert f"Untagged: {name}@{digest}" in bare.run(docker_program(), "rmi", f"{name}:1").stdout
    assert bare.tare("images", "-q").stdout == ""


def test_by_digest(bare, registry):
    name = f"{registry.host}/team/busybox"
    digest = manifest_digest(registry, "team/busybox", "1")
    bare.run(docker_program(), "pull", f"{name}@{digest}")
    inspected = json.loads(bare.run(docker_program(), "image", "inspect", f"{name}@{digest}").stdout)[0]
    assert inspected["RepoTags"] == [] and inspected["RepoDigests"] == [f"{name}@{digest}"]


@pytest.mark.parametrize("client", ["tare", "docker"])
def test_run_pulls_what_is_missing(bare, registry, client):
    program = str(PROGRAMS / "tare") if client == "tare" else docker_program()
    done = bare.run(program, "run", "--rm", f"{registry.host}/team/busybox:1", "echo", "hi")
    assert done.stdout == "hi\n" and "Unable to find image" in done.stderr and "Pull complete" in done.stderr


@pytest.mark.parametrize("client", ["tare", "docker"])
def test_what_is_not_there(bare, registry, client):
    program = str(PROGRAMS / "tare") if client == "tare" else docker_program()
    done = bare.run(program, "run", "--rm", f"{registry.host}/team/nothing:1", "true", check=False)
    assert done.returncode == 125 and "not found" in done.stderr and "manifest unknown" in done.stderr
    status, answer = pull_by_api(bare, f"{registry.host}/team/nothing:1")
    assert status == 404 and "manifest unknown" in answer[0]["message"]
    status, answer = pull_by_api(bare, "127.0.0.1:1/team/nothing:1")
    assert status >= 500 and "127.0.0.1:1" in answer[0]["message"]
    assert bare.tare("images", "-q").stdout == ""


def test_password(bare, private):
    name = f"{private.host}/team/busybox:1"
    refused = bare.run(docker_program(), "pull", name, check=False)
    assert refused.returncode == 1 and "no basic auth credentials" in refused.stderr
    folder = bare.home / ".docker"
    private.docker_config(folder, "alice", "wrong-88")
    refused = bare.run(docker_program(), "pull", name, check=False)
    assert refused.returncode == 1 and "unauthorized" in refused.stderr
    private.docker_config(folder, "alice", "geheim-17")
    assert "Downloaded newer image" in bare.run(docker_program(), "pull", name).stdout
    shutil.rmtree(folder)
    log = bare.log.read_text()
    assert "geheim" not in log and "wrong-88" not in log


def test_content_that_is_not_what_its_digest_says(bare, registry, tmp_path):
    registry.fill(f"docker-archive:{images.busybox()}", "team/damaged:1")
    manifest = json.loads(subprocess.check_output(["skopeo", "--insecure-policy", "inspect", "--raw", "--tls-verify=false",
                                                   f"docker://{registry.host}/team/damaged:1"]))
    digest = manifest["layers"][0]["digest"].partition(":")[2]
    blob = registry.root / f"data/docker/registry/v2/blobs/sha256/{digest[:2]}/{digest}/data"
    good = blob.read_bytes()
    try:
        blob.write_bytes(good[:-20] + bytes(20))
        status, answer = pull_by_api(bare, f"{registry.host}/team/damaged:1")
        assert status == 200 and "other content" in answer[-1]["error"]
        blob.write_bytes(good[:-100])
        status, answer = pull_by_api(bare, f"{registry.host}/team/damaged:1")
        assert "error" in answer[-1]
    finally:
        blob.write_bytes(good)
    assert bare.tare("images", "-q").stdout == ""
    status, answer = pull_by_api(bare, f"{registry.host}/team/damaged:1")
    assert answer[-1]["status"].startswith("Status: Downloaded")


def test_the_same_files_as_from_an_archive(bare, registry):
    bare.tare("load", "-q", "-i", images.busybox())
    loaded = bare.tare("images", "-q", "--no-trunc").stdout.split()
    listing = bare.tare("run", "--rm", "busybox", "sh", "-c", "ls -lRn --full-time /bin /home /etc/passwd /etc/group | md5sum").stdout
    bare.tare("rmi", "-f", *loaded)
    again = bare.tare("run", "--rm", f"{registry.host}/team/busybox:1", "sh", "-c", "ls -lRn --full-time /bin /home /etc/passwd /etc/group | md5sum").stdout
    assert again == listing
    assert bare.tare("images", "-q", "--no-trunc").stdout.split() == loaded


SECRET = {"X-Registry-Auth": base64.urlsafe_b64encode(json.dumps({"username": "u", "password": "geheim-99"}).encode()).decode()}


def test_link_local_addresses_are_for_nobody_to_name(bare, strangers):
    """Cloud hosts keep secrets there: neither a token server's address nor a redirect leads to one."""
    subprocess.run(["ip", "address", "add", "169.254.7.7/32", "dev", "lo"], check=True)
    try:
        secrets = strangers(lambda path, headers: (200, {}, b'{"token": "x"}'), "169.254.7.7")
        asked = strangers(lambda path, headers: (401, {"WWW-Authenticate": f'Bearer realm="http://{secrets.host}/t"'}, b""))
        sent = strangers(lambda path, headers: (302, {"Location": f"http://{secrets.host}/m"}, b"") if "manifests" in path else (200, {}, b""))
        for registry in (asked, sent):
            status, answer = pull_by_api(bare, f"{registry.host}/a:1")
            assert status >= 500 and answer[0]["message"], answer
            assert registry.seen
        assert secrets.seen == []
        # Where the user himself names one, it is asked.
        pull_by_api(bare, f"{secrets.host}/a:1")
    finally:
        subprocess.run(["ip", "address", "del", "169.254.7.7/32", "dev", "lo"], check=True)


def test_credentials_stay_with_the_registry(bare, strangers):
    other = strangers(lambda path, headers: (404, {}, b""))

    def answer(path, headers):
        if not headers.get("Authorization"):
            return 401, {"WWW-Authenticate": 'Basic realm="x"'}, b""
        return 307, {"Location": f"http://{other.host}/elsewhere"}, b""
    registry = strangers(answer)
    status, _ = pull_by_api(bare, f"{registry.host}/a:1", SECRET)
    assert status == 404
    assert any(authorization for _, authorization in registry.seen)
    assert other.seen and not any(authorization for _, authorization in other.seen)
    assert "geheim" not in bare.log.read_text()


@pytest.mark.parametrize("answer, words", [
    (lambda path, headers: (302, {"Location": path}, b""), "redirects"),
    (lambda path, headers: (302, {"Location": "file:///etc/passwd"}, b""), "not an http or https address"),
    (lambda path, headers: (302, {}, b""), "does not say where"),
    (lambda path, headers: (200, {f"X-{i}": "x" for i in range(300)}, b""), "too large"),
    (lambda path, headers: (200, {}, b"x" * (5 << 20)), "larger than"),
    (lambda path, headers: (200, {"Content-Type": "text/html"}, b"<html>"), "invalid manifest"),
    (lambda path, headers: (200, {"Content-Encoding": "gzip"}, b"{}"), "encodes"),
    (lambda path, headers: (401, {"WWW-Authenticate": 'Bearer realm="file:///etc/passwd"'}, b""), "not an http or https URL"),
    (lambda path, headers: (401, {"WWW-Authenticate": 'Bearer realm="open'}, b""), "authentication required"),
    (lambda path, headers: (403, {}, b'{"errors": [{"code": "DENIED", "message": "go\\u0007away"}]}'), "denied: go?away"),
])
def test_a_registry_that_misbehaves(bare, strangers, answer, words):
    registry = strangers(lambda path, headers: answer(path, headers) if "manifests" in path else (200, {}, b""))
    status, lines = pull_by_api(bare, f"{registry.host}/a:1", SECRET)
    assert status >= 400 or "error" in lines[-1], lines
    assert words in str(lines), lines
    assert bare.tare("images", "-q").stdout == ""


@pytest.mark.parametrize("client", ["tare", "docker"])
def test_all_tags(bare, registry, client):
    name = f"{registry.host}/team/many"
    tags = ["1.0", "2", "latest"]
    for tag in tags:
        registry.fill(f"docker-archive:{images.busybox()}", f"team/many:{tag}")
    program = str(PROGRAMS / "tare") if client == "tare" else docker_program()
    done = bare.run(program, "pull", "-a", name)
    assert sorted(line.partition(":")[0] for line in done.stdout.splitlines() if "Pulling from team/many" in line) == tags
    assert done.stdout.count("Digest: ") == 3 and done.stdout.count("Status: ") == 1
    assert done.stdout.splitlines()[-2:] == [f"Status: Downloaded newer image for {name}", name]
    listed = bare.tare("images", name, "--format", "{{.Tag}}").stdout.split()
    assert sorted(listed) == tags
    assert f"Status: Image is up to date for {name}" in bare.run(program, "pull", "-a", name).stdout
    assert bare.run(program, "pull", "-aq", name).stdout == f"{name}\n"
    refused = bare.run(program, "pull", "-a", f"{name}:2", check=False)
    assert refused.returncode == 1 and "tag can't be used with --all-tags/-a" in refused.stderr
    assert bare.run(program, "pull", "-a", f"{registry.host}/team/nothing", check=False).returncode == 1


def tags_page(*tags, link=None):
    return 200, {"Link": link} if link else {}, json.dumps({"name": "a", "tags": tags}).encode()


def test_tags_come_in_pages(bare, strangers):
    pages = {"/v2/a/tags/list?n=1000": tags_page("one", link='</v2/a/tags/list?n=1&last=one>; rel="next"'),
             "/v2/a/tags/list?n=1&last=one": tags_page("two", link='<list?n=9>; rel="next"'),
             "/v2/a/tags/list?n=9": tags_page()}
    registry = strangers(lambda path, headers: pages.get(path, (200 if path == "/v2/" else 404, {}, b"")))
    status, answer = bare.api("POST", f"/images/create?fromImage={registry.host}/a")
    assert status == 404 and "manifest" in answer["message"]  # that of the first tag
    assert [path for path, _ in registry.seen if "tags" in path] == list(pages) and registry.seen[-1][0].endswith("/manifests/one")


@pytest.mark.parametrize("page, words", [
    (lambda path: tags_page("a", link='<http://127.0.0.2/v2/a/tags/list>; rel="next"'), "another address"),
    (lambda path: tags_page("a", link='<//127.0.0.2/v2/a>; rel="next"'), "another address"),
    (lambda path: tags_page("a", link='</elsewhere>; rel="next"'), "another address"),
    (lambda path: tags_page("a", link=f'<{path}>; rel="next"'), "more than 1000 pages"),
    (lambda path: tags_page(*["a"] * 10001), "more than 10000 tags"),
    (lambda path: tags_page("a/../../b"), "invalid"),
    (lambda path: tags_page("a@sha256:" + "0" * 64), "invalid"),
    (lambda path: tags_page(""), "invalid"),
    (lambda path: tags_page(), "has no tags"),
    (lambda path: (200, {}, b'{"tags": null}'), "has no tags"),
    (lambda path: (200, {}, b'{"tags": [7]}'), "invalid list of tags"),
    (lambda path: (200, {}, b"[]"), "invalid list of tags"),
    (lambda path: (200, {}, b" " * (5 << 20)), "larger than"),
])
def test_a_list_of_tags_that_misbehaves(bare, strangers, page, words):
    registry = strangers(lambda path, headers: page(path) if "tags" in path else (200 if path == "/v2/" else 404, {}, b""))
    status, answer = bare.api("POST", f"/images/create?fromImage={registry.host}/a")
    assert status >= 400 and words in answer["message"], answer
    assert not [path for path, _ in registry.seen if "manifests" in path]


def test_one_bad_layer_among_many(bare, registry, tmp_path):
    """The others are given up in the middle; the next pull has all to do, and does it."""
    registry.fill(f"oci-archive:{layered(tmp_path, 4)}:x", "team/layers:1")
    raw = subprocess.check_output(["skopeo", "--insecure-policy", "inspect", "--raw", "--tls-verify=false",
                                   f"docker://{registry.host}/team/layers:1"])
    digest = json.loads(raw)["layers"][0]["digest"].partition(":")[2]
    blob = registry.root / f"data/docker/registry/v2/blobs/sha256/{digest[:2]}/{digest}/data"
    good = blob.read_bytes()
    blob.write_bytes(good[:-20] + bytes(20))
    try:
        status, answer = pull_by_api(bare, f"{registry.host}/team/layers:1")
        assert status == 200 and "other content" in answer[-1]["error"]
        assert os.listdir(bare.data / "layers") == []
    finally:
        blob.write_bytes(good)
    status, answer = pull_by_api(bare, f"{registry.host}/team/layers:1")
    assert answer[-1]["status"].startswith("Status: Downloaded") and len(os.listdir(bare.data / "layers")) == 4


def layered(folder, count):
    """An OCI archive named x, of layers that are random data."""
    blobs = folder / "layout/blobs/sha256"
    blobs.mkdir(parents=True)

    def blob(data, media_type):
        digest = hashlib.sha256(data).hexdigest()
        (blobs / digest).write_bytes(data)
        return {"mediaType": f"application/vnd.oci.image.{media_type}", "digest": f"sha256:{digest}", "size": len(data)}
    layers = []
    for number in range(count):
        stream = io.BytesIO()
        with tarfile.open(fileobj=stream, mode="w") as tar:
            member = tarfile.TarInfo(f"f{number}")
            member.size = 1 << 20
            tar.addfile(member, io.BytesIO(os.urandom(1 << 20)))
        layers.append(blob(stream.getvalue(), "layer.v1.tar"))
    config = {"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": [layer["digest"] for layer in layers]}}
    manifest = {"schemaVersion": 2, "config": blob(json.dumps(config).encode(), "config.v1+json"), "layers": layers}
    entry = {**blob(json.dumps(manifest).encode(), "manifest.v1+json"), "annotations": {"org.opencontainers.image.ref.name": "x"}}
    (folder / "layout/index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [entry]}))
    (folder / "layout/oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
    subprocess.run(["tar", "-C", folder / "layout", "-cf", folder / "x.tar", "."], check=True)
    return folder / "x.tar"


def test_many_at_once_share_the_work(bare, registry):
    name = f"{registry.host}/team/busybox:1"
    clients = [subprocess.Popen([docker_program(), "pull", "-q", name], env=bare.env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
               for _ in range(6)]
    for client in clients:
        text, _ = client.communicate(timeout=60)
        assert client.returncode == 0, text
    assert len(os.listdir(bare.data / "layers")) == 1
