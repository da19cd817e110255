"""What a row of the table is. A module of rows (bench/startup.py, images.py, registry.py; one that is not there is left out) has

    def rows(context):
        yield Row("save of a 1 GB image", {"tare": callable, "docker 20.10": callable, ...}, [Target(1 / 3, "docker")])

Each callable does the thing once and returns how long that took in ms, or None: then the whole call is what counts. One that raises
is left out from there on and the table says so. Rounds are interleaved: each contender once, in any order, then each again.
`context`:

    storage   "tmpfs" or "disk"; both are measured, so a row that has nothing to do with storage returns early on "disk"
    work      a pathlib folder on that storage, for the row's own files; run: one on tmpfs
    build     the build folder
    engines   the engines that answer, ours first: Contender (bench/contenders.py) with .name, .cli(*arguments) -> (ms, output)
              and .ms(*arguments) -> ms, which run their command and raise if it fails. All hold the image `busybox`
    engine    ours again, as the tests' harness has it
    floor     callable: the floor program on this storage, ms; given a bridge's name, with a leg at it
    wants     callable: whether a row of that name is asked for; what costs much to prepare asks
    settle    callable: writes out what the one before has left to be written; called before each turn
"""
import dataclasses


@dataclasses.dataclass
class Target:
    """Our median is at most `factor` × that of every contender whose name begins with `peer`, and `more_ms`; of no peer, those alone."""
    factor: float
    peer: str
    more_ms: float = 0

    def __str__(self):
        if self.more_ms:
            return f"≤ {self.peer} + {self.more_ms:g} ms" if self.peer else f"≤ {self.more_ms:g} ms"
        return f"≤ {self.factor:g} × {self.peer}" if self.factor >= 1 else f"{1 / self.factor:g} × as fast as {self.peer}"


@dataclasses.dataclass
class Row:
    name: str
    contenders: dict
    targets: list = dataclasses.field(default_factory=list)
    rounds: int = 0  # at most so many (0: as many as there are); long ones say 1


@dataclasses.dataclass
class Figure:
    what: str
    values: dict  # by contender, as text
    verdicts: list


FIGURES = []  # in the order in which they were measured: bench/run prints a table of them at the end
