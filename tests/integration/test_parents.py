"""Networks on a parent interface, macvlan and ipvlan: who reaches whom in each mode, and what is left of parents that the engine made
when it was killed. A wire leads from this host to another one. What the kernel has no links for is skipped, with its own words."""
import json
import re
import subprocess

import pytest

from harness import networks
from harness.engine import wait_for
from harness.nets import Namespace, join

HERE, THERE = "192.0.2.1", "192.0.2.2"


def lacks(*kind):
    """What the kernel says of links of that kind on the wire's parent, if it does not make them; its modules come with the asking."""
    subprocess.run("ip link add probe0 type veth peer name probe1", shell=True, check=True)
    try:
        base = [] if kind[0] == "dummy" else ["link", "probe0"]
        done = subprocess.run(["ip", "link", "add", *base, "probe2", "type", *kind], stderr=subprocess.PIPE, text=True)
        if done.returncode == 0:
            subprocess.run(["ip", "link", "delete", "probe2"], check=True)
        return f"no {kind[0]}: {done.stderr.strip()}" if done.returncode else None
    finally:
        subprocess.run(["ip", "link", "delete", "probe0"], check=True)


def need(*kind):
    reason = lacks(*kind)
    if reason:
        pytest.skip(reason)


@pytest.fixture
def outside():
    """A host at the far end of "lane0"."""
    host, far = Namespace("/proc/self/ns/net"), Namespace()
    join(host, "lane0", far, "lane0")
    far.ip(f"addr add {THERE}/24 dev lane0", "addr add 10.131.0.1/24 dev lane0", "addr add 10.132.0.1/24 dev lane0")
    yield far
    host.ip("link del lane0")
    host.close()
    far.close()


@pytest.fixture
def made(engine):
    names = {"containers": [], "networks": []}
    yield names
    for kind, query in (("containers", "?force=1"), ("networks", "")):
        for name in names[kind]:
            status, answer = engine.api("DELETE", f"/{kind}/{name}{query}")
            assert status in (204, 404), answer


def create(engine, made, name, *options):
    engine.docker("network", "create", *options, name)
    made["networks"].append(name)


def run(engine, made, network, name, *options):
    """Its address there."""
    made["containers"].append(name)
    engine.docker("run", "-d", "--name", name, "--network", network, *options, "busybox", "sleep", "1000")
    return engine.api("GET", f"/containers/{name}/json")[1]["NetworkSettings"]["Networks"][network]["IPAddress"]


def inside(engine, name, *command):
    return engine.tare("exec", name, *command).stdout


def pings(engine, name, address, seconds=30):
    done = engine.tare("exec", name, "ping", "-c1", f"-W{seconds}", address, check=False)
    return "1 packets received" in done.stdout


def reached_from(far, address):
    return far.run("busybox", "ping", "-c1", "-W30", address).returncode == 0


def interfaces():
    return {link["ifname"]: link for link in networks.links()}


@pytest.mark.parametrize("mode, neighbours", [("bridge", True), ("private", False), ("vepa", False)])
def test_macvlan_modes(engine, made, outside, mode, neighbours):
    """All are on the wire; whether they hear each other is what the modes differ in (the far end is no switch that sends back)."""
    need("macvlan")
    create(engine, made, "lane", "-d", "macvlan", "-o", "parent=lane0", "-o", f"macvlan_mode={mode}", "--subnet", "10.131.0.0/24")
    one, two = run(engine, made, "lane", "lane-one"), run(engine, made, "lane", "lane-two")
    assert (one, two) == ("10.131.0.2", "10.131.0.3")
    for name, address in (("lane-one", one), ("lane-two", two)):
        assert pings(engine, name, "10.131.0.1") and reached_from(outside, address)
    assert pings(engine, "lane-one", two, 30 if neighbours else 1) == neighbours


def test_macvlan_passthru_is_for_one(engine, made, outside):
    need("macvlan", "mode", "passthru")
    create(engine, made, "lane", "-d", "macvlan", "-o", "parent=lane0", "-o", "macvlan_mode=passthru", "--subnet", "10.131.0.0/24")
    run(engine, made, "lane", "lane-one")
    assert pings(engine, "lane-one", "10.131.0.1")
    made["containers"].append("lane-two")
    done = engine.docker("run", "-d", "--name", "lane-two", "--network", "lane", "busybox", "sleep", "1000", check=False)
    assert done.returncode != 0 and "network lane: cannot make the container's interface" in done.stderr, done.stderr
    engine.tare("rm", "-f", "lane-one")
    engine.tare("start", "lane-two")
    assert pings(engine, "lane-two", "10.131.0.1")


@pytest.mark.parametrize("mode", ["bridge", "passthru"])
def test_macvlan_starts_again_at_once(engine, made, outside, mode):
    """Though the interface of before, of the same address, goes with its namespace, a moment later."""
    need("macvlan", "mode", mode)
    create(engine, made, "lane", "-d", "macvlan", "-o", "parent=lane0", "-o", f"macvlan_mode={mode}", "--subnet", "10.131.0.0/24")
    run(engine, made, "lane", "lane-again")
    for _ in range(10):
        engine.tare("restart", "-t", "0", "lane-again")
    assert pings(engine, "lane-again", "10.131.0.1")


def test_ipvlan_l2(engine, made, outside):
    """One Ethernet address for all, the parent's, and each with its own of the network."""
    need("ipvlan", "mode", "l2")
    create(engine, made, "lane", "-d", "ipvlan", "-o", "parent=lane0", "--subnet", "10.131.0.0/24")
    one, two = run(engine, made, "lane", "lane-one"), run(engine, made, "lane", "lane-two")
    assert (one, two) == ("10.131.0.2", "10.131.0.3")
    assert f"inet {one}/24" in inside(engine, "lane-one", "ip", "addr", "show", "eth0")
    for name in ("lane-one", "lane-two"):
        assert interfaces()["lane0"]["address"] in inside(engine, name, "ip", "link", "show", "eth0")
        assert "default via 10.131.0.1" in inside(engine, name, "ip", "route")
        assert pings(engine, name, "10.131.0.1")
    assert pings(engine, "lane-one", two) and pings(engine, "lane-two", one)
    assert reached_from(outside, one) and reached_from(outside, two)
    assert "10.131.0.1" in inside(engine, "lane-one", "cat", "/proc/net/arp")
    done = engine.docker("run", "--rm", "--network", "lane", "--mac-address", "02:00:00:00:00:09", "busybox", "ip", "link", "show", "eth0", check=False)
    assert done.returncode != 0 or interfaces()["lane0"]["address"] in done.stdout


@pytest.mark.parametrize("flag", ["private", "vepa"])
def test_ipvlan_keeps_containers_apart(engine, made, outside, flag):
    need("ipvlan", "mode", "l2")
    create(engine, made, "lane", "-d", "ipvlan", "-o", "parent=lane0", "-o", f"ipvlan_flag={flag}", "--subnet", "10.131.0.0/24")
    run(engine, made, "lane", "lane-one")
    two = run(engine, made, "lane", "lane-two")
    assert pings(engine, "lane-one", "10.131.0.1") and pings(engine, "lane-two", "10.131.0.1")
    assert not pings(engine, "lane-one", two, 1)


@pytest.mark.parametrize("mode", ["l3", "l3s"])
def test_ipvlan_l3(engine, made, outside, mode):
    """No neighbours, but a route by the parent's host: the far one has to know it."""
    need("ipvlan", "mode", mode)
    subprocess.run(["ip", "addr", "add", f"{HERE}/24", "dev", "lane0"], check=True)
    create(engine, made, "lane", "-d", "ipvlan", "-o", "parent=lane0", "-o", f"ipvlan_mode={mode}", "--subnet", "10.133.0.0/24")
    one, two = run(engine, made, "lane", "lane-one"), run(engine, made, "lane", "lane-two")
    assert (one, two) == ("10.133.0.2", "10.133.0.3")
    assert "NOARP" in inside(engine, "lane-one", "ip", "link", "show", "eth0")
    assert re.search("^default dev eth0", inside(engine, "lane-one", "ip", "route"), re.M)
    assert pings(engine, "lane-one", two) and pings(engine, "lane-two", one)
    outside.ip(f"route add 10.133.0.0/24 via {HERE}")
    assert reached_from(outside, one) and reached_from(outside, two)
    assert pings(engine, "lane-one", THERE) and pings(engine, "lane-two", THERE)
    assert not pings(engine, "lane-one", "10.133.0.255", 1)
    assert inside(engine, "lane-one", "cat", "/proc/net/arp").count("\n") == 1  # its heading


def test_ipvlan_with_several_subnets(engine, made, outside):
    need("ipvlan")
    made["networks"].append("lane")  # by tare: docker sends subnets in any order
    engine.tare("network", "create", "-d", "ipvlan", "-o", "parent=lane0", "--subnet", "10.131.0.0/24", "--gateway", "10.131.0.1",
                "--ip-range", "10.131.0.8/30", "--subnet", "10.132.0.0/24", "--gateway", "10.132.0.1", "lane")
    assert [run(engine, made, "lane", f"lane-{n}") for n in range(5)] == [*(f"10.131.0.{n}" for n in range(8, 12)), "10.132.0.2"]
    assert pings(engine, "lane-0", "10.131.0.11") and pings(engine, "lane-0", "10.131.0.1") and pings(engine, "lane-4", "10.132.0.1")


@pytest.mark.parametrize("driver", ["macvlan", "ipvlan"])
def test_a_vlan_of_the_engine_s_making(engine, made, outside, driver):
    need(driver)
    need("vlan", "id", "9")
    outside.ip("link add link lane0 name lane0.10 type vlan id 10", "link set lane0.10 up", "addr add 10.134.0.1/24 dev lane0.10")
    create(engine, made, "lane", "-d", driver, "-o", "parent=lane0.10", "--subnet", "10.134.0.0/24")
    one, two = run(engine, made, "lane", "lane-one"), run(engine, made, "lane", "lane-two")
    assert pings(engine, "lane-one", two) and pings(engine, "lane-one", "10.134.0.1") and reached_from(outside, one)
    engine.docker("rm", "-f", "lane-one", "lane-two")
    engine.docker("network", "rm", "lane")
    wait_for(lambda: "lane0.10" not in interfaces(), "the end of the parent's part")


def test_ipvlan_without_a_parent(engine, made):
    need("ipvlan")
    need("dummy")
    create(engine, made, "lane", "-d", "ipvlan", "--internal", "--subnet", "10.135.0.0/24")
    parent = engine.api("GET", "/networks/lane")[1]["Options"]["parent"]
    assert interfaces()[parent]["linkinfo"]["info_kind"] == "dummy"
    run(engine, made, "lane", "lane-one")
    assert pings(engine, "lane-one", run(engine, made, "lane", "lane-two"))
    assert "default" not in inside(engine, "lane-one", "ip", "route")
    engine.docker("rm", "-f", "lane-one", "lane-two")
    engine.docker("network", "rm", "lane")
    wait_for(lambda: parent not in interfaces(), "the end of the parent")


@pytest.mark.parametrize("kind", ["dummy", "vlan"])
def test_a_killed_engine_s_parent_is_swept(fresh_engine, outside, kind):
    """One that no network has, by a name that none had: what an engine leaves that dies between a record's end and its parent's."""
    engine = fresh_engine
    if kind == "vlan":
        need("vlan", "id", "9")
    engine.docker("network", "create", "-d", "macvlan", *(["-o", "parent=lane0.11"] if kind == "vlan" else []), "--subnet", "10.136.0.0/24", "lane")
    parent = engine.api("GET", "/networks/lane")[1]["Options"]["parent"]
    whose = interfaces()[parent]["ifalias"]
    subprocess.run(f"ip link set {parent} down && ip link set {parent} name stray0 && ip link add foreign0 type veth peer name foreign1 && "
                   f"ip link set foreign0 alias '{whose}x'", shell=True, check=True)
    try:
        engine.kill_engine()
        wait_for(lambda: "stray0" not in interfaces(), "the end of the parent that nobody has")
        assert {"foreign0", "lane0"} <= set(interfaces())
    finally:
        subprocess.run(["ip", "link", "delete", "foreign0"], check=True)
    engine.docker("network", "rm", "lane")
    assert whose not in json.dumps(networks.links())
