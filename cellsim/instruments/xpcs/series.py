"""Many series of correlation functions, each with its place and time, to velocities that `compare` and `fit` read.

A list (docs/xpcs.md) names the files; every series is fitted by :func:`.fit_velocity`. A speed that is not told from
rest is written as 0 with a standard error of its upper limit over 1.96, so that nothing is lost and nothing is claimed.
Beside it xpcs.nc keeps the profile likelihood of every speed, with which a comparison or a fit uses the correlation
functions themselves (:mod:`.likelihood`); it may also name the list and have the series fitted on the spot.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from cellsim.base import Array, CellsimError, InputError, Progress, to_si
from cellsim.drawing import figstyle, page
from cellsim.files.folder import result_folder
from cellsim.files.schema import Table, read_toml
from cellsim.files.writing import write_json, write_netcdf, write_rows, write_text
from cellsim.instruments.xpcs.correlation import CorrelationSet
from cellsim.instruments.xpcs.files import read_xpcs
from cellsim.instruments.xpcs.fit import ANGSTROM, VelocityFit, fit_velocity
from cellsim.instruments.xpcs.likelihood import Speeds, padded
from cellsim.instruments.xpcs.window import master_curve
from cellsim.workers import mapped

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes

logger = logging.getLogger(__name__)

TO_SD = 1.96
"""95 % upper limit of half a normal distribution's two-sided interval over its standard deviation."""
SHOWN = 6
"""Series drawn curve by curve."""
TABLE, NUMBERS, REPORT = "velocities.csv", "xpcs.json", "xpcs.html"
FIGURES = ("velocities.png", "curves.png")


@dataclass(frozen=True)
class Series:
    """A file of correlation functions and where and when it was measured.

    Parameters
    ----------
    file : Path
        See :func:`.read_xpcs`.
    position : float
        In the coordinate of the list [m]; NaN where it is not stated.
    time : float
        Of the middle of the series, from the start of the polarisation [s]; NaN where it is not stated.
    """

    file: Path
    position: float = np.nan
    time: float = np.nan


@dataclass(frozen=True)
class SeriesList:
    """What is to be fitted, and how.

    Parameters
    ----------
    title : str
        For figures.
    series : tuple of Series
        At least one.
    velocity_axis : float
        Azimuth of the velocity on the detector [rad].
    sector : float, optional
        Width of the averages over azimuth [rad].
    options : tuple of (str, object)
        Of :func:`.fit_velocity`.
    text : str
        The list verbatim, "" where the files were named one by one.
    """

    title: str
    series: tuple[Series, ...]
    velocity_axis: float = 0.0
    sector: float | None = None
    options: tuple[tuple[str, Any], ...] = ()
    text: str = ""

    def fit(self, series: Series) -> VelocityFit:
        """One series read and fitted."""
        return fit_velocity(self.read(series), **dict(self.options), likelihood=True)

    def read(self, series: Series) -> CorrelationSet:
        """The curves of one series."""
        return read_xpcs(series.file, velocity_axis=self.velocity_axis, sector=self.sector)


_LEVELS = ("curve", "ring", "all")


def read_list(paths: Sequence[str | Path]) -> SeriesList:
    """A list file, or the files of correlation functions themselves.

    Parameters
    ----------
    paths : sequence of str or Path
        One TOML list with ``[[series]]`` tables, or files as :func:`.read_xpcs` takes them.

    Returns
    -------
    SeriesList

    Raises
    ------
    InputError
        Anything unknown or missing in the list, a file that is not there, two series at one place and time.
    """
    files = [Path(path) for path in paths]
    if not files:
        raise InputError("xpcs: name a list or files of correlation functions")
    lists = [file for file in files if file.suffix.lower() == ".toml"]
    if not lists:
        for file in files:
            if not file.is_file():
                raise InputError(f"{file}: no such file")
        return SeriesList(files[0].stem, tuple(Series(file) for file in files))
    if len(files) > 1:
        raise InputError(f"{lists[0]}: a list cannot be combined with other files; name them in the list")
    return list_of(read_toml(lists[0]))


def list_of(top: Table, *others: str) -> SeriesList:
    """A list that was read already.

    Parameters
    ----------
    top : Table
        The list.
    *others : str
        Keys that it may have beside its own.

    Raises
    ------
    InputError
        See :func:`read_list`.
    """
    top.only("kind", "title", "velocity_axis", "sector", "errors", "v_max", *_SHARED, "baseline", "series", *others)
    if "kind" in top:
        top.choice("kind", ("xpcs",))
    options: dict[str, Any] = {}
    for key in _SHARED:
        options[key] = top.choice(key, _LEVELS, "ring")
    if "baseline" in top:
        options["baseline"] = top.choice("baseline", _LEVELS)
    options["errors"] = top.choice("errors", ("given", "robust"), "given")
    if "v_max" in top:
        options["v_max"] = top.quantity("v_max", "m/s", above=0)
    series = [_series(table) for table in top.tables("series")]
    if not series:
        raise InputError(f"{top.file}: has no [[series]]; each names its file, position and time")
    seen: dict[tuple[float, float], Path] = {}
    for one in series:
        place = (one.position, one.time)
        if place in seen:
            raise InputError(f"{top.file}: {one.file.name} and {seen[place].name} have the same position and time")
        seen[place] = one.file
    return SeriesList(
        top.string("title", top.file.stem),
        tuple(series),
        top.quantity("velocity_axis", "rad", 0.0),
        top.quantity("sector", "rad", None, above=0),
        tuple(options.items()),
        top.text,
    )


_SHARED = ("contrast", "h", "tau0", "stretch")


def _series(table: Table) -> Series:
    table.only("file", "position", "time")
    return Series(table.path("file"), table.quantity("position", "m"), table.quantity("time", "s", least=0))


def with_place(asked: SeriesList, position: str | None, time: str | None) -> SeriesList:
    """A single file with the position and time that a command line states.

    Raises
    ------
    InputError
        More than one file, or a list that states its own.
    """
    if position is None and time is None:
        return asked
    if asked.text or len(asked.series) > 1:
        raise InputError("xpcs: --position and --time are of a single file; for several write a list (docs/xpcs.md)")
    where = np.nan if position is None else to_si(position, "m", field="--position")
    when = np.nan if time is None else to_si(time, "s", field="--time")
    return SeriesList(asked.title, (Series(asked.series[0].file, where, when),), asked.velocity_axis, asked.sector)


@dataclass(frozen=True)
class SeriesResult:
    """Velocities of all series.

    Parameters
    ----------
    asked : SeriesList
        What was fitted.
    fits : tuple of VelocityFit or None
        None where a series could not be fitted.
    errors : tuple of str
        Why, "" where it could.
    """

    asked: SeriesList
    fits: tuple[VelocityFit | None, ...]
    errors: tuple[str, ...]

    @property
    def failed(self) -> tuple[str, ...]:
        """Of every series that could not be fitted, why."""
        return tuple(error for error in self.errors if error)

    def values(self) -> tuple[Array, Array]:
        """Speeds and standard errors as they are written, NaN where there is none [m/s]."""
        rows = [(np.nan, np.nan) if fit is None else written(fit) for fit in self.fits]
        return np.array([row[0] for row in rows]), np.array([row[1] for row in rows])

    def lines(self) -> list[str]:
        """What the terminal shows: a line per series, then what to look at."""
        lines = []
        for one, fit, error in zip(self.asked.series, self.fits, self.errors, strict=True):
            place = ", ".join(_place(one))
            said = (
                error if fit is None else fit.describe().replace(" g2 is even in v: the sign comes from the model.", "")
            )
            lines.append(f"{one.file.name}{': ' if not place else f' ({place}): '}{said}")
        return [*lines, "g2 is even in v: the sign of a velocity comes from the model."]

    def numbers(self) -> dict[str, Any]:
        """Everything found, as xpcs.json holds it [SI]."""
        rows = []
        for one, fit, error in zip(self.asked.series, self.fits, self.errors, strict=True):
            row: dict[str, Any] = {"file": one.file.name, "position": one.position, "time": one.time, "error": error}
            if fit is not None:
                row |= {
                    "v": fit.v,
                    "standard_error": fit.error,
                    "interval": list(fit.interval),
                    "resolved": fit.resolved,
                    "ambiguous": fit.ambiguous,
                    "upper_limit": fit.upper_limit,
                    "reduced_chi2": fit.reduced_chi2,
                    "p_rest": fit.rest.p_global,
                    "points": fit.points,
                    "parameters": fit.parameters,
                    "warnings": list(fit.warnings),
                }
            rows.append(row)
        return {"title": self.asked.title, "series": rows}

    def table(self) -> list[list[str]]:
        """Rows of velocities.csv: what `cellsim compare` and a fit read, and the interval and verdict beside it."""
        rows = [["time (min)", "position (mm)", "v_0 (angstrom/s)", "error (angstrom/s)"]]
        rows[0] += ["low (angstrom/s)", "high (angstrom/s)", "resolved", "file"]
        for one, fit in zip(self.asked.series, self.fits, strict=True):
            if fit is None or not np.isfinite(one.position + one.time) or not np.isfinite(fit.interval[1]):
                continue
            v, error = written(fit)
            numbers = [one.time / 60, 1e3 * one.position, *(x / ANGSTROM for x in (v, error, *fit.interval))]
            rows.append([*(f"{x:.7g}" for x in numbers), str(int(fit.resolved)), one.file.name])
        return rows

    def speeds(self) -> Speeds:
        """The velocities with their likelihoods, as data of a comparison or a fit."""
        v, error = self.values()
        places = np.array([(one.time, one.position) for one in self.asked.series])
        found = tuple(None if fit is None else fit.likelihood for fit in self.fits)
        warned: dict[str, list[str]] = {}  # the same of many series is said once
        for one, fit in zip(self.asked.series, self.fits, strict=True):
            for warning in () if fit is None or fit.likelihood is None else fit.warnings:
                warned.setdefault(warning, []).append(one.file.name)
        notes = tuple(
            f"{names[0]}{f' and {len(names) - 1} more' if names[1:] else ''}: {said}" for said, names in warned.items()
        )
        return Speeds(places[:, 0], places[:, 1], v, error, found, self.asked.title, notes)

    def dataset(self) -> xr.Dataset:
        """The velocities with units, a series along the dimension ``series``."""
        import xarray as xr

        v, error = self.values()
        nodes, roots = padded(self.speeds().likelihoods)
        table, root = ("series", "node"), {"units": "1", "long_name": "signed root of chi^2 over its minimum"}
        ends = np.array([(np.nan, np.nan) if fit is None else fit.interval for fit in self.fits])
        resolved = np.array([fit is not None and fit.resolved for fit in self.fits])
        of = {"units": "m/s"}
        return xr.Dataset(
            {
                "v_0": ("series", v, of | {"long_name": "speed of the solvent in the lab frame"}),
                "v_0_error": ("series", error, of | {"long_name": "standard error"}),
                "v_0_low": ("series", ends[:, 0], of | {"long_name": "lower end of the 95 % interval"}),
                "v_0_high": ("series", ends[:, 1], of | {"long_name": "upper end of the 95 % interval"}),
                "likelihood_speed": (table, nodes, of | {"long_name": "speeds of the profile likelihood"}),
                "likelihood_root": (table, roots, root),
                "resolved": ("series", resolved.astype(np.int8), {"units": "1", "long_name": "told from rest"}),
                "position": ("series", np.array([s.position for s in self.asked.series]), {"units": "m"}),
                "time": ("series", np.array([s.time for s in self.asked.series]), {"units": "s"}),
            },
            {"file": ("series", [s.file.name for s in self.asked.series])},
            {"title": self.asked.title},
        )

    # ---- figures ----------------------------------------------------------------------------------------------------

    def draw(self, path: str | Path) -> Path:
        """Speeds against time, a colour for each position; or in the order of the files where no time is stated."""
        series = self.asked.series
        time = np.array([one.time for one in series])
        factor, unit = figstyle.time_unit(1.0) if not np.any(np.isfinite(time)) else (1 / 60, "min")
        x = factor * time if np.all(np.isfinite(time)) else np.arange(1.0, len(series) + 1)
        places = np.array([one.position for one in series])
        note = "Arrows: upper limits (95 %), rest is not excluded." if not all(self._resolved()) else ""
        with figstyle.drawing(path, title=self.asked.title, note=note, width=4.6, height=2.6) as (figure, (axes,)):
            known = np.unique(places[np.isfinite(places)])
            colours = figstyle.shades(max(known.size, 1))
            for j, place in enumerate(known if known.size else [np.nan]):
                here = np.flatnonzero(places == place) if known.size else np.arange(len(series))
                label = f"{1e3 * place:.3g} mm" if known.size else None
                self._draw_some(axes, x, here, colours[j], label)
            axes.set_ylim(bottom=0)
            axes.set_xlabel(figstyle.label("$t$", unit) if np.all(np.isfinite(time)) else "file")
            axes.set_ylabel(figstyle.label("$|v_0|$", figstyle.SPEED, "lab"))
            if known.size > 1:
                figure.legend(title="position", loc="outside right upper")
        return Path(path)

    def _resolved(self) -> list[bool]:
        return [fit is not None and fit.resolved for fit in self.fits]

    def _draw_some(self, axes: Axes, x: Array, here: NDArray[np.intp], colour: Any, label: str | None) -> None:
        seen = [k for k in here if (fit := self.fits[k]) is not None and fit.resolved]
        v = self.values()[0][seen] / ANGSTROM
        ends = np.array([fit.interval for k in seen if (fit := self.fits[k])]).reshape(-1, 2) / ANGSTROM
        bars = np.abs(ends - v[:, None]).T
        figstyle.points(axes, x[seen], v, bars, color=colour, label=label)
        for k in here:
            fit = self.fits[k]
            if fit is not None and not fit.resolved and np.isfinite(fit.interval[1]):
                high = fit.interval[1] / ANGSTROM
                axes.annotate("", (x[k], 0.8 * high), (x[k], high), arrowprops={"arrowstyle": "->", "color": colour})
                axes.plot(x[k], high, "_", color=colour, label=None if seen else label)

    def draw_curves(self, path: str | Path) -> Path:
        """Curves of the first series with the joint fit, and all their points collapsed on q cos(azimuth) tau."""
        chosen = [k for k, fit in enumerate(self.fits) if fit is not None][:: max(1, len(self.fits) // SHOWN)][:SHOWN]
        size = {"width": figstyle.TWO_COLUMNS, "height": 1.9}
        with figstyle.drawing(path, max(1, len(chosen)), 2, title=self.asked.title, **size) as (_, axes):
            for row, k in enumerate(chosen):
                fit, one = self.fits[k], self.asked.series[k]
                assert fit is not None
                self._draw_series(axes[2 * row], axes[2 * row + 1], one, fit)
        return Path(path)

    def _draw_series(self, raw: Axes, collapsed: Axes, one: Series, fit: VelocityFit) -> None:
        data = self.asked.read(one)
        middle = np.flatnonzero(data.ring == np.unique(data.ring)[np.unique(data.ring).size // 2])
        curves = middle[np.argsort(np.abs(np.cos(data.azimuth[middle])))][:: max(1, middle.size // 4)][:5]
        shift = 0.4 * float(np.median(fit.contrast))
        fitted = fit.g2(data.tau)
        for j, (n, colour) in enumerate(zip(curves, figstyle.shades(curves.size), strict=True)):
            good = data.usable[n]
            figstyle.points(raw, data.tau[good], data.g2[n, good] + j * shift, data.error[n, good], color=colour)
            label = f"{np.rad2deg(data.azimuth[n]) % 360:.0f}°"
            raw.plot(data.tau, fitted[n] + j * shift, color=colour, label=label)
        raw.set(xscale="log", xlabel="delay $\\tau$ (s)", ylabel=f"$g_2$, shifted by {shift:.2g}")
        raw.legend(loc="upper right", ncols=2)
        raw.set_title(f"{one.file.name}  {', '.join(_place(one))}", loc="left")
        master = master_curve(data, fit)
        if master.path.size < 4:
            return
        path, mean, error = master.binned(np.linspace(0, float(np.quantile(master.path, 0.98)), 60))
        figstyle.points(collapsed, path * ANGSTROM, mean, error)
        dense = np.linspace(0, float(path.max()) if path.size else 1.0, 400)
        collapsed.plot(dense * ANGSTROM, np.cos(fit.v * dense), color=figstyle.COLOURS[1])
        collapsed.set(ylim=(-1.6, 1.6), xlabel="$q\\,|\\cos\\chi|\\,\\tau$ (s Å$^{-1}$)", ylabel="$\\cos\\omega\\tau$")

    def page(self, drawn: Sequence[Path]) -> str:
        """The same as one HTML page."""
        rows = []
        for one, fit, error in zip(self.asked.series, self.fits, self.errors, strict=True):
            if fit is None:
                rows.append([one.file.name, *_cells(one), error, "", "", ""])
                continue
            low, high = (x / ANGSTROM for x in fit.interval)
            speed = f"{fit.v / ANGSTROM:.4g} ± {fit.error / ANGSTROM:.2g}" if fit.resolved else f"below {high:.4g}"
            chi2 = f"{fit.reduced_chi2:.3g}"
            rows.append([one.file.name, *_cells(one), speed, f"{low:.4g} to {high:.4g}", chi2, " ".join(fit.warnings)])
        head = (
            "file",
            "position (mm)",
            "time (min)",
            "|v| (Å/s)",
            "95 % (Å/s)",
            "chi² per degree of freedom",
            "remarks",
        )
        return page.report(
            self.asked.title,
            page.paragraph("Speed of the solvent in the lab frame; g2 tells no sign. Every series by one joint fit."),
            page.table(head, rows, numeric=(1, 2, 3, 4, 5)),
            warnings=self.failed,
            drawn=drawn,
            sources=[("List", self.asked.text)] if self.asked.text else (),
        )


def written(fit: VelocityFit) -> tuple[float, float]:
    """Speed and standard error for a least-squares fit: 0 and the upper limit over 1.96 where rest is not excluded."""
    if fit.resolved:
        return fit.v, fit.error
    return 0.0, fit.upper_limit / TO_SD


def _place(one: Series) -> list[str]:
    named = ((one.position, 1e3, "mm"), (one.time, 1 / 60, "min"))
    return [f"{factor * value:.4g} {unit}" for value, factor, unit in named if np.isfinite(value)]


def _cells(one: Series) -> list[str]:
    named = ((one.position, 1e3), (one.time, 1 / 60))
    return [f"{factor * value:.4g}" if np.isfinite(value) else "" for value, factor in named]


def fit_list(asked: SeriesList, *, workers: int | None = 1, progress: Progress | None = None) -> SeriesResult:
    """Fit all series; one that cannot be read or fitted is reported in its place and stops nobody.

    Parameters
    ----------
    asked : SeriesList
        What to fit.
    workers : int, optional
        Processes.
    progress : callable, optional
        Called with the number done and of all.

    Returns
    -------
    SeriesResult

    Raises
    ------
    InputError
        Not a single series can be fitted; the first one's reason.
    """
    n = len(asked.series)
    fits: list[VelocityFit | None] = [None] * n
    errors = [""] * n
    for done, returned in enumerate(mapped(partial(_fit, asked), asked.series, workers=workers), 1):
        if isinstance(returned.error, Exception) and not isinstance(returned.error, CellsimError):
            raise returned.error
        if returned.error is not None:
            errors[returned.index] = str(returned.error)
        else:
            fits[returned.index] = returned.value
        if progress is not None:
            progress(done, n)
    if not any(fit is not None for fit in fits):
        raise InputError(errors[0])
    return SeriesResult(asked, tuple(fits), tuple(errors))


def _fit(asked: SeriesList, series: Series) -> VelocityFit:
    return asked.fit(series)


def speeds_of(asked: SeriesList) -> Speeds:
    """The speeds of all series of a list with their likelihoods, fitted once as long as the files stay as they are.

    Parameters
    ----------
    asked : SeriesList
        What to fit.

    Returns
    -------
    Speeds

    Raises
    ------
    InputError
        A series that cannot be read or fitted: data of a fit are used whole, or not at all.
    """
    for one in asked.series:
        if not one.file.is_file():
            raise InputError(f"{one.file}: no such file")
    return _speeds_of(asked, tuple((one.file.stat().st_mtime_ns, one.file.stat().st_size) for one in asked.series))


@lru_cache(maxsize=8)
def _speeds_of(asked: SeriesList, state: tuple[tuple[int, int], ...]) -> Speeds:
    """The same, kept while the files have the times and sizes of `state`: a comparison reads its data for each case."""
    logger.info("%s: fitting the correlation functions of %d series, about a second each", asked.title, len(state))
    result = fit_list(asked)
    if result.failed:
        raise InputError(f"{result.failed[0]}; correct it, or remove the series from the list")
    return result.speeds()


def write_series(result: SeriesResult, directory: str | Path) -> list[Path]:
    """Write velocities.csv, xpcs.nc, xpcs.json, figures and a page into a folder, all or nothing.

    Parameters
    ----------
    result : SeriesResult
        What was found.
    directory : str or Path
        Made if it is not there.

    Returns
    -------
    list of Path
        The files, the page last.
    """
    with result_folder(directory, last=NUMBERS, stale=(*FIGURES, TABLE, REPORT)) as fresh:
        drawn = [result.draw(fresh / FIGURES[0]), result.draw_curves(fresh / FIGURES[1])]
        written = [write_netcdf(fresh / "xpcs.nc", result.dataset()), write_json(fresh / NUMBERS, result.numbers())]
        rows = result.table()
        if len(rows) > 1:
            written.append(write_rows(fresh / TABLE, rows))
        written.append(write_text(fresh / REPORT, result.page(drawn)))
    return [Path(directory) / path.name for path in (*drawn, *written)]
