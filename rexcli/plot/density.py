"""Densities of declared delays, from their config mappings alone: nothing is instantiated.

Formulas are those of the distributions' textbook definitions with distrax's parameter names. A distribution that is
not listed here has no declared density in the picture, unless the run left one in `delays.npz`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from rexcli.plot.style import number

Floats = npt.NDArray[np.float64]


def _normal(x: Floats, loc: Floats, scale: Floats) -> Floats:
    return np.exp(-0.5 * ((x - loc) / scale) ** 2) / (scale * math.sqrt(2 * math.pi))


def _uniform(x: Floats, low: Floats, high: Floats) -> Floats:
    return np.where((x >= low) & (x <= high), 1 / (high - low), 0.0)


def _laplace(x: Floats, loc: Floats, scale: Floats) -> Floats:
    return np.exp(-np.abs(x - loc) / scale) / (2 * scale)


def _logistic(x: Floats, loc: Floats, scale: Floats) -> Floats:
    z = np.exp(-np.abs(x - loc) / scale)
    return z / (scale * (1 + z) ** 2)


def _gamma(x: Floats, concentration: Floats, rate: Floats) -> Floats:
    gammaln = np.vectorize(math.lgamma)(concentration)
    safe = np.where(x > 0, x, 1.0)
    log = concentration * np.log(rate) + (concentration - 1) * np.log(safe) - rate * safe - gammaln
    return np.where(x > 0, np.exp(log), 0.0)


FAMILIES: dict[str, tuple[tuple[str, ...], Callable[..., Floats]]] = {
    "Normal": (("loc", "scale"), _normal),
    "LogStddevNormal": (("loc", "log_scale"), lambda x, loc, log: _normal(x, loc, np.exp(log))),
    "Uniform": (("low", "high"), _uniform),
    "Laplace": (("loc", "scale"), _laplace),
    "Logistic": (("loc", "scale"), _logistic),
    "Gamma": (("concentration", "rate"), _gamma),
}
"""Parameter names and density of each family, by the last part of its `_target_`."""

DEFAULTS = {"low": 0.0, "high": 1.0}


def family(delay: Any) -> str:
    """`Normal` for `{_target_: distrax.Normal, …}`; `constant` for a number."""
    if isinstance(delay, Mapping):
        return str(delay.get("_target_", "?")).rpartition(".")[2]
    return "constant"


def constant(delay: Any) -> float | None:
    """The seconds of a constant delay, None for a distribution."""
    if isinstance(delay, Mapping):
        return _parameter(delay, "loc") if family(delay) == "Deterministic" else None
    try:
        return float(delay)
    except (TypeError, ValueError):
        return None


def density(delay: Any, seconds: npt.ArrayLike) -> Floats | None:
    """Probability density, 1/s, at `seconds`; None for a constant and for what is not known here.

    Times below 0 have the density of the distribution as declared, before such samples count as 0.
    """
    x = np.asarray(seconds, np.float64)
    if not isinstance(delay, Mapping):
        return None
    if family(delay) == "MixtureSameFamily":
        return _mixture(delay, x)
    parameters = _parameters(delay)
    if parameters is None or any(value.ndim for value in parameters):
        return None
    with np.errstate(all="ignore"):
        values = FAMILIES[family(delay)][1](x, *parameters)
    return values if np.isfinite(values).all() else None


def _mixture(delay: Mapping[str, Any], x: Floats) -> Floats | None:
    weights, components = delay.get("mixture_distribution"), delay.get("components_distribution")
    if not isinstance(weights, Mapping) or not isinstance(components, Mapping):
        return None
    parameters = _parameters(components)
    if weights.get("probs") is not None:
        shares = np.asarray(weights["probs"], np.float64)
    elif weights.get("logits") is not None:
        logits = np.asarray(weights["logits"], np.float64)
        shares = np.exp(logits - logits.max())
    else:
        return None
    if parameters is None or shares.ndim != 1:
        return None
    with np.errstate(all="ignore"):
        each = FAMILIES[family(components)][1](x[..., None], *parameters)
        values = (each * shares / shares.sum()).sum(-1)
    return values if np.isfinite(values).all() else None


def _parameters(delay: Mapping[str, Any]) -> list[Floats] | None:
    if family(delay) not in FAMILIES:
        return None
    values = []
    for name in FAMILIES[family(delay)][0]:
        value = delay.get(name, DEFAULTS.get(name))
        try:
            values.append(np.asarray(value, np.float64))
        except (TypeError, ValueError):
            return None
        if not np.isfinite(values[-1]).all():
            return None
    return values


def _parameter(delay: Mapping[str, Any], name: str) -> float | None:
    try:
        return float(delay[name])
    except (KeyError, TypeError, ValueError):
        return None


def negative_mass(delay: Any) -> float:
    """The share of samples below 0, which count as 0; by quadrature of the density."""
    below, values = span(delay), None
    if below is not None and below[0] < 0:
        x = np.linspace(below[0], 0.0, 2001)
        values = density(delay, x)
    return 0.0 if values is None else float(np.clip(np.trapezoid(values, x), 0.0, 1.0))


def span(delay: Any) -> tuple[float, float] | None:
    """Seconds between which nearly all samples lie; None where the density is not known."""
    mixed = family(delay) == "MixtureSameFamily"
    one = delay.get("components_distribution") if mixed else delay
    parameters = _parameters(one) if isinstance(one, Mapping) else None
    if parameters is None or (not mixed and any(value.ndim for value in parameters)):
        return None
    pairs = np.broadcast(*parameters)
    each = [_span(family(one), float(first), float(second)) for first, second in pairs]
    return min(low for low, _ in each), max(high for _, high in each)


def _span(name: str, first: float, second: float) -> tuple[float, float]:
    match name:
        case "Uniform":
            return first, second
        case "Gamma":
            return 0.0, (first + 8 * math.sqrt(first) + 8) / second
        case "LogStddevNormal":
            return first - 6 * math.exp(second), first + 6 * math.exp(second)
        case "Normal":
            return first - 6 * second, first + 6 * second
        case _:
            return first - 14 * second, first + 14 * second


def quantile(delay: Any, share: float = 0.99) -> float | None:
    """Seconds within which `share` of the samples stay; None where the density is not known."""
    seconds = constant(delay)
    if seconds is not None:
        return max(0.0, seconds)
    limits = span(delay)
    if limits is None:
        return None
    x = np.linspace(*limits, 20_001)
    values = density(delay, x)
    if values is None:
        return None
    below = np.concatenate([[0.0], np.cumsum((values[1:] + values[:-1]) / 2 * np.diff(x))])
    return max(0.0, float(np.interp(share * below[-1], below, x)))


def describe(delay: Any) -> str:
    """A delay in a few words with its unit: `7.5 ± 3 ms`, `2 ms`, `2 … 5 ms`, `Gamma, 9 ms`."""
    seconds = constant(delay)
    if seconds is not None:
        return f"{number(seconds * 1e3)} ms"
    parameters = _parameters(delay)
    name = family(delay)
    if name == "AdjustableDelay":
        low, high = (_parameter(delay, end) for end in ("low", "high"))
        return name if low is None or high is None else f"{number(low * 1e3)} … {number(high * 1e3)} ms, adjustable"
    if parameters is not None and not any(value.ndim for value in parameters):
        first, second = (float(value) * 1e3 for value in parameters)
        if name == "Normal":
            return f"{number(first)} ± {number(second)} ms"
        if name == "LogStddevNormal":
            return f"{number(first)} ± {number(1e3 * math.exp(second / 1e3))} ms"
        if name == "Uniform":
            return f"{number(first)} … {number(second)} ms"
    limits = span(delay)
    values = None if limits is None else density(delay, np.linspace(*limits, 4001))
    if limits is None or values is None or values.sum() == 0:
        return name
    mean = float((np.linspace(*limits, 4001) * values).sum() / values.sum())
    return f"{'mixture' if name == 'MixtureSameFamily' else name}, {number(mean * 1e3)} ms"
