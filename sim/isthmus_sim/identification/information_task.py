"""What is unknown of a task, and the task of finding out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from isthmus import strict
from isthmus.contract import Contract
from isthmus.records import Array
from isthmus.robot import load_robot
from isthmus.signals import Signal
from isthmus_sim.identification.information_outputs import MeasurementNoise, Outputs, find_outputs
from isthmus_sim.identification.problem import Unknown
from isthmus_sim.parameters import cannot_express
from isthmus_sim.plants.mujoco_parameters import ELSEWHERE
from isthmus_sim.task import EpisodeStart, Task, Term

__all__ = ["exploration_contract", "exploration_task", "find_unknown", "outputs_of", "spans"]

_CLOCK = Signal("time", "time", ("t",), "s", (0.0,), (float("inf"),))
_NOT_FOUND_BY_MOVING = tuple(name for name in ELSEWHERE if not name.startswith("action_"))


def find_unknown(task: Task, names: Sequence[str], bounds: Mapping[str, tuple[float, float]] | None = None) -> tuple[Unknown, ...]:
    """What is to be found out.

    Args:
        task: whose parameters they are.
        names: without bounds of their own, with the range that the task gives them; no names and no bounds mean all that the task names.
        bounds: lower and upper bound of others, by name.

    Raises:
        ValueError: the task names nothing, a name is unknown or without a range, bounds leave the parameter's range, or nothing that the robot does
            acts on it; the message names it.
    """
    own = {parameter.name: parameter for parameter in task.identifiable}
    if not (names or bounds or own):
        raise ValueError(
            f"task {task.name!r} names nothing that a robot cannot know about it; give names and bounds in a file: --parameters FILE"
        )
    table, given = task.parameters, dict(bounds or {})
    found = []
    for name in dict.fromkeys([*(names or ([] if given else own)), *given]):
        if name not in table:
            raise ValueError(f"unknown parameter {name!r} of task {task.name!r}; {strict.suggest(name, own or table)}")
        if name not in given and name not in own:
            raise ValueError(
                f"task {task.name!r} gives {name!r} no range, only {', '.join(own) or 'nothing'}; give its bounds in a file: --parameters FILE"
            )
        low, high = given[name] if name in given else (own[name].low, own[name].high)
        parameter = table[name]
        if not parameter.low <= low < high <= parameter.high:
            raise ValueError(
                f"prior of {name!r} must lie in {parameter.low:g} … {parameter.high:g} {parameter.unit}, got {low:g} … {high:g}"
            )
        if name in _NOT_FOUND_BY_MOVING:
            raise cannot_express("mujoco", name, "it is of the sensors or a push, which no motion of the robot tells of")
        if name.endswith(".gain") and task.contract.mode == "effort":
            raise cannot_express("mujoco", name, "effort commands pass no servo")
        _check_touched(task, name)
        found.append(Unknown(name, float(low), float(high)))
    return tuple(found)


def spans(unknown: Sequence[Unknown]) -> tuple[Array, Array]:
    """Lower bounds and widths, `[p]` each."""
    low = np.array([one.low for one in unknown])
    return low, np.array([one.high for one in unknown]) - low


def outputs_of(task: Task, unknown: Sequence[Unknown], noise: MeasurementNoise) -> Outputs:
    """What a recording of the task would show: the bodies that move, and the joints where something of the robot is unknown.

    Raises:
        ValueError: nothing.
    """
    scene = task.scene
    bodies = tuple(body.name for body in scene.moving) if scene else ()
    of_bodies = all(scene and any(body.name == _owner(one.name) for body in scene.bodies) for one in unknown)
    return find_outputs(task.contract, bodies, not of_bodies, noise)


def exploration_contract(task: Task) -> Contract:
    """Of what explores: it sees what the task's policies see, without their goals, and the time."""
    contract = task.contract
    seen = tuple(signal for signal in contract.observation if signal.source not in ("input", "time"))
    return replace(contract, observation=(*seen, _CLOCK), horizon=1)


def exploration_task(task: Task, unknown: Sequence[Unknown], reward: Term) -> Task:
    """The task's episodes with its goals taken out, the unknown parameters drawn uniformly from their ranges, and another reward.

    What the task itself would draw of them is drawn and forgotten, so that equal seeds begin alike.
    """
    low, width = spans(unknown)

    def start(generators: Sequence[np.random.Generator]) -> EpisodeStart:
        begun = task.start(generators)
        drawn = np.array([low + width * generator.random(len(unknown)) for generator in generators])
        values = {one.name: drawn[:, number] for number, one in enumerate(unknown)}
        return EpisodeStart(begun.state, {}, {**begun.parameters, **values})

    return replace(
        task,
        contract=exploration_contract(task),
        start=start,
        reward=(reward,),
        reached=lambda step: np.zeros(step.after.batch, dtype=bool),
        success_steps=1,
        mean_error=None,
        specification=None,
    )


def _owner(name: str) -> str:
    return name.partition(".")[0]


def _check_touched(task: Task, name: str) -> None:
    """See that a body whose parameter is unknown touches the robot, or something that does."""
    scene, owner = task.scene, _owner(name)
    if scene is None or not any(body.name == owner and not body.parent for body in scene.bodies):
        return
    standing = {body.name for body in scene.bodies if not body.parent}
    reached = {one for pair in scene.contacts for one in pair} - standing
    while more := {one for pair in scene.contacts if set(pair) & reached for one in pair} - reached:
        reached |= more
    if owner not in reached:
        robot = load_robot(task.contract.robot).name
        pairs = ", ".join(" – ".join(pair) for pair in scene.contacts) or "none"
        raise ValueError(f"unknown {name!r} is of a body that {robot} cannot move: contacts of task {task.name!r} are {pairs}")
