"""The table that every training has: one that goes on has every row once."""

from __future__ import annotations

from rexcli.rl.loggers import Csv
from tests.rl.loggers.told import write


def test_a_csv_that_goes_on_has_every_row_once(tmp_path):
    write(Csv(), tmp_path, 1, 2, 3)
    whole = (tmp_path / "metrics.csv").read_text()
    assert whole.splitlines()[0] == "seed,update,total_steps,eval/return_mean,train/grad_norm,train/kl"
    assert write(Csv(), tmp_path, 3, since=2) == ["metrics.csv"]
    assert (tmp_path / "metrics.csv").read_text() == whole
