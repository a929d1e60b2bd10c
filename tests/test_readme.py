"""The README's classes work as they stand there."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from rexcli import Edge, Node, NodeSpec, System
from rexcli.system.init import init_graph_state

README = Path(__file__).parents[1] / "README.md"


def classes() -> dict[str, Any]:
    """What the blocks of Python that declare classes define."""
    names: dict[str, Any] = {}
    for block in re.findall(r"```python\n(.*?)```", README.read_text(), flags=re.S):
        if "\nclass " in block:
            exec(block, names)  # the README is ours
    return names


@struct.dataclass
class ArmState:
    angle: Any


class Arm(Node):
    def init_state(self, rng, graph_state):
        return ArmState(jnp.float32(0.5))

    def init_output(self, rng, graph_state):
        return jnp.float32(0.5)

    def step(self, step_state):
        angle = step_state.state.angle + step_state.dt * step_state.inputs["filter"][-1].data
        return step_state.replace(state=ArmState(angle)), angle


class Encoder(Node):
    def step(self, step_state):
        return step_state, Reading(step_state.inputs["arm"][-1].data)


@struct.dataclass
class Reading:
    th: Any


class Controller(Node):
    def step(self, step_state):
        return step_state, jnp.float32(0.0)


def system_with(filtering: Node) -> System:
    nodes = [
        (NodeSpec(name="arm", rate=50), Arm()),
        (NodeSpec(name="sensor", rate=50), Encoder()),
        (NodeSpec(name="filter", rate=50), filtering),
        (NodeSpec(name="controller", rate=25), Controller()),
    ]
    ends = [("arm", "sensor"), ("sensor", "filter"), ("filter", "controller"), ("filter", "arm")]
    edges = [
        Edge(name=f"{source}_{target}", source=source, target=target, skip=target == "arm") for source, target in ends
    ]
    edges[2] = Edge(name="filter_controller", source="filter", target="controller", input_name="encoder")
    return System(nodes, edges, "controller")


def test_the_filter_and_the_task_run() -> None:
    names = classes()
    system = system_with(names["LowPass"](share=0.5))
    task = names["Reach"](goal=2.0).bind(system)
    state = init_graph_state(system, jax.random.key(0))
    assert task.observation_space.size == 3
    assert task.action_space.high == (2.0,)
    assert task.max_steps == 100
    assert set(task.observed) == {"arm"}
    np.testing.assert_allclose(task.reward(state), -1.5)
    assert not task.terminated(state)
    assert set(task.measure(state)) == {"error"}


def test_the_picture_is_drawn(tmp_path: Path) -> None:
    class View:
        def csv(self, name: str) -> dict[str, np.ndarray]:
            assert name == "evaluation.csv"
            return {"return": np.arange(10.0)}

    figure = classes()["Returns"]().render(View(), None)
    figure.savefig(tmp_path / "returns.png")
    assert (tmp_path / "returns.png").stat().st_size > 1000
