"""Recordings that were damaged."""

from __future__ import annotations

import random

from tests.fuzz.case import Case
from tests.fuzz.driver import Laboratory
from tests.fuzz.mutations import changed_bytes

FOLDER = "outputs/fuzz/record/2026-01-01_00-00-00"
FILE = f"{FOLDER}/recording.mcap"


def make(rng: random.Random, laboratory: Laboratory) -> Case:
    """A run of `rex record` whose recording is damaged, and a reader of it."""
    seed = laboratory.seeds["record"]
    files = {f"{FOLDER}/{name}": content for name, content in seed.items() if name != "timeline.npz"}
    files[FILE] = changed_bytes(rng, seed["recording.mcap"])
    names = (FOLDER, "picture", "command line")
    if rng.random() < 0.7:
        return Case("recording", ("recording", FILE), files, names=names, reads=True, reader=True)
    reading = (
        ("export", FOLDER),
        ("plot", FOLDER),
        ("plot", FOLDER, rng.choice(("ages", "dataflow", "delays", "trajectories", "pendulum"))),
        ("compile", f"from={FOLDER}"),
    )
    words = rng.choice(reading)
    return Case("recording", words, files, names=names, reads=words[0] != "compile")
