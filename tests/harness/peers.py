"""Other engines, with tare-runtime as their runtime: containerd, Podman, Docker's own daemon. Each has a /run of its own (a tmpfs in a
mount namespace) with all that it writes to, so nothing of it is anywhere else and all of it goes with the namespace. What is in a
container's group is the test's to look at: tests/isolate shows only our own groups."""
import contextlib
import os
import pathlib
import signal
import subprocess

from . import criu
from .box import RUNTIME
from .engine import SLOW, docker_program, wait_for

ENV = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root", "LANG": "C.UTF-8"}
if criu.folder():
    ENV["PATH"] += f":{criu.folder()}/bin"


class Peer:
    """`cli` is the engine's command with all that it needs, as it is run inside; `groups` are where it puts containers' groups."""
    cli, groups = [], ()

    def __init__(self):
        self.env = {**ENV, **getattr(self, "variables", {})}
        self.place = subprocess.Popen(["unshare", "-m", "--propagation", "private", "sh", "-c",
                                       "mount -t tmpfs -o mode=755 run /run && mkdir /run/lock /run/peer && echo && exec cat"],
                                      stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=self.env)
        assert self.place.stdout.readline() == b"\n"
        self.files = pathlib.Path(f"/proc/{self.place.pid}/root/run/peer")
        self.daemon = None

    def inside(self, *argv):
        return ["nsenter", f"--mount=/proc/{self.place.pid}/ns/mnt", "--", *map(str, argv)]

    def run(self, *arguments, check=True, **options):
        """Of the engine's command; what it wrote to stdout, or (check=False) all of it."""
        options = {"stdin": subprocess.DEVNULL, "text": True, "timeout": 120 * SLOW, "capture_output": "stdout" not in options, **options}
        done = subprocess.run(self.inside(*self.cli, *arguments), env=self.env, **options)
        if not check:
            return done
        assert done.returncode == 0, f"{arguments}: {done.returncode}: {done.stdout}{done.stderr}\n{self.tail()}"
        return done.stdout.strip()

    def serve(self, *argv, answers):
        with open(self.files / "log", "ab") as log:
            self.daemon = subprocess.Popen(self.inside(*argv), stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=self.env)

        def up():
            assert self.daemon.poll() is None, f"{argv[0]} has ended\n{self.tail()}"
            return self.run(*answers, check=False).returncode == 0
        wait_for(up, f"{argv[0]} to answer", 60)
        return self

    def tail(self):
        with contextlib.suppress(OSError):
            return (self.files / "log").read_text(errors="replace")[-2000:]
        return ""

    def left(self):
        """Folders of the runtime's state and groups of containers that are still there."""
        states = [entry for root in self.states for entry in pathlib.Path(f"/proc/{self.place.pid}/root").glob(root) if entry.name != ":seccomp"]
        tops = [pathlib.Path("/sys/fs/cgroup"), *pathlib.Path("/sys/fs/cgroup").glob("*")]
        groups = [entry for top in tops for name in self.groups for entry in (top / name).glob("*") if entry.is_dir() and entry.name != "conmon"]
        return sorted(map(str, states + groups))

    def stop(self):
        if self.daemon:
            self.daemon.send_signal(signal.SIGTERM)
            try:
                self.daemon.wait(30 * SLOW)
            except subprocess.TimeoutExpired:
                self.daemon.kill()
                self.daemon.wait()

    def close(self):
        left = self.left()
        self.stop()
        self.place.stdin.close()
        self.place.wait()
        return left


class Containerd(Peer):
    cli = ["ctr", "-a", "/run/peer/sock"]
    groups = ("default",)
    states = ("run/containerd/runc/*/*",)

    def start(self):
        (self.files / "config.toml").write_text('version = 2\nroot = "/run/peer/root"\nstate = "/run/peer/state"\n'
                                                'disabled_plugins = ["io.containerd.grpc.v1.cri"]\n[grpc]\n  address = "/run/peer/sock"\n')
        return self.serve("containerd", "-c", "/run/peer/config.toml", answers=["version"])


class Podman(Peer):
    variables = {"CONTAINERS_CONF": "/run/peer/containers.conf", "CONTAINERS_STORAGE_CONF": "/run/peer/storage.conf", "TMPDIR": "/run/peer"}
    cli = ["podman", "--runtime", str(RUNTIME)]
    groups = ("libpod_parent",)
    states = ("run/tare-runtime/*",)

    def start(self):
        # No limits are raised: here root may lack the right.
        (self.files / "containers.conf").write_text(
            '[containers]\ndefault_ulimits = ["nofile=1024:20000", "nproc=4096:4096"]\nlog_driver = "k8s-file"\n'
            '[engine]\ncgroup_manager = "cgroupfs"\nevents_logger = "file"\ntmp_dir = "/run/peer/tmp"\n'
            '[network]\nnetwork_config_dir = "/run/peer/networks"\n')
        (self.files / "storage.conf").write_text('[storage]\ndriver = "vfs"\ngraphroot = "/run/peer/root"\nrunroot = "/run/peer/run"\n')
        return self


class Dockerd(Peer):
    variables = {"DOCKER_HOST": "unix:///run/peer/sock", "DOCKER_CONFIG": "/run/peer/config"}
    groups = ("docker",)
    states = ("run/docker/runtime-*/*/*",)

    def start(self):
        self.cli = [docker_program()]
        command = ["dockerd", "--config-file", "/run/peer/daemon.json", "--data-root", "/run/peer/data", "--exec-root", "/run/docker",
                   "--pidfile", "/run/peer/pid", "-H", "unix:///run/peer/sock", "--storage-driver", "overlay2", "--iptables=false",
                   "--bridge=none", "--live-restore", "--add-runtime", f"tare={RUNTIME}"]
        (self.files / "daemon.json").write_text('{"experimental": true}')  # checkpoints are
        # Older ones give themselves a better score, which takes a right that root may lack here.
        if "--oom-score-adjust" in subprocess.run(["dockerd", "--help"], capture_output=True, text=True, env=self.env).stdout:
            command.append("--oom-score-adjust=0")
        self.command = command
        return self.serve(*command, answers=["version"])

    def restart(self):
        self.stop()
        self.serve(*self.command, answers=["version"])
