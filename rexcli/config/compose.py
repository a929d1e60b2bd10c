"""Composes a checked `Experiment` from the name of a YAML file and overrides, with Hydra."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rexcli import errors
from rexcli.config import checks
from rexcli.config.composition_errors import check_file, composition_errors, composition_errors_in, shown
from rexcli.config.key_origins import COMMAND_LINE, Layer, Origins, layer_of_file, layer_of_values
from rexcli.config.measured import take_measured
from rexcli.config.project import DEFAULT_CONF, Project, find_project
from rexcli.config.replicas import expand
from rexcli.config.schema import Experiment
from rexcli.errors import DeclarationError, RexError, suggest
from rexcli.runs.plain_yaml import differences
from rexcli.system.spec import check_system
from rexcli.timeline.phases import check_names

if TYPE_CHECKING:
    from hydra._internal.hydra import Hydra
    from hydra.core.default_element import ResultDefault
    from hydra.core.override_parser.types import Override
    from omegaconf import DictConfig

LONGEST_KEY = 1000
"""The most characters of a key; a longer one is not looked up."""

PARTS = ("base", DEFAULT_CONF)
"""Files of `conf/` that are not experiments themselves."""

SWEEP_GROUPS = (("launcher",), ("sweeper",))
"""Folders of `conf/` that configure how a sweep is run."""


def compose(
    conf: str | None = None,
    overrides: Sequence[str] = (),
    *,
    project: Project | None = None,
    config_dir: str | Path | None = None,
) -> Experiment:
    """Composes `conf/<conf>.yaml` with `overrides` and checks the result.

    Args:
        conf: name of the experiment's file; None for the project's default.
        overrides: in Hydra's grammar, such as `ppo.lr=1e-4`, `ppo=tutorial`, `~edges.sensor_agent`. A plain
            `key=value` may set any key of the schema, also one that no YAML file writes.
        project: the project of `conf/`; None for the one that contains the working directory.
        config_dir: an additional folder of YAML files, searched after the project's.

    Raises:
        RexError: for any mistake in files or overrides; names the file or `command line`, the key and the fix.
    """
    project = project or find_project()
    with hydra(project, config_dir) as app, composition_errors(project, conf, config_dir):
        return compose_by(app, conf_name(conf, project, config_dir), overrides, project)


def compose_by(app: Hydra, name: str, overrides: Sequence[str], project: Project) -> Experiment:
    """Composes as `compose` does, with a Hydra application that may have read the YAML files before; `name` is as from
    `conf_name`.
    """
    from hydra.types import RunMode

    refuse_sweeps(overrides)
    words = translate(overrides, app)
    cfg = app.compose_config(config_name=name, overrides=words, run_mode=RunMode.RUN, from_shell=False)
    return experiment_of(cfg, app, project)


@contextmanager
def hydra(project: Project, config_dir: str | Path | None = None) -> Iterator[Hydra]:
    """Yields a Hydra application over the project's YAML files; the previous global application is
    restored afterwards.
    """
    from hydra import version
    from hydra._internal.hydra import Hydra
    from hydra._internal.utils import create_config_search_path
    from hydra.core.config_search_path import SearchPathQuery
    from hydra.core.global_hydra import GlobalHydra

    extra = list(project.search_path[1:])
    if config_dir is not None:
        folder = Path(config_dir).resolve()
        if not folder.is_dir():
            raise RexError(f"{COMMAND_LINE}: --config-dir {config_dir}: there is no such folder")
        extra.insert(0, folder)
    before = GlobalHydra.instance().hydra
    GlobalHydra.instance().clear()
    version.setbase("1.3")
    search_path = create_config_search_path(str(project.search_path[0]))
    for folder in extra:
        search_path.prepend("rex", f"file://{folder}", SearchPathQuery(provider="schema"))
    try:
        app = Hydra.create_main_hydra2(task_name="rex", config_search_path=search_path)
        loader: Any = app.config_loader
        loader.repository = repository(loader.repository, [project.search_path[0], *extra], project)
        yield app
    finally:
        GlobalHydra.instance().hydra = before


def repository(files: Any, folders: Sequence[Path], project: Project) -> Any:
    """Returns Hydra's repository of YAML files, which reads each file once, and checks it before Hydra expands its
    aliases.
    """
    from hydra._internal.config_repository import CachingConfigRepository

    class Repository(CachingConfigRepository):
        def load_config(self, config_path: str) -> Any:
            if config_path not in self.cache:
                for folder in folders:
                    if (path := folder / f"{config_path}.yaml").is_file():
                        check_file(path, project)
                self.cache[config_path] = self.delegate.load_config(config_path)
            return copy.deepcopy(self.cache[config_path])  # Hydra changes what it is given

        def initialize_sources(self, config_search_path: Any) -> None:
            self.delegate, self.cache = copy.deepcopy(self.delegate), {}
            super().initialize_sources(config_search_path)

        def __deepcopy__(self, memo: dict[int, Any]) -> Repository:
            """Shares the files that were read; Hydra copies its repository for each composition."""
            return copy.copy(self)

    return Repository(files)


def conf_name(conf: str | None, project: Project, config_dir: str | Path | None = None) -> str:
    """Returns the name that Hydra loads: `pendulum` for `pendulum`, `pendulum.yaml` or `conf/pendulum.yaml`.

    Raises:
        RexError: if no folder has such a file; lists the existing ones.
    """
    name = DEFAULT_CONF if conf is None else conf.removesuffix(".yaml").removeprefix("conf/")
    folders = list(project.search_path) + ([Path(config_dir)] if config_dir is not None else [])
    if any((folder / f"{name}.yaml").is_file() for folder in folders):
        return name
    known = list_confs(folders)
    if conf is None:
        raise RexError(
            f"{shown(project.conf / 'default.yaml', project)} is missing: write `defaults: [NAME, _self_]` into it, "
            f"or give conf=NAME (there are: {', '.join(known)})"
        )
    close = suggest(name, known)
    listed = f" (there are: {', '.join(known)})" if "mean" in close else ""
    raise RexError(
        f"{COMMAND_LINE}: conf={conf}: there is no {shown(project.conf, project)}/{name}.yaml{close}{listed}"
    )


def list_confs(folders: Sequence[Path]) -> list[str]:
    """Returns the names of the experiments in `folders`."""
    return sorted({path.stem for folder in folders for path in folder.glob("*.yaml") if path.stem not in PARTS})


def translate(overrides: Sequence[str], app: Hydra) -> list[str]:
    """Lets a plain `key=value` set any key, whether a YAML file has it or not; the schema checks the key later.

    Choices of a config group (`ppo=swingup`), Hydra's own keys and overrides with `+`, `++` or `~` are not changed.

    Raises:
        RexError: for an override that is not in Hydra's grammar.
    """
    from hydra.core.override_parser.types import OverrideType

    translated = []
    for text, override in zip(overrides, parse(overrides), strict=True):
        choice = is_choice(override, app)
        if choice and "." not in override.key_or_group and not isinstance(override.value(), str | list | None):
            raise RexError(
                f"{COMMAND_LINE}: {text}: this chooses a file of conf/{override.key_or_group}/; give its name"
            )
        plain = override.type == OverrideType.CHANGE and not choice
        translated.append(f"++{text}" if plain else text)
    return translated


def parse(overrides: Sequence[str]) -> list[Override]:
    """Parses overrides by Hydra's grammar."""
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.errors import HydraException

    parser = OverridesParser.create()
    parsed = []
    for text in overrides:
        try:
            parsed += parser.parse_overrides([text])
        except (HydraException, RecursionError):
            fix = "quote the value, key='…'" if "=" in text else "write key=value"
            raise RexError(f"{COMMAND_LINE}: {text}: this is no override; {fix}") from None
        key = str(parsed[-1].key_or_group)
        if len(key) > LONGEST_KEY:
            raise RexError(f"{COMMAND_LINE}: {errors.shown(key)}: there is no key of {len(key)} characters")
    return parsed


def refuse_sweeps(overrides: Sequence[str]) -> None:
    """Raises an error for a key with several values, which a single run cannot have.

    Raises:
        RexError: for an override with several values.
    """
    for text, override in zip(overrides, parse(overrides), strict=True):
        if override.is_sweep_override():
            key, _, values = text.partition("=")
            raise RexError(
                f"{COMMAND_LINE}: {text}: several values; add -m to sweep over them, or give a list, {key}=[{values}]"
            )


def is_choice(override: Override, app: Hydra) -> bool:
    """Returns whether an override chooses from a config group or sets Hydra's own keys, not a key of the experiment."""
    key = override.key_or_group
    if key == "hydra" or key.startswith(("hydra.", "hydra/")) or "/" in key or override.package is not None:
        return True
    return "." not in key and app.config_loader.repository.group_exists(key)  # type: ignore[attr-defined]


def experiment_of(cfg: DictConfig, app: Hydra, project: Project) -> Experiment:
    """Returns the experiment that Hydra composed, including its `hydra` node, with the origin of every key."""
    from hydra.types import RunMode
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    conf = str(cfg.hydra.job.config_name)
    own_settings, task = given_overrides(cfg.hydra)
    files = app.config_loader.compute_defaults_list(conf, own_settings + task, RunMode.RUN).defaults
    origins = Origins(tuple(_layers(cfg, files, task, app, project)), f"conf/{conf}.yaml")
    own = copy.copy(cfg)
    OmegaConf.set_struct(own, False)
    own.pop("hydra")
    try:
        plain: Any = OmegaConf.to_container(own, resolve=True, throw_on_missing=True)
    except OmegaConfBaseException as error:
        key = error.full_key or ""
        raise RexError(f"{origins.where(key)}: {key}: {str(error).splitlines()[0]}") from None
    plain.setdefault("name", _name(conf, files))
    declared = _declared(conf, own_settings, app) if task else plain
    changes = differences({"name": plain["name"], **declared}, plain) if declared else {}
    _start_afresh(plain, origins)
    plain, origins = expand(plain, origins)
    take_measured(plain, project.outputs, origins)
    return read_experiment(plain, origins, trust=plain.get("trusted_targets") or (), changes=changes)


def _declared(conf: str, own_settings: list[str], app: Hydra) -> dict[str, Any]:
    """Returns what the files declare without any override; empty if they are only complete with one."""
    from hydra.errors import HydraException
    from hydra.types import RunMode
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    try:
        cfg = app.compose_config(conf, own_settings, RunMode.RUN, from_shell=False)
        OmegaConf.set_struct(cfg, False)
        cfg.pop("hydra")
        plain: Any = OmegaConf.to_container(cfg, resolve=True)
    except (HydraException, OmegaConfBaseException):
        return {}
    return dict(plain)


def given_overrides(settings: DictConfig) -> tuple[list[str], list[str]]:
    """Returns the given overrides of Hydra's own settings, and of the experiment, from a `hydra` node."""
    from omegaconf import OmegaConf

    given: Any = OmegaConf.to_container(settings.overrides, resolve=False)
    return list(given["hydra"]), list(given["task"])


def experiment_from_config(
    config: Mapping[str, Any], source: str = "config.yaml", overrides: Sequence[str] = ()
) -> Experiment:
    """Returns the experiment of a run, from the plain mapping in its `config.yaml`.

    The run's own `trusted_targets` is kept, but not trusted, since a run may come from a stranger; only what
    `overrides` adds to it is trusted.

    Args:
        config: the mapping, as loaded from YAML.
        source: the name of the file in messages.
        overrides: `key=value` in Hydra's grammar; config groups cannot be chosen any more.
    """
    from hydra._internal.config_loader_impl import ConfigLoaderImpl
    from hydra.core.override_parser.types import OverrideType
    from omegaconf import OmegaConf

    refuse_sweeps(overrides)
    parsed = parse(overrides)
    changed = OmegaConf.create({})
    for override in parsed:
        if override.type == OverrideType.CHANGE:
            override.type = OverrideType.FORCE_ADD
    with composition_errors_in(source):
        cfg = OmegaConf.create(dict(config))
        ConfigLoaderImpl._apply_overrides_to_config(parsed, cfg)
        ConfigLoaderImpl._apply_overrides_to_config([o for o in parsed if o.is_force_add()], changed)
        plain: Any = OmegaConf.to_container(cfg, resolve=True)
    changes = differences(config, plain)
    layer = layer_of_values((o.key_or_group, o.value()) for o in parsed if not o.is_delete())
    plain, origins = expand(plain, Origins((layer,), source))
    take_measured(plain, find_project().outputs, origins, typed=True)
    return read_experiment(plain, origins, trust=changed.get("trusted_targets") or (), changes=changes)


def read_experiment(
    config: Mapping[str, Any],
    origins: Origins,
    trust: Sequence[str] = (),
    changes: Mapping[str, tuple[Any, Any]] | None = None,
) -> Experiment:
    """Returns a checked `Experiment` from a plain mapping; see `checks.read` for the errors."""
    experiment: Experiment = checks.read(Experiment, config, "", origins)
    experiment = dataclasses.replace(experiment, origins=origins, trust=tuple(trust), changes=dict(changes or {}))
    _check_system(experiment)
    return experiment


def plain_config(experiment: Experiment) -> dict[str, Any]:
    """Returns the mapping from which `experiment_from_config` makes the same experiment, with every default."""
    plain: dict[str, Any] = checks.write(experiment)
    return plain


def config_yaml(experiment: Experiment) -> str:
    """Returns `plain_config` as YAML, for a run's `config.yaml`."""
    from omegaconf import OmegaConf

    return OmegaConf.to_yaml(OmegaConf.create(plain_config(experiment)))


def _check_system(experiment: Experiment) -> None:
    """Checks that every node that is referred to exists, and that no name is given twice."""
    nodes, edges = list(experiment.nodes.values()), list(experiment.edges.values())
    try:
        if not nodes:
            raise DeclarationError("nodes", message="nodes: declare at least one node")
        check_system(nodes, edges, experiment.supervisor, experiment.init_order)
        check_names(
            list(experiment.nodes), [("rollout.keep.nodes", name) for name in experiment.rollout.keep.nodes or ()]
        )
    except DeclarationError as error:
        raise experiment.origins.placed(error) from None


def _start_afresh(plain: dict[str, Any], origins: Origins) -> None:
    """Removes the parameters of a delay or a loss from an earlier file if a later file gives it another `_target_`."""
    for section, key in (("nodes", "delay"), ("edges", "delay"), ("edges", "loss")):
        items = plain.get(section)
        for name, item in items.items() if isinstance(items, dict) else ():
            declared = item.get(key) if isinstance(item, dict) else None
            if not isinstance(declared, dict):
                continue
            prefix = f"{section}.{name}.{key}"
            given = [layer for layer in origins.layers if f"{prefix}._target_" in layer.lines]
            if not given:
                continue
            since = origins.layers[origins.layers.index(given[-1]) :]
            kept = {option for option in declared if any(f"{prefix}.{option}" in layer.lines for layer in since)}
            if len(given) > 1 and kept != set(declared):
                item[key] = {option: value for option, value in declared.items() if option in kept}


def _name(conf: str, files: list[ResultDefault]) -> str:
    """Returns the name of an experiment without a `name`: that of its file, or of the file that
    `default.yaml` names.
    """
    named = [file.config_path or "" for file in files if not file.package]
    names = [name for name in named if Path(name).name not in PARTS and Path(name).parts[:1] not in SWEEP_GROUPS]
    return Path(names[-1] if conf == DEFAULT_CONF and names else conf).name


def _layers(
    cfg: DictConfig, files: list[ResultDefault], task: list[str], app: Hydra, project: Project
) -> Iterator[Layer]:
    """Yields the files that Hydra merged, in its order, then the command line."""
    folders = [
        Path(source.path) for source in cfg.hydra.runtime.config_sources if source.schema == "file" and source.path
    ]
    for default in files:
        file = f"{default.config_path}.yaml"
        path = next((folder / file for folder in folders if (folder / file).is_file()), None)
        if path is not None:
            yield layer_of_file(path, shown(path, project), default.package or "")
    values = [
        (override.key_or_group, override.value())
        for override in parse(task)
        if not override.is_delete() and not is_choice(override, app)
    ]
    yield layer_of_values(values)
