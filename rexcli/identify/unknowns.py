"""Declares the numbers to estimate, as coordinates from 0 to 1 within bounds, and the numbers that follow from them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
import numpy as np

from rexcli.config.schema import IdentifyConfig, UnknownConfig
from rexcli.errors import RexError, suggest
from rexcli.system.adjustable import AdjustableDelay


@dataclass(frozen=True)
class Unknown:
    """One number that is estimated.

    Attributes:
        name: its name, such as `world.inertia` or `edges.actuator_world.delay`.
        low, high: its bounds.
        log: whether its logarithm is searched.
        start: where the search begins, as a coordinate.
    """

    name: str
    low: float
    high: float
    log: bool
    start: float

    def value(self, z: Any, np: Any = np) -> Any:
        """Converts the number's coordinate to its own unit; `np` is NumPy or jax.numpy."""
        if self.log:
            return np.exp(math.log(self.low) + z * (math.log(self.high) - math.log(self.low)))
        return self.low + z * (self.high - self.low)

    @property
    def is_delay(self) -> bool:
        return self.name.startswith("edges.")


@dataclass(frozen=True)
class Shared:
    """A number that is computed from another one: `scale * other + offset`."""

    of: str
    scale: float
    offset: float


class Unknowns:
    """All numbers that `identify.nodes` and `identify.edges` declare.

    Attributes:
        free: the estimated numbers, in the order of a coordinate vector.
        fixed: the fixed numbers by name.
        shared: the shared numbers by name.
        places: node and path of each parameter by name; of a delay, the edge and None.
        interpolation: how each delay is simulated, by edge.

    Raises:
        RexError: nothing is estimated, bounds are invalid, or a share names an unknown number or is circular.
    """

    def __init__(self, config: IdentifyConfig):
        self.free: list[Unknown] = []
        self.fixed: dict[str, float] = {}
        self.shared: dict[str, Shared] = {}
        self.places: dict[str, tuple[str, str | None]] = {}
        for node, entries in config.nodes.items():
            for name, entry in entries.items():
                self._add(f"{node}.{name}", f"identify.nodes.{node}.{name}", entry)
                self.places[f"{node}.{name}"] = node, entry.path or name
        self.interpolation = {edge: entry.interpolation for edge, entry in config.edges.items()}
        for edge, entry in config.edges.items():
            self._add(f"edges.{edge}.delay", f"identify.edges.{edge}", entry)
            self.places[f"edges.{edge}.delay"] = edge, None
        if not self.free:
            raise RexError(
                "identify.nodes and identify.edges declare nothing to estimate: give a parameter its bounds, "
                "{world: {inertia: {low: 1e-4, high: 3e-4}}}"
            )
        self.order = self._in_order()

    def _add(self, name: str, key: str, entry: UnknownConfig) -> None:
        given = [what for what in ("fixed", "share") if getattr(entry, what) is not None]
        if len(given) == 2 or (given and (entry.low, entry.high, entry.init) != (None, None, None)):
            raise RexError(f"{key}: give one of low and high, fixed, share")
        if entry.fixed is not None:
            self.fixed[name] = entry.fixed
        elif entry.share is not None:
            self.shared[name] = Shared(entry.share, entry.scale, entry.offset)
        elif entry.low is None or entry.high is None:
            raise RexError(f"{key}: give low and high, between which it is looked for; or fixed; or share")
        else:
            self.free.append(_unknown(name, key, entry, entry.low, entry.high))

    def _in_order(self) -> list[str]:
        """Returns the shared numbers, each after the number that it follows from."""
        known = {unknown.name for unknown in self.free} | set(self.fixed)
        names = known | set(self.shared)
        order: list[str] = []
        for name, shared in self.shared.items():
            if shared.of not in names:
                raise RexError(f"{_key(name)}.share={shared.of}: there is no such{suggest(shared.of, sorted(names))}")
        while len(order) < len(self.shared):
            ready = [name for name, shared in self.shared.items() if name not in known and shared.of in known]
            if not ready:
                circle = ", ".join(name for name in self.shared if name not in known)
                raise RexError(f"identify: {circle}: each follows from another one of these; give one of them bounds")
            order += ready
            known |= set(ready)
        return order

    def values(self, z: Any, np: Any = np) -> dict[str, Any]:
        """Returns every declared number by name, from coordinates `[free]`."""
        found = {unknown.name: unknown.value(z[index], np) for index, unknown in enumerate(self.free)}
        found |= {name: np.asarray(value) for name, value in self.fixed.items()}
        for name in self.order:
            shared = self.shared[name]
            found[name] = shared.scale * found[shared.of] + shared.offset
        return found

    def placed(self, z: Any) -> tuple[dict[str, dict[str, Any]], dict[str, Any]]:
        """Returns parameters by node and path, and delays by edge, from coordinates, in JAX."""
        params: dict[str, dict[str, Any]] = {}
        delays: dict[str, Any] = {}
        for name, value in self.values(z, jnp).items():
            place, path = self.places[name]
            if path is None:
                delays[place] = value
            else:
                params.setdefault(place, {})[path] = value
        return params, delays

    @property
    def start(self) -> np.ndarray:
        return np.array([unknown.start for unknown in self.free])

    def adjustable(self, edge: str, rate: float, value: float | None = None) -> AdjustableDelay:
        """Returns an edge's delay as it is simulated.

        Args:
            edge: an edge with an unknown delay.
            rate: rate of its reader, Hz; with `hold` the lower bound is a period of it lower.
            value: the delay, s.
        """
        ends = [float(self.values(np.full(len(self.free), at))[f"edges.{edge}.delay"]) for at in (0.0, 1.0)]
        low, high = max(0.0, min(ends)), max(*ends, min(ends) + 1e-3, 1e-3)
        if self.interpolation[edge] == "hold":
            low = max(0.0, low - 1 / rate)
        value = None if value is None else min(max(value, low), high)
        return AdjustableDelay(low, high, value, self.interpolation[edge])


def _unknown(name: str, key: str, entry: UnknownConfig, low: float, high: float) -> Unknown:
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise RexError(f"{key}: low={low:g}, high={high:g}: give a low, and a high above it")
    if entry.log and low <= 0:
        raise RexError(f"{key}.low={low:g}: the logarithm is searched; give a positive low, or log: false")
    if name.startswith("edges.") and low < 0:
        raise RexError(f"{key}.low={low:g}: a delay is 0 or more seconds")
    if entry.init is None:
        return Unknown(name, low, high, entry.log, 0.5)
    if not low <= entry.init <= high:
        raise RexError(f"{key}.init={entry.init:g}: give a number from low={low:g} to high={high:g}")
    scale = np.log if entry.log else float
    start = (scale(entry.init) - scale(low)) / (scale(high) - scale(low))
    return Unknown(name, low, high, entry.log, float(start))


def _key(name: str) -> str:
    node, _, rest = name.partition(".")
    return f"identify.edges.{rest.removesuffix('.delay')}" if node == "edges" else f"identify.nodes.{name}"
