"""A training in progress: collect, learn, evaluate, and be able to go on after anything.

At step 0 and every `checkpoint_every` control periods all rows of the environment begin new episodes, seeded by the training's seed and the step.
So the environment has no state worth saving there, the checkpoint holds everything else (networks, optimisers, replay, generators, counters), and a
training that was killed and resumed does bit for bit what an uninterrupted one does.
"""

from __future__ import annotations

import dataclasses
import time
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch

from isthmus import strict
from isthmus.artifact import Artifact
from isthmus.guard import HOLD
from isthmus.policy import Policy
from isthmus.records import Array
from isthmus_policies.actions import ActionScale
from isthmus_policies.checkpoint import load_checkpoint, newest_checkpoint, save_checkpoint, write_file, write_tensors
from isthmus_policies.export import PARITY_SAMPLES, export_graph
from isthmus_policies.journal import Journal
from isthmus_policies.learner import DivergedError, Learner, LearnerConfig
from isthmus_policies.offline import Offline, mix
from isthmus_policies.outcome import Evaluation, Progress
from isthmus_policies.replay import Batch, Replay

__all__ = ["Session", "TrainingEnv", "check_resumable"]

LOG_EVERY = 500  # control periods between rows of training.jsonl
_RECENT = 20  # episodes whose mean return is shown


class TrainingEnv(Protocol):
    """A vector environment with SI actions; rows reset themselves in the step in which they end.

    Attributes:
        num_envs: number of rows.
        progress: of the training, 0 … 1; set before every control period and reset.
    """

    num_envs: int
    progress: float

    def reset(self, *, seed: int) -> tuple[dict[str, Array], dict[str, Any]]:
        """Begin all episodes; equal seeds give equal episodes, whatever happened before."""
        ...

    def step(self, actions: Array) -> tuple[dict[str, Array], Array, Array, Array, dict[str, Any]]:
        """Observation, reward, terminated, truncated and info, which has `final_obs` where rows ended, and `rung` where a guard is."""
        ...


def check_resumable(out: Path, algorithm: str, seed: int, config: LearnerConfig, offline: str | None = None) -> None:
    """See that a folder holds the same training; `offline` is the identity of its recordings.

    Raises:
        ValueError: it holds another one; the message names what differs.
    """
    there = strict.load_json((out / "config.json").read_bytes(), str(out / "config.json"))
    here = strict.encode(_identity(algorithm, seed, config, offline))
    flat = [{**{name: data.get(name) for name in ("algorithm", "engine", "seed", "offline")}, **data["config"]} for data in (here, there)]
    if differing := [
        f"{name} {flat[0].get(name)!r} (there: {flat[1].get(name)!r})" for name in flat[0] if flat[0][name] != flat[1].get(name)
    ]:
        raise ValueError(f"{out} holds another training, which cannot be resumed with {', '.join(differing)}")


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
        self._learner, self._env, self._evaluate, self._out, self._config = learner, env, evaluate, out, config
        self._seed, self._progress, self._git, self._notes = seed, progress, git, notes
        self._rows = env.num_envs
        self._generator = np.random.default_rng(seed)
        self._replay = Replay(learner.contract, min(config.buffer_size, 2 * config.steps), self._rows)
        self._offline, self._recorded = offline, offline.count(config.batch_size) if offline else 0
        self._updates = 0
        self._scale = ActionScale(learner.contract)
        self._seconds, self._began = 0.0, time.monotonic()
        self._returns: deque[float] = deque(maxlen=_RECENT)
        self._losses: list[Mapping[str, float]] = []

    def begin(self, resume: bool) -> None:
        """Start at the beginning, or where the newest checkpoint was taken."""
        self._out.mkdir(parents=True, exist_ok=True)
        newest = newest_checkpoint(self._out / "checkpoints") if resume else None
        told = (self._learner.algorithm, self._seed, self._config, self._offline.identity if self._offline else None)
        if newest is None:
            write_file(self._out / "config.json", strict.canonical_json(_identity(*told)))
            self._checkpoint()
        else:
            check_resumable(self._out, *told)
            self._load(newest)
        self._journal = Journal(self._out, self.step)
        self._begin_episodes()

    @property
    def finished(self) -> bool:
        """Whether there is nothing left to do."""
        return self.step >= self._config.steps or self.reached

    def advance(self) -> None:
        """One control period of all rows, and what is due after it."""
        self._collect()
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
        self._env.progress = self._share
        seed = int(np.random.SeedSequence((self._seed, self.step)).generate_state(1)[0])
        self._observation, _ = self._env.reset(seed=seed)
        self._previous = np.zeros((self._rows, self._scale.size), dtype=np.float32)
        self._fresh = np.ones(self._rows, dtype=bool)
        self._return = np.zeros(self._rows)

    def _collect(self) -> None:
        observation, previous = self._observation, self._scale.executed(self._observation, self._previous)
        if self._learner.warms_up_at_random and self.step < self._config.learning_starts:
            action = self._generator.uniform(-1, 1, (self._rows, self._scale.size)).astype(np.float32)
        else:
            action = self._learner.act(observation, previous, self._fresh)
        self._env.progress = self._share
        self._observation, reward, terminated, truncated, info = self._env.step(self._scale.to_si(action))
        ended = terminated | truncated
        following = info["final_obs"] if ended.any() else self._observation
        self._replay.add(observation, previous, action, reward, terminated, truncated, following)
        self.step += self._rows
        self._previous = np.where(ended[:, None], np.float32(0), action)
        self._fresh = ended | (info["rung"] >= HOLD) if "rung" in info else ended
        self._return += reward
        self._returns.extend(self._return[ended].tolist())
        self._return[ended] = 0.0

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
                raise DivergedError(f"{error} in update {self._updates + 1}; {self._save_diverged(drawn)}") from None
            self._updates += 1

    def _save_diverged(self, drawn: list[Batch]) -> str:
        """Save the state before the update that failed, and its batches; returns a sentence."""
        path = self._out / f"diverged_{self.step:09d}.safetensors"
        parts: dict[str, torch.Tensor] = {}
        culprits = []
        for number, batch in enumerate(drawn):
            named = {"slots": torch.from_numpy(batch.slots), "action": batch.action, "reward": batch.reward, "discount": batch.discount}
            named |= {f"observation.{name}": values for name, values in batch.observation.items()}
            parts |= {f"batch{number}.{name}": values for name, values in named.items()}
            culprits += [f"batch{number}.{name}" for name, values in named.items() if not torch.isfinite(values.float()).all()]
        write_tensors(path, {**self._learner_tensors(), **parts}, {"step": self.step, "updates": self._updates})
        found = (
            f"not finite in the batch: {', '.join(culprits)}"
            if culprits
            else "every number of the batch is finite, so the networks diverged"
        )
        return f"{found}. {path} holds the learner before that update and the batch as batch0.…"

    def _log(self) -> None:
        names = {name for losses in self._losses for name in losses}
        values = {name: float(np.mean([losses[name] for losses in self._losses if name in losses])) for name in sorted(names)}
        if self._returns:
            values["return"] = float(np.mean(self._returns))
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
        self.reached = state.get("reached", False)  # older checkpoints knew no target
        self._generator.bit_generator.state = state["generator"]
        self._seconds, self._began = state["seconds"], time.monotonic()
        self.checkpoint = path


def _identity(algorithm: str, seed: int, config: LearnerConfig, offline: str | None) -> dict[str, Any]:
    return {"algorithm": algorithm, "engine": "isthmus", "seed": seed, "offline": offline, "config": strict.encode(config)}
