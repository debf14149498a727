"""Self and distinct parts of one run: the same whatever frame the coefficients are reported in."""

from dataclasses import replace

import numpy as np
import pytest
from md_toys import WALK, walk_arrays, walkers

from cellsim.base import N_A, R
from mdcoeffs.inputs.species import read_species
from mdcoeffs.onsager import onsager_from_file

FRAMES = 4000


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    run, made = walkers(FRAMES)
    np.savez(folder / "run.npz", **walk_arrays(run, made))
    results = {}
    for frame in ("solvent", "barycentric", "volume"):
        (folder / f"{frame}.toml").write_text(WALK + f'[estimate]\nframe = "{frame}"\n')
        file = read_species(folder / f"{frame}.toml")
        volumes = (0.0, 0.4, 0.6 / 6)  # shares of the volume per ten molecules
        species = tuple(
            replace(one, molecular_volume=run.volume * share / 10)
            for one, share in zip(file.species, volumes, strict=True)
        )
        results[frame] = onsager_from_file(replace(file, species=species), folder=folder)
    return run, made, results


@pytest.mark.slow  # three estimates; tests/unit/electrolyte/test_onsager.py has the change of frame by hand
def test_distinct_part_is_the_same_in_every_frame(results):
    run, made, by_frame = results
    # Directly, from the lag of one step: <dR_i dR_i> less the sum over the particles, both in the barycentric frame.
    # The walk has independent steps, so that one lag is as good as any.
    masses = np.array(run.masses)[made.species]
    steps = np.diff(made.positions, axis=0)
    steps -= np.einsum("tax,a->tx", steps, masses / masses.sum())[:, None]
    scale = 1 / (6 * (R / N_A) * 353.0 * run.volume * 1e-12) / N_A**2
    direct = []
    for kind in (0, 1):
        own = steps[:, made.species == kind]
        direct.append(scale * ((own.sum(1) ** 2).sum(-1).mean() - (own**2).sum((1, 2)).mean()))
    for frame, result in by_frame.items():
        assert result.matrix.frame == frame
        # 4000 independent steps: the total has a standard error of 1.3 %, measured differences up to 2.1 % of it.
        total = np.diag(by_frame["barycentric"].matrix.Omega)
        assert np.abs(np.array(result.ideal.Omega_distinct) - direct).max() < 0.06 * total.max(), frame
        assert result.ideal.Omega_self == pytest.approx(by_frame["solvent"].ideal.Omega_self, rel=1e-9)
    # The faulty difference, total of the solvent frame less the barycentric self part, is told apart.
    wrong = np.diag(by_frame["solvent"].matrix.Omega) - by_frame["solvent"].ideal.Omega_self
    assert np.abs(wrong - direct).max() > 0.2 * total.max()
