"""Cases compared with the same data: numbers (JSON), lines for the terminal, figures, one HTML page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cellsim.base import Array, InputError
from cellsim.compare.comparison import SAME_PLACE, Compared, Comparison, check_origins, compare, passes_zero
from cellsim.compare.figures import FIGURES, draw_residuals, write_comparison_figures
from cellsim.drawing import page
from cellsim.electrolyte.mixture_set import short_sum
from cellsim.files.folder import result_folder
from cellsim.files.writing import write_json, write_text
from cellsim.instruments.data import read_measurements
from cellsim.instruments.measurement import QUANTITIES
from cellsim.instruments.records import not_imposed
from cellsim.run.case import Case
from cellsim.run.folder import predict, read_run
from cellsim.run.mixture import MixtureCase, read_case, read_kept
from cellsim.solvers.solution import Solution

if TYPE_CHECKING:
    import xarray as xr

REPORT, NUMBERS = "comparison.html", "comparison.json"

_HEAD = ("data", "kind", "points", "mean residual", "rms residual", "unit", "chi² per point", "ratio, mean ± sd")
_NUMERIC = (2, 3, 4, 6, 7)
_RATIO_HEAD = ("position (mm)", "velocity measured/predicted", "the published way", "")


@dataclass(frozen=True)
class Wanted:
    """What a user may choose.

    Parameters
    ----------
    left_out : tuple of float
        Positions kept out of mean and spread of the velocity ratios, from the case's origin [m].
    window : tuple of float, optional
        Time over which velocity ratios are averaged [s].
    profile_time : float, optional
        When the symmetry of the profile is judged [s].
    """

    left_out: tuple[float, ...] = ()
    window: tuple[float, float] | None = None
    profile_time: float | None = None


def compare_case(path: str | Path, data: Sequence[str | Path], wanted: Wanted = Wanted()) -> Comparison:
    """Predict a case (or take a run that is kept) and compare it with data files and its own [[measured]] tables.

    Parameters
    ----------
    path : str or Path
        A case, or the folder of a run.
    data : sequence of str or Path
        Data files and data sheets.
    wanted : Wanted
        Choices.

    Returns
    -------
    Comparison

    Raises
    ------
    InputError
        Bad input, before anything is run where that can be known.
    """
    path = Path(path)
    case: Case | MixtureCase
    finished: Solution | None = None
    if path.is_dir():
        case, finished = read_kept(path) or read_run(path)
    else:
        case = read_case(path)
    read = [m for name in data for m in read_measurements(name, case.setup)]
    if not read and not case.measured and all(step.measured_other is None for step in case.protocol.steps):
        raise InputError(f"{path}: there is nothing to compare with; name data files, or give the case [[measured]]")
    origin = case.setup.origin
    places = [x + origin for x in wanted.left_out]
    known = {float(x) for m in read if m.kind == "velocity" and m.position is not None for x in m.position}
    for x in places:
        if not any(abs(x - k) < SAME_PLACE for k in known):
            listed = ", ".join(f"{1e3 * (k - origin):g} mm" for k in sorted(known)) or "none"
            raise InputError(f"--leave-out {1e3 * (x - origin):g} mm: no velocity was measured there (at: {listed})")
    solution = finished or predict(case)
    measurements = [*read, *case.measured, *not_imposed(case.protocol, solution)]
    choices = {"left_out": places, "window": wanted.window, "profile_time": wanted.profile_time}
    return compare(case, solution, measurements, **choices)  # type: ignore[arg-type]


@dataclass(frozen=True)
class ComparisonResult:
    """Comparisons of several cases with the same data, a :class:`.Result` like any other.

    Parameters
    ----------
    comparisons : tuple of Comparison
        One per case.
    title : str
        Of page and figures; default the title of the one case.
    note : str
        Said at the top of the page and under every figure.

    Raises
    ------
    InputError
        Cases that count the positions of one file from different origins.
    """

    comparisons: tuple[Comparison, ...]
    title: str = ""
    note: str = ""

    def __post_init__(self) -> None:
        check_origins(self.comparisons)

    def lines(self) -> list[str]:
        """What the terminal shows."""
        return [line for comparison in self.comparisons for line in _lines(comparison)]

    def numbers(self) -> list[dict[str, Any]]:
        """What comparison.json holds, one entry for each case: SI numbers, None where a number does not exist."""
        return [_numbers(comparison) for comparison in self.comparisons]

    def dataset(self) -> xr.Dataset:
        """Every point of the data with the prediction of every case; points no case predicts are NaN there."""
        import xarray as xr

        items = self.comparisons[0].items
        gaps = [np.full(item.measurement.size, np.nan) for item in items]
        columns = {
            "measurement": [np.full(item.measurement.size, item.measurement.label) for item in items],
            "kind": [np.full(item.measurement.size, item.measurement.kind) for item in items],
            "time": [item.measurement.time for item in items],
            "position": [g if (x := i.measurement.position) is None else x for i, g in zip(items, gaps, strict=True)],
            "measured": [item.measured for item in items],
            "error": [g if item.error is None else item.error for item, g in zip(items, gaps, strict=True)],
        }
        variables: dict[str, Any] = {name: ("point", np.concatenate(values)) for name, values in columns.items()}
        predicted = [np.concatenate([item.predicted for item in c.items]) for c in self.comparisons]
        variables["predicted"] = (("case", "point"), np.array(predicted))
        return xr.Dataset(variables, {"case": [c.case.title for c in self.comparisons]}, {"title": self.heading})

    @property
    def heading(self) -> str:
        """Above the page."""
        if self.title:
            return self.title
        one = len(self.comparisons) == 1
        return f"Measured and predicted: {self.comparisons[0].case.title}" if one else "Measured and predicted"

    def draw(self, path: str | Path) -> Path:
        """Residuals of everything that was measured."""
        return draw_residuals(self.comparisons, path, title=self.title, note=self.note)

    def figures(self, directory: Path) -> list[Path]:
        """All figures that the data allow."""
        return write_comparison_figures(self.comparisons, directory, title=self.title, note=self.note)

    def page(self, drawn: Sequence[Path]) -> str:
        """The same as one HTML page with the figures `drawn`."""
        warnings = [self.note] if self.note else []
        for c in self.comparisons:
            transport, solution = c.case.transport, c.solution
            if transport.status != "measured":
                warnings.append(f"Transport set {transport.name}: {transport.status}. {transport.note}")
            if not solution.succeeded:
                warnings.append(f"The run of {c.case.title} ended early ({solution.status}): {solution.message}")
        return page.report(
            self.heading,
            page.paragraph("Nothing was fitted: the prediction is that of the case without changes."),
            *(_section(comparison) for comparison in self.comparisons),
            warnings=warnings,
            drawn=drawn,
            sources=[(f"Case: {c.case.title}", c.case.text) for c in self.comparisons],
            width=30 if len(self.comparisons) == 1 else 52,
        )


def write_comparison(result: ComparisonResult, directory: str | Path) -> list[Path]:
    """Write figures, ``comparison.json`` and ``comparison.html`` into a folder, all or nothing.

    Parameters
    ----------
    result : ComparisonResult
        What was found.
    directory : str or Path
        Made if it is not there.

    Returns
    -------
    list of Path
        The files written, the page last.
    """
    directory = Path(directory)
    with result_folder(directory, last=NUMBERS, stale=(*FIGURES, REPORT)) as fresh:
        drawn = result.figures(fresh)
        numbers, text = write_json(fresh / NUMBERS, result.numbers()), write_text(fresh / REPORT, result.page(drawn))
    return [directory / path.name for path in (*drawn, numbers, text)]


# ---- one case -------------------------------------------------------------------------------------------------------


def _row(item: Compared) -> tuple[str, ...]:
    """One measurement in the columns of the table."""
    kind, chi2 = item.measurement.kind, item.chi2
    scale, unit = (1e10, "Å/s") if kind == "velocity" else (1.0, QUANTITIES[kind].unit)
    return (
        item.measurement.label + _of_species(item),
        kind,
        str(item.count),
        f"{scale * item.bias:+.4g}",
        f"{scale * item.rms:.4g}",
        unit,
        "" if chi2 is None else f"{chi2:.3g}",
        _ratio(item.ratio[np.isfinite(item.ratio)]),
    )


def _ratio(ratio: Array) -> str:
    """Mean and spread; one point has no spread, and where the ratio passes zero there is neither."""
    if ratio.size < 2:
        return f"{ratio[0]:.3f}" if ratio.size else ""
    return "undefined (passes zero)" if passes_zero(ratio) else f"{ratio.mean():.3f} ± {ratio.std():.3f}"


def _of_species(item: Compared) -> str:
    """Of n components: whose concentration or velocity it is, behind the name of the data."""
    species = item.measurement.species
    return f", {item.measurement.quantity[0]} of {short_sum(species)}" if species else ""


def _lines(comparison: Comparison) -> list[str]:
    case = comparison.case
    lines = [f"{case.title} (set {case.transport.name}, {case.transport.status}); nothing fitted"]
    for item in comparison.items:
        label, kind, count, _, rms, unit, chi2, ratio = _row(item)
        chi2 = f", chi^2 per point {chi2}" if chi2 else ""
        points = "1 point" if item.count == 1 else f"{count} points"
        lines.append(f"  {kind:9s} {label}: {points}, rms {rms} {unit}{chi2}, ratio {ratio}")
        lines += [f"            {note}" for note in item.notes]
    return lines + [f"  {merit.text}" for merit in comparison.merits]


def _numbers(comparison: Comparison) -> dict[str, Any]:
    return {
        "title": comparison.case.title,
        "transport": comparison.case.transport.name,
        "transport_status": comparison.case.transport.status,
        "status": comparison.solution.status,
        "data": [
            {
                "label": item.measurement.label,
                "kind": item.measurement.kind,
                "quantity": item.measurement.quantity,
                "unit": QUANTITIES[item.measurement.kind].unit,
                "points": item.count,
                "bias": item.bias,
                "rms": item.rms,
                "chi2_per_point": item.chi2,
                "notes": item.notes,
            }
            for item in comparison.items
        ],
        "merits": [vars(merit) for merit in comparison.merits],
        "velocity_ratios": [vars(ratio) for ratio in comparison.ratios],
    }


def _section(comparison: Comparison) -> str:
    notes = [f"{item.measurement.label}: {note}" for item in comparison.items for note in item.notes]
    merits = page.bullets([merit.text for merit in comparison.merits])
    about = (
        f"Set {comparison.case.transport.name}. Residual: measured minus predicted. Ratio: predicted/measured of "
        "currents and voltages, measured/predicted of the rest."
    )
    return (
        page.heading(comparison.case.title)
        + page.paragraph(about)
        + page.table(_HEAD, [_row(item) for item in comparison.items], numeric=_NUMERIC)
        + page.bullets(notes)
        + (page.heading("Figures of merit") + merits if merits else "")
        + _positions(comparison)
    )


def _positions(comparison: Comparison) -> str:
    if not comparison.ratios:
        return ""
    rows = [
        (
            f"{1e3 * (r.position - comparison.case.setup.origin):+.2f}",
            f"{r.ratio:.3f} ± {r.error:.3f}",
            f"{r.published:.3f}" if r.published != r.ratio else "",
            "left out" if r.left_out else "",
        )
        for r in comparison.ratios
    ]
    return page.table(_RATIO_HEAD, rows, numeric=(0, 1, 2))
