"""What a container may reach: policies by address, port and name, held in the host's packet filter. The engine's host is the tests' own
network namespace; another host stands on a wire beside it, and has a few addresses."""
import ipaddress
import json
import os
import re
import signal
import socket
import struct
import subprocess

import pytest

from harness import dns, networks
from harness.engine import PROGRAMS, TIMEOUT, wait_for
from harness.nets import Namespace, join

BRIEF = 0.4
HERE, HERE6 = "192.0.2.1", "2001:db8::1"
THERE, OTHER, THIRD, THERE6 = "192.0.2.2", "192.0.2.3", "192.0.2.4", "2001:db8::2"
REFUSED = "Connection refused"


@pytest.fixture(scope="module")
def host():
    host = Namespace("/proc/self/ns/net")
    yield host
    host.close()


@pytest.fixture(scope="module", autouse=True)
def outside(host):
    """Another host: TCP and UDP on three ports of all its addresses."""
    outside = Namespace()
    join(host, "wire", outside, "wire")
    host.ip(f"addr add {HERE}/24 dev wire", f"addr add {HERE6}/64 dev wire nodad")
    outside.ip(*(f"addr add {address}/24 dev wire" for address in (THERE, OTHER, THIRD)), f"addr add {THERE6}/64 dev wire nodad",
               f"route add 172.16.0.0/12 via {HERE}", f"route add fd00::/8 via {HERE6}")
    outside.listeners = [outside.listen("::", port) for port in (80, 443, 8080)]
    yield outside
    for listener in outside.listeners:
        listener.close()
    host.ip("link del wire")
    outside.close()


@pytest.fixture(scope="module")
def network(engine):
    engine.tare("network", "create", "--ipv6", "--subnet", "172.29.0.0/24", "--subnet", "fd29::/64", "--internal=false", "egress-net")
    yield "egress-net"
    engine.tare("network", "rm", "egress-net")


@pytest.fixture
def run(engine, network):
    """Runs sleeping containers; nothing of them is in a table after the test."""
    names, spaces = [], []

    def start(name, *options, network=network, program=None, check=True):
        names.append(name)
        done = (program or engine.tare)("run", "-d", "--name", name, "--network", network, *options, "busybox", "sleep", "1000",
                                        check=check)
        if not check:
            return done
        spaces.append(inside(engine, name))
        return spaces[-1]
    yield start
    for space in spaces:  # which would live on, with its addresses
        space.close()
    for name in names:
        engine.api("DELETE", f"/containers/{name}?force=1")
    left = [element for element in elements(engine) if re.search('"comment": "[0-9a-f]{12}"', element)]
    assert not left, left


def rules(engine):
    return "".join(subprocess.run(["nft", "list", "table", family, networks.table(engine)], capture_output=True, text=True).stdout
                   for family in ("bridge", "inet"))


def elements(engine, *sets):
    """Of all sets, or of these, as words: what containers have put has their ID."""
    found = []
    for family in ("bridge", "inet"):
        listed = json.loads(subprocess.run(["nft", "-j", "list", "table", family, networks.table(engine)], capture_output=True,
                                           text=True).stdout or '{"nftables": []}')
        for one in (entry["set"] for entry in listed["nftables"] if "set" in entry):
            if not sets or one["name"] in sets:
                found += [json.dumps(element) for element in one.get("elem", ())]
    return found


def inspect(engine, name):
    status, document = engine.api("GET", f"/containers/{name}/json")
    assert status == 200, document
    return document


def policy(engine, name):
    return inspect(engine, name)["HostConfig"].get("Egress")


def inside(engine, name):
    return Namespace(f"/proc/{inspect(engine, name)['State']['Pid']}/ns/net")


def place(engine, name, network="egress-net"):
    return inspect(engine, name)["NetworkSettings"]["Networks"][network]


def reaches(space, address, port, **options):
    got = space.connect(address, port, **options)
    if isinstance(got, socket.socket):
        got.close()
        return True
    assert got in (REFUSED, "silence"), got
    return False


def is_refused(space, address, port):
    """At once, and not by silence."""
    return space.connect(address, port) == REFUSED


def raw(space, source, target, port, device="eth0", mac=None):
    """A datagram with another source, as who has NET_RAW sends it: written onto the interface."""
    def send():
        with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as made:
            made.bind((device, 0))
            own = made.getsockname()[4]
            payload = b"forged"
            udp = struct.pack(">4H", 4000, port, 8 + len(payload), 0) + payload
            head = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 20 + len(udp), 1, 0, 64, 17, 0, socket.inet_aton(source),
                               socket.inet_aton(target))
            total = sum(struct.unpack(">10H", head))
            total = (total & 0xffff) + (total >> 16)
            head = head[:10] + struct.pack(">H", ~(total + (total >> 16)) & 0xffff) + head[12:]
            made.send(bytes.fromhex(mac.replace(":", "")) + own + b"\x08\x00" + head + udp)
    space.do(send)


# --- words

def test_words(engine, run):
    run("words", "--egress", "allow=192.0.2.2:443,10.1.2.3/16", "--egress", "deny=[FD00::1]:80-90/tcp", "--egress", "allow=*.Example.com.:80")
    assert policy(engine, "words") == ["default=deny", "allow=192.0.2.2:443", "allow=10.1.0.0/16", "deny=[fd00::1]:80-90/tcp",
                                       "allow=*.example.com:80"]
    refused = {
        "allow=": "neither a name nor an address", "allow=10.0.0.300": "neither a name nor an address", "allow=x:0": "a port is",
        "allow=x:9-8": "a range of ports", "deny=www.example": "a name can only be allowed", "allow=1.2.3.4/icmp/33": "not a subnet",
        "allow=1.2.3.4:1/icmp": "icmp has no ports", "default=maybe": "the default is", "all": "it is allow=PLACE",
        "allow=www.example:1-100": "at most 16 ports", "allow=1.2.3.4/33": "not a subnet",
    }
    for word, why in refused.items():
        done = engine.tare("create", "--egress", word, "busybox", check=False)
        assert done.returncode == 1 and why in done.stderr, (word, done.stderr)
    for mode in ("host", "container:words"):
        done = engine.tare("create", "--network", mode, "--egress", "default=deny", "busybox", check=False)
        assert "egress policy and the" in done.stderr, done.stderr


def test_the_label_is_the_request_s_own(engine, run):
    """Compose and the stock command can say it by a label; an image can't."""
    run("labelled", "--label", "tare.egress=default=deny allow=192.0.2.2:80", program=engine.docker)
    assert policy(engine, "labelled") == ["default=deny", "allow=192.0.2.2:80"]
    engine.docker("commit", "--change", "LABEL tare.egress=default=deny", "labelled", "egress-image")
    try:
        engine.docker("create", "--name", "of-image", "egress-image", "true")
        assert policy(engine, "of-image") is None
        assert inspect(engine, "of-image")["Config"]["Labels"]["tare.egress"]
    finally:
        engine.docker("rm", "-f", "of-image")
        engine.docker("rmi", "egress-image")


# --- addresses and ports

def test_only_what_is_allowed(engine, run, outside):
    free = run("free")
    space = run("strict", "--egress", f"allow={THERE}:443,{OTHER}/32,[{THERE6}]:80")
    assert reaches(space, THERE, 443) and reaches(space, OTHER, 80) and reaches(space, OTHER, 8080) and reaches(space, THERE6, 80)
    for address, port in ((THERE, 80), (THERE, 8080), (THIRD, 443), (THERE6, 443)):
        assert is_refused(space, address, port), (address, port)
        assert reaches(free, address, port)
    # The host too, whatever address of its it is.
    with Namespace("/proc/self/ns/net").listen("0.0.0.0", 7777) as service:
        for address in (HERE, place(engine, "strict")["Gateway"]):
            assert is_refused(space, address, 7777)
            assert reaches(free, address, 7777)
            service.accept()[0].close()
    # Its own network is where it was put.
    with free.listen("0.0.0.0", 90):
        assert reaches(space, place(engine, "free")["IPAddress"], 90)


def test_udp_and_icmp(engine, run, outside):
    space = run("datagrams", "--egress", f"allow={THERE}:53/udp,{OTHER}/icmp,{THERE6}/icmp")
    with outside.udp(THERE, 53) as server, outside.udp(OTHER, 53) as other, space.socket(THERE, socket.SOCK_DGRAM) as client:
        client.sendto(b"hello", (THERE, 53))
        data, peer = server.recvfrom(100)
        server.sendto(b"back", peer)
        assert data == b"hello" and client.recv(100) == b"back"
        client.sendto(b"no", (OTHER, 53))
        other.settimeout(BRIEF)
        with pytest.raises(TimeoutError):
            other.recv(100)
    assert is_refused(space, THERE, 53)

    def ping(address):
        return engine.docker("exec", "datagrams", "ping", "-c1", "-W1", address, check=False).returncode == 0
    assert ping(OTHER) and ping(THERE6) and not ping(THERE)


def test_denied_before_allowed(engine, run):
    space = run("mixed", "--egress", f"deny={THERE}:1-100/tcp,{OTHER}", "--egress", f"allow={THERE}/24,{THERE}:80,[2001:db8::/32]:443")
    assert reaches(space, THERE, 443) and reaches(space, THIRD, 80) and reaches(space, THERE6, 443)
    assert is_refused(space, THERE, 80) and is_refused(space, OTHER, 443) and is_refused(space, THERE6, 80)
    only = run("only-deny", "--egress", f"deny={THERE}:80,{THERE6}")
    assert policy(engine, "only-deny")[0] == "default=allow"
    assert is_refused(only, THERE, 80) and is_refused(only, THERE6, 80) and reaches(only, THERE, 443) and reaches(only, OTHER, 80)


def test_places_that_overlap(engine, run):
    """Every order and every nesting: the kernel takes disjoint intervals alone."""
    run("overlap", "--egress", "allow=10.0.0.0/8:600-700,10.0.0.0/16:500-2000,10.0.0.0/16:1500-3000,10.0.0.1,10.0.0.0/24,10.0.0.1:80,"
        "10.0.0.0/8:443/tcp,10.9.0.0/16:443,10.9.0.0/16:400-500,*:22,*:22/tcp,0.0.0.0/0:22,10.0.0.0/16:1-65535/udp")
    # All of it: a port that no element has is refused, one that an element has is not twice there.
    found = [json.loads(element)["elem"]["val"]["concat"] for element in elements(engine, "allow_port4")]
    assert all(first != second for first, second in zip(sorted(map(str, found)), sorted(map(str, found))[1:]))

    def covers(address, protocol, port):
        def has(part, value):
            if isinstance(part, dict) and "prefix" in part:
                return ipaddress.ip_address(value) in ipaddress.ip_network(f"{part['prefix']['addr']}/{part['prefix']['len']}")
            if isinstance(part, dict):
                return part["range"][0] <= value <= part["range"][1]
            return part == value
        return sum(has(one[1], address) and one[2] == protocol and has(one[3], port) for one in found)
    for address, protocol, port, count in (
            ("10.200.0.1", "tcp", 650, 1), ("10.200.0.1", "tcp", 701, 0), ("10.0.9.1", "tcp", 499, 0), ("10.0.9.1", "tcp", 500, 1),
            ("10.0.9.1", "tcp", 650, 1), ("10.0.9.1", "tcp", 1700, 1), ("10.0.9.1", "tcp", 3000, 1), ("10.0.9.1", "tcp", 3001, 0),
            ("10.9.0.1", "tcp", 443, 1), ("10.9.0.1", "udp", 443, 1), ("10.9.0.1", "tcp", 500, 1), ("10.9.0.1", "tcp", 399, 0),
            ("1.2.3.4", "tcp", 22, 1), ("1.2.3.4", "udp", 22, 1), ("10.0.9.1", "udp", 3001, 1), ("10.0.9.1", "udp", 600, 1),
            ("10.0.0.1", "tcp", 80, 0)):  # that one has everything, and 80 needs no element
        assert covers(address, protocol, port) == count, (address, protocol, port, found)
    engine.tare("update", "--egress", "default=allow", "overlap")


def test_what_comes_in_is_answered(engine, run, outside):
    """A policy is about what the container begins."""
    space = run("served", "--egress", "default=deny", "-p", f"{HERE}:8095:80")
    with space.listen("0.0.0.0", 80) as listener:
        assert reaches(outside, HERE, 8095)
        listener.accept()[0].close()
    assert is_refused(space, THERE, 80)


def test_published_ports_by_the_host(engine, run):
    """Places are those on the packet, before the host sends it on to another container."""
    space = run("client", "--egress", f"allow={HERE}:8096")
    engine.tare("network", "create", "egress-else")
    try:
        server = run("server", "-p", "8096:80", network="egress-else")
        with server.listen("0.0.0.0", 80):
            assert reaches(space, HERE, 8096)
            assert is_refused(space, place(engine, "client")["Gateway"], 8096)
    finally:
        engine.api("DELETE", "/containers/server?force=1")
        engine.tare("network", "rm", "egress-else")


# --- who it is

def test_other_sources_are_no_way_out(engine, run, outside):
    """With NET_RAW or NET_ADMIN a container is whoever it likes to be, inside: not beyond its port of the bridge."""
    space = run("forger", "--cap-add", "NET_ADMIN", "--egress", f"allow={OTHER}")
    run("neighbour", network="egress-net")
    neighbour = place(engine, "neighbour")["IPAddress"]
    gateway = place(engine, "forger")["Gateway"]
    links = json.loads(subprocess.run(["ip", "-j", "addr"], capture_output=True, text=True, check=True).stdout)
    bridge = next(link for link in links if any(info.get("local") == gateway for info in link["addr_info"]))
    own = place(engine, "forger")["IPAddress"]
    with outside.udp("0.0.0.0", 9000) as server:
        raw(space, own, OTHER, 9000, mac=bridge["address"])
        assert server.recv(100) == b"forged"
        server.settimeout(BRIEF)
        for source in (neighbour, "172.29.0.99", "0.0.0.0", "169.254.1.1"):
            raw(space, source, THERE, 9000, mac=bridge["address"])
            raw(space, source, OTHER, 9000, mac=bridge["address"])
        with pytest.raises(TimeoutError):
            server.recv(100)
    space.ip("addr add 172.29.0.99/24 dev eth0", "addr add fd29::99/64 dev eth0 nodad")
    assert not reaches(space, THERE, 80, source="172.29.0.99", timeout=BRIEF)
    assert not reaches(space, THERE6, 80, source="fd29::99", timeout=BRIEF)
    # The host by an address that is good on the link alone.
    local = next(info["local"] for info in bridge["addr_info"] if info["scope"] == "link")
    with Namespace("/proc/self/ns/net").listen("::", 7778), space.socket("::1") as client:
        client.settimeout(BRIEF)
        with pytest.raises(OSError):
            client.connect((local, 7778, 0, space.do(socket.if_nametoindex, "eth0")))


def test_several_networks_and_changes(engine, run, outside):
    space = run("moves", "--egress", f"allow={THERE}:80")
    engine.tare("network", "create", "--subnet", "172.29.8.0/24", "egress-more")
    try:
        engine.tare("network", "connect", "egress-more", "moves")
        engine.tare("network", "disconnect", "egress-net", "moves")
        assert reaches(space, THERE, 80) and is_refused(space, THERE, 443)
        own = place(engine, "moves", "egress-more")["IPAddress"]
        own = [element for element in elements(engine) if inspect(engine, "moves")["Id"][:12] in element]
        assert any("172.29.8.2" in element for element in own), own
        assert not [element for element in own if "172.29.0." in element or "fd29:" in element], own
        engine.tare("network", "connect", "egress-net", "moves")
        assert is_refused(space, OTHER, 443)
    finally:
        engine.api("DELETE", "/containers/moves?force=1")
        engine.tare("network", "rm", "egress-more")


def test_networks_that_no_policy_holds(engine, run, host):
    host.ip("link add egressparent type veth peer egresspeer", "link set egressparent up")
    engine.tare("network", "create", "-d", "macvlan", "-o", "parent=egressparent", "--subnet", "172.29.9.0/24", "egress-vlan")
    try:
        done = run("vlan", "--egress", "default=deny", network="egress-vlan", check=False)
        assert done.returncode == 125 and "can't be held on a network of driver macvlan" in done.stderr, done.stderr
        bridged = run("bridged", "--egress", "default=deny")
        done = engine.tare("network", "connect", "egress-vlan", "bridged", check=False)
        assert done.returncode != 0 and "can't be held" in done.stderr, done.stderr
        assert is_refused(bridged, THERE, 80)
    finally:
        for name in ("vlan", "bridged"):
            engine.api("DELETE", f"/containers/{name}?force=1")
        engine.tare("network", "rm", "egress-vlan")
        host.ip("link del egressparent")


# --- who keeps it

def test_it_is_put_back(engine, run):
    space = run("flushed", "--egress", f"allow={THERE}:443")
    name = networks.table(engine)
    for command in ("flush ruleset", f"delete table bridge {name}", f"delete table inet {name}", f"flush chain inet {name} gate",
                    f"flush set inet {name} held4"):
        subprocess.run(["nft", command], check=True)
        wait_for(lambda: is_refused(space, THERE, 80), f"the policy after {command}")
        wait_for(lambda: reaches(space, THERE, 443), f"what is allowed after {command}")


def test_without_an_engine(engine, run):
    """Started again by its monitor alone, it is held as before."""
    run("restarts", "--restart", "always", "--egress", f"allow={THERE}:443")
    document = inspect(engine, "restarts")
    state = engine.exec_root / "containers" / document["Id"] / "state.json"
    before, control = document["State"]["Pid"], engine.engine_pid()
    os.kill(control, signal.SIGSTOP)  # there, so that tared starts no other, and deaf
    try:
        os.kill(before, signal.SIGKILL)

        def pid():
            new = json.loads(state.read_text())
            return new["pid"] if new["status"] == "running" and new["pid"] != before else None
        wait_for(pid, "it runs again")
        space = Namespace(f"/proc/{pid()}/ns/net")
        assert reaches(space, THERE, 443) and is_refused(space, THERE, 80)
        space.close()
    finally:
        os.kill(control, signal.SIGCONT)



# --- what was refused

def seen(engine, name):
    status, document = engine.api("GET", f"/containers/{name}/egress")
    assert status == 200, document
    return {(one["Address"], one["Port"], one["Protocol"], one["Denied"]): one["Packets"] for one in document["Seen"]}


def are_seen(engine, name, counts):
    """These places and no others, so many packets each: a client that waits for its answer on a busy machine may send another."""
    found = seen(engine, name)
    return found.keys() == counts.keys() and all(count <= found[at] < count + 3 for at, count in counts.items())


def test_what_was_refused_is_shown(engine, run):
    space = run("curious", "--egress", f"allow={THERE}:443")
    assert seen(engine, "curious") == {}
    for _ in range(3):
        assert is_refused(space, THERE, 80)
    assert is_refused(space, THERE6, 8080) and reaches(space, THERE, 443)
    engine.tare("exec", "curious", "ping", "-c2", "-W1", OTHER, check=False)
    counted = seen(engine, "curious")
    assert are_seen(engine, "curious", {(THERE, 80, "tcp", True): 3, (THERE6, 8080, "tcp", True): 1, (OTHER, 0, "icmp", True): 2}), counted
    text = engine.tare("egress", "curious").stdout
    assert text.startswith(f"default=deny\nallow={THERE}:443\nPLACE ") and f"[{THERE6}]:8080/tcp" in text and f"{OTHER}/icmp" in text
    # Counted by the kernel: the engine need not be there, and a container's restart begins anew.
    os.kill(engine.engine_pid(), signal.SIGKILL)
    assert is_refused(space, THERE, 80)
    wait_for(engine.answers, "another engine")
    assert seen(engine, "curious")[THERE, 80, "tcp", True] > counted[THERE, 80, "tcp", True]
    engine.tare("restart", "-t", "0", "curious")
    assert seen(engine, "curious") == {}
    engine.tare("stop", "-t", "0", "curious")
    assert engine.tare("egress", "curious").stdout == f"default=deny\nallow={THERE}:443\n"


def test_one_container_can_t_fill_what_is_shown(engine, run):
    """It has so many places at once; who comes after it is shown all the same."""
    space, other = run("loud", "--egress", "default=deny"), run("quiet", "--egress", "default=deny")
    budget = 512

    def shout():
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            for port in range(1, 1201):
                try:
                    sender.sendto(b"", (OTHER, port))
                except ConnectionRefusedError:  # of one before
                    sender.sendto(b"", (OTHER, port))
    space.do(shout)
    loud = seen(engine, "loud")
    assert budget // 2 < len(loud) <= budget + 64, len(loud)
    space.do(shout)  # what is known is counted on
    again = seen(engine, "loud")
    assert len(again) <= budget + 128 and sum(again.values()) > sum(loud.values())
    assert is_refused(other, THERE, 80) and are_seen(engine, "quiet", {(THERE, 80, "tcp", True): 1})
    engine.tare("restart", "-t", "0", "loud")
    space = inside(engine, "loud")
    assert is_refused(space, THERE, 80) and are_seen(engine, "loud", {(THERE, 80, "tcp", True): 1})
    space.close()


def test_audit_only_notes(engine, run):
    space = run("audited", "--egress", "default=audit", "--egress", f"allow={THERE}:443", "--egress", f"deny={OTHER}")
    assert reaches(space, THERE, 443) and reaches(space, THERE, 80) and reaches(space, THERE6, 80) and is_refused(space, OTHER, 80)
    assert are_seen(engine, "audited", {(THERE, 80, "tcp", False): 1, (THERE6, 80, "tcp", False): 1, (OTHER, 80, "tcp", True): 1})


def test_what_was_refused_is_told(engine, run):
    """An event for each place, once a minute."""
    since = engine.api("GET", "/info")[1]["SystemTime"]
    space = run("told", "--egress", f"allow={THERE}:443")
    noted = run("told-too", "--egress", "default=audit")
    for _ in range(3):
        assert is_refused(space, THERE, 80) and is_refused(space, THERE6, 443) and reaches(noted, THERE, 80)

    def told():
        listed = engine.tare("events", "--since", since, "--until", "0s", "--filter", "type=container", "--format", "{{json .}}").stdout
        events = [json.loads(line) for line in listed.splitlines()]
        return sorted((event["Action"], event["Actor"]["Attributes"]["name"], event["Actor"]["Attributes"]["address"],
                       event["Actor"]["Attributes"]["port"]) for event in events if event["Action"].startswith("egress-"))
    wanted = [("egress-denied", "told", THERE, "80"), ("egress-denied", "told", THERE6, "443"), ("egress-noted", "told-too", THERE, "80")]
    wait_for(lambda: len(told()) >= 3, "events")
    assert told() == wanted


def test_update_changes_it_live(engine, run):
    space = run("live")
    assert reaches(space, THERE, 80)
    kept = space.connect(THERE, 8080)
    for word, allowed in (("default=deny", ()), (f"allow={THERE}:80", (80,)), (f"allow={THERE}", (80, 443)), ("default=audit", (80, 443)),
                          (f"deny={THERE}:443", (80,))):
        engine.tare("update", "--egress", word, "live")
        assert [port for port in (80, 443) if reaches(space, THERE, port)] == list(allowed), word
    kept.close()
    refused = engine.tare("update", "--egress", "allow=nonsense:x", "live", check=False)
    assert refused.returncode == 1 and policy(engine, "live") == ["default=allow", f"deny={THERE}:443"]
    engine.tare("update", "--egress", "default=allow", "live")
    assert policy(engine, "live") is None and reaches(space, THERE, 443)
    assert engine.api("POST", "/containers/live/update", {"Egress": [f"deny={OTHER}"]})[0] == 200
    assert is_refused(space, OTHER, 80)
    engine.tare("restart", "-t", "0", "live")
    assert is_refused(inside(engine, "live"), OTHER, 80)


def says(side, other):
    """Whether what one sends reaches the other."""
    side.sendall(b"word")
    return other.recv(4) == b"word"


def is_ended(side):
    side.sendall(b"word")
    try:
        return side.recv(4) == b"reset"
    except ConnectionError:
        return True


@pytest.mark.parametrize("by", ["tare", "api"])
def test_a_stricter_policy_ends_connections(engine, run, outside, host, by):
    """That were begun before it, and no others: what it still has goes on, and so does what others began."""
    space = run("strict", "-p", "7199:80", "--egress", f"deny={THIRD}")
    pairs, listeners = {}, []
    for name, begins, address, ends, listens, port in (
            ("ended", space, THERE, outside, "0.0.0.0", 7180), ("ended6", space, THERE6, outside, "::", 7182), ("host", space, HERE, host, HERE, 7198),
            ("kept", space, THERE, outside, "0.0.0.0", 7181), ("came", outside, HERE, space, "0.0.0.0", 7199)):
        listeners.append(ends.listen(listens, 80 if name == "came" else port))
        near = begins.connect(address, port)
        assert isinstance(near, socket.socket), (name, near)
        far, _ = listeners[-1].accept()
        pairs[name] = near, far
        assert says(near, far) and says(far, near)
    words = [f"deny={THERE}:7180", f"deny={THERE6}", f"deny={HERE}"]
    try:
        if by == "api":
            assert engine.api("POST", "/containers/strict/update", {"Egress": words})[0] == 200
        else:
            engine.tare("update", *(part for word in words for part in ("--egress", word)), "strict")
        pairs["host"][1].sendall(b"who speaks first would begin it anew")
        for name, (near, far) in pairs.items():
            assert is_ended(near) if name in ("ended", "ended6", "host") else says(near, far) and says(far, near), name
        assert engine.api("POST", "/containers/strict/update", {"Egress": ["default=audit"]})[0] == 200
        assert says(*pairs["kept"])
    finally:
        for one in [end for pair in pairs.values() for end in pair] + listeners:
            one.close()


# --- names

@pytest.fixture
def names(tmp_path):
    """The host's resolver, and its zone."""
    conf = dns.HostResolvConf(tmp_path, "nameserver 127.0.0.1\n")
    server = dns.Server(zone={"api.example": [THERE], "www.example": [OTHER, THIRD], "x.wild.example": [THIRD], "wild.example": [OTHER]})
    yield server
    server.close()
    conf.close()


def pid_of(engine, name):
    return inspect(engine, name)["State"]["Pid"]


def named(engine):
    """Addresses that are open by names, and for which ports."""
    found = [json.loads(element)["elem"]["val"]["concat"] for element in elements(engine, "named4", "named6")]
    return {(address, port) for _, address, _, port in found}


@pytest.mark.parametrize("network", ["egress-net", "bridge"])
def test_names_open_what_they_lead_to(engine, run, names, network):
    space = run("by-name", "--egress", "allow=api.example:443/tcp,www.example,*.wild.example:80", network=network)
    pid = pid_of(engine, "by-name")
    assert "nameserver 127.0.0.11" in engine.tare("exec", "by-name", "cat", "/etc/resolv.conf").stdout
    assert is_refused(space, THERE, 443) and is_refused(space, OTHER, 80)
    for tcp in (False, True):
        assert dns.ask(pid, "API.example", tcp=tcp).values == [THERE]
        assert reaches(space, THERE, 443) and is_refused(space, THERE, 80)
    assert sorted(dns.ask(pid, "www.example").values) == [OTHER, THIRD]
    assert reaches(space, OTHER, 80) and reaches(space, OTHER, 8080)
    engine.tare("update", "--egress", "allow=*.wild.example:80", "by-name")
    assert is_refused(space, OTHER, 80) and is_refused(space, THIRD, 80)
    assert dns.ask(pid, "wild.example").values == [OTHER] and is_refused(space, OTHER, 80)
    assert dns.ask(pid, "x.wild.example").values == [THIRD] and reaches(space, THIRD, 80) and is_refused(space, THIRD, 443)


def test_a_name_asked_for_by_the_container_itself(engine, run, names, outside):
    """Nobody has to wait between the answer and the connection."""
    run("itself", "--egress", "allow=api.example:8081/tcp")
    with outside.listen("0.0.0.0", 8081) as listener:
        for _ in range(3):
            client = engine.popen(PROGRAMS / "tare", "exec", "itself", "nc", "-w", "60", "api.example", "8081")
            listener.accept()[0].close()
            assert client.wait(TIMEOUT) == 0


def record(owner, kind, data, ttl=60):
    return dns.name_bytes(owner) + struct.pack(">HHIH", kind, 1, ttl, len(data)) + data


def response(message, *records):
    _, end = dns.read_name(message, 12)
    return message[:2] + struct.pack(">5H", 0x8180, 1, len(records), 0, 0) + message[12:end + 4] + b"".join(records)


def test_the_last_of_a_chain_counts(engine, run, names):
    """CNAMEs are followed in any order, and addresses that the question does not lead to open nothing."""
    space = run("chain", "--egress", "allow=api.example")
    cname = 5
    names.handler = lambda message: response(
        message, record("edge.cdn", dns.A, socket.inet_aton(THERE)), record("other.cdn", dns.A, socket.inet_aton(OTHER)),
        record("api.example", cname, dns.name_bytes("api.cdn")), record("api.cdn", cname, dns.name_bytes("edge.cdn")))
    dns.ask(pid_of(engine, "chain"), "api.example")
    assert reaches(space, THERE, 80) and is_refused(space, OTHER, 80)
    # Loops end.
    names.handler = lambda message: response(message, record("b.example", cname, dns.name_bytes("b.example")))
    assert dns.ask(pid_of(engine, "chain"), "b.example").rcode == dns.NOERROR


def test_ipv6_and_the_kind_of_question(engine, run, names):
    space = run("six", "--egress", "allow=api.example:80")
    names.handler = lambda message: response(message, record("api.example", dns.AAAA, socket.inet_pton(socket.AF_INET6, THERE6), ttl=1))
    assert dns.ask(pid_of(engine, "six"), "api.example", dns.AAAA).values == [THERE6]
    assert reaches(space, THERE6, 80) and is_refused(space, THERE6, 443) and is_refused(space, THERE, 80)
    # However short the answer's time is, what is open stays so for a while.
    expires = [json.loads(element)["elem"]["expires"] for element in elements(engine, "named6")]
    assert expires and min(expires) >= 30


def test_names_do_not_lead_to_the_host(engine, run, names):
    """Rebinding: whoever answers for a name must not open what is near."""
    space = run("rebound", "--egress", "allow=api.example")
    run("victim")
    gateway, near = place(engine, "rebound")["Gateway"], place(engine, "victim")["IPAddress"]
    names.zone["api.example"] = [HERE, gateway, "127.0.0.1", "169.254.169.254", "0.0.0.0", "224.0.0.1", THERE]
    pid = pid_of(engine, "rebound")
    dns.ask(pid, "api.example")
    with Namespace("/proc/self/ns/net").listen("0.0.0.0", 7779) as service:
        assert is_refused(space, HERE, 7779) and is_refused(space, gateway, 7779)
        service.settimeout(BRIEF)
        with pytest.raises(TimeoutError):
            service.accept()
    assert reaches(space, THERE, 80)
    assert not {address for address, _ in named(engine)} & {"127.0.0.1", "169.254.169.254", "0.0.0.0", "224.0.0.1"}
    # Nor to another network's container.
    engine.tare("network", "create", "--subnet", "172.29.7.0/24", "egress-victims")
    try:
        other = run("other-victim", network="egress-victims")
        names.zone["again.example"] = names.zone["api.example"] = [place(engine, "other-victim", "egress-victims")["IPAddress"]]
        engine.tare("update", "--egress", "allow=again.example,api.example", "rebound")
        address, = dns.ask(pid, "again.example").values
        with other.listen("0.0.0.0", 80):
            assert not reaches(space, address, 80, timeout=BRIEF)
        assert near
    finally:
        engine.api("DELETE", "/containers/other-victim?force=1")
        engine.tare("network", "rm", "egress-victims")


def test_names_are_put_back_and_bounded(engine, run, names):
    space = run("many", "--egress", "allow=*.example:80/tcp,api.example:443/tcp")
    pid = pid_of(engine, "many")
    dns.ask(pid, "api.example")
    subprocess.run(["nft", "flush ruleset"], check=True)
    wait_for(lambda: is_refused(space, THERE, 8080), "the policy")
    assert reaches(space, THERE, 443) and reaches(space, THERE, 80)
    for part in range(4):
        names.zone[f"n{part}.example"] = [f"198.51.{part}.{number}" for number in range(1, 101)]
        assert len(dns.ask(pid, f"n{part}.example", tcp=True).values) == 100
    assert len(named(engine)) == 256
    # What was opened first is what had to go; a question brings it back.
    assert ("198.51.0.1", 80) not in named(engine) and ("198.51.3.100", 80) in named(engine)
    dns.ask(pid, "n0.example", tcp=True)
    assert all((f"198.51.0.{number}", 80) in named(engine) for number in (1, 2, 99, 100))
    # What ends before all of them is open too, and whole.
    brief = [f"198.51.9.{number}" for number in range(1, 4)]
    names.handler = lambda message: response(message, *(record("brief.example", dns.A, socket.inet_aton(address), ttl=1) for address in brief))
    assert dns.ask(pid, "brief.example").values == brief
    assert {(address, 80) for address in brief} <= named(engine)


def test_names_without_an_engine(engine, run, names):
    space = run("alone", "--egress", "allow=api.example:443")
    pid, control = pid_of(engine, "alone"), engine.engine_pid()
    os.kill(control, signal.SIGSTOP)
    try:
        assert dns.ask(pid, "api.example").values == [THERE]
        assert reaches(space, THERE, 443) and is_refused(space, THERE, 80)
    finally:
        os.kill(control, signal.SIGCONT)


def test_an_answer_that_can_t_be_opened_is_none(engine, run, names):
    """The monitor stands still: the container hears nothing that it could not use."""
    run("stalled", "--egress", "allow=api.example:443")
    pid = pid_of(engine, "stalled")
    assert dns.ask(pid, "www.example").rcode == dns.NOERROR  # the resolver runs
    monitor = engine.monitor_pid(inspect(engine, "stalled")["Id"])
    os.kill(monitor, signal.SIGSTOP)
    try:
        assert dns.ask(pid, "api.example").rcode == dns.SERVFAIL
    finally:
        os.kill(monitor, signal.SIGCONT)
    assert dns.ask(pid, "api.example").values == [THERE]
