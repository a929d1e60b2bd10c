"""PPO on the pendulum: steps/s, first and second compilation, beside the reference library in the same sitting.

    python -m tests.benchmarks.bench_training [--steps 1e6] [--peer PYTHON] [--purejaxrl FOLDER]

Five seeds with the tutorial's settings (128 environments x 32 steps, 8 epochs of 16 minibatches, two nets of 2 x 64).
Each start is a process of its own; the first has an empty compilation cache, the second finds what the first left.
`--peer` names an interpreter that has `rex-lib[examples]` 0.0.12. `--purejaxrl` names a folder of purejaxrl's checkout
(see `peer_purejaxrl.py`), which then trains on a pendulum without delays, beside ours with all delays but the world's
at 0 and no histories: the same observations, and still four nodes that send messages.

Seen on two cores, 2026-11-22, a million steps a seed, one sitting:

| what | compile | steps/s |
| --- | --- | --- |
| rexcli, first start | 10.1 s | 242,000 |
| rexcli, second start | 3.7 s | 254,000 (150,000 while something else ran) |
| rex-lib 0.0.12 | 31.9 s | 73,000 |
| rexcli, no delays | 10.1 s | 268,000 |
| purejaxrl, no delays | 5.5 s | 103,000 |

Seen there on 2026-11-28, nothing else running: rexcli 14.0 s at a first start and 5.1 s at a second, 225,000 steps/s;
rex-lib 28.5 s, 64,000 steps/s. Since then learning and evaluation are programs of their own, traced once and compiled
at XLA's first level of optimisation: 9.6, 9.6 and 10.4 s at a first start beside 14.3 s of before, right after one
another, and 3.9 s beside 5.5 s at a second; metrics are the same and so is the speed (220,000 to 234,000 steps/s).
On a slower machine, in one sitting: 10.0 and 3.8 s, 210,000 steps/s; rex-lib 26.3 s, 64,800 steps/s.
On a faster one, nothing else running, in one sitting: 9.5 and 3.2 s, 228,000 and 230,000 steps/s; rex-lib 24.0 s,
73,900 steps/s.

XLA takes most of a first compilation. A check of 30 arrays for finite numbers that selected each leaf of the state was
fused into every selection, and cost a fifth of it; one branch does not. Drawing all nodes' keys at once, in place of
one after another, made fewer instructions and a longer compilation; XLA's own levels of optimisation change little, and
so does the number of parts in which it generates code. Without its fusion emitters, compilation takes 2 s less, but
training reaches 127,000 steps/s. To compile the evaluation beside the first updates, and the final one beside the rest,
made the compilation 1.5 s shorter (0.34 of rex-lib's) and the training as much longer: with two busy cores the first
line of progress came after 13.7 and 13.9 s, and the end after 46.5 and 46.2 s, so it is not done.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

OURS = """
import json, sys, time
import rexcli as rex
began = time.perf_counter()
steps = int(float(sys.argv[1]))
overrides = sys.argv[2:]
experiment = rex.compose("pendulum", "ppo=tutorial", f"ppo.total_timesteps={steps}", "ppo.num_evals=4", *overrides)
system = rex.build(experiment)
timeline = rex.simulate(system, seed=0, episodes=10, steps=300)
program = rex.compile(experiment, system, timeline)
training = rex.train(experiment, program, rex.environment(experiment, system))
print(json.dumps({
    "compile s": training.compile_seconds,
    "train s": training.train_seconds,
    "steps/s": training.steps_per_second,
    "whole s": time.perf_counter() - began,
}))
"""

UNDELAYED = (
    *(f"nodes.{node}.delay=0" for node in ("sensor", "agent", "actuator")),
    *(f"edges.{edge}.delay=0" for edge in ("world_sensor", "sensor_agent", "agent_actuator", "actuator_world")),
    "nodes.agent.observation_history=0",
    "nodes.agent.action_history=0",
)


def measure(python: str, code: list[str], cache: str | None = None) -> dict[str, float]:
    """Runs a script whose last line is JSON."""
    env = dict(os.environ)
    if cache is not None:
        env["XDG_CACHE_HOME"] = cache
        env.pop("JAX_COMPILATION_CACHE_DIR", None)
    done = subprocess.run([python, *code], env=env, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr[-2000:])
    return json.loads(done.stdout.strip().splitlines()[-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", default="1e6", help="environment steps a seed")
    parser.add_argument("--peer", help="a Python that has rex-lib")
    parser.add_argument("--purejaxrl", help="a folder that holds its ppo_continuous_action.py and wrappers.py")
    given = parser.parse_args()
    rows: list[tuple[str, dict[str, float]]] = []
    with tempfile.TemporaryDirectory() as cache:
        for name in ("rexcli, first start", "rexcli, second start"):
            rows.append((name, measure(sys.executable, ["-c", OURS, given.steps], cache)))
    if given.peer:
        script = Path(__file__).with_name("peer_training.py")
        rows.append(("rex-lib", measure(given.peer, [str(script), given.steps])))
    bare: list[tuple[str, dict[str, float]]] = []
    if given.purejaxrl:
        with tempfile.TemporaryDirectory() as cache:
            bare.append(("rexcli, no delays", measure(sys.executable, ["-c", OURS, given.steps, *UNDELAYED], cache)))
        module = ["-m", "tests.benchmarks.peer_purejaxrl", given.purejaxrl, given.steps]
        bare.append(("purejaxrl, no delays", measure(sys.executable, module)))
    for name, row in (*rows, *bare):
        print(f"{name:22} " + "  ".join(f"{key} {value:,.1f}" for key, value in row.items()))
    if given.peer:
        ours, second, peer = rows[0][1], rows[1][1], rows[-1][1]
        print(
            f"speed {second['steps/s'] / peer['steps/s']:.2f} x, first compilation "
            f"{ours['compile s'] / peer['compile s']:.2f} x, second {second['compile s'] / peer['compile s']:.2f} x"
        )
    if bare:
        print(f"beside purejaxrl: speed {bare[0][1]['steps/s'] / bare[1][1]['steps/s']:.2f} x")


if __name__ == "__main__":
    main()
