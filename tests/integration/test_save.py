"""save: what is in the archive, who can read it, and that it comes back as it was; by `tare`, the stock command and the API."""
import contextlib
import hashlib
import io
import json
import os
import signal
import socket
import subprocess
import tarfile

import pytest

from harness import images
from harness.engine import Engine, docker_program, processes, wait_for
from helpers import layouts, worker
from helpers.trees import by_tar, describe, difference, entry, rich_entries, tar, without_implied

BIG = 24 << 20  # more than a socket and a pipe hold


@pytest.fixture(scope="module")
def engine():
    """With busybox, and an image of three layers of which one is large and one is busybox's."""
    engine = Engine().start()
    try:
        engine.tare("load", "-q", "-i", images.busybox())
        base = images.busybox_root().read_bytes()
        layers = [base, tar(entry("big", data=os.urandom(BIG))), tar(entry("small", data=b"s"))]
        engine.tare("load", input=layouts.pack(layouts.docker_files(layers, ("team/three:1", "host.test:5000/three:x"))), text=False)
        yield engine
    finally:
        left = engine.stop()
    assert not left, left


@pytest.fixture
def clients(engine):
    return {"tare": engine.tare, "docker": engine.docker}


def saved(engine, *names):
    status, data = engine.api("GET", "/images/get?" + "&".join(f"names={name}" for name in names), raw=True)
    assert status == 200, data
    return data


def files_of(data):
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        return {member.name: archive.extractfile(member).read() for member in archive if member.isreg()}


def image_id(engine, name):
    return engine.api("GET", f"/images/{name}/json")[1]["Id"]


def no_worker(engine):
    return not processes(lambda c: c[0].endswith("tare-worker") and str(engine.data) in c)


# ---- what is in it

def test_it_is_an_oci_layout_and_a_docker_archive(engine):
    data = saved(engine, "team/three:1", "busybox")
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        members = archive.getmembers()
    assert len({member.name for member in members}) == len(members)
    assert all(member.uid == member.gid == member.mtime == 0 and member.mode == (0o755 if member.isdir() else 0o644) for member in members)
    assert [member.name for member in members if member.isdir()] == ["blobs", "blobs/sha256"]
    files = files_of(data)
    for name, content in files.items():
        if name.startswith("blobs/"):
            assert hashlib.sha256(content).hexdigest() == name.rpartition("/")[2]
    assert json.loads(files["oci-layout"]) == {"imageLayoutVersion": "1.0.0"}

    three, busybox = image_id(engine, "team/three:1"), image_id(engine, "busybox")
    manifest = json.loads(files["manifest.json"])
    assert [(one["Config"], one["RepoTags"]) for one in manifest] == [
        ("blobs/sha256/" + three[7:], ["team/three:1"]), ("blobs/sha256/" + busybox[7:], ["busybox:latest"])]
    for one in manifest:
        config = json.loads(files[one["Config"]])
        assert len(config["rootfs"]["diff_ids"]) == len(one["Layers"]) and all(layer in files for layer in one["Layers"])
    last = {one["RepoTags"][0]: one["Layers"][-1].rpartition("/")[2] for one in manifest}
    assert json.loads(files["repositories"]) == {"team/three": {"1": last["team/three:1"]}, "busybox": {"latest": last["busybox:latest"]}}

    index = json.loads(files["index.json"])
    assert index["schemaVersion"] == 2 and index["mediaType"] == "application/vnd.oci.image.index.v1+json"
    names = []
    for descriptor, one in zip(index["manifests"], manifest):
        inner = json.loads(files["blobs/sha256/" + descriptor["digest"][7:]])
        assert descriptor["mediaType"] == inner["mediaType"] == "application/vnd.oci.image.manifest.v1+json"
        assert descriptor["size"] == len(files["blobs/sha256/" + descriptor["digest"][7:]])
        assert "blobs/sha256/" + inner["config"]["digest"][7:] == one["Config"]
        assert ["blobs/sha256/" + layer["digest"][7:] for layer in inner["layers"]] == one["Layers"]
        for layer in inner["layers"]:
            content = files["blobs/sha256/" + layer["digest"][7:]]
            assert layer["size"] == len(content)
            assert layer["mediaType"].endswith(".tar+gzip" if content.startswith(b"\x1f\x8b") else ".tar")
        names.append((descriptor["annotations"]["io.containerd.image.name"], descriptor["annotations"]["org.opencontainers.image.ref.name"]))
    assert names == [("docker.io/team/three:1", "1"), ("docker.io/library/busybox:latest", "latest")]


def test_nothing_is_there_twice(engine):
    """Images share layers, and are asked for by several names."""
    three = image_id(engine, "team/three:1")
    files = files_of(saved(engine, "team/three:1", three, "host.test:5000/three:x", "busybox:latest", "busybox"))
    manifest = json.loads(files["manifest.json"])
    assert [one["RepoTags"] for one in manifest] == [["team/three:1", "host.test:5000/three:x"], ["busybox:latest"]]
    assert len(json.loads(files["index.json"])["manifests"]) == 3
    shared = set(manifest[0]["Layers"]) & set(manifest[1]["Layers"])
    assert len(shared) == 1
    used = {name for one in manifest for name in [one["Config"], *one["Layers"]]}
    assert len([name for name in files if name.startswith("blobs/")]) == len(used) + 2


@pytest.mark.parametrize("name", [lambda full: full, lambda full: full[7:], lambda full: full[7:19], lambda full: f"busybox@{full}"],
                         ids=["id", "hex", "short", "digest"])
def test_what_is_saved_by_its_id_has_no_name(engine, name):
    files = files_of(saved(engine, name(image_id(engine, "busybox"))))
    one, = json.loads(files["manifest.json"])
    assert one["RepoTags"] is None
    assert "repositories" not in files
    descriptor, = json.loads(files["index.json"])["manifests"]
    assert "annotations" not in descriptor


def test_a_repository_is_all_of_its_tags(engine):
    engine.tare("tag", "busybox", "many:1")
    engine.tare("tag", "team/three:1", "many:2")
    engine.tare("tag", "busybox", "many:3")
    try:
        manifest = json.loads(files_of(saved(engine, "many"))["manifest.json"])
        assert [one["RepoTags"] for one in manifest] == [["many:1", "many:3"], ["many:2"]]
        manifest = json.loads(files_of(saved(engine, "many:3"))["manifest.json"])
        assert [one["RepoTags"] for one in manifest] == [["many:3"]]
    finally:
        engine.tare("rmi", "many:1", "many:2", "many:3")


def test_the_same_bytes_every_time(engine, clients, tmp_path):
    written = []
    for name, run in clients.items():
        run("save", "-o", tmp_path / name, "team/three:1", "busybox:latest")
        written.append((tmp_path / name).read_bytes())
        written.append(run("save", "team/three:1", "busybox:latest", text=False).stdout)
    assert written[0] == saved(engine, "team/three:1", "busybox:latest")
    assert len({hashlib.sha256(data).digest() for data in written}) == 1
    assert sorted(os.listdir(tmp_path)) == ["docker", "tare"]
    assert all(path.stat().st_mode & 0o7777 == 0o600 for path in tmp_path.iterdir())


def test_save_of_one_by_its_path(engine):
    status, data = engine.api("GET", "/images/host.test:5000/three:x/get", raw=True)
    assert status == 200 and data == saved(engine, "host.test:5000/three:x")


def test_an_event_tells_of_it(engine):
    events = engine.popen(docker_program(), "events", "--filter", "event=save", "--format", "{{.Action}} {{.Actor.ID}}",
                          stdout=subprocess.PIPE, text=True)
    try:
        # A listener is there once something of another kind has come through.
        wait_for(lambda: engine.api("GET", "/info")[1]["NEventsListener"] > 0, "a listener")
        saved(engine, "busybox:latest")
        assert events.stdout.readline().split() == ["save", image_id(engine, "busybox")]
    finally:
        events.kill()
        events.wait()


def test_only_the_head(engine):
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(engine.socket))
        connection.sendall(b"HEAD /v1.50/images/busybox/get HTTP/1.1\r\nHost: x\r\n\r\n")
        head = worker.read_all(connection)
    assert head.startswith(b"HTTP/1.1 200") and head.endswith(b"\r\n\r\n")
    assert f"Content-Length: {len(saved(engine, 'busybox'))}".encode() in head


# ---- platforms

def test_platforms(engine, clients):
    for run in clients.values():
        assert run("save", "--platform", "linux/amd64", "busybox", text=False).stdout == saved(engine, "busybox")
        failed = run("save", "--platform", "linux/arm64/v8", "busybox", check=False)
        assert failed.returncode == 1 and "does not match the specified platform (linux/arm64/v8)" in failed.stderr, failed.stderr
    status, answer = engine.api("GET", "/images/busybox/get?platform=nonsense/")
    assert status == 400 and answer["message"]


def test_load_of_a_platform(engine, clients, tmp_path):
    """The stock command sends it as JSON."""
    (tmp_path / "archive").write_bytes(saved(engine, "busybox"))
    for run in clients.values():
        assert run("load", "--platform", "linux/amd64", "-i", tmp_path / "archive").stdout == "Loaded image: busybox:latest\n"
        failed = run("load", "--platform", "linux/riscv64", "-i", tmp_path / "archive", check=False)
        assert failed.returncode == 1 and "linux/riscv64" in failed.stderr


# ---- errors

@pytest.mark.parametrize("names, says", [
    (["nothing:1"], "No such image: nothing:1"), (["nothing"], "No such image: nothing:latest"),
    (["busybox", "nothing:1"], "No such image: nothing:1"), (["0" * 64], "No such image: " + "0" * 64),
    (["sha256:" + "0" * 64], "No such image: sha256:" + "0" * 64),
])
def test_unknown_images(engine, clients, tmp_path, names, says):
    status, answer = engine.api("GET", "/images/get?" + "&".join(f"names={name}" for name in names))
    assert (status, answer) == (404, {"message": says})
    for client, run in clients.items():
        failed = run("save", "-o", tmp_path / "file", *names, check=False)
        assert failed.returncode == 1 and failed.stdout == "" and says in failed.stderr, failed.stderr
    assert os.listdir(tmp_path) == []


def test_wrong_requests(engine, clients, tmp_path):
    status, answer = engine.api("GET", "/images/get?names=UPPER")
    assert status == 400 and "must be lowercase" in answer["message"]
    failed = engine.tare("save", "-o", tmp_path / "no" / "file", "busybox", check=False)
    assert failed.returncode == 1 and "no such file or directory" in failed.stderr.lower()
    failed = engine.tare("save", check=False)
    assert failed.returncode != 0 and "at least 1 argument" in failed.stderr


def test_a_file_that_is_there_stays_until_the_new_one_is_whole(engine, tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"old")
    assert engine.tare("save", "-o", path, "nothing:1", check=False).returncode == 1
    assert path.read_bytes() == b"old" and os.listdir(tmp_path) == ["file"]
    engine.tare("save", "-o", path, "busybox:latest")
    assert path.read_bytes() == saved(engine, "busybox:latest") and os.listdir(tmp_path) == ["file"]
    # What is no file is written to.
    assert engine.tare("save", "-o", "/dev/stdout", "busybox:latest", text=False).stdout == path.read_bytes()


def test_not_to_a_terminal(engine):
    ours, theirs = os.openpty()
    try:
        done = subprocess.run([str(engine.programs / "tare"), "save", "busybox"], env=engine.env, stdin=subprocess.DEVNULL, stdout=theirs,
                              stderr=subprocess.PIPE, text=True)
    finally:
        os.close(ours)
        os.close(theirs)
    assert done.returncode == 1 and "cowardly refusing to save to a terminal" in done.stderr


# ---- in the middle

@contextlib.contextmanager
def half_read(engine, name):
    """A save whose client has read the head and reads no more: the worker stands in a large layer."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(engine.socket))
        connection.sendall(f"GET /v1.50/images/{name}/get HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        head = b""
        while b"\r\n\r\n" not in head:
            head += connection.recv(1)
        assert head.startswith(b"HTTP/1.1 200"), head
        yield connection, int(head.lower().partition(b"content-length: ")[2].split()[0])


def big_image(engine, name):
    layers = [tar(entry("big", data=os.urandom(BIG)))]
    engine.tare("load", input=layouts.pack(layouts.docker_files(layers, (name,))), text=False)


def test_an_image_that_is_removed_meanwhile(engine):
    big_image(engine, "gone:1")
    expected = hashlib.sha256(saved(engine, "gone:1")).digest()
    layers = engine.api("GET", "/images/gone:1/json")[1]["RootFS"]["Layers"]
    with half_read(engine, "gone:1") as (connection, length):
        for run, arguments in ((engine.tare, ["rmi", "gone:1"]), (engine.tare, ["system", "prune", "-f"])):
            run(*arguments)
        assert engine.api("GET", "/images/gone:1/json")[0] == 404
        assert (engine.data / "layers" / layers[0][7:]).exists()
        data = worker.read_all(connection)
    assert len(data) == length and hashlib.sha256(data).digest() == expected
    # The lease was all that held it.
    wait_for(lambda: not (engine.data / "layers" / layers[0][7:]).exists(), "the layer's end")
    wait_for(lambda: no_worker(engine), "the workers' end")
    assert os.listdir(engine.data / "tmp") == []


def test_a_client_that_goes_away(engine):
    with half_read(engine, "team/three:1"):
        assert not no_worker(engine)
    wait_for(lambda: no_worker(engine), "the worker's end")
    assert os.listdir(engine.data / "tmp") == []


def test_a_worker_that_is_killed(engine, tmp_path):
    """The client has half of it and knows; the engine clears up."""
    with half_read(engine, "team/three:1") as (connection, length):
        for pid in processes(lambda c: c[0].endswith("tare-worker") and str(engine.data) in c):
            os.kill(pid, signal.SIGKILL)
        assert len(worker.read_all(connection)) < length
    wait_for(lambda: os.listdir(engine.data / "tmp") == [], "the sweep")
    assert saved(engine, "team/three:1")


def test_a_blob_that_is_damaged_is_not_half_sent(engine):
    """Of another length than noted, it is refused before the first byte."""
    big_image(engine, "damaged:1")
    (blob,), = worker.Store(engine.data).query(
        "SELECT blobs.digest FROM names JOIN image_layers USING (image) JOIN layers USING (diff_id)"
        " JOIN blobs ON blobs.digest = layers.blob WHERE repository = 'docker.io/library/damaged'")
    os.truncate(engine.data / "blobs/sha256" / blob[7:], 10)
    status, answer = engine.api("GET", "/images/damaged:1/get")
    assert status == 500 and f"blob {blob} is of 10 bytes" in answer["message"]
    engine.tare("rmi", "damaged:1")


def test_an_engine_that_ends_meanwhile_is_not_noticed(engine):
    expected = saved(engine, "team/three:1")
    with half_read(engine, "team/three:1") as (connection, length):
        engine.kill_engine()
        data = worker.read_all(connection)
    assert data == expected


# ---- who can read it

def skopeo(*arguments):
    return subprocess.run(["skopeo", "--insecure-policy", *map(str, arguments)], check=True, stdout=subprocess.PIPE, timeout=120).stdout


@pytest.mark.parametrize("source", ["docker-archive:{}:team/three:1", "oci-archive:{}:1"])
def test_skopeo_reads_it(engine, tmp_path, source):
    (tmp_path / "archive").write_bytes(saved(engine, "team/three:1"))
    skopeo("copy", "-q", source.format(tmp_path / "archive"), f"dir:{tmp_path}/out")
    manifest = json.loads((tmp_path / "out/manifest.json").read_text())
    assert manifest["config"]["digest"] == image_id(engine, "team/three:1") and len(manifest["layers"]) == 3


def content_of(engine, name):
    """What must survive: ID, names, config, and the layers' trees."""
    document = engine.api("GET", f"/images/{name}/json")[1]
    return {key: document[key] for key in ("Id", "RepoTags", "Config", "Architecture", "Os", "Created", "Size", "RootFS")}


@pytest.mark.parametrize("client", ["tare", "docker"])
def test_there_and_back(engine, fresh_engine, client, tmp_path):
    run, other = getattr(engine, client), getattr(fresh_engine, client)
    run("save", "-o", tmp_path / "archive", "team/three:1", "busybox")
    told = other("load", "-i", tmp_path / "archive").stdout
    assert told.splitlines() == ["Loaded image: team/three:1", "Loaded image: busybox:latest"]
    for name in ("team/three:1", "busybox:latest"):
        was, now = content_of(engine, name), content_of(fresh_engine, name)
        assert now.pop("RepoTags") == [name] and name in was.pop("RepoTags")
        assert was == now
        assert saved(engine, name) == saved(fresh_engine, name)
    assert fresh_engine.tare("run", "--rm", "--network", "none", "team/three:1", "/bin/busybox", "wc", "-c", "/big").stdout.split()[0] == str(BIG)


def test_trees_are_the_same_there_and_back(engine, fresh_engine, tmp_path):
    """One of everything a layer may hold, file for file: as tar unpacks what was saved, here, and where it was loaded."""
    data = tar(*rich_entries())
    engine.tare("load", input=layouts.pack(layouts.docker_files([data], ("rich:1",))), text=False)
    files = files_of(saved(engine, "rich:1"))
    (layer,) = json.loads(files["manifest.json"])[0]["Layers"]
    assert files[layer] == data
    fresh_engine.tare("load", input=saved(engine, "rich:1"), text=False)
    expected = without_implied(describe(by_tar(files[layer], tmp_path / "tar")), data)
    for one in (engine, fresh_engine):
        assert not difference(without_implied(describe(one.data / "layers" / hashlib.sha256(data).hexdigest()), data), expected)


@pytest.mark.parametrize("kind", ["docker-archive", "oci-archive"])
def test_what_others_made_stays_as_it_is(fresh_engine, kind, tmp_path):
    """Config and blobs by the byte."""
    fresh_engine.tare("load", "-q", "-i", images.busybox(kind))
    before = files_of(images.busybox(kind).read_bytes())
    after = files_of(saved(fresh_engine, "busybox"))
    digests = {hashlib.sha256(content).hexdigest() for content in before.values()}
    one, = json.loads(after["manifest.json"])
    assert {one["Config"][13:], *(layer[13:] for layer in one["Layers"])} <= digests


def test_an_oci_layout_alone_is_read_too(engine, fresh_engine, tmp_path):
    """Without manifest.json: what a reader of layouts sees."""
    files = files_of(saved(engine, "team/three:1"))
    for name in ("manifest.json", "repositories"):
        del files[name]
    assert fresh_engine.tare("load", input=layouts.pack(files), text=False).stdout == b"Loaded image: team/three:1\n"
    assert image_id(fresh_engine, "team/three:1") == image_id(engine, "team/three:1")
