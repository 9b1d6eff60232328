"""Copies the meshes of a URDF beside the profile, so that its folder can be carried to another computer, in a form that every engine loads."""

from __future__ import annotations

import os
from pathlib import Path
from xml.etree.ElementTree import Element

import numpy as np

from isthmus.files import write_whole
from isthmus.records import Array
from isthmus.robot_import.elements import vector, vector_text
from isthmus.robot_import.mesh_files import FORMATS, MeshFile, read_mesh

__all__ = ["copy_meshes", "loaded_mesh"]

MOST_FACES = 200_000  # that MuJoCo reads of an STL file
SMALLEST_VOLUME = 1e-14  # m³; MuJoCo takes less for nothing
PACKAGES = ("package", "model")  # schemes of addresses that begin with the name of a folder
LARGE = 20.0  # m, of a mesh that is not of a robot
FLAT = 1e-5  # thickness over length of a mesh that encloses nothing


def copy_meshes(root: Element, urdf: Path, folder: Path, notes: list[str]) -> None:
    """Copy every mesh to `folder/meshes` and point the URDF there; shapes whose mesh is missing or in another format are dropped.

    Args:
        root: the `<robot>` element, changed in place.
        urdf: the file that it was read from; relative and package:// paths are resolved from its folder upwards.
        folder: of the profile.
        notes: gains a line per file or format that was left out.
    """
    copied: dict[Path, str] = {}
    changed: dict[str, list[str]] = {}
    guessed: dict[str, int] = {}
    dropped: dict[str, str] = {}
    large: dict[str, float] = {}
    for link in root.findall("link"):
        for shape in [*link.findall("visual"), *link.findall("collision")]:
            mesh = shape.find("geometry/mesh")
            if mesh is None:
                continue
            address = mesh.get("filename", "")
            try:
                source, guess = _found(address, urdf)
                found = read_mesh(source)
                size = _check(found.points * _scale(mesh))
            except ValueError as error:
                dropped[address] = str(error)
                link.remove(shape)
                continue
            if size > LARGE:
                large[source.name] = size
            if source not in copied:
                copied[source] = _copy(source, found, folder, list(copied.values()))
                for what, is_so in (("ascii", found.ascii), ("textured", found.textured), ("unlit", found.unlit)):
                    changed.setdefault(what, []).extend([source.name] if is_so else [])
                guessed |= {guess: guessed.get(guess, 0) + 1} if guess else {}
            mesh.set("filename", copied[source])
    notes += [f"mesh {name} was ASCII and is written as binary STL: engines read no other" for name in changed.get("ascii", [])]
    for what, told in (
        ("textured", "materials and textures of {} OBJ meshes left out, colours come from the URDF: {}"),
        ("unlit", "normals of {} OBJ meshes left out, as some corners of faces name none or one that is not there: {}"),
    ):
        if names := changed.get(what):
            notes.append(told.format(len(names), ", ".join(dict.fromkeys(names))))
    notes += [f"{count} meshes taken from {guess}" for guess, count in guessed.items()]
    notes += [f"mesh {address or '(no file name)'} left out: {reason}" for address, reason in dropped.items()]
    notes += [f'mesh {name} is {size:.3g} m large; give scale="0.001 0.001 0.001" if it is in millimetres' for name, size in large.items()]
    if copied:
        notes.append(f"{len(copied)} meshes copied to meshes/")
    # MuJoCo strips folders from mesh names of a URDF and drops shapes for the eye unless it is told otherwise; the others ignore this element.
    mujoco = Element("mujoco")
    mujoco.append(Element("compiler", strippath="false", discardvisual="false"))
    root.insert(0, mujoco)


def loaded_mesh(mesh: Element, urdf: Path, *, copied: bool) -> Path:
    """The file of a mesh that every engine loads as it is.

    Args:
        mesh: the `<mesh>` element.
        urdf: the file that it was read from.
        copied: whether `copy_meshes` wrote it, so that what is in it need not be looked at again.

    Raises:
        ValueError: an engine does not load it; the message says why.
    """
    source, guess = _found(mesh.get("filename", ""), urdf)
    if guess:
        raise ValueError("not found")
    if not copied:
        found = read_mesh(source)
        _check(found.points * _scale(mesh))
        if found.ascii:
            raise ValueError("it is an ASCII STL file, engines read binary ones")
        if found.unlit:
            raise ValueError("some corners of its faces name no normal")
    return source


def _copy(source: Path, found: MeshFile, folder: Path, taken: list[str]) -> str:
    """Path in the profile; file names differ, as MuJoCo names a mesh by its file name alone, whatever folder and ending it has."""
    stems = {Path(name).stem for name in taken}
    stem = source.stem
    if stem in stems:
        stem = f"{source.parent.name}_{source.stem}"
    number = 2
    while stem in stems:
        stem, number = f"{source.parent.name}_{source.stem}_{number}", number + 1
    target = folder / "meshes" / f"{stem}{source.suffix.lower()}"
    write_whole(target, found.content)
    return f"meshes/{target.name}"


def _scale(mesh: Element) -> Array:
    """Factors along x, y and z.

    Raises:
        ValueError: they are not three finite numbers that are not 0.
    """
    scale = vector(mesh, "scale", "1 1 1")
    if not (np.isfinite(scale).all() and scale.all()):
        raise ValueError(f"its scale must be three numbers that are not 0, got {vector_text(scale)}")
    return scale


def _check(points: Array) -> float:
    """Longest side, m; refuses what MuJoCo does not load.

    Raises:
        ValueError: the message says why.
    """
    corners = points.reshape(-1, 3)
    if points.ndim == 3 and len(points) > MOST_FACES:
        raise ValueError(f"it has {len(points)} triangles, MuJoCo reads {MOST_FACES} of an STL file; simplify it")
    centered = corners - corners.mean(axis=0)
    thinnest, _, longest = np.sqrt(np.maximum(np.linalg.eigvalsh(centered.T @ centered), 0.0))
    if thinnest <= FLAT * longest:
        different = len({tuple(corner) for corner in corners.tolist()})
        raise ValueError(
            "it is flat; use a thin box instead" if different >= 4 else f"it has {different} different corners, a body has 4 or more"
        )
    size = np.ptp(corners, axis=0)
    if (points.ndim == 3 and abs(_volume(points)) < SMALLEST_VOLUME) or float(size.prod()) < SMALLEST_VOLUME:
        raise ValueError(f"it encloses no volume that counts; it is {' × '.join(f'{value:.2g}' for value in size)} m large")
    return float(size.max())


def _volume(triangles: Array) -> float:
    """What closed triangles `[F, 3, 3]` enclose, m³; less than 0 if they are inside out."""
    centered = triangles - triangles.reshape(-1, 3).mean(axis=0)
    return float((centered[:, 0] * np.cross(centered[:, 1], centered[:, 2])).sum() / 6)


def _found(address: str, urdf: Path) -> tuple[Path, str]:
    """The file that a mesh's address means; where it was found in another place than the address says, that place, and why.

    A path is looked for in every folder from that of the URDF upwards, package://PACKAGE/PATH with and without the package's name.

    Raises:
        ValueError: there is no such file, or an address of another kind.
    """
    scheme, separator, path = address.partition("://")
    if not separator:
        scheme, path = "", address
    if scheme not in ("", *PACKAGES, "file"):
        known = ", ".join(f"{word}://" for word in ("file", *PACKAGES))
        raise ValueError(f"{scheme}:// is not fetched; save the file beside the URDF and give its path, alone or behind {known}")
    above = urdf.resolve().parents
    said = [folder / path for folder in above] if scheme in PACKAGES else [above[0] / path]
    package, _, inside = path.partition("/")
    others = [folder / (inside if scheme in PACKAGES else path) for folder in above] if path and scheme != "file" else []
    source = next((candidate.resolve() for candidate in [*said, *others] if path and candidate.is_file()), None)
    if source is None:
        raise ValueError("not found")
    if source.suffix.lower() not in FORMATS:
        raise ValueError(f"{source.suffix} is not read by every engine, only {' and '.join(FORMATS)} are")
    if source in [candidate.resolve() for candidate in said]:
        return source, ""
    place = os.path.relpath(source.parent, above[0])
    missing = f"{os.path.dirname(path) or '.'} beside it has none"
    if scheme:
        missing = f"no folder above it is called {package}, as {scheme}://{package} says"
    return source, f"{place}, as seen from the URDF: {missing}"
