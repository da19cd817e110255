"""The first content of a new volume: the engine and the monitor answer while it is copied, however long that takes, and what a kill
leaves half copied is made whole by the next start."""
import io
import os
import pathlib
import signal
import tarfile
import tempfile
import time

import pytest

from harness import images
from harness.engine import PROGRAMS, SLOW, Engine, UnixConnection, docker_program, processes, wait_for

FILES, FOLDERS = 5000, 40


def content(number):
    return f"file {number}\n".encode() * (1 + number % 500)


def full_image():
    """busybox with a folder that takes a while to copy, and things in it that are no plain files."""
    root = images.CACHE / f"full-{FILES}-root.tar"
    if not root.exists():
        with tarfile.open(images.busybox_root()) as busybox, images.becoming(root) as made, tarfile.open(made, "w") as tar:
            for member in busybox:
                tar.addfile(member, busybox.extractfile(member) if member.isreg() else None)

            def add(name, kind=tarfile.REGTYPE, data=b"", link="", mode=0o640):
                info = tarfile.TarInfo(name)
                info.type, info.size, info.linkname = kind, len(data), link
                info.mode, info.uid, info.gid, info.mtime = mode, 1000, 2000, 1_700_000_000
                tar.addfile(info, io.BytesIO(data))
            add("full", tarfile.DIRTYPE, mode=0o750)
            for number in range(FOLDERS):
                add(f"full/{number}", tarfile.DIRTYPE, mode=0o2755)
            for number in range(FILES):
                add(f"full/{number % FOLDERS}/{number}", data=content(number))
            add("full/link", tarfile.SYMTYPE, link="/etc/shadow")
            add("full/fifo", tarfile.FIFOTYPE, mode=0o622)
    return images.packed(f"full-{FILES}", root, "full:latest", "docker-archive", {"Cmd": ["sh"], "Env": ["PATH=/bin"]})


def picture(folder):
    """Everything of a tree that a copy has to have."""
    found = {}
    for top, folders, names in os.walk(folder):
        for path in [top, *(os.path.join(top, name) for name in names), *(os.path.join(top, name) for name in folders)]:
            status = os.lstat(path)
            size = 0 if os.path.isdir(path) else status.st_size
            found[os.path.relpath(path, folder)] = (oct(status.st_mode), status.st_uid, status.st_gid, size, status.st_mtime)
    return found


@pytest.fixture(scope="module")
def engine():
    engine = Engine(root=tempfile.mkdtemp(prefix="tare-test-", dir="/dev/shm")).start()  # as many files are slow to remove elsewhere
    try:
        engine.tare("load", "-q", "-i", full_image())
        yield engine
    finally:
        left = engine.stop()
    assert not left, left


@pytest.fixture
def whole(engine):
    """What the image has."""
    layer, = [folder for folder in (engine.data / "layers").iterdir() if (folder / "full").is_dir()]
    return picture(layer / "full")


def children(pid):
    return [int(child) for child in pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


class Over(Exception):
    """The copying was, before it could be held."""


class Copy:
    """A container whose start is held in the middle of copying."""

    def __init__(self, engine, volume):
        for _ in range(10):
            try:
                self.begin(engine, volume)
                return
            except Over:
                engine.tare("rm", "-f", self.id)
                self.end()
                engine.tare("volume", "rm", volume)
        raise AssertionError("the copying was always over before it could be held")

    def begin(self, engine, volume):
        self.engine, self.data = engine, engine.data / f"volumes/{volume}/_data"
        self.id = engine.tare("create", "-i", "-v", f"{volume}:/full", "full", "sh", "-c", "read line; ls /full/*/* | wc -l").stdout.strip()
        self.waiting = UnixConnection(engine.socket)  # so that there is a monitor to look at before it starts
        self.waiting.request("POST", f"/v1.50/containers/{self.id}/wait?condition=next-exit")
        self.monitor = wait_for(lambda: engine.monitor_pid(self.id), "a monitor")
        self.client = engine.popen(PROGRAMS / "tare", "start", "-a", "-i", self.id, stdin=-1, stdout=-1, stderr=-1, text=True)
        self.copier = self.catch_copier()
        wait_for(self.is_under_way, "something copied")

    def catch_copier(self):
        deadline = time.monotonic() + 30 * SLOW
        while not (found := children(self.monitor)):
            assert time.monotonic() < deadline and self.client.poll() is None, "no copying child"
        self.tell_copier(found[0], signal.SIGSTOP)
        return found[0]

    def tell_copier(self, pid, signo):
        try:
            os.kill(pid, signo)
        except ProcessLookupError:
            raise Over

    def is_under_way(self):
        """Lets it go on for a moment at a time."""
        if not os.listdir(self.data):
            self.tell_copier(self.copier, signal.SIGCONT)
            self.tell_copier(self.copier, signal.SIGSTOP)
            return False
        if len(picture(self.data)) >= FILES:
            raise Over
        return True

    def go_on(self):
        os.kill(self.copier, signal.SIGCONT)

    def end(self, line=""):
        self.waiting.close()
        return self.client.communicate(line, timeout=60 * SLOW)


@pytest.mark.parametrize("program", ["tare", "docker"])
def test_all_answer_during_the_copying(engine, whole, program):
    copy = Copy(engine, f"slow-{program}")
    command = str(PROGRAMS / "tare") if program == "tare" else docker_program()

    def ask(*arguments, **options):
        return engine.run(command, *arguments, **options)
    assert ask("inspect", "-f", "{{.State.Status}} {{.State.Running}}", copy.id).stdout == "created false\n"
    assert copy.id[:12] in ask("ps", "-a").stdout
    refused = ask("kill", copy.id, check=False)
    assert refused.returncode == 1 and "is not running" in refused.stderr
    assert ask("exec", copy.id, "true", check=False).returncode == 1
    assert ask("wait", copy.id).stdout == "0\n"  # of one that has not run yet, as Docker
    second = engine.popen(command, "attach", "--no-stdin", copy.id, stdin=-3, stdout=-1, text=True) if program == "tare" else None
    assert ask("logs", copy.id).stdout == ""
    copy.go_on()
    out, _ = copy.end("\n")
    assert out == f"{FILES}\n"
    if second:
        second.communicate(timeout=60 * SLOW)
    assert picture(copy.data) == whole
    ask("rm", copy.id)


def test_removal_cancels_the_copying(engine, whole):
    copy = Copy(engine, "cancelled")
    engine.tare("rm", "-f", copy.id)
    out, err = copy.end()
    assert copy.client.returncode != 0 and err and not out
    wait_for(lambda: not processes(lambda c: "tare-monitor" in c[0] and copy.id in c), "the end of its monitor")
    assert len(picture(copy.data)) < FILES
    assert engine.tare("run", "--rm", "-v", "cancelled:/full", "full", "sh", "-c", "ls /full/*/* | wc -l").stdout == f"{FILES}\n"
    assert picture(copy.data) == whole


@pytest.mark.parametrize("victim", ["monitor", "copier"])
def test_a_kill_in_the_middle_is_made_whole(engine, whole, victim):
    copy = Copy(engine, f"killed-{victim}")
    os.kill(copy.monitor if victim == "monitor" else copy.copier, signal.SIGKILL)
    _, err = copy.end()
    assert copy.client.returncode != 0 and err.strip(), err
    wait_for(lambda: not os.path.exists(f"/proc/{copy.copier}"), "the copying child's end")
    mine = copy.data / "1/1"
    mine.unlink(missing_ok=True)
    mine.parent.mkdir(exist_ok=True)
    mine.write_text("kept\n")  # another container's, meanwhile
    assert engine.tare("start", "-a", "-i", copy.id, input="\n").stdout == f"{FILES}\n"
    assert mine.read_text() == "kept\n"
    now = picture(copy.data)
    assert now.keys() == whole.keys() and {name for name in whole if now[name] != whole[name]} <= {"1", "1/1"}
    # And from now on it is the user's.
    mine.unlink()
    engine.tare("start", "-a", "-i", copy.id, input="\n")
    assert not mine.exists()
    engine.tare("rm", copy.id)


def test_two_fill_one_volume(engine, whole):
    first = Copy(engine, "shared")
    again = engine.tare("run", "--rm", "-v", "shared:/full", "full", "sh", "-c", "ls /full/*/* | wc -l")
    assert again.stdout == f"{FILES}\n"
    first.go_on()
    assert first.end("\n")[0] == f"{FILES}\n"
    assert picture(first.data) == whole
    engine.tare("rm", first.id)
