"""Soft actor-critic of stable-baselines3: the reference that `sac` is compared with.

Haarnoja et al., "Soft Actor-Critic Algorithms and Applications" (arXiv 1812.05905): twin critics, tanh-Gaussian actor, temperature
tuned so that the policy's entropy stays near −dim(A). Episodes that end by time limit are bootstrapped, not terminated.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from stable_baselines3 import SAC
from stable_baselines3.common.buffers import DictReplayBuffer
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.logger import configure
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor
from stable_baselines3.common.type_aliases import DictReplayBufferSamples
from stable_baselines3.common.vec_env import VecEnv

from isthmus.artifact import Artifact
from isthmus.contract import Contract
from isthmus.policy import Policy
from isthmus.records import Array
from isthmus_policies.actions import ActionRange
from isthmus_policies.checkpoint import save_checkpoint
from isthmus_policies.export import PARITY_SAMPLES
from isthmus_policies.features import FeatureEncoder
from isthmus_policies.identity import write_identity
from isthmus_policies.interruption import Interruption, interruption
from isthmus_policies.journal import Journal
from isthmus_policies.learner import find_device
from isthmus_policies.outcome import Evaluation, Progress, TrainingResult
from isthmus_policies.reactive import check_reactive
from isthmus_policies.sac import SacConfig
from isthmus_policies.selection import Selection
from isthmus_policies.smoothness import neighbours, smoothness_loss

__all__ = ["train_sb3_sac"]

_OWN = ("num_envs", "update_ratio", "n_step", "stop_at", "stop_at_success")  # settings that this engine does not have


def train_sb3_sac(
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

    Leaves in `out`: `policy.isthmus` (best), `last.isthmus`, `checkpoints/`, `metrics.jsonl` (evaluations), `training.jsonl` (empty),
    `tensorboard/` and `config.json`.

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
        ValueError: the task decides once per several actions, a setting is not one of this engine, or an exported graph differs from the trained one.
    """
    check_reactive(contract)
    for name in _OWN:
        if getattr(config, name) != getattr(SacConfig(), name):
            raise ValueError(f"{name} must be {getattr(SacConfig(), name)} with --engine sb3, got {getattr(config, name)}")
    torch.set_num_threads(1)  # one thread is the fastest at this size
    out.mkdir(parents=True, exist_ok=True)
    write_identity(out, "sac", seed, config, notes or {}, engine="sb3")
    model = SAC(
        "MultiInputPolicy",
        env,
        learning_rate=lambda left: config.learning_rate * (config.learning_rate_decay + (1 - config.learning_rate_decay) * left),
        replay_buffer_class=_Buffer,
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
        device=find_device(config.device),
    )
    if any(weights := (config.temporal_smoothness, config.spatial_smoothness)):
        _smoothen(model, weights)
    model.set_logger(configure(str(out / "tensorboard"), ["tensorboard"]))
    journal = Journal(out)
    told = {"algorithm": "sac", "engine": "sb3", "seed": seed, **(notes or {})}
    selection = Selection(contract, config, evaluate, out, git, told)
    session = _Session(model, contract, selection, journal, out, config, progress)
    with interruption() as session.heard:
        model.learn(total_timesteps=config.steps, callback=session, log_interval=10)
    interrupted = session.heard.asked and session.num_timesteps < config.steps
    if not interrupted and session.evaluated != session.num_timesteps:
        session.score()
    journal.close()
    checkpoint = session.checkpoint()
    session.export().save(out / "last.isthmus")
    if selection.best is None:
        session.export().save(out / "policy.isthmus")
    return TrainingResult(out / "policy.isthmus", session.num_timesteps, selection.best, interrupted, checkpoint)


class _Session(BaseCallback):
    """Evaluates, checkpoints and reports while stable-baselines3 trains."""

    def __init__(
        self,
        model: SAC,
        contract: Contract,
        selection: Selection,
        journal: Journal,
        out: Path,
        config: SacConfig,
        progress: Progress | None,
    ) -> None:
        super().__init__()
        self.model = model
        self.evaluated = 0
        self.heard = Interruption()
        self._contract, self._selection, self._journal, self._out = contract, selection, journal, out
        self._config, self._progress = config, progress

    def _on_step(self) -> bool:
        evaluation = None
        if self.num_timesteps % self._config.evaluate_every == 0 and self.num_timesteps > self._config.learning_starts:
            evaluation = self.score()
        if self.num_timesteps % self._config.checkpoint_every == 0:
            self.checkpoint()
        if self._progress:
            self._progress(self.num_timesteps, self._config.steps, evaluation)
        return not self.heard.asked

    def score(self) -> Evaluation:
        """Evaluate the policy of this moment, and keep it if it is the best so far."""
        evaluation = self._selection.consider(self.export)
        self.evaluated = self.num_timesteps
        self._journal.write("eval", self.num_timesteps, evaluation.scores())
        return evaluation

    def checkpoint(self) -> Path:
        """Write the networks of this moment; returns the file."""
        tensors = {**self.model.policy.state_dict(), "log_ent_coef": self.model.log_ent_coef}
        state = {"step": self.num_timesteps, "contract": self._contract.digest()}
        return save_checkpoint(self._out / "checkpoints", self.num_timesteps, tensors, state)

    def export(self) -> Artifact:
        """The deterministic actor of this moment as a policy file."""
        return self._selection.export(_DeterministicActor(self.model, self._contract), self._observations(), self.num_timesteps)

    def _observations(self) -> dict[str, Array]:
        """Observations from the replay buffer, `[n, history, *shape]` per signal."""
        buffer = self.model.replay_buffer
        filled = buffer.buffer_size if buffer.full else max(buffer.pos, 1)
        chosen = np.random.default_rng(0).integers(0, filled, PARITY_SAMPLES)
        return {name: values[chosen, 0] for name, values in buffer.observations.items()}


def _smoothen(model: SAC, weights: tuple[float, float]) -> None:
    """Add the `smoothness_loss` to the gradient of every step of the actor."""

    def add(*_: object) -> None:
        batch = model.replay_buffer.drawn
        actor = model.actor
        with torch.no_grad():
            parts = (batch.observations, batch.next_observations)
            now, after = (actor.extract_features(part, actor.features_extractor) for part in parts)
            near = neighbours(now, after, torch.randn_like(now))
        action, others = (torch.tanh(actor.mu(actor.latent_pi(features))) for features in (now, near))
        smoothness_loss(action, others, weights).backward()

    model.actor.optimizer.register_step_pre_hook(add)


class _Buffer(DictReplayBuffer):
    """Remembers what it gave last, and leaves out periods that are no experience: what stands for an explosion could be better than the truth.

    Attributes:
        drawn: the newest batch.
    """

    drawn: DictReplayBufferSamples

    def sample(self, batch_size: int, env: Any = None) -> DictReplayBufferSamples:
        self.drawn = super().sample(batch_size, env)
        return self.drawn

    def add(self, obs: Any, next_obs: Any, action: Array, reward: Array, done: Array, infos: list[dict[str, Any]]) -> None:
        if not any(info.get("lost") for info in infos):
            super().add(obs, next_obs, action, reward, done, infos)


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
        self.range = ActionRange(contract)

    def forward(self, observation: Mapping[str, torch.Tensor]) -> torch.Tensor:
        return self.range.to_si(torch.tanh(self.mean(self.body(self.features(dict(observation))))))[:, None]
