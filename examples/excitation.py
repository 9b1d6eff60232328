"""An excitation for `isthmus deploy excitation.isthmus --explore`: two sines per joint, under the limits of the task `reach`.

`python examples/excitation.py` writes `excitation.isthmus`. Which sines tell most about the parameters you are after is up to you.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

from isthmus.kinds.excitation import MultiSine, excitation_artifact
from isthmus.signals import Signal
from isthmus_sim.tasks import get_task


def main() -> None:
    """Write the file."""
    reach = get_task("reach").contract
    joints = len(reach.action.elements)
    clock = Signal("time", "time", ("t",), "s", (0.0,), (float("inf"),))
    wave = MultiSine(
        base=(0.0,) * joints,  # rad/s: the action of `reach` is joint velocities
        amplitude=((0.15, 0.1),) * joints,
        frequency=(0.2, 0.5),  # Hz
        phase=tuple((0.5 * joint, 1.6) for joint in range(joints)),
        fade=1.0,  # s
        duration=20.0,
    )
    excitation_artifact(dataclasses.replace(reach, observation=(clock,)), wave).save(Path("excitation.isthmus"))


if __name__ == "__main__":
    main()
