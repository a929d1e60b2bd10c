import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rexcli import RexError
from rexcli.rl.evaluate import check_metrics, evaluate
from rexcli.rl.graph_env import GraphEnv
from rexcli.rl.metrics import Always, Final, Mean, Metric
from tests.rl.test_vector_env import ragged_program
from tests.rl.tiny import ToZero, tiny_program, tiny_system


class Measured(ToZero):
    """Keeps where the world is; terminates beyond 1.3."""

    def terminated(self, graph_state):
        return jnp.abs(graph_state.state["world"][0]) > 1.3

    def measure(self, graph_state):
        return {"place": graph_state.state["world"][0]}


def outwards(step_state):
    return step_state, jnp.ones(1)


def test_an_episode_is_summed_up_as_a_loop_would():
    task, program = Measured().bind(tiny_system()), tiny_program(episodes=1)
    task.metrics = {"last": Final("place"), "mean": Mean("place")}
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


@pytest.mark.slow
def test_episodes_are_spread_over_the_timeline_and_as_many_as_asked():
    class Which(ToZero):
        def measure(self, graph_state):
            return {"eps": graph_state.eps}

    task = Which().bind(tiny_system())
    task.metrics = {"eps": Final("eps")}
    result = evaluate(tiny_program(episodes=3), task, outwards, jax.random.key(0), episodes=100, seconds=0.3)
    seen = np.asarray(result.summary["eps"])
    assert len(seen) == 100
    assert set(seen) == {0, 1, 2}


def test_an_evaluation_longer_than_the_timeline_is_refused_with_the_fix():
    task = ToZero().bind(tiny_system())
    with pytest.raises(RexError, match=r"20 supervisor steps, but the timeline has 12; simulate or record 20"):
        evaluate(tiny_program(), task, outwards, jax.random.key(0), episodes=1, seconds=2.0)


class Everything(Metric):
    def __call__(self, measures, rate):
        return measures["place"]


@pytest.mark.parametrize(
    ("name", "metric", "message"),
    [
        ("near", Always(below={"plaice": 1.0}), r"eval\.metrics\.near: 'plaice' is no measure.*did you mean 'place'"),
        ("near", Always(below={"place": 1.0}, last=2.0), r"eval\.metrics\.near: last=2 s .* an episode of 1 s"),
        ("all", Everything(), r"eval\.metrics\.all: it gives an array"),
        ("return", Final("place"), r"eval\.metrics\.return: 'return' is taken"),
    ],
)
def test_a_metric_that_cannot_be_is_refused_by_its_key(name, metric, message):
    task = Measured().bind(tiny_system())
    task.metrics = {name: metric}
    with pytest.raises(RexError, match=message):
        check_metrics(tiny_program(), task, 1.0)


@pytest.mark.slow
def test_episodes_of_the_timeline_that_are_too_short_are_not_used():
    """60 steps of a timeline must not pass for 5 s: the last value would repeat, and a metric pass falsely."""
    task, program = ToZero().bind(tiny_system()), ragged_program((4, 12, 7))
    for seed in range(4):
        result = evaluate(program, task, outwards, jax.random.key(seed), episodes=100, seconds=1.0)
        assert result.lengths.tolist() == [10] * 100
