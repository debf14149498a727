"""Input without a trajectory reader: arrays of positions or summed displacements, tables of published L_ij.

An array file (.npz, or .h5 with data sets of these names) holds ``time`` (frames,) and either

- ``R`` (frames, species, 3): summed unwrapped displacements, species in the order of SPECIES.toml; or
- ``positions`` (frames, particles, 3) and ``labels`` (particles,): the name of each particle's species; one particle
  is one ion or molecule; optional ``masses`` (particles,) and ``velocities`` (frames, particles, 3),

and optionally ``volume`` (a number or one per frame) or ``box`` (frames, 3, 3) or (3, 3), rows the box vectors. Units
are those of [units] in SPECIES.toml; SI where nothing is said. A table of published coefficients is a TOML file.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cellsim.base import N_A, Array, InputError, Ints, factor_to_si, shortened
from cellsim.electrolyte.onsager import OnsagerMatrix
from cellsim.files.reading import Shape, array_headers, numbers, read_arrays
from cellsim.files.schema import read_toml
from mdcoeffs.inputs.species import UNITS, SpeciesFile

NAMES = ("time", "R", "positions", "labels", "masses", "volume", "box", "velocities")
QUANTITIES = {"time": "time", "R": "position", "positions": "position", "box": "position", "volume": "volume"} | {
    "velocities": "velocity"
}
"""Array -> the entry of [units] that says its unit."""
VOLUMES_DIFFER = 0.2
"""How far a volume that is stated may be from another, such as the first box [1]; a barostat moves a box by less."""
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
        raise InputError(
            f"{path}: needs time and one of R, positions; found {shortened(', '.join(names), 300) or 'none of them'}"
        )
    return names


def load_arrays(path: str | Path, file: SpeciesFile | None = None) -> dict[str, NDArray[Any]]:
    """Read a .npz or .h5 array file.

    Parameters
    ----------
    path : str or Path
        The file.
    file : SpeciesFile, optional
        Whose [units] must agree with the units that data sets of an .h5 file state themselves.

    Returns
    -------
    dict
        The arrays among `NAMES`, as stored.

    Raises
    ------
    InputError
        As :func:`array_names`, or two statements of one unit that differ.
    """
    path, names = Path(path), array_names(path)
    headers = array_headers(path) if file is not None else {}
    for name in names:
        if file is not None and name in QUANTITIES and headers[name].unit:
            _check_unit(file, path, name, headers[name].unit)
    data = read_arrays(path, names)
    return {name: _checked(data, name, str(path)) for name in data}


def _check_unit(file: SpeciesFile, path: Path, name: str, unit: str) -> None:
    quantity = QUANTITIES[name]
    scale, said = file.scale(quantity), file.units.get(quantity)
    own = factor_to_si(unit, UNITS[quantity], field=f"{path.name}: the unit of {name}")
    if abs(own - scale) > 1e-6 * scale:
        here = f"[units] says {said!r}" if said else f"[units] says nothing, which means {UNITS[quantity]}"
        raise InputError(f'{path.name}: {name} is in {unit!r} by the file, but {here}; say {quantity} = "{unit}"')


_SHAPES: Mapping[str, Shape] = {
    "R": ("frames", "species", 3),
    "positions": ("frames", "particles", 3),
    "velocities": ("frames", "particles", 3),
}


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
    if file.frame_interval is None:
        return time
    steps = np.diff(time)
    rounding = 2.0**-21 * np.abs(time).max(initial=0.0)  # times kept in single precision
    if np.any(steps != 0) and (steps.min() <= 0 or np.abs(steps - steps[0]).max() > 1e-3 * steps[0] + rounding):
        frame = int(np.argmax(np.abs(steps - steps[0]))) + 1
        raise InputError(
            f"frame {frame} does not follow at the first step by the array time, which frame_interval would hide; "
            "remove repeated frames, or give the parts as replicas"
        )
    return np.arange(time.size, dtype=np.float64) * file.frame_interval


def volume_of(file: SpeciesFile, data: Mapping[str, NDArray[Any]], used: Ints) -> float | None:
    """Mean volume over the frames `used` [m^3], as SPECIES.toml or the array ``volume`` says; None: that of the box."""
    if "volume" not in data:
        return file.volume
    values = np.asarray(data["volume"], dtype=float)
    if values.ndim and values.shape != np.shape(data["time"]):
        raise InputError(f"volume must be a number or one per frame, it has shape {values.shape}")
    volume = float(values[used].mean() if values.ndim else values) * file.scale("volume")
    if file.volume is None:
        return volume
    check_volume(file.volume, volume, "the array volume")
    return file.volume


def check_volume(stated: float, volume: float, source: str) -> None:
    """Refuse a volume of SPECIES.toml that another source contradicts.

    Parameters
    ----------
    stated : float
        In SPECIES.toml, or beside the positions [m^3].
    volume : float
        By the other source, which may be one box of many [m^3].
    source : str
        That source, for the message.

    Raises
    ------
    InputError
        Two volumes of one run.
    """
    if abs(stated - volume) > VOLUMES_DIFFER * volume:
        raise InputError(
            f"the volume stated is {stated * 1e27:.4g} nm^3, but {source} gives {volume * 1e27:.4g} nm^3; leave volume "
            "out, or correct its unit"
        )


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
        raise InputError(f"labels and SPECIES.toml disagree about species {shortened(', '.join(unknown), 300)}")
    kind = np.array([names.index(label) for label in labels], dtype=np.int64)
    if "masses" not in data:
        return kind, masses_of(file)
    mass = np.asarray(data["masses"], dtype=float).ravel()
    if mass.size != kind.size or not np.all((mass > 0) & (mass < 1e200)):
        raise InputError("masses must be one positive, finite number per particle")
    for k, name in enumerate(names):
        if np.ptp(mass[kind == k]) > 1e-3 * mass[kind == k].mean():
            raise InputError(f"masses: particles of species {name} differ in mass; give each a species")
    means = np.array([mass[kind == k].mean() for k in range(len(names))])
    stated = [species.mass for species in file.species]
    if None not in stated:  # in kg; the array may be in any unit, so that only ratios can be compared
        check_masses(file, means * sum(m for m in stated if m is not None) / means.sum(), "the array masses")
    elif len(known := [k for k, m in enumerate(stated) if m is not None]) > 1:
        factor = sum(stated[k] or 0.0 for k in known) / means[known].sum()
        check_masses(file, means * factor, "the array masses")
    return kind, means


def check_masses(file: SpeciesFile, masses: Array, source: str) -> None:
    """Refuse masses of SPECIES.toml that another source contradicts by more than 1 %.

    Parameters
    ----------
    file : SpeciesFile
        With the masses that it gives, if any.
    masses : array (species,)
        Mass of one molecule of each species by the other source [kg].
    source : str
        That source, for the message.

    Raises
    ------
    InputError
        Two masses for one species.
    """
    for species, mass in zip(file.species, masses, strict=True):
        if species.mass is not None and abs(mass - species.mass) > 0.01 * species.mass:
            raise InputError(
                f"species.{species.name}.mass = {species.mass * N_A * 1e3:.4g} g/mol, but {source} give "
                f"{mass * N_A * 1e3:.4g} g/mol; leave one of them out"
            )


def check_counts(file: SpeciesFile, counts: Sequence[int], source: str) -> None:
    """Refuse counts of SPECIES.toml that the files contradict.

    Parameters
    ----------
    file : SpeciesFile
        With the counts that it gives, if any.
    counts : sequence of int (species,)
        Molecules that there are.
    source : str
        What says so, for the message.

    Raises
    ------
    InputError
        Two counts for one species.
    """
    for species, count in zip(file.species, counts, strict=True):
        if species.count is not None and species.count != count:
            raise InputError(
                f"species.{species.name}.count = {species.count}, but {source} contain {count} of them; correct "
                "the count, or leave it out"
            )


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
