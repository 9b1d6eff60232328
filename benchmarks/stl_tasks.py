"""Neural predictive control and the planners it is compared with, on the tasks `stl:…`: the table of docs/explanation/stl.md.

`benchmarks/published.py stl` trains and records all of them; by hand:

for t in traffic maze ship-safe ship-track rover arm; do isthmus train npc stl:$t; done
python benchmarks/stl_tasks.py [--tasks maze] [--methods NPC MPC SAC] [--starts 2000] [--episodes 100]

Per method and task, one line: plans from held-out starts that satisfy the specification exactly; of executions with a decision in every step, the
share of plans and of executed traces that satisfy it, the share that is safe, the share of decisions by backup; time per decision of one agent (p50,
p99), and per agent when all are decided for at once. Planners get fewer starts, because they are slow.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import argparse
import dataclasses
import json
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from stl_sac import train_sac_on

from isthmus.artifact import Artifact
from isthmus.policy import Policy
from isthmus_controllers import stl
from isthmus_controllers.planners import CemPlanner, GradientPlanner
from isthmus_controllers.planners.mpc import MpcPlanner
from isthmus_controllers.planners.mpc_settings import MpcSettings
from isthmus_evidence.results import Results
from isthmus_evidence.system_evaluation import evaluate_system
from isthmus_sim.systems import PREFIX, System, get_system, system_contract, system_names

UNSEEN = 5 * 10**6  # seeds that neither training nor its evaluations have used
TIMED = 60  # decisions for one agent alone; planners a third


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", nargs="*", default=[name.removeprefix(PREFIX) for name in system_names()])
    parser.add_argument("--methods", nargs="*", default=["NPC", "CEM", "STL_g", "MPC", "SAC"], help="how the names of methods begin")
    parser.add_argument("--starts", type=int, default=2000, help="first plans of neural predictive control; planners get a tenth")
    parser.add_argument("--episodes", type=int, default=100, help="executions; planners get a half")
    parser.add_argument("--runs", type=Path, default=Path("runs"), help="folder of the trainings")
    parser.add_argument("--record", type=Path, help="file of figures to write; what is in it is not measured again")
    parser.add_argument("--trial", action="store_true", help="mark rows of that file as no figures")
    arguments = parser.parse_args()
    results = Results(arguments.record, "torch", "gymnasium") if arguments.record else None
    print(f"load {os.getloadavg()[0]:.2f}; one thread; times per decision in ms")
    print(
        f"{'task':11} {'method':18} {'starts':>6} {'plan':>6} | {'plans':>6} {'executed':>8} {'safe':>6} {'rob.':>6} {'backup':>6} | "
        f"{'p50':>8} {'p99':>8} {'batch':>8}"
    )
    for name in arguments.tasks:
        system = get_system(PREFIX + name)
        for method, make, share in methods(system, arguments.runs):
            key = f"{name} | {method}"
            if not method.startswith(tuple(arguments.methods)) or (results and key in results.rows):
                continue
            row = line(system, method, make(), max(1, round(arguments.starts * share**2)), max(1, round(arguments.episodes * share)))
            if results:
                row |= training(arguments.runs, name) if method.startswith("NPC") else {}
                learner = {"NPC": "npc", "SAC": "sb3"}.get(method[:3], "planner")
                results.add(key, row | ({"trial": True} if arguments.trial else {}), ["stl", learner])
    return 0


def folder(runs: Path, name: str) -> Path:
    """Of a training."""
    return runs / f"npc-{PREFIX.rstrip(':')}-{name}-0"


def training(runs: Path, name: str) -> dict[str, Any]:
    """What is known of the training of a network: minutes, and the share of held-out plans that satisfied the specification before and after."""
    artifact = Artifact.load(folder(runs, name) / "policy.isthmus")
    first = json.loads((folder(runs, name) / "curve.json").read_text(encoding="utf-8"))[0]
    told = {
        "minutes": artifact.training["seconds"] / 60,
        "untrained": first["satisfied"],
        "trained": artifact.training["held_out_satisfied"],
    }
    return {**told, "policy": {"seed": artifact.training["seed"], "commit": artifact.git}}


def methods(system: System, runs: Path) -> Iterator[tuple[str, Callable[[], Policy], float]]:
    """Name, what makes the policy, and share of the starts that it gets the root of."""
    contract = system_contract(system)
    path = folder(runs, system.name) / "policy.isthmus"
    if path.is_file():
        artifact = Artifact.load(path)
        settings = {**json.loads(artifact.members["npc.json"]), "prefix": 0}
        alone = dataclasses.replace(artifact, members={**artifact.members, "npc.json": json.dumps(settings).encode()})
        yield "NPC", alone.policy, 1.0
        yield "NPC + backup", artifact.policy, 1.0
    else:
        print(f"{system.name:11} NPC is left out: there is no {path}")
    few = 0.316
    yield "CEM", lambda: CemPlanner(contract, system), few
    yield "STL_g", lambda: GradientPlanner(contract, system), few
    if system.name != "rover":  # its model asks which of two numbers is larger in ways that CasADi cannot be asked
        yield "MPC", lambda: MpcPlanner(contract, system), few
        yield "MPC, robustness", lambda: MpcPlanner(contract, system, MpcSettings(constraints=False)), few
    yield "SAC", lambda: train_sac_on(system, runs), 1.0


def line(system: System, method: str, policy: Policy, starts: int, episodes: int) -> dict[str, Any]:
    """Print one line of the table; what it says, as plain data, times in ms."""
    states = system.sample(starts, np.random.default_rng(UNSEEN))
    policy.reset(seed=0)
    began = time.process_time()
    plans = policy.act({"state": states[:, None].astype(np.float32)}).actions
    together = (time.process_time() - began) / starts
    planned = None
    if plans.shape[1] == system.horizon:
        signals = system.signals(system.rollout(states, plans)[:, system.first :])
        planned = float((np.asarray(stl.robustness(stl.parse(system.specification), signals, end=system.end)) >= 0).mean())
    alone = []
    for state in states[: TIMED if method.startswith(("NPC", "SAC")) else TIMED // 3]:
        policy.reset(seed=0)
        began = time.process_time()
        policy.act({"state": state[None, None].astype(np.float32)})
        alone.append(time.process_time() - began)
    summary = evaluate_system(system, policy, episodes=episodes, seed=UNSEEN)
    asked: dict[str, Any] = summary["specification"]
    p50, p99 = (1e3 * np.percentile(alone, [50, 99])).tolist()
    row: dict[str, Any] = {
        "task": system.name,
        "method": method,
        "starts": starts,
        "episodes": episodes,
        "plan": planned,
        "plans": asked["plans"],
        "executed": summary["success"]["rate"],
        "safe": asked["safe"]["rate"],
        "robustness": summary["return"]["mean"],
        "backup": asked["backup"],
        "p50": p50,
        "p99": p99,
        "batch": 1e3 * together,
    }
    told = {name: np.nan if value is None else value for name, value in row.items()}
    print(
        "{task:11} {method:18} {starts:>6} {plan:>6.3f} | {plans:>6.3f} {executed:>8.3f} {safe:>6.3f} {robustness:>6.2f} {backup:>6.3f} | "
        "{p50:>8.2f} {p99:>8.2f} {batch:>8.2f}".format(**told),
        flush=True,
    )
    return row


if __name__ == "__main__":
    sys.exit(main())
