"""`tare doctor`: what is well, what is not, and that the command it names mends it."""
import json
import os
import signal
import subprocess

import pytest

from harness import networks
from harness.engine import wait_for
from harness.nets import PATIENCE, Namespace, join

HERE, THERE = "192.0.2.1", "192.0.2.2"
BRIEF = 0.3


@pytest.fixture(scope="module")
def outside():
    host, outside = Namespace("/proc/self/ns/net"), Namespace()
    join(host, "wire", outside, "wire")
    host.ip(f"addr add {HERE}/24 dev wire", f"route add default via {THERE}")
    outside.ip(f"addr add {THERE}/24 dev wire", f"route add default via {HERE}")
    yield outside
    host.ip("link del wire")
    outside.close()
    host.close()


@pytest.fixture(scope="module")
def web(engine, outside):
    """Publishes 80 as 8080, and something listens there."""
    engine.docker("run", "-d", "--name", "web", "--network", "bridge", "-p", "8080:80", "busybox", "sleep", "1000")
    inside = Namespace(f"/proc/{engine.api('GET', '/containers/web/json')[1]['State']['Pid']}/ns/net")
    listener = inside.listen("0.0.0.0", 80)
    yield inside
    listener.close()
    inside.close()
    engine.api("DELETE", "/containers/web?force=1")


@pytest.fixture
def rules():
    """Adds to what nft has; gone after the test."""
    tables = []

    def add(text):
        tables.extend(line.split("{")[0].strip() for line in text.splitlines() if line.strip().startswith("table"))
        subprocess.run(["nft", "-f", "-"], input=text, text=True, check=True)
    yield add
    for table in tables:
        subprocess.run(["nft", "delete", *table.split()], check=True)


def examine(engine, healthy=None):
    done = engine.tare("doctor", "--format", "json", check=False)
    report = json.loads(done.stdout)
    assert done.returncode == (0 if report["Healthy"] else 1), done.stdout
    assert healthy in (None, report["Healthy"]), report["Checks"]
    assert report["Healthy"] == all(check["Status"] != "mend" for check in report["Checks"])
    return report


def to_mend(report):
    return [(check["Message"], check["Remedy"]) for check in report["Checks"] if check["Status"] == "mend"]


def test_all_is_well(engine, web):
    report = examine(engine, healthy=True)
    sections = {check["Section"] for check in report["Checks"]}
    assert sections == {"engine", "kernel", "folders", "rules", "ports"}
    found = {(port["HostIp"], port["Outside"], port["Host"], port["OtherNetworks"]) for port in report["Ports"]}
    assert found == {("0.0.0.0", "yes", "yes", "yes"), ("::", "yes, with the network's gateway as the client", "yes", "yes")}
    done = engine.tare("doctor")
    assert "\n  ok    overlay filesystem\n" in done.stdout and "mend" not in done.stdout
    row, = [line.split() for line in done.stdout.splitlines() if line.startswith("web ") and "0.0.0.0" in line]
    assert row == ["web", "0.0.0.0:8080", "80/tcp", "yes", "yes", "yes"]
    assert engine.api("GET", "/tare/doctor")[1]["Healthy"] is True


def test_ports_and_why_not(engine, web):
    host = Namespace("/proc/self/ns/net")
    host.ip("addr add 192.0.2.77/32 dev lo")
    engine.docker("run", "-d", "--name", "shy", "--network", "bridge", "-p", "127.0.0.1:8081:81", "-p", "8082:82", "-p", "8083:83/udp",
                  "-p", "192.0.2.77:8084:84", "-p", "8085-8087:85-87", "busybox", "sleep", "1000")
    inside = Namespace(f"/proc/{engine.api('GET', '/containers/shy/json')[1]['State']['Pid']}/ns/net")
    opened = [inside.listen("0.0.0.0", 81), inside.listen("127.0.0.1", 82), inside.listen("0.0.0.0", 84)]
    host.ip("addr del 192.0.2.77/32 dev lo")
    try:
        report = examine(engine, healthy=False)
        ports = {(port["HostIp"], port["HostPort"]): port for port in report["Ports"] if port["Container"] == "shy"}
        assert ports["127.0.0.1", 8081]["Outside"] == "no: published on 127.0.0.1, which is for the host alone"
        assert ports["127.0.0.1", 8081]["Host"] == "yes" and ports["127.0.0.1", 8081]["OtherNetworks"].startswith("no: ")
        assert ports["0.0.0.0", 8082]["Outside"].startswith("no: the program in the container listens on port 82 of its own loopback")
        assert ports["0.0.0.0", 8083]["Host"] == "no: nothing in the container listens on port 83"
        assert ports["192.0.2.77", 8084]["Host"] == "no: the host has no address 192.0.2.77 any more"
        assert ports["0.0.0.0", 8085]["Count"] == 3
        remedies = dict(to_mend(report))
        assert remedies["shy: nobody reaches 0.0.0.0 port 8083/udp: nothing in the container listens on port 83"] == \
            "have the program listen on 0.0.0.0"
        opened += [inside.udp("0.0.0.0", 83)]
        ports = {(port["HostIp"], port["HostPort"]): port for port in examine(engine)["Ports"] if port["Container"] == "shy"}
        assert ports["0.0.0.0", 8083]["Outside"] == "yes"
        shown = engine.tare("doctor", check=False)
        assert shown.returncode == 1 and "[::]:8085-8087" in shown.stdout and "        to mend: have the program" in shown.stdout
    finally:
        for one in (*opened, inside, host):
            one.close()
        engine.api("DELETE", "/containers/shy?force=1")


def test_an_engine_that_hangs(engine, web):
    """What the command sees itself is said: also that the table has lost something, which that engine would have put back."""
    name = next(check["Message"].split()[3] for check in examine(engine, healthy=True)["Checks"] if check["Message"].startswith("the table inet"))
    old = engine.engine_pid()
    os.kill(old, signal.SIGSTOP)
    try:
        subprocess.run(["nft", "flush", "map", "inet", name, "port4"], check=True)
        found = dict(to_mend(examine(engine, healthy=False)))
    finally:
        os.kill(old, signal.SIGCONT)
    assert any(message.endswith("does not answer") for message in found)
    assert found[f"web: nobody reaches 0.0.0.0 port 8080/tcp: it is not in the table {name}"] == "tare restart web"
    wait_for(lambda: examine(engine)["Healthy"], "the element")


FOREIGN = {
    "docker": ("Docker's", """table ip filter {
        chain DOCKER-USER { }
        chain DOCKER-FORWARD { oifname "docker0" accept; }
        chain FORWARD { type filter hook forward priority 0; policy drop; jump DOCKER-USER; jump DOCKER-FORWARD; }
    }""", "iptables -I DOCKER-USER -o BRIDGE -j ACCEPT"),
    "ufw": ("ufw's", """table ip filter {
        chain ufw-before-forward { ct state established,related accept; meta l4proto icmp accept; }
        chain ufw-user-forward { }
        chain FORWARD { type filter hook forward priority 0; policy drop; jump ufw-before-forward; jump ufw-user-forward; }
    }""", "ufw route allow out on BRIDGE"),
    "firewalld": ("firewalld's", """table inet firewalld {
        chain filter_FORWARD { type filter hook forward priority 10; policy accept;
            ct state { established, related } accept; ct status dnat accept; iifname "lo" accept;
            reject with icmpx admin-prohibited; }
    }""", "firewall-cmd --permanent --zone=trusted --add-interface=BRIDGE && firewall-cmd --reload"),
    "own": ("somebody's", """table inet mine {
        chain fw { type filter hook forward priority -5; policy drop; ct state established accept; iifname "eth0" oifname "eth1" accept;
            tcp dport 22 accept; }
    }""", "nft insert rule inet mine fw oifname \"BRIDGE\" accept"),
}


@pytest.mark.parametrize("kind", FOREIGN)
def test_foreign_rules_are_named(engine, outside, web, rules, kind):
    whose, text, remedy = FOREIGN[kind]
    bridge = subprocess.run("ip -o link show type bridge | awk -F': ' '{print $2; exit}'", shell=True, capture_output=True, text=True).stdout.strip()
    assert isinstance(outside.connect(HERE, 8080), object)
    rules(text)
    reached = not isinstance(outside.connect(HERE, 8080, PATIENCE if kind == "firewalld" else BRIEF), str)
    report = examine(engine, healthy=False)
    found = dict(to_mend(report))
    into = [message for message in found if f"({whose}) drops packets to containers on {bridge}" in message]
    out = [message for message in found if f"({whose}) drops packets from containers on {bridge}" in message]
    assert len(out) == 1 and (len(into) == 1) == (not reached) and reached == (kind == "firewalld")
    if into:
        assert found[into[0]] == remedy.replace("BRIDGE", bridge)
        v4, = [port for port in report["Ports"] if port["HostIp"] == "0.0.0.0"]
        assert v4["Outside"] == "no: a foreign rule drops it" and v4["Host"] == "yes"
    if kind == "own":
        for message in (*into, *out):
            subprocess.run(found[message], shell=True, check=True)
        subprocess.run(["nft", "insert rule inet mine fw ct state established accept"], check=True)
        examine(engine, healthy=True)
        assert not isinstance(outside.connect(HERE, 8080), str), "its command mends it"


@pytest.mark.parametrize("rule, status", [
    ("oifname \"BRIDGE\" drop", "mend"), ("ip daddr 172.16.0.0/12 drop", "mend"), ("ip daddr 10.99.0.0/16 drop", "ok"),
    ("tcp dport { 443, 7 } drop", "mend"), ("tcp dport 80 drop", "mend"), ("tcp dport 81 drop", "ok"), ("ip daddr OWN tcp dport 80 drop", "mend"), ("udp dport 443 drop", "ok"), ("ct state new limit rate over 5/second drop", "note"),
    ("ct state established drop", "ok"), ("meta mark 7 drop", "ok"), ("iifname { \"wire\", \"BRIDGE\" } drop", "mend"), ("accept", "ok"),
    ("iifname != \"BRIDGE\" return", "mend"), ("goto elsewhere", "mend"), ("jump nowhere", "ok"), ("tcp dport 1-1000 reject", "mend"),
])
def test_what_a_rule_would_do(engine, web, rules, rule, status):
    bridge = subprocess.run("ip -o link show type bridge | awk -F': ' '{print $2; exit}'", shell=True, capture_output=True, text=True).stdout.strip()
    own = engine.api("GET", "/containers/web/json")[1]["NetworkSettings"]["IPAddress"]
    after = "drop;" if "return" in rule else ""
    rules(f"""table inet foreign {{
        chain elsewhere {{ drop; }}
        chain nowhere {{ }}
        chain fw {{ type filter hook forward priority 0; policy accept; {rule.replace('BRIDGE', bridge).replace('OWN', own)}; {after} }}
    }}""")
    report = examine(engine)
    found = {check["Status"] for check in report["Checks"] if "chain fw of the table inet foreign" in check["Message"]} or {"ok"}
    assert found == {status}


def test_what_comes_to_the_host_itself(engine, outside, web, rules):
    """[::]:8080 of a container without IPv6 is a socket of the host's."""
    rules("table ip6 filter { chain INPUT { type filter hook input priority 0; policy drop; tcp dport 22 accept; }; }")
    report = examine(engine, healthy=False)
    assert to_mend(report) == [("the chain INPUT of the table ip6 filter (iptables') drops packets to the host's port 8080/tcp by its policy",
                                "ip6tables -t filter -I INPUT -p tcp --dport 8080 -j ACCEPT")]
    assert {port["HostIp"]: port["Outside"] for port in report["Ports"]} == {"0.0.0.0": "yes", "::": "no: a foreign rule drops it"}


@pytest.mark.parametrize("flavour", ["iptables-nft", "iptables-legacy"])
def test_iptables(engine, web, flavour):
    commands = [["-P", "FORWARD", "DROP"], ["-A", "FORWARD", "-m", "conntrack", "--ctstate", "RELATED,ESTABLISHED", "-j", "ACCEPT"]]
    for command in commands:
        subprocess.run([flavour, *command], check=True)
    try:
        checks = [check for check in examine(engine)["Checks"] if check["Section"] == "rules" and check["Status"] != "ok"]
        if flavour == "iptables-nft":
            assert {check["Status"] for check in checks} == {"mend"} and len(checks) == 2
            for check in checks:
                assert check["Remedy"].startswith("iptables -t filter -I FORWARD -")
                subprocess.run(check["Remedy"].replace("iptables", flavour), shell=True, check=True)
            examine(engine, healthy=True)
        else:
            assert any("iptables-legacy -S FORWARD" in check["Message"] for check in checks)
    finally:
        for command in (["-P", "FORWARD", "ACCEPT"], ["-F", "FORWARD"]):
            subprocess.run([flavour, *command], check=True)
        if flavour == "iptables-nft":
            subprocess.run(["nft", "delete", "table", "ip", "filter"], check=True)


def test_forwarding_that_is_off(engine, web):
    host = Namespace("/proc/self/ns/net")
    host.sysctl("ipv4/ip_forward", 0)
    (_, remedy), = [(message, remedy) for message, remedy in to_mend(examine(engine, healthy=False)) if "forwards no packets" in message]
    subprocess.run(remedy, shell=True, check=True)
    examine(engine, healthy=True)
    host.close()


def test_segments_that_are_cut_up(engine, web):
    """Others' bridges let through less than lo."""
    def notes():
        return [check["Message"] for check in examine(engine, healthy=True)["Checks"] if "segments of" in check["Message"]]
    if networks.segment("lo") is None:
        pytest.skip("no large segments over IPv4 before Linux 6.3")
    subprocess.run(["ip", "link", "add", "cni7", "type", "bridge"], check=True)
    try:
        assert not notes()
        networks.allow_segment("lo", 196608)
        [note] = notes()
        assert "lo lets through segments of 196608 bytes and the bridge cni7 of 65536" in note
    finally:
        networks.allow_segment("lo", 65536)
        subprocess.run(["ip", "link", "delete", "cni7"], check=True)


def test_without_an_engine(engine, tmp_path, web):
    done = engine.tare("--host", f"unix://{tmp_path}/tare.sock", "doctor", "--data-root", str(tmp_path), check=False)
    assert done.returncode == 1 and "kernel\n  ok    Linux" in done.stdout
    assert f"  mend  " in done.stdout and "to mend: start it" in done.stdout
    assert f"{tmp_path}: " in done.stdout, "the folders are looked at"
    bad = engine.tare("doctor", "--format", "yaml", check=False)
    assert bad.returncode == 1 and 'invalid format "yaml"' in bad.stderr
