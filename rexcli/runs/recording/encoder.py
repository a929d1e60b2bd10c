"""Encodes frames as CDR messages and writes them to an MCAP file, chunk by chunk."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from rexcli.runs.recording import images
from rexcli.runs.recording.appender import Appender
from rexcli.runs.recording.chunks import ChunkWriter
from rexcli.runs.recording.images import Images
from rexcli.runs.recording.ipc import Frame, Kind
from rexcli.runs.recording.layout import (
    LOST,
    MESSAGE_HEADER,
    MESSAGES,
    PACKAGE,
    STEP_HEADER,
    Layout,
    message_schema,
    type_name,
    unique,
)
from rexcli.timeline.arrays import spec_from_json
from rexcli.timeline.spec import NEVER, EdgeTiming, SystemTiming

FORMAT = "3"


@dataclass(slots=True)
class _Channel:
    """An MCAP channel; `id` is None until its first record is written. `layout` is None for an edge.

    `images` are a node's image channels: the number of the leaf, how it is encoded, and the channel.
    """

    topic: str
    name: str
    layout: Layout | None
    id: int | None = None
    images: list[tuple[int, Images, int]] = field(default_factory=list)


class Encoder:
    """Encodes one recording. Every method raises OSError if the file cannot be written.

    Args:
        file: descriptor of an open, empty file; `close` closes it.

    Attributes:
        count: number of records in the file.
    """

    def __init__(self, file: int):
        self.count = 0
        self._file = Appender(file)
        self._mcap = ChunkWriter(self._file)
        self._channels: dict[tuple[bool, int], _Channel] = {}
        self._message_schema: int | None = None
        self._image_schema: int | None = None
        self._topics: set[str] = set()
        self._step_schemas: dict[str, int] = {}
        self._offsets: dict[int, int] = {}
        self._latest = 0

    def begin(self, spec: str, info: str) -> None:
        """Writes the beginning of the file: the system's timing and the additional notes, both in JSON."""
        system = spec_from_json(spec)
        for number, edge in enumerate(system.edges):
            self._channels[False, number] = _Channel(edge_topic(system, edge), edge.name, None)
        self._topics = {channel.topic for channel in self._channels.values()} | {
            f"/{each.name}" for each in system.nodes
        }
        self._mcap.begin("rexcli")
        self._mcap.add_metadata("rex", {"format": FORMAT, "spec": spec, "info": info})
        self._file.flush()

    def add_layout(self, number: int, node: str, layout: str) -> None:
        """Declares the layout of the steps with this channel number."""
        self._channels[True, number] = _Channel(f"/{node}", node, Layout.from_json(layout))

    def append(self, frames: Sequence[Frame]) -> None:
        """Appends steps and messages, in order within each channel.

        Messages come before the steps that may read them. So do images, in chunks of their own: no step in the file
        lacks its images, and a reader that needs no images need not unpack them.
        """
        alike: dict[tuple[bool, int], list[Frame]] = {}
        for frame in frames:
            alike.setdefault((frame.kind in (Kind.STEP, Kind.STEPS), frame.channel), []).append(frame)
        found = [(self._channels[key], *self._records(self._channels[key], alike[key])) for key in sorted(alike)]
        if found:
            runs = [records for _, records, _ in found]
            self._set_times(runs)
            self._mcap.add([run for each in found for run in _images(*each)])
            self._mcap.add(runs)
            self._file.flush()
            self.count += sum(map(len, runs))

    def finish(self, complete: bool) -> str:
        """Writes the summary and the index; returns the hexadecimal SHA-256 of the whole file.

        Args:
            complete: whether the execution came to its end.
        """
        self._mcap.add_metadata("rex.end", {"complete": "true" if complete else "false"})
        self._mcap.finish()
        self._file.finish()
        return self._file.digest.hexdigest()

    def close(self) -> None:
        """Closes the file as it is. A second call does nothing."""
        self._file.close()

    def _records(self, channel: _Channel, frames: Sequence[Frame]) -> tuple[np.ndarray, list[np.ndarray]]:
        """Encodes the frames of one channel; returns the records, and a node's leaves, `[records, ...]` each."""
        layout = channel.layout
        names = MESSAGE_HEADER if layout is None else STEP_HEADER
        parts = [_columns(frame, len(names), layout) for frame in frames if frame.kind in (Kind.STEPS, Kind.MESSAGES)]
        if single := [frame for frame in frames if frame.kind in (Kind.STEP, Kind.MESSAGE)]:
            header = np.array([frame[2 : 2 + len(names)] for frame in single], np.int64).T
            leaves = []
            if layout is not None:
                rows = np.frombuffer(b"".join([frame.payload for frame in single]), layout.in_memory, len(single))
                leaves = [rows[str(index)] for index in range(len(layout.leaves))]
            parts.append((header, leaves))
        columns = dict(zip(names, np.concatenate([header for header, _ in parts], axis=1), strict=True))
        columns_of = zip(*(leaves for _, leaves in parts), strict=True)
        values = [arrays[0] if len(arrays) == 1 else np.concatenate(arrays) for arrays in columns_of]
        if layout is None:
            columns["ts_recv"] = np.where(columns["ts_recv"] < NEVER, columns["ts_recv"], LOST)
            records = MESSAGES.encode(columns)
        else:
            records = layout.encode(columns, values)
        if channel.id is None:
            channel.id = self._register(channel)
        records["channel"] = channel.id
        return records, values

    def _set_times(self, runs: Sequence[np.ndarray]) -> None:
        """Sets the times of records on the file's own time axis.

        A step lies where it ends and a message where it arrives, with episodes one after another.
        """
        for run in runs:
            names = run.dtype.names or ()
            began, ended = ("ts_start", "ts_end") if "ts_end" in names else ("ts_sent", "ts_recv")
            start, end = np.maximum(run[began], 0), np.maximum(run[ended], 0)
            is_step, arrived = ended == "ts_end", run[ended] != LOST
            run["logged"] = end if is_step else np.where(arrived, end, start)
            run["published"] = end if is_step else start
        for episode in sorted({int(each) for run in runs for each in np.unique(run["episode"])}):
            offset = self._offsets.setdefault(episode, self._latest)
            for run in runs:
                here = run["episode"] == episode
                if here.any():
                    for key in ("logged", "published"):
                        run[key][here] += np.uint64(offset)
                    self._latest = max(self._latest, int(run["logged"][here].max()))

    def _register(self, channel: _Channel) -> int:
        layout = channel.layout
        if layout is not None:
            name = type_name(channel.name)
            number = self._step_schemas[name] = self._step_schemas.get(name, 0) + 1
            name += "" if number == 1 else f"Layout{number}"
            schema = self._mcap.add_schema(f"{PACKAGE}/msg/{name}", "ros2msg", layout.schema(name).encode())
            metadata = {"kind": "node", "name": channel.name, "layout": layout.to_json()}
            channel.images = [self._register_image(channel, layout, leaf) for leaf in layout.images]
        else:
            if self._message_schema is None:
                encoded = message_schema().encode()
                self._message_schema = self._mcap.add_schema(f"{PACKAGE}/msg/Message", "ros2msg", encoded)
            schema, metadata = self._message_schema, {"kind": "edge", "name": channel.name}
        return self._mcap.add_channel(channel.topic, "cdr", schema, metadata)

    def _register_image(self, channel: _Channel, layout: Layout, number: int) -> tuple[int, Images, int]:
        """Registers the channel of a leaf's images, with the topic `/<node>/<field>/<key path>`."""
        if self._image_schema is None:
            self._image_schema = self._mcap.add_schema(images.SCHEMA_NAME, "ros2msg", images.SCHEMA.encode())
        topic = unique("/".join([channel.topic, *layout.places[number]]), self._topics)
        metadata = {"kind": "image", "name": channel.name, "layout": layout.to_json(), "leaf": str(number)}
        added = self._mcap.add_channel(topic, "cdr", self._image_schema, metadata)
        return number, Images(channel.name, layout.leaves[number]), added


def _images(channel: _Channel, steps: np.ndarray, leaves: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Returns records of the images of steps."""
    found = []
    for number, layout, to in channel.images:
        records = layout.encode(steps, leaves[number])
        records["channel"] = to
        found.append(records)
    return found


def _columns(frame: Frame, width: int, layout: Layout | None) -> tuple[np.ndarray, list[np.ndarray]]:
    """Returns the header `[width, records]` and the leaves `[records, ...]` of a frame that holds many records."""
    count = frame.seq
    header = np.frombuffer(frame.payload, np.int64, width * count).reshape(width, count)
    at, leaves = header.nbytes, []
    for leaf in () if layout is None else layout.leaves:
        shape = (count, *leaf.shape)
        numbers = np.frombuffer(frame.payload, leaf.numpy_type, count * leaf.nbytes // leaf.numpy_type.itemsize, at)
        leaves.append(numbers.reshape(shape))
        at += numbers.nbytes
    return header, leaves


def edge_topic(spec: SystemTiming, edge: EdgeTiming) -> str:
    """Returns `/source/target`, followed by the edge's name if several edges join the two."""
    alike = [other for other in spec.edges if (other.source, other.target) == (edge.source, edge.target)]
    return f"/{edge.source}/{edge.target}" + (f"/{edge.name}" if len(alike) > 1 else "")
