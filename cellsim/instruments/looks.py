"""How an instrument sees a run: currents, voltages, profiles under a beam, velocities; some look at the set alone.

A look returns its points in the order of the measurement, NaN where the run has none. It takes the nuisances of the
measurement by role (:data:`ROLES`): a comparison leaves them at their values there, a fit moves them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal, Protocol, Self

import numpy as np
from numpy.typing import ArrayLike

from cellsim.base import Array, Bools, InputError
from cellsim.electrolyte.mixture_set import Electrolyte, MixtureSet
from cellsim.electrolyte.transport import Basis
from cellsim.electrolyte.transport import Frame as TransferenceFrame
from cellsim.solvers.solution import Solution, interpolated

Frame = Literal["interface", "lab", "solvent"]
SetKind = Literal["potential", "slope", "current_fraction", "conductivity", "diffusion", "transference", "factor"]
Values = Mapping[str, float]
ROLES: Values = {
    "gain": 1.0,
    "background": 0.0,
    "time_offset": 0.0,
    "position_offset": 0.0,
    "position_drift": 0.0,
    "interface_motion": 1.0,
    "velocity_scale": 1.0,
}
"""Nuisances of a measurement, and their values where they are not fitted."""
BEAM_POINTS = 7
"""Points across a beam that averages a profile."""


class Look(Protocol):
    """What an instrument makes of a run."""

    def times(self, values: Values) -> Array:
        """When a run must be kept for it [s]; empty where it looks at the set alone."""

    def predict(self, transport: Electrolyte, solution: Solution | None, values: Values) -> Array:
        """The prediction, shape (n,), NaN where there is none. `values`: nuisances by role."""

    def subset(self, keep: Bools, end: float = np.inf) -> Look:
        """The points that are kept, shape (n,), none looked at later than `end` [s]."""

    def delayed(self, offset: float) -> Look:
        """The same look later by `offset` [s]."""


class Clocked:
    """What looks share that have times of their own on the clock of the data."""

    time: Array

    def times(self, values: Values) -> Array:
        """Those of the data, brought to the clock of the run."""
        return self.time + values["time_offset"]

    def delayed(self, offset: float) -> Self:
        """See :class:`Look`."""
        return replace(self, time=self.time + offset)  # type: ignore[type-var]


@dataclass(frozen=True)
class Cut:
    """A look whose points are made together, of which only some are used."""

    look: Look
    keep: Bools

    def times(self, values: Values) -> Array:
        """As the whole look."""
        return self.look.times(values)

    def predict(self, transport: Electrolyte, solution: Solution | None, values: Values) -> Array:
        """The points kept."""
        return self.look.predict(transport, solution, values)[self.keep]

    def subset(self, keep: Bools, end: float = np.inf) -> Look:
        """See :class:`Look`."""
        both = self.keep.copy()
        both[self.keep] = keep
        return Cut(self.look, both)

    def delayed(self, offset: float) -> Look:
        """See :class:`Look`."""
        return Cut(self.look.delayed(offset), self.keep)


# ---- one number at a time -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class SeriesLook(Clocked):
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

    def predict(self, transport: Electrolyte, solution: Solution | None, values: Values) -> Array:
        """[A/m^2 or V]; "area_ratio" multiplies a current, which was divided by the nominal area."""
        assert solution is not None
        series = np.interp(self.times(values), solution["time"], solution[self.variable], left=np.nan, right=np.nan)
        return series * values.get("area_ratio", 1.0) if self.variable == "i" else series

    def subset(self, keep: Bools, end: float = np.inf) -> SeriesLook:
        """See :class:`Look`."""
        return replace(self, time=np.minimum(self.time[keep], end))


@dataclass(frozen=True)
class SetLook:
    """What an experiment at equilibrium or at small currents says of the set itself, at given concentrations.

    Parameters
    ----------
    kind : {"potential", "slope", "current_fraction", "conductivity", "diffusion", "transference", "factor"}
        U(c; c_ref) [V], dU/dln m [V], rho+ [1], kappa [S/m], D [m^2/s], t+ [1] or chi [1].
    c : ndarray, shape (n,)
        [mol/m^3]
    c_ref : float
        Of the potential [mol/m^3].
    frame : {"solvent", "volume", "mass", "molar"}
        Of a transference number.
    basis : {"molal", "molar", "particle_fraction"}
        Of a thermodynamic factor.
    """

    kind: SetKind
    c: Array
    c_ref: float = np.nan
    frame: TransferenceFrame = "solvent"
    basis: Basis = "molal"

    def times(self, values: Values) -> Array:
        """None: no run is needed."""
        return np.zeros(0)

    def predict(self, transport: Electrolyte, solution: Solution | None, values: Values) -> Array:
        """[V, 1, S/m or m^2/s]"""
        assert not isinstance(transport, MixtureSet)  # the reader of points refuses sets of n components
        if self.kind == "conductivity":
            return transport.kappa(self.c)
        if self.kind == "diffusion":
            return transport.D(self.c)
        if self.kind == "transference":
            return transport.t_plus_in(self.frame, self.c)
        if self.kind == "factor":
            return transport.chi_on(self.basis, self.c)
        if self.kind == "slope":
            return transport.thermal_voltage * transport.one_minus_t_plus_chi(self.c)
        if self.kind == "current_fraction":
            return 1 / (1 + transport.newman_number(self.c))
        return transport.concentration_voltage(self.c, self.c_ref)

    def subset(self, keep: Bools, end: float = np.inf) -> SetLook:
        """See :class:`Look`."""
        return replace(self, c=self.c[keep])

    def delayed(self, offset: float) -> SetLook:
        """See :class:`Look`."""
        return self


# ---- profiles -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class ProfileLook(Clocked):
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
    species : str
        Of n components: whose concentration, also a sum (:func:`.species_sum`); "" for one salt.
    """

    time: Array
    position: Array
    keep: Bools
    beam_width: float = 0.0
    species: str = ""

    def predict(self, transport: Electrolyte, solution: Solution | None, values: Values) -> Array:
        """[mol/m^3]"""
        assert solution is not None
        offsets = np.linspace(-0.5, 0.5, BEAM_POINTS) * self.beam_width if self.beam_width else np.zeros(1)
        places, times = self.position[:, None] + offsets, self.times(values)
        faces, c, shift = profiles_at(solution, times, face_concentration(self.species))
        moved = displaced(times, values) - values["interface_motion"] * shift
        seen = interpolated(places.ravel() + moved[:, None], faces, c).reshape(times.size, *places.shape)
        return np.asarray(seen.mean(axis=2)[self.keep])

    def subset(self, keep: Bools, end: float = np.inf) -> ProfileLook:
        """See :class:`Look`."""
        both = self.keep.copy()
        both[self.keep] = keep
        rows = both.any(axis=1)
        return replace(self, time=np.minimum(self.time[rows], end), keep=both[rows])


def face_concentration(species: str) -> str:
    """The variable of a run that a profile of `species`, or with "" of the salt, is compared with."""
    return f"c_face_{species}" if species else "c_face"


def displaced(times: Array | float, values: Values) -> Array:
    """What is added to positions of the data to find them in the lab frame of the run, at each of `times` [s], [m].

    It is ``position_offset`` and, from the start of the run on, ``position_drift``: a stage or a holder that creeps.
    """
    return np.asarray(values["position_offset"] + values["position_drift"] * times)


def state_at(solution: Solution, name: str, time: float) -> Array:
    """A variable with time as its first dimension, linear between kept states; the first one before t = 0 [SI]."""
    values, t = solution[name], solution["time"]
    k = int(np.clip(np.searchsorted(t, time), 1, t.size - 1))
    w = float(np.clip((time - t[k - 1]) / (t[k] - t[k - 1]), 0.0, 1.0))
    return np.asarray((1 - w) * values[k - 1] + w * values[k])


def profiles_at(solution: Solution, times: Array, variable: str = "c_face") -> tuple[Array, Array, Array]:
    """Faces [m], c there [mol/m^3] and interface shift [m] at each of `times` [s]; c is NaN after the end of the run.

    Returns
    -------
    faces, c : ndarray, shape (t, n)
    shift : ndarray, shape (t,)
    """
    t, faces, c = solution["time"], solution["position_face"], solution[variable]
    shift = solution["interface_shift"]
    after = np.clip(np.searchsorted(t, times), 1, t.size - 1)
    w = np.clip((times - t[after - 1]) / (t[after] - t[after - 1]), 0.0, 1.0)
    still = not faces.strides[0]  # the faces stay where they are, and one row stands for all
    rest = (c, shift) if still else (c, shift, faces)
    if np.all((w == 0) | (w == 1)):  # a run of a fit is kept at the times asked for: nothing to mix
        mixed = [a[np.where(w == 1, after, after - 1)] for a in rest]
    else:
        mixed = [((1 - w) * a[after - 1].T + w * a[after].T).T for a in rest]
    at = np.broadcast_to(faces[0], (times.size, faces.shape[1])) if still else mixed[2]
    mixed[0][times > t[-1] * (1 + 1e-9)] = np.nan
    return at, mixed[0], mixed[1]


# ---- velocities -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class VelocityLook(Clocked):
    """Velocities at points in time and space; ``velocity_scale`` multiplies them.

    A drift of the positions moves the points, not the velocities: what is at rest and interferes drifts with the cell.

    Parameters
    ----------
    time, position : ndarray, shape (n,)
        [s] from the start of the polarisation; distance from the positive interface at t = 0, fixed in the lab [m].
    quantity : str
        Whose velocity: ``"v_0"`` solvent, ``"v_minus"`` anion, ``"v_plus"`` cation; of n components ``"v_EC"``, also
        of a sum (:func:`.species_sum`).
    frame : {"lab", "interface", "solvent"}
        Measured against what; the solvent of n components is the reference solvent.
    unsigned : bool
        True where only the magnitude was measured, as by XPCS.
    position_error, beam_width : float
        Standard error of the positions, width of the beam [m].
    """

    time: Array
    position: Array
    quantity: str = "v_0"
    frame: Frame = "lab"
    unsigned: bool = True
    position_error: float = 0.0
    beam_width: float = 0.0

    @property
    def positions(self) -> Array:
        """The different positions, increasing [m]."""
        return np.unique(self.position)

    def times(self, values: Values) -> Array:
        """Those of the data."""
        return np.asarray(np.unique(self.time) + values["time_offset"])

    def predict(self, transport: Electrolyte, solution: Solution | None, values: Values) -> Array:
        """[m/s]"""
        assert solution is not None
        time = self.time + values["time_offset"]
        moved = replace(self, time=time, position=self.position + displaced(time, values))
        v = values["velocity_scale"] * moved.signed(solution, motion=values["interface_motion"])[0]
        return np.abs(v) if self.unsigned else v

    def signed(self, solution: Solution, *, motion: float = 1.0) -> tuple[Array, Array]:
        """The velocity with its sign at every point, and the standard deviation that the position error makes of it.

        Parameters
        ----------
        solution : Solution
            The run.
        motion : float
            Velocity of the interfaces over that of the run [1].

        Returns
        -------
        v, spread : ndarray, shape (n,)
            [m/s], NaN outside; `spread` is 0 without a position error.
        """
        beam = at_beam(
            solution,
            self.quantity,
            self.positions,
            frame=self.frame,
            beam=self.beam_width,
            position_error=self.position_error,
            motion=motion,
        )
        v, spread = np.empty((2, self.time.size))
        for k, place in enumerate(self.positions):
            here = self.position == place
            for row, values in ((v, beam.mean), (spread, beam.by_position)):
                row[here] = np.interp(self.time[here], solution["time"], values[:, k], left=np.nan, right=np.nan)
        return v, spread

    def subset(self, keep: Bools, end: float = np.inf) -> VelocityLook:
        """See :class:`Look`."""
        return replace(self, time=np.minimum(self.time[keep], end), position=self.position[keep])


@dataclass(frozen=True)
class AtBeam:
    """A quantity of a run where a beam sees it.

    Parameters
    ----------
    mean : ndarray, shape (time, p)
        Averaged over the beam and over where it may stand [SI].
    by_position : ndarray, shape (time, p)
        Standard deviation from not knowing where it stands [SI].
    """

    mean: Array
    by_position: Array


def at_beam(
    solution: Solution,
    name: str,
    positions: ArrayLike,
    *,
    frame: Frame = "lab",
    beam: float = 0.0,
    position_error: float = 0.0,
    motion: float = 1.0,
    nodes: int = 9,
) -> AtBeam:
    """Average a velocity, or "c", over a beam fixed in the lab, and over the error of its position.

    Parameters
    ----------
    solution : Solution
        The run.
    name : str
        ``"c"`` or one of :attr:`.Solution.velocities`; of n components ``"c_EC"``, and of sums.
    positions : array_like, shape (p,)
        Centres of the beam, from the positive interface at t = 0, fixed in the lab [m].
    frame : {"interface", "lab", "solvent"}
        Frame of the velocity; the beam is fixed in the lab whatever the frame.
    beam : float
        Full width, evenly lit [m].
    position_error : float
        Standard error of the position [m].
    motion : float
        Velocity of the interfaces in the lab frame over that of the run [1].
    nodes : int
        Points of each quadrature.

    Returns
    -------
    AtBeam
        NaN where the beam or its error reaches out of the electrolyte.

    Raises
    ------
    InputError
        Negative widths or unknown frame.
    """
    if beam < 0 or position_error < 0:
        raise InputError("beam and position_error must not be negative")
    x, w = np.polynomial.legendre.leggauss(nodes if beam > 0 else 1)
    y, u = np.polynomial.hermite_e.hermegauss(nodes if position_error > 0 else 1)
    places = np.asarray(positions, dtype=float)
    grid = places[:, None, None] + position_error * y[:, None] + 0.5 * beam * x
    values = solution.at(name, grid.ravel(), frame="lab", motion=motion)
    if frame != "lab" and name.startswith("v_"):
        values = values - _frame_velocity(solution, grid.ravel(), frame, motion)
    averaged = np.einsum("tpyx,x->tpy", values.reshape(-1, *grid.shape), w / w.sum())
    u = u / u.sum()
    mean = averaged @ u
    return AtBeam(mean, np.sqrt(np.maximum((averaged - mean[..., None]) ** 2 @ u, 0.0)))


def _frame_velocity(solution: Solution, positions: Array, frame: str, motion: float) -> Array:
    """Lab velocity of a frame at positions fixed in the lab, shape (time, p) [m/s]."""
    if frame == "interface":
        v_s = motion * solution["v_interface"][:, None]
        return np.broadcast_to(v_s, (solution["time"].size, positions.size))
    if frame == "solvent":
        return solution.at(solution.velocities[0], positions, frame="lab", motion=motion)
    raise InputError(f"frame = {frame!r} must be one of interface, lab, solvent")
