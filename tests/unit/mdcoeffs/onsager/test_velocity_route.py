"""Green and Kubo beside Einstein: walkers with inertia whose conductivity is known, through files of every kind."""

import numpy as np
import pytest

from cellsim.base import N_A, F, InputError, k_B
from mdcoeffs.onsager import onsager_from_file
from mdcoeffs.synthetic.dynamics import langevin_walk

T, EDGE, D, TAU, DT, N = 300.0, 2e-9, 1e-9, 2e-13, 4e-14, 20
VOLUME = EDGE**3
KAPPA = F**2 * 2 * N * D / (N_A**2 * k_B * T * VOLUME)
SPECIES = """title = "walkers with inertia"
temperature = "300 K"
{source}
self = "none"
[species.Li]
charge = 1
role = "cation"
{li}
[species.X]
charge = -1
role = "anion"
{x}
[species.S]
role = "solvent"
{s}
[estimate]
velocities = true
frame = "barycentric"
"""
ARRAYS = {"li": "", "x": "", "s": ""}
ATOMS = {key: f'selection = "type {k}"\nmolecule = "atom"' for k, key in enumerate(("li", "x", "s"), 1)}


def walkers(frames=4000, seed=1):
    """Ions, and as many solvent particles at rest."""
    rng = np.random.default_rng(seed)
    R, v = langevin_walk(D, TAU, DT, particles=2 * N, frames=frames, rng=rng)
    still = np.zeros((N, frames, 3))
    R, v = np.concatenate([R, still]), np.concatenate([v, still])
    R += EDGE * rng.random((3 * N, 1, 3))
    arrays = {"time": DT * np.arange(frames), "positions": R.swapaxes(0, 1), "velocities": v.swapaxes(0, 1)}
    return arrays | {
        "labels": np.repeat(["Li", "X", "S"], N),
        "masses": np.repeat([1e-26, 1e-26, 1e-25], N),
        "volume": np.array(VOLUME),
    }


def asked(folder, text):
    (folder / "SPECIES.toml").write_text(text)
    return onsager_from_file(folder / "SPECIES.toml")


def test_both_routes_and_the_closed_forms(tmp_path):
    np.savez(tmp_path / "run.npz", **walkers())
    result = asked(tmp_path, SPECIES.format(source='arrays = "run.npz"\ncoordinates = "unwrapped"', **ARRAYS))
    summary = result.numbers()
    # the trapezoid of velocities 0.2 tau apart: cos^2 against sinc^2 and what is lost between frames, 0.3 %
    assert summary["velocities"]["over_displacements"] == pytest.approx(1.0, abs=0.01)
    assert "so that both routes agree" in " ".join(result.lines())
    low, high = summary["quantities"]["kappa"]["interval"]
    assert low < KAPPA < high
    data = result.dataset()
    # Green and Kubo up to 10 tau: the noise of one current in three directions is sqrt(4 * 10 tau/(3 * 800 tau)) = 13 %
    at = int(10 * TAU / DT)
    assert float(data["green_kubo"][at]) == pytest.approx(KAPPA, rel=0.4)
    # the spectrum is kappa/(1 + (omega tau)^2), sampled: (1 - a)^2/(1 + a^2 - 2 a cos omega dt) coth-wise corrected
    f, spectrum, dof = (
        data[name].values for name in ("velocity_frequency", "velocity_spectrum", "velocity_amplitudes")
    )
    a, w = np.exp(-DT / TAU), 2 * np.pi * f * DT
    exact = KAPPA * DT / (2 * TAU) * (1 - a * a) / (1 + a * a - 2 * a * np.cos(w))
    pull = (spectrum / exact - 1) / np.sqrt(2 / dof)
    many = dof > 60
    assert np.abs(pull[many]).max() < 4.5 and np.mean(pull[many] ** 2) < 2.2


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda a: a | {"velocities": 1e-2 * a["velocities"]}, "is wrong"),  # angstrom/ps taken for m/s
        (
            lambda a: {key: v[::50] if key in ("time", "positions", "velocities") else v for key, v in a.items()},
            "too far",
        ),
    ],
)
def test_what_does_not_agree_is_said(tmp_path, change, words):
    np.savez(tmp_path / "run.npz", **change(walkers(3000)))
    result = asked(tmp_path, SPECIES.format(source='arrays = "run.npz"\ncoordinates = "unwrapped"', **ARRAYS))
    assert words in " ".join(result.lines()) and abs(result.velocities.ratio - 1) > 0.05


def test_a_trr_is_the_arrays_that_it_holds(tmp_path):
    import MDAnalysis as mda

    a = walkers(200)
    universe = mda.Universe.empty(3 * N, trajectory=True, velocities=True)
    universe.add_TopologyAttr("type", [str(k) for k in np.repeat([1, 2, 3], N)])
    with mda.Writer(str(tmp_path / "run.trr"), 3 * N) as writer:
        for k, t in enumerate(a["time"]):
            universe.atoms.positions = a["positions"][k] * 1e10
            universe.atoms.velocities = a["velocities"][k] * 1e-2
            universe.dimensions = [EDGE * 1e10] * 3 + [90] * 3
            universe.trajectory.ts.time = t * 1e12
            writer.write(universe.atoms)
    lines = ["LAMMPS data file", "", f"{3 * N} atoms", "3 atom types", "", *(f"0 20 {c}lo {c}hi" for c in "xyz")]
    lines += ["", "Masses", "", "1 6.0", "2 6.0", "3 60.0", "", "Atoms # full", ""]
    lines += [f"{k + 1} {k + 1} {k // N + 1} 0 0 0 0" for k in range(3 * N)]
    (tmp_path / "top.data").write_text("\n".join(lines) + "\n")
    source = 'topology = "top.data"\ntrajectory = "run.trr"'
    read = asked(tmp_path, SPECIES.format(source=source, **ATOMS))
    np.savez(tmp_path / "run.npz", **a)
    other = asked(tmp_path, SPECIES.format(source='arrays = "run.npz"\ncoordinates = "unwrapped"', **ARRAYS))
    assert read.velocities.ratio == pytest.approx(other.velocities.ratio, rel=2e-3)


def test_files_without_velocities_are_refused(tmp_path):
    a = walkers(200)
    text = SPECIES.format(source='arrays = "run.npz"\ncoordinates = "unwrapped"', **ARRAYS)
    holed = a["velocities"].copy()
    holed[3, 2, 1] = np.nan
    for arrays, words in (
        ({key: v for key, v in a.items() if key != "velocities"}, "has no velocities"),
        (a | {"velocities": a["velocities"][:-1]}, "must be alike"),
        (a | {"velocities": holed}, "not finite"),
        ({"time": a["time"], "R": np.zeros((200, 3, 3)), "volume": VOLUME}, "needs trajectories or arrays"),
    ):
        np.savez(tmp_path / "run.npz", **arrays)
        with pytest.raises(InputError, match=words):
            asked(tmp_path, text)
