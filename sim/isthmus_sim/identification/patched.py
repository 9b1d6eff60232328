"""The identified values written back into the user's own URDF or MJCF file, where these formats have a place for them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from xml.etree import ElementTree

from isthmus.numerals import number_text

__all__ = ["patched_model"]

_URDF = {"damping": "damping", "frictionloss": "friction"}
_JOINT = ("damping", "frictionloss", "armature")


def patched_model(path: Path, values: Mapping[str, float]) -> tuple[str, list[str]]:
    """The file with these values.

    Args:
        path: URDF or MJCF.
        values: by name.

    Returns:
        its text, and the names for which the format has no place, which are in `calibration.yaml` alone.
    """
    tree = ElementTree.parse(path)  # noqa: S314 - the user's own model
    root = tree.getroot()
    write = _urdf if root.tag == "robot" else _mjcf
    left = [name for name, value in values.items() if not write(root, name, value)]
    ElementTree.indent(tree)
    return ElementTree.tostring(root, encoding="unicode") + "\n", left


def _urdf(root: ElementTree.Element, name: str, value: float) -> bool:
    target, _, quantity = name.rpartition(".")
    if quantity in _URDF and (joint := _named(root, "joint", target)) is not None:
        dynamics = joint.find("dynamics")
        if dynamics is None:
            dynamics = ElementTree.SubElement(joint, "dynamics")
        dynamics.set(_URDF[quantity], number_text(value))
        return True
    link = _named(root, "link", target)
    inertial = link.find("inertial") if link is not None else None
    if inertial is None:
        return False
    mass, inertia = inertial.find("mass"), inertial.find("inertia")
    if quantity in ("mass", "inertia") and mass is not None:
        factor = value / float(mass.get("value", "1")) if quantity == "mass" else value
        if quantity == "mass":
            mass.set("value", number_text(value))
        for key in ("ixx", "ixy", "ixz", "iyy", "iyz", "izz"):
            if inertia is not None and inertia.get(key):
                inertia.set(key, number_text(float(inertia.get(key, "0")) * factor))
        return True
    if quantity in ("com_x", "com_y", "com_z"):
        origin = inertial.find("origin")
        if origin is None:
            origin = ElementTree.SubElement(inertial, "origin", xyz="0 0 0")
        origin.set("xyz", _with(origin.get("xyz", "0 0 0"), "xyz".index(quantity[-1]), value))
        return True
    return False


def _mjcf(root: ElementTree.Element, name: str, value: float) -> bool:
    target, _, quantity = name.rpartition(".")
    if quantity in _JOINT and (joint := _named(root, "joint", target)) is not None:
        joint.set(quantity, number_text(value))
        return True
    body = _named(root, "body", target)
    inertial = body.find("inertial") if body is not None else None
    if inertial is not None and quantity in ("mass", "inertia"):
        factor = value / float(inertial.get("mass", "1")) if quantity == "mass" else value
        if quantity == "mass":
            inertial.set("mass", number_text(value))
        for key in ("diaginertia", "fullinertia"):
            if inertial.get(key):
                inertial.set(key, " ".join(number_text(float(word) * factor) for word in inertial.get(key, "").split()))
        return True
    if inertial is not None and quantity in ("com_x", "com_y", "com_z"):
        inertial.set("pos", _with(inertial.get("pos", "0 0 0"), "xyz".index(quantity[-1]), value))
        return True
    if body is not None and quantity in ("x", "y", "z"):
        body.set("pos", _with(body.get("pos", "0 0 0"), "xyz".index(quantity), value))
        return True
    return False


def _named(root: ElementTree.Element, tag: str, name: str) -> ElementTree.Element | None:
    return next((element for element in root.iter(tag) if element.get("name") == name), None)


def _with(text: str, index: int, value: float) -> str:
    words = text.split()
    words[index] = number_text(value)
    return " ".join(words)
