from dataclasses import dataclass

import pytest

from isthmus import strict


@dataclass(frozen=True, slots=True)
class Leg:
    """A record to decode into."""

    name: str
    length: float
    joints: tuple[str, ...] = ()
    mount: tuple[float, float] | None = None


def yaml_file(tmp_path, text):
    path = tmp_path / "file.yaml"
    path.write_bytes(text)
    return path


def test_plain_data_becomes_a_record_and_back():
    leg = strict.decode(Leg, {"name": "left", "length": 1, "joints": ["hip"], "mount": [0, "-inf"]}, "leg")
    assert leg == Leg("left", 1.0, ("hip",), (0.0, float("-inf")))
    assert strict.decode(Leg, strict.encode(leg), "leg") == leg


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ([], r"leg must be a mapping, got \[\]"),
        ({"name": "a"}, r"leg: key 'length' is missing"),
        ({"name": "a", "length": 1, "lenght": 2}, r"leg: unknown key 'lenght'; did you mean 'length'\? Known: joints, length, mount, name"),
        ({"name": 3, "length": 1}, r"leg.name must be of type str, got 3"),
        ({"name": "a", "length": "long"}, r"leg.length must be a number, got 'long'"),
        ({"name": "a", "length": float("nan")}, r"leg.length must be a number, got nan"),
        ({"name": "a", "length": True}, r"leg.length must be a number, got True"),
        ({"name": "a", "length": 1, "joints": "hip"}, r"leg.joints must be a list, got 'hip'"),
        ({"name": "a", "length": 1, "joints": ["hip", 2]}, r"leg.joints\[1\] must be of type str, got 2"),
        ({"name": "a", "length": 1, "mount": [1]}, r"leg.mount must have 2 entries, got 1"),
    ],
)
def test_wrong_data_is_refused_with_its_place(data, message):
    with pytest.raises(ValueError, match=message):
        strict.decode(Leg, data, "leg")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"a: 1\nb:\n  c: 1\n  c: 2\n", r"file.yaml:4: key 'c' appears twice"),
        (b"a: !!python/object/apply:os.system [ls]\n", r"is not valid YAML"),
        (b"a: [1\n", r"is not valid YAML"),
        (b"? [1, 2]\n: 3\n", r"file.yaml:1: a key must be a plain word or number"),
        (b"\xff\xfe\x00", r"file.yaml is not"),
        (b"# " + b"x" * 1_000_001, r"at most 1000000"),
    ],
)
def test_bad_yaml_is_refused_with_file_and_line(tmp_path, text, message):
    with pytest.raises(ValueError, match=message):
        strict.load_yaml(yaml_file(tmp_path, text))


@pytest.mark.parametrize("text", ["{", "[1, Infinity]", '{"a": 1, "a": 2}', b"\xff", "[" * 100_000])
def test_bad_json_is_refused_with_its_name(text):
    with pytest.raises(ValueError, match=r"^limits\.json"):
        strict.load_json(text, "limits.json")


def test_what_plain_data_cannot_hold_is_not_written():
    with pytest.raises(ValueError, match="NaN cannot be written"):
        strict.encode({"a": float("nan")})
    with pytest.raises(ValueError, match="cannot write complex"):
        strict.encode([1j])


def test_suggestions_name_the_nearest_and_all():
    assert strict.suggest("reech", ["reach", "push"]) == "did you mean 'reach'? Known: push, reach"
    assert strict.suggest("x", []) == "Known: none"
