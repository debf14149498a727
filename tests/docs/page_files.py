"""The files that pages presuppose: a folder like the repository, and small made-up trajectories."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import MDAnalysis as mda
import numpy as np
from page_blocks import ROOT

COPIED = ("cases", "validation", "benchmarks", "docs")
MASS = 12.0  # of every atom [g/mol]
LINKED = ("README.md", "CHANGELOG.md", "pyproject.toml", "start.py", "cellsim", "mdcoeffs", "tests")


def repository(target: Path) -> Path:
    """A folder that looks like the repository's root; what is written there does not reach the checkout."""
    leave = shutil.ignore_patterns("__pycache__", "build", "_build", "runs", "images", ".ipynb_checkpoints")
    for name in COPIED:
        shutil.copytree(ROOT / name, target / name, ignore=leave)
    for name in LINKED:
        (target / name).symlink_to(ROOT / name)
    return target


@dataclass(frozen=True)
class Molecules:
    """Equal molecules: species, role, charge, how many, names of their atoms."""

    name: str
    role: str
    charge: int
    count: int
    atoms: tuple[str, ...]


def walkers(
    folder: Path, molecules: Sequence[Molecules], *, box: tuple[float, float, float], frames: int, dt: float,
    step: float = 0.5, files: Sequence[str] = ("run.xtc",), types: Sequence[tuple[int, ...]] | None = None,
    seed: int = 5,
) -> None:  # fmt: skip
    """Rigid molecules that walk at random, independent of one another: a topology and trajectory files.

    Parameters
    ----------
    folder : Path
        Where `system.psf` (or `relaxed.lmp`, where `types` are given) and the trajectory files go.
    molecules : sequence of Molecules
        What there is.
    box : tuple of float
        Edges [angstrom].
    frames : int
        Frames in all, shared out among the files.
    dt : float
        Time between frames [ps].
    step : float
        Standard deviation of a step along each axis [angstrom].
    files : sequence of str
        Trajectory files, one after another in time.
    types : sequence of tuple of int, optional
        LAMMPS types of the atoms of each species.
    seed : int
        Of the random numbers.
    """
    rng = np.random.default_rng(seed)
    atoms = np.concatenate([np.tile(np.arange(len(one.atoms)), one.count) for one in molecules])
    sizes = np.concatenate([np.full(one.count, len(one.atoms)) for one in molecules])
    of = np.repeat(np.arange(sizes.size), sizes)
    centres = rng.random((sizes.size, 3)) * box
    shape = np.stack([1.2 * np.cos(2.1 * atoms), 1.2 * np.sin(2.1 * atoms), 0.3 * atoms], axis=1)
    universe = mda.Universe.empty(atoms.size, sizes.size, atom_resindex=of, trajectory=True)
    universe.add_TopologyAttr("names", np.concatenate([np.tile(one.atoms, one.count) for one in molecules]))
    residues = [one.name for one in molecules for _ in range(one.count)]
    universe.add_TopologyAttr("resnames", np.array(residues, dtype=object))
    universe.add_TopologyAttr("resids", np.arange(1, sizes.size + 1))
    universe.dimensions = [*box, 90, 90, 90]
    universe.atoms.positions = (centres[of] + shape) % np.array(box)
    if types is None:
        _psf(folder / "system.psf", universe)
    else:
        kinds = np.concatenate([np.tile(kind, one.count) for kind, one in zip(types, molecules, strict=True)])
        _lammps(folder / "relaxed.lmp", universe, kinds, of, atoms)
    for k, part in enumerate(np.array_split(np.arange(frames), len(files))):
        with mda.Writer(str(folder / files[k]), atoms.size, precision=4) as writer:
            for t in part:
                universe.atoms.positions = (centres[of] + shape) % np.array(box)
                universe.trajectory.ts.time, universe.trajectory.ts.frame = dt * t, int(t)
                writer.write(universe.atoms)
                centres = centres + step * rng.standard_normal(centres.shape)


def _psf(path: Path, universe: mda.Universe) -> None:
    """Names, residues and masses; X-PLOR's columns."""
    lines = ["PSF", "", "       1 !NTITLE", " REMARKS made up", "", f"{universe.atoms.n_atoms:8d} !NATOM"]
    for atom in universe.atoms:
        named = f"{atom.resid:<4d} {atom.resname:4s} {atom.name:4s} {atom.name:4s}"
        lines.append(f"{atom.ix + 1:8d} S    {named} {0.0:14.6f}{MASS:14.4f}{0:8d}")
    path.write_text("\n".join([*lines, "", "       0 !NBOND", ""]) + "\n")


def _lammps(path: Path, universe: mda.Universe, kinds: np.ndarray, of: np.ndarray, order: np.ndarray) -> None:
    bonds = np.flatnonzero(order > 0)  # each atom to the one before it in its molecule
    lines = ["LAMMPS data file", "", f"{kinds.size} atoms", f"{bonds.size} bonds", f"{kinds.max()} atom types",
             "1 bond types", ""]  # fmt: skip
    lines += [f"0 {edge} {a}lo {a}hi" for a, edge in zip("xyz", universe.dimensions[:3], strict=True)]
    lines += ["", "Masses", ""] + [f"{k} {7.0 if k == 90 else 50.0}" for k in range(1, kinds.max() + 1)]
    lines += ["", "Atoms # full", ""]
    for k, (x, y, z) in enumerate(universe.atoms.positions):
        lines.append(f"{k + 1} {of[k] + 1} {kinds[k]} 0.0 {x} {y} {z}")
    lines += ["", "Bonds", ""] + [f"{n + 1} 1 {k} {k + 1}" for n, k in enumerate(bonds)]
    path.write_text("\n".join(lines) + "\n")


def species_toml(molecules: Sequence[Molecules], *, temperature: str = "353 K", more: str = "") -> str:
    """The SPECIES.toml of `walkers`."""
    lines = ['title = "walkers (made up)"', f'temperature = "{temperature}"', 'topology = "system.psf"',
             'trajectory = "run.xtc"']  # fmt: skip
    for one in molecules:
        lines += [f"[species.{one.name}]", f'selection = "resname {one.name}"', f'role = "{one.role}"',
                  f"charge = {one.charge}", 'molecule = "residue"']  # fmt: skip
    return "\n".join([*lines, more]) + "\n"


def shorten(system: Path) -> None:
    """Make the short molecular dynamics of the shipped case shorter still: 80 ps for 1.5 ns, the same file name."""
    text = system.read_text(encoding="utf-8")
    for old, new in (("1.5 ns", "80 ps"), ("100 ps", "20 ps")):
        assert text.count(f'"{old}"') == 1, f"{system}: {old} is gone"
        text = text.replace(f'"{old}"', f'"{new}"')
    system.write_text(text, encoding="utf-8")


def series_hdf(path: Path) -> None:
    """A series of g2 as a beamline writes it: a solvent at 4 nm/s, noise of 2e-3, by the package's forward model."""
    import h5py

    from cellsim.instruments.xpcs.correlation import geometry, heterodyne_g2

    rings, sectors = np.array([0.003, 0.005, 0.008]), np.array([0.0, 45.0, 90.0, 135.0])  # 1/angstrom, degrees
    q, azimuth = geometry(rings * 1e10, np.deg2rad(sectors))
    delays = np.unique(np.round(np.geomspace(1, 400, 30)))
    g2 = heterodyne_g2(q, azimuth, 0.5 * delays, v=40e-10, contrast=0.2, h=0.4, tau0=60.0, stretch=0.9)
    g2 = g2 + 2e-3 * np.random.default_rng(3).standard_normal(g2.shape)
    with h5py.File(path, "w") as file:
        file["/xpcs/multitau/normalized_g2"] = g2.T
        file["/xpcs/multitau/normalized_g2_err"] = np.full(g2.T.shape, 2e-3)
        file["/xpcs/multitau/delay_list"] = delays[None]
        file["/xpcs/multitau/config/stride_frame"] = file["/xpcs/multitau/config/avg_frame"] = 1
        file["/xpcs/qmap/dynamic_v_list_dim0"] = rings
        file["/xpcs/qmap/dynamic_v_list_dim1"] = sectors
        file["/xpcs/qmap/dynamic_num_pts"] = np.array([3, 4])
        file["/xpcs/qmap/dynamic_index_mapping"] = np.arange(q.size)
        file["/entry/instrument/detector_1/frame_time"] = 0.5
