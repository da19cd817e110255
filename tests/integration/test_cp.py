"""A container's tree in and out: archives, export and changes, by the API, the stock command and our own."""
import base64
import io
import json
import os
import pathlib
import tarfile
import time
import urllib.parse

import pytest

from harness.engine import UnixConnection, wait_for
from helpers import trees

SLEEP = ("busybox", "sleep", "1000")
# What the containers' states are called here, and how they come about.
STATES = ("running", "stopped", "paused", "created")


def make(engine, state, *options, command=SLEEP):
    """A container in that state; its ID."""
    container = engine.docker("create", *options, *command).stdout.strip()
    if state != "created":
        engine.docker("start", container)
    if state == "stopped":
        engine.docker("kill", container)
    if state == "paused":
        engine.docker("pause", container)
    return container


def ask(engine, method, path, body=None):
    """(status, headers, body)"""
    connection = UnixConnection(engine.socket)
    try:
        connection.request(method, f"/v1.50{path}", body)
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read()
    finally:
        connection.close()


def stat(engine, container, path):
    status, headers, body = ask(engine, "HEAD", f"/containers/{container}/archive?path={path}")
    assert (status, body) == (200, b""), (status, body)
    return json.loads(base64.b64decode(headers["X-Docker-Container-Path-Stat"]))


def fetch(engine, container, path):
    status, _, body = ask(engine, "GET", f"/containers/{container}/archive?path={path}")
    assert status == 200, body
    return tarfile.open(fileobj=io.BytesIO(body))


def put(engine, container, path, archive, query=""):
    status, _, body = ask(engine, "PUT", f"/containers/{container}/archive?path={path}{query}", archive)
    return status, json.loads(body)["message"] if body else ""


def content(engine, container, path):
    with fetch(engine, container, path) as archive:
        return archive.extractfile(archive.next()).read()


@pytest.mark.parametrize("state", STATES)
def test_in_and_out(engine, state, tmp_path):
    container = make(engine, state)
    (tmp_path / "in").mkdir()
    (tmp_path / "in/file").write_bytes(b"words\n" * 1000)
    (tmp_path / "in/link").symlink_to("file")
    os.utime(tmp_path / "in/file", ns=(10**18 + 123456789,) * 2)
    engine.docker("cp", tmp_path / "in", f"{container}:/root/there")
    assert content(engine, container, "/root/there/file") == b"words\n" * 1000
    engine.docker("cp", f"{container}:/root/there", tmp_path / "out")
    assert trees.names(tmp_path / "out") == ["file", "link"]
    assert (tmp_path / "out/file").read_bytes() == b"words\n" * 1000
    assert os.readlink(tmp_path / "out/link") == "file"
    if state == "running":
        assert engine.docker("exec", container, "cat", "/root/there/file").stdout == "words\n" * 1000
    if state == "stopped":
        engine.docker("start", container)
        assert engine.docker("exec", container, "head", "-n1", "/root/there/link").stdout == "words\n"
    if state == "paused":
        assert engine.docker("inspect", "-f", "{{.State.Status}}", container).stdout == "paused\n"
    engine.docker("rm", "-f", container)


def test_stat(engine):
    container = make(engine, "running", command=(
        "busybox", "sh", "-c", "mkdir /d && chmod 1777 /d && echo 12345 >/d/f && chmod 4750 /d/f && ln -s /d/f /l && "
        "ln -s d /dl && mkfifo /p && mknod /n c 1 3 && ln -s nowhere/x /dangling && ln -s /../../etc /up; sleep 1000"))
    wait_for(lambda: ask(engine, "HEAD", f"/containers/{container}/archive?path=/up")[0] == 200, "the files")
    found = stat(engine, container, "/d/f")
    assert (found["name"], found["size"], found["mode"]) == ("f", 6, 0o750 | 1 << 23)
    assert found["mtime"].startswith("20") and found["linkTarget"] == ""
    assert stat(engine, container, "/d")["mode"] == 0o777 | 1 << 31 | 1 << 20
    assert stat(engine, container, "/p")["mode"] & 1 << 25
    assert stat(engine, container, "/n")["mode"] >> 20 == (1 << 26 | 1 << 21) >> 20
    assert (stat(engine, container, "/l")["linkTarget"], stat(engine, container, "/l")["mode"] >> 20) == ("/d/f", 1 << 7)
    assert stat(engine, container, "/dl")["linkTarget"] == "/d"
    assert stat(engine, container, "/dl/")["mode"] >> 31 and stat(engine, container, "/dl/")["name"] == "dl"
    assert stat(engine, container, "/dl/.")["name"] == "."
    assert stat(engine, container, "/dangling")["linkTarget"] == "/nowhere/x"
    assert stat(engine, container, "/up")["linkTarget"] == "/etc"
    assert stat(engine, container, "/d/../../../d/./f")["size"] == 6
    assert stat(engine, container, "/")["name"] == "/"
    for path, status in (("/nowhere", 404), ("/d/nowhere", 404), ("/d/f/", 400), ("/d/f/x", 400), ("", 400)):
        assert ask(engine, "HEAD", f"/containers/{container}/archive?path={path}")[::2] == (status, b"")
    status, _, body = ask(engine, "GET", f"/containers/{container}/archive?path=/nowhere")
    assert (status, json.loads(body)["message"]) == (404, f"Could not find the file /nowhere in container {container}")
    engine.docker("rm", "-f", container)


@pytest.mark.parametrize("state", ("running", "created"))
def test_volumes(engine, state, tmp_path):
    """Binds and volumes are part of the tree; read-only ones are not written to; /var/run -> /run is followed."""
    (tmp_path / "bind").mkdir()
    (tmp_path / "bind/file").write_text("bound")
    (tmp_path / "other").mkdir()
    archive = trees.tar(trees.symlink("var/run", "/run"), trees.folder("run"), trees.entry("run/x", data=b"x"))
    container = make(engine, "created", "-v", f"{tmp_path}/bind:/mnt/ro:ro", "-v", f"{tmp_path}/other:/run/lock/deep", "-v", "/vol")
    assert put(engine, container, "/", archive) == (200, "")
    if state == "running":
        engine.docker("start", container)
    assert content(engine, container, "/mnt/ro/file") == b"bound"
    archive = trees.tar(trees.entry("new", data=b"new"))
    assert put(engine, container, "/mnt/ro", archive) == (403, "mounted volume is marked read-only")
    assert put(engine, container, "/vol", archive)[0] == 200
    assert put(engine, container, "/var/run/lock/deep", archive)[0] == 200
    assert (tmp_path / "other/new").read_text() == "new" and os.listdir(tmp_path / "bind") == ["file"]
    assert content(engine, container, "/vol/new") == b"new"
    names = [member.name for member in fetch(engine, container, "/mnt")]
    assert names == ["mnt", "mnt/ro", "mnt/ro/file"]
    engine.docker("rm", "-fv", container)


def test_read_only_root(engine):
    archive = trees.tar(trees.entry("new", data=b"new"))
    for state in ("running", "stopped"):
        container = make(engine, state, "--read-only", "-v", "/vol")
        assert put(engine, container, "/root", archive) == (403, "container rootfs is marked read-only")
        assert put(engine, container, "/vol", archive) == (200, "")
        engine.docker("rm", "-fv", container)


def test_what_is_put(engine):
    """Owners, modes, times, links, devices, attributes; folders merge; the two refusals; what is no folder."""
    container = make(engine, "running", "--user", "user")
    archive = trees.tar(
        trees.folder("d", mode=0o711, uid=7, gid=8, mtime=1000000), trees.entry("d/f", data=b"f", mode=0o4755, uid=1234567, mtime=2.5),
        trees.hardlink("d/h", "d/f"), trees.symlink("d/s", "../../etc"), trees.device("d/n", tarfile.CHRTYPE, 1, 3, mode=0o620),
        trees.entry("d/.wh.plain", data=b"no whiteout"), trees.entry("d/ü" + "x" * 150, xattrs={"user.note": "ü"}))
    assert put(engine, container, "/tmp", archive) == (200, "")
    with fetch(engine, container, "/tmp/d") as out:
        found = {member.name: member for member in out}
    assert sorted(found) == ["d", "d/.wh.plain", "d/f", "d/h", "d/n", "d/s", "d/ü" + "x" * 150]
    assert [(found[name].mode, found[name].uid, found[name].gid) for name in ("d", "d/f", "d/n")] == [
        (0o711, 7, 8), (0o4755, 1234567, 0), (0o620, 0, 0)]
    assert float(found["d/f"].mtime) == 2.5 and found["d"].mtime == 1000000
    assert found["d/h"].islnk() and found["d/h"].linkname == "d/f" and found["d/s"].linkname == "../../etc"
    assert (found["d/n"].devmajor, found["d/n"].devminor) == (1, 3)
    assert found["d/ü" + "x" * 150].pax_headers["SCHILY.xattr.user.note"] == "ü"
    assert put(engine, container, "/tmp", trees.tar(trees.folder("d"), trees.entry("d/more"))) == (200, "")
    assert len(fetch(engine, container, "/tmp/d").getnames()) == 8
    # A folder and something else
    clash = trees.tar(trees.entry("d", data=b"file"))
    assert put(engine, container, "/tmp", clash, "&noOverwriteDirNonDir=1") == (400, 'cannot overwrite directory "/tmp/d" with non-directory')
    clash = trees.tar(trees.folder("f"))
    assert put(engine, container, "/tmp/d", clash, "&noOverwriteDirNonDir=1") == (400, 'cannot overwrite non-directory "/tmp/d/f" with directory')
    assert put(engine, container, "/tmp/d", clash) == (200, "")
    assert stat(engine, container, "/tmp/d/f")["mode"] >> 31
    # The container's user
    assert put(engine, container, "/tmp", trees.tar(trees.entry("mine", uid=5)), "&copyUIDGID=1") == (200, "")
    assert fetch(engine, container, "/tmp/mine").next().uid == 1000
    # Not to be put
    assert put(engine, container, "/tmp/mine", clash) == (400, "extraction point is not a directory")
    assert put(engine, container, "/tmp/none", clash)[0] == 404
    assert put(engine, container, "/tmp", b"no tar at all" * 100)[0] == 400
    assert put(engine, container, "/tmp", trees.tar(trees.entry("../../out")))[0] == 400
    assert ask(engine, "HEAD", f"/containers/{container}/archive?path=/out")[0] == 404
    engine.docker("rm", "-f", container)


@pytest.mark.parametrize("compress", ["gzip", "bzip2", "xz", "zstd"])
def test_compressed(engine, compress):
    import subprocess
    container = make(engine, "created")
    packed = subprocess.run([compress, "-c"], input=trees.tar(trees.entry("f", data=b"f" * 100000)), stdout=subprocess.PIPE, check=True).stdout
    assert put(engine, container, "/root", packed) == (200, "")
    assert content(engine, container, "/root/f") == b"f" * 100000
    engine.docker("rm", "-f", container)


@pytest.mark.parametrize("state", STATES)
def test_export(engine, state, tmp_path):
    """The whole tree, without what volumes hold; in again as an image it is the same."""
    container = make(engine, state, "-v", "/vol", command=("busybox", "sh", "-c", "echo x >/vol/x; echo made >/made; sleep 1000"))
    if state == "running":
        wait_for(lambda: ask(engine, "HEAD", f"/containers/{container}/archive?path=/made")[0] == 200, "a file")
    engine.docker("export", "-o", tmp_path / "out.tar", container)
    with tarfile.open(tmp_path / "out.tar") as archive:
        names = archive.getnames()
        assert archive.extractfile("bin/busybox").read() and archive.getmember("tmp").mode == 0o1777
    assert "vol/x" not in names and not [name for name in names if name.startswith(("proc/", "dev/", "sys/"))]
    assert "made" in names if state == "running" else state != "created" or "made" not in names
    image = engine.docker("import", tmp_path / "out.tar").stdout.strip()
    assert engine.docker("run", "--rm", image, "/bin/busybox", "echo", "runs").stdout == "runs\n"
    engine.docker("rmi", image)
    engine.docker("rm", "-fv", container)


def test_diff(engine):
    container = make(engine, "created")
    assert engine.docker("diff", container).stdout == ""
    engine.docker("start", container)
    assert engine.docker("diff", container).stdout == ""
    engine.docker("exec", container, "sh", "-ec", """
        mkdir -p /new/deep; touch /new/deep/file; rm /etc/group; echo x >>/etc/passwd; chmod 700 /home
        rm -r /root; mkdir /root; touch /root/again; rm /bin/ls; ln -s busybox /bin/ls; touch /var/gone; rm /var/gone""")
    expected = ["C /bin", "C /bin/ls", "C /etc", "D /etc/group", "C /etc/passwd", "C /home", "A /new", "A /new/deep",
                "A /new/deep/file", "C /root", "A /root/again"]
    assert engine.docker("diff", container).stdout.splitlines() == expected
    for verb in ("pause", "kill"):
        engine.docker(verb, container)
        assert engine.docker("diff", container).stdout.splitlines() == expected
    engine.docker("rm", "-f", container)


def test_diff_of_what_hides(engine, tmp_path):
    """A folder made anew hides what the image has in it."""
    container = make(engine, "running", command=("busybox", "sh", "-c", "rm -r /home /var; mkdir /home; echo >/var; touch /done; sleep 1000"))
    wait_for(lambda: ask(engine, "HEAD", f"/containers/{container}/archive?path=/done")[0] == 200, "the end")
    assert engine.docker("diff", container).stdout.splitlines() == ["A /done", "C /var"]
    engine.docker("rm", "-f", container)


def test_events(engine):
    container = make(engine, "created")
    engine.api("PUT", f"/containers/{container}/archive?path=/root", trees.tar(trees.entry("f")))
    fetch(engine, container, "/root/f")
    engine.api("GET", f"/containers/{container}/export", raw=True)
    wanted = urllib.parse.quote(json.dumps({"container": [container], "event": ["archive-path", "extract-to-dir", "export"]}))

    def told():
        _, text = engine.api("GET", f"/events?since=1&until={time.time():.9f}&filters={wanted}", raw=True)
        lines = [json.loads(line)["Action"] for line in text.splitlines()]
        return lines if len(lines) == 3 else None
    events = wait_for(told, "three events")
    assert events == ["extract-to-dir", "archive-path", "export"]
    engine.docker("rm", "-f", container)
