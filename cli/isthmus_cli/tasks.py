"""`isthmus tasks`: what can be trained and evaluated."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, Any

import tyro

from isthmus_cli.console import made, say, show_table, write_json
from isthmus_cli.signals import show_signals
from isthmus_controllers import stl
from isthmus_sim.parameters import Parameter
from isthmus_sim.scene import Hinge
from isthmus_sim.suites import SUITES, SuiteTask, get_suite_task, is_suite_task, suite_names
from isthmus_sim.systems import PREFIX, get_system, is_system, system_contract, system_names
from isthmus_sim.task import Task
from isthmus_sim.tasks import get_task, task_names

__all__ = ["Tasks"]


@dataclass(frozen=True, slots=True)
class Tasks:
    """List the tasks, or show the reward, signals and parameters of one.

    Attributes:
        name: task to show; without it all are listed, and gym: lists those of the outside suite with that prefix.
        json: print JSON: a list, or one object with a name.
    """

    name: Annotated[str | None, tyro.conf.Positional, tyro.conf.arg(metavar="[NAME]")] = None
    json: bool = False

    def run(self) -> int:
        """Run the command.

        Raises:
            ValueError: unknown task; the message lists the known ones.
        """
        if self.name is not None and is_system(self.name):
            return self._system(self.name)
        if self.name is not None and is_suite_task(self.name):
            return self._suite(self.name)
        if self.name is not None:
            task = get_task(self.name)
            if self.json:
                write_json(_details(task))
            else:
                _show(task)
            return 0
        tasks, code = made(task_names(), get_task)
        if self.json:
            write_json([_facts(task) for task in tasks])
        else:
            rows = [(task.name, task.contract.robot, ", ".join(task.plants), task.description) for task in tasks]
            show_table("", ("task", "robot", "plants", "description"), rows)
            suites = [(f"{prefix}:NAME", title, f"isthmus tasks {prefix}:") for prefix, (title, *_) in SUITES.items()]
            show_table("outside suites", ("task", "suite", "command that lists its tasks"), suites)
            systems = [(name, get_system(name).description) for name in system_names()]
            show_table("analytic models with a specification", ("task", "description"), systems)
        return code

    def _system(self, name: str) -> int:
        if name == PREFIX:
            if self.json:
                write_json(system_names())
            else:
                show_table("", ("task", "description"), [(found, get_system(found).description) for found in system_names()])
            return 0
        system = get_system(name)
        contract = system_contract(system)
        if self.json:
            facts = {"name": name, "description": system.description, "control_period": system.dt, "horizon": system.horizon}
            write_json({**facts, "specification": system.specification, "safety": system.safety, "contract": contract})
            return 0
        say(f"{name}: {system.description}")
        say(f"control period {system.dt:g} s; plans of {system.horizon} steps, {system.horizon * system.dt:g} s; no robot, no guard")
        say("specification, in samples:")
        formula = stl.parse(system.specification)
        for line in formula.operands if isinstance(formula, stl.And) else (formula,):
            say(f"  {line}")
        say(f"of which for safety: {system.safety}")
        show_signals(contract)
        return 0

    def _suite(self, name: str) -> int:
        prefix, _, rest = name.partition(":")
        if not rest:
            names = [f"{prefix}:{item}" for item in suite_names(prefix)]
            if self.json:
                write_json(names)
            else:
                say("\n".join(names))
            return 0
        task = get_suite_task(name)
        if self.json:
            write_json(_suite_facts(task))
            return 0
        steps, period = task.episode_steps, task.contract.control_period
        say(f"{task.name}: {task.description}")
        say(f"control period {period:g} s; episodes of at most {steps * period:g} s ({steps} steps); no robot, no guard")
        show_signals(task.contract)
        return 0


def _facts(task: Task) -> dict[str, Any]:
    """Units: control_period in s."""
    return {
        "name": task.name,
        "robot": task.contract.robot,
        "plants": task.plants,
        "description": task.description,
        "control_period": task.contract.control_period,
        "episode_steps": task.episode_steps,
        "success": task.success,
        "success_steps": task.success_steps,
    }


def _suite_facts(task: SuiteTask) -> dict[str, Any]:
    """Units: control_period in s."""
    return {
        "name": task.name,
        "suite": task.suite,
        "description": task.description,
        "control_period": task.contract.control_period,
        "episode_steps": task.episode_steps,
        "contract": task.contract,
    }


def _details(task: Task) -> dict[str, Any]:
    return {
        **_facts(task),
        "reward": [{"name": term.name, "weight": term.weight, "unit": term.unit} for term in task.reward],
        "parameters": list(task.parameters.values()),
        "contract": task.contract,
    }


def _show(task: Task) -> None:
    contract = task.contract
    say(f"{task.name}: {task.description}")
    say(f"robot {contract.robot}; plants {', '.join(task.plants)}")
    say(
        f"control period {contract.control_period:g} s; episodes of {task.episode_steps * contract.control_period:g} s ({task.episode_steps} steps)"
    )
    say(f"success: {task.success}, in each of the last {task.success_steps} steps")
    show_table("reward: weighted sum of", ("term", "weight", "unit"), [(term.name, term.weight, term.unit) for term in task.reward])
    show_signals(contract)
    _show_scene(task)
    _show_parameters("parameters", task.parameters.values())
    if task.identifiable:
        _show_parameters("unknown about it: what identification searches", task.identifiable)
    if task.specification:
        say(f"specification: {task.specification.formula}")
        for name, text in task.specification.signals.items():
            say(f"  {name}: {text}")


def _show_scene(task: Task) -> None:
    if task.scene is None:
        return
    rows = []
    for body in task.scene.bodies:
        kind = body.joint.kind if isinstance(body.joint, Hinge) else body.joint or (f"carried by {body.parent}" if body.parent else "fixed")
        touched = [other for pair in task.scene.contacts if body.name in pair for other in pair if other != body.name]
        rows.append((body.name, kind, f"{body.mass:g}" if body.mass else "", ", ".join(touched)))
    show_table("scene", ("body", "joint", "mass, kg", "touches"), rows)


def _show_parameters(title: str, parameters: Iterable[Parameter]) -> None:
    rows = [(item.name, item.unit, f"{item.nominal:g}", f"{item.low:g} … {item.high:g}", item.description) for item in parameters]
    show_table(title, ("name", "unit", "nominal", "range", "description"), rows)
