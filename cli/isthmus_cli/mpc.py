"""`isthmus mpc`: the policy file of a model predictive controller."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import tyro

from isthmus_cli.console import say
from isthmus_cli.engine_models import check_planned
from isthmus_cli.files import check_output
from isthmus_controllers.planners.kind import installed_model, mpc_artifact
from isthmus_controllers.planners.mpc_settings import MpcSettings
from isthmus_evidence.provenance import commit
from isthmus_sim.systems import get_system, is_system, system_contract
from isthmus_sim.systems.response import measured_response
from isthmus_sim.tasks import get_task

__all__ = ["Mpc"]


@dataclass(frozen=True, slots=True)
class Mpc:
    """Write the policy file of a controller that solves for its plans by CasADi and IPOPT: what a learned planner is measured against.

    Attributes:
        task: name of the task: navigate, dodge, or one of those that `isthmus tasks stl:` lists.
        plant: engine that the model of navigate or dodge is fitted to.
        seed: of the motion that it is fitted from.
        out: file to write; by default runs/TASK-mpc.isthmus.
        settings: of the optimisation.
    """

    task: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="TASK")]
    plant: str = "mujoco"
    seed: int = 0
    out: Path | None = None
    settings: MpcSettings = field(default_factory=MpcSettings)

    def run(self) -> int:
        """Write the file.

        Raises:
            ValueError: there is no model to plan on for the task.
        """
        check_planned(self.task, self.plant)
        path = self.out or Path("runs") / f"{self.task.replace(':', '-')}-mpc.isthmus"
        check_output(path)
        parameters: dict[str, Any] = {}
        if is_system(self.task):
            contract, asked = system_contract(get_system(self.task)), None
        else:
            task = get_task(self.task)
            parameters, asked = measured_response(task, self.plant, self.seed).parameters(), task.specification
            contract = dataclasses.replace(task.contract, horizon=installed_model(self.task, parameters).horizon)
        artifact = dataclasses.replace(mpc_artifact(contract, parameters, self.settings, commit()), specification=asked)
        artifact.save(path)
        say(f"{path}; try: isthmus eval {path} --episodes 20")
        return 0
