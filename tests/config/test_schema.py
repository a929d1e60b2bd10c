"""The keys of an experiment and their defaults, as people read them in the bundled files."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

from omegaconf import OmegaConf

from rexcli.config.checks import read, write
from rexcli.config.key_origins import Origins
from rexcli.config.project import bundled_conf
from rexcli.config.schema import Experiment, PPOSettings

LEAST = {"name": "a", "supervisor": "a", "nodes": {}}
"""What has no default."""


def bundled(name: str) -> dict[str, Any]:
    return OmegaConf.to_container(OmegaConf.load(bundled_conf() / name))  # type: ignore[return-value]


def keys(plain: dict[str, Any], above: str = "") -> Iterator[str]:
    for name, value in plain.items():
        yield above + name
        if isinstance(value, dict):
            yield from keys(value, f"{above}{name}.")


def test_the_bundled_files_show_every_key_with_its_default() -> None:
    base = {name: value for name, value in bundled("base.yaml").items() if name != "defaults"}
    least = read(Experiment, LEAST, "", Origins())
    assert read(Experiment, {**LEAST, **base}, "", Origins()) == least
    assert read(PPOSettings, bundled("ppo/default.yaml"), "ppo", Origins()) == PPOSettings()
    elsewhere = {*LEAST, "loggers", "ppo"}
    shown = {*keys(base), *elsewhere, *keys(bundled("ppo/default.yaml"), "ppo.")}
    assert shown == set(keys(write(least)))


def test_every_default_is_one_that_may_be_given() -> None:
    def settings(one: Any) -> Iterator[Any]:
        yield one
        for field in dataclasses.fields(one):
            value = getattr(one, field.name)
            if dataclasses.is_dataclass(value):
                yield from settings(value)

    for one in settings(Experiment("a", "a", {})):
        assert read(type(one), write(one), "", Origins()) == one
