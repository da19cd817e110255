"""tared --ports-obey-input: published ports are sockets of the host's, and its rules for input decide."""
import subprocess

import pytest

from harness import images
from harness.engine import Engine
from harness.nets import Echo, Namespace, ask, join

HERE, THERE, HERE6, THERE6 = "192.0.2.1", "192.0.2.2", "2001:db8::1", "2001:db8::2"
BRIEF = 0.3


@pytest.fixture(scope="module")
def engine():
    engine = Engine("--ports-obey-input").start()
    engine.tare("load", "-q", "-i", images.busybox())
    yield engine
    left = engine.stop()
    assert not left, left


@pytest.fixture(scope="module")
def world(engine):
    host, outside = Namespace("/proc/self/ns/net"), Namespace()
    join(host, "wire", outside, "wire")
    host.ip(f"addr add {HERE}/24 dev wire", f"addr add {HERE6}/64 dev wire nodad")
    outside.ip(f"addr add {THERE}/24 dev wire", f"addr add {THERE6}/64 dev wire nodad")
    engine.docker("network", "create", "--ipv6", "--subnet", "10.85.0.0/24", "--subnet", "fd85::/64", "dual")
    engine.docker("network", "create", "--internal", "--subnet", "10.86.0.0/24", "within")
    engine.docker("run", "-d", "--name", "web", "--network", "dual", "-p", "8500:80", "-p", "8500:80/udp", "-p", "127.0.0.1:8501:80",
                  "-p", "8510-8519:8510-8519", "busybox", "sleep", "1000")
    engine.docker("run", "-d", "--name", "inner", "--network", "within", "busybox", "sleep", "1000")
    spaces = {name: Namespace(f"/proc/{engine.api('GET', f'/containers/{name}/json')[1]['State']['Pid']}/ns/net") for name in ("web", "inner")}
    echo = Echo(spaces["web"], "::", 80)
    yield {"host": host, "outside": outside, **spaces}
    echo.close()
    host.ip("link del wire")
    for one in (host, outside, *spaces.values()):
        one.close()
    for name in ("web", "inner"):
        engine.api("DELETE", f"/containers/{name}?force=1")
    engine.docker("network", "rm", "dual", "within")


@pytest.fixture
def policy():
    """The administrator's rules."""
    def put(*rules):
        text = "table inet admin { chain input { type filter hook input priority 0; policy drop; ct state established,related accept; " \
               "iifname lo accept; icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } accept; " + "; ".join(rules) + "; }; }"
        subprocess.run(["nft", "-f", "-"], input=text, text=True, check=True)
    yield put
    subprocess.run(["nft", "delete", "table", "inet", "admin"], check=True)


@pytest.mark.parametrize("protocol", ["tcp", "udp"])
def test_without_rules_it_is_reached(world, protocol):
    for client, address in (("outside", HERE), ("outside", HERE6), ("host", "127.0.0.1"), ("host", "::1"), ("host", HERE)):
        assert ask(world[client], protocol, address, 8500) == ("fd85::1" if ":" in address else "10.85.0.1"), address
    assert ask(world["web"], protocol, HERE, 8500) == "10.85.0.1", "its own port, by the host"


def test_the_host_s_rules_decide(engine, world, policy):
    policy("tcp dport 8500 accept", "udp dport 8510 accept")
    for address in (HERE, HERE6):
        assert ask(world["outside"], "tcp", address, 8500) not in ("silence", "Connection refused")
        assert ask(world["outside"], "udp", address, 8500, BRIEF) == "silence", "as the policy says"
    assert ask(world["host"], "udp", "127.0.0.1", 8500) == "10.85.0.1", "lo is let in"
    report = engine.tare("doctor", check=False).stdout
    assert "the chain input of the table inet admin (somebody's) drops packets to the host's port 8500/udp by its policy" in report
    assert "to mend: nft insert rule inet admin input udp dport 8500 accept" in report
    assert "host's port 8500/tcp" not in report
    subprocess.run("nft insert rule inet admin input udp dport 8500 accept", shell=True, check=True)
    assert ask(world["outside"], "udp", HERE, 8500) == "10.85.0.1"


def test_loopback_and_internal_stay_so(world):
    assert ask(world["host"], "tcp", "127.0.0.1", 8501) == "10.85.0.1"
    assert ask(world["outside"], "tcp", HERE, 8501) == "Connection refused"
    for protocol in ("tcp", "udp"):
        assert ask(world["inner"], protocol, "10.86.0.1", 8500, BRIEF) == "silence"
    world["host"].sysctl("ipv4/conf/wire/route_localnet", 1)
    world["outside"].sysctl("ipv4/conf/wire/route_localnet", 1)
    world["outside"].ip("route del local 127.0.0.0/8 dev lo table local", "addr flush dev lo", f"route add 127.0.0.0/8 via {HERE} dev wire")
    try:
        assert world["outside"].connect("127.0.0.1", 8501, BRIEF, source=THERE) == "silence"
    finally:
        world["outside"].ip("route del 127.0.0.0/8", "addr add 127.0.0.1/8 dev lo")
        world["host"].sysctl("ipv4/conf/wire/route_localnet", 0)


def test_what_is_shown_and_refused(engine, world):
    ports = engine.api("GET", "/containers/web/json")[1]["NetworkSettings"]["Ports"]
    assert ports["80/udp"] == [{"HostIp": "0.0.0.0", "HostPort": "8500"}, {"HostIp": "::", "HostPort": "8500"}]
    refused = engine.tare("run", "-d", "--name", "taken", "--network", "dual", "-p", "8500:80", "busybox", "sleep", "1000", check=False)
    assert "port is already allocated (by container web)" in refused.stderr
    engine.api("DELETE", "/containers/taken?force=1")
    refused = engine.tare("run", "-d", "--name", "sctp", "--network", "dual", "-p", "8502:80/sctp", "busybox", "sleep", "1000", check=False)
    assert refused.returncode == 125 and "Bind for 0.0.0.0:8502 failed: Protocol not supported" in refused.stderr
    engine.api("DELETE", "/containers/sctp?force=1")
    listed = subprocess.run(["nft", "list", "ruleset"], capture_output=True, text=True, check=True).stdout
    assert "8500 : " not in listed and "8510-8519" not in listed, "the table leads nowhere"
