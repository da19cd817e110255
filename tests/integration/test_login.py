"""POST /auth, by the stock `docker` command and by ours: against Debian's docker-registry with htpasswd, and against servers that want the
password for somebody else."""
import json

import pytest

from harness.engine import PROGRAMS
from harness.terminal import Terminal

PASSWORD, WRONG = "geheim-17", "wrong-88"  # the first is what `private` takes


@pytest.fixture(autouse=True)
def nothing_told(engine):
    """No password in the engine's log and in its databases."""
    yield
    log = engine.log.read_text()
    assert "geheim" not in log and WRONG not in log
    for database in ("engine.db", "engine.db-wal", "store.db", "store.db-wal"):
        path = engine.data / database
        assert not path.exists() or b"geheim" not in path.read_bytes()


def login(engine, host, password, user="alice"):
    return engine.docker("login", "-u", user, "--password-stdin", host, input=password, check=False)


def ask(engine, server, password=PASSWORD):
    return engine.api("POST", "/auth", {"username": "alice", "password": password, "serveraddress": server})


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


# Ours, and what it keeps.

@pytest.fixture
def home(engine):
    """Nobody is logged in to anything."""
    config = engine.home / ".docker/config.json"
    config.unlink(missing_ok=True)
    yield config
    config.unlink(missing_ok=True)


def ours(engine, host, password=PASSWORD, *options):
    return engine.tare("login", "-u", "alice", "--password-stdin", *options, host, input=password + "\n", check=False)


def test_ours_and_docker_share_what_they_keep(engine, private, home):
    name = f"{private.host}/team/busybox:1"
    assert "no basic auth credentials" in engine.tare("pull", name, check=False).stderr
    home.parent.mkdir(mode=0o700, exist_ok=True)
    home.write_text(json.dumps({"auths": {"other:5000": {"auth": "eDp5"}}, "detachKeys": "ctrl-q", "plugins": {"a": {"b": "c"}}}))
    done = ours(engine, private.host)
    assert done.returncode == 0 and done.stdout == "Login Succeeded\n", done
    assert f"stored unencrypted in '{home}'" in done.stderr
    assert home.stat().st_mode & 0o777 == 0o600
    kept = json.loads(home.read_text())
    assert kept["detachKeys"] == "ctrl-q" and kept["plugins"] == {"a": {"b": "c"}} and kept["auths"].pop("other:5000") == {"auth": "eDp5"}

    assert engine.docker("login", private.host).stdout.endswith("Login Succeeded\n")
    again = engine.tare("login", private.host)
    assert again.stdout == "Authenticating with existing credentials...\nLogin Succeeded\n"
    ours_wrote = kept["auths"]
    engine.docker("logout", private.host)
    login(engine, private.host, PASSWORD)
    theirs_wrote = json.loads(home.read_text())["auths"]
    assert ours_wrote[private.host] == theirs_wrote[private.host]
    assert engine.tare("pull", "-q", name).stdout == f"{name}\n"
    engine.tare("rmi", name)
    assert engine.tare("run", "--rm", name, "echo", "pulled").stdout == "pulled\n"

    assert engine.tare("logout", private.host).stdout == f"Removing login credentials for {private.host}\n"
    assert engine.tare("logout", private.host).stdout == f"Not logged in to {private.host}\n"
    assert list(json.loads(home.read_text())["auths"]) == ["other:5000"]
    engine.tare("rmi", name)
    assert "no basic auth credentials" in engine.tare("pull", name, check=False).stderr


HELPER = """#!/bin/sh
# Keeps one server's credentials in $HOME/kept.
case $1 in
get) if [ -e "$HOME/kept" ]; then cat "$HOME/kept"; else echo credentials not found in native keychain; exit 1; fi ;;
store) cat >"$HOME/kept" ;;
erase) rm -f "$HOME/kept" ;;
*) exit 2 ;;
esac
"""


@pytest.mark.parametrize("config", [{"credsStore": "tests"}, {"credHelpers": {"HOST": "tests"}}])
def test_credential_helper(engine, private, home, config, tmp_path, monkeypatch):
    name = f"{private.host}/team/busybox:1"
    (tmp_path / "docker-credential-tests").write_text(HELPER)
    (tmp_path / "docker-credential-tests").chmod(0o755)
    monkeypatch.setitem(engine.env, "PATH", f"{tmp_path}:{engine.env['PATH']}")
    home.parent.mkdir(mode=0o700, exist_ok=True)
    home.write_text(json.dumps(config).replace("HOST", private.host))
    done = ours(engine, private.host)
    assert (done.returncode, done.stdout, done.stderr) == (0, "Login Succeeded\n", ""), done
    assert json.loads((engine.home / "kept").read_text()) == {"ServerURL": private.host, "Username": "alice", "Secret": PASSWORD}
    assert json.loads(home.read_text())["auths"] == {private.host: {}}
    for client in (engine.tare, engine.docker):
        assert client("pull", "-q", name).stdout == f"{name}\n"
        engine.tare("rmi", name)
    assert "Removing" in engine.tare("logout", private.host).stdout and not (engine.home / "kept").exists()
    assert "no basic auth credentials" in engine.tare("pull", name, check=False).stderr


@pytest.mark.parametrize("config, words", [
    ("{", "config.json"), ("[]", "expected an object"), ('{"auths": {"HOST": {"auth": "??"}}}', "no base64 of user:password"),
    ('{"credsStore": "nobody-has-it"}', "cannot run the credential helper docker-credential-nobody-has-it: no such file"),
    ('{"credsStore": "../../bin/sh"}', "is no name of a credential helper"),
])
def test_bad_config(engine, private, home, config, words):
    home.parent.mkdir(mode=0o700, exist_ok=True)
    home.write_text(config.replace("HOST", private.host))
    for arguments in (["pull", f"{private.host}/team/busybox:1"], ["run", "--rm", f"{private.host}/team/busybox:1"]):
        done = engine.tare(*arguments, check=False)
        assert done.returncode in (1, 125, 127) and words in done.stderr, done
    assert home.read_text() == config.replace("HOST", private.host)


@pytest.mark.parametrize("arguments, words", [
    (["-p", "x", "--password-stdin"], "mutually exclusive"), (["--password-stdin"], "Must provide --username"),
    ([], "non TTY device"), (["-u", "alice"], "non TTY device"),
])
def test_bad_options(engine, private, home, arguments, words):
    done = engine.tare("login", *arguments, private.host, check=False)
    assert done.returncode == 1 and words in done.stderr, done
    done = ours(engine, private.host, WRONG)
    assert done.returncode == 1 and "incorrect username or password" in done.stderr and not home.exists()


def test_on_a_terminal(engine, private, home):
    """The password does not show; Ctrl-C at the prompt leaves a terminal that does."""
    terminal = Terminal(engine, PROGRAMS / "tare", "login", private.host)
    terminal.expect("Username: ")
    terminal.type("alice\n")
    terminal.expect("Password: ")
    terminal.type(f"{PASSWORD}\n")
    assert PASSWORD not in terminal.expect("Login Succeeded")
    assert terminal.wait() == 0 and private.host in home.read_text()
    home.unlink()

    terminal = Terminal(engine, "/bin/sh", "-c", f"trap : INT; {PROGRAMS}/tare login -u alice {private.host}; stty -a")
    terminal.expect("Password: ")
    terminal.type("\x03")
    terminal.expect(" echo ")  # and not " -echo "
    terminal.wait()
    assert not home.exists()
