"""The leak check: what an engine must not leave behind once its containers are gone. Scoped to the engine's own folders and
group; never machine-wide totals."""
import contextlib
import json
import os
import pathlib
import re
import signal
import time

from . import networks
from .engine import processes, wait_for

CONTAINER_ID = re.compile("[0-9a-f]{64}")
# What is there for a moment, although containers run on.
PASSING = ("workers", "network helpers", "jobs", "partial downloads", "trash", "zombies")


def container_groups():
    """Every group in any hierarchy that is named after a container; tests/isolate shows us only our own."""
    found = []
    for line in pathlib.Path("/proc/self/mounts").read_text().splitlines():
        _, point, kind = line.split()[:3]
        if kind in ("cgroup", "cgroup2"):
            found += [folder for folder, _, _ in os.walk(point) if CONTAINER_ID.search(folder)]
    return found


def remove_groups(groups):
    """With what still runs in them; a process that was killed may be on its way out."""
    def gone():
        left = [group for group in sorted(groups, reverse=True) if os.path.isdir(group)]
        for group in left:
            with contextlib.suppress(OSError):
                for pid in pathlib.Path(group, "cgroup.procs").read_text().split():
                    os.kill(int(pid), signal.SIGKILL)
                os.rmdir(group)
        return not left
    wait_for(gone, "the groups' end")


def mounts(engine):
    """But for a data root that is a test's own mount."""
    lines = pathlib.Path("/proc/self/mountinfo").read_text().splitlines()
    return [line for line in lines if str(engine.root) in line and line.split()[4] != str(engine.data)]


def entries(folder):
    return sorted(os.listdir(folder)) if folder.is_dir() else []


def sockets(engine):
    lines = pathlib.Path("/proc/net/unix").read_text().splitlines()[1:]
    paths = [line.split(maxsplit=7)[7] for line in lines if len(line.split(maxsplit=7)) == 8]
    return [path for path in paths if str(engine.root) in path and not path.endswith("tare.sock") or path.startswith("@tare")]


def zombies():
    """Of ours, but for clients that a failed test did not wait for."""
    found = []
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                fields = pathlib.Path("/proc", entry, "stat").read_text().rsplit(")", 1)
            except OSError:
                continue
            state, parent = fields[1].split()[:2]
            if state == "Z" and "tare" in fields[0] and int(parent) != os.getpid():
                found.append(f"zombie {fields[0]})")
    return found


def snapshot(engine):
    return {
        "monitors": processes(lambda c: "tare-monitor" in c[0] and str(engine.exec_root) in c),
        "workers": processes(lambda c: ("tare-worker" in c[0] or "tare-transfer" in c[0]) and str(engine.data) in c),
        "network helpers": processes(lambda c: "tare-network" in c[0] and str(engine.data) in c),
        "cgroups": container_groups(),
        "mounts": mounts(engine),
        "run folders": entries(engine.exec_root / "containers"),
        "container folders": entries(engine.data / "containers"),
        "jobs": entries(engine.data / "tmp"),
        "partial downloads": entries(engine.data / "partial"),
        "trash": entries(engine.data / "trash"),
        "sockets": sockets(engine),
        "interfaces": networks.ports(engine),
        "rules": networks.owners(engine),
        "zombies": zombies(),
    }


def find(engine, timeout=60):
    """What is left although no container is; background removal gets `timeout` seconds. Groups are reported once: they go."""
    left = {}

    def clean():
        left.clear()
        left.update({kind: things for kind, things in snapshot(engine).items() if things})
        return not left
    try:
        wait_for(clean, "nothing left", timeout)
    except AssertionError:
        remove_groups(left.get("cgroups", []))
        return [f"{kind}: {json.dumps(things)}" for kind, things in left.items()]
    return []


# What no run may log, whoever of ours wrote it. SIGKILL is the tests' own.
CRASH = re.compile(r".*(?:AddressSanitizer|LeakSanitizer|runtime error:|double free|corrupt(?:ed|ion) |[Aa]ssertion|ended by signal (?!9\b|15\b)).*")


# A sanitizer's frame in a source of ours.
FRAME = re.compile(r"^ +#\d+ 0x\w+ in (\S+) \S*?(src/\S+)$", re.M)


def crashes(engine):
    """What was logged of crashes, and where a sanitizer saw the fault."""
    log = engine.log.read_text(errors="replace")
    found = [match.group(0)[:300] for match in CRASH.finditer(log)]
    return found + [f"{function} {place}" for function, place in FRAME.findall(log)][:20] if found else []


def find_after_end(engine):
    def alive_now():
        return processes(lambda c: "tare" in c[0] and str(engine.exec_root) in c)
    deadline = time.monotonic() + 30
    alive = alive_now()
    while alive and time.monotonic() < deadline:  # helpers finish what they are at
        time.sleep(0.01)
        alive = alive_now()
    found = [f"processes after tared's end: {alive}"] if alive else []
    if engine.socket.exists():
        found.append("the socket is still there after tared's end")
    return found + crashes(engine)
