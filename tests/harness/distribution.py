"""Debian's docker-registry on loopback, filled by skopeo; and servers that are no registries."""
import base64
import http.server
import itertools
import json
import pathlib
import shutil
import socket
import ssl
import subprocess
import threading
import urllib.error
import urllib.request

from .engine import wait_for

PROGRAM = "docker-registry"
# Below those that the kernel gives to connections: what is free when it is chosen is so when it is used.
PORTS = itertools.count(20000)


def free_port():
    for port in PORTS:
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue


class Registry:
    """Plain HTTP unless `tls` (certificate, key) is given; with `users` ({name: password}) it asks for Basic authentication."""

    def __init__(self, root, users=None, tls=None, address="127.0.0.1"):
        self.root = pathlib.Path(root)
        self.users = users or {}
        self.tls = tls
        self.port = free_port()
        self.host = f"{address}:{self.port}"
        self.process = None

    def configuration(self):
        auth = ""
        if self.users:
            path = self.root / "htpasswd"
            path.unlink(missing_ok=True)
            for name, password in self.users.items():
                subprocess.run(["htpasswd", "-Bb", *([] if path.exists() else ["-c"]), path, name, password],
                               check=True, stderr=subprocess.DEVNULL)
            auth = f"auth: {{htpasswd: {{realm: tests, path: {path}}}}}\n"
        tls = ", tls: {certificate: %s, key: %s}" % self.tls if self.tls else ""
        return (f"version: 0.1\nlog: {{level: warn}}\nstorage: {{filesystem: {{rootdirectory: {self.root}/data}}, delete: {{enabled: true}}}}\n"
                f"http: {{addr: {self.host}{tls}}}\n{auth}")

    def start(self):
        self.root.mkdir(parents=True, exist_ok=True)
        (self.root / "config.yml").write_text(self.configuration())
        with open(self.root / "log", "ab") as log:
            self.process = subprocess.Popen([shutil.which(PROGRAM), "serve", self.root / "config.yml"], stdout=log, stderr=log)
        wait_for(self.answers, "docker-registry's answer")
        return self

    def answers(self):
        try:
            urllib.request.urlopen(f"{'https' if self.tls else 'http'}://{self.host}/v2/", timeout=1, context=ssl._create_unverified_context())
        except urllib.error.HTTPError:
            pass
        except OSError:
            assert self.process.poll() is None, (self.root / "log").read_text()
            return False
        return True

    def stop(self):
        self.process.kill()
        self.process.wait()
        shutil.rmtree(self.root, ignore_errors=True)

    def fill(self, source, name, *options):
        """`source` as skopeo names it: docker-archive:PATH, oci:PATH..."""
        credentials = [f"--dest-creds={user}:{password}" for user, password in list(self.users.items())[:1]]
        subprocess.run(["skopeo", "--insecure-policy", "copy", "-q", "--dest-tls-verify=false", *credentials, *options, source,
                        f"docker://{self.host}/{name}"], check=True, timeout=120)

    def docker_config(self, folder, user, password):
        """What `docker login` would have written."""
        pathlib.Path(folder).mkdir(parents=True, exist_ok=True)
        auth = base64.b64encode(f"{user}:{password}".encode()).decode()
        (pathlib.Path(folder) / "config.json").write_text(json.dumps({"auths": {self.host: {"auth": auth}}}))


class Stranger:
    """An HTTP server that notes whoever comes; `answer(path, headers)` gives status, headers and body."""

    def __init__(self, answer, address="127.0.0.1"):
        self.seen = seen = []

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                seen.append((self.path, self.headers.get("Authorization")))
                status, headers, body = answer(self.path, self.headers)
                self.send_response(status)
                for name, value in {**headers, "Content-Length": str(len(body))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass
        self.server = http.server.ThreadingHTTPServer((address, 0), Handler)
        self.host = "%s:%d" % self.server.server_address
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()

    def stop(self):
        self.server.shutdown()
        self.server.server_close()
