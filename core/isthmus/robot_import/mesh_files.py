"""Reads STL and OBJ files, and says in a sentence what is wrong in one and what would be right."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from isthmus.numerals import decimal
from isthmus.records import Array

__all__ = ["FORMATS", "MeshFile", "read_mesh"]

FORMATS = (".obj", ".stl")  # what MuJoCo, PyBullet and RViz all read
_HEADER, _TRIANGLE = 84, 50  # bytes of a binary STL file
_RECORD = np.dtype([("normal", "<f4", 3), ("corners", "<f4", (3, 3)), ("kind", "<u2")])


@dataclass(frozen=True, slots=True)
class MeshFile:
    """What a mesh file holds.

    Attributes:
        points: corners of the triangles of an STL file, `[F, 3, 3]`, or the vertices of an OBJ file that faces use, `[V, 3]`; in its own unit.
        content: the same in the form that every engine loads: a binary STL file, or an OBJ file of one object without textures.
        ascii: whether it is an STL file in text, which MuJoCo does not read.
        textured: whether it names materials or textures.
        unlit: whether it has normals that not every corner of its faces names; no engine loads it as it is.
    """

    points: Array
    content: bytes
    ascii: bool = False
    textured: bool = False
    unlit: bool = False


def read_mesh(file: Path) -> MeshFile:
    """Read a file in one of `FORMATS`.

    Raises:
        ValueError: what is in it is wrong; the message says where and what would be right, without the file's name.
        OSError: it cannot be read.
    """
    data = file.read_bytes()
    if not data:
        raise ValueError("it is empty")
    return _obj(data.decode("utf-8-sig", errors="replace")) if file.suffix.lower() == ".obj" else _stl(data)


def _stl(data: bytes) -> MeshFile:
    count = int.from_bytes(data[80:_HEADER], "little") if len(data) >= _HEADER else 0
    size = _HEADER + _TRIANGLE * count
    text = len(data) != size and re.search(rb"^\s*vertex\s", data, re.MULTILINE | re.IGNORECASE) is not None
    if text:
        triangles = _stl_text(data.decode("utf-8", errors="replace"))
    elif _HEADER <= size <= len(data) and (count or len(data) == _HEADER):  # some programs add bytes at the end
        triangles = np.frombuffer(data, dtype=_RECORD, count=count, offset=_HEADER)["corners"].astype(np.float64)
    else:
        raise ValueError(
            f"it has {len(data)} bytes and is no STL file: a binary one has {_HEADER} and {_TRIANGLE} for each triangle"
            f"{f', {size} for the {count} that it says it has' if count else ''}, one in text has lines 'vertex x y z'"
        )
    if len(wrong := np.flatnonzero(~np.isfinite(triangles).all(axis=(1, 2)))):
        raise ValueError(f"triangle {wrong[0] + 1} has a corner that is not finite; corners are three finite numbers")
    if not len(triangles):
        raise ValueError("it is empty")
    records = np.zeros(len(triangles), dtype=_RECORD)
    records["corners"] = triangles
    across = np.cross(triangles[:, 1] - triangles[:, 0], triangles[:, 2] - triangles[:, 0])
    length = np.sqrt((across**2).sum(axis=1, keepdims=True))
    records["normal"] = np.divide(across, length, out=np.zeros_like(across), where=length > 0)
    return MeshFile(triangles, bytes(_HEADER - 4) + len(triangles).to_bytes(4, "little") + records.tobytes(), ascii=text)


def _stl_text(text: str) -> Array:
    corners = [_numbers(words[1:], at, "vertex") for at, words in _lines(text) if words[0].lower() == "vertex"]
    if len(corners) % 3:
        raise ValueError(f"it has {len(corners)} lines 'vertex x y z'; a triangle has three")
    return np.array(corners).reshape(-1, 3, 3)


def _obj(text: str) -> MeshFile:
    vertices: list[list[float]] = []
    normals: list[list[str]] = []
    faces: list[tuple[int, list[tuple[int, int]]]] = []  # line, and vertex and normal of each corner, from 1; 0 for no normal
    textured = False
    for at, (kind, *words) in _lines(text.replace("\\\n", " ")):
        if kind == "v":
            vertices.append(_numbers(words[:3], at, "v"))
        elif kind == "vn":
            normals.append(words[:3])
        elif kind == "f":
            if len(words) < 3:
                raise ValueError(f"line {at}: a face has three corners or more, got {len(words)}")
            faces.append((at, [_corner(word, at, len(vertices), len(normals)) for word in words]))
        textured |= kind in ("mtllib", "usemtl", "vt")
    for at, corners in faces:
        if bad := [vertex for vertex, _ in corners if not 0 < vertex <= len(vertices)]:
            raise ValueError(f"line {at}: a face names vertex {bad[0]}; the file has 1 to {len(vertices)}")
    used = sorted({vertex for _, corners in faces for vertex, _ in corners})
    if not used:
        raise ValueError("it is empty: no line 'f' makes a face")
    given = {normal for _, corners in faces for _, normal in corners}
    lit = all(0 < normal <= len(normals) and _finite(normals[normal - 1]) for normal in given)
    lines = ["v " + " ".join(map(repr, vertex)) for vertex in vertices]
    lines += ["vn " + " ".join(words) for words in normals if lit]
    lines += ["f " + " ".join(f"{vertex}//{normal}" if lit else str(vertex) for vertex, normal in corners) for _, corners in faces]
    points = np.array([vertices[vertex - 1] for vertex in used])
    return MeshFile(points, ("\n".join(lines) + "\n").encode(), textured=textured, unlit=not lit and given != {0})


def _lines(text: str) -> Iterator[tuple[int, list[str]]]:
    """Number and words of each line that has any."""
    return ((at, words) for at, line in enumerate(text.splitlines(), 1) if (words := line.split()))


def _corner(word: str, at: int, vertices: int, normals: int) -> tuple[int, int]:
    """Vertex and normal of v, v/vt, v//vn or v/vt/vn; a negative number counts back from the last one so far."""
    parts = word.split("/")
    try:
        if "_" in word:  # which Python alone leaves out
            raise ValueError
        vertex, normal = int(parts[0]), int(parts[2]) if len(parts) > 2 and parts[2] else 0
    except ValueError:
        raise ValueError(f"line {at}: a corner of a face is v, v/vt, v//vn or v/vt/vn in whole numbers, got {word!r}") from None
    return vertex if vertex > 0 else vertices + 1 + vertex if vertex else 0, normal if normal >= 0 else normals + 1 + normal


def _numbers(words: Sequence[str], at: int, what: str) -> list[float]:
    if not _finite(words):
        raise ValueError(f"line {at}: {what} takes three finite numbers, got {' '.join(words)!r}")
    return [float(word) for word in words]


def _finite(words: Sequence[str]) -> bool:
    try:
        return len(words) == 3 and all(math.isfinite(decimal(word)) for word in words)
    except ValueError:
        return False
