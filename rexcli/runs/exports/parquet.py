"""Exports a run as Parquet, one table per node and one of all messages, or as `.npz` files of the same columns."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from rexcli.errors import RexError
from rexcli.runs.executed import Executed, read_executed
from rexcli.runs.formats import encode_arrays
from rexcli.runs.storage import atomic_folder, write_atomic
from rexcli.runs.view import RunView
from rexcli.timeline.spec import NEVER


def need_pyarrow(form: str) -> tuple[Any, Any]:
    """Imports and returns `pyarrow` and `pyarrow.parquet`.

    Raises:
        RexError: they are not installed; the message names the extra.
    """
    try:
        return importlib.import_module("pyarrow"), importlib.import_module("pyarrow.parquet")
    except ImportError:
        raise RexError(f"--to {form} needs pyarrow, which is not installed: pip install 'rexcli[import]'") from None


def export_parquet(run: RunView, folder: Path) -> str | None:
    """Writes `<node>.parquet`, one row per step, and `messages.parquet`, one row per message.

    Times are whole nanoseconds, `ts_start_ns` and the like. A value has the column `<field>/<key path>`; an array is a
    list of fixed length. `execution` numbers rollouts; `episode` is the timeline's.

    Args:
        run: a run with `recording.mcap` or `timeline.npz`.
        folder: the folder to make; it must not exist yet.

    Returns:
        Why the values are left out, None if they are not.

    Raises:
        RexError: the run has no timeline, it is damaged, or `pyarrow` is not installed.
    """
    pa, parquet = need_pyarrow("parquet")
    executed = read_executed(run)
    if folder.exists():
        raise RexError(f"{folder}: is there already; remove it, or give another place by --out")
    with atomic_folder(folder) as temporary:
        tables = {_file_name(name): columns for name, columns in node_tables(executed).items()}
        for name, columns in {**tables, "messages": message_table(executed)}.items():
            arrays = {key: _column(pa, values) for key, values in columns.items()}
            parquet.write_table(pa.table(arrays), temporary / f"{name}.parquet", compression="zstd")
    return executed.without


def export_npz(run: RunView, folder: Path) -> str | None:
    """Writes `steps.npz`, with the columns of `export_parquet` as `<node>/<column>`, and `messages.npz`."""
    executed = read_executed(run)
    steps = {
        f"{name}/{key}": values for name, columns in node_tables(executed).items() for key, values in columns.items()
    }
    write_atomic(folder / "steps.npz", encode_arrays(steps))
    messages = message_table(executed)
    write_atomic(folder / "messages.npz", encode_arrays(messages))
    return executed.without


def node_tables(executed: Executed) -> dict[str, dict[str, npt.NDArray]]:
    """Returns the columns of each node's steps, `[steps, ...]`, sorted by execution and tick."""
    tables = {}
    for name, seq in executed.seq.items():
        execution, place = np.nonzero(seq >= 0)
        episode, tick = executed.episode[execution], seq[execution, place]
        steps = executed.timeline.steps[name]
        tables[name] = {
            "execution": execution,
            "episode": episode,
            "seq": tick,
            "ts_start_ns": steps.start[episode, tick],
            "ts_end_ns": steps.end[episode, tick],
            **{key: values[execution, place] for key, values in executed.values.get(name, {}).items()},
        }
    return tables


def message_table(executed: Executed) -> dict[str, npt.NDArray]:
    """Returns the columns of all messages of the timeline, `[messages]`, sorted by episode, edge and message.

    `seq_in` is -1 for a message that no step reads, `ts_recv_ns` is -1 for one that never arrives.
    """
    parts: dict[str, list[npt.NDArray]] = {
        key: [] for key in ("episode", "edge", "source", "target", "seq_out", "seq_in", "ts_sent_ns", "ts_recv_ns")
    }
    timeline = executed.timeline
    for edge in timeline.spec.edges:
        source, messages = timeline.steps[edge.source], timeline.messages[edge.name]
        arrive = messages.arrive[:, : source.start.shape[1]]
        episode, seq = np.nonzero(np.arange(arrive.shape[1]) < source.count[:, None])
        arrived = arrive[episode, seq]
        columns = {
            "episode": episode,
            "seq_out": seq,
            "seq_in": messages.reader[episode, seq],
            "ts_sent_ns": source.end[episode, seq],
            "ts_recv_ns": np.where(arrived < NEVER, arrived, -1),
            **{key: np.full(len(seq), getattr(edge, key)) for key in ("source", "target")},
            "edge": np.full(len(seq), edge.name),
        }
        for key, values in columns.items():
            parts[key].append(values)
    order = np.argsort(np.concatenate([np.zeros(0, np.int64), *parts["episode"]]), kind="stable")
    return {key: np.concatenate(each)[order] if each else np.zeros(0, np.int64) for key, each in parts.items()}


def _column(pa: Any, values: npt.NDArray) -> Any:
    """Returns an array `[rows, ...]` as a column of numbers, or of lists of fixed length."""
    column = pa.array(values.reshape(-1))
    for size in reversed(values.shape[1:]):
        column = pa.FixedSizeListArray.from_arrays(column, size)
    return column


def _file_name(name: str) -> str:
    """Returns a node's name as the name of a file, which cannot be `messages`."""
    return f"node_{name}" if name == "messages" else name.replace("/", "_")
