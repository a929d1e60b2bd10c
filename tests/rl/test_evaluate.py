import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rexcli import RexError
from rexcli.rl.evaluate import evaluate
from rexcli.rl.graph_env import GraphEnv
from tests.rl.tiny import ToZero, tiny_program, tiny_system


class Measured(ToZero):
    """Keeps where the world is; terminates beyond 1.3."""

    def terminated(self, graph_state):
        return jnp.abs(graph_state.state["world"][0]) > 1.3

    def measure(self, graph_state):
        return {"place": graph_state.state["world"][0]}

    def summarise(self, measures):
        return {"last": measures["place"][-1], "mean": measures["place"].mean()}


def outwards(step_state):
    return step_state, jnp.ones(1)


def test_an_episode_is_summed_up_as_a_loop_would():
    task, program = Measured().bind(tiny_system()), tiny_program(episodes=1)
    rng = jax.random.key(4)
    result = jax.jit(lambda: evaluate(program, task, outwards, rng, episodes=5, seconds=1.0))()
    keys = jax.random.split(jax.random.split(rng)[1], 5)
    single = GraphEnv(task, program)
    reset, step = jax.jit(single.reset), jax.jit(single.step)
    for episode, key in enumerate(keys):
        state, _ = reset(key)
        earned, places = 0.0, []
        for _ in range(10):
            state, outcome = step(state, jnp.ones(1))
            earned += outcome.reward
            places.append(float(state.graph_state.state["world"][0]))
            if outcome.terminated:
                break
        assert result.lengths[episode] == len(places)
        np.testing.assert_allclose(result.returns[episode], earned, rtol=1e-5)
        np.testing.assert_allclose(result.summary["last"][episode], places[-1], rtol=1e-6)
        places += places[-1:] * (10 - len(places))
        np.testing.assert_allclose(result.summary["mean"][episode], np.mean(places), rtol=1e-5)
    assert len(set(np.asarray(result.lengths))) > 1


def test_episodes_are_spread_over_the_timeline_and_as_many_as_asked():
    seen = []

    class Which(ToZero):
        def measure(self, graph_state):
            return {"eps": graph_state.eps}

        def summarise(self, measures):
            return {"eps": measures["eps"][0]}

    result = evaluate(
        tiny_program(episodes=3), Which().bind(tiny_system()), outwards, jax.random.key(0), episodes=100, seconds=0.3
    )
    seen = np.asarray(result.summary["eps"])
    assert len(seen) == 100
    assert set(seen) == {0, 1, 2}


def test_an_evaluation_longer_than_the_timeline_is_refused_with_the_fix():
    task = ToZero().bind(tiny_system())
    with pytest.raises(RexError, match=r"20 supervisor steps, but the timeline has 12; set timeline.steps=20"):
        evaluate(tiny_program(), task, outwards, jax.random.key(0), episodes=1, seconds=2.0)
