"""What identification finds on arms whose truth is known, and what it costs; with `--go2` and `--tx40`, on your copy of two real recordings.

    python benchmarks/identify.py --record docs/results/identification.json

The arm has three joints and thirteen unknown parameters; its three 12 s logs at 200 Hz are simulated at half the physics step, with 14-bit encoders,
20 mrad/s of noise on velocities, and commands that are 10 ms late. Costs are CPU seconds of this process, on one thread; rollouts are compared with
a bare `mujoco.batch` loop in the same run. `--go2 FOLDER` wants go2.xml and log.csv of
https://github.com/iit-DLSLab/sim2real-robot-identification (traj_0), `--tx40 FOLDER` tx40.urdf and log.csv of
https://github.com/thanhndv212/figaroh-examples.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import mujoco
import numpy as np
import payload
import pushed
from identify_plain import plain_fit
from identify_real import go2, tx40
from identify_sysid import has_sysid, sysid_fit
from mujoco.batch import Batch

from isthmus_evidence.results import Results
from isthmus_sim.identification.fit import FitOptions
from isthmus_sim.identification.held_out import split
from isthmus_sim.identification.identify import Identification, identify
from isthmus_sim.identification.logs import Log, quality
from isthmus_sim.identification.mechanism import find_target
from isthmus_sim.identification.problem import ParameterFile, Problem, Unknown, make_problem
from isthmus_sim.identification.rollouts import Rollouts
from isthmus_sim.identification.windows import cut_windows, signal_noise

MODEL = """<mujoco><option timestep="{dt}" integrator="implicitfast"/><worldbody>
<body name="link1" pos="0 0 0.3"><joint name="j1" axis="0 0 1" damping="{d1}" frictionloss="{f1}" armature="{a1}"/>
<inertial pos="0 0 0.05" mass="1.5" diaginertia="0.01 0.01 0.01"/>
<body name="link2" pos="0 0 0.1"><joint name="j2" axis="0 1 0" damping="{d2}" frictionloss="{f2}" armature="{a2}"/>
<inertial pos="0.15 0 0" mass="{m2}" diaginertia="{i2} {i2} {i2}"/>
<body name="link3" pos="0.3 0 0"><joint name="j3" axis="0 1 0" damping="{d3}" frictionloss="{f3}" armature="{a3}"/>
<inertial pos="0.12 0 0" mass="{m3}" diaginertia="{i3} {i3} {i3}"/>
<body name="slug" pos="0.25 0 0"><inertial pos="{sx} 0 0" mass="0.4" diaginertia="0.0005 0.0005 0.0005"/></body>
</body></body></body></worldbody>
<actuator><motor joint="j1"/><motor joint="j2"/><motor joint="j3"/></actuator></mujoco>"""
NOMINAL = {
    "d1": 0.5,
    "d2": 0.5,
    "d3": 0.5,
    "f1": 0.3,
    "f2": 0.3,
    "f3": 0.3,
    "a1": 0.05,
    "a2": 0.05,
    "a3": 0.05,
    "m2": 1.2,
    "m3": 0.8,
    "sx": 0.0,
}
TRUTH = {
    "d1": 0.9,
    "d2": 1.2,
    "d3": 0.35,
    "f1": 0.5,
    "f2": 0.7,
    "f3": 0.15,
    "a1": 0.08,
    "a2": 0.09,
    "a3": 0.03,
    "m2": 1.45,
    "m3": 0.65,
    "sx": 0.05,
}
BOUNDS = {"d": (0.0, 2.0), "f": (0.0, 1.0), "a": (0.0, 0.2), "m2": (0.5, 2.5), "m3": (0.3, 1.5), "s": (-0.12, 0.12)}
QUANTITIES = {"d": "j{}.damping", "f": "j{}.frictionloss", "a": "j{}.armature", "m": "link{}.mass", "s": "slug.com_x"}
JOINTS = ("j1", "j2", "j3")
DELAY = 0.010  # s


def main() -> None:
    """Measure, print, and write what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--record", type=Path, help="file of figures to write")
    parser.add_argument("--go2", type=Path, help="folder with go2.xml and log.csv")
    parser.add_argument("--tx40", type=Path, help="folder with tx40.urdf and log.csv")
    parser.add_argument("--starts", type=int, default=4)
    parser.add_argument("--coverage", type=int, metavar="SEEDS", help="how often the intervals hold the truth, over seeds of the noise")
    parser.add_argument("--plain", action="store_true", help="the arm against scipy's least squares over a loop of mj_step")
    parser.add_argument("--payload", type=int, metavar="SEEDS", help="a payload from a run without and one with it, over seeds")
    parser.add_argument("--payload-ros", type=int, metavar="SEEDS", help="the same over ROS 2")
    parser.add_argument("--sysid", action="store_true", help="the arm by mujoco.sysid too; needs mujoco[sysid]")
    parser.add_argument("--pushed", type=int, metavar="SEEDS", help="the friction of a puck from one strike, over seeds")
    arguments = parser.parse_args()
    record = Results(arguments.record) if arguments.record else None

    def tell(key: str, row: dict[str, object]) -> None:
        print(key, row, flush=True)
        if record:
            record.add(key, {"what": key, **row}, ["identification"])

    if arguments.go2:
        tell("Unitree Go2, legs in the air", go2(arguments.go2))
    if arguments.tx40:
        tell("Stäubli TX40, closed form", tx40(arguments.tx40))
    if arguments.coverage:
        coverage(arguments.coverage, lambda row: tell("arm, seeds of noise", row))
    if arguments.plain:
        tell("arm, against scipy.optimize.least_squares and mj_step", against_plain())
    if arguments.payload:
        tell(f"UR5e in PyBullet, payload from a pair of runs, {arguments.payload} seeds", payload.main(arguments.payload))
    if arguments.payload_ros:
        key = f"UR5e in PyBullet behind ROS 2, payload from a pair of recordings, {arguments.payload_ros} seeds"
        tell(key, payload.over_ros(arguments.payload_ros))
    if arguments.sysid:
        tell("arm, against mujoco.sysid", against_sysid())
    if arguments.pushed:
        tell(f"puck struck in PyBullet, {arguments.pushed} seeds", pushed.main(arguments.pushed))
    asked = ("go2", "tx40", "coverage", "plain", "payload", "payload_ros", "sysid", "pushed")
    if not any(getattr(arguments, name) for name in asked):
        tell("arm, 13 parameters", arm(arguments.starts))
        tell("arm, delay frozen at 0", frozen_delay())


def text(values: dict[str, float], dt: float) -> str:
    """The arm; inertias scale with masses."""
    return MODEL.format(**values, dt=dt, i2=0.01 * values["m2"] / NOMINAL["m2"], i3=0.005 * values["m3"] / NOMINAL["m3"])


def log(seed: int, noise: int = 0, dt: float = 0.0005) -> Log:
    """A recording of the true arm, which a controller moves along sines; `noise` is the seed of the noise alone."""
    generator = np.random.default_rng(seed)
    model = mujoco.MjModel.from_xml_string(text(TRUTH, dt))
    data = mujoco.MjData(model)
    moments = np.arange(2400) * 0.005
    frequency, phase = generator.uniform(0.2, 2.0, (3, 6)), generator.uniform(0, 2 * np.pi, (3, 6))
    wanted = np.stack(
        [0.25 * np.sin(2 * np.pi * f[:, None] * moments + p[:, None]).sum(0) for f, p in zip(frequency, phase, strict=True)], axis=1
    )
    data.qpos[:] = wanted[0]
    positions, velocities, commands, sent = [], [], [], []
    steps, late = round(0.005 / dt), round(DELAY / dt)
    for row in range(len(moments)):
        positions.append(data.qpos.copy())
        velocities.append(data.qvel.copy())
        commands.append(np.array([20, 40, 15]) * (wanted[row] - data.qpos) - np.array([2, 4, 1.5]) * data.qvel)
        sent += [commands[-1]] * steps
        for step in range(steps):
            data.ctrl[:] = sent[max(len(sent) - steps + step - late, 0)]
            mujoco.mj_step(model, data)
    step = 2 * np.pi / 2**14
    position = np.round(np.array(positions) / step) * step
    velocity = np.array(velocities) + np.random.default_rng([seed, noise]).normal(0, 0.02, (len(moments), 3))
    return Log(f"log{seed}", moments, JOINTS, position, velocity, mode="effort", command_time=moments, command=np.array(commands))


def arm_problem(*, delay: bool = True, noise: int = 0) -> tuple[Problem, np.ndarray]:
    """The problem, and the truth in its order."""
    unknown = [Unknown(QUANTITIES[key[0]].format(key[1]), *BOUNDS.get(key, BOUNDS.get(key[0], (0, 1)))) for key in TRUTH]
    truth = list(TRUTH.values())
    if delay:
        unknown.append(Unknown("action_delay", 0.0, 0.03))
        truth.append(DELAY)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "arm.xml"
        path.write_text(text(NOMINAL, 0.001), encoding="utf-8")
        return make_problem(find_target(str(path)), ParameterFile(tuple(unknown)), [log(seed, noise) for seed in range(3)]), np.array(truth)


def arm(starts: int) -> dict[str, object]:
    """All thirteen parameters."""
    problem, truth = arm_problem()
    began = time.process_time()
    found = identify(problem, FitOptions(starts), threads=1)
    seconds = time.process_time() - began
    share = 100 * np.abs(found.known.values - truth) / (problem.high - problem.low)
    inside = (found.known.low <= truth) & (truth <= found.known.high)
    return {
        "starts": starts,
        "mean_error_percent_of_range": round(float(share.mean()), 3),
        "worst_error_percent_of_range": round(float(share.max()), 3),
        "intervals_that_hold_the_truth": f"{int(inside.sum())} of {len(inside)}",
        "chi2_dof": round(found.linear.chi2, 3),
        "cpu_seconds": round(seconds, 1),
        "sets": found.sets,
        "rollouts_against_bare_batch": round(against_bare(problem), 2),
    } | held(found)


def coverage(seeds: int, tell: Callable[[dict[str, object]], None]) -> None:
    """How often the 95 % intervals hold the truth, and how far predictions of 0.4 s are from those with the true parameters, told after each seed."""
    inside, shares, ratios = [], [], []
    for noise in range(seeds):
        problem, truth = arm_problem(noise=noise)
        found = identify(problem, FitOptions(1), threads=1)
        inside.append((found.known.low <= truth) & (truth <= found.known.high))
        shares.append(100 * np.abs(found.known.values - truth) / (problem.high - problem.low))
        held, position = held_out_problem(problem), {"position": np.ones(3)}
        windows, rollouts = cut_windows(held.logs, position, 0.4), Rollouts(held, threads=1)
        errors = rollouts.residual(windows, np.stack([found.known.values, truth]), rollouts.starts(windows))
        fitted, true = np.sqrt((errors**2).mean(axis=(1, 2, 3)))
        ratios.append(fitted / true)
        tell(
            {
                "seeds": noise + 1,
                "mean_error_percent_of_range": round(float(np.mean(shares)), 3),
                "worst_error_percent_of_range": round(float(np.max(shares)), 3),
                "intervals_that_hold_the_truth": f"{int(np.sum(inside))} of {np.size(inside)}",
                "intervals_that_hold_the_truth_percent": round(100 * float(np.mean(inside)), 1),
                "held_out_0.4_s_against_truth": round(float(np.max(ratios)), 3),
            }
        )


def against_plain() -> dict[str, object]:
    """CPU seconds of one start, intervals and held-out prediction with it, and of the plain search; both per simulated set of parameters too."""
    problem, truth = arm_problem()
    began = time.process_time()
    found = identify(problem, FitOptions(1), threads=1)
    seconds = time.process_time() - began
    logs, low, high, nominal = split(problem.logs)[0], problem.low, problem.high, problem.nominal
    plain = plain_fit(logs, low, high, nominal, lambda values: text(dict(zip(NOMINAL, values.tolist(), strict=True)), 0.001))
    worst = [100 * float((np.abs(values - truth) / (high - low)).max()) for values in (found.known.values, plain["values"])]
    each = [seconds / found.sets, plain["cpu_seconds"] / plain["sets"]]
    return {
        "cpu_seconds": [round(seconds, 1), round(plain["cpu_seconds"], 1)],
        "sets": [found.sets, plain["sets"]],
        "worst_error_percent_of_range": [round(error, 2) for error in worst],
        "times_as_fast": round(plain["cpu_seconds"] / seconds, 2),
        "times_as_fast_per_set": round(each[1] / each[0], 2),
    }


def against_sysid() -> dict[str, object]:
    """CPU seconds and errors of one start of ours, and of `mujoco.sysid` where it is installed."""
    if not has_sysid():
        return {"not_measured": "mujoco.sysid is empty: pip install 'mujoco[sysid]'"}
    problem, truth = arm_problem()
    began = time.process_time()
    found = identify(problem, FitOptions(1), threads=1)
    seconds = time.process_time() - began
    theirs = sysid_fit(
        split(problem.logs)[0],
        problem.low,
        problem.high,
        problem.nominal,
        problem.names,
        lambda values: text(dict(zip(NOMINAL, values.tolist(), strict=True)), 0.001),
    )
    shares = [100 * np.abs(values - truth) / (problem.high - problem.low) for values in (found.known.values, theirs["values"])]
    return {
        "cpu_seconds": [round(seconds, 1), round(theirs["cpu_seconds"], 1)],
        "mean_error_percent_of_range": [round(float(share.mean()), 2) for share in shares],
        "worst_error_percent_of_range": [round(float(share.max()), 2) for share in shares],
    }


def held_out_problem(problem: Problem) -> Problem:
    """With the last fifths of the logs, which are not fitted."""
    return replace(problem, logs=tuple(split(problem.logs)[1]))


def frozen_delay() -> dict[str, object]:
    """The same without the delay among the unknown parameters."""
    problem, truth = arm_problem(delay=False)
    found = identify(problem, FitOptions(1), threads=1)
    share = 100 * np.abs(found.known.values - truth) / (problem.high - problem.low)
    named = found.suspects[0].effect if found.suspects else ""
    return {"worst_error_percent_of_range": round(float(share.max()), 2), "chi2_dof": round(found.linear.chi2, 1), "named_first": named}


def held(found: Identification) -> dict[str, object]:
    """Errors of prediction, root mean square over joints."""
    made = found.prediction
    return {
        f"held_out_{horizon:g}_s": [float(f"{np.sqrt((table[row] ** 2).mean()):.3g}") for table in (made.nominal, made.fitted)]
        for row, horizon in enumerate(made.horizons)
    }


def against_bare(problem: Problem) -> float:
    """Speed of rollouts of windows as a share of a bare batch that steps as often, best of three."""
    noise = {kind: signal_noise(problem.logs, [quality(one) for one in problem.logs], kind) for kind in ("position", "velocity")}
    windows, rollouts = cut_windows(problem.logs, noise, 0.4), Rollouts(problem, threads=1)
    candidates, starts = np.tile(problem.nominal, (8, 1)), rollouts.starts(windows)
    span, rows = rollouts.span(windows), 8 * len(windows)
    model = problem.mechanism.model
    batch = Batch(model, nsim=rows, nthread=1)
    control = np.zeros((rows, span, model.nu))
    ours, bare = [], []
    for _ in range(3):
        began = time.process_time()
        rollouts.residual(windows, candidates, starts)
        ours.append(time.process_time() - began)
        batch.reset()
        batch.qpos[:] = np.tile(windows.position, (8, 1))
        batch.qvel[:] = np.tile(windows.velocity, (8, 1))
        began = time.process_time()
        batch.rollout(span, control=control, record=("qpos", "qvel"))
        bare.append(time.process_time() - began)
    return min(bare) / min(ours)


if __name__ == "__main__":
    main()
