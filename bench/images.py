"""The rows of images: load and save of one of about 1.1 GB in five layers, files of this machine's /usr.

Its layers are made once and kept in the build folder: compressing them takes a minute.
"""
import hashlib
import io
import json
import os
import subprocess
import tarfile

from harness.images import CACHE
from rows import Row, Target

LAYERS, LAYER_BYTES = 5, 220 << 20
NAME = "bench/large:1"


def usr_files():
    """Regular files and links below /usr, the same in the same order each time on one machine."""
    for base, folders, files in os.walk("/usr"):
        folders.sort()
        for name in sorted(files):
            path = os.path.join(base, name)
            if os.path.islink(path) or (os.path.isfile(path) and os.access(path, os.R_OK)):
                yield path


def layers():
    """[(plain tar, the same compressed as most images are)], files."""
    folder = CACHE / "bench-layers"
    made = [(folder / f"{i}.tar", folder / f"{i}.tar.gz") for i in range(LAYERS)]
    if made[-1][1].exists():
        return made
    folder.mkdir(parents=True, exist_ok=True)
    files = usr_files()
    for plain, packed in made:
        with tarfile.open(plain, "w") as archive:
            while archive.offset < LAYER_BYTES:
                archive.add(next(files), recursive=False)
        subprocess.run(["gzip", "-nkf6", plain], check=True)
    return made


def sha256(path):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def add(archive, name, data):
    info = tarfile.TarInfo(name)
    info.size = len(data)
    archive.addfile(info, io.BytesIO(data))


def write_archive(path, kind):
    """As `docker save` of old has it, its layers of a kind: plain or gzip."""
    diff_ids, paths = [], []
    with tarfile.open(path, "w") as archive:
        for plain, packed in layers():
            diff_ids.append("sha256:" + sha256(plain))
            paths.append(f"{diff_ids[-1][7:]}/layer.tar")
            archive.add(packed if kind == "gzip" else plain, paths[-1])
        config = json.dumps({"architecture": "amd64", "os": "linux", "created": "2026-01-01T00:00:00Z", "config": {"Cmd": ["true"]},
                             "rootfs": {"type": "layers", "diff_ids": diff_ids}, "history": [{"created_by": "bench"}] * len(diff_ids)}).encode()
        name = hashlib.sha256(config).hexdigest() + ".json"
        add(archive, name, config)
        add(archive, "manifest.json", json.dumps([{"Config": name, "RepoTags": [NAME], "Layers": paths}]).encode())
    return path


def load(one, archive):
    def go():
        taken = one.ms("load", "-q", "-i", archive)
        one.cli("rmi", NAME)
        return taken
    return go


def save(one, path):
    def go():
        taken = one.ms("save", "-o", path, NAME)
        os.unlink(path)
        return taken
    return go


def rows(context):
    for kind in ("plain", "gzip"):
        size = sum(os.path.getsize(packed if kind == "gzip" else plain) for plain, packed in layers())
        what = f"{size / 1e9:.2f} GB in {LAYERS} {kind} layers"
        if not context.wants(f"load of {what}") and not context.wants(f"save of {what}"):
            continue
        archive = write_archive(context.work / f"large-{kind}.tar", kind)
        yield Row(f"load of {what}", {one.name: load(one, archive) for one in context.engines}, [Target(1 / 3, "docker")], rounds=3)
        for one in context.engines:
            one.cli("load", "-q", "-i", archive)
        os.unlink(archive)
        yield Row(f"save of {what}", {one.name: save(one, context.work / f"saved-{i}") for i, one in enumerate(context.engines)},
                  [Target(1 / 3, "docker")], rounds=3)
        for one in context.engines:
            one.cli("rmi", NAME)
