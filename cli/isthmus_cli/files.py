"""Files that people name: policy files, and what they name instead; and files to write."""

from __future__ import annotations

import difflib
import os
from collections.abc import Callable
from pathlib import Path

from isthmus.artifact import Artifact, ArtifactError
from isthmus.robot import robot_names
from isthmus.strict import suggest

__all__ = ["TRAINED", "check_folder", "check_output", "check_policy_file", "load_artifact", "names_file", "nothing_to_resume"]

TRAINED = Path(__file__).with_name("reach.isthmus")
"""The small trained policy that comes with isthmus, made by `isthmus train bc reach --scripted 200 --steps 3000`."""

_POLICY = "policy.isthmus"
_SUFFIXES = {
    ".safetensors": "a checkpoint of a training",
    ".yaml": "a YAML file",
    ".yml": "a YAML file",
    ".json": "a JSON file",
    ".jsonl": "a journal of a training",
    ".mcap": "a recording",
    ".onnx": "an ONNX graph; how to make a policy file of it is in docs/how-to/bring-a-policy.md",
    ".urdf": "a description of a robot",
    ".xacro": "a description of a robot",
    ".xml": "an XML file",
    ".py": "a Python program",
    ".npz": "a file of arrays",
    ".zip": "a zip archive of another program",
}
_ZIP = b"PK"


def load_artifact(path: Path) -> Artifact:
    """Read a policy file.

    Raises:
        ValueError: it is no policy file; the message says what it is instead.
    """
    check_policy_file(path)
    return Artifact.load(path)


def names_file(path: Path) -> bool:
    """Whether a name is that of a file, there or not, by its suffix."""
    return path.suffix.lower() in (Path(_POLICY).suffix, *_SUFFIXES)


def check_policy_file(path: Path) -> None:
    """See that a path leads to a policy file, as far as its first bytes tell.

    Raises:
        ValueError: it does not; the message says what is there instead.
    """
    if path.is_dir():
        raise ValueError(f"{path} is {_folder(path)}")
    if not path.exists():
        raise ValueError(_missing(path))
    if not path.is_file():
        raise ArtifactError(f"{path}: is no regular file")
    try:
        with path.open("rb") as file:
            begin = file.read(2)
    except OSError as error:
        raise ArtifactError(f"{path} cannot be read: {error.strerror}") from None
    if not begin:
        raise ArtifactError(f"{path} is no policy file: it is empty")
    if begin != _ZIP:
        raise ArtifactError(f"{path} is no policy file: it is {_SUFFIXES.get(path.suffix.lower(), 'not a zip archive')}")


def check_output(path: Path) -> None:
    """See that a file can be written, before time is spent on what goes into it; makes its folder.

    Raises:
        ValueError: it is a folder or a device, or there is no permission.
    """
    if path.is_dir():
        raise ValueError(f"{path} is a folder; give the path of a file")
    if path.exists() and not path.is_file():
        raise ValueError(f"cannot write {path}: it is no regular file")
    check_folder(path.parent)
    if path.exists() and not os.access(path, os.W_OK):
        raise ValueError(f"cannot write {path}: no permission")


def check_folder(path: Path) -> None:
    """See that files can be written into a folder; makes it.

    Raises:
        ValueError: it is a file, or there is no permission.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ValueError(f"cannot write into {path}: {error.strerror}") from None
    if not os.access(path, os.W_OK):
        raise ValueError(f"cannot write into {path}: no permission")


def nothing_to_resume(out: Path, what: str, holds: Callable[[Path], bool]) -> str:
    """Says that a folder does not hold what is to be resumed, and which folders beside it do."""
    names = [folder.name for folder in out.parent.iterdir() if holds(folder)] if out.parent.is_dir() else []
    there = f"in {out.parent}: {suggest(out.name, names)}" if names else f"there is none in {out.parent} either"
    return f"{out} holds no {what} that could be resumed; {there}. Without --resume one begins"


def _folder(path: Path) -> str:
    if (file := path / _POLICY).is_file():
        return f"the folder of a training; its policy file is {file}"
    if found := sorted(path.glob(f"*/{_POLICY}")) or sorted(path.glob("*.isthmus")):
        return f"a folder, no policy file; there is {found[0]}" + (f" and {len(found) - 1} more" if len(found) > 1 else "")
    return "a folder, no policy file"


def _missing(path: Path) -> str:
    name = str(path)
    if name in robot_names():
        return f"{name!r} is a robot, no policy file; what is known of it: isthmus robots {name}, isthmus doctor --robot {name}"
    if _is_task(name):
        return f"{name!r} is a task, no policy file; train one with: isthmus train sac {name}"
    there = sorted(file.name for file in path.parent.glob("*.isthmus")) if path.parent.is_dir() else []
    near = difflib.get_close_matches(path.name, there, n=1, cutoff=0.5)
    return f"{path} cannot be read: No such file or directory" + (f"; did you mean {path.with_name(near[0])}?" if near else "")


def _is_task(name: str) -> bool:
    try:
        from isthmus_sim.tasks import task_names
    except ModuleNotFoundError:  # a robot's computer has no simulation
        return False
    return name in task_names()
