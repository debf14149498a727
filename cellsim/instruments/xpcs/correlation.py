"""Heterodyne XPCS: the correlation function of a fluid that moves past a static reference, forward.

    g2(q, tau) = 1 + contrast [(1 - h)^2 + h^2 E^2 + 2 h (1 - h) cos(omega tau) E],    E = exp(-(tau/tau0)^stretch)
    omega = q v cos(azimuth)

`h` is the moving fraction of the scattered field, `azimuth` the angle between scattering vector and velocity. The
cosine is even: g2 knows |v| only, the sign is the model's. Source: Steinrueck et al. 2020, doi:10.1039/D0EE02193H,
Eqs. 1 and 2.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cellsim.base import Array, InputError
from cellsim.solvers.solution import Solution

Mask = NDArray[np.bool_]

RING_WIDTH = 0.01
"""Relative gap in q that parts two rings [1]."""


TURN = 2 * np.pi
MOST_SECTOR = np.pi / 3
"""Widest sector whose mean direction stands for it [rad]."""


@dataclass(frozen=True)
class CorrelationSet:
    """Correlation functions of one series: n curves on one axis of k delays.

    Parameters
    ----------
    q : ndarray, shape (n,)
        Magnitude of the scattering vector [1/m].
    azimuth : ndarray, shape (n,)
        Angle between scattering vector and the axis of the velocity [rad].
    tau : ndarray, shape (k,)
        Delays, positive and increasing [s].
    g2, error : ndarray, shape (n, k)
        Correlation functions and one standard error of each point [1].
    good : ndarray of bool, shape (n, k), optional
        Points that count; default: where value and error are finite and the error is positive.
    sector : float, optional
        Width of azimuth over which each curve was averaged [rad]; 0: none; None: not known.
    time, duration : float
        Start of the series and how long it lasted [s].
    label : str
        For figures and messages.
    notes : tuple of str
        What a reader masked or assumed.

    Raises
    ------
    InputError
        Shapes that do not agree, delays that do not increase, q that is not positive, no good point, azimuths in
        degrees, g2 that is g2 - 1 or has a contrast above 1.
    """

    q: Array
    azimuth: Array
    tau: Array
    g2: Array
    error: Array
    good: Mask | None = None
    time: float = 0.0
    duration: float = 0.0
    label: str = ""
    notes: tuple[str, ...] = ()
    sector: float | None = None

    def __post_init__(self) -> None:
        name = self.label or "correlation functions"
        for key in ("q", "azimuth", "tau", "g2", "error"):
            object.__setattr__(self, key, np.array(getattr(self, key), dtype=float))
        if self.q.ndim != 1 or self.tau.ndim != 1 or self.azimuth.shape != self.q.shape:
            raise InputError(f"{name}: q and azimuth must be lists of equal length, tau a list")
        shape = (self.q.size, self.tau.size)
        if self.g2.shape != shape or self.error.shape != shape:
            raise InputError(
                f"{name}: g2 {self.g2.shape} and error {self.error.shape} must have one row per q and azimuth and one "
                f"column per delay, {shape}"
            )
        if not (np.all(np.isfinite(self.q)) and np.all(self.q > 0) and np.all(np.isfinite(self.azimuth))):
            raise InputError(f"{name}: every q must be positive and every azimuth finite")
        if not (np.all(np.isfinite(self.tau)) and np.all(self.tau > 0) and np.all(np.diff(self.tau) > 0)):
            raise InputError(f"{name}: delays must be positive and increase strictly")
        with np.errstate(invalid="ignore"):
            usable = np.isfinite(self.g2) & np.isfinite(self.error) & (self.error > 0)
        if self.good is not None:
            if np.shape(self.good) != shape:
                raise InputError(f"{name}: the mask of good points must have the shape of g2, {shape}")
            usable &= np.asarray(self.good, dtype=bool)
        if not usable.any():
            raise InputError(f"{name}: no point has a finite value and a positive error")
        object.__setattr__(self, "good", usable)
        self._check_values(name)

    def _check_values(self, name: str) -> None:
        """Refuse numbers that no correlation function of this kind has: they stand in another unit or form."""
        largest = float(np.abs(self.azimuth).max())
        if largest > 2 * TURN:  # one turn of the file, one of the axis taken off
            raise InputError(f"{name}: an azimuth of {largest:.4g} rad is more than a turn; give rad, not degrees")
        if self.sector is not None and not 0 <= self.sector < MOST_SECTOR:
            raise InputError(
                f"{name}: sector = {self.sector:.4g} rad must lie between 0 and {MOST_SECTOR:.3g} rad (60 degrees); a "
                "wider average over azimuth keeps no direction, bin the pixels more finely"
            )
        g2, error = self.g2[self.usable], self.error[self.usable]
        middle = float(np.median(g2))
        if middle < 0.5 and np.mean(g2 > 1 - 5 * error) < 0.5:
            raise InputError(
                f"{name}: half of all g2 lie below {middle:.3g}, but g2 falls to 1 at long delays; add 1 to g2 - 1"
            )
        above = g2 > 2 + 5 * error
        if np.count_nonzero(above) > max(2, 0.01 * g2.size):
            raise InputError(
                f"{name}: g2 reaches {float(g2[above].max()):.3g}, but a contrast is at most 1 and g2 at most 2; "
                "normalise it, or state its errors"
            )

    @property
    def along(self) -> Array:
        """q |cos(azimuth)|, averaged over the sector, shape (n,) [1/m]: what turns with the velocity."""
        half = 0.5 * (self.sector or 0.0)
        return np.asarray(self.q * np.abs(np.cos(self.azimuth)) * np.sinc(half / np.pi))

    @property
    def spacing(self) -> float:
        """Least distance of two azimuths, modulo half a turn: so wide may a sector be [rad]; 0: one azimuth."""
        places = np.unique(np.round(np.mod(self.azimuth, 0.5 * TURN), 9))
        return float(np.diff(places).min()) if places.size > 1 else 0.0

    @property
    def usable(self) -> Mask:
        """The points that count, shape (n, k)."""
        assert self.good is not None
        return self.good

    @property
    def ring(self) -> NDArray[np.intp]:
        """Number of the ring (same q within :data:`RING_WIDTH`) of every curve, by rising q, shape (n,)."""
        order = np.argsort(self.q, kind="stable")
        steps = np.diff(self.q[order]) > RING_WIDTH * self.q[order][:-1]
        number = np.empty(self.q.size, dtype=np.intp)
        number[order] = np.concatenate([[0], np.cumsum(steps)])
        return number

    @property
    def ring_q(self) -> Array:
        """Mean q of every ring, shape (rings,) [1/m]."""
        ring = self.ring
        return np.bincount(ring, self.q) / np.bincount(ring)

    def select(self, curves: ArrayLike) -> CorrelationSet:
        """The same set with only some curves (a mask or numbers)."""
        keep = np.asarray(curves)
        arrays = {name: getattr(self, name)[keep] for name in ("q", "azimuth", "g2", "error")}
        return replace(self, good=self.usable[keep], **arrays)


def envelope(tau: ArrayLike, tau0: ArrayLike, stretch: ArrayLike) -> Array:
    """E = exp(-(tau/tau0)^stretch), the field correlation of the fluid at rest [1].

    Parameters
    ----------
    tau, tau0 : array_like
        Delay and relaxation time [s].
    stretch : array_like
        Stretching exponent [1].
    """
    age = np.asarray(tau, dtype=float) / np.asarray(tau0, dtype=float)
    return np.exp(-(age ** np.asarray(stretch, dtype=float)))


def heterodyne_g2(
    q: ArrayLike,
    azimuth: ArrayLike,
    tau: ArrayLike,
    *,
    v: ArrayLike,
    contrast: ArrayLike,
    h: ArrayLike,
    tau0: ArrayLike,
    stretch: ArrayLike = 1.0,
    spread: float = 0.0,
) -> Array:
    """g2 of n curves at k delays, Steinrueck 2020 Eqs. 1 and 2; g2(0) = 1 + contrast.

    Parameters
    ----------
    q, azimuth : array_like, shape (n,)
        Scattering vectors [1/m], [rad].
    tau : array_like, shape (k,)
        Delays [s].
    v, contrast, h, tau0, stretch : array_like, scalar or shape (n,)
        Velocity [m/s], contrast [1], moving fraction [1], relaxation time [s], stretching exponent [1].
    spread : float
        Full width by which v drifts, evenly, during the series [m/s]: the cosine is multiplied by
        sin(x)/x, x = q spread cos(azimuth) tau/2.

    Returns
    -------
    ndarray, shape (n, k)
        [1]

    References
    ----------
    doi:10.1039/D0EE02193H, Eqs. 1 and 2.
    """

    def column(value: ArrayLike) -> Array:
        return np.atleast_1d(np.asarray(value, dtype=float))[:, None]

    lag = np.asarray(tau, dtype=float)
    along = column(q) * np.cos(column(azimuth)) * lag
    E, moving = envelope(lag, column(tau0), column(stretch)), column(h)
    cosine = np.cos(along * column(v)) * np.sinc(along * spread / (2 * np.pi))
    return 1 + column(contrast) * ((1 - moving) ** 2 + (moving * E) ** 2 + 2 * moving * (1 - moving) * cosine * E)


def photon_error(
    g2: ArrayLike, tau: ArrayLike, *, frame_time: float, frames: int, pixels: float, counts: float
) -> Array:
    """Standard error of g2 from counting photons, multi-tau averaging of the frames included.

    For independent Poisson counts of mean k the product of two has the relative variance (g2 + 2 k)/k^2; it is divided
    by the number of pairs, `pixels` times the frames that are left. Above 8 frames of delay, frames are joined two by
    two, four by four ..., so that k and the width grow together. Speckle noise is left out (low contrast).

    Parameters
    ----------
    g2 : array_like, shape (..., k)
        Correlation function [1].
    tau : array_like, shape (k,)
        Delays [s].
    frame_time : float
        Time per frame [s].
    frames : int
        Number of frames in the series.
    pixels : float
        Pixels averaged into one curve.
    counts : float
        Mean photons per pixel and frame [1].

    Returns
    -------
    ndarray, shape of `g2`
        [1]

    Raises
    ------
    InputError
        Delays beyond the series, or counts, pixels, frames that are not positive.

    References
    ----------
    Falus, Lurio & Mochrie 2006, J. Synchrotron Rad. 13, 253 (dependence on counts, pixels and frames).
    """
    if not (frame_time > 0 and frames > 1 and pixels > 0 and counts > 0):
        raise InputError("photon_error: frame_time, frames, pixels and counts must be positive")
    delay = np.asarray(tau, dtype=float) / frame_time
    if np.any(delay >= frames):
        raise InputError(f"photon_error: delays reach {delay.max():.4g} frames, the series has {frames}")
    joined = 2.0 ** np.maximum(0, np.floor(np.log2(np.maximum(delay, 1) / 8)) + 1)
    k = counts * joined
    pairs = pixels * (frames - delay) / joined
    return np.sqrt((np.asarray(g2, dtype=float) + 2 * k) / (k**2 * pairs))


def add_noise(clean: CorrelationSet, seed: int | np.random.Generator, *, correlation: float = 0.0) -> CorrelationSet:
    """The set with Gaussian noise of its stated errors added.

    Parameters
    ----------
    clean : CorrelationSet
        Exact values and the errors to add.
    seed : int or Generator
        Random numbers.
    correlation : float
        Neighbouring delays share frames: correlation exp(-|ln(tau_i/tau_j)|/correlation) along each curve;
        0: independent points [1].

    Returns
    -------
    CorrelationSet
    """
    rng = np.random.default_rng(seed)
    noise = rng.standard_normal(clean.g2.shape)
    if correlation > 0:
        distance = np.abs(np.subtract.outer(np.log(clean.tau), np.log(clean.tau)))
        noise = noise @ np.linalg.cholesky(np.exp(-distance / correlation)).T
    return replace(clean, g2=clean.g2 + clean.error * noise)


def geometry(q: ArrayLike, azimuth: ArrayLike) -> tuple[Array, Array]:
    """Every q with every azimuth: lists of q [1/m] and azimuth [rad], q by q, shape (n_q n_azimuth,)."""
    grid = np.meshgrid(np.asarray(q, dtype=float), np.asarray(azimuth, dtype=float), indexing="ij")
    return grid[0].ravel(), grid[1].ravel()


def displacements(
    solution: Solution, position: float, times: ArrayLike, tau: ArrayLike, *, beam: float = 0.0, nodes: int = 5
) -> tuple[Array, Array]:
    """How far the solvent moves in the lab within each delay, over the beam.

    Parameters
    ----------
    solution : Solution
        The run.
    position : float
        Centre of the beam, from the positive interface at t = 0, fixed in the lab [m].
    times : array_like, shape (t,) or (t, k)
        When a delay begins, each delay at its own moments or all at the same [s].
    tau : array_like, shape (k,)
        Delays [s].
    beam : float
        Full width of the beam, evenly lit [m].
    nodes : int
        Points of the quadrature over the beam.

    Returns
    -------
    moved : ndarray, shape (t, nodes, k)
        Integral of v_0 (lab frame) from t to t + tau [m].
    weight : ndarray, shape (nodes,)
        Of the points over the beam, sum 1 [1].

    Raises
    ------
    InputError
        A beam outside the electrolyte, or times outside the run.
    """
    x, weight = np.polynomial.legendre.leggauss(nodes if beam > 0 else 1)
    v = solution.at("v_0", position + 0.5 * beam * x)
    clock, t, lag = solution["time"], np.asarray(times, dtype=float), np.asarray(tau, dtype=float)
    t = np.broadcast_to(t if t.ndim == 2 else t[:, None], (len(t), lag.size))
    ends = t + lag
    if t.min() < clock[0] or ends.max() > clock[-1] * (1 + 1e-9):
        raise InputError(
            f"XPCS from {t.min():.4g} s to {ends.max():.4g} s lies outside the run, "
            f"{clock[0]:.4g} s to {clock[-1]:.4g} s"
        )
    inside = (clock >= t.min() * (1 - 1e-9)) & (clock <= ends.max())
    if not np.all(np.isfinite(v[inside])):
        raise InputError(f"XPCS at {position:.4g} m with a beam of {beam:.3g} m leaves the electrolyte")
    v = np.nan_to_num(v)
    travelled = np.concatenate(
        [np.zeros((1, v.shape[1])), np.cumsum(0.5 * (v[1:] + v[:-1]) * np.diff(clock)[:, None], 0)]
    )
    moved = np.stack([np.interp(ends, clock, p) - np.interp(t, clock, p) for p in travelled.T], axis=1)
    return moved, weight / 2


def g2_of_solution(
    solution: Solution,
    q: ArrayLike,
    azimuth: ArrayLike,
    tau: ArrayLike,
    *,
    position: float,
    start: float,
    duration: float,
    contrast: ArrayLike,
    h: ArrayLike,
    tau0: ArrayLike,
    stretch: ArrayLike = 1.0,
    beam: float = 0.0,
    moments: int = 7,
) -> Array:
    """g2 that a beam on a simulated cell reports: averaged over the beam and over a series during which v changes.

    At every moment g2 = 1 + contrast |1 - h + h E <exp(i q cos(azimuth) dx)>|^2, dx the way the solvent goes in the lab
    within the delay, <> over the beam; then averaged over all moments at which the whole delay lies in the series, so
    that the middle of every delay is, on average, that of the series. For one velocity this is :func:`heterodyne_g2`.

    Parameters
    ----------
    solution : Solution
        The run.
    q, azimuth : array_like, shape (n,)
        Scattering vectors [1/m], [rad]; azimuth from the +x axis of the cell.
    tau : array_like, shape (k,)
        Delays [s].
    position : float
        Centre of the beam from the positive interface at t = 0 [m].
    start, duration : float
        Of the series [s].
    contrast, h, tau0, stretch : array_like, scalar or shape (n,)
        As in :func:`heterodyne_g2`; tau0 in [s].
    beam : float
        Full width of the beam [m].
    moments : int
        Moments within the series.

    Returns
    -------
    ndarray, shape (n, k)
        [1]

    Raises
    ------
    InputError
        As :func:`displacements` does, or delays longer than the series.
    """
    lag = np.asarray(tau, dtype=float)
    if lag.max() >= duration:
        raise InputError(f"XPCS: delays up to {lag.max():.4g} s need a series longer than {duration:.4g} s")
    begin = start + (np.arange(moments)[:, None] + 0.5) / moments * (duration - lag)
    moved, weight = displacements(solution, position, begin, lag, beam=beam)
    moving, peak, decay, power = (
        np.atleast_1d(np.asarray(value, dtype=float))[:, None] for value in (h, contrast, tau0, stretch)
    )
    along = np.asarray(q, dtype=float) * np.cos(np.asarray(azimuth, dtype=float))
    E = envelope(lag, decay, power)
    total = np.zeros((along.size, lag.size))
    for moment in moved:
        field = np.einsum("b,nbk->nk", weight, np.exp(1j * along[:, None, None] * moment))
        total += np.abs(1 - moving + moving * E * field) ** 2
    return 1 + peak * total / len(moved)
