"""A project as small as one that every command works on can be, and the command line as a process of its own."""

from __future__ import annotations

import inspect
import os
import shutil
import subprocess
import sys
from pathlib import Path

from tests.rl.tiny import Agent, ToZero, World

ROOT = Path(__file__).parents[2]

CONF = """
defaults: [base, ppo: default, _self_]
name: small
supervisor: agent
nodes:
  world: {_target_: nodes.small.World, rate: 20, delay: 0.01}
  agent: {_target_: nodes.small.Agent, rate: 20}
edges:
  world_agent: {from: world, to: agent, blocking: true}
  agent_world: {from: agent, to: world, skip: true}
env: {_target_: nodes.small.ToZero}
record: {steps: 20}
timeline: {episodes: 2, steps: 20}
rollout: {num: 20, save: 5}
ppo:
  num_envs: 8
  num_steps: 16
  total_timesteps: 1024
  update_epochs: 2
  num_minibatches: 4
  num_hidden_units: 8
  num_seeds: 2
  num_evals: 8
  num_eval_envs: 4
eval: {seconds: 0.5, episodes: 4}
"""

NODES = "\n\n".join(
    [
        "import jax\nimport jax.numpy as jnp\nfrom rexcli import Environment, Node\n",
        *(inspect.getsource(part) for part in (World, Agent, ToZero)),
    ]
)


START = """
import runpy, signal
signal.signal(signal.SIGINT, signal.default_int_handler)
for number in (signal.SIGTERM, signal.SIGHUP):
    signal.signal(number, signal.SIG_DFL)
runpy.run_module("rexcli", run_name="__main__")
"""
"""The command line, also where whoever started this ignores signals."""


def make_project(folder: Path) -> Path:
    """Writes the project to a folder, and returns it."""
    for name in ("conf", "nodes"):
        (folder / name).mkdir(parents=True)
    for source in (ROOT / "conf" / "base.yaml", ROOT / "conf" / "ppo", ROOT / "conf" / "launcher"):
        target = folder / "conf" / source.name
        shutil.copytree(source, target) if source.is_dir() else shutil.copy(source, target)
    (folder / "conf" / "default.yaml").write_text(CONF)
    (folder / "nodes" / "small.py").write_text(NODES)
    return folder


def start(project: Path, *words: str) -> subprocess.Popen[str]:
    """`rex WORDS` in a project; what XLA compiled is kept for the next one."""
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "JAX_COMPILATION_CACHE_DIR": str(project / ".compiled"),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
    }
    return subprocess.Popen(
        [sys.executable, "-c", START, *words],
        cwd=project,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def run(project: Path, *words: str, seconds: float = 600) -> tuple[int, str]:
    """`rex WORDS` to its end: the exit code, and what it said."""
    process = start(project, *words)
    said, _ = process.communicate(timeout=seconds)
    return process.returncode, said
