#!/usr/bin/env python3
"""bench/registry.py BUILD [ROUNDS]: pulls from Debian's docker-registry on loopback, tare beside dockerd where that is
installed, storage on tmpfs, interleaved. `rows` is for those who print one table of several such things.

Re-executes itself in tests/isolate. Each image is pulled into an empty store; the peak is the sum of the proportional sizes
(PSS) of all of an engine's processes, looked at every few milliseconds in a run of its own.
"""
import gzip
import hashlib
import io
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import tarfile
import tempfile
import threading
import time

TOP = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(TOP / "tests"))

LARGE_BYTES = 1_090_000_000
LARGE_LAYERS = 5


def large_image(cache):
    """An OCI archive of LARGE_LAYERS gzip layers with this machine's own libraries and programs in them."""
    path = cache / "large.oci-archive.tar"
    if path.exists():
        return path
    layout = cache / "large.layout"
    shutil.rmtree(layout, ignore_errors=True)
    blobs = layout / "blobs/sha256"
    blobs.mkdir(parents=True)

    def blob(data):
        digest = hashlib.sha256(data).hexdigest()
        (blobs / digest).write_bytes(data)
        return {"digest": f"sha256:{digest}", "size": len(data)}
    # A copy of each file until there is enough: only its bytes and its mode are of this machine.
    found = (os.path.join(folder, name) for top in ("/usr/lib", "/usr/share", "/usr/bin") for folder, _, names in sorted(os.walk(top)) for name in sorted(names))
    layers, diff_ids = [], []
    for _ in range(LARGE_LAYERS):
        stream, total = io.BytesIO(), 0
        with tarfile.open(fileobj=stream, mode="w") as tar:
            for name in found:
                if os.path.isfile(name) and not os.path.islink(name):
                    tar.add(name, name.lstrip("/"))
                    total += os.path.getsize(name)
                if total >= LARGE_BYTES / LARGE_LAYERS:
                    break
        plain = stream.getvalue()
        diff_ids.append(f"sha256:{hashlib.sha256(plain).hexdigest()}")
        layers.append({"mediaType": "application/vnd.oci.image.layer.v1.tar+gzip", **blob(gzip.compress(plain, 6, mtime=0))})
    config = {"architecture": "amd64", "os": "linux", "config": {}, "rootfs": {"type": "layers", "diff_ids": diff_ids}}
    manifest = {"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
                "config": {"mediaType": "application/vnd.oci.image.config.v1+json", **blob(json.dumps(config).encode())}, "layers": layers}
    entry = {"mediaType": manifest["mediaType"], **blob(json.dumps(manifest).encode()), "annotations": {"org.opencontainers.image.ref.name": "x"}}
    (layout / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
    (layout / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [entry]}))
    subprocess.run(["tar", "-C", layout, "-cf", f"{path}.tmp", "."], check=True)
    os.rename(f"{path}.tmp", path)
    shutil.rmtree(layout)
    return path


class Peak:
    """The most that the processes chosen by their command line have had at once: each its own, and all together (PSS)."""

    def __init__(self, chosen):
        self.chosen, self.each, self.sum, self.over = chosen, {}, 0, False
        self.thread = threading.Thread(target=self.watch)

    def look(self):
        total = 0
        for entry in filter(str.isdigit, os.listdir("/proc")):
            try:
                command = pathlib.Path("/proc", entry, "cmdline").read_text().split("\0")[0]
                if not self.chosen(command):
                    continue
                lines = dict(line.split(":", 1) for line in pathlib.Path("/proc", entry, "smaps_rollup").read_text().splitlines()[1:])
            except (OSError, ValueError):
                continue
            total += int(lines["Pss"].split()[0])
            name = os.path.basename(command)
            self.each[name] = max(self.each.get(name, 0), int(lines["Rss"].split()[0]))
        self.sum = max(self.sum, total)

    def watch(self):
        while not self.over:
            self.look()
            time.sleep(0.01)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.over = True
        self.thread.join()


class Dockerd:
    """Debian's, by itself in namespaces that the caller has made; no bridge, no firewall."""

    def __init__(self, root):
        self.socket = root / "docker.sock"
        self.log = open(root / "dockerd.log", "wb")
        self.process = subprocess.Popen(
            [shutil.which("dockerd"), "--data-root", root / "docker", "--exec-root", root / "docker-exec", "--pidfile", root / "docker.pid", "-H", f"unix://{self.socket}",
             "--storage-driver", "overlay2", "--oom-score-adjust=0", "--bridge=none", "--iptables=false", "--ip-forward=false", "--ip-masq=false"], stdout=self.log, stderr=self.log)
        for _ in range(600):
            if self.process.poll() is not None or subprocess.run(self.command("version"), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode == 0:
                break
            time.sleep(0.1)

    def command(self, *words):
        return [shutil.which("docker"), "-H", f"unix://{self.socket}", *words]

    def stop(self):
        self.process.terminate()
        self.process.wait()


class Tare:
    def __init__(self, root):
        from harness.engine import PROGRAMS, Engine
        root.mkdir()
        self.engine, self.program = Engine(root=root).start(), PROGRAMS / "tare"

    def command(self, *words):
        return [self.program, "-H", f"unix://{self.engine.socket}", *words]

    def stop(self):
        self.engine.stop()


def timed(command):
    start = time.perf_counter()
    done = subprocess.run([str(word) for word in command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)
    if done.returncode != 0:
        raise SystemExit(f"{command}: {done.returncode}\n{done.stdout.decode()}")
    return time.perf_counter() - start


def pull(peer, name):
    seconds = timed(peer.command("pull", "-q", name))
    timed(peer.command("rmi", "-f", name))
    return seconds


def pull_rows(work, rounds):
    """(what, contender, [seconds], peak of each process in kB, peak PSS of all in kB) for each image and contender; `work` is on tmpfs."""
    from harness import images
    from harness.distribution import Registry
    registry = Registry(work / "registry").start()
    contenders = {"tare": (Tare(work / "tare"), lambda c: "tare-" in c)}
    if shutil.which("dockerd"):
        contenders["docker"] = (Dockerd(work), lambda c: "dockerd" in c or "containerd" in c)
    rows = []
    try:
        wanted = {"1.1 GB in 5 layers": large_image(images.CACHE), "Debian minbase": images.debian("oci-archive")}
        for what, archive in wanted.items():
            name = f"{registry.host}/bench/{what.split()[-1]}:1"
            registry.fill(f"oci-archive:{archive}", name.partition("/")[2])
            taken = {contender: [] for contender in contenders}
            for _ in range(rounds):
                for contender, (peer, _) in contenders.items():
                    taken[contender].append(pull(peer, name))
            for contender, (peer, chosen) in contenders.items():
                with Peak(chosen) as peak:
                    pull(peer, name)
                rows.append((what, contender, taken[contender], peak.each, peak.sum))
    finally:
        for peer, _ in contenders.values():
            peer.stop()
        registry.stop()
    return rows


def main():
    build = pathlib.Path(sys.argv[1]).resolve()
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 3
    if "TARE_BENCH_INSIDE" not in os.environ:
        os.environ.update(TARE_BENCH_INSIDE="1", TARE_BUILD=str(build))
        os.execv(TOP / "tests/isolate", [str(TOP / "tests/isolate"), sys.executable, "-B", __file__, str(build), str(rounds)])
    work = pathlib.Path(tempfile.mkdtemp(prefix="tare-bench-"))
    subprocess.run(["mount", "-t", "tmpfs", "tare-bench", work], check=True)
    subprocess.run(["mount", "-t", "tmpfs", "tare-bench", "/run"], check=True)
    try:
        rows = pull_rows(work, rounds)
    finally:
        subprocess.run(["umount", "-l", work])
        work.rmdir()
    print(f"pulls, {rounds} interleaved rounds, storage on tmpfs\n{'':20} {'':8}{'median s':>9}{'min':>7}  peak PSS of all, RSS of each (MB)")
    for what, contender, taken, each, total in rows:
        print(f"{what:20} {contender:8}{statistics.median(taken):9.2f}{min(taken):7.2f}  {total // 1024}, " +
              ", ".join(f"{name} {size // 1024}" for name, size in sorted(each.items())))


if __name__ == "__main__":
    main()
