"""GET /distribution/NAME/json, asked by docker-py, against what skopeo reads."""
import hashlib
import json
import subprocess

import docker
import pytest

from harness import images


@pytest.fixture
def client(engine):
    client = docker.DockerClient(base_url=f"unix://{engine.socket}")
    yield client
    client.close()


def raw(registry, name):
    return subprocess.check_output(["skopeo", "--insecure-policy", "inspect", "--raw", "--tls-verify=false", f"docker://{registry.host}/{name}"])


def test_manifest(client, registry):
    bytes_there = raw(registry, "team/busybox:1")
    data = client.images.get_registry_data(f"{registry.host}/team/busybox:1")
    digest = "sha256:" + hashlib.sha256(bytes_there).hexdigest()
    assert data.id == digest and data.has_platform("linux/amd64") and not data.has_platform("linux/arm64")
    assert data.attrs["Descriptor"] == {"mediaType": json.loads(bytes_there)["mediaType"], "digest": digest, "size": len(bytes_there)}
    assert [(p["os"], p["architecture"]) for p in data.attrs["Platforms"]] == [("linux", "amd64")]
    assert client.images.get_registry_data(f"{registry.host}/team/busybox@{digest}").id == digest
    assert client.images.list("team/busybox") == []  # nothing was fetched


def test_index(client, strangers):
    """Every entry that says for what it is; no other document is asked for."""
    text = json.dumps({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": [
        {"mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": f"sha256:{number:064x}", "size": 7, **more}
        for number, more in enumerate([{"platform": {"os": "linux", "architecture": "arm64", "variant": "v8"}},
                                       {"platform": {"os": "linux", "architecture": "amd64"}}, {}])]}).encode()
    server = strangers(lambda path, headers: (200, {"Content-Type": "application/vnd.oci.image.index.v1+json"} if "manifests" in path else {},
                                              text if "manifests" in path else b"{}"))
    data = client.images.get_registry_data(f"{server.host}/a:1")
    assert data.attrs["Platforms"] == [{"os": "linux", "architecture": "arm64", "variant": "v8"}, {"os": "linux", "architecture": "amd64"}]
    assert data.id == "sha256:" + hashlib.sha256(text).hexdigest()
    assert not [path for path, _ in server.seen if "blobs" in path]


def test_long_index(client, strangers):
    platform = {"os": "linux", "architecture": "amd64", "os.version": "1" * 100}
    text = json.dumps({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": [
        {"mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": f"sha256:{number:064x}", "size": 7, "platform": platform}
        for number in range(900)]}).encode()
    server = strangers(lambda path, headers: (200, {"Content-Type": "application/vnd.oci.image.index.v1+json"}, text))
    assert client.images.get_registry_data(f"{server.host}/a:1").attrs["Platforms"] == [platform] * 900


def test_what_is_not_there(client, engine, registry):
    with pytest.raises(docker.errors.NotFound, match="manifest unknown"):
        client.images.get_registry_data(f"{registry.host}/team/nothing:1")
    assert engine.api("GET", "/distribution/UPPER/json")[0] == 400
    assert engine.api("GET", "/distribution/127.0.0.1:1/a/json")[0] >= 500


def test_garbage(engine, strangers):
    server = strangers(lambda path, headers: (200, {"Content-Type": "application/json"}, b"[" * 5000))
    status, answer = engine.api("GET", f"/distribution/{server.host}/a/json")
    assert status >= 400 and "invalid manifest" in answer["message"]
