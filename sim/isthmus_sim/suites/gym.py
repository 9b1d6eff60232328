"""`gym:ID`: everything registered with Gymnasium, and with gymnasium-robotics (Adroit and others) where that is installed."""

from __future__ import annotations

import contextlib
import importlib.util
import io
import os
import traceback
from typing import Any

import gymnasium

from isthmus_sim.explosions import quiet_mujoco
from isthmus_sim.suites.suite import DEFAULT_STEPS, SuiteEnv, fast_pictures

__all__ = ["SUCCESS_ONCE", "knows", "make", "names"]

SUCCESS_ONCE = False


def knows(name: str) -> bool:
    """Whether an id is registered; gymnasium-robotics is only imported, and registered, for ids that Gymnasium itself does not have."""
    return name in gymnasium.registry or name in names()


def names() -> list[str]:
    """Registered ids, sorted."""
    if importlib.util.find_spec("gymnasium_robotics") is not None:
        # It prints a notice on versions, which would stand before every message of ours; docs/how-to/suites.md gives its content.
        with contextlib.redirect_stderr(io.StringIO()):
            import gymnasium_robotics  # noqa: F401 - registers its environments
    return sorted(name for name, spec in gymnasium.registry.items() if spec.entry_point is not None)


def make(name: str, size: int | None) -> SuiteEnv:
    """Make a registered environment.

    Args:
        name: one of `names()`.
        size: side of its pictures, pixels; None for none.

    Raises:
        ValueError: the environment cannot be made with what is installed.
    """
    if "DISPLAY" not in os.environ:
        os.environ.setdefault("MUJOCO_GL", "egl")
    pictures: dict[str, Any] = {} if size is None else {"render_mode": "rgb_array", "width": size, "height": size}
    try:
        with quiet_mujoco():
            env = gymnasium.make(name, disable_env_checker=True, **pictures)
    except Exception as error:  # every environment fails in its own way
        where = f" with pictures of {size} × {size}" if size else ""
        raise ValueError(f"gym:{name} cannot be made here{where}: {_reason(error)}") from error
    if size is not None and hasattr(env.unwrapped, "model"):
        fast_pictures(env.unwrapped.model)
    period = float(getattr(env.unwrapped, "dt", 0) or 1 / (env.metadata.get("render_fps") or 1))
    return SuiteEnv(env, period, (env.spec.max_episode_steps if env.spec else None) or DEFAULT_STEPS)


def _reason(error: Exception) -> str:
    """The first line of what went wrong; of an error without a message its name and place."""
    if message := str(error).strip():
        return message.splitlines()[0]
    place = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__} in {place.filename}, line {place.lineno}"
