"""What MAICoS and MDAnalysis alone give for the mica example; run in an environment that has maicos.

    python validation/maicos/peer.py FOLDER

FOLDER holds mica.tpr and mica.xtc of MAICoS' own tests (tests/data/mica in its repository); it receives peer.npz:
number densities from `maicos.DensityPlanar`, and displacement variances written out in a few lines with MDAnalysis'
NoJump unwrapping, since MAICoS has none. Nothing of mdcoeffs is used here.
"""

import sys
from pathlib import Path

import maicos
import MDAnalysis as mda
import numpy as np
from MDAnalysis.transformations import nojump

GROUPS = {"K": "name K+", "OW": "name OW1"}
SURFACE = "resname SURF"
BIN = 0.5
LAYERS = np.array([-20.0, -15.0, -10.0, 10.0, 15.0, 20.0])
LAGS = (2, 5)


def densities(folder: Path) -> dict[str, np.ndarray]:
    """Number density [1/angstrom^3] of each group, z = 0 in the centre of mass of the surface."""
    found = {}
    for name, selection in GROUPS.items():
        u = mda.Universe(folder / "mica.tpr", folder / "mica.xtc")
        profile = maicos.DensityPlanar(
            u.select_atoms(selection), dens="number", bin_width=BIN, refgroup=u.select_atoms(SURFACE), unwrap=False
        ).run()
        found["z"] = np.asarray(profile.results.bin_pos)
        found[f"density_{name}"] = np.asarray(profile.results.profile).ravel()
        found[f"error_{name}"] = np.asarray(profile.results.dprofile).ravel()
    return found


def variances(folder: Path) -> dict[str, np.ndarray]:
    """Variance of displacements [angstrom^2] (lags, layers, 3), drift of the centre of mass taken away."""
    u = mda.Universe(folder / "mica.tpr", folder / "mica.xtc")
    surface = u.select_atoms(SURFACE)
    masses = u.atoms.masses
    z, path = {}, {}
    rows: dict[str, list[np.ndarray]] = {name: [] for name in GROUPS}
    for ts in u.trajectory:
        length = ts.dimensions[2]
        angle = 2 * np.pi * surface.positions[:, 2] / length
        w = surface.masses
        first = length / (2 * np.pi) * np.arctan2(w @ np.sin(angle), w @ np.cos(angle))
        near = surface.positions[:, 2] - first
        middle = first + w @ (near - length * np.round(near / length)) / w.sum()
        for name, selection in GROUPS.items():
            d = u.select_atoms(selection).positions[:, 2] - middle
            rows[name].append(d - length * np.round(d / length))
    z = {name: np.array(one) for name, one in rows.items()}
    u = mda.Universe(folder / "mica.tpr", folder / "mica.xtc")
    u.trajectory.add_transformations(nojump.NoJump())
    rows = {name: [] for name in GROUPS}
    for _ in u.trajectory:
        # The massless sites of the water do not count.
        drift = masses @ u.atoms.positions.astype(float) / masses.sum()
        for name, selection in GROUPS.items():
            rows[name].append(u.select_atoms(selection).positions - drift)
    path = {name: np.array(one) for name, one in rows.items()}
    found = {}
    for name in GROUPS:
        result = np.full((len(LAGS), LAYERS.size - 1, 3), np.nan)
        for k, lag in enumerate(LAGS):
            step = path[name][lag:] - path[name][:-lag]
            start = z[name][:-lag]
            for j in range(LAYERS.size - 1):
                use = (start >= LAYERS[j]) & (start < LAYERS[j + 1])
                result[k, j] = step[use].var(axis=0)
        found[f"variance_{name}"] = result
    return found


if __name__ == "__main__":
    here = Path(sys.argv[1])
    np.savez(here / "peer.npz", **densities(here), **variances(here), version=np.array(maicos.__version__))
