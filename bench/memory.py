"""What stays resident, and what the programs weigh."""
import os
import pathlib
import subprocess

import rows
from harness.engine import wait_for

MANY = 100


def kb(pid, *keys):
    lines = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.split(":")[0] in keys)


def verdict(what, value, unit, limit):
    said = f"under {limit} {unit}: {'met' if value < limit else 'NOT MET'}"
    print(f"    {what:68}{value:8} {unit}   {said}")
    rows.FIGURES.append(rows.Figure(what, {"tare": f"{value} {unit}"}, [said]))


def monitors(engine):
    ids = engine.tare("ps", "-q", "--no-trunc").stdout.split()
    return [engine.monitor_pid(identifier) for identifier in ids]


def stripped(path):
    small = f"{path}.stripped"
    subprocess.run(["strip", "-o", small, path], check=True)
    size = os.path.getsize(small)
    os.unlink(small)
    return size


def libraries(programs):
    """Each shared library that any of them loads, once."""
    found = set()
    for program in programs:
        for line in subprocess.run(["ldd", program], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True).stdout.splitlines():
            found |= {os.path.realpath(word) for word in line.split() if word.startswith("/")}
    return found


def sizes(build):
    programs = [path for path in sorted((build / "src/main").iterdir()) if path.is_file() and not path.is_symlink() and os.access(path, os.X_OK)]
    each = {path.name: stripped(path) for path in programs}
    verdict("all programs, stripped", sum(each.values()) >> 10, "kB", 4096)
    print("        " + ", ".join(f"{name} {size >> 10}" for name, size in each.items()))
    used = libraries(programs)
    lean = libraries(path for path in programs if path.name not in ("tare-worker", "tare-transfer"))
    weight = {path: os.path.getsize(path) >> 10 for path in used}
    print(f"        and {len(used)} shared libraries of Debian's, {sum(weight.values())} kB; "
          f"those of what always runs: {sum(weight[path] for path in lean)} kB")


def report(engine, build):
    print("\nmemory and size")
    holder, control = engine.holder.pid, engine.engine_pid()
    verdict("tared and tare-engine idle, resident", kb(holder, "Rss") + kb(control, "Rss"), "kB", 8192)
    print(f"        tared {kb(holder, 'Rss')}, tare-engine {kb(control, 'Rss')}")
    for i in range(MANY):
        engine.tare("run", "-d", "--name", f"idle-{i}", "--network", "none", "busybox", "sleep", "100000")
        if i == 0:
            alone = monitors(engine)[0]
            print(f"    {'a lone monitor: private dirty':68}{kb(alone, 'Private_Dirty'):8} kB   (its program's written pages included)")
    pids = wait_for(lambda: (found := monitors(engine)) and len(found) == MANY and all(found) and found, "their monitors")
    dirty, pss = ([kb(pid, key) for pid in pids] for key in ("Private_Dirty", "Pss"))
    verdict(f"a monitor's private dirty memory, mean of {MANY}", sum(dirty) // MANY, "kB", 200)
    verdict(f"a monitor's PSS, mean of {MANY}", sum(pss) // MANY, "kB", 150)
    engine.tare("rm", "-f", *[f"idle-{i}" for i in range(MANY)])
    sizes(build)
