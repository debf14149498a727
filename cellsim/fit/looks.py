"""What each instrument makes of a run: currents, voltages, profiles, velocities, raw MRI signals.

Some need no run, only the set. All take the nuisances by role (cellsim.fit.experiment.ROLES) and return the points in
the order of the measurement.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from cellsim.base import Array
from cellsim.electrolyte.transport import TransportSet
from cellsim.instruments.maps import VelocityTable
from cellsim.instruments.mri import blurred
from cellsim.instruments.predict import velocity_at
from cellsim.solvers.solution import Solution

Values = Mapping[str, float]
BLUR_NODES = 41
"""Faces a profile is reduced to before it is blurred; the point spread is far wider than their distance."""


@dataclass(frozen=True)
class SeriesLook:
    """Current density or voltage at given times.

    Parameters
    ----------
    variable : {"i", "V"}
        What is recorded.
    time : ndarray, shape (n,)
        On the clock of the data [s]; ``time_offset`` is added to reach the run's.
    """

    variable: Literal["i", "V"]
    time: Array

    def times(self, values: Values) -> Array:
        """Those of the data."""
        return self.time + values["time_offset"]

    def predict(self, transport: TransportSet, solution: Solution | None, values: Values) -> Array:
        """[A/m^2 or V]; "area_ratio" multiplies a current, which was divided by the nominal area."""
        assert solution is not None
        found = np.interp(self.times(values), solution["time"], solution[self.variable], left=np.nan, right=np.nan)
        return found * values.get("area_ratio", 1.0) if self.variable == "i" else found


@dataclass(frozen=True)
class ProfileLook:
    """Concentration on a grid of times and places fixed in the lab, or on the points of it that were measured.

    Parameters
    ----------
    time : ndarray, shape (t,)
        [s]
    position : ndarray, shape (k,)
        From the positive interface at t = 0 [m].
    keep : ndarray of bool, shape (t, k)
        Which were measured.
    beam_width : float
        Over which a point was averaged, a box [m].
    """

    time: Array
    position: Array
    keep: NDArray[np.bool_]
    beam_width: float = 0.0

    def times(self, values: Values) -> Array:
        """Those of the profiles."""
        return self.time + values["time_offset"]

    def predict(self, transport: TransportSet, solution: Solution | None, values: Values) -> Array:
        """[mol/m^3]"""
        assert solution is not None
        offsets = np.linspace(-0.5, 0.5, 7) * self.beam_width if self.beam_width else np.zeros(1)
        places = (self.position + values["position_offset"])[:, None] + offsets
        rows = [
            np.interp(places - shift, faces, c, left=np.nan, right=np.nan).mean(axis=1)
            for faces, c, shift in _states(solution, self.times(values))
        ]
        return np.asarray(rows)[self.keep]


@dataclass(frozen=True)
class SignalLook:
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
    """

    time: Array
    z: Array
    positive: Literal["lower", "upper"]
    edge: float
    blur: float
    motion: Array | None = None

    def times(self, values: Values) -> Array:
        """Those of the profiles."""
        return self.time + values["time_offset"]

    def predict(self, transport: TransportSet, solution: Solution | None, values: Values) -> Array:
        """[mol/m^3], zero outside the cell."""
        assert solution is not None
        towards = 1.0 if self.positive == "lower" else -1.0
        x = towards * (self.z - values.get("edge", self.edge))
        blur = max(values.get("blur", self.blur), 1e-9)
        motion = np.zeros(self.time.size) if self.motion is None else self.motion
        bent, c_0 = values.get("nonlinearity", 0.0), float(solution["c_face"][0].mean())
        drift, growth = towards * values.get("drift", 0.0), values.get("growth", 0.0)
        rows = []
        for (faces, c, shift), share in zip(_states(solution, self.times(values)), motion, strict=True):
            some = np.unique(np.linspace(0, faces.size - 1, BLUR_NODES).astype(int))
            seen = c[some] * (1 + bent * (c[some] / c_0 - 1))
            visible = _shortened(faces[some], seen, growth * share)
            rows.append(blurred(x - shift - drift * share, *visible, blur))
        gain = 1 + values.get("gain_drift", 0.0) * (self.time - self.time[0])
        return np.asarray((np.asarray(rows) * gain[:, None]).ravel())


@dataclass(frozen=True)
class VelocityLook:
    """Velocities at points in time and space; ``velocity_scale`` multiplies them.

    Parameters
    ----------
    table : VelocityTable
        The measurement, for its points, frame, beam and sign.
    """

    table: VelocityTable

    def times(self, values: Values) -> Array:
        """Those of the data."""
        return np.asarray(np.unique(self.table.time) + values["time_offset"])

    def predict(self, transport: TransportSet, solution: Solution | None, values: Values) -> Array:
        """[m/s]"""
        assert solution is not None
        moved = replace(
            self.table, time=self.table.time + values["time_offset"],
            position=self.table.position + values["position_offset"],
        )  # fmt: skip
        v = values["velocity_scale"] * velocity_at(solution, moved)
        return np.abs(v) if self.table.unsigned else v


@dataclass(frozen=True)
class SetLook:
    """What an experiment at equilibrium or at small currents says of the set itself, at given concentrations.

    Parameters
    ----------
    kind : {"potential", "current_fraction", "conductivity"}
        U(c; c_ref) [V], rho+ [1] or kappa [S/m].
    c : ndarray, shape (n,)
        [mol/m^3]
    c_ref : float
        Of the potential [mol/m^3].
    """

    kind: Literal["potential", "current_fraction", "conductivity"]
    c: Array
    c_ref: float = np.nan

    def times(self, values: Values) -> Array:
        """None: no run is needed."""
        return np.zeros(0)

    def predict(self, transport: TransportSet, solution: Solution | None, values: Values) -> Array:
        """[V, 1 or S/m]"""
        if self.kind == "conductivity":
            return transport.kappa(self.c)
        if self.kind == "current_fraction":
            return 1 / (1 + transport.newman_number(self.c))
        return transport.concentration_voltage(self.c, self.c_ref)


def _shortened(faces: Array, c: Array, length: float) -> tuple[Array, Array]:
    """A profile without its last `length` [m]; continued at its last value where that is negative."""
    if length == 0:
        return faces, c
    end = faces[-1] - length
    if length < 0:
        return np.append(faces, end), np.append(c, c[-1])
    kept = faces < end
    return np.append(faces[kept], end), np.append(c[kept], np.interp(end, faces, c))


def _states(solution: Solution, times: Array) -> list[tuple[Array, Array, float]]:
    """(faces [m], c at the faces [mol/m^3], interface shift [m]) at each of `times`; NaN after the end of the run."""
    t, faces, c = solution["time"], solution["position_face"], solution["c_face"]
    shift = solution["interface_shift"]
    found = []
    for time in times:
        k = int(np.clip(np.searchsorted(t, time), 1, t.size - 1))
        w = float(np.clip((time - t[k - 1]) / (t[k] - t[k - 1]), 0.0, 1.0))
        if time > t[-1] * (1 + 1e-9):
            found.append((faces[-1], np.full(c.shape[1], np.nan), float(shift[-1])))
        elif w in (0.0, 1.0):
            j = k - 1 + int(w)
            found.append((faces[j], c[j], float(shift[j])))
        else:
            mixed = ((1 - w) * a[k - 1] + w * a[k] for a in (faces, c, shift))
            found.append(tuple(mixed))
    return found
