"""Result folders whose content is known: an Onsager result without a trajectory behind it."""

import math

import numpy as np
from md_toys import EXCHANGE, write_exchange

from cellsim.electrolyte.onsager import Composition, OnsagerMatrix
from cellsim.files.folder import keep
from mdcoeffs.onsager.result import OnsagerResult
from mdcoeffs.synthetic.partners import Partner

OMEGA = np.array([[1.0, 0.25], [0.25, 1.4]]) * 1e-10
SIGMA = 0.03
R = 8.31446261815324


def omega(T, energy=25e3):
    """Omega with an activation energy, its value at 350 K."""
    return OMEGA * math.exp(-energy / R * (1 / T - 1 / 350.0))


def matrix(T=350.0, c=1000.0, seed=0, energy=25e3, sigma=SIGMA):
    """A matrix with posterior samples, shifted by one draw of its own error."""
    rng = np.random.default_rng(seed)
    true = omega(T, energy) * c / 1000
    scale = np.exp(sigma * rng.standard_normal((2000, 2)))
    shift = np.exp(sigma * rng.standard_normal(2))
    samples = true * shift[:, None] ** 0.5 * shift[None, :] ** 0.5 * np.sqrt(scale[:, :, None] * scale[:, None, :])
    middle = true * np.sqrt(np.outer(shift, shift))
    composition = Composition((7e-3, 0.28), 1000.0)
    return OnsagerMatrix(middle, (1, -1), (1, 1), c, T, "solvent", samples=samples, composition=composition)


def onsager_folder(folder, T=350.0, c=1000.0, **how):
    """A folder as ``mdcoeffs onsager`` writes it, less the figure."""
    m = matrix(T, c, **how)
    lag = np.linspace(1e-12, 1e-11, 4)
    result = OnsagerResult(
        f"{T:g} K", m, ("Li", "X"), lag, np.ones((4, 2, 2)), 1e-25, (60, 60), c_solvent=1.1e4, frames=(100, 100)
    )
    keep(result, folder, "onsager", figure=False)
    return m


EXCHANGED = """
[structure]
centres = false
[structure.cutoffs]
X = "4 angstrom"
S = "4 angstrom"
"""


def exchange_state(folder, T, *, frames=150, cations=6, seed=1, energy=15e3):
    """Cations whose partners leave faster at higher temperature: 8 ps at 330 K for the anions."""
    folder.mkdir(parents=True, exist_ok=True)
    faster = math.exp(energy / R * (1 / T - 1 / 330.0))
    partners = [Partner("X", 2, 8e-12 * faster, 0.4), Partner("S", 4, 4e-12 * faster, 0.7)]
    toml = EXCHANGE.replace("300 K", f"{T:g} K") + EXCHANGED
    return write_exchange(folder, partners, cations=cations, frames=frames, seed=seed, toml=toml)
