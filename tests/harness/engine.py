"""An engine of a test's own: data and run folders under one temporary root, its containers' groups below the test's."""
import http.client
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import tempfile
import time

BUILD = pathlib.Path(os.environ.get("TARE_BUILD", pathlib.Path(__file__).resolve().parents[2] / "build"))
PROGRAMS = BUILD / "src/main"
# Every time-out of the tests is multiplied by this: emulated machines are several times slower.
SLOW = float(os.environ.get("TARE_TEST_SLOW", 1))
TIMEOUT = 60 * SLOW
CONNECTED = "03"  # in /proc/net/unix


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path, timeout=TIMEOUT):
        super().__init__("localhost", timeout=timeout)
        self.path = str(path)

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


def wait_for(condition, what, timeout=60):
    """Polls a condition of the outside world that nothing announces; returns its first true value. `what` may be a function, which then
    tells how things stand at the end."""
    timeout *= SLOW
    deadline = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"timed out after {timeout} s: {what() if callable(what) else what}")
        time.sleep(0.01)


def processes(predicate):
    """pids whose command line (a list) satisfies `predicate`."""
    found = []
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        try:
            command = pathlib.Path("/proc", entry, "cmdline").read_bytes().split(b"\0")[:-1]
        except OSError:
            continue
        if command and predicate([word.decode(errors="replace") for word in command]):
            found.append(int(entry))
    return found


class Engine:
    def __init__(self, *options, root=None, programs=PROGRAMS, wrapper=()):
        self.root = pathlib.Path(root or tempfile.mkdtemp(prefix="tare-test-"))
        self.data = self.root / "data"
        self.exec_root = self.root / "run"
        self.socket = self.exec_root / "tare.sock"
        self.options = options
        self.programs = programs
        self.wrapper = wrapper  # what tared is started by
        self.holder = None
        self.log = self.root / "tared.log"
        self.home = self.root / "home"
        self.home.mkdir(exist_ok=True)
        self.env = {"PATH": os.environ["PATH"], "HOME": str(self.home), "TERM": "xterm", "LANG": "C.UTF-8",
                    "TARE_LIBEXEC": str(programs), "DOCKER_HOST": f"unix://{self.socket}",
                    "TARE_HOST": f"unix://{self.socket}"}
        for name in ("ASAN_OPTIONS", "UBSAN_OPTIONS"):
            if name in os.environ:
                self.env[name] = os.environ[name]

    # The engine's life

    def start(self):
        with open(self.log, "ab") as log:
            self.holder = subprocess.Popen(
                [*self.wrapper, self.programs / "tared", "--data-root", self.data, "--exec-root", self.exec_root,
                 "-H", f"unix://{self.socket}", *self.options],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=self.env)
        wait_for(self.answers, lambda: f"the engine's socket; its log: {self.tail_log()}")
        return self

    def tail_log(self):
        return self.log.read_text(errors="replace")[-3000:] if self.log.exists() else "(none)"

    def answers(self):
        if self.holder.poll() is not None:
            raise AssertionError(f"tared ended with {self.holder.returncode}: {self.tail_log()}")
        try:
            return self.api("GET", "/_ping", timeout=1)[0] == 200
        except (OSError, http.client.HTTPException):  # killed in the middle of its answer
            return False

    def engine_pid(self):
        pids = processes(lambda c: c[0].endswith("tare-engine") and str(self.data) in c)
        return pids[0] if pids else None

    def monitor_pid(self, container_id):
        pids = processes(lambda c: c[0].endswith("tare-monitor") and container_id in c)
        return pids[0] if pids else None

    def clients_at(self, pid):
        """How many clients' connections a process has."""
        lines = pathlib.Path("/proc/net/unix").read_text().splitlines()
        ours = {f"socket:[{fields[6]}]" for fields in map(str.split, lines) if fields[7:] == [str(self.socket)] and fields[5] == CONNECTED}
        return sum(target in ours for target in descriptors(pid))

    def clients_of(self, container_id):
        """How many clients' connections have been handed over to the container's monitor."""
        return self.clients_at(self.monitor_pid(container_id))

    def kill_engine(self):
        """SIGKILL, and back when a new one answers. Returns how long that took, in seconds."""
        old = self.engine_pid()
        start = time.monotonic()
        os.kill(old, signal.SIGKILL)
        wait_for(lambda: self.engine_pid() not in (None, old), "a new engine")
        wait_for(self.answers, "the new engine's answer")
        return time.monotonic() - start

    def stop(self):
        """Removes every container, ends the holder, removes all files. Returns the leaks found on the way."""
        from . import leaks, networks
        found = []
        if self.holder and self.holder.poll() is None:
            status, listed = self.api("GET", "/containers/json?all=1")
            for container in listed if status == 200 else []:
                self.api("DELETE", f"/containers/{container['Id']}?force=1&v=1")
            found += leaks.find(self)
            self.holder.send_signal(signal.SIGTERM)
            try:
                self.holder.wait(TIMEOUT)
            except subprocess.TimeoutExpired:
                found.append("tared did not end on SIGTERM")
                self.holder.kill()
                self.holder.wait()
            found += leaks.find_after_end(self)
            networks.clear(self)
        for pid in processes(lambda c: "tare" in c[0] and str(self.exec_root) in c):
            os.kill(pid, signal.SIGKILL)
        shutil.rmtree(self.root, ignore_errors=True)
        return found

    # Clients

    def api(self, method, path, body=None, headers=None, timeout=60, raw=False):
        """(status, parsed JSON or None). `body`: a document, bytes, or a file object."""
        connection = UnixConnection(self.socket, timeout * SLOW)
        headers = dict(headers or {})
        if isinstance(body, (dict, list)):
            body = json.dumps(body).encode()
            headers.setdefault("Content-Type", "application/json")
        try:
            connection.request(method, path if path.startswith("/v1.") or path == "/_ping" else f"/v1.50{path}", body, headers)
            response = connection.getresponse()
            data = response.read()
        finally:
            connection.close()
        if raw:
            return response.status, data
        try:
            return response.status, json.loads(data) if data else None
        except ValueError:
            return response.status, data

    def run(self, program, *arguments, check=True, timeout=60, **options):
        """A client's finished run; `check` asserts exit code 0. Output is text unless given otherwise."""
        options.setdefault("text", True)
        command = [program, *map(str, arguments)]
        done = subprocess.run(command, env=self.env, stdin=options.pop("stdin", subprocess.DEVNULL) if "input" not in options else None,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=timeout * SLOW, **options)
        if check and done.returncode != 0:
            raise AssertionError(f"{' '.join(command)}: exit code {done.returncode}\n{done.stdout}\n{done.stderr}\n{self.tail_log()}")
        return done

    def tare(self, *arguments, **options):
        return self.run(str(PROGRAMS / "tare"), *arguments, **options)

    def docker(self, *arguments, **options):
        return self.run(docker_program(), *arguments, **options)

    def popen(self, program, *arguments, **options):
        return subprocess.Popen([program, *map(str, arguments)], env=self.env, **options)


def descriptors(pid):
    """What each descriptor of a process is; those that go away meanwhile are left out."""
    for fd in os.listdir(f"/proc/{pid}/fd"):
        try:
            yield os.readlink(f"/proc/{pid}/fd/{fd}")
        except FileNotFoundError:
            pass


def docker_program():
    return os.environ.get("TARE_TEST_DOCKER") or shutil.which("docker") or "docker"
