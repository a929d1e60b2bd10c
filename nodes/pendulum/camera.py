"""Defines the camera of a real pendulum: it asks for a frame and waits for the angle that is seen in it."""

from __future__ import annotations

import math

import jax
import numpy as np

from nodes.pendulum.bus import Bus, started
from nodes.pendulum.plant import READING
from nodes.pendulum.simulated_camera import Output
from rexcli import GraphState, Node, StepState


class Camera(Node):
    """A camera that takes the newest frame when its step starts, without knowing the frame's age.

    Args:
        port: UDP port of the pendulum on this machine; 0 starts a plant of its own, see `nodes.pendulum.plant`.
        timeout: seconds to wait for a frame.
        plant, seed: the plant to start, and the seed of its delays and noise.
    """

    jit = False

    def __init__(self, port: int = 0, timeout: float = 0.25, plant: str = "hard", seed: int = 0):
        self.port = port
        self.timeout = timeout
        self.plant = plant
        self.seed = seed
        self._bus: Bus | None = None

    def init_output(self, rng: jax.Array, graph_state: GraphState) -> Output:
        return Output(th=jax.numpy.asarray(math.pi))

    def startup(self, graph_state: GraphState, timeout: float | None = None) -> bool:
        self._bus = Bus(self.port, self.plant, self.seed)
        self._read(2.0)
        return True

    def step(self, step_state: StepState) -> tuple[StepState, Output]:
        return step_state, Output(th=np.float32(self._read(self.timeout)))  # type: ignore[arg-type]

    def stop(self, timeout: float | None = None) -> bool:
        if self._bus is not None:
            self._bus.close()
        return True

    def _read(self, timeout: float) -> float:
        """Returns the angle, rad."""
        return started(self._bus, self.name).ask(b"READ", 0.0, READING, timeout)[0]
