"""Logs as other programs write them, and an experiment that says what is in them."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import Stores, get_typestore

START = 1_700_000_000_000_000_000
MS = 1_000_000
STORE = get_typestore(Stores.ROS2_HUMBLE)
TYPES = STORE.types

Messages = Iterable[tuple[str, int, Any]]
"""Topic, log time in ns, message."""


def header(stamp: int) -> Any:
    time = TYPES["builtin_interfaces/msg/Time"](*divmod(int(stamp), 10**9))
    return TYPES["std_msgs/msg/Header"](time, "base")


def imu(stamp: int, gyro: float) -> Any:
    vector, quaternion = TYPES["geometry_msgs/msg/Vector3"], TYPES["geometry_msgs/msg/Quaternion"]
    none = np.zeros(9)
    return TYPES["sensor_msgs/msg/Imu"](
        header(stamp), quaternion(0, 0, 0, 1), none, vector(0.0, gyro, 2 * gyro), none, vector(1, 2, 3), none
    )


def joints(stamp: int, *positions: float) -> Any:
    names = [f"joint{number}" for number in range(len(positions))]
    none = np.zeros(0)
    return TYPES["sensor_msgs/msg/JointState"](header(stamp), names, np.array(positions), none, none)


def floats(*values: float) -> Any:
    layout = TYPES["std_msgs/msg/MultiArrayLayout"]([], 0)
    return TYPES["std_msgs/msg/Float32MultiArray"](layout, np.array(values, np.float32))


def image(stamp: int, fill: int) -> Any:
    pixels = np.full(12, fill, np.uint8)
    return TYPES["sensor_msgs/msg/Image"](header(stamp), 2, 2, "rgb8", 0, 6, pixels)


def write_bag(path: Path, messages: Messages, *, storage: str = "mcap") -> Path:
    """A bag by the `rosbags` library."""
    plugin = {"mcap": StoragePlugin.MCAP, "sqlite3": StoragePlugin.SQLITE3}[storage]
    with Writer(path, version=9, storage_plugin=plugin) as writer:
        connections: dict[str, Any] = {}
        for topic, log, message in sorted(messages, key=lambda each: each[1]):
            kind = message.__msgtype__
            if topic not in connections:
                connections[topic] = writer.add_connection(topic, kind, typestore=STORE)
            writer.write(connections[topic], int(log), STORE.serialize_cdr(message, kind))
    return path


def write_json_mcap(path: Path, messages: Messages, *, chunked: bool = True) -> Path:
    from mcap.writer import Writer as McapWriter

    with path.open("wb") as file:
        writer = McapWriter(file, use_chunking=chunked)
        writer.start()
        channels: dict[str, int] = {}
        for topic, log, message in messages:
            if topic not in channels:
                schema = writer.register_schema(topic, "jsonschema", b'{"type": "object"}')
                channels[topic] = writer.register_channel(topic, "json", schema)
            writer.add_message(channels[topic], int(log), json.dumps(message).encode(), int(log) - MS)
        writer.finish()
    return path


def write_lerobot(path: Path, episodes: list[dict[str, np.ndarray]], *, fps: float = 30.0, version: int = 2) -> Path:
    """A dataset of version 2 (a file an episode) or 3 (all in one)."""
    import pyarrow as pa
    from pyarrow import parquet

    tables = []
    for number, columns in enumerate(episodes):
        length = len(columns["action"])
        frame = np.arange(length)
        whole = {
            **{name: pa.array(list(values), pa.list_(pa.float32())) for name, values in columns.items()},
            "timestamp": pa.array((frame / fps).astype(np.float32)),
            "frame_index": pa.array(frame),
            "episode_index": pa.array(np.full(length, number)),
            "task_index": pa.array(np.zeros(length, np.int64)),
        }
        tables.append(pa.table(whole))
    (path / "meta").mkdir(parents=True)
    (path / "data" / "chunk-000").mkdir(parents=True)
    files = tables if version == 2 else [pa.concat_tables(tables)]
    name = "episode_{:06d}.parquet" if version == 2 else "file-{:03d}.parquet"
    for number, table in enumerate(files):
        parquet.write_table(table, path / "data" / "chunk-000" / name.format(number))
    width = {key: values.shape[1] for key, values in episodes[0].items()}
    names = {key: [f"joint{number}.pos" for number in range(size)] for key, size in width.items()}
    info = {
        "codebase_version": f"v{version}.1" if version == 2 else "v3.0",
        "fps": fps,
        "total_frames": sum(len(table) for table in tables),
        "features": {key: {"dtype": "float32", "shape": [size], "names": names[key]} for key, size in width.items()},
    }
    (path / "meta" / "info.json").write_text(json.dumps(info))
    return path


def write_conf(root: Path, text: str, name: str = "robot") -> None:
    (root / "conf").mkdir(exist_ok=True)
    (root / "conf" / f"{name}.yaml").write_text(textwrap.dedent(text).lstrip())


ROBOT = """
defaults: [base, _self_]
supervisor: agent
nodes:
  imu: {_target_: nodes.robot.Imu, rate: 100}
  camera: {_target_: nodes.robot.Camera, rate: 25, delay: 0.002}
  agent: {_target_: nodes.robot.Agent, rate: 50, delay: 0.004}
edges:
  imu_agent: {from: imu, to: agent, window: 2}
  camera_agent: {from: camera, to: agent, delay: 0.006}
import:
  nodes:
    imu: {topic: /imu/data, capture: header.stamp, output: {gyro: angular_velocity, up: linear_acceleration.z}}
    camera: {topic: /image, capture: header.stamp, output: {field: data, shape: [2, 2, 3]}}
    agent: {topic: /cmd, output: [data, 'data']}
  edges:
    imu_agent: {receive: log}
"""
ROBOT = ROBOT.replace("output: [data, 'data']", "output: {torque: {field: data, dtype: float64}}")

ARM = """
defaults: [base, _self_]
supervisor: agent
nodes:
  agent: {_target_: nodes.robot.Agent, rate: 50}
  arm: {_target_: nodes.robot.Arm, rate: 100}
edges:
  agent_arm: {from: agent, to: arm}
  arm_agent: {from: arm, to: agent, skip: true}
import:
  nodes:
    agent: {topic: /cmd, output: 'data[0]'}
    arm: {topic: /joints, capture: header.stamp, output: position}
  edges:
    agent_arm: {lag: {command: 'data[0]', response: 'position[joint1]'}}
    arm_agent: {receive: log}
"""


def robot_messages(seconds: float = 2.0, seed: int = 0) -> tuple[list[tuple[str, int, Any]], Mapping[str, np.ndarray]]:
    """What a recorder on the robot's computer notes, and the true times, ns since `START`."""
    rng = np.random.default_rng(seed)
    captured = (np.arange(int(seconds * 100)) * 10 * MS).astype(np.int64)
    received = captured + rng.integers(1 * MS, 4 * MS, len(captured))
    frames = (np.arange(int(seconds * 25)) * 40 * MS + 3 * MS).astype(np.int64)
    acted = (np.arange(int(seconds * 50)) * 20 * MS + 15 * MS).astype(np.int64)
    messages: list[tuple[str, int, Any]] = [
        ("/imu/data", START + log, imu(START + stamp, 0.1 * place))
        for place, (stamp, log) in enumerate(zip(captured, received, strict=True))
    ]
    messages += [("/image", START + stamp + 9 * MS, image(START + stamp, place)) for place, stamp in enumerate(frames)]
    messages += [("/cmd", START + stamp, floats(place, -place)) for place, stamp in enumerate(acted)]
    return messages, {"captured": captured, "received": received, "frames": frames, "acted": acted}
