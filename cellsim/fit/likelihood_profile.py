"""Profile likelihoods: one parameter held, all others refitted, and what shape comes of it.

Delta chi2(p) = min over the others of chi2 less its minimum; the 95 % interval is where it stays below 3.84. A profile
that stays below on one side bounds nothing there. Raue et al., doi:10.1093/bioinformatics/btp358.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np
from scipy.optimize import least_squares
from scipy.stats import chi2 as chi2_distribution

from cellsim.base import Array, InputError
from cellsim.files.folder import read_values, write_values
from cellsim.fit.estimate import Estimate
from cellsim.fit.parameters import Parameter
from cellsim.workers import mapped

Shape = Literal["bounded", "open above", "open below", "flat"]

FAR = {True: float(np.log(1e3)), False: 10.0}
"""How far a profile is followed in u: a factor of 1000, or ten typical units."""
STEEP = 3.0
"""A step that ends this many thresholds up is taken again, shorter."""
BETTER = 0.5
"""A refit this much lower in chi2 than the fit it began from is a better point: the search had not ended."""
MOST = 16
"""Points on one side."""


@dataclass(frozen=True)
class LikelihoodProfile:
    """The profile of one parameter.

    Parameters
    ----------
    name : str
        Of the parameter.
    value : ndarray, shape (n,)
        Where it was held [SI], increasing.
    delta : ndarray, shape (n,)
        chi2 less that of the best point, the others refitted [1].
    interval : tuple of float
        Where delta stays below the threshold [SI]; infinite (or 0, or the bound) on an open side.
    shape : str
        "bounded", "open above", "open below" or "flat".
    threshold : float
        Of delta, for the level asked [1].
    checked : bool
        Whether refits from elsewhere came to the same ends.
    others : ndarray, shape (n, p)
        The whole point u of each refit.
    leans : tuple of str
        For each side, what ends the profile there in the data's place (another parameter's bound, runs that cease to
        exist); "" where the data do. Such a side is open.
    better : bool
        Whether a refit found a lower chi2 than the fit it began from.
    """

    name: str
    value: Array
    delta: Array
    interval: tuple[float, float]
    shape: Shape
    threshold: float
    checked: bool
    others: Array
    leans: tuple[str, str] = ("", "")
    better: bool = False

    def text(self, p: Parameter) -> str:
        """One sentence."""
        unit = f" {p.unit}" if p.unit else ""
        low, high = self.interval
        match self.shape:
            case "bounded":
                return f"{self.name} between {low:.4g} and {high:.4g}{unit}"
            case "open above":
                return f"{self.name} above {low:.4g}{unit}; {self._nothing(1)} bounds it from above"
            case "open below":
                return f"{self.name} below {high:.4g}{unit}; {self._nothing(0)} bounds it from below"
        return f"{self.name}: any value fits"

    def _nothing(self, side: int) -> str:
        return f"only {self.leans[side]}" if self.leans[side] else "nothing"


def profile(found: Estimate, name: str, *, level: float = 0.95) -> LikelihoodProfile:
    """The profile likelihood of one parameter.

    Noise levels stay at those of the fit.

    Parameters
    ----------
    found : Estimate
        Where it begins.
    name : str
        The parameter.
    level : float
        Of the interval.

    Returns
    -------
    LikelihoodProfile
    """
    space = found.space
    k = space.index(name)
    p = space.parameters[k]
    threshold = float(chi2_distribution.ppf(level, 1))
    low, high = space.bounds[0][k], space.bounds[1][k]
    sides = [_walk(found, k, sign, threshold, bound) for sign, bound in ((-1, low), (1, high))]
    below, above = sides[0], sides[1]
    u = np.concatenate([below.u[::-1], [found.u[k]], above.u])
    delta = np.concatenate([below.delta[::-1], [0.0], above.delta])
    others = np.concatenate([below.points[::-1], found.u[None], above.points])
    ends = [below.crossing, above.crossing]
    closed = [np.isfinite(end) and not side.leans for end, side in zip(ends, sides, strict=True)]
    shape: Shape = "bounded"
    if not all(closed):
        shape = "flat" if not any(closed) else ("open above" if closed[0] else "open below")
    interval = (
        p.value(ends[0]) if closed[0] else (p.lower if p.lower > -np.inf else -np.inf),
        p.value(ends[1]) if closed[1] else (p.upper if p.upper < np.inf else np.inf),
    )
    return LikelihoodProfile(
        name, np.array([p.value(float(x)) for x in u]), delta, interval, shape, threshold,
        below.checked and above.checked, others, (below.leans, above.leans), bool(delta.min() < -BETTER),
    )  # fmt: skip


def delta_at(found: Estimate, name: str, value: float) -> float:
    """chi2 with one parameter held at a value, the others refitted, less that of the best point [1].

    A profile's interval holds the value where this stays below its threshold.

    Parameters
    ----------
    found : Estimate
        The fit.
    name : str
        The parameter.
    value : float
        Where it is held, in the parameter's unit.

    Returns
    -------
    float
    """
    k = found.space.index(name)
    held = found.space.parameters[k].u(value)
    covariance = found.covariance
    slope = covariance[:, k] / max(covariance[k, k], 1e-300)
    _, chi2 = _refit(found, k, held, found.u + slope * (held - found.u[k]))
    return chi2 - found.chi2


@dataclass(frozen=True)
class _Side:
    u: Array
    delta: Array
    points: Array
    crossing: float
    checked: bool
    leans: str


def _walk(found: Estimate, k: int, sign: int, threshold: float, bound: float) -> _Side:
    """Away from the best point until the threshold is passed, a bound is met, or it is far."""
    p = found.space.parameters[k]
    covariance = found.covariance
    slope = covariance[:, k] / max(covariance[k, k], 1e-300)
    step = 0.7 * float(np.clip(found.sd[k], 1e-6, 0.5))
    far = found.u[k] + sign * FAR[p.logarithmic]
    end = max(bound, far) if sign < 0 else min(bound, far)
    u, deltas, points = [found.u[k]], [0.0], [found.u]
    checked, crossing, halvings = True, np.nan, 0
    while len(u) <= MOST and sign * (end - u[-1]) > 1e-12:
        here = u[-1] + sign * min(step, sign * (end - u[-1]))
        guess = points[-1] + slope * (here - u[-1])
        point, chi2 = _refit(found, k, here, guess)
        if chi2 - found.chi2 > deltas[-1] + 3 * threshold:  # a jump: perhaps lost where nothing depends on anything
            point, chi2 = min([(point, chi2), _refit(found, k, here, found.space.start)], key=lambda one: one[1])
        delta = chi2 - found.chi2
        if delta > STEEP * threshold and halvings < 8:  # too far for an interpolation
            halvings, step = halvings + 1, 0.4 * abs(here - u[-1])
            continue
        u.append(here)
        deltas.append(delta)
        points.append(point)
        slope = (points[-1] - points[-2]) / (u[-1] - u[-2])
        if delta > threshold:
            crossing = _cross(u, deltas, threshold)
            break
        rise = max(delta, 0.0) ** 0.5 - max(deltas[-2], 0.0) ** 0.5
        step *= float(np.clip(0.7 / max(rise, 0.1), 1.0, 2.5)) if rise < 0.6 else 1.0
    if len(u) > 1:  # the outermost refit once more, from the best point's other parameters
        _, again = _refit(found, k, u[-1], found.u)
        checked = again > deltas[-1] + found.chi2 - 0.05
    walked = np.array(points[1:]).reshape(-1, found.u.size)
    leans = _leans_on(found, k, points[-1]) if np.isfinite(crossing) else ""
    return _Side(np.array(u[1:]), np.array(deltas[1:]), walked, crossing, checked, leans)


def _leans_on(found: Estimate, k: int, point: Array) -> str:
    """What ends a profile in the data's place: another parameter at its bound, or runs that cease to exist."""
    low, high = found.space.bounds
    for j, p in enumerate(found.space.parameters):
        if j != k and min(point[j] - low[j], high[j] - point[j]) < 1e-3:
            return f"the bound of {p.name}"
    if any(np.any(~np.isfinite(seen)) for seen in found.problem.predictions(point)):
        return "that no cell can be run beyond"
    return ""


def _cross(u: list[float], delta: list[float], threshold: float) -> float:
    """Where delta passes the threshold, its root interpolated by a parabola through the last three points."""
    root = np.sqrt(np.maximum(np.array(delta[-3:]), 0.0))
    x = np.array(u[-3:])
    target = np.sqrt(threshold)
    if x.size < 3 or np.any(np.diff(root) <= 0):
        return float(np.interp(target, root[-2:], x[-2:]))
    a, b, c = np.polyfit(root, x, 2)
    return float(np.clip(a * target**2 + b * target + c, min(x[-2:]), max(x[-2:])))


def _refit(found: Estimate, k: int, held: float, guess: Array) -> tuple[Array, float]:
    """The other parameters at their best with u[k] held; the point and its chi2."""
    free = np.flatnonzero(np.arange(guess.size) != k)
    low, high = (b[free] for b in found.space.bounds)

    def whole(v: Array) -> Array:
        u = np.empty(guess.size)
        u[free], u[k] = v, held
        return u

    if not free.size:
        r = found.problem.residuals(whole(np.empty(0)), found.levels)
        return whole(np.empty(0)), float(r @ r)
    fit = least_squares(
        lambda v: found.problem.residuals(whole(v), found.levels), np.clip(guess[free], low, high),
        jac=lambda v: found.problem.jacobian(whole(v), found.levels, free), bounds=(low, high),
        ftol=1e-7, xtol=1e-6, gtol=1e-8, max_nfev=25,
    )  # fmt: skip
    return whole(fit.x), float(2 * fit.cost)


def profiles(
    found: Estimate,
    names: Sequence[str] | None = None,
    *,
    level: float = 0.95,
    workers: int = 1,
    folder: str | Path | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, LikelihoodProfile]:
    """Profile likelihoods of several parameters, at once and resumable.

    Parameters
    ----------
    found : Estimate
        Where they begin.
    names : sequence of str, optional
        Which; default all.
    level : float
        Of the intervals.
    workers : int
        Processes.
    folder : path, optional
        Where each is kept as soon as it is done; a later call for the same best point goes on from there.
    progress : callable, optional
        Called with (done, of all).

    Returns
    -------
    dict
        By name, in the order asked.
    """
    wanted = list(found.space.names if names is None else names)
    keep = None if folder is None else Path(folder)
    done: dict[str, LikelihoodProfile] = {}
    if keep is not None:
        keep.mkdir(parents=True, exist_ok=True)
        done = {n: kept for n in wanted if (kept := _load(keep / _file(n), found)) is not None}
    todo = [n for n in wanted if n not in done]
    if progress is not None and done:
        progress(len(done), len(wanted))
    for one in mapped(partial(profile, found, level=level), todo, workers=workers, chunk=1):
        name = todo[one.index]
        done[name] = one.result()
        if keep is not None:
            write_values(keep / _file(name), {"mark": _mark(found), **vars(done[name])})
        if progress is not None:
            progress(len(done), len(wanted))
    return {n: done[n] for n in wanted}


def _file(name: str) -> str:
    return "profile-" + "".join(ch if ch.isalnum() or ch in "._-" else "_" for ch in name) + ".npz"


def _mark(found: Estimate) -> list[float]:
    """What a kept profile must agree with: the point, its chi2, and the levels."""
    return [*(round(float(x), 9) for x in found.u), round(found.chi2, 6), *(float(x) for x in found.levels)]


def _load(path: Path, found: Estimate) -> LikelihoodProfile | None:
    try:
        kept = read_values(path)
        if kept.pop("mark") != _mark(found):
            return None
        return LikelihoodProfile(**kept)
    except (InputError, KeyError, TypeError):  # of another version, or damaged: made again
        return None
