"""The README's first command on a machine that has nothing of ours: /run and /var/lib are empty here."""
import os
import pathlib
import signal
import subprocess
import types

from harness import networks
from harness.engine import BUILD, processes, wait_for

TOP = pathlib.Path(__file__).resolve().parents[2]


def is_ours(prefix):
    """Of the default engine, not of another module's."""
    return lambda c: os.path.basename(c[0]).startswith(prefix) and not any("tare-test" in word for word in c)


def test_quickstart_from_nothing():
    script = f"mount -t tmpfs run /run && mount -t tmpfs lib /var/lib && {TOP}/scripts/quickstart {BUILD} && {TOP}/scripts/quickstart {BUILD}"
    try:
        done = subprocess.run(["unshare", "-m", "--propagation", "private", "sh", "-c", script], stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=120)
        assert done.returncode == 0, done.stdout + done.stderr
        assert done.stdout.count("my PID:   1\n") == 2 and "hostname: " in done.stdout
    finally:
        for pid in processes(is_ours("tared")):
            os.kill(pid, signal.SIGTERM)
        wait_for(lambda: not processes(is_ours("tare")), "the end of all our processes")
        networks.clear(types.SimpleNamespace(exec_root="/run/tare"))
