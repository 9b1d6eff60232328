"""An excitation by hand for `isthmus deploy excitation.isthmus --explore`: two sines per joint, under the limits of the task `reach`.

`python examples/excitation.py` writes `excitation.isthmus`. Which sines tell most, `isthmus identify design` finds.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np

from isthmus.kinds.excitation import MultiSine, excitation_artifact
from isthmus.signals import Signal
from isthmus_sim.tasks import get_task


def main() -> None:
    """Write the file, and say how far it moves the joints."""
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
    path = Path("excitation.isthmus")
    excitation_artifact(dataclasses.replace(reach, observation=(clock,)), wave).save(path)
    time = np.arange(0, wave.duration, reach.control_period)
    way = np.cumsum(wave.sample(time, np.zeros(joints)), axis=0) * reach.control_period
    print(f"{path}: {wave.duration:g} s; every joint stays within {np.abs(way).max():.2f} rad of where it begins")


if __name__ == "__main__":
    main()
