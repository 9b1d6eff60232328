"""For authors of plants and policies: a plant without physics, and the suites that every plant and every policy passes."""

from isthmus.testing.fake import FakePlant
from isthmus.testing.plants import plant_conformance
from isthmus.testing.policies import policy_conformance

__all__ = ["FakePlant", "plant_conformance", "policy_conformance"]
