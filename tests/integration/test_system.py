"""A whole system in a container: Debian's systemd as its init, unchanged."""
import json
import re

import pytest

from harness import images
from harness.engine import PROGRAMS, wait_for

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
