"""How many sequences of delays it takes to train for delays in general: return and hold on fresh ones.

    python -m tests.benchmarks.bench_sequences [--steps 1e6] [--episodes 1 10 100 1000]

The pendulum with its default settings and five seeds, trained on timelines of so many episodes, each with delays of
its own. Every seed's best policy is then evaluated in 1,000 episodes, on the delays that it was trained on and on fresh
ones.

Seen on two cores, 2026-11-24, a million steps a seed, medians of five seeds (lowest to highest), returns:

| sequences | default delays, trained on | fresh | wider delays, trained on | fresh |
| --- | --- | --- | --- | --- |
| 1 | -126 (-133 to -125) | -128 (-136 to -127) | -566 (-601 to -418) | -603 (-640 to -483) |
| 10 | -134 (-151 to -128) | -133 (-150 to -127) | -637 (-661 to -622) | -627 (-641 to -613) |
| 100 | -140 (-147 to -127) | -141 (-149 to -128) | -634 (-637 to -607) | -625 (-634 to -603) |
| 1000 | -138 (-168 to -129) | -137 (-162 to -128) | -616 (-639 to -605) | -617 (-639 to -606) |

With the default delays, every median of hold on fresh ones is 0.995 or more. Wider: sensor and actuator take
15 +- 10 ms. With 20 to 30 +- 20 ms nothing is held, one sequence gives -1054 where it was trained and -1425 on fresh
delays, and ten or more give the same on both. So a policy learns one sequence by heart, but not ten, since each
episode rides another stretch of them: ten it is. To simulate and plan a thousand takes 4.5 s, ten 0.5 s, and the speed
of training is the same.
"""

from __future__ import annotations

import argparse
import time

import numpy as np

from rexcli import pipeline


def measure(episodes: int, steps: int, overrides: list[str]) -> str:
    """Trains and evaluates; one row of the table."""
    experiment = pipeline.compose(
        "pendulum", f"timeline.episodes={episodes}", f"ppo.total_timesteps={steps}", "ppo.num_evals=10", *overrides
    )
    system = pipeline.build(experiment)
    task = pipeline.environment(experiment, system)
    began = time.perf_counter()
    timeline, _ = pipeline.timeline_for(experiment, system, task=task)
    program = pipeline.compile(experiment, system, timeline, task=task)
    planned = time.perf_counter() - began
    training = pipeline.train(experiment, program, task)
    fresh = pipeline.evaluation_program(experiment, program, task)
    cells = [f"{episodes}", f"{planned:.1f} s", f"{training.steps_per_second:,.0f}"]
    for where in (program, fresh):
        found = [pipeline.evaluate(experiment, where, task, policy) for policy in training.policies]
        returns = np.array([each.returns.mean() for each in found])
        hold = np.array([each.summary["hold"].mean() for each in found])
        cells.append(f"{np.median(returns):.1f} ({returns.min():.1f} to {returns.max():.1f})")
        cells.append(f"{np.median(hold):.3f} ({hold.min():.3f} to {hold.max():.3f})")
    return "| " + " | ".join(cells) + " |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--steps", type=float, default=1e6)
    parser.add_argument("--episodes", type=int, nargs="+", default=[1, 10, 100, 1000])
    parser.add_argument("overrides", nargs="*")
    options = parser.parse_args()
    print("| sequences | simulated, planned in | steps/s | return, trained on | hold | return, fresh | hold |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for episodes in options.episodes:
        print(measure(episodes, int(options.steps), options.overrides), flush=True)


if __name__ == "__main__":
    main()
