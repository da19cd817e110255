"""What daemon.json and tared's options say of networks: Docker's keys, each with what it does, and clear words for nonsense."""
import ctypes
import hashlib
import json
import os
import select
import socket
import struct
import subprocess
import threading
import time

import pytest

from harness import images, networks
from harness.engine import PROGRAMS, TIMEOUT, Engine, wait_for
from harness.nets import PATIENCE, Namespace

USUAL, LARGE = 65536, 196608  # bytes in one segment
SO_ATTACH_FILTER, ETH_P_IP = 26, 0x0800


@pytest.fixture
def configured(tmp_path):
    """An engine with that document and those options; again to start it anew with others."""
    engine = Engine()
    file = tmp_path / "daemon.json"

    def start(document, *options):
        file.write_text(json.dumps(document))
        is_new = engine.holder is None
        if not is_new:
            end(engine)
        engine.options = ["--config-file", str(file), *options]
        engine.start()
        if is_new:
            engine.tare("load", "-q", "-i", images.busybox())
        return engine
    yield start
    left = engine.stop()
    assert not left, left


def end(engine):
    engine.holder.terminate()
    engine.holder.wait(TIMEOUT)


@pytest.fixture
def allow_large():
    """Makes lo let through larger segments, where the kernel can; it is as before after the test."""
    can = networks.segment("lo") is not None
    yield lambda: can and networks.allow_segment("lo", LARGE) is None
    if can:
        networks.allow_segment("lo", USUAL)


def bridge(engine):
    return engine.api("GET", "/networks/bridge")[1]


def run(engine, *command, options=()):
    return engine.tare("run", "--rm", "--network", "bridge", *options, "busybox", *command).stdout


def link(engine):
    [name] = [name for name in networks.bridges(engine) if name.startswith("tare0")]
    return json.loads(subprocess.check_output(["ip", "-j", "addr", "show", name]))[0]


def test_default_bridge(configured):
    engine = configured({"bip": "10.61.0.5/16", "fixed-cidr": "10.61.7.0/24", "mtu": 1400, "icc": False, "ip-masq": False,
                         "ipv6": True, "bip6": "fd61::5/64", "fixed-cidr-v6": "fd61::700/120"})
    described = bridge(engine)
    assert described["IPAM"]["Config"] == [
        {"Subnet": "10.61.0.0/16", "IPRange": "10.61.7.0/24", "Gateway": "10.61.0.5"},
        {"Subnet": "fd61::/64", "IPRange": "fd61::700/120", "Gateway": "fd61::5"}]
    options = described["Options"]
    assert [options[f"com.docker.network.{key}"] for key in ("driver.mtu", "bridge.enable_icc", "bridge.enable_ip_masquerade")] == \
        ["1400", "false", "false"]
    inside = run(engine, "ip", "addr")
    assert "inet 10.61.7.0/16" in inside and "inet6 fd61::700/64" in inside and "mtu 1400" in inside
    assert "default via 10.61.0.5" in run(engine, "ip", "route")
    own = {f"{a['local']}/{a['prefixlen']}" for a in link(engine)["addr_info"] if a.get("scope") == "global"}
    assert own == {"10.61.0.5/16", "fd61::5/64"} and link(engine)["mtu"] == 1400


def test_another_start_with_other_settings(configured):
    """The bridge follows, with its link; but not under the feet of a container that runs."""
    engine = configured({"bip": "10.62.0.1/24"})
    engine.tare("run", "-d", "--name", "on", "--network", "bridge", "busybox", "sleep", "1000")
    engine = configured({"bip": "10.63.0.1/24", "mtu": 1300})
    assert bridge(engine)["IPAM"]["Config"][0]["Subnet"] == "10.62.0.0/24"
    assert "the default bridge stays as it is" in engine.tail_log()
    engine.tare("stop", "-t", "0", "on")
    engine = configured({"bip": "10.63.0.1/24", "mtu": 1300})
    engine.tare("start", "on")
    assert engine.tare("exec", "on", "ip", "addr").stdout.count("inet 10.63.0.2/24") == 1
    assert [a["local"] for a in link(engine)["addr_info"] if a["family"] == "inet"] == ["10.63.0.1"] and link(engine)["mtu"] == 1300
    engine.tare("rm", "-f", "on")
    engine = configured({"fixed-cidr": "10.64.0.0/24"})
    assert bridge(engine)["IPAM"]["Config"] == [{"Subnet": "10.64.0.0/24", "Gateway": "10.64.0.1"}]
    assert "inet 10.64.0.2/24" in run(engine, "ip", "addr")


def test_options_say_the_same(configured):
    engine = configured({}, "--bip=10.65.0.1/24", "--icc=false", "--ipv6", "--mtu", "1300", "--default-address-pool",
                        "base=10.66.0.0/16,size=24", "--dns", "10.9.9.9", "--dns-search", "corp.test", "--dns-opt", "ndots:3")
    described = bridge(engine)
    assert described["IPAM"]["Config"][0]["Gateway"] == "10.65.0.1" and described["EnableIPv6"]
    assert described["IPAM"]["Config"][1]["Subnet"].startswith("fd")
    assert described["Options"]["com.docker.network.bridge.enable_icc"] == "false"
    resolv = run(engine, "cat", "/etc/resolv.conf")
    assert "nameserver 10.9.9.9\n" in resolv and "search corp.test\n" in resolv and "options ndots:3\n" in resolv
    own = run(engine, "cat", "/etc/resolv.conf", options=["--dns", "10.8.8.8", "--dns-search", "own.test"])
    assert "nameserver 10.8.8.8\n" in own and "10.9.9.9" not in own and "search own.test\n" in own and "options ndots:3\n" in own


def test_address_pools(configured):
    engine = configured({"default-address-pools": [{"base": "10.67.0.0/16", "size": 26}, {"base": "10.68.0.0/24", "size": 24},
                                                   {"base": "fd68::/56", "size": 64}]})
    subnets = []
    for name in ("one", "two"):
        engine.docker("network", "create", "--ipv6", name)
        subnets.append([pool["Subnet"] for pool in engine.api("GET", f"/networks/{name}")[1]["IPAM"]["Config"]])
    assert subnets == [["10.67.0.0/26", "fd68::/64"], ["10.67.0.64/26", "fd68:0:0:1::/64"]]
    assert bridge(engine)["IPAM"]["Config"][0]["Subnet"] == "10.67.0.128/26"
    assert "Base: 10.67.0.0/16, Size: 26" in engine.docker("info").stdout
    engine = configured({"default-address-pools": [{"base": "10.69.0.0/30", "size": 30}]})
    assert engine.docker("network", "create", "three").returncode == 0
    full = engine.docker("network", "create", "four", check=False)
    assert full.returncode == 1 and "all predefined address pools have been fully subnetted" in full.stderr
    engine.docker("network", "rm", "one", "two", "three")


def test_host_gateway(configured):
    hosts = ["--add-host", "up:host-gateway"]
    engine = configured({"ipv6": True, "bip6": "fd70::1/64", "bip": "10.70.0.1/24"})
    lines = run(engine, "cat", "/etc/hosts", options=hosts)
    assert "10.70.0.1\tup\n" in lines and "fd70::1\tup\n" in lines
    engine = configured({"host-gateway-ips": ["10.7.7.7", "fd77::7"]})
    lines = run(engine, "cat", "/etc/hosts", options=hosts)
    assert [line for line in lines.splitlines() if line.endswith("\tup")] == ["10.7.7.7\tup", "fd77::7\tup"]
    engine = configured({"host-gateway-ip": "10.7.7.8"})
    assert "10.7.7.8\tup\n" in run(engine, "cat", "/etc/hosts", options=hosts)


def test_ip_forward(configured):
    def forwarding(value=None):
        with open("/proc/sys/net/ipv4/ip_forward", "r+") as file:
            return file.write(value) if value else file.read().strip()
    before = forwarding()
    try:
        forwarding("0")
        engine = configured({"ip-forward": False})
        run(engine, "true")
        assert forwarding() == "0" and "has no way out: forwarding of ipv4 is off" in engine.tail_log()
        engine = configured({})
        run(engine, "true")
        assert forwarding() == "1" and "forwarding of ipv4 is switched on on this host, for network bridge" in engine.tail_log()
    finally:
        forwarding(before)


def test_a_default_gateway(configured):
    """A router on the bridge instead of the host: containers' way out, and nobody else's address. Other bridges may have one by its name."""
    engine = configured({"bip": "10.71.0.1/30", "default-gateway": "10.71.0.2", "ipv6": True, "bip6": "fd71::1/64", "default-gateway-v6": "fd71::99"})
    pools = bridge(engine)["IPAM"]["Config"]
    assert [pool["AuxiliaryAddresses"] for pool in pools] == [{"DefaultGatewayIPv4": "10.71.0.2"}, {"DefaultGatewayIPv6": "fd71::99"}]
    full = engine.docker("run", "--rm", "busybox", "true", check=False)
    assert full.returncode == 125 and "no available IPv4 addresses" in full.stderr
    engine = configured({}, "--bip", "10.71.0.1/24", "--default-gateway=10.71.0.2")
    assert "AuxiliaryAddresses" not in bridge(engine)["IPAM"]["Config"][1:]
    assert "default via 10.71.0.2 dev eth0" in run(engine, "ip", "route") and "inet 10.71.0.3/24" in run(engine, "ip", "addr")
    engine.docker("run", "-d", "--name", "routed", "busybox", "sleep", "1000")
    assert engine.api("GET", "/containers/routed/json")[1]["NetworkSettings"]["Networks"]["bridge"]["Gateway"] == "10.71.0.2"
    engine.tare("rm", "-f", "routed")
    engine.docker("network", "create", "--subnet", "10.72.0.0/24", "--aux-address", "DefaultGatewayIPv4=10.72.0.9", "other")
    assert "default via 10.72.0.9" in engine.docker("run", "--rm", "--network", "other", "busybox", "ip", "route").stdout
    engine.docker("network", "rm", "other")
    engine = configured({"bip": "10.71.0.1/24"})
    assert "AuxiliaryAddresses" not in bridge(engine)["IPAM"]["Config"][0] and "default via 10.71.0.1" in run(engine, "ip", "route")


def test_default_network_options(configured):
    engine = configured({"default-network-opts": {"bridge": {"com.docker.network.driver.mtu": "1333", "com.docker.network.bridge.enable_icc": "false"},
                                                  "macvlan": {"com.docker.network.driver.mtu": "1222"}}})
    engine.docker("network", "create", "-o", "com.docker.network.bridge.enable_icc=true", "tuned")
    engine.tare("network", "create", "-d", "macvlan", "--subnet", "10.73.0.0/24", "wire")
    options = engine.api("GET", "/networks/tuned")[1]["Options"]
    assert options["com.docker.network.driver.mtu"] == "1333" and options["com.docker.network.bridge.enable_icc"] == "true"
    assert "mtu 1333" in engine.docker("run", "--rm", "--network", "tuned", "busybox", "ip", "link").stdout
    assert engine.api("GET", "/networks/wire")[1]["Options"]["com.docker.network.driver.mtu"] == "1222"
    assert "mtu 1500" in run(engine, "ip", "link")  # the default bridge has its own
    engine.docker("network", "rm", "tuned", "wire")
    engine = configured({}, "--default-network-opt", "bridge=com.docker.network.driver.mtu=1444",
                        "--default-network-opt=bridge=com.docker.network.bridge.host_binding_ipv4=127.0.0.1")
    engine.docker("network", "create", "tuned")
    assert engine.api("GET", "/networks/tuned")[1]["Options"].items() >= {
        "com.docker.network.driver.mtu": "1444", "com.docker.network.bridge.host_binding_ipv4": "127.0.0.1"}.items()
    engine.docker("network", "rm", "tuned")


def test_the_address_that_ports_are_published_on(configured):
    """Of bindings that name none, on the default bridge (`ip`) and on networks that have the option."""
    def published(engine, *options):
        engine.docker("run", "-d", "--name", "open", *options, "busybox", "sleep", "1000")
        shown = engine.docker("port", "open").stdout
        engine.tare("rm", "-f", "open")
        return sorted(line.split(" -> ")[1] for line in shown.splitlines())
    engine = configured({"ip": "127.0.0.1"})
    assert bridge(engine)["Options"]["com.docker.network.bridge.host_binding_ipv4"] == "127.0.0.1"
    assert published(engine, "-p", "7070:80") == ["127.0.0.1:7070"]
    assert published(engine, "-p", "0.0.0.0:7070:80") == ["0.0.0.0:7070"]
    engine.docker("network", "create", "own")
    engine.tare("network", "create", "-o", "com.docker.network.bridge.host_binding_ipv4=::1", "six")
    assert published(engine, "-p", "7070:80", "--network", "own") == ["0.0.0.0:7070", "[::]:7070"]
    assert published(engine, "-p", "7070:80", "--network", "six") == ["[::1]:7070"]
    wrong = engine.docker("network", "create", "-o", "com.docker.network.bridge.host_binding_ipv4=here", "wrong", check=False)
    assert wrong.returncode == 1 and "host_binding_ipv4 value: here" in wrong.stderr
    engine.docker("network", "rm", "own", "six")


def test_the_host_s_own_bridge(configured, allow_large):
    """Its addresses are the network's; it is neither made, nor otherwise configured, nor taken away."""
    subprocess.run("ip link add lan0 type bridge && ip addr add 10.74.0.7/24 dev lan0 && ip addr add fd74::7/64 dev lan0 && ip link set lan0 up",
                   shell=True, check=True)
    try:
        engine = configured({"bridge": "lan0", "fixed-cidr": "10.74.0.128/25"})
        described = bridge(engine)
        assert described["Options"]["com.docker.network.bridge.name"] == "lan0"
        assert described["IPAM"]["Config"] == [{"Subnet": "10.74.0.0/24", "IPRange": "10.74.0.128/25", "Gateway": "10.74.0.7"}]
        usual = networks.segment("lan0")
        allow_large()
        engine.docker("run", "-d", "--name", "on", "busybox", "sleep", "1000")
        assert networks.segment("lan0") == usual
        assert "inet 10.74.0.128/24" in engine.tare("exec", "on", "ip", "addr").stdout
        assert " 0% packet loss" in engine.tare("exec", "on", "ping", "-c", "1", "-W", "30", "10.74.0.7").stdout
        own = json.loads(subprocess.check_output(["ip", "-j", "addr", "show", "lan0"]))[0]
        assert {a["local"] for a in own["addr_info"] if a["scope"] == "global"} == {"10.74.0.7", "fd74::7"} and "ifalias" not in own
        assert not networks.bridges(engine)
        engine.tare("rm", "-f", "on")
        engine = configured({}, "--bridge", "lan0", "--ipv6")
        assert "inet6 fd74::1/64" in run(engine, "ip", "addr")
        engine = configured({"bip": "10.75.0.1/24"})
        assert "inet 10.75.0.2/24" in run(engine, "ip", "addr")
        assert any(link["ifname"] == "lan0" for link in networks.links())
    finally:
        subprocess.run(["ip", "link", "delete", "lan0"], check=True)


def test_no_default_bridge(configured):
    engine = configured({"bip": "10.76.0.1/24"})
    engine.docker("run", "-d", "--name", "on", "busybox", "sleep", "1000")
    engine = configured({"bridge": "none"})
    assert bridge(engine)["Name"] == "bridge" and "the default bridge stays" in engine.tail_log()  # somebody is on it
    engine.tare("rm", "-f", "on")
    engine = configured({"bridge": "none"})
    assert engine.docker("network", "ls", "--format", "{{.Name}}").stdout.split() == ["host", "none"]
    wait_for(lambda: not networks.bridges(engine), "the bridge's end")
    refused = engine.docker("run", "--rm", "busybox", "true", check=False)
    assert refused.returncode == 125 and "network bridge not found" in refused.stderr
    engine.docker("network", "create", "own")
    assert "eth0" in engine.docker("run", "--rm", "--network", "own", "busybox", "ip", "addr").stdout
    engine.docker("network", "rm", "own")
    engine = configured({"userland-proxy": False, "iptables": True, "ip6tables": True})
    assert "inet 10.76.0.2/24" in run(engine, "ip", "addr")


@pytest.mark.parametrize("document, options, words", [
    ({"bip": "10.0.0.0/24"}, [], 'bip: "10.0.0.0/24" is not valid: expected the bridge\'s IPv4 address'),
    ({"bip": "fd00::1/64"}, [], "the bridge's IPv4 address"),
    ({"bip": "10.0.0.1"}, [], "the bridge's IPv4 address"),
    ({"bip": 7}, [], "bip"),
    ({"bip": "10.0.0.1/24", "fixed-cidr": "10.0.1.0/24"}, [], "fixed-cidr: 10.0.1.0/24 is no part of 10.0.0.1/24"),
    ({"fixed-cidr": "10.0.0.0/31"}, [], "fixed-cidr"),
    ({"fixed-cidr-v6": "fd00::/64"}, [], "fixed-cidr-v6: needs ipv6 to be true"),
    ({"ipv6": True, "bip6": "10.0.0.1/24"}, [], "the bridge's IPv6 address"),
    ({"mtu": 67}, [], "mtu: 67 is not valid: expected 68 to 65535 bytes"),
    ({"mtu": 65536}, [], "mtu: 65536"),
    ({"loopback-segments": 65535}, [], "loopback-segments: 65535 is not valid: expected 65536 to 524280 bytes"),
    ({"loopback-segments": 524281}, [], "loopback-segments: 524281"),
    ({"loopback-segments": "large"}, [], "loopback-segments"),
    ({}, ["--loopback-segments=-1"], '--loopback-segments: "-1" is not understood'),
    ({"mtu": 1279, "ipv6": True}, [], "expected 1280"),
    ({"default-address-pools": [{"base": "10.0.0.0/16"}]}, [], "size"),
    ({"default-address-pools": [{"base": "10.0.0.0/16", "size": 15}]}, [], "subnets of size 15 can't be cut from 10.0.0.0/16"),
    ({"default-address-pools": [{"base": "10.0.0.0/16", "size": 31}]}, [], "expected 16 to 30"),
    ({"default-address-pools": [{"base": "ten", "size": 24}]}, [], '"ten"'),
    ({"dns": ["name.test"]}, [], 'dns: "name.test" is not valid: expected an IP address'),
    ({"dns-search": ["a b"]}, [], "dns-search"),
    ({"host-gateway-ips": ["10.0.0.1", "10.0.0.2"]}, [], "only one IPv4 address can be given"),
    ({"host-gateway-ip": "10.0.0.1", "host-gateway-ips": ["10.0.0.1"]}, [], "exclude each other"),
    ({"storage-driver": "zfs"}, [], "the following directives don't match any configuration option: storage-driver"),
    ({"default-network-opts": {"bridge": {"com.docker.network.driver.mtu": 1400}}}, [], "bridge: com.docker.network.driver.mtu: expected a string"),
    ({"default-network-opts": {"bridge": "x"}}, [], "bridge: expected an object"),
    ({}, ["--default-network-opt", "bridge=mtu"], '--default-network-opt: "bridge=mtu" is not understood'),
    ({"bip": "10.0.0.1/24", "default-gateway": "10.0.1.1"}, [], "default-gateway: 10.0.1.1 is not in the bridge's subnet 10.0.0.1/24"),
    ({"bip": "10.0.0.1/24", "default-gateway": "fd00::1"}, [], "expected an IPv4 address"),
    ({"default-gateway": "10.0.0.1"}, [], "default-gateway: needs bip or fixed-cidr"),
    ({"bip": "10.0.0.1/24", "default-gateway-v6": "fd00::1"}, [], "default-gateway-v6: needs ipv6 to be true"),
    ({"ip": "host"}, [], 'ip: "host" is not valid: expected an IP address'),
    ({"bridge": "lan0", "bip": "10.0.0.1/24"}, [], "bridge and bip exclude each other"),
    ({"bridge": "no-such0"}, [], "bridge: the host has no bridge no-such0"),
    ({"bridge": "lo"}, [], "bridge: the interface lo is no bridge"),
    ({"iptables": False}, [], "iptables: can't be false: nothing of iptables is touched"),
    ({}, ["--ip6tables=false"], "ip6tables: can't be false"),
    ({"bip": "10.0.0.1/24"}, ["--bip", "10.0.1.1/24"], "both as a flag and in the configuration file: bip"),
    ({}, ["--default-address-pool", "10.0.0.0/8"], '--default-address-pool: "10.0.0.0/8" is not understood'),
    ({}, ["--icc=perhaps"], '--icc: "perhaps" is not understood'),
    ({}, ["--mtu", "big"], '--mtu: "big" is not understood'),
])
def test_nonsense_stops_the_start(tmp_path, document, options, words):
    (tmp_path / "daemon.json").write_text(json.dumps(document))
    done = subprocess.run([PROGRAMS / "tared", "--data-root", tmp_path / "data", "--exec-root", tmp_path / "run", "-H", f"unix://{tmp_path}/s",
                           "--config-file", tmp_path / "daemon.json", *options],
                          env={"TARE_LIBEXEC": str(PROGRAMS), "PATH": "/usr/bin:/bin"}, capture_output=True, text=True, timeout=TIMEOUT)
    assert done.returncode != 0 and words in done.stderr, done.stderr


def test_help_and_manual_page():
    shown = subprocess.check_output([PROGRAMS / "tared", "--help"], text=True)
    page = subprocess.check_output([PROGRAMS / "tared", "--man"], text=True)
    assert "--default-address-pool base=SUBNET,size=BITS" in shown and "--icc" in shown
    assert page.startswith(".TH TARED 8") and "\\-\\-fixed\\-cidr\\-v6" in page and "host\\-gateway\\-ips" in page


def larger_than_usual(namespace):
    """A socket that is readable as soon as something larger than the usual has come to eth0 in one piece."""
    def sniff():
        sniffer = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_IP))
        program = b"".join(struct.pack("HBBI", *line) for line in
                           ((0x80, 0, 0, 0), (0x25, 0, 1, USUAL), (0x06, 0, 0, 64), (0x06, 0, 0, 0)))  # len > USUAL ? 64 bytes of it : none
        buffer = (ctypes.c_char * len(program)).from_buffer_copy(program)
        sniffer.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, struct.pack("HxxxxxxP", len(program) // 8, ctypes.addressof(buffer)))
        sniffer.bind(("eth0", ETH_P_IP))
        return sniffer
    return namespace.do(sniff)


def digest_of_all(listener, result):
    digest = hashlib.sha256()
    client, _ = listener.accept()
    with client:
        while piece := client.recv(1 << 20):
            digest.update(piece)
    result.append(digest.hexdigest())


def send_whole(engine, name):
    """By the host's port 18099 to the container's 99, until something large has come in one piece; what came is what was sent."""
    pid = engine.api("GET", f"/containers/{name}/json")[1]["State"]["Pid"]
    container, result, sent = Namespace(f"/proc/{pid}/ns/net"), [], hashlib.sha256()
    listener, piece, deadline = container.listen("0.0.0.0", 99), os.urandom(1 << 20), time.monotonic() + PATIENCE
    thread = threading.Thread(target=digest_of_all, args=(listener, result), daemon=True)
    thread.start()
    with larger_than_usual(container) as sniffer, socket.create_connection(("127.0.0.1", 18099), PATIENCE) as client:
        while not select.select([sniffer], [], [], 0)[0]:
            assert time.monotonic() < deadline, "all of it comes in pieces"
            client.sendall(piece)
            sent.update(piece)
    thread.join(PATIENCE)
    assert result == [sent.hexdigest()]
    listener.close()
    container.close()


def test_what_lo_lets_through_in_one_piece_stays_whole(configured, allow_large):
    """Links are as lo is when a container starts."""
    engine = configured({})
    run(engine, "true")
    [name] = [name for name in networks.bridges(engine) if name.startswith("tare0")]
    usual = networks.segment(name)
    if not allow_large():
        pytest.skip("no large segments over IPv4 before Linux 6.3")
    assert usual == USUAL
    engine.tare("network", "create", "new")
    for network, options in (("new", ()), ("bridge", ("-p", "18099:99"))):
        engine.tare("run", "-d", "--name", f"in-{network}", "--network", network, *options, "busybox", "sleep", "1000")
    assert [networks.segment(bridge) for bridge in networks.bridges(engine)] == [LARGE, LARGE]
    assert [networks.segment(port) for port in networks.ports(engine)] == [LARGE, LARGE]

    send_whole(engine, "in-bridge")

    networks.allow_segment("lo", USUAL)
    engine.tare("rm", "-f", "in-new", "in-bridge")
    engine.tare("network", "rm", "new")
    run(engine, "true")
    assert networks.segment(name) == USUAL


def test_the_engine_raises_what_lo_lets_through(configured, allow_large):
    """Before the first link is made, and never down again."""
    usual = networks.segment("lo")
    engine = configured({"loopback-segments": LARGE})
    engine.tare("run", "-d", "--name", "large", "--network", "bridge", "-p", "18099:99", "busybox", "sleep", "1000")
    if usual is None:
        assert "segments of 196608 bytes, which needs Linux 6.3" in engine.tail_log()
        return
    assert "lo lets through segments of 196608 bytes from now on" in engine.tail_log()
    assert [networks.segment(name) for name in ["lo", *networks.bridges(engine), *networks.ports(engine)]] == [LARGE] * 3
    send_whole(engine, "large")
    engine.tare("rm", "-f", "large")
    engine = configured({}, "--loopback-segments", str(LARGE - 1))
    run(engine, "true")
    assert networks.segment("lo") == LARGE
