"""The list of the first issue, driven by the stock `docker` command and by ours: each does the same and ends the same."""
import concurrent.futures
import json
import pathlib
import re
import subprocess
import time

import pytest

from harness import images
from harness.engine import PROGRAMS, docker_program, wait_for
from harness.terminal import Terminal


@pytest.fixture(params=["tare", "docker"])
def client(request, engine):
    program = str(PROGRAMS / "tare") if request.param == "tare" else docker_program()

    def run(*arguments, **options):
        return engine.run(program, *arguments, **options)
    run.program = program
    run.engine = engine
    yield run
    left = engine.run(program, "ps", "-aq").stdout.split()
    if left:
        engine.run(program, "rm", "-f", *left)


def output(done):
    return done.stdout.strip()


def test_version_and_info(client):
    assert "Server" in client("version").stdout
    assert output(client("version", "--format", "{{.Server.APIVersion}}")) == "1.50"
    info = json.loads(client("info", "--format", "{{json .}}").stdout)
    assert info["OSType"] == "linux" and info["NCPU"] >= 1
    assert info["Plugins"]["Network"] == ["bridge", "cni", "host", "ipvlan", "macvlan", "null"]


def test_run_prints_and_returns_the_code(client):
    done = client("run", "--rm", "busybox", "sh", "-c", "echo out; echo err >&2; exit 7", check=False)
    assert (done.stdout, done.stderr, done.returncode) == ("out\n", "err\n", 7)


def test_run_sees_its_own_machine(client):
    script = "hostname; echo $$; ps | wc -l; cat /proc/1/comm; id -u; ls /dev | sort | tr '\\n' ' '"
    lines = client("run", "--rm", "-h", "box", "busybox", "sh", "-c", script).stdout.splitlines()
    assert lines[0] == "box" and lines[1] == "1" and int(lines[2]) <= 4 and lines[3] == "sh" and lines[4] == "0"
    devices = "fd full mqueue null ptmx pts random shm stderr stdin stdout tty urandom zero".split()
    assert [name for name in lines[5].split() if name != "core"] == devices  # core only where the kernel has /proc/kcore


def test_run_reads_stdin(client):
    assert client("run", "--rm", "-i", "busybox", "cat", input="one\ntwo\n").stdout == "one\ntwo\n"
    big = "x" * 79 + "\n"
    done = client("run", "--rm", "-i", "busybox", "wc", "-c", input=big * 20000)
    assert output(done) == str(80 * 20000)


def test_run_flags_arrive(client, tmp_path):
    for folder in (tmp_path, *list(tmp_path.parents)[:2]):
        folder.chmod(0o755)
    (tmp_path / "file").write_text("from the host\n")
    tmp_path.chmod(0o777)
    script = ("echo $A; pwd; id -u; id -g; cat /srv/file; touch /srv/x 2>&1 | grep -o 'Read-only'; "
              "cd /sys/fs/cgroup; "
              "cat memory/memory.limit_in_bytes memory.max unified/memory.max 2>/dev/null; "
              "cat pids/pids.max pids.max unified/pids.max 2>/dev/null; "
              "cat /sys/fs/cgroup/cpu/cpu.cfs_quota_us 2>/dev/null || cut -d' ' -f1 /sys/fs/cgroup/cpu.max")
    name = "flags"
    client("run", "-d", "--name", name, "-e", "A=b", "-v", f"{tmp_path}:/srv:ro", "-w", "/srv", "-u", "1000:1000", "--memory", "64m",
           "--cpus", "0.5", "--pids-limit", "50", "--restart", "on-failure:3", "busybox", "sh", "-c", script)
    assert output(client("wait", name)) == "0"
    lines = client("logs", name).stdout.splitlines()
    assert lines == ["b", "/srv", "1000", "1000", "from the host", "Read-only", str(64 << 20), "50", "50000"]
    host = json.loads(client("inspect", name).stdout)[0]["HostConfig"]
    assert host["Memory"] == 64 << 20 and host["NanoCpus"] == 500000000 and host["PidsLimit"] == 50
    assert host["RestartPolicy"] == {"Name": "on-failure", "MaximumRetryCount": 3}


def test_life_of_a_detached_container(client):
    identity = output(client("run", "-d", "--name", "web", "busybox", "sh", "-c", "trap 'echo bye; exit 3' TERM; echo up; while :; do sleep 0.05; done"))
    assert re.fullmatch("[0-9a-f]{64}", identity)
    wait_for(lambda: "up" in client("logs", "web").stdout, "the first line")
    assert re.search(r"busybox .*Up .*web", client("ps").stdout)
    assert output(client("ps", "-q", "--no-trunc")) == identity
    client("rename", "web", "site")
    assert output(client("inspect", "-f", "{{.Name}} {{.State.Status}}", "site")) == "/site running"
    top = client("top", "site").stdout
    assert top.splitlines()[0].split() == "UID PID PPID C STIME TTY TIME CMD".split() and "trap" in top
    assert output(client("exec", "site", "echo", "inside")) == "inside"
    assert client("exec", "site", "sh", "-c", "exit 9", check=False).returncode == 9
    client("stop", "site")
    assert output(client("inspect", "-f", "{{.State.ExitCode}} {{.State.Running}}", "site")) == "3 false"
    assert client("logs", "site").stdout == "up\nbye\n"
    assert "Exited (3)" in client("ps", "-a").stdout
    client("start", "site")
    client("kill", "-s", "KILL", "site")
    assert output(client("wait", "site")) == "137"
    client("rm", "site")
    assert client("inspect", "site", check=False).returncode == 1


def test_logs_tail_follow_and_timestamps(client):
    client("run", "-d", "--name", "l1", "busybox", "sh", "-c", "for i in 1 2 3 4 5; do echo line $i; done; sleep 0.3; echo last; echo warn >&2")
    follow = client("logs", "-f", "l1")
    assert follow.stdout == "".join(f"line {i}\n" for i in range(1, 6)) + "last\n" and follow.stderr == "warn\n"
    assert client("logs", "--tail", "2", "l1").stdout + client("logs", "--tail", "2", "l1").stderr == "last\nwarn\n"
    assert re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z line 1\n", client("logs", "-t", "l1").stdout)


def test_a_real_terminal(client):
    terminal = Terminal(client.engine, client.program, "run", "-it", "--rm", "--name", "term", "busybox", "sh", rows=40, columns=100)
    terminal.expect("# ")
    terminal.type("stty size\n")
    terminal.expect("40 100")
    terminal.resize(50, 120)
    # The signal, the request and the ioctl have no common event: the shell looks until it sees them. And docker's command looks at
    # the size first and listens for changes then: one that comes in between it does not hear of.
    terminal.type("until stty size | grep '50 120'; do sleep 0.1; done; tty\n")
    terminal.expect("\n50 120", nudge=terminal.announce)
    terminal.expect("/dev/pts/0")
    terminal.type("sh -c 'echo in front; exec sleep 100'\n")
    terminal.expect("\nin front")
    terminal.type("\x03")
    terminal.expect("# ")
    terminal.type("sleep 77 &\n")
    terminal.expect("# ")
    terminal.type("jobs\n")
    terminal.expect("Running")
    terminal.type("exit 5\n")
    assert terminal.wait() == 5


def test_detach_keys_and_attach_again(client):
    terminal = Terminal(client.engine, client.program, "run", "-it", "--name", "d1", "busybox", "sh")
    terminal.expect("# ")
    terminal.type("X=kept\n")
    terminal.expect("# ")
    terminal.type("\x10\x11")
    assert terminal.wait() == 0
    assert output(client("inspect", "-f", "{{.State.Running}}", "d1")) == "true"
    again = Terminal(client.engine, client.program, "attach", "--detach-keys", "ctrl-a,d", "d1")
    again.type("\necho $X\n")
    again.expect("kept\r\n")
    again.type("exit 4\n")
    assert again.wait() == 4


def test_exec_terminal(client):
    client("run", "-d", "--name", "e1", "busybox", "sleep", "1000")
    terminal = Terminal(client.engine, client.program, "exec", "-it", "-e", "WHO=me", "-w", "/tmp", "-u", "1000", "e1", "sh")
    terminal.expect("$ ")
    terminal.type("echo $WHO $(pwd) $(id -u) $(tty)\n")
    terminal.expect("me /tmp 1000 /dev/pts/0")
    terminal.type("exit 6\n")
    assert terminal.wait() == 6


def test_restart_policy_counts(client):
    client("run", "-d", "--name", "r1", "--restart", "on-failure:2", "busybox", "sh", "-c", "echo again; exit 1")
    wait_for(lambda: output(client("inspect", "-f", "{{.RestartCount}} {{.State.Status}}", "r1")) == "2 exited", "two restarts")
    assert client("logs", "r1").stdout == "again\n" * 3


def test_pause_and_unpause(client):
    client("run", "-d", "--name", "p1", "busybox", "sleep", "1000")
    client("pause", "p1")
    assert "(Paused)" in client("ps").stdout
    assert client("exec", "p1", "true", check=False).returncode != 0
    client("unpause", "p1")
    assert client("exec", "p1", "true").returncode == 0


def test_events_tell_the_life_once(client):
    since = f"{time.time():.6f}"
    client("run", "--rm", "--name", "ev", "busybox", "sh", "-c", "exit 3", check=False)
    until = f"{time.time() + 0.001:.6f}"
    done = client("events", "--since", since, "--until", until, "--filter", "type=container", "--format", "{{json .}}")
    events = [json.loads(line) for line in done.stdout.splitlines()]
    actions = [event["Action"] for event in events if event["Actor"]["Attributes"].get("name") == "ev"]
    assert [action for action in actions if action in ("create", "start", "die", "destroy")] == ["create", "start", "die", "destroy"]
    die = next(event for event in events if event["Action"] == "die")
    assert die["Actor"]["Attributes"]["exitCode"] == "3"


def test_a_command_that_is_not_there_is_so_however_busy_the_machine_is(client):
    """The new process may have looked, said so and ended before its creator has told it to start."""
    def code(_):
        return client("run", "--rm", "--network", "none", "busybox", "nosuchcommand", check=False).returncode
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        assert set(pool.map(code, range(64))) == {127}


def test_errors_and_their_codes(client):
    def code_and_text(*arguments):
        done = client(*arguments, check=False)
        return done.returncode, done.stderr + done.stdout
    code, text = code_and_text("run", "--rm", "busybox", "nosuchcommand")
    assert code == 127 and "executable file not found in $PATH" in text
    code, text = code_and_text("run", "--rm", "busybox", "/etc/passwd")
    assert code == 126 and "permission denied" in text
    code, text = code_and_text("run", "--rm", "busybox", "/no/such")
    assert code == 127 and "no such file or directory" in text
    code, text = code_and_text("run", "--rm", "--pull", "never", "nosuchimage")
    assert code == 125 and "No such image: nosuchimage:latest" in text
    client("create", "--name", "taken", "busybox")
    code, text = code_and_text("run", "--name", "taken", "busybox", "true")
    assert code == 125 and 'The container name "/taken" is already in use by container' in text
    code, text = code_and_text("run", "--memory", "1k", "busybox", "true")
    assert code == 125 and "Minimum memory limit allowed is 6MB" in text
    code, text = code_and_text("run", "--memory", "lots", "busybox", "true")
    assert code == 125 and "invalid" in text
    assert "No such container: nobody" in code_and_text("stop", "nobody")[1]
    code, text = code_and_text("exec", "nobody", "true")
    assert code == 1 and "No such container: nobody" in text


def test_images_tag_rmi_import(client, tmp_path):
    assert re.search(r"busybox\s+latest", client("images").stdout)
    client("tag", "busybox", "example.com:5000/team/box:v1")
    assert output(client("image", "inspect", "-f", "{{json .RepoTags}}", "example.com:5000/team/box:v1")) == \
        output(client("image", "inspect", "-f", "{{json .RepoTags}}", "busybox"))
    assert "Untagged: example.com:5000/team/box:v1" in client("rmi", "example.com:5000/team/box:v1").stdout
    with open(images.busybox_root(), "rb") as root:
        imported = output(client("import", "-c", 'CMD ["echo", "imported"]', "-", "mine:1", stdin=root))
    assert imported.startswith("sha256:")
    assert output(client("run", "--rm", "mine:1")) == "imported"
    client("create", "--name", "uses", "mine:1")
    refused = client("rmi", "mine:1", check=False)
    assert refused.returncode == 1 and "container" in refused.stderr and "is using its referenced image" in refused.stderr
    client("rm", "uses")
    assert "Deleted: sha256:" in client("rmi", "mine:1").stdout
    assert client("rmi", "mine:1", check=False).returncode == 1


def test_load_oci_archive_made_by_skopeo(client):
    text = client("load", "-i", images.packed("two", images.busybox_root(), "two:latest", "oci-archive", {"Cmd": ["echo", "two"]})).stdout
    assert "Loaded image" in text
    identity = text.split()[-1]
    assert output(client("run", "--rm", identity)) == "two"
    client("rmi", "-f", identity)


def test_auto_remove_is_not_for_one_mount_alone(client, tmp_path):
    """Its root is mounted for what is copied before its start, and by each restart."""
    (tmp_path / "file").write_text("copied\n")
    client("create", "--rm", "--name", "again", "busybox", "sh", "-c", "echo started >>/log; sleep 1000")
    client("cp", tmp_path / "file", "again:/file")
    client("cp", "again:/file", tmp_path / "back")
    assert (tmp_path / "back").read_text() == "copied\n"
    client("start", "again")
    wait_for(lambda: "started" in client("exec", "again", "cat", "/log", check=False).stdout, "its first start")
    for starts in (2, 3):
        client("restart", "-t", "0", "again")
        wait_for(lambda: client("exec", "again", "cat", "/log", check=False).stdout == "started\n" * starts, "what it wrote before, and now")
    assert client("exec", "again", "cat", "/file").stdout == "copied\n"
    client("rm", "-f", "again")


def test_rm_force_and_auto_remove(client):
    client("run", "-d", "--name", "f1", "busybox", "sleep", "1000")
    refused = client("rm", "f1", check=False)
    assert refused.returncode == 1 and "container is running" in refused.stderr
    client("rm", "-f", "f1")
    client("run", "--rm", "--name", "gone", "busybox", "true")
    client("run", "--rm", "--name", "gone", "busybox", "true")  # the name is free once the first has returned


def test_stop_kills_after_its_timeout(client):
    client("run", "-d", "--name", "s1", "--stop-timeout", "1000", "busybox", "sh", "-c", "trap '' TERM; echo up; while :; do sleep 0.1; done")
    wait_for(lambda: "up" in client("logs", "s1").stdout, "the trap")
    start = time.monotonic()
    client("stop", "-t", "1", "s1")
    assert time.monotonic() - start > 0.9
    assert output(client("inspect", "-f", "{{.State.ExitCode}}", "s1")) == "137"


def test_out_of_memory_is_told(client):
    client("run", "--name", "oom", "--memory", "16m", "--memory-swap", "16m", "busybox", "sh", "-c", "x=$(tail /dev/zero)", check=False)
    assert output(client("inspect", "-f", "{{.State.OOMKilled}} {{.State.ExitCode}}", "oom")) in ("true 137", "true 1")


def test_init_reaps_and_forwards(client):
    client("run", "-d", "--init", "--name", "i1", "busybox", "sh", "-c", "(sleep 0.1 &) ; trap 'exit 8' TERM; echo up; while :; do sleep 0.05; done")
    wait_for(lambda: "up" in client("logs", "i1").stdout, "the trap")
    assert "init" in output(client("exec", "i1", "cat", "/proc/1/comm"))
    client("stop", "i1")
    assert output(client("inspect", "-f", "{{.State.ExitCode}}", "i1")) == "8"


def test_read_only_privileged_and_capabilities(client):
    assert "Read-only" in client("run", "--rm", "--read-only", "busybox", "touch", "/x", check=False).stderr
    caps = output(client("run", "--rm", "busybox", "grep", "CapEff", "/proc/self/status")).split()[1]
    assert int(caps, 16) == 0xa80425fb
    assert "CapEff:\t0000000000000000" in client("run", "--rm", "-u", "1000", "busybox", "grep", "CapEff", "/proc/self/status").stdout
    assert int(output(client("run", "--rm", "--cap-drop", "ALL", "--cap-add", "CHOWN", "busybox", "grep", "CapEff", "/proc/self/status")).split()[1], 16) == 1
    assert "Seccomp:\t2" in client("run", "--rm", "busybox", "grep", "Seccomp:", "/proc/self/status").stdout
    privileged = client("run", "--rm", "--privileged", "busybox", "sh", "-c", "grep Seccomp: /proc/self/status; ls /dev | wc -l; mount -t tmpfs x /tmp && echo mounted").stdout
    assert "Seccomp:\t0" in privileged and "mounted" in privileged


def test_apparmor_says_what_it_does(client):
    """No profile is ours; one by name must be loaded; "unconfined" is taken everywhere."""
    switch = pathlib.Path("/sys/module/apparmor/parameters/enabled")
    enabled = switch.exists() and switch.read_text().startswith("Y")
    assert client("run", "--rm", "--security-opt", "apparmor=unconfined", "busybox", "echo", "runs").stdout == "runs\n"
    refused = client("run", "--rm", "--security-opt", "apparmor=no-such", "busybox", "true", check=False)
    assert refused.returncode == 125
    assert ("no such AppArmor profile is loaded" if enabled else "AppArmor is not enabled on this host") in refused.stderr
    client("create", "--name", "armed", "--security-opt", "apparmor=unconfined", "busybox")
    assert output(client("inspect", "-f", "{{.AppArmorProfile}}", "armed")) == "unconfined"


def test_network_modes(client):
    assert output(client("run", "--rm", "busybox", "ls", "/sys/class/net")).split() == ["eth0", "lo"]
    assert output(client("run", "--rm", "--network", "none", "busybox", "ls", "/sys/class/net")) == "lo"
    assert output(client("run", "--rm", "--network", "none", "busybox", "sh", "-c", "ip link show lo | grep -c UP")) == "1"
    client("run", "-d", "--name", "a1", "busybox", "sleep", "1000")
    inode = output(client("exec", "a1", "readlink", "/proc/self/ns/net"))
    assert output(client("run", "--rm", "--network", "container:a1", "busybox", "readlink", "/proc/self/ns/net")) == inode
    own = subprocess.check_output(["readlink", "/proc/self/ns/net"], text=True).strip()
    assert output(client("run", "--rm", "--network", "host", "busybox", "readlink", "/proc/self/ns/net")) == own


@pytest.mark.parametrize("end", [["stop", "-t", "0"], ["kill"]])
def test_end_of_a_container_that_is_then_removed(client, end):
    """By --rm, at once: which is no failure of what ended it."""
    for _ in range(5):
        client("run", "-d", "--rm", "--name", "brief", "busybox", "sleep", "1000")
        assert client(*end, "brief").stdout == "brief\n"


def test_joining_ipc_shares_memory(client):
    client("run", "-d", "--name", "owner", "--ipc", "shareable", "--shm-size", "1m", "busybox", "sh", "-c", "echo mine > /dev/shm/f; sleep 1000")
    ipc = output(client("exec", "owner", "sh", "-c", "while ! [ -s /dev/shm/f ]; do sleep 0.05; done; readlink /proc/self/ns/ipc"))
    text = output(client("run", "--rm", "--ipc", "container:owner", "busybox", "sh", "-c",
                         "readlink /proc/self/ns/ipc; cat /dev/shm/f; echo yours > /dev/shm/g; grep -c ' /dev/shm ' /proc/mounts"))
    assert text.split() == [ipc, "mine", "1"]
    assert output(client("exec", "owner", "cat", "/dev/shm/g")) == "yours"
    # What the other container has at its /dev/shm is its own choice: only memory is taken.
    client("run", "-d", "--name", "liar", "--ipc", "shareable", "--privileged", "busybox", "sh", "-c",
           "umount /dev/shm; rmdir /dev/shm; ln -s /etc /dev/shm; sleep 1000")
    output(client("exec", "liar", "sh", "-c", "while ! [ -L /dev/shm ]; do sleep 0.05; done"))
    refused = client("run", "--rm", "--ipc", "container:liar", "busybox", "true", check=False)
    assert refused.returncode == 125 and "cannot share /dev/shm of container" in refused.stderr


def test_volumes_keep_their_data(client):
    client("volume", "create", "data")
    client("run", "--rm", "-v", "data:/d", "busybox", "sh", "-c", "echo kept > /d/f")
    assert output(client("run", "--rm", "-v", "data:/d:ro", "busybox", "cat", "/d/f")) == "kept"
    assert "data" in client("volume", "ls").stdout
    client("volume", "rm", "data")


@pytest.mark.slow
def test_debian_made_by_mmdebstrap(client):
    for kind in ("docker-archive", "oci-archive"):
        archive = images.debian(kind)
        text = client("load", "-i", archive, timeout=180).stdout
        image = text.split()[-1]
        done = client("run", "--rm", image, "bash", "-c", ". /etc/os-release; echo $VERSION_ID; dpkg -l | grep -c ^ii; stat -c %a /usr/bin/passwd")
        version, packages, mode = done.stdout.split()
        assert version == "12" and int(packages) > 50 and mode == "4755"
        terminal = Terminal(client.engine, client.program, "run", "-it", "--rm", image, "bash")
        terminal.expect("# ")
        terminal.type("bash -c 'trap \"echo again\" CONT; echo in front; while :; do sleep 0.1; done' | cat\n")
        terminal.expect("\rin front")  # bash has ended a line of its own
        terminal.type("\x1a")
        terminal.expect("Stopped")
        terminal.type("fg\n")
        terminal.expect("\nagain")  # so it has the terminal
        terminal.type("\x03")
        terminal.expect("# ")
        terminal.type("exit 3\n")
        assert terminal.wait() == 3
    client("rmi", "-f", image)
