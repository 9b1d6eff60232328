"""`isthmus deploy`: the processes that `ros2 launch isthmus_bringup deploy.launch.py` starts, without a ROS distribution.

Its options are made from the table of `isthmus_bringup.arguments`, which the launch files read too.
"""

from __future__ import annotations

import contextlib
import dataclasses
import signal
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

import tyro

from isthmus.contract import Contract
from isthmus.numerals import number_text
from isthmus.robot import Robot
from isthmus_bringup.arguments import ARGUMENTS, Argument, Value, arguments_of
from isthmus_bringup.plan import Plan, plan
from isthmus_cli.console import complain, say
from isthmus_cli.deploy.typed_inputs import read_inputs
from isthmus_cli.files import TRAINED, check_folder, check_policy_file, load_artifact

__all__ = ["Deploy", "calibrated_plan"]

_ACCEPT = 10.0  # s within which arming and starting must be accepted
_SERVICES = (
    ("arm", 'guard/arm std_srvs/srv/SetBool "{data: true}"'),
    ("start", "policy/start std_srvs/srv/Trigger"),
    ("stop", "policy/stop std_srvs/srv/Trigger"),
)


def _option(argument: Argument) -> tuple[str, Any, Any]:
    """A field of the command's dataclass; None means that the use's own default holds."""
    if isinstance(argument.default, bool):
        return argument.name, Annotated[bool, tyro.conf.arg(help=f"{argument.description}.")], dataclasses.field(default=False)
    kind: Any = float if isinstance(argument.default, float) else str
    use, only = ("deploy", "") if "deploy" in argument.uses else ("sim", " With --sim only.")
    described = Annotated[kind | None, tyro.conf.arg(help=f"{argument.help_for(use)}.{only}")]
    return argument.name, described, dataclasses.field(default=None)


def _switch(description: str) -> Any:
    return Annotated[bool, tyro.conf.arg(help=description)]


_OPTIONS = tuple(argument for argument in ARGUMENTS if argument.name not in ("policy", "autostart", "sim"))


def _run(command: Any) -> int:
    """Run the command.

    Returns:
        0 after Ctrl-C or an exploration that ends parked, 1 if it does not, if what --start began was stopped, or if a node refused or ended by
        itself.

    Raises:
        ValueError: an option is wrong or not supported; nothing has started then.
    """
    if command.policy is None and (command.explore or not command.sim):
        raise ValueError("name a policy file; only isthmus deploy --sim brings its own")
    policy = command.policy or TRAINED
    given: dict[str, Value] = {"policy": str(policy)}
    for argument in _OPTIONS:
        value = getattr(command, argument.name)
        if value is not None and value is not False:
            given[argument.name] = value
    if command.sim:
        given["autostart"] = True
    if command.explore:
        given["sim"] = command.sim
    check_policy_file(policy)  # before the plan, which knows no folder of a training and no name of a robot
    use = "identify" if command.explore else "sim" if command.sim else "deploy"
    if foreign := sorted(given.keys() - {argument.name for argument in arguments_of(use)}):
        other = "without --sim" if use == "deploy" else f"with --{'explore' if command.explore else 'sim'}"
        raise ValueError(f"--{foreign[0].replace('_', '-')} has no use {other}")
    planned = plan(use, given)
    if command.calibration:
        planned = calibrated_plan(planned, command.calibration, command.sim)
    artifact = load_artifact(policy)
    robot = planned.robot
    inputs = read_inputs(command.inputs, artifact.contract)
    if command.start and (missing := [found.name for found in artifact.contract.inputs if found.name not in inputs]):
        raise ValueError(f"--start needs a value of input {missing[0]!r}: --inputs {missing[0]}=…")
    if command.log_dir:
        check_folder(Path(command.log_dir).expanduser())
    if command.traces:
        check_folder(Path(command.traces).parent)
    assert robot is not None and robot.ros is not None, "the plan has seen to it"  # noqa: S101, PT018
    from isthmus_cli.deploy.node_graph import NodeGraph
    from isthmus_ros.common import wire
    from isthmus_ros.common.output import never_waiting
    from isthmus_ros.evaluation.processes import RosError

    state_topic = wire.joined(planned.namespace, robot.ros.state_topic)
    with never_waiting(), _interruptible() as interruption:
        try:
            with NodeGraph(planned, state_topic, [interruption]) as graph:
                well = _carry_out(graph, command, artifact.contract, robot, inputs)
        except RosError as error:
            complain(f"isthmus: {error}")
            return 1
    for failure in graph.failures:
        complain(f"isthmus: {failure}")
    return 0 if well and not graph.failures else 1


Deploy = dataclasses.make_dataclass(
    "Deploy",
    [
        (
            "policy",
            Annotated[
                Path | None,
                tyro.conf.Positional,
                tyro.conf.arg(
                    metavar="[POLICY]", help="policy file; with --sim it may be left out: a small trained one for reach runs then."
                ),
            ],
            dataclasses.field(default=None),
        ),
        ("sim", _switch("Simulate the robot too."), dataclasses.field(default=False)),
        (
            "explore",
            _switch(
                "Play an excitation for identification: record it, park the arm and disarm, as identify.launch.py does; with --start, then end."
            ),
            dataclasses.field(default=False),
        ),
        (
            "start",
            _switch("Arm the guard and start the policy; without it nothing moves before you ask."),
            dataclasses.field(default=False),
        ),
        (
            "inputs",
            Annotated[
                tuple[str, ...],
                tyro.conf.arg(metavar="NAME=VALUE,… …", help="Inputs of the policy, such as goal=0.1,-0.5,0.5 (m)."),
            ],
            dataclasses.field(default=()),
        ),
        (
            "calibration",
            Annotated[
                Path | None,
                tyro.conf.arg(help="File that `isthmus identify` wrote: its values are those of the simulated robot; with --sim only."),
            ],
            dataclasses.field(default=None),
        ),
        *map(_option, _OPTIONS),
    ],
    namespace={
        "run": _run,
        "__doc__": """Run a policy on a robot over ROS 2, guarded; --sim simulates the robot too.

    The same processes as `ros2 launch isthmus_bringup deploy.launch.py`, started without a ROS distribution, configured and activated. Ctrl-C
    stops the policy, waits for standstill, disarms and ends them, in this order.
    """,
    },
    frozen=True,
)
"""The command, as a dataclass."""


def calibrated_plan(planned: Plan, path: Path, sim: bool) -> Plan:
    """The plan with the values of a calibration in its simulated robot; what is typed as parameters of that robot wins.

    Raises:
        ValueError: no robot is simulated, or the file is no calibration.
    """
    if not sim:
        raise ValueError("--calibration changes a simulated robot, so it goes with --sim")
    from isthmus_sim.identification.calibration import load_calibration

    values = [f"{name}:={number_text(value)}" for name, value in load_calibration(path).values.items()]
    processes = [
        dataclasses.replace(process, parameters={**process.parameters, "parameters": [*values, *process.parameters.get("parameters", ())]})
        if process.executable == "sim_node"
        else process
        for process in planned.processes
    ]
    return dataclasses.replace(planned, processes=tuple(processes))


class _Ended(Exception):
    """Somebody wants the command to end."""


class _Interruption:
    """Turns a signal into an exception where the command waits, and nowhere else."""

    def __init__(self) -> None:
        self.asked = False

    def ask(self, *_: object) -> None:
        self.asked = True

    def check(self) -> None:
        if self.asked:
            raise _Ended


@contextlib.contextmanager
def _interruptible() -> Iterator[_Interruption]:
    from isthmus_ros.common.signals import PAUSING, ending

    interruption = _Interruption()
    actions: dict[int, Any] = {number: interruption.ask for number in ending()}
    actions |= dict.fromkeys(PAUSING, signal.SIG_IGN)  # who was paused would go on, later, with what is no longer asked for
    before = {number: signal.signal(number, action) for number, action in actions.items()}
    try:
        yield interruption
    finally:
        for number, action in before.items():
            signal.signal(number, action)


def _carry_out(graph: Any, command: Any, contract: Contract, robot: Robot, inputs: Mapping[str, list[float]]) -> bool:
    """Bring the nodes up, begin if that is asked for, and watch until the end; whether all went well."""
    from isthmus_ros.evaluation.processes import RosError

    prefix = command.joint_prefix or ""
    try:
        graph.up()
        say(f"configured and active: {', '.join(process.name for process in graph.plan.processes if process.lifecycle)}")
        for name, values in inputs.items():
            graph.link.publish_input(contract.signal(name), values, robot.base_frame, prefix)
        if command.start:
            _start(graph, inputs)
        else:
            _explain(contract, robot, set(inputs), graph.plan.namespace, prefix, shadow=graph.shadow)
        return _watch(graph, started=command.start, exploring=command.explore)
    except _Ended:
        say("coming down: policy, guard, robot")
        return True
    except RosError as error:
        complain(f"isthmus: {error}")
        return False


def _start(graph: Any, inputs: Iterable[str]) -> None:
    from std_srvs.srv import SetBool, Trigger

    for name in inputs:  # nothing is armed for a policy that could not start
        graph.link.until(
            lambda name=name: f"input.{name}" in graph.link.status, _ACCEPT, f"the policy has not accepted input {name!r}; see its log"
        )
    link, own = graph.link, 0
    link.find(Trigger, "policy/start")  # no time passes between looking at the guard and asking
    if not graph.shadow:
        link.find(SetBool, "guard/arm")
        link.until(lambda: "turns" in link.status, _ACCEPT, "nothing is heard of the guard on guard/status")
        link.insist(link.arm, _ACCEPT, unless=lambda: _meddled(link, own))
        own = 1
        link.until(lambda: _turns(link) >= own, _ACCEPT, "the guard does not say that it is armed")
    link.insist(lambda: link.trigger("policy/start"), _ACCEPT, unless=lambda: "" if graph.shadow else _meddled(link, own))
    say("started; decisions go to policy/shadow, nothing is commanded; Ctrl-C stops" if graph.shadow else "armed and started; Ctrl-C stops")


def _meddled(link: Any, own: int) -> str:
    """Why nothing may begin from here: the guard, which was started for this, was armed, disarmed, stopped or reset by more than `own` turns."""
    if _turns(link) == own:
        return ""
    why = link.status.get("cause", "")
    return "the guard was stopped, disarmed, armed or reset meanwhile, so nothing begins from here" + (f"; it says: {why}" if why else "")


def _turns(link: Any) -> int:
    return int(link.status["turns"])


def _explain(contract: Contract, robot: Robot, given: set[str], namespace: str, prefix: str, *, shadow: bool) -> None:
    """Say how to begin from another terminal."""
    from isthmus_ros.common import wire
    from isthmus_ros.common.inputs import input_frame, input_topic

    say(
        f"{'nothing is commanded; decisions begin when you start' if shadow else 'nothing moves before you arm and start'}, from another terminal:"
    )
    for found in contract.inputs:
        if found.name not in given:
            kind, example = "std_msgs/msg/Float64MultiArray", f"{{data: [{', '.join(found.elements)}]}}"
            if found.elements == ("x", "y", "z"):
                frame = input_frame(found, robot.base_frame, prefix)
                kind, example = "geometry_msgs/msg/PointStamped", f"{{header: {{frame_id: {frame}}}, point: {{x: …, y: …, z: …}}}}"
            say(f'  ros2 topic pub -1 --qos-durability transient_local {wire.joined(namespace, input_topic(found))} {kind} "{example}"')
    for name, service in _SERVICES:
        if shadow and name == "arm":
            continue
        say(f"  ros2 service call {wire.joined(namespace, service)}")
    say("or begin here with --start; Ctrl-C stops")


def _watch(graph: Any, *, started: bool, exploring: bool) -> bool:
    """Print every change of the guard and the policy until Ctrl-C, or until what was started is over; whether it ended as it should."""
    shown: tuple[str, ...] = ()
    missed: set[str] = set()
    while True:
        graph.wait(0.1)
        for name in set(graph.gone) - missed:
            missed.add(name)
            complain(f"isthmus: {name} has ended; the others go on without it")
        status = graph.link.status
        keys = ("opinion", "shadow", "opinion_cause", "failure") if graph.shadow else ("rung", "armed", "cause", "failure")
        now = tuple(status.get(key, "") for key in ("policy", *keys))
        if status and now != shown:
            shown = now
            policy, rung, armed, *causes = now
            guard = f"the guard would say {rung or 'nothing yet'}" if graph.shadow else f"guard {rung}, armed {armed}"
            say(f"{time.strftime('%H:%M:%S')}  policy {policy}, {guard}" + "".join(f", {why}" for why in causes if why))
        if started and exploring and _explored(status):
            say(f"exploration: {status['exploration']}")
            return status["exploration"] == "parked"
        if started and status.get("policy") == "idle" and (why := _stopped(status, shadow=graph.shadow)):
            complain(f"isthmus: the motion was ended: {why}")
            return False


def _stopped(status: Mapping[str, str], *, shadow: bool) -> str:
    """Why the newest motion has not ended as it was asked to, by the policy or by its guard; "" if it has."""
    latched = int(status.get("stop_sequence", "-1")) >= 0 or (status.get("rung") == "stop" and not shadow)
    said = [status.get("failure", ""), status.get("opinion_cause" if shadow else "cause", "") if latched else ""]
    return "; ".join(filter(None, said)) or "the log, above, says why" * latched


def _explored(status: Mapping[str, str]) -> bool:
    """Whether an exploration is over: interrupted, or at its end and disarmed."""
    outcome = status.get("exploration", "")
    over = outcome == "interrupted" or (outcome in ("parked", "not parked") and status.get("armed") == "false")
    return over and status.get("policy") == "idle"
