"""Limits of bandwidth: buckets at the host's end of a container's pair, and what is left of them."""
import json
import os
import signal
import socket
import subprocess
import threading
import time

import pytest

from harness import networks
from harness.engine import wait_for
from harness.nets import Namespace

RATE = 20_000_000  # bits per second
BYTES = 1_500_000  # 0.6 s at that rate
HOST = Namespace("/proc/self/ns/net")


@pytest.fixture
def run(engine):
    names, spaces = [], []

    def start(name, *options, network="bridge", program=None, check=True):
        names.append(name)
        done = (program or engine.tare)("run", "-d", "--name", name, "--network", network, *options, "busybox", "sleep", "1000", check=check)
        return done
    start.spaces = spaces  # none is held unless it must be: it would keep the pair
    yield start
    for space in spaces:
        space.close()
    for name in names:
        engine.api("DELETE", f"/containers/{name}?force=1")
    wait_for(lambda: not detours() and not networks.ports(engine), "nothing is left")


def opened(engine, run, name):
    run.spaces.append(inside(engine, name))
    return run.spaces[-1]


def inspect(engine, name):
    status, document = engine.api("GET", f"/containers/{name}/json")
    assert status == 200, document
    return document


def inside(engine, name):
    return Namespace(f"/proc/{inspect(engine, name)['State']['Pid']}/ns/net")


def detours():
    return [link["ifname"] for link in networks.links() if link.get("linkinfo", {}).get("info_kind") == "ifb" and link["ifname"].startswith("vi")]


def rates(device):
    """In bits, of the interface's buckets."""
    listed = json.loads(subprocess.run(["tc", "-j", "qdisc", "show", "dev", device], capture_output=True, text=True, check=True).stdout)
    return [8 * one["options"]["rate"] for one in listed if one["kind"] == "tbf"]


def limits(engine):
    """Of the only container: what comes in, what goes out."""
    port, = networks.ports(engine)
    detour = "vi" + port[2:]
    return rates(port), rates(detour) if detour in detours() else []


def measure(receiver, sender, address, family=socket.AF_INET):
    """Bits per second that get through."""
    with receiver.listen(address if receiver is not HOST else "0.0.0.0", 5001) as listener:
        client = sender.connect(address, 5001)
        accepted, _ = listener.accept()
        thread = threading.Thread(target=client.sendall, args=(b"x" * BYTES,))
        begin, got = time.monotonic(), 0
        thread.start()
        while got < BYTES:
            got += len(accepted.recv(65536))
        took = time.monotonic() - begin
        thread.join()
        client.close()
        accepted.close()
    return 8 * BYTES / took


def test_both_ways(engine, run):
    run("slow", "--bandwidth-in", "20m", "--bandwidth-out", "10mbit")
    space = opened(engine, run, "slow")
    host = inspect(engine, "slow")["HostConfig"]
    assert (host["BandwidthIn"], host["BandwidthOut"]) == (RATE, RATE // 2)
    assert limits(engine) == ([RATE], [RATE // 2])
    place = inspect(engine, "slow")["NetworkSettings"]["Networks"]["bridge"]
    # It may be slower on a machine that is busy, not faster: what the buckets hold at once is a few per cent.
    for rate, *way in ((RATE, space, HOST, place["IPAddress"]), (RATE / 2, HOST, space, place["Gateway"])):
        measured = [measure(*way)]
        while max(measured) < rate / 3 and len(measured) < 10:
            measured.append(measure(*way))
        assert rate / 3 < max(measured) < rate * 1.15, measured
    # Between containers too, which need not pass the host's filter.
    engine.tare("update", "--bandwidth-in", "0", "slow")
    run("other")
    other = opened(engine, run, "other")
    assert measure(other, space, inspect(engine, "other")["NetworkSettings"]["Networks"]["bridge"]["IPAddress"]) < RATE / 2 * 1.15


def test_changed_while_it_runs(engine, run):
    run("live")
    assert limits(engine) == ([], [])
    steps = [(("--bandwidth-out", "1m"), [], [10**6]), (("--bandwidth-in", "2.5m"), [2_500_000], [10**6]),
             (("--bandwidth-out", "3g"), [2_500_000], [3 * 10**9]), (("--bandwidth-in", "40g"), [40 * 10**9], [3 * 10**9]),
             (("--bandwidth-out", "0"), [40 * 10**9], []), (("--bandwidth-out", "8k", "--bandwidth-in", "0"), [], [8000])]
    for words, coming, going in steps:
        engine.tare("update", *words, "live")
        assert limits(engine) == (coming, going), words
    assert inspect(engine, "live")["HostConfig"]["BandwidthOut"] == 8000
    engine.tare("restart", "-t", "0", "live")
    wait_for(lambda: len(networks.ports(engine)) == 1, "the pair of before has gone")
    assert limits(engine) == ([], [8000])
    for word, why in (("7k", "it is from 8000"), ("2t", "it is from 8000"), ("-1", "expected bits"), ("10q", "expected bits")):
        done = engine.tare("update", "--bandwidth-in", word, "live", check=False)
        assert done.returncode != 0 and why in done.stderr, (word, done.stderr)
    assert limits(engine) == ([], [8000])
    status, _ = engine.api("POST", "/containers/live/update", {"BandwidthIn": 10**6, "BandwidthOut": 0})
    assert status == 200 and limits(engine) == ([10**6], [])


def test_networks_come_and_go(engine, run):
    run("moves", "--bandwidth-in", "5m", "--bandwidth-out", "6m")
    engine.tare("network", "create", "shaped")
    try:
        engine.tare("network", "connect", "shaped", "moves")
        assert len(detours()) == 2 and all(rates(port) == [5 * 10**6] for port in networks.ports(engine))
        engine.tare("network", "disconnect", "bridge", "moves")
        assert len(detours()) == 1
    finally:
        engine.api("DELETE", "/containers/moves?force=1")
        engine.tare("network", "rm", "shaped")
    for mode in ("host", "container:moves"):
        done = engine.tare("create", "--network", mode, "--bandwidth-in", "1m", "busybox", check=False)
        assert "bandwidth limit and the" in done.stderr or "No such container" in done.stderr, done.stderr
    HOST.ip("link add shapeparent type veth peer shapepeer", "link set shapeparent up")
    engine.tare("network", "create", "-d", "macvlan", "-o", "parent=shapeparent", "--subnet", "172.29.9.0/24", "shape-vlan")
    try:
        done = run("vlan", "--bandwidth-in", "1m", network="shape-vlan", check=False)
        assert "can't be limited on a network of driver macvlan" in done.stderr, done.stderr
    finally:
        engine.api("DELETE", "/containers/vlan?force=1")
        engine.tare("network", "rm", "shape-vlan")
        HOST.ip("link del shapeparent")


def test_nothing_is_left(engine, run):
    """Of a container that ends, of one whose monitor is killed, and of one that is started again by its monitor alone."""
    run("ends", "--rm", "--bandwidth-out", "1m")
    engine.tare("exec", "ends", "kill", "1", check=False)
    os.kill(inspect(engine, "ends")["State"]["Pid"], signal.SIGKILL)
    wait_for(lambda: not detours(), "no interface")
    run("lost", "--bandwidth-out", "1m")
    assert len(detours()) == 1
    os.kill(engine.monitor_pid(inspect(engine, "lost")["Id"]), signal.SIGKILL)
    wait_for(lambda: not detours(), "no interface of the dead monitor's")
    run("again", "--restart", "always", "--bandwidth-out", "1m")
    for _ in range(3):
        before = inspect(engine, "again")["State"]["Pid"]
        os.kill(before, signal.SIGKILL)
        wait_for(lambda: inspect(engine, "again")["State"]["Pid"] not in (0, before), "it runs again")
    wait_for(lambda: len(detours()) == 1, "one interface")
    wait_for(lambda: len(networks.ports(engine)) == 1, "one pair")
    assert limits(engine) == ([], [10**6])
