"""The Python door: the README's session runs as it stands, but for its sizes; and both executors agree."""

from __future__ import annotations

import re
from pathlib import Path

import jax
import matplotlib as mpl
import numpy as np

import rexcli as rex

README = Path(__file__).parents[1] / "README.md"


def session() -> str:
    """The README's Python session."""
    blocks = re.findall(r"```python\n(.*?)```", README.read_text(), flags=re.S)
    (found,) = [block for block in blocks if "rex.compose" in block]
    return found


def test_the_readme_session_runs(tmp_path, monkeypatch, capsys):
    mpl.use("Agg")
    monkeypatch.chdir(tmp_path)
    smaller = {
        '"rollout.num=10000"': '"rollout.num=16"',
        '"ppo.num_seeds=5"': '"ppo.num_seeds=1", "ppo.total_timesteps=4096", "ppo.num_evals=1", "eval.episodes=8"',
    }
    code = session()
    for size, small in smaller.items():
        assert size in code
        code = code.replace(size, small)
    names: dict[str, object] = {}
    exec(code, names)  # the README is ours
    assert Path("dataflow.png").stat().st_size > 10_000
    assert names["angles"].shape[0] == 16  # type: ignore[attr-defined]
    assert "hold" in capsys.readouterr().out


def test_stepper_and_program_agree_on_the_pendulum():
    experiment = rex.compose("pendulum", "timeline.steps=60")
    system = rex.build(experiment)
    timeline = rex.simulate(system, seed=3, episodes=2, steps=60)
    program = rex.compile(experiment, system, timeline)
    for eps in range(2):
        memory = rex.Memory()
        stepper = rex.Stepper(system, timeline, listener=memory)
        state, _ = stepper.reset(stepper.init(jax.random.key(1), eps=eps))
        for _ in range(60):
            state = stepper.run(state)
        stepper.stop()

        @jax.jit
        def roll(program, key, eps=eps):
            return program.rollout(program.reset(program.init(key, eps=eps))[0])[1]

        for name, record in roll(program, jax.random.key(1)).items():
            ran = np.asarray(record.seq) >= 0
            states, outputs = memory.steps(name, eps)
            seq = np.asarray(record.seq)[ran]
            assert ran.sum() >= 55
            for kind, want in (("state", states.state), ("output", outputs)):
                got = jax.tree.map(lambda leaf, ran=ran: np.asarray(leaf)[ran], record.fields[kind])
                jax.tree.map(
                    lambda a, b, seq=seq: np.testing.assert_allclose(b, a[seq], rtol=1e-4, atol=1e-4), want, got
                )
