"""Names: what containers find at 127.0.0.11 and in their files, what goes out, and what must not."""
import contextlib
import json
import os
import pathlib
import signal
import socket
import time

import pytest

from harness import dns
from harness.engine import SLOW, processes, wait_for

ZONE = {"www.example": ["192.0.2.1"], "many.example": [f"192.0.2.{number}" for number in range(1, 101)], "single": ["192.0.2.7"]}


@pytest.fixture(scope="module")
def host(tmp_path_factory):
    """The host's resolv.conf, and the server that it names."""
    conf = dns.HostResolvConf(tmp_path_factory.mktemp("host"), "nameserver 127.0.0.1\nsearch corp.example\noptions edns0\n")
    server = dns.Server(zone=ZONE)
    server.conf = conf
    yield server
    server.close()
    conf.close()


@pytest.fixture(autouse=True)
def quiet(host):
    host.seen.clear()
    host.handler = None
    host.conf.write("nameserver 127.0.0.1\nsearch corp.example\noptions edns0\n")


@pytest.fixture
def made(engine):
    names = {"networks": [], "containers": []}
    yield names
    for name in names["containers"]:
        engine.api("DELETE", f"/containers/{name}?force=1")
    for name in names["networks"]:
        status, answer = engine.api("DELETE", f"/networks/{name}")
        assert status in (204, 404), answer


def create(engine, made, name, *options):
    engine.docker("network", "create", *options, name)
    made["networks"].append(name)
    return name


def sleeper(engine, made, name, *options):
    made["containers"].append(name)
    engine.docker("run", "-d", "--name", name, *options, "busybox", "sleep", "1000")
    return pid_of(engine, name)


def inspect(engine, name):
    status, document = engine.api("GET", f"/containers/{name}/json")
    assert status == 200, document
    return document


def pid_of(engine, name):
    return inspect(engine, name)["State"]["Pid"]


def place(engine, name, network):
    return inspect(engine, name)["NetworkSettings"]["Networks"][network]


def inside(engine, name, *command):
    return engine.docker("exec", name, *command).stdout


def resolvers(engine):
    """pids of the resolvers whose monitors are this engine's."""
    def is_ours(pid):
        parent = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[1]
        return str(engine.exec_root) in pathlib.Path(f"/proc/{parent}/cmdline").read_text()
    return [pid for pid in processes(lambda words: words[0].endswith("tare-resolver")) if is_ours(pid)]


# --- names

def test_containers_find_each_other(engine, made, host):
    create(engine, made, "dns-net", "--ipv6", "--subnet", "10.61.0.0/24", "--subnet", "fd61::/64")
    sleeper(engine, made, "dns-web", "--network", "dns-net", "--network-alias", "www", "--network-alias", "api.intern", "--hostname", "webhost")
    pid = sleeper(engine, made, "dns-one", "--network", "dns-net", "--network-alias", "www")
    web, one = place(engine, "dns-web", "dns-net"), place(engine, "dns-one", "dns-net")
    short = inspect(engine, "dns-web")["Id"][:12]
    for name in ("dns-web", "DNS-Web", "dns-web.dns-net", "api.intern", short, "webhost"):
        assert dns.ask(pid, name).values == [web["IPAddress"]], name
        assert dns.ask(pid, name, dns.AAAA, tcp=True).values == [web["GlobalIPv6Address"]], name
    assert sorted(dns.ask(pid, "www").values) == sorted([web["IPAddress"], one["IPAddress"]])
    reverse = ".".join(reversed(web["IPAddress"].split("."))) + ".in-addr.arpa"
    assert dns.ask(pid, reverse, dns.PTR).values == ["dns-web.dns-net"]
    known = dns.ask(pid, "dns-web", dns.TXT)
    assert (known.rcode, known.values) == (dns.NOERROR, [])
    assert host.seen == []
    # With the programs that people use.
    assert f"Address: {web['IPAddress']}" in inside(engine, "dns-one", "nslookup", "dns-web.")
    assert "1 packets received" in inside(engine, "dns-one", "ping", "-c1", "-W5", "dns-web")


def test_changes_show_at_once(engine, made, host):
    create(engine, made, "dns-a")
    create(engine, made, "dns-b")
    pid = sleeper(engine, made, "dns-asks", "--network", "dns-a")
    sleeper(engine, made, "dns-first", "--network", "dns-a")
    address = place(engine, "dns-first", "dns-a")["IPAddress"]
    assert dns.ask(pid, "dns-first").values == [address]
    engine.docker("rename", "dns-first", "dns-second")
    made["containers"].append("dns-second")
    assert dns.ask(pid, "dns-first").rcode == dns.NXDOMAIN
    assert dns.ask(pid, "dns-second").values == [address]
    engine.docker("stop", "-t", "0", "dns-second")
    assert dns.ask(pid, "dns-second").rcode == dns.NXDOMAIN
    engine.docker("start", "dns-second")
    assert dns.ask(pid, "dns-second").values == [place(engine, "dns-second", "dns-a")["IPAddress"]]
    engine.docker("network", "disconnect", "dns-a", "dns-second")
    assert dns.ask(pid, "dns-second").rcode == dns.NXDOMAIN
    engine.docker("network", "connect", "--alias", "other", "dns-b", "dns-second")
    assert dns.ask(pid, "other").rcode == dns.NXDOMAIN
    engine.docker("network", "connect", "dns-b", "dns-asks")
    assert dns.ask(pid, "other").values == [place(engine, "dns-second", "dns-b")["IPAddress"]]
    assert dns.ask(pid, "dns-asks").values  # itself
    engine.docker("rm", "-f", "dns-second")
    assert dns.ask(pid, "other").rcode == dns.NXDOMAIN


def test_a_container_finds_itself_from_its_first_moment(engine, made, host):
    create(engine, made, "dns-self")
    made["containers"].append("dns-me")
    done = engine.docker("run", "--name", "dns-me", "--network", "dns-self", "busybox", "nslookup", "dns-me.")
    assert "Address: 172." in done.stdout or "Address: 10." in done.stdout or "Address: 192.168." in done.stdout, done.stdout


def test_links_are_names_of_one_container_alone(engine, made, host):
    create(engine, made, "dns-links")
    sleeper(engine, made, "dns-target", "--network", "dns-links")
    pid = sleeper(engine, made, "dns-linked", "--network", "dns-links", "--link", "dns-target:database")
    other = sleeper(engine, made, "dns-unlinked", "--network", "dns-links")
    address = place(engine, "dns-target", "dns-links")["IPAddress"]
    assert dns.ask(pid, "database").values == [address]
    assert dns.ask(other, "database").rcode == dns.NXDOMAIN
    engine.docker("rename", "dns-target", "dns-renamed")
    made["containers"].append("dns-renamed")
    assert dns.ask(pid, "database").values == [address]
    # A link is one network's, and has the address there, also where both are on another one before it.
    create(engine, made, "dns-common")
    engine.docker("network", "connect", "dns-common", "dns-renamed")
    both = sleeper(engine, made, "dns-both", "--network", "dns-common")
    engine.docker("network", "connect", "--link", "dns-renamed:database", "dns-links", "dns-both")
    assert dns.ask(both, "database").values == [address]
    assert dns.ask(both, "dns-renamed").values == [place(engine, "dns-renamed", "dns-common")["IPAddress"]]


def test_300_aliases(engine, made, host):
    create(engine, made, "dns-many")
    aliases = [word for number in range(300) for word in ("--network-alias", f"alias-{number}")]
    pid = sleeper(engine, made, "dns-aliases", "--network", "dns-many", *aliases)
    address = place(engine, "dns-aliases", "dns-many")["IPAddress"]
    with dns.client_socket(pid, socket.SOCK_STREAM) as client:
        for number in range(300):
            dns.send_tcp(client, dns.query(f"alias-{number}"))
            assert dns.Answer(dns.receive_tcp(client)).values == [address]
    assert host.seen == []


# --- files

def test_files_on_a_network_of_the_users(engine, made, host):
    create(engine, made, "dns-files", "--subnet", "10.62.0.0/24")
    sleeper(engine, made, "dns-plain", "--network", "dns-files", "--hostname", "plain")
    assert inside(engine, "dns-plain", "cat", "/etc/resolv.conf") == "nameserver 127.0.0.11\nsearch corp.example\noptions edns0 ndots:0\n"
    address = place(engine, "dns-plain", "dns-files")["IPAddress"]
    assert f"{address}\tplain\n" in inside(engine, "dns-plain", "cat", "/etc/hosts")
    sleeper(engine, made, "dns-own", "--network", "dns-files", "--dns", "127.0.0.1", "--dns-search", "a.example", "--dns-search", "b.example",
            "--dns-option", "timeout:1", "--add-host", "gate:host-gateway", "--add-host", "fixed:192.0.2.9")
    assert inside(engine, "dns-own", "cat", "/etc/resolv.conf") == "nameserver 127.0.0.11\nsearch a.example b.example\noptions timeout:1 ndots:0\n"
    status, bridge = engine.api("GET", "/networks/bridge")
    hosts = inside(engine, "dns-own", "cat", "/etc/hosts")
    assert f"{bridge['IPAM']['Config'][0]['Gateway']}\tgate\n" in hosts and "192.0.2.9\tfixed\n" in hosts
    sleeper(engine, made, "dns-none", "--network", "dns-files", "--dns-search", ".")
    assert "search" not in inside(engine, "dns-none", "cat", "/etc/resolv.conf")


def test_files_on_the_default_bridge(engine, made, host):
    host.conf.write("nameserver 127.0.0.1\nnameserver 192.0.2.53\nnameserver fd00::53\nsearch corp.example\n")
    sleeper(engine, made, "dns-bridge", "--network", "bridge")
    assert inside(engine, "dns-bridge", "cat", "/etc/resolv.conf") == "nameserver 192.0.2.53\nsearch corp.example\n"
    sleeper(engine, made, "dns-bridge2", "--network", "bridge", "--dns", "192.0.2.54")
    assert inside(engine, "dns-bridge2", "cat", "/etc/resolv.conf") == "nameserver 192.0.2.54\nsearch corp.example\n"


def test_files_follow_a_connect(engine, made, host):
    create(engine, made, "dns-later", "--subnet", "10.63.0.0/24")
    pid = sleeper(engine, made, "dns-moves", "--network", "bridge", "--hostname", "moves")
    inside(engine, "dns-moves", "sh", "-c", "echo 192.0.2.3 mine >>/etc/hosts")
    engine.docker("network", "connect", "dns-later", "dns-moves")
    assert inside(engine, "dns-moves", "cat", "/etc/resolv.conf").startswith("nameserver 127.0.0.11\n")
    hosts = inside(engine, "dns-moves", "cat", "/etc/hosts")
    assert f"{place(engine, 'dns-moves', 'dns-later')['IPAddress']}\tmoves\n" in hosts and "192.0.2.3 mine\n" in hosts
    assert dns.ask(pid, "dns-moves").values == [place(engine, "dns-moves", "dns-later")["IPAddress"]]
    engine.docker("network", "disconnect", "dns-later", "dns-moves")
    assert "127.0.0.11" not in inside(engine, "dns-moves", "cat", "/etc/resolv.conf")
    hosts = inside(engine, "dns-moves", "cat", "/etc/hosts")
    assert "10.63.0." not in hosts and "192.0.2.3 mine\n" in hosts


# --- outside

def test_the_hosts_servers_are_asked(engine, made, host):
    create(engine, made, "dns-out")
    pid = sleeper(engine, made, "dns-asks-out", "--network", "dns-out")
    assert dns.ask(pid, "www.example").values == ["192.0.2.1"]
    assert dns.ask(pid, "WWW.example", tcp=True).values == ["192.0.2.1"]
    assert host.seen == ["www.example"]  # the second from the cache
    assert dns.ask(pid, "single").values == ["192.0.2.7"]  # one label that no network knows
    assert dns.ask(pid, "nobody.example").rcode == dns.NXDOMAIN
    cut = dns.ask(pid, "many.example")
    assert cut.cut and 0 < len(cut.values) < 100
    assert len(dns.ask(pid, "many.example", tcp=True).values) == 100
    assert len(dns.ask(pid, "many.example", edns=4096).values) == 100
    own = sleeper(engine, made, "dns-asks-none", "--network", "dns-out", "--dns", "127.0.0.3")
    assert dns.ask(own, "www.example").rcode == dns.SERVFAIL  # nobody is there


def test_other_servers_are_found_when_the_old_ones_are_gone(engine, made, host):
    create(engine, made, "dns-roams")
    host.conf.write("nameserver 127.0.0.3\n")
    pid = sleeper(engine, made, "dns-laptop", "--network", "dns-roams")
    assert dns.ask(pid, "www.example").rcode == dns.SERVFAIL
    host.conf.write("nameserver 127.0.0.1\n")
    wait_for(lambda: not resolvers(engine), "the end of a resolver that is cut off")
    assert dns.ask(pid, "www.example").values == ["192.0.2.1"]


def test_nothing_leaves_an_internal_network(engine, made, host):
    """T-NW05"""
    create(engine, made, "dns-inner", "--internal", "--subnet", "10.64.0.0/24")
    pid = sleeper(engine, made, "dns-shut", "--network", "dns-inner")
    for name in ("www.example", "single", "x" * 60 + ".www.example"):
        for kind in (dns.A, dns.AAAA, dns.TXT, dns.PTR):
            for tcp in (False, True):
                assert dns.ask(pid, name, kind, tcp=tcp).rcode == dns.SERVFAIL
    assert dns.ask(pid, "dns-shut").values == [place(engine, "dns-shut", "dns-inner")["IPAddress"]]
    # Nor does the gateway's address lead to the host's server.
    with dns.network_of(pid).socket("10.64.0.1", socket.SOCK_DGRAM) as client, contextlib.suppress(OSError):
        client.connect(("10.64.0.1", 53))
        client.send(dns.query("www.example"))
    assert dns.ask(pid, "dns-shut").values
    assert host.seen == []
    # With a second network that leads out, it may ask.
    create(engine, made, "dns-outer")
    engine.docker("network", "connect", "dns-outer", "dns-shut")
    assert dns.ask(pid, "www.example").values == ["192.0.2.1"]


def test_ndots_keeps_single_labels_here(engine, made, host):
    create(engine, made, "dns-dots")
    pid = sleeper(engine, made, "dns-two", "--network", "dns-dots", "--dns-option", "ndots:2")
    answer = dns.ask(pid, "single")
    assert (answer.rcode, answer.values, host.seen) == (dns.NOERROR, [], [])


# --- loops, hostile clients, lives

def test_a_loop_ends(engine, made, host):
    """T-NW07: the host's server is one that asks the container's resolver again."""
    create(engine, made, "dns-loop")
    pid = sleeper(engine, made, "dns-circle", "--network", "dns-loop")

    def asks_back(message):
        with dns.client_socket(pid) as client:
            client.send(message)
            return client.recv(65535)
    host.handler = asks_back
    times = []
    while not times or min(times) >= 4 * SLOW:  # sooner than any client gives up, if the machine has nothing else to do
        assert len(times) < 5, times
        host.seen.clear()
        start = time.monotonic()
        assert dns.ask(pid, "round.and.round.example").rcode == dns.SERVFAIL
        times.append(time.monotonic() - start)
        assert set(host.seen) == {"round.and.round.example"} and len(host.seen) <= 4  # the one question, sent again when nothing was heard
    # One that does not keep the spelling.
    host.handler = lambda message: asks_back(message[:12] + message[12:].lower())
    host.seen.clear()
    assert dns.ask(pid, "again.and.again.example").rcode == dns.SERVFAIL
    assert len(host.seen) <= 4


def test_nonsense_does_no_harm(engine, made, host):
    """T-NW07"""
    create(engine, made, "dns-hard")
    pid = sleeper(engine, made, "dns-noise", "--network", "dns-hard")
    assert dns.ask(pid, "dns-noise").values
    resolver = resolvers(engine)[0]
    seed = dns.query("dns-noise", edns=1232)
    with dns.client_socket(pid) as client:
        for number in range(20000):
            noise = bytearray(seed)
            noise[number % len(noise)] = number * 7 & 255
            noise[2] &= 0x7f
            client.send(bytes(noise)[:12 + number % 50])
    with dns.client_socket(pid, socket.SOCK_STREAM) as client:
        client.sendall(b"\xff\xff" + bytes(65535))
        with pytest.raises((EOFError, ConnectionResetError)):
            dns.receive_tcp(client)
    for tail in (b"\x01a\xc0\x0c\0\1\0\1", b"\xc0\x0c\0\1\0\1", b"\x3f" * 260):
        with dns.client_socket(pid) as client:
            assert dns.exchange(client, b"\0\1\1\0\0\1\0\0\0\0\0\0" + tail)[3] & 15 == 1  # FORMERR
    assert dns.ask(pid, "dns-noise").values
    assert resolvers(engine) == [resolver]
    memory = int(pathlib.Path(f"/proc/{resolver}/status").read_text().split("VmRSS:")[1].split()[0])
    assert memory < 16 * 1024 or "asan" in os.environ.get("TARE_BUILD", "")


def test_a_resolver_is_shut_in(engine, made, host):
    create(engine, made, "dns-shutin")
    pid = sleeper(engine, made, "dns-inmate", "--network", "dns-shutin")
    assert resolvers(engine) == []  # nobody has asked
    assert dns.ask(pid, "dns-inmate").values
    resolver, = resolvers(engine)
    status = dict(line.split(":\t", 1) for line in pathlib.Path(f"/proc/{resolver}/status").read_text().splitlines() if ":\t" in line)
    for kind in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
        assert int(status[kind], 16) == 0
    assert status["NoNewPrivs"] == "1"
    if "asan" not in os.environ.get("TARE_BUILD", ""):
        assert status["Seccomp"] == "2"
    assert os.listdir(f"/proc/{resolver}/root/") == []
    engine.docker("rm", "-f", "dns-inmate")
    wait_for(lambda: not os.path.exists(f"/proc/{resolver}"), "the resolver's end")


def test_a_resolver_that_dies_is_replaced(engine, made, host):
    create(engine, made, "dns-dies")
    pid = sleeper(engine, made, "dns-phoenix", "--network", "dns-dies")
    for _ in range(3):
        assert dns.ask(pid, "dns-phoenix").values
        resolver, = resolvers(engine)
        os.kill(resolver, signal.SIGKILL)
        wait_for(lambda: not os.path.exists(f"/proc/{resolver}"), "the resolver's end")


def test_a_container_may_serve_dns_itself(engine, made, host):
    create(engine, made, "dns-serves")
    pid = sleeper(engine, made, "dns-server", "--network", "dns-serves")
    inside = dns.network_of(pid)
    with inside.udp("0.0.0.0", 53) as server, inside.socket("127.0.0.1", socket.SOCK_DGRAM) as client:
        assert dns.ask(pid, "dns-server").values
        client.sendto(b"mine", ("127.0.0.1", 53))
        assert server.recv(512) == b"mine"
        assert dns.ask(pid, "dns-server", tcp=True).values


def test_answers_go_on_without_the_engine(engine, made, host):
    create(engine, made, "dns-alone")
    sleeper(engine, made, "dns-there", "--network", "dns-alone")
    made["containers"].append("dns-again")
    engine.docker("run", "-d", "--name", "dns-again", "--network", "dns-alone", "--restart", "always", "busybox", "sleep", "1000")
    document = inspect(engine, "dns-again")
    address = place(engine, "dns-there", "dns-alone")["IPAddress"]
    state = engine.exec_root / "containers" / document["Id"] / "state.json"
    pid = document["State"]["Pid"]
    control = engine.engine_pid()
    os.kill(control, signal.SIGSTOP)  # there, so that tared starts no other, and deaf
    try:
        assert dns.ask(pid, "dns-there").values == [address]
        assert dns.ask(pid, "www.example").values == ["192.0.2.1"]
        os.kill(pid, signal.SIGKILL)

        def runs_again():
            now = json.loads(state.read_text())
            return now["status"] == "running" and now["pid"] != pid and now["pid"]
        pid = wait_for(runs_again, "the container's next run")
        assert dns.ask(pid, "dns-there").values == [address]
        assert dns.ask(pid, "dns-again").values
    finally:
        os.kill(control, signal.SIGCONT)
    os.kill(control, signal.SIGKILL)
    wait_for(lambda: engine.engine_pid() not in (None, control) and engine.answers(), "the next engine")
    assert dns.ask(pid, "dns-there").values == [address]
    engine.docker("stop", "-t", "0", "dns-there")
    assert dns.ask(pid, "dns-there").rcode == dns.NXDOMAIN
