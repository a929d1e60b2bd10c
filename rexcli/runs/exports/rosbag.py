"""Exports a run as a ROS 2 bag, with the experiment that reads it back.

    metadata.yaml, rosbag2.mcap   what `ros2 bag info` and `play` take
    experiment.yaml               what `rex import` takes: the experiment, and where in the bag each node and edge is
    rex_recording/                the message types as a ROS 2 package, for `colcon build`, which `play` needs

A step is a message of topic `/<node>`, noted when it was sent, with the instant of capture (its start) in
`header.stamp`. A message of an edge is one of `/<source>/<target>`, noted when it arrived, with the instant at which it
was sent in `header.stamp`. A lost message is left out.
"""

from __future__ import annotations

import importlib
import re
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

import numpy as np
import yaml

from rexcli.errors import RexError, WriteError
from rexcli.runs.recording.encoder import edge_topic
from rexcli.runs.recording.layout import FIELDS, PACKAGE, Leaf, identifier, type_name, unique
from rexcli.runs.storage import atomic_folder
from rexcli.runs.view import RunView
from rexcli.timeline.spec import NEVER
from rexcli.timeline.timeline import Timeline, Times

Storage = Literal["mcap", "sqlite3"]
PAUSE = 1_000_000_000
"""Pause between two episodes, ns."""
MESSAGE = f"{PACKAGE}/msg/Message"
_TIME = "builtin_interfaces/Time"
_STEP = ("std_msgs/Header header", f"{_TIME} sent", "int64 episode", "int64 seq")
_RECEIVED = ("std_msgs/Header header", f"{_TIME} received", "int64 episode", "int64 seq", "int64 reader")


@dataclass(frozen=True)
class _Topic:
    """A topic of the bag: its type and, for each message in order, when it was noted and its fields."""

    name: str
    kind: str
    logged: Times
    columns: Mapping[str, np.ndarray]


def export_rosbag2(run: RunView, folder: Path, storage: Storage = "mcap") -> Path:
    """Writes a run's recording as a ROS 2 bag, or its timeline alone if it has no recording.

    Args:
        run: a run with `recording.mcap` or `timeline.npz`.
        folder: folder of the bag; it must not exist yet.
        storage: the format of the file in it.

    Returns:
        The folder.

    Raises:
        RexError: the run has no timeline or it is damaged, or `rosbags` is not installed.
    """
    try:
        rosbag2, typesys = (importlib.import_module(f"rosbags.{part}") for part in ("rosbag2", "typesys"))
    except ImportError:
        raise RexError("--to rosbag2 needs rosbags, which is not installed: pip install 'rexcli[import]'") from None
    if folder.exists():
        raise RexError(f"{folder}: is there already; remove it, or give another place by --out")
    recording = run.recording() if run.has("recording.mcap") else None
    timeline = run.timeline() if recording is None else recording.timeline()
    begin = _begins(timeline, datetime.fromisoformat(run.started))
    definitions = {f"{PACKAGE}/msg/Message": _text(_RECEIVED)}
    nodes: dict[str, dict[str, Any]] = {}
    topics: list[_Topic] = []
    kinds, names = {"Message"}, set[str]()
    for node in timeline.spec.nodes:
        leaves: dict[str, Leaf] = {}
        trees: dict[str, Any] = {}
        values: dict[str, np.ndarray] = {}
        taken = {"header", "sent", "episode", "seq"}
        for field in FIELDS if recording is not None else ():
            if recording is None or field not in recording.fields(node.name):
                continue
            for path, array in recording.values(node.name, field).items():
                leaf = next(leaf for leaf in recording.leaves(node.name, field) if leaf.path == path)
                place = unique(identifier(f"{field} {path}"), taken)
                trees.setdefault(field, {})[path] = _entry(leaf, place)
                if leaf.count:
                    leaves[place], values[place] = leaf, array
        kind = unique(type_name(node.name), kinds)
        lines = [f"{_ros_type(leaf)} {place}" for place, leaf in leaves.items()]
        definitions[f"{PACKAGE}/msg/{kind}"] = _text((*_STEP, *lines))
        topic = unique(f"/{_ros_name(node.name)}", names)
        nodes[node.name] = {"topic": topic, "capture": "header.stamp", "send": "sent", "seq": "seq"}
        nodes[node.name] |= {field: _nested(tree) for field, tree in trees.items()}
        topics.append(_step_topic(topic, f"{PACKAGE}/msg/{kind}", timeline, node.name, begin, leaves, values))
    edges: dict[str, dict[str, Any]] = {}
    for edge in timeline.spec.edges:
        topic = unique("/".join(map(_ros_name, edge_topic(timeline.spec, edge).split("/"))), names)
        edges[edge.name] = {"topic": topic, "receive": "received", "seq": "seq", "reader": "reader"}
        topics.append(_edge_topic(topic, timeline, edge.name, edge.source, begin))
    mapping = {"nodes": nodes, "edges": edges, "episode": "episode", "zero": begin.tolist()}
    others = dict.fromkeys(("from", "delays", "params", "policy", "resume"))  # runs that are not in the bag
    experiment = {**run.config, **others, "import": mapping}
    store = typesys.get_typestore(typesys.Stores.ROS2_JAZZY)
    for name, text in definitions.items():
        store.register(typesys.get_types_from_msg(text, name))
    with atomic_folder(folder) as temporary:
        _write_bag(rosbag2, store, temporary / "rosbag2", topics, storage)
        for file in sorted((temporary / "rosbag2").iterdir()):
            file.rename(temporary / file.name)
        (temporary / "rosbag2").rmdir()
        (temporary / "experiment.yaml").write_bytes(yaml.safe_dump(experiment, sort_keys=False).encode())
        for name, text in _package(definitions).items():
            (temporary / PACKAGE / name).parent.mkdir(parents=True, exist_ok=True)
            (temporary / PACKAGE / name).write_text(text)
    return folder


def _begins(timeline: Timeline, started: datetime) -> Times:
    """Returns when each episode begins, ns since 1970, one after another, `[episodes]`."""
    first = int(started.timestamp()) * 1_000_000_000
    begins = []
    for episode in range(timeline.num_episodes):
        begins.append(first)
        times = [steps.end[episode] for steps in timeline.steps.values()]
        times += [messages.arrive[episode] for messages in timeline.messages.values()]
        first += max(int(each[each < NEVER].max(initial=0)) for each in times) + PAUSE
    return np.array(begins, np.int64)


def _step_topic(
    topic: str,
    kind: str,
    timeline: Timeline,
    node: str,
    begin: Times,
    leaves: Mapping[str, Leaf],
    values: Mapping[str, np.ndarray],
) -> _Topic:
    steps = timeline.steps[node]
    episode, seq = np.nonzero(np.arange(steps.start.shape[1]) < steps.count[:, None])
    sent = steps.end[episode, seq] + begin[episode]
    columns = {"header": steps.start[episode, seq] + begin[episode], "sent": sent, "episode": episode, "seq": seq}
    for place, leaf in leaves.items():
        array = np.zeros((*steps.start.shape, *leaf.shape), leaf.numpy_type)
        there = values[place][: len(array), : array.shape[1]]
        array[: there.shape[0], : there.shape[1]] = there
        flat = np.ascontiguousarray(array[episode, seq]).reshape(len(episode), int(np.prod(leaf.shape)))
        columns[place] = (
            flat.view(leaf.number_type) if leaf.dtype.startswith("complex") else flat.astype(leaf.number_type)
        )
    return _Topic(topic, kind, sent, columns)


def _edge_topic(topic: str, timeline: Timeline, edge: str, source: str, begin: Times) -> _Topic:
    messages, steps = timeline.messages[edge], timeline.steps[source]
    episode, seq = np.nonzero(messages.arrive < NEVER)
    order = np.lexsort((messages.arrive[episode, seq], episode))
    episode, seq = episode[order], seq[order]
    received = messages.arrive[episode, seq] + begin[episode]
    columns = {
        "header": steps.end[episode, seq] + begin[episode],
        "received": received,
        "episode": episode,
        "seq": seq,
        "reader": messages.reader[episode, seq],
    }
    return _Topic(topic, MESSAGE, received, columns)


def _write_bag(rosbag2: Any, store: Any, path: Path, topics: list[_Topic], storage: Storage) -> None:
    plugin = {"mcap": rosbag2.StoragePlugin.MCAP, "sqlite3": rosbag2.StoragePlugin.SQLITE3}[storage]
    try:
        with rosbag2.Writer(path, version=9, storage_plugin=plugin) as writer:
            connections = [writer.add_connection(each.name, each.kind, typestore=store) for each in topics]
            encoders = [_encoded(store, each) for each in topics]
            logged = np.concatenate([each.logged for each in topics])
            of = np.repeat(np.arange(len(topics)), [len(each.logged) for each in topics])
            for place in np.lexsort((of, logged)).tolist():
                writer.write(connections[of[place]], int(logged[place]), next(encoders[of[place]]))
    except (OSError, rosbag2.WriterError) as error:
        raise WriteError(f"{path.parent.name}: cannot be written: {error}") from error


def _encoded(store: Any, topic: _Topic) -> Iterator[Any]:
    """Yields the messages of a topic as CDR, one after another."""
    kind, types = store.types[topic.kind], store.types
    stamp, header = types["builtin_interfaces/msg/Time"], types["std_msgs/msg/Header"]
    order = np.argsort(topic.logged, kind="stable")
    columns = {name: values[order] for name, values in topic.columns.items()}

    def time(moment: int) -> Any:
        return stamp(*divmod(int(moment), 1_000_000_000))

    fields = store.fielddefs[topic.kind][1]
    scalars = {name for name, (node, _) in fields if node.name == "BASE"}
    for place in range(len(topic.logged)):
        row: dict[str, Any] = {}
        for name, values in columns.items():
            value = values[place]
            if name == "header":
                row[name] = header(time(value), "")
            elif name in ("sent", "received"):
                row[name] = time(value)
            else:
                row[name] = value.reshape(-1)[0].item() if name in scalars else value
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield store.serialize_cdr(kind(**row), topic.kind)


def _entry(leaf: Leaf, place: str) -> Any:
    """Returns the mapping with which `rex import` finds an array again."""
    vector = len(leaf.shape) == 1 and leaf.count > 1 and leaf.number_type.name == leaf.dtype
    same = vector or (not leaf.shape and leaf.dtype in ("bool", "int64", "float64"))  # scalars are read as Python's
    entry = {"field": place if leaf.count else None, "dtype": leaf.dtype, "shape": list(leaf.shape)}
    return place if same and leaf.path != "field" else entry


def _nested(tree: Mapping[str, Any]) -> Any:
    return tree[""] if list(tree) == [""] else dict(tree)


def _ros_type(leaf: Leaf) -> str:
    size = f"[{leaf.count}]" if leaf.shape or leaf.count != 1 else ""
    return f"{leaf.number_type.name}{size}"


def _ros_name(name: str) -> str:
    """Converts a name to a part of a ROS 2 topic: letters, digits and underscores, with no digit first."""
    plain = re.sub(r"[^A-Za-z0-9_]", "_", name)
    return plain if not plain[:1].isdigit() else f"n{plain}"


def _text(lines: tuple[str, ...]) -> str:
    return "\n".join(lines) + "\n"


def _package(definitions: Mapping[str, str]) -> dict[str, str]:
    """Returns the files of a ROS 2 package of the message types, for `colcon build`."""
    files = {f"msg/{name.rpartition('/')[2]}.msg": text for name, text in definitions.items()}
    needs = ("builtin_interfaces", "std_msgs")
    depends = "\n".join(f"  <depend>{name}</depend>" for name in needs)
    listed = "\n".join(f'  "{name}"' for name in files)
    files["package.xml"] = f"""<?xml version="1.0"?>
<package format="3">
  <name>{PACKAGE}</name>
  <version>0.1.0</version>
  <description>Message types of a bag that rex exported.</description>
  <maintainer email="nobody@example.com">nobody</maintainer>
  <license>MIT</license>
  <buildtool_depend>ament_cmake</buildtool_depend>
  <buildtool_depend>rosidl_default_generators</buildtool_depend>
{depends}
  <exec_depend>rosidl_default_runtime</exec_depend>
  <member_of_group>rosidl_interface_packages</member_of_group>
  <export><build_type>ament_cmake</build_type></export>
</package>
"""
    found = "\n".join(f"find_package({name} REQUIRED)" for name in ("ament_cmake", "rosidl_default_generators", *needs))
    files["CMakeLists.txt"] = f"""cmake_minimum_required(VERSION 3.8)
project({PACKAGE})
{found}
rosidl_generate_interfaces(${{PROJECT_NAME}}
{listed}
  DEPENDENCIES {" ".join(needs)})
ament_package()
"""
    return files
