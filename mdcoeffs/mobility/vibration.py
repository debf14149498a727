"""Power spectra of velocities: how particles vibrate in their cages, and axes librate.

Velocities are differences of successive positions, v_n = (x_{n+1} - x_n)/dt. The run is cut into segments of M of them
that overlap by half, each weighted by a Hann window w, and

    S(f) = 2 dt/(sum w^2) < |sum_n w_n v_n exp(-2 pi i f n dt)|^2 > / sinc^2(f dt),       0 <= f <= 1/(2 dt),

is the one-sided spectrum, the Fourier transform of the velocity autocorrelation (Wiener and Khinchin): its integral is
<v^2>, and S(0) is 12 D in three dimensions. The last factor, sinc x = sin(pi x)/(pi x), undoes the mean of the velocity
over dt. The density of states is g = S/int S df.

References
----------
Siegel et al., Trends Chem. 3, 807 (2021), doi:10.1016/j.trechm.2021.06.004 (power spectra of cations and of anions
that turn); Welch, IEEE Trans. Audio Electroacoust. 15, 70 (1967), doi:10.1109/TAU.1967.1161901.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.fft import rfft, rfftfreq
from scipy.signal.windows import hann

from cellsim.base import Array, InputError, Ints, k_B
from mdcoeffs.statistics.lagged import Lagged, LaggedEstimate, estimate

FEWEST_SEGMENTS = 4
SHORTEST = 16
"""Fewest velocities of a segment."""
LONGEST = 1024
"""Most velocities of a segment where no resolution is asked for."""
BLOCKS = 16
"""Most blocks of time."""
ALIASED = 0.2
"""Part of the largest power at the last frequency above which the frames are too far apart [1]."""
PADDED = 4
"""Length of the transforms in segments: frequencies lie so much closer than 1/(M dt), which makes a peak smooth."""
NARROWEST = 2.0
"""Width of the narrowest peak whose frequency is given, at half its height, in 1/(M dt); a window alone has 1.4 [1]."""
LOWEST = 3.0
"""Lowest peak whose frequency is given, in 1/(M dt): below, the window mixes it with frequency zero [1]."""
WIDER = 1.13
"""Errors of a peak over those of the jackknife, whose 95 % intervals held the truth in 505 of 551 systems [1]."""
AROUND = 0.35
"""A peak is located by what is above this part of it; above more, the window shifts it more than its error [1]."""


@dataclass(frozen=True, eq=False)
class Vibration:
    """Spectrum of one kind of particle or axis.

    Parameters
    ----------
    name : str
        Of the species, the followed atoms or the rotor.
    what : str
        ``"molecules"``, ``"atoms"`` or ``"axes"``.
    spectrum : Lagged
        S, its `lag` being the frequency [Hz]; [m^2/s], of axes [1/s].
    peak : LaggedEstimate
        Frequency of the largest peak; NaN where there is none that the segments resolve [Hz].
    kinetic : float, optional
        m <v^2>/(3 k_B T) from the spectrum: the part of the kinetic energy whose motion the frames resolve; None of
        axes and of particles without mass [1].
    """

    name: str
    what: str
    spectrum: Lagged
    peak: LaggedEstimate
    kinetic: float | None

    @property
    def mean_square(self) -> float:
        """Integral of S: <v^2> [m^2/s^2], of axes [1/s^2]."""
        return float(np.trapezoid(self.spectrum.mean, self.spectrum.lag))

    @property
    def density(self) -> tuple[Array, Array]:
        """Density of states g and its standard error [1/Hz]."""
        return self.spectrum.mean / self.mean_square, self.spectrum.standard_error() / self.mean_square

    def summary(self) -> dict[str, Any]:
        """For ``summary.json``."""
        entry = {"what": self.what, "mean_square_velocity": self.mean_square, "peak_frequency": self.peak.numbers()}
        if self.what != "axes":
            S, error = self.spectrum.mean[0], self.spectrum.standard_error()[0]
            entry["D_of_zero_frequency"] = {"value": S / 12, "standard_error": error / 12}
        return entry if self.kinetic is None else entry | {"resolved_kinetic_energy": self.kinetic}


def segment_of(frames: int, dt: float, resolution: float | None) -> int:
    """Velocities of a segment.

    Parameters
    ----------
    frames : int
        Of the shortest run.
    dt : float
        Time between frames [s].
    resolution : float, optional
        Distance of frequencies; the run is cut into 16 segments, at most `LONGEST` long, when left out [Hz].

    Returns
    -------
    int

    Raises
    ------
    InputError
        A resolution that the run cannot give, or that leaves nothing to resolve.
    """
    longest = 2 * (frames - 1) // (FEWEST_SEGMENTS + 1)
    if resolution is None:
        size = min(max(2 * (frames - 1) // 17, SHORTEST), LONGEST)
        if size > longest:
            raise InputError(f"a spectrum needs {SHORTEST * (FEWEST_SEGMENTS + 1) // 2 + 1} frames, there are {frames}")
        return size
    size = round(min(1 / max(resolution * dt, 1e-12), 1e12))
    if not SHORTEST <= size <= longest:
        low, high = 1 / (longest * dt), 1 / (SHORTEST * dt)
        allowed = f"{low:.3g} to {high:.3g} Hz are possible" if longest >= SHORTEST else "the run is too short for any"
        raise InputError(f"resolution = {resolution:.3g} Hz: with {frames} frames {dt:.3g} s apart {allowed}")
    return size


def spectra(paths: ArrayLike, dt: float, size: int, group: Ints, groups: int) -> tuple[Array, Array]:
    """Sums of the power spectra of velocities.

    Parameters
    ----------
    paths : array (particles, frames, dimensions)
        Unwrapped positions [m], or unit vectors.
    dt : float
        Time between frames [s].
    size : int
        Velocities of a segment.
    group : array of int (particles,)
        Group of each particle.
    groups : int
        Number of groups; some may have no particle here.

    Returns
    -------
    sums, counts : array (groups, blocks, frequencies)
        One-sided, of all dimensions [m^2/s], and numbers of terms.
    """
    v = np.diff(np.asarray(paths, dtype=np.float64), axis=1) / dt
    starts = np.arange(0, v.shape[1] - size + 1, max(size // 2, 1))
    weight = hann(size, sym=False)
    f = frequencies(size, dt)
    scale = 2 * dt / np.sum(weight**2) / np.sinc(f * dt) ** 2
    blocks = min(BLOCKS, starts.size)
    block = np.arange(starts.size) * blocks // starts.size
    sums, counts = np.zeros((groups, blocks, f.size)), np.zeros((groups, blocks, f.size))
    for start, b in zip(starts, block, strict=True):
        power = np.abs(rfft(v[:, start : start + size] * weight[:, None], PADDED * size, axis=1)) ** 2
        np.add.at(sums[:, b], group, scale * power.sum(axis=-1))
        np.add.at(counts[:, b], group, 1.0)
    return sums, counts


def frequencies(size: int, dt: float) -> Array:
    """Frequencies of :func:`spectra`.

    Parameters
    ----------
    size : int
        Velocities of a segment.
    dt : float
        Time between frames [s].

    Returns
    -------
    array (frequencies,)
        [Hz]
    """
    return np.asarray(rfftfreq(PADDED * size, dt), dtype=np.float64)


def peak_of(spectrum: Lagged) -> LaggedEstimate:
    """Frequency of the largest peak of a spectrum.

    The centroid, in ln f, of what stands above `AROUND` of the largest value: S of an oscillator of frequency f_0,
    however damped, is symmetric about f_0 there. Its error is that of the jackknife over groups, since which
    frequencies stand above is chance as well.

    Parameters
    ----------
    spectrum : Lagged
        S against frequency.

    Returns
    -------
    LaggedEstimate
        NaN where S is largest at an end, or its peak too narrow or too low for the segments [Hz].
    """
    f, sums, counts = spectrum.lag, spectrum.sums.sum(axis=1), spectrum.counts.sum(axis=1)
    value, wide = _centroid(f, spectrum.mean)
    unit = PADDED * f[1]  # 1/(M dt)
    if not (wide >= NARROWEST * unit and value >= LOWEST * unit):
        return LaggedEstimate(np.nan, np.nan, 1.0, False, ())
    n = len(sums)
    left = (sums.sum(axis=0) - sums) / np.maximum(counts.sum(axis=0) - counts, 1)
    without = np.array([_centroid(f, S)[0] for S in left]) if n > 1 else np.full(1, value)
    return estimate(value, [(WIDER * (without.mean() - without) * (n - 1) / n)[:, None]])


def _centroid(f: Array, S: Array) -> tuple[float, float]:
    """Centroid of the largest peak and its width [Hz]; NaN and 0 where it stands at an end."""
    top = int(np.argmax(S[1:])) + 1
    low = high = top
    while low > 0 and S[low - 1] > AROUND * S[top]:
        low -= 1
    while high < f.size - 1 and S[high + 1] > AROUND * S[top]:
        high += 1
    if low == 0 or high == f.size - 1:
        return np.nan, 0.0
    weight = (S[low : high + 1] / S[top] - AROUND) / f[low : high + 1]
    return float(np.exp(weight @ np.log(f[low : high + 1]) / weight.sum())), float(f[high] - f[low])


def vibration_of(name: str, what: str, spectrum: Lagged, mass: float | None, T: float) -> Vibration:
    """What a spectrum says.

    Parameters
    ----------
    name, what : str
        As of :class:`Vibration`.
    spectrum : Lagged
        Sums of :func:`spectra`, of all replicas.
    mass : float, optional
        Of a particle [kg].
    T : float
        Temperature [K].

    Returns
    -------
    Vibration
    """
    mean_square = float(np.trapezoid(spectrum.mean, spectrum.lag))
    kinetic = None if mass is None else mass * mean_square / (3 * k_B * T)
    return Vibration(name, what, spectrum, peak_of(spectrum), kinetic)
