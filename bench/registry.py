"""The rows of registries: pulls from Debian's docker-registry on loopback, pushes to an empty one, and what a pull of ours needs of memory."""
import hashlib
import json
import os
import pathlib
import shutil
import threading
import time

from harness import images as test_images
from harness.distribution import Registry
from images import LAYERS, NAME, layers, sha256, write_archive
from memory import verdict
from rows import Row, Target

OCI = "application/vnd.oci.image."
PEAK_MB = 64


def write_layout(folder):
    """The image of bench/images.py, compressed, in an OCI layout. Returns the size of its plain layers."""
    blobs = folder / "blobs/sha256"
    blobs.mkdir(parents=True)

    def described(digest, size, kind):
        return {"mediaType": f"{OCI}{kind}", "digest": f"sha256:{digest}", "size": size}

    def document(value, kind):
        data = json.dumps(value).encode()
        digest = hashlib.sha256(data).hexdigest()
        (blobs / digest).write_bytes(data)
        return described(digest, len(data), kind)

    def layer(path):
        digest = sha256(path)
        shutil.copy(path, blobs / digest)
        return described(digest, os.path.getsize(path), "layer.v1.tar+gzip")
    files = layers()
    config = document({"architecture": "amd64", "os": "linux", "config": {"Cmd": ["true"]},
                       "rootfs": {"type": "layers", "diff_ids": [f"sha256:{sha256(plain)}" for plain, _ in files]}}, "config.v1+json")
    manifest = document({"schemaVersion": 2, "mediaType": f"{OCI}manifest.v1+json", "config": config,
                         "layers": [layer(packed) for _, packed in files]}, "manifest.v1+json")
    (folder / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
    (folder / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [
        {**manifest, "annotations": {"org.opencontainers.image.ref.name": "x"}}]}))
    return sum(os.path.getsize(plain) for plain, _ in files)


def plain_http(one):
    return ["--tls-verify=false"] if one.name.startswith("podman") else []


def pull(one, name):
    def go():
        taken = one.ms("pull", "-q", *plain_http(one), name)
        one.cli("rmi", name)
        return taken
    return go


def push(one, folder, have, name):
    """What `have` brings as `name`, to a registry that has nothing of it."""
    def go():
        empty = Registry(folder).start()
        target = f"{empty.host}/bench/pushed:1"
        try:
            have(one)
            one.cli("tag", name, target)
            taken = one.ms("push", "-q", *plain_http(one), target)
            one.cli("rmi", name, target)
            return taken
        finally:
            empty.stop()
    return go


class Peak:
    """Of tare-transfer and all that it forks: what they had at once, each page counted once (PSS), in kB."""

    def __enter__(self):
        self.kb, self.over = 0, False
        self.thread = threading.Thread(target=self.watch)
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.over = True
        self.thread.join()

    def watch(self):
        while not self.over:
            self.kb = max(self.kb, sum(map(self.pss, filter(str.isdigit, os.listdir("/proc")))))
            time.sleep(0.005)

    @staticmethod
    def pss(pid):
        try:
            if "tare-transfer" not in pathlib.Path("/proc", pid, "cmdline").read_text().partition("\0")[0]:
                return 0
            lines = pathlib.Path("/proc", pid, "smaps_rollup").read_text().splitlines()
            return next(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
        except OSError:
            return 0


def pushes(context, have, name):
    return {one.name: push(one, context.work / "empty", have, name) for one in context.engines}


def loaded(context):
    """The large image as it is after a build or a load: its layers plain."""
    name = f"push of {sum(os.path.getsize(plain) for plain, _ in layers()) / 1e9:.2f} GB in {LAYERS} plain layers"
    if not context.wants(name):
        return
    archive = write_archive(context.work / "plain.tar", "plain")
    yield Row(name,
              pushes(context, lambda one: one.cli("load", "-q", "-i", archive), NAME), [Target(1 / 5, "docker")], rounds=1)
    os.unlink(archive)


def pulled(context, registry, what, source, factor, push_rounds):
    if not context.wants(f"pull of {what}") and not context.wants(f"push of {what}"):
        return
    path = f"bench/{what.split()[-1]}:1"
    name = f"{registry.host}/{path}"
    registry.fill(source, path)
    yield Row(f"pull of {what}", {one.name: pull(one, name) for one in context.engines}, [Target(1 / factor, "docker")], rounds=3)
    with Peak() as peak:
        pull(context.engines[0], name)()
    verdict(f"a pull of {what}: memory of all of its processes at once, PSS", peak.kb >> 10, "MB", PEAK_MB)
    yield Row(f"push of {what}", pushes(context, lambda one: one.cli("pull", "-q", *plain_http(one), name), name),
              [Target(1 / 5, "docker")], rounds=push_rounds)


def rows(context):
    if context.storage != "tmpfs":
        return
    registry = Registry(context.work / "registry").start()
    layout = context.work / "layout"
    try:
        size = write_layout(layout) / 1e9
        yield from pulled(context, registry, f"{size:.2f} GB in {LAYERS} gzip layers", f"oci:{layout}:x", 4, 1)
        yield from pulled(context, registry, "a Debian minbase", f"oci-archive:{test_images.debian('oci-archive')}", 2.5, 3)
        yield from loaded(context)
    finally:
        registry.stop()
