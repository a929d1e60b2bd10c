"""Systems that come with rex run, and their moving pictures are drawn."""

from __future__ import annotations

from pathlib import Path

import jax
import numpy as np
import pytest

from rexcli import pipeline
from rexcli.cli.main import main
from rexcli.runs.view import find_run
from rexcli.system.init import init_graph_state
from tests.worlds.models import needs_mujoco

ROLLOUT = ("rollout", "rollout.num=4", "rollout.steps=20", "timeline.episodes=2")
RECORD = ("record", "record.steps=20")
"""Takes less than to compile a program with many slots."""

RUNS = {"cartpole": ROLLOUT, "quadrotor": RECORD, "platoon": RECORD}


@pytest.mark.slow
@pytest.mark.parametrize("system", RUNS)
def test_a_system_runs_and_moves(system: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert main([*RUNS[system], f"conf={system}", "-q"]) == 0
    run = find_run("latest", Path("outputs")).path
    assert (run / "plots" / f"{system}.gif").stat().st_size > 10_000
    assert "could not be drawn" not in (run / "log.txt").read_text()


@pytest.mark.parametrize(
    "conf", ["pendulum", "cartpole", "quadrotor", "platoon", pytest.param("arm", marks=needs_mujoco)]
)
def test_a_critic_may_see_what_only_the_simulator_knows(conf: str) -> None:
    experiment = pipeline.compose(conf, "ppo.critic=privileged")
    system = pipeline.build(experiment)
    task = pipeline.environment(experiment, system)
    algorithm = pipeline.algorithm(experiment, task)
    state = init_graph_state(system, jax.random.key(0))
    known = np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(task.privileged(state))])
    assert known.size == algorithm.privileged_size > 2
    assert np.isfinite(known).all()
