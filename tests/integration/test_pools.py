"""Connection pools of SDKs: no connection that was handed over is used again, and the engine's own are."""
import os
import pathlib
import subprocess

import pytest

from harness.engine import BUILD

SOURCE = pathlib.Path(__file__).parent / "helpers/pool/main.go"


@pytest.mark.slow  # to build, where Go's own library is not yet
def test_go(engine, tmp_path):
    subprocess.run(["go", "build", "-o", tmp_path / "pool", SOURCE], check=True, env={**os.environ, "GOFLAGS": "-mod=mod", "GO111MODULE": "off", "GOCACHE": str(BUILD / "go-cache")})
    done = subprocess.run([tmp_path / "pool", engine.socket], stdout=subprocess.PIPE, text=True, timeout=120)
    assert done.stdout == "ok\n" and done.returncode == 0


def test_docker_py(engine):
    docker = pytest.importorskip("docker")
    client = docker.DockerClient(base_url=f"unix://{engine.socket}", version="1.41", timeout=30)
    for turn in range(20):
        container = client.containers.run("busybox", ["sh", "-c", f"echo {turn}"], detach=True)
        assert container.wait()["StatusCode"] == 0
        assert container.logs() == f"{turn}\n".encode()
        assert b"".join(container.logs(stream=True, follow=True)) == f"{turn}\n".encode()
        assert client.ping()
        container.remove()
    running = client.containers.run("busybox", ["sleep", "100"], detach=True)
    # docker-py loses what its reader took together with the answer's head, so the output comes a moment behind it.
    for turn in range(20):
        assert running.exec_run(["sh", "-c", f"sleep 0.3; echo {turn}"]) == (0, f"{turn}\n".encode())
        assert client.ping()
    running.remove(force=True)
    client.close()
