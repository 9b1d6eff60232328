"""Inertia of rigid bodies as a pseudo-inertia matrix, and its unconstrained log-Cholesky form.

J = [[Σ, h], [hᵀ, m]], `[…, 4, 4]`, with mass m, first moment h = m·c and Σ = ∫ r rᵀ dm about the origin of the body's frame. A mass density exists
if and only if J is positive definite. Rucker & Wensing, "Smooth Parameterization of Rigid-Body Inertia" (IEEE RA-L 2022).
"""

from __future__ import annotations

import numpy as np

from isthmus.records import Array

__all__ = ["LOG_CHOLESKY", "from_log_cholesky", "from_pseudo_inertia", "point_mass", "pseudo_inertia", "to_log_cholesky"]

LOG_CHOLESKY = ("alpha", "d1", "d2", "d3", "s12", "s23", "s13", "t1", "t2", "t3")
"""The ten numbers: e^2α is the mass, t the centre of mass (m), d and s stretch and shear the mass distribution."""


def pseudo_inertia(mass: Array, centre: Array, moments: Array, rotation: Array) -> Array:
    """J of bodies.

    Args:
        mass: kg, `[…]`.
        centre: of mass in the body's frame, m, `[…, 3]`.
        moments: principal moments about the centre, kg·m², `[…, 3]`.
        rotation: of the principal axes, a matrix `[…, 3, 3]`.
    """
    sigma = moments.sum(-1)[..., None] / 2 - moments
    about = np.einsum("...ij,...j,...kj->...ik", rotation, sigma, rotation)
    first = mass[..., None] * centre
    whole = np.zeros((*np.shape(mass), 4, 4))
    whole[..., :3, :3] = about + first[..., :, None] * centre[..., None, :]
    whole[..., :3, 3] = whole[..., 3, :3] = first
    whole[..., 3, 3] = mass
    return whole


def point_mass(mass: Array, place: Array) -> Array:
    """J of a mass `[…]` at a place `[…, 3]`."""
    ray = np.concatenate([place, np.ones((*np.shape(place)[:-1], 1))], axis=-1)
    return np.asarray(mass[..., None, None] * ray[..., :, None] * ray[..., None, :])


def from_pseudo_inertia(whole: Array) -> tuple[Array, Array, Array, Array]:
    """Mass, centre, principal moments and the rotation of their axes; see `pseudo_inertia`. A body without mass has its centre at the origin."""
    mass = whole[..., 3, 3]
    centre = np.divide(whole[..., :3, 3], mass[..., None], out=np.zeros_like(whole[..., :3, 3]), where=mass[..., None] > 0)
    about = whole[..., :3, :3] - mass[..., None, None] * centre[..., :, None] * centre[..., None, :]
    sigma, rotation = np.linalg.eigh(about)
    rotation = rotation * np.where(np.linalg.det(rotation) < 0, -1.0, 1.0)[..., None, None]
    moments = sigma.sum(-1)[..., None] - sigma
    return mass, centre, np.maximum(moments, 0.0), rotation


def from_log_cholesky(values: Array) -> Array:
    """J = U Uᵀ of the ten numbers `[…, 10]`, in the order of `LOG_CHOLESKY`; positive definite whatever they are."""
    alpha, d1, d2, d3, s12, s23, s13, t1, t2, t3 = np.moveaxis(values, -1, 0)
    factor = np.zeros((*np.shape(alpha), 4, 4))
    for index, stretch in enumerate((d1, d2, d3)):
        factor[..., index, index] = np.exp(stretch)
    factor[..., 0, 1], factor[..., 1, 2], factor[..., 0, 2] = s12, s23, s13
    for index, place in enumerate((t1, t2, t3)):
        factor[..., index, 3] = place
    factor[..., 3, 3] = 1.0
    factor *= np.exp(alpha)[..., None, None]
    return np.asarray(factor @ np.swapaxes(factor, -1, -2))


def to_log_cholesky(whole: Array) -> Array:
    """The inverse of `from_log_cholesky`, `[…, 10]`.

    Raises:
        ValueError: J is not positive definite: no mass density has this inertia.
    """
    flipped = whole[..., ::-1, ::-1]
    try:
        factor = np.linalg.cholesky(flipped)[..., ::-1, ::-1]
    except np.linalg.LinAlgError:
        raise ValueError(
            "the inertia is that of no mass density: its principal moments violate the triangle inequality, or are 0"
        ) from None
    alpha = np.log(factor[..., 3, 3])
    scaled = factor / factor[..., 3, 3][..., None, None]
    rows = [alpha, *(np.log(scaled[..., i, i]) for i in range(3)), scaled[..., 0, 1], scaled[..., 1, 2], scaled[..., 0, 2]]
    return np.stack([*rows, *(scaled[..., i, 3] for i in range(3))], axis=-1)
