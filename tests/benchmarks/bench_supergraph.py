"""Efficiency and search time of templates, beside the `supergraph` package's on graphs of its own generator.

    python -m tests.benchmarks.bench_supergraph --peer PYTHON [--sizes 4,8,16,32,64] [--quick] [--runs 3]

`--peer` names an interpreter that has `supergraph` 0.0.8. It generates the graphs (see `peer_supergraph.py`), searches
with its defaults, and counts what it matched; node 0 is the supervisor. Both sides get the same steps, the same
partitions (one for each step of the supervisor) and the same definition,

    efficiency = steps run / (slots x rows)

where the steps are all that some step of the supervisor depends on. A row of ours is a pass through the template; where
what precedes the first supervisor step takes several, all of them count. What the package finds depends on Python's
hash seed, so it searches several times in processes of their own (`--runs`), of which the best template and the
shortest time count.

The package's program may run a step long before its time stamp, as soon as what it depends on has run. Ours runs no
step in an earlier row than that in which it starts, so that a task which looks at node states sees none from the
future, unless `compile.ahead` allows it: `ahead` is `compile.ahead=1`, one row. Within these limits the rows that run
a step are chosen freely: the later of the first row in which it may start, and the earliest in which what it needs has
run, is the first that may, and the last is the row before the first supervisor step that depends on it.

Times are processor time. Ours is that of the whole plan, tables included, the package's that of its search alone.

Seen on two shared cores, 2026-11-22, three searches of the package for each graph, all noise levels up to 32 nodes and
one of 64. The package ran at a load of 1 to 2, and ours later, on the same graphs, at a load of 5 to 8, which takes up
to twice the processor time: the ratios of time are rather too low than too high.

| nodes | graphs | ours: higher, lower | worst, middle, best | search: worst, middle |
| --- | --- | --- | --- | --- |
| 4 | 40 | 5, 6 | 0.90, 1.00, 1.16 | x9.5, x17 |
| 8 | 40 | 24, 3 | 0.94, 1.06, 1.73 | x7.1, x16 |
| 16 | 40 | 33, 1 | 0.96, 1.20, 1.69 | x5.8, x15 |
| 32 | 40 | 37, 0 | 1.00, 1.34, 2.94 | x5.3, x14 |
| 64 | 10 | 10, 0 | 1.31, 2.06, 6.37 | x8.0, x12 |
| all | 170 | 109, 10 | 0.90, 1.12, 6.37 | x5.3, x15 |

| nodes | graphs | ahead: higher, lower | worst, middle, best | search: worst, middle |
| --- | --- | --- | --- | --- |
| 4 | 40 | 9, 0 | 1.00, 1.00, 1.22 | x7.0, x15 |
| 8 | 40 | 27, 0 | 1.00, 1.11, 1.73 | x6.6, x17 |
| 16 | 40 | 34, 0 | 1.00, 1.27, 1.69 | x7.0, x15 |
| 32 | 40 | 37, 0 | 1.00, 1.38, 2.98 | x5.5, x13 |
| 64 | 10 | 10, 0 | 1.32, 2.12, 6.37 | x8.0, x11 |
| all | 170 | 117, 0 | 1.00, 1.17, 6.37 | x5.5, x15 |

On the ten graphs on which ours is lower, all of mixed rates, our template is as short as any can be that runs nothing
ahead of time (`dependencies.fewest_slots`). Of the package's three templates for a graph the longest was up to 1.52
times as long as the shortest; a single run of it fares worse than this table says.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from rexcli.compiler.plan import Plan, make_plan
from rexcli.timeline.spec import NEVER, EdgeTiming, NodeTiming, SystemTiming, nanoseconds
from rexcli.timeline.timeline import Messages, Steps, Timeline

Edges = set[tuple[int, int]]
SIZES = (4, 8, 16, 32, 64)
SIGMAS = (0.0, 0.1, 0.2, 0.3)


def one_way(size: int) -> Edges:
    """Each node hears the one before it."""
    return {(i, (i + 1) % size) for i in range(size)}


def two_way(size: int) -> Edges:
    """Each node hears both neighbours."""
    return both(one_way(size))


def scattered(size: int) -> Edges:
    """A ring, and for every node another that it hears, drawn at random."""
    rng = np.random.default_rng(size)
    return one_way(size) | {(int(rng.integers(size)), i) for i in range(size)}


def platoon(size: int) -> Edges:
    """Vehicles in a row: each hears its neighbours and the leader."""
    return both({(i - 1, i) for i in range(1, size)}) | {(0, i) for i in range(1, size)}


def swarm(size: int) -> Edges:
    """Vehicles on a square grid: each hears those beside, before and behind it."""
    width = max(2, round(size**0.5))
    beside = {(i, i + 1) for i in range(size - 1) if (i + 1) % width}
    return both(beside | {(i, i + width) for i in range(size - width)})


def both(edges: Edges) -> Edges:
    """Edges and their reverse."""
    return edges | {(b, a) for a, b in edges}


TOPOLOGIES = {"one-way": one_way, "two-way": two_way, "random": scattered, "platoon": platoon, "swarm": swarm}


def cases(sizes: list[int], quick: bool) -> Iterator[tuple[str, dict[str, Any]]]:
    """Name and definition of each graph, see `peer_supergraph.measure`."""
    for size in sizes:
        for topology, build in TOPOLOGIES.items():
            edges = sorted({(a, b) for a, b in build(size) if a != b} | {(i, i) for i in range(size)})
            for rates in ("equal", "mixed"):
                fastest = 20.0 if rates == "equal" else 60.0
                for sigma in (0.2,) if quick else SIGMAS:
                    yield (
                        f"{topology:<8} {size:>3} nodes, {rates} rates, noise {sigma:.1f}",
                        {
                            "rates": np.linspace(20.0, fastest, size).tolist(),
                            "edges": edges,
                            "seconds": 10.0,
                            "sigma": sigma,
                            "episodes": 2,
                            "backtrack": 3,
                        },
                    )


def to_timeline(graphs: list[dict[str, Any]], rates: list[float], edges: list[tuple[int, int]]) -> Timeline:
    """The peer's graphs as episodes of one timeline; a step takes no time, and an edge is a message that was read."""
    steps = {}
    for node in range(len(rates)):
        count = np.array([len(graph["start"][node]) for graph in graphs])
        start = np.full((len(graphs), int(count.max())), NEVER, np.int64)
        for episode, graph in enumerate(graphs):
            start[episode, : count[episode]] = [nanoseconds(second) for second in graph["start"][node]]
        steps[f"n{node}"] = Steps(start, start, count)
    between = [(a, b) for a, b in edges if a != b]
    readers = {edge: np.full(steps[f"n{edge[0]}"].start.shape, -1, np.int64) for edge in between}
    for episode, graph in enumerate(graphs):
        for a, tick, b, reader in graph["edges"]:
            readers[a, b][episode, tick] = reader
    spec = SystemTiming(
        tuple(NodeTiming(f"n{node}", rate) for node, rate in enumerate(rates)),
        tuple(EdgeTiming(f"{a}_{b}", f"n{a}", f"n{b}") for a, b in between),
        "n0",
    )
    messages = {f"{a}_{b}": Messages(steps[f"n{a}"].start, reader) for (a, b), reader in readers.items()}
    return Timeline(spec, steps, messages)


def efficiency(plan: Plan) -> tuple[float, int]:
    """Steps run over slots offered, every row up to the last cut counted; and how many steps that is."""
    steps = sum(int((tick >= 0).sum()) for tick in plan.table.tick)
    rows = sum(plan.warmup + int(length) for length in plan.length)
    return steps / (len(plan.template) * rows), steps


def timed_plan(timeline: Timeline, ahead: int) -> tuple[float, Plan]:
    """The shortest of three processor times, s, and the plan."""
    times = []
    for _ in range(3):
        began = time.process_time()
        plan = make_plan(timeline, lookahead=ahead)
        times.append(time.process_time() - began)
    return min(times), plan


class Peer:
    """The package in an interpreter of its own."""

    def __init__(self, interpreter: str, hash_seed: int):
        self._process = subprocess.Popen(
            [interpreter, Path(__file__).with_name("peer_supergraph.py")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env={**os.environ, "PYTHONHASHSEED": str(hash_seed)},
        )

    def measure(self, case: dict[str, Any]) -> dict[str, Any]:
        """See `peer_supergraph.measure`."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(case) + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())

    def close(self) -> None:
        self._process.communicate()


def best(answers: list[dict[str, Any]]) -> dict[str, Any]:
    """The shortest template and the shortest search of several, which differ in nothing else."""
    first = answers[0]
    if any(answer["graphs"] != first["graphs"] or answer["steps"] != first["steps"] for answer in answers):
        sys.exit("the peer's graphs differ from run to run: the comparison is not fair")
    return {**first, **{key: min(answer[key] for answer in answers) for key in ("slots", "search_seconds")}}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--peer", required=True, help="interpreter that has supergraph 0.0.8")
    parser.add_argument("--sizes", default=",".join(map(str, SIZES)))
    parser.add_argument("--quick", action="store_true", help="one noise level")
    parser.add_argument("--runs", type=int, default=3, help="searches of the peer, of which the best counts")
    options = parser.parse_args()
    peers = [Peer(options.peer, hash_seed) for hash_seed in range(options.runs)]
    print(f"{'':<44}{'slots':>18}{'efficiency':>24}{'search, s':>27}")
    print(f"{'':<44}" + "".join(f"{name:>{width}}" for width in (6, 8, 9) for name in ("peer", "ours", "ahead")))
    gains, speedups, worst = np.zeros((0, 2)), np.zeros((0, 2)), 1.0
    for name, case in cases([int(size) for size in options.sizes.split(",")], options.quick):
        answers = [peer.measure(case) for peer in peers]
        answer = best(answers)
        worst = max(worst, max(found["slots"] for found in answers) / answer["slots"])
        timeline = to_timeline(answer["graphs"], case["rates"], case["edges"])
        timed = [timed_plan(timeline, ahead) for ahead in (0, 1)]
        plans = [plan for _, plan in timed]
        if any(efficiency(plan)[1] != answer["steps"] for plan in plans):
            sys.exit(f"{name}: we do not run the peer's {answer['steps']} steps: the comparison is not fair")
        slots = [answer["slots"]] + [len(plan.template) for plan in plans]
        shares = [answer["steps"] / (answer["slots"] * answer["partitions"])] + [efficiency(plan)[0] for plan in plans]
        times = [answer["search_seconds"]] + [seconds for seconds, _ in timed]
        gains = np.vstack([gains, np.array(shares[1:]) / shares[0]])
        speedups = np.vstack([speedups, times[0] / np.array(times[1:])])
        print(
            f"{name:<44}"
            + "".join(f"{count:>6}" for count in slots)
            + "".join(f"{share:>8.3f}" for share in shares)
            + "".join(f"{seconds:>9.3f}" for seconds in times),
            flush=True,
        )
    for peer in peers:
        peer.close()
    print(f"peer: its longest template of {options.runs} was at most x{worst:.2f} as long as its shortest")
    for index, name in enumerate(("ours", "ahead")):
        gain, speedup = gains[:, index], speedups[:, index]
        print(
            f"{name}: on {len(gain)} graphs, efficiency higher on {(gain > 1.0001).sum()}, lower on "
            f"{(gain < 0.9999).sum()}; x{gain.min():.2f} at worst, x{np.median(gain):.2f} in the middle, "
            f"x{gain.max():.2f} at best; search x{speedup.min():.1f} at worst, x{np.median(speedup):.0f} in the middle "
            f"and x{speedup.max():.0f} at best as fast"
        )


if __name__ == "__main__":
    main()
