"""X-ray absorption microscopy: transmitted intensity of a raster from c(x, t), and back.

    I = I_in sum_h w_h exp(-d [a_e,h c + a_0,h c_0(c)])                           forward, averaged over the beam
    tau(c) - tau(c_before) = ln(I_before/I),   tau = -ln sum_h w_h exp(-d mu_h)   back, solved for c

The second line needs no incident intensity and no window: whatever did not change between the scans drops out. For one
energy and constant partial molar volumes it is c - c_before = ln(I_before/I)/(d dmu/dc). The solvent that the salt
displaces is in c_0(c), by the volume balance of the transport set. Steinrueck et al. 2020, doi:10.1039/D0EE02193H.
Of n components at one energy the line holds for the sum of all species, each weighted by what it attenuates.

Counted photons: the logarithm of N + 1/2 is unbiased to order 1/N^2, its variance 1/N. Both scans count: the
Cramer-Rao bound on c with the incident intensity unknown is sqrt(1/N_before + 1/N)/(dtau/dc); this estimate
meets it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cellsim.base import Array, InputError
from cellsim.electrolyte.mixture_set import Electrolyte, short_sum
from cellsim.instruments.attenuation import Absorber
from cellsim.instruments.looks import face_concentration, state_at
from cellsim.instruments.measurement import ConcentrationMap
from cellsim.solvers.solution import Solution

_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(8)


@dataclass(frozen=True)
class IntensityMap:
    """Transmitted intensity of a raster that is repeated.

    Parameters
    ----------
    time : ndarray, shape (n,)
        Of each scan, from the start of the polarisation, increasing [s]; scans before it are at t <= 0.
    position : ndarray, shape (k,)
        Distance from the positive interface at t = 0, fixed in the lab, increasing [m].
    intensity : ndarray, shape (n, k)
        Photons counted where `counted`, else in any unit [1]; NaN where nothing was measured.
    monitor : ndarray, shape (n, k), optional
        Counts of a monitor before the sample, to which the intensity is referred [1].
    error : ndarray, shape (n, k), optional
        Standard error of `intensity`, where it is not counted.
    counted : bool
        Whether `intensity` and `monitor` are numbers of photons, with Poisson statistics.
    label : str
        For figures and messages.

    Raises
    ------
    InputError
        Shapes that do not agree, an axis that does not increase, an intensity that is not positive.
    """

    time: Array
    position: Array
    intensity: Array
    monitor: Array | None = None
    error: Array | None = None
    counted: bool = False
    label: str = ""

    def __post_init__(self) -> None:
        name = self.label or "intensity map"
        shape = (self.time.size, self.position.size)
        for what in ("intensity", "monitor", "error"):
            values = getattr(self, what)
            if values is not None and values.shape != shape:
                raise InputError(f"{name}: {what} has shape {values.shape}, not {shape}")
        if np.any(np.diff(self.time) <= 0) or np.any(np.diff(self.position) <= 0):
            raise InputError(f"{name}: times and positions must increase strictly")
        for what, values in (("intensity", self.intensity), ("monitor", self.monitor)):
            if values is not None and not np.all(np.isnan(values) | (values >= 0 if self.counted else values > 0)):
                allowed = "must not be negative" if self.counted else "must be positive"
                raise InputError(f"{name}: {what} {allowed}")
        if self.error is not None and not np.all(np.isnan(self.intensity) | (self.error > 0)):
            raise InputError(f"{name}: standard errors must be positive")


@dataclass(frozen=True)
class Raster:
    """How the beam scans the cell.

    Parameters
    ----------
    position : ndarray, shape (k,)
        Beam centres: distance from the positive interface at t = 0, fixed in the lab, increasing [m].
    path_length : float
        Length of electrolyte along the beam [m].
    beam_width : float
        Width of the beam along the cell, a box [m]; 0: a point.
    photons : float
        Photons the detector would count at a point with no electrolyte in the beam [1].

    Raises
    ------
    InputError
        A length or number that is not positive.
    """

    position: Array
    path_length: float
    beam_width: float = 0.0
    photons: float = 1.0

    def __post_init__(self) -> None:
        for name in ("path_length", "photons"):
            if not (np.isfinite(getattr(self, name)) and getattr(self, name) > 0):
                raise InputError(f"xam.{name} = {getattr(self, name)!r} must be positive")
        if not (np.isfinite(self.beam_width) and self.beam_width >= 0):
            raise InputError(f"xam.beam_width = {self.beam_width!r} m must not be negative")


# ---- forward ------------------------------------------------------------------------------------------------------


def transmitted(
    solution: Solution, transport: Electrolyte, attenuation: Absorber, raster: Raster, times: ArrayLike
) -> IntensityMap:
    """What the detector would see on average, no noise.

    Parameters
    ----------
    solution : Solution
        The run; linear between its states and its faces.
    transport : TransportSet or MixtureSet
        For the volume balance.
    attenuation : Absorber
        Of salt, solvent and electrodes.
    raster : Raster
        Where the beam goes.
    times : array_like, shape (n,)
        Of the scans [s]; t <= 0 is the uniform cell before the polarisation. A scan is taken as instantaneous.

    Returns
    -------
    IntensityMap
        Expected intensity. Where the beam hits an electrode, that of the metal.

    Raises
    ------
    InputError
        Times after the end of the run, formulas that are not the set's.
    """
    attenuation.check(transport)
    times = np.asarray(times, dtype=float)
    if times.size and times.max() > solution["time"][-1] * (1 + 1e-9):
        raise InputError(
            f"xam: a scan at {times.max():.6g} s lies after the end of the run, {solution['time'][-1]:.6g} s"
        )
    offsets, weights = np.zeros(1), np.ones(1)
    if raster.beam_width:
        offsets, weights = 0.5 * raster.beam_width * _NODES, 0.5 * _WEIGHTS
    places = raster.position[:, None] + offsets
    metal = attenuation.metal_transmission(raster.path_length)
    rows = []
    for time in times:
        c = state_at(solution, face_concentration(attenuation.species), time)
        faces = state_at(solution, "position_face", time)
        x = places - float(state_at(solution, "interface_shift", time))
        depth = attenuation.optical_depth(transport, np.interp(x, faces, c), raster.path_length)
        inside = (x >= faces[0]) & (x <= faces[-1])
        rows.append(raster.photons * np.where(inside, np.exp(-depth), metal) @ weights)
    return IntensityMap(times, raster.position, np.array(rows), label="XAM, predicted")


def counted(expected: IntensityMap, generator: np.random.Generator, *, monitor: float | None = None) -> IntensityMap:
    """The same with photon noise: every point a Poisson number.

    Parameters
    ----------
    expected : IntensityMap
        Expected numbers of photons.
    generator : numpy.random.Generator
        Where the noise comes from.
    monitor : float, optional
        Expected counts of a monitor at every point [1].

    Returns
    -------
    IntensityMap
    """
    counts = generator.poisson(expected.intensity).astype(float)
    before = None if monitor is None else generator.poisson(monitor, counts.shape).astype(float)
    return replace(expected, intensity=counts, monitor=before, error=None, counted=True)


# ---- back ---------------------------------------------------------------------------------------------------------


def concentration(
    measured: IntensityMap,
    transport: Electrolyte,
    attenuation: Absorber,
    path_length: float,
    c_before: float,
    *,
    path_error: float = 0.0,
    inside: tuple[float, float] | None = None,
) -> ConcentrationMap:
    """Concentration by the differential form against the scans before the polarisation.

    Parameters
    ----------
    measured : IntensityMap
        With at least one scan at t <= 0; several are added up.
    transport : TransportSet or MixtureSet
        For the volume balance.
    attenuation : Absorber
        Of salt and solvent.
    path_length : float
        Length of electrolyte along the beam [m].
    c_before : float
        Uniform concentration before the polarisation [mol/m^3].
    path_error : float
        Standard error of `path_length` [m]; it scales all changes alike.
    inside : tuple of float, optional
        Positions to keep, from and to [m]; elsewhere (electrodes) NaN.

    Returns
    -------
    ConcentrationMap
        The scans after t = 0. Errors from counting, or from the errors of the map; none where it has neither.

    Raises
    ------
    InputError
        No scan before or none after t = 0, formulas that are not the set's, intensities no concentration explains.
    """
    attenuation.check(transport)
    name = measured.label or "intensity map"
    if not (np.isfinite(path_length) and path_length > 0):
        raise InputError(f"{name}: path_length = {path_length!r} m must be positive")
    before, after = measured.time <= 0, measured.time > 0
    if not before.any() or not after.any():
        raise InputError(f"{name}: needs a scan at t <= 0, before the polarisation, and one at t > 0")
    reference, variance_before = _reference(measured, before)  # NaN where no scan before has the position
    value, variance = _logarithm(measured, after)
    within = np.ones(measured.position.size, dtype=bool)
    if inside is not None:
        within = (measured.position >= inside[0]) & (measured.position <= inside[1])
    c, rise = np.full(value.shape, np.nan), reference - value
    seen = within & np.isfinite(rise)
    if not seen.any():
        raise InputError(
            f"{name}: no position with a scan before and after t = 0 lies between {_mm(inside, 0)} and "
            f"{_mm(inside, 1)} from the positive interface; check cell.position_origin and the unit of the positions"
        )
    sd = None if variance is None or variance_before is None else np.sqrt(variance + variance_before)
    odd = odd_points(np.where(seen, rise, np.nan), sd, measured.position)
    seen &= ~odd
    c[seen] = _solve(rise[seen], transport, attenuation, path_length, c_before, name)
    error = shared = None
    if variance is not None and variance_before is not None:
        slope = np.abs(attenuation.depth_slope(transport, np.where(np.isfinite(c), c, c_before), path_length))
        error = np.where(seen, np.sqrt(variance + variance_before) / slope, np.nan)
        shared = np.where(within, np.sqrt(variance_before) / np.median(slope, axis=0), np.nan)
    label, scale = (measured.label or "XAM").replace(", predicted", ""), path_error / path_length
    notes = _odd_pixels(odd, measured.position)
    if attenuation.species:
        notes = (f"all attenuation is counted as that of one species: c of {short_sum(attenuation.species)}", *notes)
    return ConcentrationMap(
        *(measured.time[after], measured.position, c, error, shared, scale),
        label=label,
        notes=notes,
        species=attenuation.species,
    )


ODD = 7.0
"""A point so many standard errors off the line through its neighbours is none of theirs; of 10 000 good ones, none."""
SUSPECTS = 8
"""Pixels tried at a time: a bad one makes four others look odd, at an end of the row more so than itself."""
LEAST_PIXELS = 7
"""Fewer positions draw no line that one of them could be off."""
ODD_SHARE = 0.1
"""Largest share of the positions taken out as single pixels; more are no accident of pixels."""


def odd_points(value: Array, sd: Array | None, position: Array) -> NDArray[np.bool_]:
    """Single dead, bright or spiking pixels: points off the cubic through the two neighbours on either side.

    One after the other, the worst first, and only if what is left is smooth there: a steep profile stays odd whichever
    of its points is taken out.

    Parameters
    ----------
    value : ndarray, shape (n, k)
        Scan by scan; NaN where there is none.
    sd : ndarray, shape (n, k), optional
        Standard errors; the scatter about the cubics counts where it is larger.
    position : ndarray, shape (k,)
        Increasing.

    Returns
    -------
    ndarray of bool, shape (n, k)
        A pixel that is odd in a third of its scans is odd in all.
    """
    odd, score = np.zeros(value.shape, dtype=bool), _oddness(value, sd, position)
    for _ in range(max(1, int(ODD_SHARE * position.size))):
        worst = np.nanmax(score, axis=0, initial=0.0)
        if not np.any(worst > ODD):
            break
        # The neighbours of a bad pixel look as odd as it does: it is the one without which the rest is smoothest.
        suspects = [int(k) for k in np.argsort(-worst)[:SUSPECTS] if worst[k] > ODD]
        tried = [_without(value, sd, position, odd, score, k) for k in suspects]
        taken, rest = min(tried, key=lambda pair: float(np.nansum(np.square(pair[1]))))
        near = slice(max(0, suspects[0] - 4), suspects[0] + 5)
        if np.nanmax(rest[:, near], initial=0.0) > max(ODD, 0.5 * worst[suspects[0]]):
            break
        odd, score = taken, rest
    return odd


def _without(
    value: Array, sd: Array | None, position: Array, odd: NDArray[np.bool_], score: Array, k: int
) -> tuple[NDArray[np.bool_], Array]:
    """The points that are odd with those of pixel `k` among them, and how odd the rest is then."""
    rows = score[:, k] > ODD
    if np.count_nonzero(rows) > np.count_nonzero(np.isfinite(value[:, k])) / 3:
        rows = np.ones(rows.size, dtype=bool)
    taken = odd.copy()
    taken[rows, k] = True
    return taken, _oddness(np.where(taken, np.nan, value), sd, position)


def _oddness(value: Array, sd: Array | None, position: Array) -> Array:
    """Distance of every point from the cubic through its four neighbours in the same scan, in standard errors."""
    off, spread, gain = np.full((3, *value.shape), np.nan)
    known: dict[bytes, Array] = {}
    for row, scan in enumerate(value):
        there = np.isfinite(scan)
        if np.count_nonzero(there) < LEAST_PIXELS:
            continue
        if there.tobytes() not in known:
            known[there.tobytes()] = _neighbours(position[there])
        weights = known[there.tobytes()]
        off[row, there] = scan[there] - weights @ scan[there]
        gain[row, there] = np.sqrt(1 + np.sum(weights**2, axis=1))
        if sd is not None:
            spread[row, there] = np.sqrt(sd[row, there] ** 2 + weights**2 @ sd[row, there] ** 2)
    if not np.isfinite(off).any():
        return off
    if sd is None:
        spread = gain
    scatter = 1.4826 * float(np.nanmedian(np.abs(off / spread)))
    spread = spread * (scatter if sd is None else max(1.0, scatter))
    # a cubic does not draw a boundary layer to better than this share of it
    low, high = np.nanquantile(value, [0.05, 0.95])
    return np.asarray(np.abs(off) / np.maximum(spread, gain * (0.01 * (high - low) + 1e-12)))


def _neighbours(position: Array) -> Array:
    """What each of four neighbours adds to the cubic at a position, shape (k, k) [1]."""
    weights = np.zeros((position.size, position.size))
    for k, x in enumerate(position):
        first = min(max(k - 2, 0), position.size - 5)
        others = [j for j in range(first, first + 5) if j != k]
        for a in others:
            weights[k, a] = np.prod([(x - position[b]) / (position[a] - position[b]) for b in others if b != a])
    return weights


def _odd_pixels(odd: NDArray[np.bool_], position: Array) -> tuple[str, ...]:
    """What was left out, for the notes of a measurement."""
    columns = np.flatnonzero(odd.any(axis=0))
    if not columns.size:
        return ()
    listed = ", ".join(f"{1e3 * position[k]:.4g} mm" for k in columns[:6]) + (", ..." if columns.size > 6 else "")
    return (
        f"{np.count_nonzero(odd)} points are left out because they lie off the line of their neighbours, as of a dead "
        f"or bright pixel: at {listed} from the positive interface",
    )


def _mm(span: tuple[float, float] | None, side: int) -> str:
    return "anywhere" if span is None else f"{1e3 * span[side]:.4g} mm"


def _logarithm(measured: IntensityMap, rows: NDArray[np.bool_]) -> tuple[Array, Array | None]:
    """ln of the intensity (over the monitor) and its variance."""
    if measured.counted:
        value, variance = np.log(measured.intensity[rows] + 0.5), 1 / (measured.intensity[rows] + 0.5)
        if measured.monitor is not None:
            value = value - np.log(measured.monitor[rows] + 0.5)
            variance = variance + 1 / (measured.monitor[rows] + 0.5)
        return value, variance
    value = np.log(measured.intensity[rows])
    if measured.monitor is not None:
        value = value - np.log(measured.monitor[rows])
    return value, None if measured.error is None else (measured.error[rows] / measured.intensity[rows]) ** 2


def _reference(measured: IntensityMap, rows: NDArray[np.bool_]) -> tuple[Array, Array | None]:
    """The same of the scans before the polarisation together: counts added up, errors weighed."""
    there = np.isfinite(measured.intensity[rows])
    n = np.where(there.any(axis=0), np.count_nonzero(there, axis=0), np.nan)
    if measured.counted:
        counts = np.nansum(measured.intensity[rows], axis=0) + 0.5
        value, variance = np.log(counts / n), 1 / counts
        if measured.monitor is not None:
            monitor = np.nansum(np.where(there, measured.monitor[rows], np.nan), axis=0) + 0.5
            value, variance = value - np.log(monitor / n), variance + 1 / monitor
        return np.where(there.any(axis=0), value, np.nan), variance
    values, variances = _logarithm(measured, rows)
    if variances is None or not np.all(variances[there] > 0):
        mean = np.nansum(values, axis=0) / n
        return mean, None if variances is None else np.nansum(variances, axis=0) / n**2
    weight = np.where(there, 1 / variances, 0.0)
    total = np.where(there.any(axis=0), weight.sum(axis=0), np.nan)
    return np.nansum(weight * values, axis=0) / total, 1 / total


def _solve(
    rise: Array, transport: Electrolyte, attenuation: Absorber, path_length: float, c_before: float, name: str
) -> Array:
    """c from tau(c) - tau(c_before) = rise, by Newton's method; one step where tau is linear."""
    start = attenuation.optical_depth(transport, c_before, path_length)
    c = np.full(rise.shape, float(c_before))
    for _ in range(50):
        slope = attenuation.depth_slope(transport, c, path_length)
        if np.any(slope == 0) or np.any(slope * np.ravel(slope)[0] < 0):
            raise InputError(f"{name}: the attenuation does not change with concentration; choose another energy")
        step = (rise - (attenuation.optical_depth(transport, c, path_length) - start)) / slope
        c = c + step
        if not np.all(np.isfinite(c)):
            break
        if np.all(np.abs(step) <= 1e-12 * np.maximum(np.abs(c), c_before)):
            return c  # convergence is quadratic: this step has left nothing but round-off
    raise InputError(f"{name}: no concentration explains the intensities; check path_length, energy and harmonics")


def cramer_rao(
    expected: IntensityMap,
    c: ArrayLike,
    transport: Electrolyte,
    attenuation: Absorber,
    path_length: float,
    *,
    monitor: float | None = None,
) -> Array:
    """The least standard error any unbiased estimate of c can have, incident intensity unknown at every position.

    Parameters
    ----------
    expected : IntensityMap
        Expected photons, scans before the polarisation among them.
    c : array_like, shape (m, k)
        True concentration at the m scans after t = 0 [mol/m^3].
    transport, attenuation, path_length
        As in :func:`concentration`.
    monitor : float, optional
        Expected counts of the monitor at every point [1].

    Returns
    -------
    ndarray, shape (m, k)
        [mol/m^3]
    """
    before, after = expected.time <= 0, expected.time > 0
    variance = 1 / expected.intensity[after] + 1 / expected.intensity[before].sum(axis=0)
    if monitor is not None:
        variance = variance + (1 + 1 / np.count_nonzero(before)) / monitor
    return np.asarray(np.sqrt(variance) / np.abs(attenuation.depth_slope(transport, c, path_length)))
