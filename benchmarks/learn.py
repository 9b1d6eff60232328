"""How fast the learners are: against stable-baselines3 and sbx (JAX) in one run on one machine, and against the matrix products that an update needs.

Steps of SAC on HalfCheetah-v5 with batches of 256 and one update per environment step, all in turns, so that a busy machine slows all of them; the
load is printed because it still matters. sbx is raced where it is installed (`pip install sbx-rl`). Run with `python benchmarks/learn.py [--quick]`;
`--targets pendulum reach` measures the time until tasks are solved instead, against both with their own defaults, which takes long.
"""

from __future__ import annotations

import argparse
import itertools
import os
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from typing import Any

import gymnasium
import numpy as np
import torch
from rivals import Loop, Race, Recorder
from sbx_sac import train_sbx_sac

import isthmus_sim
from isthmus.sequence import sequence_contract
from isthmus_evidence.task_evaluation import evaluate_task as evaluate
from isthmus_policies.export import export_graph
from isthmus_policies.outcome import Evaluation
from isthmus_policies.replay import Replay
from isthmus_policies.sac import Sac, SacConfig, sac_config
from isthmus_policies.sequence_actor import SequencePolicy
from isthmus_policies.session import Session
from isthmus_policies.srl import Srl, SrlConfig
from isthmus_policies.training import train
from isthmus_sim.sb3 import Sb3VecEnv
from isthmus_sim.suites import get_suite_task

TASK = "gym:HalfCheetah-v5"
BATCH, WIDTH = 256, 256
WARM = 300  # steps before the clock starts
TARGETS = {
    "pendulum": ("return", -200.0, 20_000),
    "reach": ("success", 0.9, 60_000),
    "reach-wide": ("success", 0.9, 200_000),
}  # measure, level, control periods at most
EVERY = {"pendulum": 500, "reach": 1000, "reach-wide": 5000}  # control periods between evaluations
EPISODES = 20
SEQUENCE = 16  # actions


def main() -> None:
    """Print one line per race."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer rounds")
    parser.add_argument("--targets", nargs="+", choices=TARGETS, default=(), help="only measure the time until these tasks are solved")
    parser.add_argument("--seeds", type=int, default=5, help="of --targets")
    parser.add_argument("--record", type=Path, help="file of figures to write; wants an idle computer")
    arguments = parser.parse_args()
    record = Recorder(arguments.record, "gymnasium", "sbx-rl", "jax")
    rounds, steps = (3, 200) if arguments.quick else (9, 500)
    print(f"load {os.getloadavg()[0]:.2f}, {os.cpu_count()} threads, PyTorch {torch.__version__}, medians")
    print(f"{'what':64} {'here':>12} {'rival':>12} {'ratio':>7} {'target':>7}")
    for task in arguments.targets:
        race_to_target(task, arguments.seeds, record)
    if not arguments.targets:
        race_halfcheetah(rounds, steps, record)
        for task in ("reach", TASK):
            race_acting(task, 3 * rounds, record)
        show_memory(record)
    print(f"load {os.getloadavg()[0]:.2f}")


def show(what: str, here: str, rival: str, ratio: str, target: str, record: Recorder) -> None:
    """One line."""
    print(f"{what:64} {here:>12} {rival:>12} {ratio:>7} {target:>7}", flush=True)
    record.line(what, here, rival, ratio, target)


def show_memory(record: Recorder) -> None:
    """Size of a full replay."""
    memory = Replay(get_suite_task(TASK).contract, 10**6).nbytes / 1e9
    show("replay of a million transitions of HalfCheetah", f"{memory:.3f} GB", "", "", "≤ 0.35", record)


def race_halfcheetah(rounds: int, steps: int, record: Recorder) -> None:
    """Steps per second of SAC, and updates per second of its matrix products alone."""
    loops: dict[str, Loop] = {"here": own_loop(steps), "products": products_loop(steps)}
    for threads in (1, 2):
        loops[f"stable-baselines3, {threads} threads"] = rival_loop("stable_baselines3", steps, threads)
    try:
        loops["sbx"] = rival_loop("sbx", steps, 1)
    except ModuleNotFoundError:
        print("sbx is not installed and is left out")
    race = Race(loops, rounds)
    targets = {"products": 1.0, "sbx": 1.0}
    for rival in loops:
        if rival != "here":
            rates = [f"{steps / race.seconds(name):.0f}/s" for name in ("here", rival)]
            name = "the update's matrix products alone, 1 thread" if rival == "products" else rival
            target = "" if rival == "products" else f"≥ {targets.get(rival, 1.8):g}"
            what = f"SAC steps on HalfCheetah / {name}"
            show(what, *rates, f"{race.ratio(rival, 'here'):.2f}", target, record)


def race_acting(task: str, rounds: int, record: Recorder, calls: int = 500) -> None:
    """Microseconds of one decision: of a policy file against its bare onnxruntime session, and of a sequence of 16 actions against one action."""
    env: Any = isthmus_sim.make_vec(task, 1)
    observation, _ = env.reset(seed=0)
    contract = env.task.contract
    env.close()
    sac, srl = Sac(contract, sac_config(task)), Srl(contract, SrlConfig(sequence=SEQUENCE))
    planned = sequence_contract(contract, SEQUENCE)
    before = {"previous_action": np.zeros((1, 1, len(contract.action.elements)), dtype=np.float32)}
    one: Any = export_graph(contract, sac.policy(), observation).policy()
    many = export_graph(planned, SequencePolicy(planned, srl.encoder, srl.actor), before | observation).policy()
    bare, feed = one._session, {signal.name: observation[signal.name] for signal in contract.observation}
    loops: dict[str, Loop] = {
        "act": (None, lambda: [one.act(observation) for _ in range(calls)]),
        "bare": (None, lambda: [bare.run(["actions"], feed) for _ in range(calls)]),
        "sequence": (None, lambda: [many.act(before | observation) for _ in range(calls)]),
    }
    race = Race(loops, rounds)
    times = {name: 1e6 * race.seconds(name) / calls for name in loops}
    cells = {name: f"{value:.0f} us" for name, value in times.items()}
    more = f"+{times['act'] - times['bare']:.0f} us"
    show(f"decision on {task} / bare onnxruntime", cells["act"], cells["bare"], more, "≤ 15 us", record)
    what = f"SRL, {SEQUENCE} actions on {task} / a decision of SAC"
    show(what, cells["sequence"], cells["act"], f"{race.ratio('sequence', 'act'):.2f}", "≤ 3", record)


def own_loop(steps: int) -> Loop:
    """The trainer, without evaluations and checkpoints."""
    config = SacConfig(steps=10**6, learning_starts=BATCH, evaluate_every=10**6, checkpoint_every=10**6, buffer_size=10**5)
    env = isthmus_sim.make_vec(TASK, 1)
    out = Path(tempfile.mkdtemp())
    session = Session(Sac(env.task.contract, config), env, lambda policy: Evaluation(0.0, None), out, config, 0, None, "", {})
    session.begin(resume=False)

    def advance(count: int) -> None:
        torch.set_num_threads(1)
        for _ in range(count):
            session.advance()

    advance(BATCH + WARM)
    return None, lambda: advance(steps)


def rival_loop(package: str, steps: int, threads: int) -> Loop:
    """SAC of stable-baselines3 or sbx with its own defaults, on Gymnasium's own environment."""
    module: Any = __import__(package)
    model = module.SAC("MlpPolicy", gymnasium.make("HalfCheetah-v5"), buffer_size=10**5, learning_starts=BATCH, seed=0)

    def learn(count: int) -> None:
        torch.set_num_threads(threads)
        model.learn(count, reset_num_timesteps=False)

    learn(BATCH + WARM)
    return None, lambda: learn(steps)


def products_loop(updates: int, features: int = 17, actions: int = 6) -> Loop:
    """The matrix products of one update of SAC, forward and backward, and nothing else."""
    torch.set_num_threads(1)
    critic, actor = (features + actions, WIDTH, WIDTH, 1), (features, WIDTH, WIDTH, 2 * actions)
    jobs: list[tuple[torch.Tensor, torch.Tensor, torch.Tensor]] = []

    def product(nets: int, rows: int, inner: int, columns: int) -> None:
        jobs.append((torch.randn(nets, rows, inner), torch.randn(nets, inner, columns), torch.empty(nets, rows, columns)))

    def forward(nets: int, widths: tuple[int, ...]) -> None:
        for inside, outside in itertools.pairwise(widths):
            product(nets, BATCH, inside, outside)

    def backward(nets: int, widths: tuple[int, ...], weights: bool, inputs: bool) -> None:
        for layer, (inside, outside) in enumerate(itertools.pairwise(widths)):
            if weights:
                product(nets, inside, BATCH, outside)
            if inputs or layer:
                product(nets, BATCH, outside, inside)

    for nets, widths in ((1, actor), (2, critic), (2, critic), (1, actor), (2, critic)):  # target: π, Q̄; critics: Q; actor: π, Q
        forward(nets, widths)
    backward(2, critic, weights=True, inputs=False)
    backward(2, critic, weights=False, inputs=True)
    backward(1, actor, weights=True, inputs=False)

    def run() -> None:
        torch.set_num_threads(1)
        for _ in range(updates):
            for first, second, out in jobs:
                torch.bmm(first, second, out=out)

    return None, run


def race_to_target(task: str, seeds: int, record: Recorder) -> None:
    """Seconds of training, without those of evaluations, until a task is solved; a seed that never gets there counts with all of its time."""
    rivals = {"sb3": "stable-baselines3", "sbx": "sbx"} if find_spec("sbx") else {"sb3": "stable-baselines3"}
    found: dict[str, list[tuple[float, bool]]] = {engine: [] for engine in ("isthmus", *rivals)}
    for seed, engine in itertools.product(range(seeds), found):
        found[engine].append(seconds_to_target(task, engine, seed))
        seconds, solved = found[engine][-1]
        print(f"  seed {seed}, {rivals.get(engine, 'here')}: {seconds:.0f} s{'' if solved else ', not reached'}", flush=True)
    measure, level, _ = TARGETS[task]
    times = {engine: median(seconds for seconds, _ in runs) for engine, runs in found.items()}
    missed = {engine: sum(not solved for _, solved in runs) for engine, runs in found.items()}
    cells = {engine: f"{times[engine]:.0f} s{f' ({missed[engine]} missed)' if missed[engine] else ''}" for engine in found}
    for engine, rival in rivals.items():
        what, target = f"{task}: time to {measure} {level:g}, median of {seeds} seeds / {rival}", "≤ 0.5" if engine == "sb3" else ""
        show(what, cells["isthmus"], cells[engine], f"{times['isthmus'] / times[engine]:.2f}", target, record)


class _SolvedError(Exception):
    pass


def seconds_to_target(task: str, engine: str, seed: int) -> tuple[float, bool]:
    """Seconds, and whether the target was reached."""
    measure, level, most = TARGETS[task]
    tuned, usual = sac_config(task), SacConfig(learning_starts=100)
    fields = {name: getattr(tuned if engine == "isthmus" else usual, name) for name in SacConfig.__dataclass_fields__}
    fields |= {"evaluate_every": EVERY[task], "checkpoint_every": most, "steps": tuned.steps if engine == "isthmus" else most}
    config, env = SacConfig(**fields), isthmus_sim.make_vec(task, 1)
    made: Any = env.task
    spent, began = 0.0, time.monotonic()

    def score(policy: Any) -> Evaluation:
        nonlocal spent
        paused = time.monotonic()
        summary = evaluate(made, policy, episodes=EPISODES, seed=10**6)
        spent += time.monotonic() - paused
        if (summary["return"]["mean"] if measure == "return" else summary["success"]["rate"]) >= level:
            raise _SolvedError
        return Evaluation(summary["return"]["mean"], summary["success"]["rate"])

    def run(out: Path) -> object:
        if engine == "isthmus":
            return train(Sac(made.contract, config, seed), env, score, out, config=config, seed=seed)
        if engine == "sb3":
            from isthmus_policies.sb3_sac import train_sb3_sac

            return train_sb3_sac(made.contract, Sb3VecEnv(env, seed), score, out, config=config, seed=seed)
        return train_sbx_sac(made.contract, Sb3VecEnv(env, seed), score, steps=most, every=EVERY[task], seed=seed)

    try:
        with tempfile.TemporaryDirectory() as out:
            run(Path(out))
    except _SolvedError:
        return time.monotonic() - began - spent, True
    return time.monotonic() - began - spent, False


if __name__ == "__main__":
    main()
