"""Soft actor-critic with automatic temperature, on the implementation of stable-baselines3.

Haarnoja et al., "Soft Actor-Critic Algorithms and Applications" (arXiv 1812.05905): twin critics, tanh-Gaussian actor, temperature
tuned so that the policy's entropy stays near −dim(A). Episodes that end by time limit are bootstrapped, not terminated.
"""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from safetensors.torch import save_file
from stable_baselines3 import SAC
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.logger import configure
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor
from stable_baselines3.common.vec_env import VecEnv

from isthmus import strict
from isthmus.artifact import Artifact
from isthmus.contract import Contract
from isthmus.policy import Policy
from isthmus.records import Array
from isthmus_policies.export import PARITY_SAMPLES, export_graph
from isthmus_policies.features import FeatureEncoder

__all__ = ["Evaluation", "SacConfig", "TrainingResult", "check_reactive", "sac_config", "train_sac"]


@dataclass(frozen=True, slots=True)
class SacConfig:
    """Settings of the learner.

    Attributes:
        steps: control periods to train for.
        learning_rate: of actor, critics and temperature (Adam), at the beginning.
        learning_rate_decay: share of it that is left at the end; it falls linearly. 1 keeps it constant.
        gamma: discount per control period.
        tau: Polyak factor of the target critics per update.
        batch_size: transitions per update.
        learning_starts: control periods of uniform random actions before the first update.
        buffer_size: transitions kept.
        hidden: widths of the hidden layers of actor and critics.
        evaluate_every: control periods between evaluations; the one with the highest mean return becomes the policy.
        checkpoint_every: control periods between checkpoints.
    """

    steps: int = 100_000
    learning_rate: float = 3e-4
    learning_rate_decay: float = 1.0
    gamma: float = 0.99
    tau: float = 0.005
    batch_size: int = 256
    learning_starts: int = 1000
    buffer_size: int = 1_000_000
    hidden: tuple[int, ...] = (256, 256)
    evaluate_every: int = 2000
    checkpoint_every: int = 10_000

    def __post_init__(self) -> None:
        if not self.learning_rate > 0:
            raise ValueError(f"learning_rate must be > 0, got {self.learning_rate}")
        if not 0 < self.learning_rate_decay <= 1:
            raise ValueError(f"learning_rate_decay must be in (0, 1], got {self.learning_rate_decay}")
        if not 0 <= self.gamma < 1:
            raise ValueError(f"gamma must be in [0, 1), got {self.gamma}")
        if not 0 < self.tau <= 1:
            raise ValueError(f"tau must be in (0, 1], got {self.tau}")
        if self.learning_starts < 0:
            raise ValueError(f"learning_starts must be >= 0, got {self.learning_starts}")
        if not self.hidden or min(self.hidden) < 1:
            raise ValueError(f"hidden must be widths >= 1, got {self.hidden}")
        if self.batch_size > self.buffer_size:
            raise ValueError(f"batch_size must be <= buffer_size {self.buffer_size}, got {self.batch_size}")
        for name in ("steps", "batch_size", "buffer_size", "evaluate_every", "checkpoint_every"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be >= 1, got {getattr(self, name)}")


def sac_config(task: str) -> SacConfig:
    """The tuned settings of a task, or the defaults if there are none."""
    settings = strict.load_yaml(Path(__file__).with_name("sac.yaml"))
    return strict.decode(SacConfig, settings.get(task, {}), f"sac.yaml: {task}")


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Score of a policy during training.

    Attributes:
        mean_return: undiscounted, over the evaluation episodes.
        success: share of successes; None where the task does not say what success is.
    """

    mean_return: float
    success: float | None


@dataclass(frozen=True, slots=True)
class TrainingResult:
    """What a training left behind.

    Attributes:
        policy: the best policy's file.
        steps: control periods done.
        best: its score during training; None if there was no evaluation.
        interrupted: whether Ctrl-C ended it early.
        checkpoint: newest checkpoint.
    """

    policy: Path
    steps: int
    best: Evaluation | None
    interrupted: bool
    checkpoint: Path


class Progress(Protocol):
    """Told about a training as it goes."""

    def __call__(self, step: int, total: int, evaluation: Evaluation | None) -> None:
        """After each control period, and with a score after each evaluation."""


def check_reactive(contract: Contract) -> None:
    """Refuse a task that decides once per several actions.

    Raises:
        ValueError: the message names the task and its horizon.
    """
    if contract.horizon > 1:
        raise ValueError(f"SAC decides every control period; task {contract.task!r} decides once per {contract.horizon} actions")


def train_sac(
    contract: Contract,
    env: VecEnv,
    evaluate: Callable[[Policy], Evaluation],
    out: Path,
    *,
    config: SacConfig,
    seed: int,
    progress: Progress | None = None,
    git: str = "",
    notes: Mapping[str, Any] | None = None,
) -> TrainingResult:
    """Train, keeping the best policy of the periodic evaluations.

    Leaves in `out`: `policy.isthmus` (best), `last.isthmus`, `checkpoints/`, `metrics.jsonl` (evaluations), `tensorboard/` and `config.json`.

    Args:
        contract: of the task.
        env: training environment, SI actions.
        evaluate: scores an exported policy on episodes of its own.
        out: folder, created if missing.
        config: settings.
        seed: of networks, exploration and replay.
        progress: told about every step.
        git: state of the source tree, for the manifest.
        notes: what else the manifest's training summary says, such as the randomisation; plain data.

    Raises:
        ValueError: the task decides once per several actions, or an exported graph differs from the trained one.
    """
    check_reactive(contract)
    torch.set_num_threads(1)  # one thread is the fastest at this size
    out.mkdir(parents=True, exist_ok=True)
    (out / "checkpoints").mkdir(exist_ok=True)
    (out / "config.json").write_bytes(strict.canonical_json({"algorithm": "sac", "seed": seed, "config": strict.encode(config)}))
    model = SAC(
        "MultiInputPolicy",
        env,
        learning_rate=lambda left: config.learning_rate * (config.learning_rate_decay + (1 - config.learning_rate_decay) * left),
        buffer_size=min(config.buffer_size, config.steps + 1),
        learning_starts=config.learning_starts,
        batch_size=config.batch_size,
        tau=config.tau,
        gamma=config.gamma,
        policy_kwargs={
            "net_arch": list(config.hidden),
            "features_extractor_class": _Features,
            "features_extractor_kwargs": {"contract": contract},
        },
        seed=seed,
        device="cpu",
    )
    model.set_logger(configure(str(out / "tensorboard"), ["tensorboard"]))
    session = _Session(model, contract, evaluate, out, config, seed, progress, git, notes or {})
    interrupted = False
    try:
        model.learn(total_timesteps=config.steps, callback=session, log_interval=10)
    except KeyboardInterrupt:
        interrupted = True
    if not interrupted and session.evaluated != session.num_timesteps:
        session.score()
    checkpoint = session.checkpoint()
    session.export().save(out / "last.isthmus")
    if session.best is None:
        session.export().save(out / "policy.isthmus")
    return TrainingResult(out / "policy.isthmus", session.num_timesteps, session.best, interrupted, checkpoint)


class _Session(BaseCallback):
    """Evaluates, checkpoints and reports while stable-baselines3 trains."""

    def __init__(
        self,
        model: SAC,
        contract: Contract,
        evaluate: Callable[[Policy], Evaluation],
        out: Path,
        config: SacConfig,
        seed: int,
        progress: Progress | None,
        git: str,
        notes: Mapping[str, Any],
    ) -> None:
        super().__init__()
        self.model = model
        self.best: Evaluation | None = None
        self.evaluated = 0
        self._contract, self._evaluate, self._out, self._config = contract, evaluate, out, config
        self._seed, self._progress, self._git, self._notes = seed, progress, git, notes
        (out / "metrics.jsonl").write_text("")

    def _on_step(self) -> bool:
        evaluation = None
        if self.num_timesteps % self._config.evaluate_every == 0 and self.num_timesteps > self._config.learning_starts:
            evaluation = self.score()
        if self.num_timesteps % self._config.checkpoint_every == 0:
            self.checkpoint()
        if self._progress:
            self._progress(self.num_timesteps, self._config.steps, evaluation)
        return True

    def score(self) -> Evaluation:
        """Export, evaluate the exported file, and keep it if it is the best so far."""
        artifact = self.export()
        evaluation = self._evaluate(artifact.policy())
        self.evaluated = self.num_timesteps
        row = {"step": self.num_timesteps, "return": evaluation.mean_return}
        if evaluation.success is not None:
            row["success"] = evaluation.success
        with (self._out / "metrics.jsonl").open("a") as file:
            file.write(json.dumps(row) + "\n")
        for name in row.keys() - {"step"}:
            self.logger.record(f"eval/{name}", row[name])
        if self.best is None or evaluation.mean_return >= self.best.mean_return:
            self.best = evaluation
            artifact.save(self._out / "policy.isthmus")
        return evaluation

    def checkpoint(self) -> Path:
        """Write the networks of this moment, atomically; returns the file."""
        path = self._out / "checkpoints" / f"step_{self.num_timesteps:08d}.safetensors"
        tensors = {name: tensor.detach().clone().contiguous() for name, tensor in self.model.policy.state_dict().items()}
        tensors["log_ent_coef"] = self.model.log_ent_coef.detach().clone()
        partial = path.with_suffix(".partial")
        save_file(tensors, partial, metadata={"contract": self._contract.digest(), "step": str(self.num_timesteps)})
        os.replace(partial, path)
        return path

    def export(self) -> Artifact:
        """The deterministic actor of this moment as a policy file."""
        training: Mapping[str, Any] = {
            "algorithm": "sac",
            "steps": self.num_timesteps,
            "seed": self._seed,
            "config": dataclasses.asdict(self._config),
            **self._notes,
        }
        actor = _DeterministicActor(self.model, self._contract)
        return export_graph(self._contract, actor, self._observations(), training=training, git=self._git)

    def _observations(self) -> dict[str, Array]:
        """Observations from the replay buffer, `[n, history, *shape]` per signal."""
        buffer = self.model.replay_buffer
        filled = buffer.buffer_size if buffer.full else max(buffer.pos, 1)
        chosen = np.random.default_rng(0).integers(0, filled, PARITY_SAMPLES)
        return {name: values[chosen, 0] for name, values in buffer.observations.items()}


class _Features(BaseFeaturesExtractor):
    """The `FeatureEncoder` as stable-baselines3 wants it."""

    def __init__(self, observation_space: Any, contract: Contract) -> None:
        encoder = FeatureEncoder(contract)
        super().__init__(observation_space, features_dim=encoder.size)
        self.encoder = encoder

    def forward(self, observations: dict[str, torch.Tensor]) -> torch.Tensor:
        return self.encoder(observations)


class _DeterministicActor(torch.nn.Module):
    """tanh of the actor's mean, in SI units, as a chunk of one action."""

    def __init__(self, model: SAC, contract: Contract) -> None:
        super().__init__()
        actor = model.policy.actor
        self.features, self.body, self.mean = actor.features_extractor, actor.latent_pi, actor.mu
        low, high = torch.tensor(contract.action.low), torch.tensor(contract.action.high)
        self.register_buffer("center", (high + low) / 2)
        self.register_buffer("half_range", (high - low) / 2)

    def forward(self, observation: Mapping[str, torch.Tensor]) -> torch.Tensor:
        unit = torch.tanh(self.mean(self.body(self.features(dict(observation)))))
        return (self.center + self.half_range * unit)[:, None]
