"""What the correlation functions of one series say of a speed: the profile likelihood, whole, as data of a fit.

chi^2 of a series, minimised over everything that belongs to the instrument and the fluid at rest (contrast, moving
fraction, relaxation of every ring), is a function of the speed alone. Series share none of these, so the sum of these
functions over all series is chi^2 of all correlation functions: a fit that takes them is a fit to the raw g2, with the
instrument's parameters as nuisances, at no cost per trial. Next to rest the function is flat and even, where several
fringes fit it has several minima; a value with a standard error says neither.

The function is kept as its signed root, sign(v - v_best) sqrt(chi^2(v) - chi^2(v_best)), which is linear in v where the
likelihood is Gaussian; least squares takes it as a residual (the signed root of the likelihood ratio: Barndorff-Nielsen
& Cox 1994, Inference and Asymptotics, section 4.5).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import numpy as np
from scipy.interpolate import PchipInterpolator

from cellsim.base import Array, Bools, InputError
from cellsim.electrolyte.mixture_set import Electrolyte
from cellsim.files.reading import read_netcdf
from cellsim.instruments.looks import Values, VelocityLook
from cellsim.instruments.measurement import Measurement, velocities
from cellsim.instruments.xpcs.engine import Parameters
from cellsim.instruments.xpcs.search import Fits, Interval, Profile
from cellsim.solvers.solution import Solution

REACH = 3.1
"""How far the table goes beyond the 95 % set's ends, as a multiple of their distance from the best speed: to about six
standard errors. Further out the curves show no motion at all at that speed and chi^2 rises no more; there a fit only
has to be led back."""
NODES = 13
"""Speeds of the table, at least: one for each standard error; the root is nearly straight between them."""
TOLERANCE = 0.01
"""A fall of chi^2 away from the best speed that is only rounding of the fits."""
MOST = 100
"""Speeds of the table at most, where several fringes lie in the interval."""


@dataclass(frozen=True)
class SpeedLikelihood:
    """The profile likelihood of a speed as its signed root.

    Parameters
    ----------
    speed : ndarray, shape (n,)
        Speeds, increasing [m/s].
    root : ndarray, shape (n,)
        sign(v - v_best) sqrt(chi^2(v) - chi^2(v_best)) [1].

    Raises
    ------
    InputError
        Fewer than two speeds, speeds that do not increase or are negative, roots that are not numbers.
    """

    speed: Array
    root: Array

    def __post_init__(self) -> None:
        if self.speed.size < 2 or self.speed.shape != self.root.shape:
            raise InputError("a likelihood of a speed needs two speeds or more, each with its root")
        if not (np.all(np.isfinite(self.speed)) and np.all(self.speed >= 0) and np.all(np.diff(self.speed) > 0)):
            raise InputError("the speeds of a likelihood must not be negative and must increase")
        if not np.all(np.isfinite(self.root)):
            raise InputError("a likelihood holds a root of chi^2 that is not a number")

    @cached_property
    def _curve(self) -> PchipInterpolator:
        return PchipInterpolator(self.speed, self.root)

    def at(self, v: float) -> float:
        """The signed root at a speed [m/s], outside the table by straight lines that go on rising [1]."""
        low, high = float(self.speed[0]), float(self.speed[-1])
        inside = float(self._curve(min(max(v, low), high)))
        return inside + (v - min(max(v, low), high)) * self._slope

    @cached_property
    def _slope(self) -> float:
        """Mean rise over the table, its two ends taken as they are far from the minimum [s/m]."""
        rise = float(np.ptp(self.root))
        return rise / float(self.speed[-1] - self.speed[0])


def speed_likelihood(profile: Profile, found: Interval, factor: float, step: float, top: float) -> SpeedLikelihood:
    """chi^2 minimised over everything but the speed, on both sides of the best speed.

    Parameters
    ----------
    profile : Profile
        The curves, and what is adjusted besides the speed.
    found : Interval
        The best fit and the 95 % set, which must end.
    factor : float
        chi^2 is divided by it: the inflation of the errors [1].
    step : float
        Internal velocity within which a fringe does not change.
    top : float
        Nothing is tried beyond, unless the interval reaches there [internal].

    Returns
    -------
    SpeedLikelihood
    """
    best, u0 = found.best, found.best.u
    low = max(0.0, u0 - REACH * (u0 - found.low))
    high = max(min(u0 + REACH * (found.high - u0), top), found.high, u0 + 1e-3 * step)
    fringes = (found.high - found.low) / step if found.fringe != (found.low, found.high) else 0.0
    nodes = np.linspace(low, high, int(np.clip(NODES + 6 * fringes, NODES, MOST)))
    if low < 0.3 * high:  # next to rest chi^2 is smooth in v^2
        nodes = np.union1d(nodes, np.sqrt(np.linspace(low**2, high**2, NODES)))
    apart = 1e-3 * (high - low)  # the two spacings meet here and there, but for the last digit
    nodes = nodes[np.diff(nodes, prepend=-np.inf) > apart]
    nodes = nodes[np.abs(nodes - u0) > apart]
    fits = _followed(profile, profile.near(best.theta, nodes), u0)
    rise = np.sqrt(np.maximum(fits.chi2 - float(best.chi2[0]), 0.0) / factor)
    speed, root = np.append(nodes, u0), np.append(np.sign(nodes - u0) * rise, 0.0)
    order = np.argsort(speed)
    return SpeedLikelihood(speed[order] * profile.problem.scale, root[order])


def _followed(profile: Profile, fits: Fits, u0: float) -> Fits:
    """The fits, each tried again from its neighbours' shapes where chi^2 does not rise away from the best speed.

    h and 1 - h are nearly alike next to rest: a node may end in the worse one while its neighbours found the better.
    """
    for _ in range(2):
        u = fits.theta.v[:, 0]
        rising = np.diff(fits.chi2) * np.sign(0.5 * (u[1:] + u[:-1]) - u0)
        if np.all(rising > -TOLERANCE):
            break
        n = np.arange(u.size)
        neighbours = [fits.theta.take(np.clip(n + side, 0, u.size - 1)) for side in (-1, 1)]
        parts = zip(*neighbours, strict=True)
        starts = Parameters(*(np.concatenate(pair) for pair in parts))._replace(v=np.tile(u, 2)[:, None])
        again = profile.at(starts, 2)
        better = again.chi2 < fits.chi2
        theta = Parameters(
            *(np.where(better[:, None], new, old) for new, old in zip(again.theta, fits.theta, strict=True))
        )
        fits = Fits(theta, np.where(better, again.chi2, fits.chi2))
    return fits


@dataclass(frozen=True)
class CorrelationLook(VelocityLook):
    """Speeds of the solvent as correlation functions see them: each by the likelihood of its series.

    A speed v is predicted as value + error root(v), so that a residual over the error is the root of chi^2.

    Parameters
    ----------
    value, error : ndarray, shape (n,)
        Best speeds and the errors they are given with [m/s].
    likelihoods : tuple of SpeedLikelihood
        Of every point.
    """

    value: Array = field(default_factory=lambda: np.zeros(0))
    error: Array = field(default_factory=lambda: np.zeros(0))
    likelihoods: tuple[SpeedLikelihood, ...] = ()

    def predict(self, transport: Electrolyte, solution: Solution | None, values: Values) -> Array:
        """[m/s]"""
        v = np.abs(super().predict(transport, solution, values))
        roots = [one.at(float(x)) if np.isfinite(x) else np.nan for one, x in zip(self.likelihoods, v, strict=True)]
        return np.asarray(self.value + self.error * np.array(roots))

    def subset(self, keep: Bools, end: float = np.inf) -> CorrelationLook:
        """See :class:`.Look`."""
        return replace(
            self,
            time=np.minimum(self.time[keep], end),
            position=self.position[keep],
            value=self.value[keep],
            error=self.error[keep],
            likelihoods=tuple(one for one, kept in zip(self.likelihoods, keep, strict=True) if kept),
        )


@dataclass(frozen=True)
class Speeds:
    """Speeds of several series with their likelihoods, each with its place and time.

    Parameters
    ----------
    time : ndarray, shape (n,)
        Of the middle of each series, from the start of the polarisation [s].
    position : ndarray, shape (n,)
        In the coordinate of the file [m].
    value, error : ndarray, shape (n,)
        Best speeds, 0 where rest is not excluded, and their standard errors [m/s].
    likelihoods : tuple of SpeedLikelihood or None
        None where a series does not limit the speed or was not fitted.
    label : str
        For figures and messages.
    notes : tuple of str
        What a reader of the data should know.
    """

    time: Array
    position: Array
    value: Array
    error: Array
    likelihoods: tuple[SpeedLikelihood | None, ...]
    label: str = ""
    notes: tuple[str, ...] = ()

    def measurement(
        self,
        *,
        origin: float = 0.0,
        quantity: str = "v_0",
        time_offset: float = 0.0,
        beam_width: float = 0.0,
        position_error: float = 0.0,
    ) -> Measurement:
        """The speeds as data of a comparison or a fit.

        Parameters
        ----------
        origin : float
            Where the positions count from: distance from the positive interface [m].
        quantity : str
            Whose velocity it is, as of :class:`.VelocityLook`; in the lab frame.
        time_offset : float
            Added to the times [s].
        beam_width, position_error : float
            Width of the beam, standard error of where it stands [m].

        Returns
        -------
        Measurement
            Of the kind "velocity".

        Raises
        ------
        InputError
            No series says anything of the speed, or a series without its position or time.
        """
        known = np.array([one is not None for one in self.likelihoods], dtype=bool)
        if not known.any():
            raise InputError(f"{self.label}: no series limits the speed")
        unplaced = np.flatnonzero(known & ~np.isfinite(self.time + self.position))
        if unplaced.size:
            raise InputError(
                f"{self.label}: series {unplaced[0] + 1} of {known.size} has no position or no time; give both in the "
                "list (docs/xpcs.md)"
            )
        notes = list(self.notes)
        if not known.all():
            silent = np.count_nonzero(~known)
            notes.append(f"series that do not limit the speed and are left out: {silent} of {known.size}")
        look = CorrelationLook(
            self.time[known] + time_offset,
            self.position[known] + origin,
            quantity,
            position_error=position_error,
            beam_width=beam_width,
            value=self.value[known],
            error=self.error[known],
            likelihoods=tuple(one for one in self.likelihoods if one is not None),
        )
        return replace(velocities(look, look.value, error=look.error, label=self.label), notes=tuple(notes))


def read_speeds(path: str | Path) -> Speeds:
    """The speeds that `cellsim xpcs` wrote into xpcs.nc, with the likelihood of each.

    Parameters
    ----------
    path : str or Path
        The file.

    Returns
    -------
    Speeds

    Raises
    ------
    InputError
        No such file, or one without the variables it needs.
    """
    path = Path(path)
    names = ("time", "position", "v_0", "v_0_error", "likelihood_speed", "likelihood_root")
    with read_netcdf(path, what="a file of velocities, as cellsim xpcs writes it") as data:
        missing = [name for name in names if name not in data]
        if missing:
            raise InputError(
                f"{path}: contains no {missing[0]}; name the xpcs.nc of cellsim xpcs, or make it again from its list"
            )
        time, position, v, error, speed, root = (np.asarray(data[name].values) for name in names)
    if any(a.dtype.kind not in "fiu" for a in (time, position, v, error, speed, root)):
        raise InputError(f"{path}: holds speeds or likelihoods that are not numbers")
    if speed.ndim != 2 or speed.shape != root.shape or {a.shape for a in (time, position, v, error)} != {(len(speed),)}:
        raise InputError(f"{path}: speeds and likelihoods do not belong to the same series")
    likelihoods: list[SpeedLikelihood | None] = []
    for k, (nodes, values) in enumerate(zip(speed, root, strict=True)):
        filled = np.isfinite(nodes)
        if not filled.any():
            likelihoods.append(None)
            continue
        if not (np.isfinite(v[k]) and error[k] > 0):
            raise InputError(f"{path}: series {k + 1} has a likelihood but no speed with a positive error")
        try:
            likelihoods.append(SpeedLikelihood(nodes[filled], values[filled]))
        except InputError as complaint:
            raise InputError(f"{path}: series {k + 1}: {complaint}") from None
    return Speeds(time, position, v, error, tuple(likelihoods), path.name)


def padded(likelihoods: Sequence[SpeedLikelihood | None]) -> tuple[Array, Array]:
    """Speeds and roots of several as two tables, shape (series, nodes), filled up with NaN [m/s], [1]."""
    widest = max((one.speed.size for one in likelihoods if one is not None), default=0)
    speed, root = np.full((2, len(likelihoods), widest), np.nan)
    for k, one in enumerate(likelihoods):
        if one is not None:
            speed[k, : one.speed.size], root[k, : one.root.size] = one.speed, one.root
    return speed, root
