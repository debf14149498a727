"""Raw 1-D MRI profiles as an observation: independent pixels, and errors that pixels or profiles share.

    S(z, t) = background + b(t) + (gain + g(t)) (1 + s(z)) (c * point spread)(z, t) + p(z) + noise

where
    s(z)  what the coil's sensitivity leaves in all profiles, in proportion to the signal [1]
    p(z)  what else stays in all profiles: background, the true shape of the point spread (unit of the signal)
    g(t), b(t)  scatter of the gain and of the background from profile to profile

s, p, g and b are errors that points share, of stated standard deviation; :func:`variances` finds those that make the
data most likely. A scanner fills its spectrum with zeros: then only every second or fourth pixel is news.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from scipy.optimize import minimize

from cellsim.base import Array, InputError
from cellsim.fit.experiment import Observation
from cellsim.fit.looks import SignalLook
from cellsim.fit.noise import Noise
from cellsim.instruments.mri import MriProfiles

NEGLIGIBLE = 0.1
"""Correlation below which neighbouring pixels count as independent."""


@dataclass(frozen=True)
class Spread:
    """Standard deviations of what pixels or profiles share.

    Parameters
    ----------
    pattern : float
        Of p(z) (unit of the signal).
    sensitivity : float
        Of s(z) [1].
    gain : float
        Of g(t), relative to the gain [1].
    background : float
        Of b(t) (unit of the signal).
    """

    pattern: float = 0.0
    sensitivity: float = 0.0
    gain: float = 0.0
    background: float = 0.0


def pixel_noise(profiles: MriProfiles) -> tuple[float, Array]:
    """Noise of a pixel and its correlation along z, from second differences of successive profiles.

    What changes steadily drops out, and what a whole profile does together is taken off.

    Parameters
    ----------
    profiles : MriProfiles
        Three or more.

    Returns
    -------
    sigma : float
        Standard deviation (unit of the signal).
    correlation : ndarray, shape (12,)
        At lags of 0, 1, 2 ... pixels [1].

    Raises
    ------
    InputError
        Fewer than three profiles.
    """
    if profiles.time.size < 3:
        raise InputError(f"{profiles.label}: needs three profiles or more to tell noise from change")
    signal = profiles.signal
    change = (signal[:-2] - 2 * signal[1:-1] + signal[2:]) / np.sqrt(6)
    change = change - change.mean(axis=1, keepdims=True)
    variance = float(np.mean(change**2))
    lags = [float(np.mean(change[:, k:] * change[:, : change.shape[1] - k])) / variance for k in range(1, 12)]
    return float(np.sqrt(variance)), np.array([1.0, *lags])


def independent_step(correlation: Array) -> int:
    """Smallest step of pixels at whose multiples the noise is uncorrelated [1].

    Parameters
    ----------
    correlation : ndarray, shape (lags,)
        At lags of 0, 1, 2 ... pixels.

    Returns
    -------
    int

    Raises
    ------
    InputError
        Noise correlated beyond half the lags given.
    """
    for step in range(1, correlation.size // 2 + 1):
        if np.all(np.abs(correlation[step::step]) < NEGLIGIBLE):
            return step
    raise InputError("the noise is correlated over too many pixels to thin them; smooth less")


def thinned(profiles: MriProfiles, step: int, window: tuple[float, float]) -> MriProfiles:
    """Every `step`-th pixel inside `window` [m]."""
    z = profiles.z[::step]
    keep = (z > window[0]) & (z < window[1])
    return replace(profiles, z=z[keep], signal=profiles.signal[:, ::step][:, keep])


def signal_observation(
    profiles: MriProfiles,
    look: SignalLook,
    sigma: float,
    *,
    spread: Spread = Spread(),
    reference: Array | None = None,
    nuisance: Mapping[str, str] | None = None,
    profiled: tuple[str, ...] = (),
) -> Observation:
    """Raw profiles as one observation with a free noise level.

    Parameters
    ----------
    profiles : MriProfiles
        Independent pixels only (:func:`thinned`).
    look : SignalLook
        Of the same times and pixels.
    sigma : float
        Noise of a pixel (unit of the signal).
    spread : Spread
        Of what pixels and profiles share.
    reference : ndarray, shape (t, k), optional
        The signal without background that `spread.sensitivity` and `spread.gain` scale (unit of the signal); default
        the data less their lowest decile.
    nuisance : mapping
        Role -> parameter.
    profiled : tuple of {"gain", "background"}
        What is free in every profile by itself.

    Returns
    -------
    Observation

    Raises
    ------
    InputError
        A look of other times or pixels.
    """
    t, k = profiles.signal.shape
    if look.time.size != t or look.z.size != k:
        raise InputError(f"{profiles.label}: the look has {look.time.size} x {look.z.size} points, the data {t} x {k}")
    size = profiles.signal - np.quantile(profiles.signal, 0.1) if reference is None else reference
    shared = _columns(size, spread) / sigma
    group = np.repeat(np.arange(t), k)
    position = np.tile(profiles.z, t)
    noise = Noise(np.full(t * k, sigma), group, position, 0.0, shared if shared.shape[1] else None, free=True)
    return Observation(
        profiles.label, "signal", profiles.signal.ravel(), noise, look, dict(nuisance or {}), profiled,
        time=np.repeat(profiles.time, k), position=position,
    )  # fmt: skip


def _columns(size: Array, spread: Spread) -> Array:
    """Shared errors in the unit of the signal, one column each, shape (t k, m)."""
    t, k = size.shape
    found = [np.zeros((t * k, 0))]
    pixel, profile = np.tile(np.eye(k), (t, 1)), np.repeat(np.eye(t), k, axis=0)
    if spread.pattern > 0:
        found.append(spread.pattern * pixel)
    if spread.sensitivity > 0:
        found.append(spread.sensitivity * size.reshape(-1, 1) * pixel)
    if spread.gain > 0:
        found.append(spread.gain * size.reshape(-1, 1) * profile)
    if spread.background > 0:
        found.append(spread.background * profile)
    return np.hstack(found)


def variances(residual: Array, size: Array, start: tuple[float, Spread]) -> tuple[float, Spread, float]:
    """Noise and spreads under which residuals are most likely, ln L with them.

    Parameters
    ----------
    residual : ndarray, shape (t, k)
        Measured minus predicted (unit of the signal).
    size : ndarray, shape (t, k)
        The signal without background.
    start : tuple
        First guess of the noise and of the spreads; a spread of zero stays zero.

    Returns
    -------
    sigma : float
        (unit of the signal)
    spread : Spread
    log_likelihood : float
        Without ln(2 pi) [1].
    """
    sigma, spread = start
    names = [name for name in ("pattern", "sensitivity", "gain", "background") if getattr(spread, name) > 0]
    group = np.repeat(np.arange(residual.shape[0]), residual.shape[1])

    def unpacked(logs: Array) -> tuple[float, Spread]:
        return float(np.exp(logs[0])), replace(spread, **dict(zip(names, np.exp(logs[1:]).tolist(), strict=True)))

    def cost(logs: Array) -> float:
        s, some = unpacked(logs)
        shared = _columns(size, some) / s
        noise = Noise(np.full(residual.size, s), group, shared=shared if shared.shape[1] else None)
        w = noise.whiten(residual.ravel())
        return 0.5 * float(w @ w) + 0.5 * noise.log_determinant

    x = np.log([sigma, *(getattr(spread, name) for name in names)])
    simplex = np.vstack([x, x + 0.5 * np.eye(x.size)])
    options = {"xatol": 0.01, "fatol": 0.02, "maxfev": 80 * x.size, "initial_simplex": simplex}
    found = minimize(cost, x, method="Nelder-Mead", options=options)
    return *unpacked(found.x), -float(found.fun)
