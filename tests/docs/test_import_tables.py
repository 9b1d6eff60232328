from import_tables import import_counts, imports

GOOD = {
    **{"package": "some", "robot": "dog", "joints": 12, "base": "floating", "tool": "trunk", "lines": []},
    "fill_in": ["velocity: not in the file for a, b; 1 rad/s or m/s is assumed", "workspace_points: none"],
    "notes": [
        "mesh a.dae left out: .dae is not read",
        "mesh b.dae left out: .dae is not read",
        "joint c mimics a: coupled joints are not simulated",
    ],
    "apart": {"mujoco": {"m": 2e-16, "inertia": 1e-15}, "pybullet": {"m": 3e-8, "inertia": 1e-9}},
}
ODD = {**GOOD, "robot": "cat", "lines": ["pybullet cannot load it: no"], "apart": {"mujoco": GOOD["apart"]["mujoco"]}}
REFUSED = {"package": "other", "robot": "fish", "refused": "fish.urdf: a | b"}


def test_what_is_not_as_in_the_file_is_counted():
    notes = [
        "option gravity 0 0 0 m/s² left out: both engines have 0 0 -9.81",
        "gravity compensation (gravcomp) of arm left out: motors carry the whole weight",
        "actuator of a, b: its gain (muscle) and dynamics (muscle) are left out, the profile has a servo",
        "what holds the robot at home is not what the file needs (gravity, gravcomp, springs): a 1 N·m instead of 0",
        "2 meshes taken from ../meshes, as seen from the URDF: meshes beside it has none",
    ]
    line = imports([{**GOOD, "notes": notes}])[-1]
    assert "| 2 physics of the file left out, 1 lines about actuators, 1 differences from the file, 1 folders of meshes guessed |" in line


def test_each_robot_has_a_line_that_says_what_became_of_it():
    header, _, *lines = imports([GOOD, ODD, REFUSED])
    assert {line.count("|") - line.count("\\|") for line in (header, *lines)} == {9}
    assert "| dog (some) | 12 | floating | velocity of 2 | 2 meshes left out, 1 mimic joints fixed | 2e-16 | 3e-08 | nothing |" in lines
    assert lines[1].endswith("| 2e-16 |  | pybullet cannot load it: no |")
    assert lines[2].endswith("| refused: fish.urdf: a \\| b |")
    assert import_counts([GOOD, ODD, REFUSED])[-1] == "| 3 | 2 | 1 | 1 | 1 |"
