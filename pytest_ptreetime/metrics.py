"""The one table of metrics: what is measured of every node, in which unit, how noisy it is, what reports call it.

Everything that speaks of metrics loops over it; CONTRIBUTING.md says how to add one.

The metrics of nodes are summed as a list of whole numbers (nanoseconds, bytes, times), so that a million nodes are
added up in seconds: place 0 counts the nodes, the places behind it are those of METRICS, and the last one has a bit for
each place of which a value is known.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence
from operator import itemgetter, truediv
from typing import Any, NamedTuple

from pytest_ptreetime.system.figures import Unit

__all__ = [
    "COMPARED",
    "COUNT",
    "COUNTERS",
    "KNOWN",
    "MAIN",
    "METRICS",
    "MIN_EFFECTS",
    "PLACES",
    "TABLE",
    "UNCOUNTED",
    "Metric",
    "Unit",
    "known_sums",
    "metric_of",
    "no_sums",
    "unknown_names",
]


class Metric(NamedTuple):
    """A metric. Amounts are in its unit: seconds, bytes, or a plain number.

    The noise model is explained in decision/metric_noise.py; noise and effects are relative (0.03 is 3 %).
    """

    name: str
    #: What it is called in tables, and in a sentence that explains it.
    label: str
    unit: Unit
    description: str
    #: The grain of the measurement; added to every value before its logarithm, so that 0 has one.
    resolution: float
    #: Noise of a round within a session, and of a node between sessions after the host's speed is taken out.
    within: float
    between: float
    #: The smallest change that matters: this part of the node, and no less than this amount.
    min_ratio: float
    min_amount: float
    #: Seconds between two samples of the clock, 0 for an exact one.
    tick: float = 0.0
    #: A node's value contains those of its children.
    cumulative: bool = False
    #: Of several nodes the largest counts, not the sum.
    largest: bool = False
    #: A slower machine makes it larger.
    follows_machine: bool = False
    #: A count of what was done: compared exactly where the rounds agree with each other, and on other machines too.
    work: bool = False
    #: Of several nodes it is unknown if it is of one.
    all_or_none: bool = False
    #: Compared unless something else is asked for.
    compared: bool = False
    #: Shown of the whole build.
    main: bool = False
    #: Of the build as a whole and of no process: profiles have it in the row of the root.
    of_build: bool = False
    #: The field of recording.events.Usage of which a node's share is the value. Without one tree/node.py works it out.
    counter: str | None = None
    #: What an LNT server calls it; None where our suite does not have it.
    lnt_title: str | None = None

    @property
    def column(self) -> str:
        """The attribute of a node (of a tree, where it is the build's), and the column in Parquet."""
        return f"{self.name}_bytes" if self.unit == "B" and not self.name.endswith("_bytes") else self.name

    @property
    def scale(self) -> float:
        """How many of what sums count are one of the unit."""
        return 1e9 if self.unit == "s" else 1.0


# The minimum effects. Of cpu, which decides, 0.5 %: of 5 % (the bar) that leaves 4.5 % to be told from noise. Amounts:
# cpu time is exact to well below a millisecond, wall time is accurate to 1 ms, and a tick is 4 ms.
# fmt: off
#          name        label         unit  description                 resolution within between min_ratio min_amount
COUNT = Metric(
           "count",     "processes",   "",  "Number of processes",              1.0, 0.05, 0.03,  0.02, 1.0,
           main=True, lnt_title="Processes")
TABLE = (
    Metric("wall",      "wall",        "s", "Wall time",                     0.0005, 0.04, 0.015, 0.01, 0.002,
           cumulative=True, follows_machine=True, compared=True, main=True, lnt_title="Wall Time"),
    Metric("user",      "user",        "s", "Processor time in user mode",   0.0005, 0.03, 0.01,  0.01, 0.004,
           tick=0.004, follows_machine=True, compared=True, main=True, lnt_title="User Time"),
    Metric("sys",       "sys",         "s", "Processor time in the kernel",  0.0005, 0.05, 0.02,  0.02, 0.004,
           tick=0.004, follows_machine=True, compared=True, main=True, lnt_title="System Time"),
    Metric("cpu",       "cpu",         "s", "Processor time",                0.0005, 0.03, 0.01,  0.005, 0.0005,
           follows_machine=True, compared=True, main=True, lnt_title="CPU Time"),
    Metric("max_rss",   "peak memory", "B", "Peak resident size",            2**17,  0.01, 0.005, 0.02, 2**20,
           largest=True, main=True, lnt_title="Peak Memory"),
    Metric("peak_memory", "memory of all", "B", "Most memory of all processes together, an upper bound",
                                                                     2**17,  0.02, 0.01,  0.02, 2**22,
           cumulative=True, main=True, of_build=True, lnt_title="Memory Of All"),
    Metric("startlag",  "start lag",   "s", "Time until programs began",     0.0002, 0.2,  0.05,  0.05, 0.002,
           follows_machine=True, lnt_title="Start Lag"),
    Metric("exitlag",   "exit lag",    "s", "Time from last calls to death", 0.0002, 0.2,  0.05,  0.05, 0.002,
           follows_machine=True, lnt_title="Exit Lag"),
    Metric("run_delay", "run delay",   "s", "Time without a processor",      0.001,  0.5,  0.3,   0.2,  0.01,
           counter="run_delay_ns"),
    # Counts of work: they hardly vary, and don't depend on the machine.
    Metric("read_bytes",    "bytes read",    "B", "Bytes that calls of read moved",  16, 0.002, 0.002, 0.005, 1024,
           work=True, counter="read_bytes", lnt_title="Bytes Read"),
    Metric("written_bytes", "bytes written", "B", "Bytes that calls of write moved", 16, 0.002, 0.002, 0.005, 1024,
           work=True, counter="written_bytes", lnt_title="Bytes Written"),
    Metric("reads",         "reads",         "",  "Calls of read",                    1, 0.002, 0.002, 0.005, 2,
           work=True, counter="reads"),
    Metric("writes",        "writes",        "",  "Calls of write",                   1, 0.002, 0.002, 0.005, 2,
           work=True, counter="writes"),
    Metric("minor_faults",  "minor faults",  "",  "Page faults without input",        1, 0.005, 0.005, 0.02,  50,
           work=True, counter="minor_faults", lnt_title="Minor Faults"),
    Metric("major_faults",  "major faults",  "",  "Page faults that needed input",    1, 0.5,   0.5,   0.2,   10,
           work=True, counter="major_faults"),
    # Not a count of work in that sense: interrupts add a few, and the C library chooses its functions by the processor.
    Metric("instructions",  "instructions",  "",  "Instructions in user space",    1000, 0.0005, 0.0005, 0.002, 1e5,
           all_or_none=True),
)
# fmt: on

#: The names of what is totalled besides ``count``; the attributes of a node say what each is.
METRICS = tuple(metric.name for metric in TABLE)

#: What is compared unless something else is asked for; counts always are.
COMPARED = tuple(metric.name for metric in TABLE if metric.compared)

#: What is shown of the whole build.
MAIN = tuple(metric for metric in (*TABLE, COUNT) if metric.main)

#: What a smallest change worth an alarm can be given for.
MIN_EFFECTS = (*METRICS, "structure")

#: Where each metric's sum is; the last place has the bits of what is known.
PLACES = {metric.name: place for place, metric in enumerate((COUNT, *TABLE))}
KNOWN = len(PLACES)

#: Among those bits: one of the nodes does not know a metric that has to be known of all.
UNCOUNTED = 1 << KNOWN
_ALL_OR_NONE = sum(1 << PLACES[metric.name] for metric in TABLE if metric.all_or_none)

#: Those that are a node's share of a field of Usage: the fields' names, and the places of their sums.
COUNTERS = {metric.counter: PLACES[metric.name] for metric in TABLE if metric.counter is not None}

_METRICS = {metric.name: metric for metric in (COUNT, *TABLE)}
_OTHER = Metric("", "", "", "", 1.0, 0.05, 0.03, 0.02, 1.0)


def metric_of(name: str) -> Metric:
    """The metric ``name``, or ``count``. One that the table does not have is a plain number."""
    return _METRICS.get(name, _OTHER)


def no_sums() -> list[int]:
    """The sums of no nodes."""
    return [0] * (KNOWN + 1)


def known_sums(sums: list[int]) -> dict[str, float]:
    """What is known, by metric, in its unit."""
    known = sums[KNOWN]
    if known & UNCOUNTED:
        known &= ~_ALL_OR_NONE
    names, taken, scales = _known(known)
    return dict(zip(names, map(truediv, taken(sums), scales), strict=False))


@functools.cache
def _known(bits: int) -> tuple[tuple[str, ...], itemgetter[Any], tuple[float, ...]]:
    """Names, places and scales of the metrics that have a bit; two more places, so that they are always several."""
    metrics = [metric for metric in TABLE if bits >> PLACES[metric.name] & 1]
    places = itemgetter(*(PLACES[metric.name] for metric in metrics), KNOWN, KNOWN)
    return tuple(metric.name for metric in metrics), places, tuple(metric.scale for metric in metrics)


def unknown_names(names: Iterable[str], known: Sequence[str], kind: str) -> str | None:
    """In words, which of ``names`` do not exist, and which do; None where all of them exist."""
    unknown = [name for name in names if name not in known]
    if not unknown:
        return None
    return f"there is no {kind} {', '.join(map(repr, unknown))}: choose from {', '.join(known)}"
