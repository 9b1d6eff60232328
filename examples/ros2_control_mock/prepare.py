"""Writes what a UR5e on ros2_control's mock hardware needs: python prepare.py FOLDER.

FOLDER/robots/ur5e is the shipped profile with the `ros` block of ros.yaml, FOLDER/mock.urdf its URDF with mock hardware.
"""

import shutil
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

from isthmus.robot import load_robot

HERE = Path(__file__).parent


def write_profile(folder: Path) -> Path:
    """The profile without what only a UR's own driver offers; returns its folder."""
    shipped = load_robot("ur5e")
    target = folder / "robots" / shipped.name
    target.mkdir(parents=True, exist_ok=True)
    before, _, _ = (Path(shipped.folder) / "robot.yaml").read_text(encoding="utf-8").partition("\nros:")
    before = before.replace("command_modes: [velocity, position, effort]", "command_modes: [velocity, position]")
    (target / "robot.yaml").write_text(f"{before}\n{(HERE / 'ros.yaml').read_text(encoding='utf-8')}", encoding="utf-8")
    shutil.copy(shipped.urdf_path, target)
    load_robot(shipped.name, [target.parent])
    return target


def write_description(profile: Path, file: Path) -> None:
    """The URDF of a profile, with mock hardware that begins in the home pose and differentiates its positions (rad, rad/s)."""
    robot = load_robot(profile.name, [profile.parent])
    tree = ElementTree.parse(robot.urdf_path)  # noqa: S314 - the profile's own
    system = ElementTree.SubElement(tree.getroot(), "ros2_control", name="mock", type="system")
    hardware = ElementTree.SubElement(system, "hardware")
    ElementTree.SubElement(hardware, "plugin").text = "mock_components/GenericSystem"
    ElementTree.SubElement(hardware, "param", name="calculate_dynamics").text = "true"
    for joint in robot.joints:
        element = ElementTree.SubElement(system, "joint", name=joint.name)
        for name in ("position", "velocity"):
            ElementTree.SubElement(element, "command_interface", name=name)
        for name, value in (("position", joint.home), ("velocity", 0.0)):
            state = ElementTree.SubElement(element, "state_interface", name=name)
            ElementTree.SubElement(state, "param", name="initial_value").text = repr(value)
    tree.write(file, encoding="utf-8", xml_declaration=True)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python prepare.py FOLDER")
    out = Path(sys.argv[1])
    write_description(write_profile(out), out / "mock.urdf")
    print(f"{out / 'robots'} is used with --robots-dir, {out / 'mock.urdf'} with mock.launch.py description:=")
