"""tare-runtime under other engines: containerd's shim (ctr), Podman, and Docker's own daemon. What each needs of its runtime is done
by its own command line: run, exec, signals, limits, pause, terminals, exit codes and the errors it tells from others."""
import os
import re
import time

import pytest

from harness import criu, images
from harness.box import RUNTIME
from harness.engine import wait_for
from harness.peers import Containerd, Dockerd, Podman
from harness.terminal import Terminal

CTR_IMAGE = "docker.io/library/busybox:latest"
LIMIT = "cat /sys/fs/cgroup/memory.max /sys/fs/cgroup/memory/memory.limit_in_bytes 2>/dev/null; true"
POLITE = "trap 'echo bye; exit 5' TERM; echo ready; while :; do sleep 0.1; done"

SIZED = "tty; while [ \"$(stty size)\" != '31 77' ]; do sleep 0.1; done; echo siz''ed\n"  # which is told after the start, by a client that may miss the moment


def opened(peer, *load):
    try:
        peer.start()
        peer.run(*load, stdin=open(images.busybox("docker-archive"), "rb"))
        yield peer
    finally:
        left = peer.close()
    assert not left, left


@pytest.fixture(scope="module")
def containerd():
    yield from opened(Containerd(), "image", "import", "-")


class Docker:
    """Podman and Docker share a command line; what each needs in addition is in `common`."""

    def __init__(self, peer, *common):
        self.peer, self.common, self.count = peer, common, 0

    def __call__(self, *arguments, **options):
        return self.peer.run(*arguments, **options)

    def once(self, *arguments, **options):
        return self("run", "--rm", *self.common, *arguments, **options)

    def start(self, *arguments):
        self.count += 1
        name = f"box{self.count}"
        self("run", "-d", "--name", name, *self.common, *arguments)
        return name

    def end(self, name):
        self("kill", name)
        self("wait", name)
        self("rm", name)

    def inspect(self, name, what):
        return self("inspect", "-f", "{{%s}}" % what, name)


@pytest.fixture(scope="module")
def podman():
    yield from (Docker(peer, "--network", "none") for peer in opened(Podman(), "load", "-q"))


@pytest.fixture(scope="module")
def dockerd():
    yield from (Docker(peer, "--network", "none", "--runtime", "tare") for peer in opened(Dockerd(), "load", "-q"))


@pytest.fixture(params=["podman", "dockerd"])
def docker(request):
    return request.getfixturevalue(request.param)


# ---- containerd ----


def ctr_run(*arguments):
    return "run", "--runc-binary", RUNTIME, *arguments


def ctr_status(containerd, name):
    rows = [line.split() for line in containerd.run("task", "ls").splitlines()]
    return next((row[2] for row in rows if row[0] == name), None)


def test_ctr_runs_and_tells_how_it_ended(containerd):
    assert containerd.run(*ctr_run("--rm", CTR_IMAGE, "once", "echo", "hello")) == "hello"
    assert containerd.run(*ctr_run("--rm", CTR_IMAGE, "once", "head", "-n", "1"), stdin=None, input="through\n") == "through"
    assert containerd.run(*ctr_run("--rm", CTR_IMAGE, "once", "sh", "-c", "exit 7"), check=False).returncode == 7
    missing = containerd.run(*ctr_run("--rm", CTR_IMAGE, "once", "nosuch"), check=False)
    assert 'exec: "nosuch": executable file not found in $PATH' in missing.stderr
    assert containerd.run("container", "ls", "-q") == ""


def test_ctr_life_of_a_container(containerd):
    containerd.run(*ctr_run("-d", "--memory-limit", 32 << 20, CTR_IMAGE, "long", "sleep", "1000"))
    assert ctr_status(containerd, "long") == "RUNNING"
    inside = containerd.run("task", "exec", "--exec-id", "one", "long", "sh", "-c", "ps; exit 3", check=False)
    assert inside.returncode == 3 and "sleep 1000" in inside.stdout
    metrics = containerd.run("task", "metrics", "--format", "json", "long")
    assert re.search(rf'"(limit|usage_limit)":\s*{32 << 20}\b', metrics), metrics
    containerd.run("task", "pause", "long")
    assert ctr_status(containerd, "long") == "PAUSED"
    containerd.run("task", "resume", "long")
    assert ctr_status(containerd, "long") == "RUNNING"
    assert len(containerd.run("task", "ps", "long").splitlines()) == 2
    containerd.run("task", "kill", "-s", "KILL", "long")
    wait_for(lambda: ctr_status(containerd, "long") == "STOPPED", "the end of the task")
    containerd.run("task", "rm", "long", check=False)  # whose exit code is the task's
    containerd.run("container", "rm", "long")
    assert ctr_status(containerd, "long") is None


@pytest.mark.skipif(criu.missing() is None, reason="criu is not missing")
def test_ctr_checkpoint_says_what_is_missing(containerd):
    containerd.run(*ctr_run("-d", CTR_IMAGE, "still", "sleep", "1000"))
    told = containerd.run("task", "checkpoint", "--image-path", "/run/peer/checkpoint", "still", check=False)
    assert told.returncode != 0 and re.search("checkpoint|criu", told.stderr, re.I), told.stderr
    assert ctr_status(containerd, "still") == "RUNNING"
    containerd.run("task", "rm", "-f", "still", check=False)
    containerd.run("container", "rm", "still")


COUNTING = "n=0; while :; do n=$((n+1)); echo $n; sleep 0.1; done"


@criu.needed
def test_ctr_restores_elsewhere(containerd):
    """From an image of the checkpoint, with what was written."""
    containerd.run(*ctr_run("-d", CTR_IMAGE, "first", "sh", "-c", "x=kept; echo $x >/file; while :; do sleep 0.1; done"))
    inside = "task", "exec", "--exec-id", "one"
    wait_for(lambda: containerd.run(*inside, "first", "cat", "/file", check=False).stdout == "kept\n", "its file")
    containerd.run("container", "checkpoint", "--task", "--rw", "--image", "first", "checkpoint:first")
    assert ctr_status(containerd, "first") == "RUNNING"
    containerd.run("task", "rm", "-f", "first", check=False)
    containerd.run("container", "rm", "first")
    containerd.run("container", "restore", "--live", "--rw", "second", "checkpoint:first")
    assert ctr_status(containerd, "second") == "RUNNING"
    assert containerd.run(*inside, "second", "sh", "-c", "cat /file /proc/1/comm") == "kept\nsh"
    containerd.run("task", "rm", "-f", "second", check=False)
    containerd.run("container", "rm", "second")


def counted(docker, name):
    lines = docker("logs", "--tail", "1", name).split()
    return int(lines[-1]) if lines else 0


@criu.needed
def test_podman_checkpoint(podman):
    """Stopped and restored, and by an archive, under another name beside the first."""
    name = podman.start("-m", "64m", "busybox", "sh", "-c", COUNTING)
    wait_for(lambda: counted(podman, name) >= 2, "it to count")
    podman("container", "checkpoint", name)
    before = counted(podman, name)
    podman("container", "restore", name)
    wait_for(lambda: counted(podman, name) > before, "it to count on")
    podman("container", "checkpoint", "--leave-running", "--export", "/run/peer/archive.tar.gz", name)
    podman("container", "restore", "--import", "/run/peer/archive.tar.gz", "--name", "copy")
    assert podman("exec", "copy", "cat", "/proc/1/comm") == podman("exec", name, "cat", "/proc/1/comm") == "sh"
    podman.end("copy")
    podman.end(name)


@criu.needed
def test_dockerd_checkpoint(dockerd):
    name = dockerd.start("busybox", "sh", "-c", COUNTING)
    wait_for(lambda: counted(dockerd, name) >= 2, "it to count")
    dockerd("checkpoint", "create", name, "point")
    assert dockerd("checkpoint", "ls", name).split()[-1] == "point" and dockerd.inspect(name, ".State.Status") == "exited"
    before = counted(dockerd, name)
    dockerd("start", "--checkpoint", "point", name)
    wait_for(lambda: counted(dockerd, name) > before, "it to count on")
    dockerd("checkpoint", "create", "--leave-running", name, "other")
    assert dockerd.inspect(name, ".State.Status") == "running"
    dockerd.end(name)


def test_ctr_terminals(containerd):
    terminal = Terminal(containerd, *containerd.inside(*containerd.cli, *ctr_run("--rm", "-t", CTR_IMAGE, "tty", "sh")), rows=31, columns=77)
    terminal.type(SIZED)
    terminal.expect("/dev/pts/0")
    terminal.expect("sized", nudge=terminal.announce)
    within = Terminal(containerd, *containerd.inside(*containerd.cli, "task", "exec", "-t", "--exec-id", "two", "tty", "sh", "-c", "tty; exit 4"))
    within.expect("/dev/pts/1")
    assert within.wait() == 4
    terminal.type("exit 6\n")
    assert terminal.wait() == 6


# ---- Podman, Docker ----


def test_runs_and_tells_how_it_ended(docker):
    assert docker.once("busybox", "echo", "hello") == "hello"
    assert docker.once("-i", "busybox", "cat", stdin=None, input="through\n") == "through"
    for command, code, text in ((["sh", "-c", "exit 7"], 7, ""), (["nosuch"], 127, "not found"), (["/etc"], 126, "permission denied")):
        done = docker.once("busybox", *command, check=False)
        assert done.returncode == code and text in done.stderr, (command, done)


def test_life_of_a_container(docker):
    name = docker.start("-m", "32m", "--pids-limit", "50", "busybox", "sh", "-c", POLITE)
    assert docker("exec", name, "sh", "-c", LIMIT) == str(32 << 20)
    inside = docker("exec", "-u", "1000", "-w", "/tmp", "-e", "A=b", name, "sh", "-c", "id -u; pwd; echo $A; exit 3", check=False)
    assert inside.returncode == 3 and inside.stdout.split() == ["1000", "/tmp", "b"]
    assert docker("exec", name, "nosuch", check=False).returncode in (126, 127)
    docker("pause", name)
    assert docker.inspect(name, ".State.Status") == "paused"
    docker("unpause", name)
    docker("update", "-m", "64m", "--memory-swap", "-1", "--cpus", "0.5", name)
    assert docker("exec", name, "sh", "-c", LIMIT) == str(64 << 20)
    assert "sh" in docker("top", name)
    assert docker("stats", "--no-stream", "--format", "{{.PIDs}}", name).isdigit()
    wait_for(lambda: "ready" in docker("logs", name), "the program to listen")
    docker("stop", "-t", "60", name)
    assert docker.inspect(name, ".State.ExitCode") == "5" and docker("logs", name).endswith("bye")
    docker("start", name)
    assert docker.inspect(name, ".State.Running") == "true"
    docker("kill", name)
    assert docker("wait", name) == "137"
    docker("rm", name)


def test_what_a_container_may_see(docker):
    text = docker.once("--read-only", "--tmpfs", "/x", "--cap-drop", "all", "--cap-add", "kill", "--security-opt", "no-new-privileges",
                       "--device", "/dev/fuse", "-h", "nutshell", "busybox", "sh", "-c",
                       "touch /a || echo full; touch /x/a && echo room; ls -l /dev/fuse; hostname; grep -E 'CapEff|NoNewPrivs|Seccomp:' /proc/self/status")
    assert "full" in text and "room" in text and re.search(r"crw\S+ .* 10, 229 .*/dev/fuse", text) and "nutshell" in text
    assert re.search(r"CapEff:\s*0*20\b", text) and re.search(r"NoNewPrivs:\s*1", text) and re.search(r"Seccomp:\s*2", text)


def test_all_rights(docker):
    devices, caps = docker.once("--privileged", "busybox", "sh", "-c", "ls /dev | wc -l; grep CapBnd /proc/self/status").splitlines()
    assert int(devices) > 15 and bin(int(caps.split()[1], 16)).count("1") > 14


def test_namespaces_of_others(docker):
    assert docker.once("--pid", "host", "--ipc", "host", "--uts", "host", "busybox", "hostname") == os.uname().nodename
    name = docker.start("busybox", "sleep", "1000")
    assert "sleep 1000" in docker("run", "--rm", *docker.common[2:], "--pid", f"container:{name}", "--network", f"container:{name}", "busybox", "ps")
    docker.end(name)


def test_host_network(docker):
    assert "127.0.0.1" in docker("run", "--rm", *docker.common[2:], "--network", "host", "busybox", "ip", "addr")


def test_terminals(docker):
    def terminal(*arguments):
        return Terminal(docker.peer, *docker.peer.inside(*docker.peer.cli, *arguments), rows=31, columns=77)
    first = terminal("run", "--rm", "-it", "--name", "tty", *docker.common, "busybox", "sh")
    first.type(SIZED)
    first.expect("/dev/pts/0")
    first.expect("sized", nudge=first.announce)
    second = terminal("exec", "-it", "tty", "sh", "-c", "tty; exit 4")
    second.expect("/dev/pts/1")
    assert second.wait() == 4
    first.type("exit 6\n")
    assert first.wait() == 6


def test_health(docker):
    name = docker.start("--health-cmd", "test -e /tmp/well", "--health-interval", "1s", "busybox", "sh", "-c", "touch /tmp/well; sleep 1000")
    if docker("--version").startswith("podman"):  # whose timer is systemd's
        wait_for(lambda: docker("healthcheck", "run", name, check=False).returncode == 0, "a good health")
        docker("exec", name, "rm", "/tmp/well")
        assert docker("healthcheck", "run", name, check=False).returncode == 1
    else:
        wait_for(lambda: docker.inspect(name, ".State.Health.Status") == "healthy", "a good health")
    docker.end(name)


def test_podman_maps_ids(podman):
    text = podman.once("--uidmap", "0:100000:1000", "--gidmap", "0:100000:1000", "busybox", "sh", "-c", "cat /proc/self/uid_map; id -u")
    assert text.split() == ["0", "100000", "1000", "0"]


def test_podman_has_no_limit_of_processes(podman):
    """Which Podman before 5.5 says by a limit of 0."""
    text = podman.once("--pids-limit", "-1", "busybox", "sh", "-c", "cat /sys/fs/cgroup/pids.max /sys/fs/cgroup/pids/pids.max 2>&1 | grep -v cat")
    assert text == "max"


def test_podman_gives_groups_to_a_systemd(podman):
    """By a bind of its group over the read-only view of it, where there is cgroup v1."""
    text = podman.once("--systemd=always", "busybox", "sh", "-c",
                       "for at in /sys/fs/cgroup/systemd /sys/fs/cgroup; do test -e $at/cgroup.procs && break; done; mkdir $at/sub && grep ' /run ' /proc/mounts")
    assert "tmpfs" in text


def test_podman_knows_its_runtime(podman):
    name = podman.start("busybox", "true")
    assert podman("wait", name) == "0"
    assert podman.inspect(name, ".OCIRuntime") == str(RUNTIME)
    told = podman("container", "checkpoint", name, check=False)
    assert told.returncode != 0 and told.stderr
    podman("rm", name)


def test_dockerd_restarts(dockerd):
    name = dockerd.start("--restart", "on-failure:2", "busybox", "sh", "-c", "echo run; exit 3")
    wait_for(lambda: dockerd("inspect", "-f", "{{.RestartCount}} {{.State.Status}}", name) == "2 exited", "two restarts")
    assert dockerd("logs", name).split() == ["run"] * 3 and dockerd.inspect(name, ".State.ExitCode") == "3"
    dockerd("rm", name)


def test_dockerd_tells_of_memory(dockerd):
    name = dockerd.start("-m", "8m", "busybox", "sleep", "1000")  # the shim begins to listen once it runs
    assert dockerd("exec", name, "tail", "/dev/zero", check=False).returncode == 137
    wait_for(lambda: name in dockerd("events", "--since", "0", "--until", str(int(time.time()) + 1), "--filter", "event=oom"), "the news")
    dockerd.end(name)


def test_dockerd_comes_back_to_a_container(dockerd):
    """With live-restore: the next daemon finds what runs by the runtime's state."""
    name = dockerd.start("--init", "busybox", "sleep", "1000")
    pid = dockerd.inspect(name, ".State.Pid")
    dockerd.peer.restart()
    assert dockerd.inspect(name, ".State.Pid") == pid and os.path.exists(f"/proc/{pid}")
    assert "docker-init" in dockerd("exec", name, "ps")
    dockerd("restart", "-t", "0", name)
    dockerd.end(name)
