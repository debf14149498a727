"""What an experiment leaves on paper: the quantity read, the truth beside it, and whether its assumptions hold."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cellsim.base import Array
from cellsim.drawing import figstyle
from cellsim.electrolyte.transport import TransportSet
from cellsim.solvers.solution import Solution

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes

    from cellsim.laboratory.bench import AnyBench

ABSOLUTE = ("t_plus", "t_plus_V", "rho_plus")
"""Quantities whose difference is judged as it is, and ``tau_NAME``; all others relative to the truth."""


Panel = Callable[["Axes", Any, "Record"], None]


@dataclass(frozen=True)
class Check:
    """One assumption of a textbook analysis, as a number that must stay below a limit.

    Parameters
    ----------
    what : str
        The number in words.
    value, limit : float
        It and what it may be [1].
    """

    what: str
    value: float
    limit: float

    @property
    def holds(self) -> bool:
        """Whether the assumption is met."""
        return bool(self.value <= self.limit)

    def __str__(self) -> str:
        close = f"{self.value:.2g}" == f"{self.limit:.2g}" and self.value != self.limit
        value = f"{self.value:.4g}" if close else f"{self.value:.2g}"
        return f"{self.what}: {value}, {'within' if self.holds else 'beyond'} {self.limit:.2g}"


@dataclass(frozen=True)
class Reading:
    """One quantity as the textbook analysis gives it.

    Parameters
    ----------
    quantity : str
        ``kappa``, ``D``, ``t_plus``, ``chi``, ``rho_plus``, ``R_int``, ...
    unit : str
        Of the values, SI.
    true, inferred : float
        What the set says at the concentration on the bench, and what the analysis says.
    error : float
        Standard error of `inferred` from the noise of the instruments; 0 without noise.
    method : str
        How it was read, a few words.
    checks : tuple of Check
        The assumptions.
    """

    quantity: str
    unit: str
    true: float
    inferred: float
    error: float = 0.0
    method: str = ""
    checks: tuple[Check, ...] = ()

    @property
    def difference(self) -> float:
        """inferred - true for transference numbers and fractions, otherwise relative to the truth [1]."""
        if self._is_absolute:
            return self.inferred - self.true
        return self.inferred / self.true - 1 if self.true else float("inf")

    @property
    def _is_absolute(self) -> bool:
        return self.quantity in ABSOLUTE or self.quantity.startswith("tau_")

    @property
    def holds(self) -> bool:
        """Whether all assumptions hold."""
        return all(check.holds for check in self.checks)

    @property
    def verdict(self) -> str:
        """One phrase: the assumption holds, or why it fails."""
        broken = [str(check) for check in self.checks if not check.holds]
        return f"fails: {'; '.join(broken)}" if broken else "holds"

    def line(self) -> str:
        """One row of a record's table."""
        unit = "" if self.unit == "1" else self.unit.replace("^2", "²").replace("*", " ").replace("ohm", "Ω")
        error = f" ± {self.error:.1g}" if self.error > 0 else ""
        value = f"{self.inferred:.4g}{error} {unit}".strip()
        of_one = self._is_absolute
        difference = f"{self.difference:+.4f}" if of_one else f"{100 * self.difference:+.2f} %"
        return f"  {self.quantity:14}{self.true:10.4g}{value:>23}{difference:>12}  {self.method:40}  {self.verdict}"

    def numbers(self) -> dict[str, Any]:
        """As plain values, SI."""
        return {
            "quantity": self.quantity,
            "unit": self.unit,
            "true": self.true,
            "inferred": self.inferred,
            "error": self.error,
            "difference": self.difference,
            "method": self.method,
            "holds": self.holds,
            "verdict": self.verdict,
        }


@dataclass(frozen=True)
class Record:
    """One experiment done and analysed, a :class:`.Result` like any other.

    Parameters
    ----------
    bench : Bench or MixtureBench
        What it was done on.
    name, title : str
        Of the experiment.
    assumption : str
        What the textbook assumes, one sentence.
    reference : str
        Where the method is from, with its DOI.
    readings : tuple of Reading
        What was found.
    arrays : mapping
        What the instrument recorded and what the analysis drew through it, SI; for the figure.
    conditions : mapping
        Drive, durations and so on, numbers.
    panels : tuple of callable
        What draws the panels of its figure: ``panel(axes, bench, record)``.
    tall : bool
        Whether the figure needs room for many rows.
    """

    bench: AnyBench
    name: str
    title: str
    assumption: str
    reference: str
    readings: tuple[Reading, ...]
    arrays: Mapping[str, Array] = field(default_factory=dict)
    conditions: Mapping[str, Any] = field(default_factory=dict)
    panels: tuple[Panel, ...] = ()
    tall: bool = False

    def __getitem__(self, quantity: str) -> Reading:
        """The first reading of a quantity."""
        for reading in self.readings:
            if reading.quantity == quantity:
                return reading
        raise KeyError(quantity)

    def lines(self) -> list[str]:
        """A table: quantity, true, inferred, difference, whether the assumption holds."""
        heads = f"  {'quantity':14}{'true':>10}{'inferred':>23}{'difference':>12}  {'read from':40}  assumption"
        return [f"{self.title}: assumes {self.assumption}", heads, *(reading.line() for reading in self.readings)]

    def numbers(self) -> dict[str, Any]:
        """Readings and conditions, SI."""
        return {
            "name": self.name,
            "assumption": self.assumption,
            "reference": self.reference,
            "conditions": dict(self.conditions),
            "readings": [reading.numbers() for reading in self.readings],
        }

    def dataset(self) -> xr.Dataset:
        """What the instrument recorded and what the analysis drew through it, SI; a dimension per length."""
        import xarray as xr

        variables: dict[str, Any] = {}
        for name, values in self.arrays.items():
            array = np.asarray(values)
            sizes = tuple(f"points_{n}" for n in array.shape)
            if np.iscomplexobj(array):
                variables |= {f"{name}_real": (sizes, array.real), f"{name}_imaginary": (sizes, array.imag)}
            else:
                variables[name] = (sizes, array)
        return xr.Dataset(variables, attrs={"title": self.title, "assumption": self.assumption})

    def draw(self, path: str | Path) -> Path:
        """What was recorded, what was read from it, and the truth; PNG, PDF or SVG."""
        bench, columns = self.bench, len(self.panels)
        transport = bench.transport
        title = f"{self.title}: {transport.title or transport.name}, {bench.c / 1e3:.3g} mol/L"
        noise = "" if bench.noise.any else " No noise."
        status = "" if transport.status == "measured" else f" Transport set: {transport.status.upper()}."
        note = f"Simulated with the full model, {transport.T:.2f} K.{noise}{status} Analysis assumes {self.assumption}."
        width = figstyle.TWO_COLUMNS if columns > 1 or self.tall else figstyle.COLUMN
        height = 3.0 if self.tall else 2.4
        with figstyle.drawing(path, 1, columns, title=title, note=note, width=width, height=height) as (_, axes):
            for panel, where in zip(self.panels, axes, strict=True):
                panel(where, bench, self)
        return Path(path)


def swing_checks(transport: TransportSet, c: float, solution: Solution, limit: float = 0.2) -> tuple[Check, Check]:
    """Was the signal small: change of c at the faces, and of the properties over the concentrations met.

    Parameters
    ----------
    transport : TransportSet
        Properties.
    c : float
        Initial concentration [mol/m^3].
    solution : Solution
        The run.
    limit : float
        How much of a change counts as small [1].

    Returns
    -------
    tuple of Check
    """
    faces = solution["c_face"]
    low, high = float(faces.min()), float(faces.max())
    return (
        Check("change of the salt concentration at the electrodes", max(high / c - 1, 1 - low / c), limit),
        variation(transport, c, low, high, limit),
    )


def variation(transport: TransportSet, c: float, low: float, high: float, limit: float = 0.2) -> Check:
    """Largest relative change of kappa, D, 1 - t+0 and (1 - t+0) chi between two concentrations.

    Parameters
    ----------
    transport : TransportSet
        Properties.
    c, low, high : float
        Where the truth is taken, and the ends of the span [mol/m^3].
    limit : float
        What counts as nearly constant [1].

    Returns
    -------
    Check
    """
    span = transport.with_extrapolation("clamp")
    points = np.linspace(low, high, 41)
    worst, which = 0.0, "kappa"
    for name, values, true in (
        ("kappa", span.kappa(points), span.kappa(c)),
        ("D", span.D(points), span.D(c)),
        ("1 - t+0", 1 - span.t_plus(points), 1 - span.t_plus(c)),
        ("(1 - t+0) chi", span.one_minus_t_plus_chi(points), span.one_minus_t_plus_chi(c)),
    ):
        change = float(np.max(np.abs(values - true)) / max(abs(float(true)), 1e-12))
        if change > worst:
            worst, which = change, name
    return Check(f"change of {which} over these concentrations", worst, limit)
