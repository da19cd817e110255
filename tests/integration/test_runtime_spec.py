"""tare-runtime and the rarer keys of the runtime specification: what was asked for is what a process in the container sees."""
import array
import contextlib
import errno
import fcntl
import json
import os
import pathlib
import re
import selectors
import socket
import struct
import shutil
import subprocess
import threading

import pytest

from harness.box import PARENT, cgroup_folders
from harness.engine import SLOW


def own_user_namespace(box, host_id=100000):
    box.spec["linux"]["namespaces"].append({"type": "user"})
    for kind in ("uidMappings", "gidMappings"):
        box.spec["linux"][kind] = [{"containerID": 0, "hostID": host_id, "size": 65536}]
    for path in [box.top, box.bundle, box.root]:
        path.chmod(0o755)


def test_scheduler(box):
    box.spec["process"]["scheduler"] = {"policy": "SCHED_BATCH", "nice": 7, "flags": ["SCHED_FLAG_RESET_ON_FORK"]}
    identifier = box.start()
    pid = box.pid(identifier)
    assert os.sched_getscheduler(pid) == os.SCHED_BATCH | os.SCHED_RESET_ON_FORK and os.getpriority(os.PRIO_PROCESS, pid) == 7


@pytest.mark.parametrize("scheduler, complaint", [
    ({"policy": "SCHED_OTHER", "priority": 3}, "can only be specified for SCHED_FIFO or SCHED_RR policy"),
    ({"policy": "SCHED_RR", "runtime": 3}, "with SCHED_DEADLINE policy"),
    ({"policy": "SCHED_ISO"}, "error setting scheduler"),
    ({"policy": "SCHED_DEADLINE", "deadline": 20000, "period": 20000}, "requires `runtime`"),
    ({"policy": "SCHED_DEADLINE", "runtime": 20000, "period": 20000}, "requires `deadline`"),
    ({"policy": "SCHED_DEADLINE", "runtime": 0, "deadline": 20000}, "runtime must be greater than 0"),
    ({"policy": "SCHED_DEADLINE", "runtime": 1023, "deadline": 20000}, "runtime must be between"),
    ({"policy": "SCHED_DEADLINE", "runtime": 30000, "deadline": 20000}, "runtime must be <= deadline"),
    ({"policy": "SCHED_DEADLINE", "runtime": 3000, "deadline": 20000, "period": 10000}, "deadline must be <= period"),
])
def test_scheduler_that_can_not_be(box, scheduler, complaint):
    box.spec["process"]["scheduler"] = scheduler
    result = box.run("true")
    assert result.returncode and complaint in result.stderr


def test_io_priority(box):
    box.spec["process"]["ioPriority"] = {"class": "IOPRIO_CLASS_IDLE", "priority": 0}
    assert "idle" in subprocess.run(["ionice", "-p", str(box.pid(box.start()))], stdout=subprocess.PIPE, text=True, check=True).stdout


def test_cpu_affinity_is_for_exec_alone(box):
    cpus = sorted(os.sched_getaffinity(0))
    box.spec["process"]["execCPUAffinity"] = {"initial": str(cpus[0]), "final": str(cpus[-1])}
    identifier = box.start()
    assert os.sched_getaffinity(box.pid(identifier)) == set(cpus)
    said = box.rt("exec", identifier, "grep", "Cpus_allowed_list", "/proc/self/status", check=True).stdout
    assert said.split() == ["Cpus_allowed_list:", str(cpus[-1])]
    said = box.rt("--debug", "exec", identifier, "true", check=True).stderr
    assert f"nsexec: affinity: {1 << cpus[0]:#x}" in said


def test_cpus_of_the_caller_are_not_the_containers(box):
    cpus = sorted(os.sched_getaffinity(0))
    if len(cpus) < 2:
        pytest.skip("one CPU")
    os.sched_setaffinity(0, cpus[:1])
    try:
        identifier = box.start()
        said = box.rt("exec", identifier, "grep", "Cpus_allowed_list", "/proc/self/status", check=True).stdout
    finally:
        os.sched_setaffinity(0, cpus)
    assert os.sched_getaffinity(box.pid(identifier)) >= set(cpus) and said.split()[1] != str(cpus[0])


@pytest.fixture
def pair():
    subprocess.run("ip link add spare0 type veth peer name spare1; ip addr add 10.9.8.7/24 dev spare0; ip addr add fd09::7/64 dev spare0 nodad;"
                   "ip link set spare0 mtu 1400 address 02:00:00:00:09:07; ip link set spare0 up; ip link set spare1 up", shell=True, check=True)
    yield
    subprocess.run(["ip", "link", "del", "spare1"], stderr=subprocess.DEVNULL)


def test_network_devices_are_moved(box, pair):
    box.spec["linux"]["netDevices"] = {"spare0": {"name": "eth7"}}
    identifier = box.start()
    said = box.rt("exec", identifier, "sh", "-c", "ip addr show eth7; cat /sys/class/net/eth7/operstate", check=True).stdout
    for word in ("mtu 1400", "inet 10.9.8.7/24", "inet6 fd09::7/64", "02:00:00:00:09:07", "UP"):
        assert word in said, said
    assert subprocess.run(["ip", "link", "show", "spare0"], stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL).returncode == 1
    box.rt("delete", "-f", identifier, check=True)


def test_network_devices_are_moved_all_or_none(box, pair):
    box.spec["linux"]["netDevices"] = {"spare0": {}, "spare9": {"name": "eth1"}}
    assert "linux.netDevices: cannot find the network device spare9" in box.run("true").stderr
    box.spec["linux"]["netDevices"] = {"spare0": {"name": "lo"}}
    assert "network namespace has a device lo already" in box.run("true").stderr
    assert subprocess.run(["ip", "link", "show", "spare0"], stdout=subprocess.DEVNULL).returncode == 0


def test_personality(box):
    box.spec["linux"]["personality"] = {"domain": "LINUX32"}
    identifier = box.start()
    assert pathlib.Path(f"/proc/{box.pid(identifier)}/personality").read_text() == "00000008\n"
    assert box.rt("exec", identifier, "cat", "/proc/self/personality", check=True).stdout == "00000008\n"


@pytest.mark.parametrize("own_users", [False, True])
def test_sources_below_earlier_mounts(box, own_users):
    """A bind's source is what the container's tree has there when its turn comes; one that is idmapped too."""
    for name in ("a", "b"):
        (box.top / name / "deep").mkdir(parents=True)
        (box.top / name / "deep/file").write_text(name)
    for name in ("mnt", "copy", "mapped"):
        (box.root / "data" / name).mkdir()
    (box.root / "data/file").touch()
    if own_users:
        own_user_namespace(box)
    maps = [{"containerID": 0, "hostID": 100000, "size": 65536}]
    box.spec["mounts"] += [
        {"destination": "/data/mnt", "type": "bind", "source": str(box.top / "a"), "options": ["rbind"]},
        {"destination": "/data/mnt/deep", "type": "bind", "source": str(box.top / "b"), "options": ["rbind"]},
        {"destination": str(box.root / "data/copy"), "type": "bind", "source": str(box.root / "data/mnt"), "options": ["rbind", "ro"]},
        {"destination": "/data/file", "type": "bind", "source": f"{box.root}/data/copy/deep/deep/file", "options": ["bind"]},
        {"destination": "/data/mapped", "type": "bind", "source": str(box.root / "data/mnt/deep/deep"), "options": ["bind", "idmap"],
         "uidMappings": maps, "gidMappings": maps}]
    said = box.run("cat /data/copy/deep/deep/file /data/file /data/mapped/file; stat -c ' %u' /data/file /data/mapped/file; "
                      "touch /data/copy/new || echo full", stderr=subprocess.STDOUT).stdout
    mapped = "0" if own_users else "100000"
    assert said.split()[:3] == ["bbb", "65534" if own_users else "0", mapped] and said.split()[-1] == "full"
    # The host's view of that folder is not what is meant where no mount came before.
    box.spec["mounts"] = [mount for mount in box.spec["mounts"] if not mount["destination"].startswith("/data")]
    box.spec["mounts"][-1:] = [{"destination": "/data/late", "type": "bind", "source": str(box.root / "none"), "options": ["bind"]}]
    assert "no such file" in box.run("true").stderr


def test_tmpfs_takes_the_mode_of_what_it_covers(box):
    (box.root / "data/shy").mkdir(mode=0o710)
    box.spec["mounts"] += [{"destination": f"/data/{name}", "type": "tmpfs", "source": "tmpfs", "options": options}
                           for name, options in (("shy", []), ("new/er", []), ("shy/said", ["mode=1500"]))]
    assert box.output("stat -c %a /data/shy /data/new/er /data/shy/said").split() == ["710", "1777", "1500"]


def test_folders_made_for_a_file_can_be_entered(box):
    (box.root / "data/jump").symlink_to("/tmp/one/two")
    box.spec["mounts"].append({"destination": "/data/jump/file", "type": "bind", "source": "/etc/passwd", "options": ["bind"]})
    box.spec["process"]["user"] = {"uid": 1000, "gid": 1000}
    assert "root:" in box.output("cat /tmp/one/two/file")


def test_pids_limit_of_zero(box):
    """Is a limit, and the least that works: 1."""
    box.spec["linux"]["resources"]["pids"] = {"limit": 0}
    assert "fork" in box.run("ls /; true").stderr


def test_limits_that_no_kernel_has_are_told(box):
    box.spec["linux"].setdefault("resources", {})["memory"] = {"kernel": 1 << 30, "useHierarchy": False}
    said = box.run("true").stderr
    assert all(f"linux.resources.memory.{name} is without effect" in said for name in ("kernel", "useHierarchy"))
    box.spec["linux"]["resources"]["memory"] = {"kernel": 0, "useHierarchy": True}
    assert "without effect" not in box.run("true").stderr


def test_memory_policy(box):
    box.spec["linux"]["memoryPolicy"] = {"mode": "MPOL_BIND", "nodes": "0", "flags": ["MPOL_F_STATIC_NODES"]}
    result = box.run("cat /proc/self/numa_maps")
    if pathlib.Path("/proc/self/numa_maps").exists():
        assert "bind=static:0" in result.stdout, result.stderr
    else:
        assert "cannot set the memory policy" in result.stderr


def test_time_namespace(box):
    box.spec["linux"]["namespaces"].append({"type": "time"})
    box.spec["linux"]["timeOffsets"] = {"boottime": {"secs": 1000000, "nanosecs": 5}, "monotonic": {"secs": 500}}
    host = float(pathlib.Path("/proc/uptime").read_text().split()[0])
    assert float(box.output("cat /proc/uptime").split()[0]) >= host + 1000000
    identifier = box.start(["sleep", "1000"])
    assert float(box.rt("exec", identifier, "cat", "/proc/uptime", check=True).stdout.split()[0]) >= host + 1000000
    assert os.readlink(f"/proc/{box.pid(identifier)}/ns/time") != os.readlink("/proc/self/ns/time")


def test_time_namespace_in_a_user_namespace(box):
    own_user_namespace(box)
    box.spec["linux"]["namespaces"].append({"type": "time"})
    box.spec["linux"]["timeOffsets"] = {"boottime": {"secs": 1000000, "nanosecs": 5}, "monotonic": {"secs": 500}}
    assert box.output("cat /proc/self/timens_offsets").split() == ["monotonic", "500", "0", "boottime", "1000000", "5"]


def test_start_hooks_are_bound_as_the_process_is(box):
    """By its filter and its capabilities; what ends one is told."""
    box.spec["linux"]["seccomp"] = {"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_X86_64"],
                                    "syscalls": [{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_KILL_PROCESS"},
                                                 {"names": ["pidfd_open", "sendmsg"], "action": "SCMP_ACT_ERRNO"}]}
    box.spec["process"]["rlimits"] = [{"type": "RLIMIT_CORE", "soft": 0, "hard": 0}]
    hook = {"path": "/bin/busybox", "args": ["mkdir", "/tmp/new"]}
    box.spec["hooks"] = {"startContainer": [hook]}
    complaint = "error running startContainer hook #0: /bin/busybox: signal: bad system call"
    assert complaint in box.run("true").stderr
    hook.update(args=["sleep", "100"], timeout=1)
    assert "error running startContainer hook #0: (/bin/busybox)" in box.run("true").stderr
    hook.update(args=["sh", "-c", "grep CapEff /proc/self/status >/tmp/caps"], timeout=60)
    assert box.output("grep CapEff /proc/self/status").split() == (box.root / "tmp/caps").read_text().split()


def test_commands_that_only_capabilities_can_execute(box):
    shutil.copy(box.root / "bin/busybox", box.root / "data/busybox")
    (box.root / "data/busybox").chmod(0o700)
    box.spec["process"]["user"] = {"uid": 1000, "gid": 1000}
    for names, fails in (([], True), (["CAP_DAC_OVERRIDE"], False)):
        for kind in ("bounding", "effective", "permitted", "inheritable", "ambient"):
            box.spec["process"]["capabilities"][kind] = names
        result = box.run(args=["/data/busybox", "true"])
        assert bool(result.returncode) == fails and ("permission denied" in result.stderr) == fails


def test_filter_flags(box):
    """None said means what every runtime takes for granted; an empty list means none."""
    box.spec["linux"]["seccomp"] = {"defaultAction": "SCMP_ACT_ALLOW"}
    box.spec["process"]["args"] = ["true"]
    for flags, number in ((None, 4), ([], 0), (["SECCOMP_FILTER_FLAG_LOG", "SECCOMP_FILTER_FLAG_TSYNC"], 2)):
        box.spec["linux"]["seccomp"].update({} if flags is None else {"flags": flags})
        identifier = box.new_id()
        box.write(identifier)
        assert f'"seccomp filter flags: {number}"' in box.rt("--debug", "run", "-b", box.bundle, identifier, check=True).stderr


def test_an_execve_that_fails_is_the_containers_own_story(box):
    """As runc: one line on its standard error, and its end."""
    (box.root / "data/script").write_text("#!/no/such/shell\n")
    (box.root / "data/script").chmod(0o755)
    result = box.run(args=["/data/script"])
    assert (result.returncode, result.stderr) == (255, "exec /data/script: no such file or directory\n")
    box.spec["process"]["args"] = ["sleep", "100"]
    result = box.rt("exec", box.start(), "/data/script")
    assert (result.returncode, result.stderr) == (255, "exec /data/script: no such file or directory\n")


def test_time_namespace_joined_by_path(box):
    box.spec["linux"]["namespaces"].append({"type": "time"})
    box.spec["linux"]["timeOffsets"] = {"boottime": {"secs": 1000000}}
    first = box.pid(box.start())
    del box.spec["linux"]["timeOffsets"]
    box.spec["linux"]["namespaces"][-1]["path"] = f"/proc/{first}/ns/time"
    assert box.output("readlink /proc/self/ns/time") == os.readlink(f"/proc/{first}/ns/time")


def test_unknown_capabilities_are_left_out(box):
    for kind in ("bounding", "effective", "permitted", "inheritable", "ambient"):
        box.spec["process"]["capabilities"][kind] = ["CAP_OF_THE_FUTURE", "CAP_KILL"]
    text = box.output("grep Cap /proc/self/status")
    assert set(re.findall(r"Cap\w+:\s*(\w+)", text)) == {f"{1 << 5:016x}"}


def test_user_namespace_without_maps_changes_nobody(box):
    box.spec["linux"]["namespaces"].append({"type": "user"})
    text = box.output("readlink /proc/self/ns/user; cat /proc/self/uid_map /proc/self/gid_map")
    assert os.readlink("/proc/self/ns/user") not in text and text.split()[1:] == ["0", "0", "4294967295"] * 2


def test_devices_in_a_user_namespace(box):
    own_user_namespace(box)
    box.spec["linux"]["devices"] = [{"path": "/dev/foo", "type": "c", "major": 1, "minor": 5, "uid": 10, "gid": 11, "fileMode": 0o640}]
    text = box.output("stat -c '%t:%T %u:%g %a' /dev/foo /dev/null; head -c 3 /dev/foo | wc -c")
    assert text.splitlines()[0] == "1:5 10:11 640" and text.splitlines()[1].startswith("1:3 ")
    for line in box.output("grep -E ' /dev/(foo|null|tty) ' /proc/self/mounts").splitlines():
        assert {"nosuid", "noexec"} <= set(line.split()[3].split(",")), line


def test_device_with_a_slash_behind_it(box):
    box.spec["linux"]["devices"] = [{"path": "/data/node//", "type": "c", "major": 1, "minor": 3}]
    assert box.output("stat -c %t:%T /data/node") == "1:3"


def test_hooks_without_environment(box):
    """On the host they have the runtime's; startContainer has the process's, without the linker's words."""
    seen = box.top / "seen"
    box.spec["process"]["env"] = ["PATH=/bin", "INSIDE=yes", "LD_PRELOAD=/evil.so"]
    box.spec["hooks"] = {
        "prestart": [{"path": "/bin/sh", "args": ["sh", "-c", f"cat >{seen}.state; env >{seen}.prestart"]}],
        "createRuntime": [{"path": "/bin/sh", "args": ["sh", "-c", f"cat >{seen}.runtime"]}],
        "startContainer": [{"path": "/bin/sh", "args": ["sh", "-c", "env >/tmp/start"]}]}
    box.env = {"OUTSIDE": "yes", "PATH": "/bin:/usr/bin"}
    box.output("true")
    inside = (box.root / "tmp/start").read_text()
    assert "INSIDE=yes" in inside and "OUTSIDE" not in inside and "LD_PRELOAD" not in inside
    assert "OUTSIDE=yes" in pathlib.Path(f"{seen}.prestart").read_text()
    states = [json.loads(pathlib.Path(f"{seen}.{which}").read_text())["status"] for which in ("state", "runtime")]
    assert states == ["created", "creating"]


def failing_hooks(box, *names):
    seen = box.top / "seen"
    box.spec["hooks"] = {name: [{"path": "/bin/false"}, {"path": "/bin/sh", "args": ["sh", "-c", f"echo {name} >>{seen}"]}] for name in names}
    return seen


def test_a_poststop_hook_that_fails_is_a_warning(box):
    seen = failing_hooks(box, "poststop")
    result = box.rt("delete", "-f", box.start(["sleep", "1000"]), check=True)
    assert "error running poststop hook #0" in result.stderr and seen.read_text() == "poststop\n"


@pytest.mark.parametrize("hook", ["createRuntime", "createContainer", "poststart"])
def test_any_other_hook_that_fails_is_the_end(box, hook):
    """Nothing is left of the container, and those of poststop have run."""
    seen = failing_hooks(box, hook, "poststop")
    box.spec["process"]["args"] = ["sleep", "1000"]
    identifier = box.new_id()
    box.write(identifier)
    is_late = hook == "poststart"
    result = box.rt("create", "-b", box.bundle, identifier, stdout=subprocess.DEVNULL, **({"stderr": subprocess.DEVNULL} if is_late else {}))
    if is_late:
        result = box.rt("start", identifier)
    assert result.returncode and f"error running {hook} hook #0" in result.stderr
    assert seen.read_text() == "poststop\n"
    assert "does not exist" in box.rt("state", identifier).stderr


def test_supplementary_groups_of_the_caller(box):
    box.spec["process"]["user"]["additionalGids"] = [7]
    groups = "grep Groups /proc/self/status"
    assert box.output(groups).split() == ["Groups:", "7"]
    box.spec["annotations"] = {"run.oci.keep_original_groups": "1"}
    assert box.run(groups, extra_groups=[11, 12]).stdout.split() == ["Groups:", "11", "12"]


# ---- mounts ----


def source_folder(box, owner):
    source = box.top / "source"
    (source / "below").mkdir(parents=True)
    for path in [source, source / "below", source / "file"]:
        path.exists() or path.write_text("x")
        os.chown(path, owner, owner)
    return source


def test_idmapped_mounts(box):
    """Root of the folder is root of the container, whose root is somebody else outside; and a mount with maps of its own."""
    own_user_namespace(box)
    source = source_folder(box, 0)
    for name in ("mapped", "own", "said", "plain"):
        (box.root / name).mkdir()
    maps = [{"containerID": 0, "hostID": 100007, "size": 1000}]
    box.spec["mounts"] += [
        {"destination": "/mapped", "type": "bind", "source": str(source), "options": ["rbind", "ridmap"]},
        {"destination": "/own", "type": "bind", "source": str(source), "options": ["bind", "idmap"], "uidMappings": maps, "gidMappings": maps},
        {"destination": "/said", "type": "bind", "source": str(source), "options": ["bind", "idmap=uids=0-100003-1#1-100000-3;gids=0-100004-9"]},
        {"destination": "/plain", "type": "bind", "source": str(source), "options": ["bind"]}]
    text = box.output("stat -c %u:%g /mapped/file /own/file /said/file /plain/file; touch /mapped/new")
    assert text.split() == ["0:0", "7:7", "3:4", "65534:65534"]
    assert (source / "new").stat().st_uid == 0


def test_idmap_needs_maps_and_a_bind(box):
    source = source_folder(box, 0)
    mount = {"destination": "/mapped", "type": "bind", "source": str(source), "options": ["bind", "idmap"]}
    box.spec["mounts"].append(mount)
    assert "idmap needs mappings" in box.run("true").stderr
    for wrong in ("", "uids=0-1-10", "uids=0-1;gids=0-1-10", "uids=0-1-10;gids=0-1-10;uids=0-1-10", "uids=@0-1-10;gids=0-1-10"):
        mount["options"] = ["bind", f"idmap={wrong}"]
        assert "idmap= takes uids=" in box.run("true").stderr
    mount.update(type="tmpfs", source="tmpfs", options=["idmap"])
    assert "only bind mounts can be idmapped" in box.run("true").stderr


@pytest.fixture
def restricted(box):
    """A mount of the host's, with flags of its own."""
    source = source_folder(box, 0)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "nosuid,nodev,noatime", "tmpfs", source], check=True)
    yield source
    subprocess.run(["umount", source], check=True)


def flags(box, source, *options):
    box.spec["mounts"] = [each for each in box.spec["mounts"] if each["destination"] != "/bound"] + [
        {"destination": "/bound", "type": "bind", "source": str(source), "options": ["bind", *options]}]
    return set(box.output("grep ' /bound ' /proc/self/mounts").split()[3].split(","))


def test_flags_of_a_bind_are_those_named(box, restricted):
    """None named: the source's. Times of access stay until one is named. A user namespace may take none of them away."""
    assert {"rw", "nosuid", "nodev", "noatime"} <= flags(box, restricted)
    seen = flags(box, restricted, "ro", "atime")
    assert {"ro", "noatime"} <= seen and not {"nosuid", "nodev"} & seen
    seen = flags(box, restricted, "nosymfollow", "relatime")
    assert {"rw", "relatime"} <= seen and not {"nosuid", "nodev", "noatime"} & seen
    own_user_namespace(box)
    assert {"ro", "nosuid", "nodev", "noatime"} <= flags(box, restricted, "ro")
    for word in ("suid", "relatime"):
        box.spec["mounts"][-1]["options"] = ["bind", word]
        assert "operation not permitted" in box.run("true").stderr


def test_remount(box):
    source = source_folder(box, 0)
    remount = {"source": "none", "type": "none"}
    box.spec["mounts"] += [
        {"destination": "/new", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "size=4k", "mode=700"]},
        {"destination": "/bound", "type": "bind", "source": str(source), "options": ["bind"]},
        {"destination": "/new", **remount, "options": ["remount", "noexec", "size=8k"]},
        {"destination": "/bound", **remount, "options": ["bind", "remount", "ro"]}]
    lines = box.output("grep -E ' /(new|bound) ' /proc/self/mounts").splitlines()
    seen = {line.split()[1]: set(line.split()[3].split(",")) for line in lines}
    assert len(lines) == 2 and {"rw", "nosuid", "noexec", "size=8k", "mode=700"} <= seen["/new"] and "ro" in seen["/bound"]
    (source / "new").touch()  # the host's own is as it was
    box.spec["mounts"].append({"destination": "/etc", **remount, "options": ["remount", "ro"]})
    assert "the mount at /etc: no other that could be remounted" in box.run("true").stderr


def test_symlinks_bound_and_bound_on(box):
    source = source_folder(box, 0)
    (source / "link").symlink_to("file")
    (box.root / "link").symlink_to("nowhere")
    for options, seen in ((["dest-nofollow"], "x"), (["src-nofollow", "dest-nofollow"], "file")):
        box.spec["mounts"].append({"destination": "/link", "type": "bind", "source": str(source / "link"), "options": ["bind", *options]})
        assert box.output("if [ -L /link ]; then readlink /link; else cat /link; fi") == seen
        box.spec["mounts"].pop()
    box.spec["mounts"].append({"destination": "/made/link", "type": "bind", "source": str(source / "link"), "options": ["bind", "copy-symlink"]})
    for _ in range(2):  # the second time it is there already
        assert box.output("readlink /made/link") == "file"
    (box.root / "proc-link").symlink_to("/proc")
    box.spec["mounts"][-1] = {"destination": "/proc-link/self", "type": "bind", "source": str(source / "link"),
                              "options": ["bind", "src-nofollow", "dest-nofollow"]}
    assert "it leads into /proc" in box.run("true").stderr


def test_a_bind_takes_the_roots_place(box):
    """What is masked and read-only is so in it. What it would cover, and what it can't, is refused."""
    other = box.top / "other"
    subprocess.run(["cp", "-a", box.root, other], check=True)
    (other / "which").write_text("other")
    (other / "secret").write_text("secret")
    box.spec["linux"]["maskedPaths"] = ["/secret", "/proc/kcore"]
    root = {"destination": "/", "type": "bind", "source": str(other), "options": ["bind", "ro"]}
    box.spec["mounts"].insert(0, root)
    assert box.output("cat /which /secret; head -c 1 /proc/kcore; touch /new 2>/dev/null || echo ' readonly'") == "other readonly"
    assert not (box.root / "which").exists() and not (other / "new").exists()
    box.spec["mounts"].append(box.spec["mounts"].pop(0))
    assert "it would cover the mounts before it" in box.run("true").stderr
    box.spec["mounts"].pop()
    box.spec["mounts"].insert(0, {"destination": "/", "type": "tmpfs", "source": "tmpfs"})
    assert "the root is not to be mounted over" in box.run("true").stderr


def test_tmpcopyup(box):
    (box.root / "data/sub").mkdir()
    (box.root / "data/sub/file").write_text("below")
    (box.root / "data/link").symlink_to("sub/file")
    (box.root / "data").chmod(0o751)
    box.spec["mounts"] += [{"destination": "/data", "type": "tmpfs", "source": "tmpfs", "options": ["tmpcopyup", "nodev"]},
                           {"destination": "/etc", "type": "tmpfs", "source": "tmpfs", "options": ["tmpcopyup", "ro"]}]
    text = box.output("cat /data/link; echo; stat -c %a /data; echo new >/data/sub/file; cat /etc/passwd; touch /etc/x || echo ro")
    assert text.splitlines()[:2] == ["below", "751"] and "web:x:1000" in text and text.endswith("ro")
    assert (box.root / "data/sub/file").read_text() == "below"


@pytest.mark.parametrize("mode", ["rw", "ro"])
def test_its_root_owns_a_group_that_it_may_write_to(box, mode):
    own_user_namespace(box)
    cgroup = next(mount for mount in box.spec["mounts"] if mount["type"] == "cgroup")
    cgroup["options"] = [word for word in cgroup["options"] if word not in ("ro", "rw")] + [mode]
    identifier = box.start()
    group = next((path for path in (top / identifier for top in cgroup_folders(PARENT)) if (path / "cgroup.controllers").exists()), None)
    if not group:
        pytest.skip("needs a host with cgroup v2")
    owner = 100000 if mode == "rw" else 0
    assert [(group / name).stat().st_uid for name in (".", "cgroup.procs", "cgroup.subtree_control", "cgroup.type", "cgroup.max.depth")] == \
        [owner] * 3 + [0, 0]


def test_mounts_are_listed_in_the_documents_order(box):
    source = source_folder(box, 0)
    words = ["shared", "slave", "private", "unbindable", "rshared", "rslave", "rprivate", "runbindable"]
    for word in words:
        box.spec["mounts"] += [{"destination": f"/b-{word}", "type": "bind", "source": str(source), "options": ["bind", word]},
                               {"destination": f"/t-{word}", "type": "tmpfs", "source": "tmpfs", "options": [word]}]
    lines = [line.split() for line in box.output("cat /proc/self/mountinfo").splitlines()]
    ours = [line for line in lines if re.match("/[bt]-", line[4])]
    assert [line[4] for line in ours] == [f"/{kind}-{word}" for word in words for kind in "bt"]
    for line in ours:
        if "unbindable" in line[4]:
            assert "unbindable" in line[6:-4], line
        if "shared" in line[4]:
            assert any(word.startswith("shared:") for word in line[6:-4]), line


def kernel():
    return tuple(int(part) for part in os.uname().release.split(".")[:2])


@pytest.mark.skipif(kernel() < (6, 15), reason="before Linux 6.15 nothing can be mounted on a detached tree")
def test_without_a_mount_namespace_of_its_own(box):
    """It shares the runtime's and still has a root and mounts that nobody else sees."""
    spec = box.spec["linux"]
    spec["namespaces"] = [entry for entry in spec["namespaces"] if entry["type"] not in ("mount", "network")]
    spec["maskedPaths"].append("/data")
    (box.root / "data/secret").write_text("x")
    before = pathlib.Path("/proc/self/mountinfo").read_text()
    identifier = box.start(["sleep", "1000"])
    assert os.readlink(f"/proc/{box.pid(identifier)}/ns/mnt") == os.readlink("/proc/self/ns/mnt")
    said = box.rt("exec", identifier, "sh", "-c", "ls /; ls /data; cat /proc/1/comm; ls -d /sys/kernel; touch /tmp/new; stat -f -c %T /dev", check=True)
    assert "rootfs" not in said.stdout and "secret" not in said.stdout and "sleep" in said.stdout and "tmpfs" in said.stdout
    assert (box.root / "tmp/new").exists() and pathlib.Path("/proc/self/mountinfo").read_text() == before


@pytest.mark.skipif(kernel() < (6, 15), reason="before Linux 6.15 nothing can be mounted on a detached tree")
def test_in_a_joined_mount_namespace(box):
    with subprocess.Popen(["unshare", "-m", "sh", "-c", "echo; exec sleep 1000"], stdout=subprocess.PIPE) as other:
        try:
            other.stdout.readline()
            next(entry for entry in box.spec["linux"]["namespaces"] if entry["type"] == "mount")["path"] = f"/proc/{other.pid}/ns/mnt"
            before = pathlib.Path(f"/proc/{other.pid}/mountinfo").read_text()
            identifier = box.start(["sleep", "1000"])
            assert os.readlink(f"/proc/{box.pid(identifier)}/ns/mnt") == os.readlink(f"/proc/{other.pid}/ns/mnt")
            assert box.rt("exec", identifier, "cat", "/proc/1/comm", check=True).stdout == "sleep\n"
            assert pathlib.Path(f"/proc/{other.pid}/mountinfo").read_text() == before
            box.rt("delete", "-f", identifier, check=True)
        finally:
            other.kill()


# ---- a filter with a listener ----

RECEIVE, SEND, CONTINUE = 0xC0502100, 0xC0182101, 1  # of linux/seccomp.h
MKDIR = (83, 258)


class Agent:
    """Refuses to make folders, lets all else go on; keeps the documents it gets."""

    def __init__(self, path):
        self.documents, self.path, self.news = [], path, threading.Condition()
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.bind(str(path))
        self.socket.listen()
        self.wake = socket.socketpair()
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()

    def take(self, selector):
        connection, _ = self.socket.accept()
        with connection:
            text, control, _, _ = connection.recvmsg(1 << 16, socket.CMSG_SPACE(4))
        fds = array.array("i")
        fds.frombytes(control[0][2])
        with self.news:
            self.documents.append(json.loads(text))
            self.news.notify()
        selector.register(fds[0], selectors.EVENT_READ, "listener")

    def document(self, index):
        with self.news:
            assert self.news.wait_for(lambda: len(self.documents) > index, 60 * SLOW)
        return self.documents[index]

    @staticmethod
    def answer(listener):
        note = bytearray(80)
        fcntl.ioctl(listener, RECEIVE, note)
        identifier, _, _, number = struct.unpack_from("=QIIi", note)
        reply = (identifier, 0, -errno.EDQUOT, 0) if number in MKDIR else (identifier, 0, 0, CONTINUE)
        with contextlib.suppress(FileNotFoundError):  # it was killed meanwhile
            fcntl.ioctl(listener, SEND, struct.pack("=QqiI", *reply))

    def serve(self):
        with selectors.DefaultSelector() as selector:
            selector.register(self.socket, selectors.EVENT_READ, "new")
            selector.register(self.wake[1], selectors.EVENT_READ, "end")
            while True:
                for key, events in selector.select():
                    if key.data == "end":
                        return
                    if key.data == "new":
                        self.take(selector)
                        continue
                    try:
                        self.answer(key.fd)
                    except OSError:  # nobody has the filter any more
                        selector.unregister(key.fd)
                        os.close(key.fd)

    def close(self):
        self.wake[0].send(b"x")
        self.thread.join()
        self.socket.close()


@pytest.fixture
def agent(box):
    agent = Agent(box.top / "agent")
    yield agent
    agent.close()


def notifying(box, agent, no_new_privileges, names=("mkdir", "mkdirat")):
    box.spec["process"]["noNewPrivileges"] = no_new_privileges
    box.spec["linux"]["seccomp"] = {
        "defaultAction": "SCMP_ACT_ALLOW", "listenerPath": str(agent.path), "listenerMetadata": "for the test",
        "architectures": ["SCMP_ARCH_X86_64"], "flags": ["SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV"],
        "syscalls": [{"names": list(names), "action": "SCMP_ACT_NOTIFY"}]}


@pytest.mark.parametrize("no_new_privileges", [True, False])
def test_seccomp_listener(box, agent, no_new_privileges):
    box.spec["annotations"] = {"org.test": "yes"}
    notifying(box, agent, no_new_privileges, ["mkdir", "mkdirat", "execve", "openat", "read", "close", "fcntl", "capset", "prctl"])
    result = box.run("mkdir /tmp/x")
    assert "exceeded" in result.stderr.lower(), result.stderr
    document = agent.document(0)
    assert document["fds"] == ["seccompFd"] and document["metadata"] == "for the test" and document["pid"] == document["state"]["pid"]
    assert document["state"]["id"] == "c0" and document["state"]["annotations"] == {"org.test": "yes"}


def test_seccomp_listener_of_start_and_exec(box, agent):
    notifying(box, agent, True)
    identifier = box.start(["sleep", "1000"])
    assert agent.document(0)["pid"] == box.pid(identifier)
    assert "exceeded" in box.rt("exec", identifier, "mkdir", "/tmp/x").stderr.lower()
    assert agent.document(1)["pid"] != box.pid(identifier) and agent.document(1)["state"]["status"] == "running"


def test_seccomp_listener_that_can_not_be(box, agent):
    notifying(box, agent, True, ["write"])
    assert "SCMP_ACT_NOTIFY cannot be used for the write syscall" in box.run("true").stderr
    notifying(box, agent, True)
    box.spec["linux"]["seccomp"]["listenerPath"] = "/nowhere/agent"
    assert "failed to connect with seccomp agent" in box.run("true").stderr
    del box.spec["linux"]["seccomp"]["listenerPath"]
    assert "needs a listenerPath" in box.run("true").stderr
    box.spec["linux"]["seccomp"]["defaultAction"] = "SCMP_ACT_NOTIFY"
    assert "cannot be used as default action" in box.run("true").stderr
    assert not agent.documents


def test_environment_has_each_name_once(box):
    """The last of a name is what counts, and an empty HOME is none."""
    box.spec["process"]["env"] = ["PATH=/nowhere", "ONE=two", "HOME=/override", "HOME=", "ONE=", "PATH=/bin"]
    result = box.run(args=["env"])
    assert sorted(result.stdout.split()) == ["HOME=/root", "ONE=", "PATH=/bin"]


def test_ambient_capabilities_that_can_not_be(box):
    capabilities = box.spec["process"]["capabilities"]
    capabilities["inheritable"], capabilities["ambient"] = ["CAP_KILL"], ["CAP_KILL", "CAP_CHOWN"]
    result = box.run("grep CapAmb /proc/self/status")
    assert result.stdout.split() == ["CapAmb:", f"{1 << 5:016x}"]
    assert result.stderr.count("can't raise ambient capability") == 1 and "capability CAP_CHOWN: " in result.stderr


def test_relative_mount_destination(box):
    """Counts from "/", as the specification has it."""
    box.spec["mounts"].append({"destination": "data/deep", "type": "bind", "source": str(box.canary), "options": ["bind"]})
    assert "/data/deep" in box.output("grep /data/deep /proc/self/mounts")
    box.spec["mounts"][-1]["destination"] = ""
    assert "mounts[" in box.run("true").stderr


@pytest.mark.skipif("resctrl" in pathlib.Path("/proc/mounts").read_text(), reason="this host has resctrl")
def test_intel_rdt_is_not_to_be_had(box):
    features = json.loads(box.rt("features", check=True).stdout)
    assert features["linux"]["intelRdt"] == {"enabled": True} and "org.criu.config" in features["potentiallyUnsafeConfigAnnotations"]
    identifier = box.start(["sleep", "1000"])
    for option in ("--l3-cache-schema", "--mem-bw-schema"):
        assert "no resctrl filesystem is mounted" in box.rt("update", option, "MB:0=50", identifier).stderr
    box.rt("delete", "-f", identifier, check=True)
    for rdt in ({}, {"closID": "/"}, {"memBwSchema": "MB:0=50", "schemata": ["L3:0=f"], "enableMonitoring": True}):
        box.spec["linux"]["intelRdt"] = rdt
        result = box.run("true")
        assert result.returncode == 1 and "Intel RDT is not supported or enabled: no resctrl filesystem is mounted" in result.stderr


def test_network_namespace_that_is_not_the_user_namespaces(box):
    """Joined before the user namespace is, whose root could not."""
    own_user_namespace(box)
    first = box.pid(box.start(["sleep", "100"]))
    box.spec["linux"].pop("uidMappings"), box.spec["linux"].pop("gidMappings")
    for namespace in box.spec["linux"]["namespaces"]:
        if namespace["type"] == "user":
            namespace["path"] = f"/proc/{first}/ns/user"
        if namespace["type"] == "network":
            namespace["path"] = "/proc/self/ns/net"
    box.spec["mounts"] = [mount for mount in box.spec["mounts"] if not mount["destination"].startswith("/sys")]
    said = box.output("readlink /proc/self/ns/user; readlink /proc/self/ns/net").split()
    assert said == [os.readlink(f"/proc/{first}/ns/user"), os.readlink("/proc/self/ns/net")]


def test_a_path_masked_twice(box):
    box.spec["linux"]["maskedPaths"] += ["/data", "/data"]
    assert box.output("grep -c ' /data ' /proc/self/mountinfo") == "1"


def test_pipes_are_the_users(box):
    box.spec["process"]["user"] = {"uid": 1000, "gid": 1001}
    assert box.output("stat -L -c %u:%g /proc/self/fd/1") == "1000:1001"
