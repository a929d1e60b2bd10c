"""Checkpoints that were damaged, or are of another training."""

from __future__ import annotations

import random

from tests.fuzz.case import Case
from tests.fuzz.driver import Laboratory
from tests.fuzz.mutations import changed_bytes

FOLDER = "outputs/fuzz/train/one"


def make(rng: random.Random, laboratory: Laboratory) -> Case:
    """A folder of one or two checkpoints, of which files are damaged, missing or of another."""
    if rng.random() < 0.1:
        return _foreign(rng, laboratory)
    files = dict(laboratory.seeds["checkpoint"])
    for _ in range(rng.choice((1, 1, 2, 4))):
        name = rng.choice(list(files))
        change = rng.choice(("bytes", "bytes", "bytes", "missing", "other"))
        if change == "missing" and len(files) > 1:
            del files[name]
        elif change == "other":
            files[name] = rng.choice(list(files.values()))
        else:
            files[name] = changed_bytes(rng, files[name])
    placed = {f"{FOLDER}/checkpoints/{name}": content for name, content in files.items()}
    words = ("checkpoint", f"{FOLDER}/checkpoints")
    return Case("checkpoint", words, placed, names=(FOLDER, "checkpoint"), reads=True, reader=True)


def _foreign(rng: random.Random, laboratory: Laboratory) -> Case:
    """The checkpoint of a training of another system."""
    placed = {
        f"{FOLDER}/{name}": content
        for name, content in laboratory.seeds["train"].items()
        if name.startswith("checkpoints/")
    }
    return Case("checkpoint", ("checkpoint", f"{FOLDER}/checkpoints"), placed, names=("checkpoint",), reader=True)
