"""Defines every key that an experiment may have, with its type, unit and default, without JAX and Hydra.

A field's `key` metadata is its name in YAML if that differs (`from` is a Python keyword); its `check` returns what is
wrong with a value of the right type. Defaults are defined here; `conf/base.yaml` shows them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from rexcli.config.checks import at_least, between, folder_name, not_negative, positive
from rexcli.config.key_origins import Origins
from rexcli.system.ranges import Ranges
from rexcli.system.spec import Edge, NodeSpec

Activation = Literal["tanh", "relu", "gelu", "softplus", "silu"]
KernelInit = Literal["xavier_uniform", "xavier_normal", "lecun_normal", "he_normal", "orthogonal"]
Memory = Literal["none", "gru"]


@dataclass(frozen=True, kw_only=True)
class TargetConfig:
    """An object to create, such as the task or a metric. Keys other than `_target_` are options of its class."""

    target: str = field(metadata={"key": "_target_"})
    """The path of the class, such as `nodes.pendulum.SwingUp`."""
    options: dict[str, Any] = field(default_factory=dict, metadata={"rest": True})
    """Arguments of the class's `__init__`."""


@dataclass(frozen=True)
class NodeConfig(NodeSpec, TargetConfig):
    """A node, and the class of its code. Keys other than those of `NodeSpec` are options of the class."""


@dataclass(frozen=True)
class ActionConfig:
    """The controller of the supervisor, in `record` and `rollout`."""

    source: Literal["node", "constant", "zero", "random", "policy"] | None = None
    """`node`: the supervisor's own `step`; `policy`: the policy of `policy=RUN`; the others: actions in the
    environment; None for `policy` if one is given, else `node`."""
    value: float | list[float] = 0.5
    """The action if `source` is `constant`, in the action's own unit; a single number is used for every dimension."""


@dataclass(frozen=True)
class RecordConfig:
    """The length and the format of recordings of `rex record`."""

    steps: int = field(default=300, metadata={"check": at_least(1, "supervisor steps")})
    """Supervisor steps per episode, if `seconds` is not given."""
    episodes: int = field(default=1, metadata={"check": at_least(1, "episodes")})
    """Number of episodes."""
    seconds: float | None = field(default=None, metadata={"check": positive("seconds")})
    """Length of an episode, seconds; replaces `steps`."""
    executor: Literal["auto", "stepper", "program"] = "auto"
    """The executor of a simulated system: the stepper, tick by tick, or the compiled program
    (`rexcli.pipeline.executor`).
    """
    format: Literal["mcap"] = "mcap"
    """Format of the recording."""


@dataclass(frozen=True)
class WallSettings:
    """Settings of the wall clock."""

    emulate: bool = False
    """If all nodes are simulated: steps and messages take the declared delays in real time, and messages are lost as
    declared. If False, they take the time that this machine needs."""
    watchdog: float | None = field(default=10.0, metadata={"check": positive("periods")})
    """A step that takes longer than this many periods of its node (and 0.2 s) ends the run; None for no limit. Time in
    which the whole process is suspended does not count."""
    nan: Literal["stop", "allow"] = "stop"
    """`stop` ends the run before any node reads a message with NaN; `allow` passes it on."""
    startup_timeout: float | None = field(default=60.0, metadata={"check": positive("seconds")})
    """Seconds that a node's `startup` may take; None for no limit."""
    stop_timeout: float = field(default=5.0, metadata={"check": positive("seconds")})
    """Seconds that a node's `stop` may take before the run ends without it."""
    spin: float = field(default=1e-4, metadata={"check": between(0, 0.01)})
    """Seconds of busy waiting before a step is due: more is more punctual, and takes more CPU time."""
    priority: int = field(default=10, metadata={"check": between(0, 90)})
    """Priority in the real-time scheduler if this user may use it (Linux); 0 for the ordinary scheduler."""


@dataclass(frozen=True)
class TimelineConfig:
    """The timeline that `compile`, `rollout` and `train` simulate if they do not start from a recording."""

    episodes: int = field(default=10, metadata={"check": at_least(1, "episodes")})
    """Number of episodes, each with its own delays."""
    steps: int = field(default=300, metadata={"check": at_least(1, "supervisor steps")})
    """Supervisor steps per episode; `train` simulates more if an episode of its task takes more."""


@dataclass(frozen=True)
class CompileConfig:
    """Settings for the compilation of a timeline to a program."""

    mode: Literal["mcs", "generational", "topological"] = "mcs"
    """How the template is found; `mcs` has the fewest unused slots."""
    prune: bool = True
    """Leave out steps that no supervisor step depends on."""
    ahead: int = field(default=0, metadata={"check": at_least(0, "supervisor steps")})
    """How many supervisor steps before its start a step may run, if everything that it depends on has run. Programs may
    be shorter. Messages stay the same, and nodes whose states the task observes do not run ahead."""
    devices: int | Literal["auto"] = field(default="auto", metadata={"check": at_least(1, "devices")})
    """Number of devices that share a batch; `auto` for all (on a CPU: one per core)."""
    skip: Literal["auto", "cond", "mask"] = "auto"
    """How an unused slot is skipped: not run (`cond`), or run and its result discarded (`mask`); `auto` depends on the
    backend.
    """


@dataclass(frozen=True)
class KeepConfig:
    """The fields that a rollout stores in memory."""

    nodes: list[str] | None = None
    """Names of the nodes; None for all."""
    fields: list[Literal["params", "inputs", "state", "output"]] = field(default_factory=lambda: ["state", "output"])
    """Fields of their steps."""
    limit: float | None = field(default=4.0, metadata={"check": positive("GiB")})
    """The most GiB of all rollouts together, if `nodes` is null: beyond it, the largest fields are left out, such as a
    camera's images. Named nodes are always stored, or an error is raised if they do not fit into memory. None for no
    limit."""


@dataclass(frozen=True)
class RolloutConfig:
    """Settings of `rex rollout`: the number of episodes, and what it stores of them."""

    num: int = field(default=10_000, metadata={"check": at_least(1, "rollouts")})
    """Number of episodes in parallel."""
    steps: int | None = field(default=None, metadata={"check": at_least(1, "supervisor steps")})
    """Supervisor steps; None for as many as the timeline has."""
    keep: KeepConfig = field(default_factory=KeepConfig)
    """What the program records."""
    save: int = field(default=100, metadata={"check": at_least(0, "rollouts")})
    """How many of the rollouts are written to `rollouts.npz`."""


@dataclass(frozen=True)
class ObservationConfig:
    """Additions to the result of the task's `observe` at one tick that a policy observes."""

    history: int = field(default=1, metadata={"check": between(1, 1000)})
    """Number of observations that are stacked, those of the last ticks, oldest first. At the beginning of an episode,
    its first observation is repeated."""
    ages: bool = False
    """Append the age of each message, s: of all messages in the window of every input, oldest first. A message that has
    not arrived yet is as old as the episode, counted from the supervisor's first tick."""


@dataclass(frozen=True)
class PPOSettings:
    """Proximal policy optimisation (Schulman et al., 2017)."""

    lr: float = field(default=3e-4, metadata={"check": positive("learning rate")})
    """Adam's learning rate."""
    anneal_lr: bool = False
    """Decrease `lr` linearly to 0 over the training."""
    num_seeds: int = field(default=1, metadata={"check": at_least(1, "seeds")})
    """Number of policies trained in parallel, each with its own seed."""
    num_envs: int = field(default=128, metadata={"check": at_least(1, "environments")})
    """Number of parallel environments per seed."""
    devices_per_seed: int = field(default=1, metadata={"check": at_least(1, "devices")})
    """Number of devices that share a seed's environments; gradients and statistics are averaged over them."""
    num_steps: int = field(default=32, metadata={"check": at_least(1, "steps")})
    """Steps of each environment between updates."""
    total_timesteps: int = field(default=1_000_000, metadata={"check": at_least(1, "steps")})
    """Environment steps of the whole training, per seed."""
    update_epochs: int = field(default=4, metadata={"check": at_least(1, "epochs")})
    """Passes over the collected steps per update."""
    num_minibatches: int = field(default=8, metadata={"check": at_least(1, "minibatches")})
    """Number of minibatches per pass; each is one gradient step."""
    gamma: float = field(default=0.99, metadata={"check": between(0, 1)})
    """Discount factor per step."""
    gae_lambda: float = field(default=0.95, metadata={"check": between(0, 1)})
    """Lambda of generalised advantage estimation."""
    clip_eps: float = field(default=0.2, metadata={"check": positive("clipping range")})
    """How far the probability ratio may deviate from 1."""
    clip_vf_eps: float | None = field(default=None, metadata={"check": positive("clipping range")})
    """How far, in units of scaled reward, the critic may deviate from its value at collection before its gradient is
    clipped; None for no limit."""
    target_kl: float | None = field(default=None, metadata={"check": positive("KL divergence")})
    """An update ends before the first gradient step whose minibatch is more than 1.5 times this KL divergence, nat,
    from the policy that collected; None for never."""
    desired_kl: float | None = field(default=None, metadata={"check": positive("KL divergence")})
    """The learning rate, which starts at `lr` and stays within 1e-5 and 1e-2, is divided by 1.5 after an epoch with
    more than twice this KL divergence, nat, and multiplied by 1.5 after one with less than half; None for a fixed
    schedule."""
    ent_coef: float = field(default=0.0, metadata={"check": not_negative("weight")})
    """Weight of the entropy bonus."""
    vf_coef: float = field(default=0.5, metadata={"check": not_negative("weight")})
    """Weight of the value loss."""
    max_grad_norm: float = field(default=0.5, metadata={"check": positive("norm")})
    """Gradients are scaled down to this global norm."""
    num_hidden_layers: int = field(default=2, metadata={"check": between(0, 64)})
    """Hidden layers of policy and value network."""
    num_hidden_units: int = field(default=64, metadata={"check": between(1, 2**20)})
    """Units per hidden layer."""
    hidden_activation: Activation = "tanh"
    """Activation of the hidden layers."""
    kernel_init: KernelInit = "orthogonal"
    """Initialisation of the weights."""
    memory: Memory = "none"
    """`gru`: policy and value network each have a gated recurrent unit (Cho et al., 2014), whose state is an input of
    their hidden layers together with the observation. It is zero at the start of an episode. Minibatches are whole
    sequences of `num_steps`, and gradients are backpropagated through a whole sequence."""
    memory_units: int = field(default=64, metadata={"check": between(1, 2**20)})
    """Size of the recurrent state."""
    critic: Literal["observation", "privileged"] = "observation"
    """The input of the value network: that of the policy, or also the result of the task's `privileged`, which only a
    simulator knows. Policies do not need it."""
    state_independent_std: bool = True
    """The standard deviation of each action dimension does not depend on the observation; else it is a network output.
    Without effect for discrete actions."""
    squash: bool = True
    """Actions are mapped by tanh into the action space; else they are clipped. Without effect for discrete actions."""
    normalize_obs: bool = True
    """Observations are normalised by running mean and variance (saved with the policy)."""
    normalize_reward: bool = True
    """Rewards are divided by the running standard deviation of the discounted return."""
    fixed_init: bool = False
    """Every reset of an environment returns to the state in which it started the training."""
    offset_step: bool = True
    """The first episodes are shorter by a random offset, so that environments do not all end together."""
    num_eval_envs: int = field(default=20, metadata={"check": at_least(1, "environments")})
    """Number of environments of an evaluation."""
    num_evals: int = field(default=20, metadata={"check": at_least(1, "evaluations")})
    """Number of evaluations, spread evenly over the training."""


@dataclass(frozen=True)
class EvalConfig:
    """Settings of the evaluation of policies, by `rex eval` and during training."""

    episodes: int = field(default=1_000, metadata={"check": at_least(1, "episodes")})
    """Number of episodes, each from a random start."""
    seconds: float = field(default=5.0, metadata={"check": positive("seconds")})
    """Length of an episode, seconds."""
    metrics: dict[str, TargetConfig] = field(default_factory=dict)
    """Metrics of an episode in addition to return and length, by name, such as `rexcli.rl.metrics.Always`."""


def _file_names(names: dict[str, str]) -> str | None:
    """Checks names that become names of files; returns what to give instead, or None."""
    return next((fix for name in names if (fix := folder_name(name))), None)


@dataclass(frozen=True)
class PlotsConfig:
    """Settings of pictures that the experiment does not imply."""

    pictures: dict[str, str] = field(default_factory=dict, metadata={"check": _file_names})
    """Pictures of the project: the path of the class, such as `nodes.pendulum.picture.Pendulum`, by name."""
    angles: list[str] = field(default_factory=list)
    """Patterns of quantities that are angles, rad, such as `world/state/th`; they are drawn within ±pi."""


@dataclass(frozen=True)
class FitConfig:
    """Settings of `rex fit`, which fits distributions to measured delays."""

    families: list[Literal["constant", "truncated_normal", "log_normal", "gamma", "mixture"]] = field(
        default_factory=lambda: ["constant", "truncated_normal", "log_normal", "gamma", "mixture"]
    )
    """Candidates, of which each delay gets the one with the best BIC."""
    components: int = field(default=3, metadata={"check": between(2, 10)})
    """The most components of a mixture."""
    resolution: float = field(default=1e-6, metadata={"check": positive("seconds")})
    """Resolution of the clock, seconds: delays that vary less are constant."""


def _zeros(times: list[int]) -> str | None:
    return None if all(abs(time) < 2**62 for time in times) else "give nanoseconds"


@dataclass(frozen=True)
class ImportNode:
    """The place of a node's steps in a log: each message of its topic is one of its steps.

    A stamp is a field, such as `header.stamp`; `log`, when the recorder logged the message; or `publish`, when its
    sender sent it, if the log has that.
    """

    topic: str | None = None
    """The topic (of tables: the file's name without its ending); None for the only one."""
    output: Any = None
    """What the step sent: a field, a list of fields for a vector, or a mapping of these by key; `{field, dtype, shape}`
    casts and reshapes a field."""
    state: Any = None
    """The state after the step, in the same form, if the log has it."""
    params: Any = None
    """The parameters that the step saw, in the same form."""
    inputs: Any = None
    """The messages that the step saw, in the same form."""
    capture: str | None = None
    """The stamp at which the step started, such as when a sensor took its sample; None if the log does not have it."""
    send: str | None = None
    """The stamp at which it sent its output; None for `log` without a `capture`, else for its declared delay later."""
    seq: str | None = None
    """A field with the sequence number of a message, to which the messages of edges refer; None to count them."""
    clock: str | None = None
    """The clock of its stamps, if that is not the recorder's; see `clocks`."""
    unit: Literal["s", "ms", "us", "ns"] | None = None
    """The unit of stamps that are plain numbers; None for seconds if they are floats and nanoseconds if they are
    integers.
    """


@dataclass(frozen=True)
class LagConfig:
    """A delay that no stamp has: the time from a command to the response to it."""

    command: str
    """A field of the sender's topic."""
    response: str
    """A field of the reader's topic that follows the command."""
    max: float = field(default=1.0, metadata={"check": positive("seconds")})
    """The longest delay, seconds."""


@dataclass(frozen=True)
class ImportEdge:
    """The place of an edge's messages in a log, as they were received."""

    topic: str | None = None
    """The topic; None for that of the sender, as logged by a recorder next to the reader."""
    receive: str | None = None
    """The stamp at which a message arrived; None if the log does not have it: its declared delay after it was sent."""
    send: str | None = None
    """In a topic other than the sender's: a copy of the sender's stamp, by which its message is found."""
    seq: str | None = None
    """Alternatively, the field with the sender's `seq`; without both, messages are paired in their order."""
    reader: str | None = None
    """A field with the reader's number of the step that read it, -1 for none; None to infer it."""
    lag: LagConfig | None = None
    """Alternatively, the two signals from which its delay is estimated."""
    unit: Literal["s", "ms", "us", "ns"] | None = None
    """The unit of stamps that are plain numbers, as for nodes."""


@dataclass(frozen=True)
class ClockConfig:
    """The corrections of the stamps of a clock; None is estimated from the messages between it and other clocks."""

    offset: float | None = None
    """Seconds, at the first stamp."""
    drift: float | None = None
    """Seconds per second."""


@dataclass(frozen=True)
class ImportConfig:
    """Settings of `rex import`: the places of data in a log of another program."""

    nodes: dict[str, ImportNode] = field(default_factory=dict)
    """The nodes by name; those that a log does not have are left out, and simulated if a timeline needs them."""
    edges: dict[str, ImportEdge] = field(default_factory=dict)
    """The edges by name; arrivals of other edges between these nodes are inferred from their declared delays."""
    clocks: dict[str, ClockConfig] = field(default_factory=dict)
    """The clocks by the names that nodes give them; clocks that are not listed are estimated."""
    episode: str | None = None
    """A field of every topic with the number of the episode; None for a single episode."""
    zero: list[int] | None = field(default=None, metadata={"check": _zeros})
    """When each episode begins, ns on the recorder's clock; None for its first stamp."""


@dataclass(frozen=True)
class UnknownConfig:
    """A number that `rex identify` estimates, or that follows from others: a parameter of a node, or an
    edge's delay.
    """

    low: float | None = None
    """Lower bound, in its own unit (delays: seconds)."""
    high: float | None = None
    """Upper bound."""
    init: float | None = None
    """Start value of the search; None for the middle."""
    log: bool = False
    """Search its logarithm, if only its order of magnitude is known."""
    fixed: float | None = None
    """Fix it at this value."""
    share: str | None = None
    """Give it the value of another one: `world.mass`, `edges.actuator_world.delay`."""
    scale: float = 1.0
    """With `share`: multiply by this."""
    offset: float = 0.0
    """With `share`: add this."""
    interpolation: Literal["latest", "linear", "hold"] = "hold"
    """For an edge's delay: what its reader sees between two messages, see `rexcli.AdjustableDelay`. `hold` is for a
    command, which is held until the next one arrives; `linear` is for samples of a continuous signal, such as those of
    a simulated world."""
    path: str | None = None
    """For a nested parameter: its path with dots; None for the key of this entry."""


@dataclass(frozen=True)
class SignalConfig:
    """A recorded output that the simulation should reproduce."""

    weight: float = field(default=1.0, metadata={"check": positive("weight")})
    """Weight of its errors, relative to those of other signals."""
    angle: bool | None = None
    """Whether it is an angle, rad, whose differences are taken within ±pi; None for what `plots.angles` says."""
    path: str | None = None
    """Its path with dots if it is nested; "" for a node that sends a bare array; None for the key of this entry."""


@dataclass(frozen=True)
class InitialConfig:
    """A state of a simulated node at the start of the recording, and of each segment."""

    of: str | None = field(default=None, metadata={"key": "from"})
    """The signal, `sensor.th`, whose recorded value it starts from; None for the node's `init_state`."""
    derivative: bool = False
    """Whether it starts from the derivative of that signal, for velocities that no sensor measures."""
    estimate: bool = True
    """Whether the deviation from that value is estimated too."""
    spread: float | None = field(default=None, metadata={"check": positive("its unit")})
    """The expected deviation, in its own unit; None for half of the signal's, or of its slope's."""
    path: str | None = None
    """Its path with dots if it is nested; None for the key of this entry."""


@dataclass(frozen=True)
class IdentifyConfig:
    """Settings of `rex identify`: what it estimates, and from which recordings."""

    nodes: dict[str, dict[str, UnknownConfig]] = field(default_factory=dict)
    """Parameters by node and name."""
    edges: dict[str, UnknownConfig] = field(default_factory=dict)
    """Delays by edge, seconds; each replaces the declared one, and becomes adjustable."""
    signals: dict[str, dict[str, SignalConfig]] = field(default_factory=dict)
    """The outputs to reproduce, by node and name."""
    initial: dict[str, dict[str, InitialConfig]] = field(default_factory=dict)
    """Initial states of simulated nodes, by node and name."""
    replay: list[str] | None = None
    """Nodes that send their recorded messages; None for the supervisor."""
    recordings: list[str] = field(default_factory=list)
    """Runs in addition to `from=RUN`, to be reproduced with the same values."""
    segment: float | None = field(default=None, metadata={"check": positive("seconds")})
    """Seconds after which the simulation restarts from an estimated state, because errors grow; None for never.

    The held-out part restarts as often, from states that are estimated there; constants and delays are not."""
    held_out: float = field(default=0.25, metadata={"check": between(0, 0.9)})
    """Share of each episode, at its end, that is only predicted and not fitted."""
    loss: Literal["linear", "huber", "soft_l1", "cauchy"] = "linear"
    """The loss of an error: `linear` squares it, the others reduce large ones, as in scipy.optimize.least_squares."""
    loss_scale: float = field(default=0.1, metadata={"check": positive("standard deviations of the signal")})
    """The error from which on it counts as large, in standard deviations of its signal."""
    refine: int = field(default=2, metadata={"check": between(0, 20)})
    """Number of further fits, in which each signal is weighted by how small its errors are."""
    optimizer: TargetConfig | None = None
    """A class of `rexcli.identify` and its settings; None for `LevenbergMarquardt`."""


@dataclass(frozen=True)
class DistributedConfig:
    """Several processes that share one training, on one or more machines; see `rexcli.rl.distributed`."""

    coordinator: str | None = None
    """The address of process 0, `host:port`; `auto` if JAX knows the cluster (SLURM, Open MPI); None if this process
    trains alone."""
    processes: int | None = field(default=None, metadata={"check": at_least(1, "processes")})
    """Number of processes; None only with `auto`."""
    process: int | None = field(default=None, metadata={"check": at_least(0, "as this process's number")})
    """Number of this process, from 0; None only with `auto`."""
    timeout: float = field(default=300.0, metadata={"check": at_least(10, "seconds")})
    """Seconds that they wait for one another at the start and at the end."""


@dataclass(frozen=True)
class Experiment:
    """Everything that one YAML file and the command line declare, checked."""

    name: str = field(metadata={"check": folder_name})
    """The name of the folder of its runs."""
    supervisor: str
    """The node from whose point of view the system is stepped."""
    nodes: dict[str, NodeConfig]
    """The nodes by name, in order of declaration."""
    edges: dict[str, Edge] = field(default_factory=dict)
    """The edges by name, in order of declaration; a node's inputs are in this order."""
    env: TargetConfig | None = None
    """The task, for `train`, `eval` and actions that are not the supervisor's own."""
    init_order: list[str] = field(default_factory=list)
    """Nodes to initialise before the others."""
    seed: int = field(default=0, metadata={"check": between(0, 2**32 - 1)})
    """The seed of all random numbers."""
    clock: Literal["simulated", "wall"] = "simulated"
    """`simulated`: sampled delays; `wall`: real time with measured ones."""
    real_time_factor: float = field(default=0.0, metadata={"check": not_negative("times real time")})
    """Pace of the simulated clock: 0 as fast as possible, 1 real time."""
    trusted_targets: list[str] = field(default_factory=list)
    """Packages in addition to `nodes`, `rexcli` and `distrax` that a `_target_` may name."""
    from_run: str | None = field(default=None, metadata={"key": "from"})
    """The run to start from: a folder, `latest` or `latest:COMMAND`; None to simulate a timeline."""
    policy: str | None = None
    """The run whose policy is used: a folder, `latest` or `latest:train`."""
    policy_seed: int | Literal["best", "all"] = field(
        default="best", metadata={"check": at_least(0, "as a seed's number")}
    )
    """The policy of that run: of the seed with the highest return, of the seed with this number, or an ensemble of all:
    the mean of their actions, without noise."""
    delays: str | list[str] | None = None
    """The run of `rex fit` or `rex identify` whose delays replace the declared ones: a folder, or `latest:fit`; of
    several, later ones override earlier ones."""
    params: str | list[str] | None = None
    """The run of `rex identify` whose parameters replace the nodes' own: a folder, or `latest:identify`; of several,
    later ones override earlier ones."""
    randomize: Ranges | None = None
    """What each episode draws for itself; None for nothing."""
    resume: str | None = None
    """The stopped run to resume in its own folder: a folder, `latest` or `latest:train`."""
    action: ActionConfig = field(default_factory=ActionConfig)
    record: RecordConfig = field(default_factory=RecordConfig)
    wall: WallSettings = field(default_factory=WallSettings)
    timeline: TimelineConfig = field(default_factory=TimelineConfig)
    compile: CompileConfig = field(default_factory=CompileConfig)
    rollout: RolloutConfig = field(default_factory=RolloutConfig)
    observation: ObservationConfig = field(default_factory=ObservationConfig)
    ppo: PPOSettings = field(default_factory=PPOSettings)
    eval: EvalConfig = field(default_factory=EvalConfig)
    loggers: dict[str, TargetConfig] = field(default_factory=dict)
    """Loggers of a training's numbers in addition to `metrics.csv`, by name."""
    plots: PlotsConfig = field(default_factory=PlotsConfig)
    fit: FitConfig = field(default_factory=FitConfig)
    importing: ImportConfig = field(default_factory=ImportConfig, metadata={"key": "import"})
    identify: IdentifyConfig = field(default_factory=IdentifyConfig)
    distributed: DistributedConfig = field(default_factory=DistributedConfig)

    origins: Origins = field(default_factory=Origins, compare=False, repr=False, metadata={"internal": True})
    """The file or command line that each key came from, for messages."""
    trust: tuple[str, ...] = field(default=(), compare=False, repr=False, metadata={"internal": True})
    """The part of `trusted_targets` that this user vouched for (not a stranger's config.yaml)."""
    changes: dict[str, tuple[Any, Any]] = field(
        default_factory=dict, compare=False, repr=False, metadata={"internal": True}
    )
    """What the command line changed, by dotted key: the declared and the new value."""
