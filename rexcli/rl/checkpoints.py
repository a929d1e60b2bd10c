"""Writes checkpoints of a training by Orbax, atomically: everything that the next update depends on.

Next to the files of Orbax is `sha256.json` with the digest of every file, so that Orbax only reads unchanged files.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from rexcli.errors import RexError
from rexcli.runs.formats import decode_json, encode_json
from rexcli.runs.storage import atomic_folder, is_temporary, make_folder, require_space, sha256

if TYPE_CHECKING:
    from orbax.checkpoint import StandardCheckpointer

Arrays = dict[str, npt.NDArray]

KEPT = 2
"""The number of newest checkpoints that are kept: one more than needed, in case the last is damaged."""

DIGESTS = "sha256.json"
"""The file with the digests of all files of a checkpoint."""
OVERHEAD = 2**20
"""The most bytes that a checkpoint takes in addition to its arrays."""


@dataclass(frozen=True)
class Checkpoint:
    """The state of a training after an evaluation.

    Attributes:
        evaluation: the number of that evaluation, from 1.
        updates: number of updates that each seed has made so far.
        seconds: seconds of training so far, without compilation.
        states: the learners, by key path, each leaf `[num_seeds, ...]`.
        best: what each seed had learned at its best evaluation, by key path, each leaf `[num_seeds, ...]`.
        best_returns: mean return of that evaluation, `[num_seeds]`.
    """

    evaluation: int
    updates: int
    seconds: float
    states: Arrays
    best: Arrays
    best_returns: npt.NDArray[np.float32]


def save(folder: Path, checkpoint: Checkpoint) -> None:
    """Writes `folder/<updates>` and removes the oldest ones.

    Raises:
        WriteError: if there is not enough disk space. Orbax itself would fail half-way and leave its files behind.
    """
    path = folder / str(checkpoint.updates)
    arrays = [*checkpoint.states.values(), *checkpoint.best.values()]
    make_folder(folder)
    require_space(path, OVERHEAD + 2 * sum(array.nbytes for array in arrays))
    with atomic_folder(path) as temporary, _checkpointer() as checkpointer:
        checkpointer.save((temporary / "state").absolute(), vars(checkpoint))
        checkpointer.wait_until_finished()
        (temporary / DIGESTS).write_bytes(encode_json(_digests(temporary / "state")))
    for old in _numbered(folder)[:-KEPT]:
        shutil.rmtree(old, ignore_errors=True)


def load_latest(folder: Path) -> Checkpoint | None:
    """Returns the newest checkpoint that can be read; None if there is none.

    Raises:
        RexError: if there are some, but none is complete.
    """
    numbered = _numbered(folder)
    for path in reversed(numbered):
        try:
            _check_whole(path)
            with _checkpointer() as checkpointer:
                tree = checkpointer.restore((path / "state").absolute())
            return Checkpoint(
                evaluation=int(tree["evaluation"]),
                updates=int(tree["updates"]),
                seconds=float(tree["seconds"]),
                states=tree["states"],
                best=tree["best"],
                best_returns=np.asarray(tree["best_returns"], np.float32),
            )
        except (OSError, ValueError, KeyError, TypeError):
            continue
    if numbered:
        raise RexError(f"{folder}: none of its checkpoints can be read; train again without resume")
    return None


def _digests(folder: Path) -> dict[str, str]:
    """Returns the SHA-256 of every file in a folder, by its path there."""
    return {file.relative_to(folder).as_posix(): sha256(file) for file in sorted(folder.rglob("*")) if file.is_file()}


def _check_whole(path: Path) -> None:
    """Raises `ValueError` if a checkpoint has other files than those that were written."""
    if decode_json((path / DIGESTS).read_bytes()) != _digests(path / "state"):
        raise ValueError("it has other files than were written")


def _checkpointer() -> StandardCheckpointer:
    """Returns an Orbax checkpointer that does not wait for other processes, since process 0 has everything that is
    saved.
    """
    import orbax.checkpoint as ocp  # takes a second to import

    alone = ocp.options.MultiprocessingOptions(primary_host=0, active_processes={0}, barrier_sync_key_prefix="rexcli")
    return ocp.StandardCheckpointer(multiprocessing_options=alone)


def _numbered(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    return sorted(
        (path for path in folder.iterdir() if path.name.isdigit() and not is_temporary(path)), key=lambda p: int(p.name)
    )
