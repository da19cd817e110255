"""What the engine reads of requests about registries and hands over: routes, parameters, settings; and a pull by `docker run`."""
import hashlib
import io
import json
import os
import pathlib
import subprocess
import tarfile
import threading

import pytest

from harness.distribution import Registry
from harness.engine import PROGRAMS, TIMEOUT, Engine, wait_for

STAND_IN = pathlib.Path(__file__).parent / "helpers/transfer.py"


@pytest.fixture
def folder(tmp_path):
    for program in PROGRAMS.iterdir():
        if program.name.startswith("tare") and os.access(program, os.X_OK) and program.is_file():
            (tmp_path / program.name).symlink_to(program)
    transfer = tmp_path / "tare-transfer"
    transfer.unlink(missing_ok=True)
    transfer.write_bytes(STAND_IN.read_bytes())
    transfer.chmod(0o755)
    return tmp_path


def run_engine(folder, *options):
    engine = Engine("--config-file", str(folder / "daemon.json"), *options, programs=folder)
    if not (folder / "daemon.json").exists():
        (folder / "daemon.json").write_text("{}")
    return engine.start()


@pytest.fixture
def engine(folder):
    (folder / "daemon.json").write_text(json.dumps({"insecure-registries": ["10.1.0.0/16", "reg.test:5000"],
                                                    "registry-mirrors": ["http://mirror.test"]}))
    engine = run_engine(folder, "--insecure-registry", "other.test", "--registry-mirror", "https://second.test/x/")
    yield engine
    assert engine.stop() == []


def handed(engine, method, path, body=None, headers=None):
    """The request document that the stand-in got."""
    record = engine.programs / "transfer.json"
    record.unlink(missing_ok=True)
    status, answer = engine.api(method, path, body, headers)
    assert (status, answer) == (200, {"status": "done"}), answer
    return json.loads(record.read_text())["request"]


DIGEST = "sha256:" + "a" * 64


@pytest.mark.parametrize("query, reference, all_tags", [
    ("fromImage=debian&tag=12", "debian:12", False),
    ("fromImage=docker.io/library/debian&tag=12", "debian:12", False),
    ("fromImage=debian:12", "debian:12", False),
    ("fromImage=debian:12&tag=13", "debian:13", False),
    ("fromImage=debian", "debian", True),
    ("fromImage=debian:", "debian", True),
    (f"fromImage=r.test:5000/a/b&tag={DIGEST}", f"r.test:5000/a/b@{DIGEST}", False),
    (f"fromImage=r.test:5000/a/b@{DIGEST}", f"r.test:5000/a/b@{DIGEST}", False),
])
def test_pull(engine, query, reference, all_tags):
    request = handed(engine, "POST", f"/v1.44/images/create?{query}&platform=linux/arm64", headers={"X-Registry-Auth": "c2VjcmV0"})
    assert request["kind"] == "pull" and request["api_minor"] == 44
    assert request["pull"]["reference"] == reference and request["pull"].get("all_tags", False) == all_tags
    assert request["pull"]["platform"] == "linux/arm64"
    assert request["registry"] == {"auth": "c2VjcmV0", "insecure": ["10.1.0.0/16", "reg.test:5000", "other.test"],
                                   "mirrors": ["http://mirror.test/", "https://second.test/x/"],
                                   "certificate_folders": ["/etc/tare/certs.d", "/etc/docker/certs.d"]}


def test_others(engine):
    request = handed(engine, "POST", "/images/r.test/a/b/push?tag=1")
    assert request["push"] == {"repository": "r.test/a/b", "tag": "1"}
    assert "tag" not in handed(engine, "POST", "/images/r.test/a/b/push")["push"]
    login = {"username": "u", "password": "p", "serveraddress": "r.test", "email": "x"}
    assert handed(engine, "POST", "/auth", login)["auth"] == {"username": "u", "password": "p", "server_address": "r.test"}
    request = handed(engine, "GET", '/images/search?term=deb&limit=7&filters={"stars":["3","9"],"is-official":["true"]}')
    assert request["search"] == {"term": "deb", "limit": 7, "is_official": True, "stars": 9}
    assert handed(engine, "GET", "/distribution/a/b:1/json")["distribution"] == {"reference": "a/b:1"}


@pytest.mark.parametrize("method, path, body", [
    ("POST", "/images/create?fromImage=UPPER", None),
    ("POST", "/images/create?fromImage=a&tag=%20", None),
    ("POST", "/images/create?fromImage=a&tag=sha256:12", None),
    ("POST", "/images/UPPER/push", None),
    ("POST", f"/images/a/push?tag={DIGEST}", None),
    ("POST", "/auth", None),
    ("POST", "/auth", {"username": 1}),
    ("GET", "/images/search", None),
    ("GET", "/images/search?term=a&limit=101", None),
    ("GET", "/images/search?term=a&limit=x", None),
    ("GET", '/images/search?term=a&filters={"stars":["x"]}', None),
    ("GET", '/images/search?term=a&filters={"is-official":["x"]}', None),
    ("GET", '/images/search?term=a&filters={"nosuch":["x"]}', None),
    ("GET", "/distribution/UPPER/json", None),
    ("GET", "/images/get", None),
])
def test_bad_requests(engine, method, path, body):
    status, answer = engine.api(method, path, body)
    assert status == 400 and answer["message"], answer
    assert not (engine.programs / "transfer.json").exists()


def test_a_transfer_that_dies_is_told(engine):
    (engine.programs / "transfer.fails").touch()
    status, answer = engine.api("POST", "/images/create?fromImage=a&tag=1")
    assert status == 500 and "tare-transfer" in answer["message"]
    (engine.programs / "transfer.fails").unlink()
    (engine.programs / "tare-transfer").unlink()
    status, answer = engine.api("POST", "/images/create?fromImage=a&tag=1")
    # Which of the two is known first, that it could not be started or that nobody reads, is a race.
    assert status == 500 and any(words in answer["message"] for words in ("no such file", "cannot talk to a new worker")), answer


def test_two_clients_outlive_the_engine(engine):
    waits, record = engine.programs / "transfer.waits", engine.programs / "transfer.json"
    waits.touch()
    answers = []
    threads = []
    for name in ("a", "b"):
        record.unlink(missing_ok=True)
        threads.append(threading.Thread(target=lambda n=name: answers.append(engine.api("POST", f"/images/create?fromImage={n}&tag=1"))))
        threads[-1].start()
        wait_for(record.exists, "the hand-over")
    # Acknowledged once the engine has let go of both: it has them no more.
    wait_for(lambda: engine.clients_at(engine.engine_pid()) == 0, "the engine's letting go of both")
    engine.kill_engine()
    waits.unlink()
    for thread in threads:
        thread.join(20)
    assert answers == [(200, {"status": "done"})] * 2


def test_info(engine):
    config = engine.api("GET", "/info")[1]["RegistryConfig"]
    assert config["InsecureRegistryCIDRs"] == ["10.1.0.0/16", "::1/128", "127.0.0.0/8"]
    assert config["Mirrors"] == ["http://mirror.test/", "https://second.test/x/"]
    assert config["IndexConfigs"]["docker.io"] == {"Name": "docker.io", "Mirrors": config["Mirrors"], "Secure": True, "Official": True}
    assert config["IndexConfigs"]["reg.test:5000"] == {"Name": "reg.test:5000", "Mirrors": [], "Secure": False, "Official": False}


@pytest.mark.parametrize("text, options, words", [
    ('{"nosuch": 1}', [], "nosuch"),
    ('{"insecure-registries": "x"}', [], "insecure-registries"),
    ('{"insecure-registries": ["http://x"]}', [], "'://'"),
    ('{"insecure-registries": ["10.0.0.0/33"]}', [], "10.0.0.0/33"),
    ('{"registry-mirrors": ["ftp://x"]}', [], "ftp://x"),
    ('{', [], "daemon.json"),
    ("[]", [], "daemon.json"),
    ("{}", ["--registry-mirror", "https://u:p@x"], "mirror"),
])
def test_wrong_settings_stop_the_start(folder, tmp_path_factory, text, options, words):
    (folder / "daemon.json").write_text(text)
    root = tmp_path_factory.mktemp("root")
    done = subprocess.run([folder / "tared", "--data-root", root / "data", "--exec-root", root / "run", "-H", f"unix://{root}/s",
                           "--config-file", folder / "daemon.json", *options],
                          env={**os.environ, "TARE_LIBEXEC": str(folder)}, capture_output=True, text=True, timeout=TIMEOUT)
    assert done.returncode != 0 and words in done.stderr and (options or "daemon.json" in done.stderr), done.stderr


@pytest.fixture
def registry(tmp_path):
    """team/x:1 is an image that says nothing of when it was made."""
    registry = Registry(tmp_path / "registry").start()
    layer = io.BytesIO()
    with tarfile.open(fileobj=layer, mode="w") as tar:
        tar.add("/bin/busybox", "bin/busybox")
    digest = hashlib.sha256(layer.getvalue()).hexdigest()
    image = {"architecture": "amd64", "os": "linux", "config": {"Cmd": ["/bin/busybox", "echo", "hi"]},
             "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}"]}, "history": [{"created_by": "x"}]}
    files = {"c.json": json.dumps(image).encode(), "l.tar": layer.getvalue(),
             "manifest.json": json.dumps([{"Config": "c.json", "RepoTags": ["x:1"], "Layers": ["l.tar"]}]).encode()}
    with tarfile.open(tmp_path / "x.tar", "w") as tar:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    registry.fill(f"docker-archive:{tmp_path}/x.tar", "team/x:1")
    yield f"{registry.host}/team/x"
    registry.stop()


def test_run_pulls_by_itself(registry):
    engine = Engine().start()
    try:
        missing = engine.docker("pull", f"{registry}:2", check=False)
        assert missing.returncode == 1 and "not found: manifest unknown" in missing.stderr
        done = engine.docker("run", "--rm", "--network", "none", f"{registry}:1")
        assert done.stdout == "hi\n" and f"Downloaded newer image for {registry}:1" in done.stderr
        assert "up to date" in engine.docker("pull", f"{registry}:1").stdout
        [image] = engine.api("GET", "/images/json")[1]
        assert image["RepoTags"] == [f"{registry}:1"] and image["RepoDigests"][0].startswith(f"{registry}@sha256:")
        assert engine.docker("run", "--rm", "--network", "none", image["RepoDigests"][0]).stdout == "hi\n"
        engine.docker("rmi", f"{registry}:1")
        assert engine.api("GET", "/images/json")[1] == []
    finally:
        assert engine.stop() == []
