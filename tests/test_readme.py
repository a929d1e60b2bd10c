"""The README's classes work as they stand there, and its commands are understood."""

from __future__ import annotations

import functools
import re
import shlex
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import typer
from flax import struct
from hydra.core.override_parser.overrides_parser import OverridesParser

from rexcli import Edge, Node, NodeSpec, System, compose
from rexcli.cli.commands import app
from rexcli.cli.hydra_app import split_conf
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


EXPERIMENT = ("show", "record", "compile", "rollout", "train", "identify", "eval")
RUN_KEYS = ("from", "policy", "delays", "params", "resume", "randomize.posterior")
"""Keys that name runs, which are not there."""


@functools.cache
def commands() -> list[tuple[str, list[str]]]:
    """What the blocks of shell have of `rex`: commands, and what each takes as overrides."""
    blocks = re.findall(r"```sh\n(.*?)```", README.read_text(), flags=re.S)
    lines = [line for block in blocks for line in block.splitlines() if "rex " in line and "pip install" not in line]
    group, found = typer.main.get_command(app), []
    for line in lines:
        name, *words = shlex.split(line[line.index("rex ") :], comments=True)[1:]
        context = group.commands[name].make_context(name, list(words))  # refuses options that there are not
        found.append((name, [word for word in context.params.get("overrides") or [] if "=" in word]))
    return found


def first_value(override: str) -> str:
    """An override, of a sweep its first value."""
    parsed = OverridesParser.create().parse_override(override)
    if not parsed.is_sweep_override():
        return override
    key = override.partition("=")[0]
    return f"{key}={next(parsed.sweep_string_iterator()) if parsed.is_discrete_sweep() else parsed.value().start}"


def test_every_command_is_understood() -> None:
    """`tests/cli/test_examples.py` runs what the help shows of them."""
    assert len(commands()) > 40
    assert {name for name, _ in commands()} == {command.name for command in app.registered_commands}


@pytest.mark.slow
def test_every_key_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(README.parent)
    wanted = set()
    for name, words in commands():
        conf, overrides = split_conf(words)
        left = tuple(each for each in overrides if each.partition("=")[0] not in (*RUN_KEYS, "launcher", "sweeper"))
        if name in EXPERIMENT and conf != "robot":
            wanted.add((conf or "pendulum", left))
    for conf, overrides in wanted:
        compose(conf, *map(first_value, overrides))
