import re
import subprocess

from isthmus_evidence import provenance as module
from isthmus_evidence.provenance import provenance


def test_a_figure_says_command_commit_versions_and_machine(monkeypatch):
    monkeypatch.setattr("sys.argv", ["/somewhere/bin/isthmus", "faults", "my robot", "--out", "/home/me/out"])
    made = provenance("pip")
    assert made["command"] == "isthmus faults 'my robot' --out '…/out'"
    assert re.fullmatch(r"([0-9a-f]{40}(\+changes)?)?", made["commit"])
    assert {"system", "processors", "python", "isthmus", "numpy", "pip"} <= made["machine"].keys()


def test_a_script_is_named_with_its_folder(monkeypatch):
    monkeypatch.setattr("sys.argv", ["/somewhere/benchmarks/sim.py"])
    assert provenance()["command"] == "python benchmarks/sim.py"


def test_without_a_checkout_there_is_no_commit(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "__file__", str(tmp_path / "provenance.py"))
    assert module.commit() == ""


def test_changed_code_is_told_apart(tmp_path, monkeypatch):
    def git(*arguments):
        subprocess.run(
            ["git", "-C", str(tmp_path), "-c", "user.name=a", "-c", "user.email=a@b", *arguments], check=True, capture_output=True
        )

    git("init")
    (tmp_path / "code.py").write_text("a = 1\n")
    (tmp_path / "figures.json").write_text("{}\n")
    git("add", ".")
    git("commit", "-m", "first")
    monkeypatch.setattr(module, "__file__", str(tmp_path / "provenance.py"))
    clean = module.commit()
    (tmp_path / "figures.json").write_text("{1}\n")
    assert module.commit() == clean
    (tmp_path / "code.py").write_text("a = 2\n")
    assert module.commit() == f"{clean}+changes"
