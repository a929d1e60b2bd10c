"""Reads recordings: the timeline into memory, the values from the file when they are asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np

from rexcli.errors import RexError, suggest
from rexcli.runs.recording.file import DAMAGE, Content, broken, read_blocks, read_file
from rexcli.runs.recording.layout import Leaf
from rexcli.runs.recording.parts import Part, no_column
from rexcli.runs.recording.tables import MessageTable, StepTable, assemble
from rexcli.timeline.spec import SystemTiming
from rexcli.timeline.timeline import Timeline, Times

T = TypeVar("T")


class StepValues(NamedTuple):
    """Some steps of a node.

    Attributes:
        node: the node's name.
        episode, seq: episode and tick of each step, `[steps]`.
        leaves: the recorded arrays, `[steps, ...]` each.
    """

    node: str
    episode: np.ndarray
    seq: np.ndarray
    leaves: dict[Leaf, np.ndarray]


class Recording:
    """A recording, made by `read_recording`. Values are read from the file when they are asked for.

    Attributes:
        path: the file.
        spec: the system's timing.
        info: additional notes of the recorder.
        complete: whether the execution and its recording came to their end.
        damaged: whether the file is damaged; only what precedes the damage is there.
    """

    def __init__(self, path: Path, content: Content):
        self.path = path
        self.spec: SystemTiming = content.spec
        self.info: dict[str, Any] = content.info
        self.complete = content.complete
        self.damaged = content.damaged
        self._last_episode = content.last_episode
        self._parts = content.parts

    @property
    def num_episodes(self) -> int:
        """The number of episodes with at least one recorded step."""
        return max((table.num_episodes for table in self._steps.values()), default=0)

    def counts(self, node: str) -> Times:
        """Returns the number of recorded steps of `node`, int64 `[episodes]`: its ticks 0 … count - 1 without gaps."""
        self._check(node)
        return self._counts[node]

    def fields(self, node: str) -> tuple[str, ...]:
        """Returns the recorded fields of `node`, some of `params`, `inputs`, `state`, `output`."""
        self._check(node)
        layouts = [part.layout for part in self._of("node", node) if part.layout is not None]
        return tuple(dict.fromkeys(field for layout in layouts for field in layout.fields))

    def leaves(self, node: str, field: str) -> tuple[Leaf, ...]:
        """Returns the key paths, types and shapes of one field, as `values` gives them."""
        layouts = [part.layout for part in self._of("node", node) if part.layout is not None]
        return tuple(dict.fromkeys(leaf for layout in layouts for leaf in layout.leaves if leaf.field == field))

    def values(self, node: str, field: str) -> dict[str, np.ndarray]:
        """Returns one field of every step of `node`.

        Returns:
            Arrays `[episodes, ticks, ...]` of the recorded type by key path (`""` for a single array). Entries at or
            past `counts(node)`, and those of steps without this field, are 0.

        Raises:
            RexError: the field was not recorded, or its structure changes on the way.
        """
        if field not in self.fields(node):
            fix = f"record again with nodes.{node}.record.{field}=true"
            raise RexError(f"{self.path}: {field} of node '{node}' was not recorded; {fix}")
        shape = self.num_episodes, int(self.counts(node).max(initial=0))
        leaves = self.leaves(node, field)
        values = {leaf.path: np.zeros((*shape, *leaf.shape), leaf.numpy_type) for leaf in leaves}
        for records in self.records({node: leaves}):
            for leaf, array in records.leaves.items():
                values[leaf.path][records.episode, records.seq] = array
        return values

    def records(
        self, wanted: Mapping[str, Sequence[Leaf]], ticks: Mapping[str, tuple[int, int]] | None = None
    ) -> Iterator[StepValues]:
        """Yields leaves of many nodes in the order of the file, in one pass that never holds a long recording whole.

        Args:
            wanted: some `leaves` by node.
            ticks: the first tick to read and the first not to read any more, by node; default: all.

        Raises:
            RexError: a field's structure changes on the way, or the file is damaged.
        """
        parts: list[tuple[Part, Sequence[Leaf], np.ndarray]] = []
        owners: dict[int, tuple[str, int]] = {}
        for node, leaves in wanted.items():
            use = self._usable(node, *(ticks or {}).get(node, (0, None)))
            first, structures = 0, dict[str, set[Leaf]]()
            for part in self._of("node", node):
                owners[id(part)] = node, first
                here = [leaf for leaf in leaves if part.layout is not None and leaf in part.layout.leaves]
                for field in {leaf.field for leaf in here} if part.count else ():
                    whole = {leaf for leaf in part.layout.leaves if leaf.field == field} if part.layout else set()
                    if structures.setdefault(field, whole) != whole:
                        raise RexError(f"{self.path}: {field} of node '{node}' changes its structure on the way")
                if here:
                    parts.append((part, here, use[first : first + part.count]))
                first += part.count
        blocks = read_blocks(self.path, parts)
        while (block := self._try(next, blocks, None)) is not None:
            node, first = owners[id(block.part)]
            rows, table = first + block.rows, self._steps[node]
            yield StepValues(node, table.episode[rows], table.seq[rows], block.leaves)

    def _usable(self, node: str, begin: int, end: int | None) -> np.ndarray:
        """Returns whether each record of a node is of a tick from `begin` up to `end` that `counts` includes."""
        table, counts = self._steps[node], self.counts(node)
        use = (table.episode >= 0) & (table.episode < len(counts)) & (table.seq >= begin)
        use[use] = table.seq[use] < np.minimum(
            counts[table.episode[use]], np.iinfo(np.int64).max if end is None else end
        )
        return use

    def timeline(self) -> Timeline:
        """Returns when everything happened; for a complete recording, exactly what was executed.

        An execution that was cut short ends at the last supervisor tick before which no step can be missing.

        Raises:
            RexError: there is not one complete supervisor step.
        """
        unfinished = None if self.complete else self._last_episode
        try:
            return assemble(self.spec, self._steps, self._messages, self.num_episodes, unfinished)
        except DAMAGE as error:
            raise broken(self.path, error) from None

    @cached_property
    def _steps(self) -> dict[str, StepTable]:
        tables = {}
        for node in self.spec.nodes:
            columns = self._headers("node", node.name, ("episode", "seq", "ts_start", "ts_end"))
            tables[node.name] = StepTable(*columns)
        recorded = sum(len(table.seq) for table in tables.values())
        for name, table in tables.items():
            if table.num_episodes > recorded:
                raise RexError(f"{self.path}: damaged: node '{name}' is in episode {table.num_episodes - 1}")
        return tables

    @cached_property
    def _counts(self) -> dict[str, Times]:
        return {name: table.counts(self.num_episodes) for name, table in self._steps.items()}

    @cached_property
    def _messages(self) -> dict[str, MessageTable]:
        names = ("episode", "seq", "ts_recv", "reader")
        return {edge.name: MessageTable(*self._headers("edge", edge.name, names)) for edge in self.spec.edges}

    def _of(self, kind: str, name: str) -> list[Part]:
        return [part for part in self._parts if (part.kind, part.name) == (kind, name)]

    def _check(self, node: str) -> None:
        names = [timing.name for timing in self.spec.nodes]
        if node not in names:
            raise RexError(f"{self.path}: no node is called '{node}'{suggest(node, names)}")

    def _headers(self, kind: str, of: str, names: Sequence[str]) -> list[Times]:
        """Returns columns of all records, in the order of `names`."""
        parts = [self._try(part.headers) for part in self._of(kind, of)]
        if len(parts) == 1:
            return [parts[0][name] for name in names]
        return [np.concatenate([no_column(name), *(part[name] for part in parts)]) for name in names]

    def _try(self, read: Callable[..., T], *arguments: Any) -> T:
        """Calls `read` and returns its result.

        Raises:
            RexError: the file is damaged.
        """
        try:
            return read(*arguments)
        except DAMAGE as error:
            raise broken(self.path, error) from None
        except OSError as error:
            raise RexError(f"{self.path}: cannot be read: {error.strerror or error}") from None


def read_recording(path: Path | str) -> Recording:
    """Reads `recording.mcap`; of a damaged file, all whole chunks.

    Raises:
        RexError: the file is not a recording. Other damage raises the same error, which names the file, when the data
            are asked for.
    """
    return Recording(Path(path), read_file(Path(path)))
