"""Strikes a program at its N-th system call that changes anything: ends it there, or lets the call fail; or exchanges two files at
its N-th call that takes a path (helpers/strike.c)."""
import fcntl
import os
import pathlib
import shutil

from .engine import BUILD, PROGRAMS

HELPER = BUILD / "tests/integration/helpers/strike"
KILL = 0
NEVER = 10**9
SAMPLE = 5


def chosen(total):
    """Of so many calls those to be struck: all of them with TARE_KILLS=all."""
    if os.environ.get("TARE_KILLS") == "all":
        return range(1, total + 1)
    return range(max(1, total // (2 * SAMPLE)), total + 1, max(1, total // SAMPLE))


class Striker:
    """A folder of tare's programs in which the one called `name` can be struck; `folder` does for $TARE_LIBEXEC."""

    def __init__(self, folder, name):
        self.folder, self.name = pathlib.Path(folder), name
        self.folder.mkdir()
        for program in PROGRAMS.glob("tare*"):
            if program.is_file() and os.access(program, os.X_OK) and program.name != name:
                (self.folder / program.name).symlink_to(program)
        shutil.copy(HELPER, self.folder / name)
        self.file("real").symlink_to(PROGRAMS / name)

    def file(self, suffix):
        return self.folder / f"{self.name}.{suffix}"

    def trace(self):
        """From now on; what was started before stays out of reach."""
        self.file("traced").touch()

    def arm(self, at, action=KILL):
        """The `at`-th call from now on is struck, whichever instance makes it. `action`: KILL, an errno, "swap PATH PATH" or
        "swap-back PATH PATH"."""
        for suffix in ("struck", "count"):
            self.file(suffix).unlink(missing_ok=True)
        order = self.file("order")
        order.write_text(f"{at} {action}")
        order.rename(self.file("strike"))

    def disarm(self):
        """Whether it was struck; not while a tracer is at it."""
        lock = os.open(self.folder, os.O_RDONLY)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            self.file("strike").unlink(missing_ok=True)
            return self.file("struck").exists()
        finally:
            os.close(lock)

    def count(self):
        """Calls since arm(). Before disarm() a tracer may be writing: the number is of no use, but to see it change."""
        return int(self.file("count").read_text() or 0) if self.file("count").exists() else 0

    def struck_pid(self):
        return int(self.file("struck").read_text().split()[1])
