"""From a recording to a policy that holds the real pendulum: what identification, delays and randomisation are worth.

    python -m tests.benchmarks.bench_sim2real                       # all of it: half an hour on two idle cores
    python -m tests.benchmarks.bench_sim2real --starts 0            # without the wall clock; says the next command
    python -m tests.benchmarks.bench_sim2real identified=RUN wide=RUN    # of policies that are there

Records `conf=pendulum_hard`, fits its delays, identifies it, trains one policy a line of the table, and lets each swing
the plant up on the wall clock, from as many starts. A start is held if every frame of its last two seconds shows the
pendulum within 18 degrees of upright. Needs the extra `mujoco`.

On the wall clock there is time for ten starts, and another program on the machine may cost one. So each policy is also
judged on a copy of the plant that is simulated with its true constants and delays (`sim2real/conf/hard.yaml`), from
1,000 starts of as many seconds; and by its own evaluation, in the simulation that it was trained in.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from functools import cache
from pathlib import Path

import numpy as np

from rexcli import pipeline
from rexcli.cli.main import main as rex
from rexcli.compiler.program import Program
from rexcli.config.compose import compose
from rexcli.config.schema import Experiment
from rexcli.rl.environment import Environment
from rexcli.runs.recording import RecordingWriter, read_recording
from rexcli.runs.view import find_run

CONF = Path(__file__).parent / "sim2real" / "conf"
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


@cache
def copy(episodes: int, seconds: float) -> tuple[Experiment, Environment, Program]:
    """The plant, simulated as it is in truth."""
    experiment = compose("hard", [f"eval.episodes={episodes}", f"eval.seconds={seconds}"], config_dir=CONF)
    system = pipeline.build(experiment)
    task = pipeline.environment(experiment, system)
    timeline, _ = pipeline.evaluation_timeline(experiment, system, task)
    return experiment, task, pipeline.compile(experiment, system, timeline, task=task)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "policies", nargs="*", help=f"NAME=RUN, of {', '.join(CONDITIONS)}; without any all are trained"
    )
    parser.add_argument("--starts", type=int, default=10, help="on the wall clock, of each")
    parser.add_argument("--episodes", type=int, default=1000, help="on the simulated copy of the plant, of each")
    parser.add_argument("--seconds", type=float, default=8.0)
    options = parser.parse_args()
    began = time.perf_counter()
    given = dict(word.split("=", 1) for word in options.policies)
    if not given:
        prepare()
    rows, words = [], []
    for name in given or CONDITIONS:
        if not given:
            command("train", *CONDITIONS[name])
        run = find_run(given.get(name, "latest:train"), Path("outputs"))
        words.append(f"{name}={run.path}")
        print(f"{words[-1]}, after {time.perf_counter() - began:.0f} s", flush=True)
        row = [name, f"{run.results['balanced']:.1%}", "-", "-", "-"]
        if options.episodes:
            experiment, task, program = copy(options.episodes, options.seconds)
            policy, _ = pipeline.load_policy(str(run.path))
            row[2] = f"{pipeline.evaluate(experiment, program, task, policy).summary['held'].mean():.1%}"
        if options.starts:
            results = [swing_up(str(run.path), seed, options.seconds) for seed in range(options.starts)]
            row[3] = f"{sum(held for held, _ in results)} of {options.starts}"
            row[4] = f"{np.mean([share for _, share in results]):.0%}"
        rows.append(row)
        print(f"    {' | '.join(row)}", flush=True)
    print("| trained | upright in its own simulation | held, simulated plant | held, wall clock | upright there |")
    print("| --- | --- | --- | --- | --- |")
    for row in rows:
        print(f"| {' | '.join(row)} |")
    print(f"{time.perf_counter() - began:.0f} s in all\npython -m tests.benchmarks.bench_sim2real {' '.join(words)}")


if __name__ == "__main__":
    main()
