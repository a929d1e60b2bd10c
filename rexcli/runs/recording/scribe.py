"""Writes what comes in frames into an MCAP file, chunk by chunk."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import IO, cast

from mcap.writer import Writer

from rexcli.runs.recording.appender import Appender
from rexcli.runs.recording.layout import Layout, encode_message, message_schema
from rexcli.runs.recording.wire import Frame, Kind
from rexcli.timeline.spec import NEVER, EdgeTiming, SystemTiming
from rexcli.timeline.storage import spec_from_json

FORMAT = "1"
CHUNK_BYTES = 4 * 2**20


@dataclass(slots=True)
class _Channel:
    """An MCAP channel; `id` is None until its first record is written. `layout` is None for an edge."""

    topic: str
    name: str
    layout: Layout | None
    id: int | None = None


class Scribe:
    """One recording. Every method raises OSError where the file does not take it.

    Args:
        file: an open file, empty. `close` closes it.

    Attributes:
        count: records in the file.
    """

    def __init__(self, file: int):
        self.count = 0
        self._file = Appender(file)
        self._mcap = Writer(cast("IO[bytes]", self._file), chunk_size=CHUNK_BYTES)
        self._channels: dict[tuple[int, int], _Channel] = {}
        self._message_schema: int | None = None
        self._offsets: dict[int, int] = {}
        self._latest = 0

    def begin(self, spec: str, info: str) -> None:
        """Writes what the file begins with: the system's timing, and what was noted besides, both JSON."""
        system = spec_from_json(spec)
        for number, edge in enumerate(system.edges):
            self._channels[Kind.MESSAGE, number] = _Channel(edge_topic(system, edge), edge.name, None)
        self._mcap.start(library="rexcli")
        self._mcap.add_metadata("rex", {"format": FORMAT, "spec": spec, "info": info})
        self._file.flush()

    def add_layout(self, number: int, node: str, layout: str) -> None:
        """Says what the steps with a number are made of."""
        self._channels[Kind.STEP, number] = _Channel(f"/{node}", node, Layout.from_json(layout))

    def append(self, records: Sequence[Frame]) -> None:
        """Appends steps and messages, in their order."""
        if not records:
            return
        texts = self._encode_steps(records)
        for index, record in enumerate(records):
            channel = self._channels[record.kind, record.channel]
            if channel.id is None:
                channel.id = self._register(channel)
            began, ended = record.began, record.ended
            arrived = ended < NEVER
            text = texts.get(index)
            if text is None:
                text = encode_message(record.episode, record.seq, began, ended if arrived else None, record.reader)
            offset = self._offsets.setdefault(record.episode, self._latest)
            logged = offset + max(0, ended if arrived else began)
            published = logged if channel.layout else offset + max(0, began)
            self._latest = max(self._latest, logged)
            self._mcap.add_message(channel.id, logged, text, published, record.seq & 0xFFFFFFFF)
        self._mcap.flush()
        self.count += len(records)

    def finish(self, complete: bool) -> None:
        """Writes the summary and the index.

        Args:
            complete: the execution came to its end.
        """
        self._mcap.add_metadata("rex.end", {"complete": "true" if complete else "false"})
        self._mcap.finish()
        self._file.finish()

    def close(self) -> None:
        """Closes the file as it is. A second call does nothing."""
        self._file.close()

    def _encode_steps(self, records: Sequence[Frame]) -> dict[int, bytes]:
        """JSON of the steps by their index, made for all of a layout at once."""
        alike: dict[int, list[int]] = {}
        for index, record in enumerate(records):
            if record.kind == Kind.STEP:
                alike.setdefault(record.channel, []).append(index)
        texts: dict[int, bytes] = {}
        for number, indices in alike.items():
            layout = self._channels[Kind.STEP, number].layout
            assert layout is not None
            headers = [(step.episode, step.seq, step.began, step.ended) for step in map(records.__getitem__, indices)]
            texts.update(zip(indices, layout.encode(headers, [records[i].payload for i in indices]), strict=True))
        return texts

    def _register(self, channel: _Channel) -> int:
        layout = channel.layout
        if layout is not None:
            schema = self._mcap.register_schema(f"rex.step.{channel.name}", "jsonschema", layout.schema().encode())
            metadata = {"kind": "node", "name": channel.name, "layout": layout.to_json()}
        else:
            if self._message_schema is None:
                encoded = message_schema().encode()
                self._message_schema = self._mcap.register_schema("rex.message", "jsonschema", encoded)
            schema, metadata = self._message_schema, {"kind": "edge", "name": channel.name}
        return self._mcap.register_channel(channel.topic, "json", schema, metadata)


def edge_topic(spec: SystemTiming, edge: EdgeTiming) -> str:
    """`/source/target`, and the edge's name behind it where it is not the only one between the two."""
    alike = [other for other in spec.edges if (other.source, other.target) == (edge.source, edge.target)]
    return f"/{edge.source}/{edge.target}" + (f"/{edge.name}" if len(alike) > 1 else "")
