import graphlib
import subprocess
import sys

import grimp

HEAVY = (
    "torch",
    "yaml",
    "mujoco",
    "pybullet",
    "onnxruntime",
    "mcap",
    "rclpy",
    "scipy",
    "cv2",
    "gymnasium",
    "casadi",
    "matplotlib",
    "hypothesis",
)


def test_importing_the_core_loads_numpy_and_nothing_heavier():
    code = f"import sys, isthmus, isthmus.runner, isthmus.testing; print(sorted(set({HEAVY}) & set(sys.modules)), 'numpy' in sys.modules)"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[] True"


PACKAGES = ("isthmus", "isthmus_sim", "isthmus_policies", "isthmus_controllers", "isthmus_ros", "isthmus_bringup")


def test_no_file_imports_itself_by_way_of_others():
    """What import-linter does not see, too: between a package and what lies in it."""
    graph = grimp.build_graph(*PACKAGES)
    graphlib.TopologicalSorter({file: graph.find_modules_directly_imported_by(file) for file in graph.modules}).prepare()
