"""The particles of a state point, in OpenMM's terms: sites, masses, forces, a start.

A salt of charged Lennard-Jones spheres in a solvent of neutral ones, or of rigid SPC/E water; particle-mesh Ewald in a
medium of given permittivity; a field along x adds the force z e E to every ion. OpenMM itself is handed in.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cellsim.constants import N_A, e
from mdcoeffs.system import StatePoint

Array = NDArray[np.float64]

_NM, _GRAM = 1e9, 1e3  # OpenMM counts in nm, ps, g/mol and kJ/mol
_CHARGE = e * N_A * 1e-3  # kJ/mol per elementary charge and volt
SPCE = {"r_OH": 0.1, "angle": 109.47, "q_O": -0.8476, "m_O": 15.9994, "m_H": 1.008}
"""SPC/E water (Berendsen, Grigera & Straatsma 1987, doi:10.1021/j100308a038): nm, degrees, e, g/mol."""


@dataclass(frozen=True, eq=False)
class Sites:
    """Sites of all molecules, one species after another.

    Parameters
    ----------
    mass : array (sites,)
        Masses [g/mol].
    first : array of int (molecules,)
        First site of each molecule.
    share : array (sites,)
        Mass of a site over that of its molecule [1].
    edges : array of int (species,)
        First molecule of each species.
    freedom : int
        Degrees of freedom, constraints and the centre of mass taken away.
    """

    mass: Array
    first: NDArray[np.int64]
    share: Array
    edges: NDArray[np.int64]
    freedom: int

    def centres(self, x: Array) -> Array:
        """Centres of mass (molecules, 3) of positions (sites, 3), in their unit."""
        if self.first.size == self.mass.size:
            return x
        found: Array = np.add.reduceat(x * self.share[:, None], self.first, axis=0)
        return found


def sites_of(point: StatePoint) -> Sites:
    """Sites of a state point.

    Parameters
    ----------
    point : StatePoint
        What is simulated.

    Returns
    -------
    Sites
    """
    masses: list[float] = []
    first: list[int] = []
    constraints = 0
    for one, count in zip(point.species, point.counts, strict=True):
        own = [one.mass * _GRAM] if one.model is None else [SPCE["m_O"], SPCE["m_H"], SPCE["m_H"]]
        constraints += 0 if one.model is None else 3 * count
        first += [len(masses) + len(own) * k for k in range(count)]
        masses += own * count
    mass, starts = np.array(masses), np.array(first, dtype=np.int64)
    whole = np.add.reduceat(mass, starts)
    share = mass / np.repeat(whole, np.diff(np.append(starts, mass.size)))
    edges = np.concatenate([[0], np.cumsum(point.counts)])[:-1]
    return Sites(mass, starts, share, edges, 3 * mass.size - constraints - 3)


def build(module: Any, point: StatePoint) -> Any:
    """OpenMM's System of a state point.

    Parameters
    ----------
    module : module
        `openmm`.
    point : StatePoint
        What to build.

    Returns
    -------
    openmm.System
        Particles in the order of the species.
    """
    edge = point.volume ** (1 / 3) * _NM
    system = module.System()
    system.setDefaultPeriodicBoxVectors((edge, 0, 0), (0, edge, 0), (0, 0, edge))
    pairs = module.NonbondedForce()
    pairs.setNonbondedMethod(module.NonbondedForce.PME)
    pairs.setCutoffDistance(point.cutoff * _NM)
    pairs.setUseSwitchingFunction(True)
    pairs.setSwitchingDistance(0.9 * point.cutoff * _NM)
    pairs.setUseDispersionCorrection(False)
    pairs.setEwaldErrorTolerance(1e-3 if all(one.model is None for one in point.species) else 5e-4)
    for one, count in zip(point.species, point.counts, strict=True):
        depth = (point.well_depth if one.well_depth is None else one.well_depth) * 1e-3
        for _ in range(count):
            if one.model is None:
                system.addParticle(one.mass * _GRAM)
                pairs.addParticle(one.z / math.sqrt(point.permittivity), one.diameter * _NM, depth)
            else:
                _add_water(system, pairs, one.diameter * _NM, depth, point.permittivity)
    system.addForce(pairs)
    if point.field:
        pull = module.CustomExternalForce("-f*x")
        pull.addPerParticleParameter("f")
        for index, z in enumerate(np.repeat(point.z[:2], point.counts[:2])):  # ions come first
            pull.addParticle(index, [float(z) * _CHARGE * point.field / _NM])
        system.addForce(pull)
    system.addForce(module.CMMotionRemover(10))
    return system


def _add_water(system: Any, pairs: Any, diameter: float, depth: float, permittivity: float) -> None:
    """One rigid SPC/E molecule."""
    scale = 1 / math.sqrt(permittivity)
    first = system.addParticle(SPCE["m_O"])
    pairs.addParticle(SPCE["q_O"] * scale, diameter, depth)
    for _ in range(2):
        system.addParticle(SPCE["m_H"])
        pairs.addParticle(-0.5 * SPCE["q_O"] * scale, 1.0, 0.0)
    across = 2 * SPCE["r_OH"] * math.sin(math.radians(SPCE["angle"] / 2))
    for a, b, length in ((0, 1, SPCE["r_OH"]), (0, 2, SPCE["r_OH"]), (1, 2, across)):
        system.addConstraint(first + a, first + b, length)
        pairs.addException(first + a, first + b, 0.0, 1.0, 0.0)


def start_positions(point: StatePoint) -> Array:
    """Molecules in random order, and where they have several sites at random orientations, on a cubic lattice.

    Parameters
    ----------
    point : StatePoint
        What is simulated; its seed decides.

    Returns
    -------
    array (sites, 3)
        Positions [nm].
    """
    rng = np.random.default_rng(point.seed)
    count = sum(point.counts)
    size = math.ceil(round(count ** (1 / 3), 9))
    lattice = np.stack(np.meshgrid(*[np.arange(size)] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
    chosen = lattice[rng.permutation(len(lattice))[:count]]
    places: Array = (chosen + 0.5) * (point.volume ** (1 / 3) * _NM / size)
    if all(one.model is None for one in point.species):
        return places
    half = math.radians(SPCE["angle"] / 2)
    arms = SPCE["r_OH"] * np.array(
        [[0, 0, 0], [math.sin(half), math.cos(half), 0], [-math.sin(half), math.cos(half), 0]]
    )
    found = []
    kinds = np.repeat(np.arange(len(point.counts)), point.counts)
    for place, kind in zip(places, kinds, strict=True):
        if point.species[kind].model is None:
            found.append(place[None])
            continue
        turn, _ = np.linalg.qr(rng.normal(size=(3, 3)))
        found.append(place + arms @ turn)
    return np.concatenate(found)
