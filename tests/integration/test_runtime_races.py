"""A folder of the root that is exchanged for a link to the host's files at any system call of tare-runtime that takes a path, from
create to the container's first program: the host is as it was, the container sees none of it, and the start works or is refused in words. A
sample of the calls; TARE_KILLS=all takes each.
"""
import ctypes
import os
import pathlib
import shutil
import subprocess

import pytest

from harness.box import Box
from harness.engine import SLOW
from harness.strike import HELPER, NEVER, Striker, chosen

pytestmark = [pytest.mark.slow, pytest.mark.skipif(not HELPER.exists(), reason="no striking on this machine")]

MARK = "only-on-the-host"
LOOK = (f"ls -a . ; find / '(' -path /proc -o -path /sys ')' -prune -o -name '{MARK}*' -print; cat /swap/f/file 2>/dev/null; echo done")
RENAME_EXCHANGE = 2
TARGETS = ["swap", "swap/a", "swap/cwd", "dev", "proc", "sys"]
CALLS_MIN = 60  # with fewer the wrong thing is watched


class Race:
    def __init__(self, folder, target):
        self.striker = Striker(folder / "programs", "tare-runtime")
        self.striker.trace()
        self.box = box = Box()
        box.program, box.env = self.striker.folder / "tare-runtime", {**os.environ, "TARE_LIBEXEC": str(self.striker.folder)}
        for place in ("tmp", "a/b", "f", "dev", "masked", "ro", "cwd", "pts", "shm", "self", "fs/cgroup"):
            (box.canary / place).mkdir(parents=True)
            (box.canary / place / MARK).touch()
        (box.canary / "f/file").write_text(MARK)
        (box.canary / MARK).touch()
        box.before = box.canary_facts()
        for place in ("swap/a/b", "swap/masked", "swap/ro", "swap/cwd"):
            (box.root / place).mkdir(parents=True)
        (box.top / "source").mkdir()
        (box.top / "file").touch()
        box.spec["mounts"] += [
            {"destination": "/swap/tmp/new", "type": "tmpfs", "source": "tmpfs"},
            {"destination": "/swap/a/b", "type": "bind", "source": str(box.top / "source"), "options": ["rbind", "ro"]},
            {"destination": "/swap/f/file", "type": "bind", "source": str(box.top / "file"), "options": ["bind"]},
            {"destination": "/sys/fs/cgroup", "type": "cgroup", "source": "cgroup", "options": ["nosuid", "noexec", "nodev", "ro"]},
        ]
        linux = box.spec["linux"]
        linux["devices"] = [{"path": "/swap/dev/null", "type": "c", "major": 1, "minor": 3, "fileMode": 0o666}]
        linux["maskedPaths"], linux["readonlyPaths"] = ["/swap/masked", "/proc/kcore"], ["/swap/ro", "/proc/sys"]
        box.spec["process"].update(cwd="/swap/cwd/new", args=["sh", "-c", LOOK])
        self.good = box.root / target
        self.evil = self.good.parent / f".evil-{self.good.name}"
        inside = target.removeprefix("swap").strip("/") if target.startswith("swap") else ""
        self.evil.symlink_to("../" * 20 + str(box.canary / inside).lstrip("/"))
        self.mounts = self.mounts_now()

    def mounts_now(self):
        return [line for line in pathlib.Path("/proc/self/mountinfo").read_text().splitlines() if str(self.box.top) in line]

    def facts(self):
        box = self.box
        paths = [box.canary, *box.canary.rglob("*")]
        return [(path, st.st_mode, st.st_uid, st.st_nlink, st.st_size, st.st_mtime_ns, st.st_rdev) for path in sorted(paths)
                for st in [path.lstat()]]

    def put_right(self, is_swapped):
        """As it is before a run: with the folder in its place, or the link."""
        if self.good.is_symlink() != is_swapped:
            done = ctypes.CDLL(None).renameat2(-100, os.fsencode(self.good), -100, os.fsencode(self.evil), RENAME_EXCHANGE)
            assert done == 0

    def one(self, at, kind, begins_swapped):
        what = f"{self.good.name}: {'link' if begins_swapped else 'folder'} at first, {kind} at call {at}"
        box, before = self.box, self.facts()
        identifier = box.new_id()
        self.put_right(begins_swapped)
        shutil.rmtree(box.root / "tmp")  # where the link leads inside of the root
        (box.root / "tmp").mkdir()
        box.write(identifier)
        self.striker.arm(at, f"{kind} {self.good} {self.evil}")
        out, err = box.top / "out", box.top / "err"
        with open(out, "wb") as out_file, open(err, "wb") as err_file:
            code = subprocess.run([box.program, "--root", box.state, "run", "-b", box.bundle, identifier], env=box.env,
                                  stdin=subprocess.DEVNULL, stdout=out_file, stderr=err_file, timeout=20 * SLOW).returncode
        struck = self.striker.disarm()
        seen, said = out.read_text(), err.read_text()
        assert "cannot be exchanged" not in said, (what, said)
        assert self.facts() == before, what
        assert self.mounts_now() == self.mounts, what
        assert MARK not in seen, (what, seen)
        if code == 0:
            assert seen.endswith("done\n"), (what, seen, said)
        else:
            assert said.strip() and len(said) < 1000, (what, code, said)
        box.rt("delete", "-f", identifier, check=True)
        return struck, code


@pytest.mark.parametrize("target", TARGETS)
def test_exchanged_anywhere(tmp_path, target):
    race = Race(tmp_path, target)
    try:
        assert race.one(NEVER, "swap", False) == (False, 0), "it works when nobody does anything"
        total = race.striker.count()
        assert total >= CALLS_MIN
        struck = [race.one(at, kind, begins_swapped) for at in chosen(total)
                  for kind, begins_swapped in (("swap", False), ("swap", True), ("swap-back", False), ("swap-back", True))]
        assert sum(was for was, _ in struck) > len(struck) // 2
        print(f"{target}: {len(struck)} runs, of {total} calls; refused: {sum(code != 0 for _, code in struck)}", flush=True)
        race.put_right(False)
        assert race.one(NEVER, "swap", False) == (False, 0), "and afterwards"
    finally:
        race.striker.disarm()
        race.box.close()
