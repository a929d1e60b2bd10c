"""Records steps and messages while they happen."""

from __future__ import annotations

import itertools
import json
import logging
import os
import threading
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

import numpy as np
import numpy.typing as npt

from rexcli.errors import RexError, suggest
from rexcli.runs.formats import plain
from rexcli.runs.recording import ipc
from rexcli.runs.recording.images import images_of
from rexcli.runs.recording.ipc import Frame, Kind
from rexcli.runs.recording.layout import FIELDS, Layout, Leaf
from rexcli.runs.recording.process import WriterProcess
from rexcli.runs.storage import told
from rexcli.timeline.arrays import spec_to_json
from rexcli.timeline.spec import SystemTiming

INTERVAL = 0.5
"""Seconds of wall time between two appends."""
SEND_EVERY = 0.05
"""Seconds between two writes to the pipe."""
WAITING_RECORDS = 4096
WAITING_BYTES = 4 * 2**20
"""Bytes that may wait in memory; a thread that records more has to wait."""
FRAME_BYTES = 2**20
"""Approximate size of a frame that holds many steps or messages."""

log = logging.getLogger("rex.recording")

Signature = tuple[Any, ...]
Integers = npt.NDArray[np.integer]


class Channel(NamedTuple):
    """The steps of one node that consist of the same arrays."""

    number: int
    nbytes: int


class RecordingWriter:
    """Writes `recording.mcap`. Any number of threads may call `step` and `message`.

    These only store what happened. Twenty times a second a thread sends it to a process that encodes it and appends it
    to the file every half second, which is hardly any work for the caller's other threads. The process survives
    signals, and finishes the file if the caller is killed.

    A write that fails (a full disk) ends the recording but not the caller: `failed` says why, what was written stays
    readable, and later calls do nothing.

    Call `message` before the `step` that reads it, so that a killed process leaves a consistent file.

    Args:
        path: the file; it grows in its final place.
        spec: the system's timing.
        info: anything that JSON can hold, for people and pictures (colours, units, the command).
        interval: seconds between two appends.

    Attributes:
        sha256: hexadecimal SHA-256 of the file, once it is closed; None if unknown.

    Raises:
        WriteError: the file cannot be made.
        RexError: the process cannot be started.
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
        self.sha256: str | None = None
        self._failed: str | None = None
        self._closed = self._gone = False
        self._pending: deque[bytes] = deque()
        self._pending_bytes = 0
        self._layouts: dict[Signature, Channel] = {}
        self._edges = {edge.name: number for number, edge in enumerate(spec.edges)}
        self._numbers = itertools.count()
        self._flushes: dict[int, threading.Event] = {}
        self._adding = threading.Lock()
        self._wake, self._sent = threading.Event(), threading.Event()
        opening = {"interval": interval, "spec": spec_to_json(spec), "info": json.dumps(plain(info or {}))}
        with told(self.path):
            file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o644)
        try:
            self._process = WriterProcess(file)
        finally:
            os.close(file)
        with suppress(OSError):  # if the process has ended already, `failed` will say so
            ipc.write(self._process.requests, Frame(Kind.OPEN, payload=json.dumps(opening).encode()).pack())
        self._sender = threading.Thread(target=self._send, name="rex-recording", daemon=True)
        self._listener = threading.Thread(target=self._listen, name="rex-recording-answers", daemon=True)
        self._sender.start()
        self._listener.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close(complete=kind is None)

    @property
    def failed(self) -> str | None:
        """Why recording has stopped; None while all is well."""
        return self._failed

    @property
    def crowded(self) -> bool:
        """Whether a thread that records now may have to wait for the file."""
        return len(self._pending) > WAITING_RECORDS - 64 or self._pending_bytes > WAITING_BYTES // 2

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
            episode: number of the episode, from 0 on; one ends before the next begins.
            seq: the node's tick.
            ts_start_ns, ts_end_ns: start and end of the step since the start of the episode.
            fields: what to record of `params`, `inputs`, `state` and `output`: arrays by key path, `""` for a single
                array. They are copied, so the caller may use them again.

        Raises:
            RexError: a node or field is unknown, or an array holds no numbers.
        """
        if self._failed is not None or self._closed:
            return
        leaves = {field: {path: _native(value) for path, value in values.items()} for field, values in fields.items()}
        channel = self.channel(node, leaves)
        packed = b"".join([array.tobytes() for values in leaves.values() for array in values.values()])
        self.packed_step(channel, episode, seq, ts_start_ns, ts_end_ns, packed)

    def packed_step(
        self, channel: Channel, episode: int, seq: int, ts_start_ns: int, ts_end_ns: int, packed: bytes
    ) -> None:
        """Notes one step as `step` does, with all arrays as bytes in the order of `channel`."""
        if self._failed is None and not self._closed:
            head = ipc.HEAD.pack(Kind.STEP, channel.nbytes, channel.number, episode, seq, ts_start_ns, ts_end_ns, -1)
            self._note(head + packed)

    def steps(
        self,
        episode: int,
        node: str,
        seq: Integers,
        ts_start_ns: Integers,
        ts_end_ns: Integers,
        fields: Mapping[str, Mapping[str, np.ndarray]],
    ) -> None:
        """Notes many consecutive steps of `node`.

        Args:
            episode: number of the episode, from 0 on.
            seq, ts_start_ns, ts_end_ns: as for `step`, `[steps]`.
            fields: as for `step`, each array with a leading axis `[steps]`.

        Raises:
            RexError: as for `step`.
        """
        if self._failed is not None or self._closed or not len(seq):
            return
        leaves = {field: {path: _native(value) for path, value in values.items()} for field, values in fields.items()}
        channel = self.channel(node, leaves, 1)
        arrays = [array for values in leaves.values() for array in values.values()]
        header = np.stack([np.full(len(seq), episode, np.int64), seq, ts_start_ns, ts_end_ns])
        self._note_many(Kind.STEPS, channel.number, header, arrays, channel.nbytes)

    def message(self, episode: int, edge: str, seq: int, ts_sent_ns: int, ts_recv_ns: int, reader_seq: int) -> None:
        """Notes one message of `edge`.

        Args:
            seq: the tick of the source that sent it.
            ts_recv_ns: `NEVER` for one that did not arrive.
            reader_seq: the tick of the target that reads it, -1 for none.
        """
        if self._failed is not None or self._closed:
            return
        number = self._edge(edge)
        self._note(ipc.HEAD.pack(Kind.MESSAGE, 0, number, episode, seq, ts_sent_ns, ts_recv_ns, reader_seq))

    def messages(
        self, episode: int, edge: str, seq: Integers, ts_sent_ns: Integers, ts_recv_ns: Integers, reader_seq: Integers
    ) -> None:
        """Notes many consecutive messages of `edge`; all arguments but `episode` are as for `message`, `[messages]`."""
        if self._failed is not None or self._closed or not len(seq):
            return
        header = np.stack([np.full(len(seq), episode, np.int64), seq, ts_sent_ns, ts_recv_ns, reader_seq])
        self._note_many(Kind.MESSAGES, self._edge(edge), header, (), 0)

    def flush(self) -> None:
        """Returns once all that was noted so far is in the file, or the recording has failed."""
        number, written = next(self._numbers), threading.Event()
        self._flushes[number] = written
        self._pending.append(Frame(Kind.FLUSH, seq=number).pack())
        self._wake.set()
        while not written.wait(0.1) and self._listener.is_alive():
            pass

    def close(self, *, complete: bool = True) -> None:
        """Writes the remaining data, the summary and the index, and closes the file. A second call does nothing.

        Args:
            complete: whether the execution came to its end, so that each episode holds all its steps. Otherwise the
                timeline of the last episode is cut where a step may be missing.
        """
        if not self._closed:
            self._pending.append(Frame(Kind.CLOSE, seq=int(complete)).pack())
            self._closed = True
        self._wake.set()
        self._sender.join()
        self._listener.join()

    def _edge(self, edge: str) -> int:
        if edge not in self._edges:
            raise RexError(f"recording: no edge is called '{edge}'{suggest(edge, list(self._edges))}")
        return self._edges[edge]

    def _note_many(
        self, kind: Kind, number: int, header: np.ndarray, arrays: Sequence[np.ndarray], nbytes: int
    ) -> None:
        """Notes columns `[columns, records]` and arrays `[records, ...]`, `nbytes` per record, in several frames."""
        count = max(1, FRAME_BYTES // (8 * len(header) + nbytes))
        for begin in range(0, header.shape[1], count):
            part = slice(begin, begin + count)
            payload = b"".join([header[:, part].tobytes(), *(array[part].tobytes() for array in arrays)])
            self._note(Frame(kind, number, seq=header[0, part].size, payload=payload).pack())

    def _note(self, frame: bytes) -> None:
        self._pending.append(frame)
        self._pending_bytes += len(frame)
        while self._full and self._sender.is_alive():
            self._sent.clear()
            self._wake.set()
            self._sent.wait(0.1)

    @property
    def _full(self) -> bool:
        return len(self._pending) >= WAITING_RECORDS or self._pending_bytes >= WAITING_BYTES

    def _send(self) -> None:
        """Sends frames in a thread. Nothing else writes to the pipe, so no frame is interrupted half-way."""
        last = False
        try:
            while not (last or self._gone):
                self._wake.wait(SEND_EVERY)
                self._wake.clear()
                last = self._closed
                data = b"".join([self._pending.popleft() for _ in range(len(self._pending))])
                self._pending_bytes = 0
                ipc.write(self._process.requests, data)
                self._sent.set()
        except OSError:
            self._pending.clear()  # nobody reads the pipe: the other thread finds out why

    def _listen(self) -> None:
        """Receives the answers of the writing process in a thread."""
        closed = False
        with open(self._process.answers, "rb", closefd=False) as answers:
            for line in answers:
                answer = json.loads(line)
                closed |= "closed" in answer
                self.sha256 = answer.get("sha256")
                if "failed" in answer:
                    self._fail(f"{answer['failed']}; {answer['count']} records are kept")
                if "flushed" in answer:
                    self._flushes.pop(answer["flushed"]).set()
        how = self._process.wait()
        self._gone = True
        self._wake.set()
        self._sender.join()
        self._process.close()
        if not closed and self._failed is None:
            self._fail(f"the process that writes it {how}; what it had written is kept")
        for written in self._flushes.values():
            written.set()

    def _fail(self, reason: str) -> None:
        """Ends the recording; the robot runs on."""
        self._failed = f"{self.path}: recording stopped: {reason}"
        log.error(self._failed)

    def channel(self, node: str, fields: Mapping[str, Mapping[str, np.ndarray]], lead: int = 0) -> Channel:
        """Returns the channel of steps that consist of these arrays, which have `lead` leading axes.

        Raises:
            RexError: a node or field is unknown, or an array holds no numbers.
        """
        signature: list[Any] = [node]
        for field, values in fields.items():
            signature.append(field)
            for path, array in values.items():
                signature += (path, array.dtype, array.shape[lead:])
        key = tuple(signature)
        return self._layouts.get(key) or self._add_layout(key, node, fields, lead)

    def _add_layout(
        self, signature: Signature, node: str, fields: Mapping[str, Mapping[str, np.ndarray]], lead: int
    ) -> Channel:
        names = [timing.name for timing in self.spec.nodes]
        if node not in names:
            raise RexError(f"recording: no node is called '{node}'{suggest(node, names)}")
        for field in fields:
            if field not in FIELDS:
                raise RexError(f"recording: node '{node}' has no field '{field}'{suggest(field, list(FIELDS))}")
        leaves = tuple(
            Leaf(field, path, array.dtype.name, array.shape[lead:])
            for field, values in fields.items()
            for path, array in values.items()
        )
        try:
            layout = Layout(tuple(fields), leaves, images_of(leaves))
        except RexError as error:
            raise RexError(f"recording: node '{node}': {error}") from None
        told = json.dumps({"node": node, "layout": layout.to_json()}).encode()
        with self._adding:  # a layout is sent once, before its first step
            if signature not in self._layouts:
                number = len(self._layouts)
                self._pending.append(Frame(Kind.LAYOUT, number, payload=told).pack())
                self._layouts[signature] = Channel(number, sum(leaf.nbytes for leaf in leaves))
            return self._layouts[signature]


def _native(value: Any) -> np.ndarray:
    """Converts a value to an array in this machine's byte order."""
    array = value if type(value) is np.ndarray else np.asarray(value)
    return array if array.dtype.isnative else array.astype(array.dtype.newbyteorder("="))
