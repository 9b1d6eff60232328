"""What a model misses, told from the structure of the residuals.

Each suspected effect is applied as a small extra force (or change of a parameter that was not unknown) along the measured motion, and the residuals
are asked how much of them it would explain beyond the fitted parameters: a score test. The effect that explains most is named first.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import mujoco
import numpy as np

from isthmus.records import Array
from isthmus_sim.identification.fit import Fit
from isthmus_sim.identification.linear import Linear
from isthmus_sim.identification.problem import Unknown
from isthmus_sim.identification.rollouts import Rollouts, Starts
from isthmus_sim.identification.windows import Windows

__all__ = ["Suspect", "suspects"]

_MOST = 40  # windows that are asked
_LEAST = 0.05  # share of χ² that an effect has to explain
_SLOW = (0.02, 0.06, 0.2)  # of the largest speed: where a Stribeck effect is gone
_RIPPLES = np.arange(2, 121)  # periods of cogging per turn
_SHARP = 4.0  # times the usual gain of a ripple, which the one that is there must have
_PERIODS = 3  # of cogging in the range of the motion, or it could be anything
_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Suspect:
    """An effect that the model may miss.

    Attributes:
        effect: in words, such as "friction law of elbow".
        share: of χ² that it would explain.
        sentence: what to do.
    """

    effect: str
    share: float
    sentence: str

    def plain(self) -> dict[str, Any]:
        """As plain data."""
        return {"effect": self.effect, "share": self.share, "sentence": self.sentence}


def suspects(rollouts: Rollouts, windows: Windows, found: Fit, linear: Linear) -> tuple[Suspect, ...]:
    """Ask the residuals.

    Args:
        rollouts: of the fit.
        windows: that were fitted.
        found: by the fit.
        linear: the problem around it.
    """
    chosen = np.unique(np.linspace(0, len(windows) - 1, min(_MOST, len(windows))).astype(int))
    few, starts = windows.subset(chosen), found.starts.subset(chosen)
    residual, jacobian = linear.residual[chosen], linear.jacobian[chosen]
    free = linear.free.subset(chosen)
    names = rollouts.problem.mechanism.joints
    motion = _Motion(rollouts, few)
    forces: list[Array] = []
    labels: list[tuple[str, str]] = []
    for joint, name in enumerate(names):
        if motion.still[joint]:
            continue
        waves = [motion.direction, motion.speed, *(motion.direction * np.exp(-np.abs(motion.speed) / slow) for slow in motion.slow)]
        forces += [motion.alone(joint, wave) for wave in waves]
        law = [f"{name}.{quantity}" for quantity in ("stiction", "load_friction") if f"{name}.{quantity}" not in rollouts.problem.names]
        advice = f"; make {' or '.join(law)} unknown" if law else ""
        labels += [(f"friction law of {name}", f"its friction is not as the model has it{advice}")] * len(waves)
        ripple = motion.ripple(joint, residual.reshape(len(few), few.moments.shape[1], -1)[:, :, joint])
        if not ripple:
            continue
        angle = ripple * motion.position[:, :, joint]
        forces += [motion.alone(joint, np.repeat(wave(angle)[..., None], len(names), axis=2)) for wave in (np.sin, np.cos)]
        labels += [(f"cogging of {name}", f"a torque that repeats {ripple:g} times per turn")] * 2
    stand = motion.tilts()
    other = [force[:, :, ::-1] * (1 - 2 * (np.arange(len(names)) % 2)) for force in stand]  # as free, but no motion of a base
    scale = 0.01 * motion.effort
    moved = rollouts.residual(
        few,
        np.tile(found.values, (len(forces) + 2 * len(stand) + 1, 1)),
        starts,
        force=np.stack([0 * motion.speed, *forces, *stand, *other]) * scale,
    )
    columns = [free.slopes(column) for column in (moved[1:] - moved[0]).reshape(len(moved) - 1, len(few), -1)]
    extra, extra_labels = _parameters(rollouts, few, found.values, starts)
    shares: dict[tuple[str, str], float] = {}
    everything = [*columns[: len(forces)], *(free.slopes(column) for column in extra)]
    for label in dict.fromkeys([*labels, *extra_labels]):
        mine = np.stack([column for column, other in zip(everything, [*labels, *extra_labels], strict=True) if other == label], axis=-1)
        shares[label] = _explained(residual, jacobian, mine)
    if stand:
        told = ("moving stand", "the base accelerates or tilts: fasten the robot, or record how its base moves")
        apart = [np.stack(part, axis=-1) for part in (columns[len(forces) : -len(stand)], columns[-len(stand) :])]
        explained, by_chance = (_explained_apart(residual, part) for part in apart)
        shares[told] = (explained - by_chance) / max(1 - by_chance, 1e-9)
    ranked = sorted(shares.items(), key=lambda item: -item[1])
    return tuple(Suspect(effect, float(share), sentence) for (effect, sentence), share in ranked if share > _LEAST)[:_SHOWN]


class _Motion:
    """The measured motion at the physics steps of the windows, `[W, S, J]`."""

    def __init__(self, rollouts: Rollouts, windows: Windows) -> None:
        span = rollouts.span(windows)
        self._rollouts, self._windows = rollouts, windows
        moments = rollouts.timestep * (np.arange(span) + 0.5)
        joints = len(rollouts.problem.mechanism.joints)
        self.position = np.empty((len(windows), span, joints))
        self.speed = np.empty_like(self.position)
        from scipy.signal import savgol_filter

        for index, log in enumerate(rollouts.problem.logs):
            size = min(7, len(log.time) - (len(log.time) + 1) % 2)
            smooth = savgol_filter(log.position, size, 3, axis=0)
            speed = np.gradient(smooth, log.time, axis=0)
            for row in np.flatnonzero(windows.log == index):
                at = windows.begin[row] + moments
                for joint in range(joints):
                    self.position[row, :, joint] = np.interp(at, log.time, smooth[:, joint])
                    self.speed[row, :, joint] = np.interp(at, log.time, speed[:, joint])
        fastest = np.abs(self.speed).max(axis=(0, 1))
        self.still = fastest < 0.02 * fastest.max()
        self.slow = [share * np.maximum(fastest, 1e-9) for share in _SLOW]
        self.direction = np.tanh(self.speed / (0.02 * np.maximum(fastest, 1e-9)))
        self.effort = max(float(np.abs(rollouts.problem.mechanism.model.actuator_forcerange).max()), 1.0)

    def alone(self, joint: int, wave: Array) -> Array:
        """A wave on one joint, of size 1."""
        force = np.zeros_like(self.position)
        force[:, :, joint] = wave[:, :, joint] / max(float(np.abs(wave[:, :, joint]).max()), 1e-12)
        return force

    def ripple(self, joint: int, residual: Array) -> float:
        """Periods per turn of the torque that would explain most of a joint's residual, if the joint were an inertia alone; 0 if none stands out."""
        sampled = np.stack(
            [
                np.interp(moments, self._moments, place)
                for moments, place in zip(self._windows.moments, self.position[:, :, joint], strict=True)
            ]
        )
        step = np.gradient(self._windows.moments, axis=1)
        gains: dict[float, float] = {}
        line = np.stack([np.ones_like(sampled), self._windows.moments], axis=-1)
        bases = [np.linalg.qr(row)[0] for row in line]
        rest = np.concatenate([row - basis @ (basis.T @ row) for row, basis in zip(residual, bases, strict=True)])
        least = 2 * np.pi * _PERIODS / max(float(np.ptp(sampled)), 1e-9)
        for count in _RIPPLES[least <= _RIPPLES]:
            waves = np.stack([np.sin(count * sampled), np.cos(count * sampled)], axis=-1)
            twice = np.cumsum(np.cumsum(waves * step[..., None], axis=1) * step[..., None], axis=1)
            flat = np.concatenate([row - basis @ (basis.T @ row) for row, basis in zip(twice, bases, strict=True)])
            found = np.linalg.lstsq(flat, rest, rcond=1e-10)[0]
            gains[float(count)] = float((flat @ found) @ rest)
        at = max(gains, key=lambda count: gains[count], default=0.0)
        return at if gains and gains[at] > _SHARP * float(np.median(list(gains.values()))) else 0.0

    @property
    def _moments(self) -> Array:
        return self._rollouts.timestep * (np.arange(self.position.shape[1]) + 0.5)

    def tilts(self) -> list[Array]:
        """Torques of a base that accelerates along x or y, steadily or more and more, of size 1."""
        mechanism = self._rollouts.problem.mechanism
        model = mechanism.model.__copy__()
        data = mujoco.MjData(model)
        addresses = [model.joint(name).qposadr[0] for name in mechanism.joints]
        dofs = [model.joint(name).dofadr[0] for name in mechanism.joints]
        forces = []
        for axis in range(2):
            model.opt.gravity[:] = np.eye(3)[axis]
            force = np.zeros_like(self.position)
            step = max(force.shape[1] // 12, 1)
            for row in range(len(force)):
                for first in range(0, force.shape[1], step):
                    data.qpos[addresses] = self.position[row, first]
                    mujoco.mj_forward(model, data)
                    force[row, first : first + step] = -data.qfrc_bias[dofs]
            size = float(np.abs(force).max())
            if size > 1e-9:
                ramp = np.linspace(-1, 1, force.shape[1])[None, :, None]
                forces += [force / size, force * ramp / size]
        return forces


def _parameters(rollouts: Rollouts, windows: Windows, values: Array, starts: Starts) -> tuple[Array, list[tuple[str, str]]]:
    """Residual changes by parameters that were not unknown, `[n, W, M]`, and what they stand for."""
    problem = rollouts.problem
    names, table = problem.names, problem.mechanism.table
    extra: list[tuple[str, float, tuple[str, str]]] = []
    if "action_delay" not in names:
        extra.append(("action_delay", 1e-3, ("delay", "commands take effect later than the model says: make action_delay unknown")))
    for joint in problem.mechanism.joints:
        if not {f"{joint}.gain", f"{joint}.torque_scale", f"{joint}.drive_gain"} & set(names):
            label = (f"weak motor of {joint}", f"its torque is not what was commanded: make {joint}.torque_scale unknown")
            extra.append((f"{joint}.torque_scale", 0.01, label))
        if f"{joint}.armature" not in names:
            extra.append((f"{joint}.armature", 1e-3, (f"rotor inertia of {joint}", f"make {joint}.armature unknown")))
    if not extra:
        return np.zeros((0, len(windows), 0)), []
    wider: Sequence[Unknown] = [*problem.unknown, *(Unknown(name, table[name].low, table[name].high) for name, _, _ in extra)]
    theirs = Rollouts(replace(problem, unknown=tuple(wider)), threads=rollouts.threads)
    base = np.concatenate([values, [table[name].nominal for name, _, _ in extra]])
    candidates = np.stack([base, *(base + step * np.eye(len(base))[len(values) + index] for index, (_, step, _) in enumerate(extra))])
    moved = theirs.residual(windows, candidates, starts).reshape(len(candidates), len(windows), -1)
    return moved[1:] - moved[0], [label for _, _, label in extra]


def _explained(residual: Array, jacobian: Array, columns: Array) -> float:
    """Share of the residuals `[W, M]` that columns `[W, M, k]` explain beyond the fitted parameters."""
    flat, slopes, side = columns.reshape(-1, columns.shape[2]), jacobian.reshape(-1, jacobian.shape[2]), residual.ravel()
    flat = flat / np.maximum(np.linalg.norm(flat, axis=0), 1e-12)
    slopes = slopes / np.maximum(np.linalg.norm(slopes, axis=0), 1e-12)
    flat = flat - slopes @ np.linalg.lstsq(slopes, flat, rcond=1e-10)[0]
    solved = np.linalg.lstsq(flat, side, rcond=1e-6)[0]
    return float((flat @ solved) @ side / (side @ side))


def _explained_apart(residual: Array, columns: Array) -> float:
    """The same with amplitudes of each window's own."""
    gain = 0.0
    for side, mine in zip(residual, columns, strict=True):
        scaled = mine / np.maximum(np.linalg.norm(mine, axis=0), 1e-12)
        gain += float((scaled @ np.linalg.lstsq(scaled, side, rcond=1e-6)[0]) @ side)
    return gain / float((residual**2).sum())
