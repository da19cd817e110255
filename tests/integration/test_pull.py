"""Pulling from Debian's docker-registry, by the stock `docker` command and by ours."""
import hashlib
import json
import os
import shutil
import subprocess

import pytest

from harness import images
from harness.distribution import Registry
from harness.engine import PROGRAMS, docker_program


@pytest.fixture(scope="module")
def registry(tmp_path_factory):
    registry = Registry(tmp_path_factory.mktemp("registry")).start()
    registry.fill(f"docker-archive:{images.busybox()}", "team/busybox:1")
    yield registry
    registry.stop()


@pytest.fixture(scope="module")
def private(tmp_path_factory):
    registry = Registry(tmp_path_factory.mktemp("private"), {"alice": "geheim-17"}).start()
    registry.fill(f"docker-archive:{images.busybox()}", "team/busybox:1")
    yield registry
    registry.stop()


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
    listing = bare.tare("run", "--rm", "busybox", "sh", "-c", "ls -lRn --full-time /bin /etc | md5sum").stdout
    bare.tare("rmi", "-f", *loaded)
    again = bare.tare("run", "--rm", f"{registry.host}/team/busybox:1", "sh", "-c", "ls -lRn --full-time /bin /etc | md5sum").stdout
    assert again == listing
    assert bare.tare("images", "-q", "--no-trunc").stdout.split() == loaded


def test_many_at_once_share_the_work(bare, registry):
    name = f"{registry.host}/team/busybox:1"
    clients = [subprocess.Popen([docker_program(), "pull", "-q", name], env=bare.env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
               for _ in range(6)]
    for client in clients:
        text, _ = client.communicate(timeout=60)
        assert client.returncode == 0, text
    assert len(os.listdir(bare.data / "layers")) == 1
