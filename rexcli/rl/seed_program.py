"""Compiles the programs that train and evaluate the seeds.

One program makes a seed's updates, another evaluates it, so that XLA compiles one while the other is traced. On CPU
every device runs them for its own seed, and seeds take turns if there are not as many devices, so that no core is idle;
on an accelerator, seeds that share a device run as a batch. An algorithm may spread a seed's environments over several
devices, which are then one place for it.

Trainings that only differ in arguments of the program (the algorithm's `numbers`, the seed, on CPU also the timelines)
may share the programs: then the seeds of all of them take turns.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from rexcli.compiler import backend
from rexcli.compiler.program import Program
from rexcli.rl.algorithm import Metrics
from rexcli.rl.data_parallel import AXIS, gathered, own_key
from rexcli.rl.evaluate import evaluate
from rexcli.rl.traced_once import traced_once, zeros_of_result
from rexcli.rl.training_setup import TrainingSetup, pack, packed_shapes
from rexcli.system.types import is_key

if TYPE_CHECKING:
    from rexcli.rl.seed_batch import SeedBatch

PyTree = Any
Floats = npt.NDArray[np.float32]


class Turn(NamedTuple):
    """A number of updates of one seed of a batch, followed by an evaluation if `judge`."""

    batch: SeedBatch
    seed: int
    updates: int
    judge: bool


class SeedProgram:
    """The compiled programs that train seeds: those of one training, or of several that share them.

    Attributes:
        keys: which leaves of a learner's state are PRNG keys.

    Args:
        setups: the setups of the trainings, each of which shares its program with the first, see
            `TrainingSetup.shares_program`. On CPU each learns the same, bit for bit, as with a program of its own.
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
            packed_shapes(start.out_info),
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
        """Returns the states of all seeds of a training before their first update, packed."""
        return pack(self._begin(setup.program, jax.random.split(setup.rng, setup.num_seeds), numbers))

    def _on_places(self, one: Callable[..., Any], program: Program, given: Any, taken: Any) -> Callable[..., Any]:
        """Returns `one`, a function of a program like this one and a seed, mapped over all places. Each leaf of the
        programs and of the seeds' values has a leading axis."""
        structure = jax.tree.structure(program)

        def of_place(tables: list[jax.Array], *seeds: PyTree) -> PyTree:
            of_one = partial(one, jax.tree.unflatten(structure, [leaf[0] for leaf in tables]))
            if self._each > 1:
                return jax.vmap(of_one)(*seeds)
            # Not under vmap: batched matrix products are slow on CPU, and batched branches compute both sides.
            return jax.tree.map(lambda leaf: leaf[None], of_one(*jax.tree.map(lambda leaf: leaf[0], seeds)))

        return jax.shard_map(of_place, mesh=self._mesh, in_specs=given, out_specs=taken, check_vma=False)

    def _example(self, tree: PyTree, shardings: Any) -> PyTree:
        """Returns the shapes of a program's arguments for as many seeds as it takes at a time, from those of any
        number.
        """

        def some(sharding: NamedSharding, tree: PyTree) -> PyTree:
            def one(leaf: jax.ShapeDtypeStruct) -> jax.ShapeDtypeStruct:
                return jax.ShapeDtypeStruct((self._width, *leaf.shape[1:]), leaf.dtype, sharding=sharding)

            return jax.tree.map(one, tree)

        return jax.tree.map(some, shardings, tree)

    def _tables(self, programs: Sequence[Program]) -> list[jax.Array]:
        """Returns the leaves of each place's program, each with a leading `[places]`."""
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
        """Makes a number of updates of one seed; returns its packed state and metrics."""
        state, metrics = self._setup.algorithm.given(numbers).learn(program, self.unpack(packed), updates)
        return pack(state), {f"train/{name}": value for name, value in metrics.items()}

    def _judge(self, program: Program, packed: PyTree, judge: jax.Array) -> Metrics:
        """Returns the metrics of an evaluation of one seed, or zeros unless `judge`."""
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
        """Reverses `pack`."""
        wrap = partial(jax.random.wrap_key_data, impl=jax.random.key_impl(self._setup.rng))
        return jax.tree.map(lambda leaf, typed: wrap(leaf) if typed else leaf, packed, self.keys)

    def advance(self, batches: Sequence[tuple[SeedBatch, int]]) -> list[dict[str, Floats]]:
        """Trains every own seed of each batch up to a number of updates, and evaluates it.

        Returns:
            For each batch, metrics by name, `[own seeds]`.
        """
        # Each batch has the turns that it would have alone, so that its means are taken over the same updates.
        turns = [turn for batch, until in batches for turn in batch.turns(until, self._alone)]
        for first in range(0, len(turns), self._width):
            self._take(turns[first : first + self._width])
        return [batch.metrics() for batch, _ in batches]

    def _take(self, turns: Sequence[Turn]) -> None:
        """Runs turns of different seeds at once; remaining places do nothing."""
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
