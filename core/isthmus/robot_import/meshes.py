"""Copies the meshes of a URDF beside the profile, so that its folder can be carried to another computer, in a form that every engine loads."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree.ElementTree import Element

import numpy as np

from isthmus.records import Array
from isthmus.robot_import.elements import vector, vector_text

__all__ = ["copy_meshes", "why_not_loaded"]

FORMATS = (".obj", ".stl")  # what MuJoCo, PyBullet and RViz all read
MOST_FACES = 200_000  # that MuJoCo reads of an STL file
SMALLEST_VOLUME = 1e-14  # m³; MuJoCo takes less for nothing
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
    told: list[str] = []
    plain: list[str] = []
    dropped: dict[str, str] = {}
    for link in root.findall("link"):
        for shape in [*link.findall("visual"), *link.findall("collision")]:
            mesh = shape.find("geometry/mesh")
            if mesh is None:
                continue
            address = mesh.get("filename", "")
            source = _found(address, urdf)
            if source is None:
                dropped[address] = "not found"
            elif source.suffix.lower() not in FORMATS:
                dropped[address] = f"{source.suffix} is not read by every engine, only {' and '.join(FORMATS)} are"
            else:
                try:
                    points = _points(source)
                    _check(points * _scale(mesh))
                except ValueError as error:
                    dropped[address] = str(error)
                else:
                    if source not in copied:
                        copied[source] = _copy(source, points, folder, list(copied.values()), told, plain)
                    mesh.set("filename", copied[source])
                    continue
            link.remove(shape)
    notes += told
    if plain:
        notes.append(
            f"materials and textures of {len(plain)} OBJ meshes left out, colours come from the URDF: {', '.join(dict.fromkeys(plain))}"
        )
    notes += [f"mesh {address or '(no file name)'} left out: {reason}" for address, reason in dropped.items()]
    if copied:
        notes.append(f"{len(copied)} meshes copied to meshes/")
    # MuJoCo strips folders from mesh names of a URDF and drops shapes for the eye unless it is told otherwise; the others ignore this element.
    mujoco = Element("mujoco")
    mujoco.append(Element("compiler", strippath="false", discardvisual="false"))
    root.insert(0, mujoco)


def why_not_loaded(file: Path, scale: Array) -> str:
    """Why MuJoCo does not load a mesh file, "" if it does.

    Args:
        file: it may be missing.
        scale: factors along x, y and z, `[3]`.
    """
    if file.suffix.lower() not in FORMATS or not file.is_file():
        return "it is not there, or in another format"
    if file.suffix.lower() == ".stl" and not _is_binary(file.read_bytes()):
        return "it is an ASCII STL file"
    try:
        _check(_points(file) * scale)
    except ValueError as error:
        return str(error)
    return ""


def _copy(source: Path, points: Array, folder: Path, taken: list[str], told: list[str], plain: list[str]) -> str:
    """Path in the profile; file names differ, as MuJoCo names a mesh by its file name alone, whatever folder and ending it has."""
    stems = {Path(name).stem for name in taken}
    stem = source.stem
    if stem in stems:
        stem = f"{source.parent.name}_{source.stem}"
    number = 2
    while stem in stems:
        stem, number = f"{source.parent.name}_{source.stem}_{number}", number + 1
    target = folder / "meshes" / f"{stem}{source.suffix.lower()}"
    target.parent.mkdir(exist_ok=True)
    if target.suffix == ".obj":
        target.write_text(_one_object(source.read_text(encoding="utf-8", errors="replace")), encoding="utf-8")
        if re.search(r"^(mtllib|usemtl|vt)\b", source.read_text(encoding="utf-8", errors="replace"), re.MULTILINE):
            plain.append(source.name)
    else:
        target.write_bytes(_binary_stl(points))
        if not _is_binary(source.read_bytes()):
            told.append(f"mesh {source.name} was ASCII and is written as binary STL: engines read no other")
    return f"meshes/{target.name}"


def _points(file: Path) -> Array:
    """Corners of the triangles of an STL file, `[F, 3, 3]`, or the vertices of an OBJ file that faces use, `[V, 3]`; m.

    Raises:
        ValueError: the file holds no such thing; the message says what is wrong, without its name.
    """
    data = file.read_bytes()
    try:
        if file.suffix.lower() == ".obj":
            return _obj_points(data.decode("utf-8", errors="replace"))
        if _is_binary(data):
            records = np.frombuffer(data, dtype=[("normal", "<f4", 3), ("corners", "<f4", (3, 3)), ("kind", "<u2")], offset=84)
            return np.asarray(records["corners"], dtype=np.float64)
        found = re.findall(rb"^\s*vertex\s+(\S+)\s+(\S+)\s+(\S+)", data, re.MULTILINE | re.IGNORECASE)
        return np.array([[float(word) for word in corner] for corner in found[: len(found) // 3 * 3]]).reshape(-1, 3, 3)
    except (ValueError, IndexError):
        raise ValueError(f"it is no {file.suffix.lower()[1:].upper()} file that can be read") from None


def _is_binary(data: bytes) -> bool:
    """Whether the data are as long as a binary STL file of as many triangles as they say."""
    return len(data) >= 84 and len(data) == 84 + 50 * int.from_bytes(data[80:84], "little")


def _obj_points(text: str) -> Array:
    vertices, used = [], set()
    for line in text.splitlines():
        kind, *words = line.split() or [""]
        if kind == "v":
            vertices.append([float(word) for word in words[:3]])
        elif kind == "f":
            for word in words:
                number = int(word.split("/")[0])
                used.add(number - 1 if number > 0 else len(vertices) + number)
    return np.array([vertices[index] for index in sorted(used)]).reshape(-1, 3)


def _scale(mesh: Element) -> Array:
    """Factors along x, y and z.

    Raises:
        ValueError: they are not three finite numbers that are not 0.
    """
    scale = vector(mesh, "scale", "1 1 1")
    if not (np.isfinite(scale).all() and scale.all()):
        raise ValueError(f"its scale must be three numbers that are not 0, got {vector_text(scale)}")
    return scale


def _check(points: Array) -> None:
    """Refuse what MuJoCo does not load.

    Raises:
        ValueError: the message says why.
    """
    corners = points.reshape(-1, 3)
    if not len(corners):
        raise ValueError("it is empty")
    if not np.isfinite(corners).all():
        raise ValueError("a corner is not finite")
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


def _volume(triangles: Array) -> float:
    """What closed triangles `[F, 3, 3]` enclose, m³; less than 0 if they are inside out."""
    centered = triangles - triangles.reshape(-1, 3).mean(axis=0)
    return float((centered[:, 0] * np.cross(centered[:, 1], centered[:, 2])).sum() / 6)


def _binary_stl(triangles: Array) -> bytes:
    records = np.zeros(len(triangles), dtype=[("normal", "<f4", 3), ("corners", "<f4", (3, 3)), ("kind", "<u2")])
    records["corners"] = triangles
    across = np.cross(triangles[:, 1] - triangles[:, 0], triangles[:, 2] - triangles[:, 0])
    length = np.sqrt((across**2).sum(axis=1, keepdims=True))
    records["normal"] = np.divide(across, length, out=np.zeros_like(across), where=length > 0)
    return bytes(80) + len(triangles).to_bytes(4, "little") + records.tobytes()


def _one_object(obj: str) -> str:
    """An OBJ file as one object without textures: of several objects MuJoCo 3.17 reads only some. Colours come from the URDF."""
    lines = []
    for line in obj.splitlines():
        kind, *words = line.split() or [""]
        if kind == "f":
            corners = [word.split("/") for word in words]
            lines.append("f " + " ".join(c[0] if len(c) < 3 or not c[2] else f"{c[0]}//{c[2]}" for c in corners))
        elif kind in ("v", "vn"):
            lines.append(line)
    return "\n".join(lines) + "\n"


def _found(address: str, urdf: Path) -> Path | None:
    """The file that a mesh's address means: package://PACKAGE/PATH is looked for with and without the package's name in every folder above."""
    scheme, separator, path = address.partition("://")
    if not separator:
        scheme, path = "", address
    if not path:
        return None
    if scheme == "file":
        candidates = [Path(path)]
    else:
        paths = [path] if not scheme else [path, path.partition("/")[2]]
        candidates = [above / name for above in urdf.resolve().parents for name in paths if name]
    return next((candidate.resolve() for candidate in candidates if candidate.is_file()), None)
