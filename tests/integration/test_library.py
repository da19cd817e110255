"""libtare as an installation gives it: into a folder of the test's own, and from there by pkg-config alone."""
import os
import pathlib
import shutil
import signal
import subprocess
import types

import pytest

from harness.box import PARENT, cgroup_folders, processes_of
from harness.engine import SLOW

TOP = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("TARE_BUILD", "build")).resolve()
HOST = TOP / "tests/integration/helpers/host.c"
SANITIZED = "-fsanitize=address,undefined" if "asan" in BUILD.name else ""
SCENARIOS = ["life", "mistakes", "inside", "oom", "limits", "pauses", "terminal", "documents", "network", "extremes", "threads", "orphaned"]


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """Where libtare is, and programs made with it: the example as README has it, `host` with the shared and the static library."""
    top = tmp_path_factory.mktemp("installed")
    subprocess.run(["/usr/bin/meson", "install", "-C", BUILD, "--no-rebuild", "--quiet", "--destdir", top], check=True, stdout=subprocess.DEVNULL)
    pc = next(top.rglob("tare.pc"))
    env = {**os.environ, "PKG_CONFIG_PATH": str(pc.parent), "PKG_CONFIG_SYSROOT_DIR": str(top), "LD_LIBRARY_PATH": str(pc.parent.parent),
           "TARE_RUNTIME": str(next(top.rglob("libexec/tare/tare-runtime")))}
    flags = subprocess.check_output(["pkg-config", "--cflags", "--libs", "tare"], env=env, text=True).strip()
    sanitizer = [SANITIZED] if SANITIZED else []

    def cc(source, program, libraries=flags, *more):
        subprocess.run(["cc", "-Wall", "-Wextra", "-Werror", "-g", *more, *sanitizer, "-o", top / program, source, *libraries.split()],
                       check=True, env=env)
    cc(TOP / "examples/contained.c", "contained")
    cc(HOST, "host-shared")
    cc(HOST, "host-static", flags.replace("-ltare", "-l:libtare.a"))
    return types.SimpleNamespace(top=top, env=env, flags=flags, lib=pc.parent.parent, cc=cc)


@pytest.fixture
def nothing_left(box):
    yield
    assert not processes_of(box)
    assert [path.name for path in box.state.glob("*") if path.name != ":seccomp"] == []
    assert not [group for top in cgroup_folders(PARENT) for group in top.iterdir() if group.is_dir()]


def host(installed, box, scenario, *arguments, kind="shared"):
    result = subprocess.run([installed.top / f"host-{kind}", scenario, box.root, box.state, f"/{PARENT}", *arguments], env=installed.env,
                            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=300 * SLOW)
    assert result.returncode == 0 and not result.stderr and not result.stdout, (result.returncode, result.stdout, result.stderr)


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_scenario(installed, box, nothing_left, scenario):
    host(installed, box, scenario)


def test_many_in_a_row(installed, box, nothing_left):
    host(installed, box, "many", "10" if SANITIZED else "100")


@pytest.mark.parametrize("scenario", ["life", "inside", pytest.param("threads", marks=pytest.mark.slow)])
def test_static(installed, box, nothing_left, scenario):
    host(installed, box, scenario, kind="static")


def test_example(installed, box):
    def contained(*command, **options):
        alone = ["unshare", "-m", "--propagation", "private", "sh", "-c", 'mount -t tmpfs tmpfs /run && exec "$@"', "sh"]  # the state is in /run
        return subprocess.run([*alone, installed.top / "contained", box.root, *command], env=installed.env, capture_output=True, text=True,
                              timeout=60 * SLOW, **options)
    result = contained("sh", "-c", "cat; hostname; grep -c . /proc/self/cgroup; exit 7", input="given\n")
    assert result.returncode == 7 and not result.stderr and result.stdout.startswith("given\ntare-")
    missing = contained("nonexistent")
    assert missing.returncode == 125 and "executable file not found" in missing.stderr
    assert len((TOP / "examples/contained.c").read_text().splitlines()) < 30
    assert not processes_of(box)


@pytest.mark.parametrize("scenario", ["life", "network"])
def test_an_ordinary_user(installed, box, scenario):
    """With what he may read: copies, in a folder that is open to him."""
    user, state = 43210, box.top / "his"
    state.mkdir()
    os.chown(state, user, user)
    for folder in (box.top, box.bundle, box.root):
        folder.chmod(0o755)
    host_copy, runtime = (shutil.copy(path, box.top) for path in (installed.top / "host-static", installed.env["TARE_RUNTIME"]))
    result = subprocess.run([host_copy, scenario, box.root, state, "/his"], env={"TARE_RUNTIME": runtime}, user=user, group=user, extra_groups=[],
                            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=300 * SLOW)
    assert result.returncode == 0 and not result.stderr, result.stderr
    assert [path.name for path in state.iterdir() if path.name != ":seccomp"] == [] and not processes_of(box)


def test_only_its_own_names(installed):
    shared = subprocess.check_output(["nm", "-D", "--defined-only", installed.lib / "libtare.so.0"], text=True)
    static = subprocess.check_output(["nm", "-g", "--defined-only", installed.lib / "libtare.a"], text=True)
    public = [{line.split()[-1].split("@")[0] for line in text.splitlines() if len(line.split()) == 3} - {"TARE_0"} for text in (shared, static)]
    if SANITIZED:  # whose own notes are public
        public = [{name for name in names if "asan" not in name} for names in public]
    declared = {word.split("(")[0].lstrip("*") for line in (TOP / "include/tare.h").read_text().splitlines() if line.startswith("TARE_API")
                for word in line.split() if "tare_" in word and "(" in word}
    assert public == [declared, declared] and len(declared) > 30
    needed = subprocess.check_output(["readelf", "-d", installed.lib / "libtare.so.0"], text=True)
    assert "[libtare.so.0]" in needed
    if not SANITIZED:
        assert needed.count("(NEEDED)") == 1 and "[libc.so.6]" in needed


@pytest.mark.skipif(not shutil.which("g++"), reason="needs a compiler for C++")
def test_the_header_in_cxx(installed):
    source = installed.top / "use.cc"
    source.write_text("#include <tare.h>\nint main() { tare_config_free(tare_config_new(\"/\")); }\n")
    flags = [SANITIZED] if SANITIZED else []
    subprocess.run(["g++", "-Wall", "-Wextra", "-Werror", "-pedantic", *flags, "-o", installed.top / "use", source, *installed.flags.split()], check=True,
                   env=installed.env)
    subprocess.run([installed.top / "use"], check=True, env=installed.env)


# ---- with tare-runtime, and without the host ----


def hold(installed, box, how):
    process = subprocess.Popen([installed.top / "host-shared", "hold", box.root, box.state, f"/{PARENT}", how], env=installed.env,
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    init, child = map(int, process.stdout.readline().split())
    return process, init, child


def wait_for_end(pidfd):
    import select
    assert select.select([pidfd], [], [], 120)[0], "the container outlived its host"
    os.close(pidfd)


def test_the_runtime_sees_it(installed, box, nothing_left):
    process, init, _ = hold(installed, box, "ends")
    assert box.rt("list", "-q").stdout.split() == ["held"]
    assert box.status("held") == "running" and box.pid("held") == init
    assert box.rt("exec", "held", "sh", "-c", "grep Seccomp: /proc/self/status", check=True).stdout.split()[1] == "2"
    box.rt("pause", "held", check=True)
    assert box.status("held") == "paused"
    pidfd = os.pidfd_open(init)
    process.kill()
    process.communicate()
    wait_for_end(pidfd)
    wait_until_gone(box)


def wait_until_gone(box):
    """The folder is the last to go, behind the groups; its name only just then."""
    import time
    deadline = time.monotonic() + 120
    while any(path.name != ":seccomp" for path in box.state.glob("*")) and time.monotonic() < deadline:
        time.sleep(0.02)


@pytest.mark.parametrize("signo", [signal.SIGKILL, signal.SIGTERM])
def test_the_container_ends_with_its_host(installed, box, nothing_left, signo):
    process, init, child = hold(installed, box, "ends")
    pidfd = os.pidfd_open(init)
    process.send_signal(signo)
    process.wait()
    wait_for_end(pidfd)  # though a child of the host's holds the connection
    assert pathlib.Path(f"/proc/{child}").exists()
    process.communicate()
    wait_until_gone(box)


def test_the_container_outlives_its_host(installed, box, nothing_left):
    process, init, _ = hold(installed, box, "outlives")
    process.kill()
    process.communicate()
    assert box.status("held") == "running" and box.pid("held") == init
    assert box.rt("exec", "held", "true").returncode == 0
    host(installed, box, "opened", "held")


def test_one_of_the_runtimes(installed, box, nothing_left):
    host(installed, box, "opened", box.start())
