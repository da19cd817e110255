"""What images, containers and volumes take on disk, and images listed, filtered, described and removed: by `tare`, the stock command
and the API. Nothing here runs but busybox; sizes are known by the byte."""
import json
import os
import re
import subprocess

import pytest

from harness import images
from harness.engine import Engine, wait_for
from helpers import layouts
from helpers.trees import entry, tar

SHARED, OWN_A, OWN_B = 300_000, 20_000, 4_000


def load(engine, layers, *names, **members):
    config = layouts.config_of(layers, **members)
    engine.tare("load", "-q", input=layouts.pack(layouts.docker_files(layers, names, config)), text=False)
    return layouts.digest(json.dumps(config).encode())


@pytest.fixture
def engine():
    """busybox, and two images that share a layer."""
    engine = Engine().start()
    try:
        engine.tare("load", "-q", "-i", images.busybox())
        base = tar(entry("shared", data=b"s" * SHARED))
        load(engine, [base, tar(entry("a", data=b"a" * OWN_A))], "a:1", "a:2", created="2026-02-01T00:00:00Z",
             config={"Labels": {"team": "red", "level": "1"}})
        load(engine, [base, tar(entry("b", data=b"b" * OWN_B))], "b:1", created="2026-03-01T00:00:00Z", config={"Labels": {"team": "blue"}})
        yield engine
    finally:
        left = engine.stop()
    assert not left, left


@pytest.fixture(params=["tare", "docker"])
def client(request, engine):
    return getattr(engine, request.param)


def usage(engine, query=""):
    status, document = engine.api("GET", f"/system/df{query}")
    assert status == 200, document
    return document


def size_of(engine, name):
    return engine.api("GET", f"/images/{name}/json")[1]["Size"]


def write(engine, *arguments):
    """A stopped container named cc that has written 1000 bytes in a file with two names, and a link of 4."""
    engine.tare("run", "--name", "cc", "--network", "none", *arguments, "busybox", "sh", "-c",
                "mkdir -p /new/deep && head -c 1000 /dev/zero >/new/deep/f && ln /new/deep/f /new/g && ln -s abcd /new/l")


# ---- how much

def test_usage_of_images(engine):
    document = usage(engine)
    found = {image["RepoTags"][0]: image for image in document["Images"]}
    assert found["a:1"]["Size"] == SHARED + OWN_A and found["a:1"]["SharedSize"] == SHARED
    assert found["b:1"]["Size"] == SHARED + OWN_B and found["b:1"]["SharedSize"] == SHARED
    assert found["busybox:latest"]["SharedSize"] == 0
    assert document["LayersSize"] == SHARED + OWN_A + OWN_B + size_of(engine, "busybox")
    assert document["BuildCache"] == [] and document["Containers"] == [] and document["Volumes"] == []
    assert [image["Containers"] for image in found.values()] == [0, 0, 0]
    assert all(image["SharedSize"] == -1 for image in engine.api("GET", "/images/json")[1])
    shared = engine.api("GET", "/images/json?shared-size=1")[1]
    assert {image["RepoTags"][0]: image["SharedSize"] for image in shared} == {"a:1": SHARED, "b:1": SHARED, "busybox:latest": 0}


def test_usage_of_types(engine):
    document = usage(engine, "?type=image")
    assert document["Images"] and document["Containers"] is None and document["Volumes"] is None and document["BuildCache"] is None
    document = usage(engine, "?type=volume&type=container")
    assert document["Images"] is None and document["LayersSize"] == 0 and document["Containers"] == document["Volumes"] == []
    status, answer = engine.api("GET", "/system/df?type=nonsense")
    assert status == 400 and "nonsense" in answer["message"]


def test_sizes_of_containers(engine, client):
    write(engine)
    image = size_of(engine, "busybox")
    engine.tare("create", "--name", "never", "--network", "none", "busybox")
    for document in (engine.api("GET", "/containers/json?all=1&size=1")[1], usage(engine)["Containers"]):
        sizes = {one["Names"][0]: (one.get("SizeRw", 0), one["SizeRootFs"]) for one in document}
        assert sizes == {"/cc": (1004, image + 1004), "/never": (0, image)}
    assert all("SizeRw" not in one and "SizeRootFs" not in one for one in engine.api("GET", "/containers/json?all=1")[1])

    document = engine.api("GET", "/containers/cc/json?size=1")[1]
    assert (document["SizeRw"], document["SizeRootFs"]) == (1004, image + 1004)
    document = engine.api("GET", "/containers/never/json?size=1")[1]
    assert (document["SizeRw"], document["SizeRootFs"]) == (0, image)
    assert "SizeRw" not in engine.api("GET", "/containers/cc/json")[1]
    assert engine.api("GET", "/containers/nothing/json?size=1")[0] == 404

    shown = client("ps", "-a", "-s", "--format", "{{.Names}} {{.Size}}").stdout.splitlines()
    assert sorted(shown)[0].startswith("cc 1kB (virtual ") and sorted(shown)[1].startswith("never 0B (virtual ")
    assert client("inspect", "-s", "-f", "{{.SizeRw}} {{.SizeRootFs}}", "cc").stdout.split() == ["1004", str(image + 1004)]
    # The image may go meanwhile.
    engine.tare("rmi", "-f", "busybox")
    assert engine.api("GET", "/containers/cc/json?size=1")[1]["SizeRootFs"] == image + 1004


def test_a_running_container_is_counted(engine):
    engine.tare("run", "-d", "--name", "rr", "--network", "none", "busybox", "sh", "-c", "head -c 5000 /dev/zero >/f; touch /ready; sleep 1000")
    wait_for(lambda: engine.tare("exec", "rr", "ls", "/ready", check=False).returncode == 0, "the container's file")
    assert engine.api("GET", "/containers/rr/json?size=1")[1]["SizeRw"] == 5000


def test_usage_of_volumes(engine, client):
    engine.tare("volume", "create", "empty")
    engine.tare("run", "--rm", "--network", "none", "-v", "data:/data", "busybox", "sh", "-c", "head -c 7000 /dev/zero >/data/f")
    engine.tare("create", "--name", "u1", "--network", "none", "-v", "data:/data", "busybox")
    engine.tare("create", "--name", "u2", "--network", "none", "-v", "data:/data", "busybox")
    found = {volume["Name"]: volume["UsageData"] for volume in usage(engine)["Volumes"]}
    assert found == {"empty": {"RefCount": 0, "Size": 0}, "data": {"RefCount": 2, "Size": 7000}}
    assert all("UsageData" not in volume for volume in engine.api("GET", "/volumes")[1]["Volumes"])
    assert re.search(r"^Local Volumes +2 +1 +7kB +0B \(0%\)", client("system", "df").stdout, re.M)


def ageless(text):
    """The two are asked one after the other."""
    return re.sub(r"Less than a second|\d+ seconds?", "N seconds", text)


def test_df_prints_the_same(engine):
    """Line for line as the stock command."""
    write(engine, "-v", "data:/data")
    engine.tare("run", "-d", "--name", "rr", "--network", "none", "busybox", "sleep", "1000")
    for options in ((), ("-v",), ("--format", "{{.Type}}|{{.TotalCount}}|{{.Active}}|{{.Size}}|{{.Reclaimable}}"), ("--format", "json")):
        ours, theirs = (ageless(run("system", "df", *options).stdout) for run in (engine.tare, engine.docker))
        assert [line.split() for line in ours.splitlines()] == [line.split() for line in theirs.splitlines()], options
    assert re.search(r"^Containers +2 +1 +1.004kB +1.004kB \(100%\)", engine.tare("system", "df").stdout, re.M)


def test_usage_is_told_while_a_container_goes_away(engine):
    """Whatever is removed between counting and telling."""
    write(engine)
    asking = [engine.popen(str(engine.programs / "tare"), "system", "df", stdout=subprocess.PIPE) for _ in range(3)]
    engine.tare("rm", "cc")
    assert all(process.wait() == 0 for process in asking)
    for process in asking:
        process.stdout.close()


# ---- what is given back

def test_pruned_containers_tell_their_size(engine, client):
    write(engine)
    told = client("container", "prune", "-f").stdout
    assert "Total reclaimed space: 1.004kB" in told


def test_pruned_volumes_tell_their_size(engine, client):
    engine.tare("run", "--rm", "--network", "none", "-v", "data:/data", "busybox", "sh", "-c", "head -c 7000 /dev/zero >/data/f")
    engine.tare("create", "--name", "uu", "--network", "none", "-v", "kept:/data", "busybox")
    assert "Total reclaimed space: 7kB" in client("volume", "prune", "-af").stdout
    assert [volume["Name"] for volume in engine.api("GET", "/volumes")[1]["Volumes"]] == ["kept"]


def disk(engine):
    """Bytes of all that images have in the store."""
    total = 0
    for base, _, files in [*os.walk(engine.data / "layers"), *os.walk(engine.data / "blobs")]:
        total += sum(os.lstat(os.path.join(base, name)).st_size for name in files if not os.path.islink(os.path.join(base, name)))
    return total


def test_pruned_images_tell_what_is_free_now(engine, client):
    engine.tare("rmi", "a:2")
    engine.tare("tag", "b:1", "a:1")  # a has no name any more
    before = disk(engine)
    answer = engine.api("POST", "/images/prune")[1]
    assert [line for line in answer["ImagesDeleted"] if "Deleted" in line]
    assert answer["SpaceReclaimed"] == before - disk(engine) > OWN_A
    assert client("image", "prune", "-f").stdout == "Total reclaimed space: 0B\n"

    engine.tare("create", "--name", "uu", "--network", "none", "b:1", "/none")
    before = disk(engine)
    answer = engine.api("POST", '/images/prune?filters={"dangling":["false"]}')[1]
    assert answer["SpaceReclaimed"] == before - disk(engine) > 0
    assert sorted(tag for image in engine.api("GET", "/images/json")[1] for tag in image["RepoTags"]) == ["a:1", "b:1"]


@pytest.mark.parametrize("filters, gone", [
    (["label=team=red"], {"a:1", "a:2"}), (["label!=team"], {"busybox:latest"}), (["label!=team=red"], {"b:1", "busybox:latest"}),
    (["until=2026-02-15T00:00:00Z"], {"a:1", "a:2", "busybox:latest"}), (["label=team", "until=2026-02-15T00:00:00Z"], {"a:1", "a:2"}),
])
def test_image_prune_filters(engine, filters, gone):
    before = {tag for image in engine.api("GET", "/images/json")[1] for tag in image["RepoTags"]}
    engine.docker("image", "prune", "-af", *[word for one in filters for word in ("--filter", one)])
    after = {tag for image in engine.api("GET", "/images/json")[1] for tag in image["RepoTags"]}
    assert before - after == gone


# ---- lists

FILTERS = [
    (["dangling=true"], {"<none>"}), (["dangling=false"], {"a:1", "a:2", "b:1", "busybox:latest"}),
    (["reference=a"], {"a:1", "a:2"}), (["reference=*:1"], {"a:1", "b:1"}), (["reference=a:2", "reference=b"], {"a:2", "b:1"}),
    (["before=b:1"], {"a:1", "a:2", "busybox:latest"}), (["since=a:1"], {"b:1", "<none>"}), (["since=busybox", "before=b:1"], {"a:1", "a:2"}),
    (["label=team"], {"a:1", "a:2", "b:1"}), (["label=team=red", "label=level=1"], {"a:1", "a:2"}), (["label=team=red", "label=level=2"], set()),
    (["until=2026-02-15T00:00:00Z"], {"a:1", "a:2", "busybox:latest"}),
]


def test_list_filters(engine, client):
    load(engine, [tar(entry("n", data=b"n"))], created="2026-04-01T00:00:00Z")
    for filters, shown in FILTERS:
        options = [word for one in filters for word in ("-f", one)]
        rows = client("images", "--format", "{{.Repository}}:{{.Tag}}", *options).stdout.split()
        assert {row.replace("<none>:<none>", "<none>") for row in rows} == shown, filters


def test_wrong_filters(engine, client):
    for one in ("nonsense=1", "dangling=perhaps", "before=nothing:1"):
        assert client("images", "-f", one, check=False).returncode == 1


def test_digests(engine, client):
    rows = client("images", "--digests", "--format", "{{.Repository}} {{.Digest}}").stdout.splitlines()
    assert sorted(rows) == ["a <none>", "a <none>", "b <none>", "busybox <none>"]


# ---- one image

def test_inspect_has_all_members(engine):
    """The members of ImageInspect of API 1.50 that an engine without a multi-platform store has."""
    document = engine.api("GET", "/images/a:1/json")[1]
    assert set(document) == {"Id", "RepoTags", "RepoDigests", "Parent", "Comment", "Created", "DockerVersion", "Author", "Config", "Architecture",
                             "Os", "Size", "GraphDriver", "RootFS", "Metadata"}
    assert document["RepoTags"] == ["a:1", "a:2"] and document["Created"] == "2026-02-01T00:00:00Z" and document["Size"] == SHARED + OWN_A
    assert document["Config"]["Labels"] == {"team": "red", "level": "1"} and document["Metadata"]["LastTagTime"] > "2026"
    layers = [f"{engine.data}/layers/{diff_id[7:]}" for diff_id in document["RootFS"]["Layers"]]
    assert document["GraphDriver"] == {"Name": "overlay2", "Data": {"UpperDir": layers[1], "LowerDir": layers[0]}}
    assert engine.api("GET", "/v1.43/images/a:1/json")[1]["VirtualSize"] == document["Size"]
    assert "LowerDir" not in engine.api("GET", "/images/busybox/json")[1]["GraphDriver"]["Data"]


def test_history(engine, client):
    entries = engine.api("GET", "/images/a:1/history")[1]
    assert [one["Id"] for one in entries] == [engine.api("GET", "/images/a:1/json")[1]["Id"], "<missing>"]
    assert [one["Size"] for one in entries] == [OWN_A, SHARED]
    assert entries[0]["Tags"] == ["a:1", "a:2"] and entries[1]["Tags"] is None
    assert client("history", "--format", "{{.CreatedBy}} {{.Size}}", "a:1").stdout.splitlines() == ["tests 20kB", "tests 300kB"]


def test_remove_of_several(engine, client):
    shown = client("rmi", "a:1", "nothing:1", "b:1", check=False)
    assert shown.returncode == 1 and "No such image: nothing:1" in shown.stderr
    assert shown.stdout.splitlines()[:2] == ["Untagged: a:1", "Untagged: b:1"]
    assert engine.api("GET", "/images/a:2/json")[0] == 200 and engine.api("GET", "/images/b:1/json")[0] == 404
    # What b shared with a is still a's.
    assert engine.api("GET", "/images/a:2/json")[1]["Size"] == SHARED + OWN_A
    assert client("rmi", "--no-prune", "a:2").stdout.splitlines()[0] == "Untagged: a:2"


def test_remove_keeps_or_takes_parents(engine, client):
    """--no-prune is about nameless parents; loaded images have none, so both remove the image alone."""
    identity = engine.api("GET", "/images/b:1/json")[1]["Id"]
    told = client("rmi", "--no-prune", identity[7:19]).stdout
    assert f"Deleted: {identity}" in told and engine.api("GET", "/images/a:1/json")[0] == 200
