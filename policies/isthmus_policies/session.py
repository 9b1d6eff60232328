"""A training in progress: explore, learn, evaluate, and be able to go on after anything.

At step 0 and every `checkpoint_every` control periods all rows of the environment begin new episodes, seeded by the training's seed and the step.
So the environment has no state worth saving there, the checkpoint holds all else that learning depends on (networks, optimisers, replay,
generators, counters), and a training that was killed and resumed does bit for bit what an uninterrupted one does.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from isthmus.artifact import Artifact
from isthmus.policy import Policy
from isthmus_policies.checkpoint import load_checkpoint, newest_checkpoint, save_checkpoint
from isthmus_policies.divergence import save_divergence
from isthmus_policies.environment import TrainingEnv
from isthmus_policies.explorer import Explorer
from isthmus_policies.export import PARITY_SAMPLES, export_graph
from isthmus_policies.identity import check_resumable, write_identity
from isthmus_policies.journal import Journal
from isthmus_policies.learner import DivergedError, Learner, LearnerConfig
from isthmus_policies.offline import Offline, mix
from isthmus_policies.outcome import Evaluation, Progress
from isthmus_policies.replay import Batch, Replay

__all__ = ["Session"]

LOG_EVERY = 500  # control periods between rows of training.jsonl


class Session:
    """A training in progress; `train` runs one from beginning to end and explains the arguments.

    Attributes:
        step: control periods done, of all rows together.
        best: the best score so far, or the one that reached the target; None before the first.
        reached: whether an evaluation reached the target of the settings, which ends the training.
        checkpoint: the newest; made by `begin`, as is the journal.
    """

    checkpoint: Path
    _journal: Journal

    def __init__(
        self,
        learner: Learner,
        env: TrainingEnv,
        evaluate: Callable[[Policy], Evaluation],
        out: Path,
        config: LearnerConfig,
        seed: int,
        progress: Progress | None,
        git: str,
        notes: Mapping[str, Any],
        offline: Offline | None = None,
    ) -> None:
        self.step = 0
        self.best: Evaluation | None = None
        self.reached = False
        self._learner, self._evaluate, self._out, self._config = learner, evaluate, out, config
        self._seed, self._progress, self._git = seed, progress, git
        self._notes = {**notes, **({"offline": offline.identity} if offline else {})}
        self._rows = env.num_envs
        self._generator = np.random.default_rng(seed)
        self._replay = Replay(learner.contract, min(config.buffer_size, 2 * config.steps), self._rows)
        self._offline, self._recorded = offline, offline.count(config.batch_size) if offline else 0
        self._updates = 0
        self._explorer = Explorer(learner, env, self._replay, self._generator)
        self._seconds, self._began = 0.0, time.monotonic()
        self._losses: list[Mapping[str, float]] = []

    def begin(self, resume: bool) -> bool:
        """Start where the newest checkpoint was taken, if it is to be resumed and there is one (True), or else at the beginning (False)."""
        self._out.mkdir(parents=True, exist_ok=True)
        newest = newest_checkpoint(self._out / "checkpoints") if resume else None
        told = (self._learner.algorithm, self._seed, self._config, self._notes)
        if newest is None:
            write_identity(self._out, *told)
            self._checkpoint()
        else:
            check_resumable(self._out, *told)
            self._load(newest)
        self._journal = Journal(self._out, self.step)
        self._begin_episodes()
        return newest is not None

    @property
    def finished(self) -> bool:
        """Whether there is nothing left to do."""
        return self.step >= self._config.steps or self.reached

    def advance(self) -> None:
        """One control period of all rows, and what is due after it."""
        self._explore()
        self._learn()
        evaluation = None
        config = self._config
        if self.due(LOG_EVERY):
            self._log()
        if (self.due(config.evaluate_every) and self.step > config.learning_starts) or self.finished:
            evaluation = self.evaluate()
        if self.due(config.checkpoint_every) or self.finished:
            self._replay.cut()
            self._checkpoint()
            self._begin_episodes()
        if self._progress:
            self._progress(self.step, config.steps, evaluation)

    def evaluate(self) -> Evaluation:
        """Export, evaluate the exported file, and keep it if it is the best so far or reached the target."""
        artifact = self.export()
        evaluation = self._evaluate(artifact.policy())
        row = {"return": evaluation.mean_return, "seconds": self._elapsed()}
        if evaluation.success is not None:
            row["success"] = evaluation.success
        self._journal.write("eval", self.step, row)
        self.reached = self._config.reached(evaluation)
        if self.reached:
            artifact = self.export()  # which says so
        if self.reached or self.best is None or evaluation.mean_return >= self.best.mean_return:
            self.best = evaluation
            artifact.save(self._out / "policy.isthmus")
        return evaluation

    def export(self) -> Artifact:
        """The deterministic policy of this moment as a policy file."""
        training: Mapping[str, Any] = {
            "algorithm": self._learner.algorithm,
            "steps": self.step,
            "seed": self._seed,
            "config": dataclasses.asdict(self._config),
            **({"reached_target": self.reached} if self._config.has_target else {}),
            **self._learner.summary(),
            **self._notes,
        }
        samples = self._replay.observations(PARITY_SAMPLES)
        contract = self._learner.contract
        return export_graph(contract, self._learner.policy(), samples, training=training, git=self._git)

    def due(self, every: int) -> bool:
        """Whether a multiple of `every` was reached in this control period."""
        return self.step // every > (self.step - self._rows) // every

    def close(self) -> None:
        """Flush what was written down."""
        self._journal.close()

    def _begin_episodes(self) -> None:
        """Reset all rows, with a seed that is different at every step."""
        seed = int(np.random.SeedSequence((self._seed, self.step)).generate_state(1)[0])
        self._explorer.begin_episodes(seed, self._share)

    def _explore(self) -> None:
        at_random = self._learner.warms_up_at_random and self.step < self._config.learning_starts
        self._explorer.advance(self._share, at_random)
        self.step += self._rows

    def _learn(self) -> None:
        config = self._config
        due = int((self.step - config.learning_starts) * config.update_ratio) if self.step > config.learning_starts else 0
        rate = config.learning_rate_decay + (1 - config.learning_rate_decay) * (1 - self._share)
        drawn: list[Batch] = []

        def draw() -> Batch:
            batch = self._replay.sample(config.batch_size - self._recorded, config.gamma, config.n_step, self._generator)
            if self._offline:
                batch = mix(batch, self._offline.replay.sample(self._recorded, config.gamma, config.n_step, self._generator))
            drawn.append(batch)
            return batch

        while self._updates < due:
            drawn.clear()
            try:
                self._losses.append(self._learner.update(draw, rate))
            except DivergedError as error:
                path = self._out / f"diverged_{self.step:09d}.safetensors"
                found = save_divergence(path, self._learner_tensors(), drawn, {"step": self.step, "updates": self._updates})
                raise DivergedError(f"{error} in update {self._updates + 1}; {found}") from None
            self._updates += 1

    def _log(self) -> None:
        names = {name for losses in self._losses for name in losses}
        values = {name: float(np.mean([losses[name] for losses in self._losses if name in losses])) for name in sorted(names)}
        if self._explorer.recent_return is not None:
            values["return"] = self._explorer.recent_return
        self._losses.clear()
        self._journal.write("train", self.step, {**values, "updates": float(self._updates), "seconds": self._elapsed()})

    @property
    def _share(self) -> float:
        """Of the training that is done, 0 … 1."""
        return min(self.step / self._config.steps, 1.0)

    def _elapsed(self) -> float:
        """Seconds of training, of all its parts."""
        return self._seconds + time.monotonic() - self._began

    def _learner_tensors(self) -> dict[str, torch.Tensor]:
        return {f"learner.{name}": tensor for name, tensor in self._learner.state().items()}

    def _checkpoint(self) -> None:
        replay = {f"replay.{name}": tensor for name, tensor in self._replay.state().items()}
        state = {
            "step": self.step,
            "updates": self._updates,
            "best": dataclasses.asdict(self.best) if self.best else None,
            "reached": self.reached,
            "generator": self._generator.bit_generator.state,
            "seconds": self._elapsed(),
            "contract": self._learner.contract.digest(),
        }
        self.checkpoint = save_checkpoint(self._out / "checkpoints", self.step, {**self._learner_tensors(), **replay}, state)

    def _load(self, path: Path) -> None:
        tensors, state = load_checkpoint(path)
        if state["contract"] != self._learner.contract.digest():
            raise ValueError(f"checkpoint {path} belongs to another contract; the task has changed since")
        parts: dict[str, dict[str, torch.Tensor]] = {"learner": {}, "replay": {}}
        for name, tensor in tensors.items():
            owner, _, rest = name.partition(".")
            parts[owner][rest] = tensor
        self._learner.load(parts["learner"])
        self._replay.load(parts["replay"])
        self.step, self._updates = state["step"], state["updates"]
        self.best = Evaluation(**state["best"]) if state["best"] else None
        self.reached = state["reached"]
        self._generator.bit_generator.state = state["generator"]
        self._seconds, self._began = state["seconds"], time.monotonic()
        self.checkpoint = path
