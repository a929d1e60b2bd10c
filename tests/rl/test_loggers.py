"""Loggers: what they write, that a training that goes on has each row once, and that none of them costs a training."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest

from rexcli.errors import RexError
from rexcli.rl.loggers import Csv, LoggedRun, Logger, Loggers, TensorBoard, WandB, mean_and_seeds
from rexcli.rl.train import Progress

pytest.importorskip("tensorboardX")
pytest.importorskip("wandb")

BLOCK = 2**15


def progress(update: int, seeds: int = 2) -> Progress:
    metrics = {
        "eval/return_mean": np.arange(seeds, dtype=np.float32) - 100 + update,
        "train/kl": np.full(seeds, 0.01 * update, np.float32),
        "train/grad_norm": np.full(seeds, np.nan, np.float32),
    }
    return Progress(update, 4, update, 100 * update, float(update), metrics)


def logged(path: Path, updates: int = 0) -> LoggedRun:
    return LoggedRun(path, "toy", 2, {"seed": 7, "ppo": {"lr": 1e-3}}, updates, 100 * updates)


def write(logger: Logger, path: Path, *updates: int, since: int = 0) -> list[str]:
    logger.start(logged(path, since))
    for update in updates:
        logger.log(progress(update))
    logger.finish("done")
    return list(logger.artifacts())


def scalars(folder: Path) -> dict[str, list[tuple[int, float]]]:
    """What TensorBoard would show: scalars by name over steps, those after a restart's step purged."""
    from tensorboardX.proto.event_pb2 import Event

    found: dict[str, list[tuple[int, float]]] = {}
    for file in sorted(folder.iterdir(), key=lambda path: path.stat().st_ctime_ns):
        data = file.read_bytes()
        while data:
            (length,) = struct.unpack("<Q", data[:8])
            event = Event.FromString(data[12 : 12 + length])
            data = data[16 + length :]
            if event.session_log.status == event.session_log.START and event.HasField("session_log"):
                found = {name: [pair for pair in pairs if pair[0] < event.step] for name, pairs in found.items()}
            for value in event.summary.value:
                if value.WhichOneof("value") == "simple_value":
                    found.setdefault(value.tag, []).append((event.step, value.simple_value))
    return found


def offline_rows(file: Path) -> list[dict[str, str]]:
    """The rows of history in a file of Weights & Biases, which is a log of LevelDB behind seven bytes."""
    from wandb.proto.wandb_internal_pb2 import Record

    data, rows, at, whole = file.read_bytes(), [], 7, b""
    while at + 7 <= len(data):
        if at % BLOCK > BLOCK - 7:
            at += BLOCK - at % BLOCK
            continue
        _, length, kind = struct.unpack("<IHB", data[at : at + 7])
        whole += data[at + 7 : at + 7 + length]
        at += 7 + length
        if kind in (1, 4):  # whole, or the last part
            record = Record.FromString(whole)
            whole = b""
            if record.WhichOneof("record_type") == "history":
                rows.append({item.key or "/".join(item.nested_key): item.value_json for item in record.history.item})
    return rows


def test_a_csv_that_goes_on_has_every_row_once(tmp_path):
    write(Csv(), tmp_path, 1, 2, 3)
    whole = (tmp_path / "metrics.csv").read_text()
    assert whole.splitlines()[0] == "seed,update,total_steps,eval/return_mean,train/grad_norm,train/kl"
    assert write(Csv(), tmp_path, 3, since=2) == ["metrics.csv"]
    assert (tmp_path / "metrics.csv").read_text() == whole


def test_tensorboard_has_a_folder_a_seed_and_goes_on(tmp_path):
    assert write(TensorBoard(), tmp_path, 1, 2, 3) == ["tensorboard"]
    before = scalars(tmp_path / "tensorboard" / "seed_1")
    assert before["eval/return_mean"] == [(100, -98.0), (200, -97.0), (300, -96.0)]
    assert "train/grad_norm" not in before  # never finite
    write(TensorBoard(), tmp_path, 3, 4, since=2)
    after = scalars(tmp_path / "tensorboard" / "seed_1")
    assert [step for step, _ in after["train/kl"]] == [100, 200, 300, 400]


def test_weights_and_biases_offline_keeps_one_run(tmp_path):
    artifacts = write(WandB(mode="offline", tags=["a"]), tmp_path, 1, 2)
    note = (tmp_path / "wandb.json").read_text()
    (log,) = [name for name in artifacts if name.endswith(".wandb")]
    rows = offline_rows(tmp_path / log)
    assert [row["_step"] for row in rows] == ["100", "200"]
    assert float(rows[0]["eval/return_mean"]) == -98.5
    assert float(rows[0]["eval/return_mean/seed_1"]) == -98.0
    again = write(WandB(mode="offline"), tmp_path, 3, since=2)
    assert (tmp_path / "wandb.json").read_text() == note
    assert len(again) == 3  # the note and two files of one run
    assert len({name.rpartition("run-")[2] for name in again if name.endswith(".wandb")}) == 1


def test_numbers_of_one_seed_have_one_name():
    assert set(mean_and_seeds(progress(1, seeds=1))) == {"eval/return_mean", "train/kl", "train/grad_norm"}


class Failing(Logger):
    """Fails where it is told to."""

    def __init__(self, where: str):
        self.where, self.seen = where, 0

    def start(self, run: LoggedRun) -> None:
        self._fail("start")

    def log(self, progress: Progress) -> None:
        self.seen += 1
        self._fail("log")

    def finish(self, status: str) -> None:
        self._fail("finish")

    def _fail(self, where: str) -> None:
        if self.where == where:
            raise OSError("gone")


@pytest.mark.parametrize(("where", "seen"), [("log", 1), ("finish", 2)])
def test_a_logger_that_fails_is_given_up_and_the_others_go_on(tmp_path, where, seen):
    failing, good, said, registered = Failing(where), Failing("never"), [], []
    chosen = {"bad": failing, "good": good}
    with Loggers(logged(tmp_path), chosen, register=registered.append, note=said.append, warn=said.append) as log:
        log.log(progress(1))
        log.log(progress(2))
    assert (failing.seen, good.seen) == (seen, 2)
    assert len(said) == 1
    assert said[0].startswith("loggers.bad: OSError: gone")
    assert len((tmp_path / "metrics.csv").read_text().splitlines()) == 5
    assert "metrics.csv" in registered


def test_a_logger_that_cannot_start_ends_the_training_before_it_begins(tmp_path):
    def quiet(text: str) -> None:
        pass

    with (
        pytest.raises(RexError, match=r"loggers\.bad: OSError: gone"),
        Loggers(logged(tmp_path), {"bad": Failing("start")}, register=quiet, note=quiet, warn=quiet),
    ):
        pytest.fail("it must not come so far")
