"""A pendulum to run against without a robot: MuJoCo in its own process, 1,000 steps a second in real time.

It is reached over UDP on this machine, as a motor driver and an encoder would be over a bus. Its inertia, friction and
delays are not those of `OdeWorld`, on purpose: closing that gap is what recordings are for. The `hard` one is far off:
a camera with old frames watches it, and messages take longer in bursts. Like good hardware it protects itself: without
a command for a quarter of a second the motor gets no voltage, and it ends when the process that started it is gone.

    python nodes/pendulum/plant.py --plant hard       # prints its port, and ends when stdin does
"""

from __future__ import annotations

import argparse
import contextlib
import heapq
import math
import os
import select
import socket
import struct
import sys
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

COMMAND = struct.Struct("<4sId")
"""A command, answered with `DONE`, number, voltage when the driver has it: `MOTR`, number, voltage."""
REQUEST = struct.Struct("<4sId")
"""A request, answered with a `READING`: `READ`, number, 0."""
READING = struct.Struct("<4sIddd")
"""A sample: `ANGL`, number, angle (rad, 0 upright), speed (rad/s), age of the sample (s)."""

STEP = 0.001
"""Simulated time of a step, s."""
DEADMAN = 0.25
"""Time after the last command until the motor is switched off, s."""
HOST = "127.0.0.1"


@dataclass(frozen=True)
class Link:
    """How long messages take: normally distributed around one mean, or around another in bursts of messages."""

    mean: float = 0.0  # s
    spread: float = 0.0  # s
    burst_mean: float = 0.0  # s
    burst_begins: float = 0.0  # probability that the next message begins a burst
    burst_ends: float = 1.0  # probability that the next message is out of it

    def delays(self, rng: np.random.Generator) -> Iterator[float]:
        """Yields the delays of one message after another, s."""
        burst = False
        while True:
            burst = bool(rng.random() >= self.burst_ends) if burst else bool(rng.random() < self.burst_begins)
            yield max(0.0, rng.normal(self.burst_mean if burst else self.mean, self.spread))


@dataclass(frozen=True)
class Plant:
    """Physical constants, each somewhat different from `nodes.pendulum.world.Params`."""

    inertia: float = 1.12 * 0.000159931461600856  # about the axis, kg m^2
    mass: float = 0.0508581731919534  # kg
    length: float = 0.0415233722862552  # from the axis to the centre of mass, m
    damping: float = 1.5 * 1.43298488e-05  # N m s
    motor_constant: float = 0.97 * 0.03333912  # N m / A
    resistance: float = 7.73125142  # ohm
    coulomb_friction: float = 1.2 * 0.000975041213361349  # N m
    max_voltage: float = 2.0  # V
    command_link: Link = Link()  # from a command to the driver, which then answers
    command_delay: float = 0.004  # from there to the motor, s
    reading_link: Link = Link(0.002, 0.001)  # from a request to its answer
    frame_age: float | None = (
        None  # of what is seen when it was asked for, s; None: the answer is sampled as it is sent
    )
    noise: float = 0.0  # standard deviation of an angle, rad

    def xml(self) -> str:
        """Returns the model for MuJoCo."""
        drive = self.motor_constant / self.resistance
        about_centre = self.inertia - self.mass * self.length**2
        return f"""
        <mujoco>
          <option timestep="{STEP}" gravity="0 0 -9.81" integrator="implicitfast"/>
          <worldbody>
            <body>
              <joint name="axis" type="hinge" axis="0 1 0" damping="{self.damping + drive * self.motor_constant}"
                     frictionloss="{self.coulomb_friction}"/>
              <inertial pos="0 0 {self.length}" mass="{self.mass}"
                        diaginertia="{about_centre} {about_centre} {about_centre}"/>
            </body>
          </worldbody>
          <actuator><motor joint="axis" gear="{drive}"/></actuator>
        </mujoco>"""


PLANTS = {
    "real": Plant(),
    "hard": Plant(
        inertia=1.7 * 0.000159931461600856,
        damping=2.0 * 1.43298488e-05,
        motor_constant=0.8 * 0.03333912,
        coulomb_friction=1.5 * 0.000975041213361349,
        command_link=Link(0.008, 0.001, burst_mean=0.022, burst_begins=0.03, burst_ends=0.15),
        command_delay=0.016,
        reading_link=Link(0.012, 0.001, burst_mean=0.024, burst_begins=0.03, burst_ends=0.15),
        frame_age=0.006,
        noise=0.005,
    ),
}
"""The plants by name."""


def serve(plant: Plant, port: int, seed: int = 0) -> None:
    """Simulates and answers until stdin is closed; prints the port first."""
    import mujoco

    model = mujoco.MjModel.from_xml_string(plant.xml())
    data = mujoco.MjData(model)
    data.qpos[0] = math.pi
    rng = np.random.default_rng(seed)
    with contextlib.suppress(AttributeError, OSError):  # hardware does not wait for a processor to be free
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(5))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as bus:
        bus.bind((HOST, port))
        bus.setblocking(False)
        print(bus.getsockname()[1], flush=True)
        command_delays, reading_delays = plant.command_link.delays(rng), plant.reading_link.delays(rng)
        acknowledged: list[
            tuple[float, int, float, tuple[str, int]]
        ] = []  # when the driver has it, number, V, from whom
        commands: deque[tuple[float, float]] = deque()  # when it takes effect, V
        readings: list[tuple[float, int, tuple[float, float], tuple[str, int]]] = []  # when it is sent, number, what of
        # an earlier frame, for whom
        frames = deque([(math.pi, 0.0)], maxlen=1 + round((plant.frame_age or 0.0) / STEP))
        last_command = -math.inf
        due = time.monotonic()
        while not _closed(sys.stdin.fileno()):
            for _ in range(100):  # a look at stdin every tenth of a second
                due = max(due + STEP, time.monotonic() - 50 * STEP)  # what was missed for long is not made up for
                time.sleep(max(0.0, due - time.monotonic()))
                now = time.monotonic()
                for message, sender in _received(bus):
                    kind, number, value = COMMAND.unpack(message)
                    if kind == b"MOTR":
                        voltage = min(plant.max_voltage, max(-plant.max_voltage, value)) if value == value else 0.0
                        heapq.heappush(acknowledged, (now + next(command_delays), number, voltage, sender))
                    elif kind == b"READ":
                        heapq.heappush(readings, (now + next(reading_delays), number, frames[0], sender))
                while acknowledged and acknowledged[0][0] <= now:
                    _, number, voltage, sender = heapq.heappop(acknowledged)
                    last_command = now
                    commands.append((now + plant.command_delay, voltage))
                    with contextlib.suppress(OSError):
                        bus.sendto(COMMAND.pack(b"DONE", number, voltage), sender)
                while commands and commands[0][0] <= now:
                    data.ctrl[0] = commands.popleft()[1]
                if now - last_command > DEADMAN:
                    data.ctrl[0] = 0.0
                mujoco.mj_step(model, data)
                frames.append((float(data.qpos[0]), float(data.qvel[0])))
                while readings and readings[0][0] <= now:
                    _, number, frame, sender = heapq.heappop(readings)
                    th, thd = frames[-1] if plant.frame_age is None else frame
                    age = time.monotonic() - now
                    with contextlib.suppress(OSError):
                        bus.sendto(READING.pack(b"ANGL", number, th + rng.normal(0.0, plant.noise), thd, age), sender)


def _received(bus: socket.socket) -> list[tuple[bytes, tuple[str, int]]]:
    messages = []
    with contextlib.suppress(OSError):  # nothing is left, or who was answered is gone
        while True:
            message, sender = bus.recvfrom(64)
            if len(message) == COMMAND.size:
                messages.append((message, sender))
    return messages


def _closed(handle: int) -> bool:
    ready, _, _ = select.select([handle], [], [], 0)
    return bool(ready) and not os.read(handle, 64)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--port", type=int, default=0, help="UDP port on this machine; 0 for any that is free")
    parser.add_argument("--plant", choices=PLANTS, default="real", help="which one")
    parser.add_argument("--seed", type=int, default=0, help="of its delays and its noise")
    options = parser.parse_args()
    serve(PLANTS[options.plant], options.port, options.seed)


if __name__ == "__main__":
    main()
