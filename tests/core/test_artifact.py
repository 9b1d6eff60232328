"""The policy file: what is written comes back, and anything else is refused with the name of the member."""

import hashlib
import io
import json
import os
import pickle
import stat
import warnings
import zipfile
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isthmus import strict
from isthmus.archive import member_limit, read_archive, write_archive
from isthmus.artifact import Artifact, ArtifactError, load_policy
from isthmus.contract import Contract
from isthmus.kinds.excitation import ExcitationPolicy, MultiSine, excitation_artifact
from isthmus.limits import Limits
from isthmus.signals import Signal
from isthmus.specification import Specification

WAVE = MultiSine(base=(0.1,), amplitude=((0.3, 0.2),), frequency=(0.5, 1.5), phase=((0.0, 1.0),), fade=0.5, duration=4.0)
CONTRACT = Contract(
    robot="arm",
    task="shake",
    observation=(Signal("time", "time", ("t",), "s", (0.0,), (10.0,), dtype="float64"),),
    action=Signal("action", "joint_velocity", ("shoulder",), "rad/s", (-1.0,), (1.0,)),
    limits=Limits(("shoulder",), (-3.0,), (3.0,), (1.0,), (5.0,), (5.0,), (10.0,)),
    control_period=0.05,
)
ARTIFACT = excitation_artifact(CONTRACT, WAVE, training={"seed": 0}).with_evidence("mujoco", {"success": 0.97})
MEMBER = "excitation.json"
VALID = write_archive(ARTIFACT._archive())


def load(tmp_path, content):
    (tmp_path / "policy.isthmus").write_bytes(content)
    return Artifact.load(tmp_path / "policy.isthmus")


def refused(tmp_path, content, message):
    with pytest.raises(ArtifactError, match=message):
        load(tmp_path, content)


def zipped(*entries):
    """A zip made by any other program: (name or ZipInfo, content) in order, duplicates allowed."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # zipfile warns of duplicate names
        for name, content in entries:
            archive.writestr(name, content)
    return buffer.getvalue()


def members():
    return read_archive(VALID)


def sealed(changed):
    """The archive of these members with a manifest whose sizes and hashes are right."""
    manifest = json.loads(changed["manifest.json"])
    rest = {name: content for name, content in changed.items() if name != "manifest.json"}
    manifest["members"] = {name: {"sha256": hashlib.sha256(content).hexdigest(), "size": len(content)} for name, content in rest.items()}
    return write_archive({**rest, "manifest.json": strict.canonical_json(manifest)})


def test_what_is_saved_is_loaded_and_runs(tmp_path):
    ARTIFACT.save(tmp_path / "a.isthmus")
    assert Artifact.load(tmp_path / "a.isthmus") == ARTIFACT
    policy = load_policy(tmp_path / "a.isthmus")
    assert isinstance(policy, ExcitationPolicy)
    assert policy.contract.digest() == CONTRACT.digest()
    assert [path.name for path in tmp_path.iterdir()] == ["a.isthmus"]


def test_equal_artifacts_give_equal_bytes_and_no_clock_enters():
    assert write_archive(replace(ARTIFACT)._archive()) == VALID
    # Fixed, so that a Python whose zipfile writes other bytes is noticed before it refuses everybody's files.
    assert hashlib.sha256(write_archive({"a.json": b"1", "b.onnx": b"22"})).hexdigest() == (
        "4d6f3e2719fd4a087bc9ce6537230ea489618b719f51504532e0d70323adedfc"
    )


def test_failed_save_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "a.isthmus"
    ARTIFACT.save(path)
    monkeypatch.setattr("os.fsync", lambda _: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(OSError, match="No space"):
        ARTIFACT.with_evidence("more", 1).save(path)
    assert path.read_bytes() == VALID
    assert list(tmp_path.iterdir()) == [path]


def test_digest_binds_contract_kind_and_members_and_nothing_else():
    other_contract = replace(ARTIFACT, contract=replace(CONTRACT, task="other"))
    other_wave = excitation_artifact(CONTRACT, replace(WAVE, duration=5.0))
    assert len({ARTIFACT.policy_digest, other_contract.policy_digest, other_wave.policy_digest}) == 3
    assert replace(ARTIFACT, training={}, evidence={}, versions={}, git="x").policy_digest == ARTIFACT.policy_digest


def test_no_byte_can_be_changed_unnoticed(tmp_path):
    for position, byte in enumerate(VALID):
        refused(tmp_path, VALID[:position] + bytes([byte ^ 1 << position % 8]) + VALID[position + 1 :], "policy.isthmus")


@given(position=st.integers(0, len(VALID) - 1), byte=st.integers(0, 255))
@settings(deadline=None, max_examples=300)
def test_a_flipped_byte_is_refused_or_changes_nothing(tmp_path_factory, position, byte):
    try:
        loaded = load(tmp_path_factory.getbasetemp(), VALID[:position] + bytes([byte]) + VALID[position + 1 :])
    except ArtifactError:
        assert VALID[position] != byte
    else:
        assert loaded == ARTIFACT


@given(st.binary(max_size=200), st.sampled_from([b"", VALID[:4], VALID[:300], VALID[-60:]]))
@settings(deadline=None)
def test_garbage_is_refused(tmp_path_factory, garbage, start):
    with pytest.raises(ArtifactError):
        load(tmp_path_factory.getbasetemp(), start + garbage)


@pytest.mark.parametrize("length", [0, 1, 30, 500, len(VALID) - 1])
def test_truncated_file_is_refused(tmp_path, length):
    refused(tmp_path, VALID[:length], "is not a zip archive or is truncated")


def test_corrupted_member_is_named(tmp_path):
    position = VALID.index(b'"amplitude"')
    refused(tmp_path, VALID[:position] + b"x" + VALID[position + 1 :], f"member '{MEMBER}' is corrupted")


def test_corruption_that_the_zip_cannot_see_is_named(tmp_path):
    refused(
        tmp_path, write_archive(members() | {MEMBER: members()[MEMBER].replace(b"4.0", b"9.0")}), f"member '{MEMBER}' has SHA-256 .* says"
    )
    refused(
        tmp_path, write_archive(members() | {MEMBER: members()[MEMBER] + b" "}), rf"member '{MEMBER}' has \d+ bytes, manifest.json says"
    )
    refused(tmp_path, sealed(members() | {MEMBER: members()[MEMBER] + b" "}), "member 'manifest.json' belongs to the policy with digest")
    refused(
        tmp_path,
        sealed(members() | {"contract.json": members()["contract.json"] + b" "}),
        "member 'contract.json' is not in canonical form",
    )


def test_hidden_bytes_are_refused(tmp_path):
    refused(tmp_path, b"#!/bin/sh\n" + VALID, "bytes before its first member")
    refused(tmp_path, VALID + b"x", "bytes after its end|not a zip archive")
    refused(tmp_path, VALID.replace(b"contract.json", b"contract.jsoN", 1), "member 'contract.json' is corrupted")


def test_renamed_missing_and_unknown_members_are_named(tmp_path):
    renamed = {"excitatiom.json" if name == MEMBER else name: content for name, content in members().items()}
    refused(tmp_path, write_archive(renamed), f"member 'excitatiom.json' is not in manifest.json; did you mean '{MEMBER}'")
    refused(tmp_path, sealed(renamed), f"member '{MEMBER}' is missing; kind 'excitation' needs {MEMBER}")
    for name in members():
        refused(tmp_path, write_archive({key: content for key, content in members().items() if key != name}), f"member '{name}' is missing")
    refused(tmp_path, sealed({**members(), "readme.txt": b"hello"}), "member 'readme.txt' is unknown to kind 'excitation'")
    refused(tmp_path, sealed({**members(), "evidence/a/b.json": b"{}"}), "member 'evidence/a/b.json' is unknown")
    refused(tmp_path, zipped(*members().items(), (MEMBER, b"{}")), f"member '{MEMBER}' appears twice")


def test_members_are_named_whichever_program_wrote_the_archive(tmp_path):
    def other(change):
        return zipped(*change(dict(members())).items())

    def without(name):
        return lambda found: {key: content for key, content in found.items() if key != name}

    refused(tmp_path, other(lambda found: found), "differs from what isthmus writes at byte .* header of member 'contract.json'")
    renamed = {"excitatiom.json" if name == MEMBER else name: content for name, content in members().items()}
    refused(tmp_path, other(lambda _: renamed), "member 'excitatiom.json' is not in manifest.json")
    refused(tmp_path, other(lambda found: found | {"evil.pkl": b"x"}), "member 'evil.pkl' is not in manifest.json")
    declared = read_archive(sealed({**members(), "evil.pkl": b"x"}))
    refused(tmp_path, other(lambda _: declared), "member 'evil.pkl' is unknown to kind 'excitation'")
    refused(tmp_path, other(lambda found: found | {"../x": b"x"}), "member '../x': unsafe name")
    for name in members():
        refused(tmp_path, other(without(name)), f"member '{name}' is missing")
    entry = zipfile.ZipInfo(MEMBER)
    entry.compress_type = zipfile.ZIP_DEFLATED
    others = [(name, content) for name, content in members().items() if name != MEMBER]
    refused(tmp_path, zipped(*others, (entry, members()[MEMBER])), f"member '{MEMBER}' is compressed")


@pytest.mark.parametrize("name", ["../evil.json", "/etc/evil", "a/../../evil", "..\\evil", "C:evil", "./evil", "a//b", "new\nline"])
def test_zip_slip_names_are_refused(tmp_path, name):
    with pytest.raises(ArtifactError) as refusal:
        load(tmp_path, zipped(*members().items(), (name, b"x")))
    assert f"member {name!r}: unsafe name" in str(refusal.value)


def test_links_directories_and_devices_are_refused(tmp_path):
    for kind in (stat.S_IFLNK, stat.S_IFDIR, stat.S_IFCHR):
        entry = zipfile.ZipInfo(MEMBER)
        entry.external_attr = (kind | 0o777) << 16
        refused(tmp_path, zipped((entry, b"/etc/passwd")), f"member '{MEMBER}' is a directory, a link or a device")
    refused(tmp_path, zipped(("evidence/", b"")), "member 'evidence/' is a directory")


def test_compressed_and_encrypted_members_are_refused(tmp_path):
    entry = zipfile.ZipInfo(MEMBER)
    entry.compress_type = zipfile.ZIP_DEFLATED
    refused(tmp_path, zipped((entry, b"0" * 1000)), f"member '{MEMBER}' is compressed")
    directory = VALID.index(b"PK\x01\x02")
    encrypted = bytearray(VALID)
    encrypted[directory + 8] |= 1
    refused(tmp_path, bytes(encrypted), "member 'contract.json' is encrypted")


def test_oversized_members_are_refused_before_they_are_read(tmp_path):
    refused(tmp_path, zipped((MEMBER, bytes(member_limit(MEMBER) + 1))), f"member '{MEMBER}' has 4194305 bytes; at most 4194304")
    claims = bytearray(VALID)  # the directory claims 4 GB, the file does not have them
    directory = VALID.index(b"PK\x01\x02")
    claims[directory + 20 : directory + 28] = b"\xfe\xff\xff\xff" * 2
    refused(tmp_path, bytes(claims), "member 'contract.json' has 4294967294 bytes; at most")
    with pytest.raises(ArtifactError, match=r"member 'evidence/big.json' has .* at most"):
        ARTIFACT.with_evidence("big", "x" * member_limit("evidence/big.json"))


def test_oversized_file_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("isthmus.archive.ARCHIVE_LIMIT", 100)
    refused(tmp_path, VALID, "has 101 bytes; at most 100 are allowed")


class Bomb:
    def __reduce__(self):
        return (pytest.fail, ("the file was unpickled",))


def test_pickles_are_refused_and_never_read(tmp_path):
    bomb = pickle.dumps(Bomb())
    refused(tmp_path, sealed({**members(), "policy.pkl": bomb}), "member 'policy.pkl' is unknown to kind 'excitation'")
    for name in (MEMBER, "contract.json", "evidence/mujoco.json"):
        refused(tmp_path, sealed({**members(), name: bomb}), f"member '{name}' is not valid JSON")
    refused(tmp_path, write_archive({**members(), "manifest.json": bomb}), "member 'manifest.json' is not valid JSON")
    refused(tmp_path, bomb, "is not a zip archive")


def test_evidence_of_another_policy_is_refused(tmp_path):
    foreign = strict.canonical_json({"policy_digest": "0" * 64, "data": {"success": 1.0}})
    refused(
        tmp_path,
        sealed(members() | {"evidence/mujoco.json": foreign}),
        "member 'evidence/mujoco.json' belongs to the policy with digest 0000",
    )


def test_a_specification_travels_with_the_policy_and_is_no_part_of_it(tmp_path):
    asked = Specification("always[0,20] (gap > 0.005)", {"gap": "x.distance - 0.2"})
    artifact = replace(ARTIFACT, specification=asked)
    artifact.save(tmp_path / "asked.isthmus")
    assert Artifact.load(tmp_path / "asked.isthmus").specification == asked
    assert artifact.policy_digest == ARTIFACT.policy_digest
    assert artifact.with_evidence("more", 1).specification == asked
    assert load(tmp_path, VALID).specification is None


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"signals": {}}, "member 'specification.json': key 'formula' is missing"),
        ({"formula": "", "signals": {}}, "formula must not be empty"),
        ({"formula": "x > 1", "signals": {"x": 1}}, "must be of type str, got 1"),
        ({"formula": "x > 1"}, "member 'specification.json' is not in canonical form"),
        ({"formula": "x > 1", "signals": {}, "dt": 1}, "unknown key 'dt'"),
    ],
)
def test_a_specification_that_cannot_be_read_is_refused(tmp_path, content, message):
    refused(tmp_path, sealed(members() | {"specification.json": strict.canonical_json(content)}), message)


def test_unknown_version_kind_and_contract_are_refused(tmp_path):
    manifest = json.loads(members()["manifest.json"])
    for change, message in [
        ({"format": 2}, "unknown format version 2; known: 1"),
        ({"format": True}, "'manifest.json'.format must be an integer"),
        ({"kind": "graf"}, "unknown kind 'graf'; did you mean 'graph'. Known: excitation, graph"),
        ({"code": "x"}, "unknown key 'code'"),
    ]:
        refused(tmp_path, write_archive(members() | {"manifest.json": strict.canonical_json(manifest | change)}), message)
    contract = members()["contract.json"].replace(b'"horizon":1', b'"horizon":0')
    refused(tmp_path, sealed(members() | {"contract.json": contract}), "member 'contract.json': horizon must be >= 1, got 0")


def test_deep_json_is_refused(tmp_path):
    for depth in (600, 100_000):
        deep = b'{"data":' + b"[" * depth + b"]" * depth + b',"policy_digest":"' + ARTIFACT.policy_digest.encode() + b'"}'
        refused(tmp_path, sealed(members() | {"evidence/mujoco.json": deep}), "JSON|plain data")


def test_unreadable_path_is_one_sentence(tmp_path):
    with pytest.raises(ArtifactError, match=r"missing.isthmus cannot be read: No such file or directory"):
        Artifact.load(tmp_path / "missing.isthmus")
    with pytest.raises(ArtifactError, match="cannot be read: Is a directory"):
        Artifact.load(tmp_path)


@pytest.mark.parametrize("place", ["pipe", "/dev/zero"])
def test_what_is_no_file_is_refused_and_not_waited_for(tmp_path, place):
    path = tmp_path / place
    if place == "pipe":
        os.mkfifo(path)
    with pytest.raises(ArtifactError, match="is no regular file"):
        Artifact.load(path)


def test_an_artifact_cannot_be_born_wrong():
    with pytest.raises(ArtifactError, match=r"evidence name must be letters, digits, '_', '-' and '.', got '../x'"):
        ARTIFACT.with_evidence("../x", 1)
    with pytest.raises(ArtifactError, match="training must be plain data: NaN cannot be written"):
        replace(ARTIFACT, training={"loss": float("nan")})
    with pytest.raises(ArtifactError, match=r"member 'code.py' is unknown to kind 'excitation'"):
        replace(ARTIFACT, members={**ARTIFACT.members, "code.py": b""})
    with pytest.raises(ArtifactError, match=f"member '{MEMBER}': frequency must be > 0 Hz, got -0.5 Hz"):
        replace(ARTIFACT, members={MEMBER: ARTIFACT.members[MEMBER].replace(b"0.5,1.5", b"-0.5,1.5")})
