"""Delay-aware robot learning: declare a system, record it, compile it, roll it out, train on it.

Names are imported when they are first used, so that `import rexcli` stays free of JAX.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rexcli.errors import RexError
    from rexcli.graph.node import Node
    from rexcli.graph.states import GraphState, InputState, Message, StepState
    from rexcli.rl.environment import Environment
    from rexcli.rl.spaces import Box

__version__ = "0.1.0"

_HOMES = {
    "Box": "rexcli.rl.spaces",
    "Environment": "rexcli.rl.environment",
    "RexError": "rexcli.errors",
    "Node": "rexcli.graph.node",
    "GraphState": "rexcli.graph.states",
    "InputState": "rexcli.graph.states",
    "Message": "rexcli.graph.states",
    "StepState": "rexcli.graph.states",
}

__all__ = ["Box", "Environment", "GraphState", "InputState", "Message", "Node", "RexError", "StepState"]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'rexcli' has no attribute '{name}'")
