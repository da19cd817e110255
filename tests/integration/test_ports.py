"""Published ports by the whole engine: T-NW02 (reachability, conflicts), T-NW03 (races), T-NW10 (what a container can reach of the host).
The engine's host is the tests' own network namespace; another host stands on a wire beside it."""
import concurrent.futures
import os
import signal
import socket
import subprocess

import pytest

from harness.engine import wait_for
from harness.nets import Echo, Namespace, ask, heard, join, peer_of

BRIEF = 0.4
HERE, THERE, HERE6, THERE6 = "192.0.2.1", "192.0.2.2", "2001:db8::1", "2001:db8::2"


@pytest.fixture(scope="module")
def host():
    host = Namespace("/proc/self/ns/net")
    yield host
    host.close()


@pytest.fixture(scope="module", autouse=True)
def outside(host):
    """Another host, which knows the way to everywhere by this one."""
    outside = Namespace()
    join(host, "wire", outside, "wire")
    host.ip(f"addr add {HERE}/24 dev wire", f"addr add {HERE6}/64 dev wire nodad")
    outside.ip(f"addr add {THERE}/24 dev wire", f"addr add {THERE6}/64 dev wire nodad", f"route add 172.16.0.0/12 via {HERE}",
               f"route add 10.0.0.0/8 via {HERE}")
    yield outside
    host.ip("link del wire")
    outside.close()


@pytest.fixture
def run(engine):
    """Runs sleeping containers on the default bridge; gives their names back, gone after the test."""
    names = []

    def start(name, *options, network="bridge", program=None, check=True):
        names.append(name)
        return (program or engine.tare)("run", "-d", "--name", name, "--network", network, *options, "busybox", "sleep", "1000",
                                        check=check)
    yield start
    for name in names:
        engine.api("DELETE", f"/containers/{name}?force=1")
    assert "comment" not in elements(engine), elements(engine)


def table(engine):
    """The engine's own table, as nft lists it."""
    listed = subprocess.run(["nft", "list", "tables", "inet"], capture_output=True, text=True, check=True).stdout
    names = [line.split()[-1] for line in listed.splitlines() if line.split()[-1].startswith("tare")]
    assert len(names) == 1, listed
    return names[0]


def elements(engine):
    """What containers have put."""
    name = table(engine)
    return "".join(subprocess.run(["nft", "list", "map", "inet", name, which], capture_output=True, text=True, check=True).stdout
                   for which in ("port4", "port6", "host_port4", "host_port6", "range4", "range6"))


def inspect(engine, name):
    status, document = engine.api("GET", f"/containers/{name}/json")
    assert status == 200, document
    return document


def ports(engine, name):
    return inspect(engine, name)["NetworkSettings"]["Ports"]


def inside(engine, name):
    """The container's network."""
    return Namespace(f"/proc/{inspect(engine, name)['State']['Pid']}/ns/net")


def port_of(engine, name, key):
    return int(ports(engine, name)[key][0]["HostPort"])


def test_reached_from_everywhere_with_the_client_s_address(engine, host, outside, run):
    run("web", "-p", "8080:80", network="default")
    run("other", network="bridge")
    web, other = inside(engine, "web"), inside(engine, "other")
    listener = web.listen("0.0.0.0", 80)
    gateway = inspect(engine, "web")["NetworkSettings"]["Gateway"]
    own = inspect(engine, "web")["NetworkSettings"]["IPAddress"]
    assert peer_of(outside.connect(HERE, 8080), listener) == THERE
    assert peer_of(host.connect("127.0.0.1", 8080), listener) == gateway
    assert peer_of(host.connect(HERE, 8080), listener)
    assert peer_of(other.connect(gateway, 8080), listener) == gateway
    assert peer_of(web.connect(HERE, 8080), listener) == gateway
    assert outside.connect(own, 80, BRIEF) == "silence", "not by its own address"
    assert ports(engine, "web") == {"80/tcp": [{"HostIp": "0.0.0.0", "HostPort": "8080"}, {"HostIp": "::", "HostPort": "8080"}]}
    assert engine.tare("port", "web").stdout == "80/tcp -> 0.0.0.0:8080\n80/tcp -> [::]:8080\n"
    assert engine.docker("port", "web", "80").stdout == "0.0.0.0:8080\n[::]:8080\n"
    for program in (engine.tare, engine.docker):
        listed = program("ps", "--filter", "name=web", "--format", "{{.Ports}}").stdout.strip()
        assert listed == "0.0.0.0:8080->80/tcp, [::]:8080->80/tcp"
        assert program("ps", "-q", "--filter", "publish=8080").stdout.strip()
        assert not program("ps", "-q", "--filter", "publish=8081").stdout.strip()
    for one in (listener, web, other):  # else the old network would live on, beside the new one
        one.close()
    engine.tare("stop", "-t0", "web")
    assert host.connect("127.0.0.1", 8080) == "Connection refused"
    assert ports(engine, "web") == {} and "comment" not in elements(engine)
    engine.tare("start", "web")
    again = inside(engine, "web")
    listener = again.listen("0.0.0.0", 80)
    assert peer_of(outside.connect(HERE, 8080), listener) == THERE
    listener.close()
    again.close()


@pytest.mark.parametrize("client", ["tare", "docker"])
def test_docker_s_forms(engine, run, client):
    run("forms", "-p", "80", "-p", "127.0.0.1:8081:81", "-p", "127.0.0.1::82", "-p", "8083-8085:83-85/udp", "-p", "9000-9010:86",
        "-p", "[::1]:8087:87", "--publish", "published=8088,target=88,protocol=tcp" if client == "tare" else "8088:88", "--expose", "99",
        program=getattr(engine, client))
    found = ports(engine, "forms")
    low, high = map(int, open("/proc/sys/net/ipv4/ip_local_port_range").read().split())
    (v4, v6) = found["80/tcp"]
    assert v4["HostIp"] == "0.0.0.0" and v6["HostIp"] == "::" and v4["HostPort"] == v6["HostPort"]
    assert low <= int(v4["HostPort"]) <= high
    assert found["81/tcp"] == [{"HostIp": "127.0.0.1", "HostPort": "8081"}]
    assert low <= int(found["82/tcp"][0]["HostPort"]) <= high
    for offset in range(3):
        assert {one["HostPort"] for one in found[f"{83 + offset}/udp"]} == {str(8083 + offset)}
    assert 9000 <= int(found["86/tcp"][0]["HostPort"]) <= 9010
    assert found["87/tcp"] == [{"HostIp": "::1", "HostPort": "8087"}]
    assert {one["HostPort"] for one in found["88/tcp"]} == {"8088"}
    assert found["99/tcp"] is None
    bindings = inspect(engine, "forms")["HostConfig"]["PortBindings"]
    assert bindings["80/tcp"] == [{"HostIp": "", "HostPort": ""}]


def test_publish_all(engine, outside, run):
    run("all", "-P", "--expose", "80", "--expose", "90-91/udp")
    found = ports(engine, "all")
    assert set(found) == {"80/tcp", "90/udp", "91/udp"} and all(found.values())
    container = inside(engine, "all")
    listener = container.listen("0.0.0.0", 80)
    assert peer_of(outside.connect(HERE, port_of(engine, "all", "80/tcp")), listener) == THERE
    listener.close()
    container.close()


def test_udp_and_a_range(engine, host, outside, run):
    run("many", "-p", "5300:53/udp", "-p", "7000-7099:7000-7099")
    container = inside(engine, "many")
    server = container.udp("0.0.0.0", 53)
    for client, address in ((outside, HERE), (host, "127.0.0.1")):
        sender = client.socket(address, socket.SOCK_DGRAM)
        question = f"question of {address}".encode()
        peer = heard(server, lambda: sender.sendto(question, (address, 5300)), question)
        assert heard(sender, lambda: server.sendto(b"answer", peer), b"answer") == (address, 5300)
        sender.close()
    listener = container.listen("0.0.0.0", 7099)
    assert peer_of(outside.connect(HERE, 7099), listener) == THERE
    assert "7000-7099" in elements(engine), "a range is one element"
    for one in (server, listener, container):
        one.close()


def test_clients_by_ipv4_of_a_container_without_it(engine, host, outside, run):
    engine.docker("network", "create", "--ipv4=false", "--ipv6", "--subnet", "fd87::/64", "six")
    run("six", "-p", "5600:56", "-p", "5600:56/udp", "-p", "127.0.0.1:5601:56", network="six")
    assert ports(engine, "six")["56/udp"] == [{"HostIp": "0.0.0.0", "HostPort": "5600"}, {"HostIp": "::", "HostPort": "5600"}]
    container = inside(engine, "six")
    echo = Echo(container, "::", 56)
    for protocol in ("tcp", "udp"):
        for client, address in ((outside, HERE), (host, "127.0.0.1"), (host, "::1")):
            assert ask(client, protocol, address, 5600) == "fd87::1", (protocol, address)
        assert ask(outside, protocol, HERE6, 5600) == THERE6
    assert ask(host, "tcp", "127.0.0.1", 5601) == "fd87::1"
    assert ask(outside, "tcp", HERE, 5601) == "Connection refused"
    echo.close()
    container.close()
    engine.docker("rm", "-f", "six")
    engine.docker("network", "rm", "six")


def test_loopback_only_is_for_the_host_alone(engine, host, outside, run):
    run("shy", "-p", "127.0.0.1:8082:80")
    run("nosy")
    shy, nosy = inside(engine, "shy"), inside(engine, "nosy")
    gateway = inspect(engine, "shy")["NetworkSettings"]["Gateway"]
    listener = shy.listen("0.0.0.0", 80)
    assert peer_of(host.connect("127.0.0.1", 8082), listener) == gateway
    assert outside.connect(HERE, 8082) == "Connection refused"
    assert nosy.connect(gateway, 8082) == "Connection refused"
    host.sysctl("ipv4/conf/wire/route_localnet", 1)
    for client, device, by, own in ((outside, "wire", HERE, THERE), (nosy, "eth0", gateway, inspect(engine, "nosy")["NetworkSettings"]["IPAddress"])):
        client.run("sh", "-c", f"echo 1 > /proc/sys/net/ipv4/conf/{device}/route_localnet", check=True)
        client.ip("route del local 127.0.0.0/8 dev lo table local", "addr flush dev lo", f"route add 127.0.0.0/8 via {by} dev {device}")
        assert client.connect("127.0.0.1", 8082, BRIEF, source=own) == "silence"
    outside.ip("route del 127.0.0.0/8", "addr add 127.0.0.1/8 dev lo")
    for one in (shy, nosy, listener):
        one.close()


@pytest.mark.parametrize("client", ["tare", "docker"])
def test_a_taken_port_is_a_clear_error(engine, host, run, client):
    """Of another program, and of another container; what was made is there, stopped, and works when the port is free."""
    program, own_name = getattr(engine, client), open("/proc/self/comm").read().strip()
    foreign = host.listen("0.0.0.0", 8090)
    refused = run("late", "-p", "8089:1", "-p", "8090:80", program=program, check=False)
    assert refused.returncode == 125
    assert "driver failed programming external connectivity on endpoint late" in refused.stderr
    assert f"Bind for 0.0.0.0:8090 failed: port is already allocated (by {own_name}, process {os.getpid()})" in refused.stderr
    assert inspect(engine, "late")["State"]["Status"] == "created"
    assert "comment" not in elements(engine)
    free = host.listen("0.0.0.0", 8089)  # the other port was given back
    free.close()
    foreign.close()
    program("start", "late")
    refused = run("later", "-p", "127.0.0.1:8090:80", program=program, check=False)
    assert refused.returncode == 125 and "Bind for 127.0.0.1:8090 failed: port is already allocated (by container late)" in refused.stderr
    with pytest.raises(OSError, match="Address already in use"):
        host.listen("0.0.0.0", 8090)  # nor does it work the other way round
    engine.api("DELETE", "/containers/late?force=1")
    program("start", "later")


def test_connections_of_a_stopped_container_are_forgotten(engine, outside, run):
    run("gone", "-p", "8101:53/udp")
    own = inspect(engine, "gone")["NetworkSettings"]["IPAddress"]
    sender = outside.socket(HERE, socket.SOCK_DGRAM)
    sender.sendto(b"question", (HERE, 8101))

    def known():
        return own in subprocess.run(["conntrack", "-L"], capture_output=True, text=True, check=True).stdout
    wait_for(known, "the connection")
    engine.tare("stop", "-t0", "gone")
    wait_for(lambda: not known(), "it to be forgotten", timeout=20)  # by itself it would be after 30
    sender.close()


def test_a_race_for_ten_ports(engine, run):
    """T-NW03: as many win as there are ports, and each has its own."""
    names = [f"race{i}" for i in range(40)]
    with concurrent.futures.ThreadPoolExecutor(20) as pool:
        results = list(pool.map(lambda name: run(name, "-p", "9100-9109:80", check=False), names))
    won = [name for name, done in zip(names, results) if done.returncode == 0]
    assert len(won) == 10, [done.stderr for done in results if done.returncode]
    assert {port_of(engine, name, "80/tcp") for name in won} == set(range(9100, 9110))
    for done in results:
        assert done.returncode == 0 or "9100-9109 failed: all ports are allocated" in done.stderr


def test_a_killed_monitor_leaves_no_port(engine, host, run):
    run("victim", "-p", "8091:80")
    identifier = inspect(engine, "victim")["Id"]
    os.kill(engine.monitor_pid(identifier), signal.SIGKILL)
    wait_for(lambda: inspect(engine, "victim")["State"]["Status"] == "exited", "the end of the container")
    wait_for(lambda: "comment" not in elements(engine), "the elements to go")
    host.listen("0.0.0.0", 8091).close()


@pytest.mark.parametrize("address, container_port", [("", 80), (HERE + ":", 80), ("", 8105), (HERE + ":", 8105)])
def test_what_a_dead_one_left_in_the_table_stops_nobody(engine, outside, host, run, address, container_port):
    """A port that nobody holds is free, whatever the table says: elements of one port, of one address, and ranges."""
    stale = {"port4": "tcp . 8105 : 172.17.99.99 . 80", "host_port4": f"tcp . {HERE} . 8105 : 172.17.99.99 . 80",
             "range4": "tcp . 0.0.0.0/0 . 8000-8200 : 172.17.99.99"}
    run("first", "-p", "8105:80")
    identifier = inspect(engine, "first")["Id"][:12]
    engine.tare("rm", "-f", "first")
    for which, element in stale.items():
        key, data = element.split(" : ")
        subprocess.run(["nft", "add", "element", "inet", table(engine), which, f'{{ {key} comment "{identifier}" : {data} }}'], check=True)
    last = 8106 if container_port == 8105 else 8105
    run("next", "-p", f"{address}8105-{last}:{container_port}-{container_port + last - 8105}")
    engine.tare("update", "--publish-add", "8107:81", "next")
    container = inside(engine, "next")
    listener = container.listen("0.0.0.0", container_port)
    peer_of(host.connect(HERE, 8105), listener)
    listener.close()
    container.close()
    assert identifier not in elements(engine)
    engine.tare("rm", "-f", "next")


def test_an_old_network_that_lives_on_gets_nothing(engine, host, outside, run):
    """A network namespace may outlive its container, in the kernel for a moment or in somebody's hands for ever: the next container
    with its address gets all that comes, and so it does if a neighbour says that it has that address."""
    run("before", "-p", "8110:80")
    own = inspect(engine, "before")["NetworkSettings"]["IPAddress"]
    old = inside(engine, "before")
    there = old.listen("0.0.0.0", 80)
    assert peer_of(outside.connect(HERE, 8110), there) == THERE
    engine.tare("rm", "-f", "before")
    run("after", "-p", "8110:80")
    run("third")
    assert inspect(engine, "after")["NetworkSettings"]["IPAddress"] == own
    new, third = inside(engine, "after"), inside(engine, "third")
    listener = new.listen("0.0.0.0", 80)
    mac = bytes.fromhex(inspect(engine, "after")["NetworkSettings"]["MacAddress"].replace(":", ""))
    with third.do(socket.socket, socket.AF_PACKET, socket.SOCK_RAW) as liar:
        liar.bind(("eth0", 0))
        liar.send(b"\xff" * 6 + mac + b"\x88\xb5" + bytes(46))
    for _ in range(3):
        assert old.connect("172.17.99.99", 80, BRIEF) != "Connection refused", "it still speaks"
        assert peer_of(outside.connect(HERE, 8110), listener) == THERE
        peer_of(host.connect("127.0.0.1", 8110), listener)
        peer_of(third.connect(own, 80), listener)
    for one in (listener, there, old, new, third):
        one.close()


def test_a_stale_element_stops_no_change(engine, host, run):
    run("changes", "-p", "8108:80")
    run("gone")
    identifier = inspect(engine, "gone")["Id"][:12]
    element = f'{{ tcp . 8109 comment "{identifier}" : 172.17.99.99 . 80 }}'
    subprocess.run(["nft", "add", "element", "inet", table(engine), "port4", element], check=True)
    refused = engine.tare("update", "--publish-add", "8109:80", "changes", check=False)
    assert refused.returncode == 1 and "port is already allocated (by container gone)" in refused.stderr, "as long as that one lives"
    engine.tare("rm", "-f", "gone")
    engine.tare("update", "--publish-add", "8109:80", "changes")
    container = inside(engine, "changes")
    listener = container.listen("0.0.0.0", 80)
    peer_of(host.connect("127.0.0.1", 8109), listener)
    listener.close()
    container.close()


def test_a_restart_needs_no_engine(engine, host, outside, run):
    """The container is started again by its monitor while no engine lives."""
    run("phoenix", "-p", "8092:80", "--restart", "always")
    pid = inspect(engine, "phoenix")["State"]["Pid"]
    old = engine.engine_pid()
    os.kill(old, signal.SIGSTOP)
    try:
        os.kill(pid, signal.SIGKILL)
        wait_for(lambda: not os.path.exists(f"/proc/{pid}"), "the container's end")
        wait_for(lambda: "comment" in elements(engine), "its ports again")
    finally:
        os.kill(old, signal.SIGCONT)
    wait_for(lambda: inspect(engine, "phoenix")["State"]["Pid"] not in (0, pid), "its start")
    container = inside(engine, "phoenix")
    listener = container.listen("0.0.0.0", 80)
    assert peer_of(outside.connect(HERE, 8092), listener) == THERE
    listener.close()
    container.close()


def test_ports_of_a_running_container_change(engine, host, outside, run):
    run("live", "-p", "8096:80", "-p", "9200-9210:90")
    container = inside(engine, "live")
    chosen = port_of(engine, "live", "90/tcp")
    listener, more = container.listen("0.0.0.0", 80), container.listen("0.0.0.0", 81)
    kept = outside.connect(HERE, 8096)
    accepted, _ = listener.accept()
    engine.tare("update", "--publish-add", "8097:81", "--publish-add", "80", "live")
    assert peer_of(outside.connect(HERE, 8097), more) == THERE
    assert len(ports(engine, "live")["80/tcp"]) == 4 and port_of(engine, "live", "90/tcp") == chosen
    engine.tare("update", "--publish-rm", "80", "live")
    assert outside.connect(HERE, 8096) == "Connection refused" and "80/tcp" not in inspect(engine, "live")["HostConfig"]["PortBindings"]
    kept.sendall(b"on and on")
    assert accepted.recv(100) == b"on and on", "what is connected stays so"
    foreign = host.listen("0.0.0.0", 8098)
    refused = engine.tare("update", "--publish-add", "8099:82", "--publish-add", "8098:82", "live", check=False)
    assert refused.returncode == 1 and "Bind for 0.0.0.0:8098 failed: port is already allocated" in refused.stderr
    assert "82/tcp" not in inspect(engine, "live")["HostConfig"]["PortBindings"]
    host.listen("0.0.0.0", 8099).close()
    refused = engine.tare("update", "--publish-rm", "8097:82", "live", check=False)
    assert refused.returncode == 1 and "port 82/tcp is not published so" in refused.stderr
    for one in (foreign, kept, accepted, listener, more, container):
        one.close()
    engine.tare("restart", "-t0", "live")
    assert {one["HostPort"] for one in ports(engine, "live")["81/tcp"]} == {"8097"}


@pytest.mark.parametrize("flush", [["flush", "ruleset"], ["delete", "table", "inet"], ["flush", "map", "inet", "port4"]], ids=" ".join)
def test_a_flush_is_answered(engine, host, outside, run, flush):
    run("steady", "-p", "8094:80")
    container, name = inside(engine, "steady"), table(engine)
    own = inspect(engine, "steady")["NetworkSettings"]["IPAddress"]
    listener = container.listen("0.0.0.0", 80)
    kept = outside.connect(HERE, 8094)
    accepted, _ = listener.accept()
    words = flush[:2] if flush[1] == "ruleset" else [*flush[:3], name, *flush[3:]]
    host.run("nft", *words, check=True)
    tables = lambda: subprocess.run(["nft", "list", "tables"], capture_output=True, text=True, check=True).stdout  # noqa: E731
    wait_for(lambda: name in tables() and "comment" in elements(engine), "the table to be put back")
    assert peer_of(outside.connect(HERE, 8094), listener) == THERE
    assert outside.connect(own, 80, BRIEF) == "silence"
    kept.sendall(b"still here")
    assert accepted.recv(100) == b"still here"
    for one in (kept, accepted, listener, container):
        one.close()


def test_an_engine_that_comes_back_puts_the_table_back(engine, outside, run):
    run("steady", "-p", "8095:80")
    container = inside(engine, "steady")
    listener = container.listen("0.0.0.0", 80)
    old = engine.engine_pid()
    os.kill(old, signal.SIGSTOP)
    subprocess.run(["nft", "flush", "ruleset"], check=True)
    os.kill(old, signal.SIGKILL)
    wait_for(lambda: engine.engine_pid() not in (None, old) and engine.answers(), "a new engine")
    wait_for(lambda: subprocess.run(["nft", "list", "tables"], capture_output=True, text=True).stdout and "comment" in elements(engine),
             "the table to be put back")
    assert peer_of(outside.connect(HERE, 8095), listener) == THERE
    listener.close()
    container.close()


def test_what_a_container_reaches_of_the_host(engine, run):
    """T-NW10: nothing of ours listens for it at the gateway, on any port."""
    run("scanner", "-p", "8093:80")
    gateway = inspect(engine, "scanner")["NetworkSettings"]["Gateway"]
    container = inside(engine, "scanner")

    def scan():
        found = []
        for port in range(1, 65536):
            if port == 8093:
                continue
            probe = socket.socket()
            probe.settimeout(2)
            if probe.connect_ex((gateway, port)) == 0:
                found.append(port)
            probe.close()
        return found
    assert container.do(scan) == []
    container.close()


def test_a_thousand_ports(engine, run):
    run("thousand", "-p", "20000-20999:30000-30999")
    assert len(ports(engine, "thousand")) == 1000
    assert ports(engine, "thousand")["30999/tcp"][0]["HostPort"] == "20999" and "20999" in elements(engine)
