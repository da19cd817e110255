"""Archives that are broken or hostile, a disk that is full: a clear error, nothing half there, the engine goes on."""
import hashlib
import io
import json
import os
import shutil
import signal
import subprocess
import tarfile

import pytest

from harness import images
from harness.engine import PROGRAMS, TIMEOUT, Engine, docker_program, wait_for


@pytest.fixture
def canary(tmp_path):
    """A host file and folder that must never change."""
    (tmp_path / "canary").write_text("untouched")
    (tmp_path / "empty").mkdir()
    yield tmp_path
    assert (tmp_path / "canary").read_text() == "untouched" and os.listdir(tmp_path / "empty") == []
    assert sorted(os.listdir(tmp_path)) == ["canary", "empty"]


def layer(*entries):
    """A layer tar of (name, type, link or bytes) entries."""
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as tar:
        for name, kind, content in entries:
            info = tarfile.TarInfo(name)
            info.type = kind
            if kind == tarfile.REGTYPE:
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content))
            else:
                info.linkname = content or ""
                tar.addfile(info)
    return data.getvalue()


def archive(layer_tar, tag="bad:1", diff_id=None, config_name=None, **manifest):
    """A docker-archive around one layer; keywords replace members of its manifest."""
    diff_id = diff_id or "sha256:" + hashlib.sha256(layer_tar).hexdigest()
    config = json.dumps({"architecture": "amd64", "os": "linux", "config": {"Cmd": ["/bin/sh"]}, "rootfs": {"type": "layers", "diff_ids": [diff_id]}}).encode()
    config_name = config_name or hashlib.sha256(config).hexdigest() + ".json"
    document = {"Config": config_name, "RepoTags": [tag], "Layers": ["layer.tar"], **manifest}
    return layer(("layer.tar", tarfile.REGTYPE, layer_tar), (config_name.lstrip("./"), tarfile.REGTYPE, config),
                 ("manifest.json", tarfile.REGTYPE, json.dumps([document]).encode()))


def load(engine, data):
    done = engine.run(str(PROGRAMS / "tare"), "load", input=data, check=False, text=False)
    return done.returncode, (done.stdout + done.stderr).decode()


def refused(engine, data, *words):
    before = engine.tare("images", "-aq", "--no-trunc").stdout
    code, text = load(engine, data)
    assert code == 1, text
    assert any(word in text for word in words), text
    assert len(text.strip().splitlines()) <= 2, text
    assert engine.tare("images", "-aq", "--no-trunc").stdout == before
    assert engine.answers()


def test_truncated_and_corrupt(engine):
    whole = images.busybox().read_bytes()
    for length in (0, 1, 511, 512, 1000, len(whole) // 3, len(whole) - 20000):
        refused(engine, whole[:length], "unexpected end", "truncated", "damaged", "empty", "invalid tar", "missing")
    refused(engine, b"\x1f\x8b" + os.urandom(5000), "damaged", "gzip", "corrupt")
    refused(engine, os.urandom(5000), "archive", "invalid")
    flipped = bytearray(archive(layer(("f", tarfile.REGTYPE, os.urandom(100000)))))
    flipped[50000] ^= 1
    refused(engine, bytes(flipped), "digest", "diff ID", "does not match")


def bad_archives():
    """What of a load goes wrong before there is anything to tell, and a word of what is said."""
    whole = images.busybox().read_bytes()
    good = layer(("f", tarfile.REGTYPE, b"x"))
    return {
        "none": (os.urandom(5000), "archive"),
        "empty": (b"", "empty"),
        "truncated": (whole[:len(whole) // 3], "Truncated"),
        "wrong digest": (archive(good, diff_id="sha256:" + "0" * 64), "corrupt"),
        "climbing": (layer(("../x", tarfile.REGTYPE, b"x")), "outside"),
        "no manifest": (good, "manifest.json"),
    }


def loads(engine):
    """One load by each client: (what it says, its exit code or None)."""
    def by_docker_py(data):
        import docker
        client = docker.DockerClient(base_url=f"unix://{engine.socket}", version="1.41", timeout=30)
        with pytest.raises(docker.errors.ImageLoadError) as caught:
            client.images.load(data)
        return str(caught.value)

    def by_api(data):
        status, body = engine.api("POST", "/images/load", data, {"Content-Type": "application/x-tar"}, raw=True)
        message = json.loads(body.splitlines()[-1])
        assert status == 200 and message["errorDetail"] == {"message": message["error"]}, (status, body)
        return message["error"]

    def by_command(program):
        def run(data):
            done = engine.run(program, "load", input=data, check=False, text=False)
            assert done.returncode == 1 and done.stdout == b"", done
            return done.stderr.decode()
        return run
    return [by_command(str(PROGRAMS / "tare")), by_command(docker_program()), by_docker_py, by_api]


@pytest.mark.parametrize("kind", ["none", "empty", "truncated", "wrong digest", "climbing", "no manifest"])
def test_a_load_that_fails_says_so_in_its_stream(engine, kind):
    """Docker's answer is 200 and a message, whatever is wrong with the archive: docker-py looks for nothing else."""
    data, word = bad_archives()[kind]
    said = [load_by(data).strip() for load_by in loads(engine)]
    assert word in said[-1]
    assert said[1] == said[2] == said[3], said  # the stock command adds nothing to what is said in the stream
    assert said[0].endswith(said[3]), said
    assert engine.api("POST", "/images/load?platform=a/b/c/d", data)[0] == 400
    assert engine.tare("images", "-q", "bad").stdout == ""


def test_wrong_digest(engine):
    refused(engine, archive(layer(("f", tarfile.REGTYPE, b"x")), diff_id="sha256:" + "0" * 64), "diff ID", "digest", "does not match")


def test_manifest_tricks(engine, canary):
    good = layer(("f", tarfile.REGTYPE, b"x"))
    refused(engine, archive(good, Layers=["../../../../etc/passwd"]), "layer", "invalid", "outside")
    refused(engine, archive(good, Layers=[]), "layer", "diff_ids", "match")
    refused(engine, archive(good, config_name="../x.json"), "onfig", "invalid")
    refused(engine, archive(good, tag="UPPER:1"), "invalid reference format", "invalid")
    refused(engine, archive(good, tag="a\nb:1"), "invalid reference format", "invalid")
    refused(engine, layer(("manifest.json", tarfile.REGTYPE, b"[{")), "manifest.json", "JSON")


def test_climbing_entries_stay_inside(engine, canary):
    """Names that climb are refused or re-rooted; nothing appears outside either way, and nothing of the host inside."""
    target = str(canary / "empty")
    hostile = {
        "dots": [(f"../../../../../../../..{target}/x", tarfile.REGTYPE, b"x")],
        "absolute": [(f"{target}/x", tarfile.REGTYPE, b"x")],
        "symlinked parent": [("a", tarfile.SYMTYPE, target), ("a/x", tarfile.REGTYPE, b"x")],
        "relative symlinked parent": [("a", tarfile.SYMTYPE, "../" * 20 + target), ("a/x", tarfile.REGTYPE, b"x")],
        "hard link out": [("h", tarfile.LNKTYPE, str(canary / "canary"))],
        "hard link by dots": [("h", tarfile.LNKTYPE, "../" * 20 + str(canary / "canary"))],
        "hard link through a link": [("a", tarfile.SYMTYPE, str(canary)), ("h", tarfile.LNKTYPE, "a/canary")],
        "root as a link": [("./", tarfile.SYMTYPE, target)],
    }
    for name, entries in hostile.items():
        code, text = load(engine, archive(layer(*entries), tag="hostile:1"))
        if code == 0:
            engine.tare("rmi", "-f", "hostile:1")
        else:
            assert "leads outside" in text or "invalid" in text or "hard link" in text or "root" in text, (name, text)
        assert os.stat(canary / "canary").st_nlink == 1, name
        assert os.listdir(canary / "empty") == [], name


def test_import_of_garbage(engine):
    done = engine.run(str(PROGRAMS / "tare"), "import", "-", "x:1", input=os.urandom(3000), text=False, check=False)
    assert done.returncode == 1 and done.stderr.strip()
    assert engine.tare("images", "-q", "x").stdout == ""


@pytest.mark.slow
def test_full_disk():
    engine = Engine()
    engine.data.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m", "small", engine.data], check=True)
    try:
        engine.start()
        engine.tare("load", "-q", "-i", images.busybox())
        before = os.statvfs(engine.data).f_bfree
        done = engine.tare("load", "-i", images.debian(), check=False)
        assert done.returncode == 1 and "no space left on device" in (done.stdout + done.stderr).lower()
        status, answer = engine.api("POST", "/images/load", images.debian().read_bytes(), raw=True)
        assert status == 200 and b"no space left on device" in answer.splitlines()[-1].lower()
        assert engine.tare("images", "-q", "debian").stdout == ""
        wait_for(lambda: os.statvfs(engine.data).f_bfree >= before - 64, "the space to be given back")
        fill = os.open(engine.data / "fill", os.O_WRONLY | os.O_CREAT, 0o600)
        with pytest.raises(OSError):
            while True:
                os.write(fill, bytes(4096))
        os.close(fill)
        engine.tare("ps")
        engine.tare("create", "busybox", check=False)
        os.unlink(engine.data / "fill")
        assert engine.tare("run", "--rm", "busybox", "echo", "fine").stdout == "fine\n"
    finally:
        left = engine.stop()
        subprocess.run(["umount", "-l", engine.data], check=False)
        os.rmdir(engine.data)
        os.rmdir(engine.root)
    assert not left, left


def listing(engine):
    return sorted((folder, *names) for folder in ("layers", "blobs/sha256", "containers") for names in [os.listdir(engine.data / folder)])


@pytest.mark.parametrize("loss", ["gone", "empty", "another"])
@pytest.mark.parametrize("name", ["engine", "store"])
def test_lost_database_removes_nothing(name, loss):
    """What a database doesn't name is cleared away at a start: not when it isn't the one of this data root."""
    engine, other = Engine().start(), Engine().start()
    database, away = engine.data / f"{name}.db", engine.root / "away"
    log = engine.data / f"{name}.db-wal"
    try:
        engine.tare("load", "-q", "-i", images.busybox())
        kept = engine.tare("create", "busybox", "echo", "kept").stdout.strip()
        end(engine)
        before = listing(engine)
        os.rename(database, away)
        if loss == "empty":
            database.touch(0o600)
        if loss == "another":
            end(other)
            log.rename(engine.root / "log-away")
            shutil.copy(other.data / f"{name}.db", database)
        with pytest.raises(AssertionError, match=f"(?s)tared ended with 78.*{name}.db is not the database that this data root had"):
            engine.start()
        assert listing(engine) == before

        os.rename(away, database)
        if loss == "another":
            os.rename(engine.root / "log-away", log)
        engine.start()
        assert engine.tare("start", "-a", kept).stdout == "kept\n"

        end(engine)
        os.unlink(database)
        os.unlink(engine.data / f"{name}.id")
        engine.start()  # as told: without the note it goes on with the database that it finds
        assert engine.tare("ps" if name == "engine" else "images", "-q").stdout == ""
        if name == "engine":
            shutil.rmtree(engine.data / "containers" / kept)  # left even then: it may be all that there is of it
    finally:
        left = engine.stop() + other.stop()
    assert not left, left


def end(engine):
    engine.holder.send_signal(signal.SIGTERM)
    engine.holder.wait(TIMEOUT)
