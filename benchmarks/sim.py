"""What the environments cost over bare physics, and how they compare with other people's, in one run on one machine.

Every line is a ratio of two loops that are timed in turns, so that a busy machine slows both; the load is printed because it still matters. The bare
engine replays the environment's own commands and reset states: with random commands and no resets the arms would run into their joint limits and
cost more. Run with `make bench` or `python benchmarks/sim.py [--quick]`; EnvPool is raced where it is installed (`pip install envpool==1.2.5`).
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path

os.environ.setdefault("MUJOCO_GL", "egl")  # read when MuJoCo is imported

import mujoco
import numpy as np
from halfcheetah import GEARS, MODEL, HalfCheetahPlant, halfcheetah
from rivals import BareBatch, Loop, Race, Recorder, bare_pybullet, envpool_loop, gymnasium_loop, staggered, step_all

import isthmus_sim
from isthmus_sim.cameras import free_view
from isthmus_sim.rendering import Renderer
from isthmus_sim.vector_env import TaskVectorEnv

POSITION_STAGE = int(mujoco.mjtStage.mjSTAGE_POS)
REACH_FIELDS = ("xpos", "xquat", "qfrc_actuator")
PICTURE = 84  # px


def main() -> None:
    """Print one line per race."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer rounds")
    parser.add_argument("--memory", type=int, metavar="ROWS", help="only print the memory of a process with so many environments, MB")
    parser.add_argument("--record", type=Path, help="file of figures to write; wants an idle computer")
    arguments = parser.parse_args()
    if arguments.memory:
        print(f"{memory(arguments.memory):.0f}")
        return
    rounds = 3 if arguments.quick else 9
    record = Recorder(arguments.record, "gymnasium", "envpool")
    print(f"load {os.getloadavg()[0]:.2f}, {os.cpu_count()} threads, MuJoCo {mujoco.__version__}, medians of {rounds} rounds")
    print(f"{'what':54} {'here':>12} {'rival':>12} {'ratio':>7} {'target':>7}")
    race_reach(64, 200, rounds, 0.80, record)
    race_reach(4096, 20, rounds, 0.85, record)
    race_halfcheetah(rounds, record)
    race_pictures(rounds, record)
    race_pybullet(1, 200, rounds, record)
    race_pybullet(16, 50, rounds, record)
    used = subprocess.run([sys.executable, __file__, "--memory", "4096"], capture_output=True, text=True, check=True)
    what, megabytes, most = "memory of a process with 4096 reach environments", f"{used.stdout.strip()} MB", "< 1000"
    print(f"{what:54} {megabytes:>12} {'':12} {'':7} {most:>7}")
    record.line(what, megabytes, "", "", most)


def race_reach(rows: int, periods: int, rounds: int, target: float, record: Recorder) -> None:
    """`reach` with its guard against the bare batch."""
    env = isthmus_sim.make_vec("reach", rows)
    actions = np.random.default_rng(0).uniform(-1.5, 1.5, (periods, rows, 6)).astype(np.float32)
    bare = BareBatch(env, actions, POSITION_STAGE, REACH_FIELDS)
    race = Race({"env": (lambda: staggered(env), lambda: step_all(env, actions)), "bare": (bare.begin, bare.run)}, rounds)
    show(f"reach with guard, {rows} rows / bare batch", periods * rows, race, "env", "bare", target, record)
    env.close()


def race_halfcheetah(rounds: int, record: Recorder, rows: int = 64, periods: int = 100) -> None:
    """HalfCheetah without a guard against the bare batch and other people's environments."""
    env = TaskVectorEnv(halfcheetah(), HalfCheetahPlant(rows), guard=False)
    shares = np.random.default_rng(0).uniform(-1, 1, (periods, rows, 6)).astype(np.float32)
    actions = shares * np.array(list(GEARS.values()), np.float32)
    bare = BareBatch(env, actions, int(mujoco.mjtStage.mjSTAGE_NONE), ())
    loops: dict[str, Loop] = {"env": (lambda: staggered(env), lambda: step_all(env, actions)), "bare": (bare.begin, bare.run)}
    loops["sync"], loops["async"] = gymnasium_loop("sync", rows, shares), gymnasium_loop("async", rows, shares)
    if pool := envpool_loop(rows, os.cpu_count() or 1, shares):
        loops["envpool"] = pool
    race = Race(loops, rounds)
    targets = {"bare": ("bare batch", 0.85), "sync": ("SyncVectorEnv", 2.3), "async": ("AsyncVectorEnv", 6.0), "envpool": ("EnvPool", 1.3)}
    for rival, (name, target) in targets.items():
        if rival in loops:
            show(f"HalfCheetah without guard, {rows} rows / {name}", periods * rows, race, "env", rival, target, record)
    env.close()


def race_pictures(rounds: int, record: Recorder, count: int = 25) -> None:
    """Small pictures of Gymnasium's HalfCheetah against MuJoCo's own renderer with the model's own settings."""
    model = mujoco.MjModel.from_xml_path(str(MODEL))
    data = mujoco.MjData(model)
    mujoco.mj_forward(model, data)
    usual, fast = mujoco.Renderer(model, PICTURE, PICTURE), Renderer(model, PICTURE, PICTURE)
    view = free_view((0.0, 0.0, 0.5), 4.0, np.pi / 2, -0.3, height=PICTURE, width=PICTURE)

    def draw_usual() -> None:
        for _ in range(count):
            usual.update_scene(data)
            usual.render()

    def draw_fast() -> None:
        for _ in range(count):
            fast.picture(model, data, view)

    race = Race({"fast": (None, draw_fast), "usual": (None, draw_usual)}, rounds)
    show(f"{PICTURE} × {PICTURE} pictures / MuJoCo's default settings", count, race, "fast", "usual", 25.0, record)
    usual.close()
    fast.close()


def race_pybullet(rows: int, periods: int, rounds: int, record: Recorder) -> None:
    """Arms with their guard against a bare loop on the same engine."""
    env = isthmus_sim.make_vec("reach", rows, "pybullet")
    actions = np.random.default_rng(0).uniform(-1.5, 1.5, (periods, rows, 6))
    race = Race({"bare": bare_pybullet(env, actions), "env": (lambda: staggered(env), lambda: step_all(env, actions))}, rounds)
    show(f"reach with guard on PyBullet, {rows} rows / bare loop", periods * rows, race, "env", "bare", 0.6, record)
    env.close()


def show(what: str, steps: int, race: Race, here: str, rival: str, target: float, record: Recorder) -> None:
    """One line: rates of both, and how many times faster we are."""
    rates = [f"{steps / race.seconds(name):.0f}/s" for name in (here, rival)]
    ratio, least = f"{race.ratio(rival, here):.2f}", f"≥ {target:g}"
    print(f"{what:54} {rates[0]:>12} {rates[1]:>12} {ratio:>7} {least:>7}", flush=True)
    record.line(what, rates[0], rates[1], ratio, least)


def memory(rows: int) -> float:
    """Largest memory of this process with so many `reach` environments, MB."""
    env = isthmus_sim.make_vec("reach", rows)
    env.reset(seed=0)
    for _ in range(3):
        env.step(np.zeros((rows, 6)))
    status = Path("/proc/self/status").read_text()  # the maximum that getrusage tells includes that of the parent process
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


if __name__ == "__main__":
    main()
