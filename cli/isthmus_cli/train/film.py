"""Films an episode now and then while a policy is trained."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from isthmus.policy import Policy
from isthmus_evidence.pictures.film import Film
from isthmus_evidence.suite_evaluation import FILM_SIZE, evaluate_suite
from isthmus_evidence.task_evaluation import evaluate_task
from isthmus_sim.randomization import Randomization
from isthmus_sim.suites import SuiteTask, SuiteVectorEnv
from isthmus_sim.task import Task

__all__ = ["training_film"]

_SIZE = (360, 480)  # pixels; larger ones, and shadows, would cost more time than the training between two films


def training_film(
    task: Task | SuiteTask, plant: str, seed: int, folder: Path, *, replan: int | None = None, randomization: Randomization | None = None
) -> Callable[[Policy, int], None]:
    """What films one episode of a policy as `step_….mp4`, after the given number of control periods; always the same episode.

    Args:
        task: what is asked, as the policy sees it.
        plant: name of the engine; an outside suite has its own.
        seed: of the episode.
        folder: of the films, created with the first one.
        replan: actions of a chunk to execute before deciding again; None means all.
        randomization: parameters that are drawn from the episode's seed.

    Raises:
        ValueError: the suite cannot take pictures of this task.
    """
    if isinstance(task, SuiteTask):
        SuiteVectorEnv(task, 1, picture_size=FILM_SIZE).close()  # so that it is known before the training

    def shoot(policy: Policy, step: int) -> None:
        film = Film(folder / f"step_{step:09d}.mp4", _SIZE, studio=False)
        if isinstance(task, SuiteTask):
            evaluate_suite(task, policy, episodes=1, seed=seed, replan=replan, film=film)
        else:
            evaluate_task(task, policy, plant, episodes=1, seed=seed, replan=replan, randomization=randomization, film=film)
        film.save()

    return shoot
