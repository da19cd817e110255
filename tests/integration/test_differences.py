"""What was found to differ from Docker 28 when the same commands were given to both: wordings that tools match on, exit codes,
and answers that the stock command depends on. The expected texts are what a dockerd 28.5 answered."""
import ctypes
import io
import json
import os
import re
import subprocess
import tarfile
import threading
import time

import pytest

from harness import images
from harness.engine import PROGRAMS, TIMEOUT, UnixConnection, wait_for


@pytest.fixture
def docker(engine):
    def run(*arguments, **options):
        return engine.docker(*arguments, **{"check": False, **options})
    yield run
    left = engine.docker("ps", "-aq").stdout.split()
    if left:
        engine.docker("rm", "-f", *left)


def create(engine, document, name=""):
    return engine.api("POST", f"/containers/create?name={name}", {"Image": "busybox", **document})


# --- starts that fail ---

@pytest.mark.parametrize("arguments, code, text", [
    (["busybox", "nosuch"], 127, 'exec: "nosuch": executable file not found in $PATH'),
    (["busybox", "/etc"], 126, 'exec: "/etc": is a directory: permission denied'),
    (["--device", "/dev/nosuch", "busybox", "true"], 127,
     'error gathering device information while adding custom device "/dev/nosuch": no such file or directory'),
    (["--mount", "type=bind,src=/nosuch,dst=/s", "busybox", "true"], 125,
     'invalid mount config for type "bind": bind source path does not exist: /nosuch'),
    (["--network", "bogus", "busybox", "true"], 125, "failed to set up container networking: network bogus not found"),
    (["--network", "container:nosuch", "busybox", "true"], 125,
     "joining network namespace of container: No such container: nosuch"),
    (["--pid", "container:nosuch", "busybox", "true"], 125, "No such container: nosuch"),
    (["--ipc", "container:nosuch", "busybox", "true"], 125, "No such container: nosuch"),
    (["--volumes-from", "nosuch", "busybox", "true"], 125, "No such container: nosuch"),
])
def test_run_says_once_why_it_failed(docker, arguments, code, text):
    done = docker("run", "--rm", *arguments)
    lines = [line for line in done.stderr.splitlines() if line]
    assert done.returncode == code, done.stderr
    assert len(lines) == 2 and lines[0].startswith("docker: Error response from daemon: ") and lines[0].endswith(text), done.stderr
    assert lines[1] == "Run 'docker run --help' for more information"
    assert docker("ps", "-aq").stdout == ""


def test_what_never_ran_stays_created(docker):
    docker("create", "--name", "never", "busybox", "nosuch")
    assert docker("start", "never").returncode == 1
    state = json.loads(docker("inspect", "-f", "{{json .State}}", "never").stdout)
    assert (state["Status"], state["ExitCode"]) == ("created", 127) and "executable file not found" in state["Error"]
    assert state["StartedAt"] == state["FinishedAt"] == "0001-01-01T00:00:00Z"
    assert docker("ps", "-a", "--format", "{{.State}} {{.Status}}").stdout == "created Created\n"
    assert docker("wait", "never").stdout == "127\n"


def test_a_joined_network_may_come_later(docker):
    """Created and attached to before it is there, as Compose does; the start alone needs it."""
    assert docker("create", "--name", "joiner", "--network", "container:late", "busybox", "cat", "/etc/hostname").returncode == 0
    assert "No such container: late" in docker("start", "-a", "joiner").stderr
    docker("run", "-d", "--name", "late", "-h", "late-host", "busybox", "sleep", "1000")
    assert docker("start", "-a", "joiner").stdout == "late-host\n"


# --- words ---

def test_refusals_are_worded_as_dockers(engine, docker):
    docker("run", "-d", "--name", "one", "busybox", "sleep", "1000")
    docker("create", "--name", "two", "busybox")
    container = docker("inspect", "-f", "{{.Id}}", "one").stdout.strip()
    for arguments, text in {
        ("rm", "one"): 'cannot remove container "one": container is running: stop the container before removing or force remove',
        ("kill", "nosuch"): "cannot kill container: nosuch: No such container: nosuch",
        ("kill", "-s", "BOGUS", "one"): "cannot kill container: one: invalid signal: BOGUS",
        ("kill", "-s", "99", "one"): "cannot kill container: one: the linux daemon does not support signal 99",
        ("container", "prune", "-f", "--filter", "until=x"): 'failed to parse value as time or duration: "x"',
        ("create", "--cpuset-cpus", "x", "busybox"): "Invalid value x for cpuset cpus: invalid format: x",
        ("stop", "--signal", "BOGUS", "one"): "cannot stop container: one: invalid signal: BOGUS",
        ("rename", "one", "bad name"):
            "Error when allocating new name: Invalid container name (bad name), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed",
        ("volume", "create", "x"): "create x: volume name is too short, names should be at least two alphanumeric characters",
        ("volume", "create", "-d", "bogus", "vol"): 'create vol: error looking up volume plugin bogus: plugin "bogus" not found',
        ("create", "--cap-add", "bogus", "busybox"): 'invalid CapAdd: unknown capability: "CAP_BOGUS"',
        ("create", "--stop-signal", "BOGUS", "busybox"): "invalid signal: BOGUS",
        ("create", "--log-driver", "bogus", "busybox"): 'error looking up logging plugin bogus: plugin "bogus" not found',
        ("create", "--tmpfs", "/t:bogus", "busybox"): 'invalid tmpfs option "bogus"',
    }.items():
        assert docker(*arguments).stderr.splitlines()[0] == f"Error response from daemon: {text}"
    assert engine.api("POST", "/containers/one/pause")[0] == 204
    status, answer = engine.api("POST", "/containers/one/pause")
    assert (status, answer["message"]) == (409, f"Container {container} is already paused")
    assert engine.api("POST", "/containers/create", {}) == (
        400, {"message": "config cannot be empty in order to create a container"})


def test_published_ports_without_a_network_are_no_news(docker):
    assert docker("run", "--rm", "--network", "none", "-p", "80:80", "busybox", "true").stderr == ""


# --- documents ---

def test_inspect_shows_what_docker_shows(engine, docker):
    status, made = create(engine, {"Volumes": {}}, "shown")
    assert status == 201
    shown = engine.api("GET", f"/containers/{made['Id']}/json")[1]
    assert shown["Config"]["Volumes"] is None
    assert shown["HostConfig"]["MaskedPaths"] == [
        "/proc/asound", "/proc/acpi", "/proc/interrupts", "/proc/kcore", "/proc/keys", "/proc/latency_stats", "/proc/timer_list",
        "/proc/timer_stats", "/proc/sched_debug", "/proc/scsi", "/sys/firmware", "/sys/devices/virtual/powercap"]


def test_hosts_has_the_domain(docker):
    command = ("-h", "box", "--domainname", "dom.example", "busybox", "cat", "/etc/hosts")
    assert re.search("^172[0-9.]+\tbox.dom.example box$", docker("run", "--rm", *command).stdout, re.M)
    assert "127.0.1.1\tbox.dom.example box\n" in docker("run", "--rm", "--network", "none", *command).stdout


# --- execs that fail ---

@pytest.mark.parametrize("arguments, code, text", [
    (["nosuch"], 127, 'exec: "nosuch": executable file not found in $PATH'),
    (["/etc"], 126, 'exec: "/etc": is a directory: permission denied'),
    (["/etc/passwd"], 126, 'exec: "/etc/passwd": permission denied'),
    (["/nosuch/x"], 127, 'exec: "/nosuch/x": stat /nosuch/x: no such file or directory'),
    (["-w", "/nosuch", "true"], 127, 'chdir to cwd ("/nosuch") set in config.json failed: no such file or directory'),
])
def test_exec_says_why_it_failed(engine, docker, arguments, code, text):
    docker("run", "-d", "--name", "box", "busybox", "sleep", "1000")
    options, command = (arguments[:2], arguments[2:]) if arguments[0] == "-w" else ([], arguments)
    sentence = "OCI runtime exec failed: exec failed: unable to start container process: " + text
    for client in (docker, engine.tare):
        done = client("exec", *options, "box", *command, check=False)
        assert (done.returncode, done.stdout) == (code, sentence + "\n")
        done = client("exec", "-d", *options, "box", *command, check=False)
        assert done.returncode == 1 and done.stderr.rstrip() == f"Error response from daemon: {sentence}"
    assert docker("inspect", "-f", "{{json .ExecIDs}}", "box").stdout == "null\n"
    assert docker("events", "--since", "1h", "--until", str(time.time() + 0.1), "--filter", "event=exec_failed").stdout == ""


def test_exec_of_a_user_that_is_not_there(engine, docker):
    docker("run", "-d", "--name", "box", "busybox", "sleep", "1000")
    for client in (docker, engine.tare):
        for options in ((), ("-d",), ("-t",)):
            done = client("exec", *options, "-u", "nobody", "box", "true", check=False)
            assert done.returncode == 1
            assert done.stderr.rstrip() == "Error response from daemon: unable to find user nobody: no matching entries in passwd file"
    assert docker("inspect", "-f", "{{json .ExecIDs}}", "box").stdout == "null\n"


def test_exec_documents(engine, docker):
    docker("run", "-d", "--name", "box", "busybox", "sleep", "1000")
    for body, text in {
        '{"Cmd":["true"],"DetachKeys":"bogus"}': "Invalid escape keys (bogus) provided",
        '{"Cmd":"true"}': "Cmd",
    }.items():
        status, answer = engine.api("POST", "/containers/box/exec", json.loads(body))
        assert status == 400 and text in answer["message"]
    made = engine.api("POST", "/containers/box/exec", {"Cmd": ["true"], "DetachKeys": "ctrl-a,x", "AttachStdout": True})[1]["Id"]
    assert engine.api("POST", f"/exec/{made}/start", {"Detach": True})[0] == 200
    shown = wait_for(lambda: (found := engine.api("GET", f"/exec/{made}/json")[1])["ExitCode"] is not None and found, "the end")
    assert (shown["DetachKeys"], shown["OpenStdout"], shown["CanRemove"], shown["ExitCode"]) == ("AXg=", True, False, 0)


# --- volumes with options, and parts of volumes ---

@pytest.fixture
def named(docker):
    """Makes volumes with options; they are gone at the end."""
    names = []

    def make(name, **options):
        names.append(name)
        return docker("volume", "create", *(word for key, value in options.items() for word in ("-o", f"{key}={value}")), name)
    yield make
    for container in docker("ps", "-aq").stdout.split():
        docker("rm", "-f", container)
    docker("volume", "rm", "-f", *names)


@pytest.mark.parametrize("program", ["docker", "tare"])
def test_a_volume_of_another_filesystem(engine, docker, named, program):
    client = docker if program == "docker" else engine.tare
    named("mem", type="tmpfs", device="tmpfs", o="size=1m,uid=1000,noexec")
    assert json.loads(docker("volume", "inspect", "-f", "{{json .Options}}", "mem").stdout) == \
        {"type": "tmpfs", "device": "tmpfs", "o": "size=1m,uid=1000,noexec"}
    mounted = client("run", "--rm", "-v", "mem:/x", "busybox", "sh", "-c", "grep ' /x ' /proc/mounts; stat -c %u /x; echo a >/x/f").stdout
    assert mounted.startswith("tmpfs /x tmpfs rw,noexec,relatime,size=1024k,uid=1000") and mounted.endswith("\n1000\n")
    assert client("run", "--rm", "-v", "mem:/x:ro", "busybox", "sh", "-c", "ls /x; touch /x/f", check=False).stderr == \
        "touch: /x/f: Read-only file system\n"
    docker("run", "-d", "--name", "has", "-v", "mem:/x", "busybox", "sleep", "1000")
    second = client("run", "--rm", "-v", "mem:/x", "busybox", "true", check=False)
    assert second.returncode == 125 and "volume mem is a tmpfs that another running container has" in second.stderr
    named("nfs", type="nfs", device=":/x", o="addr=127.0.0.1")
    assert client("run", "--rm", "-v", "nfs:/x", "busybox", "true", check=False).returncode == 125
    asked = client("run", "--rm", "--mount", "type=volume,src=asked,dst=/x,volume-opt=type=tmpfs,volume-opt=device=tmpfs,volume-opt=o=size=2m",
                   "busybox", "grep", " /x ", "/proc/mounts")
    assert "size=2048k" in asked.stdout
    docker("volume", "rm", "asked")


def test_a_volume_that_is_a_folder_of_the_host(engine, docker, named, tmp_path):
    (tmp_path / "file").write_text("host\n")
    named("bound", type="none", device=tmp_path, o="bind")
    assert docker("run", "--rm", "-v", "bound:/x", "busybox", "sh", "-c", "cat /x/file; echo own >/x/made").stdout == "host\n"
    assert (tmp_path / "made").read_text() == "own\n"
    named("kept", type="none", device=tmp_path, o="bind,ro")
    assert "Read-only" in docker("run", "--rm", "-v", "kept:/x", "busybox", "touch", "/x/file").stderr
    docker("create", "--name", "copied", "-v", "bound:/x", "busybox")
    with tarfile.open(fileobj=io.BytesIO(docker("cp", "copied:/x/made", "-", text=False).stdout)) as tar:
        assert tar.extractfile("made").read() == b"own\n"
    (tmp_path / "empty").mkdir()
    named("filled", type="none", device=tmp_path / "empty", o="bind")
    docker("run", "--rm", "-v", "filled:/etc", "busybox", "true")
    assert (tmp_path / "empty/passwd").exists()
    named("lost", type="none", device="/nosuch", o="bind")
    done = docker("run", "--rm", "-v", "lost:/x", "busybox", "true")
    mountpoint = engine.data / "volumes/lost/_data"
    assert done.returncode == 127 and f"error while mounting volume '{mountpoint}': failed to mount local volume: mount /nosuch:{mountpoint}" in done.stderr


def test_options_of_a_volume_are_looked_at(docker, named):
    for options, text in {
        (("type", "tmpfs"),): 'missing required option: "device"',
        (("device", "tmpfs"),): 'missing required option: "type"',
        (("bogus", "x"),): 'invalid option: "bogus"',
        (("size", "10m"),): "quota size requested but no quota support",
    }.items():
        assert named("wrong", **dict(options)).stderr == f"Error response from daemon: create wrong: {text}\n"
    assert named("plain", type="", device="", o="").returncode == 0
    assert docker("run", "--rm", "-v", "plain:/x", "busybox", "touch", "/x/f").returncode == 0


def part(docker, path, *command, name="whole"):
    return docker("run", "--rm", "--mount", f"type=volume,src={name},dst=/y,volume-subpath={path}", "busybox", *command)


def test_a_part_of_a_volume(engine, docker, named):
    named("whole")
    docker("run", "--rm", "-v", "whole:/x", "busybox", "sh", "-c",
           "mkdir -p /x/sub/dir; echo a >/x/f; echo b >/x/sub/dir/f; ln -s dir /x/sub/ln; ln -s / /x/sub/esc; ln -s ../../.. /x/up; ln -s /f /x/abs")
    assert part(docker, "sub/dir", "cat", "/y/f").stdout == "b\n"
    assert part(docker, "sub/ln", "cat", "/y/f").stdout == "b\n"
    assert part(docker, "f", "cat", "/y").stdout == "a\n"
    assert part(docker, "sub/../sub", "ls", "/y").stdout == "dir\nesc\nln\n"
    for path in ("sub/esc", "up", "abs"):
        done = part(docker, path, "ls", "/y")
        assert done.returncode == 125 and f"path concatenation escapes the base directory, base: {engine.data}/volumes/whole/_data" in done.stderr
    for path in ("/sub", "../x", "sub/../../x"):
        assert "subpath must be a relative path within the volume" in part(docker, path, "ls", "/y").stderr
    assert part(docker, "nosuch", "ls", "/y").returncode == 127
    assert "must not set Subpath when using anonymous volumes" in part(docker, "sub", "true", name="").stderr
    docker("create", "--name", "parts", "--mount", "type=volume,src=whole,dst=/y,volume-subpath=sub/dir", "busybox", "cat", "/y/f")
    with tarfile.open(fileobj=io.BytesIO(docker("cp", "parts:/y/f", "-", text=False).stdout)) as tar:
        assert tar.extractfile("f").read() == b"b\n"
    assert docker("start", "-a", "parts").stdout == "b\n"
    assert "cannot be handed on" in docker("run", "--rm", "--volumes-from", "parts", "busybox", "true").stderr


def test_a_part_of_a_volume_that_is_swapped(engine, docker, named, tmp_path):
    """The volume's folder and a link out of it change places all the while: what is mounted lies in the volume, or nothing is."""
    (tmp_path / "canary").write_text("host\n")
    named("whole")
    docker("run", "--rm", "-v", "whole:/x", "busybox", "sh", "-c", "mkdir /x/a /x/a/b; echo inside >/x/a/b/f")
    data = engine.data / "volumes/whole/_data"
    (tmp_path / "b").mkdir()
    (tmp_path / "b/f").write_text("host\n")
    (data / "link").symlink_to(tmp_path)
    stop, outcomes = threading.Event(), set()

    def swap():
        while not stop.is_set():
            libc.renameat2(-100, bytes(data / "a"), -100, bytes(data / "link"), 2)
    libc, thread = ctypes.CDLL(None), threading.Thread(target=swap)
    thread.start()
    try:
        for _ in range(30):
            done = part(docker, "a/b", "cat", "/y/f")
            outcomes.add(done.stdout or ("refused" if "escapes" in done.stderr or "cannot access" in done.stderr else done.stderr))
    finally:
        stop.set()
        thread.join()
    assert outcomes <= {"inside\n", "refused"} and "inside\n" in outcomes


# --- limits of single block devices ---

def block_device():
    return next((f"/dev/{name}" for name in sorted(os.listdir("/sys/block")) if os.path.exists(f"/dev/{name}")), None)


@pytest.mark.skipif(not block_device(), reason="there is no block device")
@pytest.mark.parametrize("program", ["docker", "tare"])
def test_rates_of_a_device(engine, docker, program):
    client = docker if program == "docker" else engine.tare
    device = block_device()
    numbers = f"{os.major(os.stat(device).st_rdev)}:{os.minor(os.stat(device).st_rdev)}"
    done = client("run", "--rm", "--device-read-bps", f"{device}:1mb", "--device-write-bps", f"{device}:2mb", "--device-read-iops",
                  f"{device}:10", "--device-write-iops", f"{device}:20", "busybox", "sh", "-c",
                  "cd /sys/fs/cgroup; cat io.max 2>/dev/null || cat blkio/blkio.throttle.*_device")
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"{numbers} rbps=1048576 wbps=2097152 riops=10 wiops=20\n" or \
        sorted(done.stdout.splitlines()) == sorted(f"{numbers} {value}" for value in (1 << 20, 2 << 20, 10, 20))
    docker("create", "--name", "rated", "--device-read-bps", f"{device}:1mb", "busybox")
    assert docker("inspect", "-f", "{{json .HostConfig.BlkioDeviceReadBps}}", "rated").stdout == f'[{{"Path":"{device}","Rate":1048576}}]\n'
    done = client("run", "--rm", "--device-write-iops", "/dev/nosuch:1", "busybox", "true", check=False)
    assert done.returncode == 127 and "stat /dev/nosuch: no such file or directory" in done.stderr
    done = client("run", "--rm", "--device-read-bps", "/dev/null:1mb", "busybox", "true", check=False)
    assert done.returncode == 125 and "/dev/null is no block device" in done.stderr


# --- what a log says of its container ---

@pytest.mark.parametrize("options, details", [
    (["--log-opt", "labels=a,b", "--log-opt", "env=E,F", "-l", "a=1", "-e", "E=2", "--log-opt", "tag={{.Name}}"], "E=2,a=1,tag=logged"),
    (["--log-opt", "labels-regex=^a", "-l", "ab=1", "-l", "b=2", "-l", "a="], "a=,ab=1"),
    (["--log-opt", r"env-regex=^(X|Y\.)", "-e", "X1=1", "-e", "Y.2=2", "-e", "Y3=3"], "X1=1,Y.2=2"),
    (["--log-opt", "labels=a,zz", "-l", 'a=x,y = "z" <%é'], "a=x%2Cy+%3D+%22z%22+%3C%25%C3%A9"),
    (["--log-opt", "labels=a, b", "-l", "a=1", "-l", " b=2", "-l", "b=3"], "+b=2,a=1"),
    (["--log-opt", "labels=a", "--log-opt", "env=a", "-l", "a=label", "-e", "a=env"], "a=env"),
    (["--log-opt", "tag={{.ImageName}}/{{.Command}}/{{.DaemonName}}/{{upper .Name}}"], "tag=busybox%2Fecho+hi%2Fdocker%2FLOGGED"),
    (["--log-opt", 'tag={{.ContainerName}}-{{index .ContainerLabels "a"}}', "-l", "a=1"], "tag=%2Flogged-1"),
    (["--log-opt", "tag=", "--log-opt", "labels=", "-l", "a=1"], ""),
])
def test_attributes_of_a_log(engine, docker, options, details):
    assert docker("run", "--name", "logged", *options, "busybox", "echo", "hi").stdout == "hi\n"
    for client in (docker, engine.tare):
        assert client("logs", "--details", "logged").stdout == f"{details} hi\n"
        assert client("logs", "logged").stdout == "hi\n"
    log, = (engine.data / "containers").glob("*/*-json.log")
    line = json.loads(log.read_text())
    assert list(line) == (["log", "stream", "attrs", "time"] if details else ["log", "stream", "time"])


def test_a_compressed_log(engine, docker):
    """Read by tail, by time, whole and by a follower; by the container's monitor, and by one that is asked later."""
    count = 3000
    limits = ["--log-opt", "max-size=50k", "--log-opt", "max-file=20", "--log-opt", "compress=true"]
    docker("run", "-d", "--name", "small", *limits, "busybox", "sh", "-c",
           f"i=0; while [ $i -lt {count} ]; do echo line $i; i=$((i+1)); done; while [ ! -e /go ]; do sleep 0.05; done; echo end")
    name = engine.tare("inspect", "-f", "{{.LogPath}}", "small").stdout.strip()
    plain = lambda: [n for n in range(1, 20) if os.path.exists(f"{name}.{n}")]
    wait_for(lambda: docker("logs", "--tail", "1", "small").stdout == f"line {count - 1}\n", "all that is said at first")
    wait_for(lambda: os.path.exists(f"{name}.1.gz") and not plain(), lambda: f"what was rotated to be compressed: {plain()}")
    said = "".join(f"line {i}\n" for i in range(count))
    follower = engine.popen(PROGRAMS / "tare", "logs", "-f", "small", stdout=subprocess.PIPE)
    docker("exec", "small", "touch", "/go")
    assert follower.communicate(timeout=TIMEOUT)[0].decode() == f"{said}end\n"
    assert docker("wait", "small").stdout == "0\n"
    for client in (docker, engine.tare):
        assert client("logs", "small").stdout == f"{said}end\n"
        assert client("logs", "--since", "1h", "--tail", str(count), "small").stdout == said.partition("\n")[2] + "end\n"
    docker("rm", "small")


def test_a_tag_is_of_its_container(docker):
    docker("run", "--name", "logged", "--log-opt", "tag={{.ID}} {{.FullID}} {{.ImageID}} {{.ImageFullID}}", "busybox", "echo", "hi")
    identity, image = docker("inspect", "-f", "{{.Id}} {{.Image}}", "logged").stdout.split()
    assert docker("logs", "--details", "logged").stdout == \
        f"tag={identity[:12]}+{identity}+{image[:12]}+{image} hi\n".replace(":", "%3A")


def test_attributes_that_cannot_be(docker):
    for options, text in {
        ("--log-opt", "labels-regex=("): "failed to initialize logging driver: error parsing regexp: ",
        ("--log-opt", "env-regex=(a{9}){9}"): "failed to initialize logging driver: error parsing regexp: counted repeats",
        ("--log-opt", "tag={{"): "failed to initialize logging driver: template",
        ("--log-opt", "tag={{.Nope}}"): "failed to initialize logging driver: template",
        ("--log-opt", "tag={{.Nope}}", "-i"): "failed to initialize logging driver: template",
        ("--log-opt", "labels=a", "-l", "a=" + "x" * 20000): "failed to initialize logging driver: labels, variables and tag are longer",
        ("--log-driver", "local", "--log-opt", "tag=x"): "unknown log opt 'tag' for log driver local",
    }.items():
        done = docker("run", "--rm", *options, "busybox", "true")
        assert done.returncode == 125 and text in done.stderr, done.stderr


# --- what every container's tree has ---

def names_in(engine, name, how):
    archive = engine.docker(how, name, text=False).stdout
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        return {member.name.rstrip("/"): member for member in tar}


def test_the_marks_of_a_container(engine, docker):
    """They are below the image's layers: in the tree and in an export, but no change, and in no commit."""
    shown = docker("run", "--name", "marked", "busybox", "stat", "-c", "%n %a %s", "/.dockerenv", "/etc/mtab").stdout
    assert shown == "/.dockerenv 755 0\n/etc/mtab 777 12\n"
    assert docker("diff", "marked").stdout == ""
    exported = names_in(engine, "marked", "export")
    assert exported["etc/mtab"].linkname == "/proc/mounts" and exported[".dockerenv"].isfile()
    assert {"dev/console", "dev/pts", "dev/shm", "etc/hosts", "etc/hostname", "etc/resolv.conf", "proc", "sys"} <= set(exported)
    assert docker("commit", "marked", "marked:1").returncode == 0
    saved = engine.docker("save", "marked:1", text=False).stdout
    with tarfile.open(fileobj=io.BytesIO(saved)) as tar:
        layers = json.load(tar.extractfile("manifest.json"))[0]["Layers"]
        with tarfile.open(fileobj=tar.extractfile(layers[-1])) as top:
            assert top.getnames() == []
    docker("rmi", "marked:1")


def test_an_image_has_its_own_marks(docker):
    docker("run", "--name", "own", "busybox", "sh", "-c", "rm /etc/mtab; echo mine >/etc/mtab; echo own >/.dockerenv")
    docker("commit", "own", "marked:2")
    assert docker("run", "--rm", "marked:2", "cat", "/etc/mtab", "/.dockerenv").stdout == "mine\nown\n"
    docker("rm", "own")
    docker("rmi", "marked:2")


# --- parts that are not there ---

def test_what_is_absent_looks_empty(engine, docker):
    assert docker("plugin", "ls", "-q").returncode == 0
    for command in (("node", "ls"), ("service", "ls"), ("secret", "ls"), ("config", "ls")):
        assert "This node is not a swarm manager." in docker(*command).stderr
    assert docker("system", "prune", "-f").stdout == "Total reclaimed space: 0B\n"
    assert engine.api("POST", "/build/prune") == (200, {"CachesDeleted": None, "SpaceReclaimed": 0})
    for method, path in (("GET", "/nope"), ("POST", "/info"), ("PATCH", "/containers/json")):
        assert engine.api(method, path) == (404, {"message": "page not found"})


# --- update ---

def limit(docker, name, *files):
    """What the container's own group says, of v1's file or v2's."""
    return docker("exec", name, "sh", "-c", f"cd /sys/fs/cgroup; cat {' '.join(files)} 2>/dev/null").stdout.split("\n")[0]


def memory_of(docker, name):
    return limit(docker, name, "memory/memory.limit_in_bytes", "memory.max")


@pytest.mark.parametrize("program", ["docker", "tare"])
def test_update_changes_limits_of_what_runs(engine, docker, program):
    client = docker if program == "docker" else engine.tare
    docker("run", "-d", "--name", "up", "-m", "64m", "--pids-limit", "50", "--restart", "always", "busybox", "sh", "-c", "sleep 1000")
    assert client("update", "-m", "100m", "--cpus", "0.5", "--pids-limit", "60", "--cpuset-cpus", "0", "up").stdout == "up\n"
    wanted = {"Memory": 100 << 20, "MemorySwap": 128 << 20, "NanoCpus": 500000000, "PidsLimit": 60, "CpusetCpus": "0"}

    def check():
        host = json.loads(docker("inspect", "-f", "{{json .HostConfig}}", "up").stdout)
        assert {key: host[key] for key in wanted} == wanted
        assert memory_of(docker, "up") == str(100 << 20)
        assert limit(docker, "up", "pids/pids.max", "pids.max") == "60"
        assert limit(docker, "up", "cpu/cpu.cfs_quota_us", "cpu.max").split()[0] == "50000"
        assert limit(docker, "up", "cpuset/cpuset.cpus", "cpuset.cpus") == "0"
    check()
    docker("restart", "-t", "0", "up")
    check()
    pid = int(docker("inspect", "-f", "{{.State.Pid}}", "up").stdout)
    os.kill(pid, 9)  # the monitor's own restart: it reads what the update wrote
    wait_for(lambda: docker("inspect", "-f", "{{.State.Status}} {{.RestartCount}}", "up").stdout == "running 1\n", "the restart")
    check()
    engine.kill_engine()
    check()
    assert client("update", "--pids-limit", "-1", "up").returncode == 0
    assert limit(docker, "up", "pids/pids.max", "pids.max") == "max"
    assert docker("inspect", "-f", "{{json .HostConfig.PidsLimit}}", "up").stdout == "null\n"


def test_update_of_what_is_stopped_counts_at_the_start(docker):
    docker("create", "--name", "later", "busybox", "sleep", "1000")
    assert docker("update", "-m", "64m", "-c", "512", "later").returncode == 0
    docker("start", "later")
    assert memory_of(docker, "later") == str(64 << 20)
    events = docker("events", "--since", "1h", "--until", str(time.time() + 0.1), "--filter", "container=later", "--format", "{{.Action}}").stdout.split()
    assert events[:3] == ["create", "update", "start"]


def test_update_that_fails_changes_nothing(docker):
    docker("run", "-d", "--name", "kept", "-m", "64m", "--memory-swap", "64m", "--cpus", "1", "busybox", "sh", "-c",
           "dd if=/dev/zero of=/dev/shm/x bs=1M count=30 2>/dev/null; echo full; sleep 1000")
    wait_for(lambda: docker("logs", "kept").stdout == "full\n", "30 MiB in use")
    before = docker("inspect", "-f", "{{json .HostConfig}}", "kept").stdout
    quota = limit(docker, "kept", "cpu/cpu.cfs_quota_us", "cpu.max")
    identity = docker("inspect", "-f", "{{.Id}}", "kept").stdout.strip()
    for arguments, text in {
        # the CPU's part comes before the memory's, and is taken back
        ("-m", "100m"): f"Cannot update container {identity}: Memory limit should be smaller than already set memoryswap limit",
        ("--cpu-quota", "5000"): f"Cannot update container {identity}: Conflicting options: CPU Quota cannot be updated",
        ("-m", "1m"): "Minimum memory limit allowed is 6MB",
        ("--memory-swap", "10m"): "Minimum memoryswap limit should be larger than memory limit",
        ("--cpuset-cpus", "4095"): "Requested CPUs are not available",
        ("--restart", "bogus"): "invalid restart policy: unknown policy 'bogus'",
    }.items():
        done = docker("update", *arguments, "kept")
        assert done.returncode == 1 and text in done.stderr, done.stderr
    assert docker("inspect", "-f", "{{json .HostConfig}}", "kept").stdout == before
    if limit(docker, "kept", "memory/memory.limit_in_bytes"):  # v1 refuses a limit below what can't be given back
        done = docker("update", "--cpus", "0.25", "--memory-swap", "8m", "-m", "8m", "kept")
        assert done.returncode == 1 and "memory.limit_in_bytes" in done.stderr or "memory.memsw" in done.stderr, done.stderr
        assert docker("inspect", "-f", "{{json .HostConfig}}", "kept").stdout == before
    assert limit(docker, "kept", "cpu/cpu.cfs_quota_us", "cpu.max") == quota and memory_of(docker, "kept") == str(64 << 20)
    assert docker("inspect", "-f", "{{.State.Running}}", "kept").stdout == "true\n"


# --- stats ---

TICK = 10 ** 7  # what the kernel's own times may be behind


def stats(engine, name, query="stream=0"):
    return engine.api("GET", f"/containers/{name}/stats?{query}")


def busy(docker, name, *options):
    docker("run", "-d", "--name", name, "-m", "64m", *options, "busybox", "sh", "-c",
           "dd if=/dev/zero of=/dev/shm/x bs=1M count=20 2>/dev/null; : >/full; while :; do :; done")
    wait_for(lambda: docker("exec", name, "test", "-e", "/full").returncode == 0, "20 MiB")


def test_stats_document(engine, docker):
    busy(docker, "used", "--pids-limit", "50")
    identity = docker("inspect", "-f", "{{.Id}}", "used").stdout.strip()
    status, document = stats(engine, "used")
    assert status == 200 and document["id"] == identity and document["name"] == "/used"
    assert document["memory_stats"]["limit"] == 64 << 20 and document["memory_stats"]["usage"] >= 20 << 20
    assert document["memory_stats"]["stats"]["pgfault"] > 0
    assert document["pids_stats"] == {"current": 1, "limit": 50}
    now, before = document["cpu_stats"], document["precpu_stats"]
    used = now["cpu_usage"]["total_usage"] - before["cpu_usage"]["total_usage"]
    passed = now["system_cpu_usage"] - before["system_cpu_usage"]
    assert 0 < used <= passed + TICK and passed >= 10 ** 9 - TICK and now["online_cpus"] >= 1
    assert document["preread"] < document["read"]
    once = stats(engine, "used", "stream=0&one-shot=1")[1]
    assert once["preread"] == "0001-01-01T00:00:00Z" and once["precpu_stats"]["cpu_usage"]["total_usage"] == 0
    assert once["cpu_stats"]["cpu_usage"]["total_usage"] > 0
    docker("stop", "-t", "0", "used")
    status, ended = stats(engine, "used")
    assert status == 200 and ended["read"] == "0001-01-01T00:00:00Z" and ended["memory_stats"] == {} and ended["pids_stats"] == {}
    assert stats(engine, "nosuch")[0] == 404
    assert stats(engine, "used", "stream=1&one-shot=1")[0] == 400


@pytest.mark.parametrize("program", ["docker", "tare"])
def test_stats_are_shown(engine, docker, program):
    client = docker if program == "docker" else engine.tare
    busy(docker, "first")
    docker("create", "--name", "second", "busybox")
    form = "{{.Container}}|{{.Name}}|{{.CPUPerc}}|{{.MemUsage}}|{{.MemPerc}}|{{.NetIO}}|{{.BlockIO}}|{{.PIDs}}"
    rows = [row.split("|") for row in client("stats", "--no-stream", "--format", form, "first", "second").stdout.splitlines()]
    assert [row[0] for row in rows] == ["first", "second"]
    assert float(rows[0][2].rstrip("%")) > 1 and rows[0][3].endswith(" / 64MiB") and rows[0][7] == "1"
    assert rows[1][1:] == ["second", "0.00%", "0B / 0B", "0.00%", "0B / 0B", "0B / 0B", "0"]
    running = client("stats", "--no-stream", "--format", "{{.Name}}").stdout.split()
    assert running == ["first"]
    assert sorted(client("stats", "-a", "--no-stream", "--format", "{{.Name}}").stdout.split()) == ["first", "second"]
    heading = client("stats", "--no-stream").stdout.splitlines()[0]
    assert heading.split("  ")[0] == "CONTAINER ID" and heading.endswith("PIDS")
    assert "No such container: nosuch" in client("stats", "--no-stream", "nosuch", check=False).stderr


def test_a_stream_of_stats_outlives_the_engine_and_ends_with_the_container(engine, docker):
    busy(docker, "streamed")
    connection = UnixConnection(engine.socket)
    connection.request("GET", "/v1.50/containers/streamed/stats")
    response = connection.getresponse()
    first = json.loads(response.readline())
    engine.kill_engine()
    second = json.loads(response.readline())
    assert second["preread"] == first["read"] and second["cpu_stats"] != first["cpu_stats"]
    docker("stop", "-t", "0", "streamed")
    while json.loads(response.readline())["read"] != "0001-01-01T00:00:00Z":
        pass
    docker("rm", "streamed")
    wait_for(lambda: response.readline() == b"" or None, "the stream's end")
    connection.close()


# --- what is told and listed ---

def told(docker, *filters):
    """Actions since the beginning, of one container."""
    arguments = [word for wanted in filters for word in ("--filter", wanted)]
    return docker("events", "--since", "1h", "--until", str(time.time() + 0.1), *arguments, "--format", "{{.Action}}").stdout.splitlines()


def test_a_stop_is_an_event(docker):
    docker("run", "-d", "--name", "told", "busybox", "sleep", "1000")
    docker("exec", "told", "true")
    docker("stop", "-t", "0", "told")
    docker("start", "told")
    docker("restart", "-t", "0", "told")
    actions = [action for action in told(docker, "container=told") if action != "kill"]
    assert actions == ["create", "start", "exec_create: true ", "exec_start: true ", "exec_die", "die", "stop", "start", "die", "stop",
                       "start", "restart"]
    docker("tag", "busybox", "told:1")
    assert docker("events", "--since", "1h", "--until", str(time.time() + 0.1), "--filter", "event=tag", "--format",
                  "{{.Actor.Attributes.name}}").stdout.splitlines()[-1] == "told:1"
    docker("rmi", "told:1")


def test_images_are_told_of_by_their_id(engine, docker):
    since = f"{time.time():.6f}"
    identity = docker("image", "inspect", "-f", "{{.Id}}", "busybox").stdout.strip()
    docker("tag", "busybox", "told:2")
    docker("rmi", "told:2")
    docker("load", "-q", "-i", images.busybox("docker-archive"))
    docker("image", "prune", "-f")
    events = docker("events", "--since", since, "--until", str(time.time() + 0.1), "--filter", "type=image", "--format",
                    "{{.Action}} {{.Actor.Attributes.name}} {{.Actor.Attributes.reclaimed}}").stdout.splitlines()
    none = "<no value>"
    assert events == [f"tag told:2 {none}", f"untag {identity} {none}", f"load {identity} {none}", f"prune {none} 0"]
    assert engine.api("POST", "/images/prune") == (200, {"ImagesDeleted": None, "SpaceReclaimed": 0})
    assert docker("images", "--format", "{{.Containers}}", "busybox").stdout == "N/A\n"


def test_images_of_another_platform_are_not_found(engine, docker):
    own = "linux/" + docker("version", "-f", "{{.Server.Arch}}").stdout.strip()
    text = f"image with reference busybox was found but its platform ({own}) does not match the specified platform (linux/s390x)"
    for command in (("history",), ("image", "inspect")):
        done = docker(*command, "--platform", "linux/s390x", "busybox")
        assert done.returncode == 1 and text in done.stderr, done.stderr
        assert docker(*command, "--platform", own, "busybox").returncode == 0
    assert text in docker("create", "--pull", "never", "--platform", "linux/s390x", "busybox").stderr
    assert docker("create", "--pull", "never", "--platform", own, "busybox").returncode == 0


def test_nothing_is_null(engine, docker):
    docker("create", "--name", "still", "busybox")
    assert engine.api("GET", "/containers/still/changes") == (200, None)
    assert engine.api("POST", "/containers/still/update", {"CpuShares": 512}) == (200, {"Warnings": None})


@pytest.mark.parametrize("source, place", [("/etc/passwd", "/etc"), ("/tmp", "/etc/passwd")])
def test_a_folder_upon_a_file(docker, source, place):
    done = docker("run", "--rm", "-v", f"{source}:{place}", "busybox", "true")
    assert done.returncode == 125 and f'error mounting "{source}" to rootfs at "{place}": not a directory: ' \
        "Are you trying to mount a directory onto a file (or vice-versa)?" in done.stderr, done.stderr


def test_volumes_are_told_of(docker):
    since = f"{time.time():.6f}"
    docker("run", "--name", "ev", "-v", "evv:/x", "-v", "/anon", "--tmpfs", "/t", "--mount", "type=volume,src=evw,dst=/w,ro", "busybox", "true")
    docker("rm", "-v", "ev")
    docker("volume", "rm", "evv", "evw")
    events = docker("events", "--since", since, "--until", str(time.time() + 0.1), "--filter", "type=volume", "--filter", "event=mount",
                    "--filter", "event=unmount", "--format", "{{json .Actor}}").stdout.splitlines()
    events = [json.loads(line) for line in events]
    named = {actor["ID"]: actor["Attributes"] for actor in events if actor["ID"] in ("evv", "evw") and "destination" in actor["Attributes"]}
    assert {name: (told["destination"], told["read/write"], told["driver"], told["propagation"]) for name, told in named.items()} == \
        {"evv": ("/x", "true", "local", ""), "evw": ("/w", "false", "local", "")}
    assert sum("destination" not in actor["Attributes"] for actor in events) == 3 and len(events) == 6


def test_what_waits_for_its_restart_can_be_stopped(docker):
    docker("run", "-d", "--name", "flapping", "--restart", "always", "busybox", "sh", "-c", "exit 3")

    def state():
        return docker("inspect", "-f", "{{.State.Status}} {{.RestartCount}}", "flapping").stdout.split()
    wait_for(lambda: state()[0] == "restarting" and int(state()[1]) > 3, "a long pause")
    assert "container is restarting: stop the container" in docker("rm", "flapping").stderr
    assert docker("stop", "-t", "0", "flapping").returncode == 0
    assert state()[0] == "exited"
    assert docker("rm", "flapping").returncode == 0


def test_ps_filters(docker):
    docker("run", "-d", "--name", "web-1", "--expose", "80", "busybox", "sleep", "1000")
    docker("create", "--name", "web-2", "--expose", "8000/udp", "busybox")
    docker("create", "--name", "db", "busybox")

    def names(*filters):
        arguments = [word for wanted in filters for word in ("-f", wanted)]
        return sorted(docker("ps", "-a", *arguments, "--format", "{{.Names}}").stdout.split())
    for wanted, found in {
        "name=web": ["web-1", "web-2"], "name=^/web-1$": ["web-1"], "name=^web": ["web-1", "web-2"], "name=1$": ["web-1"],
        "name=db|web-2": ["db", "web-2"], "name=web-[12]": ["web-1", "web-2"], "name=w.*2": ["web-2"], "name=[": [], "name=(": [],
        "expose=80": ["web-1"], "expose=80/tcp": ["web-1"], "expose=8000": [], "expose=7999-8001/udp": ["web-2"],
    }.items():
        assert names(wanted) == found, wanted
    for wanted, text in {
        "status=bogus": "invalid filter 'status=bogus': invalid value for state (bogus): must be one of created, running, paused,",
        "health=bogus": "invalid filter 'health=bogus': invalid value for health (bogus): must be one of none, starting,",
        "exited=x": "invalid filter 'exited=x'",
        "is-task=x": "invalid filter 'is-task=x'",
    }.items():
        assert text in docker("ps", "-f", wanted).stderr


def test_joined_ipc_is_shared_on_purpose(docker):
    docker("run", "-d", "--name", "private", "busybox", "sleep", "1000")
    done = docker("run", "--rm", "--ipc", "container:private", "busybox", "true")
    assert done.returncode == 125 and "non-shareable IPC (hint: use IpcMode:shareable for the donor container)" in done.stderr


def test_variables_and_modes_are_in_dockers_order(docker):
    docker("create", "--name", "shown", "-e", "A=b", "-e", "C=", "-v", "named:/n", "-v", "named:/r:ro", "-v", "/anonymous", "busybox", "env")
    *given, path = json.loads(docker("inspect", "-f", "{{json .Config.Env}}", "shown").stdout)
    assert sorted(given) == ["A=b", "C="] and path == "PATH=/bin"  # the command itself shuffles what it is given
    assert docker("start", "-a", "shown").stdout.splitlines()[2:4] == given
    modes = docker("inspect", "-f", "{{range .Mounts}}{{.Destination}}={{.Mode}} {{end}}", "shown").stdout.split()
    assert sorted(modes)[1:] == ["/n=z", "/r=ro"] and sorted(modes)[0] in ("/anonymous=", "/anonymous=z")
    docker("rm", "-v", "shown")
    docker("volume", "rm", "named")
