"""How fast MENTOR is at full size: updates against a dense implementation, collection against bare rendering, acting in ONNX, and memory of pictures.

Everything in turns, in one run. Run with `python benchmarks/mentor.py [--quick] [--record docs/results/mentor.json]`; the load is printed because it
still matters.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import re
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mentor_dense import DenseMentor
from rivals import Loop, Race, Recorder

import isthmus_sim
from isthmus import Contract, Limits, Signal
from isthmus.records import Command
from isthmus.signals import CameraSpec
from isthmus_policies.explorer import Explorer
from isthmus_policies.export import export_graph
from isthmus_policies.mentor.config import mentor_config
from isthmus_policies.mentor.learner import Mentor
from isthmus_policies.replay import Replay

SIDE, ACTIONS, BATCH, FRAMES = 84, 4, 256, 100_000
TASK = "peg"
_JOINTS = tuple("abcd")


def main() -> None:
    """Print one line per race."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer rounds, smaller batches, fewer frames: to see that it runs")
    parser.add_argument("--record", type=Path, help="file of figures to write; wants an idle computer")
    arguments = parser.parse_args()
    if arguments.quick and arguments.record:
        parser.error("--quick measures something smaller, which is not recorded")
    torch.set_num_threads(1)
    record = Recorder(arguments.record, "torch", "onnxruntime", "mujoco")
    print(f"load {os.getloadavg()[0]:.2f}, {os.cpu_count()} threads, PyTorch {torch.__version__}, medians")
    print(f"{'what':64} {'here':>12} {'rival':>12} {'ratio':>7} {'target':>7}")
    quick = arguments.quick
    race_updates(16 if quick else BATCH, 1 if quick else 5, record)
    race_collection(5 if quick else 60, 1 if quick else 9, record)
    race_acting(5 if quick else 200, 1 if quick else 9, record)
    show_memory(2000 if quick else FRAMES, record)
    print(f"load {os.getloadavg()[0]:.2f}")


def show(what: str, here: str, rival: str, ratio: str, target: str, record: Recorder) -> None:
    """One line."""
    print(f"{what:64} {here:>12} {rival:>12} {ratio:>7} {target:>7}", flush=True)
    record.line(what, here, rival, ratio, target)


def pictures_contract(history: int = 3) -> Contract:
    """One camera in colour, four actions, no numbers: the size that the paper's networks are counted at."""
    seen = Signal("eye", "image", (), "1", (), (), dtype="uint8", history=history, camera=CameraSpec(SIDE, SIDE))
    limits = Limits(_JOINTS, *[(bound,) * ACTIONS for bound in (-9.0, 9.0, 9.0, np.inf, 9.0, 9.0)])
    return Contract("none", "none", (seen,), Signal("action", "joint_velocity", _JOINTS, "rad/s", (-1.0,) * 4, (1.0,) * 4), limits, 0.05)


def race_updates(batch: int, rounds: int, record: Recorder) -> None:
    """Seconds of an update of all networks."""
    config = mentor_config("mentor", "")
    learner, dense = Mentor(pictures_contract(), config, 0), DenseMentor(ACTIONS)
    replay = filled(pictures_contract(), 2 * batch)
    generator = np.random.default_rng(0)
    now, after = (torch.randint(0, 256, (batch, 9, SIDE, SIDE)).float() for _ in range(2))
    action, reward, discount = torch.rand(batch, ACTIONS) * 2 - 1, torch.rand(batch, 1), torch.full((batch, 1), 0.97)
    loops: dict[str, Loop] = {
        "here": (None, lambda: learner.update(lambda: replay.sample(batch, config.gamma, config.n_step, generator), 1.0)),
        "dense": (None, lambda: dense.update(now, after, action, reward, discount)),
    }
    for _, loop in loops.values():
        loop()
    race = Race(loops, rounds)
    cells = [f"{race.seconds(name):.2f} s" for name in loops]
    show(
        f"update, batch {batch}, drawn from the replay / dense, its batch ready",
        *cells,
        f"{race.ratio('here', 'dense'):.2f}",
        "≤ 0.8",
        record,
    )


def filled(contract: Contract, periods: int, folder: Path | None = None, capacity: int | None = None) -> Replay:
    """A replay of noise, in episodes of 100 control periods."""
    replay, generator = Replay(contract, capacity or periods, 1, folder), np.random.default_rng(0)
    (signal,) = contract.observation
    stack = generator.integers(0, 256, (1, signal.history, *signal.shape), dtype=np.uint8)
    no, nothing = np.zeros(1, dtype=bool), np.zeros((1, len(contract.action.elements)), dtype=np.float32)
    for period in range(periods - 1):
        stack = np.roll(stack, -1, axis=1)
        stack[:, -1, :, :, :] = period % 256
        replay.add({"eye": stack}, nothing, nothing, np.zeros(1), no, no | (period % 100 == 99), {"eye": stack})
    return replay


def race_collection(periods: int, rounds: int, record: Recorder) -> None:
    """Control periods per second with random actions, against physics and pictures alone."""
    env: Any = isthmus_sim.make_vec(TASK, 1)
    contract = env.task.contract
    learner = Mentor(contract, mentor_config("mentor", "", small=True), 0)
    memory: Any = Replay(contract, 2000, 1)
    explorer = Explorer(learner, env, memory, np.random.default_rng(0), 0.99)
    explorer.begin_episodes(0, 0.0)
    plant = env.plant
    cameras = [camera for camera in plant.robot.cameras if any(signal.name == camera.name for signal in contract.observation)]
    command = Command(contract.mode, contract.action.elements, np.zeros((1, len(contract.action.elements))))

    def bare() -> None:
        for _ in range(periods):
            plant.write(command)
            plant.advance()
            for camera in cameras:
                plant.picture(camera)

    loops: dict[str, Loop] = {
        "here": (None, lambda: [explorer.advance(0.0, at_random=True) for _ in range(periods)]),
        "bare": (None, bare),
    }
    race = Race(loops, rounds)
    cells = [f"{periods / race.seconds(name):.0f}/s" for name in loops]
    show(
        f"collection on {TASK}, {len(cameras)} cameras / physics and pictures alone",
        *cells,
        f"{race.ratio('bare', 'here'):.2f}",
        "≥ 0.8",
        record,
    )
    env.close()


def race_acting(calls: int, rounds: int, record: Recorder) -> None:
    """Milliseconds of one decision of the full-size policy, as a file is opened on a robot."""
    contract = pictures_contract()
    observation = {"eye": np.random.default_rng(0).integers(0, 256, (1, 3, SIDE, SIDE, 3), dtype=np.uint8)}
    samples = {"eye": np.repeat(observation["eye"], 4, axis=0)}
    policy = export_graph(contract, Mentor(contract, mentor_config("mentor", ""), 0).policy(), samples).policy()
    policy.act(observation)
    race = Race({"act": (None, lambda: [policy.act(observation) for _ in range(calls)])}, rounds)
    show(f"decision, {SIDE} × {SIDE} × 9, ONNX on one core", f"{1e3 * race.seconds('act') / calls:.2f} ms", "", "", "≤ 6 ms", record)


def show_memory(frames: int, record: Recorder) -> None:
    """Size of a replay of pictures, and what a process holds of one that lies in a file, after it was filled and drawn from."""
    nbytes = Replay(pictures_contract(), frames).nbytes
    show(f"replay of {frames} frames, {SIDE} × {SIDE} × 3", f"{nbytes / 1e9:.2f} GB", "", "", "≤ 2.3", record)
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        resident = pool.apply(mapped_resident, (frames,))
    show("  in a file: resident beyond an empty process, after 20 batches", f"{resident / 1e9:.2f} GB", "", "", "≤ 0.3", record)


def mapped_resident(frames: int) -> int:
    """Bytes that a process holds more with a full replay in a file than without."""
    import isthmus_policies.pictures as pictures

    before = _resident()
    pictures.LARGE = 0
    with tempfile.TemporaryDirectory() as folder:
        replay = filled(pictures_contract(), frames, Path(folder))
        for _ in range(20):
            replay.sample(64, 0.99, 3, np.random.default_rng(0))
        return _resident() - before


def _resident() -> int:
    (kilobytes,) = re.findall(r"VmRSS:\s*(\d+) kB", Path("/proc/self/status").read_text())
    return 1024 * int(kilobytes)


if __name__ == "__main__":
    main()
