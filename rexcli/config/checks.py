"""Checks a plain mapping against a dataclass; each error message names the key, the value and the fix."""

from __future__ import annotations

import dataclasses
import math
import re
import types
from collections.abc import Callable, Mapping
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from rexcli.config.key_origins import Origins
from rexcli.errors import RexError, shown, suggest
from rexcli.timeline.spec import wrong_delay, wrong_loss

Check = Callable[[Any], str | None]
"""Returns what to give instead of a wrong value; None if it is right."""


def positive(what: str) -> Check:
    return lambda value: None if math.isfinite(value) and value > 0 else f"give a positive number ({what})"


def not_negative(what: str) -> Check:
    return lambda value: None if math.isfinite(value) and value >= 0 else f"give a number of {what}, 0 or more"


def at_least(low: int, what: str) -> Check:
    return lambda value: None if isinstance(value, str) or value >= low else f"give {low} or more {what}"


def between(low: float, high: float) -> Check:
    return lambda value: None if low <= value <= high else f"give a number between {low:.10g} and {high:.10g}"


def folder_name(value: str) -> str | None:
    """Checks the name of a folder; returns what to give instead, or None."""
    plain = value.isprintable() and value.strip() == value and value not in ("", ".", "..") and len(value) <= 100
    return None if plain and not set(value) & set("/\\:") else "give a name for a folder, letters, digits, - and _"


class MissingKey(RexError):
    """Raised for a required key that is missing."""


def read(kind: Any, value: Any, key: str, origins: Origins) -> Any:
    """Converts `value` to `kind`: a dataclass, a container or scalar type, a `Literal`, or a union of these.

    Raises:
        RexError: names where the value came from, `key`, the value and what to give instead.
    """
    if kind is Any:
        return value
    if dataclasses.is_dataclass(kind) and isinstance(kind, type):
        return _read_dataclass(kind, value, key, origins)
    origin, args = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType):
        if value is None and type(None) in args:
            return None
        choices = [arg for arg in args if arg is not type(None)]
        shaped = [choice for choice in choices if isinstance(value, _SHAPES.get(get_origin(choice), ()))]
        if len(choices) == 1 or len(shaped) == 1:
            return read((shaped or choices)[0], value, key, origins)
        for choice in choices[:-1]:
            try:
                return read(choice, value, key, origins)
            except RexError:
                continue
        try:
            return read(choices[-1], value, key, origins)
        except RexError:
            raise _error(origins, key, value, f"give {describe(kind)}") from None
    if origin is Literal:
        if value not in args or isinstance(value, bool):
            words = [str(arg) for arg in args]
            close = suggest(str(value), words)
            raise _error(origins, key, value, f"give {describe(kind)}{close if 'mean' in close else ''}")
        return value
    if origin is dict:
        if not isinstance(value, Mapping):
            raise _error(origins, key, value, "give a mapping, name: {…}")
        items = {}
        for name, item in value.items():
            try:
                items[_name(name, key, origins)] = read(args[1], item, f"{key}.{name}", origins)
            except MissingKey as error:  # for a name that is not declared elsewhere, which may be a misspelt one
                close = suggest(str(name), [str(other) for other in value if other != name])
                raise RexError(f"{error}{close if 'mean' in close else ''}") from None
        return items
    if origin in (list, tuple):
        if isinstance(value, str) or not isinstance(value, list | tuple):
            raise _error(origins, key, value, f"give {describe(kind)}")
        listed = [read(args[0], item, f"{key}.{index}", origins) for index, item in enumerate(value)]
        return tuple(listed) if origin is tuple else listed
    return _read_scalar(kind, value, key, origins)


def write(data: Any) -> Any:
    """Returns the plain mapping from which `read` makes `data`, with every default."""
    if dataclasses.is_dataclass(data) and not isinstance(data, type):
        plain = {key: write(getattr(data, item.name)) for key, item in _fields(type(data)).items()}
        rest = _rest(type(data))
        return {**plain, **getattr(data, rest)} if rest else plain
    if isinstance(data, Mapping):
        return {name: write(value) for name, value in data.items()}
    if isinstance(data, list | tuple):
        return [write(value) for value in data]
    return data


def _fields(kind: Any) -> dict[str, dataclasses.Field[Any]]:
    """Returns the fields of a dataclass that YAML may set, by key."""
    fields = (item for item in dataclasses.fields(kind) if not {"rest", "internal", "named"} & set(item.metadata))
    return {item.metadata.get("key", item.name): item for item in fields}


def _rest(kind: Any) -> str | None:
    """Returns the name of the field that takes all keys without a field of their own; None if there is none."""
    return next((item.name for item in dataclasses.fields(kind) if item.metadata.get("rest")), None)


def describe(kind: Any) -> str:
    """Describes `kind` as what the user should type."""
    origin, args = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType):
        return " or ".join("null" if arg is type(None) else describe(arg) for arg in args)
    if origin is Literal:
        *most, last = [f"'{arg}'" if isinstance(arg, str) else str(arg) for arg in args]
        return f"{', '.join(most)} or {last}" if most else last
    if origin in (list, tuple):
        return f"a list of {_PLURALS.get(args[0], describe(args[0]))}, [a, b]"
    return _SINGULARS.get(kind, f"a {getattr(kind, '__name__', kind)}")


_SHAPES: dict[Any, Any] = {dict: Mapping, list: list, tuple: (list, tuple)}
_SINGULARS = {bool: "true or false", int: "a whole number", float: "a number", str: "a word"}
_PLURALS = {int: "whole numbers", float: "numbers", str: "words"}


def _read_scalar(kind: Any, value: Any, key: str, origins: Origins) -> Any:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if kind is bool and isinstance(value, bool):
        return value
    if kind is int and number and math.isfinite(value) and value == int(value):
        return int(value)
    if kind is float and number:
        return float(value)
    if kind is str and (isinstance(value, str) or number):
        return str(value)
    if not isinstance(kind, type) or kind not in _SINGULARS:
        return value
    raise _error(origins, key, value, f"give {describe(kind)}")


def _read_dataclass(kind: Any, value: Any, key: str, origins: Origins) -> Any:
    fields, rest = _fields(kind), _rest(kind)
    if not isinstance(value, Mapping):
        raise _error(origins, key, value, f"give a mapping with {', '.join(list(fields)[:4])}, …")
    hints = get_type_hints(kind)
    given: dict[str, Any] = {
        item.name: key.rpartition(".")[2] for item in dataclasses.fields(kind) if item.metadata.get("named")
    }
    options: dict[str, Any] = {}
    for name, item in value.items():
        path = f"{key}.{name}" if key else str(name)
        if name in fields:
            given[fields[name].name] = _read_field(fields[name], hints, item, path, origins)
        elif rest is not None:
            options[_name(name, key, origins)] = item
        else:
            raise RexError(f"{origins.where(path)}: {path}: there is no such key{suggest(str(name), list(fields))}")
    if rest is not None:
        given[rest] = options
    for name, item in fields.items():
        required = item.default is dataclasses.MISSING and item.default_factory is dataclasses.MISSING
        if required and item.name not in given:
            path = f"{key}.{name}" if key else name
            example = "the path of a class, such as nodes.pendulum.Agent"
            fix = example if name == "_target_" else describe(hints[item.name])
            raise MissingKey(f"{origins.where(path)}: {path} is missing: give {fix}")
    return kind(**given)


def _read_field(item: Any, hints: dict[str, Any], value: Any, path: str, origins: Origins) -> Any:
    if item.metadata.get("delay"):
        return read_delay(value, path, origins, item.default)
    if item.metadata.get("loss"):
        return read_loss(value, path, origins, item.default)
    read_value = read(hints[item.name], value, path, origins)
    check = item.metadata.get("check")
    if check is not None and read_value is not None:
        problem = check(read_value)
        if problem:
            raise _error(origins, path, value, problem)
    return read_value


def read_delay(value: Any, key: str, origins: Origins, default: Any = None) -> Any:
    """Returns a declared delay: None, seconds, or a mapping with `_target_`."""
    if value is None:
        return default
    if isinstance(value, Mapping):
        if not isinstance(value.get("_target_"), str):
            raise RexError(
                f"{origins.where(key)}: {key}: a distribution needs `_target_`, such as "
                "{_target_: distrax.Normal, loc: 0.01, scale: 0.002}"
            )
        return dict(value)
    if isinstance(value, int | float) and not isinstance(value, bool):
        if fix := wrong_delay(value):
            raise _error(origins, key, value, fix)
        return float(value)
    raise _error(
        origins, key, value, "give a number of seconds or a distribution, {_target_: distrax.Normal, loc: …, scale: …}"
    )


def read_loss(value: Any, key: str, origins: Origins, default: Any = 0.0) -> Any:
    """Returns a declared loss: None, a share of the messages, or a mapping with `_target_`."""
    if value is None:
        return default
    if isinstance(value, Mapping) and isinstance(value.get("_target_"), str):
        return dict(value)
    if wrong_loss(value):
        fix = "give a share of the messages, 0 to 1, or {_target_: rexcli.GilbertElliott, share: 0.02, burst: 4}"
        raise _error(origins, key, value, fix)
    return float(value)


OF_CODE = re.compile(r"nodes\.[^.]+\..+|(randomize|identify)\.nodes\.[^.]+")
"""Keys of mappings whose names are those of a node's code: its own options, and its parameters."""


def _name(name: Any, key: str, origins: Origins) -> str:
    if isinstance(name, str) and name and OF_CODE.fullmatch(key):
        return name
    if not isinstance(name, str) or not name or any(sign in name for sign in "./="):
        raise RexError(f"{origins.where(key)}: {key or 'top level'}: {name!r} is no name; use letters, digits and _")
    return name


def _error(origins: Origins, key: str, value: Any, fix: str) -> RexError:
    return RexError(f"{origins.where(key)}: {key}={shown(value)}: {fix}")
