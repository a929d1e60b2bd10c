"""Policies that were damaged, or that a stranger made."""

from __future__ import annotations

import random

from tests.fuzz.case import Case
from tests.fuzz.driver import Laboratory
from tests.fuzz.runs import damaged

FOLDER = "outputs/fuzz/train/one/policy"


def make(rng: random.Random, laboratory: Laboratory) -> Case:
    """A `policy/` with a damaged file, loaded and used."""
    files = {
        name.removeprefix("policy/"): content
        for name, content in laboratory.seeds["train"].items()
        if name.startswith("policy/")
    }
    for _ in range(rng.choice((1, 1, 1, 2))):
        name = rng.choice(("policy.json", "weights.npz"))
        changed = damaged(rng, name, files.get(name, b""))
        if changed is None:
            files.pop(name, None)
        else:
            files[name] = changed
    placed = {f"{FOLDER}/{name}": content for name, content in files.items()}
    return Case("policy", ("policy", FOLDER), placed, names=(FOLDER,), reads=True, reader=True)
