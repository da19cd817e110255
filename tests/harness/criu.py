"""Whether there is a CRIU here that works on this kernel: `criu check` decides. One in a folder of its own is found by PATH."""
import functools
import pathlib
import shutil
import subprocess

import pytest


def says_yes(*arguments):
    return subprocess.run(["criu", "check", *arguments], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                          check=False).returncode == 0


@functools.cache
def missing():
    if not shutil.which("criu"):
        return "no criu here"
    return None if says_yes() else "this criu does not work on this kernel"


def folder():
    """Of one that is not the system's: with all that it needs, so it can be shown to a container at the same place."""
    found = pathlib.Path(shutil.which("criu") or "/usr/sbin/criu").resolve().parent
    return None if missing() or found.is_relative_to("/usr") else found.parent


needed = pytest.mark.skipif(missing() is not None, reason=missing() or "")


def needs_feature(name):
    return pytest.mark.skipif(missing() is not None or not says_yes("--feature", name), reason=missing() or f"criu or the kernel lacks {name}")
