"""Reads logs that `rex` did not write: ROS bags, MCAP, LeRobot datasets, Parquet, CSV.

A reader returns the wanted fields of each topic as a `Topic`. The libraries that it needs are one optional extra.
"""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from rexcli.errors import RexError, suggest
from rexcli.imports.fields import FieldError, stamps
from rexcli.imports.topics import Collector, Topic, Wanted, topic_of_columns
from rexcli.runs.formats import decode_csv, decode_json
from rexcli.runs.recording.file import read_records

Asked = Mapping[str | None, Wanted]
"""The wanted fields by topic; None stands for the only topic of a log."""

KINDS = "a ROS 2 bag (its folder, .db3 or .mcap), an MCAP file, the folder of a LeRobot dataset, .parquet or .csv"


def read_log(path: Path, asked: Asked) -> dict[str | None, Topic]:
    """Reads the wanted fields of a log.

    Raises:
        RexError: there is no such log, it is of no known kind, it is damaged, or it lacks a topic or field.
    """
    if not path.exists():
        raise RexError(f"{path}: there is no such file; give {KINDS}")
    read = _reader(path)
    try:
        return read(path, asked)
    except FieldError as error:
        raise RexError(f"{path}: {error}") from None
    except RexError:
        raise
    except OSError as error:
        raise RexError(f"{path}: cannot be read: {' '.join((error.strerror or str(error)).split())[:200]}") from None
    except (Exception, MemoryError) as error:  # libraries' errors for damaged files have no common base class
        text = " ".join(str(error).split())[:200]
        raise RexError(f"{path}: damaged, or no such log: {type(error).__name__} {text}".rstrip()) from None


def need(module: str, what: str) -> Any:
    """Imports a module of the optional extra.

    Raises:
        RexError: the module is not installed; the message names the extra.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        if (error.name or "").partition(".")[0] != module.partition(".")[0]:
            raise
        package = module.partition(".")[0]
        raise RexError(f"{what} needs {package}, which is not installed: pip install 'rexcli[import]'") from None


def _reader(path: Path) -> Callable[[Path, Asked], dict[str | None, Topic]]:
    if path.is_dir():
        if (path / "metadata.yaml").is_file():
            return _read_bag
        if (path / "meta" / "info.json").is_file():
            return _read_lerobot
        if any(path.glob("*.csv")) or any(path.glob("*.parquet")):
            return _read_tables
        raise RexError(f"{path}: a folder without metadata.yaml, meta/info.json, .csv or .parquet; give {KINDS}")
    readers = {".mcap": _read_mcap, ".db3": _read_bag, ".bag": _read_bag}
    readers |= dict.fromkeys((".csv", ".parquet"), _read_tables)
    if path.suffix not in readers:
        raise RexError(f"{path}: no log ends with '{path.suffix}'; give {KINDS}")
    return readers[path.suffix]


def _chosen(path: Path, asked: Asked, known: Mapping[str, Any]) -> dict[str, Wanted]:
    """Returns the wanted fields by the topics of the log.

    Raises:
        RexError: there is no such topic, or a topic among several is not named.
    """
    chosen: dict[str, Wanted] = {}
    for name in asked:
        if name is None and len(known) != 1:
            raise RexError(f"{path}: has {len(known)} topics; name one of them by `topic`: {', '.join(known)}")
        if name is not None and name not in known:
            raise RexError(f"{path}: has no topic '{name}'{suggest(name, list(known))}")
        found = chosen.setdefault(next(iter(known)) if name is None else name, Wanted())
        found.values |= asked[name].values
        found.stamps |= asked[name].stamps
    return chosen


def _given(asked: Asked, topics: Mapping[str, Topic]) -> dict[str | None, Topic]:
    return {name: topics[name] if name is not None else next(iter(topics.values())) for name in asked}


def _collect(collectors: Mapping[str, Collector], name: str, message: Any, log: int, published: int | None) -> None:
    try:
        collectors[name].add(message, log, published)
    except FieldError as error:
        raise RexError(f"topic {name} ({collectors[name].kind}) {error}") from None


def _topics(collectors: Mapping[str, Collector]) -> dict[str, Topic]:
    topics = {}
    for name, collector in collectors.items():
        try:
            topics[name] = collector.topic()
        except FieldError as error:
            raise RexError(f"topic {name} ({collector.kind}) {error}") from None
    return topics


def _read_bag(path: Path, asked: Asked) -> dict[str | None, Topic]:
    """Reads a ROS bag with the `rosbags` library."""
    highlevel, typesys = (need(f"rosbags.{part}", f"{path}: reading a bag") for part in ("highlevel", "typesys"))
    store = typesys.get_typestore(typesys.Stores.LATEST)  # for bags that bring no definitions
    with highlevel.AnyReader([path], default_typestore=store) as reader:
        counts: dict[str, int] = {}
        for connection in reader.connections:
            counts[connection.topic] = counts.get(connection.topic, 0) + connection.msgcount
        chosen = _chosen(path, asked, counts)
        kinds = {connection.topic: connection.msgtype for connection in reader.connections}
        collectors = {name: Collector(name, kinds[name], wanted) for name, wanted in chosen.items()}
        read = dict.fromkeys(chosen, 0)
        for connection, log, data in reader.messages([each for each in reader.connections if each.topic in chosen]):
            message = reader.deserialize(data, connection.msgtype)
            _collect(collectors, connection.topic, message, log, None)
            read[connection.topic] += 1
    for name, count in read.items():
        if count != counts[name]:
            raise RexError(
                f"{path}: topic {name} has {counts[name]} messages by its index, but {count} are there: the bag is "
                "truncated; `ros2 bag reindex` makes its index anew"
            )
    return _given(asked, _topics(collectors))


def _read_mcap(path: Path, asked: Asked) -> dict[str | None, Topic]:
    """Reads an MCAP file with messages in JSON, or in CDR with ROS 2 definitions."""
    from mcap.records import Channel, Message, Schema

    problems: list[str] = []
    schemas: dict[int, Schema] = {}
    channels: dict[int, Channel] = {}
    for record in read_records(path, problems.append):
        if isinstance(record, Schema):
            schemas[record.id] = record
        elif isinstance(record, Channel):
            channels[record.id] = record
    if problems:
        raise RexError(f"{path}: truncated or damaged ({problems[0]}); `mcap recover` makes a whole file of the rest")
    chosen = _chosen(path, asked, {channel.topic: None for channel in channels.values()})
    decoders: dict[int, Callable[[bytes], Any]] = {}
    collectors: dict[str, Collector] = {}
    for channel in channels.values():
        if channel.topic in chosen:
            decoders[channel.id] = _decoder(path, channel, schemas.get(channel.schema_id))
            kind = schemas[channel.schema_id].name if channel.schema_id in schemas else channel.message_encoding
            collectors.setdefault(channel.topic, Collector(channel.topic, kind, chosen[channel.topic]))
    for record in read_records(path, problems.append):
        if isinstance(record, Message) and record.channel_id in decoders:
            topic = channels[record.channel_id].topic
            message = decoders[record.channel_id](record.data)
            _collect(collectors, topic, message, record.log_time, record.publish_time)
    return _given(asked, _topics(collectors))


def _decoder(path: Path, channel: Any, schema: Any) -> Callable[[bytes], Any]:
    if channel.message_encoding == "json":
        return json.loads
    if channel.message_encoding == "cdr" and schema is not None and schema.encoding == "ros2msg":
        typesys = need("rosbags.typesys", f"{path}: reading ROS 2 messages")
        store = typesys.get_typestore(typesys.Stores.EMPTY)
        store.register(typesys.get_types_from_msg(schema.data.decode(), schema.name))
        return lambda data: store.deserialize_cdr(data, schema.name)
    encoding = f"{channel.message_encoding} with {schema.encoding or 'no'} definitions" if schema else "no definitions"
    raise RexError(
        f"{path}: topic {channel.topic} is encoded as {encoding}, which is not read; JSON is, and CDR with ros2msg"
    )


def _read_tables(path: Path, asked: Asked) -> dict[str | None, Topic]:
    """Reads CSV and Parquet files, each a topic with the name of its file."""
    files = [path] if path.is_file() else sorted([*path.glob("*.csv"), *path.glob("*.parquet")])
    known = {file.stem: file for file in files}
    topics = {}
    for name, wanted in _chosen(path, asked, known).items():
        file = known[name]
        columns = decode_csv(file.read_bytes()) if file.suffix == ".csv" else _parquet(file)
        topics[name] = _table(name, file.suffix[1:], wanted, columns)
    return _given(asked, topics)


def _table(name: str, kind: str, wanted: Wanted, columns: Mapping[str, np.ndarray], **options: Any) -> Topic:
    try:
        return topic_of_columns(name, kind, wanted, columns, **options)
    except FieldError as error:
        raise RexError(f"table {name} {error}") from None


def _parquet(path: Path) -> dict[str, np.ndarray]:
    """Reads the columns of a Parquet file; lists become arrays with more axes."""
    parquet = need("pyarrow.parquet", f"{path}: reading Parquet")
    file = parquet.ParquetFile(path)
    plain = [field.name for field in file.schema_arrow if "struct" not in str(field.type)]  # pictures are structures
    table = file.read(columns=plain)
    columns = {}
    for name in table.column_names:
        values = table.column(name).combine_chunks()
        kind = str(values.type)
        if "list" in kind:
            rows = values.to_pylist()
            try:
                columns[name] = np.array(rows, _innermost(values))
            except (ValueError, TypeError):
                columns[name] = np.array([str(row) for row in rows])  # lists of different lengths are no array
        else:
            columns[name] = np.asarray(values.to_numpy(zero_copy_only=False))
    return columns


def _innermost(lists: Any) -> np.dtype:
    """Returns the type of the numbers in nested lists."""
    while "list" in str(lists.type):
        lists = lists.flatten()
    return np.asarray(lists.to_numpy(zero_copy_only=False)).dtype


def _read_lerobot(path: Path, asked: Asked) -> dict[str | None, Topic]:
    """Reads a LeRobot dataset (versions 2 and 3): one topic, one message per frame, episodes by `episode_index`."""
    info = decode_json((path / "meta" / "info.json").read_bytes())
    files = sorted(_data_files(path))
    if not isinstance(info, dict) or not files:
        raise RexError(f"{path}: a LeRobot dataset without data/chunk-…/….parquet; fetch it whole")
    parts = [_parquet(file) for file in files]
    shared = [name for name in parts[0] if all(name in part for part in parts)]
    columns = {name: np.concatenate([part[name] for part in parts]) for name in shared}
    total = info.get("total_frames")
    found = len(next(iter(columns.values()), ()))
    if isinstance(total, int) and found != total:
        raise RexError(f"{path}: has {found} frames, but meta/info.json says {total}: fetch the dataset whole")
    features = info.get("features")
    names = {name: _flat(feature.get("names")) for name, feature in features.items()} if features else {}
    log = None
    if "timestamp" in columns:
        log = stamps(columns["timestamp"], "s", "timestamp"), "timestamp, which LeRobot writes as frame / fps"
    topics = {
        name: _table(name, "LeRobot", wanted, columns, names=names, log=log)
        for name, wanted in _chosen(path, asked, {"frames": None}).items()
    }
    return _given(asked, topics)


def _data_files(path: Path) -> Iterator[Path]:
    return (file for file in (path / "data").rglob("*.parquet") if not file.name.startswith("."))


def _flat(names: Any) -> list[str]:
    """Returns the names of a feature's numbers, which are a list, or a mapping to one."""
    if isinstance(names, dict):
        return [str(name) for value in names.values() for name in (value if isinstance(value, list) else [value])]
    return [str(name) for name in names] if isinstance(names, list) else []
