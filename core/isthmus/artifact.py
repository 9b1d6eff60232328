"""The policy file `policy.isthmus`: contract, kind, members and evidence in one archive that is data and never code.

A file chooses among the installed kinds; it cannot bring one. Nothing in it is unpickled, executed or extracted to disk, and whatever is not known
by name is refused.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import os
import platform
import re
import sys
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from isthmus import strict
from isthmus.archive import check_canonical, member_limit, read_archive, read_archive_file, write_archive
from isthmus.contract import Contract
from isthmus.files import write_whole
from isthmus.kind import Kind, load_kind
from isthmus.policy import Policy
from isthmus.specification import Specification

__all__ = ["FORMAT_VERSION", "Artifact", "ArtifactError", "load_policy"]

FORMAT_VERSION = 1

_CONTRACT, _MANIFEST, _SPECIFICATION = "contract.json", "manifest.json", "specification.json"
_EVIDENCE = re.compile(r"evidence/([A-Za-z0-9][A-Za-z0-9_.-]*)\.json")
_RECORDED = ("numpy", "onnx", "onnxruntime", "torch", "stable_baselines3", "gymnasium", "mujoco", "pybullet", "casadi")


class ArtifactError(ValueError):
    """A policy file or its content is refused; the message names the member."""


@dataclass(frozen=True, slots=True)
class _Member:
    sha256: str
    size: int


@dataclass(frozen=True, slots=True)
class _Manifest:
    format: int
    kind: str
    policy_digest: str
    members: Mapping[str, _Member]
    versions: Mapping[str, str]
    training: Mapping[str, Any]
    git: str


@dataclass(frozen=True, slots=True)
class _Evidence:
    policy_digest: str
    data: Any


def _versions() -> dict[str, str]:
    """Versions of isthmus, Python and the packages that this process has imported."""
    imported = {name: sys.modules[name] for name in _RECORDED if name in sys.modules}
    found = {name: str(module.__version__) for name, module in imported.items() if hasattr(module, "__version__")}
    return {"isthmus": importlib.metadata.version("isthmus"), "python": platform.python_version(), **found}


@dataclass(frozen=True, slots=True)
class Artifact:
    """A policy as data. It cannot exist in a state that a robot would refuse to load.

    Attributes:
        contract: what the policy consumes and produces.
        kind: name of an installed kind.
        members: the kind's members, exactly those it needs.
        training: summary of how it was made, plain data.
        evidence: name → what was measured with this policy, plain data.
        versions: of the software that made it.
        git: commit it was made from, "" if unknown; with "+changes" where its code differed.
        specification: what its task asks of a run, if that is written down; nothing that the policy itself needs.

    Raises:
        ArtifactError: unknown kind; missing, unknown, oversized or refused member; evidence name that is not a file name; data that is not plain.
    """

    contract: Contract
    kind: str
    members: Mapping[str, bytes]
    training: Mapping[str, Any] = field(default_factory=dict)
    evidence: Mapping[str, Any] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=_versions)
    git: str = ""
    specification: Specification | None = None

    def __post_init__(self) -> None:
        kind = _kind_of(self.kind, self.members)
        for name in self.evidence:
            if not _EVIDENCE.fullmatch(f"evidence/{name}.json"):
                raise ArtifactError(f"evidence name must be letters, digits, '_', '-' and '.', got {name!r}")
        try:
            kind.audit(self.members)
        except ValueError as error:
            raise ArtifactError(str(error)) from None
        object.__setattr__(self, "members", {name: bytes(self.members[name]) for name in kind.members})
        for name in ("training", "evidence"):
            object.__setattr__(self, name, _plain(getattr(self, name), name))
        for name, content in self._archive().items():
            if len(content) > member_limit(name):
                raise ArtifactError(f"member {name!r} has {len(content)} bytes; at most {member_limit(name)} are allowed")

    @property
    def policy_digest(self) -> str:
        """SHA-256 over the contract's digest, the kind and its members: what evidence is bound to."""
        lines = [f"contract {self.contract.digest()}", f"kind {self.kind}"]
        lines += [f"{name} {_sha256(content)}" for name, content in sorted(self.members.items())]
        return _sha256("\n".join(lines).encode())

    def with_evidence(self, name: str, data: Any) -> Artifact:
        """A copy that carries one more piece of evidence, or a newer one of that name."""
        return replace(self, evidence={**self.evidence, name: data})

    def policy(self) -> Policy:
        """The policy, run by the installed kind.

        Raises:
            ArtifactError: the members do not fit the contract.
        """
        try:
            return load_kind(self.kind).from_artifact(self)
        except ValueError as error:
            raise ArtifactError(str(error)) from None

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the file; readers see the old file or the whole new one. Equal artifacts give equal bytes."""
        write_whole(strict.path("a policy file", path), write_archive(self._archive()))

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Artifact:
        """Read and check a file.

        Raises:
            ArtifactError: anything that differs from what `save` writes; the message names the member.
        """
        if not isinstance(path, str | os.PathLike) or not os.fspath(path):
            raise ArtifactError(f"a policy file is named by its path, got {path!r}")
        try:
            archive = read_archive_file(path)
            members = read_archive(archive)
            manifest = _read_manifest(members)
            # Names first: a member that does not belong is named even where other programs wrote the archive.
            check_canonical(archive, members)
            return cls._from_archive(members, manifest)
        except OSError as error:
            raise ArtifactError(f"{path} cannot be read: {error.strerror}") from None
        except (ValueError, RecursionError) as error:
            raise ArtifactError(f"{path}: {error}") from None

    @classmethod
    def _from_archive(cls, members: Mapping[str, bytes], manifest: _Manifest) -> Artifact:
        for name, declared in manifest.members.items():
            if len(members[name]) != declared.size:
                raise ArtifactError(f"member {name!r} has {len(members[name])} bytes, {_MANIFEST} says {declared.size}")
            if _sha256(members[name]) != declared.sha256:
                raise ArtifactError(f"member {name!r} has SHA-256 {_sha256(members[name])}, {_MANIFEST} says {declared.sha256}")
        read = {match[1]: _read_evidence(members[name], name) for name in members if (match := _EVIDENCE.fullmatch(name))}
        artifact = cls(
            contract=Contract.from_json(members[_CONTRACT], f"member {_CONTRACT!r}"),
            kind=manifest.kind,
            members={name: members[name] for name in _of_the_kind(members)},
            training=manifest.training,
            evidence={name: evidence.data for name, evidence in read.items()},
            versions=manifest.versions,
            git=manifest.git,
            specification=_read_specification(members),
        )
        found = {_MANIFEST: manifest.policy_digest} | {f"evidence/{name}.json": evidence.policy_digest for name, evidence in read.items()}
        for name, digest in found.items():
            if digest != artifact.policy_digest:
                raise ArtifactError(f"member {name!r} belongs to the policy with digest {digest}, this one has {artifact.policy_digest}")
        for name, content in artifact._archive().items():
            if content != members[name]:
                raise ArtifactError(f"member {name!r} is not in canonical form")
        return artifact

    def _archive(self) -> dict[str, bytes]:
        digest = self.policy_digest
        members = {_CONTRACT: self.contract.to_json(), **self.members}
        if self.specification is not None:
            members[_SPECIFICATION] = strict.canonical_json(self.specification)
        members |= {f"evidence/{name}.json": strict.canonical_json(_Evidence(digest, data)) for name, data in sorted(self.evidence.items())}
        table = {name: _Member(_sha256(content), len(content)) for name, content in members.items()}
        manifest = _Manifest(FORMAT_VERSION, self.kind, digest, table, self.versions, self.training, self.git)
        return {**members, _MANIFEST: strict.canonical_json(manifest)}


def load_policy(path: str | os.PathLike[str]) -> Policy:
    """Load a file and build its policy; see `Artifact.load` and `Artifact.policy` for what is refused."""
    return Artifact.load(path).policy()


def _read_manifest(members: Mapping[str, bytes]) -> _Manifest:
    """The manifest, once it, the kind and the archive are known to have the same members."""
    for name in (_MANIFEST, _CONTRACT):
        if name not in members:
            raise ArtifactError(f"member {name!r} is missing; the file has {', '.join(members) or 'no members'}")
    where = f"member {_MANIFEST!r}"
    data = strict.load_json(members[_MANIFEST], where)
    version = data.get("format") if isinstance(data, Mapping) else None
    if version != FORMAT_VERSION:
        raise ArtifactError(f"{where}: unknown format version {version!r}; known: {FORMAT_VERSION}")
    manifest = strict.decode(_Manifest, data, where)
    for name in members:
        if name != _MANIFEST and name not in manifest.members:
            raise ArtifactError(f"member {name!r} is not in {_MANIFEST}; {strict.suggest(name, manifest.members)}")
    for name in manifest.members:
        if name not in members:
            raise ArtifactError(f"member {name!r} is missing; the file has {', '.join(members)}")
    _kind_of(manifest.kind, _of_the_kind(members))
    return manifest


def _of_the_kind(names: Iterable[str]) -> list[str]:
    return [name for name in names if name not in (_CONTRACT, _MANIFEST, _SPECIFICATION) and not _EVIDENCE.fullmatch(name)]


def _kind_of(name: str, members: Collection[str]) -> type[Kind]:
    """The installed kind, once these are known to be exactly its members."""
    try:
        kind = load_kind(name)
    except ValueError as error:
        raise ArtifactError(str(error)) from None
    for member in kind.members:
        if member not in members:
            raise ArtifactError(f"member {member!r} is missing; kind {name!r} needs {', '.join(kind.members)}")
    for member in members:
        if member not in kind.members:
            known = (_CONTRACT, _MANIFEST, _SPECIFICATION, "evidence/<name>.json", *kind.members)
            raise ArtifactError(f"member {member!r} is unknown to kind {name!r}; {strict.suggest(member, known)}")
    return kind


def _read_specification(members: Mapping[str, bytes]) -> Specification | None:
    if _SPECIFICATION not in members:
        return None
    where = f"member {_SPECIFICATION!r}"
    return strict.decode(Specification, strict.load_json(members[_SPECIFICATION], where), where)


def _read_evidence(content: bytes, name: str) -> _Evidence:
    where = f"member {name!r}"
    return strict.decode(_Evidence, strict.load_json(content, where), where)


def _plain(value: Any, where: str) -> Any:
    try:
        return strict.load_json(strict.canonical_json(value), where)
    except (ValueError, RecursionError) as error:
        raise ArtifactError(f"{where} must be plain data: {error}") from None


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
