"""Free energy across a barrier from umbrella windows: WINDOWS.toml, MBAR (extra ``umbrella``), errors, figure.

Each window is a run in which a harmonic potential holds the ion near a place, w_k(z) = spring (z - centre)^2 / 2. The
multistate Bennett acceptance ratio gives every sample of all windows its weight in the run without such a potential,

    W_n ~ 1 / sum_k N_k exp(f_k - w_k(z_n)/(k_B T)),

with f_k the free energies of the windows; it is WHAM for bins of no width. pymbar solves for f_k.

References
----------
Shirts & Chodera, J. Chem. Phys. 129, 124105 (2008), doi:10.1063/1.2978177, Eqs. 9 and 11; overlap of windows:
Klimovich, Shirts & Mobley, J. Comput.-Aided Mol. Des. 29, 397 (2015), doi:10.1007/s10822-015-9840-9.
"""

from __future__ import annotations

import logging
import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.special import logsumexp

from cellsim.base import N_A, Array, InputError, factor_to_si, k_B, to_si
from cellsim.drawing.figstyle import COLOURS, TWO_COLUMNS, drawing, label, shades
from cellsim.files.reading import read_bytes
from cellsim.files.schema import Table, read_toml
from cellsim.files.writing import Rows, plain
from mdcoeffs.analysis import columns
from mdcoeffs.frames.snapshot import ANGSTROM
from mdcoeffs.interface.free_energy import fit_parabola
from mdcoeffs.statistics.blocks import Averaged, average

if TYPE_CHECKING:
    import xarray as xr

KEYS = ("title", "temperature", "bin", "column", "unit", "skip", "well", "top", "window")
WINDOW_KEYS = ("file", "centre", "spring")
BLOCKS = 16
"""Parts in time that errors are taken from; each is left out of all windows once [1]."""
OVERLAP = 0.03
"""Least overlap of neighbouring windows that makes their free energies comparable [1] (Klimovich et al.)."""
FAR = 100.0
"""Energy in the window's own potential, over k_B T, that no sample of a run has [1]."""


@dataclass(frozen=True, eq=False)
class Window:
    """One window.

    Parameters
    ----------
    z : array (samples,)
        Where the ion was, in the order of time [m].
    centre : float
        Of the potential that holds it [m].
    spring : float
        Force constant of ``spring (z - centre)^2 / 2`` [J/m^2].
    """

    z: Array
    centre: float
    spring: float


@dataclass(frozen=True, eq=False)
class Umbrella:
    """A WINDOWS.toml, read.

    Parameters
    ----------
    title : str
        Of the figure.
    T : float
        Temperature of all windows [K].
    windows : tuple of Window
        By their centres.
    width : float
        Of the bins of F(z) [m].
    well, top : tuple of float, optional
        Ranges of the parabolas of the barrier [m].
    """

    title: str
    T: float
    windows: tuple[Window, ...]
    width: float
    well: tuple[float, float] | None = None
    top: tuple[float, float] | None = None


def read_umbrella(path: str | Path) -> Umbrella:
    """Read a WINDOWS.toml and the columns that it names.

    Parameters
    ----------
    path : str or Path
        The file; paths in it are relative to it.

    Returns
    -------
    Umbrella

    Raises
    ------
    InputError
        Unknown or missing keys, files without such a column, fewer than two windows.
    """
    top = read_toml(path)
    top.only(*KEYS)
    tables = top.tables("window")
    if len(tables) < 2:
        raise InputError(f"{top.file}: {len(tables)} [[window]]; a free energy across windows needs two at least")
    column, skip = top.integer("column", 2, least=1), top.integer("skip", 0, least=0)
    factor = factor_to_si(top.string("unit", "angstrom"), "m", field=top.where("unit"))
    windows = [_window(table, column, skip, factor) for table in tables]
    if ("well" in top) != ("top" in top):
        raise top.error("well" if "well" in top else "top", "stands alone; a barrier needs both well and top")
    T = top.quantity("temperature", "K", above=0)
    for window, table in zip(windows, tables, strict=True):
        reach = np.sqrt(2.0 * FAR * k_B * T / window.spring)
        if not float(np.median(np.abs(window.z - window.centre))) < reach:
            raise table.error(
                "file",
                f"has half of its samples more than {FAR:g} k_B T up the spring; file, unit, centre, spring or "
                "temperature is not that of the run",
            )
    return Umbrella(
        title=top.string("title", top.file.stem),
        T=T,
        windows=tuple(sorted(windows, key=lambda window: window.centre)),
        width=top.quantity("bin", "m", 2e-11, above=0),
        well=_pair(top, "well"),
        top=_pair(top, "top"),
    )


def _pair(table: Table, key: str) -> tuple[float, float] | None:
    if key not in table:
        return None
    pair = table.quantities(key, "m")
    if len(pair) != 2 or not pair[0] < pair[1]:
        raise table.error(key, 'must be two increasing places, for example ["26 angstrom", "31 angstrom"]')
    return pair[0], pair[1]


def _window(table: Table, column: int, skip: int, factor: float) -> Window:
    table.only(*WINDOW_KEYS)
    path, text = table.path("file"), table.string("spring")
    try:
        spring = to_si(text, "J/m^2", field=table.where("spring"))
    except InputError:  # programs of molecular dynamics state it per mole
        spring = to_si(text, "J/mol/m^2", field=table.where("spring")) / N_A
    if not spring > 0:
        raise table.error("spring", "must be positive")
    rows = []
    for number, line in enumerate(read_bytes(path).decode("utf-8", errors="replace").splitlines(), 1):
        cells = line.replace(",", " ").split()
        if not cells or cells[0][0] in "#@;":
            continue
        try:
            rows.append(float(cells[column - 1]))
        except (ValueError, IndexError):
            raise InputError(f"{path}: line {number} has no number in column {column}: {line.strip()[:60]!r}") from None
    z = factor * np.array(rows[skip:])
    if z.size < BLOCKS or not np.all(np.isfinite(z)):
        raise InputError(f"{path}: {z.size} samples after skip = {skip}; {BLOCKS} finite ones at least are needed")
    return Window(z, table.quantity("centre", "m"), spring)


@dataclass(frozen=True, eq=False)
class UmbrellaResult:
    """A free energy along z from windows.

    Parameters
    ----------
    umbrella : Umbrella
        What was given.
    z : array (bins,)
        Middles of the bins [m].
    F : Averaged
        Over k_B, zero in the bin that has most samples (bins,) [K].
    barrier : Averaged, optional
        Barrier over k_B [K], curvature of the well [J/m^2], places of well and top [m].
    overlap : array (windows - 1,)
        Of neighbouring windows [1].
    notes : tuple of str
        What the user must know.
    """

    umbrella: Umbrella
    z: Array
    F: Averaged
    barrier: Averaged | None
    overlap: Array
    notes: tuple[str, ...]

    def numbers(self) -> dict[str, Any]:
        """What ``summary.json`` holds."""
        barrier = None
        if self.barrier is not None:
            names = ("barrier_K", "k", "z_well", "z_top")
            barrier = {name: self.barrier[k].numbers() for k, name in enumerate(names)}
        numbers = {
            "title": self.umbrella.title,
            "temperature": self.umbrella.T,
            "windows": [{"centre": w.centre, "spring": w.spring, "samples": w.z.size} for w in self.umbrella.windows],
            "overlap": self.overlap,
            "barrier": barrier,
            "notes": self.notes,
        }
        ready: dict[str, Any] = plain(numbers)
        return ready

    def lines(self) -> list[str]:
        """The result in words."""
        windows = self.umbrella.windows
        text = [f"{self.umbrella.title}: {len(windows)} windows at {self.umbrella.T:g} K"]
        text.append(f"  least overlap of neighbours {self.overlap.min():.2g}")
        if self.barrier is not None:
            value, (low, high) = float(self.barrier.value[0]), self.barrier[0].interval()
            well, top = self.barrier.value[2:] / ANGSTROM
            text.append(f"  barrier {value:.4g} K ({low:.4g} to {high:.4g}) from z = {well:.2f} to {top:.2f} angstrom")
        return text + [f"  note: {note}" for note in self.notes]

    def dataset(self) -> xr.Dataset:
        """F and its standard error along z."""
        import xarray as xr

        units = {"units": "K", "long_name": "free energy over k_B"}
        variables = {"F": ("z", self.F.value, units), "F_error": ("z", self.F.error, {"units": "K"})}
        return xr.Dataset(variables, {"z": ("z", self.z, {"units": "m"})}, {"T": self.umbrella.T})

    def tables(self) -> dict[str, Rows]:
        """F along z."""
        named = {"z_angstrom": self.z / ANGSTROM, "F_K": self.F.value, "F_standard_error_K": self.F.error}
        return {"profile.csv": columns(named, ".8g")}

    def draw(self, path: Path) -> Path:
        """F(z) with its 95 % band, and how often each window was where."""
        u = self.umbrella
        note = "Band: 95 %, from parts of the windows left out in turn. Right: samples of each window."
        with drawing(path, 1, 2, title=u.title, note=note, width=TWO_COLUMNS, height=2.4) as (_, axes):
            low, high = self.F.interval()
            z = self.z / ANGSTROM
            axes[0].fill_between(z, low, high, color=COLOURS[0], alpha=0.25, linewidth=0)
            axes[0].plot(z, self.F.value, color=COLOURS[0], linewidth=1.0)
            axes[0].set_xlabel(label("$z$", "Å"))
            axes[0].set_ylabel(label("$F/k_B$", "K", "free energy"))
            edges = np.append(self.z - 0.5 * u.width, self.z[-1] + 0.5 * u.width)
            for window, colour in zip(u.windows, shades(len(u.windows)), strict=True):
                axes[1].stairs(np.histogram(window.z, edges)[0], edges / ANGSTROM, color=colour, linewidth=0.8)
            axes[1].set_xlabel(label("$z$", "Å"))
            axes[1].set_ylabel("samples in a bin")
        return path


def analyse_umbrella(umbrella: Umbrella) -> UmbrellaResult:
    """The free energy along z, and the barrier.

    Parameters
    ----------
    umbrella : Umbrella
        As :func:`read_umbrella` gives it.

    Returns
    -------
    UmbrellaResult

    Raises
    ------
    InputError
        pymbar is not installed, or windows that do not overlap at all.
    """
    low = min(window.z.min() for window in umbrella.windows)
    high = max(window.z.max() for window in umbrella.windows)
    first, last = math.floor(low / umbrella.width), math.ceil(high / umbrella.width)
    edges = umbrella.width * np.arange(first, max(last, first + 1) + 1)
    if edges.size > 100_001:
        raise InputError(f"bin = {umbrella.width * 1e10:g} angstrom makes {edges.size - 1} bins; take wider ones")
    z, notes = 0.5 * (edges[1:] + edges[:-1]), []
    rho, f, overlap = _weights(umbrella.windows, edges, umbrella.T, None)
    weak = [k for k in range(overlap.size) if overlap[k] < OVERLAP]
    if weak:
        pairs = ", ".join(
            f"{umbrella.windows[k].centre / ANGSTROM:.4g} and {umbrella.windows[k + 1].centre / ANGSTROM:.4g}"
            for k in weak
        )
        notes.append(
            f"windows at {pairs} angstrom hardly overlap (below {OVERLAP:g}): F between them is not known well; add "
            "windows, or weaken their springs"
        )
    left = []
    for part in range(BLOCKS):
        kept = [replace(w, z=np.concatenate(_without(w.z, part))) for w in umbrella.windows]
        left.append(_weights(kept, edges, umbrella.T, f)[0])

    # where most samples are: errors of F are those of differences from there, so a bin of few would spoil them all
    zero = int(np.argmax(np.histogram(np.concatenate([window.z for window in umbrella.windows]), edges)[0]))

    def curve(density: Array) -> Array:
        with np.errstate(divide="ignore"):
            return np.asarray(-umbrella.T * np.log(density / density[zero]))

    F = _leave_out(curve, rho, left)
    barrier = None
    if umbrella.well is not None and umbrella.top is not None:
        well, top = ((z >= a) & (z <= b) for a, b in (umbrella.well, umbrella.top))

        def numbers(density: Array) -> Array:
            whole = np.where(density > 0, curve(density), 0.0)
            bottom, summit = (fit_parabola(z[part], whole[part], density[part] > 0) for part in (well, top))
            return np.array([summit.height - bottom.height, bottom.k, bottom.z0, summit.z0])

        barrier = _leave_out(numbers, rho, left)
        if not np.isfinite(barrier.value).all():
            raise InputError(
                "no barrier: well and top need three bins each that samples are in; take wider ranges or narrower bins"
            )
        for name, place, (a, b) in (("well", 2, umbrella.well), ("top", 3, umbrella.top)):
            if not a <= barrier.value[place] <= b:
                notes.append(f"the vertex of the {name} lies outside the range it was fitted in")
    return UmbrellaResult(umbrella, z, F, barrier, overlap, tuple(notes))


def _without(z: Array, part: int) -> list[Array]:
    return [piece for k, piece in enumerate(np.array_split(z, BLOCKS)) if k != part]


def _leave_out(function: Any, whole: Array, left: Sequence[Array]) -> Averaged:
    """A function of the density with the error of the jackknife; infinite values stay without one."""
    value = function(whole)
    with np.errstate(invalid="ignore"):
        pseudo = np.array([len(left) * value - (len(left) - 1) * function(each) for each in left])
    averaged = average([np.where(np.isfinite(pseudo), pseudo, 0.0)])
    known = np.isfinite(pseudo).all(axis=0)
    return Averaged(value, np.where(known, averaged.error, np.nan), averaged.blocks, averaged.settled & known)


def _weights(windows: Sequence[Window], edges: Array, T: float, start: Array | None) -> tuple[Array, Array, Array]:
    """Density of the run without windows, per bin; free energies of the windows; overlap of neighbours."""
    logging.getLogger("pymbar").setLevel(logging.ERROR)  # it praises another library at length
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            from pymbar import MBAR
            from pymbar.utils import ParameterError
    except ImportError as error:
        raise InputError("umbrella windows need pymbar; install the extra, pip install 'cellsim[umbrella]'") from error
    z, count = np.concatenate([window.z for window in windows]), np.array([window.z.size for window in windows])
    u = np.array([0.5 * w.spring * (z - w.centre) ** 2 / (k_B * T) for w in windows])
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            mbar = MBAR(u, count, initial_f_k=start)
            f = np.asarray(mbar.f_k, dtype=float)
            overlap = np.diag(mbar.compute_overlap()["matrix"], 1) if start is None else np.zeros(0)
    except (ParameterError, np.linalg.LinAlgError, FloatingPointError, ValueError) as error:
        raise InputError(
            f"the free energies of the windows cannot be found ({type(error).__name__}); they do not overlap, or "
            "centres and springs are not those of the runs"
        ) from error
    log_weight = -logsumexp(f[:, None] - u + np.log(count)[:, None], axis=0)
    weight = np.exp(log_weight - logsumexp(log_weight))
    return np.histogram(z, edges, weights=weight)[0], f, np.asarray(overlap, dtype=float)
