"""Images made by others' tools. The busybox one is packed by skopeo from a hand-made OCI layout; the Debian one is
mmdebstrap's. Both are kept in the build folder between runs."""
import contextlib
import gzip
import hashlib
import io
import json
import os
import pathlib
import shutil
import subprocess
import tarfile
import tempfile

from .engine import BUILD

CACHE = BUILD / "test-images"


def busybox_program():
    return shutil.which("busybox", path="/bin:/usr/bin")


@contextlib.contextmanager
def becoming(path):
    """A name for what is being made; it becomes `path` when it is whole. Another run may be making the same."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=CACHE) as folder:
        yield pathlib.Path(folder) / path.name
        os.rename(pathlib.Path(folder) / path.name, path)


def busybox_root():
    """A root tar: static busybox, its applets, a few accounts."""
    path = CACHE / "busybox-root.tar"
    if path.exists():
        return path
    applets = subprocess.check_output([busybox_program(), "--list"], text=True).split()
    with becoming(path) as made, tarfile.open(made, "w") as tar:
        def folder(name, mode=0o755):
            info = tarfile.TarInfo(name)
            info.type, info.mode = tarfile.DIRTYPE, mode
            tar.addfile(info)

        def file(name, data, mode=0o644):
            info = tarfile.TarInfo(name)
            info.size, info.mode = len(data), mode
            tar.addfile(info, io.BytesIO(data))
        for name in ("bin", "etc", "root", "var", "home"):
            folder(name)
        folder("tmp", 0o1777)
        file("bin/busybox", pathlib.Path(busybox_program()).read_bytes(), 0o755)
        file("etc/passwd", b"root:x:0:0:root:/root:/bin/sh\nuser:x:1000:1000::/home:/bin/sh\n")
        file("etc/group", b"root:x:0:\nuser:x:1000:\nextra:x:2000:user\n")
        for applet in applets:
            if applet != "busybox":
                info = tarfile.TarInfo(f"bin/{applet}")
                info.type, info.linkname = tarfile.SYMTYPE, "busybox"
                tar.addfile(info)
    return path


def oci_layout(folder, root_tar, reference, config=None):
    """A one-layer OCI layout around a root tar, as the specification has it."""
    blobs = pathlib.Path(folder) / "blobs/sha256"
    blobs.mkdir(parents=True)

    def blob(data):
        digest = hashlib.sha256(data).hexdigest()
        (blobs / digest).write_bytes(data)
        return {"digest": f"sha256:{digest}", "size": len(data)}
    plain = pathlib.Path(root_tar).read_bytes()
    layer = blob(gzip.compress(plain, 1, mtime=0))
    image = {"architecture": "amd64", "os": "linux", "created": "2026-01-01T00:00:00Z", "config": config or {},
             "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(plain).hexdigest()}"]},
             "history": [{"created": "2026-01-01T00:00:00Z", "created_by": "tests"}]}
    manifest = {"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
                "config": {"mediaType": "application/vnd.oci.image.config.v1+json", **blob(json.dumps(image).encode())},
                "layers": [{"mediaType": "application/vnd.oci.image.layer.v1.tar+gzip", **layer}]}
    entry = {"mediaType": manifest["mediaType"], **blob(json.dumps(manifest).encode()),
             "annotations": {"org.opencontainers.image.ref.name": reference}}
    (pathlib.Path(folder) / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
    (pathlib.Path(folder) / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [entry]}))


def packed(name, root_tar, reference, kind, config=None):
    """`kind`: docker-archive or oci-archive, packed by skopeo."""
    path = CACHE / f"{name}.{kind}.tar"
    if path.exists():
        return path
    with becoming(path) as made:
        layout = made.parent / "layout"
        oci_layout(layout, root_tar, "packed", config)
        subprocess.run(["skopeo", "copy", "--insecure-policy", "-q", f"oci:{layout}:packed", f"{kind}:{made}:{reference}"], check=True)
    return path


def busybox(kind="docker-archive"):
    return packed("busybox", busybox_root(), "busybox:latest", kind, {"Cmd": ["sh"], "Env": ["PATH=/bin"]})


def debian_root(name="debian", *options):
    path = CACHE / f"{name}-root.tar"
    if not path.exists():
        with becoming(path) as made:
            subprocess.run(["mmdebstrap", "--quiet", "--variant=minbase", "--mode=root", *options, "bookworm", made], check=True)
    return path


def system_root():
    """With an init system, nothing about it changed."""
    return debian_root("system", "--include=systemd-sysv,dbus")


def debian(kind="docker-archive"):
    return packed("debian", debian_root(), "debian:12", kind,
                  {"Cmd": ["bash"], "Env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"]})
