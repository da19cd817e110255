"""A process of the container swaps a folder for a link to the host's files while they are copied; and what else may go wrong on
the way: clients that leave, starts, removals, kills."""
import http.client
import io
import json
import os
import pathlib
import signal
import socket
import subprocess
import tarfile

import pytest

from harness.engine import BUILD, PROGRAMS, UnixConnection, docker_program, processes, wait_for
from helpers import trees
from test_cp import ask, content, make, put, stat

EXCHANGE = BUILD / "tests/integration/helpers/exchange"
ROUNDS = int(os.environ.get("TARE_RACES", 50))


@pytest.fixture
def canary(tmp_path):
    """A folder of the host's, and what must still be so afterwards."""
    folder = tmp_path / "canary"
    folder.mkdir()
    (folder / "file").write_text("host's own")
    (folder / "file").chmod(0o600)
    before = trees.describe(folder)
    yield folder
    assert trees.describe(folder) == before


def describe_mounts():
    return pathlib.Path("/proc/self/mountinfo").read_text()


@pytest.mark.parametrize("where", ("root", "volume"))
def test_swap(engine, canary, where):
    """CVE-2018-15664 and those after it: nothing of the host's is read, made or changed, and copying goes on."""
    options = ("-v", "/race") if where == "volume" else ()
    container = make(engine, "running", *options)
    inside = trees.tar(trees.folder("race"), trees.folder("race/dir"), trees.entry("race/dir/file", data=b"inside"),
                       trees.symlink("race/link", str(canary)), trees.entry("exchange", data=EXCHANGE.read_bytes(), mode=0o755))
    assert put(engine, container, "/", inside) == (200, "")
    mounts = describe_mounts()
    attack = engine.popen(docker_program(), "exec", container, "/exchange", "/race/dir", "/race/link")
    seen = {"file": 0, "stat": 0, "put": 0, "whole": 0}
    try:
        for count in range(ROUNDS):
            status, _, body = ask(engine, "GET", f"/containers/{container}/archive?path=/race/dir/file")
            assert status in (200, 404) and b"host's own" not in body
            seen["file"] += status == 200
            seen["stat"] += ask(engine, "HEAD", f"/containers/{container}/archive?path=/race/dir/file")[0] == 200
            status, message = put(engine, container, "/race/dir", trees.tar(
                trees.folder("new"), trees.entry("file", data=b"inside", mode=0o777), trees.entry("new/file", data=b"x")))
            assert status in (200, 400, 404), message
            seen["put"] += status == 200
            if count % 10 == 0:
                status, _, body = ask(engine, "GET", f"/containers/{container}/archive?path=/race")
                assert status == 200 and b"host's own" not in body
                seen["whole"] += len(tarfile.open(fileobj=io.BytesIO(body)).getnames()) > 1
        assert attack.poll() is None
    finally:
        attack.kill()
        attack.wait()
    assert min(seen.values()) > 0, seen
    assert describe_mounts() == mounts
    engine.docker("rm", "-fv", container)


def test_links_that_lead_out(engine, canary):
    """Static ones: absolute, by "..", as a parent, as a volume's place; loops and long chains."""
    chain = [trees.symlink(f"c{i}", f"c{i + 1}") for i in range(45)]
    container = make(engine, "created", "-v", "/up/vol")
    archive = trees.tar(trees.symlink("abs", str(canary)), trees.symlink("dots", "../../../../../.." + str(canary)),
                        trees.symlink("loop", "loop"), trees.symlink("root", "/"), *chain)
    assert put(engine, container, "/", archive) == (200, "")
    for name in ("abs", "dots"):
        assert ask(engine, "GET", f"/containers/{container}/archive?path=/{name}/file")[0] == 404
        assert ask(engine, "GET", f"/containers/{container}/archive?path=/{name}/.")[0] == 404
        assert put(engine, container, f"/{name}", trees.tar(trees.entry("new")))[0] == 404
        assert stat(engine, container, f"/{name}")["linkTarget"] == str(canary)
    for name in ("abs", "dots"):
        assert put(engine, container, "/", trees.tar(trees.entry(f"{name}/made", data=b"made")))[0] == 200
        assert content(engine, container, f"{canary}/made") == b"made"
    assert ask(engine, "GET", f"/containers/{container}/archive?path=/loop/x")[0] == 400
    assert ask(engine, "GET", f"/containers/{container}/archive?path=/c0/x")[0] == 400
    assert stat(engine, container, "/root/root/root/etc/passwd")["name"] == "passwd"
    engine.docker("rm", "-fv", container)


def workers(engine):
    return processes(lambda c: c[0].endswith("tare-worker") and str(engine.data) in c)


def stalled(engine, container, path, verb="export"):
    """A client that reads the head of an answer and nothing more; its socket."""
    client = socket.socket(socket.AF_UNIX)
    client.connect(str(engine.socket))
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.sendall(f"GET /v1.50/containers/{container}/{path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    assert client.recv(16).startswith(b"HTTP/1.1 200")
    return client


def test_a_client_that_leaves(engine):
    container = make(engine, "stopped")
    client = stalled(engine, container, "export")
    assert workers(engine)
    client.close()
    wait_for(lambda: not workers(engine), "the worker's end")
    engine.docker("start", container)
    engine.docker("rm", "-f", container)


@pytest.mark.parametrize("state", ("stopped", "running"))
def test_a_start_cancels(engine, state):
    """A container that is to be started is waited for by nobody: a copy gives way after a while, without its end."""
    container = make(engine, state)
    client = stalled(engine, container, "export")
    engine.docker("restart" if state == "running" else "start", "-t0" if state == "running" else "-a=false", container)
    rest = b""
    while piece := client.recv(1 << 20):
        rest += piece
    assert not rest.endswith(b"0\r\n\r\n")
    assert engine.docker("exec", container, "echo", "runs").stdout == "runs\n"
    engine.docker("rm", "-f", container)


def test_a_worker_that_dies(engine):
    container = make(engine, "stopped")
    client = stalled(engine, container, "export")
    for pid in workers(engine):
        os.kill(pid, signal.SIGKILL)
    wait_for(lambda: not workers(engine), "the worker's end")
    client.close()
    engine.docker("start", container)
    assert content(engine, container, "/etc/group")
    engine.docker("rm", "-f", container)


def test_removed_meanwhile(engine):
    """Of a container that went away, no archive has an end that looks whole."""
    container = make(engine, "stopped")
    client = stalled(engine, container, "export")
    engine.docker("rm", container)
    rest = b""
    while piece := client.recv(1 << 20):
        rest += piece
    assert not rest.endswith(b"0\r\n\r\n")
    wait_for(lambda: not workers(engine), "the worker's end")


def test_an_upload_that_breaks_off(engine):
    container = make(engine, "running")
    archive = trees.tar(trees.entry("big", data=bytes(1 << 20)))
    client = socket.socket(socket.AF_UNIX)
    client.connect(str(engine.socket))
    client.sendall(f"PUT /v1.50/containers/{container}/archive?path=/root HTTP/1.1\r\nHost: x\r\nContent-Length: {len(archive)}\r\n\r\n".encode())
    client.sendall(archive[:300000])
    client.shutdown(socket.SHUT_WR)
    answer = b""
    while piece := client.recv(65536):
        answer += piece
    assert answer.startswith(b"HTTP/1.1 400")
    wait_for(lambda: not workers(engine), "the worker's end")
    engine.docker("rm", "-f", container)


def test_nothing_of_the_container_is_run(engine):
    """CVE-2026-41567, CVE-2019-14271: programs and libraries that the container has are not touched by the host's processes."""
    container = make(engine, "running")
    trojan = b"#!/bin/sh\ntouch /ran\n"
    places = ["usr/bin/xz", "bin/unpigz", "bin/gzip", "bin/zstd", "lib/x86_64-linux-gnu/libnss_files.so.2", "etc/ld.so.preload"]
    assert put(engine, container, "/", trees.tar(*(trees.entry(name, data=trojan, mode=0o755) for name in places)))[0] == 200
    packed = subprocess.run(["xz", "-c"], input=trees.tar(trees.entry("f", data=b"f")), stdout=subprocess.PIPE, check=True).stdout
    assert put(engine, container, "/root", packed, "&copyUIDGID=1") == (200, "")
    assert ask(engine, "HEAD", f"/containers/{container}/archive?path=/ran")[0] == 404
    engine.docker("rm", "-f", container)


def test_removed_before(engine):
    """Jobs that cross with a removal leave no folder behind."""
    for _ in range(10):
        container = make(engine, "created")
        clients = []
        for path in ("export", "changes", "archive?path=/etc"):
            client = UnixConnection(engine.socket)
            client.request("GET", f"/v1.50/containers/{container}/{path}")
            clients.append(client)
        engine.api("DELETE", f"/containers/{container}")
        for client in clients:
            try:
                client.getresponse().read()
            except http.client.HTTPException:
                pass
            client.close()
        assert not (engine.data / "containers" / container).exists()
