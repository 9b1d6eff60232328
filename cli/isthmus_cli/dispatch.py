"""Finds the command, runs it, and turns what the user got wrong into one sentence.

Each command is a dataclass in a module of its own, parsed by tyro, with a method `run` that returns the exit code. Only the module of
the command that was asked for is imported.
"""

from __future__ import annotations

import difflib
import importlib
import shlex
from typing import Any

from isthmus import strict
from isthmus_cli.console import complain, say
from isthmus_cli.parsing import parsed

__all__ = ["perform"]

INTERRUPTED = 130  # what shells report for Ctrl-C

_COMMANDS = {
    "train": ("", "train a policy in simulation: isthmus train ALGORITHM TASK"),
    "sweep": ("isthmus_cli.sweep.command:Sweep", "search settings of a learner, in parallel on Ray: isthmus sweep FILE.yaml"),
    "zoo": ("isthmus_cli.zoo:Zoo", "train learners on tasks, and check each policy in every world"),
    "script": ("isthmus_cli.script:Script", "write the policy file of a task's scripted solution"),
    "mpc": ("isthmus_cli.mpc:Mpc", "write the policy file of a model predictive controller for a specification"),
    "eval": ("isthmus_cli.eval.command:Eval", "run episodes of a policy: return and success with 95 % intervals"),
    "compare": ("isthmus_cli.compare:Compare", "compare policies, or worlds, on the same seeds: differences with intervals, and a verdict"),
    "certify": ("isthmus_cli.certify:Certify", "run a policy in two engines, search its margins, and store the certificate in its file"),
    "climb": ("isthmus_cli.climb:Climb", "store what a recording on the robot shows, shadow, reduced or full rate, in the policy file"),
    "card": ("isthmus_cli.card:Card", "write a model card from the evidence in a policy file"),
    "deploy": (
        "isthmus_cli.deploy.command:Deploy",
        "run a policy on a robot over ROS 2, or on a simulated one: isthmus deploy POLICY --sim",
    ),
    "identify": (
        "isthmus_cli.identify.command:Identify",
        "fit a model to recordings of a robot: isthmus identify TARGET --log FILE --out DIR; what to record: isthmus identify design TARGET",
    ),
    "calibrations": (
        "isthmus_cli.identify.calibrations:Calibrations",
        "compare calibrations: the same robot on two days, or two of a kind",
    ),
    "gap": ("isthmus_cli.gap:Gap", "compare recordings of simulation and robot, and name why they differ: isthmus gap A B"),
    "replay": (
        "isthmus_cli.replay:Replay",
        "send a recording through policy and guard again, or its commands to a simulator: isthmus replay LOG POLICY",
    ),
    "asid": (
        "isthmus_cli.asid:Asid",
        "explore once, identify, solve the task in the calibrated simulator, and compare: isthmus asid TASK --real PLANT",
    ),
    "motions": ("isthmus_cli.motions:Motions", "write steps, chirps and slow motions of a robot as files, for its first gap report"),
    "faults": ("isthmus_cli.faults.command:Faults", "bring faults about around a simulated robot, and write what came of them"),
    "view": ("isthmus_cli.view.command:View", "watch a task, with a policy or without, or a simulation that exploded"),
    "inspect": ("isthmus_cli.inspect:Inspect", "show what is in a policy file: contract, training, evidence"),
    "doctor": ("isthmus_cli.doctor:Doctor", "check this machine, and whether a policy fits a robot"),
    "tasks": ("isthmus_cli.tasks:Tasks", "list the tasks, or show one"),
    "robots": (
        "isthmus_cli.robots:Robots",
        "list the robots, show one, or import one: isthmus robots import NAME URDF_OR_MJCF; with a first task: isthmus new",
    ),
    "new": ("isthmus_cli.new:New", "write a package with your robot and a first task: isthmus new my_lab --robot URDF"),
    "plants": ("isthmus_cli.plants:Plants", "list what can be controlled, and what is installed"),
    "demo": ("isthmus_cli.demo.command:Demo", "train, run the same file in a second engine and over ROS 2, write a report"),
}
_TRAIN = {
    "sac": ("isthmus_cli.train.sac:TrainSac", "soft actor-critic (Haarnoja et al. 2018)"),
    "dsac-t": ("isthmus_cli.train.dsac_t:TrainDsacT", "distributional soft actor-critic with three refinements (Duan et al. 2023)"),
    "drqv2": ("isthmus_cli.train.pixels:TrainDrqv2", "from pictures, shifted at random: DrQ-v2 (Yarats et al. 2021)"),
    "drm": ("isthmus_cli.train.pixels:TrainDrm", "from pictures, ruled by the dormant ratio: DrM (Xu et al. 2023)"),
    "mentor": (
        "isthmus_cli.train.pixels:TrainMentor",
        "from pictures, with experts and perturbation towards good agents: MENTOR (Huang et al. 2024)",
    ),
    "bc": ("isthmus_cli.train.bc:TrainBc", "behaviour cloning of recordings or of a task's script"),
    "ppo": ("isthmus_cli.train.ppo:TrainPpo", "proximal policy optimisation in many rows (Schulman et al. 2017)"),
    "srl": (
        "isthmus_cli.train.srl:TrainSrl",
        "sequence reinforcement learning: one decision per several actions (Patel & Siegelmann 2025)",
    ),
    "npc": (
        "isthmus_cli.train.npc:TrainNpc",
        "signal temporal logic neural predictive control (Meng & Fan 2023), for stl: tasks, navigate and dodge",
    ),
    "asid": (
        "isthmus_cli.train.asid:TrainAsid",
        "one motion that tells unknown parameters of a task, for identification (Memmel et al. 2024)",
    ),
}
_TWO_WORDS = {
    "robots import": ("isthmus_cli.robots:ImportRobot", ""),
    "identify design": ("isthmus_cli.identify.design:DesignExcitation", ""),
}
_EXTRAS = {
    "mujoco": "sim",
    "gymnasium": "sim",
    "pybullet": "pybullet",
    "torch": "train",
    "stable_baselines3": "train",
    "safetensors": "train",
    "tensorboard": "train",
    "onnx": "train",
    "ray": "cluster",
    "optuna": "cluster",
    "scipy": "report",
    "matplotlib": "report",
    "PIL": "report",
    "viser": "browser",
    "rclpy": "ros",
    "cv2": "vision",
    "dm_control": "suites",
    "gymnasium_robotics": "suites",
}


def perform(words: list[str]) -> int:
    """Run the command that was typed.

    Args:
        words: after `isthmus`.

    Returns:
        exit code, see `isthmus_cli.main.main`.

    Raises:
        KeyboardInterrupt: it was interrupted before it ran, or once more while it ended.
    """
    try:
        if words in (["--version"], ["-V"], ["version"]):
            import importlib.metadata

            say(f"isthmus {importlib.metadata.version('isthmus')}")
            return 0
        words = [*words[1:], "--help"] if words[:1] == ["help"] else words
        return _dispatch(words, "isthmus", _COMMANDS, "command")
    except SystemExit as exit_:  # tyro's, after --help
        return exit_.code if isinstance(exit_.code, int) else 2
    except (ValueError, KeyError, OSError, ModuleNotFoundError) as error:
        complain(f"isthmus: {_sentence(error)}")
        return 2


def _dispatch(words: list[str], path: str, known: dict[str, tuple[str, str]], what: str) -> int:
    if not words or words[0] in ("-h", "--help"):
        _overview(path, known, what)
        return 0 if words else 2
    name, rest = words[0].lower().replace("_", "-"), words[1:]
    if name not in known:
        name = words[0]
        raise ValueError(f"unknown {what} {name!r}; {strict.suggest(name, known)}")
    if name == "train":
        return _dispatch(rest, f"{path} {name}", _TRAIN, "algorithm")
    if (two := " ".join([name, *(word.lower() for word in words[1:2])])) in _TWO_WORDS:
        name, rest, known = two, words[2:], _TWO_WORDS
    elif len(words) > 2 and not any(word.startswith("-") for word in words[1:3]):  # none of these takes two words of its own
        seconds = [one.partition(" ")[2] for one in _TWO_WORDS if one.startswith(f"{name} ")]
        if near := difflib.get_close_matches(words[1].lower(), seconds, n=1):
            raise ValueError(f"unknown command '{name} {words[1]}'; did you mean '{name} {near[0]}'?")
    module, attribute = known[name][0].split(":")
    return _perform(parsed(getattr(importlib.import_module(module), attribute), f"{path} {name}", rest), f"{path} {name}", rest)


def _perform(command: Any, prog: str, words: list[str]) -> int:
    """Run a command; one that could still end by itself after Ctrl-C says the line that goes on with it."""
    try:
        code = int(command.run())
    except KeyboardInterrupt:
        complain("isthmus: interrupted")
        return INTERRUPTED
    if code == INTERRUPTED and hasattr(command, "goes_on") and (option := command.goes_on()) is not None:
        kept = [word for word in words if word not in ("--overwrite", option)]
        say(f"go on with: {prog} {shlex.join([*kept, option] if option else kept)}")
    return code


def _overview(path: str, known: dict[str, tuple[str, str]], what: str) -> None:
    say(f"usage: {path} {what.upper()} …\n")
    for name, (_, description) in known.items():
        say(f"  {name:<9} {description}")
    say(f"\n`{path} {what.upper()} --help` explains the options of one {what}.")


def _sentence(error: Exception) -> str:
    if isinstance(error, ModuleNotFoundError) and "pip install" not in str(error):
        package = (error.name or "").partition(".")[0]
        if package not in _EXTRAS:
            raise error  # a mistake of ours, not of the user
        return f"this needs {package}, which is not installed; install it with: pip install 'isthmus[{_EXTRAS[package]}]'"
    if isinstance(error, KeyError) and error.args:
        return str(error.args[0])
    if isinstance(error, OSError) and error.filename:
        return f"{error.filename}: {error.strerror}"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error)
