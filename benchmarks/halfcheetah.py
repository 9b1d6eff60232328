"""HalfCheetah of Gymnasium, from Gymnasium's own model file, as a task on a batched plant: what `TaskVectorEnv` costs where others can be compared.

Rewards, starts, observations and time limit are those of HalfCheetah-v5; actions are torques in N·m, so that they are the gears times
Gymnasium's. It has no guard: in this benchmark every action goes through.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import gymnasium.envs.mujoco
import mujoco
import numpy as np
from mujoco.batch import Batch

from isthmus import Command, Contract, Limits, Measurement, Robot, Signal
from isthmus.records import Array, reorder
from isthmus.robot import Joint
from isthmus_sim.plants.base import rows_of
from isthmus_sim.scene import Scene
from isthmus_sim.task import EpisodeStart, Task, Term, Transition

__all__ = ["GEARS", "MODEL", "HalfCheetahPlant", "halfcheetah"]

MODEL = Path(gymnasium.envs.mujoco.__file__).parent / "assets" / "half_cheetah.xml"
SUBSTEPS = 5
PERIOD = 0.05  # s
ROOT = {"rootx": "prismatic", "rootz": "prismatic", "rooty": "continuous"}
GEARS = {"bthigh": 120.0, "bshin": 90.0, "bfoot": 60.0, "fthigh": 120.0, "fshin": 60.0, "ffoot": 30.0}  # N·m at full action
NOISE = 0.1  # rad, m and their rates, of the start

_NO_STAGE = int(mujoco.mjtStage.mjSTAGE_NONE)
_INF = float("inf")


class _LegsAlone(Contract):
    """Six of nine joints: the root has no motor, and a robot of isthmus is commanded in all its joints."""

    __slots__ = ()

    def fits(self, robot: Robot) -> list[str]:
        """Only the plant below is asked, and it has what is named."""
        return []


def halfcheetah() -> Task:
    """Run to the right; HalfCheetah-v5."""
    torque = tuple(GEARS.values())
    gears = np.array(torque)
    contract = _LegsAlone(
        robot="halfcheetah",
        task="halfcheetah",
        observation=(
            _signal("height", "joint_position", ("rootz",), "m"),
            _signal("angles", "joint_position", ("rooty", *GEARS), "rad"),
            _signal("velocity", "joint_velocity", ("rootx", "rootz"), "m/s"),
            _signal("rates", "joint_velocity", ("rooty", *GEARS), "rad/s"),
        ),
        action=Signal("joint_effort", "joint_effort", tuple(GEARS), "N*m", tuple(-gears), torque),
        limits=Limits(tuple(GEARS), *[(bound,) * 6 for bound in (-_INF, _INF, _INF, _INF, 1.0)], effort=torque),
        control_period=PERIOD,
    )

    def start(generators: Sequence[np.random.Generator]) -> EpisodeStart:
        drawn = np.array([(generator.uniform(-NOISE, NOISE, 9), NOISE * generator.standard_normal(9)) for generator in generators])
        return EpisodeStart({"position": drawn[:, 0], "velocity": drawn[:, 1]}, {})

    def effort(step: Transition) -> Array:
        action = step.action / gears
        return np.asarray(np.einsum("bi,bi->b", action, action))

    return Task(
        name="halfcheetah",
        description="run to the right",
        contract=contract,
        episode_steps=1000,
        start=start,
        reward=(
            Term("forward", 1.0, "m/s", lambda step: (step.after.position[:, 0] - step.before.position[:, 0]) / PERIOD),
            Term("effort", -0.1, "1", effort),
        ),
        reached=lambda step: step.after.velocity[:, 0] > _INF,
        success="never",
        success_steps=1,
        plants=("mujoco",),
        scene=Scene(),
    )


class HalfCheetahPlant:
    """Gymnasium's model file on MuJoCo's batch. See `isthmus.Plant`.

    Attributes:
        robot: nine joints, of which the six of the legs are driven.
        period: control period, s.
        batch: number of rows.
        realtime: False.
        model: compiled.
        substeps: physics steps per control period.
        threads: of the engine.
    """

    realtime = False

    def __init__(self, batch: int) -> None:
        names = {**ROOT, **dict.fromkeys(GEARS, "continuous")}
        joints = tuple(Joint(name, 0.0, _INF, _INF, 1.0, _INF, kind) for name, kind in names.items())
        self.robot = Robot("halfcheetah", "a flat cat", "", "world", "torso", joints, ("effort",))
        self.period, self.batch, self.substeps = PERIOD, batch, SUBSTEPS
        self.threads = min(batch, os.cpu_count() or 1)
        self.scene, self.parameters = Scene(), {}
        self.model = mujoco.MjModel.from_xml_path(str(MODEL))
        self._joints = self.robot.joint_names
        self._gears = np.array(list(GEARS.values()))
        self._batch = Batch(self.model, nsim=batch, nthread=self.threads)
        self._qpos, self._qvel, self._ctrl = (self._batch.bind(name) for name in ("qpos", "qvel", "ctrl"))
        self._steps = np.zeros(batch, dtype=np.int64)
        self._sample: Measurement | None = None

    def reset(
        self,
        rows: Array | None = None,
        seeds: Sequence[int] | None = None,
        state: Mapping[str, Array] | None = None,
        parameters: Mapping[str, Array] | None = None,
    ) -> None:
        """See `Plant.reset`; without a state, rows begin at the model's own."""
        ids = rows_of(rows, self.batch)
        self._batch.reset(ids, stage=_NO_STAGE)
        if state:
            self._qpos[ids], self._qvel[ids] = state["position"], state["velocity"]
        self._batch.forward(ids)
        self._steps[ids] = 0
        self._sample = None

    def read(self) -> Measurement:
        """Joint states of all rows."""
        if self._sample is None:
            self._sample = Measurement(self._steps * self.period, self._joints, self._qpos.copy(), self._qvel.copy())
        return self._sample

    truth = read

    def write(self, command: Command) -> None:
        """Torques, clipped by the model to those of full action."""
        np.divide(reorder(command.values, command.joints, tuple(GEARS)), self._gears, out=self._ctrl)

    def advance(self) -> None:
        """Step all rows by one control period."""
        self._batch.step(nstep=self.substeps, stage=_NO_STAGE)
        self._steps += 1
        self._sample = None

    def stop(self, reason: str) -> None:
        """Switch the torques off."""
        self._ctrl[:] = 0.0

    def close(self) -> None:
        """Nothing to release."""

    def render(self, row: int = 0, **view: Any) -> Array:
        """Not needed here."""
        raise NotImplementedError("this plant is only raced")


def _signal(name: str, source: str, elements: tuple[str, ...], unit: str) -> Signal:
    return Signal(name, source, elements, unit, (-_INF,) * len(elements), (_INF,) * len(elements), dtype="float64")
