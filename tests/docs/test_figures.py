import json
import subprocess
from pathlib import Path

import figures
import pytest
from figures import Table, filled, old_rows, table
from tables import TABLES

from isthmus_evidence.results import Results

MADE = {"command": "isthmus eval", "commit": "", "date": "2026-11-30 10:00 UTC", "machine": {"processors": "2 × some"}}


def rates(introduction=""):
    return Table(
        "rates", "measure them", "rates", lambda rows: table(("task", "rate"), [(row["task"], row["rate"]) for row in rows]), introduction
    )


ONE = {"rates": rates()}
MISSING = "<!-- figures: unmeasured -->\nold\n<!-- end of figures -->\n"


def page(tmp_path, body="old"):
    file = tmp_path / "page.md"
    file.write_text(f"Before.\n\n<!-- figures: rates -->\n{body}\n<!-- end of figures -->\n\nAfter.\n")
    return file


def recorded(tmp_path, concerns=(), made=MADE, **row):
    (tmp_path / "results").mkdir(exist_ok=True)
    results = Results(tmp_path / "results" / "rates.json")
    results.add("a", {"task": "reach", "rate": 0.5, **row}, concerns, made)
    return results.file


def changes(tmp_path, commit="f" * 40, date="2026-11-30 09:00 UTC"):
    file = tmp_path / "changes.yaml"
    file.write_text(
        f"concerns: {{srl: sequences, sac: others}}\nchanges:\n  - {{commit: {commit!r}, date: {date}, what: rows alone, concerns: [srl]}}\n"
    )
    return file


def test_a_table_is_that_of_its_file_and_says_where_it_comes_from(tmp_path):
    recorded(tmp_path)
    text, problems = filled(page(tmp_path), ONE, tmp_path / "results")
    assert problems == []
    assert "| task | rate |\n|---|---|\n| reach | 0.5 |" in text
    assert "`measure them`: [rates.json](results/rates.json), commit unknown, 2026-11-30, 2 × some." in text
    assert "old" not in text
    assert text.startswith("Before.\n")
    assert text.endswith("\nAfter.\n")
    (tmp_path / "page.md").write_text(text)
    assert filled(tmp_path / "page.md", ONE, tmp_path / "results") == (text, [])


def test_what_was_not_measured_leaves_no_table_and_is_named_in_one_sentence_with_its_command(tmp_path):
    file = page(tmp_path, "| 0.99 |")
    file.write_text(file.read_text() + MISSING + "<!-- figures: more -->\n<!-- end of figures -->\n")
    tables = {"rates": rates("### Rates\n"), "more": Table("rates", "measure them", "more of them", lambda rows: [])}
    text, problems = filled(file, tables, tmp_path / "results")
    assert problems == []
    assert "<!-- figures: rates -->\n<!-- end of figures -->" in text
    assert "\n\nNot measured with today's code: rates and more of them (`measure them`).\n\n<!-- end" in text
    assert not [gone for gone in ("0.99", "### Rates", "old") if gone in text]
    file.write_text(text)
    assert filled(file, tables, tmp_path / "results") == (text, [])

    recorded(tmp_path)
    text, problems = filled(file, tables, tmp_path / "results")
    assert problems == []
    assert "\n\n### Rates\n\n| task | rate |" in text
    assert "Not measured with today's code: more of them (`measure them`)." in text


def test_a_page_that_does_not_say_what_was_not_measured_is_a_problem(tmp_path):
    assert filled(page(tmp_path), ONE, tmp_path / "results")[1] == ["page.md: not measured, and no place 'unmeasured' says so: rates"]
    file = page(tmp_path)
    file.write_text(file.read_text() + MISSING)
    recorded(tmp_path)
    assert filled(file, ONE, tmp_path / "results")[0].endswith("<!-- figures: unmeasured -->\n<!-- end of figures -->\n")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("<!-- figures: speed -->\n<!-- end of figures -->\n", "unknown table 'speed'"),
        ("<!-- figures: rates -->\n| 1 |\n", "the end of a table is missing"),
        ("<!-- figures: rates -->\n<!-- figures: rates -->\n<!-- end of figures -->\n", "the end of table 'rates' is missing"),
    ],
)
def test_marks_that_do_not_fit_are_problems(tmp_path, text, problem):
    (tmp_path / "page.md").write_text(text)
    assert filled(tmp_path / "page.md", ONE, tmp_path / "results")[1][0] == f"page.md: {problem}"


def test_a_row_older_than_a_change_of_what_it_concerns_is_refused_by_its_date_where_there_is_no_history(tmp_path):
    early = {**MADE, "date": "2026-11-30 08:59 UTC"}
    assert old_rows(recorded(tmp_path, ["sac"], early), changes(tmp_path)) == []
    assert old_rows(recorded(tmp_path, ["srl"], MADE), changes(tmp_path)) == []
    (line,) = old_rows(recorded(tmp_path, ["srl"], early), changes(tmp_path))
    assert line == "rates.json: 'a': measured before 2026-11-30 09:00 UTC: rows alone"


@pytest.fixture
def history(tmp_path):
    """Three commits in a row: before, the change, after."""

    def git(*words):
        command = ["git", "-C", str(tmp_path), "-c", "user.name=a", "-c", "user.email=a@b", *words]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    git("init")
    found = []
    for name in ("before", "change", "after"):
        git("commit", "--allow-empty", "-m", name)
        found.append(git("rev-parse", "HEAD"))
    figures._ancestor.cache_clear()
    return found


def test_with_a_history_commits_count_of_row_and_policy(tmp_path, history):
    before, change, after = history
    known = changes(tmp_path, change, "2030-01-01 00:00 UTC")  # later than all: the commits decide
    for commit in (change, after):
        assert old_rows(recorded(tmp_path, ["srl"], MADE | {"commit": commit}), known) == []
    (line,) = old_rows(recorded(tmp_path, ["srl"], MADE | {"commit": before}), known)
    assert ": measured before" in line
    (line,) = old_rows(recorded(tmp_path, ["srl"], MADE | {"commit": after}, policy={"commit": before}), known)
    assert "of a policy that was trained before" in line
    (line,) = old_rows(recorded(tmp_path, ["srl"], MADE | {"commit": f"{after}+changes"}), known)
    assert line == "rates.json: 'a': measured by code that no commit has"


def test_trials_and_unknown_words_are_refused_once_for_all_rows(tmp_path):
    file = recorded(tmp_path, ["slr"], trial=True)
    Results(file).add("b", {}, ["slr"], MADE)
    assert old_rows(file, changes(tmp_path)) == [
        "rates.json: 'a' and 1 more: concerns 'slr', which no list of changes names",
        "rates.json: 'a': a trial of the script, and no figure",
    ]


def test_every_table_on_a_page_is_described_and_every_change_known():
    root = Path(figures.__file__).parent
    for file in (root.parent / "README.md", *root.rglob("*.md")):
        text, problems = filled(file, TABLES, root / "results")
        assert problems == []
        assert text == file.read_text(encoding="utf-8"), f"{file.name} is out of date; run: python docs/generate.py"
    lines = [line for file in (root / "results").glob("*.json") for line in old_rows(file, root / "results" / "changes.yaml")]
    assert lines == []


def rows_of(concerns=("sac",)):
    """What `benchmarks/published.py engines` leaves, with three seeds."""
    for task in ("pendulum", "reach"):
        for engine in ("isthmus", "sb3"):
            for seed in range(3):
                for plant in ("mujoco", "pybullet"):
                    rate = 0.9 + 0.01 * seed + (0.0 if engine == "sb3" else 0.05)
                    yield {
                        "task": task,
                        "learner": "sac",
                        "engine": engine,
                        "seed": seed,
                        "plant": plant,
                        "episodes": 100,
                        "success": {"rate": rate},
                        "return": {"mean": 100 * rate},
                        "ends": {"time limit": 99, "stopped by the guard": 1},
                        "motion": {"clamped": 0.5},
                    }


def test_figures_of_several_seeds_are_mean_and_range():
    rows = json.loads(json.dumps(list(rows_of())))
    assert "| `reach` | 3 | 0.96 (0.95 … 0.97) | 0.96 (0.95 … 0.97) |" in TABLES["same-file"].lines(rows)
    assert (
        "| `reach` | sac, stable-baselines3 | PyBullet | 3 | 0.91 (0.90 … 0.92) | 91.0 (90.0 … 92.0) | 0.50 (0.50 … 0.50) | 3 of 300 |"
        in (TABLES["engines"].lines(rows))
    )
    (line,) = [line for line in TABLES["welch"].lines(rows) if line.startswith("| `reach` | MuJoCo | return")]
    assert "| 3, 3 | 5.0 (2.7 … 7.3) | 0.0036 |" in line
