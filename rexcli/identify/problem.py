"""Simulates the recorded episodes for many candidates at once, and compares the result with what was recorded."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, PartitionSpec

from rexcli.compiler.program import Program
from rexcli.config.schema import IdentifyConfig, InitialConfig
from rexcli.errors import RexError, suggest
from rexcli.identify.recorded import Signal
from rexcli.identify.robust_losses import robust_loss
from rexcli.identify.rows import Rows
from rexcli.identify.segments import Segments
from rexcli.identify.unknowns import Unknowns
from rexcli.system.init import init_graph_state
from rexcli.system.parameters import with_values
from rexcli.system.paths import leaf_paths
from rexcli.system.states import GraphState
from rexcli.timeline.timeline import Timeline

PyTree = Any
STEP = 2e-3
"""Step of finite differences, in coordinates: far above the resolution of float32, and far below what bends a signal.

For a delay the step is half a period of the faster end of its edge: within a period, values between two messages are
only interpolated, and the slope of the interpolation error is not that of the signal."""
SPREAD = 0.5
"""Scale of the deviation of an initial state from its recorded value, in standard deviations of the signal."""


@dataclass(frozen=True)
class Initial:
    """A state with which an episode and each of its segments begin.

    Attributes:
        node, path: where the state is.
        base: the value without deviation, `[episodes, segments]`; NaN for the value of the node's `init_state` in the
            first segment, and for the current value in later ones.
        spread: deviation that a coordinate of 1 stands for, in the state's unit; 0 if it is not estimated.
    """

    node: str
    path: str
    base: np.ndarray
    spread: float


class Problem:
    """The search for the values with which simulated signals equal the recorded ones.

    A candidate is a vector of coordinates: first the unknowns, 0 to 1, then the deviations of the initial states of the
    fitted segments. The deviations of the held-out segments are in `ahead`, see `estimate_ahead`.

    Args:
        program: the compiled system with its replayed nodes, on the recorded timeline, without pruning.
        timeline: the program's timeline.
        signals: the recorded signals to reproduce.
        unknowns: the numbers to estimate.
        config: the declared settings.
        rng: key of the nodes' random numbers.
        devices: the devices that share the candidates.
    """

    def __init__(
        self,
        program: Program,
        timeline: Timeline,
        signals: Sequence[Signal],
        unknowns: Unknowns,
        config: IdentifyConfig,
        rng: jax.Array,
        devices: Sequence[jax.Device],
    ):
        self.program, self.timeline, self.signals, self.unknowns = program, timeline, list(signals), unknowns
        self.rng, self.devices = rng, list(devices)
        self.loss, self.loss_scale = config.loss, config.loss_scale
        rate = timeline.spec.node(timeline.spec.supervisor).rate
        length = None if config.segment is None else max(1, round(config.segment * rate))
        self.segments = Segments.of(timeline.num_steps, length, config.held_out)
        state = jax.eval_shape(lambda: init_graph_state(program.system, rng))
        self._check_places(state)
        self.initial = [
            self._initial(node, name, entry, state)
            for node, entries in config.initial.items()
            for name, entry in entries.items()
        ]
        self.estimated = [index for index, each in enumerate(self.initial) if each.spread > 0]
        self.num_params = len(unknowns.free)
        self.size = self.num_params + self._states_in(self.segments.fitted)
        self.ahead = np.zeros(self._states_in(self.segments.held_out))
        self.rollouts = 0
        """How many episodes have been simulated so far."""
        self.weights = np.array([signal.weight / signal.deviation for signal in self.signals])
        """The factor of each signal's error, in 1 over its unit."""
        self._simulators: dict[int, Callable[..., Any]] = {}
        self.held_out = config.held_out

    def _states_in(self, segments: int) -> int:
        """Returns how many states are estimated in `segments` segments of every episode."""
        return len(self.segments.begin) * segments * len(self.estimated)

    # ------------------------------------------------------------------ what is declared

    def _check_places(self, state: PyTree) -> None:
        system = self.program.system
        for name, (place, path) in self.unknowns.places.items():
            if path is None:
                if place not in system.edges:
                    raise RexError(f"identify.edges: no edge is called '{place}'{suggest(place, list(system.edges))}")
                continue
            key = f"identify.nodes.{name}"
            if place not in system.nodes:
                raise RexError(f"{key}: no node is called '{place}'{suggest(place, list(system.nodes))}")
            leaves = leaf_paths(state.params[place])
            if path not in leaves:
                known = suggest(path, list(leaves)) or f"; node '{place}' has none"
                raise RexError(f"{key}: there is no parameter '{path}'{known}")
            if not jnp.issubdtype(leaves[path].dtype, jnp.floating):
                raise RexError(f"{key}: parameter '{path}' is {leaves[path].dtype}; only real numbers are estimated")

    def _initial(self, node: str, name: str, entry: InitialConfig, state: PyTree) -> Initial:
        key, path = f"identify.initial.{node}.{name}", name if entry.path is None else entry.path
        if node not in state.state:
            raise RexError(f"{key}: no node is called '{node}'{suggest(node, list(state.state))}")
        leaves = leaf_paths(state.state[node])
        if path not in leaves or leaves[path].shape or not jnp.issubdtype(leaves[path].dtype, jnp.floating):
            scalars = [name for name, leaf in leaves.items() if not leaf.shape]
            raise RexError(f"{key}: there is no single real number '{path}' in its state{suggest(path, scalars)}")
        begin = self.segments.begin
        if entry.of is None:
            if entry.spread is None and entry.estimate:
                raise RexError(f"{key}: give spread, by how much it may deviate; or from, the signal that shows it")
            if entry.derivative:
                raise RexError(f"{key}: derivative: of what? Give from, the signal whose slope it is")
            return Initial(node, path, np.full(begin.shape, np.nan), entry.spread or 0.0 if entry.estimate else 0.0)
        names = [signal.name for signal in self.signals]
        if entry.of not in names:
            raise RexError(f"{key}.from={entry.of}: identify.signals has no such{suggest(entry.of, names)}")
        signal = self.signals[names.index(entry.of)]
        shown = [self._shown(signal, episode, entry.derivative, key) for episode in range(len(begin))]
        base = np.stack([self._recorded_at(signal, episode, shown[episode], row) for episode, row in enumerate(begin)])
        deviation = float(np.std(np.concatenate(shown))) if entry.derivative else signal.deviation
        spread = (entry.spread or SPREAD * deviation) if entry.estimate else 0.0
        return Initial(node, path, base, spread)

    def _shown(self, signal: Signal, episode: int, derivative: bool, key: str) -> np.ndarray:
        """Returns the finite values of a signal in an episode, or their slopes, 1/s."""
        there = np.flatnonzero(signal.there[episode])
        values = signal.values[episode, there, 0]
        if not derivative:
            return np.asarray(values)
        times = self.timeline.steps[signal.node].start[episode, there] / 1e9
        if len(there) < 2 or not (np.diff(times) > 0).all():
            raise RexError(f"{key}: episode {episode} of the recording does not show how {signal.name} changes")
        return np.asarray(np.gradient(np.unwrap(values) if signal.angle else values, times))

    def _recorded_at(self, signal: Signal, episode: int, shown: np.ndarray, steps: np.ndarray) -> np.ndarray:
        """Returns what `shown` holds of the newest message sent before each of `steps`, else of the first message."""
        supervisor = self.timeline.steps[self.timeline.spec.supervisor].start[episode]
        sent = self.timeline.steps[signal.node].end[episode]
        there = np.flatnonzero(signal.there[episode])
        if not len(there):
            raise RexError(f"{signal.name}: episode {episode} of the recording has no value of it; leave it out")
        at = np.searchsorted(sent[there], supervisor[np.minimum(steps, len(supervisor) - 1)], side="right") - 1
        return shown[np.maximum(at, 0)]

    # ------------------------------------------------------------------ simulations

    def start(self) -> np.ndarray:
        """The candidate at which the search begins, `[size]`."""
        return np.concatenate([self.unknowns.start, np.zeros(self.size - self.num_params)])

    def lower(self) -> np.ndarray:
        return np.concatenate([np.zeros(self.num_params), np.full(self.size - self.num_params, -np.inf)])

    def upper(self) -> np.ndarray:
        return np.concatenate([np.ones(self.num_params), np.full(self.size - self.num_params, np.inf)])

    def one(self, program: Program, data: PyTree, z: jax.Array, eps: jax.Array) -> tuple[PyTree, list[jax.Array]]:
        """Simulates one candidate on one episode.

        `z` holds the candidate's coordinates and may end with those of `ahead`, which are 0 if they are left out.
        Returns the ticks and times of what is compared, and the simulated values of each signal.
        """
        params, delays = self.unknowns.placed(z)
        system = program.system
        key = jax.random.fold_in(self.rng, eps)
        given: dict[str, dict[str, Any]] = {}
        for name, value in delays.items():
            edge = system.edges[name]
            given.setdefault(edge.target, {})[edge.input] = value
        defaults = init_graph_state(system, key, eps=eps).params
        chosen = {node: with_values(defaults[node], values, f"nodes.{node}.params") for node, values in params.items()}
        before = program.init(key, chosen, eps=eps, delays=given)
        first = self._states(before, data, z, eps, jnp.int32(0))
        graph_state, _ = program.reset(program.init(key, chosen, eps=eps, delays=given, states=first))
        keep = dict.fromkeys((signal.node for signal in self.signals), ("output",))

        def body(state: GraphState, step: jax.Array) -> tuple[GraphState, PyTree]:
            segment = data["of_step"][eps, step]
            begins = (step > 0) & (data["begin"][eps, segment] == step)
            anew = self._states(state, data, z, eps, segment)
            state = state.replace(
                state={
                    **state.state,
                    **jax.tree.map(
                        lambda new, old: jnp.where(begins, new, old), anew, {name: state.state[name] for name in anew}
                    ),
                }
            )
            state, record = program.rollout(state, 1, keep=keep)
            return state, [
                (record[s.node].seq, record[s.node].ts, leaf_paths(record[s.node].fields["output"])[s.path])
                for s in self.signals
            ]

        steps = jnp.arange(program.max_steps, dtype=jnp.int32)
        _, kept = jax.lax.scan(body, graph_state, steps)
        ticks = [(seq, ts) for seq, ts, _ in kept]
        return ticks, [value.reshape(*seq.shape, -1) for seq, _, value in kept]

    def _states(
        self, state: GraphState, data: PyTree, z: jax.Array, eps: jax.Array, segment: jax.Array
    ) -> dict[str, PyTree]:
        """Returns the states, by node, with which a segment begins."""
        episodes = len(self.segments.begin)
        z = jnp.pad(z, (0, self.size + self.ahead.size - len(z)))
        fitted, ahead = (
            part.reshape(episodes, -1, len(self.estimated)) if self.estimated else jnp.zeros((episodes, 0, 0))
            for part in jnp.split(z[self.num_params :], [self.size - self.num_params])
        )
        deviations = jnp.concatenate([fitted, ahead], axis=1)
        values: dict[str, dict[str, jax.Array]] = {}
        for index, each in enumerate(self.initial):
            base = data["base"][index][eps, segment]
            base = jnp.where(jnp.isnan(base), leaf_paths(state.state[each.node])[each.path], base)
            if each.spread > 0:
                base = base + each.spread * deviations[eps, segment, self.estimated.index(index)]
            values.setdefault(each.node, {})[each.path] = base
        return {node: with_values(state.state[node], found, "identify.initial") for node, found in values.items()}

    @cached_property
    def _data(self) -> PyTree:
        return {
            "of_step": jnp.asarray(self.segments.of_step, jnp.int32),
            "begin": jnp.asarray(self.segments.begin, jnp.int32),
            "base": [jnp.asarray(each.base, jnp.float32) for each in self.initial],
        }

    def _over_episodes(self, program: Program, data: PyTree, z: jax.Array) -> tuple[PyTree, list[jax.Array]]:
        """Simulates candidates `[candidates, size]`: ticks `[episodes, …]` and values `[episodes, candidates, …]`."""

        def batch(eps: jax.Array) -> tuple[PyTree, list[jax.Array]]:
            return jax.vmap(self.one, (None, None, 0, None), (None, 0))(program, data, z, eps)

        return jax.lax.map(batch, jnp.arange(program.num_episodes, dtype=jnp.int32))

    def _simulator(self, width: int) -> Callable[..., Any]:
        if width not in self._simulators:
            mesh = Mesh(np.array(self.devices), ("candidates",))
            sharded = jax.shard_map(
                self._over_episodes,
                mesh=mesh,
                in_specs=(PartitionSpec(), PartitionSpec(), PartitionSpec("candidates")),
                out_specs=(PartitionSpec(), PartitionSpec(None, "candidates")),
                check_vma=False,
            )
            self._simulators[width] = jax.jit(sharded)
        return self._simulators[width]

    @cached_property
    def width(self) -> int:
        """The number of candidates simulated at a time: as many as a Jacobian by one-sided differences takes."""
        return self._rounded(1 + self.directions + int(np.sum(self._two_sided)))

    def _rounded(self, width: int) -> int:
        return -(-width // len(self.devices)) * len(self.devices)

    def simulate(self, z: np.ndarray, width: int | None = None, ahead: np.ndarray | None = None) -> list[np.ndarray]:
        """Returns the simulated values of candidates, `[candidates, episodes, steps, slots, n]` for each signal.

        Args:
            z: any number of candidates, `[candidates, size]`.
            width: how many are simulated at a time; each width is compiled once.
            ahead: deviations of the held-out segments, in place of `self.ahead`, `[candidates, ahead]`.
        """
        width = self._rounded(width or self.width)
        z = np.hstack([z, np.tile(self.ahead, (len(z), 1)) if ahead is None else ahead])
        parts = []
        for begin in range(0, len(z), width):
            part = z[begin : begin + width]
            self.rollouts += len(part) * self.timeline.num_episodes
            padded = np.concatenate([part, np.repeat(part[-1:], width - len(part), axis=0)]).astype(np.float32)
            ticks, values = self._simulator(width)(self.program, self._data, padded)
            if not hasattr(self, "_ticks"):
                self._ticks = [(np.asarray(seq), np.asarray(ts)) for seq, ts in ticks]
            parts.append([np.swapaxes(np.asarray(each, np.float64), 0, 1)[: len(part)] for each in values])
        return [np.concatenate(each) for each in zip(*parts, strict=True)]

    def effect(self, edge: str, delay: float) -> float:
        """Returns how long a delay of an edge acts on average, s.

        Messages and steps of a simulated node come only once a period, so a shorter delay acts until the next of them.
        """
        return float(np.mean(np.maximum(delay, self._waits[edge])))

    def effect_slope(self, index: int, at: float) -> float:
        """Returns the derivative of a delay's `effect` by its coordinate, s, with the step of `linearize`.

        Args:
            index: the delay's place among the unknowns.
            at: its coordinate.
        """
        unknown, step = self.unknowns.free[index], self._steps[index]
        high, low = min(1.0, at + step), max(0.0, at - step)
        edge = self.unknowns.places[unknown.name][0]
        above, below = (self.effect(edge, float(unknown.value(each))) for each in (high, low))
        return (above - below) / (high - low)

    @cached_property
    def _waits(self) -> dict[str, np.ndarray]:
        """The shortest time that each message takes, s, by edge with an unknown delay."""
        found = {}
        for name, how in self.unknowns.interpolation.items():
            edge = self.timeline.spec.edge(name)
            source, target = self.timeline.steps[edge.source], self.timeline.steps[edge.target]
            waits = []
            for episode in range(self.timeline.num_episodes):
                sent, start = source.end[episode, : source.count[episode]], target.start[episode]
                start = start[: target.count[episode]]
                if how == "linear":  # until a reader's step, since the newest message
                    newest = np.searchsorted(sent, start, side="right") - 1
                    waits.append((start - sent[np.maximum(newest, 0)])[newest >= 0])
                elif how == "hold":  # from a message to the reader's next step
                    following = np.searchsorted(start, sent)
                    there = following < len(start)
                    waits.append(start[following[there]] - sent[there])
            found[name] = np.concatenate([np.zeros(1), *waits][1:] or [np.zeros(1)]) / 1e9
        return found

    # ------------------------------------------------------------------ residuals

    @cached_property
    def rows(self) -> Rows:
        """The pairs of a simulated value and the recorded value that it is compared with."""
        if not hasattr(self, "_ticks"):
            self.simulate(self.start()[None])
        return Rows.of(self.timeline.num_steps, self.signals, self._ticks, self.segments, self.held_out)

    def errors(self, z: np.ndarray, width: int | None = None, ahead: np.ndarray | None = None) -> np.ndarray:
        """Returns weighted errors of candidates, `[candidates, rows]`; one that is not finite counts as very large."""
        rows = self.rows
        return self.weigh(self.pick(self.simulate(z, width, ahead)), rows)

    def pick(self, simulated: Sequence[np.ndarray]) -> np.ndarray:
        """Returns simulated values in the order of the rows, `[candidates, rows]`."""
        rows = self.rows
        return np.concatenate(
            [each.reshape(len(each), -1)[:, place] for each, place in zip(simulated, rows.places, strict=True)], axis=1
        )

    def weigh(self, simulated: np.ndarray, rows: Rows) -> np.ndarray:
        difference = simulated - rows.recorded
        wrapped = (difference + np.pi) % (2 * np.pi) - np.pi
        errors = np.where(rows.angle, wrapped, difference) * self.weights[rows.signal]
        return np.nan_to_num(errors, nan=HUGE, posinf=HUGE, neginf=-HUGE).clip(-HUGE, HUGE)

    def cost(self, errors: np.ndarray) -> np.ndarray:
        """Returns the mean loss over the fitted rows, `[candidates]`."""
        errors = errors[..., self.rows.fitted] / self.loss_scale
        return np.asarray(np.mean(robust_loss(self.loss, errors), axis=-1) * self.loss_scale**2)

    # ------------------------------------------------------------------ derivatives

    @property
    def directions(self) -> int:
        """The number of directions in which candidates are moved for a Jacobian."""
        return self.num_params + min(2, self.segments.fitted) * len(self.estimated)

    @cached_property
    def _coloured(self) -> np.ndarray:
        """The direction that moves each coordinate, `[size]`."""
        return np.concatenate([np.arange(self.num_params), self.num_params + self._colours(self.segments.fitted)])

    def _colours(self, segments: int) -> np.ndarray:
        """Returns the direction that moves each initial state.

        Initial states of every second segment share a direction, since no effect lasts longer than one more segment.
        """
        states = len(self.estimated)
        colour = (np.arange(segments) % 2)[None, :, None] * states + np.arange(states)
        return np.broadcast_to(colour, (len(self.segments.begin), segments, states)).ravel()

    @cached_property
    def _steps(self) -> np.ndarray:
        """The finite difference of each coordinate to either side, `[size]`."""
        steps, system = np.full(self.size, STEP), self.program.system
        for index, unknown in enumerate(self.unknowns.free):
            if unknown.is_delay and not unknown.log:
                edge = system.edges[self.unknowns.places[unknown.name][0]]
                period = 1 / max(system.specs[edge.source].rate, system.specs[edge.target].rate)
                steps[index] = np.clip(period / 2 / (unknown.high - unknown.low), STEP, 0.25)
        return steps

    @cached_property
    def _two_sided(self) -> np.ndarray:
        """Whether differences are taken to both sides, as they are for delays, `[directions]`."""
        delays = [unknown.is_delay for unknown in self.unknowns.free]
        return np.array(delays + [False] * (self.directions - self.num_params))

    def linearize(self, z: np.ndarray, *, central: bool = False) -> tuple[np.ndarray, np.ndarray]:
        """Returns errors `[rows]` and their Jacobian `[rows, size]` by differences, from one batch of simulations.

        Args:
            z: the candidate.
            central: take differences of all unknowns to both sides, not only those of delays.
        """
        moved, sides, spans = [z], [], []
        for direction in range(self.directions):
            along = self._coloured == direction
            step = np.where(along, self._steps, 0.0)
            high, low = np.minimum(z + step, self.upper()), np.maximum(z - step, self.lower())
            if not (central or self._two_sided[direction]):
                high, low = (z, low) if np.max((high - z)[along]) < np.max((z - low)[along]) else (high, z)
            at = []
            for each in (high, low):
                at.append(0 if each is z else len(moved))
                moved += [] if each is z else [each]
            sides.append(at)
            spans.append(np.max((high - low)[along]))
        errors = self.errors(np.stack(moved))
        above, below = np.array(sides).T
        difference = errors[above] - errors[below]
        difference = np.where(self.rows.angle, self._unwrap(difference), difference)
        return errors[0], self._spread(difference / np.array(spans)[:, None])

    def _unwrap(self, difference: np.ndarray) -> np.ndarray:
        """Removes whole turns from differences of errors of angles, which may have been wrapped."""
        turn = 2 * np.pi * self.weights[self.rows.signal]
        return difference - turn * np.round(difference / turn)

    def _spread(self, slopes: np.ndarray) -> np.ndarray:
        """Returns a Jacobian `[rows, size]` from slopes along the directions, `[directions, rows]`."""
        known, states = slopes[: self.num_params].T, slopes[self.num_params :]
        return np.hstack([known, self._spread_states(states, 0, self.segments.fitted)])

    def _spread_states(self, slopes: np.ndarray, first: int, count: int) -> np.ndarray:
        """Returns a Jacobian `[rows, states]` by the initial states of `count` segments from segment `first` on.

        Each of `slopes` along a direction counts for a state within its own segment and the next one.
        """
        rows, states = self.rows, len(self.estimated)
        jacobian = np.zeros((rows.size, self._states_in(count)))
        at = np.arange(rows.size)
        for back in (0, 1):
            segment = rows.segment - first - back
            use = (segment >= 0) & (segment + back < count)
            for state in range(states):
                column = (rows.episode * count + segment) * states + state
                direction = (segment % 2) * states + state
                jacobian[at[use], column[use]] = slopes[direction[use], at[use]]
        return jacobian

    def estimate_ahead(self, z: np.ndarray) -> None:
        """Estimates the initial states of the held-out segments from their own signals; the unknowns stay as in `z`."""
        from scipy.optimize import least_squares

        use, count = ~self.rows.fitted, self.segments.held_out
        if not self.ahead.size or not use.any():
            return
        colours = self._colours(count)
        directions = np.arange(colours.max() + 1)

        def errors(ahead: np.ndarray) -> np.ndarray:
            return self.errors(np.tile(z, (len(ahead), 1)), ahead=ahead) / self.loss_scale

        def jacobian(ahead: np.ndarray) -> np.ndarray:
            moved = errors(np.vstack([ahead, ahead + STEP * (colours == directions[:, None])]))
            slopes = (moved[1:] - moved[0]) * self.loss_scale
            slopes = np.where(self.rows.angle, self._unwrap(slopes), slopes) / STEP / self.loss_scale
            return self._spread_states(slopes, self.segments.fitted, count)[use]

        options: Any = {"loss": self.loss, "xtol": 1e-4, "ftol": 1e-4, "max_nfev": 20}
        self.ahead = least_squares(lambda at: errors(at[None])[0, use], self.ahead, jac=jacobian, **options).x


HUGE = 1e3
"""The error that a value counts for that is not finite, in standard deviations of its signal."""
