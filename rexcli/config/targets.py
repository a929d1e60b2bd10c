"""Finds the class of a `_target_`, a dotted path in YAML, in trusted packages only."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import sys
from collections.abc import Mapping
from typing import Any, Literal, get_args, get_origin, get_type_hints

from rexcli.config import checks
from rexcli.config.key_origins import Origins
from rexcli.errors import RexError, shown, suggest

TRUSTED = ("nodes", "rexcli", "distrax")
"""Packages that a `_target_` may always name."""

HOMES = ("nodes", "rexcli.system", "rexcli.rl", "rexcli.identify", "rexcli.worlds", "distrax")
"""Packages in which the named classes must be defined: of `rexcli` only those that declare systems, not those that
write files.
"""


class Loader:
    """Finds and calls the classes that `_target_` names.

    Args:
        trusted: packages in addition to `TRUSTED`, dotted.
        origins: the origins of keys, for messages.
    """

    def __init__(self, trusted: tuple[str, ...], origins: Origins):
        self.trusted = (*TRUSTED, *trusted)
        self.homes = (*HOMES, *trusted)
        self.origins = origins

    def find(self, path: str, key: str) -> Any:
        """Returns the class (of distrax: or function) at `path`.

        A name may be an alias, so the module of its definition must be trusted: `nodes.arm.os.system` is in `os`.
        Functions are not allowed, because a run's `config.yaml`, from which systems are built too, may come from a
        stranger.

        Raises:
            RexError: if there is none, or it is not defined in a trusted package.
        """
        where = f"{self.origins.where(key)}: {key}={path}"
        parts = path.split(".")
        if len(parts) < 2 or not all(part.isidentifier() for part in parts):
            raise RexError(f"{where}: give the path of a class, such as nodes.pendulum.Agent")
        if not _within(path, self.trusted):
            raise RexError(
                f"{where}: only {', '.join(self.trusted)} are trusted; add trusted_targets=[{parts[0]}] if you trust it"
            )
        if any(part.startswith("__") for part in parts):
            raise RexError(f"{where}: names with __ are not for configuration")
        found = _import(parts, where)
        function = inspect.isfunction(found)
        if not inspect.isclass(found) and not function:
            raise RexError(f"{where}: this is a {type(found).__name__}; give a class")
        home = f"{found.__module__}.{found.__qualname__}"
        if not _within(home, self.homes):
            raise RexError(f"{where}: this is {home}, which configuration may not call; name a class of your own")
        if function and not _within(home, ("distrax",)):
            raise RexError(f"{where}: this is a function; give a class")
        return found

    def build(self, value: Any, key: str) -> Any:
        """Returns `value` with every mapping that has a `_target_` replaced by an instance of its target.

        Lists among the arguments of distrax distributions become JAX arrays.
        """
        if isinstance(value, Mapping):
            if "_target_" not in value:
                return {name: self.build(item, f"{key}.{name}") for name, item in value.items()}
            path = value["_target_"]
            if not isinstance(path, str):
                raise RexError(f"{self.origins.where(key)}: {key}._target_={shown(path)}: give the path of a class")
            target = self.find(path, f"{key}._target_")
            options = {name: item for name, item in value.items() if name != "_target_"}
            return self.call(target, options, key)
        if isinstance(value, list | tuple):
            return [self.build(item, f"{key}.{index}") for index, item in enumerate(value)]
        return value

    def call(self, target: Any, options: Mapping[str, Any], key: str, given: Mapping[str, Any] | None = None) -> Any:
        """Calls `target` with `options` from YAML, checked against its signature, and with the arguments in `given`
        that it takes.

        Raises:
            RexError: for an unknown, mistyped or missing option, and for errors of the target itself.
        """
        given = given or {}
        name = target.__qualname__
        takes = inspect.signature(target).parameters
        named = [
            parameter.name
            for parameter in takes.values()
            if parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY)
        ]
        open_ended = any(parameter.kind == parameter.VAR_KEYWORD for parameter in takes.values())
        hints = _hints(target)
        arguments = {argument: item for argument, item in given.items() if argument in named}
        for option, value in options.items():
            path = f"{key}.{option}"
            if option not in named and not open_ended:
                known = [*named, *(word for word in given if word not in named)]
                hint = suggest(option, known) if known else "; it takes none"
                raise RexError(f"{self.origins.where(path)}: {path}: {name} has no option '{option}'{hint}")
            built = self.build(value, path)
            if option in hints and _is_plain(hints[option]) and not _has_target(value):
                built = checks.read(hints[option], built, path, self.origins)
            if target.__module__.partition(".")[0] == "distrax":
                built = _array(built)
            arguments[option] = built
        for parameter in takes.values():
            if parameter.name in named and parameter.default is parameter.empty and parameter.name not in arguments:
                path = f"{key}.{parameter.name}"
                raise RexError(f"{self.origins.where(key)}: {path} is missing: {name} needs it")
        try:
            return target(**arguments)
        except RexError as error:
            raise RexError(f"{self.origins.where(key)}: {key}: {error}") from error
        except Exception as error:
            text = " ".join(str(error).split())
            raise RexError(
                f"{self.origins.where(key)}: {key}: {name} refused: {type(error).__name__}: {text}"
            ) from error


def _within(path: str, roots: tuple[str, ...]) -> bool:
    return any(path == root or path.startswith(f"{root}.") for root in roots)


def _import(parts: list[str], where: str) -> Any:
    """Returns the object at a dotted path: modules as far as possible, then attributes."""
    found: Any = None
    depth = 0
    while depth < len(parts):
        module = ".".join(parts[: depth + 1])
        try:
            if found is not None and module not in sys.modules and hasattr(found, parts[depth]):
                break
            found = importlib.import_module(module)
        except ModuleNotFoundError as error:
            if error.name is not None and (module == error.name or module.startswith(f"{error.name}.")):
                break
            raise RexError(f"{where}: {module} needs '{error.name}', which is not there") from error
        except Exception as error:
            text = " ".join(str(error).split())
            raise RexError(f"{where}: importing {module} failed: {type(error).__name__}: {text}") from error
        depth += 1
    if found is None:
        raise RexError(f"{where}: there is no package '{parts[0]}' here; put your code beside conf/, in nodes/")
    for name in parts[depth:]:
        if not hasattr(found, name):
            owner = getattr(found, "__name__", type(found).__name__)
            known = [word for word, item in vars(found).items() if inspect.isclass(item)]
            known = sorted({*known, *getattr(found, "__all__", ())})
            raise RexError(f"{where}: {owner} has no '{name}'{suggest(name, known + _submodules(found))}")
        found = getattr(found, name)
    return found


def _submodules(package: Any) -> list[str]:
    return sorted(info.name for info in pkgutil.iter_modules(getattr(package, "__path__", [])))


def _hints(target: Any) -> dict[str, Any]:
    """Returns the types of a target's arguments, as far as they are known."""
    try:
        code = target.__init__ if inspect.isclass(target) else target
        return get_type_hints(code)
    except Exception:
        return {}


def _has_target(value: Any) -> bool:
    """Returns whether a value contains a `_target_`."""
    if isinstance(value, Mapping):
        return "_target_" in value or any(_has_target(item) for item in value.values())
    return isinstance(value, list | tuple) and any(_has_target(item) for item in value)


def _is_plain(hint: Any) -> bool:
    """Returns whether YAML can hold a value of this type, so that it can be checked."""
    if get_origin(hint) is Literal:
        return True
    if get_origin(hint) is not None:
        return all(_is_plain(arg) for arg in get_args(hint) if arg is not Ellipsis)
    return hint in (bool, int, float, str, type(None))


def _array(value: Any) -> Any:
    """Returns a list of numbers as a JAX array; other values as they are."""
    if isinstance(value, list) and _numeric(value):
        import jax.numpy as jnp

        return jnp.asarray(value, jnp.float32)
    return value


def _numeric(value: Any) -> bool:
    if isinstance(value, list):
        return bool(value) and all(_numeric(item) for item in value)
    return isinstance(value, int | float) and not isinstance(value, bool)
