"""What a measurement gives: a number with its 95 % interval, what it rests on, and the numbers typed beside a file."""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cellsim.base import Array, InputError, to_si
from cellsim.drawing import figstyle

if TYPE_CHECKING:
    from matplotlib.axes import Axes

DRAWS = 4000
"""Of each quantity; the ends of a 95 % interval are then known to about 3 % of its half-width."""
INTERVAL = (0.025, 0.975)
"""Ends of the interval, as parts of the draws below them."""
_PLUS_MINUS = re.compile(r"\s*(?:\+/?-|±)\s*")
_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?")


@dataclass(frozen=True)
class Typed:
    """A number that somebody types beside a file, with its standard error.

    Parameters
    ----------
    value, error : float
        [SI]; an error of 0 says that the number is taken as exact.
    label : str
        What it is: numbers of one label err together.
    """

    value: float
    error: float = 0.0
    label: str = ""

    def draws(self, size: int = DRAWS) -> Array:
        """Normal draws, the same for everything that rests on this one statement, shape (size,)."""
        random = np.random.default_rng((zlib.crc32(self.label.encode()), 1))
        return np.asarray(self.value + self.error * random.standard_normal(size))


def typed(text: str, unit: str, *, field: str, above: float | None = None, label: str = "") -> Typed:
    """Read ``"0.50 ± 0.01 mm"``, ``"0.5 mm +- 2 %"`` or ``"0.5 mm"``.

    Parameters
    ----------
    text : str
        The number, with its standard error after "±" or "+-" where it has one.
    unit : str
        SI.
    field : str
        Its name, for messages.
    above : float, optional
        What it must exceed [SI].
    label : str
        Numbers of one label err together; default `field`.

    Returns
    -------
    Typed

    Raises
    ------
    InputError
        No number with such a unit, one that is too small, a negative error.

    Examples
    --------
    >>> typed("0.50 ± 0.01 mm", "m", field="thickness")
    Typed(value=0.0005, error=1e-05, label='thickness')
    >>> typed("2 cm^2 +- 5 %", "m^2", field="area")
    Typed(value=0.0002, error=1e-05, label='area')
    """
    if not isinstance(text, str):
        return Typed(to_si(text, unit, field=field))
    parts = _PLUS_MINUS.split(text.strip())
    if len(parts) > 2 or not parts[0]:
        raise InputError(f'{field} = {text!r} must be a number with a unit, such as "1.0 ± 0.1 {unit}"')
    first, second = parts[0], parts[1] if len(parts) == 2 else ""
    if second and _NUMBER.fullmatch(first) and unit:  # the unit stands once, at the end
        number = _NUMBER.match(second)
        first += " " + (second[number.end() :].strip() if number else "")
    value = to_si(first if unit else _bare(first), unit, field=field)
    error = 0.0
    if second.endswith("%"):
        error = abs(value) * to_si(second, "", field=f"{field}, its error")
    elif second:
        given = second
        if _NUMBER.fullmatch(second) and unit:
            number = _NUMBER.match(first)
            given = second + " " + (first[number.end() :].strip() if number else "")
        error = to_si(given if unit else _bare(given), unit, field=f"{field}, its error")
    if above is not None and value <= above:
        raise InputError(f"{field} = {text!r} must be {'positive' if above == 0 else f'above {above:g} {unit}'}")
    if error < 0:
        raise InputError(f"{field} = {text!r} has a negative error; write it as a positive number")
    return Typed(value, error, label or field)


def _bare(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text


@dataclass(frozen=True)
class Assumption:
    """One assumption of an analysis, and whether the data bear it out.

    Parameters
    ----------
    what : str
        A sentence without its full stop, which says what was looked at and what was seen.
    holds : bool
        Whether the assumption is met.
    remedy : str
        What to do where it is not.
    """

    what: str
    holds: bool
    remedy: str = ""

    def __str__(self) -> str:
        return f"{self.what}: {'yes' if self.holds else 'NO'}" + (
            "" if self.holds or not self.remedy else f"; {self.remedy}"
        )


@dataclass(frozen=True)
class Measured:
    """One number with its 95 % interval.

    Parameters
    ----------
    quantity : str
        ``D``, ``rho_plus``, ``kappa``, ``R_b``, ...
    unit : str
        SI.
    value : float
        The median of the draws.
    interval : tuple of float
        95 %.
    method : str
        A few words.
    draws : ndarray, shape (n,)
        What the interval is of; draws of quantities of one finding belong together.
    """

    quantity: str
    unit: str
    value: float
    interval: tuple[float, float]
    method: str
    draws: Array = field(repr=False)

    @classmethod
    def of(cls, quantity: str, unit: str, draws: Array, method: str) -> Measured:
        """The median and the interval of draws."""
        low, middle, high = np.quantile(draws, [INTERVAL[0], 0.5, INTERVAL[1]])
        return cls(quantity, unit, float(middle), (float(low), float(high)), method, np.asarray(draws))

    @property
    def error(self) -> float:
        """A quarter of the interval's width by 0.98: the standard error of a normal one [SI]."""
        return (self.interval[1] - self.interval[0]) / 3.92

    def written(self) -> tuple[str, str, str, str]:
        """Value, ends of the interval and unit, with the digits that the interval leaves."""
        unit = "" if self.unit == "1" else " " + self.unit.replace("^2", "²").replace("*", " ").replace("ohm", "Ω")
        relative = max(self.error, 1e-12 * abs(self.value)) / max(abs(self.value), 1e-300)
        digits = int(np.clip(np.ceil(-np.log10(relative)) + 1, 2, 7))
        value, low, high = (f"{x:#.{digits}g}".rstrip(".") for x in (self.value, *self.interval))
        return value, low, high, unit

    def short(self) -> str:
        """Value and interval, for a figure."""
        value, low, high, unit = self.written()
        return f"{value}{unit} ({low} to {high})"

    def line(self) -> str:
        """As the terminal shows it."""
        value, low, high, unit = self.written()
        return f"  {self.quantity:10} {value}{unit}, 95 %: {low} to {high}{unit}  ({self.method})"

    def numbers(self) -> dict[str, Any]:
        """As plain values, SI."""
        return {
            "quantity": self.quantity,
            "unit": self.unit,
            "value": self.value,
            "interval_95": list(self.interval),
            "standard_error": self.error,
            "method": self.method,
        }


MAIN = {
    "kappa": "κ",
    "D": "D",
    "rho_plus": "ρ₊",
    "dU/dlnm": "dU/dln m",
    "dU/dlnc": "dU/dln c",
    "i_L": "$i_L$",
    "I_L": "$I_L$",
}
"""Quantities that stand above a figure, and their symbols."""
Panel = Callable[["Axes", "Finding"], None]


@dataclass(frozen=True)
class Finding:
    """One experiment from files, analysed; a :class:`.Result` like any other.

    Parameters
    ----------
    kind, title : str
        ``relaxation`` and so on, and a heading.
    files : tuple of str
        What was read.
    measured : tuple of Measured
        What was found.
    assumptions : tuple of Assumption
        What was assumed, and whether it holds.
    notes : tuple of str
        What else a reader should know, whole sentences.
    reference : str
        Where the method is from.
    arrays : mapping
        What was recorded and what the analysis drew through it, SI; for the figure.
    conditions : mapping
        What was typed, and the choices that were made.
    panels : tuple of callable
        What draws the panels of its figure: ``panel(axes, finding)``.
    """

    kind: str
    title: str
    files: tuple[str, ...]
    measured: tuple[Measured, ...]
    assumptions: tuple[Assumption, ...]
    notes: tuple[str, ...]
    reference: str
    arrays: Mapping[str, Array] = field(default_factory=dict)
    conditions: Mapping[str, Any] = field(default_factory=dict)
    panels: tuple[Panel, ...] = ()

    def __getitem__(self, quantity: str) -> Measured:
        """The first number of a quantity."""
        for one in self.measured:
            if one.quantity == quantity:
                return one
        raise KeyError(quantity)

    @property
    def holds(self) -> bool:
        """Whether all assumptions hold."""
        return all(one.holds for one in self.assumptions)

    def lines(self) -> list[str]:
        """What the terminal shows: the numbers, then what they rest on."""
        return [
            f"{self.title}: {', '.join(self.files)}",
            *(one.line() for one in self.measured),
            *(f"  - {one}" for one in self.assumptions),
            *(f"  note: {note}" for note in self.notes),
        ]

    def numbers(self) -> dict[str, Any]:
        """Everything found, as summary.json holds it."""
        return {
            "kind": self.kind,
            "files": list(self.files),
            "measured": [one.numbers() for one in self.measured],
            "assumptions": [{"what": one.what, "holds": one.holds, "remedy": one.remedy} for one in self.assumptions],
            "notes": list(self.notes),
            "conditions": dict(self.conditions),
            "reference": self.reference,
        }

    def draw(self, path: str | Path) -> Path:
        """What was recorded, what was fitted, and the numbers; PNG, PDF or SVG."""
        shown = [f"{MAIN[one.quantity]} = {one.short()}" for one in self.measured if one.quantity in MAIN]
        broken = [one for one in self.assumptions if not one.holds]
        note = " ".join([f"{self.reference}.", *(f"NOT MET: {one.what}." for one in broken)])
        columns = len(self.panels)
        width = figstyle.TWO_COLUMNS if columns > 1 else 4.6
        title = "\n".join(
            [f"{self.title}: {', '.join(self.files)}", "; ".join(shown) if len(shown) < 4 else ""]
        ).strip()
        with figstyle.drawing(path, 1, columns, title=title, note=note, width=width, height=2.6) as (_, axes):
            for panel, where in zip(self.panels, axes, strict=True):
                panel(where, self)
        return Path(path)
