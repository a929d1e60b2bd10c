"""Defines the encoder of a real pendulum: it asks for angle and speed."""

from __future__ import annotations

import math
import time

import jax
import numpy as np

from nodes.pendulum.bus import Bus, started
from nodes.pendulum.plant import READING
from nodes.pendulum.sensor import Output
from rexcli import GraphState, Node, StepState


class Encoder(Node):
    """An encoder that waits for a sample and dates its step to when the sample was taken.

    Args:
        port: UDP port of the pendulum on this machine; 0 starts a plant of its own, see `nodes.pendulum.plant`.
        timeout: seconds to wait for a sample.
    """

    jit = False

    def __init__(self, port: int = 0, timeout: float = 0.25):
        self.port = port
        self.timeout = timeout
        self._bus: Bus | None = None

    def init_output(self, rng: jax.Array, graph_state: GraphState) -> Output:
        return Output(th=jax.numpy.asarray(math.pi), thd=jax.numpy.zeros(()))

    def startup(self, graph_state: GraphState, timeout: float | None = None) -> bool:
        self._bus = Bus(self.port)
        self._read(2.0)
        return True

    def step(self, step_state: StepState) -> tuple[StepState, Output]:
        began = time.monotonic()
        th, thd, age = self._read(self.timeout)
        sampled = max(0.0, time.monotonic() - began - age)
        output = Output(th=np.float32(th), thd=np.float32(thd))  # type: ignore[arg-type]
        return step_state.replace(stamp_offset=np.float32(sampled)), output

    def stop(self, timeout: float | None = None) -> bool:
        if self._bus is not None:
            self._bus.close()
        return True

    def _read(self, timeout: float) -> tuple[float, ...]:
        """Returns angle, rad, speed, rad/s, and age of the sample, s."""
        return started(self._bus, self.name).ask(b"READ", 0.0, READING, timeout)
