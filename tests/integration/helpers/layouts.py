"""Image archives made by hand, so that each part can be made wrong."""
import gzip
import hashlib
import io
import json
import tarfile


def digest(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


def pack(files):
    """A tar of name -> bytes, or name -> ("symlink", target)."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            if isinstance(data, tuple):
                info.type, info.linkname, data = tarfile.SYMTYPE, data[1], b""
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return out.getvalue()


def config_of(layers, **members):
    return {"architecture": "amd64", "os": "linux", "created": "2026-01-01T00:00:00Z", "config": {"Env": ["A=b"]},
            "rootfs": {"type": "layers", "diff_ids": [digest(layer) for layer in layers]},
            "history": [{"created_by": "tests"} for _ in layers], **members}


def docker_files(layers, tags=("t:1",), config=None):
    """The files of a docker-archive in `docker save`'s older form."""
    config = json.dumps(config or config_of(layers)).encode()
    name = digest(config)[7:] + ".json"
    files = {name: config}
    paths = []
    for index, layer in enumerate(layers):
        paths.append(f"{index:064x}/layer.tar")
        files[paths[-1]] = layer
    files["manifest.json"] = json.dumps([{"Config": name, "RepoTags": list(tags), "Layers": paths}]).encode()
    return files


def oci_files(layers, name="t:1", compress=gzip.compress, suffix="+gzip", config=None):
    files = {"oci-layout": b'{"imageLayoutVersion":"1.0.0"}'}

    def blob(data, media_type):
        files["blobs/sha256/" + digest(data)[7:]] = data
        return {"mediaType": "application/vnd.oci.image." + media_type, "digest": digest(data), "size": len(data)}
    manifest = {"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
                "config": blob(json.dumps(config or config_of(layers)).encode(), "config.v1+json"),
                "layers": [blob(compress(layer), "layer.v1.tar" + suffix) for layer in layers]}
    entry = blob(json.dumps(manifest).encode(), "manifest.v1+json")
    if name:
        entry["annotations"] = {"org.opencontainers.image.ref.name": name}
    files["index.json"] = json.dumps({"schemaVersion": 2, "manifests": [entry]}).encode()
    return files
