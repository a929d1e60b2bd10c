"""A small project of its own: two nodes, three files of YAML."""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from rexcli.config.project import Project, find_project

BASE = """
seed: 3
record: {steps: 10}
"""

TOY = """
defaults: [base, ppo: quick, _self_]
supervisor: brain
nodes:
  eye:
    _target_: nodes.toy.Eye
    rate: 20
    delay: {_target_: distrax.Normal, loc: 0.01, scale: 0.001}
    gain: 2
  brain: {_target_: nodes.toy.Brain, rate: 10}
edges:
  eye_brain: {from: eye, to: brain, window: 2}
  brain_eye: {from: brain, to: eye, skip: true, delay: 0.004}
env: {_target_: nodes.toy.Task, goal: 2.5}
"""

CHILD = """
defaults: [toy, _self_]
nodes:
  eye:
    delay: {_target_: distrax.Uniform, low: 0.0, high: 0.02}
"""

NODES = """
import os
import os.path as paths
import subprocess
from functools import partial
from typing import Literal

run = os.system
shell = partial(os.system)
Popen = subprocess.Popen


class Eye:
    def __init__(self, gain: float, mode: Literal["fast", "slow"] = "fast", name="", rate=0.0, lens=None):
        if gain == 13:
            raise ValueError("thirteen\\nis unlucky")
        self.gain, self.mode, self.given, self.lens = gain, mode, (name, rate), lens

    def step(self, step_state):
        return step_state, self.gain


class Brain:
    def step(self, step_state):
        return step_state, 0.0


class Task:
    def __init__(self, goal: float):
        self.goal = goal

    def bind(self, system):
        self.system = system
        return self


def make():
    return Brain()
"""


def write_project(root: Path) -> Path:
    files = {
        "conf/base.yaml": BASE,
        "conf/toy.yaml": TOY,
        "conf/child.yaml": CHILD,
        "conf/default.yaml": "defaults: [toy, _self_]",
        "conf/ppo/quick.yaml": "{lr: 1e-3, num_envs: 4}",
        "conf/ppo/slow.yaml": "{lr: 1e-5}",
        "nodes/toy.py": NODES,
    }
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(textwrap.dedent(text).lstrip())
    return root


@pytest.fixture
def toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Project]:
    """The project, with the working directory in it; its `nodes` are forgotten afterwards."""
    monkeypatch.chdir(write_project(tmp_path))
    monkeypatch.setattr(sys, "path", list(sys.path))
    before = _nodes()
    yield find_project()
    for name in _nodes():
        del sys.modules[name]
    sys.modules.update(before)


def _nodes() -> dict[str, ModuleType]:
    return {name: module for name, module in sys.modules.items() if name.partition(".")[0] == "nodes"}
