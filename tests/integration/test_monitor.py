"""The monitor by itself: the real program and real containers, with the test in the engine's place on its channel."""
import array
import fcntl
import gzip
import json
import os
import pathlib
import secrets
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import threading
import time

import pytest

from harness import images
from harness.engine import PROGRAMS, SLOW, wait_for

TIMEOUT = 60 * SLOW
RACES = int(os.environ.get("TARE_RACES", "300"))


@pytest.fixture(scope="module")
def layer(tmp_path_factory):
    folder = tmp_path_factory.mktemp("layer")
    folder.chmod(0o755)
    subprocess.run(["tar", "-xf", images.busybox_root(), "-C", folder], check=True)
    return folder


class Failed(Exception):
    def __init__(self, answer):
        super().__init__(f"{answer['kind']}: {answer['message']}")
        self.kind = answer["kind"]


class Channel:
    """The engine's end of a connection to a monitor."""

    def __init__(self, sock):
        self.sock = sock
        self.sock.settimeout(TIMEOUT)
        self.next_id = 0
        self.events = []
        self.answers = {}

    def send(self, body, fds=(), surplus=b""):
        data = json.dumps({"v": 1, **body}).encode() + (b"\0" + surplus if surplus else b"")
        control = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
        self.sock.sendmsg([data], control)

    def receive(self):
        data = self.sock.recv(1 << 18)
        if not data:
            raise EOFError("the monitor closed its channel")
        body = json.loads(data)
        if body["op"] == "event":
            self.events.append(body)
        else:
            self.answers[body.get("id")] = body

    def post(self, op, fds=(), surplus=b"", **members):
        self.next_id += 1
        self.send({"op": op, "id": self.next_id, **members}, fds, surplus)
        return self.next_id

    def answer(self, number):
        while number not in self.answers:
            self.receive()
        body = self.answers.pop(number)
        if body["op"] == "error":
            raise Failed(body)
        return body

    def ask(self, op, fds=(), surplus=b"", **members):
        return self.answer(self.post(op, fds, surplus, **members))

    def event(self, kind, after=0):
        """The first event of that type with a number above `after`."""
        while True:
            for event in self.events:
                if event["type"] == kind and event["seq"] > after:
                    return event
            self.receive()


class Client:
    """A client whose connection is handed over."""

    def __init__(self):
        self.sock, self.given = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(TIMEOUT)
        self.buffer = b""

    def read_head(self):
        while b"\r\n\r\n" not in self.buffer:
            data = self.sock.recv(65536)
            assert data, f"end of file in the head: {self.buffer}"
            self.buffer += data
        head, self.buffer = self.buffer.split(b"\r\n\r\n", 1)
        lines = head.decode().split("\r\n")
        return int(lines[0].split()[1]), dict(line.split(": ", 1) for line in lines[1:])

    def read_all(self):
        while True:
            data = self.sock.recv(1 << 20)
            if not data:
                break
            self.buffer += data
        data, self.buffer = self.buffer, b""
        return data

    def read_until(self, text):
        while text not in self.buffer:
            data = self.sock.recv(65536)
            assert data, f"end of file before {text}: {self.buffer[-200:]}"
            self.buffer += data
        before, _, self.buffer = self.buffer.partition(text)
        return before + text

    def close(self):
        self.sock.close()


def unframe(data):
    """stdcopy frames to {1: stdout, 2: stderr}."""
    streams = {1: b"", 2: b""}
    while data:
        assert len(data) >= 8, "a frame is cut off"
        stream, size = struct.unpack(">BxxxI", data[:8])
        assert len(data) >= 8 + size, "a frame is cut off"
        streams[stream] += data[8:8 + size]
        data = data[8 + size:]
    return streams


def unchunk(data):
    body = b""
    while True:
        size, data = data.split(b"\r\n", 1)
        size = int(size, 16)
        if size == 0:
            assert data == b"\r\n"
            return body
        body += data[:size]
        data = data[size + 2:]


NAMESPACES = ["pid", "mount", "ipc", "uts", "network"]


class Monitor:
    def __init__(self, layer, *args, root=None, spawn=True, **changes):
        self.root = pathlib.Path(root or tempfile.mkdtemp(prefix="tare-test-"))
        self.id = secrets.token_hex(32)
        self.run = self.root / "run/containers" / self.id
        self.data = self.root / "data/containers" / self.id
        self.run.mkdir(parents=True)
        (self.root / "data/containers").mkdir(parents=True, exist_ok=True)
        self.layer = layer
        self.process = None
        self.clients = []
        self.launch(*args, **changes)
        if spawn:
            self.spawn()

    def launch(self, *args, tty=False, namespaces=NAMESPACES, **changes):
        document = {
            "v": 1, "id": self.id, "name": "test", "image_id": "", "user": "", "stop_signal": 15, "stop_timeout": 10,
            "oci": {
                "ociVersion": "1.0.2", "hostname": "test",
                "process": {"terminal": tty, "user": {"uid": 0, "gid": 0}, "args": list(args), "cwd": "/",
                            "env": ["PATH=/bin"], "capabilities": {}},
                "root": {"path": "rootfs"},
                "mounts": [{"destination": "/proc", "type": "proc", "source": "proc"},
                           {"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["mode=755"]},
                           {"destination": "/dev/pts", "type": "devpts", "source": "devpts",
                            "options": ["newinstance", "ptmxmode=0666", "mode=0620"]}],
                "linux": {"namespaces": [{"type": kind} for kind in namespaces], "cgroupsPath": f"/tare/{self.id}"},
            },
            "log": {"driver": "json-file", "path": str(self.data / f"{self.id}-json.log"), "max_size_bytes": 0,
                    "max_file": 1},
            "rootfs": {"lowers": [str(self.layer)], "container_dir": str(self.data)},
            "network": {"mode": "none"}, "seccomp": {"mode": "unconfined"}, **changes,
        }
        (self.run / "launch.json.tmp").write_text(json.dumps(document))
        os.rename(self.run / "launch.json.tmp", self.run / "launch.json")

    def spawn(self, *options, hello=True, wrapper=()):
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        number = theirs.fileno()
        self.process = subprocess.Popen(
            ["bash", "-c", f'exec "$@" 3<&{number}', "bash", *wrapper, PROGRAMS / "tare-monitor", "--data-root",
             self.root / "data", "--exec-root", self.root / "run", "--id", self.id, "--log-level", "debug", *options],
            pass_fds=[number], stdin=subprocess.DEVNULL, env={**os.environ, "TARE_LIBEXEC": str(PROGRAMS)})
        theirs.close()
        self.channel = Channel(ours)
        if hello:
            self.channel.ask("hello", acked=0)

    def connect(self, acked=0):
        """A later engine."""
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        here = os.open(self.run, os.O_PATH)
        sock.connect(f"/proc/self/fd/{here}/monitor.sock")
        os.close(here)
        self.channel = Channel(sock)
        return self.channel.ask("hello", acked=acked)

    def ask(self, op, **members):
        return self.channel.ask(op, **members)

    def state(self):
        return json.loads((self.run / "state.json").read_text())

    def hand_over(self, kind, surplus=b"", upgrade=True, wait=True, **parameters):
        client = Client()
        self.clients.append(client)
        request = {"kind": kind, "method": "POST", "api_minor": 50, "container": self.id, "container_name": "test",
                   "peer_uid": 0, "body": {"upgrade": upgrade, "http_minor": 1}, kind.replace("-", "_"): parameters}
        number = self.channel.post("handover", [client.given.fileno()], surplus, request=request)
        client.given.close()
        if wait:
            self.channel.answer(number)
        return client

    def attach(self, **changes):
        parameters = {"stream": True, "logs": False, "stdin": True, "stdout": True, "stderr": True,
                      "detach_keys": "ctrl-p,ctrl-q", **changes}
        client = self.hand_over("attach", **parameters)
        status, headers = client.read_head()
        assert status == 101 and headers["Upgrade"] == "tcp"
        return client

    def wait(self, condition="next-exit"):
        client = self.hand_over("wait", upgrade=False, condition=condition)
        status, headers = client.read_head()
        assert status == 200 and headers["Transfer-Encoding"] == "chunked"
        return client

    def logs(self, **changes):
        parameters = {"follow": False, "stdout": True, "stderr": True, "timestamps": False, "details": False,
                      "tail": -1, **changes}
        client = self.hand_over("logs", upgrade=False, **parameters)
        assert client.read_head()[0] == 200
        return client

    def exec(self, *command, tty=False, stdin=False, **start):
        name = secrets.token_hex(32)
        self.ask("exec-create", exec=name, config={"Cmd": list(command), "Tty": tty, "AttachStdin": stdin,
                                                   "AttachStdout": True, "AttachStderr": True})
        client = self.hand_over("exec-start", exec=name, tty=tty, detach_keys="", **start)
        return name, client

    def run_to_end(self):
        waiter = self.wait()
        self.ask("start")
        return json.loads(unchunk(waiter.read_all()))["StatusCode"]

    def maps(self):
        return pathlib.Path(f"/proc/{self.process.pid}/maps").read_text()

    def resident_bytes(self):
        return int(pathlib.Path(f"/proc/{self.process.pid}/statm").read_text().split()[1]) * 4096

    def log_text(self):
        return b"".join(json.loads(line)["log"].encode() for line in
                        (self.data / f"{self.id}-json.log").read_bytes().splitlines())

    def finish(self):
        """Everything ends, and the monitor with status 0."""
        for client in self.clients:
            client.close()
        try:
            self.ask("signal", signal=9)
        except Failed as failed:
            assert failed.kind == "conflict"
        self.ask("finish")
        assert self.process.wait(TIMEOUT) == 0
        assert not (self.run / "cgroup").exists(), "the groups are left behind"

    def close(self):
        for client in self.clients:
            client.close()
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        shutil.rmtree(self.root, ignore_errors=True)


@pytest.fixture
def monitors(layer):
    made = []

    def make(*args, **options):
        made.append(Monitor(layer, *args, **options))
        return made[-1]
    yield make
    for monitor in made:
        monitor.close()


def exit_code(waiter):
    return json.loads(unchunk(waiter.read_all()))["StatusCode"]


# --- run, attach, wait ---

def test_run_says_everything_to_everybody(monitors):
    monitor = monitors("sh", "-c", "echo out; echo err >&2; hostname; exit 7")
    client, waiter = monitor.attach(stdin=False), monitor.wait()
    monitor.ask("start")
    streams = unframe(client.read_all())
    assert streams == {1: b"out\ntest\n", 2: b"err\n"}
    # State before end of file.
    assert monitor.state()["status"] == "exited" and monitor.state()["exit_code"] == 7
    assert exit_code(waiter) == 7
    assert monitor.channel.event("die")["attributes"]["exitCode"] == "7"
    assert monitor.log_text() == b"out\nerr\ntest\n" or sorted(monitor.log_text()) == sorted(b"out\nerr\ntest\n")
    monitor.finish()


def test_attach_races_an_immediate_exit(monitors):
    monitor = monitors("sh", "-c", "echo hello; exit 3")
    for _ in range(RACES):
        client, waiter = monitor.attach(stdin=False), monitor.wait()
        monitor.ask("start")
        assert unframe(client.read_all())[1] == b"hello\n"
        assert monitor.state()["exit_code"] == 3
        assert exit_code(waiter) == 3
        client.close(), waiter.close()
        last = monitor.state()["last_seq"]
        monitor.channel.event("die", last - 1)
        monitor.channel.send({"op": "acked", "seq": last})
        monitor.channel.events.clear()
    monitor.finish()


@pytest.mark.parametrize("tty", [False, True])
def test_output_waits_for_the_reader_of_the_head(monitors, tty):
    """docker-py reads the head into a buffer, and what it finds behind it is lost. A head that nobody reads holds nothing up."""
    monitor = monitors("sleep", "1000")
    monitor.ask("start")
    for _ in range(20):
        began, before = time.monotonic(), monitor.state()["last_seq"]
        _, client = monitor.exec("echo", "hello", tty=tty)
        monitor.channel.event("exec_die", before)
        head = client.sock.recv(65536)
        said = client.read_all()
        assert (head + said).count(b"hello") == 1
        if time.monotonic() - began < 0.8:  # on a machine that has other things to do it comes all the same
            assert head.endswith(b"\r\n\r\n")
            break
    _, client = monitor.exec("sh", "-c", "echo hello; read line; echo $line", tty=tty, stdin=True)
    client.sock.sendall(b"there\n")
    wait_for(lambda: b"there" in client.sock.recv(65536, socket.MSG_PEEK), "all that is said")
    client.read_head()
    assert b"there" in client.read_all()
    monitor.ask("stop", signal=9, timeout_s=-1)
    monitor.finish()


def test_stdin_reaches_the_process_and_its_end_too(monitors):
    monitor = monitors("sh", "-c", "md5sum; echo done", open_stdin=True, stdin_once=True)
    client = monitor.hand_over("attach", surplus=b"first ", stream=True, stdin=True, stdout=True, stderr=True,
                               detach_keys="")
    client.read_head()
    monitor.ask("start")
    data = secrets.token_bytes(1 << 20)
    client.sock.sendall(data)
    client.sock.shutdown(socket.SHUT_WR)
    import hashlib
    said = unframe(client.read_all())[1]
    assert said == hashlib.md5(b"first " + data).hexdigest().encode() + b"  -\ndone\n"
    monitor.finish()


def test_stdin_of_a_vanished_client_is_delivered_first(monitors):
    monitor = monitors("sh", "-c", "sleep 0.2; wc -c", open_stdin=True, stdin_once=True)
    client, waiter = monitor.attach(), monitor.wait()
    monitor.ask("start")
    client.sock.sendall(b"x" * 150000)
    client.close()
    assert exit_code(waiter) == 0
    assert monitor.log_text() == b"150000\n"
    monitor.finish()


def test_command_not_found(monitors):
    monitor = monitors("nonsuch")
    client, waiter = monitor.attach(), monitor.wait()
    with pytest.raises(Failed) as caught:
        monitor.ask("start")
    assert caught.value.kind == "command-not-found"
    assert 'exec: "nonsuch": executable file not found in $PATH' in str(caught.value)
    assert exit_code(waiter) == 127
    assert client.read_all() == b""
    state = monitor.state()
    assert state["status"] == "created" and state["exit_code"] == 127 and "nonsuch" in state["error"]
    monitor.finish()


def test_command_not_executable(monitors):
    monitor = monitors("/etc/passwd")
    with pytest.raises(Failed) as caught:
        monitor.ask("start")
    assert caught.value.kind == "command-not-executable"
    assert monitor.state()["exit_code"] == 126
    monitor.finish()


def test_seccomp_filter_is_compiled_once(monitors):
    monitor = monitors("grep", "Seccomp:", "/proc/self/status", seccomp={"mode": "default"})
    assert monitor.run_to_end() == 0
    assert monitor.log_text().split() == [b"Seccomp:", b"2"]
    assert len(os.listdir(monitor.root / "run/seccomp")) == 1
    monitor.ask("start")
    monitor.channel.event("die", monitor.state()["last_seq"] - 1)
    assert len(os.listdir(monitor.root / "run/seccomp")) == 1
    monitor.finish()


def test_death_by_a_signal(monitors):
    monitor = monitors("sh", "-c", "kill -TERM $$; sleep 10", namespaces=["mount", "ipc", "uts"])
    assert monitor.run_to_end() == 128 + 15
    monitor.finish()


def test_grandchildren_that_hold_the_pipes(monitors):
    monitor = monitors("sh", "-c", "sleep 1000 & echo bye", namespaces=["mount", "ipc", "uts"])
    client = monitor.attach(stdin=False)
    assert monitor.run_to_end() == 0
    assert unframe(client.read_all())[1] == b"bye\n"
    monitor.finish()


def test_wait_conditions(monitors):
    monitor = monitors("true")
    never_ran = monitor.wait("not-running")
    assert exit_code(never_ran) == 0
    never_ran.close()
    removed, following = monitor.wait("removed"), monitor.wait("next-exit")
    monitor.ask("start")
    assert exit_code(following) == 0
    removed.sock.settimeout(0.2)
    with pytest.raises(TimeoutError):
        removed.sock.recv(1)
    removed.sock.settimeout(TIMEOUT)
    monitor.ask("removed")
    assert exit_code(removed) == 0
    removed.close(), following.close()
    assert monitor.process.wait(TIMEOUT) == 0


def test_what_full_pipes_hold_at_the_end_comes_still(monitors):
    """Both are large by then, and the client has not read a byte."""
    monitor = monitors("sh", "-c", "yes 0123456789abcde >&2 & yes 0123456789abcde")
    client = monitor.attach(stdin=False)
    monitor.ask("start")
    log, sizes = monitor.data / f"{monitor.id}-json.log", [-1, 0]
    while sizes[-1] != sizes[-2] or sizes[-1] <= 1 << 20:  # held up
        time.sleep(0.3)
        sizes.append(log.stat().st_size)
    monitor.ask("signal", signal=9)
    monitor.channel.event("die")
    streams = unframe(client.read_all())
    for text in streams.values():
        assert text == (b"0123456789abcde\n" * (len(text) // 16 + 1))[:len(text)]
    assert len(streams[1]) + len(streams[2]) == len(monitor.log_text()) > 1 << 20
    monitor.finish()


def test_a_slow_client_loses_nothing_and_neither_does_the_log(monitors):
    monitor = monitors("sh", "-c", "yes 0123456789abcde | head -c 8000000; echo end")
    slow, quick = monitor.attach(stdin=False), monitor.attach(stdin=False)
    monitor.ask("start")
    quick.sock.settimeout(1)
    with pytest.raises(TimeoutError):
        while True:
            quick.buffer += quick.sock.recv(1 << 20)  # held up with the container, as with Docker
    assert monitor.state()["status"] == "running"
    expected = b"0123456789abcde\n" * 500000 + b"end\n"
    quick.sock.settimeout(TIMEOUT)
    reader = threading.Thread(target=lambda: results.append(quick.read_all()))
    results = []
    reader.start()
    assert unframe(slow.read_all())[1] == expected
    reader.join()
    assert unframe(results[0])[1] == expected
    assert monitor.log_text() == expected
    monitor.finish()


def test_a_client_right_behind_the_finish_is_served(monitors):
    """Both arrive in one round of the monitor's loop: it has acknowledged the client before it could end."""
    monitor = monitors("true")
    os.kill(monitor.process.pid, signal.SIGSTOP)
    finish = monitor.channel.post("finish")
    late = monitor.hand_over("wait", upgrade=False, wait=False, condition="next-exit")
    os.kill(monitor.process.pid, signal.SIGCONT)
    monitor.channel.answer(finish)
    monitor.ask("start")
    assert late.read_head()[0] == 200 and exit_code(late) == 0
    late.close()
    monitor.finish()


def test_an_exit_does_not_wait_for_a_stalled_client(monitors):
    size = 180000  # more than the socket and less than socket, queue and pipe hold
    monitor = monitors("sh", "-c", f"yes | head -c {size}; exit 5")
    stalled, waiter = monitor.attach(stdin=False), monitor.wait()
    monitor.ask("start")
    assert exit_code(waiter) == 5
    assert unframe(stalled.read_all())[1] == b"y\n" * (size // 2)
    monitor.finish()


# --- the end of its mounts ---

def mounts_held(monitor):
    links = []
    for fd in os.listdir(f"/proc/{monitor.process.pid}/fd"):
        try:
            links.append(os.readlink(f"/proc/{monitor.process.pid}/fd/{fd}"))
        except FileNotFoundError:
            pass
    return any(link.startswith("mnt:[") for link in links)


def root_is_free(monitor):
    with open(monitor.data / "lock") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True


def test_what_is_thrown_away_is_unmounted_behind_the_answers(monitors):
    monitor = monitors("true", auto_remove=True)
    waiter = monitor.wait("removed")
    monitor.ask("start")
    monitor.channel.event("die")
    assert mounts_held(monitor) and not root_is_free(monitor)
    monitor.ask("finish")
    wait_for(lambda: not mounts_held(monitor) and root_is_free(monitor), "the mounts' end while a client is left")
    monitor.ask("removed")
    assert exit_code(waiter) == 0
    waiter.close()
    assert monitor.process.wait(TIMEOUT) == 0


def test_mounts_that_somebody_may_wait_for_end_with_the_container(monitors):
    kept = monitors("sleep", "1000")
    bound = monitors("sleep", "1000", auto_remove=True)
    with_mounts(bound, {"destination": "/mnt", "source": str(bound.root), "type": "bind", "options": ["rbind", "rw"]})
    for monitor in (kept, bound):
        monitor.ask("start")
        assert not mounts_held(monitor)
        monitor.ask("signal", signal=9)
        monitor.channel.event("die")
        assert root_is_free(monitor)
        monitor.finish()


def test_what_could_not_start_holds_no_mounts(monitors):
    monitor = monitors("missing", auto_remove=True)
    for _ in range(2):
        with pytest.raises(Failed):
            monitor.ask("start")
        wait_for(lambda: not mounts_held(monitor) and root_is_free(monitor), "the lock, which is given back behind the answer")
    monitor.finish()


# --- what a start prepares ---

def with_mounts(monitor, *mounts, **changes):
    """launch.json with more mounts."""
    document = json.loads((monitor.run / "launch.json").read_text())
    document["oci"]["mounts"] += mounts
    document.update(changes)
    (monitor.run / "launch.json").write_text(json.dumps(document))


def test_names_files(monitors):
    monitor = monitors("cat", "/etc/hostname", "/etc/hosts", "/etc/resolv.conf",
                       names={"extra_hosts": ["db:10.1.2.3", "six:fe80::1"], "dns": ["9.9.9.9"], "dns_search": ["a", "b"],
                              "dns_options": ["ndots:2"]})
    assert monitor.run_to_end() == 0
    text = monitor.log_text().decode()
    assert text.startswith("test\n127.0.0.1\tlocalhost\n")
    assert "10.1.2.3\tdb\nfe80::1\tsix\n" in text
    assert "nameserver 9.9.9.9\nsearch a b\noptions ndots:2\n" in text
    monitor.launch("true", names={"extra_hosts": ["db:10.1.2.3\n127.0.0.1 evil"]})
    with pytest.raises(Failed) as caught:
        monitor.ask("start")
    assert "control character" in str(caught.value)
    monitor.finish()


@pytest.mark.parametrize("layers", [1, 2])
def test_a_new_volume_gets_what_the_image_has(monitors, layer, tmp_path, layers):
    volume = pathlib.Path(tempfile.mkdtemp(prefix="tare-test-volume"))
    monitor = monitors("sh", "-c", "ls -ld /etc; cat /etc/passwd >/dev/null && echo new >/etc/added")
    with_mounts(monitor, {"destination": "/etc", "source": str(volume), "type": "bind", "options": ["rbind", "rw"]},
                sources=[{"destination": "/etc", "copy_up": True}],
                rootfs={"lowers": [str(tmp_path), str(layer)][2 - layers:], "container_dir": str(monitor.data)})
    assert monitor.run_to_end() == 0
    assert (volume / "passwd").read_bytes() == (layer / "etc/passwd").read_bytes()
    assert (volume / "added").read_text() == "new\n"
    # One that has something in it is left alone.
    (volume / "passwd").unlink()
    monitor.ask("start")
    monitor.channel.event("die", monitor.state()["last_seq"] - 1)
    assert not (volume / "passwd").exists()
    shutil.rmtree(volume)
    monitor.finish()


def test_a_bind_source_is_made(monitors):
    source = pathlib.Path(tempfile.mkdtemp(prefix="tare-test-source")) / "a/b"
    monitor = monitors("touch", "/mnt/file")
    bind = {"destination": "/mnt", "source": str(source), "type": "bind", "options": ["rbind", "rw"]}
    with_mounts(monitor, bind, sources=[{"destination": "/mnt", "create": True}])
    assert monitor.run_to_end() == 0
    assert (source / "file").exists()
    shutil.rmtree(source.parents[1])
    monitor.finish()


def test_devices_of_the_host(monitors):
    monitor = monitors("sh", "-c", "ls -l /dev/copy; dd if=/dev/copy of=/dev/null bs=1 count=1 2>/dev/null && echo read",
                       devices=[{"host_path": "/dev/zero", "container_path": "/dev/copy", "permissions": "r"}])
    assert monitor.run_to_end() == 0
    assert b"1,   5" in monitor.log_text() and monitor.log_text().endswith(b"read\n")
    monitor.launch("true", devices=[{"host_path": "/dev/nonsuch", "container_path": "/dev/x", "permissions": "r"}])
    with pytest.raises(Failed) as caught:
        monitor.ask("start")
    assert 'error gathering device information while adding custom device "/dev/nonsuch"' in str(caught.value)
    monitor.finish()


def test_namespaces_of_another_container(monitors, tmp_path):
    first = monitors("sleep", "1000", root=tmp_path)
    first.ask("start")
    second = monitors("sh", "-c", "ps; readlink /proc/self/ns/net", root=tmp_path, network={"mode": "container"},
                      join={"network": first.id, "pid": first.id})
    assert second.run_to_end() == 0
    assert b"sleep 1000" in second.log_text()
    assert os.readlink(f"/proc/{first.state()['pid']}/ns/net").encode() in second.log_text()
    first.finish()
    with pytest.raises(Failed) as caught:
        second.ask("start")
    assert "cannot join the namespace of a non running container" in str(caught.value)
    second.finish()


def test_users_by_name(monitors):
    monitor = monitors("grep", "-E", "Uid|Gid|Groups", "/proc/self/status", user="user", group_add=["extra"])
    assert monitor.run_to_end() == 0
    words = monitor.log_text().split()
    assert words[1:5] == [b"1000"] * 4 and words[6:10] == [b"1000"] * 4 and words[11:] == [b"1000", b"2000"]
    monitor.finish()


# --- terminals ---

def test_terminal_size_and_detach(monitors):
    monitor = monitors("sh", tty=True, open_stdin=True)
    client = monitor.attach()
    monitor.ask("start")
    monitor.ask("resize", width=97, height=31)
    client.sock.sendall(b"stty size\n")
    client.read_until(b"31 97")
    client.sock.sendall(b"\x10\x11")
    client.read_all()
    monitor.channel.event("detach")
    assert monitor.state()["status"] == "running"
    again = monitor.attach()
    again.sock.sendall(b"exit 4\n")
    again.read_all()
    assert monitor.state()["exit_code"] == 4
    monitor.finish()


def test_terminal_that_nobody_has_open_comes_back(monitors):
    """As systemd's /dev/console does. Nobody watches it busily meanwhile."""
    monitor = monitors("sh", "-c", "echo first; exec sleep 1000 <&- >&- 2>&-", tty=True)
    client = monitor.attach()
    monitor.ask("start")
    client.read_until(b"first")
    for word in (b"second", b"third"):
        _, said = monitor.exec("sh", "-c", f"echo {word.decode()} >/dev/console; echo done")
        said.read_head()
        assert unframe(said.read_all())[1] == b"done\n"
        client.read_until(word)
    before = time.clock_gettime(~monitor.process.pid << 3 | 2)
    time.sleep(0.3)
    assert time.clock_gettime(~monitor.process.pid << 3 | 2) - before < 0.1
    monitor.ask("signal", signal=9)
    client.read_all()
    assert monitor.log_text().split() == [b"first", b"second", b"third"]
    monitor.finish()


# --- exec ---

def test_exec_streams_and_code(monitors):
    monitor = monitors("sleep", "1000")
    monitor.ask("start")
    name, client = monitor.exec("sh", "-c", "echo out; echo err >&2; cat; exit 5", stdin=True)
    client.read_head()
    client.sock.sendall(b"input")
    client.sock.shutdown(socket.SHUT_WR)
    assert unframe(client.read_all()) == {1: b"out\ninput", 2: b"err\n"}
    state = monitor.ask("exec-inspect", exec=name)["exec_state"]
    assert state["ExitCode"] == 5 and state["Running"] is False
    name, client = monitor.exec("nonsuch")
    client.read_head()
    assert b'executable file not found' in client.read_all()
    assert monitor.ask("exec-inspect", exec=name)["exec_state"]["ExitCode"] == 127
    with pytest.raises(Failed) as caught:
        monitor.hand_over("exec-start", exec="nonsuch", detach_keys="")
    assert caught.value.kind == "not-found"
    monitor.finish()


def test_exec_terminal(monitors):
    monitor = monitors("sleep", "1000")
    monitor.ask("start")
    unstarted = secrets.token_hex(32)
    monitor.ask("exec-create", exec=unstarted, config={"Cmd": ["true"], "Tty": True})
    with pytest.raises(Failed) as caught:
        monitor.ask("resize", exec=unstarted, width=5, height=5)
    assert caught.value.kind == "conflict"
    name, client = monitor.exec("sh", tty=True, stdin=True, console_height=11, console_width=44)
    client.read_head()
    client.sock.sendall(b"stty size\n")
    client.read_until(b"11 44")
    monitor.ask("resize", exec=name, width=55, height=22)
    client.sock.sendall(b"stty size; exit 9\n")
    client.read_until(b"22 55")
    client.read_all()
    assert monitor.ask("exec-inspect", exec=name)["exec_state"]["ExitCode"] == 9
    with pytest.raises(Failed) as caught:
        monitor.ask("resize", exec=name, width=5, height=5)
    assert caught.value.kind == "not-found"
    monitor.finish()


def test_a_stalled_exec_stalls_nobody_else(monitors):
    monitor = monitors("sleep", "1000")
    monitor.ask("start")
    _, stalled = monitor.exec("sh", "-c", "yes stalled | head -c 20000000")
    lively = [monitor.exec("sh", "-c", f"yes {n} | head -c 300000")[1] for n in range(50)]
    for number, client in enumerate(lively):
        client.read_head()
        data = unframe(client.read_all())[1]
        assert len(data) == 300000 and data.startswith(b"%d\n" % number)
        client.close()
    assert "libasan" in monitor.maps() or monitor.resident_bytes() < 8 << 20
    stalled.read_head()
    assert len(unframe(stalled.read_all())[1]) == 20000000
    monitor.finish()


def test_exec_ends_though_its_child_holds_the_pipes(monitors):
    monitor = monitors("sleep", "1000")
    monitor.ask("start")
    name, client = monitor.exec("sh", "-c", "sleep 1000 & echo bye; exit 2")
    client.read_head()
    assert unframe(client.read_all())[1] == b"bye\n"
    assert monitor.ask("exec-inspect", exec=name)["exec_state"]["ExitCode"] == 2
    monitor.finish()


def test_the_containers_end_is_the_end_of_its_execs(monitors):
    monitor = monitors("sleep", "1000")
    monitor.ask("start")
    name, client = monitor.exec("sh", "-c", "echo running; sleep 1000")
    client.read_head()
    client.read_until(b"running")
    monitor.ask("signal", signal=9)
    client.read_all()
    assert monitor.ask("exec-inspect", exec=name)["exec_state"]["ExitCode"] == 137
    with pytest.raises(Failed) as caught:
        monitor.exec("true")
    assert "is not running" in str(caught.value)
    monitor.finish()


def test_execs_leave_nothing(monitors):
    monitor = monitors("sleep", "1000")
    monitor.ask("start")
    folder = f"/proc/{monitor.process.pid}/fd"
    before = len(os.listdir(folder))
    for number in range(100):
        _, client = monitor.exec("true" if number % 2 else "nonsuch")
        if number % 3:
            client.read_head()
            client.read_all()
        client.close()
    wait_for(lambda: len(os.listdir(folder)) <= before, "descriptors are given back")
    monitor.finish()


# --- log ---

def test_logs_with_limits(monitors):
    monitor = monitors("sh", "-c", "for i in 1 2 3 4 5; do echo line $i; done; printf partial")
    assert monitor.run_to_end() == 0
    read = lambda **options: unframe(unchunk(monitor.logs(**options).read_all()))[1]
    assert read() == b"line 1\nline 2\nline 3\nline 4\nline 5\npartial"
    assert read(tail=2) == b"line 5\npartial"
    assert read(tail=0) == b""
    stamped = read(timestamps=True, tail=1)
    assert stamped.endswith(b"Z partial") and len(stamped.split(b" ")[0]) == 30
    assert read(since=time.time_ns()) == b""
    assert read(until=0) == b""
    monitor.finish()


@pytest.mark.parametrize("compress", [False, True])
def test_followers_lose_no_line_over_rotation(monitors, compress):
    lines = 20000
    monitor = monitors("sh", "-c", f"read go; i=0; while [ $i -lt {lines} ]; do echo line $i; i=$((i+1)); done",
                       open_stdin=True)
    monitor.launch("sh", "-c", f"read go; i=0; while [ $i -lt {lines} ]; do echo line $i; i=$((i+1)); done",
                   open_stdin=True, log={"driver": "json-file", "max_size_bytes": 100000, "max_file": 3, "compress": compress,
                                         "path": str(monitor.data / f"{monitor.id}-json.log")})
    waiter = monitor.wait()
    monitor.ask("start")
    followers = [monitor.logs(follow=True) for _ in range(3)]
    client = monitor.attach(stdout=False, stderr=False)
    client.sock.sendall(b"go\n")
    expected = b"".join(b"line %d\n" % number for number in range(lines))
    for follower in followers:
        assert unframe(unchunk(follower.read_all()))[1] == expected
    assert exit_code(waiter) == 0
    names = lambda: sorted(entry for entry in os.listdir(monitor.data) if "json.log" in entry)
    if compress:
        log = f"{monitor.id}-json.log"
        wait_for(lambda: names() == [log, f"{log}.1.gz", f"{log}.2.gz"], lambda: f"the last to be compressed: {names()}")
        assert gzip.decompress((monitor.data / f"{log}.1.gz").read_bytes()).startswith(b'{"log":"line ')
    files = names()
    assert len(files) == 3
    assert all(os.stat(monitor.data / name).st_size < 101000 for name in files)
    kept = unframe(unchunk(monitor.logs().read_all()))[1]
    assert expected.endswith(kept) and len(kept) > 20000
    for tail in (1, 500, 2000):
        assert unframe(unchunk(monitor.logs(tail=tail).read_all()))[1] == b"".join(expected.splitlines(True)[-tail:])
    monitor.finish()


def test_log_of_a_stopped_container_by_a_new_monitor(monitors):
    monitor = monitors("echo", "kept")
    assert monitor.run_to_end() == 0
    monitor.finish()
    monitor.spawn()
    assert unframe(unchunk(monitor.logs(follow=True).read_all()))[1] == b"kept\n"
    assert exit_code(monitor.wait("not-running")) == 0
    monitor.finish()


def test_attach_with_log(monitors):
    monitor = monitors("sh", "-c", "echo before; read go; echo after", open_stdin=True, stdin_once=True)
    monitor.ask("start")
    wait_for(lambda: (monitor.data / f"{monitor.id}-json.log").stat().st_size, "the first line is logged")
    client = monitor.attach(logs=True)
    client.sock.sendall(b"go\n")
    assert unframe(client.read_all())[1] == b"before\nafter\n"
    monitor.finish()


# --- stop, pause, policies ---

def test_stop_by_signal_then_by_force(monitors):
    monitor = monitors("sh", "-c", "trap 'exit 33' TERM; echo ready; while :; do sleep 0.1; done")
    monitor.ask("start")
    wait_for(lambda: monitor.log_text() == b"ready\n", "the trap")
    monitor.ask("stop")
    assert monitor.state()["exit_code"] == 33
    with pytest.raises(Failed) as caught:
        monitor.ask("stop")
    assert caught.value.kind == "not-modified"
    monitor.launch("sh", "-c", "trap '' TERM; echo ready; while :; do sleep 0.1; done", stop_timeout=1000)
    monitor.ask("start")
    wait_for(lambda: monitor.log_text() == b"ready\n" * 2, "the other trap")
    started = time.monotonic()
    monitor.ask("stop", timeout_s=1)
    assert time.monotonic() - started > 0.9
    assert monitor.state()["exit_code"] == 137 and monitor.state()["status"] == "exited"
    monitor.finish()


def test_stop_where_signals_are_refused(monitors):
    """As by an AppArmor profile without a rule for signals: here a monitor that has no CAP_KILL, and a container of a user's."""
    monitor = monitors("sleep", "1000", user="1000:1000", spawn=False)
    monitor.spawn(wrapper=("setpriv", "--bounding-set=-kill", "--inh-caps=-kill"))
    for end in ({"op": "stop", "signal": 15, "timeout_s": -1}, {"op": "stop", "signal": 9, "timeout_s": -1}, {"op": "signal", "signal": 9}):
        monitor.ask("start")
        with pytest.raises(Failed, match="operation not permitted"):
            monitor.ask("signal", signal=10)
        monitor.ask(**end)
        assert monitor.state()["exit_code"] == 137
    monitor.finish()


def test_pause(monitors):
    monitor = monitors("sh", "-c", "while :; do echo tick; sleep 0.05; done")
    monitor.ask("start")
    monitor.ask("pause")
    assert monitor.state()["status"] == "paused"
    with pytest.raises(Failed):
        monitor.ask("pause")
    with pytest.raises(Failed):
        monitor.attach()
    monitor.ask("unpause")
    assert monitor.state()["status"] == "running"
    monitor.ask("pause")
    monitor.ask("stop", timeout_s=1)
    monitor.finish()


def test_restart_policy(monitors):
    monitor = monitors("sh", "-c", "exit 6", restart_policy={"name": "on-failure", "max_retry": 2})
    started = time.monotonic()
    monitor.ask("start")
    last = 0
    for _ in range(3):
        last = monitor.channel.event("die", last)["seq"]
    assert time.monotonic() - started > 0.25
    state = monitor.state()
    assert state["status"] == "exited" and state["restart_count"] == 2 and state["exit_code"] == 6
    monitor.launch("sh", "-c", "exit 0", restart_policy={"name": "always"})
    monitor.ask("start")
    for _ in range(3):
        last = monitor.channel.event("die", last)["seq"]
    monitor.ask("stop")
    assert monitor.state()["status"] == "exited"
    monitor.finish()


def test_health(monitors):
    monitor = monitors("sleep", "1000", healthcheck={"Test": ["CMD", "sh", "-c", "echo probe; test -e /healthy"],
                                                     "Interval": 50000000, "Retries": 2})
    monitor.ask("start")
    assert monitor.state()["health"]["Status"] == "starting"
    monitor.channel.event("health_status: unhealthy")
    log = monitor.state()["health"]["Log"]
    assert log[-1]["ExitCode"] == 1 and log[-1]["Output"] == "probe\n"
    monitor.exec("touch", "/healthy")[1].read_all()
    monitor.channel.event("health_status: healthy")
    monitor.finish()


def test_top(monitors):
    monitor = monitors("sleep", "1000")
    monitor.ask("start")
    answer = monitor.ask("top")
    assert answer["titles"] == ["UID", "PID", "PPID", "C", "STIME", "TTY", "TIME", "CMD"]
    assert answer["processes"][0][0] == "root" and answer["processes"][0][-1] == "sleep 1000"
    assert monitor.ask("top", args="-o pid,comm")["processes"][0][1] == "sleep"
    with pytest.raises(Failed):
        monitor.ask("top", args="-o nonsuch")
    monitor.finish()


def test_out_of_memory_is_told(monitors):
    monitor = monitors("sh", "-c", "x=$(cat /dev/zero | head -c 60000000 | tr '\\0' x); echo $x | wc -c")
    document = json.loads((monitor.run / "launch.json").read_text())
    document["oci"]["linux"]["resources"] = {"memory": {"limit": 16 << 20}}
    (monitor.run / "launch.json").write_text(json.dumps(document))
    monitor.run_to_end()
    assert monitor.state()["oom_killed"] is True
    monitor.channel.event("oom")
    monitor.finish()


# --- engines come and go ---

def test_without_an_engine_everything_goes_on(monitors):
    monitor = monitors("sh", "-c", "read a; echo got $a; exit 8", open_stdin=True)
    client, waiter = monitor.attach(), monitor.wait()
    monitor.ask("start")
    monitor.channel.sock.close()
    client.sock.sendall(b"it\n")
    assert unframe(client.read_all())[1] == b"got it\n"
    assert exit_code(waiter) == 8
    client.close(), waiter.close()
    hello = monitor.connect()
    assert hello["state"]["exit_code"] == 8
    die = monitor.channel.event("die")
    assert [event["type"] for event in monitor.channel.events] == ["attach", "start", "die"]
    # Acknowledged ones do not come again, and the newest engine is served.
    old = monitor.channel
    monitor.connect(acked=die["seq"])
    assert monitor.ask("hello", acked=die["seq"])["state"]["last_seq"] == die["seq"]
    assert not monitor.channel.events
    with pytest.raises((EOFError, OSError)):
        old.ask("hello", acked=0)
        while True:
            old.receive()
    monitor.finish()


def test_bad_messages_are_refused(monitors):
    monitor = monitors("true")
    with pytest.raises(Failed) as caught:
        monitor.ask("dance")
    assert caught.value.kind == "unsupported"
    for data in (b"{", b"[]", b"\0", b'{"v":1}', b'{"v":1,"op":7}', b"x" * 100000):
        monitor.channel.sock.send(data)
    with pytest.raises(Failed):
        monitor.ask("handover", request={"kind": "attach"})
    with pytest.raises(Failed):
        monitor.ask("resize", width=-1, height=5)
    assert monitor.run_to_end() == 0
    monitor.finish()


def test_a_second_monitor_is_refused(monitors):
    monitor = monitors("true")
    second = subprocess.run([PROGRAMS / "tare-monitor", "--data-root", monitor.root / "data", "--exec-root",
                             monitor.root / "run", "--id", monitor.id], capture_output=True, text=True, timeout=TIMEOUT)
    assert second.returncode == 1 and "has a monitor already" in second.stderr
    monitor.finish()


@pytest.mark.parametrize("namespaces", [NAMESPACES, ["mount", "ipc", "uts"]])
def test_a_lost_monitor_is_recovered(monitors, namespaces):
    monitor = monitors("sleep", "1000", namespaces=namespaces)
    monitor.ask("start")
    pid = monitor.state()["pid"]
    monitor.process.kill()
    monitor.process.wait()
    monitor.spawn("--recover")
    state = monitor.state()
    assert state["status"] == "exited" and state["exit_code"] == 137 and state["error"] == "monitor lost"
    assert monitor.channel.event("die")["attributes"]["exitCode"] == "137"
    wait_for(lambda: not os.path.exists(f"/proc/{pid}"), "the container is ended")
    monitor.finish()


def test_a_recovery_that_finds_nothing_ends(monitors):
    monitor = monitors("true")
    assert monitor.run_to_end() == 0
    monitor.finish()
    monitor.spawn("--recover", hello=False)
    assert monitor.process.wait(TIMEOUT) == 0
    assert monitor.state()["status"] == "exited" and monitor.state()["exit_code"] == 0


def test_a_recovery_of_what_was_removed_ends(monitors):
    """tared sees a monitor's end before the engine removes the folder, or after: both are peace."""
    monitor = monitors("true")
    monitor.finish()
    shutil.rmtree(monitor.run)
    monitor.spawn("--recover", hello=False)
    assert monitor.process.wait(TIMEOUT) == 0
    assert not monitor.run.exists()


def test_a_lost_monitors_container_is_restarted(monitors):
    monitor = monitors("sleep", "1000", restart_policy={"name": "always"})
    monitor.ask("start")
    first = monitor.channel.event("start")["seq"]
    monitor.process.kill()
    monitor.process.wait()
    monitor.spawn("--recover")
    monitor.channel.event("start", first)
    assert monitor.state()["status"] == "running" and monitor.state()["restart_count"] == 1
    monitor.finish()
