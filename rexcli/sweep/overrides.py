"""Sorts the overrides of a sweep: how it is run, which plugins that needs, and which single runs it stands for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from importlib.metadata import PackageNotFoundError, requires
from shutil import which
from typing import TYPE_CHECKING, Any

from rexcli.config import compose as composing
from rexcli.errors import RexError

if TYPE_CHECKING:
    from hydra._internal.hydra import Hydra

PLAIN = {
    "hydra/job_logging": "none",
    "hydra/hydra_logging": "none",
    "hydra.run.dir": ".",
    "hydra.output_subdir": "null",
}
"""Hydra's settings unless the command line sets them: it prints nothing and writes no files of its own."""

MOST_CHECKED = 200
"""The most jobs of a sweep that are composed before anything runs, to find mistakes."""


def is_choice(override: str) -> bool:
    """Returns whether an override configures how a sweep is run, not the experiment: launcher, sweeper, Hydra's own."""
    key = override.partition("=")[0].lstrip("+~")
    return key in ("launcher", "sweeper") or key.startswith(("hydra.", "hydra/"))


def identity(overrides: Sequence[str]) -> list[str]:
    """Returns what identifies a job: its overrides as they were typed, without those that configure how it
    is launched.
    """
    return [text.removeprefix("++") for text in overrides if not is_choice(text)]


def settings(overrides: Sequence[str]) -> list[str]:
    """Returns overrides for Hydra's own settings of `PLAIN`, except for those that `overrides` set."""
    given = {text.partition("=")[0].lstrip("+~") for text in overrides}
    return [f"{key}={value}" for key, value in PLAIN.items() if key not in given]


def chosen(overrides: Sequence[str], app: Hydra, conf: str) -> list[str]:
    """Returns overrides with `launcher=…` and `sweeper=…` in Hydra's form, whether or not `conf` has defaults for them.

    Raises:
        RexError: if the plugin of a choice is not installed.
    """
    from hydra.types import RunMode

    groups = [override for override in overrides if override.partition("=")[0] in ("launcher", "sweeper")]
    if not groups:
        return list(overrides)
    defaults = app.config_loader.compute_defaults_list(conf, [], RunMode.MULTIRUN)
    for text in groups:
        group, _, choice = text.partition("=")
        check_plugin(group, choice, app)
    return [
        f"+{text}" if text in groups and text.partition("=")[0] not in defaults.overrides.known_choices else text
        for text in overrides
    ]


def check_plugin(group: str, choice: str, app: Hydra) -> None:
    """Checks that Hydra has the plugin that `conf/<group>/<choice>.yaml` needs.

    Raises:
        RexError: if it is not installed, or needs SLURM, which is missing.
    """
    files: Any = app.config_loader.repository  # type: ignore[attr-defined]
    file = files.load_config(f"{group}/{choice}")
    for default in () if file is None else file.defaults_list:
        if getattr(default, "group", None) != f"/hydra/{group}":
            continue
        if not files.config_exists(f"hydra/{group}/{default.value}"):
            raise RexError(f"{group}={choice} needs: pip install {_package(group, default.value)}")
        if default.value == "submitit_slurm" and which("srun") is None:
            raise RexError(
                f"{group}={choice}: there is no SLURM (srun) here; launcher=slurm_local tries a sweep without"
            )


def _package(group: str, plugin: str) -> str:
    """Returns what pip must install for a plugin of Hydra: one of this package's extras if one of them contains it."""
    package = f"hydra-{plugin.partition('_')[0]}-{group}"
    try:
        brought = [text for text in requires("rexcli") or () if text.startswith(package) and "extra ==" in text]
    except PackageNotFoundError:
        brought = []
    extras = [text.partition("extra ==")[2].strip(" '\"") for text in brought]
    return f"'rexcli[{extras[0]}]'" if extras else package


def variants(overrides: Sequence[str]) -> Iterator[list[str]]:
    """Yields single runs with every value of a sweep at least once, so that mistakes are found before it starts.

    Keys that are swept over intervals, which only some sweepers support, keep the values of the YAML files.
    """
    choices: list[list[str]] = []
    for text, override in zip(overrides, composing.parse(overrides), strict=True):
        if not override.is_sweep_override():
            choices.append([text])
        elif override.is_discrete_sweep() and "glob(" not in text:
            key = override.get_key_element()
            choices.append([f"{key}={value}" for value in override.sweep_string_iterator()])
    first = [values[0] for values in choices]
    yield first
    left = MOST_CHECKED
    for index, values in enumerate(choices):
        for value in values[1:left]:
            yield [*first[:index], value, *first[index + 1 :]]
        left -= len(values)
        if left <= 1:
            return
