"""Writes a recording while it happens."""

from __future__ import annotations

import json
import logging
import threading
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self, cast

import numpy as np
from mcap.writer import Writer

from rexcli.errors import RexError, suggest
from rexcli.runs.formats import plain
from rexcli.runs.recording.appender import Appender
from rexcli.runs.recording.layout import FIELDS, Layout, Leaf, encode_message, message_schema
from rexcli.timeline.spec import NEVER, EdgeTiming, SystemTiming
from rexcli.timeline.storage import spec_to_json

FORMAT = "1"
INTERVAL = 0.5
"""Seconds of wall time between two appends."""
BATCH_RECORDS = 4096
BATCH_BYTES = 4 * 2**20
"""How much waits in memory at most; whoever exceeds it writes it out."""
CHUNK_BYTES = 4 * 2**20

log = logging.getLogger("rex.recording")

Signature = tuple[Any, ...]


@dataclass(slots=True)
class _Channel:
    """An MCAP channel; `id` is None until its first record is written. `layout` is None for an edge."""

    topic: str
    name: str
    layout: Layout | None
    id: int | None = None


class RecordingWriter:
    """Writes `recording.mcap`. Any number of threads may call `step` and `message`.

    They only note what happened; a thread of the writer's own encodes it and appends it to the file every half second.
    A write that fails (a full disk) ends the recording and not the caller: `failed` says why, what was written stays
    readable, and later calls do nothing.

    To keep what a killed process leaves consistent, call `message` before `step` of the tick that reads it.

    Args:
        path: the file; it grows in its final place.
        spec: the system's timing.
        info: anything that JSON can hold, for people and pictures (colours, units, the command).
        interval: seconds between two appends.

    Raises:
        RexError: the file cannot be made.
    """

    def __init__(
        self,
        path: Path | str,
        spec: SystemTiming,
        info: Mapping[str, Any] | None = None,
        *,
        interval: float = INTERVAL,
    ):
        self.path = Path(path)
        self.spec = spec
        self._failed: str | None = None
        self._closed = False
        self._complete = False
        self._pending: deque[tuple[Any, ...] | threading.Event] = deque()
        self._pending_bytes = 0
        self._layouts: dict[Signature, _Channel] = {}
        self._edges = {edge.name: _Channel(edge_topic(spec, edge), edge.name, None) for edge in spec.edges}
        self._message_schema: int | None = None
        self._offsets: dict[int, int] = {}
        self._latest = 0
        self._count = 0
        about = {"format": FORMAT, "spec": spec_to_json(spec), "info": json.dumps(plain(info or {}))}
        try:
            self._file = Appender(self.path)
        except OSError as error:
            raise RexError(f"{self.path}: cannot be recorded to: {error.strerror}; give another place") from None
        self._mcap = Writer(cast("IO[bytes]", self._file), chunk_size=CHUNK_BYTES)
        with self._guard():
            self._mcap.start(library="rexcli")
            self._mcap.add_metadata("rex", about)
            self._file.flush()
        self._wake = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(interval,), name="rex-recording", daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close(complete=kind is None)

    @property
    def failed(self) -> str | None:
        """Why nothing is recorded any more; None while all is well."""
        return self._failed

    @property
    def crowded(self) -> bool:
        """Whether whoever notes something now may have to wait for the file."""
        return len(self._pending) > BATCH_RECORDS - 64 or self._pending_bytes > BATCH_BYTES // 2

    def step(
        self,
        episode: int,
        node: str,
        seq: int,
        ts_start_ns: int,
        ts_end_ns: int,
        fields: Mapping[str, Mapping[str, np.ndarray]],
    ) -> None:
        """Notes one step of `node`.

        Args:
            episode: from 0 on; one ends before the next begins.
            seq: the node's tick.
            ts_start_ns, ts_end_ns: since the start of the episode.
            fields: what is recorded of `params`, `inputs`, `state` and `output`: arrays by key path, `""` for a bare
                array. They are copied; the caller may use them again.

        Raises:
            RexError: an unknown node or field, or an array that holds no numbers.
        """
        if self._failed is not None or self._closed:
            return
        signature: list[Any] = [node]
        data: list[bytes] = []
        for field, leaves in fields.items():
            signature.append(field)
            for path, value in leaves.items():
                array = value if type(value) is np.ndarray else np.asarray(value)
                if not array.dtype.isnative:
                    array = array.astype(array.dtype.newbyteorder("="))
                signature += (path, array.dtype, array.shape)
                data.append(array.tobytes())
        key = tuple(signature)
        channel = self._layouts.get(key)
        if channel is None:
            channel = self._add_layout(key, node, fields)
        self._pending_bytes += sum(map(len, data))
        self._note((channel, episode, seq, ts_start_ns, ts_end_ns, data))

    def message(self, episode: int, edge: str, seq: int, ts_sent_ns: int, ts_recv_ns: int, reader_seq: int) -> None:
        """Notes one message of `edge`.

        Args:
            seq: the tick of the source that sent it.
            ts_recv_ns: `NEVER` for one that did not arrive.
            reader_seq: the tick of the target that reads it, -1 for none.
        """
        if self._failed is not None or self._closed:
            return
        if edge not in self._edges:
            raise RexError(f"recording: no edge is called '{edge}'{suggest(edge, list(self._edges))}")
        self._note((self._edges[edge], episode, seq, ts_sent_ns, ts_recv_ns, reader_seq))

    def flush(self) -> None:
        """Returns once all that was noted so far is in the file, or the recording has failed."""
        written = threading.Event()
        self._pending.append(written)
        self._wake.set()
        while not written.wait(0.1) and self._thread.is_alive():
            pass

    def close(self, *, complete: bool = True) -> None:
        """Writes the rest, the summary and the index, and closes the file. A second call does nothing.

        Args:
            complete: the execution came to its end: each episode holds all its steps. Otherwise the timeline of the
                last episode is cut where it is no longer known that no step is missing.
        """
        if not self._closed:
            self._complete = complete
            self._closed = True
        self._wake.set()
        self._thread.join()

    def _note(self, record: tuple[Any, ...]) -> None:
        self._pending.append(record)
        if len(self._pending) >= BATCH_RECORDS or self._pending_bytes >= BATCH_BYTES:
            self.flush()

    def _run(self, interval: float) -> None:
        """The writer's thread: nothing else touches the file, so nothing interrupts an append half-way."""
        while not self._closed:
            self._wake.wait(interval)
            self._wake.clear()
            self._drain()
        self._drain()
        with self._guard():
            if self._failed is None:
                self._mcap.add_metadata("rex.end", {"complete": "true" if self._complete else "false"})
                self._mcap.finish()
                self._file.finish()
        self._file.close()

    @contextmanager
    def _guard(self) -> Iterator[None]:
        """Whatever goes wrong with the file ends the recording, not the robot."""
        try:
            yield
        except Exception as error:
            reason = error.strerror if isinstance(error, OSError) and error.strerror else repr(error)
            self._failed = f"{self.path}: recording stopped: {reason}; {self._count} records are kept"
            log.error(self._failed)

    def _drain(self) -> None:
        """Encodes and appends all that was noted."""
        batch = [self._pending.popleft() for _ in range(len(self._pending))]
        self._pending_bytes = 0
        with self._guard():
            if self._failed is None:
                self._write([record for record in batch if isinstance(record, tuple)])
        for record in batch:
            if isinstance(record, threading.Event):
                record.set()

    def _write(self, batch: list[tuple[Any, ...]]) -> None:
        steps: dict[int, list[int]] = {}
        for index, (channel, *_) in enumerate(batch):
            if channel.layout is not None:
                steps.setdefault(id(channel), []).append(index)
        texts: dict[int, bytes] = {}
        for indices in steps.values():
            layout = batch[indices[0]][0].layout
            encoded = layout.encode([batch[i][1:5] for i in indices], [batch[i][5] for i in indices])
            texts.update(zip(indices, encoded, strict=True))
        for index, (channel, episode, seq, began, ended, reader) in enumerate(batch):
            if channel.id is None:
                self._register(channel)
            arrived = ended < NEVER
            text = texts.get(index) or encode_message(episode, seq, began, ended if arrived else None, reader)
            offset = self._offsets.setdefault(episode, self._latest)
            logged = offset + max(0, ended if arrived else began)
            published = logged if channel.layout else offset + max(0, began)
            self._latest = max(self._latest, logged)
            self._mcap.add_message(channel.id, logged, text, published, seq & 0xFFFFFFFF)
        self._mcap.flush()
        self._count += len(batch)

    def _register(self, channel: _Channel) -> None:
        layout = channel.layout
        if layout is not None:
            schema = self._mcap.register_schema(f"rex.step.{channel.name}", "jsonschema", layout.schema().encode())
            metadata = {"kind": "node", "name": channel.name, "layout": layout.to_json()}
        else:
            if self._message_schema is None:
                encoded = message_schema().encode()
                self._message_schema = self._mcap.register_schema("rex.message", "jsonschema", encoded)
            schema, metadata = self._message_schema, {"kind": "edge", "name": channel.name}
        channel.id = self._mcap.register_channel(channel.topic, "json", schema, metadata)

    def _add_layout(self, signature: Signature, node: str, fields: Mapping[str, Mapping[str, np.ndarray]]) -> _Channel:
        names = [timing.name for timing in self.spec.nodes]
        if node not in names:
            raise RexError(f"recording: no node is called '{node}'{suggest(node, names)}")
        for field in fields:
            if field not in FIELDS:
                raise RexError(f"recording: node '{node}' has no field '{field}'{suggest(field, list(FIELDS))}")
        leaves = tuple(
            Leaf(field, path, np.asarray(value).dtype.name, np.shape(value))
            for field, values in fields.items()
            for path, value in values.items()
        )
        try:
            layout = Layout(tuple(fields), leaves)
        except RexError as error:
            raise RexError(f"recording: node '{node}': {error}") from None
        return self._layouts.setdefault(signature, _Channel(f"/{node}", node, layout))


def edge_topic(spec: SystemTiming, edge: EdgeTiming) -> str:
    """`/source/target`, and the edge's name behind it where it is not the only one between the two."""
    alike = [other for other in spec.edges if (other.source, other.target) == (edge.source, edge.target)]
    return f"/{edge.source}/{edge.target}" + (f"/{edge.name}" if len(alike) > 1 else "")
