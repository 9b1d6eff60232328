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
from typing import Any

__all__ = ["commit", "installed_version", "machine", "provenance"]

_VERSIONS = ("isthmus", "mujoco", "pybullet", "torch", "stable-baselines3", "casadi", "onnxruntime", "ros-rclpy", "numpy", "scipy")
_PROCESSORS = Path("/proc/cpuinfo")


def provenance(*packages: str) -> dict[str, Any]:
    """What is written beside figures of this process, as plain data, without paths of the machine; `packages` are further ones with a version."""
    program, *words = sys.argv
    name = f"python {Path(program).parent.name}/{Path(program).name}" if program.endswith(".py") else Path(program).name
    return {
        "command": f"{name} {shlex.join(_typed(word) for word in words)}".rstrip(),
        "commit": commit(),
        "date": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
        "machine": machine(*packages),
    }


def machine(*packages: str) -> dict[str, str]:
    """Operating system, processors and versions."""
    return {
        "system": f"{platform.system()} {platform.release()}",
        "processors": f"{os.cpu_count()} × {_processor()} ({platform.machine()})",
        "python": platform.python_version(),
        **{name: installed_version(name) or "not installed by pip" for name in (*_VERSIONS, *packages)},
    }


def commit() -> str:
    """Of the checkout that isthmus was installed from, all digits, with "+changes" if its code differs; "" where there is none."""
    folder = Path(__file__).parent
    head = _git(folder, "rev-parse", "HEAD")
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


def _typed(word: str) -> str:
    """As it was typed, of an absolute path its last part."""
    return f"…/{Path(word).name}" if word.startswith(("/", "~")) else word


def _processor() -> str:
    """What the processor is called."""
    lines = _PROCESSORS.read_text(encoding="utf-8").splitlines() if _PROCESSORS.is_file() else []
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.processor() or "unknown")


def _git(folder: Path, *arguments: str) -> str:
    try:
        return subprocess.run(["git", "-C", str(folder), *arguments], capture_output=True, text=True, check=True, timeout=20).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return ""
