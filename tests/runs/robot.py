"""A run of rollouts with a camera, of which each value says of which rollout and tick it is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from rexcli.runs.view import RunView
from rexcli.timeline.arrays import to_arrays
from rexcli.timeline.simulate import simulate
from rexcli.timeline.spec import EdgeTiming, NodeTiming, SystemTiming
from rexcli.timeline.timeline import Timeline
from tests.runs.executions import MS
from tests.runs.test_rundir import new_run

ROBOT = SystemTiming(
    (NodeTiming("camera", 10.0), NodeTiming("imu", 100.0), NodeTiming("agent", 50.0)),
    (
        EdgeTiming("camera_agent", "camera", "agent", expected_delay=25 * MS),
        EdgeTiming("imu_agent", "imu", "agent", window=3),
    ),
    "agent",
)


def robot() -> Timeline:
    """Two episodes; the camera's first picture comes late."""

    def delays(kind: str, name: str, ticks: int) -> np.ndarray:
        return np.full((2, ticks), 25 * MS if name == "camera_agent" else 2 * MS, np.int64)

    return simulate(ROBOT, delays, episodes=2, steps=20)


def rollouts(root: Path, timeline: Timeline, num: int = 3, late: float = 0.0) -> RunView:
    """A run of `rollout`: each value says of which rollout and tick it is."""
    episode = np.arange(num) % timeline.num_episodes
    arrays: dict[str, Any] = {"episode": episode}
    for name, steps in timeline.steps.items():
        ticks = np.arange(steps.start.shape[1])
        arrays[f"{name}/seq"] = np.where(ticks < steps.count[episode, None], ticks, -1).astype(np.int32)
        arrays[f"{name}/ts"] = (steps.start[episode] / 1e9 + late).astype(np.float32)
    seq = {name: np.maximum(arrays[f"{name}/seq"], 0) for name in timeline.steps}
    of = np.arange(num)[:, None]
    arrays["imu/output/gyro"] = np.stack([1000.0 * of + seq["imu"]] * 3, axis=-1).astype(np.float32)
    arrays["camera/output"] = np.broadcast_to(
        (40 * of + seq["camera"])[..., None, None, None], (*seq["camera"].shape, 4, 5, 3)
    )
    arrays["camera/output"] = arrays["camera/output"].astype(np.uint8)
    arrays["agent/output/torque"] = (10.0 * of - seq["agent"]).astype(np.float64)[..., None]
    arrays["agent/state/memory"] = np.zeros((*seq["agent"].shape, 2, 3), np.float32)
    with new_run(root, "rollout") as run:
        run.write_arrays("timeline.npz", to_arrays(timeline))
        run.write_arrays("rollouts.npz", arrays)
    return RunView(run.path)
