import pathlib
import signal
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from harness import images, nets  # noqa: E402
from harness.box import PARENT, Box, cgroup_folders, remove_groups  # noqa: E402
from harness.distribution import Registry, Stranger  # noqa: E402
from harness.engine import Engine  # noqa: E402


def pytest_configure(config):
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it, and so would all they start
    config.addinivalue_line("markers", "slow: left out of the run with sanitizers")


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_call():
    """A test that fails takes no later one with it."""
    with nets.closing():
        yield


@pytest.fixture(scope="module")
def engine():
    """One engine for a module's tests, with the busybox image loaded; fails the module if it leaves anything behind."""
    engine = Engine().start()
    try:
        engine.tare("load", "-q", "-i", images.busybox())
        yield engine
    finally:
        left = engine.stop()
    assert not left, left


@pytest.fixture
def fresh_engine():
    """An engine of the test's own, without images."""
    engine = Engine().start()
    try:
        yield engine
    finally:
        left = engine.stop()
    assert not left, left


@pytest.fixture
def strangers():
    """Makes servers that are no registries: see Stranger."""
    made = []

    def make(*arguments):
        made.append(Stranger(*arguments))
        return made[-1]
    yield make
    for stranger in made:
        stranger.stop()


@pytest.fixture(scope="module")
def registry(tmp_path_factory):
    """Open to all, with team/busybox:1."""
    registry = Registry(tmp_path_factory.mktemp("registry")).start()
    registry.fill(f"docker-archive:{images.busybox()}", "team/busybox:1")
    yield registry
    registry.stop()


@pytest.fixture(scope="module")
def private(tmp_path_factory):
    """For alice alone, with team/busybox:1."""
    registry = Registry(tmp_path_factory.mktemp("private"), {"alice": "geheim-17"}).start()
    registry.fill(f"docker-archive:{images.busybox()}", "team/busybox:1")
    yield registry
    registry.stop()


@pytest.fixture(scope="module")
def no_parent_groups():
    """At a module's end no box's groups are left."""
    yield
    for folder in cgroup_folders(PARENT):
        remove_groups(folder)


@pytest.fixture
def box(no_parent_groups):
    """A bundle for tare-runtime, with its state."""
    box = Box()
    try:
        yield box
    finally:
        box.close()
