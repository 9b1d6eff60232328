"""The motions that a robot may be excited with: sums of sines within its limits, and what the nominal model makes of them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import mujoco
import numpy as np

from isthmus.contract import ACTION_MODES, Contract
from isthmus.kinds.excitation import MultiSine
from isthmus.limits import Limits
from isthmus.records import Array
from isthmus.signals import Signal, joined_units
from isthmus_sim.identification.logs import Log
from isthmus_sim.identification.mechanism import Target, load_spec
from isthmus_sim.identification.problem import Problem
from isthmus_sim.identification.rollouts import Rollouts
from isthmus_sim.identification.table import SINGLE
from isthmus_sim.identification.windows import cut_windows
from isthmus_sim.tasks.reach import first_mode

__all__ = ["Course", "find_course", "placeholder", "played", "sines", "violation"]

_SHARE = 0.9  # of a limit that is used
_SOURCES = {mode: source for source, mode in ACTION_MODES.items()}


@dataclass(frozen=True, slots=True)
class Course:
    """What a motion may use.

    Attributes:
        robot: name in the contract of the policy file.
        mode: of the commands: "position" or "velocity".
        period: of the commands, s.
        base: pose around which the joints move, `[J]`.
        limits: of the joints and the workspace.
        low: least command, `[J]`.
        high: largest command, `[J]`.
        unit: of the commands.
        travel: largest distance from the base, rad or m, `[J]`.
        points: bodies that must stay in the workspace box.
        fade: length of the fades of a motion, s.
    """

    robot: str
    mode: str
    period: float
    base: Array
    limits: Limits
    low: Array
    high: Array
    unit: str
    travel: Array
    points: tuple[str, ...] = ()
    fade: float = 1.0

    def contract(self, task: str) -> Contract:
        """Of an excitation: it looks at the time alone."""
        joints = self.limits.joints
        return Contract(
            robot=self.robot,
            task=task,
            observation=(Signal("time", "time", ("t",), "s", (0.0,), (float("inf"),)),),
            action=Signal("command", _SOURCES[self.mode], joints, self.unit, tuple(self.low.tolist()), tuple(self.high.tolist())),
            limits=self.limits,
            control_period=self.period,
            start={joint: (place, 0.02) for joint, place in zip(joints, self.base.tolist(), strict=True)},
        )


def find_course(target: Target, *, travel: float, velocity: float | None, acceleration: float | None, period: float | None) -> Course:
    """What the joints of a target may do.

    Args:
        target: task, robot or model file.
        travel: largest distance from the pose where a motion begins, rad or m.
        velocity: largest speed of all joints; needed where no profile says it.
        acceleration: likewise.
        period: of commands, s; by default the task's, the robot's or 0.005.

    Raises:
        ValueError: a limit is unknown, or a robot takes no position or velocity commands.
    """
    robot = target.robot
    if robot is None:
        if velocity is None or acceleration is None:
            raise ValueError(
                f"{target.name} does not say how fast its joints may move; give --velocity and --acceleration, rad/s and rad/s^2"
            )
        spec, _ = load_spec(target.file)
        model = spec.compile()
        single = [joint for joint in range(model.njnt) if model.jnt_type[joint] in SINGLE]
        limited = model.jnt_limited[single].astype(bool)
        low, high = (np.where(limited, model.jnt_range[single, side], sign * np.inf) for side, sign in ((0, -1), (1, 1)))
        zero, middle = model.qpos0[model.jnt_qposadr[single]], model.jnt_range[single].mean(1)
        base = np.where((low < zero) & (zero < high), zero, middle)
        count, names = len(single), tuple(model.joint(joint).name for joint in single)
        effort = (np.inf,) * count
        limits = Limits(
            names, tuple(low.tolist()), tuple(high.tolist()), (velocity,) * count, (acceleration,) * count, (acceleration,) * count, effort
        )
        unit = joined_units("m" if model.jnt_type[joint] == mujoco.mjtJoint.mjJNT_SLIDE else "rad" for joint in single)
        reach, name = np.full(count, travel), Path(target.name).stem
        return Course(name, "position", period or 0.005, base, limits, *_commands(base, reach, limits), unit, reach)
    mode = target.mode or first_mode(robot)
    if mode not in ("position", "velocity"):
        raise ValueError(f"excitations are of position or velocity commands, but {target.name} takes {mode} commands, which would drift")
    limits, base = robot.limits(), np.array(robot.home)
    if velocity is not None or acceleration is not None:
        count = len(limits.joints)
        limits = limits.tightest(replace(limits, velocity=(velocity or np.inf,) * count, acceleration=(acceleration or np.inf,) * count))
    reach = np.full(len(base), travel)
    speed = np.array(limits.velocity)
    low, high = _commands(base, reach, limits) if mode == "position" else (-speed, speed)
    step = period or target.period or robot.control_period[0]
    return Course(robot.name, mode, step, base, limits, low, high, robot.unit(mode), reach, robot.workspace_points)


def _commands(base: Array, reach: Array, limits: Limits) -> tuple[Array, Array]:
    """Bounds of position commands: amplitudes add up to more than a motion reaches."""
    return np.maximum(base - 2 * reach, limits.position_low), np.minimum(base + 2 * reach, limits.position_high)


def sines(course: Course, frequency: Array, shape: Array, phase: Array, duration: float, size: float = 1.0) -> MultiSine:
    """As large a motion as the limits of position, velocity and acceleration allow.

    Args:
        course: the limits.
        frequency: Hz, `[N]`.
        shape: amplitudes of position, up to a factor for each joint, `[J, N]`.
        phase: rad, `[J, N]`.
        duration: s.
        size: share of what is allowed.
    """
    limits, moves = course.limits, course.mode == "position"
    zero = np.zeros(len(course.base))
    amplitude = shape / np.maximum(shape.sum(1, keepdims=True), 1e-12)
    if not moves:
        amplitude, phase = amplitude * 2 * np.pi * frequency, phase + np.pi / 2

    def wave(base: Array, amplitude: Array) -> MultiSine:
        rows = [tuple(map(tuple, values.tolist())) for values in (amplitude, phase)]
        return MultiSine(tuple(base.tolist()), rows[0], tuple(frequency.tolist()), rows[1], course.fade, duration)

    step = 1 / (40 * frequency.max())
    shown = wave(zero, amplitude).sample(np.arange(0.0, duration, step), zero)
    position = shown if moves else np.cumsum(shown, axis=0) * step
    velocity = np.gradient(shown, step, axis=0) if moves else shown
    largest = [np.abs(values).max(0) for values in (position, velocity, np.gradient(velocity, step, axis=0))]
    room = np.minimum(course.travel, np.minimum(course.base - limits.position_low, limits.position_high - course.base))
    middle = course.base if moves else zero
    swing = np.minimum(course.high - middle, middle - course.low)
    bounds = [room, np.array(limits.velocity), np.array(limits.acceleration), swing]
    factors = [bound / np.maximum(most, 1e-12) for bound, most in zip(bounds, [*largest, amplitude.sum(1)], strict=True)]
    return wave(middle, _SHARE * size * np.minimum.reduce(factors)[:, None] * amplitude)


def placeholder(course: Course, waves: list[MultiSine]) -> list[Log]:
    """A log of each wave whose measurements are still to be simulated."""
    logs = []
    rest = course.base if course.mode == "position" else 0 * course.base
    for number, wave in enumerate(waves):
        time = np.arange(0.0, wave.duration, course.period)
        still = np.zeros((len(time), len(course.base)))
        logs.append(
            Log(
                f"motion {number + 1}",
                time,
                course.limits.joints,
                still + course.base,
                still,
                still,
                mode=course.mode,
                command_time=time,
                command=wave.sample(time, rest),
            )
        )
    return logs


def played(problem: Problem, values: Array, threads: int | None = None) -> list[Log]:
    """The logs of a problem with what a model with these parameters would do."""
    logs = problem.logs
    count = len(logs[0].joints)
    windows = cut_windows(logs, {kind: np.ones(count) for kind in ("position", "velocity", "effort")}, logs[0].time[-1])
    rollouts = Rollouts(problem, threads=threads)
    shown = rollouts.residual(windows, values[None], rollouts.starts(windows))[0] + windows.measured
    return [
        replace(log, position=signals[:, :count], velocity=signals[:, count : 2 * count], effort=signals[:, 2 * count :])
        for log, signals in zip(logs, shown, strict=True)
    ]


def violation(course: Course, problem: Problem, log: Log) -> str:
    """Which limit a simulated motion does not keep, in words; "" if it keeps all."""
    limits = course.limits
    speed = np.abs(log.velocity if log.velocity is not None else 0)
    torque = np.abs(log.effort if log.effort is not None else 0)
    checks = (
        ("lower position limit", (log.position < limits.position_low).any(0)),
        ("upper position limit", (log.position > limits.position_high).any(0)),
        ("speed limit", (speed > limits.velocity).any(0)),
        ("effort limit", (torque > limits.effort).any(0)),
    )
    for what, broken in checks:
        if broken.any():
            return f"{what} of {limits.joints[int(np.argmax(broken))]}"
    return _outside(course, problem, log)


def _outside(course: Course, problem: Problem, log: Log) -> str:
    box, model = course.limits.workspace, problem.mechanism.model
    if box is None:
        return ""
    data = mujoco.MjData(model)
    addresses = [model.joint(name).qposadr[0] for name in log.joints]
    bodies = [model.body(point).id for point in course.points]
    for row in range(0, len(log.time), max(len(log.time) // 400, 1)):
        data.qpos[addresses] = log.position[row]
        mujoco.mj_kinematics(model, data)
        places = data.xpos[bodies]
        outside = ((places < box.low) | (places > box.high)).any(1)
        if outside.any():
            return f"workspace box at {course.points[int(np.argmax(outside))]}"
    return ""
