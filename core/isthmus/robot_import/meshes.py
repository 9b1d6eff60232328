"""Copies the meshes of a URDF beside the profile, so that its folder can be carried to another computer."""

from __future__ import annotations

import shutil
from pathlib import Path
from xml.etree.ElementTree import Element

__all__ = ["copy_meshes"]

FORMATS = (".obj", ".stl")  # what MuJoCo, PyBullet and RViz all read


def copy_meshes(root: Element, urdf: Path, folder: Path, notes: list[str]) -> None:
    """Copy every mesh to `folder/meshes` and point the URDF there; shapes whose mesh is missing or in another format are dropped.

    Args:
        root: the `<robot>` element, changed in place.
        urdf: the file that it was read from; relative and package:// paths are resolved from its folder upwards.
        folder: of the profile.
        notes: gains a line per file or format that was left out.
    """
    copied: dict[Path, str] = {}
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
                if source not in copied:
                    copied[source] = _copy(source, folder, list(copied.values()))
                mesh.set("filename", copied[source])
                continue
            link.remove(shape)
    notes += [f"mesh {address or '(no file name)'} left out: {reason}" for address, reason in dropped.items()]
    if copied:
        notes.append(f"{len(copied)} meshes copied to meshes/")
        # MuJoCo strips folders from mesh names of a URDF and drops shapes for the eye unless it is told otherwise; the others ignore this element.
        mujoco = root.find("mujoco")
        if mujoco is None:
            mujoco = Element("mujoco")
            root.insert(0, mujoco)
        for compiler in mujoco.findall("compiler"):
            mujoco.remove(compiler)
        mujoco.append(Element("compiler", strippath="false", discardvisual="false"))


def _copy(source: Path, folder: Path, taken: list[str]) -> str:
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
    else:
        shutil.copyfile(source, target)
    return f"meshes/{target.name}"


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
