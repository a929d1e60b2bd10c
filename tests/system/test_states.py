"""What node code sees is a tree, and an input is a row of messages."""

from __future__ import annotations

import jax
import numpy as np

from rexcli.system.states import Inputs, InputState


def test_inputs_are_a_tree_like_any_mapping():
    inputs = Inputs("n", {"b": 1, "a": 2})
    assert jax.tree.leaves(inputs) == jax.tree.leaves({"b": 1, "a": 2}) == [2, 1]
    again = jax.tree.map(lambda leaf: leaf + 1, inputs)
    assert again == {"a": 3, "b": 2}
    assert again.node == "n"
    paths = [path for path, _ in jax.tree_util.tree_leaves_with_path(inputs)]
    assert paths == [path for path, _ in jax.tree_util.tree_leaves_with_path(dict(inputs))]


def test_an_input_gives_its_messages_one_by_one_the_oldest_first():
    seq, times = np.array([-1, 0, 4]), np.array([0.0, 0.1, 0.5])
    data = {"place": np.arange(6).reshape(3, 2)}
    window = InputState(seq, times, times + 1.0, times + 2.0, data)
    assert len(window) == len(list(window)) == 3
    for place, message in enumerate(window):
        for found in (message, window[place - 3]):
            assert (found.seq, found.ts_sent) == (seq[place], times[place])
            assert (found.ts_recv, found.age) == (times[place] + 1.0, times[place] + 2.0)
            np.testing.assert_array_equal(found.data["place"], data["place"][place])
