"""Made-up data of known truth: walkers of a known Onsager matrix, rotors, traps, partners that come and go."""

from mdcoeffs.synthetic.walkers import Onset, ParticleWalk, Solvent, particles, walk

__all__ = ["Onset", "ParticleWalk", "Solvent", "particles", "walk"]
