"""Pushing to Debian's docker-registry, by the stock `docker` command and by ours; what is there then, skopeo reads."""
import hashlib
import json
import subprocess

import pytest

from harness import images
from harness.engine import PROGRAMS, docker_program, wait_for

SKOPEO = ["skopeo", "--insecure-policy"]


def raw(registry, name):
    return subprocess.check_output([*SKOPEO, "inspect", "--raw", "--tls-verify=false", f"docker://{registry.host}/{name}"])


def digest_of(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


def push_by_api(engine, name, tag="", headers=None):
    status, data = engine.api("POST", f"/images/{name}/push?tag={tag}", headers={"X-Registry-Auth": "e30=", **(headers or {})}, raw=True)
    return status, [json.loads(line) for line in data.decode().splitlines() if line]


def statuses(lines, layer=None):
    return [line["status"] for line in lines if line.get("status") and ("id" in line) == bool(layer)]


@pytest.fixture
def name(engine, registry, request):
    """The busybox image, by a name of the test's own in the open registry."""
    name = f"{registry.host}/pushed/{request.node.name.lower().replace('[', '-').rstrip(']')}"
    engine.tare("tag", "busybox", f"{name}:1")
    yield name
    engine.tare("rmi", f"{name}:1", check=False)


@pytest.mark.parametrize("client", ["tare", "docker"])
def test_pushed_and_read(engine, registry, name, client, tmp_path):
    program = str(PROGRAMS / "tare") if client == "tare" else docker_program()
    done = engine.run(program, "push", f"{name}:1")
    repository = name.partition("/")[2]
    manifest = raw(registry, f"{repository}:1")
    digest = digest_of(manifest)
    assert done.stdout.startswith(f"The push refers to repository [{name}]\n"), done
    assert f"1: digest: {digest} size: {len(manifest)}\n" in done.stdout and "Preparing" in done.stdout, done
    inspected = engine.api("GET", f"/images/{name}:1/json")[1]
    assert f"{name}@{digest}" in inspected["RepoDigests"]
    parsed = json.loads(manifest)
    assert parsed["config"]["digest"] == inspected["Id"]
    subprocess.run([*SKOPEO, "copy", "-q", "--src-tls-verify=false", f"docker://{registry.host}/{repository}:1", f"dir:{tmp_path}"], check=True)
    assert (tmp_path / "manifest.json").read_bytes() == manifest
    for layer, diff_id in zip(parsed["layers"], inspected["RootFS"]["Layers"]):
        plain = subprocess.run(["gzip", "-dc"], stdin=open(tmp_path / layer["digest"].partition(":")[2], "rb"), stdout=subprocess.PIPE, check=True).stdout
        assert digest_of(plain) == diff_id
    again = engine.run(program, "push", f"{name}:1")
    assert "Layer already exists" in again.stdout and f"1: digest: {digest} " in again.stdout
    quiet = engine.run(program, "push", "-q", f"{name}:1")
    assert quiet.stdout == f"{name}:1\n"


def test_all_tags_and_the_event(engine, registry, name):
    engine.tare("tag", "busybox", f"{name}:2")
    done = engine.docker("push", "-a", name)
    assert [line.split(":")[0] for line in done.stdout.splitlines() if " digest: " in line] == ["1", "2"]
    repository = name.partition("/")[2]
    assert raw(registry, f"{repository}:1") == raw(registry, f"{repository}:2")
    assert engine.tare("push", "-a", f"{name}:1", check=False).stderr.endswith("tag can't be used with --all-tags/-a\n")
    told = ["events", "--since", "1h", "--until", "0s", "--filter", "event=push", "--format", "{{.Actor.ID}} {{.Actor.Attributes.name}}"]
    wait_for(lambda: f"{name}:1 {name}\n{name}:2 {name}\n" in engine.docker(*told).stdout, "the events")
    engine.tare("rmi", f"{name}:2")


def test_compressed_once_then_known_and_mounted(engine, registry, name):
    """The second repository of the registry takes the layers from the first; the same blob comes of the same layer."""
    repository = name.partition("/")[2]
    push_by_api(engine, name, "1")
    other = f"{registry.host}/elsewhere/{repository.rpartition('/')[2]}"
    engine.tare("tag", "busybox", f"{other}:1")
    status, lines = push_by_api(engine, other, "1")
    assert status == 200 and any(text.startswith("Mounted from ") for text in statuses(lines, True)), lines
    assert raw(registry, f"{repository}:1") == raw(registry, f"{other.partition('/')[2]}:1")
    aux = [line["aux"] for line in lines if "aux" in line]
    assert aux == [{"Tag": "1", "Digest": digest_of(raw(registry, f"{repository}:1")), "Size": len(raw(registry, f"{repository}:1"))}]
    engine.tare("rmi", f"{other}:1")


@pytest.mark.parametrize("compression", ["gzip", "zstd", "none"])
def test_what_was_pulled_goes_on_as_it_came(fresh_engine, registry, tmp_path, compression):
    """Compressed layers are the same blobs in the next repository; the uncompressed are compressed."""
    engine, source = fresh_engine, f"made/{compression}"
    layout = tmp_path / "layout"
    images.oci_layout(layout, images.busybox_root(), "x")
    options = {"gzip": [], "none": ["--dest-decompress"], "zstd": ["--dest-compress-format=zstd", "--dest-compress"]}[compression]
    subprocess.run([*SKOPEO, "copy", "-q", *options, f"oci:{layout}:x", f"dir:{tmp_path / 'dir'}"], check=True)
    registry.fill(f"dir:{tmp_path / 'dir'}", f"{source}:1", "--preserve-digests")
    engine.tare("pull", "-q", f"{registry.host}/{source}:1")
    engine.tare("tag", f"{registry.host}/{source}:1", f"{registry.host}/{source}/copy:1")
    assert "digest: " in engine.tare("push", f"{registry.host}/{source}/copy:1").stdout
    before, after = json.loads(raw(registry, f"{source}:1")), json.loads(raw(registry, f"{source}/copy:1"))
    same = [layer["digest"] for layer in before["layers"]] == [layer["digest"] for layer in after["layers"]]
    assert same == (compression != "none")
    assert after["layers"][0]["mediaType"] == {"zstd": "application/vnd.oci.image.layer.v1.tar+zstd"}.get(
        compression, "application/vnd.docker.image.rootfs.diff.tar.gzip")
    engine.tare("rmi", f"{registry.host}/{source}:1", f"{registry.host}/{source}/copy:1")
    assert engine.docker("run", "--rm", f"{registry.host}/{source}/copy:1", "/bin/busybox", "echo", "hi").stdout == "hi\n"


@pytest.mark.parametrize("tag, words", [("9", "tag does not exist: {name}:9"), ("", "An image does not exist locally with the tag: {name}")])
def test_what_is_not_here(engine, registry, tag, words):
    name = f"{registry.host}/nothing/here"
    status, lines = push_by_api(engine, name, tag)
    assert status == 200 and lines[-1]["error"] == words.format(name=name), lines
    done = engine.docker("push", f"{name}:9", check=False)
    assert done.returncode == 1 and "tag does not exist" in done.stderr


def test_bad_requests(engine, registry, name):
    assert engine.api("POST", "/images/UPPER/push?tag=1")[0] == 400
    done = engine.tare("push", f"{name}@sha256:{'0' * 64}", check=False)
    assert done.returncode == 1 and "cannot push a digest reference" in done.stderr
    for client in (engine.tare, engine.docker):
        done = client("push", "--platform", "linux/arm64", f"{name}:1", check=False)
        assert done.returncode == 1 and "does not provide the specified platform (linux/arm64" in done.stderr, done
        assert client("push", "--platform", "linux/amd64", f"{name}:1").returncode == 0


def test_password(engine, private):
    name = f"{private.host}/mine/busybox"
    engine.tare("tag", "busybox", f"{name}:1")
    refused = engine.docker("push", f"{name}:1", check=False)
    assert refused.returncode == 1 and "no basic auth credentials" in refused.stderr, refused
    for client in (engine.docker, engine.tare):
        client("login", "-u", "alice", "--password-stdin", private.host, input="geheim-17")
        assert "digest: sha256:" in client("push", f"{name}:1").stdout
        client("logout", private.host)
    assert "geheim" not in engine.log.read_text()
    engine.tare("rmi", f"{name}:1")
