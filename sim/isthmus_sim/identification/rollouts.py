"""Batched rollouts of all windows for many candidate parameters at once, on MuJoCo's own thread pool."""

from __future__ import annotations

import os
from dataclasses import dataclass, field

import mujoco
import numpy as np
from mujoco.batch import Batch

from isthmus.records import Array
from isthmus_sim.identification.commands import Commands
from isthmus_sim.identification.logs import Log
from isthmus_sim.identification.objects import ObjectStates
from isthmus_sim.identification.poses import moved_pose, pose_difference
from isthmus_sim.identification.problem import Problem
from isthmus_sim.identification.windows import Windows
from isthmus_sim.plants.mujoco_parameters import RowParameters

__all__ = ["Rollouts", "Starts"]

_NUMBERS = 1.2e7  # recorded at once: 100 MB
_CONTROL = int(mujoco.mjtState.mjSTATE_CTRL)
_FORCE = int(mujoco.mjtState.mjSTATE_QFRC_APPLIED)
_NO_STAGE = int(mujoco.mjtStage.mjSTAGE_NONE)
_FAR = 1e6  # what a simulation that exploded is taken to have shown, in multiples of the noise


@dataclass(slots=True)
class Starts:
    """Where simulations begin; with velocity commands the set-points of the servos belong to it.

    Attributes:
        position: `[W, J]`.
        velocity: `[W, J]`.
        setpoint: `[W, J]`; empty for other commands.
        pose: of the objects, `[W, O, 7]`.
        twist: likewise, `[W, O, 6]`.
        away: sum of all changes of these, `[W, O, 12]`.
    """

    position: Array
    velocity: Array
    setpoint: Array = field(default_factory=lambda: np.zeros((0, 0)))
    pose: Array = field(default_factory=lambda: np.zeros((0, 0, 7)))
    twist: Array = field(default_factory=lambda: np.zeros((0, 0, 6)))
    away: Array = field(default_factory=lambda: np.zeros((0, 0, 12)))

    @property
    def of_joints(self) -> int:
        """How many numbers of a window are about joints."""
        return self.position.shape[1] * (3 if self.setpoint.size else 2)

    @property
    def size(self) -> int:
        """Numbers of a window: positions, velocities and set-points of the joints, then pose and twist of each object."""
        return self.of_joints + 12 * self.pose.shape[1]

    def moved(self, change: Array) -> Starts:
        """With a change `[W, size]` made."""
        joints, own = self.position.shape[1], self.of_joints
        setpoint = self.setpoint + change[:, 2 * joints : own] if self.setpoint.size else self.setpoint
        moved = Starts(
            self.position + change[:, :joints], self.velocity + change[:, joints : 2 * joints], setpoint, self.pose, self.twist, self.away
        )
        if self.pose.size:
            objects = change[:, own:].reshape(len(change), -1, 12)
            moved.pose, moved.twist = moved_pose(self.pose, objects[..., :6]), self.twist + objects[..., 6:]
            moved.away = self.away + objects
        return moved

    def subset(self, index: Array) -> Starts:
        """Of some windows."""
        fields = (self.position, self.velocity, self.setpoint, self.pose, self.twist, self.away)
        return Starts(*(values[index] if values.size else values for values in fields))


class Rollouts:
    """Simulates windows.

    Attributes:
        problem: what is simulated.
        timestep: of the physics, s: the model's, or a little less, so that samples fall on steps.
        threads: of the engine.
        steps: physics steps taken so far, over all rows.
        sets: candidate sets of parameters simulated so far.
    """

    def __init__(self, problem: Problem, *, finer: float = 1.0, threads: int | None = None) -> None:
        """Prepare.

        Args:
            problem: mechanism, logs and unknown parameters.
            finer: divides the time step.
            threads: of the engine; None means one per processor.
        """
        self.problem = problem
        mechanism = problem.mechanism
        period = float(np.median([log.period for log in problem.logs]))
        self.timestep = period / np.ceil(finer * period / mechanism.model.opt.timestep - 1e-9)
        self._model = mechanism.model.__copy__()
        self._model.opt.timestep = self.timestep
        joints = [self._model.joint(name) for name in mechanism.joints]
        self._q = np.array([joint.qposadr[0] for joint in joints])
        self._v = np.array([joint.dofadr[0] for joint in joints])
        self._u = np.array([self._actuator(joint.id) for joint in joints])
        self._objects = ObjectStates(self._model, mechanism.objects, mechanism.hinged) if mechanism.objects else None
        self._integrates = mechanism.mode == "velocity" and self._model.na > 0
        self.threads = threads or os.cpu_count() or 1
        self._batch: Batch | None = None
        self._rows: RowParameters | None = None
        self._commands = [_commands(log) for log in problem.logs]
        self._offsets = [f"{name}.offset" for name in mechanism.joints]
        self.steps = self.sets = 0

    def starts(self, windows: Windows) -> Starts:
        """Smoothed measured states."""
        starts = Starts(windows.position.copy(), windows.velocity.copy(), pose=windows.pose.copy(), twist=windows.twist.copy())
        starts.away = np.zeros_like(windows.doubt)
        if self._integrates:
            starts.setpoint = windows.position + self._lead(windows)
        return starts

    def _lead(self, windows: Windows) -> Array:
        """How far the set-points of velocity servos are ahead of the joints, `[W, J]`: as far as the measured effort says, or else gravity."""
        stiff, damp = self._model.actuator_gainprm[self._u, 0], -self._model.actuator_biasprm[self._u, 2]
        effort = np.empty_like(windows.position)
        data = mujoco.MjData(self._model)
        for row, (number, first) in enumerate(zip(windows.log, windows.first, strict=True)):
            measured = self.problem.logs[number].effort
            if measured is not None and np.isfinite(measured[first]).all():
                effort[row] = measured[first]
                continue
            data.qpos[self._q] = windows.position[row]
            mujoco.mj_forward(self._model, data)
            effort[row] = data.qfrc_bias[self._v]
        return np.asarray((effort + damp * windows.velocity) / np.maximum(stiff, 1e-9))

    def residual(self, windows: Windows, candidates: Array, starts: Starts | list[Starts], force: Array | None = None) -> Array:
        """Simulated less measured, in multiples of the noise.

        Args:
            windows: what was measured.
            candidates: parameters, `[C, p]`.
            starts: of the windows, or one for each candidate.
            force: on the joints beside all else, N·m or N, `[C, W, S, J]`, for S physics steps.

        Returns:
            `[C, W, N, K]`.
        """
        each = starts if isinstance(starts, list) else [starts] * len(candidates)
        span = self.span(windows)
        width = self._model.nu + self._model.nq + self._model.nv * 2
        most = max(int(_NUMBERS / (len(windows) * span * width)), 1)
        parts = [
            self._simulate(
                windows,
                candidates[first : first + most],
                each[first : first + most],
                span,
                None if force is None else force[first : first + most],
            )
            for first in range(0, len(candidates), most)
        ]
        return np.concatenate(parts)

    def span(self, windows: Windows) -> int:
        """Physics steps of a window."""
        return int(np.ceil(windows.moments.max() / self.timestep - 1e-6))

    def _simulate(self, windows: Windows, candidates: Array, starts: list[Starts], span: int, force: Array | None) -> Array:
        count, per = len(candidates), len(windows)
        rows = count * per
        batch, writer = self._engine(rows)
        ids = np.arange(rows)
        values = self._values(windows, candidates)
        batch.reset(ids, stage=_NO_STAGE)
        writer.write(ids, values)
        offset = np.stack([values.get(name, np.zeros(rows)) for name in self._offsets], axis=1)
        position = np.concatenate([start.position for start in starts]) - offset
        batch.qpos[ids[:, None], self._q] = position
        batch.qvel[ids[:, None], self._v] = np.concatenate([start.velocity for start in starts])
        if self._objects:
            pose, twist = (np.concatenate(parts) for parts in ([start.pose for start in starts], [start.twist for start in starts]))
            self._objects.write(batch.qpos, batch.qvel, ids, pose, twist)
            pose = self._objects.read(np.asarray(batch.qpos)[ids])
        control = np.zeros((rows, span, self._model.nu + (0 if force is None else self._model.nv)))
        specification = _CONTROL
        if force is not None:  # MuJoCo's order of inputs: controls, then applied forces
            control[:, :, self._model.nu + self._v] = force.reshape(rows, span, -1)
            specification |= _FORCE
        control[:, :, self._u] = self._control(windows, candidates, span).reshape(rows, span, -1)
        if self.problem.mechanism.mode == "position":
            control[:, :, self._u] -= offset[:, None]
        if self._integrates:
            addresses = self._model.actuator_actadr[self._u]
            batch.act[ids[:, None], addresses] = np.concatenate([start.setpoint for start in starts]) - offset
        kinds = [kind for kind, _ in windows.channels]
        record = ["qpos", *(["qvel"] if "velocity" in kinds else []), *(["qfrc_actuator"] if "effort" in kinds else [])]
        rollout = batch.rollout if writer.friction is None else writer.friction.rollout
        found = rollout(span, control=control, control_spec=specification, record=tuple(record), ids=ids)
        self.steps += rows * span
        self.sets += count
        shown = [np.zeros((rows, span + 1, 0))]
        if "position" in kinds:
            shown.append(np.concatenate([position[:, None], found["qpos"][:, :, self._q]], axis=1) + offset[:, None])
        if "velocity" in kinds:
            begin = np.concatenate([start.velocity for start in starts])[:, None]
            shown.append(np.concatenate([begin, found["qvel"][:, :, self._v]], axis=1))
        if "effort" in kinds:
            force = found["qfrc_actuator"][:, :, self._v]
            shown.append(np.concatenate([force[:, :1], force], axis=1))
        if self._objects:
            later = self._objects.read(found["qpos"]).reshape(rows, span, -1)
            shown.append(np.concatenate([pose.reshape(rows, 1, -1), later], axis=1))
        signals = np.concatenate(shown, axis=2).reshape(count, per, span + 1, -1)
        with np.errstate(over="ignore", invalid="ignore"):
            sampled, own = self._sampled(signals, windows.moments), windows.measured.shape[2]
            away = [sampled[..., :own] - windows.measured]
            if self._objects:
                simulated = sampled[..., own:].reshape(count, *windows.poses.shape)
                away.append(pose_difference(simulated, windows.poses).reshape(*sampled.shape[:3], -1))
            residual = np.concatenate(away, axis=-1) * windows.weight
        return np.asarray(np.clip(np.nan_to_num(residual, nan=_FAR, posinf=_FAR, neginf=-_FAR), -_FAR, _FAR))

    def _sampled(self, signals: Array, moments: Array) -> Array:
        """Signals at physics steps `[C, W, S + 1, K]` at the moments of the samples `[W, N]`, straight between steps."""
        place = moments / self.timestep
        below = np.clip(np.floor(place + 1e-6).astype(np.int64), 0, signals.shape[2] - 1)
        share = np.clip(place - below, 0.0, 1.0)
        window = np.arange(len(moments))[:, None]
        values = signals[:, window, below]
        if share.max() < 1e-3:
            return values
        above = np.minimum(below + 1, signals.shape[2] - 1)
        return np.asarray(values + share[..., None] * (signals[:, window, above] - values))

    def _values(self, windows: Windows, candidates: Array) -> dict[str, Array]:
        """Of each parameter in each row, `[C * W]`."""
        table, values = self.problem.mechanism.table, {}
        names = [_base(log.name) for log in self.problem.logs]
        for index, unknown in enumerate(self.problem.unknown):
            column = np.repeat(candidates[:, index], len(windows))
            if unknown.logs:
                inside = np.isin(windows.log, [number for number, name in enumerate(names) if name in unknown.logs])
                column = np.where(np.tile(inside, len(candidates)), column, table[unknown.name].nominal)
            values[unknown.name] = column
        return values

    def _control(self, windows: Windows, candidates: Array, span: int) -> Array:
        """`[C, W, S, J]`; equal delays are worked out once."""
        table, names = self.problem.mechanism.table, self.problem.names
        pairs = [
            tuple(row[names.index(name)] if name in names else table[name].nominal for name in ("action_delay", "action_lag"))
            for row in candidates
        ]
        edges = windows.begin[:, None] + self.timestep * np.arange(span + 1)
        known: dict[tuple[float, ...], Array] = {}
        for pair in pairs:
            if pair not in known:
                values = np.empty((len(windows), span, len(self._u)))
                for number, commands in enumerate(self._commands):
                    mine = windows.log == number
                    if mine.any():
                        values[mine] = commands.averaged(edges[mine], *pair)
                known[pair] = values
        return np.stack([known[pair] for pair in pairs])

    def _engine(self, rows: int) -> tuple[Batch, RowParameters]:
        if self._batch is None or self._batch.nsim < rows or self._rows is None:
            self._batch = Batch(self._model, nsim=rows, nthread=min(self.threads, rows))
            mechanism = self.problem.mechanism
            robot = mechanism.target.robot
            self._rows = RowParameters(
                self._model,
                self._batch,
                mechanism.table,
                tool=mechanism.tool,
                casters=robot.base.casters if robot else (),
                scene=[body.name for body in mechanism.target.scene.bodies],
            )
        return self._batch, self._rows

    def _actuator(self, joint: int) -> int:
        return int(np.flatnonzero(self._model.actuator_trnid[:, 0] == joint)[0])


def _commands(log: Log) -> Commands:
    if log.mode:
        return Commands(log.command_time, log.command)
    values = log.effort if log.effort is not None else log.current
    assert values is not None  # noqa: S101 - the problem has been checked
    return Commands(log.time - log.period / 2, np.nan_to_num(values))  # a measured effort holds around its stamp, not after it


def _base(name: str) -> str:
    return name.rpartition("/")[2]
