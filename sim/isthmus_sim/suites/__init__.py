"""Outside suites behind task prefixes: `gym:HalfCheetah-v5`, `dmc:walker-walk`, `metaworld:push-v3`.

Published numbers come from them. A suite is imported when one of its tasks is asked for, and never through a plant of ours. `@84` at the end of a
name asks for pictures of 84 × 84 pixels in place of the state, and `@84x2` also for every action to be repeated, so that a decision takes two steps.
"""

from __future__ import annotations

import difflib
import importlib
import importlib.util
from typing import Any

import gymnasium

from isthmus import strict
from isthmus_sim.suites.derive import derive_contract
from isthmus_sim.suites.episodes import SuiteEpisode, run_suite_episodes
from isthmus_sim.suites.repeat import Repeat
from isthmus_sim.suites.success import reports_success
from isthmus_sim.suites.suite import SuiteEnv, SuiteTask
from isthmus_sim.suites.vector_env import SuiteVectorEnv

__all__ = [
    "SUITES",
    "SuiteEpisode",
    "SuiteTask",
    "SuiteVectorEnv",
    "get_suite_task",
    "is_suite_task",
    "reports_success",
    "run_suite_episodes",
    "suite_names",
]

SUITES = {
    "gym": ("Gymnasium and gymnasium-robotics", "gymnasium", "pip install 'isthmus[suites]'"),
    "dmc": ("DeepMind control suite", "dm_control", "pip install 'isthmus[suites]'"),
    "metaworld": (
        "Meta-World",
        "metaworld",
        "pip install 'isthmus[metaworld]', in a virtual environment of its own because it pins an older MuJoCo",
    ),
}
"""Prefix → what it is, the package that it needs, and how to install that."""

_PIXELS = (36, 512)  # smallest and largest side of an observed picture
_REPEAT = 10  # most steps that an action lasts


def is_suite_task(name: str) -> bool:
    """Whether a task id has a prefix, so that it belongs to an outside suite."""
    return isinstance(name, str) and ":" in name


def suite_names(prefix: str) -> list[str]:
    """Names of the tasks of a suite, without the prefix, sorted.

    Raises:
        ValueError: unknown prefix.
        ModuleNotFoundError: the suite is not installed; the message tells how to install it.
    """
    return _suite(prefix).names()


def get_suite_task(name: str) -> SuiteTask:
    """The task of that id. Its environment is made once, for its spaces.

    Args:
        name: `PREFIX:NAME`, or `PREFIX:NAME@SIZE` for pictures of SIZE × SIZE pixels, or `PREFIX:NAME@SIZExN` where each action also lasts N steps.

    Raises:
        ValueError: unknown prefix or name, with the nearest ones; a size out of range; spaces that no contract can describe.
        ModuleNotFoundError: the suite is not installed; the message tells how to install it.
    """
    prefix, _, rest = name.partition(":")
    suite = _suite(prefix)
    bare, at, size = rest.partition("@")
    if not suite.knows(bare):
        raise ValueError(_unknown(prefix, bare, suite.names()))
    pixels, repeat = _pictures(name, size) if at else (None, 1)

    def make(picture_size: int | None) -> SuiteEnv:
        made = suite.make(bare, picture_size)
        if pixels is None:
            return made
        env = Repeat(made.env, repeat) if repeat > 1 else made.env
        seeing = gymnasium.wrappers.AddRenderObservation(env, render_only=True)
        return SuiteEnv(seeing, repeat * made.period, -(-made.steps // repeat))

    made = make(pixels)
    try:
        contract = derive_contract(name, made.env, made.period)
    finally:
        made.env.close()
    seen = f"pictures of {pixels} × {pixels} pixels" if pixels else "state"
    seen += f", actions of {repeat} steps" if repeat > 1 else ""
    return SuiteTask(name, prefix, f"{bare} of {SUITES[prefix][0]}, {seen}", contract, made.steps, suite.SUCCESS_ONCE, make, pixels)


def _suite(prefix: str) -> Any:
    if prefix not in SUITES:
        raise ValueError(f"unknown suite {prefix!r}; {strict.suggest(prefix, SUITES)}")
    title, package, install = SUITES[prefix]
    if importlib.util.find_spec(package) is None:
        raise ModuleNotFoundError(f"tasks of {title} need {package}, which is not installed; install it with: {install}")
    return importlib.import_module(f"isthmus_sim.suites.{prefix}")


def _unknown(prefix: str, name: str, known: list[str]) -> str:
    lower = {item.lower(): item for item in known}
    near = [f"{prefix}:{lower[item]}" for item in difflib.get_close_matches(name.lower(), lower, n=3)]
    hint = f"did you mean {' or '.join(near)}? " if near else ""
    more = ""
    if prefix == "gym" and importlib.util.find_spec("gymnasium_robotics") is None:
        more = "; those of gymnasium-robotics, such as Adroit, need: pip install 'isthmus[suites]'"
    return f"unknown task '{prefix}:{name}'; {hint}`isthmus tasks {prefix}:` lists all {len(known)}{more}"


def _pictures(name: str, asked: str) -> tuple[int, int]:
    """Side of the pictures, pixels, and how many steps an action lasts."""
    size, times, repeat = asked.partition("x")
    low, high = _PIXELS
    if not (_is_number(size) and low <= int(size) <= high):
        raise ValueError(f"what follows @ is the side of the pictures in pixels, {low} to {high}, got {size!r} in {name!r}")
    if times and not (_is_number(repeat) and 1 <= int(repeat) <= _REPEAT):
        raise ValueError(f"what follows x is how many steps an action lasts, 1 to {_REPEAT}, got {repeat!r} in {name!r}")
    return int(size), int(repeat) if times else 1


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit()
