"""tare-runtime on bundles made from the host's static busybox: what a container sees, what a hostile tree can't do, what a
kill leaves. The tests' names carry the numbers of the catalogue they hold."""
import array
import contextlib
import ctypes
import hashlib
import json
import os
import pathlib
import pty
import random
import re
import shutil
import signal
import socket
import stat
import subprocess
import threading
import time

import pytest

from harness.box import CAPS, PARENT, RUNTIME, cgroup_folders, processes_of
from harness.engine import SLOW, wait_for

V2_ALONE = pathlib.Path("/sys/fs/cgroup/cgroup.controllers").exists()
needs_v2 = pytest.mark.skipif(not V2_ALONE, reason="needs a host with cgroup v2 alone")


# ---- what a container sees ----


def test_identity_of_the_container(box):
    box.spec["hostname"] = "nutshell"
    text = box.output("hostname; echo $$; id; pwd; echo $HOME; cat /proc/self/status")
    lines = text.splitlines()
    assert lines[:5] == ["nutshell", "1", "uid=0(root) gid=0(root)", "/", "/root"]
    status = dict(re.findall(r"^(\w+):\s*(.*)$", text, re.M))
    assert int(status["CapInh"], 16) == 0 and int(status["CapAmb"], 16) == 0
    assert bin(int(status["CapBnd"], 16)).count("1") == len(CAPS)
    assert status["CapEff"] == status["CapPrm"] == status["CapBnd"]
    assert status["NoNewPrivs"] == "1" and status["Seccomp"] == "0"


def test_ri01_namespaces(box):
    kinds = ("pid", "net", "ipc", "uts", "mnt", "cgroup", "user")
    inside = box.output("for n in " + " ".join(kinds) + "; do readlink /proc/self/ns/$n; done").split()
    outside = [os.readlink(f"/proc/self/ns/{kind}") for kind in kinds]
    assert [a != b for a, b in zip(inside, outside)] == [kind != "user" for kind in kinds]
    assert int(box.output("cat /sys/class/net/lo/flags"), 16) & 1


def test_sc02_user_capabilities(box):
    box.spec["process"]["user"] = {"uid": 1000, "gid": 1000, "additionalGids": [1000, 50]}
    text = box.output("id; grep Cap /proc/self/status")
    assert "uid=1000(web) gid=1000(web)" in text and "1000(web)" in text.split("groups=")[1] and "50(extra)" in text
    caps = dict(re.findall(r"^(\w+):\s*(\w+)$", text, re.M))
    assert int(caps["CapEff"], 16) == int(caps["CapPrm"], 16) == int(caps["CapInh"], 16) == int(caps["CapAmb"], 16) == 0
    assert int(caps["CapBnd"], 16)


def test_no_capabilities_means_none(box):
    del box.spec["process"]["capabilities"]
    text = box.output("grep Cap /proc/self/status")
    assert set(re.findall(r"Cap\w+:\s*(\w+)", text)) == {"0" * 16}


def test_sc09_masked_and_readonly(box):
    box.spec["linux"]["maskedPaths"] += ["/proc/interrupts", "/data", "/etc/passwd", "/nonexistent"]
    (box.root / "data/secret").write_text("x")
    text = box.output("cat /proc/interrupts /etc/passwd /proc/keys; ls /data /sys/firmware; "
                      "echo x > /proc/sys/kernel/hostname || echo refused; chmod 600 /proc/interrupts || echo kept; "
                      "touch /data/new || echo full", stderr=subprocess.STDOUT)
    assert "refused" in text and "kept" in text and "full" in text and "secret" not in text and "root:x" not in text
    assert stat.S_IMODE(os.stat("/dev/null").st_mode) == 0o666


def test_ri10_readonly_root(box):
    box.spec["root"]["readonly"] = True
    box.spec["mounts"].append({"destination": "/data", "type": "bind", "source": str(box.canary), "options": ["rbind", "rro"]})
    result = box.run("touch /x /data/x; mount -o remount,rw / ; touch /dev/y && echo dev-ok")
    assert result.stderr.count("Read-only") == 2 and "dev-ok" in result.stdout


def test_ri02_propagation(box):
    text = box.output("cat /proc/self/mountinfo")
    assert "shared:" not in text and "master:" not in text
    assert str(box.top) not in text.replace(str(box.root), "")


def test_ri03_old_root_gone(box):
    climb = "/".join([".."] * 50)
    assert box.output(f"ls -d /{climb}/bin/busybox; ls /{climb}; cd /proc/1/root && ls").count("data") == 2


def test_rlimits_and_umask(box):
    box.spec["process"]["rlimits"] = [{"type": "RLIMIT_NOFILE", "soft": 100, "hard": 200},
                                      {"type": "RLIMIT_CORE", "soft": 0, "hard": 0}]
    box.spec["process"]["user"]["umask"] = 0o27
    text = box.output("grep -E 'open files|core file' /proc/self/limits; umask")
    assert re.search(r"open files\s+100\s+200", text) and re.search(r"core file size\s+0\s+0", text) and text.endswith("27")


@pytest.mark.parametrize("limit", [{"type": "RLIMIT_NOFILE", "soft": 2, "hard": 1}, {"type": "RLIMIT_X", "soft": 1, "hard": 1}])
def test_rl10_bad_rlimits(box, limit):
    box.spec["process"]["rlimits"] = [limit]
    assert box.run("true").returncode != 0


def test_rl01_limits_read_back(box):
    box.spec["linux"]["resources"].update(
        memory={"limit": 64 << 20, "reservation": 32 << 20}, pids={"limit": 50}, cpu={"shares": 512, "quota": 50000, "period": 100000})
    identifier = box.start()
    lines = pathlib.Path(f"/proc/{box.pid(identifier)}/cgroup").read_text().split()
    where = dict(line.split(":")[1:] for line in lines)
    for controllers, group in where.items():
        assert group.endswith(f"/{PARENT}/{identifier}") or group == f"/{PARENT}/{identifier}", (controllers, group)
    if "memory" in where:
        base = pathlib.Path("/sys/fs/cgroup")
        assert (base / f"memory/{PARENT}/{identifier}/memory.limit_in_bytes").read_text().strip() == str(64 << 20)
        assert (base / f"pids/{PARENT}/{identifier}/pids.max").read_text().strip() == "50"
        assert (base / f"cpu/{PARENT}/{identifier}/cpu.cfs_quota_us").read_text().strip() == "50000"
        devices = (base / f"devices/{PARENT}/{identifier}/devices.list").read_text()
        assert "c 1:3 rwm" in devices and "a *:*" not in devices
        box.rt("update", "--memory", "128m", "--pids-limit", "60", identifier, check=True)
        assert (base / f"memory/{PARENT}/{identifier}/memory.limit_in_bytes").read_text().strip() == str(128 << 20)
    if V2_ALONE:
        group = pathlib.Path("/sys/fs/cgroup", PARENT, identifier)
        read = {name: (group / name).read_text().strip() for name in ("memory.max", "memory.low", "pids.max", "cpu.max", "cpu.weight")}
        # Of the usual 1024 shares the half is less than half of the usual weight: the scale is logarithmic.
        assert read == {"memory.max": str(64 << 20), "memory.low": str(32 << 20), "pids.max": "50", "cpu.max": "50000 100000",
                        "cpu.weight": "59"}
        box.rt("update", "--memory", "128m", "--pids-limit", "60", identifier, check=True)
        assert (group / "memory.max").read_text().strip() == str(128 << 20) and (group / "pids.max").read_text().strip() == "60"
    executed = box.rt("exec", identifier, "cat", "/proc/self/cgroup", check=True).stdout
    assert PARENT not in executed  # seen from its own cgroup namespace
    pids = json.loads(box.rt("ps", "-f", "json", identifier, check=True).stdout)
    assert pids == [box.pid(identifier)]


@needs_v2
def test_a_container_that_nests_its_groups(box):
    """What systemd does in a container: move into a group below, hand the controllers on. exec finds its way there."""
    for mount in box.spec["mounts"]:
        if mount["type"] == "cgroup":
            mount["options"].remove("ro")
    identifier = box.start(["sh", "-c", "cd /sys/fs/cgroup && mkdir -p init.scope/deep && echo 1 > init.scope/deep/cgroup.procs && "
                            "echo +memory +pids > cgroup.subtree_control && echo +pids > init.scope/cgroup.subtree_control && "
                            "echo ready > /tmp/state || echo failed > /tmp/state; sleep 1000"])
    state = box.root / "tmp/state"
    wait_until(lambda: state.exists() and state.read_text())
    assert state.read_text() == "ready\n"
    assert box.rt("exec", identifier, "cat", "/proc/self/cgroup", check=True).stdout == "0::/init.scope/deep\n"
    box.rt("pause", identifier, check=True)
    assert box.status(identifier) == "paused"
    box.rt("resume", identifier, check=True)
    box.rt("delete", "-f", identifier, check=True)
    assert not pathlib.Path("/sys/fs/cgroup", PARENT, identifier).exists()


@needs_v2
def test_limits_below_a_group_with_processes(box):
    """Refused, and the reason said; without limits it runs."""
    identifier = box.new_id()
    box.spec["process"]["args"] = ["cat", "/proc/self/cgroup"]
    box.spec["linux"]["cgroupsPath"] = f"/tests/{identifier}"  # where tests/isolate keeps us
    box.spec["linux"]["resources"]["memory"] = {"limit": 64 << 20}
    (box.bundle / "config.json").write_text(json.dumps(box.spec))
    if pathlib.Path("/proc/self/cgroup").read_text() != "0::/tests\n":
        pytest.skip("not in tests/isolate")
    result = box.rt("run", "-b", box.bundle, identifier)
    assert result.returncode != 0 and "does not hand it on" in result.stderr, result.stderr
    del box.spec["linux"]["resources"]["memory"]
    (box.bundle / "config.json").write_text(json.dumps(box.spec))
    assert box.rt("run", "-b", box.bundle, identifier, check=True).stdout == "0::/\n"
    assert not pathlib.Path("/sys/fs/cgroup/tests", identifier).exists()


def test_a_relative_group(box):
    """Below our own group on v1, beside it on v2, where ours can't hand controllers on: limits hold either way."""
    identifier = box.new_id()
    box.spec["process"]["args"] = ["sleep", "1000"]
    box.spec["linux"]["cgroupsPath"] = f"{PARENT}/{identifier}"
    box.spec["linux"]["resources"]["pids"] = {"limit": 50}
    (box.bundle / "config.json").write_text(json.dumps(box.spec))
    box.rt("run", "-d", "-b", box.bundle, identifier, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    groups = pathlib.Path(f"/proc/{box.pid(identifier)}/cgroup").read_text().splitlines()
    assert {line.split(":", 2)[2] for line in groups} == {f"/{PARENT}/{identifier}"}


def test_rl01_device_rules_count_in_their_order(box):
    """One that was taken back meanwhile is said again."""
    null, tape = ({"type": "c", "major": major, "minor": minor, "access": "rwm"} for major, minor in ((1, 3), (9, 0)))
    box.spec["linux"]["resources"]["devices"] = [
        {"allow": False, "access": "rwm"}, {"allow": True, **null}, {"allow": True, **tape}, {"allow": False, **null},
        {"allow": False, "type": "c", "major": 9, "access": "rwm"}, {"allow": True, **tape}, {"allow": True, **tape}]
    identifier = box.start()
    listed = pathlib.Path(f"/sys/fs/cgroup/devices/{PARENT}/{identifier}/devices.list")
    if listed.exists():
        lines = listed.read_text().splitlines()
        assert "c 1:3 rwm" in lines and "c 9:0 rwm" in lines and "a *:* rwm" not in lines and len(lines) == len(set(lines))


def test_rl04_pids_limit(box):
    box.spec["linux"]["resources"]["pids"] = {"limit": 5}
    result = box.run("for i in 1 2 3 4 5 6 7 8; do sleep 5 & done; echo tried")
    assert "can't fork" in result.stderr


def test_rl02_oom(box):
    box.spec["linux"]["resources"]["memory"] = {"limit": 16 << 20}
    result = box.run("head -c 100m /dev/zero | tail; x=$(dd if=/dev/zero bs=1M count=64 | tr '\\0' x); echo ${#x}")
    assert result.returncode != 0 or "67108864" not in result.stdout


@pytest.mark.slow  # a sanitizer's own memory is larger than that
def test_rl02_a_start_fits_in_256_kb(box):
    """Nothing of the runtime's own that a container is charged with is large: a static program that needs little has room."""
    shutil.copy(RUNTIME.parent.parent.parent / "bench/true", box.root / "bin/small")
    box.spec["linux"]["resources"]["memory"] = {"limit": 256 << 10}
    # What the other processor keeps in store for the group counts, too, until the kernel gets to ask for it back.
    assert any(box.run(args=["/bin/small"]).returncode == 0 for _ in range(5))


def test_rl02_a_start_without_room_says_so(box):
    box.spec["linux"]["resources"]["memory"] = {"limit": 32 << 10}
    result = box.run("true")
    assert result.returncode != 0 and "memory limit too low?" in result.stderr, result.stderr


@pytest.mark.parametrize("cpus", ["0-4294967295", "0-", "a"])
def test_rl07_bad_cpusets(box, cpus):
    box.spec["linux"]["resources"]["cpu"] = {"cpus": cpus}
    assert box.run("true").returncode != 0


@pytest.mark.parametrize("path", ["/", "../..", "a/../../b", "/x\ny", "/" + "n" * 300])
def test_rl09_bad_cgroup_paths(box, path):
    identifier = box.new_id()
    box.write(identifier)
    spec = json.loads((box.bundle / "config.json").read_text())
    spec["linux"]["cgroupsPath"] = path
    (box.bundle / "config.json").write_text(json.dumps(spec))
    assert box.rt("run", "-b", box.bundle, identifier).returncode != 0


def test_rl09_foreign_group(box):
    first = box.start()
    second = box.new_id()
    box.spec["linux"]["cgroupsPath"] = f"/{PARENT}/{first}"
    (box.bundle / "config.json").write_text(json.dumps(box.spec))
    result = box.rt("run", "-b", box.bundle, second)
    assert result.returncode != 0 and "not empty" in result.stderr
    assert box.status(first) == "running"


def test_ri13_devices(box):
    box.spec["linux"]["resources"]["devices"] = []
    text = box.output("for n in null zero full random urandom tty; do test -c /dev/$n || echo no $n; done; "
                      "echo x > /dev/null && echo null-ok; mknod /dev/log1 c 1 11 && cat /dev/log1 2>&1; mknod /dev/disk b 254 0; "
                      "head -c 1 /dev/disk 2>&1; readlink /dev/ptmx /dev/fd || true")
    assert "no " not in text.replace("no such", "") and "null-ok" in text and text.count("not permitted") == 2


def test_sc14_sysctls(box):
    box.spec["linux"]["sysctl"] = {"net.ipv4.ip_forward": "1", "kernel.shmmax": "12345"}
    assert box.output("cat /proc/sys/net/ipv4/ip_forward /proc/sys/kernel/shmmax").split() == ["1", "12345"]
    before = pathlib.Path("/proc/sys/kernel/core_pattern").read_text()
    for name, value in (("kernel.core_pattern", "|/x"), ("net.ipv4.x", "1\n"), ("net.ipv4.a+b", "1"), ("vm.swappiness", "1")):
        box.spec["linux"]["sysctl"] = {name: value}
        assert box.run("true").returncode != 0
    assert pathlib.Path("/proc/sys/kernel/core_pattern").read_text() == before
    box.spec["linux"]["sysctl"] = {"net.ipv4.ip_forward": "1"}
    box.spec["linux"]["namespaces"] = [n for n in box.spec["linux"]["namespaces"] if n["type"] != "network"]
    result = box.run("true")
    assert result.returncode != 0 and "host" in result.stderr and "ip_forward" in result.stderr


def test_sc11_apparmor(box):
    box.spec["process"]["apparmorProfile"] = "no-such"
    enabled = pathlib.Path("/sys/module/apparmor/parameters/enabled")
    if enabled.exists() and enabled.read_text() == "Y\n":
        assert "no such AppArmor profile is loaded" in box.run("true").stderr
        box.spec["process"]["apparmorProfile"] = "unconfined"
        assert box.output("cat /proc/self/attr/current") == "unconfined"
    else:
        assert "apparmor not supported" in box.run("true").stderr


def test_sc11_selinux(box):
    box.spec["linux"]["mountLabel"] = "system_u:object_r:tmp_t:s0"
    if pathlib.Path("/sys/fs/selinux/enforce").exists():
        box.spec["mounts"].append({"destination": "/scratch", "type": "tmpfs", "source": "tmpfs", "options": ["size=1m"]})
        mounts = box.output("cat /proc/self/mounts")
        for point in ("/scratch", "/dev"):
            assert re.search(rf" {point} tmpfs [^ ]*context=\"?system_u:object_r:tmp_t:s0\"?[, ]", mounts), mounts
    else:
        result = box.run("true")
        assert result.returncode == 0 and "linux.mountLabel is without effect" in result.stderr
        box.spec["process"]["selinuxLabel"] = "system_u:system_r:container_t:s0"
        assert "selinux is disabled or not supported" in box.run("true").stderr


def test_seccomp(box):
    box.spec["linux"]["seccomp"] = {"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86"],
                                    "syscalls": [{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 28}]}
    for nnp in (True, False):
        box.spec["process"]["noNewPrivileges"] = nnp
        text = box.output("mkdir /tmp/x 2>&1; grep Seccomp: /proc/self/status; grep NoNew /proc/self/status")
        assert "No space left" in text and "Seccomp:\t2" in text and f"NoNewPrivs:\t{int(nnp)}" in text
    box.spec["linux"]["seccomp"]["syscalls"][0]["action"] = "SCMP_ACT_WHAT"
    result = box.run("true")
    assert result.returncode != 0 and "action" in result.stderr


def test_ri14_user_namespace(box):
    box.spec["linux"]["namespaces"].append({"type": "user"})
    for kind in ("uidMappings", "gidMappings"):
        box.spec["linux"][kind] = [{"containerID": 0, "hostID": 100000, "size": 65536}]
    for path in [box.root, *box.root.rglob("*")]:
        os.chown(path, 100000, 100000, follow_symlinks=False)
    for path in (box.top, box.bundle):
        path.chmod(0o755)
    identifier = box.start()
    status = pathlib.Path(f"/proc/{box.pid(identifier)}/status").read_text()
    assert re.search(r"^Uid:\s+100000\s", status, re.M)
    script = "id; echo x > /dev/null && echo ok; mknod /tmp/n c 1 3 || echo no-mknod; cat /proc/self/uid_map"
    text = box.rt("exec", identifier, "sh", "-c", script, check=True).stdout
    assert "uid=0(root)" in text and "ok" in text and "no-mknod" in text and "100000" in text


# ---- the life of a container ----


def test_life(box):
    identifier = box.start(["sh", "-c", "trap 'exit 7' TERM; while :; do sleep 0.05; done"])
    assert box.status(identifier) == "running"
    assert "already running" in box.rt("start", identifier).stderr
    assert "already exists" in box.rt("create", "-b", box.bundle, identifier).stderr
    assert "that is not stopped" in box.rt("delete", identifier).stderr
    box.rt("pause", identifier, check=True)
    assert box.status(identifier) == "paused"
    assert "paused" in box.rt("exec", identifier, "true").stderr
    box.rt("resume", identifier, check=True)
    assert [c["id"] for c in json.loads(box.rt("list", "-f", "json", check=True).stdout)] == [identifier]
    box.rt("kill", identifier, "TERM", check=True)
    wait_until(lambda: box.status(identifier) == "stopped")
    assert "not running" in box.rt("kill", identifier, "TERM").stderr
    assert "stopped" in box.rt("exec", identifier, "true").stderr
    box.rt("delete", identifier, check=True)
    assert "does not exist" in box.rt("state", identifier).stderr
    assert "does not exist" in box.rt("delete", identifier).stderr
    assert box.rt("delete", "-f", identifier).returncode == 0


def wait_until(condition, seconds=30):
    deadline = time.monotonic() + seconds * SLOW
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_exit_codes(box):
    assert box.run("exit 3").returncode == 3
    identifier = box.start(["sleep", "100"])
    assert box.rt("exec", identifier, "sh", "-c", "exit 9").returncode == 9
    assert box.rt("exec", identifier, "sh", "-c", "kill -TERM $$").returncode == 128 + 15


@pytest.mark.parametrize("command, words", [
    ("nosuch", 'exec: "nosuch": executable file not found in $PATH'),
    ("/nosuch", 'exec: "/nosuch": stat /nosuch: no such file or directory'),
    ("/etc", 'exec: "/etc": is a directory'),
    ("/etc/passwd", 'exec: "/etc/passwd": permission denied'),
])
def test_command_errors(box, command, words):
    result = box.run(args=[command])
    assert result.returncode == 1 and words in result.stderr.replace("\\", "")
    identifier = box.start(["sleep", "100"])
    result = box.rt("exec", identifier, command)
    assert result.returncode == 255 and words in result.stderr.replace("\\", "")


def test_exec_format_error(box):
    (box.root / "bin/broken").write_bytes(b"\x7fELFbroken")
    (box.root / "bin/broken").chmod(0o755)
    assert "exec format error" in box.run(args=["broken"]).stderr


def test_log_file(box):
    log = box.top / "log.json"
    box.rt("--log", log, "--log-format", "json", "start", "nothing")
    last = json.loads(log.read_text().splitlines()[-1])
    assert last["level"] == "error" and last["msg"] == "container does not exist"


def test_exec_options(box):
    identifier = box.start()
    out = box.rt("exec", "-u", "1000:50", "-g", "7", "-e", "A=b", "--cwd", "/tmp", identifier, "sh", "-c", "id; echo $A; pwd",
                 check=True).stdout.splitlines()
    assert out[0].startswith("uid=1000(web) gid=50(extra)") and "7" in out[0] and out[1:] == ["b", "/tmp"]
    assert box.rt("exec", "-u", "1", identifier, "id", "-u").stdout == "1\n"
    assert "uid=1000(web) gid=1000(web)" in box.rt("exec", "-u", "web", identifier, "id", check=True).stdout
    for user in ("2147483648", "4294967296", "-1", "nobody", "1:1:1"):
        result = box.rt("exec", "-u", user, identifier, "id")
        assert result.returncode == 255 and "uid=0" not in result.stdout
    process = {"args": ["sh", "-c", "echo from-file"], "cwd": "/", "user": {"uid": 0, "gid": 0}, "env": ["PATH=/bin"]}
    (box.top / "process.json").write_text(json.dumps(process))
    assert box.rt("exec", "-p", box.top / "process.json", identifier, check=True).stdout == "from-file\n"


def test_exec_detached_and_pid_file(box):
    identifier = box.start()
    pid_file = box.top / "pid"
    box.rt("exec", "-d", "--pid-file", pid_file, identifier, "sleep", "100", check=True, stdout=subprocess.DEVNULL,
           stderr=subprocess.DEVNULL)
    pid = int(pid_file.read_text())
    assert sorted(json.loads(box.rt("ps", "-f", "json", identifier, check=True).stdout)) == sorted([pid, box.pid(identifier)])


def test_hooks(box):
    """Their moments, their state on stdin, and nothing of the container's environment."""
    hook = box.top / "hook"
    hook.write_text("#!/bin/sh\n{ echo \"$1 ${SECRET-none} ${HOOK-none}\"; cat; echo; } >> " + f"{box.top}/trace\npwd >> {box.top}/where\n")
    hook.chmod(0o755)
    box.spec["process"]["env"].append("SECRET=1")
    names = ("prestart", "createRuntime", "createContainer", "poststart", "poststop")
    box.spec["hooks"] = {name: [{"path": str(hook), "args": ["hook", name], "env": ["HOOK=yes", "PATH=/bin:/usr/bin"]}] for name in names}
    (box.root / "data/inside").write_text("#!/bin/sh\necho started > /data/trace\n")
    (box.root / "data/inside").chmod(0o755)
    box.spec["hooks"]["startContainer"] = [{"path": "/data/inside"}]
    assert box.run("cat /data/trace").stdout.strip() == "started"
    lines = (box.top / "trace").read_text().splitlines()
    assert lines[0::2] == [f"{name} none yes" for name in names]
    states = [json.loads(line) for line in lines[1::2]]
    assert [state["status"] for state in states] == ["created", "creating", "creating", "running", "stopped"]
    assert states[0]["pid"] > 1 and states[0]["id"] == box.ids[-1]
    # The host's side is at home in the bundle; createContainer in the root, as runc has it.
    assert (box.top / "where").read_text().split() == [str(box.root if name == "createContainer" else box.bundle) for name in names]


def test_failing_and_hanging_hooks(box):
    box.spec["hooks"] = {"createRuntime": [{"path": "/bin/false"}]}
    assert "createRuntime" in box.run("true").stderr
    box.spec["hooks"] = {"prestart": [{"path": "/bin/sleep", "args": ["sleep", "100"], "timeout": 1}]}
    started = time.monotonic()
    assert "timed out" in box.run("true").stderr and time.monotonic() - started < 60 * SLOW


def test_joined_namespaces(box):
    first = box.start()
    pid = box.pid(first)
    own = {f"/proc/{pid}/ns/{name}": os.readlink(f"/proc/{pid}/ns/{name}") for name in ("net", "pid", "ipc")}
    types = {"network": "net", "pid": "pid", "ipc": "ipc"}
    for namespace in box.spec["linux"]["namespaces"]:
        if namespace["type"] in types:
            namespace["path"] = f"/proc/{pid}/ns/{types[namespace['type']]}"
    text = box.output("for n in net pid ipc; do readlink /proc/self/ns/$n; done; test $$ != 1 && echo not-first")
    assert text.split() == [*own.values(), "not-first"]
    for namespace in box.spec["linux"]["namespaces"]:
        if namespace["type"] == "network":
            namespace["path"] = f"/proc/{pid}/ns/pid"  # of the wrong kind
    assert box.run("true").returncode != 0
    for namespace in box.spec["linux"]["namespaces"]:
        if namespace["type"] == "network":
            namespace["path"] = "/" + "x" * 70000
    assert box.run("true").returncode != 0


def test_mount_kinds(box):
    (box.canary / "sub").mkdir()
    box.before = box.canary_facts()
    box.spec["mounts"] += [
        {"destination": "/data", "type": "bind", "source": str(box.canary), "options": ["bind", "ro"]},
        {"destination": "/etc/one", "type": "bind", "source": str(box.canary / "file"), "options": ["bind", "ro"]},
        {"destination": "/deep/new/tmp", "type": "tmpfs", "source": "tmpfs", "options": ["size=1m", "mode=1777", "noexec"]},
    ]
    text = box.output("touch /data/x 2>&1; cat /etc/one | wc -c; mount | grep deep; "
                      "dd if=/dev/zero of=/deep/new/tmp/f bs=1M count=3 2>&1 | grep space")
    assert "Read-only" in text and "64" in text and "No space left" in text
    (box.canary / "sub").rmdir()
    box.before = box.canary_facts()


def test_cgroup_mount(box):
    text = box.output("ls /sys/fs/cgroup; cat /proc/self/cgroup; mount | grep cgroup; touch /sys/fs/cgroup/x || echo ro; "
                      "find /sys/fs/cgroup -name release_agent", stderr=subprocess.STDOUT)
    assert PARENT not in text and "\nro" in text and "release_agent\n" not in text
    assert all(line.startswith(("tmpfs", "cgroup")) and "(ro," in line for line in text.splitlines() if " on /sys/fs/cgroup" in line)


# ---- terminals ----


def run_in_terminal(box, *arguments, feed=None):
    master, slave = pty.openpty()
    process = subprocess.Popen([RUNTIME, "--root", box.state, *map(str, arguments)], stdin=slave, stdout=slave, stderr=slave,
                               start_new_session=True)
    os.close(slave)
    if feed:
        os.write(master, feed)
    output = b""
    with contextlib.suppress(OSError):
        while chunk := os.read(master, 4096):
            output += chunk
    os.close(master)
    return process.wait(60 * SLOW), output.decode()


def test_run_with_terminal(box):
    box.spec["process"].update(terminal=True, args=["sh", "-c", "tty; stty size; ls -l /dev/console; read x; echo got $x"],
                               consoleSize={"width": 91, "height": 33})
    identifier = box.new_id()
    box.write(identifier)
    code, output = run_in_terminal(box, "run", "-b", box.bundle, identifier, feed=b"word\n")
    assert code == 0 and "/dev/pts/0" in output and "got word" in output


def receive_master(listener):
    connection, _ = listener.accept()
    data, control, _, _ = connection.recvmsg(256, socket.CMSG_SPACE(4))
    fds = array.array("i")
    fds.frombytes(control[0][2][:4])
    connection.close()
    return fds[0]


@pytest.mark.parametrize("trap", ["none", "console-link", "console-file", "ptmx-link", "pts-link"])
def test_fs08_console(box, trap):
    dev = box.root / "dev"
    if trap == "console-link":
        (dev / "console").symlink_to(box.canary / "file")
    elif trap == "console-file":
        (dev / "console").write_text("x")
    elif trap == "ptmx-link":
        (dev / "ptmx").symlink_to(box.canary / "file")
    elif trap == "pts-link":
        (dev / "pts").symlink_to(box.canary)
    for with_dev in (True, False):
        if not with_dev:
            box.spec["mounts"] = [m for m in box.spec["mounts"] if m["destination"] not in ("/dev", "/dev/shm", "/dev/mqueue")]
        listener = socket.socket(socket.AF_UNIX)
        path = box.top / f"console-{with_dev}"
        listener.bind(str(path))
        listener.listen(1)
        listener.settimeout(60 * SLOW)
        identifier = box.new_id()
        box.spec["process"].update(terminal=True, args=["sh", "-c", "grep ' /dev/console ' /proc/self/mounts; tty; sleep 100"])
        box.write(identifier)
        result = box.rt("create", "-b", box.bundle, "--console-socket", path, identifier)
        if result.returncode == 0:
            master = receive_master(listener)
            box.rt("start", identifier, check=True)
            text = b""
            while text.count(b"\n") < 2:
                text += os.read(master, 4096)
            assert b"devpts /dev/console devpts" in text
            os.close(master)
        listener.close()
        box.check_canary()
        assert result.returncode == 0 or trap == "pts-link", result.stderr


def test_fs08_exec_terminal_with_replaced_ptmx(box):
    identifier = box.start()
    box.rt("exec", identifier, "sh", "-c", "rm /dev/ptmx; ln -s /data/evil /dev/ptmx; ln -s /etc/passwd /data/evil", check=True)
    code, output = run_in_terminal(box, "exec", "-t", identifier, "sh", "-c", "tty; echo done")
    assert code == 0 and "/dev/pts/" in output and "done" in output


# ---- hostile trees ----


def replace(path, kind, canary):
    if path.is_symlink() or path.is_file():
        path.unlink()
    elif path.is_dir():
        shutil.rmtree(path)
    if kind == "absolute":
        path.symlink_to(canary)
    elif kind == "climb":
        path.symlink_to("../../../../../../../../.." + str(canary))
    elif kind == "dangling":
        path.symlink_to("/nowhere/at/all")
    elif kind == "chain":
        path.with_name("hop").symlink_to(canary)
        path.symlink_to("hop")
    elif kind == "file":
        path.write_text("x")
    elif kind == "fifo":
        os.mkfifo(path)
    elif kind == "self":
        path.symlink_to("/proc/self/root")


@pytest.mark.parametrize("name", ["proc", "sys"])
@pytest.mark.parametrize("kind", ["absolute", "climb", "dangling", "chain", "file", "fifo"])
def test_fs02_proc_and_sys_links(box, name, kind):
    replace(box.root / name, kind, box.canary)
    result = box.run("true")
    assert result.returncode != 0 and "must be mounted on ordinary directory" in result.stderr


@pytest.mark.parametrize("with_mount", [True, False])
@pytest.mark.parametrize("kind", ["absolute", "climb", "dangling", "chain", "file"])
def test_fs02b_dev_links(box, kind, with_mount):
    replace(box.root / "dev", kind, box.canary)
    if not with_mount:
        box.spec["mounts"] = [m for m in box.spec["mounts"] if not m["destination"].startswith("/dev")]
    assert box.run("true").returncode != 0
    box.check_canary()


@pytest.mark.parametrize("name", ["pts", "shm", "mqueue"])
def test_fs02b_below_dev(box, name):
    (box.root / "dev" / name).symlink_to(box.canary)
    box.spec["mounts"] = [m for m in box.spec["mounts"] if m["destination"] != "/dev"]
    box.run("true")
    box.check_canary()


@pytest.mark.parametrize("kind", ["absolute", "climb", "dangling", "chain", "self"])
def test_fs03_mount_target_links(box, kind):
    replace(box.root / "data", kind, box.canary)
    source = box.top / "source"
    source.mkdir()
    (source / "mark").write_text("here")
    for mount in ({"type": "bind", "source": str(source), "options": ["bind"]}, {"type": "tmpfs", "source": "tmpfs"}):
        box.spec["mounts"] = [m for m in box.spec["mounts"] if not m["destination"].startswith("/data")]
        box.spec["mounts"].append({"destination": "/data/in/side", **mount})
        result = box.run("find / -xdev -name nothing; cat /proc/self/mountinfo")
        if result.returncode == 0:
            assert " /canary " not in result.stdout
        box.check_canary()


def test_fs05d_absolute_links_still_work(box):
    (box.root / "run").mkdir()
    (box.root / "var").mkdir()
    (box.root / "var/run").symlink_to("/run")
    box.spec["mounts"].append({"destination": "/var/run/x", "type": "bind", "source": str(box.canary), "options": ["bind", "ro"]})
    assert "file" in box.output("ls /run/x")


def test_the_whole_host_is_bound(box):
    box.spec["mounts"].append({"destination": "/host", "type": "bind", "source": "/", "options": ["rbind", "ro"]})
    assert box.output(f"grep -c ' /host ' /proc/mounts; touch /host{box.canary}/new || ls /host{box.canary}").split() == ["1", "file"]


def test_propagation(box):
    """What is mounted on the host later is seen by a slave; what a container mounts is seen on the host where it is shared."""
    host = box.top / "host"
    host.mkdir()
    box.spec["process"]["capabilities"] = {kind: [*CAPS, "CAP_SYS_ADMIN"] for kind in ("bounding", "effective", "permitted")}
    for name in ("rprivate", "rslave", "rshared"):
        box.spec["mounts"].append({"destination": f"/data/{name}", "type": "bind", "source": str(host), "options": ["rbind", name]})
    subprocess.run(["mount", "-t", "tmpfs", "host", host], check=True)
    try:
        subprocess.run(["mount", "--make-shared", host], check=True)
        for name in ("its", "ours"):
            (host / name).mkdir()
        identifier = box.start()
        subprocess.run(["mount", "-t", "tmpfs", "later", host / "ours"], check=True)
        box.rt("exec", identifier, "mount", "-t", "tmpfs", "within", "/data/rshared/its", check=True)
        seen = box.rt("exec", identifier, "cat", "/proc/mounts").stdout
        assert [f"later /data/{name}/ours" in seen for name in ("rprivate", "rslave", "rshared")] == [False, True, True]
        assert f"within {host}/its" in pathlib.Path("/proc/mounts").read_text()
    finally:
        subprocess.run(["umount", "-R", host], check=True)


@pytest.mark.parametrize("destination", ["/proc", "/proc/self", "/proc/sys", "/proc/self/attr", "/proc/../proc/sys", "/sys/fs/cgroup/x",
                                         "/sys/kernel", "/"])
def test_fs09_mounts_over_proc_and_sys(box, destination):
    box.spec["mounts"].append({"destination": destination, "type": "bind", "source": str(box.canary), "options": ["bind"]})
    assert box.run("true").returncode != 0


def test_fs09_sysfs_within_sysfs(box):
    """What the kernel says itself may be shown in another place; engines do so."""
    box.spec["mounts"].append({"destination": "/sys/module", "type": "bind", "source": "/sys/class", "options": ["bind", "ro"]})
    assert "net" in box.output("ls /sys/module").split()


def test_fs09_through_a_link(box):
    (box.root / "way").symlink_to("proc/sys")
    box.spec["mounts"].append({"destination": "/way", "type": "bind", "source": str(box.canary), "options": ["bind"]})
    result = box.run("true")
    assert result.returncode != 0 and "leads into /proc" in result.stderr


@pytest.mark.parametrize("null", ["link", "fifo", "file", "zero", "missing"])
def test_fs07_mask_source(box, null):
    dev = box.top / "dev"
    dev.mkdir()
    path = dev / "null"
    if null == "link":
        path.symlink_to(box.canary / "file")
    elif null == "fifo":
        os.mkfifo(path)
    elif null == "file":
        path.write_text("secret")
    elif null == "zero":
        os.mknod(path, 0o666 | stat.S_IFCHR, os.makedev(1, 5))
    box.spec["mounts"] = [m for m in box.spec["mounts"] if not m["destination"].startswith("/dev")]
    box.spec["mounts"].append({"destination": "/dev", "type": "bind", "source": str(dev), "options": ["rbind"]})
    box.spec["linux"]["maskedPaths"] = ["/proc/interrupts"]
    result = box.run("head -c 100 /proc/interrupts; echo end")
    assert result.returncode != 0 or result.stdout == "end\n"
    box.check_canary()


def test_fs04_cwd_links(box):
    for target in (str(box.canary), "../../../../../../.." + str(box.canary)):
        (box.root / "w").unlink(missing_ok=True)
        (box.root / "w").symlink_to(target)
        box.spec["process"]["cwd"] = "/w/a/b"
        box.run("pwd")
        box.check_canary()


# ---- descriptors and programs ----


@pytest.fixture
def many_fds(tmp_path):
    """What a careless caller leaks: a folder of the host, a socket, the root as O_PATH, and more."""
    fds = [os.open("/", os.O_PATH), os.open("/etc", os.O_RDONLY), socket.socket().detach()]
    fds += [os.open("/dev/null", os.O_RDONLY) for _ in range(30)]
    for fd in fds:
        os.set_inheritable(fd, True)
    yield fds
    for fd in fds:
        os.close(fd)


SHOW_FDS = "for f in /proc/self/fd/*; do echo ${f##*/} $(readlink $f); done"


def test_ri06_descriptors(box, many_fds):
    def numbers(text):
        # the shell's own descriptor on the folder is gone when it looks
        return sorted({int(line.split()[0]) for line in text.splitlines() if len(line.split()) > 1})
    text = box.run(SHOW_FDS, close_fds=False).stdout
    assert numbers(text) == [0, 1, 2], text
    identifier = box.new_id()
    box.spec["process"]["args"] = ["sleep", "100"]
    box.write(identifier)
    box.rt("create", "-b", box.bundle, identifier, close_fds=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    links = [os.readlink(f"/proc/{box.pid(identifier)}/fd/{fd}") for fd in os.listdir(f"/proc/{box.pid(identifier)}/fd")]
    assert sorted(set(links))[0] == "/dev/null" and len([link for link in links if link != "/dev/null"]) == 1  # its start socket
    box.rt("start", identifier, check=True, close_fds=False)
    assert set(os.listdir(f"/proc/{box.pid(identifier)}/fd")) == {"0", "1", "2"}
    assert numbers(box.rt("exec", identifier, "sh", "-c", SHOW_FDS, close_fds=False, check=True).stdout) == [0, 1, 2]


def test_preserved_descriptors(box):
    identifier = box.new_id()
    box.spec["process"]["args"] = ["sh", "-c", "echo kept >&3; echo $LISTEN_FDS $LISTEN_PID; " + SHOW_FDS]
    box.write(identifier)
    out = box.top / "out"
    for way, words in ((["run", "--preserve-fds", "1"], ""), (["run"], "LISTEN_FDS=1")):
        shell = f'exec env {words} "$0" "$@" 3>{out}'
        result = subprocess.run(["sh", "-c", shell, RUNTIME, "--root", box.state, *way, "-b", box.bundle, identifier], text=True,
                                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, timeout=30)
        assert out.read_text() == "kept\n"
        lines = result.stdout.splitlines()
        assert lines[0] == ("1 1" if words else "")
        assert {line.split()[0] for line in lines[1:] if len(line.split()) > 1} == {"0", "1", "2", "3"}


@pytest.mark.parametrize("way", ["run", "run -d", "create"])
def test_who_started_it_hears_when_it_is_ready(box, way):
    """NOTIFY_SOCKET: what is said inside of READY, and nothing else, is passed on, by a process that can still be looked up when it is read."""
    host, path = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM), f"{box.top}/host.sock"
    host.bind(path)
    host.settimeout(60)
    box.spec["process"]["args"] = ["sleep", "1000"]
    identifier = box.new_id()
    box.write(identifier)
    env = {**os.environ, "NOTIFY_SOCKET": path}
    words = [RUNTIME, "--root", box.state, *way.split(), "-b", box.bundle, identifier]
    quiet = {"env": env, "stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    if way == "create":
        subprocess.run(words, check=True, timeout=60, **quiet)
        words = [RUNTIME, "--root", box.state, "start", identifier]
    with subprocess.Popen(words, **quiet) as started:
        wait_for(lambda: box.status(identifier) == "running", "the container")
        pid = box.pid(identifier)
        assert b"\0NOTIFY_SOCKET=/run/notify/notify.sock\0" in b"\0" + pathlib.Path(f"/proc/{pid}/environ").read_bytes()
        inside = pathlib.Path(f"/proc/{pid}/root/run/notify")
        assert os.listdir(inside) == ["notify.sock"] and os.statvfs(inside).f_flag & os.ST_RDONLY
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as client:
            for message in (b"STATUS=READY=0", b"x" * 5000, b"STATUS=x\nMAINPID=1\nREADY=1\nREADY=2"):
                client.sendto(message, f"{inside}/notify.sock")
        assert host.recv(1000).decode() == f"MAINPID={pid}\nREADY=1\n"
        assert started.poll() is None
        data, fds, _, _ = socket.recv_fds(host, 1000, 4)
        assert data == b"BARRIER=1" and len(fds) == 1
        assert started.poll() is None
        os.close(fds[0])
        if way == "run":
            box.rt("kill", identifier, "KILL", check=True)
        assert started.wait(60) == (137 if way == "run" else 0)
    box.rt("delete", "-f", identifier, check=True)
    assert os.listdir(box.state) == []
    # Who ends without a word ends the waiting, too.
    box.spec["process"]["args"] = ["true"]
    box.write(identifier)
    done = subprocess.run([RUNTIME, "--root", box.state, "run", "-d", "-b", box.bundle, identifier], timeout=60, **quiet)
    assert done.returncode == 0
    box.rt("delete", "-f", identifier, check=True)


@pytest.mark.parametrize("count", [1, 3, 200])
def test_ri05_only_what_was_open_is_preserved(box, count):
    """Numbers that nobody had opened are taken by the runtime's own descriptors: the bundle's folder, say."""
    wanted = {"0", "1", "2"} | ({"5"} if count > 2 else set())
    list_them = ["sh", "-c", "ls -1 /proc/$$/fd; :"]

    def run(*arguments):
        shell = 'exec "$0" "$@" 3>&- 4>&- 5>/dev/null 6>&- 7>&- 8>&- 9>&-' + (" >/dev/null" if arguments[0] == "create" else "")
        return subprocess.run(["sh", "-c", shell, RUNTIME, "--root", box.state, arguments[0], "--preserve-fds", str(count), *arguments[1:]],
                              text=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, timeout=60, check=True).stdout.split()

    identifier = box.new_id()
    box.spec["process"]["args"] = list_them
    box.write(identifier)
    assert set(run("run", "-b", box.bundle, identifier)) == wanted
    box.spec["process"]["args"] = ["sleep", "100"]
    box.write(identifier)
    assert set(run("exec", box.start(), *list_them)) == wanted
    created = box.new_id()
    box.write(created)
    run("create", "-b", box.bundle, created)
    assert len(set(os.listdir(f"/proc/{box.pid(created)}/fd")) - wanted) == 1  # its start socket


@pytest.mark.parametrize("pattern", ["/proc/self/fd/{}", "/proc/self/task/1/fd/{}", "/proc/1/fd/{}/.."])
def test_ri05_cwd_sweep(box, pattern, many_fds):
    identifier = box.start()
    for number in range(0, 40):
        cwd = pattern.format(number)
        results = [box.rt("exec", "--cwd", cwd, identifier, "sh", "-c", "ls ../../../../..; pwd", close_fds=False)]
        if number % 4 == 0:
            box.spec["process"]["cwd"] = cwd
            results.append(box.run("ls ../../../../..; pwd", close_fds=False))
        for result in results:
            assert result.returncode != 0 or ("data" in result.stdout and "work" not in result.stdout.split()), (cwd, result.stdout)


@pytest.mark.parametrize("cwd", ["/proc/1/cwd", "/proc/self/cwd", "/proc/1/root/../.."])
def test_ri05_magic_cwds(box, cwd):
    box.spec["process"]["cwd"] = cwd
    result = box.run("ls /; ls ../../../..")
    assert result.returncode != 0 or result.stdout.split().count("data") == 2


def test_ri08_own_program(box):
    before = hashlib.sha256(RUNTIME.read_bytes()).hexdigest(), RUNTIME.stat().st_mtime_ns, RUNTIME.stat().st_ino
    box.spec["process"]["args"] = ["sh", "-c", "while :; do for p in /proc/[0-9]*; do dd if=/dev/null of=$p/exe 2>/dev/null && "
                                   "[ $p != /proc/self ] && readlink $p/exe | grep -v busybox >> /tmp/won; done; done"]
    box.spec["process"]["capabilities"]["bounding"] = box.spec["process"]["capabilities"]["effective"] = \
        box.spec["process"]["capabilities"]["permitted"] = CAPS + ["CAP_SYS_PTRACE", "CAP_DAC_READ_SEARCH"]
    identifier = box.start()
    for _ in range(40):
        box.rt("exec", identifier, "true")
        box.rt("exec", identifier, "/proc/self/exe", "spec")
    (box.root / "bin/script").write_text("#!/proc/self/exe\n")
    (box.root / "bin/script").chmod(0o755)
    box.rt("exec", identifier, "script")
    assert not (box.root / "tmp/won").exists() or not (box.root / "tmp/won").read_text()
    assert before == (hashlib.sha256(RUNTIME.read_bytes()).hexdigest(), RUNTIME.stat().st_mtime_ns, RUNTIME.stat().st_ino)


# ---- kills ----


def test_kill_in_the_middle(box):
    """SIGKILL at any moment of create: delete --force clears everything, and the next create works."""
    generator = random.Random(1)
    for attempt in range(60):
        identifier = box.new_id()
        box.write(identifier)
        process = subprocess.Popen([RUNTIME, "--root", box.state, "create", "-b", box.bundle, identifier], stdin=subprocess.DEVNULL,
                                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(generator.uniform(0, 0.03))
        process.kill()
        process.wait()
        result = box.rt("delete", "-f", identifier)
        assert result.returncode == 0, result.stderr
        assert not (box.state / identifier).exists()
        for top in cgroup_folders(PARENT):
            assert not (top / identifier).exists(), top
    wait_until(lambda: not processes_of(box))
    assert box.output("echo works") == "works"


def test_kill_of_foreground_run(box):
    identifier = box.new_id()
    box.spec["process"]["args"] = ["sleep", "1000"]
    box.write(identifier)
    process = subprocess.Popen([RUNTIME, "--root", box.state, "run", "-b", box.bundle, identifier], stdin=subprocess.DEVNULL)
    wait_until(lambda: box.status(identifier) == "running")
    process.kill()
    process.wait()
    assert box.status(identifier) == "running"
    box.rt("delete", "-f", identifier, check=True)
    wait_until(lambda: not processes_of(box))


def test_ri16_delete_of_a_frozen_fork_bomb(box):
    box.spec["linux"]["resources"]["pids"] = {"limit": 200}
    # The shell that meets the limit ends, so that must not be PID 1.
    identifier = box.start(["sh", "-c", "trap '' TERM; (while :; do sleep 1000 & done) 2>/dev/null & exec sleep 1000"])
    box.rt("pause", identifier, check=True)
    box.rt("delete", "-f", identifier, check=True)
    wait_until(lambda: not processes_of(box))


def test_signals_are_forwarded(box):
    identifier = box.new_id()
    box.spec["process"]["args"] = ["sh", "-c", "trap 'exit 42' USR1; echo ready; while :; do sleep 0.05; done"]
    box.write(identifier)
    process = subprocess.Popen([RUNTIME, "--root", box.state, "run", "-b", box.bundle, identifier], stdin=subprocess.DEVNULL,
                               stdout=subprocess.PIPE)
    assert process.stdout.readline() == b"ready\n"
    process.send_signal(signal.SIGUSR1)
    assert process.wait(60 * SLOW) == 42


# ---- races ----


def renameat2(folder, one, other):
    ctypes.CDLL(None).syscall(316, folder, one, folder, other, 2)


def test_fs03_exchange_race(box):
    """A mount target that is a folder and a link to the canary in turn: the mount is inside, or refused."""
    (box.root / "swap").mkdir()
    (box.root / "evil").symlink_to("../../../../../../.." + str(box.canary))
    folder = os.open(box.root, os.O_RDONLY)
    stop = threading.Event()

    def attack():
        while not stop.is_set():
            renameat2(folder, b"swap", b"evil")

    box.spec["mounts"].append({"destination": "/swap/x", "type": "tmpfs", "source": "tmpfs"})
    thread = threading.Thread(target=attack)
    thread.start()
    try:
        for _ in range(60):
            box.run("true")
            box.check_canary()
    finally:
        stop.set()
        thread.join()
        os.close(folder)
