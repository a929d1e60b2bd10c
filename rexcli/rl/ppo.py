"""Implements proximal policy optimisation (Schulman et al., 2017), for one seed: collect, compute advantages, update.

All functions are pure and run inside one compiled program, which `rexcli.rl.train` calls.
"""

from __future__ import annotations

import copy
import itertools
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cached_property, partial
from typing import Any, Self, TypeVar

import jax
import jax.numpy as jnp
import optax

from rexcli import memory_limit
from rexcli.compiler.program import Program
from rexcli.config.schema import PPOSettings
from rexcli.errors import RexError
from rexcli.rl import data_parallel
from rexcli.rl.algorithm import Metrics
from rexcli.rl.data_parallel import averaged, moments, own_key
from rexcli.rl.environment import Environment
from rexcli.rl.failure import find_failure
from rexcli.rl.gradient_steps import LR_RANGE, TrainState, take_gradient_steps
from rexcli.rl.graph_env import EnvState
from rexcli.rl.networks import (
    ActionDistribution,
    ActorCritic,
    Categorical,
    Part,
    action_distribution,
    next_memory,
    reset_memory,
    state_value,
    unrolled,
)
from rexcli.rl.normalize import RunningStats, discounted_traces
from rexcli.rl.policy import Policy
from rexcli.rl.ppo_state import Learned, Params, PPOState, Samples, Transitions
from rexcli.rl.spaces import Dict, ObservationSpace
from rexcli.rl.traced_once import traced_once, zeros_of_result
from rexcli.rl.vector_env import VectorEnv, VectorEnvState
from rexcli.system.init import init_graph_state

T = TypeVar("T")
PARTS: tuple[Part, Part] = ("actor", "critic")
"""The networks that may be recurrent."""
NUMBERS = (
    "lr", "gamma", "gae_lambda", "clip_eps", "clip_vf_eps", "target_kl", "desired_kl", "ent_coef", "vf_coef",
    "max_grad_norm",
)  # fmt: skip
"""The settings that are arguments of the compiled training. A setting that is None, or an entropy bonus of 0, is left
out of the program instead, which is then a different one."""


class PPO:
    """The PPO algorithm with its settings.

    Args:
        environment: the task, bound to a system.
        settings: see `PPOSettings`.

    Raises:
        RexError: if settings contradict each other.
    """

    def __init__(self, environment: Environment, settings: PPOSettings):
        self.environment = environment
        self.settings = settings
        self.num_samples = settings.num_envs * settings.num_steps
        self.devices_per_seed = devices = settings.devices_per_seed
        self.num_updates = max(1, settings.total_timesteps // self.num_samples)
        for what, number in (("num_envs x num_steps", self.num_samples), ("total_timesteps", self.num_updates)):
            if number >= 2**31:
                of = "updates" if what == "total_timesteps" else "samples an update"
                raise RexError(f"ppo.{what}: these are {number} {of}, and 2147483647 can be counted; give fewer")
        if self.num_samples % settings.num_minibatches:
            raise RexError(
                f"ppo.num_minibatches {settings.num_minibatches}: {settings.num_envs} environments x "
                f"{settings.num_steps} steps do not split into so many equal parts; change one of the three"
            )
        if settings.memory != "none" and settings.num_envs % settings.num_minibatches:
            raise RexError(
                f"ppo.num_minibatches {settings.num_minibatches}: with ppo.memory={settings.memory} a minibatch is "
                f"whole sequences, and {settings.num_envs} environments do not split into so many equal parts; change "
                "one of the two"
            )
        for key, number in (("num_envs", settings.num_envs), ("num_eval_envs", settings.num_eval_envs)):
            if number % devices:
                raise RexError(
                    f"ppo.devices_per_seed={devices}: ppo.{key}={number} does not split into so many equal parts; "
                    "change one of the two"
                )
        units = settings.num_envs if settings.memory != "none" else self.num_samples
        if units // devices % settings.num_minibatches:
            what = "environments" if settings.memory != "none" else "samples"
            raise RexError(
                f"ppo.devices_per_seed={devices}: each device has {units // devices} {what}, which do not split into "
                f"ppo.num_minibatches={settings.num_minibatches} equal parts; change one of the two"
            )
        if settings.critic == "privileged" and self.privileged_size is None:
            raise RexError(
                f"ppo.critic=privileged: {type(environment).__name__} has no privileged(graph_state) that says "
                "what only a simulator knows; write one, or give ppo.critic=observation"
            )
        if settings.squash and not environment.action_space.bounded:
            raise RexError("ppo.squash: the action space has no bounds to squash into; give it some, or squash=false")
        if settings.desired_kl is not None:
            if settings.anneal_lr:
                raise RexError("ppo.desired_kl: anneal_lr sets the learning rate already; give one of the two")
            low, high = LR_RANGE
            if not low <= settings.lr <= high:
                raise RexError(f"ppo.lr {settings.lr:g}: desired_kl keeps it from {low:g} to {high:g}; start there")
        self.envs = VectorEnv(environment, settings.num_envs, settings.fixed_init, settings.offset_step)
        self.numbers: Mapping[str, float] = self._numbers()
        self.network = ActorCritic(
            action_size=environment.action_space.size,
            layers=settings.num_hidden_layers,
            units=settings.num_hidden_units,
            activation=settings.hidden_activation,
            kernel_init=settings.kernel_init,
            state_independent_std=settings.state_independent_std,
            squash=settings.squash,
            categories=environment.action_space.categories,
            memory=settings.memory,
            memory_units=settings.memory_units,
        )

    def _numbers(self) -> dict[str, float]:
        """Returns those of `NUMBERS` that are arguments of the program."""
        settings = self.settings
        numbers = {name: value for name in NUMBERS if (value := getattr(settings, name)) is not None}
        if not settings.ent_coef:
            del numbers["ent_coef"]
        if not self._value_after_is_traced():
            del numbers["gamma"]
        return numbers

    def _value_after_is_traced(self) -> bool:
        """Returns whether the task's `value_after` works with a traced discount, unlike one that has `if gamma < 1`."""
        task = self.environment
        state = jax.eval_shape(lambda: init_graph_state(task.system, jax.random.key(0)))
        try:
            jax.eval_shape(task.value_after, state, jax.ShapeDtypeStruct((), jnp.float32))
        except (jax.errors.ConcretizationTypeError, jax.errors.TracerArrayConversionError):
            return False
        return True

    def given(self, numbers: Mapping[str, Any]) -> Self:
        """Returns the algorithm with other numbers, see `Algorithm`."""
        other = copy.copy(self)
        other.settings = replace(self.settings, **numbers)
        return other

    @cached_property
    def observation_space(self) -> ObservationSpace:
        """The task's observation space; networks and statistics see its observations flattened, `[obs_dim]`."""
        return self.environment.observation_space

    @cached_property
    def privileged_size(self) -> int | None:
        """The size of what only the critic sees; None if the task has nothing for it."""
        task = self.environment
        known = jax.eval_shape(lambda: task.privileged(init_graph_state(task.system, jax.random.key(0))))
        return sum(leaf.size for leaf in jax.tree.leaves(known)) or None

    @property
    def optimizer(self) -> optax.GradientTransformation:
        """Adam after gradient clipping by norm, on one flat vector, which is faster than on many small arrays."""
        settings = self.settings
        steps = self.num_updates * settings.update_epochs * settings.num_minibatches
        lr = optax.linear_schedule(settings.lr, 0.0, steps) if settings.anneal_lr else settings.lr
        # An adaptive rate is part of the learner's state, see `take_gradient_steps`.
        adam = optax.adam(lr, eps=1e-5) if settings.desired_kl is None else optax.adam(1.0, eps=1e-5)
        return optax.flatten(optax.chain(optax.clip_by_global_norm(settings.max_grad_norm), adam))

    def check_size(self, program: Program, num_seeds: int) -> None:
        """Raises an error if so many seeds do not fit into memory together.

        Raises:
            RexError: names the settings that are too large.
        """
        settings, size, action = self.settings, self.observation_space.size, self.environment.action_space.size
        state = jax.eval_shape(lambda: program.init(jax.random.key(0)))
        environment = float(sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(state)))
        more = self.privileged_size if settings.critic == "privileged" else None
        seen = size + (more or 0)
        remembers = settings.memory_units if self.network.recurrent else 0
        numbers = size + 2 * action + 6 + (0 if more is None else 2 * more + seen) + 8 * remembers
        samples = 8.0 * self.num_samples * numbers  # collected, and shuffled
        layers, units = settings.num_hidden_layers, settings.num_hidden_units
        widths = [seen + remembers, *[units] * layers, action]
        weights = sum(first * second for first, second in itertools.pairwise(widths))
        network = 48.0 * (weights + 3 * remembers * (seen + remembers))  # two, six times each
        memory_limit.check(
            num_seeds * (2 * settings.num_envs * environment + network)
            + samples
            + settings.num_eval_envs * environment,
            f"{num_seeds} seeds of {settings.num_envs} environments x {settings.num_steps} steps, and networks of "
            f"{layers} x {units} units",
            "give fewer or smaller ones: ppo.num_seeds, ppo.num_envs, ppo.num_steps, ppo.num_eval_envs, "
            "ppo.num_hidden_units",
        )

    def init(self, program: Program, rng: jax.Array) -> PPOState:
        """Returns the state before the first update: new networks, and environments before their first episode."""
        rng, envs_rng, network_rng = jax.random.split(rng, 3)
        envs = self.envs.init(program, envs_rng)
        size = self.observation_space.size
        observation, seen, privileged = jnp.zeros(size), None, None
        if self.settings.critic == "privileged":
            assert self.privileged_size is not None
            privileged = RunningStats.empty((self.privileged_size,))
            seen = jnp.zeros(size + self.privileged_size)
        params = self.network.init(network_rng, observation, seen)
        zeros = jnp.zeros(self.settings.num_envs)
        memory: dict[str, jax.Array] = {}
        if self.network.recurrent:
            memory = {part: jnp.zeros((self.settings.num_envs, self.settings.memory_units)) for part in PARTS}
        return PPOState(
            params=params,
            optimizer=self.optimizer.init(params),
            observations=RunningStats.empty((size,)),
            returns=RunningStats.empty(),
            trace=zeros,
            earned=zeros,
            envs=envs,
            rng=rng,
            updates=jnp.int32(0),
            failed=jnp.int32(-1),
            lr=None if self.settings.desired_kl is None else jnp.float32(self.settings.lr),
            memory=memory,
            privileged=privileged,
        )

    def policy(self, state: Learned) -> Policy:
        """Returns the policy of what was learned."""
        stats = state.observations if self.settings.normalize_obs else None
        space = self.observation_space
        names = space if isinstance(space, Dict) else None
        params = state.params
        if self.network.recurrent or self.settings.critic == "privileged":  # what the critic needs, no robot has
            params = {
                "params": {name: leaf for name, leaf in params["params"].items() if not name.startswith("critic")}
            }
        task = self.environment
        return Policy(params, stats, self.network, task.action_space, names, task.observation_config)

    # ------------------------------------------------------------------ collect

    def collect(self, program: Program, state: PPOState) -> tuple[PPOState, Transitions]:
        """Makes `num_steps` steps of all environments under the present policy."""
        state, transitions, _ = self.collect_watched(program, state, lambda envs, actions: None)
        return state, transitions

    def collect_watched(
        self, program: Program, state: PPOState, watch: Callable[[VectorEnvState, jax.Array], T]
    ) -> tuple[PPOState, Transitions, T]:
        """Collects as `collect` does; also returns the results of `watch` for the environments and actions before each
        step, `[num_steps, ...]`.
        """
        rng, act_rng = jax.random.split(state.rng)

        def step(
            carry: tuple[VectorEnvState, jax.Array | None], rng: jax.Array
        ) -> tuple[tuple[VectorEnvState, jax.Array | None], tuple[Transitions, T]]:
            envs, memory = carry
            starts = None if memory is None else envs.done
            envs, seen = self.envs.begin(program, envs)
            observation = self.observation_space.flatten(seen)
            privileged = self._privileged(envs)
            normalized = self._normalize(state, observation)
            if memory is not None and starts is not None:
                memory = next_memory(self.network, state.params, "actor", normalized, reset_memory(memory, starts))
            actions = action_distribution(self.network, state.params, normalized, memory)
            raw = actions.sample(own_key(rng, self.devices_per_seed))
            chosen = self.environment.action_space.from_unit(actions.unit(raw))
            watched = watch(envs, chosen)
            envs, outcome = self.envs.step(program, envs, chosen)
            transitions = Transitions(
                observation=observation,
                raw=raw,
                log_prob=actions.log_prob(raw),
                reward=outcome.reward,
                terminated=outcome.terminated,
                truncated=outcome.truncated & ~outcome.terminated,
                next_observation=self.observation_space.flatten(outcome.observation),
                whole=envs.whole,
                value_after=jax.vmap(self._value_after)(envs.env),
                starts=starts,
                privileged=privileged,
                next_privileged=self._privileged(envs),
            )
            return (envs, memory), (transitions, watched)

        keys = jax.random.split(act_rng, self.settings.num_steps)
        before = state.envs, state.memory.get("actor")
        (envs, memory), (transitions, watched) = jax.lax.scan(step, before, keys)
        if memory is not None:
            transitions = transitions.replace(memory=state.memory)
            state = state.replace(memory={**state.memory, "actor": memory})
        return state.replace(envs=envs, rng=rng), transitions, watched

    def find_failure(self, program: Program, state: PPOState) -> str:
        """Returns a message that says what was not finite first in the update after `state`, which is
        collected again.
        """
        return find_failure(self._collect_on_one_device, self.environment, program, state)

    def spread(self, state: PPOState) -> PPOState:
        """Returns which leaves have a leading axis of environments, see `Algorithm`."""
        one, each = (partial(jax.tree.map, lambda _, yes=yes: yes) for yes in (False, True))
        own = {"envs": each(state.envs), "trace": True, "earned": True, "memory": each(state.memory)}
        return one(state).replace(**own)

    def _collect_on_one_device(
        self, program: Program, state: PPOState, watch: Callable[[VectorEnvState, jax.Array], T]
    ) -> tuple[PPOState, Transitions, T]:
        """Collects as `collect_watched` does, for all environments, with the random numbers that `devices_per_seed`
        devices draw.
        """
        if self.devices_per_seed == 1:
            return self.collect_watched(program, state, watch)
        spread = self.spread(state)

        def part(state: PPOState) -> tuple[Transitions, T]:
            _, transitions, watched = self.collect_watched(program, state, watch)
            return transitions.replace(memory={}), watched

        in_axes = jax.tree.map(lambda yes: 0 if yes else None, spread)
        parts = data_parallel.split(state, spread, self.devices_per_seed)
        seen, watched = jax.vmap(part, in_axes=(in_axes,), out_axes=1, axis_name=data_parallel.AXIS)(parts)
        merged = jax.tree.map(lambda leaf: leaf.reshape(len(leaf), -1, *leaf.shape[3:]), (seen, watched))
        return state, *merged

    def _privileged(self, envs: VectorEnvState) -> jax.Array | None:
        """Returns what only the critic sees of each environment, `[num_envs, size]`; None if there is nothing."""
        if self.settings.critic != "privileged":
            return None
        known = jax.tree.leaves(jax.vmap(self.environment.privileged)(envs.env.graph_state))
        return jnp.concatenate([leaf.reshape(len(leaf), -1).astype(jnp.float32) for leaf in known], axis=-1)

    def _value_after(self, env: EnvState) -> jax.Array | None:
        return self.environment.value_after(env.graph_state, self.settings.gamma)

    # ------------------------------------------------------------------ advantages

    def advantages(self, state: PPOState, seen: Transitions) -> tuple[PPOState, Samples, Metrics]:
        """Returns the advantage of each action over the critic's value, and the targets of the critic.

        The critic computes the value of the state after a step, not of that before the next, so that truncated episodes
        are continued by its value. The value after a termination is zero.
        """
        settings = self.settings
        done = seen.terminated | seen.truncated
        trace, traces = discounted_traces(state.trace, seen.reward, done, settings.gamma)
        earned, returns = discounted_traces(state.earned, seen.reward, done, 1.0)
        state = state.replace(trace=trace, earned=earned, returns=state.returns.update(traces, self.devices_per_seed))
        scale = state.returns.scale if settings.normalize_reward else 1.0

        observation = self._normalize(state, seen.observation)
        next_observation = self._normalize(state, seen.next_observation)
        at, after = (
            _joined(observation, self._normalize_privileged(state, seen.privileged)),
            _joined(next_observation, self._normalize_privileged(state, seen.next_privileged)),
        )
        if seen.starts is None:
            value, next_value = (state_value(self.network, state.params, each) for each in (at, after))
        else:
            critic = partial(unrolled, self.network, state.params, "critic")
            memory = critic(at, seen.starts, seen.memory["critic"])
            value = state_value(self.network, state.params, at, memory)
            later = next_memory(self.network, state.params, "critic", after, memory)
            next_value = state_value(self.network, state.params, after, later)
            state = state.replace(memory={**state.memory, "critic": memory[-1]})
        if seen.value_after is not None:
            next_value = jnp.where(seen.truncated, seen.value_after / scale, next_value)
        advantage = generalized_advantages(
            seen.reward / scale, value, next_value, seen.terminated, done, settings.gamma, settings.gae_lambda
        )
        target = advantage + value
        old_value = None if settings.clip_vf_eps is None else value
        more = None if seen.privileged is None else at
        samples = Samples(observation, seen.raw, seen.log_prob, advantage, target, old_value, more, seen.starts)
        metrics = {
            "reward_mean": seen.reward.mean(),
            "episodes": (done & seen.whole).sum().astype(jnp.float32),
            "return_mean": jnp.where(done & seen.whole, returns, 0.0).sum(),
            "explained_variance": 1 - self._var(advantage) / (self._var(target) + 1e-8),
        }
        # New observations count from the next update on: this one's probabilities were taken under the old scale.
        state = state.replace(observations=state.observations.update(seen.observation, self.devices_per_seed))
        if state.privileged is not None and seen.privileged is not None:
            state = state.replace(privileged=state.privileged.update(seen.privileged, self.devices_per_seed))
        if seen.starts is not None:
            sequences = jax.tree.map(lambda leaf: leaf.swapaxes(0, 1), samples)
            return state, sequences.replace(memory=seen.memory), metrics
        return state, jax.tree.map(lambda leaf: leaf.reshape(-1, *leaf.shape[2:]), samples), metrics

    # ------------------------------------------------------------------ update

    def loss(self, params: Params, samples: Samples) -> tuple[jax.Array, Metrics]:
        """Returns the clipped surrogate, the critic's squared error and the entropy bonus, equation 9 of the paper."""
        settings = self.settings
        actions = self._actions(params, samples)
        value = self._values(params, samples)
        log_ratio = actions.log_prob(samples.raw) - samples.log_prob
        ratio = jnp.exp(log_ratio)
        mean, var = moments(samples.advantage, self.devices_per_seed)
        advantage = (samples.advantage - mean) / (jnp.sqrt(var) + 1e-8)
        clipped = jnp.clip(ratio, 1 - settings.clip_eps, 1 + settings.clip_eps)
        policy_loss = -jnp.minimum(ratio * advantage, clipped * advantage).mean()
        error = jnp.square(value - samples.target)
        if settings.clip_vf_eps is not None:
            old: Any = samples.value
            near = old + jnp.clip(value - old, -settings.clip_vf_eps, settings.clip_vf_eps)
            error = jnp.maximum(error, jnp.square(near - samples.target))
        value_loss = 0.5 * error.mean()
        loss = policy_loss + settings.vf_coef * value_loss
        if "ent_coef" in self.numbers:
            loss -= settings.ent_coef * actions.entropy().mean()
        return loss, {
            "policy_loss": policy_loss,
            "value_loss": value_loss,
            "kl": (ratio - 1 - log_ratio).mean(),
            "clip_fraction": (jnp.abs(ratio - 1) > settings.clip_eps).mean(),
        }

    def update(self, state: PPOState, samples: Samples) -> tuple[PPOState, Metrics]:
        """Makes gradient steps on the samples, see `take_gradient_steps`."""
        rng, shuffle_rng = jax.random.split(state.rng)
        at = TrainState(state.params, state.optimizer, state.lr)
        at, metrics = take_gradient_steps(at, self.loss, self.optimizer, samples, shuffle_rng, self.settings)
        state = state.replace(params=at.params, optimizer=at.optimizer, lr=at.lr, rng=rng, updates=state.updates + 1)
        return state, metrics

    # ------------------------------------------------------------------ and again

    def learn(self, program: Program, state: PPOState, num_updates: jax.Array) -> tuple[PPOState, Metrics]:
        """Collects and updates `num_updates` times, or until a number is not finite.

        Returns:
            The state, which is that before the failed update if one failed (`failed` is its number); and means over the
            updates, by name: of rewards and of the losses' parts, `kl` to the policy that collected, the `std` of
            continuous actions; `return_mean` is over the episodes of full length that ended (NaN if none did).
        """

        @traced_once
        def once(state: PPOState) -> tuple[PPOState, Metrics]:
            state, transitions = self.collect(program, state)
            state, samples, collected = self.advantages(state, transitions)
            state, updated = self.update(state, samples)
            actions = self._actions(state.params, samples)
            spread = {"entropy": actions.entropy().mean()}
            if isinstance(actions, ActionDistribution):
                spread["std"] = jnp.exp(actions.log_std).mean()
            return state, averaged(collected | spread, self.devices_per_seed) | updated

        def body(carry: tuple[jax.Array, PPOState, Metrics]) -> tuple[jax.Array, PPOState, Metrics]:
            done, before, totals = carry
            after, metrics = once(before)
            learned = after.params, after.observations, after.returns, after.privileged
            numbers = jax.tree.leaves((metrics, *learned))
            fine = jnp.stack([jnp.isfinite(leaf).all() for leaf in numbers]).all()
            # One branch: XLA would fuse the whole check into each of as many selections, and compile for long.
            return jax.lax.cond(
                fine,
                lambda: (done + 1, after, jax.tree.map(jnp.add, totals, metrics)),
                lambda: (done, before.replace(failed=before.updates), totals),
            )

        def more(carry: tuple[jax.Array, PPOState, Metrics]) -> jax.Array:
            return (carry[0] < num_updates) & (carry[1].failed < 0)

        made, state, totals = jax.lax.while_loop(more, body, (jnp.int32(0), state, zeros_of_result(once, state)[1]))
        episodes = totals.pop("episodes")
        return state, {name: total / (episodes if name == "return_mean" else made) for name, total in totals.items()}

    # ------------------------------------------------------------------ networks

    def _var(self, values: jax.Array) -> jax.Array:
        return moments(values, self.devices_per_seed)[1]

    def _normalize(self, state: PPOState, observation: jax.Array) -> jax.Array:
        return state.observations.normalize(observation) if self.settings.normalize_obs else observation

    def _normalize_privileged(self, state: PPOState, privileged: jax.Array | None) -> jax.Array | None:
        if privileged is None or state.privileged is None or not self.settings.normalize_obs:
            return privileged
        return state.privileged.normalize(privileged)

    def _actions(self, params: Params, samples: Samples) -> ActionDistribution | Categorical:
        """Returns the distributions of actions at all samples."""
        memory = self._memory(params, "actor", samples.observation, samples)
        return action_distribution(self.network, params, samples.observation, memory)

    def _values(self, params: Params, samples: Samples) -> jax.Array:
        """Returns the critic's values at all samples."""
        seen = samples.observation if samples.seen is None else samples.seen
        return state_value(self.network, params, seen, self._memory(params, "critic", seen, samples))

    def _memory(self, params: Params, part: Part, seen: jax.Array, samples: Samples) -> jax.Array | None:
        """Returns the recurrent states of a network at each step of sequences, `[sequences, num_steps, memory_units]`;
        None without recurrence."""
        if samples.starts is None:
            return None
        seen, starts = (each.swapaxes(0, 1) for each in (seen, samples.starts))
        return unrolled(self.network, params, part, seen, starts, samples.memory[part]).swapaxes(0, 1)


def _joined(observation: jax.Array, privileged: jax.Array | None) -> jax.Array:
    """Returns the critic's input, `[..., size]`."""
    return observation if privileged is None else jnp.concatenate([observation, privileged], axis=-1)


def generalized_advantages(
    reward: jax.Array,
    value: jax.Array,
    next_value: jax.Array,
    terminated: jax.Array,
    done: jax.Array,
    gamma: float,
    gae_lambda: float,
) -> jax.Array:
    """Returns advantages by generalised advantage estimation (Schulman et al., 2016), each array
    `[num_steps, num_envs]`.

    Args:
        reward: the reward of each step.
        value: the value before each step.
        next_value: the value after each step, before any reset.
        terminated: whether the episode terminated, so that no more rewards follow.
        done: whether the episode ended, for any reason.
        gamma: discount factor per step.
        gae_lambda: the weight of rewards relative to the critic.
    """
    # Products inside `where`: a traced discount is then rounded, to the last bit, as a constant one would be.
    error = reward + jnp.where(terminated, 0.0, gamma * next_value) - value

    def back(later: jax.Array, now: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        error, done = now
        advantage = error + jnp.where(done, 0.0, gamma * gae_lambda * later)
        return advantage, advantage

    return jax.lax.scan(back, jnp.zeros_like(error[0]), (error, done), reverse=True)[1]
