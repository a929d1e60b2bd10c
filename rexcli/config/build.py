"""Builds the `System` that a checked `Experiment` declares, and its environment."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, TypeVar

from rexcli.config.measured import POSTERIOR
from rexcli.config.project import Project, find_project
from rexcli.config.schema import Experiment, NodeConfig, TargetConfig
from rexcli.config.targets import Loader
from rexcli.errors import DeclarationError, RexError
from rexcli.runs.view import RunView
from rexcli.system.delays import Delay, as_delay
from rexcli.system.losses import as_loss
from rexcli.system.spec import NodeSpec
from rexcli.system.system import System
from rexcli.timeline import phases

T = TypeVar("T")


def build_system(experiment: Experiment, project: Project | None = None) -> System:
    """Builds the declared system, with its loops checked.

    Args:
        experiment: the experiment to build.
        project: the project whose `nodes` package is imported; None for the one that contains the working directory.

    Raises:
        RexError: if a target is missing or not trusted, an option is unknown to its class, a delay is invalid, or the
            system cannot run; the message names the file and the key.
    """
    project = project or find_project()
    project.activate()
    loader = Loader(experiment.trust, experiment.origins)
    nodes = [_node(config, loader, project) for config in experiment.nodes.values()]
    edges = [
        replace(
            edge,
            delay=_declared(as_delay, edge.delay, f"edges.{name}.delay", loader),
            loss=_declared(as_loss, edge.loss, f"edges.{name}.loss", loader),
        )
        for name, edge in experiment.edges.items()
    ]
    posterior = _posterior(experiment)
    try:
        system = System(
            nodes, edges, experiment.supervisor, tuple(experiment.init_order), experiment.randomize, posterior
        )
        phases.check(system.timing)
    except DeclarationError as error:
        raise experiment.origins.placed(error) from error
    except RexError as error:
        raise RexError(f"{experiment.origins.where('nodes')}: {error}") from error
    return system


def _posterior(experiment: Experiment) -> dict[str, Any]:
    """Returns the draws of the run that `randomize.posterior` names, for nodes and edges of the experiment.

    Raises:
        RexError: if it has none for them, or its arrays are not draws.
    """
    run = experiment.randomize.posterior if experiment.randomize else None
    if run is None:
        return {}
    where = f"{experiment.origins.where('randomize.posterior')}: randomize.posterior={run}"
    arrays = RunView(Path(run)).arrays(POSTERIOR)
    if len({array.shape for array in arrays.values()}) != 1 or any(
        array.ndim != 1
        or array.dtype.kind != "f"
        or not len(array)
        or len(key.split("/", 2)) != 2 + key.startswith("nodes/")
        for key, array in arrays.items()
    ):
        raise RexError(f"{where}: its {POSTERIOR} holds no draws; make it again with rex identify")
    known: dict[str, Collection[str]] = {"nodes": experiment.nodes, "edges": experiment.edges}
    found = {key: array for key, array in arrays.items() if key.split("/")[1] in known.get(key.split("/")[0], {})}
    if not found:
        raise RexError(f"{where}: it is of {', '.join(arrays)}; this experiment has no node or edge of these")
    return found


def build_delay(experiment: Experiment, key: str, project: Project | None = None) -> Delay:
    """Builds the declared delay of one node or edge, `edges.sensor_agent`, without building a node; 0 if it has none.

    Raises:
        RexError: if it is not a valid delay.
    """
    (project or find_project()).activate()
    section, _, name = key.partition(".")
    declared: Any = getattr(experiment, section)[name].delay
    return _declared(
        as_delay, 0.0 if declared is None else declared, f"{key}.delay", Loader(experiment.trust, experiment.origins)
    )


def build_environment(experiment: Experiment, system: System, project: Project | None = None) -> Any:
    """Builds the declared environment with the declared metrics, bound to `system`.

    Raises:
        RexError: if none is declared, or its target or options are wrong.
    """
    (project or find_project()).activate()
    if experiment.env is None:
        raise RexError(
            f"{experiment.origins.where('env')}: env is missing: this needs a task, env: {{_target_: nodes.mine.Task}}"
        )
    loader = Loader(experiment.trust, experiment.origins)
    target = loader.find(experiment.env.target, "env._target_")
    if not callable(getattr(target, "bind", None)):
        where = experiment.origins.where("env._target_")
        raise RexError(
            f"{where}: env._target_={experiment.env.target}: this is no task; derive it from rexcli.Environment"
        )
    task = loader.call(target, experiment.env.options, "env").bind(system)
    task.observation_config = experiment.observation
    task.metrics = {name: _metric(name, config, loader) for name, config in experiment.eval.metrics.items()}
    return task


def build_loggers(experiment: Experiment, project: Project | None = None) -> dict[str, Any]:
    """Builds the declared loggers, by name, without starting them.

    Raises:
        RexError: if a target or its options are wrong, or a library is not installed.
    """
    (project or find_project()).activate()
    loader = Loader(experiment.trust, experiment.origins)
    loggers = {}
    for name, config in experiment.loggers.items():
        key = f"loggers.{name}"
        logger = loader.call(loader.find(config.target, f"{key}._target_"), config.options, key)
        if not callable(getattr(logger, "log", None)):
            where = loader.origins.where(f"{key}._target_")
            raise RexError(f"{where}: {key}._target_={config.target}: this is no logger; derive it from rexcli.Logger")
        loggers[name] = logger
    return loggers


def build_optimizer(experiment: Experiment, project: Project | None = None) -> Any:
    """Builds the optimiser that `identify.optimizer` declares; returns None if it declares none.

    Raises:
        RexError: if its target or its settings are wrong.
    """
    config = experiment.identify.optimizer
    if config is None:
        return None
    (project or find_project()).activate()
    loader, key = Loader(experiment.trust, experiment.origins), "identify.optimizer"
    optimizer = loader.call(loader.find(config.target, f"{key}._target_"), config.options, key)
    if not all(callable(getattr(optimizer, name, None)) for name in ("minimize", "check")):
        where = experiment.origins.where(f"{key}._target_")
        raise RexError(
            f"{where}: {key}._target_={config.target}: this is no optimiser; derive it from rexcli.identify.Optimizer"
        )
    return optimizer


def _metric(name: str, config: TargetConfig, loader: Loader) -> Any:
    key = f"eval.metrics.{name}"
    metric = loader.call(loader.find(config.target, f"{key}._target_"), config.options, key)
    if not callable(metric):
        where = loader.origins.where(f"{key}._target_")
        raise RexError(
            f"{where}: {key}._target_={config.target}: this is no metric; derive it from rexcli.rl.metrics.Metric"
        )
    return metric


def _node(config: NodeConfig, loader: Loader, project: Project) -> tuple[NodeSpec, Any]:
    """Returns the declared node and its code, which is given the declared values and project folder that it accepts."""
    key = f"nodes.{config.name}"
    values = {item.name: getattr(config, item.name) for item in fields(NodeSpec)}
    if config.delay is not None:
        values["delay"] = _declared(as_delay, config.delay, f"{key}.delay", loader)
    target = loader.find(config.target, f"{key}._target_")
    given = {name: value for name, value in values.items() if value is not None or name not in ("group", "index")}
    return NodeSpec(**values), loader.call(target, config.options, key, {**given, "project": project.root})


def _declared(kind: Callable[[Any], T], value: Any, key: str, loader: Loader) -> T:
    """Converts the value of a key by `kind`; errors name the key."""
    try:
        return kind(loader.build(value, key))
    except RexError as error:
        where = loader.origins.where(key)
        raise (error if str(error).startswith(where) else RexError(f"{where}: {key}: {error}")) from error
