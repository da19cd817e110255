"""The Engine API as raw bytes and documents: what is malformed, out of bounds or of the wrong type is refused with Docker's
status and the engine goes on; names and IDs; a container's life over the API, with the engine killed in the middle of it."""
import concurrent.futures
import http.client
import json
import os
import pathlib
import random
import re
import signal
import socket
import threading
import time

import pytest

from harness.engine import TIMEOUT, UnixConnection, wait_for

PING = b"GET /_ping HTTP/1.1\r\nHost: x\r\n\r\n"


def exchange(engine, data):
    """Sends bytes, says that it is done, and returns all that comes back."""
    client = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    client.settimeout(TIMEOUT)
    client.connect(str(engine.socket))
    received = b""
    try:
        try:
            client.sendall(data)
            client.shutdown(socket.SHUT_WR)
        except (BrokenPipeError, ConnectionResetError, OSError):
            pass
        while chunk := client.recv(65536):
            received += chunk
    except ConnectionResetError:
        pass
    finally:
        client.close()
    return received


def statuses(answer):
    return [int(status) for status in re.findall(rb"HTTP/1\.1 (\d+) ", answer)]


# --- framing (T-AP04) ---

REFUSED = {
    "bad method": (b"G@T /_ping HTTP/1.1\r\nHost: x\r\n\r\n", {400, 405, 501}),
    "no version": (b"GET /_ping\r\n\r\n", {400, 505}),
    "version 2": (b"GET /_ping HTTP/2.0\r\nHost: x\r\n\r\n", {400, 505}),
    "tls hello": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(32), {400}),
    "long line": (b"GET /" + b"a" * 65536 + b" HTTP/1.1\r\nHost: x\r\n\r\n", {414, 400}),
    "many headers": (b"GET /_ping HTTP/1.1\r\n" + b"A: b\r\n" * 10 ** 4 + b"\r\n", {431}),
    "large headers": (b"GET /_ping HTTP/1.1\r\nA: " + b"b" * 70000 + b"\r\n\r\n", {431}),
    "NUL": (b"GET /_ping HTTP/1.1\r\nHost: x\0y\r\n\r\n", {400}),
    "bare CR": (b"GET /_ping HTTP/1.1\rHost: x\r\n\r\n", {400}),
    "bare LF": (b"GET /_ping HTTP/1.1\nHost: x\n\n", {400}),
    "folded header": (b"GET /_ping HTTP/1.1\r\nHost: x\r\n y\r\n\r\n", {400}),
    "blank before colon": (b"GET /_ping HTTP/1.1\r\nHost : x\r\n\r\n", {400}),
    "both lengths": (b"POST /auth HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", {400}),
    "two lengths": (b"POST /auth HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello", {400}),
    "negative length": (b"POST /auth HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n", {400}),
    "huge length": (b"POST /auth HTTP/1.1\r\nHost: x\r\nContent-Length: 18446744073709551616\r\n\r\n", {400, 413}),
    "unknown coding": (b"POST /auth HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n\r\n", {400, 501}),
    "chunk overflow": (b"POST /auth HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n", {400}),
    "chunk garbage": (b"POST /auth HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n", {400}),
    "web page": (b"GET /_ping HTTP/1.1\r\nHost: x\r\nOrigin: http://evil\r\n\r\n", {403}),
}


@pytest.mark.parametrize("name", REFUSED)
def test_malformed_request(engine, name):
    """One refusal, and nothing after it is taken for a second request."""
    data, expected = REFUSED[name]
    found = statuses(exchange(engine, data + PING))
    assert len(found) == 1 and found[0] in expected, found
    assert engine.answers()


def test_random_bytes(engine):
    dice = random.Random(7)
    whole = b"POST /v1.50/containers/create?name=x HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"
    for _ in range(500):
        data = bytearray(whole)
        for _ in range(dice.randrange(1, 6)):
            data[dice.randrange(len(data))] = dice.randrange(256)
        exchange(engine, bytes(data[:dice.randrange(1, len(data) + 1)]))
    assert engine.answers()


def test_pipelined_requests_are_answered_in_order(engine):
    answer = exchange(engine, PING * 50 + b"GET /v1.50/nothing HTTP/1.1\r\nHost: x\r\n\r\n" + PING)
    assert statuses(answer) == [200] * 50 + [404, 200]


def test_slow_heads_are_dropped_and_others_served(engine):
    clients = []
    start = time.monotonic()
    for _ in range(200):
        client = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        client.settimeout(60)
        client.connect(str(engine.socket))
        client.send(b"GET /_ping HTT")
        clients.append(client)
    assert engine.api("GET", "/_ping", timeout=5)[0] == 200
    assert statuses(clients[0].recv(65536)) == [408]
    assert time.monotonic() - start > 8
    for client in clients:
        client.close()


def test_expect_continue(engine):
    client = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    client.settimeout(TIMEOUT)
    client.connect(str(engine.socket))
    client.sendall(b"POST /v1.50/containers/create HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n")
    assert client.recv(1000).startswith(b"HTTP/1.1 100 Continue\r\n")
    client.sendall(b"{}")
    assert statuses(client.recv(65536)) == [400]
    client.close()


def test_versions(engine):
    def message(path):
        status, answer = engine.api("GET", path)
        return status, (answer or {}).get("message") if isinstance(answer, dict) else None
    assert message("/v1.51/version") == (400, "client version 1.51 is too new. Maximum supported API version is 1.50")
    status, text = message("/v1.23/version")
    assert status == 400 and text.startswith("client version 1.23 is too old. Minimum supported API version is 1.24")
    assert message("/v1.24/version")[0] == 200
    assert message("/v1.50/nothing") == (404, "page not found")
    connection = UnixConnection(engine.socket)
    connection.request("HEAD", "/_ping")
    response = connection.getresponse()
    assert response.status == 200 and response.read() == b""
    headers = {key.lower(): value for key, value in response.getheaders()}
    assert headers["api-version"] == "1.50" and headers["builder-version"] == "1" and headers["ostype"] == "linux"
    assert headers["docker-experimental"] == "false" and headers["server"].startswith("tare/")
    connection.close()


# --- documents (T-AP08, T-AP09) ---

def create(engine, body, name=None):
    return engine.api("POST", "/containers/create" + (f"?name={name}" if name else ""), body)


def refused(engine, body, *words):
    status, answer = create(engine, body)
    assert status == 400, (body, status, answer)
    assert all(word in answer["message"] for word in words), answer


def test_wrong_types_name_the_member(engine):
    for member, value in {"Cmd": 7, "Env": "A=b", "Tty": "yes", "Labels": ["a"], "ExposedPorts": [80], "Image": {}, "StopTimeout": "x",
                          "User": 7, "Healthcheck": [], "Volumes": "/x"}.items():
        refused(engine, {"Image": "busybox", member: value}, member)
    for member, value in {"Memory": "64m", "Binds": {}, "PortBindings": [], "CapAdd": {"x": 1}, "RestartPolicy": "always", "Devices": {},
                          "Privileged": 1, "ShmSize": [], "LogConfig": "none", "Ulimits": [7], "Mounts": [{"Target": 3}],
                          "NanoCpus": 1.5, "PidsLimit": "9", "Tmpfs": ["/x"], "Sysctls": 5}.items():
        refused(engine, {"Image": "busybox", "HostConfig": {member: value}}, member)


def test_null_and_unknown_members_are_nothing(engine):
    body = {"Image": "busybox", "Cmd": ["true"], "Env": None, "Labels": None, "Hopes": {"a": [1]}, "HostConfig": {"Memory": None, "Binds": None, "Dreams": 3}}
    status, answer = create(engine, body)
    assert status == 201 and answer["Warnings"] == []
    assert engine.api("DELETE", f"/containers/{answer['Id']}")[0] == 204
    status, answer = create(engine, b'{"Image":"nosuch","Image":"busybox","Cmd":["true"]}')
    assert status == 400 or status == 201  # the content type is missing, or the last one wins


def test_broken_json(engine):
    json_type = {"Content-Type": "application/json"}
    for body in (b"{", b"[]", b"7", b"", b"{}{}", b"\xff\xfe{}", b'{"Image":"\xff"}', b'{"Memory":1e400}', b"[" * 10 ** 4, b'{"a":' * 10 ** 4,
                 b'{"HostConfig":{"Memory":9223372036854775808}}', b'{"HostConfig":{"Memory":-9223372036854775809}}'):
        status, answer = engine.api("POST", "/containers/create", body, json_type)
        assert status == 400 and answer["message"], body[:40]
    status, answer = engine.api("POST", "/containers/create", b"{}", {"Content-Type": "text/plain"})
    assert status == 400
    assert engine.api("POST", "/containers/create", b" " * (4 * 1024 * 1024 + 1), json_type)[0] in (400, 413)


def test_number_bounds(engine):
    for host in ({"Memory": 6291455}, {"Memory": -1}, {"Memory": 1 << 62, "MemorySwap": 1}, {"NanoCpus": 1 << 62}, {"PidsLimit": -(1 << 63)},
                 {"CpusetCpus": "0-4294967295"}, {"CpusetCpus": "0-18446744073709551616"}, {"CpusetMems": "9" * 1000}, {"OomScoreAdj": 1 << 31},
                 {"OomScoreAdj": -(1 << 63)}, {"ShmSize": -(1 << 63)}, {"CpuPeriod": 1 << 62}, {"CpuShares": -(1 << 63)}, {"BlkioWeight": 65535},
                 {"Ulimits": [{"Name": "nofile", "Soft": 1 << 62, "Hard": 1}]}, {"PortBindings": {"65536/tcp": [{}]}},
                 {"PortBindings": {"0-4294967295/tcp": [{}]}}, {"LogConfig": {"Type": "json-file", "Config": {"max-size": "9" * 40}}},
                 {"LogConfig": {"Type": "json-file", "Config": {"max-file": "99999999999"}}}, {"Tmpfs": {"/x": "size=1,evil=2"}}):
        refused(engine, {"Image": "busybox", "Cmd": ["true"], "HostConfig": host})
    refused(engine, {"Image": "busybox", "Cmd": ["true"], "StopTimeout": 1 << 40})
    for query in ("t=abc", "t=99999999999999999999", "t=1.5"):
        assert engine.api("POST", f"/containers/nobody/stop?{query}")[0] in (400, 404)
    for query in ("tail=-5", "since=abc", "until=1e9"):
        made = make(engine, "true")
        assert engine.api("GET", f"/containers/{made}/logs?stdout=1&{query}")[0] in (200, 400)
        assert engine.api("DELETE", f"/containers/{made}")[0] == 204


def test_filters(engine):
    for path in ("/containers/json", "/images/json", "/volumes", "/networks", "/events"):
        for text in ("{", "[]", '{"nothing":["x"]}', '{"name":"x"}', '{"name":[1]}'):
            status, answer = engine.api("GET", f"{path}?filters={text}&until=1")
            assert status == 400 and "filter" in answer["message"], (path, text)
    assert engine.api("GET", '/containers/json?filters={"status":["sleeping"]}')[0] == 400


# --- names and IDs (T-AP15) ---

def make(engine, *command, name=None, **host):
    status, answer = create(engine, {"Image": "busybox", "Cmd": list(command), "HostConfig": host}, name)
    assert status == 201, answer
    return answer["Id"]


def test_names(engine):
    identity = make(engine, "true", name="first.name")
    status, answer = create(engine, {"Image": "busybox", "Cmd": ["true"]}, "first.name")
    assert status == 409
    assert answer["message"] == (f'Conflict. The container name "/first.name" is already in use by container "{identity}". '
                                 "You have to remove (or rename) that container to be able to reuse that name.")
    for bad in ("a", "-x", "a%20b", "%2e%2e", "a%2fb", "x" * 300, "%c3%a9e"):
        status, answer = create(engine, {"Image": "busybox", "Cmd": ["true"]}, bad)
        assert status == 400 and "nvalid container name" in answer["message"], bad
    assert engine.api("GET", "/containers/%2ffirst.name/json")[1]["Id"] == identity
    assert engine.api("GET", f"/containers/{identity[:12]}/json")[1]["Id"] == identity
    assert engine.api("GET", f"/containers/{identity[:-1]}0/json")[0] == (200 if identity.endswith("0") else 404)

    # A name that is another's prefix wins over the prefix.
    other = make(engine, "true", name=identity[:10])
    assert engine.api("GET", f"/containers/{identity[:10]}/json")[1]["Id"] == other
    assert engine.api("GET", f"/containers/{identity[:9]}/json")[1]["Id"] == identity
    status, answer = engine.api("POST", f"/containers/{other}/rename?name=first.name")
    assert status == 409 and answer["message"].startswith("Error when allocating new name: Conflict. The container name")
    assert engine.api("POST", f"/containers/{other}/rename?name=")[0] == 400
    assert engine.api("POST", f"/containers/{other}/rename?name=second")[0] == 204
    assert engine.api("GET", "/containers/second/json")[1]["Name"] == "/second"
    for one in (identity, other):
        assert engine.api("DELETE", f"/containers/{one}")[0] == 204
    status, answer = engine.api("GET", "/containers/first.name/json")
    assert status == 404 and answer["message"] == "No such container: first.name"


def test_parallel_creates_of_one_name(engine):
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        found = list(pool.map(lambda _: create(engine, {"Image": "busybox", "Cmd": ["true"]}, "wanted")[0], range(100)))
    assert sorted(set(found)) == [201, 409] and found.count(201) == 1
    assert engine.api("DELETE", "/containers/wanted")[0] == 204


# --- a life, and the engine killed in it ---

def state(engine, identity):
    return engine.api("GET", f"/containers/{identity}/json")[1]["State"]


def test_life(engine):
    identity = make(engine, "sh", "-c", "echo up; while :; do sleep 0.05; done", name="life", NetworkMode="none")
    assert state(engine, identity)["Status"] == "created"
    assert state(engine, identity)["StartedAt"] == "0001-01-01T00:00:00Z"
    status, answer = engine.api("POST", f"/containers/{identity}/kill")
    assert status == 409 and answer["message"].endswith(f"container {identity} is not running")
    assert engine.api("POST", f"/containers/{identity}/stop")[0] == 304
    assert engine.api("POST", f"/containers/{identity}/start")[0] == 204
    assert engine.api("POST", f"/containers/{identity}/start")[0] == 304
    assert state(engine, identity)["Running"] and os.path.exists(f"/proc/{state(engine, identity)['Pid']}")
    status, answer = engine.api("DELETE", f"/containers/{identity}")
    assert status == 409 and "container is running: stop the container before removing or force remove" in answer["message"]
    assert engine.api("POST", f"/containers/{identity}/pause")[0] == 204
    assert engine.api("POST", f"/containers/{identity}/pause")[0] == 409
    status, answer = engine.api("POST", f"/containers/{identity}/exec", {"Cmd": ["true"]})
    assert status == 409 and "paused" in answer["message"]
    assert engine.api("POST", f"/containers/{identity}/unpause")[0] == 204
    assert engine.api("POST", f"/containers/{identity}/unpause")[0] == 409
    top = engine.api("GET", f"/containers/{identity}/top")[1]
    assert "PID" in top["Titles"] and len(top["Processes"]) >= 1
    assert engine.api("POST", f"/containers/{identity}/update", {"RestartPolicy": {"Name": "on-failure", "MaximumRetryCount": 2}})[0] == 200
    assert engine.api("GET", f"/containers/{identity}/json")[1]["HostConfig"]["RestartPolicy"]["Name"] == "on-failure"
    assert engine.api("POST", f"/containers/{identity}/update", {"Ulimits": [{"Name": "nofile", "Soft": 1, "Hard": 1}]})[0] == 501
    assert engine.api("POST", f"/containers/{identity}/restart?t=0")[0] == 204
    assert engine.api("POST", f"/containers/{identity}/stop?t=0")[0] == 204
    ended = state(engine, identity)
    assert ended["Status"] == "exited" and ended["ExitCode"] == 137 and not ended["Running"] and ended["Pid"] == 0
    assert engine.api("DELETE", f"/containers/{identity}")[0] == 204
    assert engine.api("DELETE", f"/containers/{identity}")[0] == 404


def test_failed_start_says_why(engine):
    identity = make(engine, "/no/such/program")
    status, answer = engine.api("POST", f"/containers/{identity}/start")
    assert status == 400 and "no such file or directory" in answer["message"]
    assert state(engine, identity)["ExitCode"] == 127 and "no such file" in state(engine, identity)["Error"]
    assert engine.api("DELETE", f"/containers/{identity}")[0] == 204


def events(engine, since, until, **filters):
    text = json.dumps({key: [value] for key, value in filters.items()})
    data = engine.api("GET", f"/events?since={since:.9f}&until={until:.9f}&filters={text.replace(' ', '')}", raw=True)[1]
    return [json.loads(line) for line in data.splitlines()]


def test_restarts_of_the_engine_lose_and_repeat_nothing(engine):
    """Containers end while the engine is being killed again and again; each event is told once, each exit code is right."""
    since = time.time()
    count = 12
    ids = [make(engine, "sh", "-c", f"sleep 0.{i}; exit {i}") for i in range(count)]
    stop = threading.Event()

    def start_all():
        for identity in ids:
            while not stop.is_set():
                try:
                    if engine.api("POST", f"/containers/{identity}/start", timeout=10)[0] in (204, 304):
                        break
                except (OSError, http.client.HTTPException):
                    time.sleep(0.02)
    starter = threading.Thread(target=start_all)
    starter.start()
    for _ in range(8):
        pid = engine.engine_pid()
        if pid:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        time.sleep(0.15)
    starter.join(60)
    stop.set()
    wait_for(engine.answers, "the engine")
    for i, identity in enumerate(ids):
        wait_for(lambda: state(engine, identity)["Status"] == "exited", "its end")
        # A start that was not acknowledged may have been made twice: the same code then.
        assert state(engine, identity)["ExitCode"] == i
    for identity in ids:
        seen = [event["Action"] for event in events(engine, since, time.time() + 0.001, container=identity)]
        life = [action for action in seen if action in ("create", "start", "die")]
        assert life[0] == "create" and life[1:] == ["start", "die"] * (len(life) // 2), seen
        assert engine.api("DELETE", f"/containers/{identity}")[0] == 204


def test_what_was_acknowledged_is_there_after_a_kill(engine):
    made = {}
    for turn in range(5):  # tared starts ten engines at once, and then one a second
        name = f"kept{turn}"
        made[name] = make(engine, "true", name=name)
        assert engine.api("POST", f"/containers/{name}/rename?name={name}.new")[0] == 204
        engine.kill_engine()
        assert engine.api("GET", f"/containers/{name}.new/json")[1]["Id"] == made[name]
        assert engine.api("DELETE", f"/containers/{name}.new")[0] == 204
        engine.kill_engine()
        assert engine.api("GET", f"/containers/{made[name]}/json")[0] == 404


def test_auto_remove_while_the_engine_is_away(engine, tmp_path):
    identity = make(engine, "sh", "-c", "while [ ! -e /gate/open ]; do sleep 0.02; done", AutoRemove=True, Binds=[f"{tmp_path}:/gate"])
    assert engine.api("POST", f"/containers/{identity}/start")[0] == 204
    pid = state(engine, identity)["Pid"]
    waiter = UnixConnection(engine.socket, 30)
    waiter.request("POST", f"/v1.50/containers/{identity}/wait?condition=removed")
    response = waiter.getresponse()
    os.kill(engine.engine_pid(), signal.SIGSTOP)
    (tmp_path / "open").touch()
    wait_for(lambda: not os.path.exists(f"/proc/{pid}"), "the container's end")
    engine.kill_engine()
    assert json.loads(response.read())["StatusCode"] == 0
    waiter.close()
    assert engine.api("GET", f"/containers/{identity}/json")[0] == 404
    assert not (engine.exec_root / "containers" / identity).exists()


def attach_and_leave(engine, identity, query):
    client = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    client.settimeout(TIMEOUT)
    client.connect(str(engine.socket))
    client.sendall(f"POST /v1.50/containers/{identity}/attach?stream=1&{query} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n".encode())
    assert client.recv(1000).startswith(b"HTTP/1.1 101")
    client.close()


@pytest.mark.parametrize("query", ["stdout=1", "stdout=1&stdin=1"])
def test_clients_that_leave_are_forgotten(engine, query):
    """Attached to a container that never starts, or that runs and says nothing: more of them than a monitor serves at a time."""
    created, running = make(engine, "true"), make(engine, "sleep", "1000")
    assert engine.api("POST", f"/containers/{running}/start")[0] == 204
    for _ in range(1100):
        attach_and_leave(engine, running, query)
    attach_and_leave(engine, created, query)
    wait_for(lambda: engine.monitor_pid(created) is None, "the end of a monitor that nobody needs")
    fds = pathlib.Path(f"/proc/{engine.monitor_pid(running)}/fd")
    wait_for(lambda: len(os.listdir(fds)) < 100, "the end of what it had of them")
    for identity in (created, running):
        assert engine.api("DELETE", f"/containers/{identity}?force=1")[0] == 204


def test_volumes(engine):
    status, volume = engine.api("POST", "/volumes/create", {"Name": "kept", "Labels": {"a": "b"}})
    assert status == 201 and volume["Driver"] == "local" and volume["Labels"] == {"a": "b"} and volume["Mountpoint"].endswith("/volumes/kept/_data")
    assert engine.api("POST", "/volumes/create", {"Name": "x"})[0] == 400
    assert engine.api("POST", "/volumes/create", {"Name": "../up"})[0] == 400
    assert engine.api("POST", "/volumes/create", {"Name": "kept2", "Driver": "nfs"})[0] == 404
    identity = make(engine, "true", Binds=["kept:/data", "/anonymous"][:1])
    status, answer = engine.api("DELETE", "/volumes/kept")
    assert status == 409 and f"remove kept: volume is in use - [{identity}]" == answer["message"]
    mounts = engine.api("GET", f"/containers/{identity}/json")[1]["Mounts"]
    assert [(m["Type"], m["Name"], m["Destination"], m["RW"]) for m in mounts] == [("volume", "kept", "/data", True)]
    assert engine.api("DELETE", f"/containers/{identity}?v=1")[0] == 204
    assert [v["Name"] for v in engine.api("GET", "/volumes")[1]["Volumes"]] == ["kept"]  # named ones stay
    status, answer = create(engine, {"Image": "busybox", "Cmd": ["true"], "Volumes": {"/anon": {}}})
    name = engine.api("GET", f"/containers/{answer['Id']}/json")[1]["Mounts"][0]["Name"]
    assert len(name) == 64 and engine.api("GET", f"/volumes/{name}")[0] == 200
    assert engine.api("DELETE", f"/containers/{answer['Id']}?v=1")[0] == 204
    assert engine.api("GET", f"/volumes/{name}")[0] == 404
    assert engine.api("DELETE", "/volumes/kept")[0] == 204
    status, answer = engine.api("DELETE", "/volumes/kept")
    assert status == 404 and answer["message"] == "get kept: no such volume"


def test_mounts_refused(engine):
    for binds in (["/a"], ["/a:b"], ["rel/x:/b"], ["/a:/b:rx"], ["/a:/"], ["/a:/b", "/c:/b"], ["x:/b"], ["/a:/b:ro,rw"], ["a:b:c:d"]):
        refused(engine, {"Image": "busybox", "Cmd": ["true"], "HostConfig": {"Binds": binds}})
    for mount in ({"Type": "bind", "Target": "/x"}, {"Type": "bind", "Source": "rel", "Target": "/x"}, {"Type": "cow", "Target": "/x"},
                  {"Type": "volume", "Source": "v1", "Target": ""}, {"Type": "tmpfs", "Source": "x", "Target": "/x"},
                  {"Type": "bind", "Source": "/a", "Target": "/x", "BindOptions": {"Propagation": "wild"}}):
        refused(engine, {"Image": "busybox", "Cmd": ["true"], "HostConfig": {"Mounts": [mount]}}, "mount")


# --- a monitor that is there before it is asked for ---

def create_to_remove(engine):
    status, created = engine.api("POST", "/containers/create", {
        "Image": "busybox", "Cmd": ["sh", "-c", "echo started"], "HostConfig": {"AutoRemove": True, "NetworkMode": "none"}})
    assert status == 201
    return created["Id"]


def test_an_anticipated_monitor_is_the_one_that_starts(engine):
    identifier = create_to_remove(engine)
    wait_for(lambda: engine.monitor_pid(identifier), "a monitor before any request")
    status, _ = engine.api("POST", f"/containers/{identifier}/rename?name=renamed")
    assert status == 204
    done = engine.tare("start", "-a", "renamed")
    assert done.stdout == "started\n"
    wait_for(lambda: engine.api("GET", f"/containers/{identifier}/json")[0] == 404, "its removal")


def test_an_anticipated_monitor_ends_if_nothing_is_asked_of_it(engine):
    identifier = create_to_remove(engine)
    pid = wait_for(lambda: engine.monitor_pid(identifier), "a monitor before any request")
    wait_for(lambda: not os.path.exists(f"/proc/{pid}"), "its end")
    assert engine.api("GET", f"/containers/{identifier}/json")[1]["State"]["Status"] == "created"
    assert engine.tare("start", "-a", identifier).stdout == "started\n"


def test_an_anticipated_monitor_that_is_killed_is_not_missed(engine):
    identifier = create_to_remove(engine)
    pid = wait_for(lambda: engine.monitor_pid(identifier), "a monitor before any request")
    os.kill(pid, signal.SIGKILL)
    wait_for(lambda: not os.path.exists(f"/proc/{pid}"), "its end")
    assert engine.tare("start", "-a", identifier).stdout == "started\n"


def test_a_removal_right_after_the_create_leaves_no_run_folder(engine):
    """Whatever the monitor has made by then: its folder is gone with it."""
    for pause in (0, 0, 0, 0.001, 0.002, 0.004):
        identifier = create_to_remove(engine)
        time.sleep(pause)
        assert engine.api("DELETE", f"/containers/{identifier}")[0] == 204
        wait_for(lambda: not engine.monitor_pid(identifier) and not (engine.exec_root / "containers" / identifier).exists(),
                 "the end of the monitor and its folder")


# --- a monitor in reserve ---

def monitor_in_reserve(engine):
    """(ID, pid) of one that was there at some moment: it is made by a start and lives for a second, which may be over."""
    def find():
        engine.tare("run", "--rm", "--network", "none", "busybox", "true")
        known = {container["Id"] for container in engine.api("GET", "/containers/json?all=1")[1]}
        folders = set(os.listdir(engine.exec_root / "containers")) - known
        return next(((identifier, pid) for identifier in folders if (pid := engine.monitor_pid(identifier))), None)
    return wait_for(find, "a monitor in reserve")


def network_made_ahead(pid):
    """Of the monitor `pid`, "net:[INODE]": made when it is asked to prepare, which is its first message."""
    def find():
        links = []
        for fd in os.listdir(f"/proc/{pid}/fd"):
            try:
                links.append(os.readlink(f"/proc/{pid}/fd/{fd}"))
            except FileNotFoundError:
                pass
        return next((link for link in links if link.startswith("net:[") and link != os.readlink("/proc/self/ns/net")), None)
    return wait_for(find, "its network namespace")


def test_a_monitor_in_reserve_is_the_next_containers(engine):
    def take():
        reserved, pid = monitor_in_reserve(engine)
        try:
            network = network_made_ahead(pid)
        except FileNotFoundError:  # its second is over
            return None
        _, created = engine.api("POST", "/containers/create", {"Image": "busybox", "Cmd": ["sleep", "1000"], "HostConfig": {"NetworkMode": "none"}})
        if created["Id"] != reserved:
            engine.api("DELETE", f"/containers/{created['Id']}")
            return None
        return reserved, pid, network
    reserved, pid, network = wait_for(take, "a container with the reserved ID")
    assert engine.api("POST", f"/containers/{reserved}/start")[0] == 204
    assert engine.monitor_pid(reserved) == pid
    init = engine.api("GET", f"/containers/{reserved}/json")[1]["State"]["Pid"]
    assert os.readlink(f"/proc/{init}/ns/net") == network
    assert engine.tare("exec", reserved, "cat", "/sys/class/net/lo/operstate").stdout == "unknown\n"  # up, as much as a loopback ever is
    assert not [fd for fd in os.listdir(f"/proc/{pid}/fd") if os.readlink(f"/proc/{pid}/fd/{fd}") == network]
    assert engine.api("DELETE", f"/containers/{reserved}?force=1")[0] == 204


def test_a_monitor_in_reserve_ends_if_no_container_comes(engine):
    reserved, pid = monitor_in_reserve(engine)
    wait_for(lambda: not os.path.exists(f"/proc/{pid}") and not (engine.exec_root / "containers" / reserved).exists(), "its end")


def test_a_monitor_in_reserve_that_is_killed_is_not_missed(engine):
    _, pid = monitor_in_reserve(engine)
    os.kill(pid, signal.SIGKILL)
    assert engine.tare("run", "--rm", "--network", "none", "busybox", "echo", "started").stdout == "started\n"


def test_a_monitor_in_reserve_goes_with_its_engine(engine):
    reserved, pid = monitor_in_reserve(engine)
    os.kill(engine.engine_pid(), signal.SIGKILL)
    wait_for(lambda: not os.path.exists(f"/proc/{pid}"), "its end")
    assert engine.api("GET", "/_ping")[0] == 200
    assert not (engine.exec_root / "containers" / reserved).exists()
