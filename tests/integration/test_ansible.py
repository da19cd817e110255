"""Ansible's modules for Docker (the collection community.docker of Debian's `ansible`), where it is installed: a second run of the same
playbook finds nothing to change, so what the engine tells of a container, a network and a volume is what was asked for."""
import os
import re
import shutil
import sys

import pytest

PLAYBOOK = """
- hosts: localhost
  gather_facts: false
  connection: local
  module_defaults:
    group/community.docker.docker: {docker_host: "{{ lookup('env', 'DOCKER_HOST') }}"}
  tasks:
  - community.docker.docker_network:
      name: play-net
      ipam_config: [{subnet: 10.88.0.0/24, gateway: 10.88.0.1, iprange: 10.88.0.128/25, aux_addresses: {router: 10.88.0.5}}, {subnet: "fd88::/64"}]
      enable_ipv6: true
      driver_options: {com.docker.network.driver.mtu: "1400"}
      labels: {of: play}
  - community.docker.docker_volume: {name: play-volume, labels: {of: play}}
  - community.docker.docker_container:
      name: play
      image: busybox
      command: [sh, -c, "exec sleep 1000"]
      hostname: player
      user: "0:0"
      env: {A: "1", B: "two words"}
      labels: {of: play}
      networks: [{name: play-net, ipv4_address: 10.88.0.20, aliases: [one, two]}]
      published_ports: ["127.0.0.1:18890:80", "18891-18892:81-82", "18893:83/udp"]
      exposed_ports: ["99"]
      volumes: ["play-volume:/data", "/tmp:/host:ro"]
      mounts: [{type: tmpfs, target: /scratch, tmpfs_size: 1M, tmpfs_mode: "1770"}]
      tmpfs: ["/run:size=64k"]
      restart_policy: on-failure
      restart_retries: 3
      memory: 64M
      memory_swap: 128M
      cpus: 0.5
      cpu_shares: 512
      pids_limit: 50
      ulimits: ["nofile:512:1024"]
      sysctls: {net.ipv4.ip_default_ttl: "77"}
      capabilities: [NET_ADMIN]
      cap_drop: [MKNOD]
      security_opts: [no-new-privileges]
      dns_servers: [10.88.0.1]
      dns_opts: ["ndots:2"]
      etc_hosts: {other: 1.2.3.4}
      init: true
      shm_size: 32M
      stop_signal: SIGKILL
      log_driver: json-file
      log_options: {max-size: 1m}
      healthcheck: {test: [CMD, "true"], interval: 1s, timeout: 2s, retries: 2, start_period: 1s}
      devices: ["/dev/null:/dev/mynull:rwm"]
      read_only: true
      comparisons: {"*": strict}
  - community.docker.docker_container_exec: {container: play, argv: [sh, -c, "cat; echo $X; echo err >&2; exit 3"], stdin: in, env: {X: out}}
    register: done
    changed_when: false
    failed_when: done.rc != 3 or done.stdout != 'in\\nout' or done.stderr != 'err'
  - community.docker.docker_container_copy_into: {container: play, content: "text", container_path: /data/file, owner_id: 7, group_id: 8, mode: "0640"}
"""
END = """
- hosts: localhost
  gather_facts: false
  connection: local
  module_defaults:
    group/community.docker.docker: {docker_host: "{{ lookup('env', 'DOCKER_HOST') }}"}
  tasks:
  - community.docker.docker_container: {name: play, state: absent}
  - community.docker.docker_network: {name: play-net, state: absent}
  - community.docker.docker_volume: {name: play-volume, state: absent}
"""

pytestmark = pytest.mark.skipif(not shutil.which("ansible-playbook"), reason="there is no Ansible here")


@pytest.fixture
def play(engine, tmp_path):
    """Runs a playbook; returns how many of its tasks changed something."""
    def run(text):
        (tmp_path / "play.yaml").write_text(text)
        settings = {"ANSIBLE_HOME": str(tmp_path), "ANSIBLE_NOCOLOR": "1", "ANSIBLE_PYTHON_INTERPRETER": sys.executable, "LC_ALL": "C.UTF-8"}
        inherited = {name: os.environ[name] for name in ("PYTHONPATH",) if name in os.environ}
        done = engine.run("env", *(f"{name}={value}" for name, value in {**settings, **inherited}.items()),
                          "ansible-playbook", "-i", "localhost,", "--diff", tmp_path / "play.yaml", check=False, timeout=240)
        assert done.returncode == 0, done.stdout + done.stderr
        return int(re.search(r"changed=(\d+)", done.stdout)[1]), done.stdout
    return run


def test_a_second_run_changes_nothing(engine, play):
    assert play(PLAYBOOK)[0] == 4  # all but exec
    changed, told = play(PLAYBOOK)
    assert changed == 0, told
    assert play(END)[0] == 3
    assert engine.docker("ps", "-aq").stdout == ""
