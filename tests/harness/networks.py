"""What an engine has made in the network namespace of the tests. Its bridges and its table stay when it ends, as they should: here
they go."""
import json
import re
import socket
import struct
import subprocess

RTM_NEWLINK, RTM_GETLINK, NLM_F_REQUEST, NLM_F_ACK, NLMSG_ERROR = 16, 18, 1, 4, 2
IFLA_GSO_IPV4_MAX_SIZE = 63  # of which iproute2 knows nothing before 6.3


def links():
    text = subprocess.run(["ip", "-j", "-d", "link"], stdout=subprocess.PIPE, check=True, text=True).stdout
    return json.loads(text or "[]")


def bridges(engine):
    """Names of the bridges that say they are this engine's."""
    return [link["ifname"] for link in links() if link.get("ifalias") == f"tare {engine.exec_root}"]


def ports(engine):
    """Ends of containers' pairs at this engine's bridges."""
    own = bridges(engine)
    return [link["ifname"] for link in links() if link.get("master") in own]


def table(engine):
    """Name of its table of nf_tables (network/table.c)."""
    if str(engine.exec_root) == "/run/tare":
        return "tare"
    value = 0xcbf29ce484222325
    for byte in str(engine.exec_root).encode():
        value = (value ^ byte) * 0x100000001b3 & (1 << 64) - 1
    return f"tare-{value:016x}"


def owners(engine):
    """Whose elements are in its table: IDs of containers."""
    listed = subprocess.run(["nft", "list", "table", "inet", table(engine)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    return sorted(set(re.findall('comment "([0-9a-f]{64})', listed.stdout)))


def clear(engine):
    name = table(engine)  # which need not be there
    for family in ("inet", "bridge"):
        subprocess.run(["nft", f"add table {family} {name}; delete table {family} {name}"], check=True)
    for name in bridges(engine):
        subprocess.run(["ip", "link", "delete", name], check=True)


def link_message(kind, flags, name, attributes=b""):
    """What the kernel answers to a message about that interface."""
    body = struct.pack("BxHiII", 0, 0, socket.if_nametoindex(name), 0, 0) + attributes
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0) as kernel:
        kernel.send(struct.pack("IHHII", 16 + len(body), kind, NLM_F_REQUEST | flags, 1, 0) + body)
        answer = kernel.recv(65536)
    error = struct.unpack_from("i", answer, 16)[0] if struct.unpack_from("H", answer, 4)[0] == NLMSG_ERROR else 0
    assert error == 0, (name, error)
    return answer


def segment(name):
    """What of a TCP stream goes through that interface in one piece; None where the kernel has nothing to say of it."""
    answer, at = link_message(RTM_GETLINK, 0, name), 32
    while at < len(answer):
        size, kind = struct.unpack_from("HH", answer, at)
        if kind == IFLA_GSO_IPV4_MAX_SIZE:
            return struct.unpack_from("I", answer, at + 4)[0]
        at += (size + 3) & ~3
    return None


def allow_segment(name, size):
    link_message(RTM_NEWLINK, NLM_F_ACK, name, struct.pack("HHI", 8, IFLA_GSO_IPV4_MAX_SIZE, size))
