"""Heterodyne XPCS, back: the speed from all correlation functions of a series at once, with its interval.

A speed that changes is in `drift`; the weaker routes, curve by curve and frequency against q cos(azimuth), are in
`curves`; what a series can resolve is in `window`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.stats import chi2 as chi2_distribution

from cellsim.base import Array, InputError
from cellsim.instruments.xpcs.correlation import CorrelationSet, heterodyne_g2
from cellsim.instruments.xpcs.engine import (
    ALL,
    BASELINE,
    CONTRAST,
    CURVE,
    RING,
    STRETCH,
    TAU0,
    H,
    LeastSquares,
    Levels,
    Parameters,
    V,
    prepare,
    relative_bias,
    score_scatter,
    variances,
)
from cellsim.instruments.xpcs.likelihood import SpeedLikelihood, speed_likelihood
from cellsim.instruments.xpcs.search import (
    FringeChoice,
    Profile,
    effective_lag,
    first_fringe,
    interval,
    minima,
    scan,
    search,
    velocity_grid,
)

SIGNIFICANCE = 0.01
"""A velocity counts as seen when v = 0 would do as well less often than this, the search counted [1]."""
ANGSTROM = 1e-10


@dataclass(frozen=True)
class AtRest:
    """The fit against the same model with v = 0, which has one parameter less.

    Parameters
    ----------
    chi2 : float
        Of the best fit with v = 0 [1].
    ratio : float
        Likelihood-ratio statistic, chi^2(v = 0) - chi^2 [1].
    p_value : float
        Of `ratio` if v = 0: half a chi^2 with one degree of freedom, because v cannot be negative [1].
    p_global : float
        The same, allowing for the search where `v` lies beyond the first fringe: another model for every ring, and as
        many tries as there are fringes [1].
    delta_aic, delta_bic : float
        Criterion at v = 0 minus criterion with v: positive where motion is preferred [1].
    """

    chi2: float
    ratio: float
    p_value: float
    p_global: float
    delta_aic: float
    delta_bic: float


@dataclass(frozen=True)
class VelocityFit:
    """One speed for a whole series, with the nuisance parameters of every ring.

    g2 is even in v: `v` is |v| along the azimuth's axis, and nothing here knows its sign.

    Parameters
    ----------
    v, error : float
        Speed and its standard error (curvature of chi^2) [m/s]; at v = 0 the error is the upper end of `interval`.
    interval : tuple of float
        95 % likelihood-ratio interval of |v| [m/s]; its upper end is the upper limit where the speed is not resolved.
    resolved : bool
        Whether v = 0 is excluded (:data:`SIGNIFICANCE`).
    fringe : tuple of float
        The part of `interval` around `v`, all of it unless another fringe fits as well [m/s].
    chi2 : float
        At the minimum [1].
    points, parameters : int
        Data points and adjusted parameters.
    rest : AtRest
        Comparison with v = 0.
    q : ndarray, shape (n,)
        Scattering vectors of the curves [1/m].
    azimuth : ndarray, shape (n,)
        [rad]
    contrast, h, tau0, stretch, baseline : ndarray, shape (n,)
        Of every curve [1], [1], [s], [1], [1].
    contrast_error, h_error, tau0_error, stretch_error : ndarray, shape (n,)
        Standard errors [1], [1], [s], [1].
    ring : ndarray of int, shape (n,)
        Ring of every curve.
    inflation : float
        Ratio of the variance of v from the scatter between curves to that from the stated errors [1]; above 1 the
        errors are too small or correlated.
    used_inflation : float
        The factor put into `error` and `interval` [1].
    bias : float
        Expected bias of `v` over `error`, to first order; large where the shape of the rings is poorly known; NaN at
        v = 0 [1].
    spread : float
        Full width of the drift of v that the model allows for [m/s].
    scanned : tuple of float
        Highest velocity searched and the number of independent fringes up to it [m/s], [1].
    warnings : tuple of str
        One sentence each.
    likelihood : SpeedLikelihood, optional
        The whole profile likelihood of the speed, where it was asked for and the curves limit the speed.
    """

    v: float
    error: float
    interval: tuple[float, float]
    resolved: bool
    fringe: tuple[float, float]
    chi2: float
    points: int
    parameters: int
    rest: AtRest
    q: Array
    azimuth: Array
    contrast: Array
    h: Array
    tau0: Array
    stretch: Array
    baseline: Array
    contrast_error: Array
    h_error: Array
    tau0_error: Array
    stretch_error: Array
    ring: NDArray[np.intp]
    inflation: float
    used_inflation: float
    bias: float
    spread: float
    scanned: tuple[float, float]
    warnings: tuple[str, ...] = ()
    likelihood: SpeedLikelihood | None = None

    @property
    def ambiguous(self) -> bool:
        """Whether another fringe fits as well."""
        return self.fringe != self.interval

    @property
    def upper_limit(self) -> float:
        """Upper end of the interval; holds the truth in at least 95 % also where v = 0 is not excluded [m/s]."""
        return self.interval[1]

    @property
    def reduced_chi2(self) -> float:
        """chi^2 per degree of freedom [1]."""
        return self.chi2 / max(1, self.points - self.parameters)

    @property
    def first_of_ring(self) -> NDArray[np.intp]:
        """One curve of every ring: `tau0` at these is tau0(q)."""
        return np.unique(self.ring, return_index=True)[1]

    def g2(self, tau: Array) -> Array:
        """The fitted curves at delays `tau` [s], shape (n, k) [1]."""
        shape = {"contrast": self.contrast, "h": self.h, "tau0": self.tau0, "stretch": self.stretch}
        fitted = heterodyne_g2(self.q, self.azimuth, tau, v=self.v, spread=self.spread, **shape)
        return fitted + self.baseline[:, None]

    def describe(self) -> str:
        """The result in words."""
        low, high = (x / ANGSTROM for x in self.fringe)
        if not np.isfinite(self.interval[1]):
            text = "These curves do not limit the speed: no mixing of moving and static fields is seen."
        elif self.resolved:
            text = (
                f"|v| = {self.v / ANGSTROM:.4g} ± {self.error / ANGSTROM:.2g} Å/s (95 %: {low:.4g} to {high:.4g} Å/s)."
            )
        else:
            text = f"No motion is resolved: |v| < {high:.4g} Å/s (95 %)."
        if self.ambiguous:
            low, high = (x / ANGSTROM for x in self.interval)
            text += f" Other fringes, {low:.4g} to {high:.4g} Å/s in all, are not excluded."
        return " ".join((text, "g2 is even in v: the sign comes from the model.", *self.warnings))


Level = Literal["curve", "ring", "all"]

MISSED = 1.3
"""chi^2 per degree of freedom below which a misfit, however certain, changes an interval by less than a seventh."""
LEVEL95 = float(chi2_distribution.ppf(0.95, 1))
"""Rise of chi^2 at the ends of a 95 % interval."""
SECTOR_ROUNDS = 2
"""Fits with the blur of sectors at the speed of the fit before, which the second no longer moves."""
CANDIDATES = 6
"""Fringes from which the full fit begins."""
_LEVELS = {"curve": CURVE, "ring": RING, "all": ALL}
SHAPE = [CONTRAST, H, TAU0, STRETCH]
"""Parameters adjusted besides v."""


def fastest(data: CorrelationSet) -> float:
    """Highest velocity worth searching: the fastest curve turns by pi between the closest two delays [m/s].

    Raises
    ------
    InputError
        If no scattering vector has a component along the velocity.
    """
    along = float(np.max(data.along))
    if along < 1e-6 * float(data.q.max()):
        raise InputError(f"{data.label or 'XPCS'}: every azimuth is at a right angle to the velocity; nothing turns")
    closest = float(np.min(np.diff(data.tau))) if data.tau.size > 1 else float(data.tau[0])
    return np.pi / (along * closest)


def fit_velocity(
    data: CorrelationSet,
    *,
    contrast: Level = "ring",
    h: Level = "ring",
    tau0: Level = "ring",
    stretch: Level = "ring",
    baseline: Level | None = None,
    v_max: float | None = None,
    spread: float = 0.0,
    errors: Literal["given", "robust"] = "given",
    likelihood: bool = False,
) -> VelocityFit:
    """All curves at once, |v| shared.

    Steinrueck 2020 Eqs. 1 and 2. All velocities up to `v_max` are searched; error and interval come from the profile
    of chi^2, the same set whether motion is seen or not, so that an upper limit and an interval never contradict.

    Parameters
    ----------
    data : CorrelationSet
        The series.
    contrast, h, tau0, stretch : {"curve", "ring", "all"}
        What shares one value.
    baseline : {"curve", "ring", "all"}, optional
        A free constant added to g2; default none.
    v_max : float, optional
        Highest velocity searched [m/s]; default :func:`fastest`.
    spread : float
        Full width of an even drift of v during the series [m/s].
    errors : {"given", "robust"}
        "given": the errors of the points are independent and right. "robust": scaled by the scatter between curves
        (errors of unknown size, or correlated along a curve; curves are taken as independent).
    likelihood : bool
        Also follow the profile likelihood of the speed to seven standard errors: what a fit of cells takes.

    Returns
    -------
    VelocityFit

    Raises
    ------
    InputError
        No component along the velocity, fewer points than parameters, unknown options.

    References
    ----------
    doi:10.1039/D0EE02193H, Eqs. 1 and 2; variable projection: Golub & Pereyra 2003, doi:10.1088/0266-5611/19/2/201.
    """
    levels = _levels(contrast, h, tau0, stretch, baseline)
    if errors not in ("given", "robust"):
        raise InputError(f"errors = {errors!r} must be given or robust")
    options = (levels, baseline is not None, v_max, spread, errors, likelihood)
    fit = _joint_fit(data, *options)
    for _ in range(SECTOR_ROUNDS if data.sector else 0):  # how far a sector blurs the fringes follows from the speed
        if not fit.resolved:
            break
        fit = _joint_fit(data, *options, blur=fit.v)
    return fit


def _joint_fit(
    data: CorrelationSet,
    levels: Levels,
    baseline: bool,
    v_max: float | None,
    spread: float,
    errors: str,
    likelihood: bool,
    blur: float = 0.0,
) -> VelocityFit:
    """The fit at one blur of the sectors, that of the speed `blur` [m/s]."""
    shape = [*SHAPE, BASELINE] if baseline else SHAPE
    top = fastest(data)
    if v_max is not None:
        if not (np.isfinite(v_max) and v_max > 0):
            raise InputError(f"v_max = {v_max!r} m/s must be positive")
        top = float(v_max)
    problem = prepare(data, spread=spread, join=CURVE not in [levels[p] for p in shape], blur=blur)
    full = prepare(data, spread=spread, join=False, blur=blur)
    sizes = (full.ring.size, full.starts.size, 1)
    parameters = 1 + sum(sizes[levels[p]] for p in shape)
    if problem.points <= parameters:
        raise InputError(
            f"{data.label or 'XPCS'}: {problem.points} points cannot fix {parameters} parameters; share more of them"
        )
    profile = Profile(problem, levels, shape)
    grid = velocity_grid(problem, top / problem.scale)
    scanned = scan(problem, grid)
    rows = np.union1d(minima(scanned.total, CANDIDATES), [0, 1])
    still, fits = search(profile, scanned, rows)
    free = [V, *shape]
    factor = 1.0
    if errors == "robust":
        factor = max(score_scatter(full, _turning(fits.best.theta, grid[1]), levels, free), 1e-6)
    rings = full.starts.size
    fringes = max(1.0, float(grid[-1]) * effective_lag(problem) / np.pi)
    choice = FringeChoice(first_fringe(problem), float(still.chi2[0]) - factor * fringe_gain(rings, fringes))
    result = interval(profile, fits, still, LEVEL95 * factor, float(grid[1]), 4 * float(grid[-1]), choice)
    theta, least = result.best.theta, float(result.best.chi2[0])
    u, high = result.best.u, result.high
    inflation = score_scatter(full, _turning(theta, min(high, float(grid[1]))), levels, free)
    width = float(np.sqrt(factor) * profile.width(theta))
    variance = variances(full, theta, levels, free if u > 0 else shape)
    drop = max(0.0, float(still.chi2[0]) - least)
    tries = None if u <= choice.near else (fringes, rings)
    rest = _at_rest(least + problem.constant + drop, drop / factor, problem.points, tries)
    v = u * problem.scale
    followed = None
    if likelihood and np.isfinite(high):
        followed = speed_likelihood(profile, result, factor, float(grid[1]), float(grid[-1]))
    bias = float(relative_bias(problem, theta, levels, free)[0]) if u > 0 else np.nan
    return VelocityFit(
        v=v,
        error=min(width, high) * problem.scale,
        interval=(result.low * problem.scale, high * problem.scale),
        resolved=rest.p_global < SIGNIFICANCE and bool(np.isfinite(high)),
        fringe=(result.fringe[0] * problem.scale, result.fringe[1] * problem.scale),
        chi2=least + problem.constant,
        points=problem.points,
        parameters=parameters,
        rest=rest,
        q=data.q,
        azimuth=data.azimuth,
        ring=data.ring,
        inflation=inflation,
        used_inflation=factor,
        bias=bias,
        spread=spread,
        scanned=(top, fringes),
        warnings=(
            *_misfit(least + problem.constant, problem.points - parameters, factor, errors),
            *_wide_sectors(data, v, width * problem.scale),
            *(_warnings(inflation, factor, bias, v, top) if np.isfinite(high) else ()),
        ),
        likelihood=followed,
        **_of_curves(full, theta, levels, variance, factor),
    )


def _levels(contrast: str, h: str, tau0: str, stretch: str, baseline: str | None) -> Levels:
    chosen = {"contrast": contrast, "h": h, "tau0": tau0, "stretch": stretch, "baseline": baseline or "ring"}
    for key, value in chosen.items():
        if value not in _LEVELS:
            raise InputError(f"{key} = {value!r} must be one of curve, ring, all")
    a, b, c, d, e = (_LEVELS[value] for value in chosen.values())
    return (ALL, a, b, c, d, e)


def fringe_gain(rings: int, fringes: float) -> float:
    """Drop of chi^2 below rest that some distant fringe shows by chance in :data:`SIGNIFICANCE` of series at rest [1].

    Bonferroni over the fringes; each is taken to have one more free amplitude per ring.
    """
    return float(chi2_distribution.isf(SIGNIFICANCE / fringes, 1 + rings))


def _at_rest(chi2: float, ratio: float, points: int, tries: tuple[float, int] | None) -> AtRest:
    """The comparison with v = 0; `tries`, of a speed beyond the first fringe: how many fringes and rings were free."""
    p = 0.5 * float(chi2_distribution.sf(ratio, 1)) if ratio > 0 else 1.0
    p_global = p
    if tries is not None:
        fringes, rings = tries
        p_global = min(1.0, fringes * float(chi2_distribution.sf(ratio, 1 + rings)))
    return AtRest(chi2, ratio, p, p_global, ratio - 2, ratio - float(np.log(points)))


def _turning(theta: Parameters, least: float) -> Parameters:
    """The same parameters with a velocity at which curves turn visibly: at v = 0 g2 has no slope in v."""
    return theta._replace(v=np.maximum(theta.v, 0.3 * least))


def _of_curves(
    problem: LeastSquares, theta: Parameters, levels: Levels, variance: dict[int, Array], factor: float
) -> dict[str, Array]:
    """Shape of every curve and its standard errors in the order of the set, under the names of :class:`VelocityFit`."""
    place = np.argsort(problem.order)
    columns = {"baseline": theta.baseline[0][problem.groups(levels[BASELINE])][place]}
    for p in SHAPE:
        groups = problem.groups(levels[p])
        raw = theta[p][0][groups]
        value = 1 / (1 + np.exp(-raw)) if p == H else np.exp(raw)
        slope = value * (1 - value) if p == H else value
        name = Parameters._fields[p]
        columns[name] = value[place]
        columns[f"{name}_error"] = (slope * np.sqrt(factor * variance[p][groups]))[place]
    return columns


def _misfit(chi2: float, freedom: int, factor: float, errors: str) -> tuple[str, ...]:
    """Whether the model misses the curves: by their errors, or, where these are scaled, by more than their scatter."""
    reduced = chi2 / max(freedom, 1)
    scaled = factor if errors == "robust" else 1.0
    if reduced < scaled * (1 + 5 * float(np.sqrt(2 / max(freedom, 1)))) or reduced < MISSED:
        return ()
    return (
        f"The model misses these curves: chi^2 is {reduced:.3g} per degree of freedom. Curves averaged over azimuth, "
        "more than one velocity, or errors that are too small; the interval is not to be believed.",
    )


def _wide_sectors(data: CorrelationSet, v: float, error: float) -> tuple[str, ...]:
    """What an average over sectors as wide as the azimuths lie apart would do to the speed, where it is not stated."""
    low = v * (1 - float(np.sinc(0.5 * data.spacing / np.pi)))
    if data.sector is not None or not low > 0.5 * error > 0:
        return ()
    degrees = float(np.rad2deg(data.spacing))
    return (
        f"The azimuths lie {degrees:.3g} degrees apart: if each curve is an average over as much, give that as sector, "
        f"or the speed is read low by {100 * low / v:.2g} %.",
    )


def _warnings(inflation: float, factor: float, bias: float, v: float, top: float) -> tuple[str, ...]:
    """What to look at before a speed, or its upper limit, is believed; of curves that limit none there is neither."""
    texts = []
    if factor == 1.0 and not 1 / 1.8 < inflation < 1.8:
        texts.append(
            f"The scatter between curves gives {inflation:.2g} times the variance that the stated errors say; "
            'consider errors = "robust".'
        )
    if abs(bias) > 0.2:
        # beyond one error the expansion that gives the bias says that it is large, and not how large
        size = (
            f"a bias of {bias:+.2g} errors is expected" if abs(bias) < 1 else "a bias larger than the error is expected"
        )
        texts.append(f"The shape of the rings is poorly known: {size}; share h or stretch, or measure longer delays.")
    if v > 0.8 * top:
        texts.append("The speed lies at the end of the searched range; check the delays.")
    return tuple(texts)
