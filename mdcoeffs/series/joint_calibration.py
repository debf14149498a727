"""One parameter of the force field for several conditions: concentrations or temperatures, each with its own family.

Simulations and measurements of different conditions are independent, so that their likelihoods are multiplied:

    chi^2(x) = sum_k chi_k^2(x)

on the range that all families share. The interval is that of the likelihood, chi^2 within 3.84 of its smallest value.
(The product of the posteriors was tried first: it has the factor 1/sqrt(det S) of each of them, which is largest at the
simulated states, and held the truth in 107 of 120 families only.) Whether one parameter serves them all is a question
of its own: the rise of chi^2 from the best value of each to the best common one is a chi^2 of k - 1 degrees of freedom,
were it the same.

OUT/joint.csv     parameter, chi^2 of all conditions and of each
OUT/joint.png     the likelihoods
OUT/summary.json  interval, misfit, whether one parameter serves all
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import chi2 as chi2_distribution

from cellsim.base import Array, InputError
from cellsim.drawing.figstyle import COLOURS, DASHES, GREY, drawing, label, legend_above
from cellsim.files.folder import result_folder
from cellsim.files.writing import Rows, write_json, write_rows
from mdcoeffs.series.calibration import DOUBT, GRID, LEVEL, Calibration, degrees
from mdcoeffs.series.figures import SYMBOLS, number


@dataclass(frozen=True, eq=False)
class JointCalibration:
    """A parameter from several conditions.

    Parameters
    ----------
    parts : tuple of Calibration
        One per condition.
    names : tuple of str
        The conditions in words.
    at : array (n,)
        Values of the parameter, in the range of all parts.
    chi2 : array (n,)
        Sum over the parts [1].
    interval : tuple of float
        Outermost values at which chi^2 is within 3.84 of its smallest, 95 %.
    p : float
        Probability of a chi^2 at least as large as the smallest one.
    p_common : float
        Probability that the parts lie as far apart, were the parameter the same in all of them.
    notes : tuple of str
        What the user must know.
    """

    parts: tuple[Calibration, ...]
    names: tuple[str, ...]
    at: Array
    chi2: Array
    interval: tuple[float, float]
    p: float
    p_common: float
    notes: tuple[str, ...]

    @property
    def best(self) -> float:
        """Value of the smallest chi^2."""
        return float(self.at[np.argmin(self.chi2)])

    @property
    def freedom(self) -> int:
        """Degrees of freedom of the smallest chi^2."""
        return sum(len(part.held) for part in self.parts) - 1

    def numbers(self) -> dict[str, Any]:
        """What ``summary.json`` holds."""
        family = self.parts[0].family
        return {
            "parameter": family.name,
            "unit": family.unit,
            "best": self.best,
            "interval": list(self.interval),
            "level": LEVEL,
            "chi2": float(self.chi2.min()),
            "freedom": self.freedom,
            "p": self.p,
            "p_common": self.p_common,
            "conditions": {
                name: {"best": part.best, "interval": list(part.interval), "notes": list(part.notes)}
                for name, part in zip(self.names, self.parts, strict=True)
            },
            "notes": list(self.notes),
        }

    def lines(self) -> list[str]:
        """What the command prints."""
        family, (low, high) = self.parts[0].family, self.interval
        unit = f" {family.unit}" if family.unit else ""
        text = [f"{family.name} = {self.best:.4g}{unit} ({low:.4g} to {high:.4g}, 95 %) from all conditions together"]
        text.append(f"chi2 = {self.chi2.min():.3g} with {degrees(self.freedom)}, p = {self.p:.2g}")
        for name, part in zip(self.names, self.parts, strict=True):
            text.append(f"  {name}: {part.best:.4g} ({part.interval[0]:.4g} to {part.interval[1]:.4g})")
        return text + [f"note: {note}" for note in self.notes]


def join_calibrations(parts: Sequence[Calibration]) -> JointCalibration:
    """Multiply the likelihoods of several conditions.

    Parameters
    ----------
    parts : sequence of Calibration
        Of the same parameter, each under its own concentration or temperature.

    Returns
    -------
    JointCalibration

    Raises
    ------
    InputError
        Fewer than two, different parameters, two under the same conditions, ranges without a common part.
    """
    parts = tuple(parts)
    if len(parts) < 2:
        raise InputError("a joint calibration needs two conditions at least, such as two concentrations")
    family = parts[0].family
    for part in parts[1:]:
        if (part.family.name, part.family.unit) != (family.name, family.unit):
            raise InputError(
                f"the series vary {family.name} and {part.family.name}; a joint calibration is of one parameter"
            )
    names = tuple(_condition(part) for part in parts)
    for name in names:
        if names.count(name) > 1:
            raise InputError(f"two series are at {name}; put their measured values into one table of one series")
    low, high = max(float(part.at[0]) for part in parts), min(float(part.at[-1]) for part in parts)
    if not low < high:
        raise InputError(f"the series have no value of {family.name} in common; simulate in one range")
    at = np.linspace(low, high, GRID)
    chi2 = np.sum([np.interp(at, part.at, part.chi2) for part in parts], axis=0)
    apart = float(chi2.min()) - sum(float(part.chi2.min()) for part in parts)
    freedom = sum(len(part.held) for part in parts) - 1
    p = float(chi2_distribution.sf(chi2.min(), freedom))
    p_common = float(chi2_distribution.sf(max(apart, 0.0), len(parts) - 1))
    inside = at[chi2 - chi2.min() <= chi2_distribution.ppf(LEVEL, 1)]
    interval = (float(inside[0]), float(inside[-1]))
    notes = []
    if p_common < DOUBT:
        each = ", ".join(f"{part.best:.3g} at {name}" for name, part in zip(names, parts, strict=True))
        notes.append(
            f"the conditions need different values of {family.name} ({each}; p = {p_common:.1g}): one value does "
            "not serve them all, and the joint interval means nothing"
        )
    elif p < DOUBT:
        notes.append(f"no {family.name} fits all measured values (p = {p:.1g}): the interval means nothing")
    ends = [end for end, edge in zip(interval, (at[0], at[-1]), strict=True) if end == edge]
    if ends:
        notes.append(f"the interval ends where the states do, {family.name} = {ends[0]:g}: simulate beyond it")
    return JointCalibration(parts, names, at, chi2, interval, p, p_common, tuple(notes))


def _condition(part: Calibration) -> str:
    first = part.family.matrices[0]
    return f"{first.c / 1000:.3g} mol/L, {first.T:.4g} K"


def joint_rows(found: JointCalibration) -> Rows:
    """chi^2 as a table.

    Parameters
    ----------
    found : JointCalibration
        The result.

    Returns
    -------
    list of list of str
        The head first; the parameter in its unit.
    """
    family = found.parts[0].family
    head = [f"{family.name} ({family.unit})" if family.unit else family.name, "chi2"]
    columns = [found.at, found.chi2]
    for name, part in zip(found.names, found.parts, strict=True):
        head.append(f"chi2 at {name}")
        columns.append(np.interp(found.at, part.at, part.chi2))
    return [head, *([number(float(v)) for v in row] for row in zip(*columns, strict=True))]


def write_joint(found: JointCalibration, directory: str | Path, title: str, *, figures: bool = True) -> list[Path]:
    """Write table, figure and numbers.

    Parameters
    ----------
    found : JointCalibration
        The result.
    directory : str or Path
        The folder.
    title : str
        Of the figure.
    figures : bool
        Whether to draw.

    Returns
    -------
    list of Path
        The files written.
    """
    directory = Path(directory)
    with result_folder(directory, last="summary.json", stale=["joint.png"]) as fresh:
        write_rows(fresh / "joint.csv", joint_rows(found))
        if figures:
            draw_joint(found, fresh / "joint.png", title)
        write_json(fresh / "summary.json", {"title": title} | found.numbers())
        written = sorted(path.name for path in fresh.iterdir())
    return [directory / name for name in written]


def draw_joint(found: JointCalibration, path: str | Path, title: str) -> Path:
    """Draw the likelihood of each condition and the joint one, each over its largest value.

    Parameters
    ----------
    found : JointCalibration
        The result.
    path : str or Path
        PNG to write.
    title : str
        Of the figure.

    Returns
    -------
    Path
    """
    family = found.parts[0].family
    note = f"Shaded: all conditions together, {found.interval[0]:.4g} to {found.interval[1]:.4g} (95 %)."
    with drawing(path, title=title, note=note, height=2.6) as (_, axes):
        axis = axes[0]
        axis.fill_between(found.at, _likelihood(found.chi2), color=GREY, alpha=0.3, linewidth=0, label="together")
        for k, (name, part) in enumerate(zip(found.names, found.parts, strict=True)):
            look: dict[str, Any] = {"color": COLOURS[k % len(COLOURS)], "linestyle": DASHES[k % len(DASHES)]}
            axis.plot(part.at, _likelihood(part.chi2), label=name, linewidth=1.0, **look)
        axis.set_ylim(bottom=0)
        axis.set_xlabel(label(SYMBOLS.get(family.name, family.name.replace("_", " ")), family.unit))
        axis.set_ylabel("likelihood over its largest value")
        legend_above(axis, columns=2)
    return Path(path)


def _likelihood(chi2: Array) -> Array:
    return np.asarray(np.exp(-0.5 * (chi2 - chi2.min())))
