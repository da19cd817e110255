"""Who is measured, and how one of their commands is run.

A contender's command is a bare posix_spawn and a wait: no shell, no pipes, so that what is measured is theirs. Peers of a newer
Debian live in a folder each (TARE_BENCH_PEERS=NAME=FOLDER[,NAME=FOLDER]; a debootstrap with docker.io, podman, crun or runc): for
each a process enters it by pivot_root in a mount namespace of its own and runs there what it is told to (class Place). Peers'
daemons get a data root on the storage that is measured, their run folders on tmpfs.
"""
import ctypes
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import tempfile
import time

CLONE_NEWNS = 0x20000
MS_BIND, MS_REC, MS_PRIVATE, MNT_DETACH = 0x1000, 0x4000, 0x40000, 2
libc = ctypes.CDLL(None, use_errno=True)


class Failed(Exception):
    """A command of a contender's: it is left out from here on."""


def spawn_and_wait(argv, env):
    """(ms, exit status, what it wrote)."""
    with tempfile.TemporaryFile(dir="/dev/shm") as output:
        actions = [(os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0), (os.POSIX_SPAWN_DUP2, output.fileno(), 1), (os.POSIX_SPAWN_DUP2, output.fileno(), 2)]
        start = time.perf_counter()
        pid = os.posix_spawnp(argv[0], argv, env, file_actions=actions)
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        taken = (time.perf_counter() - start) * 1e3
        output.seek(0)
        return taken, status, output.read().decode(errors="replace")


def call(function, *arguments):
    if function(*arguments) != 0:
        raise OSError(ctypes.get_errno(), f"{function.__name__} {arguments}")


def enter(folder):
    """This process's root becomes `folder`, with the kernel's file systems, /tmp, /run and the storage of here."""
    call(libc.unshare, CLONE_NEWNS)
    call(libc.mount, None, b"/", None, MS_REC | MS_PRIVATE, None)
    root = os.fsencode(folder)
    call(libc.mount, root, root, None, MS_BIND, None)
    for shared in ("proc", "sys", "dev", "run", "tmp", "var/tmp"):
        (pathlib.Path(folder) / shared).mkdir(parents=True, exist_ok=True)
        call(libc.mount, os.fsencode(f"/{shared}"), root + b"/" + shared.encode(), None, MS_BIND | MS_REC, None)
    os.chdir(folder)
    call(libc.pivot_root, b".", b".")
    call(libc.umount2, b".", MNT_DETACH)
    os.chdir("/")


class Place:
    """Where programs are: here, or in a folder with a process inside that runs them."""

    def __init__(self, folder=None):
        self.folder = folder
        self.channel = self.pid = None
        if not folder:
            return
        self.channel, inside = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.pid = os.fork()
        if self.pid == 0:
            self.channel.close()
            try:
                enter(folder)
                self._serve(inside)
            finally:
                os._exit(1)
        inside.close()

    def _serve(self, inside):
        os.environ["PATH"] = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
        while True:
            asked = inside.recv(1 << 16)
            if not asked:
                os._exit(0)
            op, argv, env = json.loads(asked)
            try:
                answer = {"which": lambda: shutil.which(argv), "run": lambda: spawn_and_wait(argv, env),
                          "start": lambda: self._start(argv, env)}[op]()
            except OSError as error:
                answer = 0, 127, str(error)
            inside.send(json.dumps(answer)[:60000].encode())

    @staticmethod
    def _start(argv, env):
        log = argv.pop()
        with open(log, "ab") as output:
            return subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=env).pid

    def ask(self, op, argv, env=None):
        if not self.channel:
            return {"which": lambda: shutil.which(argv, path="/usr/sbin:/usr/bin:/sbin:/bin"), "run": lambda: spawn_and_wait(argv, env),
                    "start": lambda: self._start(argv, env)}[op]()
        self.channel.send(json.dumps((op, argv, env)).encode())
        answer = self.channel.recv(1 << 16)
        if not answer:
            raise Failed(f"{self.folder}: cannot be entered")
        return json.loads(answer)

    def close(self):
        if self.channel:
            self.channel.close()
            os.waitpid(self.pid, 0)


class Contender:
    """`cli(*arguments)` runs its command, and returns (ms, output); raises Failed."""

    def __init__(self, name, place, argv, env):
        self.name, self.place, self.argv, self.env = name, place, [str(word) for word in argv], env
        self.daemon = None

    def cli(self, *arguments):
        argv = self.argv + [str(word) for word in arguments]
        taken, status, output = self.place.ask("run", argv, self.env)
        if status != 0:
            raise Failed(f"{' '.join(argv)}: {status}\n{output[-600:]}")
        return taken, output

    def ms(self, *arguments):
        return self.cli(*arguments)[0]

    def stop(self):
        if self.daemon:
            os.kill(self.daemon, signal.SIGTERM)
            deadline = time.monotonic() + 20
            while os.path.exists(f"/proc/{self.daemon}/exe") and time.monotonic() < deadline:
                try:
                    os.waitpid(self.daemon, os.WNOHANG)
                except ChildProcessError:
                    pass
                time.sleep(0.05)


ENV = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root", "LANG": "C.UTF-8"}


def version(place, program):
    words = place.ask("run", [program, "--version"], ENV)[2].replace(",", " ").split()
    return next((word for word in words if word[0].isdigit()), "?").split("+")[0]


def tare(engine):
    return Contender("tare", Place(), [engine.programs / "tare"], engine.env)


def docker(place, suffix, work, run):
    work.mkdir()
    run.mkdir()
    command = ["dockerd", "--data-root", work, "--exec-root", run / "exec", "--pidfile", run / "pid", "-H", f"unix://{run}/sock",
               "--storage-driver", "overlay2", "--oom-score-adjust=0"]
    name = version(place, "dockerd")
    if int(name.split(".")[0]) > 24:
        command.remove("--oom-score-adjust=0")
    one = Contender(f"docker {name}{suffix}", place, [place.ask("which", "docker"), "-H", f"unix://{run}/sock"], {**ENV, "DOCKER_CONFIG": str(run / "config")})
    one.daemon = place.ask("start", [str(word) for word in command] + [str(run / "log")], ENV)
    deadline = time.monotonic() + 40
    while time.monotonic() < deadline:
        try:
            one.cli("version")
            return one
        except Failed as failed:
            why = failed
            time.sleep(0.1)
    one.stop()
    raise Failed(f"dockerd does not answer: {why}\n{(run / 'log').read_text()[-600:]}")


def podman(place, suffix, work, run):
    work.mkdir()
    run.mkdir()
    (run / "networks").mkdir()
    (run / "containers.conf").write_text('[containers]\ndefault_ulimits = ["nofile=1024:20000", "nproc=4096:4096"]\n[engine]\ncgroup_manager = "cgroupfs"\nevents_logger = "none"\n'
                                         f'[network]\nnetwork_config_dir = "{run}/networks"\n')
    (run / "storage.conf").write_text(f'[storage]\ndriver = "overlay"\ngraphroot = "{work}/root"\nrunroot = "{run}/root"\n')
    env = {**ENV, "CONTAINERS_CONF": str(run / "containers.conf"), "CONTAINERS_STORAGE_CONF": str(run / "storage.conf"), "TMPDIR": str(work)}
    return Contender(f"podman {version(place, 'podman')}{suffix}", place,
                     [place.ask("which", "podman"), "--root", work / "root", "--runroot", run / "root", "--tmpdir", run / "tmp"], env)


def places():
    """(what is added to a name, Place), for here and for each folder given."""
    yield "", Place()
    for entry in filter(None, os.environ.get("TARE_BENCH_PEERS", "").split(",")):
        name, _, folder = entry.partition("=")
        yield f" ({name})", Place(folder)


def peers(work, run, image, wanted):
    """Every docker and podman that there is, with `image` loaded; one that can't be had is told of and left out."""
    for suffix, place in places():
        for program, make in (("dockerd", docker), ("podman", podman)):
            if program not in wanted:
                continue
            try:
                if place.ask("which", program):
                    one = make(place, suffix, work / f"{program}{suffix.strip(' ()')}", run / f"{program}{suffix.strip(' ()')}")
                    one.cli("load", "-q", "-i", image)
                    yield one
                else:
                    print(f"left out: {program}{suffix} is not installed")
            except (Failed, OSError) as failed:
                print(f"left out: {program}{suffix}: {failed}")


def runtimes():
    """(name, Place, program) of every crun and runc."""
    for suffix, place in places():
        for program in ("crun", "runc"):
            try:
                path = place.ask("which", program)
                if path:
                    yield f"{program} {version(place, path)}{suffix}", place, path
                else:
                    print(f"left out: {program}{suffix} is not installed")
            except (Failed, OSError) as failed:
                print(f"left out: {program}{suffix}: {failed}")
