"""tare-runtime's verbs and options as callers of runc use them: what they print, and the words that are looked for."""
import json
import os
import pathlib
import select
import signal
import socket
import subprocess
import time

import pytest

from harness.box import PARENT, RUNTIME, cgroup_folders
from harness.engine import SLOW


def wait_until_stopped(box, identifier):
    deadline = time.monotonic() + 60 * SLOW
    while box.status(identifier) != "stopped":
        assert time.monotonic() < deadline
        time.sleep(0.01)


def follow_events(box, identifier, *options):
    return subprocess.Popen([RUNTIME, "--root", box.state, "events", *options, identifier], stdout=subprocess.PIPE, text=True)


def test_called_by_another_name(box):
    (box.top / "runc").symlink_to(RUNTIME)
    first, second, third = subprocess.check_output([box.top / "runc", "--version"], text=True).splitlines()[:3]
    assert first.startswith("runc version ") and second.startswith("commit: ") and third.startswith("spec: 1.")
    assert "runc update - " in subprocess.check_output([box.top / "runc", "update", "-h"], text=True)
    assert 'requires exactly 1 argument' in subprocess.run([box.top / "runc", "state"], stderr=subprocess.PIPE, text=True).stderr


def test_debug_tells_the_steps(box):
    steps = ["nsexec container setup", "child process in init()", "init: closing the pipe to signal completion"]
    identifier = box.new_id()
    box.spec["process"]["args"] = ["true"]
    box.write(identifier)
    log = box.top / "log"
    result = box.rt("--debug", "--log", log, "--log-format", "json", "run", "-b", box.bundle, identifier, check=True)
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert [line["msg"] for line in lines if line["level"] == "debug"] == steps and "debug" not in result.stderr
    assert "debug" not in box.run("true").stderr


def test_options_that_are_checked(box):
    assert "invalid rootless" in box.rt("--rootless", "perhaps", "list").stderr
    pathlib.Path(box.state).mkdir()
    assert box.rt("--criu", "/nowhere", "--systemd-cgroup", "list").returncode == 0
    box.write("x")
    assert "expected cgroupsPath to be of format" in box.rt("--systemd-cgroup", "run", "-b", box.bundle, "x").stderr


def test_options_among_the_arguments(box):
    identifier = box.start(["sleep", "100"])
    box.rt("update", identifier, "--pids-limit", "77", "--kernel-memory", "1m", check=True)
    assert json.loads(box.rt("events", identifier, "--stats", check=True).stdout)["data"]["pids"]["limit"] == 77
    assert box.rt("exec", identifier, "echo", "--tty", check=True).stdout == "--tty\n"  # they are the command's own
    box.rt("kill", identifier, "--", "KILL", check=True)
    assert "not defined" in box.rt("delete", identifier, "--forced").stderr


def test_no_processes_were_no_limit_before_1_3(box):
    """What an engine's document means by a pids.limit of 0 depends on its version, and a later update has its container's."""
    box.spec["linux"]["resources"]["pids"] = {"limit": 0}
    box.spec["ociVersion"] = "1.0.2-dev"
    identifier = box.start()

    def limit():
        return box.rt("exec", identifier, "sh", "-c", "cat /sys/fs/cgroup/pids.max /sys/fs/cgroup/pids/pids.max 2>&1 | grep -v cat").stdout.strip()
    assert limit() == "max"
    box.rt("update", "--pids-limit", "50", identifier, check=True)
    assert limit() == "50"
    box.rt("update", "-r", "-", identifier, stdin=None, input='{"pids": {"limit": 0}}', check=True)
    assert limit() == "max"


def test_update_takes_limits_back(box):
    box.spec["linux"]["resources"]["memory"] = {"limit": 64 << 20, "swap": 128 << 20}
    identifier = box.start(["sleep", "100"])
    box.rt("update", "--memory", "-1", identifier, check=True)
    assert json.loads(box.rt("events", "--stats", identifier, check=True).stdout)["data"]["memory"]["usage"]["limit"] > 1 << 50


def test_proc_of_the_host(box):
    """Bound whole where the host's processes are shared; what only looks like it is not."""
    for mount in box.spec["mounts"]:
        if mount["destination"] == "/proc":
            mount.update(type="none", source="/proc", options=["rbind", "nosuid", "nodev", "noexec"])
    assert box.output("cat /proc/1/comm") == pathlib.Path("/proc/1/comm").read_text().strip()
    for source in ("/proc/sys", str(box.root), "/sys"):
        next(mount for mount in box.spec["mounts"] if mount["destination"] == "/proc")["source"] = source
        assert "because it is not of type proc" in box.run("true").stderr


@pytest.mark.parametrize("verb", ["run", "exec"])
def test_pidfd_socket(box, verb):
    path = str(box.top / "pidfd")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(path)
        listener.listen()
        if verb == "run":
            box.spec["process"]["args"] = ["sleep", "100"]
            identifier = box.new_id()
            box.write(identifier)
            box.rt("run", "-d", "--pidfd-socket", path, "-b", box.bundle, identifier, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        else:
            identifier = box.start(["sleep", "100"])
            box.rt("exec", "-d", "--pidfd-socket", path, identifier, "sleep", "100", check=True, stdout=subprocess.DEVNULL,
                   stderr=subprocess.DEVNULL)
        connection = listener.accept()[0]
        name, fds, _, _ = socket.recv_fds(connection, 100, 1)
        connection.close()
    assert name == b"pidfd" and not select.select([fds[0]], [], [], 0)[0]
    signal.pidfd_send_signal(fds[0], signal.SIGKILL)
    assert select.select([fds[0]], [], [], 60 * SLOW)[0]
    os.close(fds[0])
    assert verb == "exec" or box.status(identifier) == "stopped"


def test_the_null_device_is_its_own(box):
    """Not the host's node, whose mode root inside could change through the descriptor."""
    script = "stat -L -c %d:%i /proc/self/fd/0 /dev/null"
    assert len(set(box.output(script).split())) == 1
    identifier = box.start(["sleep", "100"])
    assert len(set(box.rt("exec", identifier, "sh", "-c", script, check=True).stdout.split())) == 1


def test_hooks_that_fail_are_named(box):
    for kind in ("createRuntime", "createContainer", "startContainer"):
        box.spec["hooks"] = {kind: [{"path": "/bin/true"}, {"path": "/bin/false"}]}
        assert f"error running {kind} hook #1: " in box.run("true").stderr


def test_lines_of_a_terminal(box):
    """Nobody's terminal at our end: the lines come as they were written. And what a hook said before the start failed is shown."""
    box.spec["process"]["terminal"] = True
    assert box.run("echo one; echo two", text=False).stdout == b"one\ntwo\n"
    box.spec["hooks"] = {"startContainer": [{"path": "/bin/busybox", "args": ["cat", "/nosuchfile"]}]}
    result = box.run("true")
    assert result.returncode == 1 and "cat: can't open" in result.stdout


def test_delete_by_pattern(box):
    made = [box.start(["sleep", "100"]) for _ in range(3)]
    assert "invalid regular expression" in box.rt("delete", "--regex", "(").stderr
    result = box.rt("delete", "--regex", f"^({made[0]}|{made[1]})$")
    assert result.returncode and f"cannot delete container {min(made[:2])} that is not stopped" in result.stderr
    box.rt("delete", "-f", "--regex", f"^({made[0]}|{made[1]})$", check=True)
    assert box.rt("list", "-q", check=True).stdout.split() == made[2:]


def test_without_cgroups(box):
    """It stays in its creator's; no limit is made of nothing."""
    box.spec["linux"].pop("cgroupsPath", None)
    limits = box.spec["linux"].pop("resources", None)
    own = pathlib.Path("/proc/self/cgroup").read_text()
    identifier = box.new_id()
    box.spec["process"]["args"] = ["sleep", "100"]
    box.write(identifier)
    box.rt("--cgroup-manager", "disabled", "run", "-d", "-b", box.bundle, identifier, check=True, stdout=subprocess.DEVNULL,
           stderr=subprocess.DEVNULL)
    assert pathlib.Path(f"/proc/{box.pid(identifier)}/cgroup").read_text() == own
    assert box.rt("exec", identifier, "echo", "inside", check=True).stdout == "inside\n"
    box.rt("delete", "-f", identifier, check=True)
    box.spec["linux"]["resources"] = {**(limits or {}), "pids": {"limit": 5}}
    box.write(identifier)
    assert "cgroups are disabled" in box.rt("--cgroup-manager", "disabled", "run", "-b", box.bundle, identifier).stderr
    assert "unknown cgroup manager" in box.rt("--cgroup-manager", "none", "list").stderr


def test_list_is_sorted(box):
    made = [box.start(["sleep", "100"]) for _ in range(3)]
    rows = [line.split() for line in box.rt("list", check=True).stdout.splitlines()]
    assert rows[0] == ["ID", "PID", "STATUS", "BUNDLE", "CREATED", "OWNER"]
    assert [(row[0], row[2], row[-1]) for row in rows[1:]] == [(each, "running", "root") for each in made]
    assert box.rt("list", "-q", check=True).stdout.split() == made
    text = box.rt("list", "-f", "json", check=True).stdout
    assert [list(each)[:4] for each in json.loads(text)] == [["ociVersion", "id", "pid", "status"]] * 3 and text.count("\n") == 1


def test_spec_for_a_user_without_rights(box):
    folder = box.top / "rootless"
    folder.mkdir()
    box.rt("spec", "--rootless", "-b", folder, check=True)
    spec = json.loads((folder / "config.json").read_text())
    kinds = {each["type"] for each in spec["linux"]["namespaces"]}
    assert "user" in kinds and "network" not in kinds and "resources" not in spec["linux"]
    assert spec["linux"]["uidMappings"] == [{"containerID": 0, "hostID": os.geteuid(), "size": 1}]
    mounts = {each["destination"]: each for each in spec["mounts"]}
    assert mounts["/sys"]["options"][0] == "rbind" and "/sys/fs/cgroup" not in mounts
    assert not [option for each in mounts.values() for option in each.get("options", []) if option.startswith("gid=")]
    assert "exists" in box.rt("spec", "-b", folder).stderr


@pytest.mark.parametrize("word", ["TERM", "INT", "HUP", "QUIT"])
def test_kill_before_start(box, word):
    """Nothing runs yet that could have a say in it."""
    identifier = box.new_id()
    box.write(identifier)
    box.rt("create", "-b", box.bundle, identifier, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    box.rt("kill", identifier, word, check=True)
    wait_until_stopped(box, identifier)


def test_list_of_a_root_that_is_not_there(box):
    result = box.rt("--root", box.top / "none", "list")
    assert result.returncode == 1 and "no such file" in result.stderr
    assert subprocess.run([RUNTIME, "list"], stdout=subprocess.DEVNULL).returncode == 0


def test_log_that_can_not_be(box):
    result = box.rt("--log", box.top / "none/log", "list")
    assert result.returncode == 1 and "cannot open the log" in result.stderr


def test_kill(box):
    identifier = box.start(["sleep", "100"])
    assert box.rt("kill", identifier, "0").returncode == 0
    box.rt("pause", identifier, check=True)
    box.rt("kill", identifier, "KILL", check=True)
    wait_until_stopped(box, identifier)
    assert "container not running" in box.rt("kill", identifier, "0").stderr
    assert box.rt("kill", "-a", identifier, "0").returncode == 0


@pytest.mark.parametrize("end_init", [False, True], ids=["init-lives", "init-ended"])
@pytest.mark.parametrize("verb", [["kill"], ["delete", "-f"]], ids=["kill", "delete"])
def test_pids_of_the_host(box, verb, end_init):
    box.spec["linux"]["namespaces"] = [each for each in box.spec["linux"]["namespaces"] if each["type"] != "pid"]
    identifier = box.start(["sleep", "100"])
    for _ in range(2):
        box.rt("exec", "-d", identifier, "sleep", "100", check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    pidfds = [os.pidfd_open(pid) for pid in json.loads(box.rt("ps", "-f", "json", identifier, check=True).stdout)]
    assert len(pidfds) == 3
    if end_init:
        os.kill(box.pid(identifier), signal.SIGKILL)
    box.rt(*verb, identifier, *(["KILL"] if verb == ["kill"] else []), check=True)
    for pidfd in pidfds:
        assert select.select([pidfd], [], [], 60 * SLOW)[0]
        os.close(pidfd)
    assert verb != ["kill"] or box.status(identifier) == "stopped"


def test_exec_in_a_paused_container(box):
    identifier = box.start(["sleep", "100"])
    box.rt("pause", identifier, check=True)
    waiting = subprocess.Popen([RUNTIME, "--root", box.state, "exec", "--ignore-paused", identifier, "echo", "ok"],
                               stdout=subprocess.PIPE, text=True)
    box.rt("resume", identifier, check=True)
    assert waiting.communicate(timeout=60 * SLOW)[0] == "ok\n"


def test_exec_in_a_group_below(box):
    identifier = box.start(["sleep", "100"])
    top = pathlib.Path("/sys/fs/cgroup/memory")
    group = (top if top.is_dir() else top.parent) / PARENT / identifier / "below"
    group.mkdir()
    for wish, words in (("..", " .. is not a sub cgroup path"), ("a/../..", "is not a sub cgroup path"),
                        ("nothing", "adding pid "), ("whaaat:/", "unknown controller ")):
        result = box.rt("exec", "--cgroup", wish, identifier, "true")
        assert result.returncode == 255 and words in result.stderr
    assert box.rt("exec", "--cgroup", "/", identifier, "true").returncode == 0
    wish = "memory:below" if top.is_dir() else "below"
    assert "/below\n" in box.rt("exec", "--cgroup", wish, identifier, "cat", "/proc/self/cgroup", check=True).stdout


@pytest.mark.skipif(not pathlib.Path("/sys/fs/cgroup/memory").is_dir(), reason="needs cgroup v1")
def test_exec_in_groups_that_v2_beside_v1_has_not(box):
    identifier = box.start(["sleep", "100"])
    v1 = [path for path in cgroup_folders(f"{PARENT}/{identifier}") if not (path / "cgroup.controllers").exists()]
    for path in v1:
        (path / "own").mkdir()
        for file in path.glob("cpuset.[cm][pe][um]s"):  # which nobody inherits
            (path / "own" / file.name).write_text(file.read_text())
    said = box.rt("exec", "--cgroup", "own", identifier, "cat", "/proc/self/cgroup", check=True).stdout
    assert said.count("/own\n") == len(v1)


def test_frozen_group(box):
    identifier = box.start(["sleep", "100"])
    box.rt("pause", identifier, check=True)
    path = f"/{PARENT}/{identifier}"
    other = box.new_id()
    box.write(other)
    box.spec["linux"]["cgroupsPath"] = path
    (box.bundle / "config.json").write_text(json.dumps(box.spec))
    result = box.rt("run", "-b", box.bundle, other)
    assert result.returncode == 1 and "container's cgroup unexpectedly frozen" in result.stderr


def test_hook_that_enters_the_namespaces(box):
    """The root is at its own place there, below the host's, until the container is entered: hooks of devices mount into it."""
    script = f"pid=$(sed 's/.*\"pid\": *\\([0-9]*\\).*/\\1/'); nsenter -m -t $pid mount -t tmpfs tmpfs {box.root}/mnt"
    (box.root / "mnt").mkdir(exist_ok=True)
    box.spec["hooks"] = {"createRuntime": [{"path": "/bin/sh", "args": ["sh", "-c", script], "env": [f"PATH={os.environ['PATH']}"]}]}
    assert "tmpfs /mnt tmpfs" in box.output("cat /proc/mounts")
    assert f"{box.root}/mnt" not in pathlib.Path("/proc/self/mounts").read_text()


def test_hook_inside_begins_at_the_root(box):
    box.spec["hooks"] = {"createContainer": [{"path": "/bin/sh", "args": ["sh", "-c", "pwd >./tmp/where"]}]}
    assert box.output("cat /tmp/where") == str(box.root)


def test_no_pivot_leaves_no_bare_proc(box):
    """The kernel lets a user namespace mount procfs if a whole one is to be seen anywhere in its mount namespace."""
    for kind in ("bounding", "effective", "permitted"):
        box.spec["process"]["capabilities"][kind].append("CAP_SETFCAP")
    box.spec["process"]["noNewPrivileges"] = False
    result = box.rt("run", "--no-pivot", "-b", box.bundle, write_id(box, "unshare -mrpf mount -t proc none /proc && echo mounted"))
    assert "mounted" not in result.stdout and "ermi" in result.stderr, result


def write_id(box, script):
    identifier = box.new_id()
    box.spec["process"]["args"] = ["sh", "-c", script]
    box.write(identifier)
    return identifier


# ---- events ----


def test_events_stats(box):
    box.spec["linux"]["resources"]["memory"] = {"limit": 64 << 20}
    identifier = box.start(["sleep", "100"])
    text = box.rt("events", "--stats", identifier, check=True).stdout
    assert text.startswith(f'{{"type":"stats","id":"{identifier}","data":{{"cpu":{{"usage":{{"total":') and text.count("\n") == 1
    data = json.loads(text)["data"]
    assert data["cpu"]["usage"]["total"] > 0 and data["pids"]["current"] == 1
    assert data["memory"]["usage"]["limit"] == 64 << 20 and data["memory"]["raw"] and data["memory"]["usage"]["usage"] > 0
    assert list(data) == ["cpu", "cpuset", "memory", "pids", "blkio", "hugetlb", "intel_rdt", "network_interfaces"]
    for bad in ("0s", "-1s", "soon"):
        assert "interval" in box.rt("events", "--interval", bad, identifier).stderr
    box.rt("kill", identifier, "KILL", check=True)


def test_events_until_the_end(box):
    identifier = box.start(["sleep", "100"])
    with follow_events(box, identifier, "--interval", "10ms") as events:
        assert json.loads(events.stdout.readline())["type"] == "stats"
        box.rt("kill", identifier, "KILL", check=True)
        rest = [json.loads(line) for line in events.communicate(timeout=60 * SLOW)[0].splitlines()]
    assert events.returncode == 0 and all(each["id"] == identifier for each in rest)
    assert "is not running" in box.rt("events", "--stats", identifier).stderr


def test_events_of_oom(box):
    box.spec["linux"]["resources"]["memory"] = {"limit": 16 << 20}
    identifier = box.start(["sleep", "100"])
    with follow_events(box, identifier, "--interval", "10ms") as events:
        json.loads(events.stdout.readline())  # it counts from now on
        assert box.rt("exec", identifier, "sh", "-c", "dd if=/dev/zero of=/dev/null bs=200M count=1").returncode == 137
        for line in events.stdout:
            if json.loads(line)["type"] == "oom":
                assert line == f'{{"type":"oom","id":"{identifier}"}}\n'
                break
        else:
            pytest.fail("no oom event")
        box.rt("kill", identifier, "KILL", check=True)
        events.communicate(timeout=60 * SLOW)
