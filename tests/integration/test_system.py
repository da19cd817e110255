"""A whole system in a container: Debian's systemd as its init, unchanged."""
import json
import pathlib
import re
import subprocess
import types

import pytest

from harness import criu, images
from harness.engine import BUILD, PROGRAMS, wait_for

TOP = pathlib.Path(__file__).resolve().parents[2]

pytestmark = pytest.mark.slow  # nothing in it that the sanitized programs do only here

SPELT_OUT = ["--cgroupns", "private", "--security-opt", "writable-cgroups=true", "--stop-signal", "SIGRTMIN+3", "-e", "container=docker",
             "--tmpfs", "/run:exec,mode=755", "--tmpfs", "/run/lock", "--tmpfs", "/tmp:exec"]


@pytest.fixture(scope="module")
def system(engine):
    engine.tare("import", images.system_root(), "system")
    return engine


@pytest.mark.parametrize("program, options", [("tare", ["--systemd"]), ("docker", SPELT_OUT), ("docker", ["--privileged"])],
                         ids=["tare", "docker", "privileged"])
def test_systemd_boots_and_ends(system, program, options):
    client = getattr(system, program)
    started = client("run", "-dt", "--name", "whole", "--memory", "512m", *options, "system", "/sbin/init", check=False)
    try:
        if "nsdelegate" in started.stderr:
            pytest.skip(started.stderr)
        assert started.returncode == 0, started.stderr
        for boots in (1, 2):
            # The line above the prompt: one that has no end is not logged.
            wait_for(lambda: len(re.findall(r"^Debian GNU/Linux 12 \w+ console", client("logs", "whole").stdout, re.M)) == boots, "its getty", 60)
            assert client("exec", "whole", "systemctl", "is-system-running", "--wait", check=False).stdout.strip() == "running"
            slices = client("exec", "whole", "cat", "/proc/1/cgroup").stdout
            assert ":/init.scope\n" in slices
            assert client("exec", "whole", "systemd-detect-virt", "--container", check=False).stdout.strip() in ("container-other", "docker", "none")
            if "--privileged" in options:
                client("kill", "--signal", "SIGRTMIN+3", "whole")
                client("wait", "whole")
            else:
                client("stop", "-t", "60", "whole")
                state = json.loads(client("inspect", "whole").stdout)[0]["State"]
                assert (state["Status"], state["ExitCode"]) == ("exited", 0)
            client("start", "whole")
    finally:
        client("rm", "-f", "whole", check=False)


def test_its_limits_are_not_its_own(system):
    """T-RI: of all it may write to its groups, nothing changes what it was given."""
    done = system.tare("run", "--rm", "--systemd", "--memory", "64m", "--pids-limit", "50", "system", "sh", "-c", """
        for file in $(find /sys/fs/cgroup -name 'memory.*limit*' -o -name 'memory.max' -o -name 'pids.max' -o -name 'cpu.*' -o -name 'devices.*'); do
            for word in max -1 1000000000 'a *:* rwm'; do echo "$word" > $file && echo "wrote $file"; done
        done 2>/dev/null
        mkdir /sys/fs/cgroup/systemd/below 2>/dev/null || mkdir /sys/fs/cgroup/below && echo made
        """, check=False)
    if "nsdelegate" in done.stderr:
        pytest.skip(done.stderr)
    assert done.stdout == "made\n", done


def test_what_it_takes_is_said(system):
    refused = system.docker("run", "--rm", "--cgroupns", "host", "--security-opt", "writable-cgroups", "busybox", "true", check=False)
    assert refused.returncode == 125 and 'nvalid --security-opt: "writable-cgroups"' in refused.stderr
    refused = system.docker("run", "--rm", "--cgroupns", "host", "--security-opt", "writable-cgroups=true", "busybox", "true", check=False)
    assert refused.returncode == 125 and "writable cgroups take a cgroup namespace of the container's own" in refused.stderr


# On v2 limits take a group without processes of its own: whoever starts an engine in a container makes room first.
INSIDE = """
    if [ -f /sys/fs/cgroup/cgroup.controllers ]; then
        mkdir /sys/fs/cgroup/own && for pid in $(cat /sys/fs/cgroup/cgroup.procs); do echo $pid > /sys/fs/cgroup/own/cgroup.procs; done 2>/dev/null
    fi
    export PATH=/tare:$PATH TARE_LIBEXEC=/tare
    tared >/tmp/log 2>&1 & engine=$!
    for try in $(seq 300); do tare ps >/dev/null 2>&1 && break; sleep 0.1; done
    tare load -q -i /busybox.tar || { cat /tmp/log; exit 9; }
    tare run --rm -m 32m busybox echo two deep
    tare run -d --name inner --health-cmd true -p 8080:80 busybox httpd -f -h /etc >/dev/null
    tare exec inner sh -c 'cat /proc/self/cgroup | cut -d: -f3 | sort -u; wget -qO- http://127.0.0.1/hostname | wc -l'
    tare rm -f inner
    kill $engine; wait $engine; echo ended $?
"""


def nested(system, *options):
    return system.tare("run", "--rm", "--privileged", "-v", f"{PROGRAMS}:/tare:ro", "-v", "/usr/lib/x86_64-linux-gnu:/usr/lib/x86_64-linux-gnu:ro",
                       "-v", f"{images.busybox()}:/busybox.tar:ro", *options, "system", "bash", "-c", INSIDE, check=False)


def test_tare_in_tare(system):
    """An engine of its own in a container, with networks and limits; the other's groups are out of its sight."""
    done = nested(system, "-v", "/var/lib/tare")
    assert done.stdout.split("\n") == ["Loaded image: busybox:latest", "two deep", "/", "1", "inner", "ended 0", ""], done


def test_tare_in_tare_says_what_it_lacks(system):
    assert "the data folder is itself on an overlay (tare in a container?)" in nested(system).stderr


# ---- tare-runtime under systemd ----

RUNTIME = """mkdir -p /b; cd /b; runtime() { /tare/tare-runtime --systemd-cgroup "$@"; }
"""
SET_UP = "mkdir rootfs && tar -xf /busybox.tar -C rootfs && /tare/tare-runtime spec"


@pytest.fixture(scope="module")
def machine(system):
    """A container in which systemd is PID 1 and may make groups, and tare-runtime with a bundle in it."""
    system.tare("run", "-d", "--name", "machine", "--privileged", "-v", f"{PROGRAMS}:/tare:ro", "-v", f"{images.busybox_root()}:/busybox.tar:ro",
                *([] if criu.folder() is None else ["-v", f"{criu.folder()}:{criu.folder()}:ro"]), "-v", f"{images.busybox()}:/image.tar:ro", "-v", "/usr/lib/x86_64-linux-gnu:/lib-of-tests:ro", "-v", "/var/lib/tare", "system", "/sbin/init")
    here = types.SimpleNamespace()

    def sh(script, code=0, **options):
        done = system.tare("exec", "-i", "machine", "bash", "-c", RUNTIME + script, check=False, **options)
        assert done.returncode == code, done
        return done.stdout.strip() + done.stderr.strip()

    def run(name, path, args=("sleep", "1000"), code=0, verb="run -d", wrap="", **changes):
        spec = json.loads(here.spec)
        spec["process"].update(terminal=False, args=list(args))
        spec["linux"].update(cgroupsPath=path, resources={"devices": [{"allow": False, "access": "rwm"}], **changes.pop("resources", {})})
        spec.update(changes)
        return sh(f"cat >config.json; {wrap} {verb} {name} </dev/null >out 2>&1; code=$?; cat out; exit $code", code, input=json.dumps(spec))

    def show(unit, *names):
        return dict(line.split("=", 1) for line in sh(f"systemctl show {unit} -p " + ",".join(names)).split("\n"))
    here.sh, here.show, here.run = sh, show, lambda *args, **options: run(*args, **{"wrap": "runtime", **options})
    try:
        wait_for(lambda: "running" in system.tare("exec", "machine", "systemctl", "is-system-running", "--wait", check=False).stdout, "systemd", 60)
        sh(SET_UP)
        here.spec = sh("cat config.json")
        here.unified = sh("test -f /sys/fs/cgroup/cgroup.controllers && echo yes || echo no") == "yes"
        yield here
    finally:
        system.tare("rm", "-f", "machine", check=False)


LIMITS = {"memory": {"limit": 64 << 20, "swap": 64 << 20}, "cpu": {"shares": 512, "quota": 25000, "period": 50000}, "pids": {"limit": 77},
          "devices": [{"allow": False, "access": "rwm"}, {"allow": True, "type": "c", "major": 10, "minor": 229, "access": "rw"},
                      {"allow": True, "type": "c", "major": 226, "access": "r"}]}


def limits_inside(machine, name):
    """What the kernel holds: memory, quota, processes."""
    below = "/sys/fs/cgroup" if machine.unified else "/sys/fs/cgroup/*"
    files = "memory.max cpu.max pids.max" if machine.unified else "memory.limit_in_bytes cpu.cfs_quota_us cpu.cfs_period_us pids.max"
    return machine.sh(f"for file in {files}; do cat $(ls -d {below}/tests.slice/tests-deep.slice/one-{name}.scope/$file | head -1); done").split()


def test_a_scope(machine):
    machine.run("a", "tests-deep.slice:one:a", resources=LIMITS,
                annotations={"org.systemd.property.TimeoutStopUSec": "uint64 7000000", "org.systemd.property.RuntimeMaxSec": "600", "other": "x"})
    try:
        memory, weight = ("MemoryMax", "CPUWeight") if machine.unified else ("MemoryLimit", "CPUShares")
        shown = machine.show("one-a.scope", "ActiveState", "Slice", "Delegate", "TasksMax", memory, weight, "CPUQuotaPerSecUSec", "CPUQuotaPeriodUSec",
                             "TimeoutStopUSec", "RuntimeMaxUSec", "DevicePolicy", "ControlGroup")
        assert shown == {"ActiveState": "active", "Slice": "tests-deep.slice", "Delegate": "yes", "TasksMax": "77", memory: "67108864",
                         weight: "59" if machine.unified else "512", "CPUQuotaPerSecUSec": "500ms", "CPUQuotaPeriodUSec": "50ms",
                         "TimeoutStopUSec": "7s", "RuntimeMaxUSec": "10min", "DevicePolicy": "strict",
                         "ControlGroup": "/tests.slice/tests-deep.slice/one-a.scope"}
        devices = machine.sh("systemctl show one-a.scope -p DeviceAllow")
        assert {"DeviceAllow=/dev/char/10:229 rw", "DeviceAllow=char-226 r", "DeviceAllow=/dev/char/1:3 rwm"} <= set(devices.split("\n"))
        exact = ["67108864", "25000", "50000", "77"]
        assert limits_inside(machine, "a") == exact
        # Init alone is in it, in every hierarchy.
        assert machine.sh("""pid=$(runtime ps -f json a | tr -d '[]'); cut -d: -f3 /proc/$pid/cgroup | sort -u; systemctl show one-a.scope -p TasksCurrent""") \
            == "/tests.slice/tests-deep.slice/one-a.scope\nTasksCurrent=1"
        machine.sh("systemctl daemon-reload; systemctl show one-a.scope >/dev/null")
        assert limits_inside(machine, "a") == exact

        machine.sh("runtime update --memory 48M --memory-swap 48M --pids-limit 66 --cpu-quota 12345 --cpu-period 50000 a")
        assert limits_inside(machine, "a") == [str(48 << 20), "12345", "50000", "66"]
        shown = machine.show("one-a.scope", "TasksMax", memory, "CPUQuotaPerSecUSec")
        assert shown == {"TasksMax": "66", memory: str(48 << 20), "CPUQuotaPerSecUSec": "250ms"}
        assert machine.sh("runtime exec a sh -c 'echo x >/dev/null && echo written'") == "written"
        before = machine.sh("runtime update --memory 1K a 2>&1; true"), limits_inside(machine, "a")
        assert before[1] == [str(48 << 20), "12345", "50000", "66"] or machine.unified
    finally:
        machine.sh("runtime delete -f a")
    gone(machine, "one-a.scope")


def gone(machine, unit):
    assert machine.show(unit, "LoadState") == {"LoadState": "not-found"}
    assert machine.sh(f"find /sys/fs/cgroup -name {unit}; ls /run/tare-runtime 2>/dev/null; true") == ""


@pytest.mark.parametrize("path, unit, group", [("", "tare-b.scope", "/system.slice/tare-b.scope"), ("::plain", "plain.scope", "/system.slice/plain.scope"),
                                               ("-.slice:x:b", "x-b.scope", "/x-b.scope")])
def test_where_a_scope_is(machine, path, unit, group):
    machine.run("b", path)
    assert machine.show(unit, "ControlGroup") == {"ControlGroup": group}
    machine.sh("runtime kill b KILL; while runtime state b | grep -q running; do sleep 0.05; done; runtime delete b")
    gone(machine, unit)


def test_it_comes_and_goes(machine):
    # One process is allowed, and the one that waits at first is not it.
    assert machine.run("c", "tests.slice:one:c", ("echo", "alone"), verb="run", resources={"pids": {"limit": 1}}) == "alone"
    gone(machine, "one-c.scope")
    # Without a bus, by systemd's own socket.
    assert machine.run("c", "tests.slice:one:c", ("echo", "no bus"), verb="run",
                       wrap="unshare -m sh -c 'mount -t tmpfs t /run/dbus && exec /tare/tare-runtime --systemd-cgroup \"$@\"' x") == "no bus"
    # A start that fails.
    assert "executable file not found" in machine.run("c", "tests.slice:one:c", ("nothing-like-it",), code=1)
    gone(machine, "one-c.scope")
    # systemd ends it, and what is left is deleted as always.
    machine.run("c", "tests.slice:one:c", annotations={"org.systemd.property.KillSignal": "9"})
    machine.sh("systemctl stop one-c.scope; runtime state c | grep -q stopped; runtime delete c")
    gone(machine, "one-c.scope")
    # A creator that is killed while a hook runs.
    hook = {"createRuntime": [{"path": "/bin/sh", "args": ["sh", "-c", "touch /b/hooked; sleep 1000"]}]}
    machine.run("c", "tests.slice:one:c", verb="run -d", hooks=hook, code=137,
                wrap="sh -c '/tare/tare-runtime --systemd-cgroup \"$@\" & while ! test -f /b/hooked; do sleep 0.05; done; kill -9 $!; wait $!' x")
    machine.sh("runtime delete --force c; rm hooked")
    gone(machine, "one-c.scope")


@pytest.mark.skipif(criu.folder() is None, reason=criu.missing() or "criu is not in a folder of its own")
def test_restored_into_a_scope(machine):
    """With its limits, in systemd's eyes too, and twice. Of the machine's network: to keep another, CRIU wants tools that are not there."""
    spec = json.loads(machine.spec)
    namespaces = [each for each in spec["linux"]["namespaces"] if each["type"] != "network"]
    machine.run("f", "tests-deep.slice:one:f", ("sh", "-c", "while :; do sleep 0.1; done"), resources=LIMITS, linux={**spec["linux"], "namespaces": namespaces,
                "cgroupsPath": "tests-deep.slice:one:f", "resources": LIMITS}, wrap="sh -c '/tare/tare-runtime --systemd-cgroup \"$@\" >/dev/null 2>&1' x")
    exact = limits_inside(machine, "f")
    path = f"PATH={criu.folder()}/bin:/usr/sbin:/usr/bin:/bin; "
    for _ in range(2):
        machine.sh(path + "runtime checkpoint --image-path image f")
        gone(machine, "one-f.scope")
        machine.sh(path + "runtime restore -d --image-path image f </dev/null >out 2>&1; code=$?; cat out; exit $code")
        assert machine.show("one-f.scope", "ActiveState", "TasksMax", "Slice") == {"ActiveState": "active", "TasksMax": "77", "Slice": "tests-deep.slice"}
        assert limits_inside(machine, "f") == exact
        assert machine.sh("pid=$(runtime state f | tr -dc '[:alnum:]:,' | sed 's/.*pid:\\([0-9]*\\).*/\\1/'); cut -d: -f3 /proc/$pid/cgroup | sort -u") \
            == "/tests.slice/tests-deep.slice/one-f.scope"
    machine.sh("runtime delete -f f; rm -r image")
    gone(machine, "one-f.scope")


def test_scopes_that_are_refused(machine):
    for path, code, text in (("/plain", 1, 'expected cgroupsPath to be of format \\"slice:prefix:name\\" for systemd cgroups, got \\"/plain\\" instead'),
                             ("a--b.slice:x:y", 1, "invalid slice name: a--b.slice"), ("nothing:x:y", 1, "invalid slice name: nothing"),
                             ("tests.slice:x:../y", 1, "is not a name for a unit of systemd's")):
        assert text in machine.run("d", path, code=code)
    for name, value, text in (("TimeoutStopUSec", "minutes", "is not a value in GVariant's text form"), ("x", "1", "not the name of a property of systemd's"),
                              ("NoSuchThing", "1", "systemd refuses StartTransientUnit: ")):
        assert text in machine.run("d", "tests.slice:x:d", annotations={f"org.systemd.property.{name}": value}, code=1)
    machine.run("d", "tests.slice:x:d")
    assert "already" in machine.run("e", "tests.slice:x:d", code=1)  # the unit is another's, and stays
    assert machine.sh("runtime state d | grep -c running; runtime delete -f d") == "1"
    assert "systemd not running on this host, cannot use systemd cgroups manager" in machine.run(
        "d", "tests.slice:x:d", code=1, wrap="unshare -m sh -c 'mount -t tmpfs t /run/systemd && exec /tare/tare-runtime --systemd-cgroup \"$@\"' x")
    assert "cannot reach systemd by /run/dbus/system_bus_socket or /run/systemd/private" in machine.run(
        "d", "tests.slice:x:d", code=1, wrap="unshare -m sh -c 'mount -t tmpfs t /run/dbus && mount -t tmpfs t /run/systemd && mkdir /run/systemd/system && "
                                             "exec /tare/tare-runtime --systemd-cgroup \"$@\"' x")
    gone(machine, "x-d.scope")


def test_a_scope_of_the_librarys(machine, system, tmp_path):
    subprocess.run(["cc", "-static", "-o", tmp_path / "host", "-I", TOP / "include", TOP / "tests/integration/helpers/host.c",
                    BUILD / "src/library/libtare.a"], check=True)
    system.tare("cp", tmp_path / "host", "machine:/b/host")
    shown = machine.sh("""mkfifo end; TARE_RUNTIME=/tare/tare-runtime ./host scope /b/rootfs /run/lib tests-deep.slice:lib: <end >said &
        exec 3>end; for try in $(seq 600); do test -s said && break; sleep 0.1; done
        systemctl show lib-scope.scope -p ControlGroup,TasksMax; exec 3>&-; wait $!; ls /run/lib | grep -v seccomp""", code=1)
    assert shown.splitlines() == ["ControlGroup=/tests.slice/tests-deep.slice/lib-scope.scope", "TasksMax=66"]
    gone(machine, "lib-scope.scope")


ENGINE = """
    rm -rf /etc/tare; export PATH=/tare:$PATH TARE_LIBEXEC=/tare
    start() { unshare -m sh -c 'mount --bind /lib-of-tests /usr/lib/x86_64-linux-gnu && exec tared "$@"' x "$@" >/tmp/log 2>&1 </dev/null & }
    ready() { for try in $(seq 200); do test -S /run/tare/tare.sock && tare ps >/dev/null 2>&1 && return; sleep 0.1; done; cat /tmp/log; exit 9; }
"""


def test_an_engine_with_scopes(machine):
    sh = machine.sh
    sh(ENGINE + "start --exec-opt native.cgroupdriver=systemd; echo $! >/tmp/pid; ready; tare load -q -i /image.tar")
    try:
        made = ENGINE + "tare run -d --name one -m 64m --pids-limit 55 --network none busybox sleep 1000"
        identity = sh(made)
        assert sh(ENGINE + "tare info --format '{{.CgroupDriver}}'") == "systemd"
        unit, memory = f"tare-{identity}.scope", "MemoryMax" if machine.unified else "MemoryLimit"
        assert machine.show(unit, "ControlGroup", memory, "TasksMax") == {"ControlGroup": f"/system.slice/{unit}", memory: "67108864", "TasksMax": "55"}
        assert sh(ENGINE + "tare update --pids-limit 44 one >/dev/null; tare exec one echo inside") == "inside"
        assert machine.show(unit, "TasksMax") == {"TasksMax": "44"}
        # A monitor that dies: the next one finds groups and unit.
        sh(ENGINE + f"""for dir in /proc/[0-9]*; do
            tr '\\0' ' ' <$dir/cmdline | grep -q '^tare-monitor .*{identity}' && kill -9 ${{dir#/proc/}} && echo killed; done
            for try in $(seq 300); do tare wait one >/dev/null 2>&1 && break; sleep 0.1; done; tare rm one""")
        gone(machine, unit)
        identity = sh(made.replace("busybox", "--cgroup-parent a-b.slice busybox"))
        assert machine.show(f"tare-{identity}.scope", "ControlGroup") == {"ControlGroup": f"/a.slice/a-b.slice/tare-{identity}.scope"}
        sh(ENGINE + "tare kill one; tare wait one; tare rm one")
        gone(machine, f"tare-{identity}.scope")
        assert 'cgroup-parent for systemd cgroup should be a valid slice named as "xxx.slice"' in sh(
            ENGINE + "tare run --rm --cgroup-parent /plain busybox true", 125)
    finally:
        sh("kill $(cat /tmp/pid); while test -d /proc/$(cat /tmp/pid); do sleep 0.05; done")
    for options, text in (("--exec-opt native.cgroupdriver=other", "native.cgroupdriver option other not supported"),
                          ("--exec-opt else=1", "exec-opt else=1 is not known"),
                          ("--exec-opt native.cgroupdriver=systemd --cgroup-parent /a", 'should be a valid slice named as "xxx.slice"')):
        assert text in sh(ENGINE + f"start {options}; wait $!; cat /tmp/log")
