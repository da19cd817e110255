"""Networks given over to CNI plugins: Debian's, and some of our own that do as they should not."""
import json
import os
import pathlib
import signal
import subprocess
import time
import urllib.request

import pytest

from harness import leaks
from harness.engine import TIMEOUT, processes, wait_for

PLUGINS = "/usr/lib/cni"
LEASES = pathlib.Path("/var/lib/cni/networks")

pytestmark = pytest.mark.skipif(not pathlib.Path(PLUGINS, "bridge").exists(), reason="no containernetworking-plugins")


@pytest.fixture(scope="module", autouse=True)
def own_folders():
    """What plugins keep on the host is this module's own, as its mount namespace is."""
    for folder in ("/var/lib/cni", "/etc/cni", "/run/xtables.lock"):
        if not pathlib.Path(folder).exists() and "lock" not in folder:
            os.makedirs(folder)
    for folder in ("/var/lib/cni", "/etc/cni"):
        subprocess.run(["mount", "-t", "tmpfs", "none", folder], check=True)
    pathlib.Path("/etc/cni/net.d").mkdir()
    yield
    for folder in ("/var/lib/cni", "/etc/cni"):
        subprocess.run(["umount", folder], check=True)


@pytest.fixture
def world(engine, tmp_path):
    """Makes networks and containers that are gone afterwards."""
    world = World(engine, tmp_path)
    yield world
    world.clear()


class World:
    def __init__(self, engine, folder):
        self.engine, self.folder = engine, folder
        self.networks, self.containers = [], []

    def network(self, name, plugins, *options, version="1.0.0", check=True):
        conf = self.folder / f"{name}.conflist"
        conf.write_text(json.dumps({"cniVersion": version, "name": name, "plugins": plugins}))
        done = self.engine.tare("network", "create", "-d", "cni", "-o", f"conf={conf}", *options, name, check=check)
        if done.returncode == 0:
            self.networks.append(name)
        return done

    def run(self, name, *options, check=True):
        self.containers.append(name)
        return self.engine.tare("run", "-d", "--name", name, *options, "busybox", "sleep", "1000", check=check)

    def settings(self, name):
        return self.engine.api("GET", f"/containers/{name}/json")[1]["NetworkSettings"]

    def place(self, name, network):
        return self.settings(name)["Networks"][network]

    def inside(self, name, *command):
        return self.engine.tare("exec", name, *command).stdout

    def plugin(self, name, script):
        """One of our own, which is handed $input and can say `ok`."""
        path = self.folder / "bin" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"#!/bin/sh\nexec 2>>{self.folder}/stderr\necho $CNI_COMMAND $CNI_IFNAME $CNI_NETNS >>{self.folder}/{name}.calls\n"
                        f"input=$(cat)\nok() {{ echo '{{\"cniVersion\":\"1.0.0\"}}'; exit 0; }}\nfail() {{ echo '{{\"code\":7,\"msg\":\"it will not\",\"details\":\"at all\"}}'; exit 1; }}\n"
                        f"{script}\n")
        path.chmod(0o755)
        return ["-o", f"path={path.parent}"]

    def calls(self, name):
        path = self.folder / f"{name}.calls"
        return [line.split()[0] for line in path.read_text().splitlines()] if path.exists() else []

    def clear(self):
        for name in self.containers:
            self.engine.api("DELETE", f"/containers/{name}?force=1")
        for name in self.networks:
            status, answer = self.engine.api("DELETE", f"/networks/{name}")
            assert status in (204, 404), answer
        for link in ("cnit0", "cnit1"):
            subprocess.run(["ip", "link", "delete", link], stderr=subprocess.DEVNULL)


def leases(network):
    folder = LEASES / network
    return sorted(entry.name for entry in folder.iterdir() if entry.name[0].isdigit()) if folder.exists() else []


def bridge(subnet, name="cnit0", **more):
    return {"type": "bridge", "bridge": name, "isGateway": True, "ipMasq": False,
            "ipam": {"type": "host-local", "ranges": [[{"subnet": subnet}]], "routes": [{"dst": "0.0.0.0/0"}]}, **more}


# --- Debian's plugins

def test_bridge_host_local_and_portmap(engine, world):
    world.network("cnibr", [bridge("10.81.0.0/24", hairpinMode=True), {"type": "portmap", "capabilities": {"portMappings": True}, "snat": True}])
    world.run("cni-one", "--network", "cnibr", "-p", "18581:80", "-p", "127.0.0.1::81", "--network-alias", "web")
    place = world.place("cni-one", "cnibr")
    assert place["IPAddress"] == "10.81.0.2" and place["IPPrefixLen"] == 24 and place["Gateway"] == "10.81.0.1"
    assert leases("cnibr") == ["10.81.0.2"]
    link = world.inside("cni-one", "ip", "addr")
    assert "inet 10.81.0.2/24" in link and place["MacAddress"] in link and "LOOPBACK,UP" in link
    assert "default via 10.81.0.1" in world.inside("cni-one", "ip", "route")
    assert "10.81.0.2\t" in world.inside("cni-one", "cat", "/etc/hosts")
    # Its ports, which portmap was told of
    world.inside("cni-one", "sh", "-c", "mkdir /www; echo hello >/www/index.html; httpd -p 80 -h /www; httpd -p 81 -h /www")
    address = [line for line in subprocess.check_output(["ip", "-o", "-4", "addr"], text=True).splitlines() if "cnit0" in line][0].split()[3].split("/")[0]
    assert urllib.request.urlopen(f"http://{address}:18581/", timeout=5).read() == b"hello\n"
    chosen = world.settings("cni-one")["Ports"]["81/tcp"][0]
    assert chosen["HostIp"] == "127.0.0.1" and int(chosen["HostPort"]) > 1024
    # Names, and another container
    world.run("cni-two", "--network", "cnibr")
    assert "10.81.0.2" in world.inside("cni-two", "nslookup", "web")
    assert world.inside("cni-two", "wget", "-q", "-O", "-", "http://10.81.0.2/") == "hello\n"
    listed = engine.api("GET", "/networks/cnibr")[1]["Containers"]
    assert {entry["IPv4Address"] for entry in listed.values()} == {"10.81.0.2/24", "10.81.0.3/24"}
    # A port that is taken is refused before any plugin runs
    refused = world.run("cni-three", "--network", "cnibr", "-p", "18581:80", check=False)
    assert refused.returncode == 125 and "18581 failed: port is already allocated" in refused.stderr
    assert len(leases("cnibr")) == 2
    # The end: addresses and rules go
    engine.tare("rm", "-f", "cni-one", "cni-two")
    assert leases("cnibr") == []
    assert "10.81.0.2" not in subprocess.check_output(["iptables-save", "-t", "nat"], text=True)


def test_ptp_and_a_restart_without_an_engine(engine, world):
    world.network("cniptp", [{"type": "ptp", "ipMasq": True, "ipam": {"type": "host-local", "subnet": "10.82.0.0/24"}}], version="0.4.0")
    world.run("cni-again", "--network", "cniptp", "--restart", "always")
    assert world.place("cni-again", "cniptp")["IPAddress"] == "10.82.0.2"
    first = engine.api("GET", "/containers/cni-again/json")[1]["State"]["Pid"]
    os.kill(engine.engine_pid(), signal.SIGSTOP)
    stopped = engine.engine_pid()
    try:
        os.kill(first, signal.SIGKILL)
        monitor = engine.exec_root / "containers"
        state = next(monitor.glob("*/state.json"))

        def again():
            told = json.loads(state.read_text())
            return told["status"] == "running" and told["pid"] != first and told
        told = wait_for(again, "the second run")
        assert told["places"][0]["ipv4"]["address"].startswith("10.82.0.")
    finally:
        os.kill(stopped, signal.SIGCONT)
    assert len(leases("cniptp")) == 1
    own = wait_for(lambda: world.place("cni-again", "cniptp")["IPAddress"], "its address")
    assert f"inet {own}/" in world.inside("cni-again", "ip", "addr")
    engine.tare("stop", "-t", "0", "cni-again")
    wait_for(lambda: leases("cniptp") == [], "its address to be free")
    assert world.place("cni-again", "cniptp")["IPAddress"] == ""


def test_found_by_name_with_a_static_address_and_two_networks(engine, world):
    pathlib.Path("/etc/cni/net.d/10-byname.conf").write_text(json.dumps({"cniVersion": "0.4.0", "name": "byname", **bridge("10.83.0.0/24", "cnit1")}))
    engine.tare("network", "create", "-d", "cni", "byname")
    world.networks.append("byname")
    assert engine.api("GET", "/networks/byname")[1]["Options"] == {"conf": "/etc/cni/net.d/10-byname.conf"}
    engine.tare("network", "create", "--subnet", "10.84.0.0/24", "cni-plain")
    world.networks.append("cni-plain")
    world.run("cni-static", "--network", "name=byname,ip=10.83.0.77", "--network", "cni-plain")
    assert world.place("cni-static", "byname")["IPAddress"] == "10.83.0.77"
    shown = world.inside("cni-static", "ip", "addr")
    assert "10.83.0.77/24" in shown, shown
    assert "10.84.0.2/24" in shown, shown
    assert "default via 10.83.0.1" in world.inside("cni-static", "ip", "route")
    done = engine.tare("network", "disconnect", "byname", "cni-static", check=False)
    assert done.returncode == 1 and "can't change while it runs" in done.stderr
    assert world.place("cni-static", "byname")["IPAddress"] == "10.83.0.77"
    engine.tare("network", "disconnect", "cni-plain", "cni-static")
    assert "10.83.0.77/24" in world.inside("cni-static", "ip", "addr")


# --- deaths

def test_a_killed_monitor_leaves_no_address(engine, world):
    world.network("cnikill", [bridge("10.85.0.0/24")])
    world.run("cni-lost", "--network", "cnikill")
    identifier = engine.api("GET", "/containers/cni-lost/json")[1]["Id"]
    os.kill(engine.monitor_pid(identifier), signal.SIGKILL)
    wait_for(lambda: leases("cnikill") == [], "the address to be free")
    wait_for(lambda: not engine.api("GET", "/containers/cni-lost/json")[1]["State"]["Running"], "its end to be known")
    engine.tare("start", "cni-lost")
    assert len(leases("cnikill")) == 1
    engine.tare("rm", "-f", "cni-lost")
    assert leases("cnikill") == []


def test_a_machine_that_went_down_leaves_no_address(fresh_engine, world):
    """Everybody is killed at once, and the run folder is gone: what is on disk suffices."""
    from harness import images
    engine = fresh_engine
    engine.tare("load", "-q", "-i", images.busybox())
    conf = world.folder / "down.conflist"
    conf.write_text(json.dumps({"cniVersion": "1.0.0", "name": "cnidown", "plugins": [bridge("10.86.0.0/24")]}))
    engine.tare("network", "create", "-d", "cni", "-o", f"conf={conf}", "cnidown")
    engine.tare("run", "-d", "--name", "cni-down", "--network", "cnidown", "busybox", "sleep", "1000")
    engine.tare("run", "-d", "--name", "cni-rm", "--rm", "--network", "cnidown", "busybox", "sleep", "1000")
    assert len(leases("cnidown")) == 2
    init = [engine.api("GET", f"/containers/{name}/json")[1]["State"]["Pid"] for name in ("cni-down", "cni-rm")]
    conf.unlink()  # nor is the list needed
    ours = processes(lambda c: str(engine.exec_root) in c)
    for pid in [engine.holder.pid, *[pid for pid in ours if pid != engine.holder.pid], *init]:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
    engine.holder.wait()
    wait_for(lambda: not processes(lambda c: str(engine.exec_root) in c), "all to be gone")
    subprocess.run(["rm", "-rf", engine.exec_root], check=True)
    own = os.listdir(engine.data / "containers")
    leaks.remove_groups([group for group in leaks.container_groups() if any(name in group for name in own)])
    engine.start()
    wait_for(lambda: leases("cnidown") == [], "the addresses to be free")
    assert engine.api("DELETE", "/containers/cni-down")[0] == 204


# --- plugins that do as they should not

def test_one_that_fails_is_undone(engine, world):
    path = world.plugin("refuser", "[ $CNI_COMMAND = ADD ] && fail; ok")
    world.network("cnifail", [bridge("10.87.0.0/24"), {"type": "refuser"}], "-o", f"path={PLUGINS}:{path[1][5:]}")
    refused = world.run("cni-fail", "--network", "cnifail", check=False)
    assert refused.returncode == 125
    assert "network cnifail: plugin refuser failed (ADD): it will not: at all" in refused.stderr
    assert leases("cnifail") == [] and world.calls("refuser") == ["ADD", "DEL"]
    assert not list(engine.data.glob("containers/*/cni.json"))


@pytest.mark.parametrize("script, words", [
    ("echo 'well, no'; ok() { exit 0; }; ok", "its result is not understood"),
    ("echo '{\"ips\":[{\"address\":\"10.0.0.0.1/8\"}]}'; exit 0", '"10.0.0.0.1/8" is no address with its prefix'),
    ("[ $CNI_COMMAND = DEL ] && ok; head -c 100000000 /dev/zero | tr '\\0' x", "printed more than 1048576 bytes (ADD)"),
    ("[ $CNI_COMMAND = DEL ] && ok; head -c 10000000 /dev/zero | tr '\\0' x >&2; echo '{'", "its result is not understood"),
    ("kill -9 $$", "plugin bad failed (ADD): no word of why"),
    ("exit 3", "plugin bad failed (ADD): no word of why"),
    ("[ $CNI_COMMAND = DEL ] && ok; sleep 1000", "plugin bad did not end in time (ADD)"),
    ("[ $CNI_COMMAND = DEL ] && ok; exec >&- 2>&-; sleep 1000", "plugin bad did not end in time (ADD)"),
])
def test_garbage_silence_and_floods(engine, world, script, words):
    path = world.plugin("bad", script)
    world.network("cnibad", [{"type": "bad"}], *path, "-o", "timeout=2")
    start = time.monotonic()
    refused = world.run("cni-bad", "--network", "cnibad", check=False)
    assert refused.returncode == 125 and words in refused.stderr, refused.stderr
    assert time.monotonic() - start < TIMEOUT
    assert not processes(lambda c: "1000" in c and "sleep" in c[0])
    assert world.calls("bad") == ["ADD", "DEL"]
    assert engine.api("DELETE", "/containers/cni-bad?force=1")[0] == 204


def test_what_a_plugin_leaves_running_holds_nobody_up(engine, world):
    path = world.plugin("lingers", "sleep 1000 & echo '{\"cniVersion\":\"1.0.0\",\"ips\":[{\"address\":\"10.88.0.9/24\"}]}'")
    world.network("cnilinger", [{"type": "lingers"}], *path)
    world.run("cni-linger", "--network", "cnilinger")
    assert world.place("cni-linger", "cnilinger")["IPAddress"] == "10.88.0.9"
    assert not [pid for pid in processes(lambda c: c == ["sleep", "1000"]) if str(world.folder) in os.readlink(f"/proc/{pid}/fd/2")]


def test_a_start_that_hangs_can_be_cancelled(engine, world):
    path = world.plugin("hangs", "[ $CNI_COMMAND = ADD ] && sleep 1000; ok")
    world.network("cnihang", [{"type": "hangs"}], *path, "-o", "timeout=600")
    world.containers.append("cni-hang")
    engine.tare("create", "--name", "cni-hang", "--network", "cnihang", "busybox", "sleep", "1000")
    starting = engine.popen(str(engine.programs / "tare"), "start", "cni-hang", stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    wait_for(lambda: world.calls("hangs") == ["ADD"], "the plugin at work")
    engine.tare("rm", "-f", "cni-hang")
    assert starting.wait(TIMEOUT) != 0
    assert world.calls("hangs") == ["ADD", "DEL"]


def test_a_del_that_fails_is_tried_again(engine, world):
    """The container stays removable: not without force while its network can't be given back, and nothing is forgotten."""
    path = world.plugin("keeper", f"[ $CNI_COMMAND = DEL ] && [ -e {world.folder}/stuck ] && fail; ok")
    world.network("cnikeep", [{"type": "keeper"}], *path)
    stuck = world.folder / "stuck"
    stuck.touch()
    world.run("cni-keep", "--network", "cnikeep")
    engine.tare("stop", "-t", "0", "cni-keep")
    wait_for(lambda: "DEL" in world.calls("keeper"), "the first try")
    done = engine.tare("rm", "cni-keep", check=False)
    assert done.returncode == 1 and "network cnikeep: plugin keeper failed (DEL): it will not: at all" in done.stderr
    before = world.calls("keeper").count("DEL")
    engine.tare("start", "cni-keep")  # which tries too
    assert world.calls("keeper").count("DEL") > before
    stuck.unlink()
    engine.tare("stop", "-t", "0", "cni-keep")
    engine.tare("rm", "cni-keep")
    assert not list(engine.data.glob("containers/*/cni.json"))


def test_check_is_made_when_an_engine_comes(engine, world):
    path = world.plugin("checked", "[ $CNI_COMMAND = CHECK ] && fail; ok")
    world.network("cnicheck", [{"type": "checked"}], *path)
    world.run("cni-check", "--network", "cnicheck")
    engine.kill_engine()
    wait_for(lambda: "CHECK" in world.calls("checked"), "a check")
    wait_for(lambda: "are not as they were made: network cnicheck: plugin checked failed (CHECK): it will not" in engine.tail_log(), "its word in the log")
    assert engine.api("GET", "/containers/cni-check/json")[1]["State"]["Running"]


def test_an_end_does_not_wait_for_a_check(engine, world):
    path = world.plugin("slow", "[ $CNI_COMMAND = CHECK ] && sleep 1000; ok")
    world.network("cnislow", [{"type": "slow"}], *path, "-o", "timeout=600")
    world.run("cni-slow", "--network", "cnislow")
    engine.kill_engine()
    wait_for(lambda: "CHECK" in world.calls("slow"), "a check")
    engine.tare("rm", "-f", "cni-slow")
    assert world.calls("slow") == ["ADD", "CHECK", "DEL"]


@pytest.mark.parametrize("document, options, words", [
    ("{", [], "conflist"),
    ('{"cniVersion": "0.2.0", "name": "x", "plugins": [{"type": "bridge"}]}', [], 'cniVersion "0.2.0" is not supported'),
    ('{"cniVersion": "1.0.0", "plugins": [{"type": "bridge"}]}', [], "name"),
    ('{"cniVersion": "1.0.0", "name": "x", "plugins": []}', [], "expected a list of 1 to 32 plugins"),
    ('{"cniVersion": "1.0.0", "name": "x", "plugins": [{"type": "../bridge"}]}', [], "is no plugin's name"),
    ('{"cniVersion": "1.0.0", "name": "x", "plugins": [{"type": "no-such"}]}', ["-o", "speed=9"], "unknown option speed of a CNI network"),
    ('{"cniVersion": "1.0.0", "name": "x", "plugins": [{"type": "no-such"}]}', ["-o", "timeout=0"], "timeout"),
    ('{"cniVersion": "1.0.0", "name": "x", "plugins": [{"type": "no-such"}]}', ["-o", "path=relative"], "is no absolute path"),
    ('{"cniVersion": "1.0.0", "name": "x", "plugins": [{"type": "no-such"}]}', ["--subnet", "10.0.0.0/24"], "plugins' own"),
    ('{"cniVersion": "1.0.0", "name": "x", "plugins": [{"type": "no-such"}]}', ["--internal"], "internal"),
])
def test_wrong_lists_are_refused(engine, tmp_path, document, options, words):
    conf = tmp_path / "x.conflist"
    conf.write_text(document)
    done = engine.tare("network", "create", "-d", "cni", "-o", f"conf={conf}", *options, "cni-wrong", check=False)
    assert done.returncode == 1 and words in done.stderr, done.stderr
    assert engine.api("GET", "/networks/cni-wrong")[0] == 404


def test_missing_lists_and_plugins(engine, world):
    done = engine.docker("network", "create", "-d", "cni", "nowhere", check=False)
    assert done.returncode == 1 and "no CNI network is called nowhere in /etc/cni/net.d" in done.stderr
    world.network("cnimissing", [{"type": "no-such"}])
    refused = world.run("cni-missing", "--network", "cnimissing", check=False)
    assert refused.returncode == 125 and "there is no plugin no-such in /opt/cni/bin:" in refused.stderr
