"""Domain randomisation: parameters drawn anew for every episode.

Tobin et al., "Domain Randomization for Transferring Deep Neural Networks from Simulation to the Real World" (arXiv 1703.06907); dynamics as in Peng
et al., "Sim-to-Real Transfer of Robotic Control with Dynamics Randomization" (arXiv 1710.06537).
"""

from isthmus_sim.randomization.distribution import Distribution
from isthmus_sim.randomization.distributions import Curriculum, Discrete, LogUniform, Normal, Uniform
from isthmus_sim.randomization.files import load_randomization, read_latency, save_randomization, with_cadence
from isthmus_sim.randomization.gaussian import Correlated
from isthmus_sim.randomization.measured import Estimate, Latency
from isthmus_sim.randomization.plant import randomized_plant
from isthmus_sim.randomization.randomization import Entry, Randomization, Sampler, asked_randomization

__all__ = [
    "Correlated",
    "Curriculum",
    "Discrete",
    "Distribution",
    "Entry",
    "Estimate",
    "Latency",
    "LogUniform",
    "Normal",
    "Randomization",
    "Sampler",
    "Uniform",
    "asked_randomization",
    "load_randomization",
    "randomized_plant",
    "read_latency",
    "save_randomization",
    "with_cadence",
]
