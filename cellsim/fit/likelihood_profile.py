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
from scipy.stats import chi2 as chi2_distribution

from cellsim.base import Array, InputError, Progress
from cellsim.files.reading import read_values
from cellsim.files.writing import write_values
from cellsim.fit.descent import RUNS, descend
from cellsim.fit.estimate import Estimate
from cellsim.fit.parameters import Parameter
from cellsim.workers import mapped

Shape = Literal["bounded", "open above", "open below", "flat"]

FAR = {True: float(np.log(1e3)), False: 10.0}
"""How far a profile is followed in u: a factor of 1000, or ten typical units."""
STEEP = 3.0
"""A step that ends this many thresholds up is taken again, shorter."""
DOUBT = 0.5
"""A root of delta chi2 far above the line through the two points before is doubted: it is refitted from elsewhere."""
SAME_END = 0.05
"""Two refits this close in chi2 came to one end."""
LOST = 30
"""A refit with so many times the chi2 of the fit has lost the data altogether."""
AGAIN = 4
"""How often a branch is walked out and back before it is said not to have settled."""
PULL, LEANING = 0.2, 0.01
"""How far in u a parameter is pulled from its bound, and the share of the threshold by which chi2 must rise with it
if the bound is to count: less would end within a fifth of the threshold some five units farther on."""
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
        Whether all refits ended, and refits from elsewhere came to the same ends.
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
        if any(self.leans):  # points stand above the threshold, but not by the data
            sides = {side: lean for side, lean in zip(("below", "above"), self.leans, strict=True) if lean}
            return f"{self.name}: " + ", ".join(f"only {lean} bounds it from {side}" for side, lean in sides.items())
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
    return _refit(fit, k, u_k, fit.u + _slope(fit, k) * (u_k - fit.u[k])).chi2 - fit.chi2


@dataclass(frozen=True)
class _Refit:
    """The other parameters at their best with one fixed: the whole point u, chi2, and whether the search ended.

    `jacobian` is that of all residuals near the point, shape (n, p), for the next refit to begin with.
    """

    point: Array
    chi2: float
    ended: bool
    jacobian: Array


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


def _root(fit: Estimate, refit: _Refit) -> float:
    """Square root of delta chi2, which along a sound profile is nearly linear in u."""
    return float(np.sqrt(max(refit.chi2 - fit.chi2, 0.0)))


def _walk(fit: Estimate, k: int, sign: int, threshold: float, bound: float) -> _Branch:
    """Away from the best point until the threshold is passed, a bound is met, or it is far; then back where need be."""
    far = fit.u[k] + sign * FAR[fit.space.parameters[k].logarithmic]
    end = max(bound, far) if sign < 0 else min(bound, far)
    branch, changed = [_Refit(fit.u, fit.chi2, True, fit.jacobian)], True
    for _ in range(AGAIN):
        branch = _outward(fit, k, sign, threshold, end, branch)
        branch, changed = _inward(fit, k, branch)
        if not changed:
            break
    u = [float(refit.point[k]) for refit in branch]
    deltas = [refit.chi2 - fit.chi2 for refit in branch]
    over = [j for j, delta in enumerate(deltas) if delta > threshold]
    # a walk that went on after a point was mended may hold points beyond its end: the interval ends at the first
    beyond = over[0] + 1 if over else len(u)
    crossing = _cross(u[:beyond], deltas[:beyond], threshold) if over else np.nan
    leans = _leans_on(fit, k, branch[beyond - 1].point, threshold) if over else ""
    checked = not changed and all(refit.ended for refit in branch)
    outward = np.array([refit.point for refit in branch[1:]]).reshape(-1, fit.u.size)
    return _Branch(np.array(u[1:]), np.array(deltas[1:]), outward, crossing, checked, leans)


def _outward(fit: Estimate, k: int, sign: int, threshold: float, end: float, branch: Sequence[_Refit]) -> list[_Refit]:
    """A branch followed further, from its last point on."""
    refits = list(branch)
    # The root of delta is nearly linear in u, so four points up to sqrt(3.84) = 1.96 standard errors, 0.7 apart, draw
    # it well enough for a parabola; the standard error is clipped, because that of a flat direction is 1e6.
    step, halvings = 0.7 * float(np.clip(fit.sd[k], 1e-6, 0.5)), 0

    def too_far(new: _Refit, last: _Refit) -> bool:
        rise = _root(fit, new) - _root(fit, last)
        return new.chi2 - fit.chi2 > STEEP * threshold or rise > DOUBT + 0.7

    slope, steepness = _slope(fit, k), 1 / float(fit.sd[k])
    if len(refits) > 1:
        slope, steepness = _along(refits[-2], refits[-1], k), _steepness(fit, refits[-2], refits[-1], k)
    while len(refits) <= MOST and refits[-1].chi2 - fit.chi2 <= threshold:
        last = refits[-1]
        room = sign * (end - last.point[k])
        if room <= 1e-12:
            break
        here = last.point[k] + sign * min(step, room)
        # Each refit begins on the straight line through the last two, so that a profile that bends is followed in the
        # valley it began in; D and chi of cases/fit_example took 54 Jacobians that way, from the best point 79.
        new = _refit(fit, k, here, last.point + slope * (here - last.point[k]), jacobian=last.jacobian)
        expected = _root(fit, last) + steepness * abs(here - last.point[k])
        if not new.ended or _root(fit, new) > expected + DOUBT:
            # Lost where nothing depends on anything, or stopped short: D went from 0.58 to 8.0 in one step where its
            # other side went 0.49, 1.96, 4.4. The neighbour, the path that the covariance predicts, and the start.
            predicted = fit.u + _slope(fit, k) * (here - fit.u[k])
            beside = _refit(fit, k, here, last.point, jacobian=last.jacobian)
            pair = sorted([new, beside], key=lambda refit: refit.chi2)
            # a point that will be taken again, nearer, needs no confirming: half of all refits went into that
            again = halvings < 8 and too_far(pair[0], last)
            new = pair[0] if again else _agreed(fit, k, pair, (predicted, fit.u, fit.space.start))
        rise = _root(fit, new) - _root(fit, last)
        if too_far(new, last) and halvings < 8:  # for an interpolation
            halvings, step = halvings + 1, 0.4 * abs(here - last.point[k])
            continue
        refits.append(new)
        slope, steepness = _along(last, new, k), _steepness(fit, last, new, k)
        # Steps grow where the root rises slowly: a flat side is followed to its end, a factor of 1000 away, within the
        # MOST points that steps of one length would spend on the first few standard errors.
        step *= float(np.clip(0.7 / max(rise, 0.1), 1.0, 2.5)) if rise < 0.6 else 1.0
    return refits


def _agreed(fit: Estimate, k: int, pair: Sequence[_Refit], guesses: Sequence[Array]) -> _Refit:
    """The lowest of two refits and of more from other places, tried until the two lowest came to one end.

    An end that nothing depends on (chi2 many times the fit's) is flat and found again from anywhere: it does not count.
    """
    refits = list(pair)
    for guess in guesses:
        lowest, second = refits[:2]
        same = lowest.ended and second.ended and second.chi2 - lowest.chi2 < SAME_END
        if same and lowest.chi2 < LOST * max(fit.chi2, 1.0):
            break
        refits.append(_refit(fit, k, float(lowest.point[k]), guess, most=(RUNS[0],)))
        refits.sort(key=lambda refit: refit.chi2)
    return refits[0]


def _along(one: _Refit, two: _Refit, k: int) -> Array:
    """The straight line through two points of a profile, per u[k], shape (p,)."""
    return np.asarray((two.point - one.point) / (two.point[k] - one.point[k]))


def _steepness(fit: Estimate, one: _Refit, two: _Refit, k: int) -> float:
    """By how much the root of delta rises from one point to the next, per u[k]; no less than nothing."""
    return max(_root(fit, two) - _root(fit, one), 0.0) / abs(float(two.point[k] - one.point[k]))


def _inward(fit: Estimate, k: int, branch: Sequence[_Refit]) -> tuple[list[_Refit], bool]:
    """A branch walked back from its outermost point where that one was too high or its points lie on no smooth line.

    The outermost refit is made once more from the best point's other parameters: refits that hand their points on could
    all lie in a valley that is not the deepest, and an interval that ends too early would not show it.

    Returns
    -------
    branch : list of _Refit
        With the lower points.
    changed : bool
        Whether any was lower.
    """
    if len(branch) < 2:
        return list(branch), False
    mended = list(branch)
    # along a flat line that search may creep for hundreds of runs, and what it has not found by then is no lower
    known = branch[-1].chi2 if branch[-1].ended else -np.inf
    again = _refit(fit, k, float(branch[-1].point[k]), fit.u, most=(RUNS[0],), known=known)
    changed = again.chi2 < branch[-1].chi2 - SAME_END
    if changed:
        mended[-1] = again
    if not changed and _smooth([_root(fit, refit) for refit in branch], [float(r.point[k]) for r in branch]):
        return mended, False
    for j in range(len(branch) - 2, 0, -1):
        here, outer = float(branch[j].point[k]), mended[j + 1]
        path = outer.point + _along(mended[0], outer, k) * (here - outer.point[k])
        other = _refit(fit, k, here, path)
        if abs(other.chi2 - branch[j].chi2) > SAME_END:  # else two refits came to one end
            other = min(other, _refit(fit, k, here, mended[j - 1].point), key=lambda refit: refit.chi2)
        if other.chi2 < branch[j].chi2 - SAME_END:
            mended[j], changed = other, True
    return mended, changed


def _smooth(root: Sequence[float], u: Sequence[float]) -> bool:
    """Whether the roots of delta of a branch, outward, neither fall nor jump."""
    rise, gap = np.diff(root), np.abs(np.diff(u))
    steepness = rise / gap
    jumps = (rise[1:] > DOUBT) & (steepness[1:] > 3 * np.maximum(steepness[:-1], 0.3 * steepness[0]))
    return not (np.any(rise < -0.1) or np.any(jumps))


def _leans_on(fit: Estimate, k: int, point: Array, threshold: float) -> str:
    """What ends a profile in the data's place: another parameter at its bound, or runs that cease to exist.

    A bound counts only if chi2 rises when its parameter is pulled back inside: along a flat line of kappa and R_int a
    refit may end at the bound of kappa and would end anywhere else as well.
    """
    low, high = fit.space.bounds
    free = [j for j in range(point.size) if j != k]
    at_bound = [j for j in free if min(point[j] - low[j], high[j] - point[j]) < 1e-3]
    for j in at_bound:
        nearer = low[j] if point[j] - low[j] < high[j] - point[j] else high[j]
        inside = nearer + min(PULL, 0.25 * (high[j] - low[j])) * (1 if nearer == low[j] else -1)
        guess = point.copy()
        guess[j] = inside
        held = _refit(fit, k, float(point[k]), guess, also=(j,))
        if held.chi2 - _chi2(fit, point) > LEANING * threshold:
            return f"the bound of {fit.space.parameters[j].name}"
    if any(np.any(~np.isfinite(prediction)) for prediction in fit.problem.predictions(point)):
        return "that no cell can be run beyond"
    return ""


def _chi2(fit: Estimate, point: Array) -> float:
    r = fit.problem.residuals(point, fit.levels)
    return float(r @ r)


def _cross(u: list[float], delta: list[float], threshold: float) -> float:
    """Where delta passes the threshold, its root interpolated by a parabola through the last three points."""
    root = np.sqrt(np.maximum(np.array(delta[-3:]), 0.0))
    x = np.array(u[-3:])
    target = np.sqrt(threshold)
    if x.size < 3 or np.any(np.diff(root) <= 0):
        return float(np.interp(target, root[-2:], x[-2:]))
    a, b, c = np.polyfit(root, x, 2)
    return float(np.clip(a * target**2 + b * target + c, min(x[-2:]), max(x[-2:])))


def _refit(
    fit: Estimate,
    k: int,
    fixed: float,
    guess: Array,
    also: tuple[int, ...] = (),
    most: Sequence[int] = RUNS,
    jacobian: Array | None = None,
    known: float = -np.inf,
) -> _Refit:
    """The other parameters at their best with u[k] fixed, and those of `also` where `guess` has them.

    The search begins with the derivatives of a neighbour (`jacobian`, default the fit's); see :func:`.descend`.
    """
    free = np.array([j for j in range(guess.size) if j != k and j not in also], dtype=np.int64)
    low, high = (b[free] for b in fit.space.bounds)
    problem, levels = fit.problem, fit.levels
    near = (fit.jacobian if jacobian is None else jacobian).copy()

    def whole(v: Array) -> Array:
        u = guess.copy()
        u[free], u[k] = v, fixed
        return u

    def residuals(v: Array) -> Array:
        return problem.residuals(whole(v), levels)

    if not free.size:
        return _Refit(whole(np.empty(0)), _chi2(fit, whole(np.empty(0))), True, near)
    found = descend(
        residuals,
        lambda v, one_sided: problem.jacobian(whole(v), levels, free, rough=one_sided),
        np.clip(guess[free], low, high),
        (low, high),
        near[:, free],
        rough=True,
        most=most,
        known=known,
        shared=problem.together,
    )
    near[:, free] = found.jacobian
    return _Refit(whole(found.v), found.chi2, found.ended, near)


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
    if progress is not None:
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
