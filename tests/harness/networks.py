"""What an engine has made in the network namespace of the tests. Its bridges stay when it ends, as they should: here they go."""
import json
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


def clear(engine):
    for name in bridges(engine):
        subprocess.run(["ip", "link", "delete", name], check=True)
