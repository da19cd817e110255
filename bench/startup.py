"""The rows of starting: runtimes, `run`, `exec`, a hundred in a row, and the log's throughput."""
import contextlib
import itertools
import json
import os
import shutil
import subprocess

import contenders
from rows import Row, Target

# 4 MiB of lines, written 64 times: no program of the image's makes lines as fast as they can be logged.
LOG_COMMAND = f"yes {'0123456789abcdef' * 5} | head -c 4194304 >/tmp/lines; for i in $(seq 64); do cat /tmp/lines; done"


def bundle(context, name, *args):
    """What every OCI runtime is given: ours' own default document, without a terminal, running /bin/true."""
    where = context.work / name
    for folder in ("bin", "proc", "dev", "sys", "etc"):
        (where / "rootfs" / folder).mkdir(parents=True)
    shutil.copy(context.build / "bench/true", where / "rootfs/bin/true")
    subprocess.run([context.build / "src/main/tare-runtime", "spec"], cwd=where, check=True)
    document = json.loads((where / "config.json").read_text())
    document["ociVersion"] = "1.0.2"  # which the oldest of them knows
    document["process"]["args"] = ["/bin/true", *args]
    document["process"]["terminal"] = False
    document["process"].pop("rlimits", None)
    document["root"] = {"path": "rootfs", "readonly": False}
    (where / "config.json").write_text(json.dumps(document))
    return where


def runtime(context, name, place, program):
    return contenders.Contender(name, place, [program, "--root", context.run / "runtimes" / name.replace(" ", "-")], contenders.ENV)


def all_runtimes(context):
    yield runtime(context, "tare-runtime", contenders.Place(), context.build / "src/main/tare-runtime")
    for each in contenders.runtimes():
        yield runtime(context, *each)


def of_runtimes(context):
    where, count = bundle(context, "bundle"), itertools.count()

    def run(one):
        return lambda: one.ms("run", "--bundle", where, f"tare-bench-{os.getpid()}-{next(count)}")
    each = {"floor": context.floor, **{one.name: run(one) for one in all_runtimes(context)}}
    return Row("OCI runtime: run a static true", each, [Target(1.15, "floor"), Target(1 / 1.5, "crun"), Target(1 / 3, "runc")])


@contextlib.contextmanager
def exec_of_runtimes(context):
    """A container of each runtime's own; the floor enters ours."""
    where, name = bundle(context, "bundle-live", "stay"), f"tare-bench-{os.getpid()}-live"
    each, live = {}, []
    try:
        for one in all_runtimes(context):
            one.cli("run", "--bundle", where, "-d", name)
            live.append(one)
            each[one.name] = lambda one=one: one.ms("exec", name, "/bin/true")
        pid = str(json.loads(live[0].cli("state", name)[1])["pid"])
        floor = [str(context.build / "bench/floor"), "exec", pid, "1"]
        each["bare program"] = lambda: contenders.spawn_and_wait(floor, contenders.ENV)[0]  # the same with its own start, as who is asked has one
        yield Row("OCI runtime: exec a static true", {"floor": lambda: float(subprocess.check_output(floor).split()[0]), **each},
                  [Target(1.5, "floor"), Target(1.5, "bare"), Target(1 / 1.5, "crun")])
    finally:
        for one in live:
            one.cli("delete", "-f", name)


def run_many(one, how_many):
    def go():
        taken = sum(one.ms("run", "-d", "--network", "none", "--name", f"many-{i}", "busybox", "sleep", "100000") for i in range(how_many))
        one.cli("rm", "-f", *[f"many-{i}" for i in range(how_many)])
        return taken
    return go


def log(one):
    """From the start until the container has ended, with the json-file driver, which is what podman calls its own, too."""
    def go():
        taken, _ = one.cli("run", "-d", "--name", "log", "--network", "none", "--log-driver", "json-file", "busybox", "sh", "-c", LOG_COMMAND)
        taken += one.ms("wait", "log")
        one.cli("rm", "-f", "log")
        return taken
    return go


def rows(context):
    def each(make):
        return {one.name: make(one) for one in context.engines}
    if context.storage == "tmpfs":
        yield of_runtimes(context)
        with exec_of_runtimes(context) as row:
            yield row
    yield Row("run --rm --network none busybox true",
              {"floor": context.floor, **each(lambda one: lambda: one.ms("run", "--rm", "--network", "none", "busybox", "true"))},
              [Target(2, "floor")] + [Target(1 / 20, "docker")] * (context.storage == "tmpfs"))
    for one in context.engines:
        one.cli("run", "-d", "--name", "live", "--network", "none", "busybox", "sleep", "100000")
    if context.storage == "tmpfs":
        yield Row("exec true", each(lambda one: lambda: one.ms("exec", "live", "true")), [Target(1 / 10, "docker")])
    yield Row("100 × run -d --network none, all of them", each(lambda one: run_many(one, 100)), [Target(1 / 15, "docker")], rounds=1)
    yield Row("256 MiB of log lines, json-file", each(log), [Target(1 / 10, "docker")], rounds=3)
    for one in context.engines:
        one.cli("rm", "-f", "live")
