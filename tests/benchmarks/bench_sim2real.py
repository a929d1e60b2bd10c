"""From a recording to a policy that holds the real pendulum: what identification, delays and randomisation are worth.

    python -m tests.benchmarks.bench_sim2real                       # all of it: half an hour on two idle cores
    python -m tests.benchmarks.bench_sim2real identified=RUN wide=RUN    # of policies that are there

Records `conf=pendulum_hard`, fits its delays, identifies it, trains one policy a line of the table, and lets each swing
the plant up on the wall clock, from as many starts. A start is held if every frame of its last two seconds shows the
pendulum within 18 degrees of upright. Needs the extra `mujoco`.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np

from rexcli import pipeline
from rexcli.cli.main import main as rex
from rexcli.runs.recording import RecordingWriter, read_recording
from rexcli.runs.view import find_run

UPRIGHT = 0.95
"""Cosine of 18 degrees."""
LAST = 2.0
"""Seconds at the end in which it must be upright."""
ZERO = [
    *(f"nodes.{node}.delay=0.0" for node in ("sensor", "agent", "actuator")),
    *(f"edges.{edge}.delay=0.0" for edge in ("sensor_agent", "agent_actuator")),
]
FOUND = ["delays=[latest:fit,latest:identify]", "params=latest:identify"]
CONDITIONS = {
    "identified": ["conf=sim2real", *FOUND],
    "unidentified": ["conf=sim2real"],
    "undelayed": ["conf=sim2real", "params=latest:identify", *ZERO],
    "wide": ["conf=sim2real_wide"],
}
"""How the policy of each line is trained: on what was found, on data sheets, on what was found but without delays, and
on wide ranges around the data sheets."""


def prepare() -> None:
    """The recording, and what is found in it."""
    command("record", "conf=pendulum_hard", "record.seconds=15", "seed=100")
    command("fit", "latest:record")
    command("identify", "latest:record", "conf=sim2real")


def command(*words: str) -> None:
    if rex([*words, "--quiet"]):
        raise SystemExit(f"rex {' '.join(words)} failed")


def swing_up(run: str, seed: int, seconds: float) -> tuple[bool, float]:
    """Whether a policy holds the plant at the end, and how much of the last seconds it was upright."""
    words = (f"policy={run}", f"seed={seed}", f"record.seconds={seconds}")
    experiment = pipeline.compose("pendulum_hard", *words)
    system = pipeline.build(experiment)
    controller, _ = pipeline.controller(experiment, system)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "recording.mcap"
        with RecordingWriter(path, system.timing) as writer:
            outcome = pipeline.record_wall(experiment, system, writer=writer, controller=controller).check()
        th = read_recording(path).values("sensor", "output")["th"][0]
    late = max(each.late_p99 for each in outcome.punctuality)
    upright = np.cos(th[-round(LAST * system.specs["sensor"].rate) :]) > UPRIGHT
    print(
        f"    seed {seed}: upright {upright.mean():.0%} of the end, steps late by {late * 1e3:.2g} ms (p99)", flush=True
    )
    return bool(upright.all()), float(upright.mean())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "policies", nargs="*", help=f"NAME=RUN, of {', '.join(CONDITIONS)}; without any all are trained"
    )
    parser.add_argument("--starts", type=int, default=10)
    parser.add_argument("--seconds", type=float, default=8.0)
    options = parser.parse_args()
    given = dict(word.split("=", 1) for word in options.policies)
    if not given:
        prepare()
    rows = []
    for name in given or CONDITIONS:
        if not given:
            command("train", *CONDITIONS[name])
        run = given.get(name, "latest:train")
        print(f"{name}: {find_run(run, Path('outputs')).path}", flush=True)
        results = [swing_up(run, seed, options.seconds) for seed in range(options.starts)]
        rows.append((name, sum(held for held, _ in results), float(np.mean([share for _, share in results]))))
    print("| trained | held | upright in the last two seconds |\n| --- | --- | --- |")
    for name, held, share in rows:
        print(f"| {name} | {held} of {options.starts} | {share:.0%} |")


if __name__ == "__main__":
    main()
