"""Closed-loop exploration: a policy that sees what it does, trained on the information reward by proximal policy optimisation.

The paper names PPO, and PPO is the learner of ours whose critic may be told what no policy sees: the unknown parameters, and the information so far.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np

from isthmus.artifact import Artifact
from isthmus.policy import Policy
from isthmus_cli.progress import Progress
from isthmus_evidence.asid.exploration import SEEDS, Exploration, information_env, player
from isthmus_evidence.provenance import commit
from isthmus_policies.outcome import Evaluation
from isthmus_policies.ppo import Ppo, PpoConfig
from isthmus_policies.training import train
from isthmus_sim.identification.information_preflight import SimulatedIdentification

__all__ = ["remembering", "train_explorer"]

_HISTORY = 4  # samples of each pose that the policy sees, so that it sees how things move
_RANKED = 16  # draws by which policies of a training are ranked


def remembering(asked: Exploration) -> Exploration:
    """With the past of every pose among the observations."""
    contract = asked.task.contract
    seen = tuple(dataclasses.replace(signal, history=_HISTORY) if signal.source == "pose" else signal for signal in contract.observation)
    return dataclasses.replace(asked, task=dataclasses.replace(asked.task, contract=dataclasses.replace(contract, observation=seen)))


def train_explorer(asked: Exploration, config: PpoConfig, out: Path, notes: dict[str, Any]) -> tuple[Artifact, bool]:
    """Train, keeping the policy after which simulated identification errs least; the training stays in `out`.

    Returns:
        the policy file's content, and whether the training was interrupted.
    """
    env = information_env(asked, config.num_envs, autoreset=True)
    learner = Ppo(env.task.contract, config, asked.seed, hidden=env.hidden.shape[1])
    simulated = SimulatedIdentification(asked.task, asked.unknown, _RANKED)

    def score(policy: Policy) -> Evaluation:
        expected = simulated.run(player(policy), _RANKED, asked.seed + SEEDS)
        return Evaluation(-float(np.mean(expected.sd**2)), None, stopped=float(expected.run.bad.mean()))

    try:
        with Progress(f"train {asked.task.name}", "control periods") as progress:

            def show(step: int, total: int, evaluation: Evaluation | None) -> None:
                progress(step, total, f"mean square error {-evaluation.mean_return:.4g} of the ranges" if evaluation else "")

            result = train(learner, env, score, out, config=config, seed=asked.seed, progress=show, git=commit(), notes=notes)
    finally:
        env.close()
        simulated.close()
    return Artifact.load(result.policy), result.interrupted
