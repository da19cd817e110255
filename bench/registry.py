"""The rows of registries: pulls from Debian's docker-registry on loopback, pushes to an empty one, and what a pull of ours needs of memory."""
import gzip
import hashlib
import json
import os
import pathlib
import threading
import time

from harness import images as test_images
from harness.distribution import Registry
from images import LAYERS, layers
from memory import verdict
from rows import Row, Target

OCI = "application/vnd.oci.image."
PEAK_MB = 64


def write_layout(folder):
    """The image of bench/images.py, compressed as most are, in an OCI layout."""
    blobs = folder / "blobs/sha256"
    blobs.mkdir(parents=True)

    def blob(data, kind):
        digest = hashlib.sha256(data).hexdigest()
        (blobs / digest).write_bytes(data)
        return {"mediaType": f"{OCI}{kind}", "digest": f"sha256:{digest}", "size": len(data)}
    diff_ids, made, plain = [], [], 0
    for layer in layers():
        plain += len(layer)
        diff_ids.append("sha256:" + hashlib.sha256(layer).hexdigest())
        made.append(blob(gzip.compress(layer, 6, mtime=0), "layer.v1.tar+gzip"))
    config = blob(json.dumps({"architecture": "amd64", "os": "linux", "config": {"Cmd": ["true"]},
                              "rootfs": {"type": "layers", "diff_ids": diff_ids}}).encode(), "config.v1+json")
    manifest = blob(json.dumps({"schemaVersion": 2, "mediaType": f"{OCI}manifest.v1+json", "config": config, "layers": made}).encode(), "manifest.v1+json")
    (folder / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
    (folder / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [
        {**manifest, "annotations": {"org.opencontainers.image.ref.name": "x"}}]}))
    return plain


def plain_http(one):
    return ["--tls-verify=false"] if one.name.startswith("podman") else []


def pull(one, name):
    def go():
        taken = one.ms("pull", "-q", *plain_http(one), name)
        one.cli("rmi", name)
        return taken
    return go


def push(one, name, folder):
    """What was just pulled, to a registry that has nothing of it."""
    def go():
        empty = Registry(folder).start()
        target = f"{empty.host}/bench/pushed:1"
        try:
            one.cli("pull", "-q", *plain_http(one), name)
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


def rows(context):
    if context.storage != "tmpfs":
        return
    registry = Registry(context.work / "registry").start()
    layout = context.work / "layout"
    try:
        size = write_layout(layout) / 1e9
        for what, source, factor in ((f"{size:.2f} GB in {LAYERS} gzip layers", f"oci:{layout}:x", 4),
                                     ("a Debian minbase", f"oci-archive:{test_images.debian('oci-archive')}", 2.5)):
            path = f"bench/{what.split()[-1]}:1"
            name = f"{registry.host}/{path}"
            registry.fill(source, path)
            yield Row(f"pull of {what}", {one.name: pull(one, name) for one in context.engines}, [Target(1 / factor, "docker")], rounds=3)
            with Peak() as peak:
                pull(context.engines[0], name)()
            verdict("a pull's memory, all of its processes at once, PSS", peak.kb >> 10, "MB", PEAK_MB)
            if source.startswith("oci:"):
                pushes = {one.name: push(one, name, context.work / "empty") for one in context.engines}
                yield Row("push of the same", pushes, [Target(1 / 5, "docker")], rounds=1)
    finally:
        registry.stop()
