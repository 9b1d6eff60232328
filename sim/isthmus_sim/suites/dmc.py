"""`dmc:DOMAIN-TASK`: the DeepMind control suite (Tassa et al. 2018), `dm_control.suite`."""

from __future__ import annotations

import math
import os
from typing import Any

import gymnasium
import numpy as np

from isthmus.records import Array
from isthmus_sim.explosions import quiet_mujoco
from isthmus_sim.suites.suite import DEFAULT_STEPS, DivergedSuiteError, SuiteEnv, fast_pictures

if "DISPLAY" not in os.environ:
    os.environ.setdefault("MUJOCO_GL", "egl")  # dm_control chooses when it is imported

from dm_control import suite
from dm_control.rl.control import PhysicsError

__all__ = ["SUCCESS_ONCE", "ControlSuiteEnv", "knows", "make", "names"]

SUCCESS_ONCE = False
_CAMERAS = {"quadruped": 2}  # domain → number of the camera that published results from pixels use, where it is not the first


def names() -> list[str]:
    """DOMAIN-TASK of every task of the suite, sorted."""
    return sorted(f"{domain}-{task}" for domain, task in suite.ALL_TASKS)


def knows(name: str) -> bool:
    """Whether there is a task of that name."""
    return name in names()


def make(name: str, size: int | None) -> SuiteEnv:
    """Make a task of the suite.

    Args:
        name: one of `names()`.
        size: side of its pictures, pixels; None for none.
    """
    domain, _, task = name.partition("-")
    with quiet_mujoco():
        env = ControlSuiteEnv(suite.load(domain, task), size, camera=_CAMERAS.get(domain, 0))
    limit = env.suite_env._step_limit
    return SuiteEnv(env, float(env.suite_env.control_timestep()), round(limit) if math.isfinite(limit) else DEFAULT_STEPS)


class ControlSuiteEnv(gymnasium.Env):
    """A dm_env environment as Gymnasium sees it: an end with discount 0 is a termination, any other end a time limit.

    Attributes:
        suite_env: what is wrapped.
    """

    metadata = {"render_modes": ["rgb_array"]}  # noqa: RUF012 - Gymnasium's name and type

    def __init__(self, suite_env: Any, size: int | None = None, camera: int = 0) -> None:
        """Wrap.

        Args:
            suite_env: from `dm_control.suite.load`.
            size: side of its pictures, pixels; None for none.
            camera: number of the one that takes them.
        """
        self.suite_env = suite_env
        self._size, self._camera = size, camera
        self.render_mode = None if size is None else "rgb_array"
        spec = suite_env.action_spec()
        self.action_space = gymnasium.spaces.Box(
            np.broadcast_to(spec.minimum, spec.shape).astype(np.float32), np.broadcast_to(spec.maximum, spec.shape).astype(np.float32)
        )
        self.observation_space = gymnasium.spaces.Dict(
            {
                name: gymnasium.spaces.Box(-np.inf, np.inf, array.shape or (1,), np.float64)
                for name, array in suite_env.observation_spec().items()
            }
        )
        if size is not None:
            model = suite_env.physics.model
            fast_pictures(model)
            model.vis.global_.offwidth = model.vis.global_.offheight = size

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[dict[str, Array], dict[str, Any]]:
        """Begin an episode; with `seed`, the one of that seed."""
        super().reset(seed=seed)
        if seed is not None:
            self.suite_env.task.random.seed(seed)
        return self._observation(self.suite_env.reset()), {}

    def step(self, action: Array) -> tuple[dict[str, Array], float, bool, bool, dict[str, Any]]:
        """One control period.

        Raises:
            DivergedSuiteError: the physics diverged.
        """
        try:
            moment = self.suite_env.step(action)
        except PhysicsError as error:
            raise DivergedSuiteError(f"the simulation diverged: {error}") from None
        terminated = moment.last() and moment.discount == 0
        return self._observation(moment), float(moment.reward), terminated, moment.last() and not terminated, {}

    def render(self) -> Array:
        """A picture `[size, size, 3]`."""
        return self.suite_env.physics.render(self._size, self._size, camera_id=self._camera)

    def close(self) -> None:
        """Free the physics."""
        self.suite_env.close()

    def _observation(self, moment: Any) -> dict[str, Array]:
        return {name: np.asarray(value, dtype=np.float64).reshape(value.shape or (1,)) for name, value in moment.observation.items()}
