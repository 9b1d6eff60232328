"""A recording once more: through observation, policy and guard, compared with what they did then; or its commands, open loop, in a simulator."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from isthmus.control import ControlStep
from isthmus.kinematics import Kinematics
from isthmus.policy import Policy
from isthmus.recording import Trace
from isthmus.records import Array, Command
from isthmus.replay import ReplayPlant, replay_observations
from isthmus.robot import Robot
from isthmus_sim.episodes import episode_start
from isthmus_sim.identification.logs import Log
from isthmus_sim.plants import task_plant
from isthmus_sim.task import Task

__all__ = ["Divergence", "Stage", "action_tolerance", "open_loop", "replay"]

_PLANNERS = ("npc", "mpc")  # kinds of policies whose solver keeps a warm start
_SOLVER = 1e-2  # of an action's range

ROUNDING = 1e-6  # of a signal's size: a network that decides for several rows at once rounds otherwise
_SIMULATORS = ("mujoco", "pybullet", "isaacgym")


@dataclass(frozen=True, slots=True)
class Stage:
    """One step of the way, compared.

    Attributes:
        name: "observation SIGNAL", "policy" or "guard".
        compared: values that were.
        equal: of them, bit for bit.
        largest: largest difference, in the unit of the values; of actions, as a share of their range; of the guard's rungs, 1.
        allowed: largest difference that passes; 0 where bits must be equal.
        first: where the first difference is: control period, what, recorded and replayed value; None if there is none.
        skipped: why nothing was compared; "" if something was.
    """

    name: str
    compared: int
    equal: int
    largest: float
    allowed: float
    first: tuple[int, str, float, float] | None
    skipped: str = ""

    @property
    def passes(self) -> bool:
        """Whether it is equal, or near enough."""
        return self.largest <= self.allowed or bool(self.skipped)


@dataclass(frozen=True, slots=True)
class Divergence:
    """A simulator that was told what a robot was told.

    Attributes:
        time: s, `[T]`.
        joints: names.
        position: simulated less recorded, `[T, J]`, rad or m.
        tool: distance of simulated and recorded tool, m, `[T]`; None where the robot is not fixed.
        poses: distance of simulated and recorded bodies, m, `[T]` by name.
    """

    time: Array
    joints: tuple[str, ...]
    position: Array
    tool: Array | None
    poses: Mapping[str, Array]

    def plain(self) -> dict[str, Any]:
        """As plain data: root mean square and last difference."""
        found: dict[str, Any] = {
            "seconds": float(self.time[-1]),
            "position": {
                joint: {"rms": float(np.sqrt(np.mean(column**2))), "last": float(column[-1])}
                for joint, column in zip(self.joints, self.position.T, strict=True)
            },
            "poses": {name: {"rms": float(np.sqrt(np.nanmean(way**2))), "last": float(way[-1])} for name, way in self.poses.items()},
        }
        if self.tool is not None:
            found["tool"] = {"rms": float(np.sqrt(np.mean(self.tool**2))), "last": float(self.tool[-1])}
        return found


def action_tolerance(kind: str) -> float:
    """Difference of actions that passes where a policy decides again, as a share of their range: 0, for a policy with a solver 0.01."""
    return _SOLVER if kind in _PLANNERS else 0.0


def replay(trace: Trace, policy: Policy, robot: Robot, tolerance: float = 0.0) -> list[Stage]:
    """Compare what was recorded with what comes of it again.

    Each stage is given what was recorded before it, so that a difference stands where it arises.

    Args:
        trace: begins with the first period after a reset.
        policy: that acted.
        robot: profile.
        tolerance: difference of actions that passes, as a share of their range; 0 for policies without a solver.

    Raises:
        ValueError: the policy has another contract than the recording, with the differences, or the recording is of another robot.
    """
    contract = policy.contract
    if contract.digest() != trace.contract.digest():
        raise ValueError(
            f"the policy (here) has another contract than the recording (there): {'; '.join(contract.diff(trace.contract)[:4])}"
        )
    return [*_observations(trace, robot), _decisions(trace, policy, tolerance), _guard(trace, robot)]


def _observations(trace: Trace, robot: Robot) -> list[Stage]:
    if not len(trace.decisions):
        return [_skipped("observation", "no decision was recorded")]
    try:
        rebuilt = replay_observations(trace, robot)
    except (KeyError, ValueError) as error:
        return [_skipped("observation", str(error.args[0]))]
    stages = []
    for signal in trace.contract.observation:
        if signal.name in trace.observations:
            said, made = (values[signal.name].reshape(len(trace.decisions), -1) for values in (trace.observations, rebuilt))
            names = [
                f"{element}{'' if signal.history == 1 else f' of {age - signal.history + 1}'}"
                for age in range(signal.history)
                for element in signal.elements
            ]
            stages.append(_compared(f"observation {signal.name}", trace.decisions, names, said, made, 0.0))
    return stages


def _decisions(trace: Trace, policy: Policy, tolerance: float) -> Stage:
    names = [signal.name for signal in trace.contract.observation]
    if set(trace.observations) != set(names):
        missing = ", ".join(name for name in names if name not in trace.observations)
        return _skipped("policy", f"what it saw of {missing} was not recorded")
    if not len(trace.decisions):
        return _skipped("policy", "no decision was recorded")
    seed = trace.metadata.get("seed", "")
    policy.reset(np.array([0]), int(seed) if seed.isdecimal() else None)
    taken = np.concatenate(
        [policy.act({name: trace.observations[name][row : row + 1] for name in names}).actions for row in range(len(trace.decisions))]
    )
    action = trace.contract.action
    span = np.tile(np.array(action.high) - np.array(action.low), len(trace.actions[0]) if len(trace.actions) else 1)
    said, made = (values.reshape(len(trace.decisions), -1) for values in (trace.actions, taken))
    elements = [
        f"{element}{'' if len(trace.actions[0]) == 1 else f' {step} ahead'}"
        for step in range(len(trace.actions[0]))
        for element in action.elements
    ]
    return _compared("policy", trace.decisions, elements, said, made, tolerance, span)


def _guard(trace: Trace, robot: Robot) -> Stage:
    """In lockstep the guard is asked once per period; over topics it lives in another process and keeps its own time."""
    if trace.metadata.get("plant") not in _SIMULATORS:
        return _skipped("guard", "it ran in another process, in its own time")
    plant = ReplayPlant(trace, robot)
    step = ControlStep(plant, trace.contract)
    step.reset()
    rungs, executed = [], np.full_like(trace.executed, np.nan)
    for period in range(len(trace)):
        asked = trace.command[period : period + 1]
        decision = step.act(None if np.isnan(asked).all() else asked)
        executed[period] = np.nan if decision.command is None else decision.command.values[0]
        rungs.append(int(decision.rung[0]))
        if period + 1 < len(trace):
            step.sense()
    names = ("pass", "clamp", "hold", "stop")
    said = np.array([names.index(rung) for rung in trace.rungs], dtype=float)
    elements = [*trace.contract.action.elements, "rung"]
    both = [
        np.concatenate([values, rung[:, None]], axis=1)
        for values, rung in ((trace.executed, said), (executed, np.array(rungs, dtype=float)))
    ]
    return _compared("guard", np.arange(len(trace)), elements, both[0], both[1], 0.0)


def _skipped(name: str, why: str) -> Stage:
    return Stage(name, 0, 0, 0.0, 0.0, None, why)


def _compared(
    name: str, periods: Array, elements: Iterable[str], said: Array, made: Array, allowed: float, unit: Array | float = 1.0
) -> Stage:
    same = (said == made) | (np.isnan(said) & np.isnan(made))
    apart = np.where(same, 0.0, np.abs(said.astype(np.float64) - made.astype(np.float64)) / unit)
    apart = np.where(np.isfinite(apart), apart, np.inf)
    first = None
    if not same.all():
        row, column = (int(index) for index in np.argwhere(~same)[0])
        first = (int(periods[row]), list(elements)[column], float(said[row, column]), float(made[row, column]))
    return Stage(name, said.size, int(same.sum()), float(apart.max(initial=0.0)), allowed, first)


def open_loop(recording: Trace | Log, task: Task, engine: str, robot: Robot) -> Divergence:
    """Give recorded commands to a simulator, whatever comes of them.

    Args:
        recording: a trace, whose seed gives the objects their places where it is of the same task, or any log with commands.
        task: gives the scene.
        engine: name of the plant.
        robot: profile of the task's robot.

    Raises:
        ValueError: the recording has other joints or commands than the task.
    """
    contract = task.contract
    trace = recording if isinstance(recording, Trace) else None
    log = _log(recording)
    if set(contract.action.elements) - set(log.joints) or log.mode != contract.mode or not log.command.size:
        raise ValueError(
            f"the recording has {log.mode or 'no'} commands of {', '.join(log.joints)}; task {task.name!r} takes {contract.mode} commands of "
            f"{', '.join(contract.action.elements)}"
        )
    columns = [log.joints.index(joint) for joint in contract.action.elements]
    seed = trace.metadata.get("seed", "") if trace is not None and trace.contract.task == contract.task else ""
    start = episode_start(task, [int(seed) if seed.isdecimal() else 0])
    plant = task_plant(engine, task, 1)
    named = plant.robot.joint_names
    order = [log.joints.index(joint) for joint in named]
    velocity = log.velocity if log.velocity is not None else np.zeros_like(log.position)
    state = {**start.state, "position": log.position[:1, order], "velocity": velocity[:1, order]}
    times = np.arange(log.time[0], log.time[-1] + contract.control_period / 2, contract.control_period)
    measured = np.stack([np.interp(times, log.time, column) for column in log.position[:, order].T], axis=1)
    simulated = np.empty_like(measured)
    places: dict[str, Array] = {}
    try:
        plant.reset(seeds=[int(seed) if seed.isdecimal() else 0], state=state, parameters=start.parameters)
        for row, moment in enumerate(times):
            truth = plant.truth()
            simulated[row] = truth.position[0, [truth.joints.index(joint) for joint in named]]
            for name, pose in truth.poses.items():
                places.setdefault(name, np.full((len(times), 3), np.nan))[row] = pose[0, :3]
            index = max(int(np.searchsorted(log.command_time, moment + 1e-9, side="right")) - 1, 0)
            plant.write(Command(contract.mode, contract.action.elements, log.command[index : index + 1, columns]))
            plant.advance()
    finally:
        plant.close()
    tool = None
    if robot.base.kind == "fixed":
        kinematics = Kinematics(robot.urdf_path)
        one, two = (kinematics.positions(named, values, [robot.tool_frame])[robot.tool_frame] for values in (simulated, measured))
        tool = np.linalg.norm(one - two, axis=1)
    known = {} if trace is None else {name: values for name, values in trace.poses.items() if name in places and len(values) == len(times)}
    apart = {name: np.linalg.norm(places[name] - values[:, :3], axis=1) for name, values in known.items()}
    return Divergence(times - times[0], named, simulated - measured, tool, apart)


def _log(recording: Trace | Log) -> Log:
    from isthmus_sim.identification.recorded import trace_log

    return trace_log(recording, "recording") if isinstance(recording, Trace) else recording
