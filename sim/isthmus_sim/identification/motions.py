"""A short library of motions that show one property of a drive each, as sums of sines within a robot's limits.

The same files on simulator and robot give two sets of recordings that `isthmus gap` compares.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from isthmus.kinds.excitation import MultiSine
from isthmus.records import Array
from isthmus_sim.identification.course import Course, sines

__all__ = ["MOTIONS", "standard_motions"]

MOTIONS: Mapping[str, str] = {
    "step": "back and forth in steps, as steep as the limits allow: overshoot, settling, servo gain",
    "chirp": "all frequencies at equal power, with low peaks (Schroeder phases): bandwidth and delay",
    "prbs": "a pseudo-random binary sequence: the same, against a different background",
    "hold": "nothing: noise, drift and the load of gravity",
    "cruise": "to and fro at a slow and even speed: dry and viscous friction",
    "backlash": "small and slow reversals: play and stiction",
}
"""Name → what it does, and what it shows."""

_HARMONICS = 15
_SLOW = 0.1  # of what the limits allow, of a cruise
_SMALL = 0.05  # rad or m, of a reversal


def standard_motions(course: Course, duration: float = 12.0) -> dict[str, MultiSine]:
    """All of `MOTIONS`.

    Args:
        course: what the robot may do.
        duration: of each, s.
    """
    count = len(course.base)
    harmonics = np.arange(1, _HARMONICS + 1)
    odd = harmonics % 2 == 1
    own = np.arange(count)[:, None]  # joints do not move alike, or their effects on each other could not be told apart
    base = 4 / duration

    def wave(frequency: float, weights: Array, phase: Array, size: float = 1.0, where: Course = course) -> MultiSine:
        return sines(where, frequency * harmonics, np.broadcast_to(weights, (count, len(harmonics))), phase, duration, size)

    turned = np.broadcast_to(harmonics * np.pi / max(count, 2) * own, (count, len(harmonics)))
    schroeder = -np.pi * harmonics * (harmonics - 1) / len(harmonics)
    triangle = np.where(odd, 1.0 / harmonics**2, 0.0)
    size, angle = _sequence()
    shifted = angle + 2 * np.pi * harmonics * own * 5 / 31  # each joint five bits later than the one before
    small = replace(course, travel=np.minimum(course.travel, _SMALL))
    return {
        "step": wave(base, np.where(odd, 1.0 / harmonics, 0.0), turned),
        "chirp": wave(base, np.ones(len(harmonics)), schroeder + 0.7 * own * harmonics),
        "prbs": wave(base, size, shifted),
        "hold": wave(base, np.zeros(len(harmonics)), turned),
        "cruise": wave(base / 2, triangle, np.where(odd, (harmonics - 1) * np.pi / 2, 0.0) + np.zeros((count, 1)), _SLOW),
        "backlash": wave(base / 2, triangle, np.where(odd, (harmonics - 1) * np.pi / 2, 0.0) + np.zeros((count, 1)), 1.0, small),
    }


def _sequence() -> tuple[Array, Array]:
    """Amplitudes and phases of the first harmonics of a maximum-length sequence of 31 bits, `[N]` each."""
    register, bits = [1, 0, 0, 0, 0], []
    for _ in range(31):
        bits.append(1.0 if register[-1] else -1.0)
        register = [register[4] ^ register[2], *register[:4]]
    spectrum = np.fft.rfft(np.array(bits))[1 : _HARMONICS + 1]
    return np.abs(spectrum), np.angle(spectrum) + np.pi / 2
