"""Does Omega depend on the size of the box? Results of boxes of one liquid and several sizes, side by side.

A periodic box changes how the liquid flows around an ion, by an amount that falls as 1/L with its edge L. For
self-diffusion the law and its constant are known (Yeh & Hummer); for collective coefficients they are not in general,
so that only runs of several boxes tell. Every quantity is drawn from the posteriors of the boxes, which are
independent, and the line q = q_inf + b/L is laid through the draws: does its slope differ from zero, and
where does it end?
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.stats import chi2

from cellsim.base import Array, InputError, __version__, k_B
from cellsim.drawing.figstyle import COLOURS, TWO_COLUMNS, drawing, label, points
from cellsim.files.writing import plain
from mdcoeffs.analysis import LEVEL
from mdcoeffs.onsager.mixture import read_species_matrix
from mdcoeffs.onsager.result import open_result, read_onsager
from mdcoeffs.onsager.self_motion import CUBIC

if TYPE_CHECKING:
    import xarray as xr

APART = 1.05
"""Smallest ratio of the edges of two boxes that are told apart."""
ALIKE = 0.03
"""How far concentrations of one liquid in two boxes may differ, relative [1]."""
DRAWS = 4000
SUSPECT = 0.05
"""Probability, all quantities together, below which a dependence on the box is said to be there."""


@dataclass(frozen=True, eq=False)
class Box:
    """What one result says.

    Parameters
    ----------
    name : str
        Its path, for messages.
    edge : float
        Cube root of the mean volume [m].
    liquid : mapping
        What must be the same in all boxes: temperature, frame, charges, and concentrations by name.
    draws : mapping
        Name of a quantity -> posterior samples (S,), in SI.
    """

    name: str
    edge: float
    liquid: Mapping[str, Any]
    draws: Mapping[str, Array]


def read_box(path: str | Path, number: int = 0) -> Box:
    """Read a result of ``mdcoeffs onsager``, of a salt or of all species.

    Parameters
    ----------
    path : str or Path
        ``onsager.nc``, or the folder that holds it.
    number : int
        Of the box: the order of its draws, which are independent of those of another.

    Returns
    -------
    Box

    Raises
    ------
    InputError
        No such result, or one without posterior samples or volume.
    """
    file, data = open_result(path)
    rng = np.random.default_rng([number, 31])
    draws: dict[str, Array] = {}
    if "species" in data.coords:
        matrix = read_species_matrix(file)
        samples = matrix.samples
        liquid = dict(T=matrix.T, frame=matrix.frame, z=matrix.z, c=dict(zip(matrix.names, matrix.c, strict=True)))
        if samples is not None:
            moving = [k for k in range(len(matrix.names)) if matrix.Omega[k, k] > 1e-12 * matrix.Omega.max()]
            draws |= {
                f"Omega_{matrix.names[i]}_{matrix.names[j]}": samples[:, i, j] for j in moving for i in moving if i <= j
            }
            still = {name for k, name in enumerate(matrix.names) if k not in moving}
            derived = matrix.quantities(samples).items()
            draws |= {n: q for n, q in derived if not n.startswith("friction_") and n.partition("_")[2] not in still}
    else:
        salt = read_onsager(file)
        samples = salt.samples
        liquid = dict(T=salt.T, frame=salt.frame, z=salt.z, c={"salt": salt.c})
        names = ["Omega_pp", "Omega_pm", "Omega_mm", "kappa", "t_plus"] + ["rho_plus"] * (salt.frame == "solvent")
        draws |= {name: salt.draws(name) for name in names if samples is not None}
    if not draws:
        raise InputError(f"{file}: has no posterior samples; give results of trajectories or arrays")
    try:
        summary = json.loads(data.attrs["summary"])
        volume = float(summary["volume"])
        own = _self_diffusion(summary)
    except (LookupError, TypeError, ValueError, AttributeError):
        raise InputError(f"{file}: does not say the volume of its box; run mdcoeffs onsager again") from None
    if not 0 < volume < math.inf:
        raise InputError(f"{file}: has the volume {volume:g} m^3, which is none")
    draws = {name: rng.permutation(values)[:DRAWS] for name, values in draws.items()}
    draws |= {name: value + error * rng.standard_normal(DRAWS) for name, (value, error) in own.items()}
    return Box(str(path), volume ** (1 / 3), liquid, draws)


def _self_diffusion(summary: Any) -> dict[str, tuple[float, float]]:
    """Self-diffusion coefficients and their standard errors, in the box [m^2/s]."""
    if "self_diffusion" in summary:
        pairs = {name: (each["value"], each["standard_error"]) for name, each in summary["self_diffusion"].items()}
    else:
        own = summary.get("self", {})
        pairs = {name: (own[name], own["standard_error"][k]) for k, name in enumerate(("D_plus", "D_minus")) if own}
        pairs = {name.removeprefix("D_"): pair for name, pair in pairs.items()}
    found = {f"D_{name}": (float(value), float(error)) for name, (value, error) in pairs.items() if error is not None}
    return {name: pair for name, pair in found.items() if all(map(math.isfinite, pair))}


@dataclass(frozen=True, eq=False)
class SizeEffect:
    """One quantity against the size of the box.

    Parameters
    ----------
    name : str
        As in :attr:`Box.draws`.
    values : array (boxes, 3)
        Median and ends of the 95 % interval in every box.
    unbounded : array (3,)
        The same at 1/L = 0, by a straight line in 1/L.
    correction : array (3,)
        What the line adds to the value in the largest box.
    slope : array (3,)
        Of the line, times m.
    p : float
        Probability of a slope as far from zero as this one or farther, if there is none, both sides.
    p_line : float
        Of points as far from the line as these; NaN for two boxes.
    """

    name: str
    values: Array
    unbounded: Array
    correction: Array
    slope: Array
    p: float
    p_line: float


@dataclass(frozen=True, eq=False)
class SizeResult:
    """Boxes of one liquid, side by side.

    Parameters
    ----------
    boxes : tuple of Box
        From the smallest.
    effects : tuple of SizeEffect
        One for each quantity that all boxes have.
    """

    boxes: tuple[Box, ...]
    effects: tuple[SizeEffect, ...]

    @property
    def level(self) -> float:
        """Probability of one quantity that stands for `SUSPECT` of all of them (Bonferroni)."""
        return SUSPECT / len(self.effects)

    @property
    def suspects(self) -> list[SizeEffect]:
        """Quantities that depend on the box."""
        return [effect for effect in self.effects if effect.p < self.level]

    def viscosity(self) -> dict[str, Array]:
        """Viscosity that the slope of a self-diffusion coefficient asks for, 2.837 k_B T/(6 pi |b|), and its interval.

        Only where the slope is negative beyond its interval; by the law of Yeh and Hummer it is that of the liquid.
        """
        scale = CUBIC * k_B * self.boxes[0].liquid["T"] / (6 * math.pi)
        found = {effect.name: effect.slope for effect in self.effects if effect.name.startswith("D_")}
        return {name: scale / -slope[[0, 1, 2]] for name, slope in found.items() if slope[2] < 0}

    def numbers(self) -> dict[str, Any]:
        """What ``summary.json`` holds, in SI."""
        ready: dict[str, Any] = plain(
            {
                "boxes": [{"result": box.name, "edge": box.edge} for box in self.boxes],
                "temperature": self.boxes[0].liquid["T"],
                "frame": self.boxes[0].liquid["frame"],
                "quantities": {
                    e.name: {
                        "values": [{"value": v[0], "interval": v[1:]} for v in e.values],
                        "unbounded": {"value": e.unbounded[0], "interval": e.unbounded[1:]},
                        "correction_of_largest": {"value": e.correction[0], "interval": e.correction[1:]},
                        "p": e.p,
                    }
                    | ({} if math.isnan(e.p_line) else {"p_line": e.p_line})
                    for e in self.effects
                },
                "depends_on_the_box": [e.name for e in self.suspects],
                "p_level": self.level,
                "viscosity_from_self_diffusion": {
                    name: {"value": v[0], "interval": sorted(v[1:])} for name, v in self.viscosity().items()
                },
                "mdcoeffs": __version__,
                "level": LEVEL,
            }
        )
        return ready

    def lines(self) -> list[str]:
        """What the command prints: a verdict in words, and a line for each quantity."""
        edges = ", ".join(f"{box.edge * 1e9:.3g}" for box in self.boxes)
        lines = [f"boxes of {edges} nm, {self.boxes[0].liquid['frame']} frame; in brackets 95 % intervals"]
        width = max(len(e.name) for e in self.effects)
        for e in self.effects:
            each = ", ".join(f"{v[0]:.4g}" for v in e.values)
            low, high = e.unbounded[1:]
            line = (
                f"  {e.name:<{width}}  {each}; unbounded {e.unbounded[0]:.4g} ({low:.4g} to {high:.4g}); p = {e.p:.2g}"
            )
            lines.append(line + ("" if math.isnan(e.p_line) else f", of a line in 1/L {e.p_line:.2g}"))
        count, smallest = len(self.effects), min(e.p for e in self.effects)
        if self.suspects:
            names = ", ".join(e.name for e in self.suspects)
            lines.append(
                f"  {names} changes with the box (p below {self.level:.2g}, {SUSPECT:g} over {count} quantities): "
                "use the unbounded value, or larger boxes"
            )
        else:
            lines.append(
                f"  no quantity changes with the box beyond chance: the smallest p of {count} is {smallest:.2g}, and "
                f"{self.level:.2g} would be needed; what the intervals of the unbounded values allow is not excluded"
            )
        for name, (eta, *ends) in self.viscosity().items():
            low, high = sorted(ends)
            lines.append(
                f"  the slope of {name} is that of a viscosity of {eta * 1e3:.3g} mPa s ({low * 1e3:.3g} to "
                f"{high * 1e3:.3g}; Yeh and Hummer): compare it with mdcoeffs viscosity"
            )
        return lines

    def tables(self) -> dict[str, Any]:
        """None beside the summary."""
        return {}

    def dataset(self) -> xr.Dataset | None:
        """None: everything is in the summary."""
        return None

    def draw(self, path: Path) -> Path:
        """Every quantity over 1/L with its line."""
        columns = 3
        rows = -(-len(self.effects) // columns)
        x = np.array([1e-9 / box.edge for box in self.boxes])
        note = "Omega in mol²/(J m s), kappa in S/m, D in m²/s; 95 % intervals, in blue the unbounded liquid"
        with drawing(path, rows, columns, title="size of the box", note=note, width=TWO_COLUMNS, height=1.7) as (
            _,
            axes,
        ):
            for axis, effect in zip(axes, self.effects, strict=False):
                value, low, high = effect.values.T
                at = np.concatenate([[0.0], x])
                line = effect.unbounded[0] + effect.slope[0] * 1e9 * at
                axis.plot(at, line, color=COLOURS[0])
                points(axis, x, value, np.array([value - low, high - value]))
                e = effect.unbounded
                points(axis, [0.0], e[:1], np.array([[e[0] - e[1]], [e[2] - e[0]]]), color=COLOURS[0])
                axis.set_title(f"p = {effect.p:.2g}", loc="right")
                axis.set_ylabel(effect.name.replace("_", " "))
                axis.set_xlim(left=-0.04 * x.max())
                axis.set_xlabel(label("$1/L$", "nm$^{-1}$"))
            for axis in axes[len(self.effects) :]:
                axis.set_axis_off()
        return path


def compare_boxes(boxes: Sequence[Box]) -> SizeResult:
    """Whether the coefficients of one liquid depend on the size of the box.

    Parameters
    ----------
    boxes : sequence of Box
        Two or more.

    Returns
    -------
    SizeResult

    Raises
    ------
    InputError
        One box, boxes of one size, of another liquid, temperature or frame.

    References
    ----------
    Yeh & Hummer 2004, doi:10.1021/jp0477147, Eq. 12 (1/L).
    """
    if len(boxes) < 2:
        raise InputError("the size of the box can be judged from two results or more; name them all")
    ordered = sorted(boxes, key=lambda box: box.edge)
    for smaller, larger in pairwise(ordered):
        if larger.edge < APART * smaller.edge:
            raise InputError(
                f"{smaller.name} and {larger.name}: their boxes have edges of {smaller.edge * 1e9:.4g} and "
                f"{larger.edge * 1e9:.4g} nm, which are too close: give replicas of one size to one mdcoeffs onsager"
            )
    first = ordered[0]
    for box in ordered[1:]:
        _check_alike(first, box)
    names = [name for name in first.draws if all(name in box.draws for box in ordered)]
    x = np.array([1 / box.edge for box in ordered])
    return SizeResult(tuple(ordered), tuple(_effect(name, ordered, x) for name in names))


def _check_alike(first: Box, box: Box) -> None:
    for key, what in (("frame", "the frame"), ("z", "charges")):
        if first.liquid[key] != box.liquid[key]:
            raise InputError(
                f"{first.name} has {what} {first.liquid[key]} and {box.name} {box.liquid[key]}; they must be the same"
            )
    if abs(first.liquid["T"] - box.liquid["T"]) > 0.5:
        raise InputError(f"{first.name} is at {first.liquid['T']:g} K and {box.name} at {box.liquid['T']:g} K")
    one, other = first.liquid["c"], box.liquid["c"]
    if set(one) != set(other):
        raise InputError(f"{first.name} has the species {', '.join(one)} and {box.name} {', '.join(other)}")
    for name, c in one.items():
        if abs(other[name] - c) > ALIKE * c:
            raise InputError(
                f"{name}: {c / 1000:.4g} mol/L in {first.name} and {other[name] / 1000:.4g} mol/L in {box.name}, more "
                f"than {ALIKE:.0%} apart: another liquid, not another box"
            )


def _effect(name: str, boxes: Sequence[Box], x: Array) -> SizeEffect:
    count = min(len(box.draws[name]) for box in boxes)
    y = np.array([box.draws[name][:count] for box in boxes])
    # weighted least squares of every draw; the weights are those of the boxes
    w = 1 / np.maximum(y.var(axis=1), 1e-300 + 1e-24 * np.median(y, axis=1) ** 2)
    middle = w @ x / w.sum()
    slope = (w * (x - middle)) @ y / (w @ (x - middle) ** 2)
    at_zero = w @ y / w.sum() - slope * middle
    p_line = math.nan
    if len(boxes) > 2:
        centre = np.median(y, axis=1)
        line = np.median(at_zero) + np.median(slope) * x
        p_line = float(chi2.sf(w @ (centre - line) ** 2, len(boxes) - 2))
    below = (np.count_nonzero(slope < 0) + 0.5) / (count + 1)
    return SizeEffect(
        name,
        np.array([_summary(each) for each in y]),
        _summary(at_zero),
        _summary(at_zero - y[-1]),
        _summary(slope),
        float(2 * min(below, 1 - below)),
        p_line,
    )


def _summary(draws: Array) -> Array:
    return np.quantile(draws, [0.5, 0.5 - LEVEL / 2, 0.5 + LEVEL / 2])
