"""Whether MuJoCo can draw here, by what `MUJOCO_GL` says and whether there is a screen; in words that say what to do.

Neither MuJoCo nor a graphics library is loaded here: a wrong value breaks them when they are.
"""

from __future__ import annotations

import ctypes.util
import functools
import os
import re
import socket
import sys

__all__ = ["NO_DRIVER", "check_drawing", "check_mujoco", "drawing_problem", "has_screen"]

_OFF = ("disable", "disabled", "off", "false", "0")
_WINDOW = ("enable", "enabled", "on", "true", "1", "glfw", "glx")
_UNSET = "unset MUJOCO_GL"
_PATIENCE = 2.0  # s until a display is said not to answer

NO_DRIVER = "for pictures without a screen run: apt-get install libegl1 libgl1 libegl-mesa0 libgl1-mesa-dri"
"""What to do where nothing but a graphics driver is missing."""


def has_screen() -> bool:
    """Whether a window can be opened: on Linux, whether a server answers that DISPLAY or WAYLAND_DISPLAY names."""
    if sys.platform != "linux":
        return True
    wayland = os.environ.get("WAYLAND_DISPLAY", "")
    place = os.path.join(os.environ.get("XDG_RUNTIME_DIR", ""), wayland)
    return bool(wayland and _answers(place)) or _x_answers(os.environ.get("DISPLAY", ""))


def _x_answers(display: str) -> bool:
    """Whether there is an X server at `[host]:number[.screen]`; of a session that has ended, the name alone is left."""
    found = re.fullmatch(r"(?:\w+/)?(.*):(\d+)(\.\d+)?", display)
    if found is None:
        return False
    host, number = found[1], int(found[2])
    if host in ("", "unix"):
        file = f"/tmp/.X11-unix/X{number}"  # noqa: S108 - where every X server listens
        return _answers(file) or _answers(f"\0{file}")
    return _answers((host.strip("[]"), 6000 + number))


@functools.cache
def _answers(address: str | tuple[str, int]) -> bool:
    try:
        if isinstance(address, tuple):
            socket.create_connection(address, timeout=_PATIENCE).close()
        else:
            with socket.socket(socket.AF_UNIX) as tried:
                tried.settimeout(_PATIENCE)
                tried.connect(address)
    except (OSError, OverflowError, ValueError):  # nobody is there, or it is no address
        return False
    return True


def drawing_problem() -> tuple[str, str]:
    """Why MuJoCo cannot draw, and what to do; ("", "") if nothing is known against it."""
    value = os.environ.get("MUJOCO_GL", "").lower().strip()
    if value in _OFF:
        return f"MUJOCO_GL is {value!r}, which turns drawing off", _UNSET
    if value in _WINDOW and not has_screen():
        display = os.environ.get("DISPLAY")
        none = f"nothing answers at DISPLAY={display}" if display else "there is none"
        return f"MUJOCO_GL is {value!r}, which draws on a screen, and {none}", f"{_UNSET} or set it to egl"
    library = os.environ.get("PYOPENGL_PLATFORM", "").lower()
    if value in ("egl", "osmesa") and library not in ("", value):  # a window needs no PyOpenGL
        return f"PYOPENGL_PLATFORM is {library!r}, with which MuJoCo cannot draw by {value}", "unset PYOPENGL_PLATFORM"
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
