"""A prediction against data, nothing refitted: residuals, chi squared, ratios, figures of merit of Steinrueck 2020.

Ratios of currents are predicted/measured, ratios of velocities measured/predicted, as the paper has them
(doi:10.1039/D0EE02193H, Figs. 3 and 5). Chi squared is per point and counts points as independent; no parameter has
been adjusted, so nothing is taken off. Points of a map share the scan before and the scale of the path length: its chi
squared is a measure, not a test.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.polynomial import legendre
from numpy.typing import ArrayLike

from cellsim.base import Array, Bools, InputError
from cellsim.electrolyte.mixture_set import short_sum
from cellsim.instruments.looks import ROLES, VelocityLook
from cellsim.instruments.measurement import Measurement, left_out, what_would_fit, where_inside
from cellsim.instruments.velocities import MeasuredSpeeds, compare_velocities, ratios_by_position
from cellsim.run.case import Case
from cellsim.run.mixture import MixtureCase
from cellsim.solvers.solution import Solution

MINUTE = 60.0
WINDOW = (200 * MINUTE, 400 * MINUTE)
"""Over which Steinrueck 2020 averages velocity ratios [s]."""
SCATTERED = 10.0
"""Standard deviation of a ratio from which on its mean says nothing: what it is divided by passes zero [1]."""
SAME_PLACE = 1e-6
"""Positions closer than this are one [m]."""


@dataclass(frozen=True)
class Compared:
    """A measurement and its prediction.

    Parameters
    ----------
    measurement : Measurement
        What was measured.
    predicted : ndarray, shape (n,)
        At its points [SI]; NaN where there is no prediction.
    error : ndarray, shape (n,), optional
        Standard errors of the measurement, with what the error of its positions makes of the prediction.
    notes : tuple of str
        What a reader of the comparison should know: the measurement's own notes, and what became of its points.
    """

    measurement: Measurement
    predicted: Array
    error: Array | None = None
    notes: tuple[str, ...] = ()

    @property
    def measured(self) -> Array:
        """Values, shape (n,) [SI]."""
        return self.measurement.value

    @property
    def used(self) -> Bools:
        """Where there is a prediction, and a positive error if errors are given, shape (n,)."""
        good = np.isfinite(self.predicted)
        return good if self.error is None else good & (self.error > 0)

    @property
    def count(self) -> int:
        """Number of points compared."""
        return int(np.count_nonzero(self.used))

    @property
    def bias(self) -> float:
        """Mean of measured minus predicted [SI]."""
        return float(np.mean((self.measured - self.predicted)[self.used]))

    @property
    def rms(self) -> float:
        """Root mean square of measured minus predicted [SI]."""
        return float(np.sqrt(np.mean((self.measured - self.predicted)[self.used] ** 2)))

    @property
    def chi2(self) -> float | None:
        """Chi squared per point [1]; None without errors."""
        if self.error is None:
            return None
        residual = (self.measured - self.predicted)[self.used] / self.error[self.used]
        return float(np.mean(residual**2))

    @property
    def ratio(self) -> Array:
        """Predicted/measured for currents and voltages, measured/predicted otherwise [1]; NaN where undefined."""
        a, b = self.predicted, self.measured
        if self.measurement.kind in ("profile", "velocity"):
            a, b = b, a
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(self.used & (b != 0), a / np.where(b == 0, 1.0, b), np.nan)


@dataclass(frozen=True)
class RatioStatistics:
    """A ratio over time or over points.

    Parameters
    ----------
    count : int
        Number of ratios.
    mean, sd : float
        Mean and standard deviation (n - 1) [1].
    low, high : float
        Least and largest [1].
    within : float
        Share of ratios within 10 % of 1 [1].
    """

    count: int
    mean: float
    sd: float
    low: float
    high: float
    within: float

    @classmethod
    def of(cls, ratio: ArrayLike) -> RatioStatistics:
        """Statistics of the finite ones among `ratio`.

        Raises
        ------
        InputError
            If none is finite.
        """
        values = np.asarray(ratio, dtype=float)
        values = values[np.isfinite(values)]
        if not values.size:
            raise InputError(
                "no ratio can be formed: measurement and prediction do not overlap, or one of them is zero"
            )
        sd = float(values.std(ddof=1)) if values.size > 1 else 0.0
        within = float(np.mean(np.abs(values - 1) <= 0.1))
        return cls(values.size, float(values.mean()), sd, float(values.min()), float(values.max()), within)


@dataclass(frozen=True)
class Merit:
    """A figure of merit.

    Parameters
    ----------
    name : str
        Short and fixed, for programs.
    text : str
        One sentence, for people.
    values : mapping
        The numbers in it [SI].
    """

    name: str
    text: str
    values: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class PositionRatio:
    """Velocity measured/predicted at one position, averaged over a window of time.

    Parameters
    ----------
    position : float
        From the positive interface at t = 0, fixed in the lab [m].
    ratio, error : float
        Anion velocities in the interface frame, by the local epsilon, and the standard error by the data's errors [1].
    published : float
        The paper's own way: constant epsilon, relative to the solvent, interface motion ignored [1].
    left_out : bool
        Whether it is kept out of mean and spread.
    quantity : str
        Whose velocity was measured, as of :attr:`.Measurement.quantity`.
    """

    position: float
    ratio: float
    error: float
    published: float
    left_out: bool = False
    quantity: str = "v_0"


@dataclass(frozen=True)
class Comparison:
    """A case, its run, and everything it was compared with.

    Parameters
    ----------
    case : Case or MixtureCase
        What was predicted.
    solution : Solution
        The prediction.
    items : tuple of Compared
        Measurement by measurement.
    merits : tuple of Merit
        Figures of merit that the data allow.
    ratios : tuple of PositionRatio
        Of the velocities, position by position.
    """

    case: Case | MixtureCase
    solution: Solution
    items: tuple[Compared, ...]
    merits: tuple[Merit, ...]
    ratios: tuple[PositionRatio, ...] = ()

    def of_kind(self, kind: str) -> list[Compared]:
        """The measurements of one kind."""
        return [item for item in self.items if item.measurement.kind == kind]

    def merit(self, name: str) -> Merit | None:
        """The figure of merit `name`, if there is one."""
        return next((m for m in self.merits if m.name == name), None)


def compare(
    case: Case | MixtureCase,
    solution: Solution,
    data: Sequence[Measurement],
    *,
    left_out: Sequence[float] = (),
    window: tuple[float, float] | None = None,
    profile_time: float | None = None,
) -> Comparison:
    """Compare a run with data.

    Parameters
    ----------
    case : Case or MixtureCase
        What was predicted.
    solution : Solution
        Its run.
    data : sequence of Measurement
        What was measured.
    left_out : sequence of float
        Positions kept out of mean and spread of the velocity ratios, from the positive interface [m].
    window : tuple of float, optional
        Time over which velocity ratios are averaged [s]; default 200-400 min, or the second fifth of a shorter run.
    profile_time : float, optional
        When the symmetry of the profile is judged [s]; default the last profile.

    Returns
    -------
    Comparison

    Raises
    ------
    InputError
        No data, or data that do not overlap with the run.
    """
    if not data:
        raise InputError("compare: there is nothing to compare with; name data files, or give the case [[measured]]")
    items = tuple(predicted(case, solution, measurement) for measurement in data)
    end = float(solution["time"][-1])
    for item in items:
        if not item.count:
            said = "; ".join(item.notes)
            raise InputError(
                f"{item.measurement.label}: no point lies within the run (0 to {end:.6g} s) and the cell"
                + (f": {said}" if said else "")
            )
    chosen = window or (WINDOW if end >= WINDOW[1] else (0.2 * end, 0.4 * end))
    merits: list[Merit] = []
    ratios: list[PositionRatio] = []
    for item in items:
        if item.measurement.kind == "current":
            merits += current_merits(item)
        elif item.measurement.kind == "profile":
            merits += symmetry_merits(item, case, profile_time)
        elif item.measurement.kind == "velocity":
            own = position_ratios(item, case, solution, chosen, left_out)
            ratios += own
            merits += velocity_merits(own, chosen, item.measurement)
    return Comparison(case, solution, items, tuple(merits), tuple(ratios))


# ---- predictions --------------------------------------------------------------------------------------------------


def check_origins(comparisons: Sequence[Comparison]) -> None:
    """Refuse cases that would read the positions of one file from different origins.

    Parameters
    ----------
    comparisons : sequence of Comparison
        Comparisons of several cases with the same files.

    Raises
    ------
    InputError
        The cases differ in cell.position_origin, and a file all were given has positions.
    """
    placed = ({i.measurement.label for i in c.items if i.measurement.position is not None} for c in comparisons)
    shared, first = set.intersection(*placed), comparisons[0].case
    for other in comparisons[1:]:
        origin = other.case.cell.position_origin
        if shared and origin != first.cell.position_origin:
            raise InputError(
                f'{other.case.title}: cell.position_origin = "{origin}", but that of {first.title} is '
                f'"{first.cell.position_origin}", and {min(shared)} would be read at different places; '
                f"give both cases the same"
            )


def predicted(case: Case | MixtureCase, solution: Solution, measurement: Measurement) -> Compared:
    """A measurement with its prediction at the same times and positions; NaN before the run begins."""
    values, error = measurement.predict(case.transport, solution, ROLES), measurement.error
    if error is not None and isinstance(measurement.look, VelocityLook):
        # where a beam stands is known to its position error only: the slope of the predicted velocity adds to the error
        error = np.hypot(error, measurement.look.signed(solution)[1])
    spans, end = case.protocol.spans(solution.log), float(solution["time"][-1])
    imposed = measurement.imposed(spans)
    if imposed.all():
        imposed[:] = False  # asked for by name: how well the imposed drive was kept
    known = np.where(measurement.time < 0, np.nan, values)
    causes = [
        (measurement.time < 0, "before the run begins"),
        (measurement.time > end, f"after the run ends at {end:.6g} s"),
        (imposed, f"where the case imposes the {measurement.kind}"),
        (~np.isfinite(known), "outside the cell"),
    ]
    # what a followed table holds of the other drive was moved with it
    moved = 0.0 if measurement.label.endswith("not imposed") else case.protocol.moved
    hint = what_would_fit(measurement, case.transport, solution)
    gone = left_out(measurement.size, causes, why=_inside(measurement, case))
    notes = (*measurement.notes, *gone, *measurement.clock_note(spans, moved), *([hint] if hint else []))
    return Compared(measurement, np.where(imposed, np.nan, known), error, notes)


def _inside(measurement: Measurement, case: Case | MixtureCase) -> str:
    return "" if measurement.position is None else where_inside(measurement.position, case.cell.thickness)


# ---- figures of merit ---------------------------------------------------------------------------------------------


def passes_zero(ratio: Array) -> bool:
    """Whether the mean of finite ratios says nothing: both signs occur, or so large a scatter as beside a zero."""
    return bool(ratio.min() < 0 < ratio.max() or ratio.std() >= SCATTERED)


def current_merits(item: Compared) -> list[Merit]:
    """Predicted/measured current: within 10 % at all times? And is it constant after 200 min?"""
    whole = RatioStatistics.of(item.ratio)
    within = f"within 10 % at {100 * whole.within:.0f} % of {whole.count} points"
    text = f"predicted/measured current: {whole.mean:.3f} on average, {whole.low:.3f} to {whole.high:.3f}, {within}"
    if passes_zero(item.ratio[np.isfinite(item.ratio)]):
        text = f"predicted/measured current: {within}; it has no meaningful mean, since the current passes zero"
    merits = [Merit("current_ratio", text, _numbers(whole))]
    late = item.ratio[item.measurement.time >= WINDOW[0]]
    if np.count_nonzero(np.isfinite(late)) > 2:
        after = RatioStatistics.of(late)
        text = f"after 200 min the ratio of currents is {after.mean:.3f} with a scatter of {after.sd:.3f}"
        merits.append(Merit("current_ratio_late", text, _numbers(after)))
    return merits


def _numbers(statistics: RatioStatistics) -> dict[str, float]:
    return {name: float(value) for name, value in vars(statistics).items()}


def position_ratios(
    item: Compared,
    case: Case | MixtureCase,
    solution: Solution,
    window: tuple[float, float],
    left_out: Sequence[float],
) -> list[PositionRatio]:
    """Measured/predicted velocity at each position, averaged over the window.

    For the solvent's speed in the lab frame, of one salt, the sign is taken from the model, the interface velocity
    taken off and the anion's velocity formed by the local epsilon; with it the published way
    (cellsim.instruments.velocities). Any other velocity is compared as it was measured.
    """
    m, look = item.measurement, item.measurement.look
    assert isinstance(look, VelocityLook) and m.position is not None
    inside = item.used & (m.time >= window[0]) & (m.time <= window[1])
    if not inside.any():
        return []
    if isinstance(case, MixtureCase) or not _makes_anion_velocity(look, case):
        return _plain_ratios(item, look.positions, inside, left_out)
    error = np.full(m.size, 1e-20) if m.error is None else m.error
    speeds = MeasuredSpeeds(m.position[inside], m.time[inside], m.value[inside], error[inside])
    both = compare_velocities(
        solution, case.transport, speeds, beam=look.beam_width, position_error=look.position_error
    )
    local, published = (
        ratios_by_position(both, start=window[0], end=window[1], published=way) for way in (False, True)
    )
    columns = zip(local.position, local.ratio, local.error, published.ratio, strict=True)
    return [PositionRatio(float(x), float(r), float(e), float(p), _left_out(x, left_out)) for x, r, e, p in columns]


def _makes_anion_velocity(look: VelocityLook, case: Case) -> bool:
    """Whether what was measured is the solvent's speed in the lab, which the volume balance turns into the anion's."""
    of_solvent = look.quantity == "v_0" and look.frame == "lab" and look.unsigned
    return of_solvent and float(case.transport.phi_0(case.c0)) < 1


def _plain_ratios(item: Compared, positions: Array, inside: Bools, left_out: Sequence[float]) -> list[PositionRatio]:
    """The same for velocities that need no conversion."""
    ratios = []
    for place in positions:
        here = inside & (item.measurement.position == place)
        if here.any():
            ratio = float(np.mean(item.ratio[here]))
            relative = 0.0 if item.error is None else item.error[here] / item.predicted[here]
            error = float(np.sqrt(np.mean(np.square(relative)) / np.count_nonzero(here)))
            ratios.append(
                PositionRatio(float(place), ratio, error, ratio, _left_out(place, left_out), item.measurement.quantity)
            )
    return ratios


def _left_out(place: float, left_out: Sequence[float]) -> bool:
    return any(abs(place - p) < SAME_PLACE for p in left_out)


def velocity_merits(
    ratios: Sequence[PositionRatio], window: tuple[float, float], measurement: Measurement
) -> list[Merit]:
    """Mean and spread over the positions that count."""
    counted = [r for r in ratios if not r.left_out]
    if not counted:
        return []
    merits = []
    span = f"{window[0] / MINUTE:.4g}-{window[1] / MINUTE:.4g} min"
    outside = f", {len(ratios) - len(counted)} left out" if len(counted) < len(ratios) else ""
    converted = any(np.isfinite(r.published) and r.published != r.ratio for r in counted)
    look = measurement.look
    assert isinstance(look, VelocityLook)
    plain = f"{short_sum(measurement.species) or look.quantity}, {look.frame} frame"
    how = "anion, interface frame, local epsilon" if converted else plain
    ways = [("velocity_ratio", how, [r.ratio for r in counted])]
    if converted:
        ways.append(("velocity_ratio_published", "the published way", [r.published for r in counted]))
    noise = float(np.sqrt(np.mean([r.error**2 for r in counted])))
    for name, how, values in ways:
        mean, sd = float(np.mean(values)), float(np.std(values, ddof=1)) if len(values) > 1 else 0.0
        text = (
            f"measured/predicted velocity, {span} ({how}): {mean:.2f} with a spread of {sd:.2f} over {len(counted)} "
            f"positions{outside}; the errors of the data alone would make {noise:.2f}"
        )
        merits.append(Merit(name, text, {"mean": mean, "sd": sd, "count": float(len(counted)), "noise": noise}))
    return merits


def symmetry_merits(item: Compared, case: Case | MixtureCase, time: float | None) -> list[Merit]:
    """Where the measured and the predicted profile cross their own mean, and their even over odd share.

    A cubic in x is fitted over the points with errors as weights; even/odd is the second Legendre moment of the change
    over the first, over the span that lies symmetric about the centre. Both have errors by the covariance of the fit,
    points closer than the map's resolution counted as one. The own mean, not c0, so that a gain that drifts
    does not pass for an asymmetry.
    """
    m, half = item.measurement, 0.5 * case.cell.thickness
    assert m.position is not None
    # eight points: twice the coefficients of the cubic, below which its errors say little
    candidates = np.array([t for t in m.times if np.count_nonzero(item.used & m.at(float(t))) >= 8])
    if not candidates.size:
        return []
    chosen = float(candidates[-1] if time is None else candidates[np.argmin(np.abs(candidates - time))])
    row = m.at(chosen)
    u = m.position / half - 1
    good = item.used & row & (np.abs(u) < 1)
    # Even and odd moments are independent only over a span symmetric about the centre. One that is short sees no
    # curvature: below a third of the cell the even moment would be the noise of its ends.
    span = min(-float(u[good].min()), float(u[good].max())) if good.any() else 0.0
    good &= np.abs(u) <= span * (1 + 1e-9)
    if span <= 0.3 or np.count_nonzero(good) < 8:
        return []
    # Pixels of a scanner are correlated over its resolution: so many count as one, which widens the errors.
    together = max(1.0, 2 * m.noise.length / float(np.median(np.diff(m.position[row]))))
    error = None if item.error is None else item.error[good] * np.sqrt(together)
    shapes = {
        who: _symmetry(u[good] / span, values[good] - case.c0, error if who == "measured" else None)
        for who, values in (("measured", item.measured), ("predicted", item.predicted))
    }
    numbers: dict[str, float] = {"time": chosen}
    words = []
    for who, shape in shapes.items():
        if shape is None:
            return []
        crossing, crossing_error, even, even_error = shape
        x, x_error = crossing * span * half, crossing_error * span * half
        numbers |= {
            f"{who}_crossing": x,
            f"{who}_crossing_error": x_error,
            f"{who}_even_over_odd": even,
            f"{who}_even_over_odd_error": even_error,
        }
        if x_error > half:  # a profile without a slope crosses its mean anywhere
            return []
        bars = (f" ± {1e3 * x_error:.3f}", f" ± {even_error:.3f}") if who == "measured" else ("", "")
        words.append(
            f"{who} crosses its mean at {1e3 * x:+.3f}{bars[0]} mm from the centre, second/first Legendre moment "
            f"{even:+.3f}{bars[1]}"
        )
    of = f" of {short_sum(m.species)}" if m.species else ""
    return [Merit("symmetry", f"profile{of} at {chosen / MINUTE:.4g} min: " + "; ".join(words), numbers)]


def _symmetry(u: Array, change: Array, error: Array | None) -> tuple[float, float, float, float] | None:
    """Crossing of the mean next to the centre and moment ratio of a cubic, each with its error."""
    weight = np.ones(u.size) if error is None else 1 / error
    design = legendre.legvander(u, 3)
    solved, *_ = np.linalg.lstsq(design * weight[:, None], change * weight, rcond=None)
    covariance = np.linalg.inv((design * weight[:, None]).T @ (design * weight[:, None]))
    if error is None:
        residual = change - design @ solved
        covariance = covariance * float(residual @ residual) / max(u.size - 4, 1)
    shape = np.array([0.0, *solved[1:]])
    roots = legendre.legroots(shape)
    real = roots[np.abs(roots.imag) < 1e-9].real
    if not real.size or solved[1] == 0:
        return None
    crossing = float(real[np.argmin(np.abs(real))])
    # Errors to first order: of a root, the error of the value there over the slope; of a ratio, by its gradient.
    slope = float(legendre.legval(crossing, legendre.legder(shape)))
    value = legendre.legvander(np.array([crossing]), 3)[0] * [0, 1, 1, 1]
    crossing_error = float(np.sqrt(value @ covariance @ value)) / abs(slope)
    even = float(solved[2] / solved[1])
    gradient = np.array([0, -even / solved[1], 1 / solved[1], 0])
    return crossing, crossing_error, even, float(np.sqrt(gradient @ covariance @ gradient))
