"""Runs as the commands would leave them, made up: configs, timelines, tables and arrays for the pictures' tests."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from rexcli.runs.recording.layout import Leaf
from rexcli.runs.recording.reader import StepValues
from rexcli.timeline.simulate import simulate
from rexcli.timeline.spec import NANOSECONDS, EdgeTiming, NodeTiming, SystemTiming, nanoseconds
from rexcli.timeline.timeline import Timeline


def normal(loc: float, scale: float) -> dict[str, Any]:
    return {"_target_": "distrax.Normal", "loc": loc, "scale": scale}


PENDULUM: dict[str, Any] = {
    "name": "pendulum",
    "seed": 0,
    "supervisor": "agent",
    "nodes": {
        "world": {"rate": 50, "delay": 0.999 / 50, "color": "grape", "order": 0},
        "sensor": {"rate": 50, "delay": normal(0.0075, 0.003), "color": "pink", "order": 1},
        "actuator": {"rate": 50, "delay": normal(0.0075, 0.003), "color": "orange", "order": 2},
        "agent": {"rate": 50, "delay": normal(0.01, 0.003), "color": "teal", "order": 3},
    },
    "edges": {
        "world_sensor": {"from": "world", "to": "sensor", "window": 1, "delay": 0.0},
        "sensor_agent": {
            "from": "sensor",
            "to": "agent",
            "window": 3,
            "blocking": True,
            "delay": normal(0.002, 0.002),
        },
        "agent_actuator": {
            "from": "agent",
            "to": "actuator",
            "window": 1,
            "blocking": True,
            "delay": normal(0.002, 0.002),
        },
        "actuator_world": {
            "from": "actuator",
            "to": "world",
            "window": 1,
            "skip": True,
            "delay": normal(0.004, 0.001),
        },
    },
}


def bringing(path: str, name: str = "swing") -> dict[str, Any]:
    """The pendulum's config with a picture that the experiment brings."""
    return {**PENDULUM, "plots": {"pictures": {name: path}}}


def config_of(
    names: list[str], edges: list[tuple[str, str]], *, skip: tuple[int, ...] = (), rate: float = 50
) -> dict[str, Any]:
    """A config of nodes and edges that matter only in shape; edges with an index in `skip` skip."""
    return {
        "supervisor": names[-1],
        "nodes": {name: {"rate": rate, "delay": normal(0.004, 0.001)} for name in names},
        "edges": {
            f"edge_{index}": {
                "from": source,
                "to": target,
                "window": 1 + index % 3,
                "blocking": index % 2 == 0 and index not in skip,
                "skip": index in skip,
                "delay": 0.002,
            }
            for index, (source, target) in enumerate(edges)
        },
    }


def chain(num: int, length: int = 8) -> dict[str, Any]:
    """`num` nodes one after another, with names of `length` letters, closed by an edge with skip."""
    names = [f"node_{index:02d}".ljust(length, "x")[:length] for index in range(num)]
    edges = list(pairwise(names)) + ([(names[-1], names[0])] if num > 1 else [])
    return config_of(names, edges, skip=(num - 1,))


def tangle(num: int, seed: int = 0) -> dict[str, Any]:
    """A random graph with loops, closed by `skip`, self loops and several edges between the same nodes."""
    rng = np.random.default_rng(seed)
    names = [f"part_{index}" for index in range(num)]
    pairs = rng.integers(0, num, (2 * num, 2))
    edges = [(names[a], names[b]) for a, b in pairs]
    return config_of(names, edges, skip=tuple(int(i) for i in np.flatnonzero(pairs[:, 0] >= pairs[:, 1])))


def _expected(delay: Any) -> int:
    if isinstance(delay, Mapping):
        return nanoseconds(delay["loc"] + 2.326 * delay["scale"])
    return nanoseconds(delay)


def timing(config: Mapping[str, Any]) -> SystemTiming:
    return SystemTiming(
        tuple(NodeTiming(name, node["rate"], _expected(node["delay"])) for name, node in config["nodes"].items()),
        tuple(
            EdgeTiming(
                name,
                edge["from"],
                edge["to"],
                edge.get("window", 1),
                edge.get("blocking", False),
                edge.get("skip", False),
                "latest",
                _expected(edge["delay"]),
            )
            for name, edge in config["edges"].items()
        ),
        config["supervisor"],
    )


def timeline_of(config: Mapping[str, Any], *, episodes: int = 3, steps: int = 60) -> Timeline:
    """Simulated by the rules, with delays as the config declares them."""

    def sample(kind: str, name: str, ticks: int) -> np.ndarray:
        delay = config["nodes" if kind == "node" else "edges"][name]["delay"]
        rng = np.random.default_rng([ord(letter) for letter in f"{kind}{name}"])
        draws = np.stack([rng.normal(size=episodes) for _ in range(ticks)], 1)
        seconds = delay["loc"] + delay["scale"] * draws if isinstance(delay, Mapping) else np.full_like(draws, delay)
        return np.rint(np.maximum(seconds, 0) * NANOSECONDS).astype(np.int64)

    return simulate(timing(config), sample, episodes=episodes, steps=steps)


def pendulum_rollouts(num: int = 40, steps: int = 100) -> dict[str, np.ndarray]:
    """Damped pendulums from random starts, as in rollouts.npz; the last ticks of some episodes are unfilled."""
    rng = np.random.default_rng(0)
    th, thd = rng.uniform(-np.pi, np.pi, num), rng.uniform(-9, 9, num)
    action = np.cumsum(rng.normal(size=(num, steps)) * 0.3, 1).clip(-2, 2)
    angles, speeds = [], []
    for step in range(steps):
        for _ in range(4):
            thd = thd + 0.005 * (60 * np.sin(th) - 2.0 * thd + 20 * action[:, step])
            th = th + 0.005 * thd
        angles.append(th.copy())
        speeds.append(thd.copy())
    seq = np.broadcast_to(np.arange(steps), (num, steps)).copy()
    seq[::5, -3:] = -1
    ts = np.where(seq < 0, 0.0, seq / 50 + rng.uniform(0, 0.004, (num, steps)))
    arrays = {"env/reward": -(np.stack(angles, 1) ** 2), "env/action": action[..., None]}
    state = {"th": np.stack(angles, 1), "thd": np.stack(speeds, 1)}
    for node, leaves in (("world", {f"state/{key}": value for key, value in state.items()}),):
        arrays |= {f"{node}/{key}": np.float32(value) for key, value in leaves.items()}
    arrays["agent/output/action"] = np.float32(action)[..., None]
    for node in ("world", "agent"):
        arrays |= {f"{node}/seq": seq, f"{node}/ts": np.float32(ts)}
    return arrays


def metrics(seeds: int = 5, updates: int = 20, *, level: float = 0.0) -> dict[str, np.ndarray]:
    """A table as in metrics.csv: evaluations at every other update, NaN between."""
    rng = np.random.default_rng(1)
    seed, update = (grid.ravel() for grid in np.meshgrid(np.arange(seeds), np.arange(1, updates + 1)))
    done = update / updates
    late = done + rng.normal(size=len(seed)) * 0.05
    table = {
        "seed": seed,
        "update": update,
        "total_steps": update * 249_856,
        "eval/return_mean": -900 * np.exp(-3 * late) - 40 + level,
        "eval/return_std": 40 * np.ones(len(seed)),
        "eval/hold": np.clip(1.1 * late - 0.1, 0, 1),
        "train/kl": 0.01 + 0.004 * rng.uniform(size=len(seed)),
        "train/entropy": 1.4 - late,
        "train/value_loss": 0.3 * np.exp(-late) + 0.02 * rng.uniform(size=len(seed)),
        "train/explained_variance": np.clip(late, 0, 1),
        "train/clip_fraction": 0.2 * rng.uniform(size=len(seed)),
    }
    if updates > 1:
        for name in ("eval/return_mean", "eval/return_std", "eval/hold"):
            table[name] = np.where(update % 2 == 0, table[name], np.nan)
    return table


def program(partitions: int = 300) -> dict[str, Any]:
    """As in program.json: a template of the pendulum's four nodes with two redundant slots."""
    nodes = ["world", "sensor", "world", "sensor", "agent", "actuator", "world"]
    share = [1.0, 0.98, 0.31, 0.29, 1.0, 1.0, 0.12]
    after = [[], [0], [0], [1, 2], [1, 3], [4], [2, 5, 0]]
    rng = np.random.default_rng(2)
    usage = (rng.uniform(size=(partitions, len(nodes))) < np.asarray(share)).astype(int)
    return {
        "mode": "mcs",
        "slots": [
            {"node": node, "run_share": part, "after": before}
            for node, part, before in zip(nodes, share, after, strict=True)
        ],
        "efficiency": float(np.mean(share)),
        "partitions": partitions,
        "pruned": {"world": 2, "sensor": 1},
        "buffers": {"world": 2, "sensor": 4, "agent": 1, "actuator": 3},
        "usage": usage.tolist(),
    }


def sweep() -> dict[str, np.ndarray]:
    """A table as in sweep.csv: two swept keys, one failed job."""
    lr, rate = (grid.ravel() for grid in np.meshgrid([1e-4, 3e-4, 1e-3], [25, 50]))
    hold = np.round(np.clip(0.5 + 0.2 * np.log10(lr / 1e-4) + 0.004 * rate, 0, 1), 3).astype(str)
    hold[-1] = ""
    return {
        "job": np.arange(len(lr)),
        "status": np.asarray(["done"] * (len(lr) - 1) + ["failed"]),
        "ppo.lr": lr,
        "nodes.agent.rate": rate,
        "hold": hold,
        "return_mean": -100.0 * (1 - np.arange(len(lr)) / 10),
    }


@dataclass(frozen=True)
class FakeRecording:
    """What a recording's reader offers pictures."""

    line: Timeline
    kept: dict[tuple[str, str], dict[str, np.ndarray]]

    def timeline(self) -> Timeline:
        return self.line

    @property
    def spec(self) -> SystemTiming:
        return self.line.spec

    def fields(self, node: str) -> tuple[str, ...]:
        return tuple(field for owner, field in self.kept if owner == node)

    def counts(self, node: str) -> np.ndarray:
        return self.line.steps[node].count

    def values(self, node: str, field: str) -> dict[str, np.ndarray]:
        return self.kept[node, field]

    def leaves(self, node: str, field: str) -> tuple[Leaf, ...]:
        arrays = self.kept[node, field]
        return tuple(Leaf(field, path, array.dtype.name, array.shape[2:]) for path, array in arrays.items())

    def records(
        self, wanted: Mapping[str, Sequence[Leaf]], ticks: Mapping[str, tuple[int, int]], size: int = 37
    ) -> Iterator[StepValues]:
        """The steps of each episode in turn, `size` at a time."""
        for node, leaves in wanted.items():
            for episode, count in enumerate(self.counts(node)):
                stop = min(ticks[node][1], int(count))
                for begin in range(ticks[node][0], stop, size):
                    seq = np.arange(begin, min(begin + size, stop))
                    found = {leaf: self.kept[node, leaf.field][leaf.path][episode, seq] for leaf in leaves}
                    yield StepValues(node, np.full(len(seq), episode), seq, found)


def recording(steps: int = 100) -> FakeRecording:
    """One episode of the pendulum."""
    line = timeline_of(PENDULUM, episodes=1, steps=steps)
    arrays = pendulum_rollouts(1, line.steps["world"].start.shape[1])
    ticks = {name: own.start.shape[1] for name, own in line.steps.items()}
    state = {key: arrays[f"world/state/{key}"][:1, : ticks["world"]] for key in ("th", "thd")}
    action = arrays["agent/output/action"][:1, : ticks["agent"]]
    observed = {"th": np.sin(np.arange(ticks["sensor"]))[None], "image": np.zeros((1, ticks["sensor"], 8, 8))}
    return FakeRecording(
        line, {("world", "state"): state, ("agent", "output"): {"action": action}, ("sensor", "output"): observed}
    )


@dataclass(frozen=True)
class FakeRun:
    """A run in memory: artifacts by name."""

    path: Path
    artifacts: dict[str, Any] = field(default_factory=dict)
    config: dict[str, Any] = field(default_factory=lambda: PENDULUM)
    command: str = "train"
    experiment: str = "pendulum"
    seed: int | None = 0

    def has(self, name: str) -> bool:
        return name in self.artifacts

    def _get(self, name: str) -> Any:
        return self.artifacts[name]

    arrays = json = csv = _get

    def timeline(self) -> Timeline:
        return self.artifacts.get("timeline.npz") or self.recording().timeline()

    def recording(self) -> FakeRecording:
        return self.artifacts["recording.mcap"]
