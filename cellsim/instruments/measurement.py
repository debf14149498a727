"""A measurement: what, when and where, its values, how they scatter, and how the instrument sees a run.

Read once (:mod:`cellsim.instruments.data`), it is drawn by `cellsim run`, judged by `cellsim compare` and fitted by
`cellsim fit`. It is a list of points; a map of concentrations, which XAM and MRI give, becomes one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal, Self

import numpy as np

from cellsim.base import Array, Bools, InputError, Ints
from cellsim.drawing.figstyle import ANGSTROM, CURRENT, SPEED
from cellsim.electrolyte.mixture_set import Electrolyte, short_sum
from cellsim.instruments.looks import (
    ROLES,
    Cut,
    Look,
    ProfileLook,
    SeriesLook,
    Values,
    VelocityLook,
    face_concentration,
    profiles_at,
)
from cellsim.instruments.noise import Noise, SharedError
from cellsim.solvers.solution import VELOCITIES, Solution

Spans = Sequence[tuple[str, float, float]]
"""Of each step of a run: what it drives, and when it begins and ends [s]."""


@dataclass(frozen=True)
class Quantity:
    """What a kind of measurement measures; readers, tables, figures and fits take it from :data:`QUANTITIES`.

    Parameters
    ----------
    unit : str
        SI, as pint reads it; ``""`` for a number.
    symbol, figure_unit : str
        On axes, mathtext.
    scale : float
        What turns SI into `figure_unit` [1].
    """

    unit: str
    symbol: str
    figure_unit: str
    scale: float = 1.0


QUANTITIES: Mapping[str, Quantity] = {
    "current": Quantity("A/m^2", "$i$", CURRENT),
    "voltage": Quantity("V", "$V$", "V"),
    "profile": Quantity("mol/m^3", "$c$", "mol L$^{-1}$", 1e-3),
    "velocity": Quantity("m/s", "$v$", SPEED, ANGSTROM),
    "signal": Quantity("", "signal", "arb."),
    "potential": Quantity("V", "$U$", "mV", 1e3),
    "current_fraction": Quantity("", "$\\rho_+$", "1"),
    "conductivity": Quantity("S/m", "$\\kappa$", "S m$^{-1}$"),
    "diffusion": Quantity("m^2/s", "$D$", "10$^{-12}$ m$^2$ s$^{-1}$", 1e12),
    "slope": Quantity("V", "$\\mathrm{d}U/\\mathrm{d}\\ln m$", "mV", 1e3),
    "transference": Quantity("", "$t_+$", "1"),
    "factor": Quantity("", "$\\chi$", "1"),
}
"""What is measured, by kind; a raw signal has a unit of its own."""


@dataclass(frozen=True)
class Measurement:
    """One thing that was measured, point by point.

    Parameters
    ----------
    kind : str
        What it is, of :data:`QUANTITIES`.
    label : str
        For figures, tables and messages.
    value : ndarray, shape (n,)
        In the unit of its kind.
    look : Look
        How the instrument sees a run at these points.
    noise : Noise
        How the points scatter; which profile each belongs to.
    time : ndarray, shape (n,)
        When each point was measured, from the start of the run [s]; empty where no run is needed.
    position : ndarray, shape (n,), optional
        Where, from the positive interface at t = 0, fixed in the lab [m].
    notes : tuple of str
        What a reader of the data should know.

    Raises
    ------
    InputError
        Shapes that do not agree, no point, or points that are not numbers.
    """

    kind: str
    label: str
    value: Array
    look: Look
    noise: Noise
    time: Array
    position: Array | None = None
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.value.shape != (self.noise.size,) or not self.size:
            raise InputError(f"{self.label}: {self.size} points, but {self.noise.size} errors")
        if self.time.size not in (0, self.size) or (self.position is not None and self.position.size != self.size):
            raise InputError(f"{self.label}: every point needs its time and its position")
        if not np.all(np.isfinite(self.value)):
            raise InputError(f"{self.label}: holds points that are not numbers; take them out")

    @property
    def size(self) -> int:
        """Number of points."""
        return int(self.value.size)

    @property
    def error(self) -> Array | None:
        """Standard error of each point, shape (n,); None where none is stated."""
        return self.noise.sigma

    @property
    def quantity(self) -> str:
        """What of a run it is compared with: "i", "V", "c", "v_0", of n components "c_EC" or "v_EC"; else its kind."""
        look = self.look
        while isinstance(look, Cut):
            look = look.look
        if isinstance(look, SeriesLook):
            return look.variable
        if isinstance(look, VelocityLook):
            return look.quantity
        if self.kind not in ("profile", "signal"):
            return self.kind
        species = getattr(look, "species", "")
        return f"c_{species}" if species else "c"

    @property
    def species(self) -> str:
        """Of n components: whose concentration or velocity, also a sum; "" for one salt, and of other data."""
        stem, _, name = self.quantity.partition("_")
        return name if stem in ("c", "v") and self.quantity not in VELOCITIES else ""

    @property
    def times(self) -> Array:
        """The different times, increasing [s]."""
        return np.unique(self.time)

    def at(self, time: float) -> Bools:
        """The points of the profile measured at one of :attr:`times` [s], shape (n,)."""
        return np.asarray(self.time == time)

    def predict(self, transport: Electrolyte, solution: Solution | None, values: Values = ROLES) -> Array:
        """What a run says of it, shape (n,); NaN where it says nothing.

        Parameters
        ----------
        transport : TransportSet or MixtureSet
            The set of the run.
        solution : Solution or None
            The run, where one is needed.
        values : mapping
            Nuisances by role, see :data:`.ROLES`; gain and background are those of the whole measurement.
        """
        return np.asarray(values["background"] + values["gain"] * self.look.predict(transport, solution, values))

    def delayed(self, offset: float) -> Self:
        """The same measured later by `offset` [s]: the clock of a file set against the run's."""
        if not offset:
            return self
        return replace(self, time=self.time + offset, look=self.look.delayed(offset))

    def imposed(self, spans: Spans) -> Bools:
        """The points at which a step imposes what was measured, shape (n,).

        They repeat the protocol: as data they have no residual and count as degrees of freedom that there are not. A
        point at which two steps meet, where the quantity jumps, counts as imposed if either imposes it.

        Parameters
        ----------
        spans : sequence of tuple
            What each step drives, and when it begins and ends [s].
        """
        covered = np.zeros(self.size, dtype=bool)
        if self.kind in ("current", "voltage"):
            slack = 1e-9 * spans[-1][2]  # a time in minutes or hours rounds
            for drive, start, end in spans:
                if drive == self.kind:
                    last = np.inf if end == spans[-1][2] else end + slack
                    covered |= (self.time >= start - slack) & (self.time <= last)
        return covered

    def clock_note(self, spans: Spans, moved: float = 0.0) -> tuple[str, ...]:
        """What to say of a series that begins at no start of a step, or of data beside a table whose clock was moved.

        A potentiostat's clock may have begun with an earlier technique; nothing in the file tells, so it is said.
        """
        if moved and self.time.size:
            return (
                f"the times of a table that the case follows were shifted by {moved:.6g} s, so that its first row is "
                f'at the start of its step; data on the same clock need time_offset = "{moved:.6g} s"',
            )
        if self.kind not in ("current", "voltage") or self.size < 2:
            return ()
        first, interval = float(self.time[0]), float(np.median(np.diff(self.time)))
        starts = np.array([start for _, start, _ in spans])
        # the first reading comes up to an interval after its step began; a second one allows for a clock's rounding
        if np.any((first >= starts - 1e-9) & (first <= starts + 2 * interval)):
            return ()
        return (
            f"its first point is at {first:.6g} s on the clock of the run, where no step begins; "
            "if the clock of the file began elsewhere, time_offset in a data sheet or a fit's data says where",
        )

    def only(self, keep: Bools, *, end: float = np.inf) -> Self:
        """Some of the points, shape (n,); what lies later than `end` [s] counts as measured there."""
        return replace(
            self,
            value=self.value[keep],
            look=self.look.subset(keep, end),
            noise=self.noise.only(keep),
            time=np.minimum(self.time[keep], end) if self.time.size else self.time,
            position=None if self.position is None else self.position[keep],
        )


def series(
    kind: Literal["current", "voltage"],
    time: Array,
    value: Array,
    *,
    error: Array | float | None = None,
    label: str = "",
    notes: tuple[str, ...] = (),
) -> Measurement:
    """A measured current density or voltage.

    Parameters
    ----------
    kind : {"current", "voltage"}
        Which.
    time, value : ndarray, shape (n,)
        From the start of the run [s]; [A/m^2] or [V].
    error : ndarray, shape (n,), or float, optional
        Standard errors, in the unit of `value`.
    label : str
        For figures; default its kind.
    notes : tuple of str
        What a reader of the data should know.

    Returns
    -------
    Measurement
    """
    look = SeriesLook("i" if kind == "current" else "V", time)
    sigma = None if error is None else np.broadcast_to(np.asarray(error, dtype=float), value.shape)
    return Measurement(kind, label or kind, value, look, Noise(sigma, _one_group(value)), time, None, notes)


def velocities(look: VelocityLook, value: Array, *, error: Array | float | None = None, label: str = "") -> Measurement:
    """Measured velocities.

    Parameters
    ----------
    look : VelocityLook
        Whose, in which frame, when and where.
    value : ndarray, shape (n,)
        [m/s]; magnitudes where the look is unsigned.
    error : ndarray, shape (n,), or float, optional
        Standard errors [m/s].
    label : str
        For figures.

    Returns
    -------
    Measurement
    """
    sigma = None if error is None else np.broadcast_to(np.asarray(error, dtype=float), value.shape)
    noise = Noise(sigma, _one_group(value))
    return Measurement("velocity", label or "velocity", value, look, noise, look.time, look.position)


def _one_group(value: Array) -> Ints:
    return np.zeros(value.size, dtype=np.int64)


def left_out(size: int, causes: Sequence[tuple[Bools, str]], *, why: str = "") -> tuple[str, ...]:
    """One sentence on the points of a measurement that are not used, each counted to the first cause; none: nothing.

    Parameters
    ----------
    size : int
        Of the measurement.
    causes : sequence of tuple
        Which points, shape (size,), and the cause in words.
    why : str
        What would bring them back, for the end of the sentence.
    """
    gone, parts = np.zeros(size, dtype=bool), []
    for points, cause in causes:
        count = int(np.count_nonzero(points & ~gone))
        gone |= points
        if count:
            parts.append(f"{count} {cause}")
    if not parts:
        return ()
    return (f"{np.count_nonzero(gone)} of {size} points are left out: {', '.join(parts)}{'; ' if why else ''}{why}",)


# ---- what would make it fit -----------------------------------------------------------------------------------------

MISSED = 0.25
"""Residual over signal, root mean squares, from which a measurement is so far off that its file may be misread."""
FITS = 0.3
"""A reading explains a misfit if it leaves less than this share of the residual."""
COVERED = 0.8
"""Share of the points that must have a prediction for a reading to be judged."""
_TIMES = {60.0: "in min, not in s", 1 / 60: "in s, not in min", 3600.0: "in h, not in s", 1 / 3600: "in s, not in h"}
_LENGTHS = {1e3: "1000 times as long (mm for um?)", 1e-3: "1000 times as short (um for mm?)"}
_SIZES = (1e3, 1e-3, 1e4, 1e-4, 10.0, 0.1, 1e6, 1e-6, 60.0, 1 / 60)


def where_inside(position: Array, thickness: float) -> str:
    """What would bring positions into the cell that lie outside of it; "" where they are inside or nothing would.

    Parameters
    ----------
    position : ndarray, shape (n,)
        From the positive interface [m].
    thickness : float
        Of the cell [m].
    """
    half = 0.5 * thickness

    def share(x: Array) -> float:
        return float(np.mean((x > 0) & (x < thickness)))

    readings = [
        (position + half, 'positions counted from the centre (position_origin = "centre" in [cell])'),
        (position - half, 'positions counted from the positive electrode (position_origin = "positive" in [cell])'),
        *((position * factor, f"positions {words}") for factor, words in _LENGTHS.items()),
    ]
    if share(position) > 0.95:
        return ""
    return next((f"{words} would lie in the cell" for x, words in readings if share(x) > 0.95), "")


def what_would_fit(m: Measurement, transport: Electrolyte, solution: Solution) -> str:
    """Which misreading of a file would explain that a run misses it by far; "" where none does, or it fits.

    Units, signs, mirrored or shifted positions, another species, and another frame of a velocity are tried one at a
    time.

    Parameters
    ----------
    m : Measurement
        On the clock and from the origin that it was read with.
    transport : TransportSet or MixtureSet
        The set of the run.
    solution : Solution
        The run.
    """
    look, x = m.look, m.position
    if not isinstance(look, SeriesLook | ProfileLook | VelocityLook) or m.size < 5:
        return ""
    faces, shift = solution["position_face"][0], 0.5 * float(np.ptp(solution["position_face"][0]))
    own = look.species if isinstance(look, ProfileLook) else ""

    def deviation(value: Array, species: str) -> float:
        # a profile is judged by its shape: c as a whole is right to a few per cent whatever is misread
        level = float(solution[face_concentration(species)][0].mean()) if m.kind == "profile" else 0.0
        return float(np.sqrt(np.mean((value - level) ** 2)))

    def missed(value: Array, time: Array, position: Array | None, species: str = own, **changes: Any) -> float:
        if position is None:
            predicted = replace(look, time=time, **changes).predict(transport, solution, ROLES)
        elif isinstance(look, VelocityLook):
            moved = replace(look, time=time, position=position, **changes)
            predicted = moved.predict(transport, solution, ROLES)
        else:
            predicted = np.empty(time.size)
            seen = profiles_at(solution, np.unique(time), face_concentration(species))
            for one, at, c, moved_by in zip(np.unique(time), *seen, strict=True):
                here = time == one
                predicted[here] = np.interp(position[here] - moved_by, at, c, left=np.nan, right=np.nan)
        known = np.isfinite(predicted) & (time >= 0)
        if np.mean(known) < COVERED:
            return np.inf
        return float(np.sqrt(np.mean((value - predicted)[known] ** 2))) / max(deviation(value, species), 1e-300)

    now = missed(m.value, m.time, x)
    if now < MISSED or deviation(m.value, own) == 0:
        return ""
    readings: list[tuple[str, float]] = [
        (f"its times are {w}", missed(m.value, f * m.time, x)) for f, w in _TIMES.items()
    ]
    readings += [(f"its values are {f:g} times what was read", missed(f * m.value, m.time, x)) for f in _SIZES]
    if isinstance(look, SeriesLook) or (isinstance(look, VelocityLook) and not look.unsigned):
        turned = (
            "the leads or the electrodes are reversed"
            if m.kind in ("current", "voltage")
            else "its sign is the other one"
        )
        readings.append((f"{turned} (sign = -1 in a data sheet)", missed(-m.value, m.time, x)))
    if x is not None:
        width = float(faces[-1] - faces[0])
        readings.append(("its positions count from the other electrode", missed(m.value, m.time, width - x)))
        readings += [(f"its positions are {w}", missed(m.value, m.time, f * x)) for f, w in _LENGTHS.items()]
        readings += [
            (
                f'its positions count from the {origin} (position_origin = "{origin}" in [cell])',
                missed(m.value, m.time, p),
            )
            for origin, p in (("centre", x + shift), ("positive", x - shift))
        ]
    if isinstance(look, VelocityLook):
        stated = f"v_{short_sum(m.species)}" if m.species else look.quantity
        for quantity in solution.velocities:
            for frame in ("lab", "interface"):
                if (quantity, frame) != (look.quantity, look.frame):
                    words = f"it is {quantity} in the {frame} frame, not {stated} in the {look.frame} frame"
                    readings.append((words, missed(m.value, m.time, x, quantity=quantity, frame=frame)))
    if own:
        others = [each for each in solution.labels["species"] if each != own]
        readings += [(f"it is c_{each}, not c_{short_sum(own)}", missed(m.value, m.time, x, each)) for each in others]
    best = min(left for _, left in readings)
    if best >= FITS * min(now, 1.0):
        return ""
    # a profile turned round and one of the other sign may look alike: whoever knows the file can tell
    alike = [words for words, left in sorted(readings, key=lambda reading: reading[1]) if left < max(2 * best, 0.02)]
    return f"it would fit if {', or if '.join(alike[:3])}"


# ---- maps of concentration ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class ConcentrationMap:
    """Salt concentration c(x, t) with one standard error per point; NaN where there is none.

    Parameters
    ----------
    time : ndarray, shape (n,)
        From the start of the polarisation, increasing [s].
    position : ndarray, shape (k,)
        Distance from the positive interface at t = 0, fixed in the lab, increasing [m].
    c : ndarray, shape (n, k)
        Salt concentration [mol/m^3].
    error : ndarray, shape (n, k), optional
        Standard error of each point [mol/m^3].
    shared : ndarray, shape (k,) or (n, k), optional
        The share of `error` that all times have in common, from the reference taken before [mol/m^3].
    scale_error : float
        Relative error common to all changes of concentration, as from the path length [1]; not part of `error`.
    resolution : float
        Length over which neighbouring points are correlated [m]; 0: independent.
    label : str
        For figures.
    notes : tuple of str
        What a reader of the data should know.
    per_profile : ndarray, shape (n, k), optional
        Error that all points of one time have in common, as of a background [mol/m^3]; not part of `error`.
    overall : ndarray, shape (n, k), optional
        Error that all points have in common, as of the background of a reference [mol/m^3]; not part of `error`.
    species : str
        Of n components: whose concentration it is, also a sum (:func:`.species_sum`).

    Raises
    ------
    InputError
        If shapes do not agree, or times or positions do not increase.
    """

    time: Array
    position: Array
    c: Array
    error: Array | None = None
    shared: Array | None = None
    scale_error: float = 0.0
    resolution: float = 0.0
    label: str = ""
    notes: tuple[str, ...] = ()
    per_profile: Array | None = None
    overall: Array | None = None
    species: str = ""

    def __post_init__(self) -> None:
        shape = (self.time.size, self.position.size)
        for name in ("c", "error"):
            values = getattr(self, name)
            if values is not None and values.shape != shape:
                raise InputError(f"{self.label or 'concentration map'}: {name} has shape {values.shape}, not {shape}")
        if np.any(np.diff(self.time) <= 0) or np.any(np.diff(self.position) <= 0):
            raise InputError(f"{self.label or 'concentration map'}: times and positions must increase strictly")

    @cached_property
    def _filled(self) -> Bools:
        return np.isfinite(self.c) if self.error is None else np.isfinite(self.c) & np.isfinite(self.error)

    def measurement(
        self, c0: float, *, beam_width: float = 0.0, look: Look | None = None, notes: tuple[str, ...] = ()
    ) -> Measurement:
        """Its points as a measurement, profile after profile.

        Parameters
        ----------
        c0 : float
            Initial concentration, from which `scale_error` counts changes [mol/m^3].
        beam_width : float
            Over which a point was averaged [m].
        look : Look, optional
            How the instrument sees a run, where it does more than average: it predicts the points that are filled.
        notes : tuple of str
            What a reader of the data should know.

        Returns
        -------
        Measurement
        """
        filled = self._filled
        row, column = np.nonzero(filled)
        position = self.position[column]
        shared = []
        if self.shared is not None:
            reference = np.broadcast_to(self.shared, self.c.shape)
            shared.append(SharedError(reference[filled], column, stated=True))
        if self.per_profile is not None:
            shared.append(SharedError(self.per_profile[filled], row))
        if self.overall is not None:
            shared.append(SharedError(self.overall[filled], np.zeros_like(row)))
        if self.scale_error > 0:
            shared.append(SharedError(self.scale_error * (self.c[filled] - c0), np.zeros_like(row)))
        noise = Noise(
            None if self.error is None else self.error[filled],
            row,
            position,
            # R falls as exp(-distance/length): points count as independent from about two lengths on
            0.5 * self.resolution,
            tuple(shared),
        )
        chosen = look or ProfileLook(self.time, self.position, filled, beam_width, self.species)
        if not filled.any():
            raise InputError(f"{self.label or 'concentration map'}: no point has a value")
        said = (*self.notes, *notes)
        return Measurement("profile", self.label, self.c[filled], chosen, noise, self.time[row], position, said)

    def salt(self) -> tuple[Array, Array]:
        """Salt per area over the positions that all times have, by the trapezoidal rule, and its standard error.

        Returns
        -------
        salt : ndarray, shape (n,)
            [mol/m^2]
        error : ndarray, shape (n,)
            [mol/m^2]; zero where the map carries no errors. Points closer than `resolution` count as one.
        """
        complete = np.all(np.isfinite(self.c), axis=0)
        if np.count_nonzero(complete) < 2:
            raise InputError(f"{self.label or 'concentration map'}: fewer than two positions hold a value at all times")
        x = self.position[complete]
        weight = np.zeros(x.size)
        weight[:-1] += 0.5 * np.diff(x)
        weight[1:] += 0.5 * np.diff(x)
        salt = self.c[:, complete] @ weight
        if self.error is None:
            return salt, np.zeros(salt.size)
        spread = np.sqrt(self.error[:, complete] ** 2 @ weight**2)
        together = max(1.0, self.resolution / float(np.median(np.diff(x))))
        return salt, spread * np.sqrt(together)
