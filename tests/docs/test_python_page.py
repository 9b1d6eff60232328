import os
import re
import subprocess
import sys
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "python.md"


def test_the_python_page_runs_as_a_script(tmp_path):
    from isthmus_cli.main import main

    text = PAGE.read_text(encoding="utf-8")
    words = re.search(r"```bash\nisthmus (.*?)\n```", text)
    assert words is not None
    *command, file = words[1].split()
    assert main([*command, str(tmp_path / file)]) == 0
    script = "\n".join(re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL))
    done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, env={**os.environ}, check=False)
    assert done.returncode == 0, done.stderr
    assert "success: True" in done.stdout
    assert sorted(os.listdir(tmp_path)) == ["reach.isthmus", "reach.png"]
