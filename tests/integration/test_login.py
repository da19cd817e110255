"""POST /auth, by the stock `docker` command: against Debian's docker-registry with htpasswd, and against servers that want the
password for somebody else."""
import json

import pytest

from harness import images
from harness.distribution import Registry

PASSWORD, WRONG = "geheim-17", "wrong-88"


@pytest.fixture(scope="module")
def private(tmp_path_factory):
    registry = Registry(tmp_path_factory.mktemp("private"), {"alice": PASSWORD}).start()
    registry.fill(f"docker-archive:{images.busybox()}", "team/busybox:1")
    yield registry
    registry.stop()


@pytest.fixture(autouse=True)
def nothing_told(engine):
    """No password in the log, in an argument or in a file of the engine's."""
    yield
    log = engine.log.read_text()
    assert "geheim" not in log and WRONG not in log
    for database in ("engine.db", "engine.db-wal", "store.db", "store.db-wal"):
        path = engine.data / database
        assert not path.exists() or b"geheim" not in path.read_bytes()


def login(engine, host, password, user="alice"):
    return engine.docker("login", "-u", user, "--password-stdin", host, input=password, check=False)


def ask(engine, server, password=PASSWORD, **more):
    return engine.api("POST", "/auth", {"username": "alice", "password": password, "serveraddress": server, **more})


def test_docker_logs_in_pulls_and_out(engine, private):
    name = f"{private.host}/team/busybox:1"
    done = login(engine, private.host, PASSWORD)
    assert done.returncode == 0 and "Login Succeeded" in done.stdout, done
    assert private.host in json.loads((engine.home / ".docker/config.json").read_text())["auths"]
    assert "Downloaded newer image" in engine.docker("pull", name).stdout
    assert "Login Succeeded" in engine.docker("login", private.host).stdout  # with what it has kept
    assert engine.docker("logout", private.host).returncode == 0
    engine.docker("rmi", name)
    assert "no basic auth credentials" in engine.docker("pull", name, check=False).stderr


@pytest.mark.parametrize("user, password", [("alice", WRONG), ("bob", PASSWORD)])
def test_wrong(engine, private, user, password):
    done = login(engine, private.host, password, user)
    assert done.returncode == 1 and f"login attempt to http://{private.host}/v2/ failed" in done.stderr, done
    assert "unauthorized: incorrect username or password" in done.stderr
    config = engine.home / ".docker/config.json"
    assert not config.exists() or private.host not in config.read_text()


def test_status_and_body(engine, private):
    assert ask(engine, private.host) == (200, {"Status": "Login Succeeded", "IdentityToken": ""})
    assert ask(engine, f"http://{private.host}/v2/")[0] == 200
    status, answer = ask(engine, private.host, WRONG)
    assert status == 401 and "incorrect username or password" in answer["message"]
    status, answer = engine.api("POST", "/auth", {"serveraddress": private.host})
    assert status == 401 and "no basic auth credentials" in answer["message"]
    status, answer = ask(engine, "127.0.0.1:1")
    assert status >= 500 and "127.0.0.1:1" in answer["message"]


def test_open_registry_takes_anybody(engine, strangers):
    registry = strangers(lambda path, headers: (200, {}, b"{}"))
    assert ask(engine, registry.host)[0] == 200
    assert not any(authorization for _, authorization in registry.seen)  # nobody asked for it


def test_password_goes_nowhere_else(engine, strangers):
    other = strangers(lambda path, headers: (200, {}, b'{"token": "x"}'))
    realm = f'Bearer realm="http://localhost:{other.host.rpartition(":")[2]}/token",service="x"'
    foreign = strangers(lambda path, headers: (401, {"WWW-Authenticate": realm}, b""))
    status, answer = ask(engine, foreign.host)
    assert status == 403 and "the password is not sent there" in answer["message"], answer

    moved = strangers(lambda path, headers: (307, {"Location": f"http://{other.host}/v2/"}, b""))
    status, answer = ask(engine, moved.host)
    assert status == 403 and "the password is not sent there" in answer["message"], answer
    assert not any(authorization for server in (other, foreign, moved) for _, authorization in server.seen)


@pytest.mark.parametrize("answer, words", [
    (lambda path, headers: (401, {"WWW-Authenticate": 'Basic realm="x"'}, b""), "incorrect username or password"),
    (lambda path, headers: (401, {}, b""), "authentication required"),
    (lambda path, headers: (500, {}, b"oops"), "500"),
    (lambda path, headers: (302, {"Location": path}, b""), "redirects"),
])
def test_server_that_misbehaves(engine, strangers, answer, words):
    status, said = ask(engine, strangers(answer).host)
    assert status >= 400 and words in said["message"], said
