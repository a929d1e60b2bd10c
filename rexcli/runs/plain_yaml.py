"""YAML as plain data: no tags but YAML's own, no interpolation, no objects."""

from __future__ import annotations

import re
from typing import Any

import yaml


class _Loader(yaml.SafeLoader):
    """YAML 1.1's safe loader, which takes `1e-4` for text; here it is a number, as for everybody else."""


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?[0-9][0-9_]*(\.[0-9_]*)?[eE][-+]?[0-9]+$"),
    list("-+0123456789"),
)


def load_yaml(data: bytes | str) -> Any:
    """The one document in `data`.

    Raises:
        ValueError: not YAML, or it asks for objects.
    """
    try:
        return yaml.load(data, Loader=_Loader)
    except yaml.YAMLError as error:
        raise ValueError(" ".join(str(error).split())) from None
    except RecursionError:
        raise ValueError("nested too deeply") from None
