"""Files of the exec root that are damaged: the engine starts, names the one that it can't read, and the rest is as it was. What is
damaged can still be used and removed: a monitor that lives knows better than its file."""
import os
import shutil
import signal

import pytest

from harness import images
from harness.engine import Engine, wait_for


@pytest.fixture(scope="module")
def engine():
    engine = Engine().start()
    engine.tare("load", "-q", "-i", images.busybox())
    engine.tare("run", "-d", "--name", "fine", "busybox", "sleep", "100000")
    yield engine
    left = engine.stop()
    assert not left, left


def truncated(path):
    path.write_bytes(path.read_bytes()[:-20])


def flipped(path):
    path.write_bytes(bytes(byte ^ 0x10 if at % 37 == 0 else byte for at, byte in enumerate(path.read_bytes())))


def swapped(path):
    """Another container's, whole and valid."""
    others = [other for other in path.parent.parent.glob(f"*/{path.name}") if other != path]
    path.write_bytes(others[0].read_bytes())


def writes(content):
    return lambda path: path.write_bytes(content)


DAMAGE = {
    "gone": os.unlink, "empty": writes(b""), "zeroes": writes(bytes(4096)), "truncated": truncated, "flipped": flipped,
    "swapped": swapped, "list": writes(b"[]"), "null": writes(b"null"), "noise": writes(os.urandom(4096)),
    "deep": writes(b'{"a": ' * 5000), "numbers": writes(b'{"State": -1, "Pid": 99999999999999999999}'),
}


@pytest.mark.parametrize("name", ["state.json", "launch.json"])
@pytest.mark.parametrize("damage", DAMAGE)
def test_damaged(engine, name, damage):
    before = engine.tare("inspect", "-f", "{{.State.Pid}}", "fine").stdout
    victim = engine.tare("run", "-d", "--name", "victim", "busybox", "sleep", "100000").stdout.strip()
    path = engine.exec_root / "containers" / victim / name
    DAMAGE[damage](path)
    engine.log.write_text("")
    try:
        engine.kill_engine()
        assert engine.tare("inspect", "-f", "{{.State.Status}} {{.State.Pid}}", "fine").stdout == f"running {before}"
        assert engine.tare("exec", "fine", "echo", "here").stdout == "here\n"
        assert engine.tare("exec", "victim", "echo", "here").stdout == "here\n"
        if name == "state.json" and damage not in ("gone", "swapped", "flipped"):
            assert f"container {victim}: its state file is damaged" in engine.log.read_text()

        # Without the monitor there is nobody else to say how it went.
        os.kill(engine.monitor_pid(victim), signal.SIGKILL)
        wait_for(lambda: engine.tare("inspect", "-f", "{{.State.Status}} {{.State.ExitCode}}", "victim").stdout == "exited 137\n", "the end")
        assert engine.tare("start", "victim").returncode == 0
        assert engine.tare("exec", "victim", "echo", "again").stdout == "again\n"
    finally:
        engine.tare("rm", "-f", "victim")
    assert not path.parent.exists()


@pytest.mark.parametrize("name", ["state.json", "launch.json"])
def test_folder_in_its_place(engine, name):
    victim = engine.tare("run", "-d", "--name", "victim", "busybox", "sleep", "100000").stdout.strip()
    path = engine.exec_root / "containers" / victim / name
    path.unlink()
    path.mkdir()
    try:
        engine.kill_engine()
        assert engine.tare("exec", "fine", "echo", "here").stdout == "here\n"
        assert engine.tare("exec", "victim", "echo", "here").stdout == "here\n"
        engine.tare("kill", "victim")
        wait_for(lambda: engine.tare("inspect", "-f", "{{.State.Status}} {{.State.ExitCode}}", "victim").stdout == "exited 137\n", "the end")
    finally:
        engine.tare("rm", "-f", "victim")
    assert f"cannot remove the run folder of container {victim}" in engine.log.read_text()  # nobody walks a tree there
    assert os.listdir(path.parent) == [name]
    shutil.rmtree(path.parent)
