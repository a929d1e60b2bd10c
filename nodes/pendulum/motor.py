"""Defines the motor driver of a real pendulum: it sends the voltage that the agent asked for."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from nodes.pendulum.actuator import Output
from nodes.pendulum.bus import Bus, started
from nodes.pendulum.plant import COMMAND
from rexcli import GraphState, Node, StepState


class Motor(Node):
    """A motor driver that sends the newest voltage, and 0 V when it stops.

    Args:
        port: UDP port of the pendulum on this machine; 0 starts a plant of its own, see `nodes.pendulum.plant`.
        timeout: seconds to wait for the driver's answer.
        max_voltage: largest voltage, V.
        plant, seed: the plant to start, and the seed of its delays and noise.
    """

    jit = False

    def __init__(
        self, port: int = 0, timeout: float = 0.25, max_voltage: float = 2.0, plant: str = "real", seed: int = 0
    ):
        self.port = port
        self.timeout = timeout
        self.max_voltage = max_voltage
        self.plant = plant
        self.seed = seed
        self._bus: Bus | None = None

    def init_output(self, rng: jax.Array, graph_state: GraphState) -> Output:
        return Output(action=jnp.zeros(1))

    def startup(self, graph_state: GraphState, timeout: float | None = None) -> bool:
        self._bus = Bus(self.port, self.plant, self.seed)
        self._drive(0.0, 2.0)
        return True

    def step(self, step_state: StepState) -> tuple[StepState, Output]:
        asked = float(step_state.inputs["agent"][-1].data.action[0])
        applied = self._drive(min(self.max_voltage, max(-self.max_voltage, asked)), self.timeout)
        return step_state, Output(action=np.array([applied], np.float32))  # type: ignore[arg-type]

    def stop(self, timeout: float | None = None) -> bool:
        if self._bus is not None:
            try:
                self._drive(0.0, 1.0)
            finally:
                self._bus.close()
        return True

    def _drive(self, voltage: float, timeout: float) -> float:
        """Sets the voltage; returns the one that the driver applies, V."""
        return started(self._bus, self.name).ask(b"MOTR", voltage, COMMAND, timeout)[0]
