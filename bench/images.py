"""The rows of images: load and save of one of about 1.1 GB in five layers, files of this machine's /usr."""
import gzip
import hashlib
import io
import json
import os
import tarfile

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
    files = usr_files()
    for _ in range(LAYERS):
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode="w") as archive:
            while out.tell() < LAYER_BYTES:
                archive.add(next(files), recursive=False)
        yield out.getvalue()


def add(archive, name, data):
    info = tarfile.TarInfo(name)
    info.size = len(data)
    archive.addfile(info, io.BytesIO(data))


def write_archive(path, pack):
    """As `docker save` of old has it; each layer as `pack` makes it."""
    diff_ids, paths = [], []
    with tarfile.open(path, "w") as archive:
        for layer in layers():
            diff_ids.append("sha256:" + hashlib.sha256(layer).hexdigest())
            paths.append(f"{diff_ids[-1][7:]}/layer.tar")
            add(archive, paths[-1], pack(layer))
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


def save(one, archive, path):
    def go():
        taken = one.ms("save", "-o", path, NAME)
        os.unlink(path)
        return taken
    one.cli("load", "-q", "-i", archive)
    return go


def rows(context):
    for kind, pack in (("plain", bytes), ("gzip", lambda layer: gzip.compress(layer, 1, mtime=0))):
        archive = write_archive(context.work / f"large-{kind}.tar", pack)
        size = os.path.getsize(archive) / 1e9
        yield Row(f"load of {size:.2f} GB in {LAYERS} {kind} layers", {one.name: load(one, archive) for one in context.engines},
                  [Target(1 / 3, "docker")], rounds=3)
        yield Row(f"save of the same", {one.name: save(one, archive, context.work / f"saved-{i}") for i, one in enumerate(context.engines)},
                  [Target(1 / 3, "docker")], rounds=3)
        for one in context.engines:
            one.cli("rmi", NAME)
        os.unlink(archive)
