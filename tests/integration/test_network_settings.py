"""What daemon.json and tared's options say of networks: Docker's keys, each with what it does, and clear words for nonsense."""
import json
import subprocess

import pytest

from harness import images, networks
from harness.engine import PROGRAMS, Engine


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
    engine.holder.wait(20)


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
    assert "inet 10.61.7.1/16" in inside and "inet6 fd61::701/64" in inside and "mtu 1400" in inside
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
    ({"mtu": 1279, "ipv6": True}, [], "expected 1280"),
    ({"default-address-pools": [{"base": "10.0.0.0/16"}]}, [], "size"),
    ({"default-address-pools": [{"base": "10.0.0.0/16", "size": 15}]}, [], "subnets of size 15 can't be cut from 10.0.0.0/16"),
    ({"default-address-pools": [{"base": "10.0.0.0/16", "size": 31}]}, [], "expected 16 to 30"),
    ({"default-address-pools": [{"base": "ten", "size": 24}]}, [], '"ten"'),
    ({"dns": ["name.test"]}, [], 'dns: "name.test" is not valid: expected an IP address'),
    ({"dns-search": ["a b"]}, [], "dns-search"),
    ({"host-gateway-ips": ["10.0.0.1", "10.0.0.2"]}, [], "only one IPv4 address can be given"),
    ({"host-gateway-ip": "10.0.0.1", "host-gateway-ips": ["10.0.0.1"]}, [], "exclude each other"),
    ({"default-network-opts": {}}, [], "the following directives don't match any configuration option: default-network-opts"),
    ({"bip": "10.0.0.1/24"}, ["--bip", "10.0.1.1/24"], "both as a flag and in the configuration file: bip"),
    ({}, ["--default-address-pool", "10.0.0.0/8"], '--default-address-pool: "10.0.0.0/8" is not understood'),
    ({}, ["--icc=perhaps"], '--icc: "perhaps" is not understood'),
    ({}, ["--mtu", "big"], '--mtu: "big" is not understood'),
])
def test_nonsense_stops_the_start(tmp_path, document, options, words):
    (tmp_path / "daemon.json").write_text(json.dumps(document))
    done = subprocess.run([PROGRAMS / "tared", "--data-root", tmp_path / "data", "--exec-root", tmp_path / "run", "-H", f"unix://{tmp_path}/s",
                           "--config-file", tmp_path / "daemon.json", *options],
                          env={"TARE_LIBEXEC": str(PROGRAMS), "PATH": "/usr/bin:/bin"}, capture_output=True, text=True, timeout=20)
    assert done.returncode != 0 and words in done.stderr, done.stderr


def test_help_and_manual_page():
    shown = subprocess.check_output([PROGRAMS / "tared", "--help"], text=True)
    page = subprocess.check_output([PROGRAMS / "tared", "--man"], text=True)
    assert "--default-address-pool base=SUBNET,size=BITS" in shown and "--icc" in shown
    assert page.startswith(".TH TARED 8") and "\\-\\-fixed\\-cidr\\-v6" in page and "host\\-gateway\\-ips" in page
