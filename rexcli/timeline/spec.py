"""Describes a system for the timing rules: numbers only, no node code.

Times are int64 nanoseconds since the start of the episode, so that floating-point errors never decide which of two
equal times comes first.
"""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Real
from typing import Any, Literal, get_args

Scheduling = Literal["frequency", "phase"]
Jitter = Literal["latest", "buffer"]

NANOSECONDS = 1_000_000_000
NEVER = 2**62
"""The time of an event that never happens, later than any episode; a delay can still be added to it in int64."""

RATES = (1e-6, 1e9)
"""Lowest and highest rate, Hz: from one tick in eleven days to one per nanosecond."""

LONGEST_DELAY = 1e6
"""Seconds, the period of the lowest rate: sums of delays along any path through a system fit int64 nanoseconds."""


def wrong_delay(seconds: float) -> str | None:
    """Returns what to give instead of an invalid delay, in seconds; None if it is valid."""
    right = 0 <= seconds <= LONGEST_DELAY
    return None if right else f"give a number of seconds, 0 or more and at most {LONGEST_DELAY:g}"


def wrong_rate(rate: float) -> str | None:
    """Returns what to give instead of an invalid rate of a node; None if it is valid."""
    low, high = RATES
    return None if low <= rate <= high else f"give a positive number of steps per second, {low:g} to {high:g}"


def wrong_window(window: int) -> str | None:
    """Returns what to give instead of an invalid window of an edge; None if it is valid."""
    return None if window >= 1 else "give 1 or more messages"


def wrong_loss(share: object) -> str | None:
    """Returns what to give instead of an invalid share of lost messages; None if it is valid."""
    right = isinstance(share, Real) and not isinstance(share, bool) and 0 <= float(share) <= 1
    return None if right else "give a share of the messages, 0 to 1"


def wrong_choice(word: str, choices: Any) -> str | None:
    """Returns what to give instead of a word that is not a value of a `Literal`; None if it is one."""
    words = get_args(choices)
    return None if word in words else f"give {' or '.join(repr(choice) for choice in words)}"


def nanoseconds(seconds: float) -> int:
    """Converts seconds to integer nanoseconds, rounded."""
    return round(seconds * NANOSECONDS)


@dataclass(frozen=True)
class NodeTiming:
    """The timing of a node: its rate in Hz, and its expected computation delay in ns."""

    name: str
    rate: float
    expected_delay: int = 0
    scheduling: Scheduling = "frequency"
    advance: bool = False


@dataclass(frozen=True)
class EdgeTiming:
    """The timing of an edge: its `name` is unique in the system, and its expected communication delay is in ns.

    `loss` is the share of its messages that are lost on average; with `reorder` they may overtake one another.

    `adjustable` is how much longer, ns, the delay of an edge that neither blocks nor buffers may become when a timeline
    is executed: steps keep their times, and messages are seen later than their `reader` says.
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
    """The timing of a system."""

    nodes: tuple[NodeTiming, ...]
    edges: tuple[EdgeTiming, ...]
    supervisor: str

    def node(self, name: str) -> NodeTiming:
        return next(node for node in self.nodes if node.name == name)

    def edge(self, name: str) -> EdgeTiming:
        return next(edge for edge in self.edges if edge.name == name)

    def inputs(self, name: str) -> tuple[EdgeTiming, ...]:
        """Returns the edges into node `name`, in the order of declaration."""
        return tuple(edge for edge in self.edges if edge.target == name)

    def outputs(self, name: str) -> tuple[EdgeTiming, ...]:
        """Returns the edges out of node `name`, in the order of declaration."""
        return tuple(edge for edge in self.edges if edge.source == name)
