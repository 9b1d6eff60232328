"""`isthmus tasks`: what can be trained and evaluated."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

import tyro

from isthmus_cli.console import say, show_table, write_json
from isthmus_cli.signals import show_signals
from isthmus_sim.parameters import PARAMETERS
from isthmus_sim.task import Task
from isthmus_sim.tasks import get_task, task_names

__all__ = ["Tasks"]


@dataclass(frozen=True, slots=True)
class Tasks:
    """List the tasks, or show the reward, signals and parameters of one.

    Attributes:
        name: task to show; without it all are listed.
        json: print JSON: a list, or one object with a name.
    """

    name: Annotated[str | None, tyro.conf.Positional, tyro.conf.arg(metavar="[NAME]")] = None
    json: bool = False

    def run(self) -> int:
        """Run the command.

        Raises:
            ValueError: unknown task; the message lists the known ones.
        """
        if self.name is not None:
            task = get_task(self.name)
            if self.json:
                write_json(_details(task))
            else:
                _show(task)
            return 0
        tasks = [get_task(name) for name in task_names()]
        if self.json:
            write_json([_facts(task) for task in tasks])
        else:
            rows = [(task.name, task.contract.robot, ", ".join(task.plants), task.description) for task in tasks]
            show_table("", ("task", "robot", "plants", "description"), rows)
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


def _details(task: Task) -> dict[str, Any]:
    return {
        **_facts(task),
        "reward": [{"name": term.name, "weight": term.weight, "unit": term.unit} for term in task.reward],
        "parameters": list(PARAMETERS.values()),
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
    rows = [(item.name, item.unit, item.nominal, f"{item.low:g} … {item.high:g}", item.description) for item in PARAMETERS.values()]
    show_table("parameters", ("name", "unit", "nominal", "range", "description"), rows)
