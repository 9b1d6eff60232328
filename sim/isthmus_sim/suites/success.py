"""Whether a suite says of a task's episodes if they succeeded."""

from __future__ import annotations

from isthmus_sim.suites.suite import SuiteTask
from isthmus_sim.suites.vector_env import SuiteVectorEnv

__all__ = ["reports_success"]


def reports_success(task: SuiteTask) -> bool:
    """Whether the suite reports success, found out in one episode of constant actions: nothing declares it.

    Adroit, the mazes and Meta-World report it in every step, so that only silence costs a whole episode.

    Args:
        task: what is asked.

    Raises:
        ValueError: the simulation diverged, or the environment cannot be made here.
    """
    env = SuiteVectorEnv(task, 1, autoreset=False)
    try:
        env.reset(seed=0)
        action = (env.single_action_space.low + env.single_action_space.high)[None] / 2
        while True:
            _, _, terminated, truncated, told = env.step(action)
            if "success" in told:
                return True
            if terminated[0] or truncated[0]:
                return False
    finally:
        env.close()
