"""`isthmus replay`: a recording once more."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import tyro

from isthmus import strict
from isthmus.policy import Policy
from isthmus.robot import load_robot
from isthmus_cli.console import say, show, write_json
from isthmus_cli.files import load_artifact
from isthmus_cli.robots import robot_folders
from isthmus_evidence.gap.recordings import Recording, read_recordings
from isthmus_evidence.pictures.divergence import save_divergence
from isthmus_evidence.replay import action_tolerance, open_loop, replay
from isthmus_evidence.reports.replay_report import divergence_report, replay_report, same_again
from isthmus_sim.identification.bag_commands import CommandTopics
from isthmus_sim.tasks import get_task

__all__ = ["Replay"]


@dataclass(frozen=True, slots=True)
class Replay:
    """Send recordings through observation, policy and guard again, and compare each with what it did then; or give their commands to a simulator.

    Observations, graphs and the guard must be equal bit for bit. The guard of a run over ROS 2 had a process and a time of its own and is left out.
    The exit code is 1 if anything differs, or nothing of a recording could be compared.

    Attributes:
        log: MCAP file, or folder of them; with --against alone also a rosbag2 of others with joint states and commands.
        policy: policy file that acted; with --against it may be left out.
        against: task in whose simulation the recorded commands are executed, open loop.
        commands: topic of the commands in such a bag; by default …/guard/executed, else those of the profile of the task's robot.
        plant: engine of that simulation.
        plot: write a chart of how far simulation and recording come apart, .png, .svg or .pdf.
        tolerance: difference of actions that passes, as a share of their range; by default 0, for a policy with a solver 0.01.
        robots: folder with profiles of your own, NAME/robot.yaml; searched first.
        json: write the result as JSON to this file; - is stdout.
    """

    log: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="LOG")]
    policy: Annotated[Path | None, tyro.conf.Positional, tyro.conf.arg(metavar="[POLICY]")] = None
    against: str | None = None
    commands: str | None = None
    plant: str = "mujoco"
    plot: Path | None = None
    tolerance: float | None = None
    robots: Path | None = None
    json: Path | None = None

    def run(self) -> int:
        """Run the command.

        Raises:
            ValueError: a file is no recording, or policy, task and recording do not go together, with the differences.
        """
        if self.policy is None and self.against is None:
            raise ValueError("there is nothing to compare with: name a policy file, or a task with --against")
        if self.plot is not None and self.against is None:
            raise ValueError("--plot goes with --against")
        if self.tolerance is not None:
            strict.require("--tolerance", self.tolerance, least=0)
        if self.commands and self.against is None:
            raise ValueError("--commands goes with --against")
        robot = None if self.against is None else load_robot(get_task(self.against).contract.robot, robot_folders(self.robots))
        recordings = read_recordings([self.log], CommandTopics(self.commands or "", robot))
        for recording in recordings if self.json != Path("-") else ():
            if recording.cut_off:
                say(recording.cut_off)
        told, code = {}, 0
        if self.policy is not None:
            artifact = load_artifact(self.policy)
            tolerance = self.tolerance if self.tolerance is not None else action_tolerance(artifact.kind)
            told["replay"], code = self._replayed(recordings, artifact.policy(), tolerance)
        if self.against is not None:
            told["divergence"] = self._diverged(recordings, self.against)
        if self.json is not None:
            write_json(told, self.json)
        return code

    def _replayed(self, recordings: Sequence[Recording], policy: Policy, tolerance: float) -> tuple[object, int]:
        stages = {}
        for recording in recordings:
            if recording.trace is None:
                raise ValueError(
                    f"{recording.name} holds no observations and decisions: isthmus records them with `isthmus eval --record`, or the "
                    "parameter `record` of policy_node; with --against TASK its commands can be simulated"
                )
            robot = load_robot(recording.trace.contract.robot, robot_folders(self.robots))
            stages[recording.name] = replay(recording.trace, policy, robot, tolerance)
        if self.json != Path("-"):
            show(replay_report(stages))
        passed = all(map(same_again, stages.values()))
        return {name: [asdict(stage) for stage in found] for name, found in stages.items()}, 0 if passed else 1

    def _diverged(self, recordings: Sequence[Recording], name: str) -> object:
        task = get_task(name)
        robot = load_robot(task.contract.robot, robot_folders(self.robots))
        found = {
            recording.name: open_loop(recording.log if recording.trace is None else recording.trace, task, self.plant, robot)
            for recording in recordings
        }
        if self.json != Path("-"):
            show(divergence_report(found, name, self.plant))
        if self.plot is not None:
            save_divergence(found, self.plot)
        return {recording: divergence.plain() for recording, divergence in found.items()}
