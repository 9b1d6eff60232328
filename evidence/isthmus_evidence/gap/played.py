"""Motions played in a simulator, recorded as on a robot."""

from __future__ import annotations

from pathlib import Path

from isthmus.control import ControlStep
from isthmus.policy import Policy
from isthmus.robot import Robot
from isthmus.runner import Runner, Tick
from isthmus.trace import TraceStep, TraceWriter, row_of
from isthmus_sim.plants import make_plant

__all__ = ["play"]


def play(policy: Policy, robot: Robot, engine: str, duration: float, file: Path) -> None:
    """Run an open-loop policy from the home pose, alone with its robot, and record it.

    Args:
        policy: needs no input.
        robot: profile.
        engine: name of the plant.
        duration: s.
        file: MCAP, replaced if it exists; its folder is made.

    Raises:
        ValueError: policy and robot do not fit, with the differences.
        OSError: the file cannot be written.
    """
    contract = policy.contract
    plant = make_plant(engine, robot, mode=contract.mode, period=contract.control_period)
    file.parent.mkdir(parents=True, exist_ok=True)
    try:
        step = ControlStep(plant, contract)
        step.reset(seeds=[0])
        with TraceWriter(file, contract, {"task": contract.task, "plant": engine, "motion": file.stem}, robot.base_frame) as writer:

            def record(tick: Tick) -> None:
                decision = tick.decision
                writer.record(
                    TraceStep(
                        measurement=row_of(tick.measurement, 0),
                        command=decision.command,
                        executed=decision.command,
                        rung=int(decision.rung[0]),
                        cause=decision.cause[0],
                        observation=tick.observation,
                        action=None if tick.chunk is None else tick.chunk.actions,
                    )
                )

            runner = Runner(policy, step, on_tick=record)
            runner.begin([0])
            runner.run(round(duration / contract.control_period))
    finally:
        plant.close()
