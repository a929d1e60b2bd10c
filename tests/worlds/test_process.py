"""MuJoCo in a process of its own gives the same numbers, and is missed when it is gone."""

from __future__ import annotations

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rexcli import RexError
from rexcli.testing import NodeTester
from rexcli.worlds import Mujoco
from rexcli.worlds.process import ProcessEngine
from tests.worlds.models import TOUCHING, needs_mujoco, slow, written


@slow
@needs_mujoco
def test_a_process_of_its_own_gives_the_same_numbers_and_is_missed_when_it_is_gone(tmp_path: Path) -> None:
    file, seen = written(tmp_path, TOUCHING.format(mass=0.5)), []
    for engine in ("auto", "process"):
        world = Mujoco(
            file, {"servo": "agent", "pull": 0.0}, parameters={"mass": "body_mass.pole"}, rate=100, engine=engine
        )
        tester = NodeTester(world, 100, {"agent": jnp.zeros(1)}, params={"mass": 0.7})
        seen.append([tester.step(agent=jnp.array([0.3])) for _ in range(10)])
    for mine, other in zip(*map(jax.tree.leaves, seen), strict=True):
        assert np.array_equal(mine, other)
    alone = tester._call.node
    assert alone.engine.endswith("in a process of its own")
    process = alone._engines[ProcessEngine]._process
    process.kill()
    process.wait()
    with pytest.raises(RexError, match="the process that steps the world ended with code -9"):
        tester.step()
