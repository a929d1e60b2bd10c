"""The seeds of a training: their states, on the host, and the compiled programs that move them on.

One program makes a seed's updates, another evaluates it: two, since XLA compiles one while the other is traced. On CPU
every device runs them for a seed of its own, and where seeds do not divide by devices they take turns, so that no core
is idle; on an accelerator, seeds that share a device run side by side. An algorithm may spread a seed's environments
over several devices, which then are one place for it. Between evaluations the whole state is plain arrays.

Trainings that differ only in what the program takes as arguments (the algorithm's `numbers`, the seed, on CPU also the
timelines) may share them: then the seeds of all of them take their turns.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from rexcli.compiler import backend
from rexcli.compiler.program import Program
from rexcli.errors import RexError
from rexcli.rl.algorithm import Algorithm, Metrics
from rexcli.rl.checkpoints import Checkpoint
from rexcli.rl.data_parallel import AXIS, gathered, own_key
from rexcli.rl.evaluate import evaluate
from rexcli.rl.policy import Policy
from rexcli.rl.process_group import ALONE, Message, ProcessGroup
from rexcli.rl.traced_once import traced_once, zeros_of_result
from rexcli.rl.vector_env import check_length
from rexcli.system.paths import leaf_paths
from rexcli.system.types import is_key

PyTree = Any
Floats = npt.NDArray[np.float32]
Programs = tuple[Program, Program]
"""Where seeds train, and where they are evaluated."""


@dataclass(frozen=True)
class TrainingSetup:
    """A training that is about to begin. What no training could do is refused here, before anything is compiled.

    Attributes:
        algorithm: learns, on its task.
        program: where to train, on the task's system; an episode of the task fits into its timeline.
        evaluation: where to evaluate, the same system on a timeline of at least `eval_seconds`.
        rng: PRNG key. The same key, settings and number of devices give the same numbers, bit for bit.
        eval_seconds: length of an evaluation's episodes.
        devices: of this process, that share its seeds; all by default.
        group: the processes that share the seeds. All others have the same setup, but for their place in the group.
        start: where to go on from, with all else the same; the numbers are those of a training that never stopped.

    Raises:
        RexError: for a process without a seed, for what does not fit into memory, a timeline that is too short, and a
            checkpoint of another training.
    """

    algorithm: Algorithm
    program: Program
    evaluation: Program
    rng: jax.Array
    eval_seconds: float = 5.0
    devices: Sequence[jax.Device] = field(default_factory=jax.local_devices)
    group: ProcessGroup = ALONE
    start: Checkpoint | None = None

    def __post_init__(self) -> None:
        self.group.check(self.num_seeds)
        if (shared := self.algorithm.devices_per_seed) > len(self.devices):
            raise RexError(
                f"ppo.devices_per_seed={shared}: this process trains on {len(self.devices)}; give that many or fewer, "
                "or more of compile.devices"
            )
        self.algorithm.check_size(self.program, len(self.group.share(self.num_seeds)))
        check_length(self.program, self.algorithm.environment)
        if self.start is not None:
            self._check_checkpoint(self.start)

    @property
    def num_seeds(self) -> int:
        """Policies that are trained, by all processes together."""
        return self.algorithm.settings.num_seeds

    @property
    def num_evaluations(self) -> int:
        """Evaluations of the whole training, at most one an update."""
        return min(self.algorithm.settings.num_evals, self.algorithm.num_updates)

    def evaluations(self, done: int = 0) -> list[tuple[int, int]]:
        """The evaluations after the first `done`: the number of each, from 1, and the updates made before it."""
        updates, number = self.algorithm.num_updates, self.num_evaluations
        return [(each, round(updates * each / number)) for each in range(done + 1, number + 1)]

    def shares_program(self, other: TrainingSetup) -> bool:
        """Whether one compiled program can serve both trainings, see `SeedProgram`."""
        return self.group is other.group is ALONE and self._fixed() == other._fixed()

    def has_room(self, trainings: int) -> bool:
        """Whether so many trainings like this one fit into memory together."""
        try:
            self.algorithm.check_size(self.program, trainings * self.num_seeds)
        except RexError:
            return False
        return True

    def _fixed(self) -> tuple[Any, ...]:
        """All that `SeedProgram` takes for fixed."""
        algorithm = self.algorithm.given(dict.fromkeys(self.algorithm.numbers, jnp.float32(0.0)))
        leaves, structure = jax.tree.flatten((self.program, self.evaluation))
        on_cpu = self.devices[0].platform == "cpu"
        tables = [(leaf.shape, leaf.dtype) if on_cpu else id(leaf) for leaf in leaves]
        kind = type(algorithm), algorithm.settings, tuple(algorithm.numbers)
        return id(algorithm.environment), *kind, structure, tables, self.eval_seconds, list(self.devices)

    def _check_checkpoint(self, checkpoint: Checkpoint) -> None:
        """Refuses a checkpoint in which a leaf is missing or has another shape or type, or of another length."""
        init = jax.vmap(partial(self.algorithm.init, self.program))
        states = jax.eval_shape(lambda keys: _pack(init(keys)), jax.random.split(self.rng, self.num_seeds))
        for tree, saved in ((states, checkpoint.states), (states.learned, checkpoint.best)):
            for path, leaf in leaf_paths(tree).items():
                there = saved.get(path)
                if there is None or (there.shape, there.dtype) != (leaf.shape, leaf.dtype):
                    raise _does_not_fit(path)
        if checkpoint.best_returns.shape != (self.num_seeds,):
            raise _does_not_fit("best_returns")
        for name, number, most in (
            ("evaluation", checkpoint.evaluation, self.num_evaluations),
            ("updates", checkpoint.updates, self.algorithm.num_updates),
        ):
            if not 1 <= number <= most:
                raise _does_not_fit(f"{name}={number}, of {most}")


class Turn(NamedTuple):
    """So many updates of one seed of a batch, and, if `judge`, an evaluation after them."""

    batch: SeedBatch
    seed: int
    updates: int
    judge: bool


class SeedProgram:
    """The compiled programs that move seeds on: those of one training, or of several that share it.

    Attributes:
        keys: which leaves of a learner's state are PRNG keys.

    Args:
        setups: of the trainings, each of which shares its program with the first, see `TrainingSetup.shares_program`.
            On CPU what each learns is the same, bit for bit, as if it had the program to itself.
    """

    def __init__(self, setups: Sequence[TrainingSetup]):
        self._setup = setup = setups[0]
        own = len(setup.group.share(setup.num_seeds))
        devices, seeds = list(setup.devices), own * len(setups)
        shared = setup.algorithm.devices_per_seed
        places = [devices[first : first + shared] for first in range(0, len(devices) - shared + 1, shared)]
        if devices[0].platform == "cpu":
            self._places, self._each = places[:seeds], 1
            self._alone = min(len(places), own)
        else:
            self._places = places[: max(n for n in range(1, len(places) + 1) if seeds % n == 0)]
            self._each, self._alone = seeds // len(self._places), own
        self._width = len(self._places) * self._each
        self._mesh = Mesh(np.array(self._places), ("seeds", AXIS))
        self._placed: dict[tuple[int, ...], list[jax.Array]] = {}

        # Every process starts all seeds: a loop over fewer would be another program, with other last digits.
        def begin(program: Program, keys: jax.Array, numbers: dict[str, jax.Array]) -> PyTree:
            return jax.lax.map(lambda seed: setup.algorithm.given(seed[1]).init(program, seed[0]), (keys, numbers))

        numbers = {name: np.zeros(setup.num_seeds, np.float32) for name in setup.algorithm.numbers}
        start = jax.jit(begin).trace(setup.program, jax.random.split(setup.rng, setup.num_seeds), numbers)
        self.keys = jax.tree.map(is_key, start.out_info)
        each, parted = PartitionSpec("seeds"), PartitionSpec("seeds", AXIS)
        states = jax.tree.map(lambda yes: parted if yes else each, setup.algorithm.spread(start.out_info))
        self._states = jax.tree.map(partial(NamedSharding, self._mesh), states)
        self._seeds = NamedSharding(self._mesh, each)
        self._shardings = self._states, self._seeds, self._seeds, self._seeds
        learn = self._on_places(self._learn, setup.program, (each, states, each, each), (states, each))
        judge = self._on_places(self._judge, setup.evaluation, (each, states, each), each)
        examples = (
            _packed(start.out_info),
            jax.ShapeDtypeStruct((0,), jnp.int32),
            jax.ShapeDtypeStruct((0,), jnp.bool_),
            {name: jax.ShapeDtypeStruct((0,), jnp.float32) for name in numbers},
        )
        state, updates, wanted, given = self._example(examples, self._shardings)
        tables = [self._tables([program] * len(self._places)) for program in (setup.program, setup.evaluation)]
        options = backend.compiler_options()
        with ThreadPoolExecutor(2) as beside:  # XLA compiles each while the next is traced
            starting = beside.submit(start.lower().compile, options)
            judging = beside.submit(jax.jit(judge).lower(tables[1], state, wanted).compile, options)
            self._run_learn = jax.jit(learn, donate_argnums=1).lower(tables[0], state, updates, given).compile(options)
            self._begin, self._run_judge = starting.result(), judging.result()

    def begin(self, setup: TrainingSetup, numbers: dict[str, Floats]) -> PyTree:
        """The states of all seeds of a training before their first update, packed."""
        return _pack(self._begin(setup.program, jax.random.split(setup.rng, setup.num_seeds), numbers))

    def _on_places(self, one: Callable[..., Any], program: Program, given: Any, taken: Any) -> Callable[..., Any]:
        """`one`, of a program like this one and a seed, for all places: of the programs' leaves and of what is of seeds
        each leaf has a leading axis."""
        structure = jax.tree.structure(program)

        def of_place(tables: list[jax.Array], *seeds: PyTree) -> PyTree:
            of_one = partial(one, jax.tree.unflatten(structure, [leaf[0] for leaf in tables]))
            if self._each > 1:
                return jax.vmap(of_one)(*seeds)
            # Not under vmap: batched matrix products are slow on CPU, and batched branches take both ways.
            return jax.tree.map(lambda leaf: leaf[None], of_one(*jax.tree.map(lambda leaf: leaf[0], seeds)))

        return jax.shard_map(of_place, mesh=self._mesh, in_specs=given, out_specs=taken, check_vma=False)

    def _example(self, tree: PyTree, shardings: Any) -> PyTree:
        """The shapes of what a program takes of so many seeds as it takes at a time, from those of any number."""

        def some(sharding: NamedSharding, tree: PyTree) -> PyTree:
            def one(leaf: jax.ShapeDtypeStruct) -> jax.ShapeDtypeStruct:
                return jax.ShapeDtypeStruct((self._width, *leaf.shape[1:]), leaf.dtype, sharding=sharding)

            return jax.tree.map(one, tree)

        return jax.tree.map(some, shardings, tree)

    def _tables(self, programs: Sequence[Program]) -> list[jax.Array]:
        """The leaves of each place's program, each with a leading `[places]`."""
        leaves = [jax.tree.leaves(program) for program in programs]
        which = tuple(id(leaf) for each in leaves for leaf in each)
        if which not in self._placed:
            self._placed[which] = [
                jax.make_array_from_single_device_arrays(
                    (len(each), *each[0].shape),
                    self._seeds,
                    [
                        jax.device_put(leaf, device)[None]
                        for leaf, devices in zip(each, self._places, strict=True)
                        for device in devices
                    ],
                )
                for each in zip(*leaves, strict=True)
            ]
        return self._placed[which]

    def _learn(
        self, program: Program, packed: PyTree, updates: jax.Array, numbers: dict[str, jax.Array]
    ) -> tuple[PyTree, Metrics]:
        """So many updates of one seed."""
        state, metrics = self._setup.algorithm.given(numbers).learn(program, self.unpack(packed), updates)
        return _pack(state), {f"train/{name}": value for name, value in metrics.items()}

    def _judge(self, program: Program, packed: PyTree, judge: jax.Array) -> Metrics:
        """An evaluation of one seed, or, unless `judge`, zeros."""
        algorithm, seconds = self._setup.algorithm, self._setup.eval_seconds
        state = self.unpack(packed)

        key = state.evaluation_key

        @traced_once
        def judged() -> Metrics:
            task, devices = algorithm.environment, algorithm.devices_per_seed
            controller, own = algorithm.policy(state.learned).controller(task), own_key(key, devices)
            episodes = algorithm.settings.num_eval_envs // devices
            result = gathered(evaluate(program, task, controller, own, episodes=episodes, seconds=seconds), devices)
            columns = {"return_mean": result.returns, "length_mean": result.lengths, **result.summary}
            means = {f"eval/{name}": value.astype(jnp.float32).mean() for name, value in columns.items()}
            return means | {"eval/return_std": result.returns.std()}

        return jax.lax.cond(judge, judged, partial(zeros_of_result, judged))

    def unpack(self, packed: PyTree) -> Any:
        """The inverse of `_pack`."""
        wrap = partial(jax.random.wrap_key_data, impl=jax.random.key_impl(self._setup.rng))
        return jax.tree.map(lambda leaf, typed: wrap(leaf) if typed else leaf, packed, self.keys)

    def advance(self, batches: Sequence[tuple[SeedBatch, int]]) -> list[dict[str, Floats]]:
        """Takes every own seed of each batch to so many updates, and evaluates it.

        Returns:
            Of each batch, metrics by name, `[own seeds]`.
        """
        # Each batch has the turns that it would have alone, so that its means are taken over the same updates.
        turns = [turn for batch, until in batches for turn in batch.turns(until, self._alone)]
        for first in range(0, len(turns), self._width):
            self._take(turns[first : first + self._width])
        return [batch.metrics() for batch, _ in batches]

    def _take(self, turns: Sequence[Turn]) -> None:
        """Turns of different seeds, all at once; places that are left over do nothing."""
        idle = turns[0]._replace(updates=0, judge=False)
        all_turns = [*turns, *[idle] * (self._width - len(turns))]
        rows = [jax.tree.map(lambda leaf, n=turn.seed: leaf[n], turn.batch.states) for turn in all_turns]
        numbers = [{name: each[turn.seed] for name, each in turn.batch.numbers.items()} for turn in all_turns]
        stacked = jax.tree.map(lambda *leaves: np.stack(leaves), *zip(rows, numbers, strict=True))
        updates = np.array([turn.updates for turn in all_turns], np.int32)
        judge = np.array([turn.judge for turn in all_turns])
        states, updates, judge, numbers = jax.device_put((stacked[0], updates, judge, stacked[1]), self._shardings)
        setups = [turn.batch.setup for turn in all_turns[:: self._each]]
        states, metrics = self._run_learn(self._tables([setup.program for setup in setups]), states, updates, numbers)
        evaluations = {}
        if any(turn.judge for turn in turns):
            evaluations = self._run_judge(self._tables([setup.evaluation for setup in setups]), states, judge)
        done = jax.tree.map(np.asarray, (states, metrics, evaluations))
        for place, turn in enumerate(turns):
            turn.batch.take(turn, *jax.tree.map(lambda leaf, n=place: leaf[n], done))


class SeedBatch:
    """The states of all seeds of a training, on the host.

    Attributes:
        setup: of the training.
        program: moves on the seeds of this process; compiled for this training alone if None is given.
        num_seeds: of all processes together.
        group: the processes.
        own: the seeds of this process.
        states: the learners, each leaf `[num_seeds, ...]`, NumPy.
        best: what each had learned when `keep` was last called for it, likewise.
        numbers: those of the algorithm, by name, of each seed.
        evaluation, updates: how many were made, by each seed.
    """

    def __init__(self, setup: TrainingSetup, program: SeedProgram | None = None):
        self.setup = setup
        self.num_seeds = setup.num_seeds
        self.group = setup.group
        self.own = self.group.share(self.num_seeds)
        self.evaluation = self.updates = 0
        self.program = program or SeedProgram([setup])
        numbers = setup.algorithm.numbers
        self.numbers = {name: np.full(self.num_seeds, number, np.float32) for name, number in numbers.items()}
        self.states = jax.tree.map(np.array, self.program.begin(setup, self.numbers))
        self.best = jax.tree.map(np.copy, self.states.learned)
        self._parts: dict[int, list[tuple[int, dict[str, float]]]] = {}

    def advance(self, until: int) -> dict[str, Floats]:
        """Takes every own seed to `until` updates, and evaluates it; returns metrics by name, `[own seeds]`."""
        return self.program.advance([(self, until)])[0]

    def turns(self, until: int, together: int) -> list[Turn]:
        """What takes every own seed to `until` updates and an evaluation, `together` of them at a time."""
        updates, self.updates = until - self.updates, until
        self.evaluation += 1
        self._parts = {seed: [] for seed in self.own}
        left = dict.fromkeys(self.own, updates)
        turns = []
        for places, shares in schedule(len(self.own), together, updates):
            for place, share in zip(places, shares, strict=True):
                seed = self.own[place]
                left[seed] -= share
                turns.append(Turn(self, seed, share, left[seed] == 0))
        return turns

    def take(self, turn: Turn, state: PyTree, metrics: dict[str, float], evaluation: dict[str, float]) -> None:
        """Notes what came of a turn."""
        for whole, part in zip(jax.tree.leaves(self.states), jax.tree.leaves(state), strict=True):
            whole[turn.seed] = part
        self._parts[turn.seed].append((turn.updates, metrics | (evaluation if turn.judge else {})))

    def metrics(self) -> dict[str, Floats]:
        """Of the turns that were taken last, by name, `[own seeds]`."""
        names = sorted(self._parts[self.own[0]][-1][1])
        return {name: np.array([_mean(part, name) for part in self._parts.values()], np.float32) for name in names}

    # ------------------------------------------------------------------ with other processes

    def scatter(self) -> None:
        """Process 0: tells the others where training stands, and how their seeds do."""
        for other in self.group.others:
            position = {"evaluation": np.array(self.evaluation), "updates": np.array(self.updates)}
            self.group.send(other, position | self._rows(self.group.share(self.num_seeds, other)))

    def take_over(self) -> None:
        """The others: take what `scatter` sent."""
        message = self.group.receive(0)
        self._set_rows(self.own, message)
        self.evaluation, self.updates = int(message["evaluation"]), int(message["updates"])

    def report(self, metrics: dict[str, Floats], stop: bool) -> None:
        """The others: sends what came of `advance`, and whether this process was asked to stop."""
        told = {f"metrics/{name}": values for name, values in metrics.items()}
        self.group.send(0, told | self._rows(self.own) | {"stop": np.array(stop)})

    def collect(self, metrics: dict[str, Floats]) -> tuple[dict[str, Floats], bool]:
        """Process 0: takes what all others report; returns metrics, `[num_seeds]`, and whether one is to stop."""
        parts, stop = [metrics], False
        for other in self.group.others:
            message = self.group.receive(other)
            self._set_rows(self.group.share(self.num_seeds, other), message)
            parts.append({name: message[f"metrics/{name}"] for name in metrics})
            stop |= bool(message["stop"])
        return {name: np.concatenate([part[name] for part in parts]) for name in metrics}, stop

    def announce(self, stop: bool) -> None:
        """Process 0: tells all others whether training ends here."""
        for other in self.group.others:
            self.group.send(other, {"stop": np.array(stop)})

    def is_told_to_stop(self) -> bool:
        """The others: what process 0 announces."""
        return bool(self.group.receive(0)["stop"])

    def _rows(self, seeds: range) -> Message:
        rows = slice(seeds.start, seeds.stop)
        return {f"states/{path}": leaf[rows] for path, leaf in leaf_paths(self.states).items()}

    def _set_rows(self, seeds: range, message: Message) -> None:
        for path, leaf in leaf_paths(self.states).items():
            leaf[seeds.start : seeds.stop] = message[f"states/{path}"]

    # ------------------------------------------------------------------ states

    def policy(self, seed: int, best: bool = False) -> Policy:
        """One seed's policy as it stands, or as `keep` last kept it."""
        states = self.best if best else self.states.learned
        return self.setup.algorithm.policy(jax.tree.map(lambda leaf: jnp.asarray(leaf[seed]), states))

    def policies(self, best: bool = False) -> list[Policy]:
        """The policy of every seed."""
        return [self.policy(seed, best) for seed in range(self.num_seeds)]

    def keep(self, seed: int) -> None:
        """Notes what one seed has learned as its best."""
        for whole, now in zip(jax.tree.leaves(self.best), jax.tree.leaves(self.states.learned), strict=True):
            whole[seed] = now[seed]

    def checkpoint(self, seconds: float, best_returns: Floats) -> Checkpoint:
        """All that the next update depends on."""
        states, best = (leaf_paths(jax.tree.map(np.copy, tree)) for tree in (self.states, self.best))
        return Checkpoint(self.evaluation, self.updates, seconds, states, best, best_returns.copy())

    def restore(self, checkpoint: Checkpoint) -> None:
        """Takes every seed back to a checkpoint of this training, as `TrainingSetup` checks it."""
        self.evaluation, self.updates = checkpoint.evaluation, checkpoint.updates
        for tree, saved in ((self.states, checkpoint.states), (self.best, checkpoint.best)):
            for path, leaf in leaf_paths(tree).items():
                leaf[...] = saved[path]

    def find_failure(self, seed: int) -> str:
        """What was not finite first in a seed that failed, as a line for people."""
        state = jax.tree.map(lambda leaf: jnp.asarray(leaf[seed]), self.states)
        return self.setup.algorithm.find_failure(self.setup.program, self.program.unpack(state))

    def failed(self) -> dict[int, int]:
        """The update at which a seed met a number that is not finite, by seed."""
        return {seed: int(update) for seed, update in enumerate(self.states.failed) if update >= 0}


def _does_not_fit(where: str) -> RexError:
    return RexError(f"the checkpoint does not fit this training (at '{where}'); train again without resume")


def _mean(parts: list[tuple[int, dict[str, float]]], name: str) -> float:
    """The mean of a metric over the turns of a seed that have it, weighted by updates; NaN where none has it."""
    given = [(weight, float(values.get(name, math.nan))) for weight, values in parts]
    have = [(weight, value) for weight, value in given if weight and not math.isnan(value)]
    total = sum(weight for weight, _ in have)
    return sum(weight * value for weight, value in have) / total if total else math.nan


def _pack(state: PyTree) -> PyTree:
    """With PRNG keys as plain integers, which NumPy can hold."""
    return jax.tree.map(lambda leaf: jax.random.key_data(leaf) if is_key(leaf) else leaf, state)


def _packed(state: PyTree) -> PyTree:
    """The shapes of what `_pack` makes of `state`, of whose leaves only shapes are known.

    The function is a new one at each call: JAX finds what it has traced by the function and the structure of its
    arguments, and takes dataclasses of different classes with as many fields for one structure (`A(x)` for `B(y)`),
    whenever their hashes collide in a few bits. Nodes that were imported anew, from another project, are such classes.
    """
    return jax.eval_shape(lambda state: _pack(state), state)


def schedule(num_seeds: int, places: int, updates: int) -> list[tuple[list[int], list[int]]]:
    """Who trains when: rounds in which each place takes one seed, until each seed has made its updates.

    Returns:
        By round, the seed of each place and how many updates it makes.
    """
    turns = math.lcm(num_seeds, places) // num_seeds
    share = [updates // turns + (turn < updates % turns) for turn in range(turns)]
    taken = [0] * num_seeds
    rounds = []
    for first in range(0, num_seeds * turns, places):
        seeds = [(first + place) % num_seeds for place in range(places)]
        rounds.append((seeds, [share[taken[seed]] for seed in seeds]))
        for seed in seeds:
            taken[seed] += 1
    return rounds
