"""Docker's Compose, as Debian has it, through the stock `docker` command: a project with two networks, and all that it asks of them."""
import json
import os
import re
import urllib.request

import pytest

from harness import networks
from harness.engine import wait_for

COMPOSE = os.environ.get("TARE_TEST_COMPOSE")
PROJECT = """
name: shop
services:
  store:
    image: busybox
    hostname: store-host
    command: sh -c 'echo "store is up"; mkdir -p /www; cp /data/text /www/ 2>/dev/null || echo first >/www/text; cp /www/text /data/text; exec httpd -f -p 8080 -h /www'
    volumes: ["kept:/data"]
    networks:
      back:
        aliases: [warehouse, depot]
        ipv4_address: 10.77.1.20
    healthcheck:
      test: ["CMD", "wget", "-q", "-O", "/dev/null", "http://127.0.0.1:8080/text"]
      interval: 1s
      start_interval: 100ms
      start_period: 20s
      timeout: 5s
      retries: 3
    stop_grace_period: 0s
  front:
    image: busybox
    command: sh -c 'wget -q -O /tmp/index.html http://warehouse:8080/text && exec httpd -f -p 80 -h /tmp'
    depends_on:
      store:
        condition: service_healthy
    networks:
      back: {}
      outside:
        priority: 1000
    ports: ["127.0.0.1:18480:80", "18481-18482:80-81"]
    links: ["store:shelf"]
    extra_hosts: ["up:host-gateway"]
    sysctls: {net.ipv4.ip_default_ttl: 77}
    labels: {of: "the shop"}
    restart: unless-stopped
    stop_grace_period: 0s
networks:
  back:
    internal: true
    ipam:
      config: [{subnet: 10.77.1.0/24, gateway: 10.77.1.1}]
  outside:
    driver_opts: {com.docker.network.driver.mtu: "1400"}
volumes:
  kept: {}
"""

pytestmark = pytest.mark.skipif(not COMPOSE, reason="no Compose is to be had here")


@pytest.fixture(scope="module")
def compose(engine, tmp_path_factory):
    plugins = engine.home / ".docker/cli-plugins"
    plugins.mkdir(parents=True, exist_ok=True)
    (plugins / "docker-compose").symlink_to(COMPOSE)
    folder = tmp_path_factory.mktemp("shop")
    (folder / "compose.yaml").write_text(PROJECT)

    def run(*arguments, **options):
        return engine.docker("compose", "--project-directory", folder, "--ansi", "never", *arguments, **options)
    run.folder = folder
    yield run
    run("down", "-v", "-t", "0", check=False)


def listed(compose):
    return {entry["Service"]: entry for entry in map(json.loads, compose("ps", "--format", "json").stdout.splitlines())}


def fetch(port):
    """What the service says there, once it is up."""
    def get():
        try:
            return urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=5).read().decode()
        except OSError:
            return None
    return wait_for(get, f"an answer at port {port}")


def test_a_project_lives(engine, compose):
    compose("up", "-d", "--wait")
    services = listed(compose)
    assert services["store"]["Health"] == "healthy" and services["front"]["State"] == "running"
    assert {(p["URL"], p["PublishedPort"], p["TargetPort"]) for p in services["front"]["Publishers"]} >= {
        ("127.0.0.1", 18480, 80), ("0.0.0.0", 18481, 80), ("0.0.0.0", 18482, 81)}
    assert compose("port", "front", "80").stdout.strip() in ("127.0.0.1:18480", "0.0.0.0:18481")
    assert re.search(r"store-1\s*\| store is up", compose("logs", "store").stdout)
    for port in (18480, 18481):
        assert fetch(port) == "first\n"


def test_its_containers_know_each_other(engine, compose):
    def exec_in(service, *command):
        return compose("exec", "-T", service, *command).stdout
    for name in ("store", "warehouse", "depot", "shelf", "shop-store-1"):
        assert "10.77.1.20" in exec_in("front", "nslookup", name), name
    assert "10.77.1." in exec_in("store", "nslookup", "front")
    assert exec_in("store", "hostname") == "store-host\n"
    gateway = json.loads(engine.docker("network", "inspect", "bridge").stdout)[0]["IPAM"]["Config"][0]["Gateway"]
    assert f"{gateway}\tup" in exec_in("front", "cat", "/etc/hosts")
    assert exec_in("front", "cat", "/proc/sys/net/ipv4/ip_default_ttl") == "77\n"
    network = json.loads(engine.docker("network", "inspect", "shop_back").stdout)[0]
    assert network["Internal"] and network["Labels"]["com.docker.compose.network"] == "back"
    assert {entry["Name"] for entry in network["Containers"].values()} == {"shop-store-1", "shop-front-1"}
    front = json.loads(engine.docker("inspect", "shop-front-1").stdout)[0]["NetworkSettings"]["Networks"]
    assert set(front) == {"shop_back", "shop_outside"}
    assert "default via " + front["shop_outside"]["Gateway"] in exec_in("front", "ip", "route")
    assert "mtu 1400" in exec_in("front", "ip", "link")


def test_a_second_up_changes_nothing_and_a_changed_service_is_made_anew(engine, compose):
    before = listed(compose)
    compose("up", "-d", "--wait")
    assert {name: entry["ID"] for name, entry in listed(compose).items()} == {name: entry["ID"] for name, entry in before.items()}
    (compose.folder / "compose.override.yaml").write_text("services: {front: {environment: {CHANGED: 'yes'}}}\n")
    compose("up", "-d", "--wait")
    after = listed(compose)
    assert after["store"]["ID"] == before["store"]["ID"] and after["front"]["ID"] != before["front"]["ID"]
    assert fetch(18480) == "first\n"
    compose("restart", "-t", "0", "store")
    compose("up", "-d", "--wait")
    assert "10.77.1.20" in compose("exec", "-T", "front", "nslookup", "store").stdout


def test_scale_run_and_down(engine, compose):
    (compose.folder / "compose.override.yaml").write_text("services: {store: {networks: {back: {aliases: [depot], ipv4_address: ''}}}, front: {ports: !reset []}}\n")
    compose("up", "-d", "--wait", "--scale", "front=2")
    names = compose("exec", "-T", "store", "nslookup", "front").stdout
    assert len(set(re.findall(r"10\.77\.1\.\d+", names))) == 2
    assert compose("run", "--rm", "-T", "front", "wget", "-q", "-O", "-", "http://store:8080/text").stdout == "first\n"
    compose("kill", "store")
    assert listed(compose).keys() == {"front"}
    compose("down", "-t", "0")
    assert engine.docker("volume", "ls", "-q").stdout == "shop_kept\n"
    assert engine.docker("network", "ls", "-q", "--filter", "label=com.docker.compose.project=shop").stdout == ""
    compose("down", "-v")
    assert engine.docker("volume", "ls", "-q").stdout == ""
    assert not [name for name in networks.bridges(engine) if name.startswith("br-")]
