"""Exports a run as a LeRobot dataset, version 3.0 or 2.1: one frame per supervisor tick, one episode per execution.

    v3.0: meta/info.json, meta/stats.json, meta/tasks.parquet, meta/episodes/chunk-000/file-000.parquet
          data/chunk-000/file-000.parquet
    v2.1: meta/info.json, meta/tasks.jsonl, meta/episodes.jsonl, meta/episodes_stats.jsonl
          data/chunk-000/episode_000000.parquet, …

`observation.state` is what the supervisor knows at a tick: the last message that it has read of each input;
`observation.age` is the age of each, s. `action` is what it sent. `timestamp` is frame / fps, as LeRobot requires;
`start_ns` is when the tick really started.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from rexcli.errors import RexError
from rexcli.runs.executed import Executed, read_executed
from rexcli.runs.exports.parquet import need_pyarrow
from rexcli.runs.formats import encode_json, plain
from rexcli.runs.storage import atomic_folder
from rexcli.runs.view import RunView
from rexcli.timeline.spec import NANOSECONDS

Version = Literal["v3.0", "v2.1"]
CHUNK = 1000
"""Number of episodes in a folder of version 2.1."""
PLACE = "chunk-000/file-000.parquet"
DEFAULTS = ("timestamp", "frame_index", "episode_index", "index", "task_index")
"""The columns of every dataset."""


@dataclass
class _Feature:
    """A column: its type, the names of its numbers, and one row per frame, `[frames, numbers]` or pictures."""

    dtype: str
    shape: tuple[int, ...]
    names: list[str] | None
    rows: list[npt.NDArray] = field(default_factory=list)

    def array(self) -> npt.NDArray:
        return np.concatenate(self.rows)


def export_lerobot(run: RunView, folder: Path, task: str | None = None, version: Version = "v3.0") -> str | None:
    """Writes the dataset.

    Frames before the supervisor has read a message of every input are left out, since there is nothing to observe.

    Args:
        run: a run with `recording.mcap`, or with rollouts on its own timeline, with outputs.
        folder: the folder to make; it must not exist yet.
        task: what the robot does, in words; None for the experiment's name.
        version: version of the format; LeRobot reads v2.1 before its release 0.4, and v3.0 from then on.

    Returns:
        A note that says how many frames are left out, None if none are.

    Raises:
        RexError: outputs were not kept, no execution has a frame, or `pyarrow` is not installed.
    """
    pa, parquet = need_pyarrow("lerobot")
    executed = read_executed(run)
    if executed.without or not executed.values:
        raise RexError(
            f"{run.path}: {executed.without or 'it kept no values'}; export a recording, a rollout or an eval"
        )
    if folder.exists():
        raise RexError(f"{folder}: is there already; remove it, or give another place by --out")
    features, lengths, left_out = _frames(run, executed)
    rate = next(node.rate for node in executed.timeline.spec.nodes if node.name == executed.timeline.spec.supervisor)
    features |= _defaults(lengths, rate)
    task = task or run.experiment
    info = {
        "codebase_version": version,
        "robot_type": run.experiment,
        "total_episodes": len(lengths),
        "total_frames": sum(lengths),
        "total_tasks": 1,
        "chunks_size": CHUNK,
        "fps": int(rate) if rate == int(rate) else rate,
        "splits": {"train": f"0:{len(lengths)}"},
        "video_path": None,
        "features": {
            name: {"dtype": each.dtype, "shape": list(each.shape), "names": each.names}
            for name, each in features.items()
        },
    }
    frames = pa.table({name: _column(pa, feature) for name, feature in features.items()})
    with atomic_folder(folder) as temporary:
        (temporary / "meta").mkdir(parents=True)
        if version == "v3.0":
            info |= {
                "data_files_size_in_mb": 100,
                "video_files_size_in_mb": 200,
                "data_path": "data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet",
            }
            stats = {name: _stats(feature.array(), feature) for name, feature in features.items()}
            (temporary / "meta/stats.json").write_bytes(encode_json(stats))
            tables = {
                f"data/{PLACE}": frames,
                f"meta/episodes/{PLACE}": pa.table(_episodes(features, lengths, task)),
                "meta/tasks.parquet": _tasks(pa, task),
            }
        else:
            where = "data/chunk-{episode_chunk:03d}/episode_{episode_index:06d}.parquet"
            frames = frames.replace_schema_metadata({"huggingface": encode_json(_huggingface(features))})
            info |= {"total_videos": 0, "total_chunks": -(-len(lengths) // CHUNK), "data_path": where}
            for name, rows in _lines(features, lengths, task).items():
                text = "".join(f"{json.dumps(plain(row), allow_nan=False, ensure_ascii=False)}\n" for row in rows)
                (temporary / f"meta/{name}.jsonl").write_bytes(text.encode())
            tables = {
                where.format(episode_chunk=number // CHUNK, episode_index=number): frames[span]
                for number, span in enumerate(_spans(lengths))
            }
        for name, table in tables.items():
            (temporary / name).parent.mkdir(parents=True, exist_ok=True)
            parquet.write_table(table, temporary / name, compression="snappy")
        (temporary / "meta/info.json").write_bytes(encode_json(info))
    return f"{left_out} frames from before the first messages are left out" if left_out else None


def _frames(run: RunView, executed: Executed) -> tuple[dict[str, _Feature], list[int], int]:
    """Returns the columns of all frames, the length of each episode that has any, and how many frames are left out."""
    timeline, supervisor = executed.timeline, executed.timeline.spec.supervisor
    edges = [edge for edge in timeline.spec.edges if edge.target == supervisor]
    outputs = {
        node: {key: array for key, array in executed.values.get(node, {}).items() if key.split("/")[0] == "output"}
        for node in dict.fromkeys([supervisor, *(edge.source for edge in edges)])
    }
    for node, leaves in outputs.items():
        if not leaves:
            raise RexError(
                f"{run.path}: the outputs of '{node}' were not kept; nodes.{node}.record.output=true keeps them"
            )
    windows = [timeline.window(edge, 1)[..., 0] for edge in edges]
    features: dict[str, _Feature] = {}
    lengths, left_out = [], 0
    for row, episode in enumerate(executed.episode):
        seq = executed.seq[supervisor][row]
        # The supervisor's last tick ends the last step: it has an observation, but no action.
        places = np.nonzero((seq >= 0) & (seq < timeline.num_steps[episode]))[0]
        ticks = seq[places]
        newest = [window[episode, ticks] for window in windows]
        found = [_find(executed.seq[edge.source][row], wanted) for edge, wanted in zip(edges, newest, strict=True)]
        known = np.all([np.asarray(place) >= 0 for place in found], axis=0) if found else np.ones(len(ticks), bool)
        first = int(np.argmax(known)) if known.any() else len(ticks)
        if not known[first:].all():
            raise RexError(f"{run.path}: execution {row} lacks messages that '{supervisor}' has read; record it whole")
        left_out += first
        if first == len(ticks):
            continue
        places, ticks = places[first:], ticks[first:]
        states: list[tuple[list[str], npt.NDArray]] = []
        for edge, place in zip(edges, found, strict=True):
            for key, array in outputs[edge.source].items():
                rows, name = array[row][place[first:]], ".".join([edge.source, *key.split("/")[1:]])
                if _is_picture(rows):
                    picture = features.setdefault(
                        f"observation.images.{name}",
                        _Feature("image", rows.shape[1:], ["height", "width", "channels"]),
                    )
                    picture.rows.append(rows)
                else:
                    states.append((_names(name, rows), rows.reshape(len(rows), -1)))
        actions = [
            (_names(".".join([supervisor, *key.split("/")[1:]]), array[row][places]), array[row][places])
            for key, array in outputs[supervisor].items()
        ]
        start = timeline.steps[supervisor].start[episode, ticks]
        ages = []
        for edge, wanted in zip(edges, newest, strict=True):
            sent = timeline.steps[edge.source].end[episode, wanted[first:]]
            ages.append(([edge.name], ((start - sent) / NANOSECONDS)[:, None]))
        for name, parts in (("observation.state", states), ("observation.age", ages), ("action", actions)):
            _add(features, name, "float32", parts)
        done = np.arange(len(ticks)) == len(ticks) - 1
        _add(features, "next.done", "bool", [(["done"], done[:, None])])
        _add(features, "start_ns", "int64", [(["start_ns"], start[:, None])])
        lengths.append(len(ticks))
    if not lengths:
        raise RexError(f"{run.path}: in no execution has '{supervisor}' read a message of every input; record longer")
    return features, lengths, left_out


def _find(seq: npt.NDArray[np.int64], wanted: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Returns the index in `seq`, `[steps]`, of each wanted tick, -1 if it is not there."""
    where = {int(tick): place for place, tick in enumerate(seq) if tick >= 0}
    return np.array([where.get(int(tick), -1) for tick in wanted], np.int64)


def _is_picture(rows: npt.NDArray) -> bool:
    return rows.dtype == np.uint8 and rows.ndim == 4 and rows.shape[-1] in (1, 3) and min(rows.shape[1:3]) > 1


def _names(name: str, rows: npt.NDArray) -> list[str]:
    """Returns a name for each number: that of its leaf, with an index if the leaf has several."""
    places = list(np.ndindex(rows.shape[1:]))
    return [name if not place or len(places) == 1 else f"{name}.{'.'.join(map(str, place))}" for place in places]


def _add(features: dict[str, _Feature], name: str, dtype: str, parts: list[tuple[list[str], npt.NDArray]]) -> None:
    if parts:
        names = [each for part, _ in parts for each in part]
        rows = np.concatenate([values.reshape(len(values), -1) for _, values in parts], axis=1).astype(dtype)
        features.setdefault(name, _Feature(dtype, (len(names),), names)).rows.append(rows)


def _defaults(lengths: list[int], rate: float) -> dict[str, _Feature]:
    frame = np.concatenate([np.arange(length) for length in lengths])
    columns = {
        "timestamp": (frame / rate).astype(np.float32),
        "frame_index": frame,
        "episode_index": np.repeat(np.arange(len(lengths)), lengths),
        "index": np.arange(len(frame)),
        "task_index": np.zeros(len(frame), np.int64),
    }
    return {name: _Feature(str(values.dtype), (1,), None, [values[:, None]]) for name, values in columns.items()}


def _column(pa: Any, feature: _Feature) -> Any:
    """Returns a column as LeRobot stores it: one number as such, several as a list, a picture as PNG."""
    rows = feature.array()
    if feature.dtype == "image":
        kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
        return pa.array([{"bytes": data, "path": None} for data in _pngs(rows)], kind)
    if feature.shape == (1,):
        return pa.array(rows[:, 0])
    return pa.FixedSizeListArray.from_arrays(pa.array(rows.reshape(-1)), feature.shape[0])


def _huggingface(features: dict[str, _Feature]) -> dict[str, Any]:
    """Returns the columns' types as `datasets` of Hugging Face notes them in Parquet files, for version 2.1."""

    def kind(feature: _Feature) -> dict[str, Any]:
        if feature.dtype == "image":
            return {"_type": "Image"}
        number = {"dtype": feature.dtype, "_type": "Value"}
        many = {"feature": number, "length": feature.shape[0], "_type": "Sequence"}
        return number if feature.shape == (1,) else many

    return {"info": {"features": {name: kind(feature) for name, feature in features.items()}}}


def _pngs(pictures: npt.NDArray) -> Iterator[bytes]:
    from PIL import Image

    for picture in pictures:
        buffer = io.BytesIO()
        Image.fromarray(picture[..., 0] if picture.shape[-1] == 1 else picture).save(buffer, "PNG")
        yield buffer.getvalue()


def _stats(rows: npt.NDArray, feature: _Feature) -> dict[str, Any]:
    """Returns statistics and quantiles of each number, or of each channel, 0 to 1, of images."""
    count = [len(rows)]
    if feature.dtype == "image":
        rows = rows.reshape(-1, rows.shape[-1]) / 255
    rows = rows.astype(np.float64)
    found = {"min": rows.min(0), "max": rows.max(0), "mean": rows.mean(0), "std": rows.std(0)}
    found |= {f"q{share:02}": np.quantile(rows, share / 100, axis=0) for share in (1, 10, 50, 90, 99)}
    if feature.dtype == "image":
        found = {name: values[:, None, None] for name, values in found.items()}
    return {**{name: values.tolist() for name, values in found.items()}, "count": count}


def _spans(lengths: list[int]) -> list[slice]:
    """Returns the range of frames of each episode."""
    ends = np.cumsum(lengths).tolist()
    return [slice(end - length, end) for end, length in zip(ends, lengths, strict=True)]


def _episodes(features: dict[str, _Feature], lengths: list[int], task: str) -> dict[str, list[Any]]:
    """Returns a table with one row per episode: the range of its frames, and their statistics."""
    spans, zeros = _spans(lengths), [0] * len(lengths)
    columns: dict[str, list[Any]] = {
        "episode_index": list(range(len(lengths))),
        "tasks": [[task]] * len(lengths),
        "length": lengths,
        "data/chunk_index": zeros,
        "data/file_index": zeros,
        "dataset_from_index": [span.start for span in spans],
        "dataset_to_index": [span.stop for span in spans],
        "meta/episodes/chunk_index": zeros,
        "meta/episodes/file_index": zeros,
    }
    for name, feature in features.items():
        rows = feature.array()
        for span in spans:
            for statistic, values in _stats(rows[span], feature).items():
                columns.setdefault(f"stats/{name}/{statistic}", []).append(values)
    return columns


def _lines(features: dict[str, _Feature], lengths: list[int], task: str) -> dict[str, list[dict[str, Any]]]:
    """Returns the metadata of version 2.1, a list of lines for each file."""
    rows = {name: feature.array() for name, feature in features.items()}
    stats = [{name: _stats(rows[name][span], each) for name, each in features.items()} for span in _spans(lengths)]
    return {
        "tasks": [{"task_index": 0, "task": task}],
        "episodes": [
            {"episode_index": number, "tasks": [task], "length": length} for number, length in enumerate(lengths)
        ],
        "episodes_stats": [{"episode_index": number, "stats": each} for number, each in enumerate(stats)],
    }


def _tasks(pa: Any, task: str) -> Any:
    """Returns the table of tasks as pandas writes it: the words are the index."""
    table = pa.table({"task_index": [0], "__index_level_0__": [task]})
    column = {"field_name": None, "metadata": None}
    pandas = {
        "index_columns": ["__index_level_0__"],
        "column_indexes": [],
        "columns": [
            {**column, "name": "task_index", "field_name": "task_index", "pandas_type": "int64", "numpy_type": "int64"},
            {
                **column,
                "name": None,
                "field_name": "__index_level_0__",
                "pandas_type": "unicode",
                "numpy_type": "object",
            },
        ],
        "pandas_version": "2.0.0",
    }
    return table.replace_schema_metadata({"pandas": encode_json(pandas)})
