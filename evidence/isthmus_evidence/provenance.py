"""Where a figure comes from: the command, the commit, the versions and the machine, to be written beside it."""

from __future__ import annotations

import datetime
import importlib.metadata
import os
import platform
import shlex
import subprocess
import sys
from pathlib import Path

__all__ = ["commit", "installed_version", "machine", "provenance"]

_VERSIONS = ("isthmus", "mujoco", "pybullet", "torch", "onnxruntime", "ros-rclpy", "numpy")


def provenance() -> dict[str, object]:
    """What is written beside figures of this process, as plain data."""
    return {
        "command": shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]]),
        "commit": commit(),
        "date": datetime.datetime.now().astimezone().strftime("%Y-%m-%d %H:%M %Z"),
        "machine": machine(),
    }


def machine() -> dict[str, str]:
    """Operating system, processors and versions."""
    return {
        "system": f"{platform.system()} {platform.release()}",
        "processors": f"{os.cpu_count()} ({platform.machine()})",
        "python": platform.python_version(),
        **{name: installed_version(name) or "not installed by pip" for name in _VERSIONS},
    }


def commit() -> str:
    """Of the checkout that isthmus was installed from, with "+changes" if its code differs; "" where there is none."""
    folder = Path(__file__).parent
    head = _git(folder, "rev-parse", "--short=12", "HEAD")
    if not head:
        return ""
    changed = _git(folder, "status", "--porcelain", "--untracked-files=no", "--", ":/*.py", ":/*.yaml", ":/*.toml", ":/*.urdf", ":/*.xml")
    return head + ("+changes" if changed else "")


def installed_version(name: str) -> str:
    """Version of an installed distribution, "" if it is not installed."""
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return ""


def _git(folder: Path, *arguments: str) -> str:
    try:
        return subprocess.run(["git", "-C", str(folder), *arguments], capture_output=True, text=True, check=True, timeout=20).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return ""
