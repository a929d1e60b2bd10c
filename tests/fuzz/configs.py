"""Experiments and command lines with mistakes in them."""

from __future__ import annotations

import random
from typing import Any

import yaml

from tests.fuzz.case import Case
from tests.fuzz.driver import Laboratory
from tests.fuzz.mutations import VALUES, changed_bytes, changed_tree, paths_of

DOCUMENTS: tuple[bytes, ...] = (
    b"",
    b"\xff\xfe" + "name: x\n".encode("utf-16-le"),
    b"name: caf\xe9\n",
    b"name: a\0b\n",
    b"- 1\n- 2\n",
    b"just words\n",
    b"3\n",
    b"null\n",
    b"a: 1\n---\nb: 2\n",
    b"---\n---\n---\n",
    b"a: [\n",
    b"\tname: x\n",
    b"%YAML 9.9\n---\na: 1\n",
    b"x: &x {y: *x}\n",
    b"x: &x [*x]\n",
    b"defaults: [base, _self_]\n<<: &x {<<: *x}\n",
    b"a: *nowhere\n",
    b"a: 1\na: 2\n",
    b"? {a: 1}\n: 2\n",
    b"? [a]\n: 2\n",
    b"!!python/object/apply:os.system ['true']\n",
    b"x: !!python/name:os.system\n",
    b"x: !!binary aGk=\n",
    b"x: !!set {a, b}\n",
    b"x: 2001-01-01\n",
    b"x: !mine 3\n",
    b"x: " + b"[" * 5000 + b"]" * 5000 + b"\n",
    b"x: " + b"{a: " * 3000 + b"1" + b"}" * 3000 + b"\n",
    b"x: ${x}\n",
    b"x: ${y}\ny: ${x}\n",
    b"name: ${oc.env:NO_SUCH_VARIABLE}\n",
    b"name: ${" * 500 + b"}" * 500 + b"\n",
    b"seed: " + b"9" * 5000 + b"\n",
    b"defaults: base\n",
    b"defaults: {base: 1}\n",
    b"defaults: [1]\n",
    b"defaults: [null]\n",
    b"defaults: [[base]]\n",
    b"defaults: [{ppo: [a, b]}]\n",
    b"defaults: [{ppo: 1}]\n",
    b"defaults: [{ppo: null}]\n",
    b"defaults: [{ppo: {a: b}}]\n",
    b"defaults: [{a: b, c: d}]\n",
    b"defaults: [nowhere]\n",
    b"defaults: [{nowhere: x}]\n",
    b"defaults: [pendulum]\n",
    b"defaults: [fuzz, _self_]\n",
    b"defaults: [_self_, _self_]\n",
    b"defaults: [base, base]\n",
    b"defaults: [{override ppo: tutorial}]\n",
    b"defaults: [{optional ppo: nowhere}]\n",
    b"defaults: ['${x}']\n",
    b"defaults: [../../../etc/passwd]\n",
    b"defaults: [base, 'ppo@x.y: default']\n",
    b"# @package nowhere\nseed: 1\n",
    b"# @package _global_\ndefaults: [pendulum]\n",
    b"hydra: 3\ndefaults: [pendulum]\n",
    b"defaults: [pendulum]\nhydra: {run: {dir: 7}}\n",
    b"laughs:\n  a0: &a0 [x, x, x, x, x, x, x, x, x]\n"
    + b"".join(f"  a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]\n".encode() for i in range(1, 12)),
)
"""Files that are no experiments, or only nearly."""

OVERRIDES: tuple[str, ...] = (
    "seed=7",
    "nodes.agent.rate=25",
    "nodes.sensor.delay={_target_:distrax.Uniform,low:0.0,high:0.01}",
    "edges.sensor_agent.window=2",
    "ppo=tutorial",
    "ppo.lr=1e-4",
    "~edges.sensor_agent",
    "~nodes.sensor",
    "~nodes",
    "~nodes={}",
    "+nodes.more={_target_:nodes.pendulum.Sensor,rate:50}",
    "++timeline.steps=5",
    "init_order=[agent,world]",
    "supervisor=world",
    "env._target_=nodes.pendulum.SwingUp",
    "eval.metrics.hold.last=0.5",
    "eval.metrics.hold.above={upright:0.9}",
    "name='a b'",
    'name="a"',
    "rollout.keep.nodes=[world]",
    "from=latest",
    "policy=latest:train",
    "resume=latest",
    "action.value=[1,2]",
    "clock=wall",
    "launcher=joblib",
    "sweeper=optuna",
    "hydra.verbose=true",
    "hydra/launcher=basic",
    "ppo@x=default",
    "nodes.agent.record.state=false",
    "trusted_targets=[os]",
    "randomize={nodes:{world:{inertia:{low:1e-4,high:3e-4,log:true}}}}",
    "randomize={edges:{actuator_world:{mean:0.01,std:0.005,low:0.0}},computation:{sensor:{low:1,high:2,operation:scale}}}",
    "randomize.posterior=latest:identify",
    "nodes.sensor.replicas=3",
    "nodes.sensor.group=eyes",
    "edges.sensor_agent.connect=all",
    "edges.actuator_world.wrap=true",
    "edges.sensor_agent.loss={_target_:rexcli.GilbertElliott,share:0.1,burst:3}",
    "edges.sensor_agent.reorder=true",
    "edges.actuator_world.delay={_target_:rexcli.AdjustableDelay,low:0.0,high:0.05,interpolation:linear}",
    "edges.actuator_world.delay={_target_:rexcli.Mixture,delays:[0.1,{_target_:rexcli.Gamma,concentration:2,rate:99}],weights:[1,1]}",
    "edges.actuator_world.delay={_target_:rexcli.Correlated,delay:{_target_:rexcli.LogNormal,loc:-4,scale:1},correlation:0.9}",
    "nodes.world.params={inertia:2e-4}",
    "observation.history=4",
    "observation.ages=true",
    "ppo.memory=gru",
    "ppo.memory_units=8",
    "ppo.critic=privileged",
    "ppo.target_kl=0.02",
    "policy_seed=all",
    "rollout.keep.limit=0.5",
    "rollout.keep.fields=[state,output]",
    "loggers=[tensorboard,wandb]",
    "loggers={lines:{_target_:nodes.mine.Lines}}",
    "loggers.wandb.mode=offline",
    "delays=latest:fit",
    "delays=[latest:fit,latest:identify]",
    "params=latest:identify",
    "fit.families=[gamma,mixture]",
    "identify/optimizer=cma",
    "identify.optimizer.restarts=2",
    "identify.nodes={world:{inertia:{low:1e-4,high:3e-4,init:2e-4,log:true}}}",
    "identify.signals={sensor:{th:{weight:2,angle:true}}}",
    "identify.held_out=0.5",
    "import.nodes={sensor:{topic:/joint,capture:header.stamp,output:{th:position[elbow]}}}",
    "import.clocks={robot:{offset:0.1,drift:0}}",
    "wall.emulate=true",
    "distributed.timeout=10",
    "plots.pictures.mine=nodes.canary.Canary",
    "timeline.episodes=3",
    "compile.ahead=2",
    "nodes.world.engine=mjx",
    "nodes.world.parameters={load:body_mass.load}",
    "nodes.world.actuators.elbow=agent.1",
    "nodes.world.motors={elbow:4.0}",
    "nodes.world.qpos={shoulder:{low:-0.5,high:0.5}}",
)
"""Overrides that a person types; most are right."""

UNLIKELY = "eval.metrics.nothing={_target_:rexcli.rl.metrics.Mean,of:nothing}"
"""Is refused by what trains and evaluates once all else was read and before anything is made."""

SIGNS = "=,.~+@{}[]()'\"\\:${}/ \t\n-0e" + "ü\u202e\udcff\U0001f600"
WRAPPERS = (
    "choice(1,2)",
    "range(0,1)",
    "range(0,1e300)",
    "range(1,2,0)",
    "range(0,1000000000000)",
    "interval(0,1)",
    "glob(*)",
    "sort(3,2,1)",
    "shuffle(1,2)",
    "tag(a,1)",
    "int(x)",
    "float(1e999)",
    "json_str({a:1})",
    "extend_list(1)",
    "str(" * 200,
    "[" * 2000,
    "{a:" * 400,
    "1,2",
)
FLAGS = (
    ("--cfg", "job"),
    ("--cfg", "hydra"),
    ("--cfg", "all"),
    ("--cfg", "x"),
    ("--cfg", "job", "--resolve"),
    ("--cfg", "job", "--package", "nodes.nowhere"),
    ("--info",),
    ("--info", "defaults"),
    ("--info", "x"),
    ("--config-dir", "nowhere"),
    ("--config-dir", "conf"),
    ("--config-name", "nowhere"),
    ("--sort", "x"),
    ("--quiet",),
    ("--json",),
    ("--nope",),
    ("-m",),
    ("--profile", "trace.json"),
    ("--profile", "nowhere/trace.json"),
    ("--profile", "conf"),
    ("--profile", ""),
    ("--profile",),
    ("--profile=trace.json",),
    ("--dry-run",),
    ("--out", "conf"),
)
COMMANDS = (
    ("ls", "nowhere"),
    ("ls", "--sort", "x"),
    ("ls", "conf/base.yaml"),
    ("plot", "latest"),
    ("plot", "conf"),
    ("export", "latest", "--to", "x"),
    ("export", ""),
    ("export", "\udcff"),
    ("eval", "latest"),
    ("init", "."),
    ("init", "conf/base.yaml/x"),
    ("init", "/proc/nowhere"),
    ("init", "a", "--example", ""),
    ("init", "a", "--example", "pendulun"),
    ("init", "a", "--example"),
    ("new",),
    ("new", "node"),
    ("new", "nod", "a"),
    ("new", "node", "canary"),
    ("new", "node", "\udcff"),
    ("new", "node", "../a"),
    ("new", "task", "class"),
    ("new", "task", "a" * 70_000),
    ("new", "task", "A b"),
    ("doctor", "x"),
    ("doctor", "--fast"),
    ("record", "--dry-run"),
    ("record", "--dry-run", "-m", "seed=1,2"),
    ("record", "clock=wall", "--dry-run", "record.steps=-1"),
    ("record", "clock=wall", "--dry-run", "wall.emulate=maybe"),
    ("record", "clock=wall", "wall.emulate=true", "--dry-run", "real_time_factor=2"),
    ("rollout", "--dry-run"),
    ("identify", "nowhere"),
    ("report", "nowhere"),
    ("diff", "latest"),
    ("identify", "latest", "conf=pendulum", "identify.nodes={}"),
    ("identify",),
    ("identify", "conf=wide", "from=nowhere"),
    ("identify", "a", "b"),
    ("report",),
    ("report", "conf"),
    ("report", "latest", "--out", "/proc/nowhere/x.html"),
    ("diff", "nowhere", "latest"),
    ("diff", "conf", "\udcff"),
    ("diff", "latest", "latest", "--json"),
    ("fit", "latest"),
    ("fit", "conf", "fit.families=[x]"),
    ("fit", ""),
    ("import",),
    ("import", "nowhere"),
    ("import", "conf"),
    ("import", "conf/base.yaml", "conf=wide"),
    ("import", "nodes", "conf=wide", "import.nodes={}"),
    ("import", "\udcff", "conf=wide"),
    ("export", "latest", "--to", "lerobot", "--storage", "mcap"),
    ("export", "latest", "--to", "rosbag2", "--storage", "x"),
    ("export", "latest", "--out", "conf/base.yaml/x", "--to", "parquet"),
    ("eval", "latest", "policy_seed=x"),
    ("eval", "conf", "eval.episodes=0"),
    ("ls", "hold>x", "since=2x"),
    ("ls", "hold>", "--columns", "x,,y"),
    ("ls", "since=-1d", "status=", "=", ">"),
    ("ls", "ppo.lr=1e-3", "steps<=10", "a!=b", "--columns", "all"),
    ("ls", "since=99999999999d"),
    ("plot", "latest", "--watch", "--format", "x"),
    ("plot", "latest", "--group", "x"),
    ("plot", "latest", "--max-rows", "-1", "--episode", "x"),
    ("train", "resume=latest:train"),
    ("train", "conf=wide", "resume=conf"),
    ("train", "-m", "seed=1,2", "resume=latest"),
    ("train", "-m", "conf=pendulum", "seed=1,2", "nodes.nope=1"),
    ("train", "loggers=[nope]"),
    ("rollout", "conf=wide", "rollout.keep.limit=-1"),
    ("rollout", "conf=wide", "rollout.keep.nodes=[nope]"),
    ("--profile", "x"),
    ("shwo",),
    ("show", "conf="),
    ("show", "conf=../conf/pendulum"),
    ("show", "conf=/etc/passwd"),
    ("show", "conf=" + "a" * 70_000),
    ("show", "conf=a\nb"),
    ("show", "conf=a,b"),
    ("show", "conf=\udcff"),
)


def make(rng: random.Random, laboratory: Laboratory) -> Case:
    """A file or a command line."""
    return rng.choice((_bytes, _tree, _tree, _tree, _document, _override, _override, _override, _command))(
        rng, laboratory
    )


def _of_file(rng: random.Random, name: str, content: bytes, laboratory: Laboratory) -> Case:
    words = ["show", f"conf={name.removeprefix('conf/').removesuffix('.yaml')}"]
    if name not in ("conf/fuzz.yaml", *(f"conf/{each}.yaml" for each in laboratory.experiments)):
        words = ["show", f"conf={rng.choice(laboratory.experiments)}"]
    if rng.random() < 0.4:
        words += rng.choice(FLAGS)
    return Case("config", tuple(words), {name: content}, names=("conf/", "command line", "option"))


def _bytes(rng: random.Random, laboratory: Laboratory) -> Case:
    name = _file(rng, laboratory)
    return _of_file(rng, name, changed_bytes(rng, laboratory.conf[name]), laboratory)


def _tree(rng: random.Random, laboratory: Laboratory) -> Case:
    name = _file(rng, laboratory)
    tree = yaml.safe_load(laboratory.conf[name])
    return _of_file(rng, name, yaml.safe_dump(changed_tree(rng, tree), sort_keys=False).encode(), laboratory)


def _file(rng: random.Random, laboratory: Laboratory) -> str:
    names = (*laboratory.experiments, *laboratory.experiments, "base", "ppo/swingup", "loggers/wandb")
    return f"conf/{rng.choice(names)}.yaml"


def _document(rng: random.Random, laboratory: Laboratory) -> Case:
    content = rng.choice(DOCUMENTS)
    if rng.random() < 0.5:
        return _of_file(rng, "conf/fuzz.yaml", content, laboratory)
    name = rng.choice(("conf/base.yaml", "conf/pendulum.yaml", "conf/ppo/swingup.yaml", "conf/default.yaml"))
    return _of_file(rng, name, content if rng.random() < 0.5 else laboratory.conf[name] + content, laboratory)


def _override(rng: random.Random, laboratory: Laboratory) -> Case:
    words = ["show", f"conf={rng.choice(laboratory.experiments)}"]
    for _ in range(rng.choice((1, 1, 2))):
        words.append(rng.choice((_typo, _typo, _value))(rng, laboratory))
    if rng.random() < 0.2:
        words += rng.choice(FLAGS)
    if rng.random() < 0.1:
        words[0] = "compile"
        words += ["timeline.episodes=1", "timeline.steps=3"]
    elif rng.random() < 0.2:  # refused once all else was read, before anything is computed
        words[0] = rng.choice(("train", "train", "rollout"))
        words.append("policy=nowhere" if words[0] == "rollout" else UNLIKELY)
    names = ("command line", "conf/", "outputs", "latest", "option", "node '", "nodes.", "edge '", "edges.")
    return Case("config", tuple(words), names=names)


def _typo(rng: random.Random, laboratory: Laboratory) -> str:
    text = rng.choice(OVERRIDES)
    for _ in range(rng.choice((0, 1, 1, 2, 4))):
        at = rng.randrange(len(text) + 1)
        change = rng.choice(("insert", "remove", "wrap", "double"))
        if change == "insert":
            text = text[:at] + rng.choice(SIGNS) + text[at:]
        elif change == "remove":
            text = text[:at] + text[at + 1 :]
        elif change == "wrap":
            text = f"{text.partition('=')[0]}={rng.choice(WRAPPERS)}"
        else:
            text = text[:at] + text[at:] * 2
    return text


def _value(rng: random.Random, laboratory: Laboratory) -> str:
    name = rng.choice(("base", "ppo/default", *laboratory.experiments))
    tree: Any = yaml.safe_load(laboratory.conf[f"conf/{name}.yaml"])
    tree = {"ppo": tree} if name == "ppo/default" else tree
    key = ".".join(str(part) for part in rng.choice(list(paths_of(tree))))
    value = rng.choice(VALUES)
    shown = {None: "null", True: "true", False: "false"}.get(value) if isinstance(value, bool | None) else None
    return f"{rng.choice(('', '', '', '+', '++', '~'))}{key}={shown or str(value).replace(': ', ':')}"


def _command(rng: random.Random, laboratory: Laboratory) -> Case:
    words = list(rng.choice(COMMANDS))
    if rng.random() < 0.5:
        words.insert(rng.randrange(1, len(words) + 1), rng.choice((*FLAGS, ("",), ("--",), ("-h",), ("x=1",)))[0])
    return Case("config", tuple(words))
