"""Whether MuJoCo can draw here, by what `MUJOCO_GL` says and whether there is a screen; in words that say what to do.

Neither MuJoCo nor a graphics library is loaded here: a wrong value breaks them when they are.
"""

from __future__ import annotations

import ctypes.util
import os
import sys

__all__ = ["NO_DRIVER", "check_drawing", "check_mujoco", "drawing_problem", "has_screen"]

_OFF = ("disable", "disabled", "off", "false", "0")
_WINDOW = ("enable", "enabled", "on", "true", "1", "glfw", "glx")
_UNSET = "unset MUJOCO_GL"

NO_DRIVER = "for pictures without a screen run: apt-get install libegl1 libgl1 libegl-mesa0 libgl1-mesa-dri"
"""What to do where nothing but a graphics driver is missing."""


def has_screen() -> bool:
    """Whether a window can be opened."""
    return sys.platform != "linux" or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def drawing_problem() -> tuple[str, str]:
    """Why MuJoCo cannot draw, and what to do; ("", "") if nothing is known against it."""
    value = os.environ.get("MUJOCO_GL", "").lower().strip()
    if value in _OFF:
        return f"MUJOCO_GL is {value!r}, which turns drawing off", _UNSET
    if value in _WINDOW and not has_screen():
        return f"MUJOCO_GL is {value!r}, which draws on a screen, and there is none", f"{_UNSET} or set it to egl"
    return _import_problem()


def check_drawing() -> None:
    """Refuse to draw where it cannot work.

    Raises:
        OSError: it cannot; the message says what to do.
    """
    _refuse(drawing_problem())


def check_mujoco() -> None:
    """Refuse values of `MUJOCO_GL` with which MuJoCo cannot even be imported.

    Raises:
        OSError: it cannot; the message says what to do.
    """
    _refuse(_import_problem())


def _import_problem() -> tuple[str, str]:
    value = os.environ.get("MUJOCO_GL", "").lower().strip()
    known = ("egl", "glfw", "osmesa") if sys.platform == "linux" else ("glfw",)
    if value not in ("", *_OFF, *_WINDOW, *known):
        return f"MUJOCO_GL is {value!r}, which MuJoCo does not know", f"{_UNSET} or set it to {' or '.join(known)}"
    if value == "osmesa" and not ctypes.util.find_library("OSMesa"):
        return "MUJOCO_GL is 'osmesa', and its library is not installed", f"{_UNSET}, or install it with: apt-get install libosmesa6"
    return "", ""


def _refuse(problem: tuple[str, str]) -> None:
    found, cure = problem
    if found:
        raise OSError(f"{found}; {cure}")
