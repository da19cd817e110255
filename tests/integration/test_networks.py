"""Networks: what is made of them on the host and in containers, and what must not be left of them."""
import ctypes
import errno
import ipaddress
import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import time
from urllib.parse import quote

import docker
import pytest

from harness import images, networks
from harness.engine import PROGRAMS, Engine, wait_for


@pytest.fixture(scope="module")
def client(engine):
    client = docker.DockerClient(base_url=f"unix://{engine.socket}", version="1.50", timeout=60)
    yield client
    client.close()


@pytest.fixture
def made(engine):
    """Names that the test gives to networks and containers: gone afterwards."""
    names = {"networks": [], "containers": []}
    yield names
    for name in names["containers"]:
        engine.api("DELETE", f"/containers/{name}?force=1")
    for name in names["networks"]:
        status, answer = engine.api("DELETE", f"/networks/{name}")
        assert status in (204, 404), answer


def inspect(engine, name):
    status, document = engine.api("GET", f"/containers/{name}/json")
    assert status == 200, document
    return document


def places(engine, name):
    return inspect(engine, name)["NetworkSettings"]["Networks"]


def network(engine, name):
    status, document = engine.api("GET", f"/networks/{name}")
    assert status == 200, document
    return document


def inside(engine, name, *command):
    return engine.tare("exec", name, *command).stdout


def addresses(engine, name):
    """interface -> list of "address/prefix", without the kernel's own link-local ones."""
    found = {}
    for line in inside(engine, name, "ip", "addr").splitlines():
        head = re.match(r"\d+: ([^:@]+)[@:]", line)
        if head:
            interface = head.group(1)
        address = re.match(r"\s+inet6? (\S+)", line)
        if address and not address.group(1).startswith("fe80:"):
            found.setdefault(interface, []).append(address.group(1))
    return found


def pings(engine, name, address, seconds=30):
    return engine.tare("exec", name, "ping", "-c1", f"-W{seconds}", address, check=False).returncode == 0


def sleeper(engine, made, name, *options):
    engine.tare("run", "-d", "--name", name, *options, "busybox", "sleep", "1000")
    made["containers"].append(name)
    return name


def create(engine, made, name, *options):
    done = engine.docker("network", "create", *options, name)
    made["networks"].append(name)
    return done.stdout.strip()


# --- the default bridge

def test_the_namespace_s_path(engine, made):
    sleeper(engine, made, "net-key")
    key = inspect(engine, "net-key")["NetworkSettings"]["SandboxKey"]
    there = subprocess.run(["nsenter", f"--net={key}", "ip", "-o", "addr", "show", "eth0"], stdout=subprocess.PIPE, text=True, check=True).stdout
    assert f" {places(engine, 'net-key')['bridge']['IPAddress']}/16 " in there
    engine.tare("stop", "-t", "0", "net-key")
    assert inspect(engine, "net-key")["NetworkSettings"]["SandboxKey"] == ""


def test_default_bridge(engine, made):
    sleeper(engine, made, "net-one", "--network", "bridge")
    sleeper(engine, made, "net-two", "--network", "bridge")
    settings = inspect(engine, "net-one")["NetworkSettings"]
    place = settings["Networks"]["bridge"]
    gateway = network(engine, "bridge")["IPAM"]["Config"][0]["Gateway"]
    assert place["Gateway"] == gateway and place["IPPrefixLen"] == 16
    for key in ("EndpointID", "Gateway", "IPAddress", "IPPrefixLen", "MacAddress"):
        assert settings[key] == place[key]
    assert addresses(engine, "net-one")["eth0"] == [f"{place['IPAddress']}/16"]  # and no IPv6
    other = places(engine, "net-two")["bridge"]["IPAddress"]
    assert other != place["IPAddress"]
    assert pings(engine, "net-one", gateway) and pings(engine, "net-one", other)
    assert f"{place['IPAddress']}\t" in inside(engine, "net-one", "cat", "/etc/hosts")
    listed = network(engine, "bridge")["Containers"]
    assert {entry["Name"] for entry in listed.values()} == {"net-one", "net-two"}
    assert listed[inspect(engine, "net-one")["Id"]]["IPv4Address"] == f"{place['IPAddress']}/16"


def test_fixed_networks(engine):
    status, listed = engine.api("GET", "/networks")
    assert status == 200 and {"bridge", "host", "none"} <= {entry["Name"] for entry in listed}
    for name in ("bridge", "host", "none"):
        status, answer = engine.api("DELETE", f"/networks/{name}")
        assert (status, answer["message"]) == (403, f"{name} is a pre-defined network and cannot be removed")
        status, answer = engine.api("POST", "/networks/create", {"Name": name})
        assert (status, answer["message"]) == (403, f"operation is not permitted on predefined {name} network")
        done = engine.docker("create", "--network", name, "--ip", "172.17.0.99", "busybox", check=False)
        assert f"invalid config for network {name}: invalid endpoint settings: user specified IP address is supported on" in done.stderr


def test_a_restart_needs_no_engine(engine, made):
    """The monitor makes the legs of the next run by itself, and the address stays."""
    made["containers"].append("net-again")
    engine.tare("run", "-d", "--name", "net-again", "--network", "bridge", "--restart", "always", "busybox", "sleep", "1000")
    before = places(engine, "net-again")["bridge"]
    first = inspect(engine, "net-again")["State"]["Pid"]
    state = engine.exec_root / "containers" / inspect(engine, "net-again")["Id"] / "state.json"
    control = engine.engine_pid()
    os.kill(control, signal.SIGSTOP)  # there, so that tared starts no other, and deaf
    try:
        os.kill(first, signal.SIGKILL)

        def runs_again():
            now = json.loads(state.read_text())
            return now["status"] == "running" and now["pid"] != first and now["pid"]
        pid = wait_for(runs_again, "the container's next run")
        assert f"{before['IPAddress']}/16" in namespace_of(pid)
    finally:
        os.kill(control, signal.SIGCONT)
    assert places(engine, "net-again")["bridge"]["IPAddress"] == before["IPAddress"]
    assert pings(engine, "net-again", before["Gateway"])


def namespace_of(pid):
    """What `ip addr` says in a process's network namespace."""
    return subprocess.run(["nsenter", "-t", str(pid), "-n", "ip", "addr"], stdout=subprocess.PIPE, text=True, check=True).stdout


def test_what_networks_lack_is_said(engine):
    """Without the capability nothing half works: the start says what is missing, and what works."""
    bare = Engine(wrapper=("setpriv", "--bounding-set=-net_admin", "--inh-caps=-net_admin")).start()
    try:
        bare.tare("load", "-q", "-i", images.busybox())
        done = bare.tare("run", "--name", "none", "busybox", "true", check=False)
        assert done.returncode == 125
        assert "failed to set up container networking: networks take CAP_NET_ADMIN, which tared was started without; --network host works" in done.stderr
        assert inspect(bare, "none")["State"]["Status"] == "created"
        assert networks.bridges(bare) == []
        bare.tare("run", "--rm", "--network", "host", "busybox", "true")
    finally:
        assert bare.stop() == []


def test_default_is_the_bridge(engine, made):
    """However it is asked for, what inspect shows is the network's name; what the "default" one was asked for is the bridge's."""
    for name, mode, key in (("net-d1", {}, None), ("net-d2", {"NetworkMode": "default"}, "default"), ("net-d3", {"NetworkMode": "bridge"}, "bridge")):
        body = {"Image": "busybox", "Cmd": ["sleep", "1000"], "HostConfig": mode}
        if key:
            body["NetworkingConfig"] = {"EndpointsConfig": {key: {"MacAddress": "02:00:00:00:00:0d"}}}
        made["containers"].append(name)
        status, answer = engine.api("POST", f"/containers/create?name={name}", body)
        assert status == 201, answer
        document = inspect(engine, name)
        assert document["HostConfig"]["NetworkMode"] == "bridge" and list(document["NetworkSettings"]["Networks"]) == ["bridge"]
        engine.tare("start", name)
        place = places(engine, name)["bridge"]
        assert addresses(engine, name)["eth0"] == [f"{place['IPAddress']}/16"]
        assert place["MacAddress"] == "02:00:00:00:00:0d" or not key
    status, answer = engine.api("POST", "/containers/create", {"Image": "busybox", "HostConfig": {"NetworkMode": "private"}})
    assert status == 201, answer
    made["containers"].append(answer["Id"])
    status, answer = engine.api("POST", f"/containers/{answer['Id']}/start")
    assert (status, answer["message"]) == (404, "failed to set up container networking: network private not found")


@pytest.mark.parametrize("program", ["docker", "tare"])
def test_default_is_left_and_joined_live(engine, made, program):
    client = getattr(engine, program)
    sleeper(engine, made, "net-leaves")
    before = places(engine, "net-leaves")["bridge"]["IPAddress"]
    client("network", "disconnect", "bridge", "net-leaves")
    assert "eth0" not in addresses(engine, "net-leaves") and places(engine, "net-leaves") == {}
    client("network", "connect", "bridge", "net-leaves")
    assert addresses(engine, "net-leaves")["eth0"] == [f"{before}/16"]
    assert pings(engine, "net-leaves", places(engine, "net-leaves")["bridge"]["Gateway"])
    client("network", "disconnect", "bridge", "net-leaves")
    engine.tare("restart", "-t", "0", "net-leaves")
    assert list(addresses(engine, "net-leaves")) == ["lo"]


def test_none_is_left_for_others(engine, made):
    create(engine, made, "net-after-none")
    sleeper(engine, made, "net-alone", "--network", "none")
    sleeper(engine, made, "net-friend", "--network", "net-after-none")
    refused = engine.docker("network", "connect", "net-after-none", "net-alone", check=False)
    assert "private (none) mode" in refused.stderr
    engine.docker("network", "disconnect", "none", "net-alone")
    assert places(engine, "net-alone") == {} and list(addresses(engine, "net-alone")) == ["lo"]
    engine.docker("network", "connect", "net-after-none", "net-alone")
    assert pings(engine, "net-alone", "net-friend") and pings(engine, "net-friend", "net-alone")
    engine.tare("restart", "-t", "0", "net-alone")
    assert pings(engine, "net-alone", "net-friend") and pings(engine, "net-friend", "net-alone")


# --- user-defined ones

def test_dual_stack_network(engine, made):
    create(engine, made, "dual", "--ipv6", "--subnet", "10.77.0.0/24", "--subnet", "fd77::/64", "--gateway", "10.77.0.9")
    config = sorted(network(engine, "dual")["IPAM"]["Config"], key=lambda one: one["Subnet"])  # docker's command shuffles them
    assert config == [{"Subnet": "10.77.0.0/24", "Gateway": "10.77.0.9"}, {"Subnet": "fd77::/64", "Gateway": "fd77::1"}]
    sleeper(engine, made, "net-dual", "--network", "dual")
    assert addresses(engine, "net-dual")["eth0"] == ["10.77.0.1/24", "fd77::2/64"]
    assert pings(engine, "net-dual", "10.77.0.9") and pings(engine, "net-dual", "fd77::1")
    assert "default via 10.77.0.9" in inside(engine, "net-dual", "ip", "route")
    assert "default via fd77::1" in inside(engine, "net-dual", "ip", "-6", "route")


def test_static_addresses(engine, made):
    create(engine, made, "fixed", "--subnet", "10.78.0.0/24")
    sleeper(engine, made, "net-fixed", "--network", "fixed", "--ip", "10.78.0.50", "--mac-address", "02:00:00:00:00:07")
    place = places(engine, "net-fixed")["fixed"]
    assert (place["IPAddress"], place["MacAddress"]) == ("10.78.0.50", "02:00:00:00:00:07")
    assert "02:00:00:00:00:07" in inside(engine, "net-fixed", "ip", "link")
    done = engine.tare("run", "-d", "--name", "net-second", "--network", "fixed", "--ip", "10.78.0.50", "busybox", "true", check=False)
    made["containers"].append("net-second")
    assert done.returncode == 125 and "Address already in use" in done.stderr
    assert "eth0" not in json.dumps(places(engine, "net-second"))
    for address, message in (("10.99.0.1", "no configured subnet contains IP address 10.99.0.1"),
                             ("10.78.0.256", "invalid IPv4 address: 10.78.0.256")):
        status, answer = engine.api("POST", "/containers/create", {
            "Image": "busybox", "HostConfig": {"NetworkMode": "fixed"},
            "NetworkingConfig": {"EndpointsConfig": {"fixed": {"IPAMConfig": {"IPv4Address": address}}}}})
        assert status == 400 and message in answer["message"]


def test_exhaustion_is_a_clear_error_and_leaks_nothing(engine, made):
    create(engine, made, "tiny", "--subnet", "10.79.0.0/29", "--aux-address", "printer=10.79.0.3")  # 2, 4, 5, 6 are free
    for number in range(4):
        sleeper(engine, made, f"net-tiny{number}", "--network", "tiny")
    got = {places(engine, f"net-tiny{number}")["tiny"]["IPAddress"] for number in range(4)}
    assert got == {"10.79.0.2", "10.79.0.4", "10.79.0.5", "10.79.0.6"}
    done = engine.tare("run", "-d", "--name", "net-late", "--network", "tiny", "busybox", "sleep", "1000", check=False)
    made["containers"].append("net-late")
    assert done.returncode == 125
    assert "no available IPv4 addresses on this network's address pools: tiny (" in done.stderr
    freed = places(engine, "net-tiny2")["tiny"]["IPAddress"]
    engine.tare("rm", "-f", "net-tiny2")
    engine.tare("start", "net-late")
    assert places(engine, "net-late")["tiny"]["IPAddress"] == freed


def test_a_stopped_container_holds_no_address(engine, made):
    create(engine, made, "narrow", "--subnet", "10.80.0.0/30")  # the gateway and one more
    sleeper(engine, made, "net-first", "--network", "narrow")
    engine.tare("stop", "-t", "0", "net-first")
    assert places(engine, "net-first")["narrow"]["IPAddress"] == ""
    sleeper(engine, made, "net-next", "--network", "narrow")
    assert places(engine, "net-next")["narrow"]["IPAddress"] == "10.80.0.2"
    done = engine.tare("start", "net-first", check=False)
    assert done.returncode == 1 and "no available IPv4 addresses" in done.stderr


def test_range_and_choice_of_subnets(engine, made):
    create(engine, made, "ranged", "--subnet", "10.81.0.0/16", "--ip-range", "10.81.5.0/24")
    sleeper(engine, made, "net-ranged", "--network", "ranged")
    # The first of a range is an address as others are, and the gateway's.
    assert network(engine, "ranged")["IPAM"]["Config"][0]["Gateway"] == "10.81.5.0"
    assert places(engine, "net-ranged")["ranged"]["IPAddress"] == "10.81.5.1" and pings(engine, "net-ranged", "10.81.5.0")
    create(engine, made, "auto-a")
    create(engine, made, "auto-b")
    subnets = [ipaddress.ip_network(network(engine, name)["IPAM"]["Config"][0]["Subnet"]) for name in ("bridge", "auto-a", "auto-b")]
    assert not any(a.overlaps(b) for a in subnets for b in subnets if a is not b)
    assert all(ipaddress.ip_network("172.16.0.0/12").supernet_of(subnet) for subnet in subnets)


def test_no_subnet_of_the_host_is_taken(engine, made):
    """A route of the host's is nobody's to give away."""
    used = network(engine, "bridge")["IPAM"]["Config"][0]["Subnet"]
    following = ipaddress.ip_network(used).broadcast_address + 1
    subprocess.run(["ip", "link", "add", "host9", "type", "bridge"], check=True)
    try:
        subprocess.run(["ip", "addr", "add", f"{following + 9}/24", "dev", "host9"], check=True)
        create(engine, made, "beside")
        chosen = ipaddress.ip_network(network(engine, "beside")["IPAM"]["Config"][0]["Subnet"])
        assert following not in chosen
    finally:
        subprocess.run(["ip", "link", "delete", "host9"], check=True)


def test_settings_of_a_network(engine, made):
    create(engine, made, "set", "--opt", "com.docker.network.bridge.name=tr-named", "--opt", "com.docker.network.driver.mtu=1400",
           "--opt", "com.docker.network.container_iface_prefix=lan", "--label", "a=b")
    sleeper(engine, made, "net-set", "--network", "set")
    def bridge():
        return next(link for link in networks.links() if link["ifname"] == "tr-named")
    assert bridge()["mtu"] == 1400
    wait_for(lambda: bridge()["operstate"] == "UP", "the bridge to be up, of which the kernel tells a moment later")
    assert "lan0" in addresses(engine, "net-set")
    assert "mtu 1400" in inside(engine, "net-set", "ip", "link")
    assert network(engine, "set")["Labels"] == {"a": "b"}
    engine.api("DELETE", "/containers/net-set?force=1")
    assert engine.docker("network", "rm", "set").stdout.strip() == "set"
    wait_for(lambda: "tr-named" not in [link["ifname"] for link in networks.links()], "the bridge's end")


def test_sysctls_of_an_interface(engine, made):
    """IFNAME stands for whatever it is called; docker's command makes small letters of it."""
    create(engine, made, "with-sysctls")
    option = '"driver-opt=com.docker.network.endpoint.sysctls=net.ipv4.conf.IFNAME.log_martians=1,net.ipv4.neigh.IFNAME.app_solicit=7"'
    paths = "/proc/sys/net/ipv4/conf/inner0/log_martians", "/proc/sys/net/ipv4/neigh/inner0/app_solicit"
    for program in (engine.docker, engine.tare):
        done = program("run", "--rm", "--network", f"name=with-sysctls,driver-opt=com.docker.network.endpoint.ifname=inner0,{option}",
                       "busybox", "cat", *paths)
        assert done.stdout == "1\n7\n"
    for setting in ("net.ipv4.conf.eth0.log_martians=1", "net.ipv4.ip_forward=0", "net.ipv4.conf.IFNAME./../x=1", "net.ipv4.conf.IFNAME.log_martians"):
        done = engine.docker("create", "--network", f"name=with-sysctls,driver-opt=com.docker.network.endpoint.sysctls={setting}", "busybox",
                             check=False)
        assert f'invalid sysctl "{setting.lower().split("=")[0]}" of an interface' in done.stderr, done


def test_icc_false_keeps_containers_apart(engine, made):
    create(engine, made, "apart", "--opt", "com.docker.network.bridge.enable_icc=false", "--subnet", "10.82.0.0/24")
    sleeper(engine, made, "net-apart1", "--network", "apart")
    sleeper(engine, made, "net-apart2", "--network", "apart")
    other = places(engine, "net-apart2")["apart"]["IPAddress"]
    assert pings(engine, "net-apart1", "10.82.0.1")
    assert not pings(engine, "net-apart1", other, 1)


def test_internal_has_no_way_out(engine, made):
    create(engine, made, "inner", "--internal", "--subnet", "10.83.0.0/24")
    sleeper(engine, made, "net-inner", "--network", "inner")
    assert "default" not in inside(engine, "net-inner", "ip", "route")
    assert places(engine, "net-inner")["inner"]["Gateway"] == ""


# --- several networks

def test_several_networks_and_their_priority(engine, made):
    for name, subnet in (("pa", "10.84.0.0/24"), ("pb", "10.85.0.0/24"), ("pc", "10.86.0.0/24")):
        create(engine, made, name, "--subnet", subnet)
    sleeper(engine, made, "net-many", "--network", "pb", "--network", "name=pa,alias=db,ip=10.84.0.44",
            "--network", "name=pc,gw-priority=5,driver-opt=com.docker.network.endpoint.ifname=wan")
    found = addresses(engine, "net-many")
    assert found["eth0"] == ["10.85.0.2/24"] and found["eth1"] == ["10.84.0.44/24"] and found["wan"] == ["10.86.0.2/24"]
    assert "default via 10.86.0.1 dev wan" in inside(engine, "net-many", "ip", "route")
    place = places(engine, "net-many")["pa"]
    assert place["Aliases"] == ["db"] and place["DNSNames"][:2] == ["net-many", "db"]
    engine.docker("network", "disconnect", "pc", "net-many")
    assert "default via 10.84.0.1" in inside(engine, "net-many", "ip", "route")
    assert "wan" not in addresses(engine, "net-many")


@pytest.mark.parametrize("program", ["docker", "tare"])
def test_connect_and_disconnect_live(engine, made, program):
    client = getattr(engine, program)
    made["networks"].append("live")
    client("network", "create", "--subnet", "10.87.0.0/24", "live")
    sleeper(engine, made, "net-live", "--network", "bridge")
    client("network", "connect", "--ip", "10.87.0.9", "--alias", "here", "live", "net-live")
    assert addresses(engine, "net-live")["eth1"] == ["10.87.0.9/24"]
    assert pings(engine, "net-live", "10.87.0.1")
    done = client("network", "connect", "live", "net-live", check=False)
    assert done.returncode == 1 and "endpoint with name net-live already exists in network live" in done.stderr
    done = client("network", "rm", "live", check=False)
    assert done.returncode == 1 and 'network live has active endpoints (name:"net-live"' in done.stderr
    client("network", "disconnect", "live", "net-live")
    assert "eth1" not in addresses(engine, "net-live") and "live" not in places(engine, "net-live")
    done = client("network", "disconnect", "live", "net-live", check=False)
    assert done.returncode == 1 and "is not connected to network live" in done.stderr
    assert pings(engine, "net-live", places(engine, "net-live")["bridge"]["Gateway"])


def test_what_is_left_of_a_disconnect(engine, made):
    """The interface is gone for the container at once, and its name free; what the kernel still does with it ends by itself."""
    for name in ("go-a", "go-b"):
        create(engine, made, name)
    sleeper(engine, made, "net-goes", "--network", "bridge")
    ends = len(networks.ports(engine))
    for _ in range(10):
        for name in ("go-a", "go-b"):
            engine.docker("network", "connect", name, "net-goes")
        assert set(addresses(engine, "net-goes")) == {"lo", "eth0", "eth1", "eth2"}
        for name in ("go-a", "go-b"):
            engine.docker("network", "disconnect", name, "net-goes")
        assert set(addresses(engine, "net-goes")) == {"lo", "eth0"}
        assert "eth1" not in inside(engine, "net-goes", "ip", "link")
    wait_for(lambda: inside(engine, "net-goes", "ls", "/sys/class/net").split() == ["eth0", "lo"], "the end of what was put aside")
    assert len(networks.ports(engine)) == ends


def test_connect_of_one_that_does_not_run(engine, made):
    create(engine, made, "later", "--subnet", "10.88.0.0/24")
    engine.tare("create", "--name", "net-later", "--network", "bridge", "busybox", "sleep", "1000")
    made["containers"].append("net-later")
    engine.docker("network", "connect", "later", "net-later")
    engine.docker("network", "disconnect", "bridge", "net-later")
    engine.tare("start", "net-later")
    assert list(addresses(engine, "net-later").values())[1:] == [["10.88.0.2/24"]]
    assert list(places(engine, "net-later")) == ["later"]


def test_refused_connections(engine, made):
    create(engine, made, "refused")
    for mode, message in (("host", "container cannot be disconnected from host network or connected to host network"),
                          ("none", "one of the networks in private (none) mode")):
        engine.tare("create", "--name", f"net-{mode}", "--network", mode, "busybox", "true")
        made["containers"].append(f"net-{mode}")
        done = engine.docker("network", "connect", "refused", f"net-{mode}", check=False)
        assert done.returncode == 1 and message in done.stderr
    done = engine.docker("network", "connect", "nowhere", "net-host", check=False)
    assert done.returncode == 1 and "network nowhere not found" in done.stderr


def test_disconnecting_what_ends_just_then(engine, made):
    """A container whose init is on its way out has no interfaces to change: nothing fails. A tracer of another process holds it there."""
    made["networks"].append("net-last")
    made["containers"].append("net-ending")
    engine.tare("network", "create", "net-last")
    engine.tare("run", "-d", "--name", "net-ending", "--network", "net-last", "busybox", "sh", "-c", "sleep 1000 & wait")
    init = inspect(engine, "net-ending")["State"]["Pid"]
    other = int(wait_for(lambda: pathlib.Path(f"/proc/{init}/task/{init}/children").read_text().split(), "its child")[0])
    assert ctypes.CDLL(None, use_errno=True).ptrace(0x4206, other, None, None) == 0, ctypes.get_errno()  # PTRACE_SEIZE
    try:
        os.kill(init, signal.SIGKILL)
        wait_for(lambda: not os.path.exists(f"/proc/{init}/ns/net"), "the end of its namespaces")
        engine.tare("network", "disconnect", "net-last", "net-ending")
        assert places(engine, "net-ending") == {}
    finally:
        os.waitpid(other, 0x40000000)  # __WALL
    wait_for(lambda: inspect(engine, "net-ending")["State"]["Status"] == "exited", "its end")


def test_shared_and_host_namespaces(engine, made):
    sleeper(engine, made, "net-owner", "--network", "bridge")
    own = places(engine, "net-owner")["bridge"]["IPAddress"]
    shared = engine.tare("run", "--rm", "--network", "container:net-owner", "busybox", "ip", "addr").stdout
    assert own in shared
    host = engine.tare("run", "--rm", "--network", "host", "busybox", "ip", "addr").stdout
    assert networks.bridges(engine)[0] in host
    none = engine.tare("run", "--rm", "--network", "none", "busybox", "ip", "addr").stdout
    assert "eth0" not in none


def test_host_gateway_and_links(engine, made):
    sleeper(engine, made, "net-target", "--network", "bridge")
    target = places(engine, "net-target")["bridge"]
    hosts = engine.tare("run", "--rm", "--network", "bridge", "--add-host", "up:host-gateway", "--link", "net-target:db",
                        "busybox", "cat", "/etc/hosts").stdout
    assert f"{target['Gateway']}\tup" in hosts and f"{target['IPAddress']}\tdb" in hosts


def test_macvlan(engine, made):
    """Its containers are on the parent's wire: here another interface on it is the neighbour."""
    subprocess.run("ip link add wire9 type veth peer name far9 && ip link set wire9 up && ip link set far9 up && ip addr add 10.96.0.1/24 dev far9",
                   shell=True, check=True)
    try:
        create(engine, made, "mac", "-d", "macvlan", "-o", "parent=wire9", "--subnet", "10.96.0.0/24", "--gateway", "10.96.0.1")
        sleeper(engine, made, "net-mac", "--network", "mac")
        assert addresses(engine, "net-mac")["eth0"] == ["10.96.0.2/24"]
        assert places(engine, "net-mac")["mac"]["MacAddress"] in inside(engine, "net-mac", "ip", "link")
        assert pings(engine, "net-mac", "10.96.0.1")
        engine.tare("rm", "-f", "net-mac")
        done = engine.tare("network", "ls", "--filter", "driver=macvlan", "--format", "{{.Name}}")
        assert done.stdout == "mac\n"
    finally:
        subprocess.run(["ip", "link", "delete", "wire9"], check=True)


def test_several_subnets(engine, client, made):
    """Of networks on a parent: each with its range, its gateway and its reserved addresses; containers get the first that has room."""
    for n, command in enumerate((engine.docker, engine.tare)):
        command("network", "create", "-d", "macvlan", *(word for net, part in ((f"10.10{n}.0.0/24", "248/29"), (f"10.11{n}.0.0/16", "248/30"))
                for word in ("--subnet", net, "--gateway", net.split("/")[0][:-1] + "254", "--ip-range", net.split("/")[0][:-1] + part)),
                "--aux-address", f"far=10.11{n}.0.249", f"several-{n}")
        made["networks"].append(f"several-{n}")
        # docker's command sends them in any order.
        assert sorted(network(engine, f"several-{n}")["IPAM"]["Config"], key=lambda pool: pool["Subnet"]) == [
            {"Subnet": f"10.10{n}.0.0/24", "IPRange": f"10.10{n}.0.248/29", "Gateway": f"10.10{n}.0.254"},
            {"Subnet": f"10.11{n}.0.0/16", "IPRange": f"10.11{n}.0.248/30", "Gateway": f"10.11{n}.0.254",
             "AuxiliaryAddresses": {"far": f"10.11{n}.0.249"}}]
    for i in range(6):  # 255 is nobody's, 254 is the gateway's
        sleeper(engine, made, f"net-fills-{i}", "--network", "several-1")
        assert addresses(engine, f"net-fills-{i}")["eth0"] == [f"10.101.0.{248 + i}/24"]
    sleeper(engine, made, "net-second", "--network", "several-1")
    assert addresses(engine, "net-second")["eth0"] == ["10.111.0.248/16"]
    assert "default via 10.111.0.254" in inside(engine, "net-second", "ip", "route")
    assert places(engine, "net-second")["several-1"]["Gateway"] == "10.111.0.254" and places(engine, "net-second")["several-1"]["IPPrefixLen"] == 16
    sleeper(engine, made, "net-wish", "--network", "several-1", "--ip", "10.111.7.7")
    assert addresses(engine, "net-wish")["eth0"] == ["10.111.7.7/16"]
    shown = {value["Name"]: value["IPv4Address"] for value in network(engine, "several-1")["Containers"].values()}
    assert shown["net-second"] == "10.111.0.248/16" and shown["net-fills-0"] == "10.101.0.248/24"
    done = engine.docker("run", "--rm", "--network", "several-1", "--ip", "10.109.0.1", "busybox", "true", check=False)
    assert done.returncode == 125 and "no configured subnet contains IP address 10.109.0.1" in done.stderr
    own = client.networks.create("several-py", driver="macvlan", ipam=docker.types.IPAMConfig(
        pool_configs=[docker.types.IPAMPool(subnet="10.120.0.0/24"), docker.types.IPAMPool(subnet="10.121.0.0/24", gateway="10.121.0.9")]))
    made["networks"].append("several-py")
    own.reload()
    assert [pool["Gateway"] for pool in own.attrs["IPAM"]["Config"]] == ["10.120.0.1", "10.121.0.9"]


def interfaces():
    return {link["ifname"]: link for link in networks.links()}


def test_a_parent_by_a_vlan_s_number(engine, made):
    """Made with the network, again after somebody removed it, and gone with the last that has it. This kernel may have no VLANs: then it says so."""
    subprocess.run("ip link add wire6 type veth peer name far6 && ip link set wire6 up && ip link set far6 up", shell=True, check=True)
    has_vlans = subprocess.run("ip link add link far6 name far6.30 type vlan id 30 && ip addr add 10.98.0.1/24 dev far6.30 && ip link set far6.30 up",
                               shell=True, stderr=subprocess.DEVNULL).returncode == 0
    try:
        if not has_vlans:
            status, answer = engine.api("POST", "/networks/create", {"Name": "tagged", "Driver": "macvlan", "Options": {"parent": "wire6.30"}})
            assert status >= 400 and "network tagged: cannot make the interface wire6.30" in answer["message"]
            assert engine.api("GET", "/networks/tagged")[0] == 404
            return
        create(engine, made, "tagged", "-d", "macvlan", "-o", "parent=wire6.30", "--subnet", "10.98.0.0/24", "--gateway", "10.98.0.1")
        create(engine, made, "tagged-too", "-d", "macvlan", "-o", "parent=wire6.30", "--subnet", "10.99.0.0/24")
        assert interfaces()["wire6.30"]["linkinfo"]["info_data"]["id"] == 30
        sleeper(engine, made, "net-tagged", "--network", "tagged")
        assert pings(engine, "net-tagged", "10.98.0.1")
        engine.tare("network", "rm", "tagged-too")
        assert "wire6.30" in interfaces()  # which another network has
        engine.tare("stop", "-t", "0", "net-tagged")
        subprocess.run(["ip", "link", "delete", "wire6.30"], check=True)
        engine.tare("start", "net-tagged")
        assert pings(engine, "net-tagged", "10.98.0.1")
        engine.tare("rm", "-f", "net-tagged")
        engine.tare("network", "rm", "tagged")
        wait_for(lambda: "wire6.30" not in interfaces(), "the interface to be gone")
    finally:
        subprocess.run(["ip", "link", "delete", "wire6"], check=True)


@pytest.mark.parametrize("options", [["--internal"], []])
def test_a_network_without_a_parent_leads_nowhere(engine, made, options):
    try:
        create(engine, made, "nowhere", "-d", "macvlan", *options, "--subnet", "10.100.0.0/24")
        parent = network(engine, "nowhere")["Options"]["parent"]
        assert parent == "dm-" + network(engine, "nowhere")["Id"][:12] and interfaces()[parent]["linkinfo"]["info_kind"] in ("dummy", "veth")
        sleeper(engine, made, "net-dm-one", "--network", "nowhere")
        sleeper(engine, made, "net-dm-two", "--network", "nowhere")
        assert pings(engine, "net-dm-one", places(engine, "net-dm-two")["nowhere"]["IPAddress"])
        assert bool(options) == ("default" not in inside(engine, "net-dm-one", "ip", "route"))
        engine.tare("rm", "-f", "net-dm-one", "net-dm-two")
        subprocess.run(["ip", "link", "delete", parent], check=True)
        sleeper(engine, made, "net-dm-one", "--network", "nowhere")  # made again
        engine.tare("rm", "-f", "net-dm-one")
        engine.tare("network", "rm", "nowhere")
        wait_for(lambda: parent not in interfaces(), "the parent to be gone")
    finally:
        engine.tare("rm", "-f", "net-dm-one", "net-dm-two", check=False)


def test_links_of_the_default_bridge(engine, made):
    done = engine.docker("run", "--rm", "--network", "bridge", "--link", "no-such:db", "busybox", "true", check=False)
    assert done.returncode == 125 and "could not get container for no-such: No such container: no-such" in done.stderr
    engine.tare("create", "--name", "net-idle", "--network", "bridge", "busybox", "sleep", "1000")
    made["containers"] += ["net-idle", "net-linked"]
    done = engine.docker("run", "-d", "--name", "net-linked", "--network", "bridge", "--link", "net-idle:db", "busybox", "sleep", "1000", check=False)
    assert done.returncode == 125 and "Cannot link to a non running container: /net-idle AS /net-linked/db" in done.stderr
    engine.tare("start", "net-idle")
    engine.tare("start", "net-linked")
    address = places(engine, "net-idle")["bridge"]["IPAddress"]
    assert f"{address}\tdb" in inside(engine, "net-linked", "cat", "/etc/hosts")


def test_a_link_s_variables(engine, client, made):
    """Where the other's ports are, and what its own variables were: on the default bridge, for all that runs inside."""
    engine.docker("run", "-d", "--name", "net-far", "--network", "bridge", "-e", "USER=ada", "-e", "PATH=/odd:/bin", "-e", "EMPTY=",
                  *(word for port in ("8001", "8000", "53/udp", "53", "8002", "9000/udp") for word in ("--expose", port)), "busybox", "sleep", "1000")
    made["containers"] += ["net-far", "net-has"]
    address = places(engine, "net-far")["bridge"]["IPAddress"]
    expected = {"MY_DB_PORT": f"tcp://{address}:53", "MY_DB_NAME": "/net-has/my-db", "MY_DB_ENV_USER": "ada", "MY_DB_ENV_EMPTY": "",
                "MY_DB_PORT_8000_TCP_START": f"tcp://{address}:8000", "MY_DB_PORT_8000_TCP_PORT_START": "8000",
                "MY_DB_PORT_8002_TCP_END": f"tcp://{address}:8002", "MY_DB_PORT_8002_TCP_PORT_END": "8002"}
    for number, proto in ((53, "tcp"), (53, "udp"), (8000, "tcp"), (8001, "tcp"), (8002, "tcp"), (9000, "udp")):
        start = f"MY_DB_PORT_{number}_{proto.upper()}"
        expected |= {start: f"{proto}://{address}:{number}", f"{start}_ADDR": address, f"{start}_PORT": str(number), f"{start}_PROTO": proto}

    def variables(text):
        return dict(line.split("=", 1) for line in text.splitlines() if line.startswith("MY_DB_"))
    for command in (engine.docker, engine.tare):
        command("run", "-d", "--name", "net-has", "--network", "bridge", "--link", "net-far:my-db", "busybox", "sleep", "1000")
        assert variables(inside(engine, "net-has", "env")) == expected
        engine.tare("rm", "-f", "net-has")
    own = engine.docker("run", "--rm", "--name", "net-has", "--network", "bridge", "--link", "net-far:my-db", "-e", "MY_DB_ENV_USER=own",
                        "busybox", "env").stdout
    assert variables(own) == expected | {"MY_DB_ENV_USER": "own"}
    text = client.containers.run("busybox", "env", remove=True, network="bridge", links={"net-far": "my-db"}).decode()
    assert variables(text)["MY_DB_PORT"] == f"tcp://{address}:53"
    create(engine, made, "named")
    sleeper(engine, made, "net-elsewhere", "--network", "named", "-e", "USER=bob", "--expose", "80")
    shown = engine.docker("run", "--rm", "--network", "named", "--link", "net-elsewhere:my-db", "busybox", "sh", "-c",
                          "env; cat /etc/hosts; ping -c 1 -W 30 my-db").stdout
    assert variables(shown) == {} and "\tmy-db" not in shown and "1 packets received" in shown


def test_another_ethernet_address_for_the_same_address(engine, made):
    """Neighbours are told, and the host forgets."""
    create(engine, made, "moved", "--ipv6", "--subnet", "10.89.0.0/24", "--subnet", "fd89::/64")
    sleeper(engine, made, "net-asks", "--network", "moved")

    def known(inside_too=True):
        host = subprocess.run(["ip", "neigh", "show", "to", "10.89.0.50"], stdout=subprocess.PIPE, text=True, check=True).stdout
        return [text for text in (host, *(inside(engine, "net-asks", "ip", "neigh") if inside_too else "").splitlines()) if "::50 " in text or ".50 " in text]

    for mac in ("02:42:0a:59:00:32", "02:11:22:33:44:55", "02:11:22:33:44:66"):
        sleeper(engine, made, "net-moved", "--network", "moved", "--ip", "10.89.0.50", "--ip6", "fd89::50", "--mac-address", mac)
        wait_for(lambda: all(mac in text for text in known()), f"{mac} in place of what was known: {known()}")
        assert pings(engine, "net-asks", "10.89.0.50") and pings(engine, "net-asks", "fd89::50")
        with socket.socket() as client:
            assert client.connect_ex(("10.89.0.50", 9)) == errno.ECONNREFUSED
        assert sum(mac in text for text in known()) == 3
        assert inside(engine, "net-moved", "cat", "/proc/sys/net/ipv4/conf/eth0/arp_notify").strip() == "0"
        engine.tare("rm", "-f", "net-moved")
    sleeper(engine, made, "net-moved", "--network", "moved", "--ip", "10.89.0.50")
    assert not any("02:11:22:33:44:66" in text for text in known(inside_too=False))


def test_ipvlan_flags_are_not_ignored(engine):
    done = engine.docker("network", "create", "-d", "ipvlan", "-o", "ipvlan_flag=none", "flagged", check=False)
    assert done.returncode == 1 and "requested ipvlan_flag 'none' is not valid" in done.stderr


def test_ipvlan_says_what_the_kernel_says(engine, made):
    """This kernel may have none: then the start fails, names it, and leaves nothing."""
    subprocess.run(["ip", "link", "add", "wire8", "type", "bridge"], check=True)
    try:
        create(engine, made, "ipv", "-d", "ipvlan", "-o", "parent=wire8", "-o", "ipvlan_mode=l3", "--subnet", "10.97.0.0/24")
        done = engine.tare("run", "-d", "--name", "net-ipv", "--network", "ipv", "busybox", "sleep", "1000", check=False)
        made["containers"].append("net-ipv")
        if done.returncode == 0:
            assert "default dev eth0" in inside(engine, "net-ipv", "ip", "route")
        else:
            assert "network ipv: networks take ipvlan, which this kernel does not have (modprobe ipvlan)" in done.stderr
            assert places(engine, "net-ipv")["ipv"]["IPAddress"] == ""
        engine.tare("rm", "-f", "net-ipv")
    finally:
        subprocess.run(["ip", "link", "delete", "wire8"], check=True)


# --- the end

def test_cleanup_takes_all_away(engine, made):
    """Once nothing lives any more; others' bridges and tables stay, and what is taken away comes back with the next engine."""
    def cleanup():
        return subprocess.run([PROGRAMS / "tared", "--cleanup", "--data-root", engine.data, "--exec-root", engine.exec_root],
                              env={"TARE_LIBEXEC": str(PROGRAMS), "PATH": "/usr/bin:/bin"}, capture_output=True, text=True, timeout=60)

    def tables():
        return [line for line in subprocess.check_output(["nft", "list", "tables"], text=True).splitlines() if line.endswith(" " + networks.table(engine))]
    create(engine, made, "cleaned", "--subnet", "10.130.0.0/24")
    create(engine, made, "cleaned-parent", "-d", "macvlan", "--subnet", "10.131.0.0/24")
    sleeper(engine, made, "net-last", "--network", "cleaned", "--egress", "default=deny")
    identifier = inspect(engine, "net-last")["Id"]
    usual = networks.segment("lo")
    subprocess.run("ip link add stays0 type bridge; nft add table inet stays", shell=True, check=True)
    try:
        done = cleanup()
        assert done.returncode != 0 and "another tared" in done.stderr, done
        engine.holder.terminate()
        engine.holder.wait(60)
        done = cleanup()
        assert done.returncode != 0 and f"container {identifier[:12]} still runs: stop all of them first" in done.stderr, done
        assert networks.bridges(engine) and len(tables()) == 2
        engine.start()
        engine.tare("stop", "-t", "0", "net-last")
        engine.holder.terminate()
        engine.holder.wait(60)
        wait_for(lambda: cleanup().returncode == 0, "a clean-up")  # a monitor may be about to end
        assert not networks.bridges(engine) and not tables()
        done = cleanup()
        assert done.returncode == 0 and "lo lets through" not in done.stdout
        if usual:
            networks.allow_segment("lo", 2 * usual)
            assert f"left as it is: lo lets through segments of {2 * usual} bytes" in cleanup().stdout
        assert "stays0" in interfaces() and "table inet stays" in subprocess.check_output(["nft", "list", "tables"], text=True)
    finally:
        subprocess.run("ip link delete stays0; nft delete table inet stays", shell=True, check=True)
        if usual:
            networks.allow_segment("lo", usual)
        if engine.holder.poll() is not None:
            engine.start()
    engine.tare("start", "net-last")
    assert addresses(engine, "net-last")["eth0"] == ["10.130.0.2/24"]


# --- errors of create

@pytest.mark.parametrize("body, status, message", [
    ({"Name": ""}, 400, "invalid network name"),
    ({"Name": "x", "Driver": "overlay"}, 404, 'could not find plugin overlay in v1 plugin registry: plugin "overlay" not found'),
    ({"Name": "x", "IPAM": {"Config": [{"Subnet": "10.0.0.0/33"}]}}, 400, "invalid subnet 10.0.0.0/33: invalid CIDR block notation"),
    ({"Name": "x", "IPAM": {"Config": [{"Subnet": "10.0.0.9/24"}]}}, 400, "invalid subnet 10.0.0.9/24: it should be 10.0.0.0/24"),
    ({"Name": "x", "IPAM": {"Config": [{"Subnet": "10.0.0.0/24", "Gateway": "10.0.1.1"}]}}, 400, "doesn't contain this address"),
    ({"Name": "x", "IPAM": {"Config": [{"Subnet": "10.0.0.0/24", "IPRange": "10.0.0.0/16"}]}}, 400, "CIDR block is bigger than"),
    ({"Name": "x", "IPAM": {"Config": [{"Subnet": "fd01::/64"}]}}, 400, "IPv6 is not enabled"),
    ({"Name": "x", "EnableIPv4": False}, 400, "IPv4 or IPv6 must be enabled"),
    ({"Name": "x", "Options": {"com.docker.network.driver.mtu": "many"}}, 400, "failed to parse com.docker.network.driver.mtu value"),
    ({"Name": "x", "Options": {"com.docker.network.bridge.name": "../../etc"}}, 400, "is no name for an interface"),
    ({"Name": "x", "Driver": "macvlan", "Options": {"parent": "nowhere"}}, 400, "invalid subinterface vlan name nowhere, example formatting is eth0.10"),
    ({"Name": "x", "Driver": "macvlan", "Options": {"parent": "nowhere.5000"}}, 400, "invalid subinterface vlan name nowhere.5000"),
    ({"Name": "x", "Driver": "macvlan", "Options": {"parent": "nowhere.7"}}, 404, "the host has no interface nowhere for nowhere.7"),
    ({"Name": "x", "IPAM": {"Config": [{"Subnet": "10.0.0.0/24"}, {"Subnet": "10.0.1.0/24"}]}}, 403,
     "bridge driver doesn't support multiple subnets"),
    ({"Name": "x", "Driver": "macvlan", "IPAM": {"Config": [{"Subnet": "10.0.0.0/16"}, {"Subnet": "10.0.1.0/24"}]}}, 403,
     "invalid pool request: Pool overlaps with other one on this address space"),
    ({"Name": "x", "Driver": "macvlan", "IPAM": {"Config": [{"Subnet": f"10.0.{n}.0/24"} for n in range(33)]}}, 400,
     "a network has at most 32 subnets"),
    ({"Name": "x", "Options": {"com.docker.network.bridge.name": "lo"}}, 409, "the interface lo exists and is no bridge"),
])
def test_errors_of_create(engine, body, status, message):
    before = engine.api("GET", "/networks")[1]
    got, answer = engine.api("POST", "/networks/create", body)
    assert got == status and message in answer["message"]
    assert engine.api("GET", "/networks")[1] == before


def test_overlaps_and_names(engine, made):
    create(engine, made, "taken", "--subnet", "10.90.0.0/16", "-o", "com.docker.network.bridge.name=taken0")
    status, answer = engine.api("POST", "/networks/create", {"Name": "other", "Options": {"com.docker.network.bridge.name": "taken0"}})
    assert status == 403 and answer["message"].endswith("networks have same bridge name")
    for body, status, message in (({"Name": "taken"}, 409, "network with name taken already exists"),
                                  ({"Name": "in-it", "IPAM": {"Config": [{"Subnet": "10.90.7.0/24"}]}}, 403,
                                   "invalid pool request: Pool overlaps with other one on this address space")):
        assert engine.api("POST", "/networks/create", body) == (status, {"message": message})
    identifier = network(engine, "taken")["Id"]
    assert network(engine, identifier[:12])["Name"] == "taken"
    assert engine.api("GET", "/networks/no-such-one") == (404, {"message": "network no-such-one not found"})


# --- other clients

def test_docker_py(client, engine):
    made = client.networks.create("py-net", driver="bridge", internal=True, labels={"of": "py"},
                                  ipam=docker.types.IPAMConfig(pool_configs=[docker.types.IPAMPool(subnet="10.91.0.0/24")]))
    try:
        assert [n.name for n in client.networks.list(filters={"label": "of=py"})] == ["py-net"]
        container = client.containers.run("busybox", "sleep 1000", detach=True, network="py-net", name="py-one")
        container.reload()
        assert container.attrs["NetworkSettings"]["Networks"]["py-net"]["IPAddress"] == "10.91.0.2"
        made.reload()
        assert [c.name for c in made.containers] == ["py-one"]
        made.disconnect(container)
        made.connect(container, ipv4_address="10.91.0.30")
        container.reload()
        assert container.attrs["NetworkSettings"]["Networks"]["py-net"]["IPAddress"] == "10.91.0.30"
        container.remove(force=True)
        events = client.events(since=1, until=2**31 - 1, filters={"type": "network", "network": "py-net"}, decode=True)
        actions = [next(events)["Action"] for _ in range(5)]
        assert actions == ["create", "connect", "disconnect", "connect", "disconnect"]
        events.close()
    finally:
        made.remove()


def test_prune(engine, made):
    create(engine, made, "kept", "--subnet", "10.92.0.0/24")
    create(engine, made, "pruned", "--label", "old")
    sleeper(engine, made, "net-kept", "--network", "kept")
    assert engine.docker("network", "prune", "-f", "--filter", "label=old").stdout.split() == ["Deleted", "Networks:", "pruned"]
    engine.docker("network", "prune", "-f")
    assert engine.api("GET", "/networks/kept")[0] == 200
    told = engine.api("GET", f"/events?since=1&until={time.time():.9f}&filters=" + quote('{"type":["network"],"event":["prune"]}'), raw=True)[1]
    assert [json.loads(line)["Actor"] for line in told.splitlines()][-2:] == [{"ID": "", "Attributes": {"reclaimed": "0"}}] * 2


# --- deaths

def test_an_engine_killed_in_the_middle_of_connect(fresh_engine):
    """The change is finished by the next engine: what the record says, the container has, and the other way round."""
    engine = fresh_engine
    engine.tare("load", "-q", "-i", images.busybox())
    engine.docker("network", "create", "--subnet", "10.93.0.0/24", "mid")
    engine.tare("run", "-d", "--name", "victim", "--network", "bridge", "busybox", "sleep", "1000")
    monitor = engine.monitor_pid(inspect(engine, "victim")["Id"])
    mark = engine.exec_root / "containers" / inspect(engine, "victim")["Id"] / "network-change"
    os.kill(monitor, signal.SIGSTOP)  # the engine has written everything down, and waits
    connecting = engine.popen(os.environ.get("TARE_TEST_DOCKER", "docker"), "network", "connect", "mid", "victim")
    wait_for(mark.exists, "the mark of a change")
    wait_for(lambda: "10.93.0.2" in (mark.parent / "launch.json").read_text(), "the change to be written down")
    os.kill(engine.engine_pid(), signal.SIGKILL)
    os.kill(monitor, signal.SIGCONT)
    connecting.wait(60)
    wait_for(lambda: not mark.exists() and engine.answers(), "the change's end")
    assert addresses(engine, "victim")["eth1"] == ["10.93.0.2/24"]
    assert places(engine, "victim")["mid"]["IPAddress"] == "10.93.0.2"
    assert pings(engine, "victim", "10.93.0.1")
    engine.docker("network", "disconnect", "mid", "victim")
    engine.docker("network", "rm", "mid")


def test_a_failed_connect_is_taken_back(engine, made):
    """Something else has the bridge's name: the container is as it was before."""
    create(engine, made, "broken", "--subnet", "10.94.0.0/24", "--opt", "com.docker.network.bridge.name=tr-broken")
    sleeper(engine, made, "net-whole", "--network", "bridge")
    before = places(engine, "net-whole")
    subprocess.run("ip link delete tr-broken && ip link add tr-broken type veth peer name far7", shell=True, check=True)
    done = engine.docker("network", "connect", "broken", "net-whole", check=False)
    subprocess.run(["ip", "link", "delete", "tr-broken"], check=True)
    assert done.returncode == 1 and "network broken: cannot make the container's interface" in done.stderr
    assert places(engine, "net-whole") == before
    assert list(addresses(engine, "net-whole")) == ["lo", "eth0"]


def test_a_bridge_that_was_removed_is_made_again(engine, made):
    create(engine, made, "again", "--subnet", "10.98.0.0/24", "--opt", "com.docker.network.bridge.name=tr-again")
    subprocess.run(["ip", "link", "delete", "tr-again"], check=True)
    sleeper(engine, made, "net-renewed", "--network", "again")
    assert pings(engine, "net-renewed", "10.98.0.1")


def test_a_full_bridge_says_so(engine, made):
    """The kernel's bridges have 1,023 ports."""
    create(engine, made, "full", "--subnet", "10.99.0.0/16", "--opt", "com.docker.network.bridge.name=tr-full")
    lines = [f"link add fa{n} group 99 master tr-full type veth peer name fb{n} group 99" for n in range(512)]
    subprocess.run(["ip", "-batch", "-"], input="\n".join(lines), text=True, check=True)
    for n in range(1, 512):
        lines[n] = f"link set fb{n} master tr-full"
    subprocess.run(["ip", "-batch", "-"], input="\n".join(lines[1:]), text=True, check=True)
    try:
        done = engine.tare("run", "-d", "--name", "net-over", "--network", "full", "busybox", "sleep", "1000", check=False)
        made["containers"].append("net-over")
        assert done.returncode == 125 and "network full is full: a bridge takes 1023 containers" in done.stderr
        subprocess.run(["ip", "link", "set", "fa0", "nomaster"], check=True)
        engine.tare("start", "net-over")
        assert pings(engine, "net-over", "10.99.0.1")
    finally:
        engine.tare("rm", "-f", "net-over", check=False)
        subprocess.run(["ip", "link", "delete", "group", "99"], check=True)


def test_a_lost_monitor_leaves_no_leg(engine, made):
    sleeper(engine, made, "net-lost", "--network", "bridge")
    count = len(networks.ports(engine))
    os.kill(engine.monitor_pid(inspect(engine, "net-lost")["Id"]), signal.SIGKILL)
    wait_for(lambda: inspect(engine, "net-lost")["State"]["Status"] == "exited", "the end of a container without a monitor")
    wait_for(lambda: len(networks.ports(engine)) == count - 1, "the leg's end")
    assert places(engine, "net-lost")["bridge"]["IPAddress"] == ""


def test_a_new_engine_knows_it_all(fresh_engine):
    engine = fresh_engine
    engine.tare("load", "-q", "-i", images.busybox())
    engine.docker("network", "create", "--subnet", "10.95.0.0/24", "stays")
    engine.tare("run", "-d", "--name", "stayer", "--network", "stays", "busybox", "sleep", "1000")
    before = (network(engine, "stays"), places(engine, "stayer"))
    engine.kill_engine()
    assert (network(engine, "stays"), places(engine, "stayer")) == before
    engine.tare("run", "-d", "--name", "comer", "--network", "stays", "busybox", "sleep", "1000")
    assert places(engine, "comer")["stays"]["IPAddress"] == "10.95.0.3"
    assert pings(engine, "comer", "10.95.0.2")
