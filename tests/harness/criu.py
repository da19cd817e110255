"""Whether there is a CRIU here that works on this kernel: `criu check` decides. One in a folder of its own is found by PATH."""
import functools
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


needed = pytest.mark.skipif(missing() is not None, reason=missing() or "")


def needs_feature(name):
    return pytest.mark.skipif(missing() is not None or not says_yes("--feature", name), reason=missing() or f"criu or the kernel lacks {name}")
