"""What a service is told that knows one number a name."""

from __future__ import annotations

from rexcli.rl.loggers import mean_and_seeds
from tests.rl.loggers.told import progress


def test_numbers_of_one_seed_have_one_name():
    assert set(mean_and_seeds(progress(1, seeds=1))) == {"eval/return_mean", "train/kl", "train/grad_norm"}
