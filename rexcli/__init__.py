"""Delay-aware robot learning: declare a system, record it, compile it, roll it out, train on it.

The pipeline is one call per stage: `compose`, `build`, `simulate` or `record`, `compile`, `rollout`, `train`,
`evaluate`. Names are imported when they are first used, so that `import rexcli` stays free of JAX.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

# ruff: noqa: F401 - `__all__` has what is imported here for type checkers
if TYPE_CHECKING:
    from rexcli.compiler.program import Program
    from rexcli.config.schema import WallSettings
    from rexcli.errors import RexError
    from rexcli.pipeline import build, compile, compose, environment, evaluate, record, rollout, train
    from rexcli.rl.environment import Environment
    from rexcli.rl.graph_env import GraphEnv
    from rexcli.rl.loggers import Logger
    from rexcli.rl.policy import Policy
    from rexcli.rl.spaces import Box, Discrete, MultiDiscrete
    from rexcli.runs.view import RunView
    from rexcli.runtime.in_memory import InMemoryRecorder
    from rexcli.runtime.stepper import Stepper
    from rexcli.runtime.wall.wall_clock import WallClock
    from rexcli.system.adjustable import AdjustableDelay
    from rexcli.system.delay_families import Correlated, Gamma, LogNormal, Mixture, Normal, Regimes, TruncatedNormal
    from rexcli.system.losses import GilbertElliott, IndependentLoss
    from rexcli.system.node import Node
    from rexcli.system.spec import Edge, NodeSpec
    from rexcli.system.states import GraphState, InputState, Message, StepState
    from rexcli.system.system import System
    from rexcli.timeline.timeline import Timeline
    from rexcli.timelines import simulate

__version__ = "0.1.0"

_HOMES = {
    "AdjustableDelay": "rexcli.system.adjustable",
    "Box": "rexcli.rl.spaces",
    "Correlated": "rexcli.system.delay_families",
    "Discrete": "rexcli.rl.spaces",
    "Edge": "rexcli.system.spec",
    "Environment": "rexcli.rl.environment",
    "Gamma": "rexcli.system.delay_families",
    "GilbertElliott": "rexcli.system.losses",
    "GraphEnv": "rexcli.rl.graph_env",
    "GraphState": "rexcli.system.states",
    "IndependentLoss": "rexcli.system.losses",
    "InputState": "rexcli.system.states",
    "LogNormal": "rexcli.system.delay_families",
    "Normal": "rexcli.system.delay_families",
    "InMemoryRecorder": "rexcli.runtime.in_memory",
    "Logger": "rexcli.rl.loggers",
    "Message": "rexcli.system.states",
    "Mixture": "rexcli.system.delay_families",
    "MultiDiscrete": "rexcli.rl.spaces",
    "Node": "rexcli.system.node",
    "NodeSpec": "rexcli.system.spec",
    "Policy": "rexcli.rl.policy",
    "Program": "rexcli.compiler.program",
    "Regimes": "rexcli.system.delay_families",
    "RexError": "rexcli.errors",
    "RunView": "rexcli.runs.view",
    "StepState": "rexcli.system.states",
    "Stepper": "rexcli.runtime.stepper",
    "System": "rexcli.system.system",
    "Timeline": "rexcli.timeline.timeline",
    "TruncatedNormal": "rexcli.system.delay_families",
    "WallClock": "rexcli.runtime.wall.wall_clock",
    "WallSettings": "rexcli.config.schema",
    "build": "rexcli.pipeline",
    "compile": "rexcli.pipeline",
    "compose": "rexcli.pipeline",
    "environment": "rexcli.pipeline",
    "evaluate": "rexcli.pipeline",
    "record": "rexcli.pipeline",
    "rollout": "rexcli.pipeline",
    "simulate": "rexcli.timelines",
    "train": "rexcli.pipeline",
}

__all__ = sorted(_HOMES)


def __getattr__(name: str) -> Any:
    if name in ("gym", "gymnax"):  # of extras: `rexcli.gym.make("pendulum")`
        return importlib.import_module(f"rexcli.{name}")
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'rexcli' has no attribute '{name}'")
