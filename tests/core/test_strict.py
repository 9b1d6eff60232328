from dataclasses import dataclass

import pytest

from isthmus import strict
from isthmus.numerals import number


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
        ([], r"leg must be a mapping or a Leg, got \[\]"),
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
        (b"a: [1\n", r"file.yaml is not valid YAML: line 2, column 1: expected ',' or ']', but got '<stream end>'"),
        (b"a:\n\tb: 1\n", r"file.yaml is not valid YAML: line 2, column 1: found character '.t' that cannot start any token"),
        (b"a: \x07\n", r"file.yaml is not valid YAML: .*special characters are not allowed"),
        (b"? [1, 2]\n: 3\n", r"file.yaml:1: a key must be a plain word or number"),
        (b"\xff\xfe\x00", r"file.yaml is not"),
        (b"a: &a [1]\nb: *a\n", r"file.yaml:2: alias \*a is not read; write out what it stands for"),
        (b"a: &a {b: *a}\n", r"file.yaml:1: alias \*a is not read"),
        (b"a: !!binary aGk=\n", r"is not valid YAML"),
        (b"[" * 10_000, r"nested too deeply"),
        (b"a:\n  b: " + b"1" * 5000, r"file.yaml:2: a number has at most 100 characters, got 5000"),
        (b"a: 1\nvelocity: 3_0 # rad/s\n", r"file.yaml:2: readers differ over 3_0; write it as 10 or 0.1 are, or in quotes"),
        (b"a: 0_1\n", r"differ over 0_1;"),
        (b"a: 1_0.5\n", r"differ over 1_0.5;"),
        (b"a: [0x1_0]\n", r"differ over 0x1_0;"),
        (b"a: 010\n", r"differ over 010;"),  # 8 to YAML 1.1, 10 to a reader
        (b"a: 0b11\n", r"differ over 0b11;"),
        (b"1_0: a\n", r"differ over 1_0;"),
        (b"a: !!float 0_1\n", r"differ over 0_1;"),
        (b"# " + b"x" * 1_000_001, r"at most 1000000"),
    ],
)
def test_bad_yaml_is_refused_with_file_and_line(tmp_path, text, message):
    with pytest.raises(ValueError, match=message) as refusal:
        strict.load_yaml(yaml_file(tmp_path, text))
    assert "\n" not in str(refusal.value)


def test_a_file_of_ten_lines_does_not_stand_for_millions_of_values(tmp_path):
    """It was expanded for ever up to commit 04e0de3."""
    lines = [
        "a0: &a0 {x: 1}",
        *(f"a{step}: &a{step} {{{', '.join(f'k{key}: *a{step - 1}' for key in range(10))}}}" for step in range(1, 10)),
    ]
    with pytest.raises(ValueError, match=r"file.yaml:2: alias \*a0 is not read"):
        strict.load_yaml(yaml_file(tmp_path, "\n".join(lines).encode()))


def test_values_of_a_file_are_plain(tmp_path):
    text = b"{day: 2020-01-01, bad: 2020-13-45, time: 12:30:45, hex: 0x10, number: 1.5e+3, infinite: .inf, none: , yes: on, anchored: &here [1]}"
    assert strict.load_yaml(yaml_file(tmp_path, text)) == {
        "day": "2020-01-01",
        "bad": "2020-13-45",
        "time": "12:30:45",
        "hex": 16,
        "number": 1500.0,
        "infinite": float("inf"),
        "none": None,
        True: True,
        "anchored": [1],
    }


@pytest.mark.parametrize("text", ["{", "[1, Infinity]", '{"a": 1, "a": 2}', b"\xff", "[" * 100_000, "[" + "1" * 5000 + "]"])
def test_bad_json_is_refused_with_its_name(text):
    with pytest.raises(ValueError, match=r"^limits\.json"):
        strict.load_json(text, "limits.json")


def test_what_plain_data_cannot_hold_is_not_written():
    with pytest.raises(ValueError, match="NaN cannot be written"):
        strict.encode({"a": float("nan")})
    with pytest.raises(ValueError, match="cannot write complex"):
        strict.encode([1j])


@pytest.mark.parametrize("text", ["0_1", "1_0", "1_0e-1", "\u0660.\u0665", "01", " 010 ", "0b1", "1:30", "", "x", "0x10"])
def test_a_number_that_readers_take_differently_is_none(text):
    with pytest.raises(ValueError, match=r"digits alone|could not convert"):
        number(text)


@pytest.mark.parametrize("text", ["0", "-0", "0.1", "00.1", " +1e-3 ", ".5", "2.", "100", "-0e0", "inf"])
def test_a_number_that_all_take_alike_is_one(text):
    assert number(text) == float(text)


def test_suggestions_name_the_nearest_and_all():
    assert strict.suggest("reech", ["reach", "push"]) == "did you mean 'reach'? Known: push, reach"
    assert strict.suggest("x", []) == "Known: none"
