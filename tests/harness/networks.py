"""What an engine has made in the network namespace of the tests. Its bridges and its table stay when it ends, as they should: here
they go."""
import json
import re
import subprocess


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
