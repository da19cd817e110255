"""What all suites share: a case runs in tests/isolate with a terminal and a time limit, and what it says in TAP is counted.

A Suite has name, version, counts_asserts, seconds (a case's limit); cases() -> names; command(case, program) -> (argv, environment,
folder, None for one of the case's own); close(). Inside, /run and TMPDIR are the case's own; `plain_v1` also takes away what is mounted of cgroup v2 beside v1,
which some runtimes refuse.
"""
import dataclasses
import os
import pathlib
import pty
import re
import select
import shutil
import signal
import subprocess
import tempfile
import time

ISOLATE = pathlib.Path(__file__).resolve().parents[1] / "isolate"
INSIDE = """
mount -t tmpfs tmpfs /run || exit 99
[ -z "$PLAIN_V1" ] || umount /sys/fs/cgroup/unified 2>/dev/null
cd "$FOLDER" && exec "$@"
"""
OUTPUT_MAX = 4 << 20
GRACE_S = 30


@dataclasses.dataclass
class Result:
    verdict: str  # pass, fail, skip, or time for a case that had to be ended
    good: int = 0
    bad: int = 0
    complaints: list = dataclasses.field(default_factory=list)
    output: str = ""


class Suite:
    counts_asserts = False
    seconds = 60
    needs = ()  # programs; without one of them most cases fail or skip for its want alone
    plain_v1 = False

    def called(self, name, program):
        """By a name that some cases look for: in the version, say. `self.work` is a folder of the suite's own."""
        folder = pathlib.Path(self.work.name) / str(program).replace("/", "-")
        if not folder.exists():
            folder.mkdir()
            (folder / name).symlink_to(program)
        return str(folder / name)

    def missing(self):
        return [name for name in self.needs if not shutil.which(name)]

    def close(self):
        pass


def count_tap(output):
    """A case's own lines begin at the margin; what it quotes does not."""
    result = Result("pass")
    skipped = 0
    for line in output.splitlines():
        match = re.match(r"(not )?ok\b\s*\d*(.*)", line)
        if not match:
            continue
        if re.search(r"#\s*(skip|todo)", match[2], re.I):
            skipped += 1
        elif match[1]:
            result.bad += 1
            result.complaints.append(line)
        else:
            result.good += 1
    if not result.good and not result.bad:
        result.verdict = "skip" if skipped or re.search(r"^1\.\.0", output, re.M) else "fail"
    if result.bad:
        result.verdict = "fail"
    return result


def become_leader():
    os.setsid()
    # The terminal is standard input: opening a slave makes it the controlling one, if there is none.
    os.close(os.open(os.ttyname(0), os.O_RDWR))


def collect(process, master, deadline):
    """All that is said until the end of the process; True if that came in time."""
    output, size = [], 0
    while True:
        ready, _, _ = select.select([master], [], [], max(0, min(0.5, deadline - time.monotonic())))
        if ready:
            try:
                data = os.read(master, 65536)
            except OSError:
                data = b""
            if not data:
                return b"".join(output), True
            size += len(data)
            if size <= OUTPUT_MAX:
                output.append(data)
        elif process.poll() is not None:
            return b"".join(output), True
        elif time.monotonic() >= deadline:
            return b"".join(output), False


def end(process):
    """isolate takes its groups away when it is told to end."""
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
    try:
        process.wait(GRACE_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def run(suite, case, program):
    argv, environment, folder = suite.command(case, program)
    with tempfile.TemporaryDirectory(prefix="conformance-") as own:
        os.chmod(own, 0o755)  # containers of other users come through
        return run_in(suite, program, argv, {**environment, "FOLDER": str(folder or own), "TMPDIR": own})


def run_in(suite, program, argv, environment):
    master, slave = pty.openpty()
    process = subprocess.Popen(
        [ISOLATE, "sh", "-c", INSIDE, "sh", *argv],
        stdin=slave, stdout=slave, stderr=slave, preexec_fn=become_leader,
        env={**os.environ, "PLAIN_V1": "1" if suite.plain_v1 and "crun" in program else "", **environment})
    os.close(slave)
    output, in_time = collect(process, master, time.monotonic() + suite.seconds)
    end(process)
    os.close(master)
    text = output.decode(errors="replace").replace("\r\n", "\n")
    result = suite.judge(text, process.returncode)
    if not in_time:
        result.verdict = "time"
        result.complaints.append(f"not over after {suite.seconds} s")
    if result.verdict == "fail" and not result.complaints:
        result.complaints = [line for line in text.splitlines() if line.strip()][-5:]
    result.output = text
    return result
