"""`metaworld:NAME`: the manipulation tasks of Meta-World (Yu et al. 2019), each episode with a start and a goal of its own.

Meta-World pins an older MuJoCo than our plants need, so this runs in a virtual environment of its own: neither a plant nor `mujoco.batch` may be
imported here.
"""

from __future__ import annotations

import os
from typing import Any

import gymnasium

from isthmus.records import Array
from isthmus_sim.suites.suite import SuiteEnv, fast_pictures

if "DISPLAY" not in os.environ:
    os.environ.setdefault("MUJOCO_GL", "egl")

from metaworld.env_dict import ALL_V3_ENVIRONMENTS

__all__ = ["SUCCESS_ONCE", "knows", "make", "names"]

SUCCESS_ONCE = True  # Meta-World's own evaluation counts an episode as soon as it succeeds
_CAMERA = "corner2"  # what published results from pixels use


def names() -> list[str]:
    """Names of the tasks, sorted."""
    return sorted(ALL_V3_ENVIRONMENTS)


def knows(name: str) -> bool:
    """Whether there is a task of that name."""
    return name in ALL_V3_ENVIRONMENTS


def make(name: str, size: int | None) -> SuiteEnv:
    """Make a task with observable goal.

    Args:
        name: one of `names()`.
        size: side of its pictures, pixels; None for none.
    """
    pictures: dict[str, Any] = {} if size is None else {"render_mode": "rgb_array", "camera_name": _CAMERA, "width": size, "height": size}
    env = ALL_V3_ENVIRONMENTS[name](**pictures)
    if size is not None:
        fast_pictures(env.model)
    # What Meta-World's own goal-observable classes do, which take no camera.
    env._partially_observable = False
    del env.sawyer_observation_space
    env._freeze_rand_vec = False
    env._set_task_called = True
    env.seeded_rand_vec = True
    return SuiteEnv(_MetaWorldEnv(env), float(env.dt), int(env.max_path_length))


class _MetaWorldEnv(gymnasium.Wrapper):
    """Makes `reset(seed=…)` do what Gymnasium promises (Meta-World has a method for it), and turns pictures upright."""

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Array, dict[str, Any]]:
        if seed is not None:
            self.env.seed(seed)
        return self.env.reset()

    def render(self) -> Array:
        """A picture `[size, size, 3]`; Meta-World's camera hangs upside down."""
        return self.env.render()[::-1, ::-1]
