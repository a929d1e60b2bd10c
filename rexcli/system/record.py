"""What a recording keeps of a node. Data only: no JAX."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class RecordSettings:
    """What a recording keeps of a node's every step."""

    params: bool = False
    """The parameters that the step saw."""
    inputs: bool = False
    """The messages that the step saw."""
    state: bool = True
    """The state that the step left."""
    output: bool = True
    """What the step sent."""
