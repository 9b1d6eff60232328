"""Training of "Signal Temporal Logic Neural Predictive Control" (Meng & Fan, arXiv 2309.05131).

A network maps a state to the controls of the next T steps. It is trained without demonstrations and without reinforcement learning: the controls are
rolled out through a differentiable model, and the smooth robustness of the trajectory is driven above a margin,

    L = mean relu(γ − ρ_θ(φ, s_0 … s_T)) + L_task.

Other than the paper: initial states are fresh in every iteration (a fixed set is memorised), the temperature θ of the smooth robustness falls from a
high one (plateaus are left sooner), and so does the learning rate; and outputs are kept out of the flat parts of tanh.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from isthmus import strict
from isthmus_controllers import stl
from isthmus_controllers.npc.model import Model
from isthmus_controllers.npc.network import PlanNetwork

__all__ = ["NpcConfig", "Training", "evaluate", "npc_config", "train_npc"]

_LINEAR, _SATURATION = 1.5, 0.01  # where tanh begins to be flat, and what it costs to go there: a plan at its bounds cannot learn any more


@dataclass(frozen=True, slots=True)
class NpcConfig:
    """Settings of the training.

    Attributes:
        iterations: of Adam.
        batch: fresh initial states per iteration.
        hidden: width of the three hidden layers.
        learning_rate: in the beginning; it falls to a hundredth along a cosine.
        margin: γ, in units of robustness.
        temperature: θ in the beginning, in units of robustness.
        final_temperature: θ in the end, reached at half of the iterations; 1/500 in the paper, but for traffic.
        task_loss: weight of L_task; 1 in the paper, where it fights the formula.
        evaluate_every: iterations between evaluations on held-out states.
        held_out: states of these evaluations.
    """

    iterations: int = 4000
    batch: int = 1000
    hidden: int = 256
    learning_rate: float = 1e-3
    margin: float = 0.5
    temperature: float = 0.05
    final_temperature: float = 0.002
    task_loss: float = 0.1
    evaluate_every: int = 200
    held_out: int = 2000

    def __post_init__(self) -> None:
        for name in (
            "iterations",
            "batch",
            "hidden",
            "learning_rate",
            "margin",
            "temperature",
            "final_temperature",
            "evaluate_every",
            "held_out",
        ):
            if not (value := getattr(self, name)) > 0:
                raise ValueError(f"{name} must be > 0, got {value}")


def npc_config(name: str) -> NpcConfig:
    """The tuned settings of a model, or the defaults if there are none."""
    settings = strict.load_yaml(Path(__file__).with_name("npc.yaml"))
    return strict.decode(NpcConfig, settings.get(name, {}), f"npc.yaml: {name}")


@dataclass(slots=True)
class Training:
    """What came of a training.

    Attributes:
        network: the best of the evaluations.
        satisfied: share of held-out plans of it that satisfy the formula exactly.
        curve: iteration, seconds, share of held-out plans satisfied, mean exact robustness.
        interrupted: whether Ctrl-C ended it early.
    """

    network: PlanNetwork
    satisfied: float = -1.0
    curve: list[tuple[int, float, float, float]] = field(default_factory=list)
    interrupted: bool = False


def train_npc(
    model: Model, config: NpcConfig, seed: int, progress: Callable[[int, int, str], None] = lambda done, total, news: None
) -> Training:
    """Train a network for a model; on one thread.

    Args:
        model: what is controlled, and what is asked for.
        config: settings.
        seed: of network and initial states.
        progress: called with iterations done, in total, and news.
    """
    torch.set_num_threads(1)
    torch.manual_seed(seed)
    draw = np.random.default_rng(seed)
    held_out = model.sample(config.held_out, np.random.default_rng(seed + 10**6))
    formula = stl.parse(model.specification)
    network = PlanNetwork(model, config.hidden)
    optimiser = torch.optim.Adam(network.parameters(), lr=config.learning_rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, config.iterations, config.learning_rate / 100)
    training, began = Training(network), time.monotonic()
    best = {name: value.clone() for name, value in network.state_dict().items()}
    try:
        for iteration in range(config.iterations + 1):
            if iteration % config.evaluate_every == 0 or iteration == config.iterations:
                satisfied, robustness = evaluate(network, model, formula, held_out)
                training.curve.append((iteration, time.monotonic() - began, satisfied, robustness))
                if satisfied >= training.satisfied:
                    training.satisfied = satisfied
                    best = {name: value.clone() for name, value in network.state_dict().items()}
                progress(iteration, config.iterations, f"satisfied {satisfied:.3f}")
            else:
                progress(iteration, config.iterations, "")
            if iteration < config.iterations:
                states = torch.from_numpy(model.sample(config.batch, draw)).float()
                loss = _loss(network, model, formula, states, config, _temperature(config, iteration))
                optimiser.zero_grad()
                loss.backward()
                torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
                optimiser.step()
                schedule.step()
    except KeyboardInterrupt:
        training.interrupted = True
    network.load_state_dict(best)
    return training


def evaluate(network: PlanNetwork, model: Model, formula: stl.Formula, states: Any) -> tuple[float, float]:
    """Share of the plans from these states that satisfy the formula exactly, and mean exact robustness."""
    with torch.no_grad():
        start = torch.from_numpy(states).float()
        robustness = _robustness(model, formula, model.rollout(start.double(), network(start).double()), "exact", None)
    return float((robustness >= 0).double().mean()), float(robustness.mean())


def _temperature(config: NpcConfig, iteration: int) -> float:
    done = min(2 * iteration / config.iterations, 1.0)
    return float(config.temperature * (config.final_temperature / config.temperature) ** done)


def _loss(network: PlanNetwork, model: Model, formula: stl.Formula, states: Any, config: NpcConfig, temperature: float) -> Any:
    unbounded = network.unbounded(states)
    controls = network.bounded(unbounded)
    trajectory = model.rollout(states, controls)
    robustness = _robustness(model, formula, trajectory, "logsumexp", temperature)
    loss = (config.margin - robustness).clamp(min=0).mean() + _SATURATION * ((unbounded.abs() - _LINEAR).clamp(min=0) ** 2).sum(
        (1, 2)
    ).mean()
    if model.cost is None:
        return loss
    with torch.no_grad():
        satisfied = (_robustness(model, formula, trajectory, "exact", None) >= 0).to(states.dtype)
    return loss + config.task_loss * model.cost(trajectory, controls, satisfied)


def _robustness(model: Model, formula: stl.Formula, trajectory: Any, mode: str, temperature: float | None) -> Any:
    return stl.robustness(formula, model.signals(trajectory[:, model.first :]), mode=mode, temperature=temperature, end=model.end)
