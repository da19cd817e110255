"""A container's tree in and out: archives, export and changes, by the API, the stock command and our own."""
import base64
import contextlib
import io
import json
import os
import pathlib
import signal
import tarfile
import time
import urllib.parse

import pytest

from harness.engine import UnixConnection, processes, wait_for
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
    assert "vol/x" not in names
    assert [name for name in names if name.startswith(("proc/", "dev/", "sys/"))] == ["dev/console", "dev/pts", "dev/shm"]
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


# --- commit


def config_of(engine, image):
    return engine.api("GET", f"/images/{image}/json")[1]


@pytest.mark.parametrize("state", STATES)
def test_commit(engine, state, tmp_path):
    """A layer of what was changed on top of the image's; it runs, is saved and loaded."""
    container = make(engine, state, "-e", "OWN=1", "--label", "a=b", "-v", "/vol")
    files = trees.tar(trees.folder("new", mode=0o711, uid=5), trees.entry("new/file", data=b"new", mode=0o4755, xattrs={"user.x": "y"}),
                      trees.hardlink("new/hard", "new/file"), trees.symlink("new/soft", "file"))
    assert put(engine, container, "/root", files)[0] == 200
    if state in ("running", "paused"):
        engine.docker("unpause", container, check=False)
        engine.docker("exec", container, "sh", "-c", "rm -r /home /etc/group; mkdir /home; touch /home/again; echo x >/vol/x")
        if state == "paused":
            engine.docker("pause", container)
    image = engine.docker("commit", "-m", "a note", "-a", "Ada", "-c", "ENV MORE=2", "-c", "CMD [\"cat\", \"/root/new/file\"]",
                          container, "made:1").stdout.strip()
    assert engine.docker("inspect", "-f", "{{.State.Status}}", container).stdout.strip() == {"stopped": "exited"}.get(state, state)
    made, base = config_of(engine, "made:1"), config_of(engine, "busybox")
    assert made["Id"] == image and made["Author"] == "Ada" and made["Comment"] == "a note" and made["Parent"] == base["Id"]
    assert made["RootFS"]["Layers"][:-1] == base["RootFS"]["Layers"]
    assert made["Config"]["Cmd"] == ["cat", "/root/new/file"] and made["Config"]["Labels"] == {"a": "b"}
    assert {"PATH=/bin", "OWN=1", "MORE=2"} <= set(made["Config"]["Env"]) and made["Config"]["Volumes"] in ({"/vol": {}}, None)
    top = json.loads(engine.docker("history", "--format", "json", "made:1").stdout.splitlines()[0])
    assert top["Comment"] == "a note" and top["CreatedBy"] == "sleep 1000"
    engine.docker("save", "-o", tmp_path / "made.tar", "made:1")
    engine.docker("rm", "-fv", container)
    engine.docker("rmi", "made:1")
    engine.docker("load", "-q", "-i", tmp_path / "made.tar")
    assert engine.docker("run", "--rm", "made:1").stdout == "new"
    again = make(engine, "created", command=("made:1",))
    with fetch(engine, again, "/root/new") as archive:
        found = {member.name: member for member in archive}
    assert (found["new"].mode, found["new"].uid, found["new/file"].mode) == (0o711, 5, 0o4755)
    assert found["new/hard"].islnk() and found["new/soft"].linkname == "file"
    assert found["new/file"].pax_headers["SCHILY.xattr.user.x"] == "y"
    if state in ("running", "paused"):
        assert fetch(engine, again, "/home").getnames() == ["home", "home/again"]
        assert ask(engine, "HEAD", f"/containers/{again}/archive?path=/etc/group")[0] == 404
    assert ask(engine, "HEAD", f"/containers/{again}/archive?path=/vol/x")[0] == 404
    engine.docker("rm", again)
    engine.docker("rmi", "made:1")


def test_commit_of_nothing(engine):
    """What only the start did, to mount files of ours, is no change."""
    container = make(engine, "running")
    image = engine.docker("commit", container).stdout.strip()
    layer = config_of(engine, image)["RootFS"]["Layers"][-1]
    engine.docker("save", "-o", engine.root / "x.tar", image)
    with tarfile.open(engine.root / "x.tar") as outer:
        inner = outer.extractfile(f"blobs/sha256/{layer.split(':')[1]}")
        names = tarfile.open(fileobj=inner).getnames()
    assert names in ([], ["etc"]), names
    engine.docker("rm", "-f", container)
    engine.docker("rmi", image)


def test_commit_and_its_body(engine):
    container = make(engine, "created", "--entrypoint", "busybox", command=("busybox", "echo", "own"))
    status, made = engine.api("POST", f"/commit?container={container}&repo=body&pause=0",
                              {"Cmd": ["echo", "body"], "User": "user", "ExposedPorts": {"80/tcp": {}}})
    assert status == 201
    config = config_of(engine, made["Id"])["Config"]
    assert (config["Cmd"], config["Entrypoint"], config["User"], config["ExposedPorts"]) == (
        ["echo", "body"], ["busybox"], "user", {"80/tcp": {}})
    assert engine.docker("run", "--rm", "body").stdout == "body\n"
    assert engine.docker("rmi", "body").stdout
    for size, status in ((300_000, 201), (3_900_000, 201), (4_200_000, 413)):  # past what one message holds, and past what a request may say
        labels = {"long": "x" * (size // 2), "longer": "y" * (size // 2)}
        got, made = engine.api("POST", f"/commit?container={container}&repo=body", {"Labels": labels})
        assert got == status, (size, made)
        assert status != 201 or config_of(engine, made["Id"])["Config"]["Labels"] == labels
    for query, status in (("container=nowhere", 404), (f"container={container}&repo=BAD", 400), (f"container={container}&changes=FROM%20x", 400)):
        assert engine.api("POST", f"/commit?{query}")[0] == status
    engine.docker("rm", container)
    engine.docker("rmi", "body")


def test_commit_pauses(engine):
    """Events say so, and it goes on whatever becomes of the worker."""
    container = make(engine, "running", command=("busybox", "sh", "-c", "dd if=/dev/zero of=/big bs=1M count=300 2>/dev/null; touch /done; sleep 1000"))
    wait_for(lambda: ask(engine, "HEAD", f"/containers/{container}/archive?path=/done")[0] == 200, "a large file")
    client = UnixConnection(engine.socket)
    client.request("POST", f"/v1.50/commit?container={container}")
    wait_for(lambda: engine.api("GET", f"/containers/{container}/json")[1]["State"]["Status"] == "paused", "the pause")
    for pid in processes(lambda c: c[0].endswith("tare-worker") and str(engine.data) in c):
        with contextlib.suppress(ProcessLookupError):  # done already
            os.kill(pid, signal.SIGKILL)
    wait_for(lambda: engine.api("GET", f"/containers/{container}/json")[1]["State"]["Status"] == "running", "going on")
    client.close()
    engine.docker("rm", "-f", container)


# --- the command, beside the stock one

SOURCES = ("file", "dir", "dir/", "dir/.", "link", "dlink", "dlink/", "dlink/.", "dangling", "none", "file/", "empty")
DESTINATIONS = ("new", "folder", "plain", "clash", "new/", "folder/", "plain/", "to-folder", "to-plain", "none/new", ".")
OPTIONS = ((), ("-L",))


def fill_side(path):
    """The same on either side: what is copied, and where to."""
    return trees.tar(
        trees.folder(f"{path}/from"), trees.entry(f"{path}/from/file", data=b"file", mode=0o640),
        trees.folder(f"{path}/from/dir", mode=0o750), trees.entry(f"{path}/from/dir/a", data=b"a"),
        trees.folder(f"{path}/from/dir/sub"), trees.symlink(f"{path}/from/dir/sub/l", "../a"), trees.folder(f"{path}/from/empty"),
        trees.symlink(f"{path}/from/link", "file"), trees.symlink(f"{path}/from/dlink", "dir"), trees.symlink(f"{path}/from/dangling", "nowhere"),
        trees.folder(f"{path}/to"), trees.folder(f"{path}/to/folder"), trees.entry(f"{path}/to/folder/old", data=b"old"),
        trees.entry(f"{path}/to/plain", data=b"plain"), trees.symlink(f"{path}/to/to-folder", "folder"),
        trees.symlink(f"{path}/to/to-plain", "plain"), trees.folder(f"{path}/to/clash"), trees.folder(f"{path}/to/clash/file"),
        trees.entry(f"{path}/to/clash/dir", data=b"no folder"))


def unpack_here(folder):
    with tarfile.open(fileobj=io.BytesIO(fill_side("x"))) as archive:
        archive.extractall(folder, filter="fully_trusted") if hasattr(tarfile, "data_filter") else archive.extractall(folder)
    return folder / "x"


def tree_of(engine, container, path):
    with fetch(engine, container, path) as archive:
        return {member.name: (member.type, member.mode, member.linkname,
                              archive.extractfile(member).read() if member.isreg() else None) for member in archive}


def outcome(engine, program, *arguments, cwd=None):
    done = (engine.tare if program == "tare" else engine.docker)("cp", *arguments, check=False, cwd=cwd)
    return done.returncode, done.stdout + done.stderr


def plain(text, *names):
    """A message without what differs by nature, and without the stock command's stutter."""
    for name in names:
        text = text.replace(str(name), "X")
    return text.replace("tare: ", "").strip()


@pytest.mark.parametrize("options", OPTIONS, ids=lambda options: "".join(options) or "plain")
@pytest.mark.parametrize("direction", ("out", "in"))
def test_as_the_stock_command(engine, direction, options, tmp_path):
    """Every source to every destination: what comes of it is the same, and so is whether it is refused."""
    container = make(engine, "created")
    number, wrong = 0, []
    for source in SOURCES if not options else ("link", "dlink", "dangling"):
        for destination in DESTINATIONS if source in ("file", "dir") else DESTINATIONS[:3]:
            results = []
            number += 1
            for program in ("docker", "tare"):
                side = f"{program}{number}"
                if direction == "out":
                    if number == 1:
                        put(engine, container, "/", fill_side("x"))
                    (tmp_path / side).mkdir()
                    here = unpack_here(tmp_path / side)
                    code, text = outcome(engine, program, *options, f"{container}:/x/from/{source}", f"{here}/to/{destination}")
                    results.append((code, trees.describe(here / "to", times=False)))
                else:
                    if number == 1 and program == "docker":
                        unpack_here(tmp_path)
                    put(engine, container, "/", fill_side(side))
                    code, text = outcome(engine, program, *options, f"{tmp_path}/x/from/{source}", f"{container}:/{side}/to/{destination}")
                    results.append((code, tree_of(engine, container, f"/{side}/to")))
                results[-1] += (plain(text, side, container),)
            same = results[0][0] == results[1][0] and {k.replace("docker", "").replace("tare", ""): v for k, v in results[0][1].items()} == {
                k.replace("docker", "").replace("tare", ""): v for k, v in results[1][1].items()}
            if not same:
                wrong.append((source, destination, results[0][0], results[0][2], results[1][0], results[1][2]))
    assert not wrong, "\n".join(map(str, wrong))
    engine.docker("rm", "-f", container)


def test_names_of_all_sorts(engine, tmp_path):
    """Long ones, such that are no ASCII, and such that are no UTF-8; there and back by our own command."""
    container = make(engine, "created")
    folder = tmp_path / "names"
    folder.mkdir()
    for name in (b"f\xc3\xbcr", b"\xff\xfe", b"x" * 255, b"with space", b"new\nline", b"-dash", b"\xe2\x82\xac" * 80):
        with open(os.path.join(os.fsencode(folder), name), "wb") as file:
            file.write(name)
    deep = folder / "/".join(["d" * 50] * 30)
    deep.mkdir(parents=True)
    (deep / "bottom").write_text("deep")
    engine.tare("cp", folder, f"{container}:/names")
    engine.tare("cp", f"{container}:/names", tmp_path / "back")
    assert trees.difference(trees.describe(os.fsencode(folder).decode(errors="surrogateescape")), trees.describe(str(tmp_path / "back"))) == {}
    engine.docker("rm", container)


def test_standard_streams(engine, tmp_path):
    container = make(engine, "running")
    archive = trees.tar(trees.folder("d"), trees.entry("d/f", data=b"piped"))
    for program in (engine.docker, engine.tare):
        program("cp", "-", f"{container}:/tmp", input=archive, text=False)
        out = program("cp", f"{container}:/tmp/d", "-", text=False).stdout
        with tarfile.open(fileobj=io.BytesIO(out)) as back:
            assert back.extractfile("d/f").read() == b"piped"
        for arguments in (("cp", "-", f"{container}:/tmp/d/f"), ("cp", "a", "b"), ("cp", "a:/b", "c:/d"), ("cp", f"{container}:/none", str(tmp_path)),
                          ("cp", str(tmp_path / "none"), f"{container}:/tmp"), ("diff", "nowhere"), ("export", "nowhere"), ("commit", "nowhere")):
            done = program(*arguments, input=archive, text=False, check=False)
            assert done.returncode == 1 and done.stderr, arguments
    ours = engine.tare("export", container, text=False).stdout
    assert tarfile.open(fileobj=io.BytesIO(ours)).extractfile("tmp/d/f").read() == b"piped"
    assert engine.tare("diff", container).stdout == engine.docker("diff", container).stdout == "C /tmp\nA /tmp/d\nA /tmp/d/f\n"
    image = engine.tare("commit", "-m", "note", "-a", "me", "--pause=false", "-c", "LABEL x=y", container, "ours:2").stdout.strip()
    assert config_of(engine, "ours:2")["Id"] == image and config_of(engine, image)["Config"]["Labels"] == {"x": "y"}
    engine.docker("rm", "-f", container)
    engine.docker("rmi", "ours:2")


def test_docker_py(engine):
    import docker
    client = docker.DockerClient(base_url=f"unix://{engine.socket}", version="1.50")
    try:
        container = client.containers.create("busybox", ["sleep", "1000"])
        assert container.put_archive("/root", trees.tar(trees.entry("f", data=b"by python")))
        chunks, found = container.get_archive("/root/f")
        assert found["size"] == 9 and tarfile.open(fileobj=io.BytesIO(b"".join(chunks))).extractfile("f").read() == b"by python"
        assert {(change["Path"], change["Kind"]) for change in container.diff()} == {("/root", 0), ("/root/f", 1)}
        names = tarfile.open(fileobj=io.BytesIO(b"".join(container.export()))).getnames()
        assert "root/f" in names
        image = container.commit("python", "1", message="m", author="a", changes="ENV P=1")
        assert image.tags == ["python:1"] and "P=1" in image.attrs["Config"]["Env"]
        container.remove()
        client.images.remove("python:1")
    finally:
        client.close()
