"""Declares what each episode draws for itself, in YAML and in Python, without JAX.

`rexcli.system.randomize` draws the values.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

from rexcli.errors import DeclarationError, suggest

Operation = Literal["set", "scale", "add"]


@dataclass(frozen=True)
class Range:
    """A number that is drawn for each episode: uniformly from `low` to `high`, or normally around `mean`."""

    low: float | None = None
    """The lower bound; with `mean`, that of a truncated normal distribution."""
    high: float | None = None
    """The upper bound; with `mean`, that of a truncated normal distribution."""
    log: bool = False
    """Whether its logarithm is drawn uniformly."""
    mean: float | None = None
    """The mean of a normal distribution, instead of a uniform one."""
    std: float | None = None
    """The standard deviation of the normal distribution."""
    operation: Operation = "set"
    """`set` replaces the declared value; `scale` multiplies it; `add` adds to it."""
    path: str | None = None
    """The path of a parameter, with dots between levels; None if it is its name."""

    def __repr__(self) -> str:
        sign = {"set": "", "scale": "times ", "add": "+ "}[self.operation]
        if self.mean is None:
            return f"{sign}{self.low:g} to {self.high:g}{', log' if self.log else ''}"
        bounds = [f"{word} {end:g}" for word, end in (("from", self.low), ("to", self.high)) if end is not None]
        return " ".join([f"{sign}{self.mean:g} ± {self.std:g}", *bounds])

    @property
    def ends(self) -> tuple[float, float]:
        """The lower and the upper bound; infinite where there is none."""
        return -math.inf if self.low is None else self.low, math.inf if self.high is None else self.high

    def check(self, key: str, *, delay: bool = False) -> None:
        """Raises an error if nothing can be drawn from the range.

        Raises:
            DeclarationError: names the wrong key below `key`.
        """
        given = [name for name in ("low", "high", "mean", "std") if getattr(self, name) is not None]
        for name in given:
            if not math.isfinite(getattr(self, name)):
                raise DeclarationError(f"{key}.{name}", getattr(self, name), "give a finite number")
        if ("mean" in given) != ("std" in given) or not given or (len(given) == 1):
            words = ", ".join(f"{name}={getattr(self, name):g}" for name in given) or "nothing"
            raise DeclarationError(key, words, "give low and high; or mean and std, maybe within low and high")
        low, high = self.ends
        if not low < high:
            raise DeclarationError(f"{key}.low", low, f"give less than high={high:g}")
        if self.std is not None and self.std <= 0:
            raise DeclarationError(f"{key}.std", self.std, "give a positive number")
        if self.mean is not None and not low <= self.mean <= high:
            raise DeclarationError(f"{key}.mean", self.mean, f"give a number from low={low:g} to high={high:g}")
        if self.log and (self.mean is not None or low <= 0):
            raise DeclarationError(f"{key}.log", self.log, "give a positive low and a high, without mean and std")
        if delay and self.operation != "add" and low < 0:
            fix = "a delay is 0 or more seconds; give low, 0 or more"
            raise DeclarationError(f"{key}.low", None if self.low is None else low, fix)


@dataclass(frozen=True)
class Ranges:
    """Everything that is drawn for each episode.

    Parameters and adjustable delays are drawn when an episode begins. Other delays belong to the timeline: each of its
    episodes draws one number, by which all delays of a node or an edge are changed.
    """

    nodes: dict[str, dict[str, Range]] = field(default_factory=dict)
    """Parameters, by node and name."""
    edges: dict[str, Range] = field(default_factory=dict)
    """Communication delays, s, by edge."""
    computation: dict[str, Range] = field(default_factory=dict)
    """Computation delays, s, by node."""
    posterior: str | None = None
    """The run of `rex identify` from whose posterior each episode takes one joint draw: a folder, or `latest:identify`.
    """

    def each(self) -> Iterator[tuple[str, Range]]:
        """Yields every range by its name: `world.inertia`, `edges.actuator_world.delay`, `nodes.sensor.delay`."""
        for node, entries in self.nodes.items():
            yield from ((f"{node}.{name}", entry) for name, entry in entries.items())
        yield from ((f"edges.{edge}.delay", entry) for edge, entry in self.edges.items())
        yield from ((f"nodes.{node}.delay", entry) for node, entry in self.computation.items())

    def check(self, nodes: list[str], edges: list[str]) -> None:
        """Raises an error for ranges of unknown nodes and edges, and for ranges from which nothing can be drawn.

        Raises:
            DeclarationError: names the first wrong key.
        """
        for section, kind, known in (
            ("nodes", "node", nodes),
            ("computation", "node", nodes),
            ("edges", "edge", edges),
        ):
            for name in getattr(self, section):
                if name not in known:
                    key = f"randomize.{section}.{name}"
                    what = f"{key}: no {kind} is called '{name}'{suggest(name, known)}"
                    raise DeclarationError(key, message=what)
        for node, entries in self.nodes.items():
            for name, entry in entries.items():
                entry.check(f"randomize.nodes.{node}.{name}")
        for edge, entry in self.edges.items():
            entry.check(f"randomize.edges.{edge}", delay=True)
            if entry.path is not None:
                raise DeclarationError(
                    f"randomize.edges.{edge}.path", entry.path, "an edge has one delay; leave it out"
                )
        for node, entry in self.computation.items():
            entry.check(f"randomize.computation.{node}", delay=True)
            if entry.path is not None:
                key = f"randomize.computation.{node}.path"
                raise DeclarationError(key, entry.path, "a node has one delay; leave it out")
