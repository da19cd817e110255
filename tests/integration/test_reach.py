"""T-NW01: who reaches a published port by which address, and who the container thinks it is. Each network has a server, which tells its
clients their address; each server publishes one port for each binding and protocol. Clients are another host on a wire, this host, a
container beside the server, one on another network, and the server's own container."""
import itertools
import os
import pathlib
import signal
import socket
import struct
import threading

import pytest

from harness.engine import wait_for
from harness.nets import Echo, Namespace, ask, heard, join

HERE, THERE, HERE6, THERE6 = "192.0.2.1", "192.0.2.2", "2001:db8::1", "2001:db8::2"
BRIEF = 0.3
BINDINGS = {"": 8100, "127.0.0.1": 8101, HERE: 8102, "[::1]": 8103, f"[{HERE6}]": 8104}
NETWORKS = {"bridge": [], "dual": ["--ipv6", "--subnet", "10.81.0.0/24", "--subnet", "fd81::/64"]}
SHIFT = {"bridge": 0, "dual": 100}


def inspect(engine, name):
    status, document = engine.api("GET", f"/containers/{name}/json")
    assert status == 200, document
    return document


@pytest.fixture(scope="module")
def world(engine):
    """Hosts, networks, containers by their names."""
    host, outside = Namespace("/proc/self/ns/net"), Namespace()
    join(host, "wire", outside, "wire")
    host.ip(f"addr add {HERE}/24 dev wire", f"addr add {HERE6}/64 dev wire nodad")
    outside.ip(f"addr add {THERE}/24 dev wire", f"addr add {THERE6}/64 dev wire nodad", f"route add 172.16.0.0/12 via {HERE}",
               f"route add 10.0.0.0/8 via {HERE}", f"route add fd00::/8 via {HERE6}")
    for name in ("ipv4/icmp_ratelimit", "ipv6/icmp/ratelimit"):  # many refusals of UDP in a moment
        host.sysctl(name, 0)
    for name, options in NETWORKS.items():
        if name != "bridge":
            engine.docker("network", "create", *options, name)
    engine.docker("network", "create", "--internal", "--ipv6", "--subnet", "10.82.0.0/24", "--subnet", "fd82::/64", "within")
    spaces, echoes = {"host": host, "outside": outside}, []
    for network in (*NETWORKS, "within"):
        for role in ("server", "beside"):
            publish = []
            if role == "server":
                for (address, port), protocol in itertools.product(BINDINGS.items(), ("tcp", "udp")):
                    port += SHIFT.get(network, 200)
                    publish += ["-p", f"{address}:{port}:80/{protocol}".lstrip(":")]
            engine.docker("run", "-d", "--name", f"{role}-{network}", "--network", network, *publish, "busybox", "sleep", "1000")
            spaces[f"{role}-{network}"] = Namespace(f"/proc/{inspect(engine, f'{role}-{network}')['State']['Pid']}/ns/net")
        echoes.append(Echo(spaces[f"server-{network}"], "0.0.0.0" if network == "bridge" else "::", 80))
    yield spaces
    host.ip("link del wire")
    for one in (*echoes, *spaces.values()):
        one.close()
    for role, network in itertools.product(("server", "beside"), (*NETWORKS, "within")):
        engine.api("DELETE", f"/containers/{role}-{network}?force=1")
    engine.docker("network", "rm", "dual", "within")


def own(engine, name, v6=False):
    place, = inspect(engine, name)["NetworkSettings"]["Networks"].values()
    return place["GlobalIPv6Address" if v6 else "IPAddress"]


def gateway(engine, network, v6=False):
    place, = inspect(engine, f"server-{network}")["NetworkSettings"]["Networks"].values()
    return place["IPv6Gateway" if v6 else "Gateway"]


def is_published_at(binding, address, client):
    """What Docker's users expect of a binding."""
    if address in ("127.0.0.1", "::1"):
        return client == "host" and binding in ("", address, f"[{address}]")
    return binding in ("", address, f"[{address}]")


def expected_peer(engine, network, client, address):
    v6 = ":" in address
    by_splice = v6 and (network == "bridge" or address == "::1")
    if by_splice or address in ("127.0.0.1", "::1") or client in (f"server-{network}", f"beside-{network}"):
        return gateway(engine, network, v6 and network != "bridge")
    if client == "host":
        return address
    return (THERE6 if v6 else THERE) if client == "outside" else own(engine, client, v6)


@pytest.mark.parametrize("bridged", [0, 1], ids=["routed", "br_netfilter"])
@pytest.mark.parametrize("protocol", ["tcp", "udp"])
@pytest.mark.parametrize("binding", BINDINGS)
@pytest.mark.parametrize("network", NETWORKS)
def test_reached_or_refused(engine, world, network, binding, protocol, bridged):
    world["host"].bridge_netfilter(bridged)
    port = BINDINGS[binding] + SHIFT[network]
    other = {"bridge": "beside-dual", "dual": "beside-bridge"}[network]
    found, expected = {}, {}
    for client in ("outside", "host", f"beside-{network}", other, f"server-{network}"):
        for address in (HERE, HERE6, *(("127.0.0.1", "::1") if client == "host" else ())):
            if client.endswith("bridge") and ":" in address:
                continue  # a container without IPv6
            found[client, address] = ask(world[client], protocol, address, port)
            reached = is_published_at(binding, address, client)
            expected[client, address] = expected_peer(engine, network, client, address) if reached else "Connection refused"
    assert found == expected


@pytest.mark.parametrize("protocol", ["tcp", "udp"])
def test_an_internal_network_has_no_way_in_or_out(engine, world, protocol):
    assert inspect(engine, "server-within")["NetworkSettings"]["Ports"] == {"80/tcp": None, "80/udp": None}
    inside, beside = world["server-within"], world["beside-within"]
    for address, client in ((HERE, "outside"), ("127.0.0.1", "host"), ("::1", "host"), (HERE6, "outside"), (HERE, "beside-dual")):
        assert ask(world[client], protocol, address, 8300) == "Connection refused"
    assert ask(world["beside-dual"], protocol, own(engine, "server-within"), 80, BRIEF) == "silence"
    assert ask(beside, protocol, own(engine, "server-within"), 80) == own(engine, "beside-within")
    assert ask(inside, protocol, HERE, 8100) == "Network is unreachable"
    for network, v6 in itertools.product(NETWORKS, (False, True)):
        at = ask(inside, protocol, "fd82::1" if v6 else "10.82.0.1", BINDINGS[""] + SHIFT[network], BRIEF)
        assert at == "silence", f"{network} from within by its gateway, IPv6 {v6}"


def test_what_is_shown_is_what_is_reached(engine, world):
    """Every binding of every server answers at its own address; nothing else is listed."""
    for network in NETWORKS:
        for key, bindings in inspect(engine, f"server-{network}")["NetworkSettings"]["Ports"].items():
            assert len(bindings) == 6, bindings  # that without an address is two
            for one in bindings:
                address = {"0.0.0.0": HERE, "::": HERE6}.get(one["HostIp"], one["HostIp"])
                assert ask(world["host"], key.split("/")[1], address, int(one["HostPort"])) not in ("silence", "Connection refused")


@pytest.mark.parametrize("bridged", [0, 1], ids=["routed", "br_netfilter"])
def test_a_container_reaches_a_port_that_it_was_given_later(engine, world, bridged):
    """By the host's address, to itself."""
    world["host"].bridge_netfilter(bridged)
    engine.docker("run", "-d", "--name", "later", "--network", "dual", "busybox", "sleep", "1000")
    inside = Namespace(f"/proc/{inspect(engine, 'later')['State']['Pid']}/ns/net")
    echo = Echo(inside, "::", 80)
    engine.tare("update", "--publish-add", "8410:80", "--publish-add", "8410:80/udp", "later")
    for protocol, (address, v6) in itertools.product(("tcp", "udp"), ((HERE, False), (HERE6, True))):
        assert ask(inside, protocol, address, 8410) == gateway(engine, "dual", v6)
    echo.close()
    inside.close()
    engine.api("DELETE", "/containers/later?force=1")


# --- what a container can't do to others, or reach of the host

def advertise(inside, interface):
    """A router advertisement: a prefix, a default route, a name server."""
    prefix = struct.pack("!BBBBIII16s", 3, 4, 64, 0xc0, 86400, 86400, 0, socket.inet_pton(socket.AF_INET6, "2001:db8:bad::"))
    server = struct.pack("!BBHI16s", 25, 3, 0, 86400, socket.inet_pton(socket.AF_INET6, "2001:db8:bad::53"))
    raw = inside.socket("::", socket.SOCK_RAW, socket.IPPROTO_ICMPV6)
    index = inside.do(socket.if_nametoindex, interface)
    raw.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, 255)
    raw.sendto(struct.pack("!BBHBBHII", 134, 0, 0, 64, 0, 1800, 0, 0) + prefix + server, ("ff02::1", 0, 0, index))
    raw.close()


def test_advertisements_of_a_container_are_ignored(world):
    """T-NW08: by the host and by its neighbours; a network of IPv4 alone has no IPv6 at all."""
    def said(name):
        return world[name].run("ip", "-6", "address", check=True, capture_output=True).stdout + \
            world[name].run("ip", "-6", "route", check=True, capture_output=True).stdout
    watched = ("host", "server-dual", "beside-dual", "beside-bridge")
    sniffer = world["beside-dual"].socket("::", socket.SOCK_RAW, socket.IPPROTO_ICMPV6)
    before = [said(name) for name in watched]
    advertise(world["server-dual"], "eth0")
    while sniffer.recv(1500)[0] != 134:  # it did go out
        pass
    sniffer.close()
    assert [said(name) for name in watched] == before
    for name in ("server-bridge", "beside-bridge"):
        assert "inet6" not in world[name].run("ip", "address", "show", "dev", "eth0", check=True, capture_output=True).stdout
    bridge, = [line for line in world["host"].run("ip", "-o", "-4", "address", check=True, capture_output=True).stdout.splitlines()
               if "172.17.0.1/" in line or " tare0" in line]
    assert "inet6" not in world["host"].run("ip", "address", "show", "dev", bridge.split()[1], check=True, capture_output=True).stdout


def scan(space, family, address, ports, but):
    def inside():
        found = []
        for port in ports:
            probe = socket.socket(family)
            probe.settimeout(2)
            if port not in but and probe.connect_ex((address, port)) == 0:
                found.append(port)
            probe.close()
        return found
    return space.do(inside)


def test_what_containers_reach_of_the_host(world):
    """T-NW10: of networks with IPv6, and of internal ones: nothing but what is published."""
    published = set(range(8100, 8110)) | set(range(8200, 8210))
    for space, family, address in (("beside-dual", socket.AF_INET6, "fd81::1"), ("server-within", socket.AF_INET, "10.82.0.1")):
        assert scan(world[space], family, address, range(1, 65536), published) == []
    for space in ("beside-dual", "server-within", "beside-bridge"):
        assert ask(world[space], "tcp", "169.254.169.254", 80, BRIEF) in ("silence", "Network is unreachable", "No route to host")


# --- sctp

def crc32c(data):
    crc = 0xffffffff
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82f63b78 if crc & 1 else 0)
    return crc ^ 0xffffffff


def test_sctp_reaches_the_container(engine, world):
    """By IPv4, whether the host's kernel has such sockets or not; the IPv6 half, which nobody could serve, is not shown."""
    engine.docker("run", "-d", "--name", "sctp", "--network", "bridge", "-p", "8420:80/sctp", "busybox", "sleep", "1000")
    inside = Namespace(f"/proc/{inspect(engine, 'sctp')['State']['Pid']}/ns/net")
    try:
        assert inspect(engine, "sctp")["NetworkSettings"]["Ports"] == {"80/sctp": [{"HostIp": "0.0.0.0", "HostPort": "8420"}]}
        receiver = inside.socket("0.0.0.0", socket.SOCK_RAW, socket.IPPROTO_SCTP)
        init = struct.pack("!BBHIIHHI", 1, 0, 20, 7, 65536, 1, 1, 1)
        head = struct.pack("!HHI", 5555, 8420, 0)
        packet = head + struct.pack("<I", crc32c(head + bytes(4) + init)) + init
        sender = world["outside"].socket(HERE, socket.SOCK_RAW, socket.IPPROTO_SCTP)
        sender.sendto(packet, (HERE, 0))
        got, peer = receiver.recvfrom(1500)
        source, target = struct.unpack("!HH", got[20:24])
        assert (peer[0], source, target, got[32:]) == (THERE, 5555, 80, init)
        assert struct.unpack("<I", got[28:32])[0] == crc32c(got[20:28] + bytes(4) + init), "its sum is right"
        sender.close()
        receiver.close()
    finally:
        inside.close()
        engine.api("DELETE", "/containers/sctp?force=1")
    refused = engine.tare("run", "-d", "--name", "sctp6", "-p", "[::1]:8421:80/sctp", "busybox", "sleep", "1000", check=False)
    engine.api("DELETE", "/containers/sctp6?force=1")
    assert refused.returncode == 125 and "Bind for [::1]:8421 failed: Protocol not supported" in refused.stderr


# --- the splice

@pytest.fixture
def spliced(engine, world):
    """A container of IPv4 alone, and where it listens."""
    engine.docker("run", "-d", "--name", "spliced", "--network", "bridge", "-p", "8400:80", "-p", "8400:80/udp", "busybox", "sleep", "1000")
    inside = Namespace(f"/proc/{inspect(engine, 'spliced')['State']['Pid']}/ns/net")
    yield inside
    inside.close()
    engine.api("DELETE", "/containers/spliced?force=1")


def splices(engine, name):
    """Processes that are children of the container's monitor and called so."""
    monitor = engine.monitor_pid(inspect(engine, name)["Id"])
    children = pathlib.Path(f"/proc/{monitor}/task/{monitor}/children").read_text().split()
    return [int(pid) for pid in children if b"tare-splice" in pathlib.Path(f"/proc/{pid}/cmdline").read_bytes()]


def test_bytes_both_ways_and_half_an_end(world, spliced):
    """More than any buffer holds, one way after the other's end, and a reset for what was cut off."""
    many = os.urandom(1 << 20) * 8
    listener = spliced.listen("0.0.0.0", 80)
    client = world["outside"].connect(HERE6, 8400)
    server, _ = listener.accept()
    got = bytearray()
    reader = threading.Thread(target=lambda: [got.extend(part) for part in iter(lambda: server.recv(1 << 16), b"")])
    reader.start()
    client.sendall(many)
    client.shutdown(socket.SHUT_WR)
    reader.join()
    assert got == many
    server.sendall(b"and you?")
    server.close()
    assert client.recv(100) == b"and you?" and client.recv(100) == b""
    client.close()
    client = world["outside"].connect(HERE6, 8400)
    server, _ = listener.accept()
    server.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    server.close()
    with pytest.raises(ConnectionResetError):
        client.recv(100)
    client.close()
    listener.close()
    assert ask(world["host"], "tcp", "::1", 8400) == "Connection reset by peer", "nobody listens"


def test_datagrams_find_their_way_back(world, spliced):
    server = spliced.udp("0.0.0.0", 80)
    clients = [(world[name].socket(address, socket.SOCK_DGRAM), address)
               for name, address in (("outside", HERE6), ("host", "::1"), ("host", HERE6), ("host", "::1"))]
    texts = [bytes([n]) * (1000 + n) for n in range(len(clients))]
    peers = [heard(server, lambda: client.sendto(text, (address, 8400)), text) for text, (client, address) in zip(texts, clients)]
    assert len(set(peers)) == len(clients)
    for text, peer, (client, address) in reversed(list(zip(texts, peers, clients))):
        assert heard(client, lambda: server.sendto(text[:10], peer), text[:10])[:2] == (address, 8400), "from where it was asked"


def test_by_a_link_local_address(world, spliced):
    """The table could not send that on: who asks is only known on that link."""
    echo = Echo(spliced, "0.0.0.0", 80)
    shown = world["host"].run("ip", "-o", "-6", "address", "show", "dev", "wire", "scope", "link", check=True, capture_output=True).stdout
    address = shown.split()[3].split("/")[0]
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        client = world["outside"].socket("::", kind)
        client.connect((address, 8400, 0, world["outside"].do(socket.if_nametoindex, "wire")))
        if kind == socket.SOCK_DGRAM:
            client.send(b"who am I?")
        assert client.recv(100)
        client.close()
    echo.close()


def test_its_life(engine, world, spliced):
    """None before the first client; shut in; another one after its death; gone with the container, and the ports free at once."""
    assert splices(engine, "spliced") == []
    echo = Echo(spliced, "0.0.0.0", 80)
    own_gateway = inspect(engine, "spliced")["NetworkSettings"]["Gateway"]
    assert ask(world["host"], "tcp", "::1", 8400) == ask(world["host"], "udp", "::1", 8400) == own_gateway
    first, = splices(engine, "spliced")
    status = dict(line.split(":\t", 1) for line in pathlib.Path(f"/proc/{first}/status").read_text().splitlines() if ":\t" in line)
    for caps in ("CapEff", "CapPrm", "CapBnd"):
        assert int(status[caps], 16) == 0
    assert status["NoNewPrivs"] == "1"
    if "asan" not in os.readlink(f"/proc/{first}/exe"):
        assert status["Seccomp"] == "2"
    assert os.listdir(f"/proc/{first}/root") == []
    os.kill(first, signal.SIGKILL)
    wait_for(lambda: ask(world["host"], "tcp", "::1", 8400) == own_gateway, "another one")
    second, = splices(engine, "spliced")
    assert second != first
    kept = world["outside"].connect(HERE6, 8400)
    assert kept.recv(100)
    engine.tare("update", "--publish-add", "8401:80", "--publish-rm", "80/udp", "spliced")
    assert ask(world["host"], "tcp", "::1", 8401) == own_gateway and splices(engine, "spliced") == [second]
    assert ask(world["host"], "udp", "::1", 8400) == "Connection refused"
    world["host"].udp("::", 8400).close()
    echo.close()
    kept.close()
    engine.tare("restart", "-t0", "spliced")
    assert not os.path.exists(f"/proc/{second}") and splices(engine, "spliced") == []
    engine.tare("stop", "-t0", "spliced")
    world["host"].listen("::", 8400).close()
