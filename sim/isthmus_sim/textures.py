"""A fixed pool of procedural textures and lamps, with a part that training never sees.

A policy that was trained under random appearance is only known to generalise if it is tested under an appearance that it has not seen (Sadeghi and
Levine, CAD2RL: Real Single-Image Flight without a Single Real Image, RSS 2017, vary textures and lights this way). The pool is computed, not
downloaded: entry i is the same picture on every machine.
"""

from __future__ import annotations

from functools import cache

import numpy as np

from isthmus.records import Array

__all__ = ["EDGE", "HELD_OUT", "LAMPS", "POOL", "lamp", "pool_indices", "texture"]

POOL = 64
LAMPS = 64
HELD_OUT = 16  # of each, the last ones
EDGE = 32  # px
_KINDS = ("flat", "checker", "gradient", "noise")


def pool_indices(count: int, held_out: bool) -> range:
    """Indices of a pool of `count` that are for training, or those that are held out for tests."""
    return range(count - HELD_OUT, count) if held_out else range(count - HELD_OUT)


@cache
def texture(index: int) -> Array:
    """Texture `index` of the pool, `[EDGE, EDGE, 3]` uint8. Kinds take turns: flat, checker, gradient, noise.

    Raises:
        ValueError: there is no such texture.
    """
    if not 0 <= index < POOL:
        raise ValueError(f"texture must be in 0 … {POOL - 1}, got {index}")
    generator = np.random.default_rng([1611_04201, index])
    first, second = generator.uniform(0.1, 1.0, 3), generator.uniform(0.0, 0.9, 3)
    row, column = np.mgrid[0:EDGE, 0:EDGE] / EDGE
    kind = _KINDS[index % len(_KINDS)]
    if kind == "flat":
        share = np.zeros((EDGE, EDGE))
    elif kind == "checker":
        fields = int(generator.integers(2, 9))
        share = (np.floor(row * fields) + np.floor(column * fields)) % 2
    elif kind == "gradient":
        angle = generator.uniform(0, 2 * np.pi)
        share = 0.5 + (np.cos(angle) * (column - 0.5) + np.sin(angle) * (row - 0.5)) / np.sqrt(2)
    else:
        share = _noise(generator, int(generator.choice([4, 8, 16, 32])))
    colors = first * (1 - share[:, :, None]) + second * share[:, :, None]
    return np.round(255 * colors).astype(np.uint8)


def lamp(index: int) -> tuple[Array, Array]:
    """Direction of the light, a unit vector `[3]` that points down, and colour `[3]`, 0 … 1, of lamp `index`.

    Raises:
        ValueError: there is no such lamp.
    """
    if not 0 <= index < LAMPS:
        raise ValueError(f"lamp must be in 0 … {LAMPS - 1}, got {index}")
    generator = np.random.default_rng([1611_04202, index])
    azimuth, height = generator.uniform(0, 2 * np.pi), generator.uniform(0.25, 1.0)
    across = np.sqrt(1 - height**2)
    color = generator.uniform(0.5, 1.0, 3)
    return np.array([across * np.cos(azimuth), across * np.sin(azimuth), -height]), color / color.max()


def _noise(generator: np.random.Generator, cells: int) -> Array:
    """Random values on a coarse grid, enlarged linearly, `[EDGE, EDGE]`, 0 … 1."""
    grid = generator.uniform(0, 1, (cells + 1, cells + 1))
    place = np.arange(EDGE) * cells / EDGE
    low = place.astype(int)
    rest = place - low
    rows = grid[low] * (1 - rest)[:, None] + grid[low + 1] * rest[:, None]
    return np.asarray(rows[:, low] * (1 - rest) + rows[:, low + 1] * rest)
