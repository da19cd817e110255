"""Tars made entry by entry, and trees described so that two can be compared."""
import hashlib
import io
import os
import stat
import tarfile


def entry(name, kind=tarfile.REGTYPE, data=b"", **fields):
    """A TarInfo and its data. `fields` are TarInfo's; `xattrs` becomes PAX records."""
    info = tarfile.TarInfo(name)
    info.type, info.size = kind, len(data)
    info.mode = 0o755 if kind == tarfile.DIRTYPE else 0o644
    for key, value in fields.pop("xattrs", {}).items():
        info.pax_headers[f"SCHILY.xattr.{key}"] = value
    for key, value in fields.items():
        setattr(info, key, value)
    return info, data


def folder(name, **fields):
    return entry(name, tarfile.DIRTYPE, **fields)


def symlink(name, target, **fields):
    return entry(name, tarfile.SYMTYPE, linkname=target, **fields)


def hardlink(name, target, **fields):
    return entry(name, tarfile.LNKTYPE, linkname=target, **fields)


def device(name, kind, major, minor, **fields):
    return entry(name, kind, devmajor=major, devminor=minor, **fields)


def tar(*entries, format=tarfile.PAX_FORMAT):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=format) as archive:
        for info, data in entries:
            archive.addfile(info, io.BytesIO(data) if data else None)
    return out.getvalue()


def xattrs(path):
    try:
        return {name: os.getxattr(path, name, follow_symlinks=False)
                for name in os.listxattr(path, follow_symlinks=False)}
    except OSError:
        return {}


def content(path, status):
    if stat.S_ISREG(status.st_mode):
        with open(path, "rb") as file:
            return hashlib.sha256(file.read()).hexdigest()
    if stat.S_ISLNK(status.st_mode):
        return os.readlink(path)
    if stat.S_ISCHR(status.st_mode) or stat.S_ISBLK(status.st_mode):
        return status.st_rdev
    return None


def describe(root, times=True):
    """path -> everything that has to be the same; hard links are numbered by their first path."""
    found, inodes = {}, {}
    for base, folders, files in os.walk(root):
        for name in [""] * (base == str(root)) + sorted(folders + files):
            path = os.path.join(base, name) if name else base
            status = os.lstat(path)
            relative = os.path.relpath(path, root)
            first = inodes.setdefault(status.st_ino, relative)
            found[relative] = (oct(status.st_mode), status.st_uid, status.st_gid, content(path, status), xattrs(path),
                               first if not stat.S_ISDIR(status.st_mode) else None,
                               status.st_mtime_ns if times else None)
    return found


def difference(one, two):
    return {path: (one.get(path), two.get(path)) for path in one.keys() | two.keys() if one.get(path) != two.get(path)}


def names(root):
    """Sorted paths below the root; folders end in "/"."""
    found = []
    for base, folders, files in os.walk(root):
        found += [os.path.relpath(os.path.join(base, name), root) + "/" for name in folders
                  if not os.path.islink(os.path.join(base, name))]
        found += [os.path.relpath(os.path.join(base, name), root) for name in
                  files + [name for name in folders if os.path.islink(os.path.join(base, name))]]
    return sorted(found)
