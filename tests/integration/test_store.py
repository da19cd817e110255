"""load and import by tare-worker alone: what is in the store afterwards, compared with what tar and skopeo make of the same."""
import bz2
import gzip
import io
import json
import lzma
import os
import pathlib
import random
import shutil
import signal
import subprocess
import tarfile
import tempfile
import threading
import time

import pytest

from harness import images
from harness.engine import wait_for
from helpers import layouts, worker
from helpers.trees import by_tar, describe, device, difference, entry, folder, hardlink, names, rich_entries, symlink, tar, without_implied

ZSTD = shutil.which("zstd")


def zstd(data):
    return subprocess.run([ZSTD, "-qc"], input=data, stdout=subprocess.PIPE, check=True).stdout


@pytest.fixture
def root(tmp_path):
    path = tmp_path / "data"
    path.mkdir(mode=0o711)
    return path


@pytest.fixture
def canary(tmp_path):
    """Beside the data root, and reached by its absolute name too."""
    where = tmp_path / "canary"
    where.mkdir()
    (where / "file").write_bytes(b"untouched")
    (where / "empty").mkdir()
    before = describe(where)
    links = os.stat(where / "file").st_nlink
    yield where
    assert describe(where) == before and os.stat(where / "file").st_nlink == links


def imported(root, data, **parameters):
    """The one layer's folder."""
    answer = worker.import_root(root, data, **parameters)
    assert answer.status == 200 and not answer.error, answer.messages
    return worker.Store(root).layers(answer.messages[-1]["status"])[0]


def refused(root, data):
    answer = worker.import_root(root, data)
    assert answer.error and "\n" not in answer.error and answer.exit == 0, answer.messages
    assert worker.Store(root).left() == []
    return answer.error


def loaded(root, data, **options):
    answer = worker.load(root, data, **options)
    assert answer.status == 200 and not answer.error and answer.exit == 0, (answer.status, answer.messages)
    return answer


def not_loaded(root, data, **options):
    answer = worker.load(root, data, **options)
    assert answer.error and "\n" not in answer.error and answer.exit == 0, (answer.status, answer.messages)
    # A load's answer is a stream from its first byte on, as Docker's.
    assert answer.status == 200 and answer.messages[-1]["errorDetail"]["message"] == answer.error, answer.messages
    assert worker.Store(root).left() == []
    return answer.error


# ---- what a layer looks like

@pytest.mark.parametrize("format", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT])
def test_a_layer_is_what_tar_makes_of_it(root, tmp_path, format):
    entries = rich_entries()
    if format == tarfile.GNU_FORMAT:  # has no attributes and no fractions
        entries = [(info, data) for info, data in entries if not info.pax_headers]
        for info, _ in entries:
            info.mtime = int(info.mtime)
    data = tar(*entries, format=format)
    layer = imported(root, data)
    expected = by_tar(data, tmp_path / "tar")
    assert not difference(without_implied(describe(layer), data), without_implied(describe(expected), data))


def test_a_system_is_what_tar_makes_of_it(root, tmp_path):
    """Some thousand files of this machine, with the hard links and odd names that real trees have."""
    parts = [part for part in ("etc", "usr/share/zoneinfo", "usr/share/perl", "usr/lib/python3", "usr/share/ca-certificates")
             if os.path.isdir("/" + part)]
    data = subprocess.run(["tar", "-c", "--xattrs", "--xattrs-exclude=security.selinux", "--format=pax", "-C", "/", *parts], stdout=subprocess.PIPE).stdout
    layer = imported(root, gzip.compress(data, 1))
    expected = by_tar(data, tmp_path / "tar")
    assert not difference(without_implied(describe(layer), data), without_implied(describe(expected), data))


def test_a_debian_is_what_umoci_unpacks(root, tmp_path):
    archive, layout = images.debian("oci-archive"), tmp_path / "layout"
    subprocess.run(["skopeo", "--insecure-policy", "copy", "-q", f"oci-archive:{archive}", f"oci:{layout}:x"], check=True)
    subprocess.run(["umoci", "unpack", "--image", f"{layout}:x", tmp_path / "bundle"], check=True)
    loaded(root, archive.read_bytes())
    layer, = (root / "layers").iterdir()
    assert not difference(describe(layer), describe(tmp_path / "bundle/rootfs"))


def test_sparse_files_stay_sparse(root, tmp_path):
    source = tmp_path / "source"
    source.mkdir()
    with open(source / "sparse", "wb") as file:
        file.truncate(1 << 40)
        file.seek(1 << 30)
        file.write(b"data")
    data = subprocess.run(["tar", "-c", "-S", "-C", source, "sparse"], stdout=subprocess.PIPE, check=True).stdout
    status = os.stat(imported(root, data) / "sparse")
    assert status.st_size == 1 << 40 and status.st_blocks * 512 < 1 << 20


def holds_user_attributes(folder):
    """tmpfs does from 6.6 on."""
    try:
        os.setxattr(folder, "user.probe", b"")
    except OSError:
        return False
    os.removexattr(folder, "user.probe")
    return True


def test_attributes_that_steer_the_kernel_are_dropped(root):
    kept = ["user.a"] if holds_user_attributes(root) else []
    wanted = {"user.a": "1", "user.overlay.opaque": "y", "trusted.overlay.opaque": "y", "trusted.x": "1", "security.selinux": "s",
              "security.ima": "i"}
    layer = imported(root, tar(folder("d", xattrs=wanted), entry("f", data=b"x", xattrs=wanted)))
    for name in ("d", "f"):
        assert os.listxattr(layer / name) == kept


# ---- names that lead elsewhere

CLEANED = [
    (["/abs"], ["abs"]), (["./a"], ["a"]), (["//a//b"], ["a/", "a/b"]), (["a/../b"], ["b"]), (["a/./b"], ["a/", "a/b"]),
    (["a\\..\\b"], ["a\\..\\b"]), (["n" * 255], ["n" * 255]),
]


@pytest.mark.parametrize("given, expected", CLEANED)
def test_names_are_cleaned(root, given, expected):
    assert names(imported(root, tar(*[entry(name, data=b"x") for name in given]))) == expected


def raw_name(name):
    """A header whose name field is these bytes."""
    header = bytearray(tar(entry("x", data=b"d"), format=tarfile.USTAR_FORMAT))
    header[0:100] = name.ljust(100, b"\0")
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header[:512])
    return bytes(header)


def test_names_that_are_not_utf8_are_kept(root):
    assert os.listdir(os.fsencode(imported(root, raw_name(b"caf\xe9\xff")))) == [b"caf\xe9\xff"]


@pytest.mark.parametrize("name", ["..", "../x", "/../x", "a/../../x", "../../../../../../../../tmp/x", "n" * 256, "d/" * 2049 + "x"])
def test_names_that_climb_or_are_too_long_are_refused(root, canary, name):
    error = refused(root, tar(entry("before", data=b"b"), entry(name, data=b"x")))
    assert "outside" in error or "too long" in error


def test_links_are_followed_inside_the_layer_alone(root, canary):
    layer = imported(root, tar(
        symlink("out", str(canary)), entry("out/file", data=b"new"), entry("out/more", data=b"new"),
        symlink("up", "../" * 40 + str(canary)), entry("up/third", data=b"new"),
        symlink("a", "b"), symlink("b", "c"), folder("c"), entry("a/x", data=b"x")))
    inside = str(canary).lstrip("/")
    assert sorted(os.listdir(layer / inside)) == ["file", "more", "third"]
    assert (layer / "c/x").read_bytes() == b"x"


def test_what_is_there_is_replaced(root, canary):
    layer = imported(root, tar(
        symlink("link", str(canary / "file")), entry("link", data=b"mine"),
        symlink("dir", str(canary)), folder("dir"), entry("dir/file", data=b"x"),
        folder("d"), entry("d/old", data=b"o"), symlink("d", "."), entry("f", data=b"1"), folder("f"), entry("f", data=b"2"),
        folder("keep"), entry("keep/inside", data=b"i"), folder("keep", mode=0o700)))
    assert (layer / "link").read_bytes() == b"mine" and not (layer / "link").is_symlink()
    assert (layer / "dir").is_dir() and not (layer / "dir").is_symlink()
    assert (layer / "d").is_symlink() and (layer / "f").read_bytes() == b"2"
    assert (layer / "keep/inside").read_bytes() == b"i" and os.stat(layer / "keep").st_mode & 0o777 == 0o700


def test_mode_of_a_link_is_nobodys(root, canary):
    """CVE-2021-32760: the same name as a link and then as a folder's mode."""
    layer = imported(root, tar(symlink("a", str(canary)), folder("a/../b", mode=0o777), folder("a", mode=0o777)))
    assert not (layer / "a").is_symlink()


@pytest.mark.parametrize("target, says", [
    ("../canary/file", "outside"), ("/../x", "outside"), ("later", "not in this layer"), ("itself", "not in this layer"),
    ("folder", "neither a file"), ("null", "neither a file"), ("", "bad path"), (".", "bad path"), ("out/file", "not in this layer"),
])
def test_hard_links_stay_inside(root, canary, target, says):
    data = tar(folder("folder"), device("null", tarfile.CHRTYPE, 1, 3), symlink("out", str(canary)),
               hardlink("itself", target), entry("later", data=b"l"))
    assert says in refused(root, data)


def test_hard_link_through_a_link_inside(root):
    layer = imported(root, tar(folder("d"), entry("d/f", data=b"x"), symlink("l", "d"), hardlink("h", "l/f"), hardlink("d/f", "h")))
    assert os.stat(layer / "h").st_ino == os.stat(layer / "d/f").st_ino


def test_more_hard_links_than_a_file_can_have(root):
    data = tar(entry("f", data=b"x"), *[hardlink(f"l{n}", "f") for n in range(70000)])
    answer = worker.import_root(root, data)
    if answer.error:  # ext4 stops at 65,000
        assert "Too many links" in answer.error and worker.Store(root).left() == []


@pytest.mark.parametrize("root_entry, says", [
    (symlink("./", "/etc"), "root is not a folder"), (entry(".", data=b"x"), "root is not a folder"),
    (symlink("/", "x"), "root is not a folder"), (device("./", tarfile.CHRTYPE, 1, 3), "root is not a folder"),
    (hardlink("./", "a"), "root is not a folder"), (symlink("a/..", "x"), "root is not a folder"),
    (entry("", data=b"x"), "no usable path"),
])
def test_the_root_is_a_folder(root, canary, root_entry, says):
    assert says in refused(root, tar(entry("a", data=b"a"), root_entry))


def test_the_roots_attributes(root):
    status = os.stat(imported(root, tar(folder("./", mode=0o0, uid=5, gid=6, mtime=7))))
    assert (status.st_mode & 0o7777, status.st_uid, status.st_gid, status.st_mtime) == (0, 5, 6, 7)


def test_a_device_is_no_hidden_whiteout(root):
    assert "0:0" in refused(root, tar(device("x", tarfile.CHRTYPE, 0, 0)))
    assert "0:0" in refused(root, tar(entry("x", data=b"x"), device("d/x", tarfile.CHRTYPE, 0, 0)))
    layer = imported(root, tar(device("b", tarfile.BLKTYPE, 0, 0)))
    assert (layer / "b").is_block_device()


def test_numbers_out_of_range_are_refused(root):
    for fields in ({"uid": 4294967295}, {"gid": 4294967296}, {"uid": 1 << 40}):
        assert "out of range" in refused(root, tar(entry("x", data=b"x", **fields)))


def test_times_are_clamped(root):
    layer = imported(root, tar(entry("early", data=b"", mtime=-10), entry("late", data=b"", mtime=1 << 40)))
    assert os.stat(layer / "early").st_mtime == 0 and os.stat(layer / "late").st_mtime <= 15032385535


def test_limits_of_attributes(root):
    for size in (65535, 65536):
        data = tar(entry("x", data=b"x", xattrs={"user.a": "v" * size}))
        answer = worker.import_root(root, data)
        # The filesystem's own limit may be lower; ours never lets more pass.
        assert not answer.error or "extended attribute" in answer.error
    worker.sweep(root)
    error = worker.import_root(root, tar(entry("x", data=b"x", xattrs={"user.a": "v" * 65537}))).error
    assert "more than 65536 bytes" in error


def test_unknown_types_do_not_climb(root, canary):
    for kind in (b"7", b"M", b"?"):
        assert "outside" in refused(root, tar(entry("before"), entry("../x", kind)))


# ---- whiteouts

@pytest.fixture
def overlay(tmp_path):
    mounted = []

    def mount(root, image):
        point = tmp_path / f"merged{len(mounted)}"
        point.mkdir()
        rows = worker.Store(root).query("SELECT diff_id, opaque FROM image_layers JOIN layers USING (diff_id) WHERE image = ?"
                                        " ORDER BY position DESC", image)
        lower = []
        for diff_id, opaque in rows:
            lower.append(f"{root}/layers/{diff_id[7:]}")
            if opaque:
                break
        (tmp_path / "bottom").mkdir(exist_ok=True)
        subprocess.run(["mount", "-t", "overlay", "overlay", "-o", "lowerdir=" + ":".join([*lower, str(tmp_path / "bottom")]), point],
                       check=True)
        mounted.append(point)
        return point
    yield mount
    for point in mounted:
        subprocess.run(["umount", point], check=True)


BASE = [folder("d"), entry("d/one", data=b"1"), entry("d/two", data=b"2"), folder("d/sub"), entry("d/sub/x", data=b"x"),
        entry("top", data=b"t")]
ALL = ["d/", "d/one", "d/sub/", "d/sub/x", "d/two", "top"]


def whiteout(name):
    return entry(name)


WHITEOUTS = {
    "file": ([whiteout("d/.wh.one")], ["d/", "d/sub/", "d/sub/x", "d/two", "top"]),
    "folder": ([whiteout(".wh.d")], ["top"]),
    "of nothing": ([whiteout(".wh.nothing")], ALL),
    "opaque first": ([whiteout("d/.wh..wh..opq"), entry("d/new", data=b"n")], ["d/", "d/new", "top"]),
    "opaque last": ([folder("d"), entry("d/new", data=b"n"), whiteout("d/.wh..wh..opq")], ["d/", "d/new", "top"]),
    "opaque twice": ([whiteout("d/.wh..wh..opq"), entry("d/new", data=b"n"), whiteout("d/.wh..wh..opq")], ["d/", "d/new", "top"]),
    "opaque root": ([whiteout(".wh..wh..opq"), entry("new", data=b"n")], ["new"]),
    "opaque in a new folder": ([folder("e"), whiteout("e/.wh..wh..opq")], sorted(ALL + ["e/"])),
    "then the file anew": ([whiteout("d/.wh.one"), entry("d/one", data=b"new")], ALL),
    "after the file anew": ([entry("d/one", data=b"new"), whiteout("d/.wh.one")], ALL),
    "then the folder anew": ([whiteout(".wh.d"), folder("d"), entry("d/new", data=b"n")], ["d/", "d/new", "top"]),
    "after the folder anew": ([folder("d"), entry("d/new", data=b"n"), whiteout(".wh.d")], ["d/", "d/new", "top"]),
    "then a file in it": ([whiteout(".wh.d"), entry("d/new", data=b"n")], ["d/", "d/new", "top"]),
    "then a file deep in it": ([whiteout("d/.wh.sub"), entry("d/sub/a/b", data=b"n")],
                              ["d/", "d/one", "d/sub/", "d/sub/a/", "d/sub/a/b", "d/two", "top"]),
    "folder becomes file": ([whiteout(".wh.d"), entry("d", data=b"f")], ["d", "top"]),
    "file becomes folder": ([folder("top"), entry("top/x", data=b"x")],
                            ["d/", "d/one", "d/sub/", "d/sub/x", "d/two", "top/", "top/x"]),
    "as a hard link": ([hardlink("d/.wh.one", ".wh..wh.aufs")], ["d/", "d/sub/", "d/sub/x", "d/two", "top"]),
    "aufs's own": ([folder(".wh..wh.plnk"), entry(".wh..wh.plnk/1.2", data=b"x"), entry(".wh..wh.aufs", data=b"x")], ALL),
}


@pytest.mark.parametrize("case", WHITEOUTS)
@pytest.mark.parametrize("kind", ["docker", "oci"])
def test_whiteouts(root, overlay, case, kind):
    upper, expected = WHITEOUTS[case]
    layers = [tar(*BASE), tar(*upper), tar(entry("top", data=b"third"))]
    expected = sorted(set(expected) - {"top/", "top/x"} | {"top"}) if case == "file becomes folder" else sorted({*expected, "top"})
    files = layouts.docker_files(layers) if kind == "docker" else layouts.oci_files(layers)
    loaded(root, layouts.pack(files))
    image, = worker.Store(root).images()
    merged = overlay(root, image)
    assert names(merged) == expected
    assert (merged / "top").read_bytes() == b"third"
    if (merged / "d/one").exists():
        assert (merged / "d/one").read_bytes() == (b"new" if "anew" in case else b"1")


@pytest.mark.parametrize("name", [".wh.", ".wh..", ".wh...", "d/.wh...", ".wh.d/x"])
def test_bad_whiteouts_are_refused(root, canary, name):
    assert "no valid whiteout" in refused(root, tar(folder("d"), whiteout(name)))


def test_whiteout_below_a_link_is_refused(root, canary):
    assert "below a symbolic link" in refused(root, tar(symlink("l", str(canary)), whiteout("l/.wh.file")))
    assert "below a symbolic link" in refused(root, tar(folder("d"), symlink("l", "d"), whiteout("l/.wh..wh..opq")))


# ---- archives of images

@pytest.mark.parametrize("kind", ["docker-archive", "oci-archive"])
@pytest.mark.parametrize("pack", [bytes, gzip.compress, lzma.compress, bz2.compress, zstd], ids=lambda f: f.__name__)
def test_skopeos_archives(root, tmp_path, kind, pack):
    if pack is zstd and not ZSTD:
        pytest.skip("zstd is not installed")
    answer = loaded(root, pack(images.busybox(kind).read_bytes()))
    store = worker.Store(root)
    assert answer.text == "Loaded image: busybox:latest\n"
    assert list(store.names()) == ["docker.io/library/busybox:latest"]
    image, = store.images()
    assert [(event["type"], event["image"], event["name"]) for event in answer.events] == [("load", image, "busybox:latest")]
    data = images.busybox_root().read_bytes()
    expected = by_tar(data, tmp_path / "tar")
    assert not difference(without_implied(describe(store.layers(image)[0]), data), without_implied(describe(expected), data))
    # The layer's blob is kept as it came.
    (blob, size), = store.query("SELECT digest, size FROM blobs")
    kept = (root / "blobs/sha256" / blob[7:]).read_bytes()
    assert layouts.digest(kept) == blob and len(kept) == size
    assert os.listdir(root / "tmp") == os.listdir(root / "trash") == []


def test_both_kinds_give_the_same_image(root):
    loaded(root, images.busybox("docker-archive").read_bytes())
    loaded(root, images.busybox("oci-archive").read_bytes())
    assert len(worker.Store(root).images()) == 1
    assert len(os.listdir(root / "layers")) == 1


def chunked(data, size=1000):
    for start in range(0, len(data), size):
        piece = data[start:start + size]
        yield b"%x\r\n%s\r\n" % (len(piece), piece)
    yield b"0\r\n\r\n"


def test_chunked_bodies_and_surplus(root):
    data = layouts.pack(layouts.docker_files([tar(*BASE)]))
    body = b"".join(chunked(data))
    for surplus in (0, 1, 700, 60000):
        loaded(root, body, framing={"chunked": True, "http_minor": 1}, surplus=body[:surplus])
    answer = loaded(root, data, surplus=data[:100])
    assert "Transfer-Encoding: chunked" in answer.head and "Connection: close" in answer.head


def test_http_1_0_is_answered_without_chunks(root):
    data = layouts.pack(layouts.docker_files([tar(*BASE)]))
    answer = loaded(root, data, framing={"content_length": len(data), "http_minor": 0})
    assert "chunked" not in answer.head


def test_expect_continue(root):
    data = layouts.pack(layouts.docker_files([tar(*BASE)]))
    answer = worker.load(root, data, framing={"content_length": len(data), "http_minor": 1, "expect_continue": True})
    assert answer.interim == ["HTTP/1.1 100 Continue"] and answer.status == 200 and len(worker.Store(root).images()) == 1


def test_names_of_all_kinds(root):
    files = layouts.docker_files([tar(*BASE)], tags=["a:1", "localhost:5000/x/y:z", "docker.io/library/a:2"])
    assert loaded(root, layouts.pack(files)).text == \
        "Loaded image: a:1\nLoaded image: localhost:5000/x/y:z\nLoaded image: a:2\n"
    image, = worker.Store(root).images()
    nameless = layouts.docker_files([tar(*BASE)], tags=[])
    assert loaded(root, layouts.pack(nameless)).text == f"Loaded image ID: {image}\n"


def test_a_name_that_moves(root):
    loaded(root, layouts.pack(layouts.docker_files([tar(*BASE)])))
    before, = worker.Store(root).images()
    text = loaded(root, layouts.pack(layouts.docker_files([tar(*BASE), tar(entry("new"))]))).text
    assert text == f"The image t:1 already exists, renaming the old one with ID {before} to empty string\nLoaded image: t:1\n"


def test_several_images_in_one_archive(root):
    first, second = layouts.docker_files([tar(*BASE)], tags=["a:1"]), layouts.docker_files([tar(*BASE), tar(entry("n"))], tags=["b:1"])
    manifests = json.loads(first["manifest.json"]) + json.loads(second["manifest.json"])
    files = {**first, **second, "manifest.json": json.dumps(manifests).encode()}
    assert loaded(root, layouts.pack(files)).text == "Loaded image: a:1\nLoaded image: b:1\n"
    assert len(os.listdir(root / "layers")) == 2


def test_links_inside_an_archive(root):
    """docker save wrote a layer that two images share once, and links to it."""
    layer = tar(*BASE)
    files = layouts.docker_files([layer, tar(entry("n"))])
    manifest = json.loads(files["manifest.json"])
    real = manifest[0]["Layers"][0]
    files["other/layer.tar"] = ("symlink", "../" + real)
    manifest[0]["Layers"][0] = "other/layer.tar"
    files["manifest.json"] = json.dumps(manifest).encode()
    loaded(root, layouts.pack(files))


def test_indexes_and_platforms(root):
    wanted, other = layouts.oci_files([tar(*BASE)]), layouts.oci_files([tar(entry("arm"))])
    files = {**wanted, **other}
    entries = [json.loads(one["index.json"])["manifests"][0] for one in (other, wanted)]
    machine = {"x86_64": "amd64", "aarch64": "arm64"}.get(os.uname().machine, os.uname().machine)
    entries[0]["platform"] = {"os": "linux", "architecture": "sparc64"}
    entries[1]["platform"] = {"os": "linux", "architecture": machine}
    attestation = {**entries[0], "platform": {"os": "unknown", "architecture": "unknown"}}
    index = json.dumps({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json",
                        "manifests": [attestation, *entries]}).encode()
    files["blobs/sha256/" + layouts.digest(index)[7:]] = index
    outer = {"mediaType": "application/vnd.oci.image.index.v1+json", "digest": layouts.digest(index), "size": len(index),
             "annotations": {"io.containerd.image.name": "docker.io/library/multi:1", "org.opencontainers.image.ref.name": "1"}}
    files["index.json"] = json.dumps({"schemaVersion": 2, "manifests": [outer]}).encode()
    assert loaded(root, layouts.pack(files)).text == "Loaded image: multi:1\n"
    assert names(worker.Store(root).layers(worker.Store(root).images()[0])[0]) == ALL
    loaded(root, layouts.pack(files), platform="linux/sparc64")
    assert "linux/s390x" in worker.load(root, layouts.pack(files), platform="linux/s390x").error
    # The same, the platforms side by side in index.json itself.
    files["index.json"] = json.dumps({"schemaVersion": 2, "manifests": entries}).encode()
    shutil.rmtree(root)
    root.mkdir()
    loaded(root, layouts.pack(files))
    assert len(worker.Store(root).images()) == 1


# ---- archives that are wrong

def with_changes(files, **changes):
    return layouts.pack({name: data for name, data in {**files, **changes}.items() if data is not None})


def changed_manifest(files, **members):
    manifest = json.loads(files["manifest.json"])
    manifest[0].update(members)
    return json.dumps([{key: value for key, value in manifest[0].items() if value is not ...}]).encode()


def test_wrong_docker_archives(root, canary):
    files = layouts.docker_files([tar(*BASE)])
    config = next(name for name in files if name.endswith(".json") and name != "manifest.json")
    layer = json.loads(files["manifest.json"])[0]["Layers"][0]
    assert "neither manifest.json" in not_loaded(root, layouts.pack({"x": b"y"}))
    cases = [
        ({"manifest.json": b""}, "manifest.json"), ({"manifest.json": b"[{]"}, "manifest.json"), ({"manifest.json": b"{}"}, "manifest.json"),
        ({"manifest.json": b"[]"}, "no image"), ({"manifest.json": b"[null]"}, "manifest.json"),
        ({"manifest.json": b"\xef\xbb\xbf[]"}, "manifest.json"), ({"manifest.json": b"[" * 100000}, "manifest.json"),
        ({config: None}, "no file"), ({config: b"{}"}, "digest"), ({layer: None}, "no file"),
        ({layer: tar(entry("other"))}, "diff ID"), ({layer: b"no tar at all" * 100}, "cannot unpack"),
        ({layer: gzip.compress(tar(*BASE))[:-9]}, "cut short"), ({layer: ("symlink", str(canary / "file"))}, "no file"),
        ({layer: ("symlink", "/proc/self/environ")}, "no file"), ({layer: ("symlink", "layer.tar")}, "cannot open"),
        ({config: ("symlink", "/etc/passwd")}, "no file"),
    ]
    for members, says in [
        ({"Config": "../../x"}, "manifest.json"), ({"Config": "/etc/passwd"}, "manifest.json"), ({"Config": ...}, "manifest.json"),
        ({"Config": 1}, "manifest.json"), ({"Config": "x" * 5000}, ""), ({"Layers": ["../" + layer]}, "manifest.json"),
        ({"Layers": []}, "layers length mismatch"), ({"Layers": [layer, layer]}, "layers length mismatch"), ({"Layers": None}, ""),
        ({"Layers": [os.path.dirname(layer)]}, "no regular file"), ({"RepoTags": ["UPPER:1"]}, "invalid"), ({"RepoTags": ["a\nb:1"]}, "invalid"),
        ({"RepoTags": ["a:" + "x" * 300]}, "invalid"), ({"RepoTags": [""]}, "invalid"), ({"RepoTags": ["a@sha256:" + "0" * 64]}, "invalid"),
        ({"RepoTags": [5]}, "manifest.json"), ({"RepoTags": "a"}, ""), ({"RepoTags": ["../x:1"]}, "invalid"),
    ]:
        cases.append(({"manifest.json": changed_manifest(files, **members)}, says))
    for changes, says in cases:
        error = not_loaded(root, with_changes(files, **changes))
        assert says in error, (changes.keys(), error)


@pytest.mark.parametrize("members", [
    {"rootfs": None}, {"rootfs": {"type": "other", "diff_ids": []}}, {"rootfs": {"type": "layers", "diff_ids": ["sha256:../../x"]}},
    {"rootfs": {"type": "layers", "diff_ids": ["SHA256:" + "0" * 64]}}, {"rootfs": {"type": "layers", "diff_ids": ["0" * 64]}},
    {"rootfs": {"type": "layers", "diff_ids": ["sha256:" + "0" * 64] * 501}}, {"history": 7}, {"config": []}, {"config": {"Env": "x"}},
], ids=lambda members: json.dumps(members)[:40])
def test_wrong_configs(root, members):
    layers = [tar(*BASE)]
    not_loaded(root, layouts.pack(layouts.docker_files(layers, config=layouts.config_of(layers, **members))))
    not_loaded(root, layouts.pack(layouts.oci_files(layers, config=layouts.config_of(layers, **members))))


@pytest.mark.parametrize("members", [
    {"history": []}, {"history": [{"created_by": "x"}] * 5}, {"created": "0000-01-01T00:00:00Z"}, {"created": "10000-01-01"},
    {"config": {"Env": ["NOEQUALS", "=x", "A"], "ExposedPorts": {"99999/tcp": {}}, "StopSignal": "SIGFOO"}},
    {"config": {"Labels": {"io.containerd.x": "binary:///bin/sh"}}}, {"config": None},
], ids=lambda members: json.dumps(members)[:40])
def test_odd_configs_are_taken(root, members):
    layers = [tar(*BASE)]
    loaded(root, layouts.pack(layouts.docker_files(layers, config=layouts.config_of(layers, **members))))


def test_wrong_oci_layouts(root):
    layers = [tar(*BASE), tar(entry("n"))]
    files = layouts.oci_files(layers)
    blobs = {name: data for name, data in files.items() if name.startswith("blobs/")}
    for name, data in blobs.items():
        for wrong in (None, b"", data[:-1], data + b" ", bytes([data[0] ^ 1]) + data[1:]):
            not_loaded(root, with_changes(files, **{name: wrong}))
    index = json.loads(files["index.json"])
    for changes in ({"digest": "sha256:../../../etc/passwd"}, {"digest": "md5:00"}, {"size": 1}, {"size": -1}, {"digest": None},
                    {"mediaType": "application/vnd.oci.image.index.v1+json"}, {"mediaType": "application/x"},
                    {"annotations": {"org.opencontainers.image.ref.name": "Not:A:Name"}}):
        entries = [{**index["manifests"][0], **changes}]
        not_loaded(root, with_changes(files, **{"index.json": json.dumps({"schemaVersion": 2, "manifests": entries}).encode()}))
    for text in (b"", b"[]", b"{}", b'{"schemaVersion":1,"manifests":[]}', b'{"schemaVersion":2,"manifests":[]}'):
        not_loaded(root, with_changes(files, **{"index.json": text}))
    not_loaded(root, with_changes(files, **{"oci-layout": b'{"imageLayoutVersion":"2.0.0"}'}))
    not_loaded(root, with_changes(files, **{"oci-layout": None}))


def test_the_same_content_under_anothers_digest(root):
    """What it unpacks to is right; what it is, is not."""
    layers = [tar(*BASE)]
    files = layouts.oci_files(layers, compress=lambda data: gzip.compress(data, 9, mtime=0))
    name = "blobs/sha256/" + layouts.digest(gzip.compress(layers[0], 9, mtime=0))[7:]
    assert "corrupt" in not_loaded(root, with_changes(files, **{name: gzip.compress(layers[0], 9, mtime=1)}))


def test_a_layer_of_another_size(root):
    files = layouts.oci_files([tar(*BASE)])
    index = json.loads(files["index.json"])
    old = "blobs/sha256/" + index["manifests"][0]["digest"][7:]
    manifest = json.loads(files[old])
    manifest["layers"][0]["size"] += 1
    text = json.dumps(manifest).encode()
    index["manifests"][0].update(digest=layouts.digest(text), size=len(text))
    changes = {old: None, "blobs/sha256/" + layouts.digest(text)[7:]: text, "index.json": json.dumps(index).encode()}
    assert "bytes" in not_loaded(root, with_changes(files, **changes))


def test_right_bytes_with_the_wrong_diff_id(root):
    layers = [tar(*BASE)]
    config = layouts.config_of(layers)
    config["rootfs"]["diff_ids"] = ["sha256:" + "1" * 64]
    assert "diff ID" in not_loaded(root, layouts.pack(layouts.oci_files(layers, config=config)))
    # An honest copy works afterwards.
    loaded(root, layouts.pack(layouts.oci_files(layers)))


def test_an_index_that_holds_itself(root):
    """It can't be made by digest, but a chain deeper than anybody needs can."""
    files = layouts.oci_files([tar(*BASE)])
    entry_ = json.loads(files["index.json"])["manifests"][0]
    for _ in range(10):
        index = json.dumps({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": [entry_]}).encode()
        files["blobs/sha256/" + layouts.digest(index)[7:]] = index
        entry_ = {"mediaType": "application/vnd.oci.image.index.v1+json", "digest": layouts.digest(index), "size": len(index)}
    files["index.json"] = json.dumps({"schemaVersion": 2, "manifests": [entry_]}).encode()
    assert "nested" in not_loaded(root, layouts.pack(files))


def test_hostile_outer_archives(root, canary):
    for bad in (entry("../x", data=b"x"), symlink(".", "/"), hardlink("manifest.json", str(canary / "file")),
                device("manifest.json", tarfile.CHRTYPE, 1, 5), entry("manifest.json", tarfile.FIFOTYPE)):
        not_loaded(root, tar(bad))
    links = [symlink("a", str(canary)), entry("a/manifest.json", data=b"[]"), entry("a/file", data=b"x")]
    not_loaded(root, tar(*links))


def test_set_user_id_files_never_leave_the_root(root):
    """Whatever a layer holds, only root comes near it."""
    imported(root, tar(entry("su", data=b"#!", mode=0o4777), folder("./", mode=0o777)))
    for name in ("layers", "blobs", "tmp", "trash"):
        assert os.stat(root / name).st_mode & 0o077 == 0
    check = subprocess.run(["setpriv", "--reuid=65534", "--clear-groups", "ls", root / "layers"], capture_output=True)
    assert check.returncode != 0


# ---- cut, flipped, exploding

def small_archives():
    layers = [tar(*BASE)]
    yield "docker", layouts.pack(layouts.docker_files(layers))
    yield "oci", layouts.pack(layouts.oci_files(layers))
    yield "docker.gz", gzip.compress(layouts.pack(layouts.docker_files(layers)))
    yield "oci.xz", lzma.compress(layouts.pack(layouts.oci_files(layers)))


@pytest.mark.parametrize("name, data", small_archives(), ids=lambda value: value if isinstance(value, str) else "")
def test_every_cut_is_noticed(root, name, data):
    end = len(data.rstrip(b"\0")) if not name.endswith(("gz", "xz")) else len(data)
    cuts = {0, 1, 5, 511, 512, 513, 1023, 1024, end - 1, end, *range(0, end, 512), *random.Random(1).sample(range(end), 40)}
    for cut in sorted(cut for cut in cuts if cut < len(data)):
        not_loaded(root, data[:cut])
    loaded(root, data)


def test_an_import_that_is_cut_is_noticed(root):
    data = tar(*BASE)
    for cut in range(0, len(data.rstrip(b"\0")) + 1, 256):
        refused(root, data[:cut])
    for cut in range(0, len(gzip.compress(data)), 7):
        refused(root, gzip.compress(data)[:cut])


def test_flipped_bits_are_noticed_or_change_nothing(root):
    layers = [tar(*BASE)]
    for data in (layouts.pack(layouts.docker_files(layers)), layouts.pack(layouts.oci_files(layers))):
        loaded(root, data)
        image, = worker.Store(root).images()
        tree = without_implied(describe(worker.Store(root).layers(image)[0]), layers[0])
        choose = random.Random(2)
        for _ in range(60):
            with tempfile.TemporaryDirectory(dir=root.parent) as other:
                flipped = bytearray(data)
                flipped[choose.randrange(len(data))] ^= 1 << choose.randrange(8)
                answer = worker.load(other, bytes(flipped))
                store = worker.Store(other)
                if answer.error:
                    assert store.left() == []
                    continue
                assert store.images() == [image]
                assert without_implied(describe(store.layers(image)[0]), layers[0]) == tree


def zeros_tar(size):
    """A tar of one file of zeros, piece by piece."""
    info = tarfile.TarInfo("zeros")
    info.size = size
    yield info.tobuf()
    for _ in range(size >> 20):
        yield b"\0" * (1 << 20)
    yield b"\0" * 1024


def test_bombs_are_stopped(root):
    if not ZSTD:
        pytest.skip("zstd is not installed")
    for command in ([ZSTD, "-qc"], ["xz", "-0c"]):
        packer = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        thread = worker.feed(type("Pipe", (), {"sendall": staticmethod(packer.stdin.write)}), zeros_tar(400 << 20))
        threading.Thread(target=lambda: (thread.join(), packer.stdin.close())).start()
        bomb = packer.stdout.read()
        packer.wait()
        assert len(bomb) < 100 << 10
        assert "more than 1000 times" in refused(root, bomb)
        assert "more than 1000 times" in not_loaded(root, bomb)


def test_nested_compression_is_not_unwrapped(root):
    assert "unrecognized" in refused(root, gzip.compress(gzip.compress(tar(*BASE)))).lower()


def test_many_entries_are_stopped(root):
    """The outer archive of a load has a limit that no real one comes near."""
    data = layouts.pack({f"f{n}": b"" for n in range(20001)})
    assert "more than 20000 entries" in not_loaded(root, data)


# ---- things that end in the middle

def test_a_full_disk(tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=6m", "tare-test", disk], check=True)
    try:
        noise = random.Random(3).randbytes(3 << 20)
        loaded(disk, layouts.pack(layouts.docker_files([tar(*BASE)])))
        before = os.statvfs(disk).f_bavail
        for size in (1, 2, 3):
            layers = [tar(entry("noise", data=noise[:size << 20])), tar(entry("more", data=noise[::-1]))]
            for data in (layouts.pack(layouts.docker_files(layers, ("full:1",))), layouts.pack(layouts.oci_files(layers, "full:1"))):
                error = worker.load(disk, data).error
                assert "no space left on device" in error, error
                assert abs(os.statvfs(disk).f_bavail - before) <= 16
                assert os.listdir(disk / "tmp") == os.listdir(disk / "trash") == []
        error = worker.import_root(disk, tar(entry("noise", data=noise * 2))).error
        assert "no space left on device" in error
        loaded(disk, layouts.pack(layouts.docker_files([tar(*BASE), tar(entry("small"))], ("after:1",))))
    finally:
        subprocess.run(["umount", disk], check=True)


def request(data, kind="load"):
    return {"method": "POST", "api_minor": 50, "body": worker.body_of(data), "kind": kind, kind: {}}


@pytest.mark.parametrize("kind", ["load", "import"])
def test_a_client_that_goes_away(root, kind):
    data = images.busybox().read_bytes() if kind == "load" else images.busybox_root().read_bytes()
    for cut in (0, 100, 100_000, 1_000_000):
        process = worker.Worker(root)
        connection = process.handover(request(data, kind))
        connection.sendall(data[:cut])
        connection.close()
        _, status = process.end()
        assert status == 0
        assert worker.Store(root).left() == []


def test_an_upload_that_is_cut_gets_its_answer(root):
    data = images.busybox().read_bytes()
    process = worker.Worker(root)
    connection = process.handover(request(data))
    connection.sendall(data[:500_000])
    connection.shutdown(1)
    answer = worker.Answer(worker.read_all(connection), *process.end())
    assert answer.status == 200 and "cut off" in answer.messages[-1]["errorDetail"]["message"]
    assert worker.Store(root).left() == []


@pytest.mark.parametrize("tcp", [False, True])
def test_an_upload_that_is_refused_in_the_middle(root, tcp):
    """Much more is on its way when the answer is clear: the client, who may look for it only when all is sent, still gets it."""
    data = tar(entry("../x", data=b"x")) + b"\0" * (64 << 20)
    answer = worker.load(root, data, tcp=tcp)
    assert "outside" in answer.error and answer.send_error is None


def test_killed_at_any_moment(root):
    """SIGKILL at growing distances from the start; an engine's start clears what is left, and the next load works."""
    layers = [tar(entry(f"f{n}", data=random.Random(n).randbytes(300_000))) for n in range(3)]
    data = layouts.pack(layouts.docker_files(layers))
    start = time.monotonic()
    loaded(root, data)
    whole = time.monotonic() - start
    steps = 12
    for step in range(steps):
        shutil.rmtree(root)
        root.mkdir()
        process = worker.Worker(root)
        connection = process.handover(request(data))
        worker.feed(connection, data).join(whole * step / steps)
        time.sleep(whole * step / steps)
        process.process.send_signal(signal.SIGKILL)
        process.end()
        connection.close()
        worker.sweep(root)
        store = worker.Store(root)
        assert os.listdir(root / "tmp") == os.listdir(root / "trash") == [] and not store.query("SELECT * FROM leases")
        assert len(os.listdir(root / "layers")) == len(os.listdir(root / "blobs/sha256")) == 3 * len(store.images())
    loaded(root, data)


def runs(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_children_die_with_the_worker(root):
    process, connection = half_fed(root)
    children = children_of(process.process.pid)
    assert children
    for pid in children:  # so that it is not the end of its pipe that ends it
        os.kill(pid, signal.SIGSTOP)
    process.process.kill()
    process.end()
    connection.close()
    wait_for(lambda: not any(map(runs, children)), "the children's end")


def test_two_at_once_unpack_once(root):
    layers = [tar(entry("f", data=random.Random(5).randbytes(3 << 20)))]
    archives = [layouts.pack(layouts.docker_files(layers, [f"t:{n}"])) for n in range(4)]
    workers = [worker.Worker(root) for _ in archives]
    connections = [process.handover(request(data)) for process, data in zip(workers, archives)]
    threads = [worker.feed(connection, data) for connection, data in zip(connections, archives)]
    answers = [worker.Answer(worker.read_all(connection), *process.end()) for connection, process in zip(connections, workers)]
    for thread in threads:
        thread.join()
    assert all(not answer.error for answer in answers), [answer.messages for answer in answers]
    # Of progress only the one that unpacked tells.
    assert sum(any("progressDetail" in message for message in answer.messages) for answer in answers) == 1
    assert len(os.listdir(root / "layers")) == 1 and len(worker.Store(root).names()) == 4
    assert os.listdir(root / "tmp") == os.listdir(root / "trash") == []


def many_layers(count=7):
    return [tar(entry(f"f{i}", data=random.Random(i).randbytes(1 << 20))) for i in range(count)]


@pytest.mark.parametrize("form", [layouts.docker_files, layouts.oci_files])
def test_layers_at_once_one_of_them_twice(root, form):
    layers = many_layers()
    answer = loaded(root, layouts.pack(form([layers[0], *layers, layers[0], layers[3]])))
    assert len({message["id"] for message in answer.messages if "progressDetail" in message}) == len(layers)
    assert len(os.listdir(root / "layers")) == len(os.listdir(root / "blobs/sha256")) == len(layers)
    folders = worker.Store(root).layers(next(iter(worker.Store(root).images())))
    assert [os.listdir(folder) for folder in folders] == [[f"f{i}"] for i in (0, *range(len(layers)), 0, 3)]
    assert os.listdir(root / "tmp") == []


@pytest.mark.parametrize("form", [layouts.docker_files, layouts.oci_files])
def test_layers_at_once_one_of_them_bad(root, form):
    layers = many_layers()
    files = form(layers)
    name = next(name for name, data in files.items() if layers[4] in (data, data[:2] == b"\x1f\x8b" and gzip.decompress(data)))
    files[name] = files[name][:-2000] + b"x" + files[name][-1999:]
    assert "corrupt" in not_loaded(root, layouts.pack(files))


def test_jobs_are_spread(root):
    """Where the file system can be told to (see store.c)."""
    loaded(root, layouts.pack(layouts.docker_files(many_layers(1))))
    kind = subprocess.check_output(["stat", "-f", "-c", "%T", root], text=True).strip()
    if kind != "ext2/ext3":
        pytest.skip(f"not ext4 but {kind}")
    assert "T" in subprocess.check_output(["lsattr", "-d", root / "tmp"], text=True).split()[0]
    assert "T" not in subprocess.check_output(["lsattr", "-d", *(root / "layers").iterdir()], text=True).split()[0]


# ---- the children

SANITIZED = "asan" in os.environ.get("TARE_BUILD", "")  # a sanitizer's runtime makes calls of its own: no filter then
SHUT_IN = "NoNewPrivs:\t1" if SANITIZED else "Seccomp:\t2"


def children_of(pid):
    return [int(child) for child in pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def half_fed(root):
    """A worker whose unpacking child waits for more."""
    data = images.busybox().read_bytes()
    process = worker.Worker(root)
    connection = process.handover(request(data))
    connection.sendall(data[:300_000])
    deadline = time.monotonic() + 30
    while True:
        children = children_of(process.process.pid)
        if children and SHUT_IN in pathlib.Path(f"/proc/{children[0]}/status").read_text():
            return process, connection
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.skipif(SANITIZED, reason="has no system call filter")
def test_the_unpacking_child_is_shut_in(root):
    process, connection = half_fed(root)
    child = pathlib.Path("/proc", str(children_of(process.process.pid)[0]))
    status = dict(line.split(":\t") for line in (child / "status").read_text().splitlines() if ":\t" in line)
    # CHOWN, DAC_OVERRIDE, FOWNER, FSETID, MKNOD, SETFCAP
    allowed = 1 << 0 | 1 << 1 | 1 << 3 | 1 << 4 | 1 << 27 | 1 << 31
    assert {name: int(status[name], 16) for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")} == \
        {"CapInh": 0, "CapPrm": allowed, "CapEff": allowed, "CapBnd": allowed, "CapAmb": 0}
    assert status["NoNewPrivs"] == "1" and status["Seccomp"] == "2"
    for namespace in ("mnt", "pid", "ipc", "uts"):
        assert os.readlink(child / "ns" / namespace) != os.readlink(f"/proc/self/ns/{namespace}")
    assert os.path.samefile(child / "root", next((root / "tmp").glob("job-*/archive")))
    # A pipe, the report, and in 3 and above its own root and folders alone.
    for descriptor in (child / "fd").iterdir():
        target = os.readlink(descriptor)
        assert target.startswith(("pipe:", "/memfd:", "/dev/null", "/")) and "socket" not in target and "store.db" not in target
        if int(descriptor.name) > 2:
            assert os.path.isdir(descriptor) or "archive" in target or target.startswith("/")
    mounts = (child / "mountinfo").read_text().splitlines()
    assert len(mounts) == 1 and all(option in mounts[0] for option in ("nosuid", "nodev", "noexec"))
    connection.close()
    process.end()


# ---- import

def test_import_makes_an_image(root):
    data = tar(*BASE)
    answer = worker.import_root(root, data, repo="host:5000/a/b", tag="v1", message="from tests",
                                changes=["CMD [\"a\"]", "ENV A=b", "EXPOSE 80", "LABEL x=y", "USER u", "VOLUME /v", "WORKDIR /w",
                                         "STOPSIGNAL SIGINT", "ENTRYPOINT [\"e\"]", "HEALTHCHECK NONE", "ONBUILD RUN x"])
    image = answer.messages[-1]["status"]
    store = worker.Store(root)
    assert store.names() == {"host:5000/a/b:v1": image}
    (text,), = store.query("SELECT config FROM images")
    assert layouts.digest(text if isinstance(text, bytes) else text.encode()) == image
    config = json.loads(text)
    assert config["rootfs"] == {"type": "layers", "diff_ids": [layouts.digest(data)]} and config["os"] == "linux"
    assert config["history"][0]["comment"] == config["comment"] == "from tests"
    run = config["config"]
    assert (run["Cmd"], run["Env"], run["Labels"], run["User"], run["WorkingDir"]) == (["a"], ["A=b"], {"x": "y"}, "u", "/w")
    assert run["ExposedPorts"] == {"80/tcp": {}} and run["Volumes"] == {"/v": {}} and run["Healthcheck"]["Test"] == ["NONE"]
    assert [event["type"] for event in answer.events] == ["import"]


@pytest.mark.parametrize("pack", [gzip.compress, lzma.compress, bz2.compress, zstd], ids=lambda f: f.__name__)
def test_compressed_imports_are_the_same_layer(root, pack):
    if pack is zstd and not ZSTD:
        pytest.skip("zstd is not installed")
    data = tar(*BASE)
    packed = pack(data)  # once: gzip writes the time into it
    assert imported(root, packed).name == layouts.digest(data)[7:]
    (blob,), = worker.Store(root).query("SELECT digest FROM blobs")
    assert (root / "blobs/sha256" / blob[7:]).read_bytes() == packed
    imported(root, data)
    assert len(os.listdir(root / "layers")) == 1


def test_bad_imports(root):
    for parameters in ({"changes": ["RUN x"]}, {"changes": ["ENV"]}, {"repo": "Upper"}, {"repo": "a", "tag": "-"}, {"platform": "a/b/c/d"},
                       {"repo": "a@sha256:" + "0" * 64}):
        answer = worker.import_root(root, tar(*BASE), **parameters)
        assert answer.status == 400 and answer.error, (parameters, answer.messages)
        assert worker.Store(root).left() == []
    for data in (b"", b"x", b"x" * 5000, b"\0" * 100):
        refused(root, data)
        assert worker.import_root(root, data).status == 500
    # An archive of nothing is an image of nothing.
    assert names(imported(root, b"\0" * 10240)) == []


# ---- removal

def test_remove_empties_the_trash(root, canary):
    imported(root, tar(*BASE))
    deep = root / "trash/deep"
    deep.mkdir()
    fd = os.open(deep, os.O_RDONLY)
    for _ in range(300):
        os.mkdir("a folder with a rather long name", dir_fd=fd)
        os.symlink(canary, "link", dir_fd=fd)
        inner = os.open("a folder with a rather long name", os.O_RDONLY, dir_fd=fd)
        os.close(fd)
        fd = inner
    os.close(fd)
    (root / "trash/file").write_bytes(b"")
    assert worker.remove(root) == ([], 0)
    assert os.listdir(root / "trash") == [] and len(os.listdir(root / "layers")) == 1


def test_remove_does_not_cross_mounts(root, canary):
    worker.import_root(root, tar(*BASE))
    point = root / "trash/container/mounted"
    point.mkdir(parents=True)
    subprocess.run(["mount", "--bind", canary, point], check=True)
    try:
        _, status = worker.remove(root)
        assert status == 0 and point.is_dir()
    finally:
        subprocess.run(["umount", point], check=True)
    worker.remove(root)
    assert os.listdir(root / "trash") == []


def test_what_a_worker_does_not_know(root):
    for message in ({"op": "job", "kind": "other", "id": 1}, {"op": "other", "id": 1}, {"op": "handover", "id": 1, "request": {}},
                    {"op": "handover", "id": 1, "request": {"kind": "load", "load": {}}}):
        process = worker.Worker(root)
        process.send(message)
        assert process.receive()["op"] == "error"
        assert process.end()[1] == 1
    process = worker.Worker(root)
    process.channel.shutdown(2)
    assert process.process.wait() == 0
    process.process.stderr.close()
