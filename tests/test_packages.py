"""The packages of the source tree, as `tools/packages.py` prints them."""

import importlib.util
import subprocess
import sys
from pathlib import Path

TOOL = Path(__file__).parents[1] / "tools" / "packages.py"


def loaded():
    spec = importlib.util.spec_from_file_location("packages", TOOL)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_there_is_no_circle_and_no_long_file_without_a_reason():
    done = subprocess.run([sys.executable, str(TOOL)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "\nisthmus_evidence: " in done.stdout
    assert "\n  reports -> pictures " in done.stdout


def test_circles_are_found():
    circles = loaded().circles
    assert circles({"a": {"b"}, "b": {"c"}, "c": set()}) == []
    assert circles({"a": {"b", "d"}, "b": {"c"}, "c": {"a"}, "d": {"e"}, "e": {"d"}}) == [["a", "b", "c"], ["d", "e"]]


def test_arrows_are_between_folders_and_to_other_packages():
    imports = {
        "a.b": set(),
        "a.b.c": {"a.d", "a.b.e", "z.y"},
        "a.b.e": set(),
        "a.d": {"z"},
        "a.f": {"a.d", "a.b"},
        "z": set(),
        "z.y": set(),
    }
    assert loaded().arrows(imports, "a") == {("b", "a"): 1, ("b", "z"): 1, ("a", "z"): 1, ("a", "b"): 1}
