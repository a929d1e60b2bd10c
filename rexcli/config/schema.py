"""Every key that an experiment may hold, with its type, unit and default. Data only: no JAX, no Hydra.

A field's `key` metadata is its name in YAML where that differs (`from` is a Python keyword); its `check` says what a
value must be beyond its type. Defaults stand here; `conf/base.yaml` shows them.
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
    """Something to make, such as the task or a metric. Keys beside `_target_` are options of its class."""

    target: str = field(metadata={"key": "_target_"})
    """Where the class is, such as `nodes.pendulum.SwingUp`."""
    options: dict[str, Any] = field(default_factory=dict, metadata={"rest": True})
    """Arguments of the class's `__init__`."""


@dataclass(frozen=True)
class NodeConfig(NodeSpec, TargetConfig):
    """A node, and the class of its code. Keys beside those of `NodeSpec` are options of the class."""


@dataclass(frozen=True)
class ActionConfig:
    """Who decides what the supervisor sends, in `record` and `rollout`."""

    source: Literal["node", "constant", "zero", "random", "policy"] | None = None
    """`node`: the supervisor's own `step`; `policy`: the one of `policy=RUN`; the others by the environment; None for
    `policy` where one is given, else `node`."""
    value: float | list[float] = 0.5
    """The action where `source` is `constant`, in the action's own unit; a number serves every dimension."""


@dataclass(frozen=True)
class RecordConfig:
    """How long `rex record` runs, and into which form."""

    steps: int = field(default=300, metadata={"check": at_least(1, "supervisor steps")})
    """Supervisor steps an episode, where `seconds` is not given."""
    episodes: int = field(default=1, metadata={"check": at_least(1, "episodes")})
    """Episodes."""
    seconds: float | None = field(default=None, metadata={"check": positive("seconds")})
    """Length of an episode, seconds; takes the place of `steps`."""
    executor: Literal["auto", "stepper", "program"] = "auto"
    """What runs a simulated system: the stepper, tick by tick, or the compiled program (`rexcli.pipeline.executor`)."""
    format: Literal["mcap"] = "mcap"
    """Form of the recording."""


@dataclass(frozen=True)
class WallSettings:
    """How the wall clock runs."""

    emulate: bool = False
    """Where all nodes are simulated: steps and messages take the declared delays in real time, and messages are lost as
    declared. False: they take what this machine takes."""
    watchdog: float | None = field(default=10.0, metadata={"check": positive("periods")})
    """A step that takes longer than this many periods of its node (and 0.2 s) ends the run; None for any. Time in which
    the whole process stands still counts for no step."""
    nan: Literal["stop", "allow"] = "stop"
    """`stop` ends the run before anybody reads a message with NaN in it; `allow` passes it on."""
    startup_timeout: float | None = field(default=60.0, metadata={"check": positive("seconds")})
    """Seconds that a node's `startup` may take; None for any."""
    stop_timeout: float = field(default=5.0, metadata={"check": positive("seconds")})
    """Seconds that a node's `stop` may take before it is left behind."""
    spin: float = field(default=1e-4, metadata={"check": between(0, 0.01)})
    """Seconds before a step is due that its thread waits awake: more is more punctual, and takes more CPU."""
    priority: int = field(default=10, metadata={"check": between(0, 90)})
    """Of the real-time scheduler where this user may have it (Linux); 0 for the ordinary scheduler."""


@dataclass(frozen=True)
class TimelineConfig:
    """The timeline that `compile`, `rollout` and `train` simulate where they start from no recording."""

    episodes: int = field(default=10, metadata={"check": at_least(1, "episodes")})
    """Episodes, each with delays of its own."""
    steps: int = field(default=300, metadata={"check": at_least(1, "supervisor steps")})
    """Supervisor steps an episode; `train` simulates more if an episode of its task takes more."""


@dataclass(frozen=True)
class CompileConfig:
    """How a timeline becomes a program."""

    mode: Literal["mcs", "generational", "topological"] = "mcs"
    """How the template is found; `mcs` has the fewest slots that go unused."""
    prune: bool = True
    """Leave out steps that cannot reach the supervisor."""
    ahead: int = field(default=0, metadata={"check": at_least(0, "supervisor steps")})
    """How many supervisor steps before its start a step may run, once all that it depends on has. Programs may be
    shorter. Every step reads and sends what it would, and nodes whose states the task looks at do not run ahead."""
    devices: int | Literal["auto"] = field(default="auto", metadata={"check": at_least(1, "devices")})
    """Devices that share a batch; `auto` for all (on CPU: one a core)."""
    skip: Literal["auto", "cond", "mask"] = "auto"
    """How an unused slot is skipped: not run (`cond`), or run and dropped (`mask`); `auto` by backend."""


@dataclass(frozen=True)
class KeepConfig:
    """What a rollout keeps in memory."""

    nodes: list[str] | None = None
    """Node names; None for all."""
    fields: list[Literal["params", "inputs", "state", "output"]] = field(default_factory=lambda: ["state", "output"])
    """Fields of their steps."""
    limit: float | None = field(default=4.0, metadata={"check": positive("GiB")})
    """GiB of all rollouts together, where `nodes` is null: more is thinned by leaving out the largest fields, such as a
    camera's images. Nodes that are named are kept, or refused where they do not fit into memory. None for no limit."""


@dataclass(frozen=True)
class RolloutConfig:
    """How many episodes `rex rollout` runs, and what stays of them."""

    num: int = field(default=10_000, metadata={"check": at_least(1, "rollouts")})
    """Episodes in parallel."""
    steps: int | None = field(default=None, metadata={"check": at_least(1, "supervisor steps")})
    """Supervisor steps; None for as many as the timeline has."""
    keep: KeepConfig = field(default_factory=KeepConfig)
    """What the program records."""
    save: int = field(default=100, metadata={"check": at_least(0, "rollouts")})
    """How many of the rollouts go to `rollouts.npz`."""


@dataclass(frozen=True)
class ObservationConfig:
    """What a policy sees beside what the task's `observe` gives at one tick."""

    history: int = field(default=1, metadata={"check": between(1, 1000)})
    """Observations that it sees at once, those of the last ticks, oldest first. Before there are so many, the first of
    the episode stands in for those that are missing."""
    ages: bool = False
    """It sees how old each message is, s: of every input all that its window holds, oldest first, after all else. A
    message that has not come yet is as old as the episode, counted from the supervisor's first tick."""


@dataclass(frozen=True)
class PPOSettings:
    """Proximal policy optimisation (Schulman et al., 2017)."""

    lr: float = field(default=3e-4, metadata={"check": positive("learning rate")})
    """Adam's learning rate."""
    anneal_lr: bool = False
    """Take `lr` linearly to 0 over the training."""
    num_seeds: int = field(default=1, metadata={"check": at_least(1, "seeds")})
    """Policies trained in parallel, each from a seed of its own."""
    num_envs: int = field(default=128, metadata={"check": at_least(1, "environments")})
    """Environments in parallel, a seed."""
    devices_per_seed: int = field(default=1, metadata={"check": at_least(1, "devices")})
    """Devices that share a seed's environments; gradients and statistics are averaged over them."""
    num_steps: int = field(default=32, metadata={"check": at_least(1, "steps")})
    """Steps of each environment between updates."""
    total_timesteps: int = field(default=1_000_000, metadata={"check": at_least(1, "steps")})
    """Environment steps of the whole training, a seed."""
    update_epochs: int = field(default=4, metadata={"check": at_least(1, "epochs")})
    """Passes over the collected steps an update."""
    num_minibatches: int = field(default=8, metadata={"check": at_least(1, "minibatches")})
    """Parts that a pass is cut into; each is one gradient step."""
    gamma: float = field(default=0.99, metadata={"check": between(0, 1)})
    """Discount a step."""
    gae_lambda: float = field(default=0.95, metadata={"check": between(0, 1)})
    """Lambda of generalised advantage estimation."""
    clip_eps: float = field(default=0.2, metadata={"check": positive("clipping range")})
    """How far the probability ratio may go from 1."""
    clip_vf_eps: float | None = field(default=None, metadata={"check": positive("clipping range")})
    """How far, in units of scaled reward, the critic may go from its guess at collection before its gradient is
    clipped; None for any."""
    target_kl: float | None = field(default=None, metadata={"check": positive("KL divergence")})
    """An update ends before the first gradient step whose minibatch is more than 1.5 times this KL divergence, nat,
    from the policy that collected; None for never."""
    desired_kl: float | None = field(default=None, metadata={"check": positive("KL divergence")})
    """The learning rate, from `lr` on and within 1e-5 and 1e-2, falls by a factor of 1.5 after an epoch with more than
    twice this KL divergence, nat, and rises by it after one with less than half; None for a fixed schedule."""
    ent_coef: float = field(default=0.0, metadata={"check": not_negative("weight")})
    """Weight of the entropy bonus."""
    vf_coef: float = field(default=0.5, metadata={"check": not_negative("weight")})
    """Weight of the value loss."""
    max_grad_norm: float = field(default=0.5, metadata={"check": positive("norm")})
    """Gradients are scaled down to this global norm."""
    num_hidden_layers: int = field(default=2, metadata={"check": between(0, 64)})
    """Hidden layers of policy and value network."""
    num_hidden_units: int = field(default=64, metadata={"check": between(1, 2**20)})
    """Units a hidden layer."""
    hidden_activation: Activation = "tanh"
    """Activation of the hidden layers."""
    kernel_init: KernelInit = "orthogonal"
    """How weights start."""
    memory: Memory = "none"
    """`gru`: policy and value network each have a gated recurrent unit (Cho et al., 2014), whose state their hidden
    layers see beside the observation. An episode begins with zeros. Minibatches are whole sequences of `num_steps`, and
    gradients go back through all of one."""
    memory_units: int = field(default=64, metadata={"check": between(1, 2**20)})
    """Size of that state."""
    critic: Literal["observation", "privileged"] = "observation"
    """What the value network sees: what the policy sees, or also what the task's `privileged` gives, which only a
    simulator knows. Policies do without it."""
    state_independent_std: bool = True
    """One standard deviation an action dimension, whatever the observation; else a network output. Without effect
    where actions are discrete."""
    squash: bool = True
    """Actions go through tanh into the action space; else they are clipped. Without effect where they are discrete."""
    normalize_obs: bool = True
    """Observations are scaled by running mean and variance (saved with the policy)."""
    normalize_reward: bool = True
    """Rewards are scaled by the running deviation of the discounted return."""
    fixed_init: bool = False
    """Every reset of an environment gives the state that it started the training from."""
    offset_step: bool = True
    """Environments begin as if under way, so that they do not all end together; their first episodes are shorter."""
    num_eval_envs: int = field(default=20, metadata={"check": at_least(1, "environments")})
    """Environments of an evaluation."""
    num_evals: int = field(default=20, metadata={"check": at_least(1, "evaluations")})
    """Evaluations, spread evenly over the training."""


@dataclass(frozen=True)
class EvalConfig:
    """How policies are judged, by `rex eval` and while they train."""

    episodes: int = field(default=1_000, metadata={"check": at_least(1, "episodes")})
    """Episodes, each from a random start."""
    seconds: float = field(default=5.0, metadata={"check": positive("seconds")})
    """Length of an episode, seconds."""
    metrics: dict[str, TargetConfig] = field(default_factory=dict)
    """By name, what is made of each episode beside its return and length, such as `rexcli.rl.metrics.Always`."""


def _file_names(names: dict[str, str]) -> str | None:
    """For names that become names of files."""
    return next((fix for name in names if (fix := folder_name(name))), None)


@dataclass(frozen=True)
class PlotsConfig:
    """What pictures know of an experiment beside what it is made of."""

    pictures: dict[str, str] = field(default_factory=dict, metadata={"check": _file_names})
    """Pictures that the project brings: by name, where the class is, such as `nodes.pendulum.picture.Pendulum`."""
    angles: list[str] = field(default_factory=list)
    """Patterns of quantities that are angles, rad, such as `world/state/th`; they are drawn within ±pi."""


@dataclass(frozen=True)
class FitConfig:
    """How `rex fit` makes distributions of measured delays."""

    families: list[Literal["constant", "truncated_normal", "log_normal", "gamma", "mixture"]] = field(
        default_factory=lambda: ["constant", "truncated_normal", "log_normal", "gamma", "mixture"]
    )
    """Candidates, of which each delay gets the one with the best BIC."""
    components: int = field(default=3, metadata={"check": between(2, 10)})
    """Parts of a mixture at most."""
    resolution: float = field(default=1e-6, metadata={"check": positive("seconds")})
    """What the clock can tell apart, seconds: delays that spread less are constant."""


def _zeros(times: list[int]) -> str | None:
    return None if all(abs(time) < 2**62 for time in times) else "give nanoseconds"


@dataclass(frozen=True)
class ImportNode:
    """Where a node is in a log: one message of its topic is one of its steps.

    A stamp is a field, such as `header.stamp`; `log`, when the recorder noted the message; or `publish`, when its
    sender sent it, where the log says so.
    """

    topic: str | None = None
    """The topic (of tables: the file's name without its ending); None for the only one."""
    output: Any = None
    """What the step sent: a field, a list of fields for a vector, or a mapping of these by key; `{field, dtype, shape}`
    casts and shapes one."""
    state: Any = None
    """The same for the state that the step left, where the log has it."""
    params: Any = None
    """The same for the parameters that the step saw."""
    inputs: Any = None
    """The same for the messages that the step saw."""
    capture: str | None = None
    """The stamp at which the step started, such as when a sensor took its sample; None where the log does not say."""
    send: str | None = None
    """The stamp at which it sent its output; None for `log` without a `capture`, else for its declared delay later."""
    seq: str | None = None
    """A field that numbers the messages, by which those of edges find them; None to count."""
    clock: str | None = None
    """The clock of its stamps, where that is not the recorder's; see `clocks`."""
    unit: Literal["s", "ms", "us", "ns"] | None = None
    """Of stamps that are plain numbers; None for seconds where they are real and nanoseconds where whole."""


@dataclass(frozen=True)
class LagConfig:
    """A delay that no stamp tells: how long after a command the response to it is seen."""

    command: str
    """A field of the sender's topic."""
    response: str
    """A field of the reader's topic that follows the command."""
    max: float = field(default=1.0, metadata={"check": positive("seconds")})
    """Seconds that it may take at most."""


@dataclass(frozen=True)
class ImportEdge:
    """Where the messages of an edge are in a log, as they were received."""

    topic: str | None = None
    """The topic; None for that of the sender itself, as a recorder beside the reader notes it."""
    receive: str | None = None
    """The stamp at which a message arrived; None where the log does not say: its declared delay after it was sent."""
    send: str | None = None
    """In another topic than the sender's: a copy of the sender's stamp, by which its message is found."""
    seq: str | None = None
    """Or the field that numbers it as the sender's `seq` does; without both, messages are paired in their order."""
    reader: str | None = None
    """A field with the reader's number of the step that read it, -1 for none; None to infer it."""
    lag: LagConfig | None = None
    """Or the two signals between which its delay is seen."""
    unit: Literal["s", "ms", "us", "ns"] | None = None
    """Of stamps that are plain numbers, as for nodes."""


@dataclass(frozen=True)
class ClockConfig:
    """What to add to the stamps of a clock; each None is estimated from the messages between it and the others."""

    offset: float | None = None
    """Seconds, at the first stamp."""
    drift: float | None = None
    """Seconds a second."""


@dataclass(frozen=True)
class ImportConfig:
    """What `rex import` finds where in a log that another program wrote."""

    nodes: dict[str, ImportNode] = field(default_factory=dict)
    """By node; those that a log does not have are left out, and simulated where a timeline needs them."""
    edges: dict[str, ImportEdge] = field(default_factory=dict)
    """By edge; of the others between these nodes, arrivals are inferred from their declared delays."""
    clocks: dict[str, ClockConfig] = field(default_factory=dict)
    """By the names that nodes give them; those that are not listed are estimated."""
    episode: str | None = None
    """A field of every topic that numbers episodes; None for a single one."""
    zero: list[int] | None = field(default=None, metadata={"check": _zeros})
    """When each episode begins, ns on the recorder's clock; None for its first stamp."""


@dataclass(frozen=True)
class UnknownConfig:
    """A number that `rex identify` looks for, or that follows from others: a parameter of a node, an edge's delay."""

    low: float | None = None
    """The least that it can be, in its own unit (delays: seconds)."""
    high: float | None = None
    """The most that it can be."""
    init: float | None = None
    """Where the search begins; None for the middle."""
    log: bool = False
    """Search its logarithm, for what is known to an order of magnitude only."""
    fixed: float | None = None
    """Hold it at this value."""
    share: str | None = None
    """Give it the value of another one: `world.mass`, `edges.actuator_world.delay`."""
    scale: float = 1.0
    """With `share`: times this."""
    offset: float = 0.0
    """With `share`: plus this."""
    interpolation: Literal["latest", "linear", "hold"] = "hold"
    """Of an edge's delay: what its reader sees between two messages, see `rexcli.AdjustableDelay`. `hold` of a command,
    which is held until the next one comes; `linear` of samples of what changes all the time, a simulated world's."""
    path: str | None = None
    """Of a parameter: its name with dots, where it lies inside of another; None for the key under which this stands."""


@dataclass(frozen=True)
class SignalConfig:
    """A recorded output that the simulated one shall reproduce."""

    weight: float = field(default=1.0, metadata={"check": positive("weight")})
    """Of its errors, relative to those of other signals."""
    angle: bool | None = None
    """An angle, rad: differences are taken within ±pi. None: as `plots.angles` says."""
    path: str | None = None
    """Its name with dots, where it lies inside of another; "" for a node that sends a bare array; None for the key
    under which this stands."""


@dataclass(frozen=True)
class InitialConfig:
    """A state of a simulated node at the start of the recording, and of each segment."""

    of: str | None = field(default=None, metadata={"key": "from"})
    """The signal, `sensor.th`, whose recorded value it begins with; None for what the node's `init_state` gives."""
    derivative: bool = False
    """Whether it begins with how fast that signal changed, of speeds that no sensor shows."""
    estimate: bool = True
    """Whether its deviation from that is estimated too."""
    spread: float | None = field(default=None, metadata={"check": positive("its unit")})
    """The deviation that is to be expected, in its own unit; None for half of the signal's, or of its slope's."""
    path: str | None = None
    """Its name with dots, where it lies inside of another; None for the key under which this stands."""


@dataclass(frozen=True)
class IdentifyConfig:
    """What `rex identify` looks for, and in what."""

    nodes: dict[str, dict[str, UnknownConfig]] = field(default_factory=dict)
    """Parameters by node and name."""
    edges: dict[str, UnknownConfig] = field(default_factory=dict)
    """Delays by edge, seconds; each takes the place of the declared one, and becomes adjustable."""
    signals: dict[str, dict[str, SignalConfig]] = field(default_factory=dict)
    """What is to be reproduced: outputs by node and name."""
    initial: dict[str, dict[str, InitialConfig]] = field(default_factory=dict)
    """States of simulated nodes by node and name."""
    replay: list[str] | None = None
    """Nodes that send what they sent in the recording; None for the supervisor."""
    recordings: list[str] = field(default_factory=list)
    """More runs beside `from=RUN`, to be reproduced with the same values."""
    segment: float | None = field(default=None, metadata={"check": positive("seconds")})
    """Seconds after which the simulation begins anew from a state of its own, as errors grow; None: never.

    What is held out begins anew as often, from states that are estimated there; constants and delays are not."""
    held_out: float = field(default=0.25, metadata={"check": between(0, 0.9)})
    """Share of each episode, at its end, that is predicted and not fitted."""
    loss: Literal["linear", "huber", "soft_l1", "cauchy"] = "linear"
    """Of an error: `linear` squares it, the others count large ones less, as in scipy.optimize.least_squares."""
    loss_scale: float = field(default=0.1, metadata={"check": positive("standard deviations of the signal")})
    """From where on an error counts as large, in standard deviations of its signal."""
    refine: int = field(default=2, metadata={"check": between(0, 20)})
    """Fits after the first in which each signal counts as its errors are small: as often as this."""
    optimizer: TargetConfig | None = None
    """A class of `rexcli.identify` and its settings; None for `LevenbergMarquardt`."""


@dataclass(frozen=True)
class DistributedConfig:
    """Several processes that share one training, on one machine or many; see `rexcli.rl.distributed`."""

    coordinator: str | None = None
    """Where process 0 is reached, `host:port`; `auto` where JAX knows the cluster (SLURM, Open MPI); None: this process
    trains alone."""
    processes: int | None = field(default=None, metadata={"check": at_least(1, "processes")})
    """How many there are; None only with `auto`."""
    process: int | None = field(default=None, metadata={"check": at_least(0, "as this process's number")})
    """Which of them this is, from 0; None only with `auto`."""
    timeout: float = field(default=300.0, metadata={"check": at_least(10, "seconds")})
    """Seconds that they wait for one another at the start and at the end."""


@dataclass(frozen=True)
class Experiment:
    """All that one YAML file and the command line declare, checked."""

    name: str = field(metadata={"check": folder_name})
    """Names the folder of its runs."""
    supervisor: str
    """The node from whose point of view the system is stepped."""
    nodes: dict[str, NodeConfig]
    """By name, in order of declaration."""
    edges: dict[str, Edge] = field(default_factory=dict)
    """By name, in order of declaration; a node's inputs come in this order."""
    env: TargetConfig | None = None
    """The task, for `train`, `eval` and actions that are not the supervisor's own."""
    init_order: list[str] = field(default_factory=list)
    """Nodes to initialise before the others."""
    seed: int = field(default=0, metadata={"check": between(0, 2**32 - 1)})
    """From which all random numbers come."""
    clock: Literal["simulated", "wall"] = "simulated"
    """`simulated`: sampled delays; `wall`: real time with measured ones."""
    real_time_factor: float = field(default=0.0, metadata={"check": not_negative("times real time")})
    """Pace of the simulated clock: 0 as fast as possible, 1 real time."""
    trusted_targets: list[str] = field(default_factory=list)
    """Packages beside `nodes`, `rexcli` and `distrax` that a `_target_` may name."""
    from_run: str | None = field(default=None, metadata={"key": "from"})
    """The run to start from: a folder, `latest` or `latest:COMMAND`; None to simulate a timeline."""
    policy: str | None = None
    """The run whose policy acts: a folder, `latest` or `latest:train`."""
    policy_seed: int | Literal["best", "all"] = field(
        default="best", metadata={"check": at_least(0, "as a seed's number")}
    )
    """Which policy of that run: of the seed with the highest return, of the seed with this number, or all together:
    the mean of their actions, without noise."""
    delays: str | list[str] | None = None
    """The run of `rex fit` or `rex identify` whose delays take the place of the declared ones: a folder, or
    `latest:fit`; of several, later ones go first."""
    params: str | list[str] | None = None
    """The run of `rex identify` whose parameters take the place of the nodes' own: a folder, or `latest:identify`; of
    several, later ones go first."""
    randomize: Ranges | None = None
    """What each episode draws for itself; None for nothing."""
    resume: str | None = None
    """The stopped run to go on with, in its own folder: a folder, `latest` or `latest:train`."""
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
    """Where a training's numbers go beside `metrics.csv`, by name."""
    plots: PlotsConfig = field(default_factory=PlotsConfig)
    fit: FitConfig = field(default_factory=FitConfig)
    importing: ImportConfig = field(default_factory=ImportConfig, metadata={"key": "import"})
    identify: IdentifyConfig = field(default_factory=IdentifyConfig)
    distributed: DistributedConfig = field(default_factory=DistributedConfig)

    origins: Origins = field(default_factory=Origins, compare=False, repr=False, metadata={"internal": True})
    """Which file or command line each key came from, for messages."""
    trust: tuple[str, ...] = field(default=(), compare=False, repr=False, metadata={"internal": True})
    """The part of `trusted_targets` that this user vouched for (not a stranger's config.yaml)."""
    changes: dict[str, tuple[Any, Any]] = field(
        default_factory=dict, compare=False, repr=False, metadata={"internal": True}
    )
    """What the command line changed, by dotted key: what the files declare, and what is in its place."""
