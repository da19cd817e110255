"""What was found to differ from Docker 28 when the same commands were given to both: wordings that tools match on, exit codes,
and answers that the stock command depends on. The expected texts are what a dockerd 28.5 answered."""
import json
import os
import time

import pytest

from harness.engine import wait_for


@pytest.fixture
def docker(engine):
    def run(*arguments, **options):
        return engine.docker(*arguments, **{"check": False, **options})
    yield run
    left = engine.docker("ps", "-aq").stdout.split()
    if left:
        engine.docker("rm", "-f", *left)


def create(engine, document, name=""):
    return engine.api("POST", f"/containers/create?name={name}", {"Image": "busybox", **document})


# --- starts that fail ---

@pytest.mark.parametrize("arguments, code, text", [
    (["busybox", "nosuch"], 127, 'exec: "nosuch": executable file not found in $PATH'),
    (["busybox", "/etc"], 126, 'exec: "/etc": is a directory'),
    (["--device", "/dev/nosuch", "busybox", "true"], 127,
     'error gathering device information while adding custom device "/dev/nosuch": no such file or directory'),
    (["--mount", "type=bind,src=/nosuch,dst=/s", "busybox", "true"], 125,
     'invalid mount config for type "bind": bind source path does not exist: /nosuch'),
    (["--network", "bogus", "busybox", "true"], 125, "failed to set up container networking: network bogus not found"),
    (["--network", "container:nosuch", "busybox", "true"], 125,
     "joining network namespace of container: No such container: nosuch"),
    (["--pid", "container:nosuch", "busybox", "true"], 125, "No such container: nosuch"),
    (["--ipc", "container:nosuch", "busybox", "true"], 125, "No such container: nosuch"),
    (["--volumes-from", "nosuch", "busybox", "true"], 125, "No such container: nosuch"),
])
def test_run_says_once_why_it_failed(docker, arguments, code, text):
    done = docker("run", "--rm", *arguments)
    lines = [line for line in done.stderr.splitlines() if line]
    assert done.returncode == code, done.stderr
    assert len(lines) == 2 and lines[0].startswith("docker: Error response from daemon: ") and lines[0].endswith(text), done.stderr
    assert lines[1] == "Run 'docker run --help' for more information"
    assert docker("ps", "-aq").stdout == ""


def test_what_never_ran_stays_created(docker):
    docker("create", "--name", "never", "busybox", "nosuch")
    assert docker("start", "never").returncode == 1
    state = json.loads(docker("inspect", "-f", "{{json .State}}", "never").stdout)
    assert (state["Status"], state["ExitCode"]) == ("created", 127) and "executable file not found" in state["Error"]
    assert state["StartedAt"] == state["FinishedAt"] == "0001-01-01T00:00:00Z"
    assert docker("ps", "-a", "--format", "{{.State}} {{.Status}}").stdout == "created Created\n"
    assert docker("wait", "never").stdout == "127\n"


def test_a_joined_network_may_come_later(docker):
    """Created and attached to before it is there, as Compose does; the start alone needs it."""
    assert docker("create", "--name", "joiner", "--network", "container:late", "busybox", "cat", "/etc/hostname").returncode == 0
    assert "No such container: late" in docker("start", "-a", "joiner").stderr
    docker("run", "-d", "--name", "late", "-h", "late-host", "busybox", "sleep", "1000")
    assert docker("start", "-a", "joiner").stdout == "late-host\n"


# --- words ---

def test_refusals_are_worded_as_dockers(engine, docker):
    docker("run", "-d", "--name", "one", "busybox", "sleep", "1000")
    docker("create", "--name", "two", "busybox")
    container = docker("inspect", "-f", "{{.Id}}", "one").stdout.strip()
    for arguments, text in {
        ("rm", "one"): 'cannot remove container "one": container is running: stop the container before removing or force remove',
        ("kill", "nosuch"): "cannot kill container: nosuch: No such container: nosuch",
        ("kill", "-s", "BOGUS", "one"): "cannot kill container: one: invalid signal: BOGUS",
        ("stop", "--signal", "BOGUS", "one"): "cannot stop container: one: invalid signal: BOGUS",
        ("rename", "one", "bad name"):
            "Error when allocating new name: Invalid container name (bad name), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed",
        ("volume", "create", "x"): "create x: volume name is too short, names should be at least two alphanumeric characters",
        ("volume", "create", "-d", "bogus", "vol"): 'create vol: error looking up volume plugin bogus: plugin "bogus" not found',
        ("create", "--cap-add", "bogus", "busybox"): 'invalid CapAdd: unknown capability: "CAP_BOGUS"',
        ("create", "--stop-signal", "BOGUS", "busybox"): "invalid signal: BOGUS",
        ("create", "--log-driver", "bogus", "busybox"): 'error looking up logging plugin bogus: plugin "bogus" not found',
        ("create", "--tmpfs", "/t:bogus", "busybox"): 'invalid tmpfs option "bogus"',
    }.items():
        assert docker(*arguments).stderr.splitlines()[0] == f"Error response from daemon: {text}"
    assert engine.api("POST", "/containers/one/pause")[0] == 204
    status, answer = engine.api("POST", "/containers/one/pause")
    assert (status, answer["message"]) == (409, f"Container {container} is already paused")
    assert engine.api("POST", "/containers/create", {}) == (
        400, {"message": "config cannot be empty in order to create a container"})


def test_published_ports_without_a_network_are_no_news(docker):
    assert docker("run", "--rm", "--network", "none", "-p", "80:80", "busybox", "true").stderr == ""


# --- documents ---

def test_inspect_shows_what_docker_shows(engine, docker):
    status, made = create(engine, {"Volumes": {}}, "shown")
    assert status == 201
    shown = engine.api("GET", f"/containers/{made['Id']}/json")[1]
    assert shown["Config"]["Volumes"] is None
    assert shown["HostConfig"]["MaskedPaths"] == [
        "/proc/asound", "/proc/acpi", "/proc/interrupts", "/proc/kcore", "/proc/keys", "/proc/latency_stats", "/proc/timer_list",
        "/proc/timer_stats", "/proc/sched_debug", "/proc/scsi", "/sys/firmware", "/sys/devices/virtual/powercap"]


def test_hosts_has_the_domain(docker):
    hosts = docker("run", "--rm", "-h", "box", "--domainname", "dom.example", "busybox", "cat", "/etc/hosts").stdout
    assert "127.0.1.1\tbox.dom.example box\n" in hosts


# --- parts that are not there ---

def test_what_is_absent_looks_empty(engine, docker):
    assert docker("plugin", "ls", "-q").returncode == 0
    for command in (("node", "ls"), ("service", "ls"), ("secret", "ls"), ("config", "ls")):
        assert "This node is not a swarm manager." in docker(*command).stderr
    assert docker("system", "prune", "-f").stdout == "Total reclaimed space: 0B\n"
    assert engine.api("POST", "/build/prune") == (200, {"CachesDeleted": None, "SpaceReclaimed": 0})
    for method, path in (("GET", "/nope"), ("POST", "/info"), ("PATCH", "/containers/json")):
        assert engine.api(method, path) == (404, {"message": "page not found"})


# --- update ---

def limit(docker, name, *files):
    """What the container's own group says, of v1's file or v2's."""
    return docker("exec", name, "sh", "-c", f"cd /sys/fs/cgroup; cat {' '.join(files)} 2>/dev/null").stdout.split("\n")[0]


def memory_of(docker, name):
    return limit(docker, name, "memory/memory.limit_in_bytes", "memory.max")


@pytest.mark.parametrize("program", ["docker", "tare"])
def test_update_changes_limits_of_what_runs(engine, docker, program):
    client = docker if program == "docker" else engine.tare
    docker("run", "-d", "--name", "up", "-m", "64m", "--pids-limit", "50", "--restart", "always", "busybox", "sh", "-c", "sleep 1000")
    assert client("update", "-m", "100m", "--cpus", "0.5", "--pids-limit", "60", "--cpuset-cpus", "0", "up").stdout == "up\n"
    wanted = {"Memory": 100 << 20, "MemorySwap": 128 << 20, "NanoCpus": 500000000, "PidsLimit": 60, "CpusetCpus": "0"}

    def check():
        host = json.loads(docker("inspect", "-f", "{{json .HostConfig}}", "up").stdout)
        assert {key: host[key] for key in wanted} == wanted
        assert memory_of(docker, "up") == str(100 << 20)
        assert limit(docker, "up", "pids/pids.max", "pids.max") == "60"
        assert limit(docker, "up", "cpu/cpu.cfs_quota_us", "cpu.max").split()[0] == "50000"
        assert limit(docker, "up", "cpuset/cpuset.cpus", "cpuset.cpus") == "0"
    check()
    docker("restart", "-t", "0", "up")
    check()
    pid = int(docker("inspect", "-f", "{{.State.Pid}}", "up").stdout)
    os.kill(pid, 9)  # the monitor's own restart: it reads what the update wrote
    wait_for(lambda: docker("inspect", "-f", "{{.State.Status}} {{.RestartCount}}", "up").stdout == "running 1\n", "the restart")
    check()
    engine.kill_engine()
    check()
    assert client("update", "--pids-limit", "-1", "up").returncode == 0
    assert limit(docker, "up", "pids/pids.max", "pids.max") == "max"
    assert docker("inspect", "-f", "{{json .HostConfig.PidsLimit}}", "up").stdout == "null\n"


def test_update_of_what_is_stopped_counts_at_the_start(docker):
    docker("create", "--name", "later", "busybox", "sleep", "1000")
    assert docker("update", "-m", "64m", "-c", "512", "later").returncode == 0
    docker("start", "later")
    assert memory_of(docker, "later") == str(64 << 20)
    events = docker("events", "--since", "1h", "--until", str(time.time() + 0.1), "--filter", "container=later", "--format", "{{.Action}}").stdout.split()
    assert events[:3] == ["create", "update", "start"]


def test_update_that_fails_changes_nothing(docker):
    docker("run", "-d", "--name", "kept", "-m", "64m", "--memory-swap", "64m", "--cpus", "1", "busybox", "sh", "-c",
           "dd if=/dev/zero of=/dev/shm/x bs=1M count=30 2>/dev/null; echo full; sleep 1000")
    wait_for(lambda: docker("logs", "kept").stdout == "full\n", "30 MiB in use")
    before = docker("inspect", "-f", "{{json .HostConfig}}", "kept").stdout
    quota = limit(docker, "kept", "cpu/cpu.cfs_quota_us", "cpu.max")
    identity = docker("inspect", "-f", "{{.Id}}", "kept").stdout.strip()
    for arguments, text in {
        # the CPU's part comes before the memory's, and is taken back
        ("-m", "100m"): f"Cannot update container {identity}: Memory limit should be smaller than already set memoryswap limit",
        ("--cpu-quota", "5000"): f"Cannot update container {identity}: Conflicting options: CPU Quota cannot be updated",
        ("-m", "1m"): "Minimum memory limit allowed is 6MB",
        ("--memory-swap", "10m"): "Minimum memoryswap limit should be larger than memory limit",
        ("--cpuset-cpus", "4095"): "Requested CPUs are not available",
        ("--restart", "bogus"): "invalid restart policy: unknown policy 'bogus'",
    }.items():
        done = docker("update", *arguments, "kept")
        assert done.returncode == 1 and text in done.stderr, done.stderr
    assert docker("inspect", "-f", "{{json .HostConfig}}", "kept").stdout == before
    if limit(docker, "kept", "memory/memory.limit_in_bytes"):  # v1 refuses a limit below what can't be given back
        done = docker("update", "--cpus", "0.25", "--memory-swap", "8m", "-m", "8m", "kept")
        assert done.returncode == 1 and "memory.limit_in_bytes" in done.stderr or "memory.memsw" in done.stderr, done.stderr
        assert docker("inspect", "-f", "{{json .HostConfig}}", "kept").stdout == before
    assert limit(docker, "kept", "cpu/cpu.cfs_quota_us", "cpu.max") == quota and memory_of(docker, "kept") == str(64 << 20)
    assert docker("inspect", "-f", "{{.State.Running}}", "kept").stdout == "true\n"
