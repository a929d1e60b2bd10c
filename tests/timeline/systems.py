"""Random systems as the clock sees them, and delays for them."""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field, replace

import numpy as np
from hypothesis import assume
from hypothesis import strategies as st

from rexcli.errors import RexError
from rexcli.system.losses import GilbertElliott, IndependentLoss
from rexcli.timeline.simulate import simulate
from rexcli.timeline.spec import EdgeTiming, NodeTiming, SystemTiming
from rexcli.timeline.timeline import Timeline

MS = 1_000_000
STEPS = 12
RATES = (10.0, 20.0, 25.0, 30.0, 33.3, 50.0, 7.0)


@dataclass(frozen=True)
class Delays:
    """Delays in whole milliseconds, so that times tie often; by kind and name `(least, most)` in ms. And losses, by
    edge `(share, burst)`, in bursts where it is above 0.

    A draw depends on seed, kind, name, episode and tick alone.
    """

    seed: int
    ranges: dict[tuple[str, str], tuple[int, int]]
    episodes: tuple[int, ...] = (0,)
    losses: dict[str, tuple[float, float]] = field(default_factory=dict)

    def __call__(self, kind: str, name: str, ticks: int) -> np.ndarray:
        if kind == "loss":
            share, burst = self.losses[name]
            loss = GilbertElliott(share, burst) if burst else IndependentLoss(share)
            return loss.sample_episodes(name, self.seed, np.array(self.episodes), ticks)
        least, most = self.ranges[kind, name]
        key = zlib.crc32(f"{kind} {name}".encode())
        draws = [np.random.default_rng([self.seed, key, episode]).random(ticks) for episode in self.episodes]
        return (np.floor(least + np.array(draws) * (most - least + 1)) * MS).astype(np.int64)


@st.composite
def systems(draw: st.DrawFn, largest: int = 8) -> SystemTiming:
    """2 to `largest` nodes; any options; loops broken by skip."""
    number = draw(st.integers(2, largest))
    names = [f"n{index}" for index in range(number)]
    ends = st.tuples(st.integers(0, number - 1), st.integers(0, number - 1))
    edges = []
    for index, (source, target) in enumerate(draw(st.lists(ends, min_size=1, max_size=2 * number))):
        edges.append(
            EdgeTiming(
                name=f"e{index}",
                source=names[source],
                target=names[target],
                window=draw(st.integers(1, 3)),
                blocking=draw(st.booleans()),
                skip=source >= target or draw(st.booleans()),
                jitter=draw(st.sampled_from(["latest", "buffer"])),
                expected_delay=draw(st.integers(0, 15)) * MS,
                loss=draw(st.sampled_from([0.0, 0.0, 0.1, 0.4, 1.0])),
                reorder=draw(st.integers(0, 3)) == 3,
            )
        )
    blocked = {edge.target for edge in edges if edge.blocking}
    nodes = [
        NodeTiming(
            name=name,
            rate=draw(st.sampled_from(RATES)),
            expected_delay=draw(st.integers(0, 20)) * MS,
            scheduling=draw(st.sampled_from(["frequency", "phase"])),
            advance=name in blocked and draw(st.booleans()),
        )
        for name in names
    ]
    order = draw(st.permutations(nodes))
    return SystemTiming(tuple(order), tuple(edges), draw(st.sampled_from(names)))


@st.composite
def delays(draw: st.DrawFn, spec: SystemTiming) -> Delays:
    """Constant and random delays, some longer than a period, some below 0."""
    names = [("node", node.name) for node in spec.nodes] + [("edge", edge.name) for edge in spec.edges]
    ranges = {}
    for name in names:
        least = draw(st.integers(-5, 15))
        ranges[name] = (least, least + draw(st.sampled_from([0, 0, 3, 20, 60])))
    bursts = [0.0, 2.0, 8.0]
    losses = {e.name: (e.loss, draw(st.sampled_from(bursts)) if e.loss < 1 else 0.0) for e in spec.edges if e.loss}
    return Delays(draw(st.integers(0, 2**31)), ranges, losses=losses)


@st.composite
def cases(draw: st.DrawFn, largest: int = 8) -> tuple[SystemTiming, Delays]:
    """A system with its delays."""
    spec = draw(systems(largest))
    return spec, draw(delays(spec))


def run(
    spec: SystemTiming,
    delays: Delays,
    *,
    episodes: tuple[int, ...] = (0,),
    steps: int = STEPS,
    seconds: float | None = None,
) -> Timeline:
    """The timeline, unless the system runs infinitely fast (that refusal has a test of its own)."""
    sample = replace(delays, episodes=episodes)
    try:
        return simulate(spec, sample, episodes=len(episodes), steps=None if seconds else steps, seconds=seconds)
    except RexError as error:
        assume("infinitely fast" not in str(error))
        raise
