"""Hidden pendulums: constants and delays drawn at random, and what their recordings say of the delays in truth."""

from __future__ import annotations

import contextlib
import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rexcli.cli.main import main
from rexcli.config.project import find_project
from rexcli.runs.view import find_run
from rexcli.timeline.timeline import Timeline

CONF = Path(__file__).parent / "conf"
RANGES = {
    "inertia": (1.2e-4, 2.2e-4),
    "damping": (5e-6, 5e-5),
    "motor_constant": (0.026, 0.040),
    "coulomb_friction": (4e-4, 1.8e-3),
    "drag": (2e-7, 2e-6),
    "tilt": (-0.06, 0.06),
}
FAMILIES = ("constant", "normal", "gamma", "log_normal", "mixture")


@dataclass(frozen=True)
class Truth:
    """A pendulum, and its recording.

    Attributes:
        params: by name.
        families: of the delays to the encoder and to the motor.
        run: folder of the recording.
        loop: mean of the age of what the encoder read plus that of commands when they took effect, s.
    """

    params: dict[str, float]
    families: tuple[str, str]
    run: Path
    loop: float


def draw(seed: int, *, seconds: float = 12.0) -> Truth:
    """The truth of a seed, recorded into the project's `outputs/`."""
    rng = np.random.default_rng(seed)
    params = {name: float(rng.uniform(*bounds)) for name, bounds in RANGES.items()}
    families = (str(rng.choice(FAMILIES)), str(rng.choice(FAMILIES)))
    wires = [delay(family, rng) for family in families]
    listed = ",".join(f"{name}:{value!r}" for name, value in params.items())
    words = [
        "record", "--config-dir", str(CONF), "conf=hidden", "--quiet", f"seed={seed}",
        f"record.seconds={seconds:g}",
        f"nodes.plant.params={{{listed}}}",
        f"edges.plant_sensor.delay={wires[0]}",
        f"edges.actuator_plant.delay={wires[1]}",
    ]  # fmt: skip
    with contextlib.redirect_stdout(io.StringIO()) as said:
        code = main(words)
    if code != 0:
        raise SystemExit(f"truth {seed} was not recorded")
    view = find_run(said.getvalue().strip(), find_project().outputs)
    return Truth(params, families, view.path.resolve(), loop_delay(view.timeline()))


def delay(family: str, rng: np.random.Generator) -> str:
    """A delay of a family in Hydra's grammar: 4 to 25 ms on average, spread by 5 to 15 % of that."""
    mean = rng.uniform(0.004, 0.025)
    spread = rng.uniform(0.05, 0.15) * mean
    if family == "normal":
        return f"{{_target_:rexcli.TruncatedNormal,loc:{mean},scale:{spread}}}"
    if family == "gamma":
        shape = (mean / spread) ** 2
        return f"{{_target_:rexcli.Gamma,concentration:{shape},rate:{shape / mean}}}"
    if family == "log_normal":
        scale = np.sqrt(np.log1p((spread / mean) ** 2))
        return f"{{_target_:rexcli.LogNormal,loc:{np.log(mean) - scale**2 / 2},scale:{scale}}}"
    if family == "mixture":
        parts = ",".join(f"{{_target_:rexcli.TruncatedNormal,loc:{mean + by},scale:{spread / 3}}}"
                         for by in (-0.7 * spread, 1.4 * spread))  # fmt: skip
        return f"{{_target_:rexcli.Mixture,delays:[{parts}],weights:[0.67,0.33]}}"
    return repr(float(mean))


def loop_delay(timeline: Timeline) -> float:
    """Mean age of the state that the encoder read, and of commands when the plant began to integrate them, s."""
    sensed = timeline.newest(timeline.spec.edge("plant_sensor"))[0]
    sensor, plant, actuator = (timeline.steps[name] for name in ("sensor", "plant", "actuator"))
    read = sensed >= 0
    ages = sensor.start[0, : len(sensed)][read] - plant.end[0, sensed[read]]
    reader = timeline.messages["actuator_plant"].reader[0]
    took = np.flatnonzero(reader[: actuator.count[0]] >= 0)
    waits = plant.start[0, reader[took]] - actuator.end[0, took]
    return float(ages.mean() + waits.mean()) / 1e9
