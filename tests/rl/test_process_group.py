"""Seeds shared by several processes: here by threads, with a dictionary for a store."""

import functools
import threading
import time
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rexcli import RexError
from rexcli.errors import RunError
from rexcli.rl import process_group as groups
from rexcli.rl.process_group import ALONE, ProcessGroup
from rexcli.rl.train import train, train_worker
from tests.rl.tiny import TINY, ToZero, tiny_setup, tiny_system

THREE = replace(TINY, num_seeds=3)
SHORT = replace(TINY, num_seeds=2, total_timesteps=2 * 128, num_evals=2)
"""Two updates, an evaluation after each."""


class Dictionary:
    """A store for threads."""

    def __init__(self):
        self.values, self.changed = {}, threading.Condition()

    def put(self, key, value):
        with self.changed:
            self.values.setdefault(key, value)
            self.changed.notify_all()

    def take(self, key, seconds):
        with self.changed:
            self.changed.wait_for(lambda: key in self.values, seconds)
            return self.values.pop(key, None)

    def look(self, key):
        return self.values.get(key)

    def leave(self):
        pass


def pair():
    store = Dictionary()
    return ProcessGroup(0, 2, store), ProcessGroup(1, 2, store)


def work(group, task=ToZero, settings=THREE, start=None, **callbacks):
    """Process `group.index`'s part; what ends it, ends the others."""
    try:
        setup = tiny_setup(task().bind(tiny_system()), settings, group=group, start=start)
        return (train_worker if group.index else train)(setup, **callbacks)
    except BaseException as error:
        group.end(error)
        raise


def together(count=2, helper=(), **leader):
    """What process 0's `train` returned, and what each other's `train_worker` did, or raised."""
    store, results = Dictionary(), {}

    def run(index):
        try:
            results[index] = work(ProcessGroup(index, count, store), **dict(helper))
        except (RexError, KeyboardInterrupt) as error:
            results[index] = error

    threads = [threading.Thread(target=run, args=(index,)) for index in range(1, count)]
    for thread in threads:
        thread.start()
    try:
        results[0] = work(ProcessGroup(0, count, store), **leader)
    except (RexError, KeyboardInterrupt) as error:
        results[0] = error
    for thread in threads:
        thread.join(60)
    left = [key for key in store.values if key != "end"]
    return results[0], [results[index] for index in range(1, count)], left


@functools.cache
def alone(settings=THREE):
    kept = []
    return work(ALONE, settings=settings, on_checkpoint=kept.append), kept


def assert_same(result, checkpoints, whole, unbroken):
    for mine, theirs in zip(result.history, whole.history[-len(result.history) :], strict=True):
        jax.tree.map(np.testing.assert_array_equal, mine.metrics, theirs.metrics)
    jax.tree.map(np.testing.assert_array_equal, result.policies, whole.policies)
    for mine, theirs in zip(checkpoints, unbroken[-len(checkpoints) :], strict=True):
        jax.tree.map(np.testing.assert_array_equal, (mine.states, mine.best), (theirs.states, theirs.best))


@pytest.mark.parametrize(
    ("count", "settings"),
    [
        pytest.param(2, SHORT, marks=pytest.mark.slow),
        pytest.param(2, THREE, marks=pytest.mark.slow),
        pytest.param(3, THREE, marks=pytest.mark.slow),
    ],
)
def test_seeds_learn_the_same_however_many_processes_share_them(count, settings):
    kept = []
    result, helpers, left = together(count, {"settings": settings}, settings=settings, on_checkpoint=kept.append)
    assert_same(result, kept, *alone(settings))
    assert helpers == [False] * (count - 1)
    assert left == [], "every message was taken"


@pytest.mark.parametrize(
    ("first", "then"),
    [(2, 1), pytest.param(1, 2, marks=pytest.mark.slow), pytest.param(3, 2, marks=pytest.mark.slow)],
)
@pytest.mark.slow
def test_another_number_of_processes_goes_on_bit_for_bit(first, then):
    kept, more = [], []
    asked = {"on_checkpoint": kept.append, "stop": lambda: len(kept) >= 1}
    cut = work(ALONE, **asked) if first == 1 else together(first, **asked)[0]
    assert cut.interrupted
    start = kept[-1]
    assert start.updates < alone()[1][-1].updates
    told = {"start": start, "on_checkpoint": more.append}
    result = work(ALONE, **told) if then == 1 else together(then, **told)[0]
    assert_same(result, more, *alone())


@pytest.mark.slow
def test_a_stop_asked_for_in_any_process_stops_all_after_the_same_evaluation():
    kept = []
    result, helpers, _ = together(3, {"stop": lambda: True}, on_checkpoint=kept.append)
    assert result.interrupted
    assert helpers == [True, True]
    assert [checkpoint.evaluation for checkpoint in kept] == [1]


@pytest.mark.slow
def test_ctrl_c_in_process_0_stops_the_others():
    def interrupt(_):
        raise KeyboardInterrupt

    result, [helper], _ = together(on_evaluation=interrupt)
    assert result.interrupted
    assert isinstance(helper, KeyboardInterrupt)


@pytest.mark.slow
def test_what_one_process_met_ends_the_others_with_its_name():
    def full(_):
        raise RunError("the disk is full")

    leader, [helper], _ = together(on_checkpoint=full)
    assert (str(leader), str(helper)) == ("the disk is full", "process 0: the disk is full")
    assert helper.exit_code == 1

    leader, _, _ = together(helper={"settings": replace(THREE, num_minibatches=3)})
    assert str(leader).startswith("process 1: ppo.num_minibatches 3")
    assert leader.exit_code == 2


@pytest.mark.slow
def test_nan_in_the_seeds_of_one_process_leaves_the_others_to_learn():
    """Seed 2, all that process 1 has, goes on from NaN."""
    start = alone()[1][0]
    states = {path: leaf.copy() for path, leaf in start.states.items()}
    for path, leaf in states.items():
        if path.startswith("params"):
            leaf[2] = np.nan
    result, _, _ = together(start=replace(start, states=states))
    assert list(result.failed) == [2]
    assert np.isfinite(result.history[-1].metrics["eval/return_mean"][:2]).all()
    assert not result.interrupted


@pytest.mark.slow
def test_nan_in_every_seed_is_told_by_all():
    class Poisoned(ToZero):
        def reward(self, graph_state):
            return jnp.where(graph_state.eps == 1, jnp.nan, 0.0)

    leader, [helper], _ = together(task=Poisoned, helper={"task": Poisoned})
    assert "not finite in every seed" in str(leader)
    assert str(helper) == f"process 0: {leader}"


@given(st.integers(1, 50), st.integers(1, 50))
def test_shares_are_all_seeds_once_and_nearly_equal(seeds, count):
    shares = [ProcessGroup(index, count).share(seeds) for index in range(count)]
    assert [seed for share in shares for seed in share] == list(range(seeds))
    assert max(map(len, shares)) - min(map(len, shares)) <= 1
    if seeds < count:
        with pytest.raises(RexError, match=f"distributed.processes={count}: ppo.num_seeds={seeds} leaves"):
            ProcessGroup(0, count).check(seeds)
    else:
        ProcessGroup(0, count).check(seeds)


@given(st.lists(st.integers(0, 300), min_size=1, max_size=5))
def test_messages_arrive_whole_and_in_order(sizes):
    leader, helper = pair()
    before, groups.PART = groups.PART, 64
    try:
        for size in sizes:
            leader.send(1, {"a/b": np.arange(size), "text": np.array("für", np.str_)})
        for size in sizes:
            message = helper.receive(0)
            np.testing.assert_array_equal(message["a/b"], np.arange(size))
            assert str(message["text"]) == "für"
    finally:
        groups.PART = before


def test_nobody_waits_for_one_who_has_ended():
    leader, helper = pair()
    helper.end(ValueError("no\nway"))
    helper.end(RexError("only the first counts"))
    began = time.monotonic()
    with pytest.raises(RunError, match=r"^process 1: ValueError: no way$"):
        leader.receive(1)
    assert time.monotonic() - began < 5
