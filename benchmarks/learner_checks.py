"""What the learners must do according to their papers, where only training tells.

`python benchmarks/learner_checks.py` with one of

* `integrator`: SRL on a double integrator, one decision per 8 control periods, against the optimum (a linear-quadratic regulator) and against SAC
  with the same budget that repeats its action;
* `scales`: SAC and DSAC-T on Pendulum-v1 with rewards times 0.1, 1 and 10, same settings;
* `calibration`: whether the standard deviations that DSAC-T's critics learn tell how far they are from what is then earned, and how much SAC and
  DSAC-T overestimate.
"""

from __future__ import annotations

import argparse
import dataclasses
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import torch
from scipy import stats

from isthmus.artifact import Artifact
from isthmus.policy import Policy
from isthmus.records import Array
from isthmus_evidence.contracts import task_for
from isthmus_evidence.frequency import FixedLength
from isthmus_evidence.results import Results
from isthmus_evidence.suite_evaluation import evaluate_suite
from isthmus_policies.dsac_t import DsacT, DsacTConfig, dsac_t_config
from isthmus_policies.learner import Learner, LearnerConfig
from isthmus_policies.networks import squash
from isthmus_policies.outcome import Evaluation
from isthmus_policies.sac import Sac, SacConfig, sac_config
from isthmus_policies.srl import Srl, SrlConfig
from isthmus_policies.training import train
from isthmus_sim.suites import SuiteVectorEnv, get_suite_task

LENGTH = 8
"""Control periods per decision on the double integrator."""


class DoubleIntegrator(gymnasium.Env[Array, Array]):
    """A mass of 1 kg on a rail, pushed for 10 s: costs of distance, speed and force are quadratic.

    State (m, m/s), force ±10 N. The rail ends at ±2 m, where the mass stops; the optimum never comes there.
    """

    STEP = 0.05  # s
    COST = np.diag([1.0, 0.1])
    EFFORT = 0.01
    END = np.array([2.0, 4.0])
    A = np.array([[1.0, STEP], [0.0, 1.0]])
    B = np.array([STEP**2 / 2, STEP])

    metadata = {"render_fps": 20, "render_modes": []}  # noqa: RUF012 - Gymnasium's name and type

    def __init__(self) -> None:
        self.observation_space = gymnasium.spaces.Box(-np.inf, np.inf, (2,), np.float64)
        self.action_space = gymnasium.spaces.Box(-10.0, 10.0, (1,), np.float64)
        self.state = np.zeros(2)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Array, dict[str, Any]]:
        """Somewhere near the middle."""
        super().reset(seed=seed)
        self.state = self.np_random.uniform(-0.5, 0.5, 2)
        return self.state, {}

    def step(self, action: Array) -> tuple[Array, float, bool, bool, dict[str, Any]]:
        """The cost is that of the state before the step and of the force."""
        force = float(np.clip(action[0], -10, 10))
        cost = self.state @ self.COST @ self.state + self.EFFORT * force**2
        self.state = np.clip(self.A @ self.state + self.B * force, -self.END, self.END)
        self.state[1] *= abs(self.state[0]) < self.END[0]
        return self.state, -float(cost), False, False, {}

    @classmethod
    def optimum(cls, start: Array, steps: int) -> float:
        """Least cost from a start, by the Riccati recursion; the force stays within its bounds from the starts above."""
        value = np.zeros((2, 2))
        for _ in range(steps):
            gain = (cls.B @ value @ cls.A) / (cls.EFFORT + cls.B @ value @ cls.B)
            closed = cls.A - np.outer(cls.B, gain)
            value = cls.COST + cls.EFFORT * np.outer(gain, gain) + closed.T @ value @ closed
        return float(start @ value @ start)


def scaled_pendulum(factor: float) -> gymnasium.Env[Any, Any]:
    """Pendulum-v1 with its rewards times a factor."""
    return gymnasium.wrappers.TransformReward(gymnasium.make("Pendulum-v1").unwrapped, lambda reward: factor * float(reward))


gymnasium.register("DoubleIntegrator-v0", DoubleIntegrator, max_episode_steps=200)
for _factor in (0.1, 1, 10):
    gymnasium.register(f"PendulumTimes{_factor}-v0", scaled_pendulum, max_episode_steps=200, kwargs={"factor": _factor})


def main() -> None:
    """Print what was found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=CHECKS)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, default=10_000, help="control periods of each training")
    parser.add_argument("--record", type=Path, help="file of figures to write")
    arguments = parser.parse_args()
    results = Results(arguments.record, "gymnasium") if arguments.record else None
    with tempfile.TemporaryDirectory() as folder:
        for row in CHECKS[arguments.what](arguments.seed, arguments.steps, Path(folder)):
            if results:
                about = {"check": arguments.what, "seed": arguments.seed, "steps": arguments.steps}
                name = row.get("what") or row["learner"]
                results.add(f"{arguments.what} | {name} | seed {arguments.seed}", about | row, {row["learner"]} & {"sac", "dsac-t", "srl"})


def trained(name: str, learner: Learner, config: LearnerConfig, seed: int, out: Path) -> Policy:
    """Train a learner on a task of Gymnasium; gives the policy of the best evaluation."""
    env = SuiteVectorEnv(dataclasses.replace(get_suite_task(name), contract=learner.contract), 1)

    def score(policy: Policy) -> Evaluation:
        replan = config.sequence if isinstance(config, SrlConfig) else None
        return Evaluation(returns(name, policy, episodes=10, seed=10**6, replan=replan), None)

    train(learner, env, score, out, config=config, seed=seed)
    return Artifact.load(out / "policy.isthmus").policy()


def returns(name: str, policy: Policy, *, episodes: int, seed: int, replan: int | None = None) -> float:
    """Mean return."""
    task = task_for(get_suite_task(name), policy.contract)
    return float(evaluate_suite(task, policy, episodes=episodes, seed=seed, replan=replan)["return"]["mean"])


def check_integrator(seed: int, steps: int, folder: Path) -> Iterator[dict[str, Any]]:
    """Costs of the regulator, of sequences and of repeated actions, on the same starts."""
    name, episodes = "gym:DoubleIntegrator-v0", 100
    contract = get_suite_task(name).contract
    common: dict[str, Any] = {"steps": steps, "gamma": 0.98, "learning_starts": 1000, "evaluate_every": 1000, "learning_rate": 1e-3}
    srl_settings = SrlConfig(**common, sequence=LENGTH, batch_size=64, hidden=64, critic_hidden=(64, 64), model_hidden=(64, 64))
    sac_settings = SacConfig(**common, hidden=(64, 64), batch_size=64)
    srl = trained(name, Srl(contract, srl_settings, seed), srl_settings, seed, folder / "srl")
    sac = trained(name, Sac(contract, sac_settings, seed), sac_settings, seed, folder / "sac")
    starts = [DoubleIntegrator().reset(seed=one)[0] for one in range(episodes)]
    optimum = float(np.mean([DoubleIntegrator.optimum(start, 200) for start in starts]))
    costs = {
        "regulator, the optimum": optimum,
        f"SRL, {LENGTH} actions per decision": -returns(name, srl, episodes=episodes, seed=0, replan=LENGTH),
        "SRL, 1 action per decision": -returns(name, srl, episodes=episodes, seed=0, replan=1),
        "SAC, 1 action per decision": -returns(name, sac, episodes=episodes, seed=0),
    }
    repeating = FixedLength(sac, LENGTH)
    costs[f"SAC, its action {LENGTH} times"] = -float(
        evaluate_suite(_with(name, repeating), repeating, episodes=episodes, seed=0)["return"]["mean"]
    )
    print(f"double integrator, {steps} control periods of training, seed {seed}, mean cost of {episodes} episodes")
    for what, cost in costs.items():
        print(f"  {what:32} {cost:8.3f}   {cost / optimum:6.2f} of the optimum")
        yield {"learner": what.split(",")[0].lower(), "what": what, "cost": cost, "share": cost / optimum}


def _with(name: str, policy: Policy) -> Any:
    return dataclasses.replace(get_suite_task(name), contract=policy.contract)


def check_scales(seed: int, steps: int, folder: Path) -> Iterator[dict[str, Any]]:
    """Returns of the policy that was kept, in the units of Pendulum-v1."""
    for algorithm in ("sac", "dsac-t"):
        found = {}
        for factor in (0.1, 1, 10):
            name = f"gym:PendulumTimes{factor}-v0"
            learner, config = _learner(algorithm, name, seed, steps)
            policy = trained(name, learner, config, seed, folder / f"{algorithm}-{factor}")
            found[factor] = returns(name, policy, episodes=50, seed=0) / factor
        row = ", ".join(f"x{factor:g}: {value:.0f}" for factor, value in found.items())
        print(
            f"{algorithm:8} {steps} control periods, seed {seed}: {row}; {max(found.values()) - min(found.values()):.0f} apart", flush=True
        )
        yield {"learner": algorithm, "returns": list(found.values())}


def _learner(algorithm: str, name: str, seed: int, steps: int) -> tuple[Learner, LearnerConfig]:
    """With the settings of `pendulum`."""
    contract = get_suite_task(name).contract
    if algorithm == "sac":
        config: LearnerConfig = dataclasses.replace(sac_config("pendulum"), steps=steps)
        assert isinstance(config, SacConfig)
        return Sac(contract, config, seed), config
    config = dataclasses.replace(dsac_t_config("pendulum"), steps=steps)
    assert isinstance(config, DsacTConfig)
    return DsacT(contract, config, seed), config


def check_calibration(seed: int, steps: int, folder: Path) -> Iterator[dict[str, Any]]:
    """Monte-Carlo soft returns from 200 states that the trained policy comes to, against what the critics say."""
    name = "gym:Pendulum-v1"
    for algorithm in ("sac", "dsac-t"):
        learner, config = _learner(algorithm, name, seed, steps)
        trained(name, learner, config, seed, folder / algorithm)
        states, actions, earned = soft_returns(learner, config.gamma, 200, seed)
        features = features_of(learner, states)
        with torch.no_grad():
            if isinstance(learner, DsacT):
                mean, std = learner.distribution(learner.critic, features, actions)
            else:
                mean, std = learner.critic(torch.cat([features, actions], dim=1))[..., 0], None
        value = mean.mean(dim=0).numpy()
        line = f"{algorithm:8} mean value {value.mean():7.2f}, mean soft return {earned.mean():7.2f}, too high by {value.mean() - earned.mean():6.2f}"
        row: dict[str, Any] = {"learner": algorithm, "value": float(value.mean()), "earned": float(earned.mean())}
        if std is not None:
            spread, error = std.mean(dim=0).numpy(), np.abs(earned - value)
            rank, pearson = stats.spearmanr(error, spread), float(np.corrcoef(error, spread)[0, 1])
            line += (
                f"; |return - value| against the learned deviation: Pearson {pearson:.2f}, "
                f"Spearman {rank.statistic:.2f} (p = {rank.pvalue:.1g})"
            )
            row |= {"pearson": pearson, "spearman": float(rank.statistic)}
        print(line, flush=True)
        yield row


def features_of(learner: Any, states: Array) -> torch.Tensor:
    """Features of observations `[n, 3]`."""
    with torch.no_grad():
        return torch.as_tensor(learner.encoder({"observation": torch.from_numpy(states.astype(np.float32))[:, None]}))


def soft_returns(learner: Any, gamma: float, count: int, seed: int, periods: int = 400) -> tuple[Array, torch.Tensor, Array]:
    """States `[n, 3]` after 0 to 199 control periods of the stochastic policy, its actions there `[n, 1]` in ±1, and what it earned from then on.

    The soft return is r_0 + Σ γ^t (r_t − α log π(a_t|o_t)); without time limit, until γ^t is 3e-4.
    """
    random, noise = np.random.default_rng(seed), torch.Generator().manual_seed(seed)
    rows = gymnasium.make_vec("Pendulum-v1", num_envs=count, vectorization_mode="sync", max_episode_steps=10**6)
    states, _ = rows.reset(seed=seed)
    begins = random.integers(0, 200, count)
    first_state, first_action = np.zeros((count, 3)), torch.zeros(count, 1)
    earned, alpha = np.zeros(count), float(learner.log_alpha.detach().exp())
    for period in range(200 + periods):
        features = features_of(learner, states)
        with torch.no_grad():
            mean, log_std = learner.gaussian(features)
            action, log_density = squash(mean, log_std, torch.randn(mean.shape, generator=noise))
        now = begins == period
        first_state[now], first_action[now] = states[now], action[now]
        states, reward, *_ = rows.step(2 * action.numpy())
        age = period - begins
        bonus = np.where(age > 0, -alpha * log_density.numpy(), 0.0)
        earned += np.where((age >= 0) & (age < periods), gamma ** np.maximum(age, 0) * (reward + bonus), 0.0)
    rows.close()
    return first_state, first_action, earned


CHECKS = {"integrator": check_integrator, "scales": check_scales, "calibration": check_calibration}

if __name__ == "__main__":
    main()
