"""Delay-aware robot learning: declare a system, record it, compile it, roll it out, train on it.

The pipeline is one call per stage: `compose`, `build`, `simulate` or `record`, `compile`, `rollout`, `train`,
`evaluate`. Names are imported when they are first used, so that `import rexcli` stays free of JAX.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from rexcli.lazy import attach

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

_import, __all__ = attach(
    __name__,
    {
        "compiler.program": ["Program"],
        "config.schema": ["WallSettings"],
        "errors": ["RexError"],
        "pipeline": ["build", "compile", "compose", "environment", "evaluate", "record", "rollout", "train"],
        "rl.environment": ["Environment"],
        "rl.graph_env": ["GraphEnv"],
        "rl.loggers": ["Logger"],
        "rl.policy": ["Policy"],
        "rl.spaces": ["Box", "Discrete", "MultiDiscrete"],
        "runs.view": ["RunView"],
        "runtime.in_memory": ["InMemoryRecorder"],
        "runtime.stepper": ["Stepper"],
        "runtime.wall.wall_clock": ["WallClock"],
        "system.adjustable": ["AdjustableDelay"],
        "system.delay_families": [
            "Correlated",
            "Gamma",
            "LogNormal",
            "Mixture",
            "Normal",
            "Regimes",
            "TruncatedNormal",
        ],
        "system.losses": ["GilbertElliott", "IndependentLoss"],
        "system.node": ["Node"],
        "system.spec": ["Edge", "NodeSpec"],
        "system.states": ["GraphState", "InputState", "Message", "StepState"],
        "system.system": ["System"],
        "timeline.timeline": ["Timeline"],
        "timelines": ["simulate"],
    },
)


def __getattr__(name: str) -> Any:
    if name in ("gym", "gymnax"):  # of extras: `rexcli.gym.make("pendulum")`
        return importlib.import_module(f"rexcli.{name}")
    return _import(name)
