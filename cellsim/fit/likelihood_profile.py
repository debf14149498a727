"""Profile likelihoods: one parameter fixed, all others refitted, and what shape comes of it.

Delta chi2(p) = min over the others of chi2 less its minimum; the 95 % interval is where it stays below 3.84. A profile
that stays below on one side bounds nothing there. Raue et al., doi:10.1093/bioinformatics/btp358.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np
from scipy.optimize import least_squares
from scipy.stats import chi2 as chi2_distribution

from cellsim.base import Array, InputError, Progress
from cellsim.files.folder import read_values, write_values
from cellsim.fit.estimate import Estimate
from cellsim.fit.parameters import Parameter
from cellsim.workers import mapped

Shape = Literal["bounded", "open above", "open below", "flat"]

FAR = {True: float(np.log(1e3)), False: 10.0}
"""How far a profile is followed in u: a factor of 1000, or ten typical units."""
STEEP = 3.0
"""A step that ends this many thresholds up is taken again, shorter."""
JUMP = 3.0
"""A rise by this many thresholds in one step is doubted: the refit may be lost where nothing depends on anything."""
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
        Where it was fixed [SI], increasing.
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


def profile(fit: Estimate, name: str, *, level: float = 0.95) -> LikelihoodProfile:
    """The profile likelihood of one parameter.

    Noise levels stay at those of the fit.

    Parameters
    ----------
    fit : Estimate
        Where it begins.
    name : str
        The parameter.
    level : float
        Of the interval.

    Returns
    -------
    LikelihoodProfile
    """
    k = fit.space.index(name)
    p = fit.space.parameters[k]
    threshold = float(chi2_distribution.ppf(level, 1))
    low, high = fit.space.bounds[0][k], fit.space.bounds[1][k]
    below, above = _walk(fit, k, -1, threshold, low), _walk(fit, k, 1, threshold, high)
    u = np.concatenate([below.u[::-1], [fit.u[k]], above.u])
    delta = np.concatenate([below.delta[::-1], [0.0], above.delta])
    shape: Shape = "bounded"
    if not (below.closed and above.closed):
        shape = "open above" if below.closed else "open below" if above.closed else "flat"
    return LikelihoodProfile(
        name,
        value=np.array([p.value(float(x)) for x in u]),
        delta=delta,
        interval=(
            p.value(below.crossing) if below.closed else p.lower,
            p.value(above.crossing) if above.closed else p.upper,
        ),
        shape=shape,
        threshold=threshold,
        checked=below.checked and above.checked,
        others=np.concatenate([below.points[::-1], fit.u[None], above.points]),
        leans=(below.leans, above.leans),
        better=bool(delta.min() < -BETTER),
    )


def delta_at(fit: Estimate, name: str, value: float) -> float:
    """chi2 with one parameter fixed at a value, the others refitted, less that of the best point [1].

    The value lies in a profile's interval where this stays below its threshold.

    Parameters
    ----------
    fit : Estimate
        The fit.
    name : str
        The parameter.
    value : float
        Where it is fixed, in the parameter's unit.

    Returns
    -------
    float
    """
    k = fit.space.index(name)
    u_k = fit.space.parameters[k].u(value)
    _, chi2 = _refit(fit, k, u_k, fit.u + _slope(fit, k) * (u_k - fit.u[k]))
    return chi2 - fit.chi2


@dataclass(frozen=True)
class _Branch:
    """A profile on one side of the best point, outward."""

    u: Array
    delta: Array
    points: Array
    crossing: float
    checked: bool
    leans: str

    @property
    def closed(self) -> bool:
        """Whether the data end it."""
        return bool(np.isfinite(self.crossing)) and not self.leans


def _slope(fit: Estimate, k: int) -> Array:
    """How all parameters follow u[k] along the profile, by the covariance, shape (p,)."""
    covariance = fit.covariance
    return np.asarray(covariance[:, k] / max(covariance[k, k], 1e-300))


def _walk(fit: Estimate, k: int, sign: int, threshold: float, bound: float) -> _Branch:
    """Away from the best point until the threshold is passed, a bound is met, or it is far."""
    p = fit.space.parameters[k]
    slope = _slope(fit, k)
    # The root of delta is nearly linear in u, so four points up to sqrt(3.84) = 1.96 standard errors, 0.7 apart, draw
    # it well enough for a parabola; the standard error is clipped, because that of a flat direction is 1e6.
    step = 0.7 * float(np.clip(fit.sd[k], 1e-6, 0.5))
    far = fit.u[k] + sign * FAR[p.logarithmic]
    end = max(bound, far) if sign < 0 else min(bound, far)
    u, deltas, points = [fit.u[k]], [0.0], [fit.u]
    checked, crossing, halvings = True, np.nan, 0
    while len(u) <= MOST and sign * (end - u[-1]) > 1e-12:
        here = u[-1] + sign * min(step, sign * (end - u[-1]))
        # Each refit begins on the straight line through the last two, so that a profile that bends is followed in the
        # valley it began in; D and chi of cases/fit_example took 54 Jacobians that way, from the best point 79.
        point, chi2 = _refit(fit, k, here, points[-1] + slope * (here - u[-1]))
        if chi2 - fit.chi2 > deltas[-1] + JUMP * threshold:
            refits = [(point, chi2), _refit(fit, k, here, fit.space.start)]
            point, chi2 = min(refits, key=lambda refit: refit[1])
        delta = chi2 - fit.chi2
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
        # Steps grow where the root rises slowly: a flat side is followed to its end, a factor of 1000 away, within the
        # MOST points that steps of one length would spend on the first few standard errors.
        rise = max(delta, 0.0) ** 0.5 - max(deltas[-2], 0.0) ** 0.5
        step *= float(np.clip(0.7 / max(rise, 0.1), 1.0, 2.5)) if rise < 0.6 else 1.0
    if len(u) > 1:
        # The outermost refit once more, from the best point's other parameters: refits that hand their points on could
        # all lie in a valley that is not the deepest, and an interval that ends too early would not show it.
        _, again = _refit(fit, k, u[-1], fit.u)
        checked = again > deltas[-1] + fit.chi2 - 0.05
    leans = _leans_on(fit, k, points[-1]) if np.isfinite(crossing) else ""
    outward = np.array(points[1:]).reshape(-1, fit.u.size)
    return _Branch(np.array(u[1:]), np.array(deltas[1:]), outward, crossing, checked, leans)


def _leans_on(fit: Estimate, k: int, point: Array) -> str:
    """What ends a profile in the data's place: another parameter at its bound, or runs that cease to exist."""
    low, high = fit.space.bounds
    for j, p in enumerate(fit.space.parameters):
        if j != k and min(point[j] - low[j], high[j] - point[j]) < 1e-3:
            return f"the bound of {p.name}"
    if any(np.any(~np.isfinite(prediction)) for prediction in fit.problem.predictions(point)):
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


def _refit(fit: Estimate, k: int, fixed: float, guess: Array) -> tuple[Array, float]:
    """The other parameters at their best with u[k] fixed; the point and its chi2."""
    free = np.flatnonzero(np.arange(guess.size) != k)
    low, high = (b[free] for b in fit.space.bounds)

    def whole(v: Array) -> Array:
        u = np.empty(guess.size)
        u[free], u[k] = v, fixed
        return u

    if not free.size:
        r = fit.problem.residuals(whole(np.empty(0)), fit.levels)
        return whole(np.empty(0)), float(r @ r)
    solution = least_squares(
        lambda v: fit.problem.residuals(whole(v), fit.levels),
        np.clip(guess[free], low, high),
        jac=lambda v: fit.problem.jacobian(whole(v), fit.levels, free),
        bounds=(low, high),
        ftol=1e-7,
        xtol=1e-6,
        gtol=1e-8,
        max_nfev=25,
    )
    return whole(solution.x), float(2 * solution.cost)


def profiles(
    fit: Estimate,
    names: Sequence[str] | None = None,
    *,
    level: float = 0.95,
    workers: int = 1,
    folder: str | Path | None = None,
    progress: Progress | None = None,
) -> dict[str, LikelihoodProfile]:
    """Profile likelihoods of several parameters, at once and resumable.

    Parameters
    ----------
    fit : Estimate
        Where they begin.
    names : sequence of str, optional
        Which; default all.
    level : float
        Of the intervals.
    workers : int
        Processes.
    folder : path, optional
        Where each is written as soon as it is done; a later call for the same best point goes on from there.
    progress : callable, optional
        Called with (done, of all).

    Returns
    -------
    dict
        By name, in the order asked.
    """
    wanted = list(fit.space.names if names is None else names)
    done: dict[str, LikelihoodProfile] = {}
    if folder is not None:
        Path(folder).mkdir(parents=True, exist_ok=True)
        stored = {n: _load(_file(folder, n), fit) for n in wanted}
        done = {n: earlier for n, earlier in stored.items() if earlier is not None}
    todo = [n for n in wanted if n not in done]
    if progress is not None and done:
        progress(len(done), len(wanted))
    for job in mapped(partial(profile, fit, level=level), todo, workers=workers, chunk=1):
        name = todo[job.index]
        done[name] = job.result()
        if folder is not None:
            write_values(_file(folder, name), {"mark": _mark(fit), **vars(done[name])})
        if progress is not None:
            progress(len(done), len(wanted))
    return {n: done[n] for n in wanted}


def _file(folder: str | Path, name: str) -> Path:
    return Path(folder) / ("profile-" + "".join(ch if ch.isalnum() or ch in "._-" else "_" for ch in name) + ".npz")


def _mark(fit: Estimate) -> list[float]:
    """What a stored profile must agree with: the point, its chi2, and the levels."""
    return [*(round(float(x), 9) for x in fit.u), round(fit.chi2, 6), *(float(x) for x in fit.levels)]


def _load(path: Path, fit: Estimate) -> LikelihoodProfile | None:
    try:
        stored = read_values(path)
        if stored.pop("mark") != _mark(fit):
            return None
        return LikelihoodProfile(**stored)
    except (InputError, KeyError, TypeError):  # of another version, or damaged: made again
        return None
