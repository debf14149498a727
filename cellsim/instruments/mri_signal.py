"""Raw 1-D MRI profiles as a measurement: the signal of a run, independent pixels, errors that pixels or profiles share.

    S(z, t) = background + b(t) + (gain + g(t)) (1 + s(z)) (c * point spread)(z, t) + p(z) + noise

where
    s(z)  what the coil's sensitivity leaves in all profiles, in proportion to the signal [1]
    p(z)  what else stays in all profiles: background, the true shape of the point spread (unit of the signal)
    g(t), b(t)  scatter of the gain and of the background from profile to profile

s, p, g and b are errors that points share, of stated standard deviation; :func:`variances` finds those that make the
data most likely. A scanner fills its spectrum with zeros: then only every second or fourth pixel is news.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from scipy.optimize import minimize

from cellsim.base import Array, Bools, InputError
from cellsim.electrolyte.mixture_set import Electrolyte
from cellsim.instruments.looks import Clocked, Cut, Look, Values, face_concentration, profiles_at
from cellsim.instruments.measurement import Measurement
from cellsim.instruments.mri import MriProfiles, blurred
from cellsim.instruments.noise import Noise, SharedError
from cellsim.solvers.solution import Solution

NEGLIGIBLE = 0.1
"""Correlation below which neighbouring pixels count as independent."""
BLUR_NODES = 41
"""Faces a profile is reduced to before it is blurred."""


@dataclass(frozen=True)
class SignalLook(Clocked):
    """Raw 1-D MRI signal: the profile under a Gaussian point spread, on the scanner's axis, gain and background apart.

    Its nuisances: ``edge`` (where the positive interface lies on that axis [m]) and ``blur`` [m]; where `motion` is
    given also ``drift`` (of the whole cell along the axis [m]) and ``growth`` (how far the negative electrode has grown
    into the electrolyte, where no signal comes from any more [m]), both reached where `motion` is 1. ``gain_drift`` is
    a steady relative change of the gain [1/s]; with ``nonlinearity`` b [1] the signal goes as c (1 + b (c/c0 - 1)), as
    where relaxation depends on concentration.

    Parameters
    ----------
    time : ndarray, shape (t,)
        [s]
    z : ndarray, shape (k,)
        Pixels [m].
    positive : {"lower", "upper"}
        Edge of the positive electrode.
    edge, blur : float
        Their values where they are not fitted [m].
    motion : ndarray, shape (t,), optional
        Share of drift and growth reached by each profile, 0 at the beginning [1].
    species : str
        Of n components: whose nuclei give the signal, as of :class:`.ProfileLook`.
    """

    time: Array
    z: Array
    positive: Literal["lower", "upper"]
    edge: float
    blur: float
    motion: Array | None = None
    species: str = ""

    def predict(self, transport: Electrolyte, solution: Solution | None, values: Values) -> Array:
        """[mol/m^3], zero outside the cell."""
        assert solution is not None
        towards = 1.0 if self.positive == "lower" else -1.0
        x = towards * (self.z - values.get("edge", self.edge))
        blur = max(values.get("blur", self.blur), 1e-9)
        motion = np.zeros(self.time.size) if self.motion is None else self.motion
        seen = face_concentration(self.species)
        bent, c0 = values.get("nonlinearity", 0.0), float(solution[seen][0].mean())
        drift, growth = towards * values.get("drift", 0.0), values.get("growth", 0.0)
        rows = []
        for faces, c, shift, share in zip(*profiles_at(solution, self.times(values), seen), motion, strict=True):
            # The cost goes with the number of faces: with all 321 of a run of cases/thienenkamp2022 a signal took five
            # times as long and differed by 4e-4 of the plateau, well below the noise of a pixel.
            chosen = np.unique(np.linspace(0, faces.size - 1, BLUR_NODES).astype(int))
            signal = c[chosen] * (1 + bent * (c[chosen] / c0 - 1))
            visible = _shortened(faces[chosen], signal, growth * share)
            rows.append(blurred(x - shift - drift * share, *visible, blur))
        gain = 1 + values.get("gain_drift", 0.0) * (self.time - self.time[0])
        return np.asarray((np.asarray(rows) * gain[:, None]).ravel())

    def subset(self, keep: Bools, end: float = np.inf) -> Look:
        """See :class:`.Look`."""
        return Cut(replace(self, time=np.minimum(self.time, end)), keep)


def _shortened(faces: Array, c: Array, length: float) -> tuple[Array, Array]:
    """A profile without its last `length` [m]; continued at its last value where that is negative."""
    if length == 0:
        return faces, c
    end = faces[-1] - length
    if length < 0:
        return np.append(faces, end), np.append(c, c[-1])
    before = faces < end
    return np.append(faces[before], end), np.append(c[before], np.interp(end, faces, c))


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
        raise InputError(f"{profiles.label}: needs three profiles or more to distinguish noise from change")
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


def signal_measurement(
    profiles: MriProfiles,
    look: SignalLook,
    sigma: float,
    *,
    spread: Spread = Spread(),
    reference: Array | None = None,
) -> Measurement:
    """Raw profiles as one measurement with a free noise level.

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

    Returns
    -------
    Measurement

    Raises
    ------
    InputError
        A look of other times or pixels.
    """
    t, k = profiles.signal.shape
    if look.time.size != t or look.z.size != k:
        raise InputError(f"{profiles.label}: the look has {look.time.size} x {look.z.size} points, the data {t} x {k}")
    size = profiles.signal - np.quantile(profiles.signal, 0.1) if reference is None else reference
    noise = replace(_noise(size, sigma, spread), position=np.tile(profiles.z, t), free=True)
    return Measurement(
        "signal", profiles.label, profiles.signal.ravel(), look, noise, np.repeat(profiles.time, k), noise.position
    )


def _noise(size: Array, sigma: float, spread: Spread) -> Noise:
    """Noise of all pixels of t profiles of k pixels, given the signal without background, shape (t, k)."""
    t, k = size.shape
    pixel, profile = np.tile(np.arange(k), t), np.repeat(np.arange(t), k)
    ones, signal = np.ones(t * k), size.ravel()
    candidates = (
        (spread.pattern, ones, pixel),
        (spread.sensitivity, signal, pixel),
        (spread.gain, signal, profile),
        (spread.background, ones, profile),
    )
    shared = tuple(SharedError(sd * scale, member) for sd, scale, member in candidates if sd > 0)
    return Noise(np.full(t * k, sigma), profile, shared=shared)


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

    def unpacked(logs: Array) -> tuple[float, Spread]:
        return float(np.exp(logs[0])), replace(spread, **dict(zip(names, np.exp(logs[1:]).tolist(), strict=True)))

    def cost(logs: Array) -> float:
        noise = _noise(size, *unpacked(logs))
        w = noise.whiten(residual.ravel())
        return 0.5 * float(w @ w) + 0.5 * noise.log_determinant

    x = np.log([sigma, *(getattr(spread, name) for name in names)])
    simplex = np.vstack([x, x + 0.5 * np.eye(x.size)])
    options = {"xatol": 0.01, "fatol": 0.02, "maxfev": 80 * x.size, "initial_simplex": simplex}
    best = minimize(cost, x, method="Nelder-Mead", options=options)
    return *unpacked(best.x), -float(best.fun)
