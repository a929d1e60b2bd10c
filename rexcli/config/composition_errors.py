"""Turns errors of Hydra, OmegaConf and YAML into one line that names the file or the key and the fix."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rexcli.config.key_origins import COMMAND_LINE
from rexcli.config.project import DEFAULT_CONF, Project, find_project
from rexcli.errors import RexError, suggest
from rexcli.runs.plain_yaml import check_aliases, load_yaml

if TYPE_CHECKING:
    from hydra.errors import MissingConfigException


ANY = (ValueError, TypeError, AttributeError, AssertionError, LookupError, MemoryError)
"""Errors that Hydra and OmegaConf raise in addition to their own."""


@contextmanager
def composition_errors(project: Project, conf: str | None, config_dir: str | Path | None = None) -> Iterator[None]:
    """Converts errors in the block to a `RexError` that names the YAML file or the override that caused it."""
    folders = [*project.search_path, *([Path(config_dir)] if config_dir is not None else [])]
    here = f"conf/{conf or DEFAULT_CONF}.yaml"

    def file(is_right: Callable[[bytes], Any]) -> str:
        """Returns the first file that is not right."""
        files = (path for folder in folders for path in sorted(folder.rglob("*.yaml")))
        wrong = next((path for path in files if not is_right(path.read_bytes())), None)
        return here if wrong is None else shown(wrong, project)

    try:
        with one_line_errors(project, conf):
            yield
    except RecursionError:
        raise RexError(f"{here}, or a file that it takes: nested too deeply") from None
    except UnicodeDecodeError as error:
        raise RexError(f"{file(_is_text)}: byte {error.start} is no UTF-8; save the file as UTF-8") from None
    except OSError as error:
        if error.errno is not None:
            raise
        raise RexError(f"{file(_is_mapping)}: a file of conf/ is a mapping, key: value; write one") from None
    except ANY as error:
        raise RexError(f"{here}, or the command line: {_first_line(error)}; mend what it speaks of") from None


def check_file(path: Path, project: Project) -> None:
    """Raises an error for a YAML file whose aliases expand to more than fits into memory, before they are expanded.

    Other mistakes in the file are found later.
    """
    import yaml

    try:
        root = yaml.compose(path.read_bytes(), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except (OSError, yaml.YAMLError, RecursionError):
        return
    try:
        if root is not None:
            check_aliases(root)
    except ValueError as error:
        raise RexError(f"{shown(path, project)}: {error}") from None


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


def _is_text(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def _is_mapping(data: bytes) -> bool:
    try:
        return isinstance(load_yaml(data), dict | None)
    except ValueError:
        return False


@contextmanager
def composition_errors_in(source: str) -> Iterator[None]:
    """Does the same as `composition_errors` for overrides of the content of one file."""
    try:
        with one_line_errors(source=source):
            yield
    except RecursionError:
        raise RexError(f"{source}: nested too deeply") from None
    except ANY as error:
        raise RexError(f"{source}, or the command line: {_first_line(error)}; mend what it speaks of") from None


@contextmanager
def one_line_errors(
    project: Project | None = None, conf: str | None = None, source: str | None = None
) -> Iterator[None]:
    """Converts errors of Hydra, OmegaConf and YAML to a `RexError` of one line; `source` is the file if
    not `conf`'s.
    """
    import yaml
    from hydra.errors import HydraException, MissingConfigException
    from omegaconf.errors import OmegaConfBaseException

    try:
        yield
    except MissingConfigException as error:
        project = project or find_project()
        raise _missing(error, project) from None
    except yaml.reader.ReaderError as error:
        place = shown(Path(str(error.name)), project) if project else str(error.name)
        raise RexError(
            f"{place}: character {error.position} is not for text files ({error.reason}); remove it"
        ) from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        file = Path(mark.name) if mark else Path(f"conf/{conf}.yaml")
        place = f"{shown(file, project) if project else file}{f' line {mark.line + 1}' if mark else ''}"
        raise RexError(f"{place}: not YAML: {error.problem or error.context}") from None
    except (HydraException, OmegaConfBaseException) as error:
        cause = error.__cause__ if isinstance(error.__cause__, OmegaConfBaseException) else error
        lines = [line.strip() for line in str(cause).splitlines() if line.strip()]
        key = getattr(cause, "full_key", None)
        if other := re.match(r"Could not delete from config. The value of '([^']*)' is", str(cause)):
            raise RexError(
                f"{COMMAND_LINE}: ~{other[1]}=…: it has another value; leave the value out, ~{other[1]}"
            ) from None
        lines = [line for line in lines if not line.startswith(("full_key:", "object_type=", "See https"))]
        place = f"{source or f'conf/{conf or DEFAULT_CONF}.yaml'}: {key}" if key else COMMAND_LINE
        if not key and lines and (merged := re.match(r"In '([^']*)': \w+ raised while composing", lines[0])):
            place, lines = f"conf/{merged[1]}.yaml", lines[1:]
            if any("Cannot merge" in line for line in lines):
                lines.append("one is a mapping, key: value, and the other a list")
        raise RexError(f"{place}: {'; '.join(lines)}") from None


def _missing(error: MissingConfigException, project: Project) -> RexError:
    """Returns the error for a missing file that a defaults list or a config group choice refers to."""
    group, _, name = str(error.missing_cfg_file or "").rpartition("/")
    if group.startswith("hydra/"):
        close = suggest(name, sorted(error.options or []))
        return RexError(f"{COMMAND_LINE}: {group}={name}: Hydra has no such choice{close}; is its plugin installed?")
    files = [path for folder in project.search_path for path in (folder / group).glob("*.yaml")]
    close = suggest(name, sorted({path.stem for path in files}))
    asking = re.search(r"In '([^']+)'", str(error))
    where = f"conf/{asking[1]}.yaml: defaults: " if asking and not group else f"{COMMAND_LINE}: {group}={name}: "
    return RexError(f"{where}there is no {'/'.join(filter(None, ('conf', group, name)))}.yaml{close}")


def shown(path: Path, project: Project) -> str:
    """Returns a path in its shortest unambiguous form."""
    for folder in (project.root, project.conf.parent):
        if path.is_relative_to(folder):
            return str(path.relative_to(folder))
    return str(path)
