"""No process of ROS is needed to tell the kernel which one it ends last."""

import subprocess
import sys

from isthmus_ros.common.priority import protect_from_oom

ASK = """
from pathlib import Path
from isthmus_ros.common.priority import protect_from_oom
print(protect_from_oom())
print(Path("/proc/self/oom_score_adj").read_text().strip())
"""


def test_the_kernel_is_told_or_a_sentence_says_why_not():
    said, score = subprocess.run([sys.executable, "-c", ASK], capture_output=True, text=True, check=True).stdout.splitlines()
    assert (said == "") == (score == "-900")
    assert not said or "when memory runs out, this process may be ended before others; it takes root" in said


def test_what_is_written(tmp_path):
    assert protect_from_oom(tmp_path / "score") == ""
    assert (tmp_path / "score").read_text() == "-900\n"


def test_refusals_are_sentences(tmp_path):
    assert "is not -900 (Is a directory): when memory" in protect_from_oom(tmp_path)
    assert (
        protect_from_oom(tmp_path / "proc" / "score")
        == "this operating system does not tell which process it ends first when memory runs out"
    )
