"""kill -9 of tare-runtime, and a failing call, at any system call of each of its commands that changes something: `delete -f` clears
all of it, and a failure is told in words. A sample of the calls; TARE_KILLS=all takes each.
"""
import errno
import os
import pathlib
import subprocess

import pytest

from harness.box import PARENT, Box, cgroup_folders, processes_of, remove_groups
from harness.engine import SLOW, wait_for
from harness.strike import HELPER, KILL, NEVER, Striker, chosen

pytestmark = [pytest.mark.slow, pytest.mark.skipif(not HELPER.exists(), reason="no striking on this machine")]

ERRORS = [errno.ENOMEM, errno.ENOSPC, errno.EIO, errno.EMFILE, errno.EINTR, errno.EAGAIN]
SECONDS = 60 * SLOW


def nothing(runtime):
    pass


def created(runtime):
    runtime.act("create", "-b", runtime.box.bundle, runtime.id, check=True)


def running(runtime):
    created(runtime)
    runtime.act("start", runtime.id, check=True)


def stopped(runtime):
    running(runtime)
    runtime.act("kill", runtime.id, "KILL", check=True)
    wait_for(lambda: runtime.box.status(runtime.id) == "stopped", "its end")


# What comes before, the command, and how many calls it makes at least: with fewer the wrong thing is watched.
COMMANDS = {
    "create": (nothing, ["create", "-b", "BUNDLE", "ID"], 100),
    "start": (created, ["start", "ID"], 3),
    "run": (nothing, ["run", "-d", "-b", "BUNDLE", "ID"], 100),
    "run-to-end": (nothing, ["run", "-b", "BUNDLE", "ID"], 100),
    "exec": (running, ["exec", "ID", "true"], 20),
    "kill": (running, ["kill", "ID", "KILL"], 1),
    "delete": (stopped, ["delete", "ID"], 5),
    "delete-force": (running, ["delete", "-f", "ID"], 5),
}


class Runtime:
    """tare-runtime under the tracer, and a box for its containers."""

    def __init__(self, folder):
        self.striker = Striker(folder / "programs", "tare-runtime")
        self.striker.trace()
        self.box = Box()
        self.env = {**os.environ, "TARE_LIBEXEC": str(self.striker.folder)}
        self.id = None
        self.mounts = self.mounts_now()

    def mounts_now(self):
        return [line for line in pathlib.Path("/proc/self/mountinfo").read_text().splitlines() if str(self.box.top) in line]

    def act(self, *arguments, check=False):
        """Output goes to files: the container keeps what it gets of the command."""
        out, err = self.box.top / "out", self.box.top / "err"
        with open(out, "wb") as out_file, open(err, "wb") as err_file:
            done = subprocess.run([self.striker.folder / "tare-runtime", "--root", self.box.state, *map(str, arguments)], env=self.env,
                                  stdin=subprocess.DEVNULL, stdout=out_file, stderr=err_file, timeout=SECONDS)
        said = err.read_text(errors="replace")
        assert not check or done.returncode == 0, (arguments, done.returncode, said)
        return done.returncode, said

    def prepare(self, name):
        self.id = self.box.new_id()
        self.box.spec["process"]["args"] = ["true"] if name == "run-to-end" else ["sleep", "1000"]
        self.box.write(self.id)
        COMMANDS[name][0](self)

    def left(self):
        return {
            "folder": (self.box.state / self.id).exists(),
            "groups": [str(top / self.id) for top in cgroup_folders(PARENT) if (top / self.id).exists()],
            "processes": processes_of(self.box),
            "mounts": [line for line in self.mounts_now() if line not in self.mounts],
        }

    def check_gone(self, what):
        done = self.box.rt("delete", "-f", self.id)
        assert done.returncode == 0, (what, done.stderr)
        found = {}

        def gone():
            found.update(self.left())
            return not any(found.values())
        try:
            wait_for(gone, f"nothing left after {what}")
        except AssertionError:
            raise AssertionError(f"left after {what}: {found}")

    def one(self, name, at, error):
        what = f"{name} struck with {errno.errorcode.get(error, 'SIGKILL')} at call {at}"
        self.prepare(name)
        self.striker.arm(at, error)
        command = [{"BUNDLE": self.box.bundle, "ID": self.id}.get(word, word) for word in COMMANDS[name][1]]
        try:
            code, said = self.act(*command)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"{what}: no end; {self.left()}")
        struck = self.striker.disarm()
        if not struck:
            assert code == 0, (what, code, said)
        elif error != KILL and code != 0:
            assert said.strip() and len(said) < 1000, (what, code, said)
        self.check_gone(what)
        return struck


@pytest.fixture
def runtime(tmp_path):
    runtime = Runtime(tmp_path)
    try:
        yield runtime
    finally:
        runtime.striker.disarm()
        runtime.box.close()
        for folder in cgroup_folders(PARENT):
            remove_groups(folder)


def sweep(runtime, name, errors):
    counts = []
    for _ in range(3):  # the least: a wait for a slow machine is calls too
        assert not runtime.one(name, NEVER, KILL)
        counts.append(runtime.striker.count())
    total = min(counts)
    points = chosen(total)
    print(f"tare-runtime {name}: {len(points)} of {total}", flush=True)
    assert total >= COMMANDS[name][2], (name, total)
    struck = [runtime.one(name, at, errors[turn % len(errors)]) for turn, at in enumerate(points)]
    assert sum(struck) > len(struck) // 2, (name, struck)
    # And it still works.
    assert not runtime.one(name, NEVER, KILL)


@pytest.mark.parametrize("name", COMMANDS)
def test_killed_anywhere(runtime, name):
    sweep(runtime, name, [KILL])


@pytest.mark.parametrize("name", COMMANDS)
def test_any_call_fails(runtime, name):
    for errors in [[error] for error in ERRORS] if os.environ.get("TARE_KILLS") == "all" else [ERRORS]:
        sweep(runtime, name, errors)
