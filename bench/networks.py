"""The rows of networks: `run` on the default bridge, published ports, changes while containers run, and what goes over the wire.

What goes over the wire is compared with a raw pair of veths, with no bridge, into a container that has no other network: its groups and
its seccomp filter are the same. From outside there are two pairs with a host in between, and that host, of the raw way, forwards and
does nothing else.
"""
import itertools
import os
import subprocess
import time

from harness.networks import allow_segment, segment
from rows import Row, Target

FLOOR_BRIDGE = "floor0"
MANY = 1000
PORTS = itertools.cycle(range(20000, 30000, MANY))  # some containers' ports are on their way out while the next one comes


def run(one, *options):
    return lambda: one.ms("run", "--rm", *options, "busybox", "true")


def shifted(count):
    """-p options that are no range of the table's: each host's port has another number than the container's."""
    first = next(PORTS)
    return [word for n in range(count) for word in ("-p", f"{first + n}:{n + 1}")]


def run_many(one, options):
    def go():
        taken = one.ms("run", "-d", "--name", "many", *options(), "busybox", "sleep", "100000")
        one.cli("rm", "-f", "many")
        return taken
    return go


def change(one, verb):
    """One of connect and disconnect, with the other one out of the count."""
    def go():
        if verb == "disconnect":
            one.cli("network", "connect", "other", "live")
        taken = one.ms("network", verb, "other", "live")
        if verb == "connect":
            one.cli("network", "disconnect", "other", "live")
        return taken
    return go


class Wire:
    """Servers (bench/wire.c) in containers, and who asks them: from the host through a raw veth and through a published port, from
    another host by way of a router of raw veths and through a published port, from a container through a raw veth and over the default bridge."""
    PORT, PUBLISHED, LARGE = "7", "19999", "19998"

    def __init__(self, context):
        self.program, self.engine = context.build / "bench/wire", context.engines[0]
        # What is bridged goes through the packet filter, too, where the kernel has br_netfilter: not on most hosts.
        subprocess.run(["sysctl", "-qw", "net.bridge.bridge-nf-call-iptables=0"], stderr=subprocess.DEVNULL)
        server, client = self.start("raw-server", "none", "serve"), self.start("raw-client", "none")
        router, outside = self.start("router", "none"), self.start("outside", "none")
        self.start("server", "bridge", "serve", "-p", f"{self.PUBLISHED}:{self.PORT}")
        self.start("client", "bridge")
        for number, one, other in ((67, os.getpid(), server), (68, client, server), (69, os.getpid(), outside), (70, router, outside), (71, router, server)):
            self.pair(f"raw{number}", f"10.{number}.0", one, other)
        self.ip(outside, "route add 10.71.0.0/24 via 10.70.0.1")
        self.ip(server, "route add 10.70.0.0/24 via 10.71.0.1")
        subprocess.run(f"nsenter -n -t {router} sysctl -qw net.ipv4.ip_forward=1", shell=True, check=True)

    @staticmethod
    def ip(pid, what):
        subprocess.run(f"nsenter -n -t {pid} ip {what}", shell=True, check=True)

    def pair(self, name, net, one, other):
        self.ip(one, f"link add {name} type veth peer name {name} netns {other}")
        for host, pid in ((1, one), (2, other)):
            self.ip(pid, f"addr add {net}.{host}/24 dev {name}")
            self.ip(pid, f"link set {name} up")

    def start(self, name, network, work="sleep", *options):
        command = ("/wire", "serve", self.PORT) if work == "serve" else ("sleep", "100000")
        self.engine.cli("run", "-d", "--name", name, "--network", network, "-v", f"{self.program}:/wire:ro", *options, "busybox", *command)
        return self.inspect(name, "{{.State.Pid}}")

    def inspect(self, name, what):
        return self.engine.cli("inspect", "-f", what, name)[1].strip()

    def here(self, kind, address, port, count):
        return lambda: float(subprocess.check_output([self.program, kind, address, port, count]))

    def large_segments(self, count, target):
        """Where the host's administrator has allowed them on lo: bridges made from then on are like it."""
        usual = segment("lo")
        if usual is None:
            return
        allow_segment("lo", 3 * 65536)
        self.engine.cli("network", "create", "large")
        self.start("large", "large", "serve", "-p", f"{self.LARGE}:{self.PORT}")
        yield Row("1 GiB of bytes, segments of 192 kB on the host's lo", {
            "raw veth": self.here("throughput", "10.67.0.2", self.PORT, count),
            "tare, published port": self.here("throughput", self.inspect("large", "{{.NetworkSettings.Networks.large.Gateway}}"), self.LARGE, count)}, [Target(target, "raw")])
        self.engine.cli("rm", "-f", "large")
        self.engine.cli("network", "rm", "large")
        allow_segment("lo", usual)

    def rows(self, what, kind, count, target):
        def inside(name, address, port=self.PORT):
            return lambda: float(self.engine.cli("exec", name, "/wire", kind, address, port, count)[1])
        yield Row(f"{what}: host to container", {"raw veth": self.here(kind, "10.67.0.2", self.PORT, count),
                                                 "tare, published port": self.here(kind, self.inspect("server", "{{.NetworkSettings.Gateway}}"), self.PUBLISHED, count)}, [Target(target, "raw")])
        yield Row(f"{what}: another host to container", {"raw veths and a router": inside("outside", "10.71.0.2"),
                                                         "tare, published port": inside("outside", "10.69.0.1", self.PUBLISHED)}, [Target(target, "raw")])
        yield Row(f"{what}: container to container", {"raw veth": inside("raw-client", "10.68.0.2"),
                                                      "tare, default bridge": inside("client", self.inspect("server", "{{.NetworkSettings.IPAddress}}"))}, [Target(target, "raw")])

    def end(self):
        self.engine.cli("rm", "-f", "server", "client", "raw-server", "raw-client", "router", "outside")


def rows(context):
    ours = context.engines[0]

    def each(make):
        return {one.name: make(one) for one in context.engines}
    if context.storage != "tmpfs":
        return
    subprocess.run(f"ip link add {FLOOR_BRIDGE} type bridge && ip link set {FLOOR_BRIDGE} up", shell=True, check=True)
    yield Row("run --rm busybox true, on the default bridge", {"floor with a veth": lambda: context.floor(FLOOR_BRIDGE), **each(run)},
              [Target(2, "floor"), Target(1 / 20, "docker"), Target(1 / 12, "podman")])
    yield Row("the same with 10 published ports", {one.name: lambda one=one: run(one, *shifted(10))() for one in context.engines}, [Target(1 / 20, "docker"), Target(1 / 12, "podman")])
    # Apart: what peers leave to be done behind them would be more than the difference.
    yield Row("10 published ports, and none", {"tare": lambda: run(ours, *shifted(10))(), "without": run(ours)}, [Target(1, "without", more_ms=1)])
    yield Row("run -d with 1,000 published ports, each to another number",
              {"tare": run_many(ours, lambda: shifted(MANY)), "as one range": run_many(ours, lambda: ["-p", "{0}-{1}:{0}-{1}".format(p := next(PORTS), p + MANY - 1)]),
               "without": run_many(ours, list)}, [Target(1, "", more_ms=50)])
    if context.wants("connect"):
        for one in context.engines:
            one.cli("network", "create", "other")
            one.cli("network", "create", "first")  # which podman's is called otherwise than docker's
            one.cli("run", "-d", "--name", "live", "--network", "first", "busybox", "sleep", "100000")
    yield Row("network connect", each(lambda one: change(one, "connect")), [Target(1, "", more_ms=5)])
    yield Row("network disconnect", each(lambda one: change(one, "disconnect")), [Target(1, "", more_ms=5)])
    if context.wants("connect"):
        for one in context.engines:
            one.cli("rm", "-f", "live")
            one.cli("network", "rm", "other", "first")
    if context.wants("bytes"):
        wire = Wire(context)
        yield from wire.rows("5,000 bytes, there and back", "latency", "5000", 1.1)
        yield from wire.rows("1 GiB of bytes", "throughput", "1024", 1 / 0.95)
        yield from wire.large_segments("1024", 1 / 0.95)
        wire.end()
