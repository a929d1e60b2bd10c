"""Where `conf/` and `nodes/` are: the nearest folder upwards with a `conf/`, or else what this package brings."""

from __future__ import annotations

import importlib
import importlib.machinery
import importlib.util
import sys
from dataclasses import dataclass
from pathlib import Path

from rexcli.errors import RexError

DEFAULT_CONF = "default"
"""`conf/default.yaml` names the experiment that is taken where none is given."""

PACKAGE = Path(__file__).resolve().parents[1]
"""The folder of `rexcli`."""


def bundled_conf() -> Path:
    """The `conf/` that comes with this package: inside it in a wheel, at the top level in a source tree."""
    packed = PACKAGE / "_bundled" / "conf"
    return packed if packed.is_dir() else PACKAGE.parent / "conf"


def bundled_nodes() -> Path:
    """The `nodes/` that comes with this package."""
    return PACKAGE.parent / "nodes"


@dataclass(frozen=True)
class Project:
    """A folder of experiments.

    Attributes:
        root: the folder that `outputs/` is in; paths in messages are relative to it.
        conf: the folder of YAML files.
        own: whether `conf` is the user's, not the bundled one.
    """

    root: Path
    conf: Path
    own: bool

    @property
    def outputs(self) -> Path:
        """Where runs go."""
        return self.root / "outputs"

    @property
    def search_path(self) -> list[Path]:
        """Folders of YAML files, first match first: the project's, then the bundled."""
        bundled = bundled_conf()
        return [self.conf] if self.conf.resolve() == bundled.resolve() else [self.conf, bundled]

    def activate(self) -> None:
        """Lets `_target_: nodes.mine.Arm` find the project's code, and the bundled `nodes` where it has none such.

        The project goes first on `sys.path`. `nodes` becomes a package over both folders, whatever else is called
        `nodes` on this machine.
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
    """Makes the package `nodes` over `homes`, with the first one's `__init__.py` if it has one."""
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
    """The project that `start` (default: the working directory) is in.

    Returns:
        The nearest folder upwards that has a `conf/` with YAML files in it; where there is none, a project in `start`
        whose `conf` is the bundled one.
    """
    start = (start or Path.cwd()).resolve()
    for folder in (start, *start.parents):
        conf = folder / "conf"
        if conf.is_dir() and next(conf.glob("*.yaml"), None) is not None:
            return Project(folder, conf, own=True)
    return Project(start, bundled_conf(), own=False)


def copy_bundled(folder: Path) -> list[Path]:
    """Copies the bundled `conf/` and `nodes/` into `folder`, to start a project from.

    Returns:
        The files written, relative to `folder`.

    Raises:
        RexError: where a file to write is there already; nothing is written then.
    """
    sources = {
        Path(name) / path.relative_to(source): path
        for name, source in (("conf", bundled_conf()), ("nodes", bundled_nodes()))
        for path in sorted(source.rglob("*"))
        if path.suffix in (".yaml", ".py", ".md") and "__pycache__" not in path.parts
    }
    for target in sources:
        if (folder / target).exists():
            raise RexError(f"{folder / target} is there already; give a folder without conf/ and nodes/")
    for target, source in sources.items():
        (folder / target).parent.mkdir(parents=True, exist_ok=True)
        (folder / target).write_bytes(source.read_bytes())
    return list(sources)
