"""Finds `conf/` and `nodes/`: in the nearest folder upwards with a `conf/`, or else those of this package."""

from __future__ import annotations

import importlib
import importlib.machinery
import importlib.util
import re
import sys
from dataclasses import dataclass
from pathlib import Path

from rexcli.errors import RexError

DEFAULT_CONF = "default"
"""`conf/default.yaml` names the experiment that is used if none is given."""

PACKAGE = Path(__file__).resolve().parents[1]
"""The folder of `rexcli`."""


def bundled_conf() -> Path:
    """Returns the `conf/` of this package: inside it in a wheel, at the top level in a source tree."""
    packed = PACKAGE / "_bundled" / "conf"
    return packed if packed.is_dir() else PACKAGE.parent / "conf"


def bundled_nodes() -> Path:
    """Returns the `nodes/` of this package."""
    return PACKAGE.parent / "nodes"


@dataclass(frozen=True)
class Project:
    """A folder of experiments.

    Attributes:
        root: the folder that contains `outputs/`; paths in messages are relative to it.
        conf: the folder of YAML files.
        own: whether `conf` is the user's, not the bundled one.
    """

    root: Path
    conf: Path
    own: bool

    @property
    def outputs(self) -> Path:
        """The folder of runs."""
        return self.root / "outputs"

    @property
    def search_path(self) -> list[Path]:
        """The folders of YAML files, first match first: the project's, then the bundled one."""
        bundled = bundled_conf()
        return [self.conf] if self.conf.resolve() == bundled.resolve() else [self.conf, bundled]

    def activate(self) -> None:
        """Lets `_target_: nodes.mine.Arm` find the project's code, and the bundled `nodes` for names that it does not
        have.

        The project becomes the first entry of `sys.path`. `nodes` becomes a package over both folders, even if another
        package has that name.
        """
        folder = str(self.root if self.own else PACKAGE.parent)
        if folder in sys.path:
            sys.path.remove(folder)
        sys.path.insert(0, folder)
        importlib.invalidate_caches()
        homes = list(dict.fromkeys(str(path) for path in (Path(folder) / "nodes", bundled_nodes()) if path.is_dir()))
        loaded = sys.modules.get("nodes")
        if loaded is not None and list(loaded.__path__)[:1] == homes[:1]:
            loaded.__path__ = homes
            return
        for name in [name for name in sys.modules if name.partition(".")[0] == "nodes"]:
            del sys.modules[name]
        if homes:
            _load_nodes(homes)


def _load_nodes(homes: list[str]) -> None:
    """Creates the package `nodes` over `homes`, with the `__init__.py` of the first if it has one."""
    init = Path(homes[0]) / "__init__.py"
    loader = importlib.machinery.SourceFileLoader("nodes", str(init)) if init.is_file() else None
    spec = importlib.machinery.ModuleSpec("nodes", loader, is_package=True)
    spec.submodule_search_locations = homes
    module = importlib.util.module_from_spec(spec)
    sys.modules["nodes"] = module
    if loader is not None:
        spec.origin, spec.has_location = str(init), True
        module.__file__ = str(init)
        loader.exec_module(module)


def find_project(start: Path | None = None) -> Project:
    """Finds the project of `start` (default: the working directory).

    Returns:
        The nearest folder upwards that has a `conf/` with YAML files; if there is none, a project in `start` whose
        `conf` is the bundled one.
    """
    start = (start or Path.cwd()).resolve()
    for folder in (start, *start.parents):
        conf = folder / "conf"
        if conf.is_dir() and next(conf.glob("*.yaml"), None) is not None:
            return Project(folder, conf, own=True)
    return Project(start, bundled_conf(), own=False)


def bundled_systems() -> tuple[str, ...]:
    """Returns the names of the systems of this package: those with `nodes/NAME/` and `conf/NAME.yaml`."""
    named = sorted(path.name for path in bundled_nodes().iterdir() if path.is_dir())
    return tuple(name for name in named if (bundled_conf() / f"{name}.yaml").is_file())


def copy_bundled(folder: Path, system: str) -> list[Path]:
    """Copies one of the bundled systems into `folder`, to start a project: its `nodes/`, the experiments that use them,
    and the files that all experiments share. The system becomes the project's default experiment.

    Returns:
        The files written, relative to `folder`.

    Raises:
        RexError: if a file to write exists; then nothing is written.
    """
    others = set(bundled_systems()) - {system}
    foreign = {Path(f"{name}.yaml") for name in _experiments_of(others)} | {Path(name) for name in others}
    texts = {
        Path(name) / path.relative_to(source): path.read_bytes()
        for name, source in (("conf", bundled_conf()), ("nodes", bundled_nodes()))
        for path in sorted(source.rglob("*"))
        if path.suffix in (".yaml", ".py", ".md", ".xml", ".urdf")
        and "__pycache__" not in path.parts
        and Path(path.relative_to(source).parts[0]) not in foreign
    }
    default = Path("conf") / f"{DEFAULT_CONF}.yaml"
    texts[default] = re.sub(rb"(?<=defaults: \[)\w+", system.encode(), texts[default])
    for target in texts:
        if (folder / target).exists():
            raise RexError(f"{folder / target} is there already; give a folder without conf/ and nodes/")
    for target, text in texts.items():
        (folder / target).parent.mkdir(parents=True, exist_ok=True)
        (folder / target).write_bytes(text)
    return list(texts)


def _experiments_of(systems: set[str]) -> set[str]:
    """Returns the bundled experiments that use the code of these systems, or that build on one that does."""
    texts = {path.stem: path.read_text(encoding="utf-8") for path in bundled_conf().glob("*.yaml")}
    del texts[DEFAULT_CONF]
    found: set[str] = set()
    while more := {
        name
        for name, text in texts.items()
        if name not in found
        and (systems.intersection(re.findall(r"\bnodes\.(\w+)\.", text)) or found.intersection(_defaults(text)))
    }:
        found |= more
    return found


def _defaults(text: str) -> list[str]:
    """Returns the experiments that one builds on."""
    line = re.search(r"^defaults: \[(.*)\]", text, flags=re.MULTILINE)
    return [name.strip() for name in line.group(1).split(",")] if line else []
