"""purejaxrl's `ppo_continuous_action.py` on a pendulum without delays, with the tutorial's settings. Prints JSON.

    python -m tests.benchmarks.peer_purejaxrl FOLDER STEPS

`FOLDER` holds that file and its `wrappers.py`, from a checkout of github.com/luchris429/purejaxrl. Its networks have
256 units; here they get 64 as ours have. The environment is written as plainly as can be: no nodes, no messages.
"""

from __future__ import annotations

import json
import sys
import time
import types
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from nodes.pendulum.world import Params, integrate, swing_up_cost

RATE, SUBSTEPS, EPISODE, SEEDS = 50, 2, 150, 5


class State(NamedTuple):
    th: jax.Array
    thd: jax.Array
    steps: jax.Array


class Space(NamedTuple):
    low: float
    high: float
    shape: tuple[int, ...]
    dtype: Any = jnp.float32


class Pendulum:
    """The interface of purejaxrl's own environments: one that begins again by itself."""

    def __init__(self, _name: str):
        self.params = Params()

    def observation_space(self, _params: Any) -> Space:
        return Space(-jnp.inf, jnp.inf, (3,))

    def action_space(self, _params: Any) -> Space:
        return Space(-1.0, 1.0, (1,))

    def _see(self, state: State) -> jax.Array:
        return jnp.stack([jnp.cos(state.th), jnp.sin(state.th), state.thd])

    def reset(self, key: jax.Array, _params: Any = None) -> tuple[jax.Array, State]:
        draw = jax.random.uniform(key, (2,), minval=-1.0)
        state = State(draw[0] * jnp.pi, draw[1] * 9.0, jnp.int32(0))
        return self._see(state), state

    def step(self, key: jax.Array, state: State, action: jax.Array, _params: Any = None) -> tuple[Any, ...]:
        voltage = action[0] * 2.0
        th, thd = state.th, state.thd
        for _ in range(SUBSTEPS):
            th, thd = integrate(self.params, th, thd, voltage, 1 / RATE / SUBSTEPS)
        reward = -swing_up_cost(th, thd, voltage)
        after = State(th, thd, state.steps + 1)
        done = after.steps >= EPISODE
        after = jax.tree.map(lambda new, old: jnp.where(done, new, old), self.reset(key)[1], after)
        return self._see(after), after, reward, done, {}


def load(folder: Path) -> Any:
    """purejaxrl's module, with stand-ins for the packages of environments that it imports and that are not used."""
    environment = types.SimpleNamespace(Environment=object, EnvState=Any, EnvParams=Any)
    environments = types.ModuleType("gymnax.environments")
    vars(environments).update(environment=environment, spaces=types.SimpleNamespace(Box=Space))
    brax = types.ModuleType("brax")
    vars(brax).update(envs=None)
    sys.modules |= {"gymnax": types.ModuleType("gymnax"), "gymnax.environments": environments, "brax": brax}
    sys.path.insert(0, str(folder))
    module = types.ModuleType("purejaxrl")
    sys.modules["purejaxrl"] = module
    source = (folder / "ppo_continuous_action.py").read_text().replace("256", "64")
    exec(compile(source, "purejaxrl", "exec"), vars(module))
    vars(module)["BraxGymnaxWrapper"] = Pendulum
    return module


def main() -> None:
    config = {
        "LR": 3.262e-4, "NUM_ENVS": 128, "NUM_STEPS": 32, "TOTAL_TIMESTEPS": int(float(sys.argv[2])),
        "UPDATE_EPOCHS": 8, "NUM_MINIBATCHES": 16, "GAMMA": 0.99395, "GAE_LAMBDA": 0.97122, "CLIP_EPS": 0.16413,
        "ENT_COEF": 0.01, "VF_COEF": 0.80153, "MAX_GRAD_NORM": 0.963, "ACTIVATION": "tanh", "ENV_NAME": "pendulum",
        "ANNEAL_LR": False, "NORMALIZE_ENV": True,
    }  # fmt: skip
    train = load(Path(sys.argv[1])).make_train(config)
    keys = jax.random.split(jax.random.PRNGKey(0), SEEDS)
    compiling = time.perf_counter()
    run = jax.jit(jax.vmap(train)).lower(keys).compile()
    training = time.perf_counter()
    jax.block_until_ready(run(keys))
    done = time.perf_counter()
    steps = SEEDS * config["NUM_UPDATES"] * config["NUM_ENVS"] * config["NUM_STEPS"]  # type: ignore[operator]
    print(
        json.dumps(
            {"compile s": training - compiling, "train s": done - training, "steps/s": steps / (done - training)}
        )
    )


if __name__ == "__main__":
    main()
