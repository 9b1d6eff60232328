"""Environments in processes of their own: Ray's actors step them, and one learner is fed.

All rows take each step together, so it does not matter for the result how many processes there are, or where: a training with collectors is, bit for
bit, the training without, and is resumed like it. It pays where a step of the simulation takes longer than the way to another process and back.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from isthmus.contract import Contract
from isthmus.records import Array
from isthmus_cli.ray_session import connect
from isthmus_cli.train.tasks import find_task, training_environment
from isthmus_sim.randomization import Randomization
from isthmus_sim.suites import SuiteVectorEnv
from isthmus_sim.vector_env import TaskVectorEnv

__all__ = ["CollectorEnv", "Collectors", "chosen_collectors"]

_MARKS = ("rung", "diverged", "invalid")


@dataclass(frozen=True, slots=True)
class Collectors:
    """Processes that step the environments.

    Attributes:
        count: how many; each steps as many rows.
        address: of a Ray cluster; None means this machine.
    """

    count: int
    address: str | None = None

    def check(self, rows: int) -> None:
        """See that the rows can be divided.

        Raises:
            ValueError: they cannot.
        """
        if self.count < 1 or rows % self.count:
            raise ValueError(f"collectors must be >= 1 and divide num_envs {rows}, got {self.count}")


def chosen_collectors(count: int | None, address: str | None) -> Collectors | None:
    """What `--collectors` and `--address` say; None if neither is given.

    Raises:
        ValueError: an address without collectors.
    """
    if count is None and address is not None:
        raise ValueError(f"--address is of the cluster for --collectors, which is not given; got {address!r}")
    return None if count is None else Collectors(count, address)


class CollectorEnv:
    """A batch of episodes, whose rows lie in several processes, in their order.

    Attributes:
        num_envs: number of rows.
        progress: of the training, 0 … 1.
        diverged: rows whose physics exploded so far.
        hidden: what was drawn for the present episodes, `[num_envs, P]`.
    """

    def __init__(
        self,
        task: str,
        contract: Contract,
        plant: str,
        rows: int,
        randomization: Randomization | None,
        dumps: Path,
        collectors: Collectors,
    ) -> None:
        """Start the processes.

        Args:
            task: name.
            contract: what the learner observes.
            plant: engine.
            rows: of all of them.
            randomization: parameters to draw for each episode.
            dumps: folder for explosions of the physics.
            collectors: the processes.

        Raises:
            ValueError: the rows cannot be divided, the cluster cannot be reached, or an environment cannot be made where its process is.
            ModuleNotFoundError: the engine is not installed there.
        """
        collectors.check(rows)
        self.num_envs, self.progress, self.diverged = rows, 1.0, 0
        self.hidden: Array = np.zeros((rows, 0))
        self._rows = rows // collectors.count
        self._ray = connect(collectors.address, collectors.count)
        actor = self._ray.remote(num_cpus=1)(_Collector)
        self._actors = [actor.remote() for _ in range(collectors.count)]
        made = (task, contract.to_json(), plant, self._rows, randomization)
        try:
            self._ask(lambda number, actor: actor.make.remote(*made, str(dumps / f"collector_{number}")))
        except BaseException:
            self.close()
            raise

    def reset(self, *, seed: int) -> tuple[dict[str, Array], dict[str, Any]]:
        """Begin all episodes; row i that of seed + i.

        Raises:
            ValueError: a collector died.
        """
        found = self._ask(lambda number, actor: actor.reset.remote(seed + number * self._rows, self.progress))
        observations, hidden = zip(*found, strict=True)
        self.hidden = np.concatenate(hidden)
        return _joined(observations), {}

    def step(self, actions: Array) -> tuple[dict[str, Array], Array, Array, Array, dict[str, Any]]:
        """One control period of all rows; see `TaskVectorEnv.step`. Of the info, what a learner needs.

        Raises:
            ValueError: a collector died, or a simulation diverged.
        """
        parts = np.split(np.asarray(actions), len(self._actors))
        found = self._ask(lambda number, actor: actor.step.remote(parts[number], self.progress))
        observations, rewards, terminated, truncated, infos, diverged, hidden = zip(*found, strict=True)
        self.diverged, self.hidden = sum(diverged), np.concatenate(hidden)
        info: dict[str, Any] = {}
        for name in _MARKS:
            if all(name in part for part in infos):
                info[name] = np.concatenate([part[name] for part in infos])
        if any("final_obs" in part for part in infos):
            info["final_obs"] = _joined([part.get("final_obs", seen) for part, seen in zip(infos, observations, strict=True)])
        return _joined(observations), np.concatenate(rewards), np.concatenate(terminated), np.concatenate(truncated), info

    def close(self) -> None:
        """End the processes."""
        self._ray.shutdown()

    def _ask(self, call: Callable[[int, Any], Any]) -> list[Any]:
        try:
            return list(self._ray.get([call(number, actor) for number, actor in enumerate(self._actors)]))
        except self._ray.exceptions.RayTaskError as error:
            raise error.cause from None
        except self._ray.exceptions.RayActorError as error:
            raise ValueError(f"a collector died; continue with --resume: {str(error).splitlines()[0]}") from None


class _Collector:
    """Some of the rows. What a constructor raises, Ray only quotes; so the environment is made by a method."""

    _env: TaskVectorEnv | SuiteVectorEnv

    def make(self, task: str, contract: bytes, plant: str, rows: int, randomization: Randomization | None, dumps: str) -> None:
        asked = replace(find_task(task), contract=Contract.from_json(contract, "the learner's contract"))
        self._env = training_environment(asked, plant, rows, randomization, Path(dumps))

    def reset(self, seed: int, progress: float) -> tuple[dict[str, Array], Array]:
        self._env.progress = progress
        return self._env.reset(seed=seed)[0], self._env.hidden

    def step(self, actions: Array, progress: float) -> tuple[Any, ...]:
        self._env.progress = progress
        observation, reward, terminated, truncated, info = self._env.step(actions)
        told = {name: info[name] for name in (*_MARKS, "final_obs") if name in info}
        return observation, reward, terminated, truncated, told, self._env.diverged, self._env.hidden


def _joined(parts: Any) -> dict[str, Array]:
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
