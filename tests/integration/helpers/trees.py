"""Tars made entry by entry, and trees described so that two can be compared."""
import hashlib
import io
import os
import stat
import subprocess
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


def rich_entries():
    """One of everything that a layer may hold and that tar can restore."""
    when = 1_600_000_000.123456
    return [
        folder("./", mode=0o750, uid=7, gid=8, mtime=when),
        folder("usr", mtime=1), folder("usr/bin", mode=0o2755, gid=42, mtime=2),
        entry("usr/bin/su", data=b"#!", mode=0o4755, uid=0, gid=5, mtime=3),
        entry("usr/bin/odd", data=b"x" * 70000, mode=0o6711, uid=1000, gid=1001, mtime=when),
        entry("usr/bin/cap", data=b"c", mode=0o755, uid=33,
              xattrs={"security.capability": "\x01\x00\x00\x02\x00\x04\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"}),
        entry("none", data=b"", mode=0, mtime=5),
        entry("user", data=b"u", xattrs={"user.note": "hello", "user.empty": ""}),
        hardlink("second", "usr/bin/odd"), hardlink("usr/third", "second"),
        symlink("bin", "usr/bin", uid=3, mtime=6), symlink("absolute", "/usr/bin/odd", mtime=7),
        symlink("dangling", "../../../nowhere", mtime=8), hardlink("link to a link", "dangling"),
        entry("bin/through", data=b"written through the link", mtime=9),
        folder("tmp", mode=0o1777, mtime=10), folder("closed", mode=0, mtime=11), entry("closed/inside", data=b"i", mtime=12),
        entry("grüße/" + "ä" * 100, data=b"utf-8", mtime=13), entry("l" * 255, data=b"long", mtime=14),
        entry("/".join(["deep"] * 60) + "/file", data=b"d", mtime=15),
        entry("big id", data=b"b", uid=4294967294, gid=3000000000), entry("new\nline", data=b"n", mtime=16),
        device("dev/null", tarfile.CHRTYPE, 1, 3, mode=0o666, mtime=17), device("dev/sda", tarfile.BLKTYPE, 8, 0, mtime=18),
        entry("fifo", tarfile.FIFOTYPE, mode=0o622, mtime=19),
    ]


def by_tar(data, where):
    """The same by GNU tar. Folders that no entry names are made by whoever needs them: their times are nobody's."""
    where.mkdir()
    os.chmod(where, 0o755)
    subprocess.run(["tar", "-x", "-p", "--numeric-owner", "--same-owner", "--xattrs", "--xattrs-include=*", "--delay-directory-restore",
                    "-C", where], input=data, check=True)
    return where


def without_implied(description, data):
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        named = {os.path.normpath(name) for name in archive.getnames()}
    return {path: value if path in named else value[:-1] for path, value in description.items()}
