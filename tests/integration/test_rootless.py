"""tare-runtime in the hands of an ordinary user, who is made for these tests: /etc/passwd, subuid and subgid are our own in a mount
namespace. With his own id alone, with his sub-ids by newuidmap, with groups that were handed to him and without."""
import contextlib
import json
import os
import pathlib
import shutil
import subprocess
import tempfile

import pytest

from harness import images
from harness.box import APPLETS, BUSYBOX, RUNTIME
from harness.engine import SLOW, wait_for

USER, SUBIDS = 43210, 200000
GROUPS = "tare-carl"


class Carl:
    """An ordinary user with a home, a bundle in it and a runtime folder."""

    def __init__(self, delegated):
        self.top = pathlib.Path(tempfile.mkdtemp(prefix="tare-carl-"))
        self.top.chmod(0o755)
        self.bundle, self.run_folder = self.top / "home/bundle", self.top / "run"
        for name in ("bin", "proc", "sys", "dev", "etc", "tmp", "data"):
            (self.bundle / "rootfs" / name).mkdir(parents=True)
        self.run_folder.mkdir()
        shutil.copy(BUSYBOX, self.bundle / "rootfs/bin/busybox")
        for applet in APPLETS:
            (self.bundle / "rootfs/bin" / applet).symlink_to("busybox")
        for name, line in (("passwd", f"carl:x:{USER}:{USER}::{self.top}/home:/bin/sh"), ("group", f"carl:x:{USER}:")):
            (self.top / name).write_text(pathlib.Path("/etc", name).read_text() + line + "\n")
        for name in ("subuid", "subgid"):
            (self.top / name).write_text(f"carl:{SUBIDS}:65536\n")
        for path in (self.run_folder, *self.top.rglob("home/**/*"), self.top / "home"):
            os.chown(path, USER, USER, follow_symlinks=False)
        self.program = self.copy_program()
        self.groups = self.delegate() if delegated else []
        script = "for f in subuid subgid passwd group; do mount --bind $f /etc/$f || exit 1; done; echo && exec cat"
        self.place = subprocess.Popen(["unshare", "-m", "--propagation", "private", "sh", "-c", script], cwd=self.top,
                                      stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert self.place.stdout.readline() == b"\n"
        self.run("spec", "--rootless")
        self.spec = json.loads((self.bundle / "config.json").read_text())
        self.spec["process"]["terminal"] = False
        self.spec["root"]["readonly"] = False
        self.ids = []

    def copy_program(self):
        """Where he may read it, whatever the folder of the build allows."""
        copy = self.top / "tare-runtime"
        shutil.copy(RUNTIME, copy)
        return copy

    @staticmethod
    def delegate():
        """A group of his in every hierarchy; on v2 with a leaf, since what has processes can't hand controllers on."""
        joined = []
        for point in [line.split()[1] for line in pathlib.Path("/proc/self/mounts").read_text().splitlines() if line.split()[2] in ("cgroup", "cgroup2")]:
            group = pathlib.Path(point, GROUPS)
            group.mkdir()
            is_v2 = (group / "cgroup.controllers").exists()
            leaf = group / "own" if is_v2 else group
            if is_v2:
                have = (group / "cgroup.controllers").read_text().split()
                for controller in have:
                    (group / "cgroup.subtree_control").write_text("+" + controller)
                leaf.mkdir()
            for file in ("cpuset.cpus", "cpuset.mems"):
                if (pathlib.Path(point) / file).exists() and not is_v2:
                    (group / file).write_text((pathlib.Path(point) / file).read_text())
            for path in (group, leaf, *group.glob("cgroup.*"), *leaf.glob("cgroup.*"), *group.glob("tasks")):
                os.chown(path, USER, USER)
            joined.append(str(leaf / "cgroup.procs"))
        return joined

    def inside(self, *argv):
        return ["sh", "-c", 'for g in $GROUPS_TO_JOIN; do echo $$ > "$g" || exit 99; done; exec nsenter "$@"', "sh", f"--mount=/proc/{self.place.pid}/ns/mnt",
                "--", "setpriv", f"--reuid={USER}", f"--regid={USER}", "--clear-groups", "env", "-i", f"HOME={self.top}/home", f"XDG_RUNTIME_DIR={self.run_folder}",
                f"PATH={os.environ.get('PATH', '')}:/usr/bin:/bin", "sh", "-c", f'cd {self.bundle} && exec "$@"', "sh", *map(str, argv)]

    def run(self, *arguments, program=None, check=True, **options):
        options = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, "timeout": 60 * SLOW, **options}
        done = subprocess.run(self.inside(program or self.program, *arguments), env={**os.environ, "GROUPS_TO_JOIN": " ".join(self.groups)}, **options)
        assert not check or done.returncode == 0, f"{arguments}: {done.returncode}: {done.stderr}"
        return done

    def write(self, *args):
        if args:
            self.spec["process"]["args"] = list(args)
        (self.bundle / "config.json").write_text(json.dumps(self.spec))
        self.ids.append(f"c{len(self.ids)}")
        return self.ids[-1]

    def output(self, script, **options):
        return self.run("run", self.write("sh", "-c", script), **options).stdout

    def map_more(self):
        for kind in ("uidMappings", "gidMappings"):
            self.spec["linux"][kind] = [{"containerID": 0, "hostID": USER, "size": 1}, {"containerID": 1, "hostID": SUBIDS, "size": 65536}]

    def start(self, *args):
        identifier = self.write(*args)
        self.run("create", identifier, stdout=subprocess.DEVNULL, stderr=open(self.top / "err", "w"), check=False)
        assert self.state(identifier)["status"] == "created", (self.top / "err").read_text()
        self.run("start", identifier)
        return identifier

    def state(self, identifier):
        return json.loads(self.run("state", identifier).stdout)

    def close(self):
        for identifier in self.ids:
            self.run("delete", "-f", identifier, check=False)
        folder = self.run_folder / "tare-runtime"
        left = [path for path in folder.glob("*") if path.name != ":seccomp"]
        self.place.stdin.close()
        self.place.wait()
        groups = [pathlib.Path(file).parent for file in self.groups]
        groups += [group.parent for group in groups if group.name == "own"]
        left += [entry for group in groups for entry in group.glob("*") if entry.is_dir() and entry not in groups]
        for group in groups:
            wait_for(lambda: self.is_removed(group), "the group's end")
        shutil.rmtree(self.top)
        assert not left, left

    @staticmethod
    def is_removed(group):
        """Who was in it a moment ago may still be on its way out."""
        with contextlib.suppress(OSError):
            group.rmdir()
        return not group.exists()


@pytest.fixture(params=[False, True], ids=["alone", "delegated"])
def carl(request):
    carl = Carl(request.param)
    try:
        yield carl
    finally:
        carl.close()


@pytest.fixture
def alone():
    carl = Carl(False)
    try:
        yield carl
    finally:
        carl.close()


def test_is_root_inside_and_himself_outside(carl):
    text = carl.output("id -u; cat /proc/self/uid_map /proc/self/setgroups; echo x > /data/made; ls -ln /data/made; ls /sys; cat /sys/class/net/lo/address; "
                       "mknod /tmp/null c 1 3 2>/dev/null || echo no node; : > /dev/null; grep -c . /proc/self/mountinfo")
    lines = text.splitlines()
    assert lines[0] == "0" and lines[1].split() == ["0", str(USER), "1"] and lines[2] == "deny" and "no node" in lines and "fs" in lines
    made = carl.bundle / "rootfs/data/made"
    assert (made.stat().st_uid, made.read_text()) == (USER, "x\n")


def test_groups_mounted_once_more_out_of_his_reach(carl):
    points = [line.split()[1] for line in pathlib.Path("/proc/self/mounts").read_text().splitlines() if line.split()[2] in ("cgroup", "cgroup2")]
    (carl.top / "closed").mkdir()
    for number, point in enumerate(points):
        (carl.top / f"closed/{number}").mkdir()
        subprocess.run(["nsenter", f"--mount=/proc/{carl.place.pid}/ns/mnt", "mount", "--bind", point, carl.top / f"closed/{number}"], check=True)
    (carl.top / "closed").chmod(0o700)
    assert carl.output("echo here") == "here\n"


def test_sub_ids(carl):
    carl.map_more()
    carl.spec["process"]["user"] = {"uid": 1000, "gid": 1000, "additionalGids": [50]}
    carl.spec["process"]["capabilities"] = {}
    (carl.bundle / "rootfs/data").chmod(0o777)
    text = carl.output("id -u; id -G; cat /proc/self/setgroups; echo x > /data/his")
    assert text.split() == ["1000", "1000", "50", "allow"]
    assert (carl.bundle / "rootfs/data/his").stat().st_uid == SUBIDS + 999


def test_life_of_a_container(carl):
    carl.map_more()
    identifier = carl.start("sleep", "1000")
    state = carl.state(identifier)
    assert state["status"] == "running" and pathlib.Path(f"/proc/{state['pid']}/status").read_text().split("Uid:")[1].split()[0] == str(USER)
    done = carl.run("exec", identifier, "sh", "-c", "id -u; ps; exit 3", check=False)
    assert done.returncode == 3 and done.stdout.split()[0] == "0" and "sleep 1000" in done.stdout
    done = carl.run("exec", "--user", "7:8", identifier, "id", check=False)
    assert "uid=7 gid=8" in done.stdout, done
    assert [line.split()[0] for line in carl.run("list").stdout.splitlines() if line.split()[-1] == f"#{USER}"] == [identifier]
    table = carl.run("ps", identifier).stdout
    assert "sleep 1000" in table and len(table.splitlines()) == 2
    assert json.loads(carl.run("ps", "-f", "json", identifier).stdout) == [state["pid"]]
    carl.run("kill", identifier, "KILL")
    wait_for(lambda: carl.state(identifier)["status"] == "stopped", "the end of init")
    carl.run("delete", identifier)
    assert not (carl.run_folder / "tare-runtime" / identifier).exists()
    assert (carl.run_folder / "tare-runtime").stat().st_mode & 0o7777 == 0o1700


def test_terminal(alone):
    alone.spec["process"]["terminal"] = True
    identifier = alone.write("sh", "-c", "tty")
    # `run` in the foreground makes the terminal; script(1) is the one outside.
    done = alone.run("-qec", f"{alone.program} run {identifier}", "/dev/null", program="script", check=False)
    assert "/dev/pts/0" in done.stdout and done.returncode == 0, done


def test_without_groups(alone):
    identifier = alone.start("sleep", "1000")
    assert "cgroup" in alone.run("pause", identifier, check=False).stderr
    assert alone.run("update", "--pids-limit", "20", identifier, check=False).returncode != 0
    alone.run("delete", "-f", identifier)
    alone.spec["linux"]["resources"] = {"pids": {"limit": 20}}
    refused = alone.run("run", alone.write("true"), check=False)
    assert refused.returncode == 1 and "limits need the right" in refused.stderr and "pids.max" in refused.stderr
    del alone.spec["linux"]["resources"]
    refused = alone.run("--root", alone.run_folder / "tare-runtime", "--rootless=false", "run", alone.write("true"), check=False)
    assert refused.returncode == 1 and "cgroup" in refused.stderr
    assert alone.run("--rootless=true", "run", alone.write("true")).returncode == 0
    refused = alone.run("--rootless=perhaps", "run", alone.write("true"), check=False)
    assert refused.returncode == 1 and "perhaps" in refused.stderr


def test_with_groups():
    carl = Carl(True)
    try:
        carl.spec["linux"]["resources"] = {"pids": {"limit": 20}, "memory": {"limit": 64 << 20}}
        identifier = carl.start("sleep", "1000")
        groups = dict(line.split(":")[1:] for line in pathlib.Path(f"/proc/{carl.state(identifier)['pid']}/cgroup").read_text().split())
        mine = groups.get("pids", groups.get(""))
        assert mine.endswith(f"/{GROUPS}/{identifier}"), groups
        limits = [pathlib.Path("/sys/fs/cgroup", where) / mine[1:] / "pids.max" for where in ("pids", "")]
        assert [file.read_text().strip() for file in limits if file.exists()] == ["20"]
        carl.run("update", "--pids-limit", "30", identifier)
        assert [file.read_text().strip() for file in limits if file.exists()] == ["30"]
        carl.run("pause", identifier)
        assert carl.state(identifier)["status"] == "paused"
        carl.run("resume", identifier)
    finally:
        carl.close()


def test_what_he_may_not(alone):
    alone.spec["linux"]["uidMappings"] = [{"containerID": 0, "hostID": 0, "size": 1}]
    refused = alone.run("run", alone.write("true"), check=False)
    assert refused.returncode == 1 and "uid_map" in refused.stderr, refused
    alone.spec["linux"]["uidMappings"] = [{"containerID": 0, "hostID": USER, "size": 1}]
    alone.spec["mounts"].append({"destination": "/data", "type": "bind", "source": "/root", "options": ["rbind", "ro"]})
    seen = alone.run("run", alone.write("ls", "/data"), check=False)
    assert seen.returncode != 0
    alone.spec["mounts"].pop()
    alone.spec["linux"]["devices"] = [{"type": "c", "path": "/dev/mine", "major": 1, "minor": 1}]
    assert "/dev/mine" in alone.run("run", alone.write("true"), check=False).stderr
    del alone.spec["linux"]["devices"]
    alone.spec["linux"]["namespaces"] = [one for one in alone.spec["linux"]["namespaces"] if one["type"] != "user"]
    del alone.spec["linux"]["uidMappings"], alone.spec["linux"]["gidMappings"]
    assert "rootless container requires user namespaces" in alone.run("run", alone.write("true"), check=False).stderr


def test_binds(alone):
    source = alone.top / "home/source"
    source.mkdir()
    (source / "file").write_text("seen\n")
    alone.spec["mounts"].append({"destination": "/data/here", "type": "bind", "source": str(source), "options": ["bind", "ro"]})
    alone.spec["mounts"].append({"destination": "/data/one", "type": "bind", "source": "../source/file", "options": ["bind"]})
    assert alone.output("cat /data/here/file /data/one; touch /data/here/x 2>&1 || true").splitlines()[:2] == ["seen", "seen"]
    assert not (source / "x").exists()


PODMAN_CONF = """[containers]
default_ulimits = ["nofile=1024:20000", "nproc=4096:4096"]
log_driver = "k8s-file"
[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
runtime = "tare"
[engine.runtimes]
tare = ["{}"]
"""


@pytest.mark.skipif(not shutil.which("podman"), reason="needs podman")
@pytest.mark.parametrize("carl", [False], ids=["alone"], indirect=True)
def test_under_podman(carl):
    """Podman as this user has it: its user namespace, its files, and our program as its runtime."""
    conf = carl.top / "containers.conf"
    conf.write_text(PODMAN_CONF.format(carl.program))
    archive = carl.top / "image.tar"
    shutil.copy(images.busybox("docker-archive"), archive)

    def podman(*arguments, **options):
        return carl.run(f"CONTAINERS_CONF={conf}", "podman", "--root", carl.top / "home/storage", "--runroot", carl.run_folder / "storage", "--storage-driver", "vfs",
                        *arguments, program="env", **options)
    try:
        podman("load", "-q", "-i", archive)
        common = ["--network", "none"]
        assert podman("run", "--rm", *common, "busybox", "sh", "-c", "id -u; cat /proc/self/uid_map | wc -l; exit 0").stdout == "0\n2\n"
        assert podman("run", "--rm", *common, "busybox", "sh", "-c", "exit 7", check=False).returncode == 7
        assert podman("run", "--rm", *common, "busybox", "nothing-like-it", check=False).returncode == 127
        podman("run", "-d", "--name", "one", *common, "--user", "1000:1000", "busybox", "sh", "-c", "echo ready; sleep 1000")
        wait_for(lambda: podman("logs", "one").stdout == "ready\n", "its word")
        assert podman("inspect", "-f", "{{.OCIRuntime}} {{.State.Status}}", "one").stdout == "tare running\n"
        assert podman("exec", "one", "id", "-u").stdout == "1000\n"
        assert podman("exec", "one", "sh", "-c", "exit 9", check=False).returncode == 9
        assert "sleep 1000" in podman("top", "one", "args").stdout
        podman("kill", "one")
        assert podman("wait", "one").stdout == "137\n"
        podman("rm", "one")
    finally:
        podman("rm", "-af", check=False)
        podman("system", "migrate", check=False)  # ends the process that holds the namespaces
