"""runc's own suite: bats files, each test of which is a case here. Its helpers are built beforehand as its Makefile says (recvtty,
sd-helper, seccompagent; later also what is below tests/cmd); the two images it would fetch are made here from Debian's packages and
lie where it looks for them."""
import io
import pathlib
import re
import subprocess
import tarfile
import tempfile

from harness import images

from .suite import Suite, count_tap

ACCOUNTS = {"etc/passwd": b"root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/home:/bin/false\n",
            "etc/group": b"root:x:0:\ntty:x:5:\nnobody:x:65534:\n"}
FOLDERS = ("dev", "lib", "lib64", "usr", "usr/bin", "usr/sbin", "sbin", "mnt")


def find(folder):
    if (folder / "tests/integration/helpers.bash").is_file() and (folder / "libcontainer").is_dir():
        return RuncBats(folder)
    return None


def busybox_image(path):
    """The one of the other tests, with the folders that an image of Docker's has, and its accounts: none is 1000."""
    temporary = path.with_suffix(".new")
    temporary.write_bytes(images.busybox_root().read_bytes())
    with tarfile.open(temporary, "a") as tar:
        for name in FOLDERS:
            info = tarfile.TarInfo(name)
            info.type, info.mode = tarfile.DIRTYPE, 0o755
            tar.addfile(info)
        for name, text in ACCOUNTS.items():
            info = tarfile.TarInfo(name)
            info.size = len(text)
            tar.addfile(info, io.BytesIO(text))
    temporary.rename(path)


class RuncBats(Suite):
    name = "runc-bats"
    seconds = 120
    needs = ("bats", "gawk", "jq", "ip", "prlimit", "chrt", "nsenter", "unshare")

    def __init__(self, folder):
        self.folder = folder / "tests/integration"
        self.version = (folder / "VERSION").read_text().strip()
        architecture = subprocess.check_output(["dpkg", "--print-architecture"], text=True).strip()
        # tar looks at what a file is, not at its name.
        busybox, debian = (self.folder / f"testdata/{kind}-{architecture}.tar.xz" for kind in ("busybox", "debian"))
        if not busybox.exists():
            busybox_image(busybox)
        if not debian.exists():
            debian.unlink(missing_ok=True)  # a link to what another tree had
            debian.symlink_to(images.debian_root())
        self.work = tempfile.TemporaryDirectory(prefix="conformance-runc-")
        pathlib.Path(self.work.name).chmod(0o755)

    def cases(self):
        return [f"{path.stem}/{name}" for path in sorted(self.folder.glob("*.bats"))
                for name in re.findall(r'^@test "(.*)" *\{', path.read_text(), re.M)]

    def command(self, case, program):
        file, name = case.split("/", 1)
        name = re.sub(r"\\(.)", r"\1", name)  # a shell's double quotes
        exact = re.sub(r"([][(){}.*+?|^$\\])", r"\\\1", name)
        return ["bats", "--tap", "--filter", f"^{exact}$", f"{file}.bats"], {"RUNC": self.called("runc", program)}, self.folder

    def judge(self, output, status):
        result = count_tap(output)
        if result.verdict == "fail":
            result.complaints += [line for line in output.splitlines() if line.startswith("#")][:30]
        return result

    def close(self):
        self.work.cleanup()
