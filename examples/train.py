"""Soft actor-critic on the pendulum, from Python: a learner, rows of an environment, and an evaluation that chooses the policy to keep.

`python examples/train.py` trains for 10,000 control periods and leaves `runs/pendulum/policy.isthmus`; a number after it is how many.
`isthmus train sac pendulum` does the same with a progress bar and with parameters that are drawn anew for each episode.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import isthmus_sim
from isthmus.policy import Policy
from isthmus_evidence import evaluate
from isthmus_policies.outcome import Evaluation
from isthmus_policies.sac import Sac, sac_config
from isthmus_policies.training import train
from isthmus_sim.tasks import get_task


def score(policy: Policy) -> Evaluation:
    """What 20 episodes earn that training has not seen: the best policy is kept by it."""
    return Evaluation(evaluate(policy, "pendulum", episodes=20, seed=10**6)["return"]["mean"], success=None)


def main() -> None:
    """Train, and compare with what an untrained policy does."""
    config = sac_config("pendulum")
    if len(sys.argv) > 1:
        steps = int(sys.argv[1])
        config = replace(config, steps=steps, learning_starts=min(config.learning_starts, steps // 2), evaluate_every=steps)
    learner = Sac(get_task("pendulum").contract, config, seed=0)
    env = isthmus_sim.make_vec("pendulum", config.num_envs)
    result = train(learner, env, score, Path("runs/pendulum"), config=config, seed=0)
    env.close()
    returns = evaluate(result.policy, episodes=50, seed=0)["return"]
    print(
        f"return {returns['mean']:.0f} ({returns['low']:.0f} … {returns['high']:.0f}) after {result.steps} control periods: {result.policy}"
    )


if __name__ == "__main__":
    main()
