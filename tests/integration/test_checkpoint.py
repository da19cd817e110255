"""tare-runtime's checkpoint and restore: what is restored is the container it was, as strict as it was, and what can't be is told in
CRIU's own words. Where no CRIU works on the kernel only the refusals are tested."""
import contextlib
import json
import os
import pathlib
import select
import shutil
import signal
import socket
import subprocess

from harness import criu
from harness.box import PARENT
from harness.engine import SLOW, wait_for

LOOP = "while :; do sleep 0.1; done"


def start(box, script, **ends):
    """Without an end outside that CRIU would find no way to."""
    identifier = box.new_id()
    box.spec["process"]["args"] = ["sh", "-c", script]
    box.write(identifier)
    return run(box, "run", identifier, **ends)


def run(box, verb, identifier, *options, bundle=None, **ends):
    with open("/dev/null", "r+b") as null:
        ends = {"stdin": null, "stdout": null, "stderr": null, **ends}
        box.rt(verb, "-d", "-b", bundle or box.bundle, *options, identifier, check=True, **ends)
    return identifier


def image(box):
    return "--image-path", box.top / "image"


def again(box, identifier, new=None, *options, **where):
    """Through a checkpoint, and there again."""
    box.rt("checkpoint", *image(box), identifier, check=True)
    assert box.status(identifier) is None
    if new:
        box.ids.append(new)
    return run(box, "restore", new or identifier, *image(box), *options, **where)


def inside(box, identifier, script):
    done = box.rt("exec", identifier, "sh", "-c", script)
    return done.stdout.strip() or done.stderr.strip()


def test_checkpoint_without_criu(box):
    """It says so, and the container lives on."""
    identifier = box.start(["sleep", "100"])
    box.env = {**os.environ, "PATH": "/nowhere"}
    result = box.rt("checkpoint", "--image-path", box.top / "image", identifier)
    assert result.returncode == 1 and 'criu is needed for this: exec: "criu": executable file not found in $PATH' in result.stderr.replace("\\", "")
    assert box.status(identifier) == "running"
    for words, options in (("invalid --parent-path", ["--parent-path", "../other"]), ("invalid --parent-path", ["--parent-path", "/"]),
                           ("Invalid manage-cgroups-mode", ["--manage-cgroups-mode", "hard"]),
                           ("ADDRESS:PORT", ["--page-server", "nowhere"]), ("not supported", ["--empty-ns", "uts"])):
        assert words in box.rt("checkpoint", "--image-path", box.top / "image", *options, identifier).stderr
    box.rt("kill", identifier, "KILL", check=True)
    wait_for(lambda: box.status(identifier) == "stopped", "its end")
    assert "cannot be checkpointed in stopped state" in box.rt("checkpoint", identifier, cwd=box.top).stderr


def test_restore_of_nothing(box):
    box.write("x")
    for folder in (box.top / "nothing", box.top):
        assert box.rt("restore", "-d", "-b", box.bundle, "--image-path", folder, "x").returncode == 1
    assert box.status("x") is None and not (box.state / "x").exists()
    assert str(box.root) not in pathlib.Path("/proc/self/mountinfo").read_text()


@criu.needed
def test_checkpoint_and_restore(box):
    """What is inside goes on where it was: with its memory, its pid, a bound folder, and the pipes it had."""
    (box.top / "bound").mkdir()
    (box.root / "real").mkdir()
    (box.root / "link").symlink_to("/real")
    box.spec["mounts"].append({"destination": "/bound", "type": "bind", "source": str(box.top / "bound"), "options": ["bind"]})
    box.spec["mounts"].append({"destination": "/link/below", "source": ".", "options": ["bind"]})
    box.spec["process"]["args"] = ["sh", "-c", "n=0; while read word; do n=$((n + 1)); echo $n $word | tee /bound/said; done"]
    identifier = box.new_id()
    box.write(identifier)
    (stdin, feed), (answers, stdout) = os.pipe(), os.pipe()
    ends = {"stdin": stdin, "stdout": stdout, "stderr": stdout}
    box.rt("run", "-d", "-b", box.bundle, identifier, check=True, **ends)
    reader = os.fdopen(answers)
    os.write(feed, b"one\n")
    assert reader.readline() == "1 one\n"
    for count, word in ((2, "two"), (3, "three")):
        box.rt("checkpoint", "--image-path", box.top / "image", identifier, check=True)
        assert box.status(identifier) is None
        box.rt("restore", "-d", "-b", box.bundle, "--image-path", box.top / "image", identifier, check=True, **ends)
        assert box.status(identifier) == "running"
        os.write(feed, word.encode() + b"\n")
        assert reader.readline() == f"{count} {word}\n"
        assert (box.top / "bound/said").read_text() == f"{count} {word}\n"
        assert box.rt("exec", identifier, "cat", "/proc/1/comm", check=True).stdout == "sh\n"
    box.rt("checkpoint", "--leave-running", "--image-path", box.top / "other", identifier, check=True)
    assert box.status(identifier) == "running"
    for fd in (stdin, stdout, feed):
        os.close(fd)
    reader.close()


def facts(box, identifier):
    """What is set from outside: mounts with all that they forbid, limits, rights."""
    proc = pathlib.Path(f"/proc/{box.pid(identifier)}")
    mounts = set()
    for line in (proc / "mountinfo").read_text().splitlines():
        left, right = line.split(" - ")
        _, _, _, root, place, options, *sharing = left.split()
        kind, _, of_filesystem = right.split()
        mounts.add((place, root, options, *sharing, kind, ",".join(sorted(of_filesystem.split(",")))))
    status = [line for line in (proc / "status").read_text().splitlines()
              if line.split(":")[0] in ("Uid", "Gid", "Groups", "CapEff", "CapBnd", "NoNewPrivs", "Seccomp", "SigIgn", "SigCgt", "Umask")]
    return {"mounts": mounts, "status": status, "limits": (proc / "limits").read_text(), "oom": (proc / "oom_score_adj").read_text(),
            "groups": (proc / "cgroup").read_text(), "cwd": os.readlink(proc / "cwd")}


@criu.needed
def test_it_is_as_strict_as_it_was(box):
    """T-RI: read-only roots and binds, masks, limits, the filter. CRIU leaves the root writable, and a second bind of one filesystem."""
    for name in ("bound", "bound/within"):
        (box.top / name).mkdir()
    box.spec["root"]["readonly"] = True
    for place, source in (("/data", "bound"), ("/tmp", "bound/within")):
        box.spec["mounts"].append({"destination": place, "type": "bind", "source": str(box.top / source), "options": ["rbind", "ro", "nosuid", "noexec"]})
    box.spec["mounts"].append({"destination": "/etc", "type": "tmpfs", "source": "tmpfs", "options": ["size=1m", "mode=755"]})
    box.spec["linux"]["maskedPaths"] += ["/proc/version", "/proc/cmdline"]
    box.spec["linux"]["resources"] = {"devices": [{"allow": False, "access": "rwm"}], "memory": {"limit": 64 << 20}, "pids": {"limit": 50}}
    box.spec["linux"]["seccomp"] = {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["chmod", "fchmodat"], "action": "SCMP_ACT_ERRNO"}]}
    box.spec["process"].update(rlimits=[{"type": "RLIMIT_NOFILE", "hard": 777, "soft": 333}], oomScoreAdj=150, cwd="/etc")
    identifier = start(box, f"echo kept >/etc/file; exec 5</etc/file; trap 'exit 3' TERM; {LOOP}")
    wait_for(lambda: inside(box, identifier, "cat /etc/file") == "kept", "its file")
    before = facts(box, identifier)
    for _ in range(2):
        again(box, identifier)
        assert facts(box, identifier) == before
        assert "Read-only" in inside(box, identifier, ">/file") and "Read-only" in inside(box, identifier, ">/tmp/file")
        assert inside(box, identifier, "cat /etc/file /proc/version; readlink /proc/1/fd/5") == "kept\n/etc/file"
        assert "not permitted" in inside(box, identifier, "chmod 700 /etc/file")
        stats = json.loads(box.rt("events", "--stats", identifier, check=True).stdout)["data"]
        assert stats["memory"]["usage"]["limit"] == 64 << 20 and stats["pids"]["limit"] == 50
        assert "sh -c echo kept" in box.rt("ps", identifier, check=True).stdout
    box.rt("kill", identifier, "TERM", check=True)
    wait_for(lambda: box.status(identifier) == "stopped", "its end")


@criu.needed
def test_another_place(box):
    """Another name, other groups, a moved bundle; hooks and annotations are those of the bundle there."""
    said = box.top / "said"
    hook = [{"path": "/bin/sh", "args": ["sh", "-c", f"cat >>{said}; echo >>{said}"]}]
    box.spec.update(annotations={"org.test": "kept"}, hooks={"prestart": hook, "createRuntime": hook, "poststop": hook})
    identifier = start(box, LOOP)
    moved = box.top / "moved"
    shutil.copytree(box.bundle, moved, symlinks=True)
    box.spec["linux"]["cgroupsPath"] = f"/{PARENT}/elsewhere"
    (moved / "config.json").write_text(json.dumps(box.spec))
    again(box, identifier, "other", "--pid-file", box.top / "pid", bundle=moved)
    state = json.loads(box.rt("state", "other", check=True).stdout)
    assert (state["status"], state["bundle"], state["annotations"]) == ("running", str(moved), {"org.test": "kept"})
    assert state["pid"] == int((box.top / "pid").read_text())
    assert f"/{PARENT}/elsewhere\n" in pathlib.Path(f"/proc/{state['pid']}/cgroup").read_text()
    assert inside(box, "other", "head -n 1 /proc/self/mountinfo").split()[3] == str(moved / "rootfs")
    assert inside(box, "other", "readlink /proc/self/ns/time") == os.readlink(f"/proc/{state['pid']}/ns/time")
    box.rt("delete", "-f", "other", check=True)
    told = [json.loads(line) for line in said.read_text().splitlines()]
    assert [(each["id"], each["status"]) for each in told] == [
        (name, status) for name in (identifier, "other") for status in ("created", "creating", "stopped")]


@contextlib.contextmanager
def console(box):
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        path = str(box.top / f"console{len(list(box.top.glob('console*')))}")
        listener.bind(path)
        listener.listen()
        listener.settimeout(60 * SLOW)
        masters = []
        yield ("--console-socket", path), masters
        with listener.accept()[0] as connection:
            masters += socket.recv_fds(connection, 4096, 1)[1]


def answer(master, line, wanted):
    os.write(master, line)
    seen = b""
    while wanted not in seen:
        assert select.select([master], [], [], 60 * SLOW)[0], seen
        seen += os.read(master, 4096)


@criu.needed
def test_its_terminal(box):
    box.spec["process"].update(terminal=True, args=["sh"])
    identifier = box.new_id()
    box.write(identifier)
    with console(box) as (options, masters):
        run(box, "run", identifier, *options)
    answer(masters[0], b"x=12; stty -echo; tty\n", b"/dev/pts/0\r\n")
    for _ in range(2):
        with console(box) as (options, more):
            again(box, identifier, None, *options)
        masters += more
        answer(masters[-1], b"echo $((x+5)) $(tty)\n", b"17 /dev/pts/0\r\n")
    for master in masters:
        os.close(master)


@criu.needed
def test_in_the_foreground(box):
    """Its end is the command's, which deletes it."""
    identifier = start(box, f"trap 'exit 3' TERM; {LOOP}")
    box.rt("checkpoint", *image(box), identifier, check=True)
    with open("/dev/null", "r+b") as null:
        held = subprocess.Popen([box.program, "--root", box.state, "restore", "-b", box.bundle, *image(box), identifier],
                                stdin=null, stdout=null, stderr=null)
    wait_for(lambda: box.status(identifier) == "running", "its life")
    held.send_signal(signal.SIGTERM)
    assert held.wait(60 * SLOW) == 3 and box.status(identifier) is None


@criu.needed
def test_namespaces_that_were_joined(box):
    held = subprocess.Popen(["unshare", "-n", "-u", "-i", "sh", "-c", "echo; exec sleep 1000"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    files = {"network": "net", "uts": "uts", "ipc": "ipc"}
    try:
        held.stdout.readline()
        del box.spec["hostname"]
        for namespace in box.spec["linux"]["namespaces"]:
            if namespace["type"] in files:
                namespace["path"] = f"/proc/{held.pid}/ns/{files[namespace['type']]}"
        identifier = start(box, LOOP)
        again(box, identifier)
        for file in files.values():
            assert os.readlink(f"/proc/{box.pid(identifier)}/ns/{file}") == os.readlink(f"/proc/{held.pid}/ns/{file}")
    finally:
        held.kill()
        held.wait()


@criu.needed
def test_a_network_of_its_own(box):
    identifier = start(box, LOOP)

    def ip(*arguments):
        return subprocess.run(["nsenter", "-t", str(box.pid(identifier)), "-n", "ip", *arguments], check=True, capture_output=True, text=True).stdout
    ip("address", "add", "10.9.8.7/32", "dev", "lo")
    again(box, identifier)
    assert "inet 10.9.8.7/32" in ip("address")


@criu.needed
def test_a_user_namespace(box):
    """Its devices are bound. CRIU reads the images as the container's root."""
    box.spec["linux"]["namespaces"].append({"type": "user"})
    box.spec["linux"]["uidMappings"] = box.spec["linux"]["gidMappings"] = [{"containerID": 0, "hostID": 100000, "size": 65536}]
    box.top.chmod(0o755)
    subprocess.run(["chown", "-R", "100000:100000", box.root], check=True)
    identifier = start(box, LOOP)
    (box.top / "image").mkdir(mode=0o755)
    again(box, identifier)
    assert inside(box, identifier, "cat /proc/self/uid_map").split() == ["0", "100000", "65536"]
    assert inside(box, identifier, "echo 1 >/dev/null; id -u") == "0"


@criu.needed
def test_paused_and_left_running(box):
    identifier = start(box, LOOP)
    box.rt("checkpoint", "--leave-running", *image(box), identifier, check=True)
    assert box.status(identifier) == "running"
    box.rt("pause", identifier, check=True)
    box.rt("checkpoint", "--leave-running", *image(box), identifier, check=True)
    assert box.status(identifier) == "paused"
    again(box, identifier)
    assert box.status(identifier) == "running"


@criu.needed
def test_what_criu_cannot_do(box):
    """In its words, and the container lives on."""
    with open(box.top / "outside", "wb") as outside:
        identifier = start(box, LOOP, stderr=outside)
    told = box.rt("checkpoint", *image(box), identifier)
    assert told.returncode == 1 and box.status(identifier) == "running"
    assert "criu failed: type DUMP errno" in told.stderr and f"path={box.top}/outside" in told.stderr
    assert f"(the log is {box.top}/image/dump.log)" in told.stderr and told.stderr.count("\n") == 1


@criu.needs_feature("mem_dirty_track")
def test_a_chain_of_pre_dumps(box):
    identifier = start(box, f"x=kept; trap 'echo $x >/data/said' USR1; {LOOP}")
    for name, options in (("one", []), ("two", ["--parent-path", "../one"])):
        box.rt("checkpoint", "--pre-dump", "--image-path", box.top / name, *options, identifier, check=True)
        assert box.status(identifier) == "running"
    box.rt("checkpoint", *image(box), "--parent-path", "../two", identifier, check=True)
    assert (box.top / "image/parent").is_symlink()
    run(box, "restore", identifier, *image(box))
    box.rt("kill", identifier, "USR1", check=True)
    wait_for(lambda: (box.root / "data/said").exists() and (box.root / "data/said").read_text() == "kept\n", "what it kept")


@criu.needed
def test_a_restore_that_is_killed(box):
    """What it began is cleared by name: its processes, groups and folder. The image is as it was."""
    identifier = start(box, LOOP)
    box.rt("checkpoint", *image(box), identifier, check=True)
    hook = box.top / "hooked"
    box.spec["hooks"] = {"createRuntime": [{"path": "/bin/sh", "args": ["sh", "-c", f"touch {hook}; exec sleep 1000"]}]}
    box.write(identifier)
    with open("/dev/null", "r+b") as null:
        held = subprocess.Popen([box.program, "--root", box.state, "restore", "-d", "-b", box.bundle, *image(box), identifier],
                                stdin=null, stdout=null, stderr=null)
    wait_for(hook.exists, "its hook")
    held.kill()
    held.wait()
    assert box.status(identifier) is None
    box.rt("delete", "--force", identifier, check=True)
    assert not (box.state / identifier).exists() and str(box.top) not in pathlib.Path("/proc/self/mountinfo").read_text()
    del box.spec["hooks"]
    box.write(identifier)
    run(box, "restore", identifier, *image(box))
    assert box.status(identifier) == "running"
