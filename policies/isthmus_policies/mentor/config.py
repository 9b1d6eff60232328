"""Settings of DrQ-v2, DrM and MENTOR."""

from __future__ import annotations

from dataclasses import dataclass

from isthmus import strict
from isthmus_policies.learner import OffPolicyConfig, check_positive, task_config

__all__ = ["ALGORITHMS", "MentorConfig", "mentor_config"]

ALGORITHMS = ("drqv2", "drm", "mentor")
_CHOICES = {
    "exploration": ("linear", "awaken", "dormant"),
    "perturbation": ("none", "random", "task"),
    "balance_loss": ("batch", "code"),
}


@dataclass(frozen=True, slots=True)
class MentorConfig(OffPolicyConfig):
    """Settings of the learner; the defaults are those of the paper of MENTOR, and `mentor.yaml` says what DrQ-v2 and DrM leave out.

    Intervals are control periods, one decision each: the papers' agent steps. With their action repeat of 2 a period is two simulator frames, and
    with an update ratio of 0.5 half an update.

    Attributes:
        learning_rate: of all networks (Adam), at the beginning.
        actor_rate: of the actor, as a share of it.
        actor_gradient: longest gradient of the actor; the authors' code has 0.001, the paper none.
        channels: of each convolution.
        features: width of the trunks, which compress the picture for each network.
        hidden: width of the hidden layers of all networks.
        shift: pixels by which pictures are shifted at random, at most.
        shrink: pictures are averaged over squares of so many pixels before the first convolution.
        proprioception: whether the networks see the numbers of the contract too; the papers have none.
        noise_clip: bound of the exploration noise in targets and in the actor's loss.
        noise_steps: control periods in which the standard deviation of the exploration noise falls from 1 to 0.1.
        noise_scale: factor of the noise with exploration dormant; the authors' code has 0.8 for the control suite.
        exploration: when it falls: from the beginning (linear), once few neurons are dormant, and never below what dormancy asks for (awaken), or by
            dormancy alone, as in the authors' code (dormant).
        exploitation: largest weight of the exploitation value in targets; 0 for no such network.
        exploitation_guided: whether that weight falls with the dormant ratio; False is what the authors' code does on Meta-World.
        expectile: of the exploitation value.
        perturbation: what weights are perturbed towards: nothing (none), weights drawn anew (random), or draws from past good agents (task).
        perturb_every: control periods between perturbations, which come with the next end of an episode.
        perturb_most: largest share of the old weights that a perturbation keeps.
        top: good agents that are remembered.
        experts: of the actor's hidden layer; 1 for a plain layer.
        active: experts that each sample is sent to.
        expert_width: width of their hidden layer.
        router_width: width of the router's hidden layer.
        router_dropout: share of that layer's units that an update leaves out.
        balance: weight of the loss that has all experts used.
        balance_loss: entropy of the mean routing of the batch (batch), or what the authors' code has, which sharpens the routing (code).
    """

    gamma: float = 0.99
    update_ratio: float = 0.5
    tau: float = 0.01
    n_step: int = 3
    learning_starts: int = 2000
    evaluate_every: int = 10_000
    learning_rate: float = 1e-4
    actor_rate: float = 1.0
    actor_gradient: float | None = None
    channels: int = 32
    features: int = 50
    hidden: int = 1024
    shift: int = 4
    shrink: int = 1
    proprioception: bool = True
    noise_clip: float = 0.3
    noise_steps: int = 2_000_000
    noise_scale: float = 1.0
    exploration: str = "awaken"
    exploitation: float = 0.6
    exploitation_guided: bool = True
    expectile: float = 0.9
    perturbation: str = "task"
    perturb_every: int = 100_000
    perturb_most: float = 0.9
    top: int = 10
    experts: int = 16
    active: int = 4
    expert_width: int = 256
    router_width: int = 256
    router_dropout: float = 0.1
    balance: float = 0.002
    balance_loss: str = "batch"

    def __post_init__(self) -> None:
        OffPolicyConfig.__post_init__(self)  # super() does not find its way in a class with slots
        check_positive(self, "learning_rate", "actor_rate", "noise_clip", "noise_scale")
        for name in ("channels", "features", "hidden", "shrink", "noise_steps", "perturb_every", "experts", "expert_width", "router_width"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be >= 1, got {getattr(self, name)}")
        for name, known in _CHOICES.items():
            if getattr(self, name) not in known:
                raise ValueError(f"unknown {name} {getattr(self, name)!r}; {strict.suggest(getattr(self, name), known)}")
        if self.shift < 0:
            raise ValueError(f"shift must be >= 0 pixels, got {self.shift}")
        if self.actor_gradient is not None and not self.actor_gradient > 0:
            raise ValueError(f"actor_gradient must be > 0, got {self.actor_gradient}")
        if not 0 < self.expectile < 1:
            raise ValueError(f"expectile must be in (0, 1), got {self.expectile}")
        for name, least in (("exploitation", 0.0), ("perturb_most", 0.2), ("balance", 0.0)):
            if not least <= getattr(self, name) <= 1:
                raise ValueError(f"{name} must be from {least:g} to 1, got {getattr(self, name)}")
        if not 0 <= self.router_dropout < 1:
            raise ValueError(f"router_dropout must be in [0, 1), got {self.router_dropout}")
        if self.top < 2:
            raise ValueError(f"top must be >= 2, because one agent has no spread, got {self.top}")
        # The weights of the active experts sum to 1, so the router of a single one would learn nothing of the task.
        if self.experts > 1 and not 2 <= self.active <= self.experts:
            raise ValueError(f"active must be from 2 to experts {self.experts}, got {self.active}")


def mentor_config(algorithm: str, task: str, small: bool = False) -> MentorConfig:
    """The settings of one of `ALGORITHMS` for a task; `small` for networks and pictures that a processor copes with.

    Those per suite are MENTOR's own.
    """
    task = task if algorithm == "mentor" or ":" not in task else ""
    return task_config(MentorConfig, task, "mentor", *(["small", algorithm, "short"] if small else [algorithm]))
