"""PPO on the pendulum: steps/s, first and second compilation, beside the reference library in the same sitting.

    python -m tests.benchmarks.bench_training [--steps 1e6] [--peer PYTHON]

Five seeds with the tutorial's settings (128 environments x 32 steps, 8 epochs of 16 minibatches, two nets of 2 x 64).
Each start is a process of its own; the first has an empty compilation cache, the second finds what the first left.
`--peer` names an interpreter that has `rex-lib[examples]` 0.0.12.
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
experiment = rex.compose("pendulum", "ppo=tutorial", f"ppo.total_timesteps={steps}", "ppo.num_evals=4")
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
    given = parser.parse_args()
    rows: list[tuple[str, dict[str, float]]] = []
    with tempfile.TemporaryDirectory() as cache:
        for name in ("rexcli, first start", "rexcli, second start"):
            rows.append((name, measure(sys.executable, ["-c", OURS, given.steps], cache)))
    if given.peer:
        script = Path(__file__).with_name("peer_training.py")
        rows.append(("rex-lib", measure(given.peer, [str(script), given.steps])))
    for name, row in rows:
        print(f"{name:22} " + "  ".join(f"{key} {value:,.1f}" for key, value in row.items()))
    if given.peer:
        ours, second, peer = rows[0][1], rows[1][1], rows[-1][1]
        print(
            f"speed {second['steps/s'] / peer['steps/s']:.2f} x, first compilation "
            f"{ours['compile s'] / peer['compile s']:.2f} x, second {second['compile s'] / peer['compile s']:.2f} x"
        )


if __name__ == "__main__":
    main()
