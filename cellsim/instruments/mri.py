"""1-D MRI of one nucleus, that of the anion or of some species: raw profiles to c(x, t), and c(x, t) to raw profiles.

    S(z, t) = background(t) + gain (c * point spread)(z, t)         c = 0 outside the cell, Gaussian point spread

Back, for looking and comparing: background off, edges from an error-function fit to the first profile, normalised to
the first profile (pixel by pixel, or by one factor), pixels dropped that the point spread fills from outside, errors
from the scatter between successive profiles. Fits should use the raw signal instead, with gain and background free
(`mri_signal`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import erf

from cellsim.base import Array, Bools, InputError, factor_to_si
from cellsim.electrolyte.mixture_set import Electrolyte
from cellsim.instruments.headings import Column
from cellsim.instruments.looks import (
    ROLES,
    Clocked,
    Cut,
    Look,
    Values,
    displaced,
    face_concentration,
    state_at,
)
from cellsim.instruments.measurement import ConcentrationMap, Measurement
from cellsim.instruments.tables import read_table
from cellsim.solvers.solution import Solution

LOOK_NODES = 81
"""Faces a profile is reduced to before it is blurred and compared: all 321 take 2.3 times as long and differ by 8e-5 of
the plateau."""


@dataclass(frozen=True)
class MriProfiles:
    """Raw signal along the axis of the cell.

    Parameters
    ----------
    time : ndarray, shape (n,)
        Of each profile, increasing [s].
    z : ndarray, shape (k,)
        Pixels, evenly spaced and increasing, on the scanner's axis [m].
    signal : ndarray, shape (n, k)
        In any unit.
    label : str
        For figures and messages.

    Raises
    ------
    InputError
        Shapes that do not agree, no profile, an axis that does not increase evenly.
    """

    time: Array
    z: Array
    signal: Array
    label: str = "MRI"

    def __post_init__(self) -> None:
        if self.signal.shape != (self.time.size, self.z.size):
            raise InputError(f"{self.label}: signal has shape {self.signal.shape}, not {(self.time.size, self.z.size)}")
        if not self.time.size or np.any(np.diff(self.time) <= 0):
            raise InputError(f"{self.label}: needs a profile, and times that increase")
        pixel = np.diff(self.z)
        if np.any(pixel <= 0) or np.ptp(pixel) > 1e-3 * pixel.mean():
            raise InputError(f"{self.label}: the pixels must be evenly spaced and increase")
        if not np.all(np.isfinite(self.signal)):
            raise InputError(f"{self.label}: the signal holds values that are not numbers")

    @property
    def pixel(self) -> float:
        """Distance of the pixels [m]."""
        return float(self.z[-1] - self.z[0]) / (self.z.size - 1)

    def first(self, count: int) -> MriProfiles:
        """The first `count` profiles."""
        return replace(self, time=self.time[:count], signal=self.signal[:count])


@dataclass(frozen=True)
class Edges:
    """Where the cell begins and ends on the scanner's axis.

    Parameters
    ----------
    lower, upper : float
        Half-height positions [m].
    blur : float
        Standard deviation of the point spread [m].
    error : tuple of float
        Standard errors of the three [m].
    """

    lower: float
    upper: float
    blur: float
    error: tuple[float, float, float] = (0.0, 0.0, 0.0)

    @property
    def thickness(self) -> float:
        """Distance of the edges [m]."""
        return self.upper - self.lower


@dataclass(frozen=True)
class MriConcentration:
    """Profiles turned into concentration, and how.

    Parameters
    ----------
    map : ConcentrationMap
        c(x, t), positions from the positive interface at the first profile.
    edges : Edges
        From the first profile.
    noise : float
        Scatter of a pixel from one profile to the next over the mean signal [1].
    structure : float
        Scatter over the pixels that stays in all profiles, over the mean signal [1].
    balance : ndarray, shape (n,)
        Total signal over that of the first profile [1]: salt is conserved, so 1 but for noise and changes of gain.
    balance_error : float
        Standard error of one value of `balance` by the noise of the pixels alone [1].
    """

    map: ConcentrationMap
    edges: Edges
    noise: float
    structure: float
    balance: Array
    balance_error: float


# ---- back ---------------------------------------------------------------------------------------------------------


def find_edges(profiles: MriProfiles) -> Edges:
    """Edges and blur of the first profile: B + G/2 [erf((z-a)/(s sqrt 2)) - erf((z-b)/(s sqrt 2))] by least squares.

    Parameters
    ----------
    profiles : MriProfiles
        The first one, before anything has moved, is used.

    Returns
    -------
    Edges

    Raises
    ------
    InputError
        Where no plateau stands out of the background.
    """
    from scipy.optimize import least_squares

    z, signal = profiles.z, profiles.signal[0]
    low, high = np.quantile(signal, [0.2, 0.98])
    above = np.flatnonzero(signal > 0.5 * (low + high))
    if above.size < 8 or above.size > 0.8 * z.size:
        raise InputError(f"{profiles.label}: the first profile has no plateau above the background")
    scale, pixel = float(high - low), profiles.pixel

    def model(p: Array) -> Array:
        spread = np.sqrt(2) * p[2] * pixel
        step = erf((z - p[0] * pixel - z[0]) / spread) - erf((z - p[1] * pixel - z[0]) / spread)
        return np.asarray(p[3] + 0.5 * p[4] * step)

    start = [above[0] - 0.5, above[-1] + 0.5, 2.0, float(low) / scale, 1.0]
    bounds = ([0.0, 0.0, 0.1, -np.inf, 0.0], [z.size, z.size, 0.25 * above.size, np.inf, np.inf])
    fit = least_squares(lambda p: model(p) - signal / scale, start, bounds=bounds, x_scale=[1, 1, 1, 0.1, 1])
    covariance = np.linalg.inv(fit.jac.T @ fit.jac) * 2 * fit.cost / (z.size - 5)
    a, b, s = (float(v) * pixel for v in fit.x[:3])
    errors = tuple(float(e) * pixel for e in np.sqrt(np.diag(covariance)[:3]))
    return Edges(float(z[0]) + a, float(z[0]) + b, s, (errors[0], errors[1], errors[2]))


def to_concentration(
    profiles: MriProfiles,
    c0: float,
    *,
    positive: Literal["lower", "upper"],
    normalise: Literal["pixel", "mean"] = "pixel",
    edges: Edges | None = None,
    margin: float = 1.6,
) -> MriConcentration:
    """Raw profiles to concentration.

    Parameters
    ----------
    profiles : MriProfiles
        The first one belongs to the uniform cell.
    c0 : float
        Its concentration [mol/m^3].
    positive : {"lower", "upper"}
        Edge at which the metal dissolves: there the signal rises.
    normalise : {"pixel", "mean"}
        Divide by the first profile pixel by pixel, which takes out the coil's sensitivity and everything else that
        stays, and puts the noise of the first profile into all; or by its mean, which leaves the structure in.
    edges : Edges, optional
        Default :func:`find_edges`.
    margin : float
        Pixels closer to an edge than this many standard deviations of the point spread are dropped.

    Returns
    -------
    MriConcentration

    Raises
    ------
    InputError
        A single profile, no plateau, no background outside the cell, too few pixels inside.
    """
    if positive not in ("lower", "upper") or normalise not in ("pixel", "mean"):
        raise InputError(f'{profiles.label}: positive is "lower" or "upper", normalise "pixel" or "mean"')
    if profiles.time.size < 2:
        raise InputError(f"{profiles.label}: needs two profiles or more; the first one is what the others refer to")
    edges = edges or find_edges(profiles)
    z, signal = profiles.z, profiles.signal
    outside = (z < edges.lower - 6 * edges.blur) | (z > edges.upper + 6 * edges.blur)
    inside = (z > edges.lower + margin * edges.blur) & (z < edges.upper - margin * edges.blur)
    if np.count_nonzero(outside) < 8 or np.count_nonzero(inside) < 8:
        raise InputError(f"{profiles.label}: fewer than 8 pixels of background outside the cell, or of signal inside")
    net = signal - signal[:, outside].mean(axis=1, keepdims=True)
    within = net[:, inside]
    mean = float(within[0].mean())
    if not mean > 0:
        raise InputError(f"{profiles.label}: the first profile does not rise above its background")
    noise, together = _scatter(within)
    # the background is a mean of pixels: its noise moves a whole profile, that of the first profile all of them
    level = noise * np.sqrt(together / np.count_nonzero(outside))
    structure = float(np.sqrt(max(0.0, np.var(within[0], ddof=1) - noise**2)))
    if normalise == "pixel":
        if np.any(within[0] < 4 * noise):
            raise InputError(f'{profiles.label}: pixels of the first profile vanish in noise; use normalise = "mean"')
        relative = within / within[0]
        # The noise of a pixel of the first profile goes with what is measured there later. Taken as constant it left
        # the depleted end too small an error of its own: chi2 was 2.0 per point there and 0.5 at the other end.
        pixel, first = noise / within[0], noise / within[0] * relative
        shared = c0 * first
        per_profile, overall = c0 * level / within[0] * np.ones_like(relative), c0 * level / within[0] * relative
    else:
        relative, pixel = within / mean, np.full(within.shape[1], noise / mean)
        first = np.full(within.shape, structure / mean)
        shared = np.full(within.shape, c0 * structure / mean)
        per_profile, overall = np.full(within.shape, c0 * level / mean), c0 * level / mean * relative
    error = c0 * np.sqrt(pixel**2 + first**2)
    if normalise == "pixel":
        error[0] = shared[0] = per_profile[0] = overall[0] = 0.0  # c0 by definition
    x = z[inside] - edges.lower if positive == "lower" else edges.upper - z[inside]
    order = np.argsort(x)
    data = ConcentrationMap(
        profiles.time - profiles.time[0],
        x[order],
        c0 * relative[:, order],
        error[:, order],
        shared[:, order],
        per_profile=per_profile[:, order],
        overall=overall[:, order],
        # exp(-2 distance/resolution) adds up to `together` pixels
        resolution=profiles.pixel / float(np.arctanh(1 / together)) if together > 1 else 0.0,
        label=profiles.label,
    )
    between = (z > edges.lower - 3 * edges.blur) & (z < edges.upper + 3 * edges.blur)
    total = net[:, between].sum(axis=1)
    counts = np.count_nonzero(between)
    spread = noise * np.sqrt(together * counts * (1 + counts / np.count_nonzero(outside)))
    return MriConcentration(
        data, edges, noise / mean, structure / mean, total / total[0], float(np.sqrt(2) * spread / total[0])
    )


def _scatter(within: Array) -> tuple[float, float]:
    """Noise of a pixel and over how many pixels it is correlated, from differences of successive profiles.

    Second differences leave out what changes steadily; a whole profile's change of gain is taken off.
    """
    if within.shape[0] >= 3:
        change = (within[:-2] - 2 * within[1:-1] + within[2:]) / np.sqrt(6)
    else:
        change = np.diff(within, axis=0) / np.sqrt(2)
    change = change - change.mean(axis=1, keepdims=True)
    noise = float(np.sqrt(np.mean(change**2) * change.shape[1] / (change.shape[1] - 1)))
    if noise == 0:
        return 0.0, 1.0
    together = 1.0
    for lag in range(1, min(20, change.shape[1] // 2)):
        correlation = float(np.mean(change[:, lag:] * change[:, :-lag])) / noise**2
        if correlation < 0.05:
            break
        together += 2 * correlation
    return noise, together


# ---- forward ------------------------------------------------------------------------------------------------------


def predicted_signal(
    solution: Solution,
    z: ArrayLike,
    times: ArrayLike,
    *,
    edges: Edges,
    positive: Literal["lower", "upper"],
    gain: float = 1.0,
    background: float = 0.0,
    exposure: float = 0.0,
    values: Values = ROLES,
    nodes: int | None = None,
    species: str = "",
) -> MriProfiles:
    """What the scanner would record, no noise.

    Parameters
    ----------
    solution : Solution
        The run.
    z : array_like, shape (k,)
        Pixels on the scanner's axis [m].
    times : array_like, shape (n,)
        Of the profiles, the middle of each [s].
    edges : Edges
        Where the cell lies at t = 0, and the blur; the interfaces move by the run's own shift.
    positive : {"lower", "upper"}
        Edge of the positive electrode.
    gain, background : float
        Signal per concentration [m^3/mol], signal without any.
    exposure : float
        How long one profile takes [s]; the prediction is averaged over it.
    values : mapping
        Nuisances by role, of which the offset and drift of the positions and the interface motion act here.
    nodes : int, optional
        Faces that a profile is reduced to before it is blurred; default all of the run.
    species : str
        Of n components: whose nuclei give the signal, as of :class:`.ProfileLook`.

    Returns
    -------
    MriProfiles
    """
    pixels = np.asarray(z, dtype=float)
    where = np.asarray(times, dtype=float)
    towards = 1.0 if positive == "lower" else -1.0
    origin = edges.lower if positive == "lower" else edges.upper
    moments = np.linspace(-0.5, 0.5, 5) if exposure > 0 else np.zeros(1)
    count, seen = solution["position_face"].shape[1], face_concentration(species)
    chosen = np.unique(np.linspace(0, count - 1, min(nodes or count, count)).astype(int))
    rows = np.zeros((where.size, pixels.size))
    for k, time in enumerate(where):
        for moment in moments:
            t = time + moment * exposure
            shift = values["interface_motion"] * state_at(solution, "interface_shift", t)
            faces = state_at(solution, "position_face", t) + shift
            x = towards * (pixels - origin) + displaced(t, values)
            rows[k] += blurred(x, faces[chosen], state_at(solution, seen, t)[chosen], edges.blur)
    return MriProfiles(where, pixels, background + gain * rows / moments.size, "MRI, predicted")


def blurred(x: Array, faces: Array, c: Array, blur: float) -> Array:
    """A profile, linear between its faces and zero outside, under a Gaussian of standard deviation `blur`; exact.

    Parameters
    ----------
    x : ndarray, shape (k,)
        Where it is wanted [m].
    faces, c : ndarray, shape (m,)
        Positions, increasing [m], and values there.
    blur : float
        Standard deviation [m]; 0: none.

    Returns
    -------
    ndarray, shape (k,)
        In the unit of `c`.
    """
    if blur == 0:
        return np.interp(x, faces, c, left=0.0, right=0.0)
    u = (faces - x[:, None]) / blur
    below, bell = 0.5 * erf(u / np.sqrt(2)), np.exp(-0.5 * u**2) / np.sqrt(2 * np.pi)
    slope = np.diff(c) / np.diff(faces)
    level = c[:-1] + slope * (x[:, None] - faces[:-1])  # of each segment, carried on to x
    return np.asarray(np.sum(level * np.diff(below, axis=1) - blur * slope * np.diff(bell, axis=1), axis=1))


@dataclass(frozen=True)
class NormalisedLook(Clocked):
    """Profiles as :func:`to_concentration` makes them: the prediction goes through the same scanner and the same steps.

    Parameters
    ----------
    time : ndarray, shape (t,)
        Of all profiles, the first of which the others refer to [s].
    z : ndarray, shape (k,)
        Pixels on the scanner's axis [m].
    edges : Edges
        By the first profile.
    positive, normalise, margin
        As in :func:`to_concentration`.
    c0 : float
        Concentration of the first profile [mol/m^3].
    keep : ndarray of bool, shape (t, points)
        Which points of the map were measured.
    species : str
        Of n components: whose nuclei give the signal, as of :class:`.ProfileLook`.
    """

    time: Array
    z: Array
    edges: Edges
    positive: Literal["lower", "upper"]
    normalise: Literal["pixel", "mean"]
    margin: float
    c0: float
    keep: Bools
    species: str = ""

    def predict(self, transport: Electrolyte, solution: Solution | None, values: Values) -> Array:
        """[mol/m^3]"""
        assert solution is not None
        times = self.times(values)
        signal = predicted_signal(
            *(solution, self.z, times),
            edges=self.edges,
            positive=self.positive,
            values=values,
            nodes=LOOK_NODES,
            species=self.species,
        )
        steps = {"normalise": self.normalise, "edges": self.edges, "margin": self.margin}
        back = to_concentration(signal, self.c0, positive=self.positive, **steps)  # type: ignore[arg-type]
        reached = times <= solution["time"][-1] * (1 + 1e-9)
        return np.where(reached[:, None], back.map.c, np.nan)[self.keep]

    def subset(self, keep: Bools, end: float = np.inf) -> Look:
        """See :class:`.Look`; the first profile is looked at whether one of its points is kept or not."""
        return Cut(replace(self, time=np.minimum(self.time, end)), keep)


def normalised(
    profiles: MriProfiles,
    c0: float,
    *,
    species: str = "",
    positive: Literal["lower", "upper"],
    normalise: Literal["pixel", "mean"] = "pixel",
    margin: float = 1.6,
    time_offset: float = 0.0,
) -> Measurement:
    """Raw profiles as a measurement of concentration; arguments as :func:`to_concentration`.

    Parameters
    ----------
    profiles, c0, positive, normalise, margin
        As :func:`to_concentration`.
    species : str
        Of n components: whose nuclei give the signal, as of :class:`.ProfileLook`; `c0` is the sum of their
        concentrations.
    time_offset : float
        Time of the first profile [s].

    Returns
    -------
    Measurement
    """
    result = to_concentration(profiles, c0, positive=positive, normalise=normalise, margin=margin)
    data, edges = replace(result.map, time=result.map.time + time_offset, species=species), result.edges
    known = np.isfinite(data.c)
    look = NormalisedLook(data.time, profiles.z, edges, positive, normalise, margin, c0, known, species)
    balance = float(np.max(np.abs(result.balance - 1)))
    notes = (
        f"edges {1e3 * edges.thickness:.3f} mm apart, blur {1e6 * edges.blur:.0f} um, noise "
        f"{100 * result.noise:.1f} %, structure {100 * result.structure:.1f} % of the signal",
        f"salt balance: total signal within {100 * balance:.1f} % of the first profile's, noise of the pixels "
        f"{100 * result.balance_error:.1f} %",
    )
    return data.measurement(c0, look=look, notes=notes)


# ---- files --------------------------------------------------------------------------------------------------------


def read_mri(path: str | Path, *, label: str = "") -> MriProfiles:
    """Raw MRI profiles: a column of positions and one column per profile, headed by its time.

    Parameters
    ----------
    path : str or Path
        Wide table; ``z_mm`` or ``z (mm)``, then ``t513s``, ``513 s``, ``10 min``.
    label : str
        For figures; default the name of the file.

    Returns
    -------
    MriProfiles

    Raises
    ------
    InputError
        A header without unit or time, positions that do not increase evenly, anything not a number.
    """
    table = read_table(path)
    heading = table.header[0] if "(" in table.header[0] else table.header[0].replace("_", "/", 1)  # z_mm is z/mm
    axis = Column.parse(heading)
    if not axis.unit:
        raise InputError(f'{table.path}: the first column, "{axis.name}", needs a unit of length, such as "z (mm)"')
    times = []
    for heading in table.header[1:]:
        ending = re.search(r"([\d.]+)\s*(s|min|h)\s*$", heading)
        if not ending:
            raise InputError(f'{table.path}: column "{heading}" must end in its time with a unit, such as "513 s"')
        times.append(float(ending.group(1)) * factor_to_si(ending.group(2), "s"))
    z = table.numbers(0) * axis.factor(["m"], field=f"{table.path}: {table.header[0]}")[0]
    signal = np.array([table.numbers(k) for k in range(1, len(table.header))])
    return MriProfiles(np.array(times), z, signal, label or table.path.name)
