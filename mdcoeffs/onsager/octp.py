"""Mean displacements as OCTP tabulates them during a LAMMPS run, to Onsager coefficients.

OCTP (Jamali et al. 2019) writes <dR_i(t) . dR_j(t)>/6 for every pair of species, in angstrom^2 against fs, for lags of
an order-n scheme: groups of lags, ten or more per decade, some written twice where groups meet. The columns stand in
the order LAMMPS named the groups, which changes from run to run: it is read from the header, never assumed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cellsim.base import N_A, Array, InputError, k_B

EXPONENT_TOLERANCE = 0.1
"""A window starts where every local exponent is within this of 1 (the 10 % rule of Fang 2026)."""
MIN_LAGS = 6
"""Lags a window must hold."""


@dataclass(frozen=True, eq=False)
class MeanDisplacements:
    """A table of collective mean displacements of one run.

    Parameters
    ----------
    names : tuple of str
        Species.
    lag : array (lags,)
        Lag times, strictly increasing [s].
    curves : array (lags, species, species)
        <dR_i . dR_j>/6, symmetric [m^2].
    """

    names: tuple[str, ...]
    lag: Array
    curves: Array


@dataclass(frozen=True, eq=False)
class OctpRun:
    """What OCTP wrote of one run.

    Parameters
    ----------
    table : MeanDisplacements
        Collective mean displacements.
    own : (array (lags,), array (lags, species)), optional
        Lags [s] and mean-squared displacements of single molecules [m^2].
    inputs : mapping
        File name -> SHA-256.
    """

    table: MeanDisplacements
    own: tuple[Array, Array] | None = None
    inputs: Mapping[str, str] | None = None


@dataclass(frozen=True, eq=False)
class MeanSlopes:
    """Slopes of several runs over one window.

    Parameters
    ----------
    names : tuple of str
        Species.
    value : array (species, species)
        Mean over the runs of d/dt <dR_i . dR_j>/6 [m^2/s].
    spread : array (species, species)
        Standard deviation between the runs [m^2/s]; NaN for a single run.
    runs : array (runs, species, species)
        The slope of each run [m^2/s].
    window : tuple of float
        First and last lag of the fit [s].
    exponent : array (species, species)
        d ln|C| / d ln t over the window, mean of the runs [1].
    """

    names: tuple[str, ...]
    value: Array
    spread: Array
    runs: Array
    window: tuple[float, float]
    exponent: Array

    @property
    def standard_error(self) -> Array:
        """Standard error of the mean of the runs (species, species) [m^2/s]."""
        return self.spread / np.sqrt(self.runs.shape[0])

    def per_molecule(self, total: int) -> tuple[Array, Array]:
        """Onsager coefficients per molecule, Lambda_ij = slope/N, as OCTP reports them.

        Parameters
        ----------
        total : int
            Number of molecules of all species.

        Returns
        -------
        value, spread : array (species, species)
            Mean and standard deviation between the runs [m^2/s].
        """
        return self.value / total, self.spread / total

    def omega(self, temperature: float, volume: float) -> tuple[Array, Array]:
        """Omega_ij = slope/(k_B T V N_A^2), barycentric.

        Parameters
        ----------
        temperature : float
            Temperature [K].
        volume : float
            Volume of the box [m^3].

        Returns
        -------
        value : array (species, species)
            Mean over the runs [mol^2/(J m s)].
        runs : array (runs, species, species)
            Each run [mol^2/(J m s)].
        """
        scale = 1.0 / (k_B * temperature * volume * N_A**2)
        return self.value * scale, self.runs * scale


def read_octp(path: str | Path, names: Sequence[str]) -> MeanDisplacements:
    """Read ``diffonsag.dat``.

    Parameters
    ----------
    path : str or Path
        The table.
    names : sequence of str
        The species, in the order wanted; the columns are found by name.

    Returns
    -------
    MeanDisplacements

    Raises
    ------
    InputError
        Not such a table, a pair of species that is missing or doubled, NaN, lags out of order.
    """
    path = Path(path)
    header, rows = _table(path)
    columns = {f"MSD__{a}_{b}": (i, j) for i, a in enumerate(names) for j, b in enumerate(names)}
    column_of: dict[tuple[int, int], int] = {}
    for column, title in enumerate(header[1:], start=1):
        if title not in columns:
            raise InputError(
                f"{path.name}: column {title!r} names no pair of the species {', '.join(names)}; "
                f"use the LAMMPS group names as species names"
            )
        i, j = sorted(columns[title])
        if (i, j) in column_of:
            raise InputError(f"{path.name}: the pair {names[i]}, {names[j]} is in two columns")
        column_of[i, j] = column
    for i in range(len(names)):
        for j in range(i, len(names)):
            if (i, j) not in column_of:
                raise InputError(f"{path.name}: no column for the pair {names[i]}, {names[j]}")
    lag, first = _lags(path, rows)
    curves = np.empty((lag.size, len(names), len(names)))
    for (i, j), column in column_of.items():
        curves[:, i, j] = curves[:, j, i] = rows[first, column] * 1e-20
    return MeanDisplacements(tuple(names), lag, curves)


def read_octp_self(path: str | Path, names: Sequence[str], counts: Sequence[int]) -> tuple[Array, Array]:
    """Read ``diffself.dat``: mean-squared displacements of single molecules.

    Parameters
    ----------
    path : str or Path
        The table.
    names : sequence of str
        The species, in the order wanted.
    counts : sequence of int
        Molecules of each; the table holds sums over them.

    Returns
    -------
    lag : array (lags,)
        Lag times [s].
    msd : array (lags, species)
        <|dr|^2> per molecule, the factor 6 put back [m^2].

    Raises
    ------
    InputError
        As :func:`read_octp`.
    """
    path = Path(path)
    header, rows = _table(path)
    for name in names:
        if f"MSD__{name}" not in header:
            raise InputError(f"{path.name}: no column for species {name}; columns are {', '.join(header[1:])}")
    lag, first = _lags(path, rows)
    columns = [header.index(f"MSD__{name}") for name in names]
    return lag, 6e-20 * rows[first][:, columns] / np.asarray(counts, dtype=float)


def fit_slopes(tables: Sequence[MeanDisplacements], window: tuple[float, float] | None = None) -> MeanSlopes:
    """Slopes of all pairs over one window, by straight lines through each run's curves.

    Without `window` it starts at the first lag from which every pair's local exponent (of the curves averaged over the
    runs) is within 10 % of 1, and ends where the scatter of the runs' slopes is smallest. A slope of a line with an
    intercept is used, so the short-time offset does not enter.

    Parameters
    ----------
    tables : sequence of MeanDisplacements
        The runs.
    window : tuple of float, optional
        First and last lag [s].

    Returns
    -------
    MeanSlopes

    Raises
    ------
    InputError
        Runs of different species or lags, or no window that is linear.
    """
    if not tables:
        raise InputError("no OCTP table given; at least one run is needed")
    lag, names = tables[0].lag, tables[0].names
    for number, table in enumerate(tables[1:], start=1):
        if table.names != names or table.lag.shape != lag.shape or np.any(np.abs(table.lag / lag - 1) > 1e-9):
            raise InputError(f"OCTP table {number} has other species or lags than table 0")
    curves = np.stack([table.curves for table in tables])
    first, last = _window(lag, curves, window)
    inside = slice(first, last + 1)
    runs = _slopes(lag[inside], curves[:, inside])
    mean = curves.mean(axis=0)[inside]
    logs = np.log(np.abs(mean)).reshape(last - first + 1, -1)
    exponent = np.polynomial.polynomial.polyfit(np.log(lag[inside]), logs, 1)
    spread = runs.std(axis=0, ddof=1) if len(tables) > 1 else np.full(runs.shape[1:], np.nan)
    ends = float(lag[first]), float(lag[last])
    return MeanSlopes(names, runs.mean(axis=0), spread, runs, ends, exponent[1].reshape(len(names), len(names)))


def _window(lag: Array, curves: Array, window: tuple[float, float] | None) -> tuple[int, int]:
    if window is not None:
        inside = np.flatnonzero((lag >= window[0] * (1 - 1e-9)) & (lag <= window[1] * (1 + 1e-9)))
        if inside.size < MIN_LAGS:
            raise InputError(
                f"window {window[0]:.3g} to {window[1]:.3g} s holds {inside.size} lags of the table, at least "
                f"{MIN_LAGS} are needed"
            )
        return int(inside[0]), int(inside[-1])
    mean = np.abs(curves.mean(axis=0)).reshape(lag.size, -1)
    # local exponent over half a decade, by a line in the logarithms
    near = np.array([[*_near(lag, k)] for k in range(lag.size)])
    beta = np.array([np.polyfit(np.log(lag[a:b]), np.log(mean[a:b]), 1)[0] for a, b in near])
    good = np.all(np.abs(beta - 1) <= EXPONENT_TOLERANCE, axis=1)
    starts = [k for k in range(lag.size - MIN_LAGS) if good[k : k + MIN_LAGS].all()]
    if not starts:
        raise InputError(
            f"no stretch of {MIN_LAGS} lags where every pair grows linearly (local exponent within 10 % of 1): run "
            f"longer, or give window"
        )
    first = starts[0]
    ends = [k for k in range(first + MIN_LAGS - 1, lag.size) if lag[k] >= 2 * lag[first]] or [lag.size - 1]
    if curves.shape[0] == 1:
        return first, ends[0]
    scatter = []
    for last in ends:
        runs = _slopes(lag[first : last + 1], curves[:, first : last + 1])
        scatter.append(np.trace(runs, axis1=1, axis2=2).std(ddof=1))
    return first, ends[int(np.argmin(scatter))]


def _near(lag: Array, k: int) -> tuple[int, int]:
    half = 10**0.25
    a, b = np.searchsorted(lag, [lag[k] / half, lag[k] * half * (1 + 1e-9)])
    return (int(a), int(b)) if b - a >= 3 else (max(0, min(k - 1, lag.size - 3)), max(3, min(k + 2, lag.size)))


def _slopes(lag: Array, curves: Array) -> Array:
    centred = lag - lag.mean()
    out: Array = np.einsum("t,rtij->rij", centred, curves) / float(centred @ centred)
    return out


def _table(path: Path) -> tuple[list[str], Array]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read as a text table") from error
    header = next((line.lstrip("#").split() for line in lines if line.lstrip("#").split()[:1] == ["Time"]), None)
    if header is None or len(header) < 2 or not header[1].startswith("MSD__"):
        raise InputError(f'{path.name}: no header line "#Time MSD__a_b ..."; this is not an OCTP table')
    rows = []
    for number, line in enumerate(lines, start=1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        try:
            row = [float(word) for word in line.split()]
        except ValueError:
            raise InputError(f"{path.name}: line {number} is not a row of numbers") from None
        if len(row) != len(header) or not np.all(np.isfinite(row)):
            raise InputError(f"{path.name}: line {number} does not hold {len(header)} finite numbers")
        rows.append(row)
    if len(rows) < MIN_LAGS:
        raise InputError(f"{path.name}: {len(rows)} lags are too few; at least {MIN_LAGS} are needed")
    return header, np.array(rows)


def _lags(path: Path, rows: Array) -> tuple[Array, NDArray[np.int64]]:
    """Lags [s] and the rows to use: where groups of lags meet, the row of the finer group."""
    time = rows[:, 0]
    if np.any(np.diff(time) < 0) or time[0] <= 0:
        raise InputError(f"{path.name}: lag times must be positive and increase")
    first = np.flatnonzero(np.concatenate([[True], np.diff(time) > 0]))
    return time[first] * 1e-15, first
