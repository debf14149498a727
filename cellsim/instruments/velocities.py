"""Velocities measured and predicted: solvent in the lab, anion by local volume balance, and as published.

XPCS sees the solvent in the lab frame. With v_s the velocity of the interfaces and epsilon = phi_0/phi_e at that place
and time, the anion moves at

    v-(interface) = -epsilon (v0,lab - v_s),        v-(lab) = -epsilon v0,lab + (1 + epsilon) v_s.

Steinrueck 2020 takes one epsilon for the whole cell, leaves v_s out, and compares in the solvent frame, with the factor
kappa = 1/epsilon + 1: |v-|(solvent) = (epsilon + 1) |v0,lab|. Both ways are compared here. g2 gives |v0,lab| only; the
sign is the model's.

Sources: doi:10.1039/D0EE02193H, Eq. 3 and lines 265-274; volume balance of constant partial molar volumes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from cellsim.base import Array, InputError
from cellsim.electrolyte.transport import TransportSet
from cellsim.instruments.looks import Frame, at_beam
from cellsim.solvers.solution import Solution


def epsilon(transport: TransportSet, c: ArrayLike) -> Array:
    """phi_0/phi_e, by which anion velocity exceeds solvent velocity in the interface frame [1].

    Parameters
    ----------
    transport : TransportSet
        Volumes.
    c : array_like
        Salt concentration [mol/m^3].

    Raises
    ------
    InputError
        Without solvent motion: the salt has no volume and the solvent stands still.

    References
    ----------
    doi:10.1039/D0EE02193H, Eq. 3 (its -2.95 at r = 0.1 is a slip of sign).
    """
    phi_0 = transport.phi_0(c)
    if np.any(phi_0 >= 1):
        raise InputError(
            f"{transport.name}: the salt takes no volume here, so the velocity of the solvent does not "
            'determine that of the anion; use solvent_motion = "volume" and a set with V_e > 0'
        )
    return phi_0 / (1 - phi_0)


def anion_velocity(v_0: ArrayLike, v_interface: ArrayLike, ratio: ArrayLike, frame: Frame = "interface") -> Array:
    """Anion velocity from the solvent velocity in the lab, the interfaces' motion taken away.

    Parameters
    ----------
    v_0 : array_like
        Solvent velocity, lab frame, with its sign [m/s].
    v_interface : array_like
        Velocity of the interfaces in the lab [m/s].
    ratio : array_like
        Local epsilon [1].
    frame : {"interface", "lab", "solvent"}
        Of the answer.

    Returns
    -------
    ndarray
        [m/s]

    Raises
    ------
    InputError
        Unknown frame.
    """
    moved = np.asarray(v_0, dtype=float) - np.asarray(v_interface, dtype=float)
    eps = np.asarray(ratio, dtype=float)
    if frame == "interface":
        return -eps * moved
    if frame == "lab":
        return -eps * moved + v_interface
    if frame == "solvent":
        return -(eps + 1) * moved
    raise InputError(f"frame = {frame!r} must be one of interface, lab, solvent")


def anion_speed_as_published(v_0: ArrayLike, ratio: ArrayLike) -> Array:
    """|v-| relative to the solvent as Steinrueck 2020 has it: (epsilon + 1) |v0,lab|, interfaces at rest [m/s].

    Parameters
    ----------
    v_0 : array_like
        Solvent velocity, lab frame [m/s].
    ratio : array_like
        One epsilon for the whole cell [1].
    """
    return (np.asarray(ratio, dtype=float) + 1) * np.abs(np.asarray(v_0, dtype=float))


@dataclass(frozen=True)
class MeasuredSpeeds:
    """Solvent speeds of a series of measurements, by position.

    Parameters
    ----------
    position : ndarray, shape (n,)
        Centre of the beam, from the positive interface at t = 0, fixed in the lab [m].
    time : ndarray, shape (n,)
        From the start of the run [s].
    speed, error : ndarray, shape (n,)
        |v0| in the lab and its standard error [m/s].

    Raises
    ------
    InputError
        Unequal lengths, negative speeds, errors that are not positive.
    """

    position: Array
    time: Array
    speed: Array
    error: Array

    def __post_init__(self) -> None:
        for key in ("position", "time", "speed", "error"):
            object.__setattr__(self, key, np.atleast_1d(np.asarray(getattr(self, key), dtype=float)))
        if len({a.shape for a in (self.position, self.time, self.speed, self.error)}) != 1 or self.position.ndim != 1:
            raise InputError("measured speeds: position, time, speed and error must be lists of equal length")
        if np.any(self.speed < 0) or not np.all(self.error > 0):
            raise InputError("measured speeds must not be negative, their errors must be positive")


@dataclass(frozen=True)
class VelocityComparison:
    """Measured and predicted velocities, the local way and as published, point by point.

    Parameters
    ----------
    position, time : ndarray, shape (n,)
        [m], [s]
    v_0, v_0_error : ndarray, shape (n,)
        Measured solvent velocity in the lab, with the model's sign, and its error [m/s].
    v_0_model, v_0_model_error : ndarray, shape (n,)
        Predicted, averaged over beam and position, and the share of its error that the position makes [m/s].
    epsilon : ndarray, shape (n,)
        Local [1].
    anion, anion_error, anion_model, anion_model_error : ndarray, shape (n,)
        Anion velocity in the interface frame: measured by the local epsilon, predicted [m/s].
    published, published_error, published_model : ndarray, shape (n,)
        |v- - v0|: measured as published (one epsilon, interfaces at rest), predicted in the solvent frame [m/s].
    """

    position: Array
    time: Array
    v_0: Array
    v_0_error: Array
    v_0_model: Array
    v_0_model_error: Array
    epsilon: Array
    anion: Array
    anion_error: Array
    anion_model: Array
    anion_model_error: Array
    published: Array
    published_error: Array
    published_model: Array

    @property
    def ratio(self) -> Array:
        """Measured over predicted anion velocity, local way, shape (n,) [1]."""
        return self.anion / self.anion_model

    @property
    def ratio_published(self) -> Array:
        """Measured over predicted, as published, shape (n,) [1]."""
        return self.published / self.published_model


def compare_velocities(
    solution: Solution,
    transport: TransportSet,
    measured: MeasuredSpeeds,
    *,
    beam: float = 0.0,
    position_error: float = 0.0,
    constant_epsilon: float | None = None,
) -> VelocityComparison:
    """Compare measured solvent speeds with a run.

    Parameters
    ----------
    solution : Solution
        The run.
    transport : TransportSet
        Its set.
    measured : MeasuredSpeeds
        The data; the sign of each is that of the predicted solvent velocity in the lab.
    beam, position_error : float
        Full width of the beam and standard error of its position [m].
    constant_epsilon : float, optional
        The one epsilon of the published way [1]; default: at the initial concentration.

    Returns
    -------
    VelocityComparison

    Raises
    ------
    InputError
        Points outside the run or the electrolyte, or a set without solvent motion.
    """
    clock = solution["time"]
    if measured.time.min() < clock[0] or measured.time.max() > clock[-1] * (1 + 1e-9):
        raise InputError(
            f"measured speeds from {measured.time.min():.4g} s to {measured.time.max():.4g} s lie outside the run, "
            f"{clock[0]:.4g} s to {clock[-1]:.4g} s"
        )
    places, which = np.unique(measured.position, return_inverse=True)

    def predicted(name: str, frame: Frame) -> tuple[Array, Array]:
        averages = at_beam(solution, name, places, frame=frame, beam=beam, position_error=position_error)
        points = list(zip(measured.time, which, strict=True))
        mean, by_position = averages.mean, averages.by_position
        return (
            np.array([np.interp(t, clock, mean[:, p]) for t, p in points]),
            np.array([np.interp(t, clock, by_position[:, p]) for t, p in points]),
        )

    v_0, by_position = predicted("v_0", "lab")
    if not np.all(np.isfinite(v_0)):
        bad = int(np.argmin(np.isfinite(v_0)))
        raise InputError(
            f"measured speed at {measured.position[bad] * 1e3:.4g} mm, {measured.time[bad]:.4g} s: beam and position "
            "error reach out of the electrolyte"
        )
    anion, anion_error = predicted("v_minus", "interface")
    relative, _ = predicted("v_minus", "solvent")
    local = epsilon(transport, predicted("c", "lab")[0])
    if constant_epsilon is None:
        constant_epsilon = float(epsilon(transport, float(np.mean(solution["c"][0]))))
    v_s = np.interp(measured.time, clock, solution["v_interface"])
    signed = np.where(v_0 < 0, -1.0, 1.0) * measured.speed
    return VelocityComparison(
        position=measured.position,
        time=measured.time,
        v_0=signed,
        v_0_error=measured.error,
        v_0_model=v_0,
        v_0_model_error=by_position,
        epsilon=local,
        anion=anion_velocity(signed, v_s, local),
        anion_error=local * measured.error,
        anion_model=anion,
        anion_model_error=anion_error,
        published=anion_speed_as_published(signed, constant_epsilon),
        published_error=(constant_epsilon + 1) * measured.error,
        published_model=np.abs(relative),
    )


@dataclass(frozen=True)
class PositionRatios:
    """Ratio of measured to predicted anion velocity averaged over time, by position (Steinrueck 2020, Fig. 5 inset).

    Parameters
    ----------
    position : ndarray, shape (p,)
        Increasing [m].
    ratio, error : ndarray, shape (p,)
        Mean over the window, and its standard error from measurement and position [1].
    """

    position: Array
    ratio: Array
    error: Array


def ratios_by_position(
    comparison: VelocityComparison, *, start: float, end: float, published: bool = False
) -> PositionRatios:
    """Average the ratio over a time window at every position.

    Parameters
    ----------
    comparison : VelocityComparison
        Measured and predicted.
    start, end : float
        The window; 200 to 400 min in the paper [s].
    published : bool
        The published way in place of the local one.

    Returns
    -------
    PositionRatios

    Raises
    ------
    InputError
        No point in the window.
    """
    inside = (comparison.time >= start) & (comparison.time <= end)
    if not inside.any():
        raise InputError(f"no measured velocity lies between {start:.4g} s and {end:.4g} s")
    ratio = (comparison.ratio_published if published else comparison.ratio)[inside]
    value, error = (
        (comparison.published, comparison.published_error) if published else (comparison.anion, comparison.anion_error)
    )
    single = np.abs(error / value)[inside] * np.abs(ratio)
    shared = np.abs(comparison.v_0_model_error / comparison.v_0_model)[inside] * np.abs(ratio)
    places, which = np.unique(comparison.position[inside], return_inverse=True)
    count = np.bincount(which)
    # errors of single points average out over the window, the error of the position is the same at all times
    scatter = np.sqrt(np.bincount(which, single**2)) / count
    by_position = np.bincount(which, shared) / count
    return PositionRatios(places, np.bincount(which, ratio) / count, np.hypot(scatter, by_position))
