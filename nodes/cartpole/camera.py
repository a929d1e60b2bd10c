"""Defines the camera beside the track, with the detector that finds cart and pole in its frames."""

from __future__ import annotations

import jax
from flax import struct

from rexcli import GraphState, Node, StepState


@struct.dataclass
class Output:
    """The positions that are seen in one frame."""

    x: jax.Array  # m
    th: jax.Array  # rad, 0 upright


class Camera(Node):
    """A camera that sees where cart and pole are, but not how fast they move.

    The detector works on several frames at once, and so keeps up with the camera although each frame takes it longer
    than a period: its time is a delay of the edge to the reader, not of the camera's computation.

    Args:
        noise: standard deviation of the detected positions, m and rad.
    """

    def __init__(self, noise: float = 0.002):
        self.noise = noise

    def init_output(self, rng: jax.Array, graph_state: GraphState) -> Output:
        world = graph_state.state["world"]
        return Output(x=world.x, th=world.th)

    def step(self, step_state: StepState) -> tuple[StepState, Output]:
        seen = step_state.inputs["world"][-1].data
        x, th = self.noise * jax.random.normal(jax.random.fold_in(step_state.rng, step_state.seq), (2,))
        return step_state, Output(x=seen.x + x, th=seen.th + th)
