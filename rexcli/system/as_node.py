"""Makes a node's code an instance of `Node`, and sets the level of its logger."""

from __future__ import annotations

import logging
from typing import Any

from rexcli.errors import RexError
from rexcli.system.node import Node
from rexcli.system.spec import NodeSpec


def as_node(code: Any, spec: NodeSpec) -> Node:
    """Returns `code` as a `Node` that knows its `spec`.

    If the class of `code` does not derive from `Node`, it stays the same object, but its class is replaced by a new one
    that derives from its own class and `Node`. The logger `rex.nodes.NAME`, which all systems with a node of that name
    share, gets the declared level.

    Raises:
        RexError: if the code has no `step`, or its class cannot be replaced.
    """
    if not isinstance(code, Node):
        if not callable(getattr(code, "step", None)):
            raise RexError(f"node '{spec.name}': {type(code).__name__} has no step(step_state); write one")
        try:
            code.__class__ = type(type(code).__name__, (type(code), Node), {})
        except TypeError:
            raise RexError(
                f"node '{spec.name}': {type(code).__name__} cannot be extended; derive it from rexcli.Node"
            ) from None
    object.__setattr__(code, "spec", spec)
    logging.getLogger(f"rex.nodes.{spec.name}").setLevel(spec.log_level.upper())
    return code
