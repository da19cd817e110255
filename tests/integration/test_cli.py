"""The command line against an engine that is only a script: framing, order, exit codes, terminals, forms of output."""
import json
import os
import pty
import shutil
import signal
import socket
import subprocess
import termios
import threading
import time

import pytest

from harness.engine import PROGRAMS, wait_for
from harness.fake_engine import ID, TIMEOUT, Container, FakeEngine, frame
from harness.terminal import Terminal

SHORT = ID[:12]


@pytest.fixture
def engine():
    engine = FakeEngine(PROGRAMS / "tare")
    yield engine
    engine.close()


def terminal(engine, *arguments, **options):
    return Terminal(engine, engine.program, *arguments, **options)


# run


def test_run_attaches_and_waits_before_it_starts(engine):
    engine.container = Container(lambda stream: (stream.out(b"hello\n"), stream.err(b"oops\n"), 7)[2])
    done = engine.tare("run", "debian", "ls", "-l")
    assert (done.returncode, done.stdout, done.stderr) == (7, b"hello\n", b"oops\n")
    order = engine.order()
    assert order[0] == "POST /containers/create" and order[3:] == [f"POST /containers/{ID}/start"]
    assert sorted(order[1:3]) == [f"POST /containers/{ID}/attach", f"POST /containers/{ID}/wait"]  # both at once
    assert engine.asked("POST", ".*/attach")[0].query == {"stream": "1", "stdin": "0", "stdout": "1", "stderr": "1"}
    assert engine.asked("POST", ".*/wait")[0].query == {"condition": "next-exit"}
    assert engine.asked("POST", "/containers/create")[0].json()["Cmd"] == ["ls", "-l"]


def test_run_rm_waits_for_the_removal(engine):
    engine.tare("run", "--rm", "--name", "web", "debian", check=0)
    assert engine.asked("POST", ".*/wait")[0].query == {"condition": "removed"}
    assert engine.asked("POST", "/containers/create")[0].query == {"name": "web"}


def test_run_detached_prints_the_id(engine, tmp_path):
    done = engine.tare("run", "-d", "--cidfile", tmp_path / "cid", "debian", check=0)
    assert done.stdout.decode() == ID + "\n"
    assert (tmp_path / "cid").read_text() == ID
    assert not engine.asked("POST", ".*/attach")
    again = engine.tare("run", "-d", "--cidfile", tmp_path / "cid", "debian", check=125)
    assert b"container ID file found" in again.stderr


def test_run_leaves_no_cidfile_without_a_container(engine, tmp_path):
    engine.route("POST", "/containers/create", lambda r: r.answer(409, {"message": "name taken"}))
    engine.tare("run", "--cidfile", tmp_path / "cid", "debian", check=125)
    assert not (tmp_path / "cid").exists()


def test_frames_in_any_pieces(engine):
    text = frame(1, b"one ") + frame(2, b"err") + frame(1, b"") + frame(1, b"two\n" * 5000)

    def program(stream):
        for i in range(0, 40):
            stream.connection.sendall(text[i:i + 1])
        stream.connection.sendall(text[40:])
        return 0

    engine.container = Container(program)
    done = engine.tare("run", "debian", check=0)
    assert done.stdout == b"one " + b"two\n" * 5000
    assert done.stderr == b"err"


def test_input_reaches_the_container_and_ends(engine):
    data = os.urandom(300000)
    got = []

    def program(stream):
        got.append(stream.read_all())
        stream.out(b"done")
        return 0

    engine.container = Container(program, stdin=True)
    assert engine.tare("run", "-i", "debian", input=data, check=0).stdout == b"done"
    assert got == [data]


def test_output_surplus_behind_the_head(engine):
    def attach(request):
        engine.container.attached = request.connection
        request.send(b"HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n" + frame(1, b"early "))
        return "taken"

    engine.route("POST", ".*/attach", attach)
    engine.container = Container(lambda stream: (stream.out(b"late"), 0)[1])
    assert engine.tare("run", "debian", check=0).stdout == b"early late"


def test_ten_megabytes_into_a_slow_pipe(engine):
    size = 10 << 20
    engine.container = Container(lambda stream: (stream.out(b"x" * size), 3)[1])
    client = subprocess.Popen([engine.program, "run", "debian"], env=engine.env, stdout=subprocess.PIPE,
                              stdin=subprocess.DEVNULL)
    total = 0
    while piece := client.stdout.read(1 << 20):
        total += len(piece)
    assert client.wait(TIMEOUT) == 3
    assert total == size


@pytest.mark.parametrize("message, code", [
    ('exec: "x": executable file not found in $PATH: unknown', 127),
    ('exec: "/x": stat /x: no such file or directory: unknown', 127),
    ('exec: "/etc": permission denied: unknown', 126),
    ('exec: "/etc": is a directory: unknown', 126),
    ("driver failed", 125),
])
def test_exit_code_of_a_failed_start(engine, message, code):
    engine.container.start_error = (400, {"message": message})
    done = engine.tare("run", "--rm", "debian", "x", check=code)
    assert done.stderr.decode() == (f"tare: Error response from daemon: {message}\n\n"
                                    "Run 'tare run --help' for more information\n")


def test_missing_image(engine):
    engine.route("POST", "/containers/create", lambda r: r.answer(404, {"message": "No such image: nope:latest"}))
    engine.route("POST", "/images/create", lambda r: r.answer(501, {"message": "pull is not supported"}))
    done = engine.tare("run", "nope", check=125)
    assert b"tare: Error response from daemon: No such image: nope:latest" in done.stderr
    engine.route("POST", "/images/create", lambda r: r.answer(404, {"message": "pull access denied"}))
    done = engine.tare("run", "nope", check=125)
    assert b"Unable to find image 'nope' locally" in done.stderr and b"pull access denied" in done.stderr
    assert not engine.asked("POST", ".*/start")
    before = len(engine.asked("POST", "/images/create"))
    engine.tare("run", "--pull", "never", "nope", check=125)
    assert len(engine.asked("POST", "/images/create")) == before


def test_pull_then_create_again(engine):
    pulled = threading.Event()

    def create(request):
        if pulled.is_set():
            request.answer(201, {"Id": ID, "Warnings": ["mind the gap"]})
        else:
            request.answer(404, {"message": "No such image: debian:12"})

    def pull(request):
        assert request.query == {"fromImage": "docker.io/library/debian", "tag": "12"}
        pulled.set()
        request.begin()
        request.chunk({"status": "Pulling", "id": "12"})
        request.end()

    engine.route("POST", "/containers/create", create)
    engine.route("POST", "/images/create", pull)
    done = engine.tare("run", "debian:12", check=0)
    assert done.stdout == b""
    assert done.stderr == b"Unable to find image 'debian:12' locally\n12: Pulling\nWARNING: mind the gap\n"


def test_wait_error(engine):
    def wait(request):
        request.begin()
        engine.container.ended.wait(TIMEOUT)
        request.chunk({"StatusCode": 0, "Error": {"Message": "lost"}})
        request.end()

    engine.route("POST", ".*/wait", wait)
    assert b"lost" in engine.tare("run", "debian", check=125).stderr


def test_signals_are_passed_on(engine):
    container = engine.container = Container(lambda stream: (container.wait_signal(), container.wait_signal(2), 42)[2])
    client = subprocess.Popen([engine.program, "run", "debian"], env=engine.env, stdin=subprocess.DEVNULL)
    assert container.started.wait(TIMEOUT)
    client.send_signal(signal.SIGTERM)
    assert container.wait_signal() == "SIGTERM"
    client.send_signal(signal.SIGINT)
    assert client.wait(TIMEOUT) == 42
    assert container.signals == ["SIGTERM", "SIGINT"]


def test_signals_stay_here_without_sig_proxy(engine):
    release = threading.Event()
    engine.container = Container(lambda stream: (release.wait(TIMEOUT), 0)[1])
    client = subprocess.Popen([engine.program, "run", "--sig-proxy=false", "debian"], env=engine.env, stdin=subprocess.DEVNULL)
    assert engine.container.started.wait(TIMEOUT)
    client.send_signal(signal.SIGTERM)
    assert client.wait(TIMEOUT) == -signal.SIGTERM
    release.set()
    assert engine.container.signals == []


def test_a_signal_is_heard_while_the_output_stalls(engine):
    container = engine.container = Container(lambda stream: (stream.out(b"x" * (4 << 20)), 0)[1])
    client = subprocess.Popen([engine.program, "run", "debian"], env=engine.env, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE)
    assert container.started.wait(TIMEOUT)
    time.sleep(0.2)  # the pipe is full by now, or will be: the signal must come through either way
    client.send_signal(signal.SIGUSR1)
    assert container.wait_signal() == "SIGUSR1"
    client.stdout.read()
    assert client.wait(TIMEOUT) == 0


# Terminals


def keys(stream, until=b"\r"):
    typed = b""
    while not typed.endswith(until):
        piece = stream.read()
        if not piece:
            break
        typed += piece
    return typed


def untouched():
    """How a terminal is that nobody has changed."""
    master, slave = pty.openpty()
    flags = termios.tcgetattr(master)
    os.close(master)
    os.close(slave)
    return flags


def test_terminal_is_raw_and_put_back(engine):
    got = []

    def program(stream):
        stream.out(b"ready> ")
        got.append(keys(stream))
        return 5

    engine.container = Container(program, tty=True, stdin=True)
    screen = terminal(engine, "run", "-it", "debian", rows=30, columns=100)
    screen.expect("ready> ")
    engine.container.wait_size((30, 100))
    assert termios.tcgetattr(screen.master) != untouched()
    screen.resize(40, 120)
    engine.container.wait_size((40, 120))
    screen.type("\x03ab\r")
    fd = os.dup(screen.master)
    assert screen.wait() == 5
    assert termios.tcgetattr(fd) == untouched()
    os.close(fd)
    assert got == [b"\x03ab\r"]
    body = engine.asked("POST", "/containers/create")[0].json()
    assert body["Tty"] and body["OpenStdin"] and body["HostConfig"]["ConsoleSize"] == [30, 100]


@pytest.mark.parametrize("verb, arguments, code, message", [
    ("run", ["-it", "debian"], 0, ""),
    ("attach", ["web"], 1, "read escape sequence"),
    ("exec", ["-it", "web", "sh"], 1, "read escape sequence"),
    ("start", ["-ai", "web"], 0, ""),
])
def test_detach_keys(engine, verb, arguments, code, message):
    def program(stream):
        stream.out(b"ready> ")
        stream.read_all()
        return 9

    engine.container = Container(program, tty=True, stdin=True)
    if verb == "attach":
        engine.route("POST", ".*/attach", lambda r: (engine.attach(r), threading.Thread(
            target=engine.container.run, daemon=True).start(), "taken")[2])
    screen = terminal(engine, verb, *arguments)
    screen.expect("ready> ")
    screen.type("a\x10\x11")
    if message:
        screen.expect(message)
    fd = os.dup(screen.master)
    assert screen.wait() == code
    assert termios.tcgetattr(fd) == untouched()
    os.close(fd)


def test_other_detach_keys(engine):
    got = []

    def program(stream):
        stream.out(b"ready> ")
        got.append(stream.read_all())
        return 9

    engine.container = Container(program, tty=True, stdin=True)
    screen = terminal(engine, "run", "-it", "--detach-keys", "a,b", "debian")
    screen.expect("ready> ")
    screen.type("\x10\x11aab")
    assert screen.wait() == 0
    wait_for(lambda: got, "the end of the keys")
    assert got == [b"\x10\x11a"]
    assert engine.tare("run", "--detach-keys", "ctrl-", "debian", check=1).stderr.startswith(b"invalid detach keys (ctrl-)")


@pytest.mark.parametrize("signo", [signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT])
def test_terminal_is_put_back_when_a_signal_ends_us(engine, signo):
    release = threading.Event()
    engine.container = Container(lambda stream: (stream.out(b"ready> "), release.wait(TIMEOUT), 0)[2], tty=True, stdin=True)
    screen = terminal(engine, "exec", "-it", "web", "sh")
    screen.expect("ready> ")
    assert termios.tcgetattr(screen.master) != untouched()
    screen.process.send_signal(signo)
    fd = os.dup(screen.master)
    assert screen.wait() == -signo
    release.set()
    assert termios.tcgetattr(fd) == untouched()
    os.close(fd)


def test_first_size_is_tried_again(engine):
    tries = []

    def resize(request):
        tries.append(1)
        if len(tries) < 4:
            request.answer(500, {"message": "no terminal yet"})
        else:
            engine.resize(request)

    engine.route("POST", ".*/resize", resize)
    engine.container = Container(lambda stream: (engine.container.wait_size((24, 80)), 0)[1], tty=True)
    assert terminal(engine, "run", "-t", "debian").wait() == 0
    assert len(tries) == 4


def test_no_terminal_where_one_is_wanted(engine):
    done = engine.tare("run", "-it", "debian", check=1)
    assert done.stderr == b"the input device is not a TTY\n"
    assert not engine.order()


# exec, attach, start


def test_exec_codes_and_body(engine):
    engine.container = Container(lambda stream: (stream.out(b"o"), stream.err(b"e"), 126)[2])
    done = engine.tare("exec", "-e", "A=b", "-u", "1", "-w", "/x", "--privileged", "web", "ls", "-l", check=126)
    assert (done.stdout, done.stderr) == (b"o", b"e")
    assert engine.asked("POST", ".*/exec")[0].json() == {
        "User": "1", "Privileged": True, "AttachStdout": True, "AttachStderr": True, "Env": ["A=b"], "WorkingDir": "/x",
        "Cmd": ["ls", "-l"]}
    engine.tare("exec", "-d", "web", "ls", check=0)
    assert engine.asked("POST", "/exec/.*/start")[1].json() == {"Detach": True, "Tty": False}


def test_exec_in_nothing(engine):
    engine.route("POST", ".*/exec", lambda r: r.answer(404, {"message": "No such container: nope"}))
    done = engine.tare("exec", "nope", "ls", check=1)
    assert done.stderr == b"Error response from daemon: No such container: nope\n"


def test_attach_states(engine):
    for state, words in (("Paused", "paused"), ("Restarting", "restarting")):
        document = engine.container.inspect()
        document["State"][state] = True
        engine.route("GET", ".*/json", document)
        assert f"You cannot attach to a {words} container".encode() in engine.tare("attach", "web", check=1).stderr
    document = engine.container.inspect()
    document["State"]["Running"] = False
    engine.route("GET", ".*/json", document)
    assert b"You cannot attach to a stopped container, start it first" in engine.tare("attach", "web", check=1).stderr


def test_attach_ends_with_the_containers_code(engine):
    engine.container = Container(lambda stream: (stream.out(b"x"), 33)[1])
    engine.route("POST", ".*/attach", lambda r: (engine.attach(r), threading.Thread(
        target=engine.container.run, daemon=True).start(), "taken")[2])
    assert engine.tare("attach", "--no-stdin", "web", check=33).stdout == b"x"


def test_start(engine):
    done = engine.tare("start", "a", "b", check=0)
    assert done.stdout == b"a\nb\n"
    engine.container = Container(lambda stream: (stream.out(b"x"), 4)[1])
    assert engine.tare("start", "-a", "a", check=4).stdout == b"x"
    engine.route("POST", "/containers/bad/start", lambda r: r.answer(404, {"message": "No such container: bad"}))
    done = engine.tare("start", "bad", "b", check=1)
    assert done.stdout == b"b\n"
    assert done.stderr == b"Error response from daemon: No such container: bad\nError: failed to start containers: bad\n"


# Many at once


def test_stop_asks_all_at_once(engine):
    together = threading.Barrier(3)
    engine.route("POST", ".*/stop", lambda r: (together.wait(TIMEOUT), r.answer(204)))
    done = engine.tare("stop", "-t", "3", "-s", "INT", "a", "b", "c", check=0)
    assert done.stdout == b"a\nb\nc\n"
    assert all(r.query == {"signal": "INT", "t": "3"} for r in engine.asked("POST", ".*/stop"))


def test_one_of_many_fails(engine):
    engine.route("DELETE", "/containers/[ac]", lambda r: r.answer(204))
    engine.route("DELETE", "/containers/b", lambda r: r.answer(404, {"message": "No such container: b"}))
    done = engine.tare("rm", "a", "b", "c", check=1)
    assert (done.stdout, done.stderr) == (b"a\nc\n", b"Error response from daemon: No such container: b\n")
    engine.tare("rm", "-f", "a", "b", check=0)
    assert engine.asked("DELETE", "/containers/b")[1].query == {"force": "1", "link": "0", "v": "0"}


# Lists and templates

CONTAINERS = [
    {"Id": ID, "Names": ["/web"], "Image": "debian:12@sha256:" + "a" * 64, "ImageID": "sha256:" + "b" * 64,
     "Command": "sleep 1000000 and some more", "Created": int(time.time()) - 100, "State": "running", "Status": "Up 3 seconds",
     "Ports": [{"PrivatePort": 80, "Type": "tcp", "IP": "0.0.0.0", "PublicPort": 8080}, {"PrivatePort": 443, "Type": "tcp"},
               {"PrivatePort": 444, "Type": "tcp"}, {"PrivatePort": 53, "Type": "udp", "IP": "::", "PublicPort": 53}],
     "Labels": {"b": "2", "a": "1"}, "SizeRw": 1234567, "SizeRootFs": 123456789, "HostConfig": {"NetworkMode": "default"},
     "NetworkSettings": {"Networks": {"bridge": {}}},
     "Mounts": [{"Type": "volume", "Name": "f" * 64, "Driver": "local"}, {"Type": "bind", "Source": "/srv"}]},
    {"Id": "f" * 64, "Names": ["/x", "/other/link"], "Image": "sha256:" + "c" * 64, "ImageID": "sha256:" + "c" * 64,
     "Command": "\"quoted\"", "Created": 1600000000, "State": "exited", "Status": "Exited (0) 2 days ago", "Ports": [],
     "Labels": {}, "HostConfig": {}, "NetworkSettings": {"Networks": {}}, "Mounts": []},
]
IMAGES = [
    {"Id": "sha256:" + "1" * 64, "ParentId": "", "RepoTags": ["debian:12", "debian:latest"],
     "RepoDigests": ["debian@sha256:" + "2" * 64], "Created": 1600000000, "Size": 7660000, "SharedSize": -1, "Containers": -1,
     "Labels": {"x": "y"}},
    {"Id": "sha256:" + "3" * 64, "ParentId": "", "RepoTags": [], "RepoDigests": [], "Created": 1600000000, "Size": 0,
     "SharedSize": -1, "Containers": -1, "Labels": None},
    {"Id": "sha256:" + "4" * 64, "ParentId": "", "RepoTags": ["host:5000/a/b:1"], "RepoDigests": [], "Created": 1700000000,
     "Size": 123456789012, "SharedSize": 5, "Containers": 2, "Labels": {}},
]
HISTORY = [
    {"Id": "sha256:" + "1" * 64, "Created": 1600000000, "CreatedBy": "/bin/sh -c #(nop)\tCMD [\"bash\"] and more text than fits",
     "Tags": ["debian:12"], "Size": 0, "Comment": ""},
    {"Id": "<missing>", "Created": 0, "CreatedBy": "x", "Tags": None, "Size": 7660000, "Comment": "a comment"},
]
VOLUMES = {"Volumes": [{"Name": "v10", "Driver": "local", "Mountpoint": "/m10", "Scope": "local", "Labels": {"a": "b"}, "Options": {}},
                       {"Name": "v9", "Driver": "local", "Mountpoint": "/m9", "Scope": "local", "Labels": None, "Options": None}],
           "Warnings": None}
NETWORKS = [{"Name": f"front{n}", "Id": str(n) * 64, "Created": "2020-01-02T03:04:05.000000006Z", "Scope": "local", "Driver": "bridge",
             "EnableIPv4": True, "EnableIPv6": n == 2, "Internal": n == 1, "Labels": {"a": "b"} if n == 2 else {}} for n in (10 // 5, 1)]
EVENTS = [{"Type": "container", "Action": "die", "Actor": {"ID": ID, "Attributes": {"name": "web", "exitCode": "1"}},
           "scope": "local", "time": 1600000000, "timeNano": 1600000000000000005},
          {"Type": "image", "Action": "load", "Actor": {"ID": "sha256:x", "Attributes": {}}, "scope": "local", "time": 1600000001}]


def data_routes(engine):
    engine.route("GET", "/containers/json", CONTAINERS)
    engine.route("GET", "/images/json", IMAGES)
    engine.route("GET", "/images/.+/history", HISTORY)
    engine.route("GET", "/volumes", VOLUMES)
    engine.route("GET", "/networks", NETWORKS)
    engine.route("GET", "/networks/front1", NETWORKS[1])
    engine.route("POST", "/networks/create", {"Id": "3" * 64, "Warning": ""})
    engine.route("POST", "/networks/[^/]+/(connect|disconnect)", lambda r: r.answer(200))
    engine.route("DELETE", "/networks/front", lambda r: r.answer(204))
    engine.route("GET", "/events", lambda r: (r.begin(), [r.chunk(event) for event in EVENTS], r.end()))
    engine.route("GET", "/containers/.*/top", {"Titles": ["PID", "CMD"], "Processes": [["1", "init"], ["1000", "sleep 5"]]})
    engine.route("GET", "/containers/web/json", {
        "Id": ID, "Name": "/web", "State": {"Running": True, "Pid": 42, "ExitCode": 0}, "Config": {"Env": ["A=b"], "Labels": {}},
        "NetworkSettings": {"Ports": {"443/tcp": None, "80/tcp": [{"HostIp": "0.0.0.0", "HostPort": "8080"},
                                                              {"HostIp": "::", "HostPort": "8080"}],
                                      "9/udp": [{"HostIp": "0.0.0.0", "HostPort": "9"}]}}, "Empty": [], "None": {}})
    engine.route("DELETE", "/images/debian", [{"Untagged": "debian:12"}, {"Deleted": "sha256:" + "1" * 64}])
    engine.route("POST", "/volumes/create", {"Name": "made", "Driver": "local"})
    engine.route("POST", "/containers/prune", {"ContainersDeleted": ["a", "b"], "SpaceReclaimed": 1234567})
    engine.route("POST", "/images/prune", {"ImagesDeleted": [{"Untagged": "x:1"}, {"Deleted": "sha256:1"}], "SpaceReclaimed": 5})
    engine.route("POST", "/volumes/prune", {"VolumesDeleted": ["v"], "SpaceReclaimed": 0})
    engine.route("POST", "/networks/prune", {"NetworksDeleted": None})
    engine.route("POST", "/build/prune", {"CachesDeleted": None, "SpaceReclaimed": 0})
    engine.route("POST", "/containers/[^/]+/(pause|unpause|restart|stop|rename)", lambda r: r.answer(204))
    engine.route("POST", "/containers/[^/]+/update", {"Warnings": None})
    engine.route("POST", "/images/.+/tag", lambda r: r.answer(201))
    engine.route("DELETE", "/volumes/v", lambda r: r.answer(204))
    engine.route("GET", "/containers/[^/]+/logs",
                 lambda r: r.answer(200, frame(1, b"out\n") + frame(2, b"err\n"), "application/vnd.docker.multiplexed-stream"))


def test_system_prune_is_all_prunes_in_order(engine):
    for kind, member in (("containers", "ContainersDeleted"), ("networks", "NetworksDeleted"), ("volumes", "VolumesDeleted"),
                         ("images", "ImagesDeleted")):
        items = [{"Deleted": "gone"}] if kind == "images" else ["gone"]
        engine.route("POST", f"/{kind}/prune", {member: items, "SpaceReclaimed": 1000})
    done = engine.tare("system", "prune", "-f", "--filter", "label=a", check=0)
    assert done.stdout == b"Deleted Containers:\ngone\n\nDeleted Networks:\ngone\n\nDeleted Images:\ndeleted: gone\n\nTotal reclaimed space: 3kB\n"
    assert engine.order() == ["POST /containers/prune", "POST /networks/prune", "POST /images/prune"]
    assert json.loads(engine.asked("POST", "/images/prune")[0].query["filters"]) == {
        "label": {"a": True}, "dangling": {"true": True}}
    done = engine.tare("system", "prune", "-af", "--volumes", check=0)
    assert done.stdout.endswith(b"Total reclaimed space: 4kB\n")
    assert engine.order()[3:] == ["POST /containers/prune", "POST /networks/prune", "POST /volumes/prune", "POST /images/prune"]
    assert json.loads(engine.asked("POST", "/images/prune")[1].query["filters"]) == {"dangling": {"false": True}}
    done = engine.tare("system", "prune", "-f", "--volumes", "--filter", "until=1h")
    assert done.returncode != 0 and b'"until" filter is not supported with "--volumes"' in done.stderr
    done = engine.tare("system", "prune", "--volumes", input=b"n\n")
    assert done.returncode != 0 and b"all anonymous volumes" in done.stdout
    assert len(engine.order()) == 7


# Each is printed as Docker's own command prints it: compared where that command is at hand.
SAME_AS_DOCKER = [
    ["ps"], ["ps", "-a", "--no-trunc"], ["ps", "-q"], ["ps", "-s"], ["ps", "--format", "json"],
    ["ps", "--format", "{{.ID}}: {{.Names}} {{.Image}} {{.Ports}} {{.State}}"],
    ["ps", "--format", "table {{.Names}}\\t{{.Size}}\\t{{.Label \"a\"}}\t{{upper .ID}}"],
    ["ps", "--format", "{{.Labels}} {{.Mounts}} {{.Networks}} {{.LocalVolumes}} {{.CreatedAt}} {{.RunningFor}} {{json .Names}}"],
    ["images"], ["images", "--digests"], ["images", "-q"], ["images", "--no-trunc"],
    ["images", "--format", "{{.ID}} {{.Repository}}:{{.Tag}} {{.Size}} {{.CreatedAt}} {{.SharedSize}} {{.Containers}} {{.VirtualSize}}"],
    ["history", "debian"], ["history", "-H=false", "debian"], ["history", "--no-trunc", "debian"], ["history", "-q", "debian"],
    ["volume", "ls"], ["volume", "ls", "-q"], ["volume", "ls", "--format", "{{.Name}} {{.Mountpoint}} {{.Labels}} {{.Links}} {{.Size}}"],
    ["events"], ["events", "--format", "{{.Type}} {{.Actor.ID}}"],
    ["top", "web"], ["port", "web"], ["port", "web", "80"], ["port", "web", "9/udp"], ["port", "web", "443"], ["port", "web", "x"],
    ["inspect", "-f", "{{.State.Pid}} {{.Name}} {{json .Config.Env}} {{range .Config.Env}}{{.}}{{end}}", "web"],
    ["inspect", "-f", "{{.ID}} {{.State.Running}} {{len .Config.Labels}}", "web"],
    ["inspect", "-f", "{{range $p, $c := .NetworkSettings.Ports}}{{$p}} -> {{(index $c 0).HostPort}} {{break}}{{end}}", "web"],
    ["inspect", "--type", "container", "web"], ["inspect", "web"],
    ["network", "ls"], ["network", "ls", "-q"], ["network", "ls", "--no-trunc"], ["network", "ls", "--format", "json"],
    ["network", "ls", "--format", "{{.ID}} {{.CreatedAt}} {{.IPv4}} {{.IPv6}} {{.Internal}} {{.Labels}} {{.Label \"a\"}}"],
    ["network", "inspect", "front1"], ["network", "create", "made"], ["network", "rm", "front"], ["network", "prune", "-f"],
    ["network", "connect", "front", "web"], ["network", "disconnect", "front", "web"],
    ["rmi", "debian"], ["volume", "create", "made"], ["volume", "rm", "v"], ["pause", "web"], ["unpause", "a", "b"],
    ["restart", "web"], ["stop", "web"], ["rename", "web", "new"], ["tag", "debian", "x:1"], ["update", "--restart", "always", "web"],
    ["container", "prune", "-f"], ["image", "prune", "-f"], ["volume", "prune", "-f"], ["system", "prune", "-f"],
    ["system", "prune", "-af", "--volumes"],
    ["logs", "web"], ["wait", "web"], ["kill", "web"],
]


@pytest.mark.skipif(not (os.environ.get("TARE_TEST_DOCKER") or shutil.which("docker")), reason="no docker command")
@pytest.mark.parametrize("arguments", SAME_AS_DOCKER, ids=" ".join)
def test_prints_as_docker_does(engine, arguments):
    data_routes(engine)
    engine.container.code = 0
    engine.container.ended.set()
    ours = engine.tare(*arguments)
    our_requests = [r.target for r in engine.requests if "_ping" not in r.path]
    theirs = engine.tare(*arguments, program=os.environ.get("TARE_TEST_DOCKER") or shutil.which("docker"))
    if "json" in arguments:  # which characters of strings are escaped is no matter
        assert [json.loads(line) for line in ours.stdout.splitlines()] == [json.loads(line) for line in theirs.stdout.splitlines()]
    else:
        assert ours.stdout == theirs.stdout
    assert (ours.returncode, bool(ours.stderr)) == (theirs.returncode, bool(theirs.stderr)), (ours.stderr, theirs.stderr)
    assert our_requests


def clean(value):
    """Without members that say nothing: Docker's client sends all of them."""
    if isinstance(value, dict):
        members = {key: clean(member) for key, member in value.items()}
        return {key: member for key, member in members.items() if member not in (None, "", 0, False, [], {}, [0, 0])}
    if isinstance(value, list):
        return [clean(member) for member in value]
    return value


RUN_LINES = [
    ["debian"],
    ["-e", "A=b", "-l", "x=y", "-w", "/srv", "-u", "1000:1000", "--memory", "64m", "--cpus", "0.5", "--pids-limit", "50",
     "--restart", "on-failure:3", "--name", "web", "-v", "/srv:/srv:ro", "-v", "/anon", "-v", "named:/x", "debian:12", "ls", "-l"],
    ["-p", "8080:80", "-p", "127.0.0.1:53:53/udp", "-p", "9000-9002:90-92", "--expose", "70-71", "--network", "host", "debian"],
    ["--network", "name=front,alias=a,ip=10.0.0.5", "--link", "x:y", "--dns", "9.9.9.9", "--dns-search", "a.b", "--dns-opt", "n:1",
     "--add-host", "h:1.2.3.4", "--hostname", "h", "--domainname", "d", "--mac-address", "92:d0:c6:0a:29:33", "debian"],
    ["--mount", "type=bind,src=/a,dst=/b,ro,bind-propagation=rslave", "--mount", "type=tmpfs,dst=/t,tmpfs-size=1m,tmpfs-mode=1770",
     "--mount", "type=volume,src=v,dst=/v,volume-nocopy,volume-label=a=b,volume-opt=o=p,volume-driver=d", "--tmpfs", "/run:ro,size=5m",
     "--volumes-from", "c", "--volume-driver", "d", "--read-only", "debian"],
    ["--cap-add", "CAP_NET_ADMIN", "--cap-drop", "CAP_MKNOD", "--security-opt", "no-new-privileges", "--security-opt", "seccomp=unconfined",
     "--privileged", "--device", "/dev/null:/dev/x:rw", "--device-cgroup-rule", "c 1:3 mr", "--group-add", "5", "--userns", "host",
     "--ulimit", "nofile=10:20", "--sysctl", "net.a=b", "--ipc", "host", "--pid", "host", "--uts", "host", "--cgroupns", "host", "debian"],
    ["--health-cmd", "x", "--health-interval", "3s", "--health-timeout", "4s", "--health-retries", "5", "--health-start-period", "6s",
     "--health-start-interval", "7s", "--stop-signal", "INT", "--stop-timeout", "5", "--init", "--shm-size", "5m", "--runtime", "r",
     "--entrypoint", "/x", "--log-driver", "json-file", "--log-opt", "max-size=1m", "--annotation", "a=b", "debian"],
    ["--blkio-weight", "100", "--blkio-weight-device", "/dev/a:100", "--device-read-bps", "/dev/a:1m", "--device-write-bps", "/dev/a:1k",
     "--device-read-iops", "/dev/a:5", "--device-write-iops", "/dev/a:6", "--cpu-period", "1", "--cpu-quota", "2", "--cpu-shares", "3",
     "--cpuset-cpus", "0", "--cpuset-mems", "0", "--memory-reservation", "5m", "--memory-swap", "-1", "--memory-swappiness", "7",
     "--oom-score-adj", "8", "--oom-kill-disable", "--cgroup-parent", "/p", "--gpus", "all", "--storage-opt", "a=b", "debian"],
    ["-i", "-a", "stdin", "-a", "stdout", "debian"],
    ["--no-healthcheck", "--entrypoint", "", "--security-opt", "systempaths=unconfined", "-P", "--rm", "debian"],
]


@pytest.mark.skipif(not (os.environ.get("TARE_TEST_DOCKER") or shutil.which("docker")), reason="no docker command")
@pytest.mark.parametrize("arguments", RUN_LINES, ids=lambda line: line[0])
def test_creates_what_docker_creates(engine, arguments):
    bodies = []
    for program in (engine.program, os.environ.get("TARE_TEST_DOCKER") or shutil.which("docker")):
        engine.container = Container()
        engine.requests.clear()
        engine.tare("run", *arguments, program=program, check=0)
        request = engine.asked("POST", "/containers/create")[0]
        body = clean(request.json())
        if body["HostConfig"].get("MemorySwappiness") == -1:
            del body["HostConfig"]["MemorySwappiness"]
        for name in ("Binds",):
            body["HostConfig"].get(name, []).sort()
        bodies.append((request.query, body))
    assert bodies[0] == bodies[1]


NETWORK_LINES = [
    ["create", "made"],
    ["create", "-d", "macvlan", "--internal", "--attachable", "--ipv6", "--ipv4=false", "--label", "a=b", "-o", "parent=eth0", "--scope", "local",
     "--ipam-driver", "default", "--ipam-opt", "x=y", "made"],
    ["create", "--subnet", "10.0.0.0/16,fd00::/64", "--ip-range", "10.0.5.0/24", "--gateway", "fd00::9", "--gateway", "10.0.0.9",
     "--aux-address", "a=10.0.5.7", "--aux-address", "b=fd00::7", "made"],
    ["create", "--gateway", "10.0.0.9", "made"],
    ["create", "--subnet", "10.0.0.0/16", "--gateway", "10.1.0.9", "made"],
    ["create", "--subnet", "10.0.0.0/16", "--gateway", "10.0.0.9", "--gateway", "10.0.0.8", "made"],
    ["create", "--subnet", "10.0.0.0/16", "--aux-address", "a=10.1.0.9", "made"],
    ["connect", "--ip", "10.0.0.9", "--ip6", "fd00::9", "--alias", "a,b", "--link", "c:d", "--link-local-ip", "169.254.1.1",
     "--driver-opt", "x=y", "--gw-priority", "-3", "front", "web"],
    ["disconnect", "-f", "front", "web"],
]


@pytest.mark.skipif(not (os.environ.get("TARE_TEST_DOCKER") or shutil.which("docker")), reason="no docker command")
@pytest.mark.parametrize("arguments", NETWORK_LINES, ids=" ".join)
def test_asks_of_networks_what_docker_asks(engine, arguments):
    data_routes(engine)
    outcomes = []
    for program in (engine.program, os.environ.get("TARE_TEST_DOCKER") or shutil.which("docker")):
        engine.requests.clear()
        done = engine.tare("network", *arguments, program=program)
        asked = [(r.path, clean(r.json())) for r in engine.requests if r.method == "POST"]
        for _, body in asked:  # Docker's command has them in a map's order
            body.get("IPAM", {}).get("Config", []).sort(key=lambda pool: pool["Subnet"])
        outcomes.append((done.returncode, asked))
    assert outcomes[0] == outcomes[1]


def test_inspect_finds_any_kind(engine):
    engine.route("GET", "/(containers|images|networks)/.*", lambda r: r.answer(404, {"message": "No such thing"}))
    engine.route("GET", "/volumes/data", {"Name": "data"})
    engine.route("GET", "/volumes/nope", lambda r: r.answer(404, {"message": "get nope: no such volume"}))
    done = engine.tare("inspect", "data", "nope", check=1)
    assert done.stdout == b'[\n    {\n        "Name": "data"\n    }\n]\n'
    assert done.stderr == b"error: no such object: nope\n"
    assert engine.tare("inspect", "-f", "{{.Nothing}}", "data", check=1).stderr == (
        b'template parsing error: template: :1:3: map has no entry for key "Nothing"\n')
    assert engine.tare("inspect", "-f", "{{.Nothing", "data", check=64).stderr.startswith(b"template parsing error")


def test_filters_and_times_in_the_request(engine):
    data_routes(engine)
    engine.tare("ps", "-f", "status=exited", "-f", "Label=a=b", "-n", "3", check=0)
    query = engine.asked("GET", "/containers/json")[0].query
    assert json.loads(query["filters"]) == {"status": {"exited": True}, "label": {"a=b": True}}
    assert query["limit"] == "3"
    engine.tare("logs", "--since", "2020-09-13T12:26:40Z", "--until", "1600000001", "--tail", "5", "-t", "web", check=0)
    query = engine.asked("GET", ".*/logs")[0].query
    assert query == {"stdout": "1", "stderr": "1", "follow": "0", "timestamps": "1", "details": "0", "tail": "5",
                     "since": "1600000000.000000000", "until": "1600000001"}
    engine.tare("events", "--since", "1h", check=0)
    assert abs(float(engine.asked("GET", "/events")[0].query["since"]) - time.time() + 3600) < 60
    assert b"bad format of filter" in engine.tare("ps", "-f", "x", check=1).stderr


def test_version_without_an_engine(engine):
    engine.route("GET", "/version", lambda r: r.answer(500, {"message": "broken"}))
    done = engine.tare("version", check=1)
    assert done.stdout.startswith(b"Client:\n Version:") and b"Server" not in done.stdout
    assert done.stderr == b"Error response from daemon: broken\n"


def test_adopts_an_older_version(engine):
    def listing(request):
        if request.target.startswith("/v1.41/"):
            request.answer(200, [])
        else:
            request.answer(400, {"message": "client version 1.50 is too new. Maximum supported API version is 1.41"})

    engine.route("GET", "/containers/json", listing)
    engine.tare("ps", check=0)


# load, and bodies on their way


def test_load_streams_and_shows_progress(engine, tmp_path):
    archive = tmp_path / "image.tar"
    archive.write_bytes(os.urandom(500000))

    def load(request):
        request.begin()
        request.chunk({"status": "Loading layer", "progressDetail": {"current": 1, "total": 2}, "id": "abc"})
        request.chunk({"stream": "Loaded image: debian:12\n"})
        request.end()

    engine.route("POST", "/images/load", load)
    assert engine.tare("load", "-i", archive, check=0).stdout == b"Loaded image: debian:12\n"
    assert engine.requests[0].body == archive.read_bytes()
    assert engine.tare("load", input=archive.read_bytes(), check=0).stdout == b"Loaded image: debian:12\n"
    assert engine.requests[1].body == archive.read_bytes()
    screen = terminal(engine, "load", "-i", archive, columns=120)
    screen.expect("abc: Loading layer [=========================>                         ]       1B/2B")
    screen.expect("Loaded image: debian:12")
    assert screen.wait() == 0


def test_load_errors(engine, tmp_path):
    engine.route("POST", "/images/load", lambda r: (r.begin(), r.chunk({"errorDetail": {"message": "bad tar"}}), r.end()))
    assert engine.tare("load", input=b"x", check=1).stderr == b"bad tar\n"
    assert b"open /nonexistent" in engine.tare("load", "-i", "/nonexistent", check=1).stderr


def test_upload_refused_in_the_middle(engine, tmp_path):
    archive = tmp_path / "image.tar"
    with open(archive, "wb") as file:
        file.truncate(64 << 20)

    def refuse(request):
        request.answer(413, {"message": "too much"}, headers="Connection: close\r\n")
        request.connection.shutdown(socket.SHUT_WR)
        while request.connection.recv(65536):
            pass

    refuse.early = True
    engine.route("POST", "/images/load", refuse)
    assert engine.tare("load", "-i", archive, check=1).stderr == b"Error response from daemon: too much\n"


# Wrong answers


@pytest.mark.parametrize("answer, words", [
    (b"", b"closed the connection"),
    (b"HTTP/1.1 200 OK\r\nContent-Le", b"closed the connection"),
    (b"SSH-2.0-x\r\n\r\n", b"does not speak HTTP"),
    (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\n[1", b"error reading the engine's answer"),
    (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[x", b""),
    (b"HTTP/1.1 500 X\r\nContent-Length: 4\r\n\r\noops", b"Error response from daemon: oops"),
])
def test_broken_answers(engine, answer, words):
    def broken(request):
        request.send(answer)
        request.connection.shutdown(socket.SHUT_RDWR)

    engine.route("GET", "/containers/json", broken)
    done = engine.tare("ps", check=1)
    assert words in done.stderr and done.stdout == b""


def test_full_output_is_an_error(engine):
    data_routes(engine)
    with open("/dev/full", "w") as full:
        done = subprocess.run([engine.program, "ps"], env=engine.env, stdout=full, stderr=subprocess.PIPE, timeout=TIMEOUT)
    assert done.returncode == 1 and b"cannot write to standard output" in done.stderr


# The engine is started if there is none. In a mount namespace with a /run of its own.

TARED = """#!/usr/bin/python3
import json, os, socket, sys
fds = sorted(os.listdir("/proc/self/fd"), key=int)[:-1]  # the last one is the listing's own
with open("/run/starts", "a") as log:
    log.write(json.dumps({"argv": sys.argv, "env": dict(os.environ), "session": os.getsid(0) == os.getpid(), "cwd": os.getcwd(),
                          "fds": fds}) + "\\n")
print("a line in the log", file=sys.stderr, flush=True)
if BROKEN:
    sys.exit(3)
server = socket.socket(socket.AF_UNIX)
server.bind("/run/tare/tare.sock")
server.listen(64)
for _ in range(CONNECTIONS):
    connection, _ = server.accept()
    if connection.recv(65536):
        connection.sendall(b"HTTP/1.1 200 OK\\r\\nContent-Length: 2\\r\\nConnection: close\\r\\n\\r\\n[]")
    connection.close()
"""


def launch(tmp_path, script, connections=0, broken=False):
    """Runs the script where /run is empty, and ends what it started with it."""
    tared = tmp_path / "tared"
    tared.write_text(TARED.replace("BROKEN", str(broken)).replace("CONNECTIONS", str(connections)))
    tared.chmod(0o755)
    env = {"PATH": os.environ["PATH"], "TARE_LIBEXEC": str(tmp_path), "SECRET": "x", "TARE": str(PROGRAMS / "tare"),
           "ASAN_OPTIONS": "detect_leaks=0"}  # a search for leaks needs a /proc that fits the PID namespace
    return subprocess.run(["unshare", "-m", "-p", "--fork", "--kill-child", "--propagation", "private", "sh", "-c", f"mount -t tmpfs none /run && {script}; exit $?"], env=env,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=60)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can start the engine")
def test_many_commands_start_one_engine(tmp_path):
    commands = 8
    # each command looks at the socket at least once more than it asks
    done = launch(tmp_path, f"for i in $(seq {commands}); do $TARE ps -q 7</dev/null & done; wait; cat /run/starts /run/tare/tared.log",
                  connections=1000)
    assert done.stderr == ""
    start, log = done.stdout.splitlines()
    assert log == "a line in the log"
    start = json.loads(start)
    assert start["argv"] == [str(tmp_path / "tared")] and start["session"] and start["cwd"] == "/"
    assert sorted(start["env"]) in (["PATH", "TARE_LIBEXEC"], ["LC_CTYPE", "PATH", "TARE_LIBEXEC"])
    assert start["fds"] == ["0", "1", "2"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can start the engine")
def test_an_engine_that_does_not_come(tmp_path):
    done = launch(tmp_path, "$TARE ps", broken=True)
    assert (done.returncode, done.stderr) == (1, "the engine was started but ended with code 3: see /run/tare/tared.log\n")
    done = launch(tmp_path, "TARE_LIBEXEC=/nonexistent PATH=/nonexistent exec $TARE ps")
    assert done.returncode == 1 and "tared is neither in" in done.stderr
    done = launch(tmp_path, "exec setpriv --reuid 65534 --clear-groups $TARE ps")
    assert done.returncode == 1 and "Only root can start it" in done.stderr
    done = launch(tmp_path, "mkdir -m 700 /run/tare; exec setpriv --reuid 65534 --clear-groups $TARE ps")
    assert done.returncode == 1 and "add yourself to the group tare" in done.stderr


# Usage


@pytest.mark.parametrize("arguments, code, words", [
    (["nosuch"], 1, "tare: unknown command: tare nosuch"),
    (["imgaes"], 1, "Did you mean 'tare images'?"),
    (["container", "lss"], 1, "Did you mean 'tare container ls'?"),
    (["run", "--detahc", "x"], 125, "unknown flag: --detahc (did you mean --detach?)"),
    (["ps", "-z"], 125, "unknown shorthand flag: 'z' in -z"),
    (["--nonsense"], 125, "unknown flag: --nonsense"),
    (["ps", "x"], 1, "tare: 'tare ps' accepts no arguments"),
    (["rm"], 1, "tare: 'tare rm' requires at least 1 argument"),
    (["tag", "a"], 1, "tare: 'tare tag' requires 2 arguments"),
    (["exec", "a"], 1, "tare: 'tare exec' requires at least 2 arguments"),
    (["stop", "-t", "x", "a"], 125, 'invalid argument "x" for "-t, --timeout" flag'),
    (["run", "-p", "x", "a"], 125, "tare: invalid containerPort: x"),
    (["run", "-d", "-a", "stdin", "a"], 125, "cannot specify both --attach and --detach"),
    (["-H", "tcp://x:1", "ps"], 1, "unable to parse host tcp://x:1"),
    (["-H", "unix:///nonexistent", "ps"], 1, "Cannot connect to the engine at unix:///nonexistent"),
])
def test_wrong_use(engine, arguments, code, words):
    done = engine.tare(*arguments, check=code)
    assert words in done.stderr.decode()
    assert not engine.order()


def test_help_everywhere(engine):
    top = engine.tare("--help", check=0).stdout.decode()
    assert "Commands:" in top and "  ps " in top and "man " not in top
    assert engine.tare("help", check=0).stdout.decode() == top
    assert engine.tare(check=0).stdout.decode() == top
    one = engine.tare("run", "--help", check=0).stdout.decode()
    assert one.startswith("Usage:  tare run [OPTIONS] IMAGE [COMMAND] [ARG...]\n") and "-e, --env list" in one
    assert engine.tare("help", "run", check=0).stdout.decode() == one
    assert b"Usage:  tare volume COMMAND" in engine.tare("volume", check=0).stdout
    assert engine.tare("--version", check=0).stdout.startswith(b"tare version ")


def test_completion_scripts_parse(engine, tmp_path):
    for shell in ("bash", "zsh", "fish"):
        script = engine.tare("completion", shell, check=0).stdout
        path = tmp_path / shell
        path.write_bytes(script)
        if shutil.which(shell):
            subprocess.run([shell, "-n", path], check=True)
    lines = ("COMP_WORDS=(tare container st); COMP_CWORD=2; _tare; echo ${COMPREPLY[@]}\n"
             "COMP_WORDS=(tare run --det); COMP_CWORD=2; _tare; echo ${COMPREPLY[@]}\n"
             "COMP_WORDS=(tare star); COMP_CWORD=1; _tare; echo ${COMPREPLY[@]}\n")
    out = subprocess.run(["bash", "-c", f". {tmp_path}/bash\n{lines}"], stdout=subprocess.PIPE, text=True, check=True).stdout
    assert out == "stop start stats\n--detach --detach-keys\nstart\n" or sorted(out.split("\n")[0].split()) == ["start", "stats", "stop"]
    data_routes(engine)
    ask = f"tare() {{ {engine.program} \"$@\"; }}; COMP_WORDS=(tare rm we); COMP_CWORD=2; _tare; echo ${{COMPREPLY[@]}}"
    out = subprocess.run(["bash", "-c", f". {tmp_path}/bash\n{ask}"], stdout=subprocess.PIPE, text=True, env=engine.env).stdout
    assert out == "web\n"


def test_every_command_has_its_page(engine):
    pages = engine.tare("man", "--list", check=0).stdout.decode().split()
    built = sorted(path.name for path in (PROGRAMS.parents[1] / "man").glob("*.1"))
    assert sorted(f"{page}.1" for page in pages) == built
