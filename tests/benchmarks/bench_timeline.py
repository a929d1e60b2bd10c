"""Supervisor steps per second of simulated timelines, and what a step or message costs on graphs of 4 to 64 nodes.

    python -m tests.benchmarks.bench_timeline [--peer PYTHON]

`--peer` names an interpreter that has `rex-lib`, whose recording rate on the pendulum is then taken in the same
sitting. It is no like for like: `rex-lib` also calls its (idle) nodes, step by step, and cannot do without. Our
times are the best of five (graphs: of three), so compiling the samplers is left out.

One sitting, 2026-11-22, two cores that other work shared (load 4). Sittings differ a lot under such load: rules
alone, 1000 episodes, gave 1.7 to 5.3 million a second, and `rex-lib` 292 to 509; ring, 1 episode, 1560 to 4900 ns.

    pendulum, supervisor steps/s   with sampling   rules alone   rex-lib 0.0.12
       1 episode                          94,000       630,000   509 (186x, 1,240x)
    1000 episodes                      1,709,000     2,711,000       (3,360x, 5,331x)

    ns per step and message            4 nodes  16 nodes  64 nodes
    ring, tick by tick,   1 episode       3560      3358      3604
                        100 episodes       126       136       178
    star,                 1 episode        178       148       260
                        100 episodes        34        36        41
    random,               1 episode        166       150       236
                        100 episodes        49        34        50

So the cost is linear in steps plus messages. Of 1000 pendulum episodes, half goes into readers (binary search) and the
cut of each episode, a quarter into `frequency` scheduling; the rest is memory traffic.
"""

from __future__ import annotations

import argparse
import subprocess
import time
import zlib
from collections.abc import Callable
from pathlib import Path

import distrax
import numpy as np

from rexcli.system.delays import as_delay
from rexcli.system.node import Node
from rexcli.system.spec import Edge, NodeSpec
from rexcli.system.system import System
from rexcli.timeline.simulate import simulate
from rexcli.timeline.spec import EdgeTiming, NodeTiming, SystemTiming
from rexcli.timeline.timeline import Timeline

MS = 1_000_000
STEPS = 300
SIZES = (4, 8, 16, 32, 64)


def pendulum() -> System:
    """The pendulum's nodes, rates and delays; its nodes do nothing."""
    delays = {
        "world": 0.01998,
        "sensor": distrax.Normal(0.0075, 0.003),
        "agent": distrax.Normal(0.01, 0.003),
        "actuator": distrax.Normal(0.0075, 0.003),
    }
    nodes = [(NodeSpec(name, 50.0, delay=as_delay(delay)), Node()) for name, delay in delays.items()]
    near, far = as_delay(distrax.Normal(0.002, 0.002)), as_delay(distrax.Normal(0.01, 0.002))
    edges = [
        Edge("world_sensor", "world", "sensor", "world", delay=far),
        Edge("sensor_agent", "sensor", "agent", "sensor", window=3, blocking=True, delay=near),
        Edge("agent_actuator", "agent", "actuator", "agent", blocking=True, delay=near),
        Edge("actuator_world", "actuator", "world", "actuator", skip=True, delay=far),
    ]
    return System(nodes, edges, "agent")


def ring(size: int) -> SystemTiming:
    """Every node waits for the one before it, the first for the last one's earlier message: tick by tick."""
    return _system(size, [(i, (i + 1) % size, True, i == size - 1) for i in range(size)])


def star(size: int) -> SystemTiming:
    """A hub that waits for all others, which read what it sends."""
    spokes = [(i, 0, True, False) for i in range(1, size)]
    return _system(size, spokes + [(0, i, False, True) for i in range(1, size)])


def scattered(size: int) -> SystemTiming:
    """Two inputs a node, from anywhere, half of them blocking; a node waits for earlier ones alone."""
    rng = np.random.default_rng(size)
    edges = []
    for target in range(size):
        for source in rng.integers(0, size, 2).tolist():
            back = source >= target
            edges.append((source, target, bool(rng.random() < 0.5) and not back, back))
    return _system(size, edges)


def _system(size: int, edges: list[tuple[int, int, bool, bool]]) -> SystemTiming:
    """Nodes of 50 Hz; edges are `(source, target, blocking, skip)`."""
    return SystemTiming(
        tuple(NodeTiming(f"n{i}", 50.0, 2 * MS // size) for i in range(size)),
        tuple(
            EdgeTiming(f"e{i}", f"n{source}", f"n{target}", 1, blocking, skip, expected_delay=10 * MS // size)
            for i, (source, target, blocking, skip) in enumerate(edges)
        ),
        "n0",
    )


class Drawn:
    """Delays drawn beforehand, so that the rules alone are timed: about 1 ms for a node, 5 for an edge, by size."""

    def __init__(self, episodes: int, size: int):
        self.episodes, self.size = episodes, size
        self.kept: dict[tuple[str, str, int], np.ndarray] = {}

    def __call__(self, kind: str, name: str, ticks: int) -> np.ndarray:
        if (kind, name, ticks) not in self.kept:
            rng = np.random.default_rng(zlib.crc32(f"{kind} {name}".encode()))
            mean = (4 if kind == "node" else 20) * MS / self.size
            self.kept[kind, name, ticks] = rng.gamma(4, mean / 4, (self.episodes, ticks)).astype(np.int64)
        return self.kept[kind, name, ticks]


def best(run: Callable[[], Timeline], repeats: int = 5) -> tuple[float, Timeline]:
    """The shortest time of several, s, and what was made."""
    times = []
    for _ in range(repeats):
        began = time.perf_counter()
        timeline = run()
        times.append(time.perf_counter() - began)
    return min(times), timeline


def parts(timeline: Timeline) -> int:
    """Steps plus messages."""
    steps = sum(int(each.count.sum()) for each in timeline.steps.values())
    return steps + sum(int(timeline.steps[edge.source].count.sum()) for edge in timeline.spec.edges)


def bench_pendulum(peer: float | None) -> None:
    system = pendulum()
    print(f"{'pendulum':<12}{'episodes':>9}{'with sampling':>16}{'rules alone':>16}   supervisor steps/s")
    for episodes in (1, 1000):
        kept: dict[tuple[str, str, int], np.ndarray] = {}

        def draw(kind: str, name: str, ticks: int, episodes: int = episodes) -> np.ndarray:
            return system.sample_delays(kind, name, 0, episodes, ticks)

        def drawn(kind: str, name: str, ticks: int, kept: dict = kept) -> np.ndarray:
            if (kind, name, ticks) not in kept:
                kept[kind, name, ticks] = draw(kind, name, ticks)
            return kept[kind, name, ticks]

        timed = [
            best(lambda sample=sample: simulate(system.timing, sample, episodes=episodes, steps=STEPS))[0]  # noqa: B023
            for sample in (draw, drawn)
        ]
        with_sampling, alone = (episodes * STEPS / seconds for seconds in timed)
        print(f"{'':<12}{episodes:>9}{with_sampling:>16,.0f}{alone:>16,.0f}")
        if peer is not None:
            print(f"{'':<12}{'':>9}{with_sampling / peer:>15,.0f}x{alone / peer:>15,.0f}x   of rex-lib's {peer:,.0f}")


def bench_graphs(episodes: int) -> None:
    print(f"\n{episodes} episodes of {STEPS} steps, ns per step and message (supervisor steps/s)")
    print(f"{'nodes':<8}" + "".join(f"{name:>24}" for name in ("ring", "star", "random")))
    for size in SIZES:
        row = f"{size:<8}"
        for build in (ring, star, scattered):
            spec, sample = build(size), Drawn(episodes, size)
            seconds, timeline = best(
                lambda spec=spec, sample=sample: simulate(spec, sample, episodes=episodes, steps=STEPS), 3
            )
            rate = episodes * STEPS / seconds
            row += f"{seconds / parts(timeline) * 1e9:>12,.1f} ({rate:>9,.0f})"
        print(row)


def measure_peer(python: str) -> float:
    """Supervisor steps per second of `rex-lib`."""
    script = Path(__file__).with_name("peer_record.py")
    done = subprocess.run([python, script], capture_output=True, text=True, timeout=300, check=True)
    return float(done.stdout.split()[-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--peer", help="interpreter that has rex-lib")
    options = parser.parse_args()
    bench_pendulum(measure_peer(options.peer) if options.peer else None)
    for episodes in (1, 100):
        bench_graphs(episodes)


if __name__ == "__main__":
    main()
