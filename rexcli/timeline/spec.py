"""What the rules of time need to know of a system: numbers only, no node code.

Times are int64 nanoseconds since the start of the episode, so that no tie is decided by floating-point noise.
"""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Real
from typing import Any, Literal, get_args

Scheduling = Literal["frequency", "phase"]
Jitter = Literal["latest", "buffer"]

NANOSECONDS = 1_000_000_000
NEVER = 2**62
"""The time of what never happens, later than any episode; a delay can still be added to it in int64."""

RATES = (1e-6, 1e9)
"""Lowest and highest rate, Hz: from one tick in eleven days to one a nanosecond."""

LONGEST_DELAY = 1e6
"""Seconds, as of the slowest rate: sums of delays along any way through a system fit int64 nanoseconds."""


def wrong_delay(seconds: float) -> str | None:
    """What to give in place of seconds that no delay can have; None if one can."""
    right = 0 <= seconds <= LONGEST_DELAY
    return None if right else f"give a number of seconds, 0 or more and at most {LONGEST_DELAY:g}"


def wrong_rate(rate: float) -> str | None:
    """What to give in place of a rate that no node can have; None if one can."""
    low, high = RATES
    return None if low <= rate <= high else f"give a positive number of steps per second, {low:g} to {high:g}"


def wrong_window(window: int) -> str | None:
    """What to give in place of a window that no edge can have; None if one can."""
    return None if window >= 1 else "give 1 or more messages"


def wrong_loss(share: object) -> str | None:
    """What to give in place of a share of messages that no edge can lose; None if one can."""
    right = isinstance(share, Real) and not isinstance(share, bool) and 0 <= float(share) <= 1
    return None if right else "give a share of the messages, 0 to 1"


def wrong_choice(word: str, choices: Any) -> str | None:
    """What to give in place of a word that is none of a `Literal`; None if it is one."""
    words = get_args(choices)
    return None if word in words else f"give {' or '.join(repr(choice) for choice in words)}"


def nanoseconds(seconds: float) -> int:
    """Seconds to int64 nanoseconds, to the nearest."""
    return round(seconds * NANOSECONDS)


@dataclass(frozen=True)
class NodeTiming:
    """A node as the clock sees it: rate in Hz, expected computation delay in ns."""

    name: str
    rate: float
    expected_delay: int = 0
    scheduling: Scheduling = "frequency"
    advance: bool = False


@dataclass(frozen=True)
class EdgeTiming:
    """An edge as the clock sees it. `name` is unique in the system; expected communication delay in ns.

    `loss` is the share of its messages that are lost on average; with `reorder` they may overtake one another.

    `adjustable` is by how much, ns, whoever executes a timeline may lengthen the delay of an edge that neither blocks
    nor buffers: no step moves, and messages are seen later than their `reader` says.
    """

    name: str
    source: str
    target: str
    window: int = 1
    blocking: bool = False
    skip: bool = False
    jitter: Jitter = "latest"
    expected_delay: int = 0
    adjustable: int = 0
    loss: float = 0.0
    reorder: bool = False

    @property
    def leaves_simultaneous(self) -> bool:
        """Whether a message that arrives at the very instant at which a step starts is left to the next step."""
        return self.skip and self.jitter == "latest" and not self.blocking


@dataclass(frozen=True)
class SystemTiming:
    """A system as the clock sees it."""

    nodes: tuple[NodeTiming, ...]
    edges: tuple[EdgeTiming, ...]
    supervisor: str

    def node(self, name: str) -> NodeTiming:
        return next(node for node in self.nodes if node.name == name)

    def edge(self, name: str) -> EdgeTiming:
        return next(edge for edge in self.edges if edge.name == name)

    def inputs(self, name: str) -> tuple[EdgeTiming, ...]:
        """Edges into node `name`, in the order of declaration."""
        return tuple(edge for edge in self.edges if edge.target == name)

    def outputs(self, name: str) -> tuple[EdgeTiming, ...]:
        """Edges out of node `name`, in the order of declaration."""
        return tuple(edge for edge in self.edges if edge.source == name)
