"""Random appearance: lights, textures, colours, cameras and lenses, drawn once per episode; the geometry is never touched.

Sadeghi and Levine (CAD2RL: Real Single-Image Flight without a Single Real Image, RSS 2017) train on heavily randomised pictures so that a real one
is just another draw. One draw lasts an episode: flicker from frame to frame would teach something that the world does not do. MuJoCo draws
everything on a copy of the row's model that exists for pictures only; PyBullet's renderer has one light and no textures to choose from.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np

from isthmus.records import Array
from isthmus.robot import Camera
from isthmus_sim.cameras import View, camera_view
from isthmus_sim.textures import EDGE, LAMPS, POOL, lamp, pool_indices, texture

__all__ = ["MOST_LIGHTS", "Appearance", "AppearanceRanges", "add_pool", "check_expressible"]

MOST_LIGHTS = 4
_LIGHT, _SOLID, _FLAT = "appearance/light/{}", "appearance/solid/{}", "appearance/plane/{}"
_ON_THE_MODEL = ("lights", "textures", "colors", "sky")


@dataclass(frozen=True, slots=True)
class AppearanceRanges:
    """What is drawn from; pairs are uniform ranges, and a single number is the half width of a range about 0.

    Attributes:
        lights: fewest and most lights; None leaves the model's own.
        intensity: of a light, 1 is full.
        shadows: probability that a light casts shadows.
        textures: whether every body gets a texture of the pool.
        colors: whether every body gets a colour.
        sky: whether the background gets colours.
        camera_position: m, along each axis of the camera.
        camera_rotation: rad, about each axis of the camera.
        field_of_view: relative.
        blur: standard deviation, px.
        noise: standard deviation, in steps of 8 bits.
        exposure: factor of the brightness.
        held_out: draw textures and lights from the part of the pools that training never sees.
    """

    lights: tuple[int, int] | None = (1, MOST_LIGHTS)
    intensity: tuple[float, float] = (0.4, 1.2)
    shadows: float = 0.5
    textures: bool = True
    colors: bool = True
    sky: bool = True
    camera_position: float = 0.01
    camera_rotation: float = 0.02
    field_of_view: float = 0.03
    blur: tuple[float, float] = (0.0, 0.8)
    noise: tuple[float, float] = (0.0, 6.0)
    exposure: tuple[float, float] = (0.7, 1.3)
    held_out: bool = False

    def __post_init__(self) -> None:
        if self.lights is not None and not 1 <= self.lights[0] <= self.lights[1] <= MOST_LIGHTS:
            raise ValueError(f"appearance: lights must be two increasing numbers in 1 … {MOST_LIGHTS}, got {self.lights}")
        for name in ("intensity", "blur", "noise", "exposure"):
            low, high = getattr(self, name)
            if not 0 <= low <= high < np.inf:
                raise ValueError(f"appearance: {name} must be two increasing numbers >= 0, got {low} and {high}")
        if not 0 <= self.shadows <= 1:
            raise ValueError(f"appearance: shadows is a probability, got {self.shadows}")
        for name, most in (("camera_position", np.inf), ("camera_rotation", 0.5), ("field_of_view", 0.5)):
            if not 0 <= getattr(self, name) <= most:
                raise ValueError(f"appearance: {name} must be in 0 … {most:g}, got {getattr(self, name)}")

    def draw(self, generator: np.random.Generator, bodies: int) -> Appearance:
        """One appearance.

        Args:
            generator: of the row.
            bodies: number of bodies of the model, with the world.
        """
        number = 0 if self.lights is None else int(generator.integers(self.lights[0], self.lights[1] + 1))
        lamps = generator.choice(list(pool_indices(LAMPS, self.held_out)), MOST_LIGHTS, replace=False)[:number]
        intensity = generator.uniform(*self.intensity, MOST_LIGHTS)[:number]
        shadows = (generator.uniform(size=MOST_LIGHTS) < self.shadows)[:number]
        sky, shift = generator.uniform(0.0, 1.0, (2, 3)), generator.uniform(-1, 1, (2, 3))
        zoom, blur, noise = generator.uniform(-1, 1), generator.uniform(*self.blur), generator.uniform(*self.noise)
        exposure, seed = generator.uniform(*self.exposure), int(generator.integers(2**63))
        textures = generator.choice(list(pool_indices(POOL, self.held_out)), bodies)
        colors = generator.uniform(0.3, 1.0, (bodies, 3))
        return Appearance(
            lamps=lamps,
            intensity=intensity,
            shadows=shadows,
            textures=textures if self.textures else None,
            colors=colors if self.colors else None,
            sky=sky if self.sky else None,
            shift=self.camera_position * shift[0],
            turn=self.camera_rotation * shift[1],
            zoom=1 + self.field_of_view * zoom,
            blur=blur,
            noise=noise,
            exposure=exposure,
            seed=seed,
        )


@dataclass(frozen=True, slots=True)
class Appearance:
    """One draw.

    Attributes:
        lamps: indices of the pool of lamps, `[lights]`; empty leaves the model's own lights.
        intensity: `[lights]`.
        shadows: `[lights]` bool.
        textures: index of the pool per body, `[bodies]`, or None.
        colors: `[bodies, 3]`, or None.
        sky: colours of horizon and zenith, `[2, 3]`, or None.
        shift: of the camera, `[3]`, m, in its own axes (right, down, forward).
        turn: rotation vector of the camera, `[3]`, rad, in its own axes.
        zoom: factor of the field of view.
        blur: standard deviation, px.
        noise: standard deviation, in steps of 8 bits.
        exposure: factor of the brightness.
        seed: of the noise.
    """

    lamps: Array
    intensity: Array
    shadows: Array
    textures: Array | None
    colors: Array | None
    sky: Array | None
    shift: Array
    turn: Array
    zoom: float
    blur: float
    noise: float
    exposure: float
    seed: int

    def paint(self, model: Any) -> None:
        """Write lights, textures and colours into a MjModel that is used for pictures only; it was compiled with `add_pool`."""
        import mujoco

        if self.lamps.size:
            self._light(model)
        planes = np.isin(model.geom_type, (mujoco.mjtGeom.mjGEOM_PLANE, mujoco.mjtGeom.mjGEOM_HFIELD))
        if self.textures is not None:
            solid, flat = model.material(_SOLID.format(0)).id, model.material(_FLAT.format(0)).id
            model.geom_matid[:] = np.where(planes, flat, solid) + self.textures[model.geom_bodyid]
            model.geom_rgba[:, :3] = 0.999  # MuJoCo's default grey would mean "the colour of the material"
        if self.colors is not None:
            model.geom_rgba[:, :3] = self.colors[model.geom_bodyid]

    def _light(self, model: Any) -> None:
        import mujoco

        model.vis.headlight.active = 0
        model.light_active[:] = 0
        for place, index in enumerate(self.lamps):
            light = model.light(_LIGHT.format(place)).id
            direction, color = lamp(int(index))
            model.light_active[light], model.light_castshadow[light] = 1, self.shadows[place]
            model.light_type[light] = mujoco.mjtLightType.mjLIGHT_DIRECTIONAL
            model.light_pos[light], model.light_dir[light] = -3.0 * direction, direction
            # Positions follow from these two where a light moves with its body, as all lights of the world do.
            model.light_pos0[light], model.light_dir0[light] = -3.0 * direction, direction
            model.light_poscom0[light] = -3.0 * direction
            share = self.intensity[place] / np.sqrt(len(self.lamps))
            model.light_diffuse[light], model.light_ambient[light] = share * color, 0.4 * share * color
            model.light_specular[light] = 0.3 * share * color

    def view(self, camera: Camera, position: Array, rotation: Array) -> View:
        """The camera's view, moved, turned and zoomed; see `camera_view`."""
        view = camera_view(camera, position, rotation)
        fx, fy, cx, cy = view.intrinsics
        return replace(
            view,
            position=view.position + view.rotation @ self.shift,
            rotation=view.rotation @ _rotation(self.turn),
            intrinsics=(fx / self.zoom, fy / self.zoom, cx, cy),
        )

    def develop(self, image: Array, frame: int) -> Array:
        """What the lens and the sensor make of a picture `[H, W, 3]` uint8; noise depends on the draw and the number of the frame."""
        pixels = image.astype(np.float32) * np.float32(self.exposure)
        if self.blur > 0.05:
            pixels = _blurred(pixels, self.blur)
        if self.noise > 0:
            generator = np.random.default_rng([self.seed, frame])
            pixels += np.float32(self.noise) * generator.standard_normal(pixels.shape, dtype=np.float32)
        return np.clip(np.round(pixels), 0, 255).astype(np.uint8)


def add_pool(spec: Any) -> None:
    """Add the textures of the pool and dark lights to a MjSpec, before it is compiled; the dynamics do not change."""
    import mujoco

    for index in range(POOL):
        picture = texture(index)
        for name, kind, copies in ((_SOLID, mujoco.mjtTexture.mjTEXTURE_CUBE, 6), (_FLAT, mujoco.mjtTexture.mjTEXTURE_2D, 1)):
            added = spec.add_texture(name=name.format(index), type=kind, width=EDGE, height=EDGE * copies, nchannel=3)
            added.data = np.tile(picture, (copies, 1, 1)).tobytes()
    for name in (_SOLID, _FLAT):  # one block per kind, so that a material is found by adding the index
        for index in range(POOL):
            repeat = [1, 1] if name == _SOLID else [2, 2]
            material = spec.add_material(name=name.format(index), texrepeat=repeat, texuniform=name == _FLAT)
            material.textures[mujoco.mjtTextureRole.mjTEXROLE_RGB] = name.format(index)
    for place in range(MOST_LIGHTS):
        light = spec.worldbody.add_light(name=_LIGHT.format(place), pos=[0, 0, 3], dir=[0, 0, -1], active=False)
        light.type = mujoco.mjtLightType.mjLIGHT_DIRECTIONAL


def check_expressible(plant: str, ranges: AppearanceRanges) -> None:
    """Refuse what an engine's renderer cannot do.

    Raises:
        ValueError: PyBullet, and anything but camera and lens.
    """
    if plant == "mujoco":
        return
    for name in _ON_THE_MODEL:
        if getattr(ranges, name):
            able = [field.name for field in fields(ranges) if field.name not in (*_ON_THE_MODEL, "intensity", "shadows", "held_out")]
            raise ValueError(f"plant {plant!r} cannot express appearance {name!r}; it can: {', '.join(able)}")


def _blurred(pixels: Array, deviation: float) -> Array:
    """Gaussian blur of `[H, W, C]`, edges repeated."""
    radius = int(np.ceil(3 * deviation))
    weights = np.exp(-0.5 * (np.arange(-radius, radius + 1) / deviation) ** 2)
    weights = (weights / weights.sum()).astype(np.float32)
    for axis in (0, 1):
        padding = [(0, 0)] * 3
        padding[axis] = (radius, radius)
        padded, size = np.pad(pixels, padding, mode="edge"), pixels.shape[axis]
        pixels = np.sum([weight * padded.take(range(place, place + size), axis) for place, weight in enumerate(weights)], axis=0)
    return pixels


def _rotation(vector: Array) -> Array:
    """Rotation matrix of a rotation vector (Rodrigues)."""
    angle = float(np.linalg.norm(vector))
    if angle == 0:
        return np.eye(3)
    x, y, z = vector / angle
    skew = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return np.asarray(np.eye(3) + np.sin(angle) * skew + (1 - np.cos(angle)) * (skew @ skew))
