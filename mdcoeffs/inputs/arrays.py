"""Input without a trajectory reader: arrays of positions or summed displacements, tables of published L_ij.

An array file (.npz, or .h5 with data sets of these names) holds ``time`` (frames,) and either

- ``R`` (frames, species, 3): summed unwrapped displacements, species in the order of SPECIES.toml; or
- ``positions`` (frames, particles, 3) and ``labels`` (particles,): the name of each particle's species; one particle
  is one ion or molecule; optional ``masses`` (particles,),

and optionally ``volume`` (a number or one per frame) or ``box`` (frames, 3, 3) or (3, 3), rows the box vectors. Units
stand in SPECIES.toml, [units]; SI where nothing is said. A table of published coefficients is a TOML file.
"""

from __future__ import annotations

import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cellsim.base import N_A, Array, InputError, factor_to_si
from cellsim.electrolyte.onsager import OnsagerMatrix
from cellsim.files.schema import read_toml
from mdcoeffs.frames.reading import Reading, finish_raw
from mdcoeffs.frames.scratch import open_store
from mdcoeffs.frames.unwrap import Molecules, Track, advance
from mdcoeffs.inputs.species import Species, SpeciesFile
from mdcoeffs.onsager.displacements import CollectiveDisplacements, check_even_times

NAMES = ("time", "R", "positions", "labels", "masses", "volume", "box")
CONVENTIONS = ("omega", "fong", "wheeler-newman")
_UNITS = {"omega": "mol^2/(J m s)", "fong": "1/(J m s)", "wheeler-newman": "m^5/(J s)"}


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
        Not such a file, no time, neither or both of R and positions.
    """
    path = Path(path)
    try:
        if path.suffix.lower() in (".h5", ".hdf5"):
            import h5py

            with h5py.File(path, "r") as data:
                found = {name: np.asarray(data[name]) for name in NAMES if name in data}
        else:
            with np.load(path, allow_pickle=False) as data:
                found = {name: np.asarray(data[name]) for name in NAMES if name in data.files}
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise InputError(f"{path}: cannot be read as a .npz or .h5 file of arrays ({error})") from error
    if "time" not in found or ("R" in found) == ("positions" in found):
        raise InputError(f"{path}: needs time and one of R, positions; found {', '.join(found) or 'none of them'}")
    return found


def read_arrays(file: SpeciesFile, number: int, *, folder: Path | None = None) -> Reading:
    """Read replica `number` of a SPECIES.toml that gives arrays.

    Parameters
    ----------
    file : SpeciesFile
        Species, units, temperature.
    number : int
        Which replica.
    folder : Path, optional
        Folder of a scratch file for the self part.

    Returns
    -------
    Reading
        Barycentric where masses are known (drift removed), else as given ("lab").

    Raises
    ------
    InputError
        Shapes that do not fit, NaN, frames out of order, wrapped positions without a box.
    """
    path = file.replicas[number].arrays
    if path is None:
        raise InputError(f"replica {number} gives no arrays")
    data = load_arrays(path)
    try:
        return arrays_to_reading(data, file, folder=folder)
    except InputError as error:
        raise InputError(f"{path.name}: {error}") from error


def arrays_to_reading(data: Mapping[str, NDArray[Any]], file: SpeciesFile, *, folder: Path | None = None) -> Reading:
    """The same for arrays already in memory.

    Parameters
    ----------
    data : mapping
        Arrays among `NAMES`.
    file : SpeciesFile
        Species, units, temperature.
    folder : Path, optional
        Folder of a scratch file for the self part.

    Returns
    -------
    Reading

    Raises
    ------
    InputError
        As :func:`read_arrays`.
    """
    time: Array = np.asarray(data["time"], dtype=np.float64) * file.scale("time")
    if file.frame_interval is not None:
        time = np.arange(time.size, dtype=np.float64) * file.frame_interval
    check_even_times(time)
    keep = np.flatnonzero(_inside(time, file))[:: file.stride]
    volume = _volume(file, data, keep)
    if "R" in data:
        return _summed(file, data["R"].astype(float) * file.scale("position"), time, keep, volume)
    return _positions(file, data, time, keep, volume, folder)


def _inside(time: Array, file: SpeciesFile) -> NDArray[np.bool_]:
    low = -np.inf if file.start is None else file.start
    high = np.inf if file.stop is None else file.stop
    slack = 1e-9 * float(np.max(np.abs(time)))
    return (time >= low - slack) & (time <= high + slack)


def _volume(file: SpeciesFile, data: Mapping[str, NDArray[Any]], keep: NDArray[np.int64]) -> float:
    if file.volume is not None:
        return file.volume
    if "volume" in data:
        values = np.asarray(data["volume"], dtype=float)
        return float(values[keep].mean() if values.ndim else values) * file.scale("volume")
    if "box" in data:
        determinants = np.abs(np.linalg.det(np.asarray(data["box"], dtype=float)))
        return float(np.mean(determinants[keep] if determinants.ndim else determinants)) * file.scale("position") ** 3
    raise InputError("no volume: give volume or box in the file, or volume in SPECIES.toml")


def _summed(file: SpeciesFile, R: Array, time: Array, keep: NDArray[np.int64], volume: float) -> Reading:
    if R.ndim != 3 or R.shape[0] != time.size or R.shape[1:] != (len(file.species), 3):
        raise InputError(
            f"R has shape {R.shape}, allowed is (frames, species, 3) = ({time.size}, {len(file.species)}, 3), "
            f"species in the order of SPECIES.toml"
        )
    counts = []
    for one in file.species:
        if one.count is None:
            raise InputError(f"species.{one.name} needs its count, since R does not tell it")
        counts.append(one.count)
    given = [one.mass for one in file.species if one.mass is not None]
    masses = tuple(given) if len(given) == len(file.species) else None
    raw = _displacements(file.species, R[keep] - R[keep[0]], time[keep], volume, file.temperature, counts, masses)
    return finish_raw(raw, 0.0, None, np.zeros(0, dtype=np.int64))


def _displacements(
    species: Sequence[Species],
    R: Array,
    time: Array,
    volume: float,
    temperature: float,
    counts: Sequence[int],
    masses: tuple[float, ...] | None,
) -> CollectiveDisplacements:
    volumes = [one.molecular_volume for one in species]
    return CollectiveDisplacements(
        R=R, time=time, volume=volume, temperature=temperature, z=tuple(one.z for one in species),
        counts=tuple(counts), frame="lab", masses=masses, roles=tuple(one.role for one in species),
        names=tuple(one.name for one in species),
        molecular_volumes=None if None in volumes else tuple(float(v) for v in volumes if v is not None),
    )  # fmt: skip


def _positions(
    file: SpeciesFile,
    data: Mapping[str, NDArray[Any]],
    time: Array,
    keep: NDArray[np.int64],
    volume: float,
    folder: Path | None,
) -> Reading:
    positions = np.asarray(data["positions"], dtype=float)
    who, masses = labelled_molecules(file, data, positions.shape)
    if positions.shape[0] != time.size:
        raise InputError(f"positions have {positions.shape[0]} frames, time has {time.size}")
    box = np.asarray(data["box"], dtype=float) if "box" in data else None
    unwrapped = file.coordinates == "unwrapped" or (file.coordinates == "auto" and box is None)
    if not unwrapped and box is None:
        raise InputError("wrapped positions need the box to be unwrapped; add box to the file")
    kept = [k for k, one in enumerate(file.species)
            if file.self_part == "all" or (file.self_part == "ions" and one.role != "solvent")]  # fmt: skip
    rows = np.flatnonzero(np.isin(who.species, kept))
    store = open_store(rows.size, keep.size, memory=file.memory, folder=folder or Path()) if rows.size else None
    track, summed, longest = Track.empty(who), np.empty((keep.size, len(file.species), 3)), 0.0
    for step, frame in enumerate(keep):
        here = None if box is None else box[frame] if box.ndim == 3 else box
        try:
            longest = max(longest, advance(who, track, positions[frame], here, known=unwrapped, start=step == 0))
        except InputError as error:
            raise InputError(f"frame {frame}: {error}") from error
        summed[step] = track.summed
        if store is not None:
            store.put(step, track.displacement[rows] * file.scale("position"))
    raw = _displacements(file.species, summed * file.scale("position"), time[keep], volume, file.temperature,
                         list(who.counts), masses)  # fmt: skip
    return finish_raw(raw, longest, store, who.species[rows])


def labelled_molecules(
    file: SpeciesFile, data: Mapping[str, NDArray[Any]], shape: tuple[int, ...]
) -> tuple[Molecules, tuple[float, ...] | None]:
    """Particles with labels as molecules of one atom each, sorted by species.

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
    molecules : Molecules
        Their masses are 1; molecule k is particle ``atoms[k]``.
    masses : tuple of float or None
        Mass of one particle of each species, where all are known; the unit of the input.

    Raises
    ------
    InputError
        A shape that does not fit the labels, labels that are no species here, unequal masses.
    """
    names = [one.name for one in file.species]
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
    order = np.argsort(kind, kind="stable")
    who = Molecules(
        order, np.arange(kind.size + 1), np.ones(kind.size), kind[order], np.ones(kind.size), np.ones(len(names)),
        np.full(kind.size, -1),
    )  # fmt: skip
    return who, _masses(file.species, data, kind)


def _masses(
    species: Sequence[Species], data: Mapping[str, NDArray[Any]], kind: NDArray[np.int64]
) -> tuple[float, ...] | None:
    if "masses" in data:
        mass = np.asarray(data["masses"], dtype=float).ravel()
        if mass.size != kind.size or not np.all(mass > 0):
            raise InputError("masses must be one positive number per particle")
        for k, one in enumerate(species):
            if np.ptp(mass[kind == k]) > 1e-3 * mass[kind == k].mean():
                raise InputError(f"masses: particles of species {one.name} differ in mass; give each a species")
        return tuple(float(mass[kind == k].mean()) for k in range(len(species)))
    given = [one.mass for one in species if one.mass is not None]
    return tuple(given) if len(given) == len(species) else None


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
    top.only("source", "temperature", "z_plus", "z_minus", "convention", "frame", "unit", "c", "pp", "pm", "mm",
             "error_pp", "error_pm", "error_mm")  # fmt: skip
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
    for key in ("pp", "pm", "mm", "error_pp", "error_pm", "error_mm"):
        optional = key.startswith("error")
        columns[key] = [v * scale for v in (top.array(key, []) if optional else top.array(key))]
        if len(columns[key]) != len(c) and not (optional and not columns[key]):
            raise InputError(f"{top.where(key)} has {len(columns[key])} entries, c has {len(c)}")
    found = []
    for k, conc in enumerate(c):
        ions = conc * np.asarray(nu, dtype=float)
        factor = {
            "omega": np.ones((2, 2)), "fong": np.full((2, 2), N_A**-2), "wheeler-newman": np.outer(ions, ions)
        }[convention]  # fmt: skip
        pp, pm, mm = (columns[key][k] for key in ("pp", "pm", "mm"))
        covariance = None
        if all(columns[f"error_{key}"] for key in ("pp", "pm", "mm")):
            errors = np.array([columns[f"error_{key}"][k] for key in ("pp", "pm", "mm")])
            covariance = np.diag((errors * factor[[0, 0, 1], [0, 1, 1]]) ** 2)
        with top.located():
            found.append(
                OnsagerMatrix(np.array([[pp, pm], [pm, mm]]) * factor, z, nu, conc, T, frame, covariance=covariance)
            )
    return tuple(found)
