"""A controller of your own on a simulated arm: contract, policy, guard, runner and trace in one page.

`python examples/own_controller.py` drives a UR5e towards a pose by proportional control, kicks it with an impossible command on the way, and
prints what the guard did. Swap `make_plant("mujoco", …)` for another plant and nothing else changes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import numpy as np

from isthmus import ActionChunk, load_robot
from isthmus.control import ControlStep
from isthmus.guard import RUNGS
from isthmus.records import Array
from isthmus.runner import Runner, Tick
from isthmus_controllers.tracking import tracking_contract
from isthmus_sim.plants import make_plant

PERIOD = 0.02  # s


class Rude:
    """Goes to the goal, and now and then asks for a hundred times the speed limit."""

    def __init__(self, robot_name: str) -> None:
        self.contract = tracking_contract(load_robot(robot_name), PERIOD)

    def reset(self, rows: Array | None = None, seed: int | None = None) -> None:
        """Nothing is remembered."""

    def act(self, observation: Mapping[str, Array]) -> ActionChunk:
        """Velocities `[B, 1, A]`, rad/s."""
        error = observation["joint_goal"][:, -1] - observation["joint_position"][:, -1]
        rude = np.abs(error).max() > 0.3
        return ActionChunk((100.0 if rude else 3.0) * error[:, None].astype(np.float64))


def main() -> None:
    """Run three seconds."""
    robot = load_robot("ur5e")
    plant = make_plant("mujoco", robot, mode="velocity", period=PERIOD)
    policy = Rude("ur5e")
    step = ControlStep(plant, policy.contract)
    step.reset()
    rungs: Counter[str] = Counter()

    def count(tick: Tick) -> None:
        rungs[RUNGS[tick.decision.rung[0]]] += 1

    goal = {"joint_goal": robot.home[None] + 0.5}
    cadence = Runner(policy, step, inputs=lambda: goal, on_tick=count).run(150)
    left = np.abs(goal["joint_goal"] - plant.read().position).max()
    print(f"guard: {dict(rungs)}")
    print(f"distance left: {left:.4f} rad")
    print(f"cadence: {cadence.summary()}")
    plant.close()


if __name__ == "__main__":
    main()
