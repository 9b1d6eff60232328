"""A payload from a pair of runs, one without and one with it: how near the estimate is, over seeds of the noise and of the motion.

    python benchmarks/identify.py --payload 10 --record docs/results/identification.json

The robot is a UR5e in PyBullet, which the identification does not simulate with, in steps of its control period. It plays sines that are others for
each seed; its encoders have 0.1 mrad and its velocities 10 mrad/s of noise. Its efforts are those of Bullet's motors, which are constraints.

    python benchmarks/identify.py --payload-ros 10 --record docs/results/identification.json

is the same over ROS 2: `sim_node` behind the robot's own topics, policy node and guard, in stepped time; both runs are recorded there, and only these
files are read. The motion is one for the runs without the payload and another for those with it; each seed has its own start and noise.
"""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

from isthmus.control import ControlStep
from isthmus.kinds.excitation import ExcitationPolicy, MultiSine
from isthmus.robot import load_robot
from isthmus.runner import Runner, Tick
from isthmus.signals import Signal
from isthmus_evidence.ros_exploration import gentle_excitation, play_over_ros
from isthmus_sim.identification.fit import FitOptions
from isthmus_sim.identification.identify import Identification, identify
from isthmus_sim.identification.logs import Log
from isthmus_sim.identification.mechanism import find_target
from isthmus_sim.identification.problem import ParameterFile, Unknown, make_problem, open_logs
from isthmus_sim.plants import make_plant
from isthmus_sim.tasks import get_task

PAYLOAD = 1.0  # kg
NOISE = {"position_noise": 1e-4, "velocity_noise": 0.01}  # rad, rad/s
SECONDS = 10.0


def main(seeds: int, plant: str = "pybullet") -> dict[str, object]:
    """Identify for each seed."""
    return told(seeds, lambda seed: pair(seed, plant))


def over_ros(seeds: int) -> dict[str, object]:
    """The same from recordings that were made over ROS 2."""
    task, target = get_task("reach"), find_target("reach")
    with tempfile.TemporaryDirectory() as name:
        runs, folder = [], Path(name)
        for number, (kind, payload) in enumerate((("free", 0.0), ("loaded", PAYLOAD))):
            excitation = folder / f"{kind}.isthmus"
            gentle_excitation(task, SECONDS, number).save(excitation)
            parameters = {**NOISE, "payload": payload}
            starts = range(number * seeds, (number + 1) * seeds)
            runs.append(play_over_ros(task, excitation, folder / kind, starts, seconds=SECONDS, parameters=parameters))

        def identified(seed: int) -> Identification:
            free, loaded = (files[seed] for files in runs)
            file = ParameterFile((Unknown("payload", 0.0, 3.0, (loaded.name,)),))
            return identify(make_problem(target, file, open_logs([free, loaded], file, target)), FitOptions(1, seed), threads=1)

        return told(seeds, identified)


def told(seeds: int, identified: Callable[[int], Identification]) -> dict[str, object]:
    """How near the estimates are."""
    estimates, inside, widths = [], 0, []
    for seed in range(seeds):
        found = identified(seed)
        row = found.problem.names.index("payload")
        known = found.known
        estimates.append(float(known.values[row]))
        inside += bool(known.low[row] <= PAYLOAD <= known.high[row])
        widths.append(float(known.high[row] - known.low[row]))
        print(
            f"seed {seed}: {estimates[-1]:.4f} kg, {known.low[row]:.4f} … {known.high[row]:.4f}, {known.verdicts[row]}, χ² {found.linear.chi2:.3g}",
            flush=True,
        )
    errors = np.abs(np.array(estimates) / PAYLOAD - 1)
    return {
        "payload_kg": PAYLOAD,
        "mean_estimate_kg": round(float(np.mean(estimates)), 4),
        "worst_error_percent": round(100 * float(errors.max()), 2),
        "within_3_percent": f"{int((errors <= 0.03).sum())} of {seeds}",
        "intervals_that_hold_the_truth": f"{inside} of {seeds}",
        "mean_width_of_intervals_kg": round(float(np.mean(widths)), 4),
    }


def pair(seed: int, plant: str) -> Identification:
    """Both runs of a seed, and what they tell."""
    logs = [
        run(f"{name}.mcap", plant, 2 * seed + number, payload)
        for number, (name, payload) in enumerate((("free", 0.0), ("loaded", PAYLOAD)))
    ]
    file = ParameterFile((Unknown("payload", 0.0, 3.0, ("loaded.mcap",)),))
    return identify(make_problem(find_target("reach"), file, logs), FitOptions(1, seed), threads=1)


def run(name: str, plant: str, seed: int, payload: float) -> Log:
    """One recording."""
    task = get_task("reach")
    clock = Signal("time", "time", ("t",), "s", (0.0,), (float("inf"),))
    contract = dataclasses.replace(task.contract, observation=(clock,))
    joints, draw = contract.action.elements, np.random.default_rng(seed)
    frequency = tuple(draw.uniform(0.15, 0.6, 3).tolist())
    phase = tuple(tuple(row) for row in draw.uniform(-np.pi, np.pi, (len(joints), 3)).tolist())
    wave = MultiSine((0.0,) * len(joints), ((0.12, 0.12, 0.12),) * len(joints), frequency, phase, 1.0, SECONDS)
    simulator = make_plant(plant, load_robot(contract.robot), mode=contract.mode, period=contract.control_period, scene=task.scene)
    step = ControlStep(simulator, contract)
    start = task.start([draw])
    parameters = {key: np.array([value]) for key, value in {**NOISE, "payload": payload}.items()}
    step.reset(seeds=[seed], state=start.state, parameters=parameters)
    ticks: list[Tick] = []
    runner = Runner(ExcitationPolicy(contract, wave), step, inputs=dict, on_tick=ticks.append)
    runner.begin([seed])
    runner.run(round(SECONDS / contract.control_period))
    return log_of(name, ticks, contract.mode)


def log_of(name: str, ticks: list[Tick], mode: str) -> Log:
    """What was measured and what the guard let through."""
    measured = [tick.measurement for tick in ticks][1:]  # no effort is known before the first step
    time = np.array([tick.measurement.stamp[0] for tick in ticks])
    columns = [np.array([getattr(one, kind)[0] for one in measured]) for kind in ("position", "velocity", "effort")]
    command = np.array([tick.decision.command.values[0] for tick in ticks])
    poses = {body: np.array([one.poses[body][0] for one in measured]) for body in measured[0].poses}
    return Log(name, time[1:], measured[0].joints, *columns, mode=mode, command_time=time, command=command, poses=poses)
