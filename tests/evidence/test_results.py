import json

import pytest

from isthmus_evidence.results import Results


def test_rows_are_saved_at_once_with_who_measured_them(tmp_path):
    results = Results(tmp_path / "new" / "some.json", "pip")
    results.add("a", {"value": 1.5}, ["srl", "eval"])
    results.add("b", {"value": None}, ["stl"], made={"command": "by hand"})
    results.add("c", {}, [], made={"command": "by hand"})
    again = Results(results.file)
    assert again.rows["a"] == {"value": 1.5, "concerns": ["eval", "srl"], "made": 0}
    assert [row["made"] for row in again.rows.values()] == [0, 1, 1]
    assert again.made[1] == {"command": "by hand"}
    assert "pip" in again.made[0]["machine"]
    again.add("b", {"value": 2}, ["stl"])
    assert Results(results.file).rows["b"]["value"] == 2
    assert not list(results.file.parent.glob("*.part"))


def test_two_who_measure_keep_each_others_rows(tmp_path):
    first, second = (Results(tmp_path / "some.json") for _ in range(2))
    first.add("a", {"value": 1}, [], made={"command": "first"})
    second.add("b", {"value": 2}, [], made={"command": "second"})
    first.add("c", {"value": 3}, [], made={"command": "first"})
    found = Results(first.file)
    assert [(key, found.made[row["made"]]["command"]) for key, row in found.rows.items()] == [
        ("a", "first"),
        ("b", "second"),
        ("c", "first"),
    ]


def test_a_number_that_is_none_is_refused_and_changes_nothing(tmp_path):
    results = Results(tmp_path / "some.json")
    results.add("a", {"value": 1}, [])
    with pytest.raises(ValueError, match="not JSON compliant"):
        results.add("a", {"value": float("nan")}, [])
    assert results.rows["a"]["value"] == 1
    assert Results(results.file).rows == results.rows


@pytest.mark.parametrize("content", ["[]", json.dumps({"made": [], "lines": {}})])
def test_other_files_are_refused(tmp_path, content):
    (tmp_path / "some.json").write_text(content)
    with pytest.raises(ValueError, match="is no file of figures; it has to hold 'made' and 'rows'"):
        Results(tmp_path / "some.json")
