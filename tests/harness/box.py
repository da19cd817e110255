"""A bundle from the host's static busybox, tare-runtime to run it, and what must not be left of it."""
import contextlib
import json
import os
import pathlib
import shutil
import subprocess
import tempfile

from .engine import SLOW

RUNTIME = pathlib.Path(os.environ.get("TARE_BUILD", "build")).resolve() / "src/main/tare-runtime"
BUSYBOX = "/bin/busybox"
APPLETS = ("sh true false ls cat id hostname mount ps sleep echo stat readlink grep mkdir touch env pwd dd kill chmod mknod head "
           "sync tr find ln rm test tty stty").split()
CAPS = ["CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FSETID", "CAP_FOWNER", "CAP_MKNOD", "CAP_NET_RAW", "CAP_SETGID", "CAP_SETUID",
        "CAP_SETFCAP", "CAP_SETPCAP", "CAP_NET_BIND_SERVICE", "CAP_SYS_CHROOT", "CAP_KILL", "CAP_AUDIT_WRITE"]
PARENT = f"tare-rt-{os.getpid()}"


def cgroup_folders(pattern):
    found = []
    for top in pathlib.Path("/sys/fs/cgroup").iterdir() if pathlib.Path("/sys/fs/cgroup").is_dir() else []:
        found += [top / pattern] if (top / pattern).is_dir() else []
    root = pathlib.Path("/sys/fs/cgroup") / pattern
    return found + ([root] if root.is_dir() else [])


def remove_groups(folder):
    for path in sorted(folder.rglob("*"), reverse=True):
        if path.is_dir():
            path.rmdir()
    folder.rmdir()


class Box:
    """A bundle, a canary beside it, and the runtime's state; everything under one temporary folder."""

    def __init__(self):
        self.program, self.env = RUNTIME, None
        self.top = pathlib.Path(tempfile.mkdtemp(prefix="tare-rt-"))
        self.bundle = self.top / "bundle"
        self.root = self.bundle / "rootfs"
        self.state = self.top / "state"
        for name in ("bin", "proc", "sys", "dev", "etc", "tmp", "data"):
            (self.root / name).mkdir(parents=True)
        shutil.copy(BUSYBOX, self.root / "bin/busybox")
        for applet in APPLETS:
            (self.root / "bin" / applet).symlink_to("busybox")
        (self.root / "etc/passwd").write_text("root:x:0:0:root:/root:/bin/sh\nweb:x:1000:1000::/home/web:/bin/sh\n")
        (self.root / "etc/group").write_text("root:x:0:\nweb:x:1000:\nextra:x:50:web\n")
        self.canary = self.top / "canary"
        self.canary.mkdir()
        (self.canary / "file").write_bytes(os.urandom(64))
        self.before = self.canary_facts()
        self.ids = []
        subprocess.run([RUNTIME, "spec"], cwd=self.bundle, check=True)
        self.spec = json.loads((self.bundle / "config.json").read_text())
        process = self.spec["process"]
        process["terminal"] = False
        process["args"] = ["sleep", "1000"]
        for kind in ("bounding", "effective", "permitted"):
            process["capabilities"][kind] = list(CAPS)
        self.spec["root"]["readonly"] = False
        namespaces = self.spec["linux"]["namespaces"]
        if {"type": "cgroup"} not in namespaces:  # `spec` has one on cgroup v2 alone
            namespaces.append({"type": "cgroup"})

    def canary_facts(self):
        facts = {}
        for path in (self.canary, self.canary / "file"):
            st = path.lstat()
            facts[path] = (st.st_mode, st.st_uid, st.st_gid, st.st_ino, st.st_mtime_ns)
        return facts, (self.canary / "file").read_bytes(), sorted(os.listdir(self.canary))

    def check_canary(self):
        assert self.canary_facts() == self.before

    def new_id(self):
        self.ids.append(f"c{len(self.ids)}")
        return self.ids[-1]

    def write(self, identifier):
        self.spec["linux"]["cgroupsPath"] = f"/{PARENT}/{identifier}"
        (self.bundle / "config.json").write_text(json.dumps(self.spec))

    def rt(self, *arguments, check=False, **options):
        options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "stdin": subprocess.DEVNULL, "text": True,
                   "timeout": 60 * SLOW, **options}
        result = subprocess.run([self.program, "--root", self.state, *map(str, arguments)], env=self.env, **options)
        if check and result.returncode != 0:
            raise AssertionError(f"{arguments}: {result.returncode}: {result.stderr}")
        return result

    def run(self, script=None, args=None, **options):
        identifier = self.new_id()
        self.spec["process"]["args"] = args or ["sh", "-c", script]
        self.write(identifier)
        return self.rt("run", "-b", self.bundle, identifier, **options)

    def output(self, script=None, **options):
        result = self.run(script, **options)
        assert result.returncode == 0, result.stderr
        return result.stdout.strip()

    def start(self, args=None):
        identifier = self.new_id()
        if args:
            self.spec["process"]["args"] = args
        self.write(identifier)
        # Not a pipe: init would keep it open.
        self.rt("create", "-b", self.bundle, identifier, stdout=subprocess.DEVNULL, check=False, stderr=open(self.top / "err", "w"))
        assert self.status(identifier) == "created", (self.top / "err").read_text()
        self.rt("start", identifier, check=True)
        return identifier

    def status(self, identifier):
        result = self.rt("state", identifier)
        return json.loads(result.stdout)["status"] if result.returncode == 0 else None

    def pid(self, identifier):
        return json.loads(self.rt("state", identifier, check=True).stdout)["pid"]

    def close(self):
        for identifier in self.ids:
            self.rt("delete", "-f", identifier)
        left = [path for path in self.state.glob("*") if path.name != ":seccomp"] if self.state.exists() else []
        groups = [group for top in cgroup_folders(PARENT) for group in top.iterdir() if group.is_dir()]
        self.check_canary()
        shutil.rmtree(self.top)
        assert not left and not groups, (left, groups)


def processes_of(box):
    found = []
    for entry in pathlib.Path("/proc").glob("[0-9]*/root"):
        with contextlib.suppress(OSError):
            if os.path.samestat(os.stat(entry), os.stat(box.root)):
                found.append(entry.parent.name)
    return found
