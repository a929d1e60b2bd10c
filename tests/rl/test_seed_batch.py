"""Seeds take turns on the devices."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from rexcli.rl.seed_batch import schedule


@given(st.integers(1, 12), st.integers(1, 12), st.integers(0, 100))
def test_turns_give_every_seed_its_updates_and_no_device_a_rest(seeds, devices, updates):
    devices = min(seeds, devices)
    made = np.zeros(seeds, int)
    rounds = schedule(seeds, devices, updates)
    for who, shares in rounds:
        assert len(who) == len(shares) == len(set(who)) == devices
        assert max(shares) - min(shares) <= 1
        made[who] += shares
    np.testing.assert_array_equal(made, updates)
