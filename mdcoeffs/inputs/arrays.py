"""Input without a trajectory reader: arrays of positions or summed displacements, tables of published L_ij.

An array file (.npz, or .h5 with data sets of these names) holds ``time`` (frames,) and either

- ``R`` (frames, species, 3): summed unwrapped displacements, species in the order of SPECIES.toml; or
- ``positions`` (frames, particles, 3) and ``labels`` (particles,): the name of each particle's species; one particle
  is one ion or molecule; optional ``masses`` (particles,),

and optionally ``volume`` (a number or one per frame) or ``box`` (frames, 3, 3) or (3, 3), rows the box vectors. Units
are those of [units] in SPECIES.toml; SI where nothing is said. A table of published coefficients is a TOML file.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cellsim.base import N_A, Array, InputError, Ints, factor_to_si
from cellsim.electrolyte.onsager import OnsagerMatrix
from cellsim.files.folder import Shape, array_headers, numbers, read_arrays
from cellsim.files.schema import read_toml
from mdcoeffs.inputs.species import SpeciesFile

NAMES = ("time", "R", "positions", "labels", "masses", "volume", "box")
CONVENTIONS = ("omega", "fong", "wheeler-newman")
_COLUMNS = ("pp", "pm", "mm", "error_pp", "error_pm", "error_mm")
_UNITS = {"omega": "mol^2/(J m s)", "fong": "1/(J m s)", "wheeler-newman": "m^5/(J s)"}


def array_names(path: str | Path) -> tuple[str, ...]:
    """Which of `NAMES` an array file holds; the arrays are not read.

    Parameters
    ----------
    path : str or Path
        The file.

    Returns
    -------
    tuple of str

    Raises
    ------
    InputError
        Not such a file, no time, neither or both of R and positions.
    """
    headers = array_headers(path)
    names = tuple(name for name in NAMES if name in headers)
    if "time" not in names or ("R" in names) == ("positions" in names):
        raise InputError(f"{path}: needs time and one of R, positions; found {', '.join(names) or 'none of them'}")
    return names


def load_arrays(path: str | Path) -> dict[str, NDArray[Any]]:
    """Read a .npz or .h5 array file.

    Parameters
    ----------
    path : str or Path
        The file.

    Returns
    -------
    dict
        The arrays among `NAMES`, as stored.

    Raises
    ------
    InputError
        As :func:`array_names`.
    """
    data = read_arrays(path, array_names(path))
    return {name: _checked(data, name, str(path)) for name in data}


_SHAPES: Mapping[str, Shape] = {"R": ("frames", "species", 3), "positions": ("frames", "particles", 3)}


def _checked(data: Mapping[str, NDArray[Any]], name: str, where: str) -> NDArray[Any]:
    """One of the arrays, as stored, once its type, shape and values are those it must have."""
    values = data[name]
    if name == "labels":
        if values.dtype.kind not in "USO":
            raise InputError(f"{where}: labels must be names of species, they are {values.dtype}")
        return values
    shape = _SHAPES.get(name)
    if name == "box":
        shape = (3, 3) if values.ndim == 2 else ("frames", 3, 3)
    # a position or box that is NaN is told with its frame and atom by whoever walks over the frames
    numbers(data, name, shape, where=where, finite=name not in ("positions", "box"))
    return values


def times_of(file: SpeciesFile, data: Mapping[str, NDArray[Any]]) -> Array:
    """Times of the frames of an array file (frames,) [s]."""
    time: Array = np.asarray(data["time"], dtype=np.float64).ravel() * file.scale("time")
    return time if file.frame_interval is None else np.arange(time.size, dtype=np.float64) * file.frame_interval


def volume_of(file: SpeciesFile, data: Mapping[str, NDArray[Any]], used: Ints) -> float | None:
    """Mean volume over the frames `used` [m^3], as SPECIES.toml or the array ``volume`` says; None: that of the box."""
    if file.volume is not None or "volume" not in data:
        return file.volume
    values = np.asarray(data["volume"], dtype=float)
    if values.ndim and values.shape != np.shape(data["time"]):
        raise InputError(f"volume must be a number or one per frame, it has shape {values.shape}")
    return float(values[used].mean() if values.ndim else values) * file.scale("volume")


def labels_and_masses(
    file: SpeciesFile, data: Mapping[str, NDArray[Any]], shape: tuple[int, ...]
) -> tuple[Ints, Array | None]:
    """Species of every particle, and the mass of one particle of each species.

    Parameters
    ----------
    file : SpeciesFile
        Species.
    data : mapping
        With ``labels`` and, optionally, ``masses``.
    shape : tuple of int
        Shape of ``positions``, (frames, particles, 3).

    Returns
    -------
    species : array of int (particles,)
        Number of the species of each particle.
    masses : array (species,) or None
        Where all are known; the unit of the input.

    Raises
    ------
    InputError
        A shape that does not fit the labels, labels that are no species here, unequal masses.
    """
    names = [species.name for species in file.species]
    labels = [v.decode() if isinstance(v, bytes) else str(v) for v in np.asarray(data.get("labels", [])).ravel()]
    if len(shape) != 3 or shape[1:] != (len(labels), 3):
        raise InputError(
            f"positions have shape {shape}, allowed is (frames, particles, 3) = (frames, {len(labels)}, 3) with one "
            f"label per particle"
        )
    unknown = sorted(set(labels) ^ set(names))
    if unknown:
        raise InputError(f"labels and SPECIES.toml disagree about species {', '.join(unknown)}")
    kind = np.array([names.index(label) for label in labels], dtype=np.int64)
    if "masses" not in data:
        return kind, masses_of(file)
    mass = np.asarray(data["masses"], dtype=float).ravel()
    if mass.size != kind.size or not np.all(mass > 0):
        raise InputError("masses must be one positive number per particle")
    for k, name in enumerate(names):
        if np.ptp(mass[kind == k]) > 1e-3 * mass[kind == k].mean():
            raise InputError(f"masses: particles of species {name} differ in mass; give each a species")
    return kind, np.array([mass[kind == k].mean() for k in range(len(names))])


def masses_of(file: SpeciesFile) -> Array | None:
    """Mass of one molecule of each species (species,) [kg], where SPECIES.toml gives all of them."""
    masses = [species.mass for species in file.species]
    return None if None in masses else np.array(masses, dtype=float)


def read_published(path: str | Path) -> tuple[OnsagerMatrix, ...]:
    """Read a table of published Onsager coefficients (TOML).

    Parameters
    ----------
    path : str or Path
        Keys ``source, temperature, z_plus, z_minus, convention ("omega" | "fong" | "wheeler-newman"), frame, unit, c
        (list of strings with unit), pp, pm, mm`` and optionally standard errors ``error_pp, error_pm, error_mm``.

    Returns
    -------
    tuple of OnsagerMatrix
        In the order of the file; errors taken as independent, since a paper seldom says more.

    Raises
    ------
    InputError
        Unknown or missing keys, lists of different length, a matrix that is not positive definite.
    """
    top = read_toml(path)
    top.only("source", "temperature", "z_plus", "z_minus", "convention", "frame", "unit", "c", *_COLUMNS)
    top.string("source")
    T = top.quantity("temperature", "K", above=0)
    z = (top.integer("z_plus", least=1), top.integer("z_minus"))
    if z[1] >= 0:
        raise top.error("z_minus", "must be negative")
    convention = top.choice("convention", CONVENTIONS)
    frame = top.choice("frame", ("solvent", "barycentric", "volume"))
    scale = factor_to_si(top.string("unit"), _UNITS[convention], field="unit")
    c = top.quantities("c", "mol/m^3")
    divisor = int(np.gcd(z[0], -z[1]))
    nu = (-z[1] // divisor, z[0] // divisor)
    columns = {}
    for key in _COLUMNS:
        optional = key.startswith("error")
        columns[key] = [v * scale for v in (top.array(key, []) if optional else top.array(key))]
        if len(columns[key]) != len(c) and not (optional and not columns[key]):
            raise InputError(f"{top.where(key)} has {len(columns[key])} entries, c has {len(c)}")
    matrices = []
    for k, conc in enumerate(c):
        ions = conc * np.asarray(nu, dtype=float)
        to_omega = {"omega": np.ones((2, 2)), "fong": np.full((2, 2), N_A**-2), "wheeler-newman": np.outer(ions, ions)}
        factor = to_omega[convention]
        pp, pm, mm = (columns[key][k] for key in ("pp", "pm", "mm"))
        covariance = None
        if all(columns[f"error_{key}"] for key in ("pp", "pm", "mm")):
            errors = np.array([columns[f"error_{key}"][k] for key in ("pp", "pm", "mm")])
            covariance = np.diag((errors * factor[[0, 0, 1], [0, 1, 1]]) ** 2)
        with top.located():
            Omega = np.array([[pp, pm], [pm, mm]]) * factor
            matrices.append(OnsagerMatrix(Omega, z, nu, conc, T, frame, covariance=covariance))
    return tuple(matrices)
