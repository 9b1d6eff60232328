"""What a calibration is worth: SAC trained with the nominal model, with a calibration, and with two randomisations, on a robot that none has seen.

    python benchmarks/calibrated.py --seeds 3 --record docs/results/calibrated.json

The robot is a UR5e in PyBullet that carries 1 kg and executes commands 40 ms late. It is excited once over ROS 2, and `isthmus identify` makes the
calibration from that recording alone. Everybody trains in MuJoCo with the settings of the task; then the same 100 episodes on the robot. The tracking
error is between the velocity that the guard let through in a period and the one that was measured at its end. What --out holds is not made again.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np

from isthmus.artifact import Artifact
from isthmus.recording import read_trace
from isthmus_evidence import evaluate
from isthmus_evidence.results import Results
from isthmus_evidence.ros_exploration import gentle_excitation, play_over_ros
from isthmus_evidence.statistics import mean_interval
from isthmus_sim.tasks import get_task

ROBOT = {"payload": 1.0, "action_delay": 0.04}  # kg, s
UNKNOWN = "unknown:\n  payload: [0, 3]\n  action_delay: [0, 0.1]\n"
SECONDS = 10.0  # of the excitation
EPISODES, FIRST = 100, 200_000  # episodes on the robot and the first one's seed
ISTHMUS = str(Path(sys.executable).with_name("isthmus"))
WIDE = Path(__file__).parents[1] / "examples" / "randomize" / "reach.yaml"


def main() -> None:
    """Train whoever is missing, and print one line each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--arms", nargs="+", default=["nominal", "calibrated", "usual", "wide"])
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("runs/calibrated"))
    parser.add_argument("--record", type=Path, help="file of figures to write")
    arguments = parser.parse_args()
    results = Results(arguments.record) if arguments.record else None
    calibration = calibrated_robot(arguments.out)
    options: dict[str, list[object]] = {
        "nominal": ["--randomize", "none"],
        "calibrated": ["--calibration", calibration],
        "usual": [],
        "wide": ["--randomize", WIDE],
    }
    for seed in range(arguments.first_seed, arguments.first_seed + arguments.seeds):
        for arm in arguments.arms:
            policy = trained(arguments.out / f"{arm}-{seed}", seed, options[arm])
            found = on_the_robot(policy, arguments.out / f"{arm}-{seed}" / "robot")
            print(arm, seed, found, flush=True)
            if results:
                artifact = Artifact.load(policy)
                of_policy = {"algorithm": "sac", "seed": seed, "commit": artifact.git, "digest": artifact.policy_digest}
                row = {"arm": arm, "seed": seed, "robot": ROBOT, "episodes": EPISODES, **found, "policy": of_policy}
                results.add(f"reach | {arm} | seed {seed}", row, {"sac", "eval", "identification"})


def calibrated_robot(out: Path) -> Path:
    """The calibration of the robot, from one excitation over ROS 2."""
    file = out / "identified" / "calibration.yaml"
    if not file.exists():
        out.mkdir(parents=True, exist_ok=True)
        excitation, unknown = out / "excitation.isthmus", out / "unknown.yaml"
        task = get_task("reach")
        gentle_excitation(task, SECONDS, 0).save(excitation)
        unknown.write_text(UNKNOWN, encoding="utf-8")
        (recording,) = play_over_ros(task, excitation, out / "recording", [FIRST], seconds=SECONDS, parameters=ROBOT)
        command("identify", task.name, "--log", recording, "--parameters", unknown, "--out", file.parent)
    return file


def trained(out: Path, seed: int, options: list[object]) -> Path:
    """The policy file of a training."""
    if not (out / "last.isthmus").exists():
        command("train", "sac", "reach", "--seed", seed, "--out", out, *options)
    return out / "policy.isthmus"


def on_the_robot(policy: Path, recordings: Path) -> dict[str, Any]:
    """Success, clamped share and tracking error on the robot that differs."""
    summary = evaluate(policy, plant="pybullet", episodes=EPISODES, seed=FIRST, parameters=ROBOT, record=recordings)
    errors = np.array([tracking_error(file) for file in sorted(recordings.glob("*.mcap"))])
    low, high = mean_interval(errors)
    tracking = {"mean": float(errors.mean()), "low": low, "high": high}
    return {"success": summary["success"], "return": summary["return"], "motion": summary["motion"], "tracking_rad_s": tracking}


def tracking_error(recording: Path) -> float:
    """Root mean square over an episode of the commanded less the measured velocity, rad/s."""
    trace = read_trace(recording)
    measured = trace.velocity[1:, [trace.joints.index(name) for name in trace.contract.action.elements]]
    return float(np.sqrt(np.nanmean((trace.executed[:-1] - measured) ** 2)))


def command(*words: object) -> None:
    """Run an isthmus command.

    Raises:
        CalledProcessError: it failed.
    """
    subprocess.run([ISTHMUS, *map(str, words)], check=True, stdout=subprocess.DEVNULL)


if __name__ == "__main__":
    main()
