"""kill -9 of each program, and a failing call, at any system call that changes something: the engine answers, what was
acknowledged is there, the rest can be removed, and nothing is left behind. A sample of the calls; TARE_KILLS=all takes each.
"""
import errno
import os
import pathlib
import shutil
import signal
import subprocess
import tarfile
import tempfile
import time

import pytest

from harness import images, leaks, networks
from harness.distribution import Registry
from harness.engine import Engine, processes, wait_for
from harness.strike import HELPER, KILL, NEVER, SAMPLE, Striker, chosen

# A sanitizer's programs can't look for leaks while they are traced.
pytestmark = [pytest.mark.slow, pytest.mark.skipif(not HELPER.exists(), reason="no striking on this machine")]

SOON = 30  # how soon when nothing else is going on is measured elsewhere
ERRORS = [errno.ENOMEM, errno.ENOSPC, errno.EIO, errno.EMFILE, errno.EINTR, errno.EAGAIN]
# In any action: with fewer the wrong thing is watched. The holder and, in a load, the engine have little to do; so has a monitor
# in an rm on cgroup v2 alone, where a container has one group and not one in each hierarchy.
CALLS_AT_LEAST = {"tare-engine": 4, "tare-monitor": 10, "tare-worker": 4, "tare-transfer": 20, "tare-network": 4, "tared": 1}


class Scene:
    """An engine with a container that runs and one that has ended; whatever is struck, they stay as they are."""

    def __init__(self, program):
        self.top = pathlib.Path(tempfile.mkdtemp(prefix="tare-kills-"))
        self.striker = Striker(self.top / "programs", program)
        self.engine = Engine(programs=self.striker.folder).start()
        self.engine.tare("load", "-q", "-i", images.busybox())
        self.engine.tare("network", "create", "front")
        self.engine.tare("network", "create", "side")
        self.engine.tare("run", "-d", "--name", "kept", "--network", "front", "-p", "8000:80", "busybox", "sleep", "100000")
        self.engine.tare("run", "--name", "ended", "busybox", "sh", "-c", "exit 3", check=False)
        self.registry = None
        if program == "tare-transfer":
            self.registry = Registry(self.top / "registry").start()
            self.registry.fill(f"docker-archive:{other_image()}", "team/other:latest")
            self.engine.pulled = f"{self.registry.host}/team/other"
        self.striker.trace()
        self.restart()
        self.before = self.wait_alone()

    def restart(self):
        """So that the program runs under the tracer, if it is one that lives longer than a command."""
        if self.striker.name == "tared":
            self.engine.holder.kill()
            self.engine.holder.wait()
            self.revive()
        self.engine.kill_engine()

    def revive(self):
        """A service manager's part."""
        if self.engine.holder.poll() is not None:
            self.engine.start()

    def wait_alone(self):
        """Every start has a monitor in reserve behind it, for a second, and every engine that begins a look at the networks; what is
        there without them."""
        known = set(self.engine.tare("ps", "-aq", "--no-trunc").stdout.split())

        def alone():
            facts = self.facts()
            seen = facts[0]
            calm = len(seen["monitors"]) == 1 and set(seen["run folders"]) <= known and not any(seen[kind] for kind in leaks.PASSING)
            return facts if calm and facts == self.facts() else None
        return wait_for(alone, "the end of the monitor in reserve, and of the helper that looks at the networks")

    def facts(self):
        shown = self.engine.tare("inspect", "-f", "{{.State.Status}} {{.State.Pid}} {{.State.ExitCode}}", "kept", "ended")
        return {**leaks.snapshot(self.engine), "bridges": networks.bridges(self.engine)}, shown.stdout

    def check(self, what, program):
        """Back soon; then as before."""
        if program == "tared":
            self.revive()
        wait_for(self.engine.answers, f"the engine's answer after {what}", SOON)
        now = []

        def same():
            now[:] = [self.facts()]
            return now[0] == self.before
        try:
            wait_for(same, f"nothing left after {what}", 60)
        except AssertionError:
            different = {kind: (was, now[0][0][kind]) for kind, was in self.before[0].items() if was != now[0][0][kind]}
            raise AssertionError(f"after {what}: {different} {self.before[1]!r} {now[0][1]!r}\n{self.engine.tail_log()}")

    def close(self):
        self.striker.disarm()
        self.revive()
        left = self.engine.stop()
        if self.registry:
            self.registry.stop()
        shutil.rmtree(self.top, ignore_errors=True)
        assert not left, left


@pytest.fixture(params=["tare-engine", "tare-monitor", "tare-worker", "tare-transfer", "tare-network", "tared"])
def scene(request):
    scene = Scene(request.param)
    try:
        yield scene
    finally:
        scene.close()


@pytest.mark.parametrize("scene", ["tare-engine"], indirect=True)
@pytest.mark.parametrize("error", ["EMFILE", "ENOMEM"])
def test_a_client_that_cannot_be_accepted_waits_for_a_moment(scene, error):
    """Though no other client goes away, to whom the descriptors could have belonged."""
    scene.striker.arm(1, getattr(errno, error))
    assert scene.engine.api("GET", "/_ping")[0] == 200
    assert scene.striker.disarm()
    scene.check("an accept that failed", "tare-engine")


# What is done while a strike is due. Each returns whether it was acknowledged, and may be left half done.

def attempt(engine, *arguments):
    done = engine.tare(*arguments, check=False, timeout=60)
    if done.returncode not in (0, 137):  # that is the word for a container that ended with its monitor
        said = done.stderr.strip() or done.stdout.strip()  # an exec's failure comes on its stream
        assert said and len(said) < 1000, (arguments, done)
    return done.returncode == 0


def make_and_start(engine):
    made = attempt(engine, "run", "-d", "--name", "victim", "busybox", "sh", "-c", "echo line; exec sleep 100000")
    attempt(engine, "exec", "victim", "true")
    return made


def run_briefly(engine):
    return attempt(engine, "run", "--rm", "--name", "victim", "busybox", "echo", "line")


def stop_and_start(engine):
    return attempt(engine, "stop", "-t", "0", "victim") and attempt(engine, "start", "victim")


def remove(engine):
    return attempt(engine, "rm", "-f", "victim")


def remove_and_empty(engine):
    done = remove(engine)
    wait_for(lambda: not os.listdir(engine.data / "trash"), "the emptied trash")
    return done


def load(engine):
    return attempt(engine, "load", "-q", "-i", other_image())


def pull(engine):
    return attempt(engine, "pull", "-q", engine.pulled)


def publish(engine):
    return attempt(engine, "run", "-d", "--name", "victim", "--network", "front", "-p", "8080:80", "-p", "9000-9003:9000-9003", "busybox",
                   "sleep", "100000")


def connect(engine):
    done = attempt(engine, "network", "connect", "front", "victim")
    attempt(engine, "update", "--publish-add", "8080:80", "victim")
    attempt(engine, "network", "disconnect", "front", "victim")
    return done


def make_network(engine):
    return attempt(engine, "network", "create", "back") and not attempt(engine, "network", "rm", "back")


def kill_engine(engine):
    os.kill(engine.engine_pid(), signal.SIGKILL)
    try:
        wait_for(engine.answers, "a successor, or its own", SOON)
    except AssertionError:
        assert engine.holder.poll() is not None  # tared fell to the strike
    return False


def start_tared(engine):
    engine.holder.kill()
    engine.holder.wait()
    try:
        engine.start()
    except AssertionError:
        pass
    return False


def exists(engine):
    return engine.tare("inspect", "victim", check=False).returncode == 0


def remove_victim(scene, what):
    """Whatever state it is in, at once."""
    scene.revive()
    wait_for(scene.engine.answers, f"the engine's answer after {what}", SOON)
    done = scene.engine.tare("rm", "-f", "victim", check=False)
    assert done.returncode == 0 or "No such container" in done.stderr, (what, done, scene.engine.tail_log())


def prepare_nothing(scene):
    pass


def prepare_victim(scene):
    scene.engine.tare("run", "-d", "--name", "victim", "busybox", "sleep", "100000")


def prepare_connected(scene):
    scene.engine.tare("run", "-d", "--name", "victim", "--network", "side", "busybox", "sleep", "100000")


def other_image():
    """With a layer that no container of the scene holds."""
    root = images.CACHE / "other-root.tar"
    if not root.exists():
        with images.becoming(root) as made, tarfile.open(made, "w") as tar:
            tar.add(images.busybox_program(), "bin/busybox")
            tar.add("/etc/hostname", "etc/other")
    return images.packed("other", root, "other:latest", "docker-archive", {"Cmd": ["/bin/busybox", "echo", "whole"]})


def prepare_load(scene):
    """Without the image's name and layers, the load has all of its work to do."""
    scene.engine.tare("rmi", "-f", "other", check=False)


def prepare_pull(scene):
    scene.engine.tare("rmi", "-f", scene.engine.pulled, check=False)


def verify_made(scene, done, what):
    assert exists(scene.engine) or not done, f"acknowledged and lost after {what}"
    remove_victim(scene, what)


def verify_removed(scene, done, what):
    if done:
        assert not exists(scene.engine), what
    remove_victim(scene, what)


def verify_network(scene, done, what):
    """It can be removed, whatever state it is in, and made again."""
    scene.engine.tare("network", "rm", "back", check=False)
    scene.engine.tare("network", "create", "back")
    scene.engine.tare("network", "rm", "back")


def verify_load(scene, done, what):
    engine = scene.engine
    listed = engine.tare("images", "-q", "other").stdout
    assert listed or not done, f"acknowledged and lost after {what}"
    if not listed:
        engine.tare("load", "-q", "-i", other_image())
    assert engine.tare("run", "--rm", "other").stdout == "whole\n", what


def verify_pull(scene, done, what):
    engine = scene.engine
    assert engine.tare("images", "-q", engine.pulled).stdout or not done, f"acknowledged and lost after {what}"
    assert engine.tare("run", "--rm", engine.pulled).stdout == "whole\n", what


ACTIONS = {
    "run": (prepare_nothing, make_and_start, verify_made),
    "run-rm": (prepare_nothing, run_briefly, lambda scene, done, what: remove_victim(scene, what)),
    "stop-start": (prepare_victim, stop_and_start, verify_made),
    "rm": (prepare_victim, remove, verify_removed),
    "trash": (prepare_victim, remove_and_empty, verify_removed),
    "load": (prepare_load, load, verify_load),
    "pull": (prepare_pull, pull, verify_pull),
    "publish": (prepare_nothing, publish, verify_made),
    "connect": (prepare_connected, connect, verify_made),
    "network": (prepare_nothing, make_network, verify_network),
    "recover": (prepare_victim, kill_engine, verify_made),
    "begin": (prepare_victim, start_tared, verify_made),
}
STRUCK = {
    "tare-engine": ["run", "run-rm", "stop-start", "rm", "load", "publish", "connect", "network", "recover"],
    "tare-monitor": ["run", "run-rm", "stop-start", "rm", "publish", "connect"],
    "tare-network": ["network"],
    "tare-worker": ["load", "trash"],
    "tare-transfer": ["pull"],
    "tared": ["run", "run-rm", "rm", "recover", "begin"],
}


def wait_calm(engine):
    """What was removed is deleted by a worker a moment later; or by nobody, when tared is gone."""
    def calm():
        worker = processes(lambda command: "tare-worker" in command[0] and str(engine.data) in command)
        return engine.holder.poll() is not None or not (leaks.entries(engine.data / "trash") or worker)
    wait_for(calm, "an empty trash")


def wait_settled(scene):
    """tared does much of its part after the answer: it reaps, and tells the engine."""
    striker = scene.striker
    wait_calm(scene.engine)
    counts = [striker.count()]

    def settled():
        time.sleep(0.25)
        counts.append(striker.count())
        return counts[-1] == counts[-2]
    wait_for(settled, "an end of the calls")


def one(scene, action, at, error):
    prepare, act, verify = ACTIONS[action]
    name = scene.striker.name
    what = f"{name} struck with {errno.errorcode.get(error, 'SIGKILL')} at call {at} of {action}"
    prepare(scene)
    wait_calm(scene.engine)
    scene.striker.arm(at, error)
    try:
        done = act(scene.engine)
    except subprocess.TimeoutExpired as expired:
        raise AssertionError(f"{what}: no end of {expired.cmd[1:]}\n{scene.engine.tail_log()}")
    if name == "tared":
        wait_settled(scene)
    struck = scene.striker.disarm()
    if struck and error == KILL and scene.striker.struck_pid() == scene.engine.holder.pid:
        scene.engine.holder.wait(60)
    scene.revive()
    wait_for(scene.engine.answers, f"the engine's answer after {what}", SOON)
    verify(scene, done, what)
    scene.check(what, name)
    return struck


def least_count(scene, action):
    """The calls of an action with nothing of what came before it: the first run's may include those."""
    counts = []
    for _ in range(2):
        assert not one(scene, action, NEVER, KILL)
        counts.append(scene.striker.count())
    return min(counts)


def sweep(scene, actions, errors):
    for action in actions:
        total = least_count(scene, action)
        points = chosen(total)
        print(f"{scene.striker.name} {action}: {len(points)} of {total}", flush=True)
        assert total >= CALLS_AT_LEAST[scene.striker.name], (scene.striker.name, action, total)
        struck = [one(scene, action, at, errors[turn % len(errors)]) for turn, at in enumerate(points)]
        # The last ones may not come: no two runs make quite the same calls.
        assert total < SAMPLE or sum(struck) > len(struck) // 3, (scene.striker.name, action, struck)


def test_killed_anywhere(scene):
    sweep(scene, STRUCK[scene.striker.name], [KILL])


def test_any_call_fails(scene):
    every = os.environ.get("TARE_KILLS") == "all"
    for errors in [[error] for error in ERRORS] if every else [ERRORS]:
        sweep(scene, {"tare-worker": ["load"], "tare-transfer": ["pull"], "tare-network": ["network"]}.get(scene.striker.name, ["run-rm"]), errors)


@pytest.mark.parametrize("scene", ["tare-engine"], indirect=True)
def test_a_client_of_rm_gets_its_end_though_a_call_fails(scene):
    """The removal that nobody asked for is tried again, and its client hears of it."""
    total = least_count(scene, "run-rm")
    struck = [one(scene, "run-rm", at, errno.ENOSPC) for at in range(total - 30, total, 3)]
    assert sum(struck) > len(struck) // 2, struck


@pytest.mark.parametrize("scene", ["tare-monitor"], indirect=True)
def test_a_client_gets_its_end_though_the_monitor_cannot_tell(scene):
    """At its beginning, when it answers engine and clients for the first time, and at the container's end."""
    total = least_count(scene, "run-rm")
    struck = [one(scene, "run-rm", at, errno.ENOMEM) for at in range(15, 25)]
    struck += [one(scene, "run-rm", at, errno.EIO) for at in range(total - 25, total + 1)]
    assert sum(struck) > len(struck) // 2, struck
