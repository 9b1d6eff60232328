"""For authors of plants, policies and robot profiles: a plant without physics, and the suites that each of them passes."""

from isthmus.testing.fake import FakePlant
from isthmus.testing.plants import plant_conformance
from isthmus.testing.policies import policy_conformance
from isthmus.testing.robots import RobotProfileSuite

__all__ = ["FakePlant", "RobotProfileSuite", "plant_conformance", "policy_conformance"]
