import subprocess
import sys

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
