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
from numpy.typing import NDArray

from cellsim.base import Array, InputError
from cellsim.instruments.concentration import ConcentrationMap
from cellsim.instruments.current import RatioStatistics, ratio_statistics, recorded
from cellsim.instruments.maps import VelocityTable
from cellsim.instruments.predict import position_spread, profile_at, velocity_at
from cellsim.instruments.velocities import MeasuredSpeeds, compare_velocities
from cellsim.instruments.velocities import ratio_statistics as ratio_of_speeds
from cellsim.run.case import Case
from cellsim.run.data import Dataset, Series
from cellsim.solvers.solution import Solution

MINUTE = 60.0
WINDOW = (200 * MINUTE, 400 * MINUTE)
"""Over which Steinrueck 2020 averages velocity ratios [s]."""
UNITS: Mapping[str, str] = {"current": "A/m^2", "voltage": "V", "profile": "mol/m^3", "velocity": "m/s"}


@dataclass(frozen=True)
class Compared:
    """A data set beside its prediction.

    Parameters
    ----------
    dataset : Dataset
        What was measured.
    measured, predicted : ndarray
        Equal shapes [SI]; NaN where there is no prediction or no measurement.
    error : ndarray, optional
        Standard errors of the measurement.
    """

    dataset: Dataset
    measured: Array
    predicted: Array
    error: Array | None = None

    @property
    def used(self) -> NDArray[np.bool_]:
        """Where both exist, and the error is positive if errors are given."""
        good = np.isfinite(self.measured) & np.isfinite(self.predicted)
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
        if self.dataset.kind in ("profile", "velocity"):
            a, b = b, a
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(self.used & (b != 0), a / np.where(b == 0, 1.0, b), np.nan)


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
    """

    position: float
    ratio: float
    error: float
    published: float
    left_out: bool = False


@dataclass(frozen=True)
class Comparison:
    """A case, its run, and everything it was compared with.

    Parameters
    ----------
    case : Case
        What was predicted.
    solution : Solution
        The prediction.
    items : tuple of Compared
        Data set by data set.
    merits : tuple of Merit
        Figures of merit that the data allow.
    ratios : tuple of PositionRatio
        Of the velocities, position by position.
    """

    case: Case
    solution: Solution
    items: tuple[Compared, ...]
    merits: tuple[Merit, ...]
    ratios: tuple[PositionRatio, ...] = ()

    def of_kind(self, kind: str) -> list[Compared]:
        """The data sets of one kind."""
        return [item for item in self.items if item.dataset.kind == kind]

    def merit(self, name: str) -> Merit | None:
        """The figure of merit `name`, if there is one."""
        return next((m for m in self.merits if m.name == name), None)


def compare(
    case: Case,
    solution: Solution,
    data: Sequence[Dataset],
    *,
    left_out: Sequence[float] = (),
    window: tuple[float, float] | None = None,
    profile_time: float | None = None,
) -> Comparison:
    """Compare a run with data.

    Parameters
    ----------
    case : Case
        What was predicted.
    solution : Solution
        Its run.
    data : sequence of Dataset
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
    items = tuple(beside(solution, dataset) for dataset in data)
    for item in items:
        if not item.count:
            raise InputError(
                f"{item.dataset.label}: no point lies within the run (0 to {solution['time'][-1]:.6g} s) and the cell"
            )
    end = float(solution["time"][-1])
    chosen = window or (WINDOW if end >= WINDOW[1] else (0.2 * end, 0.4 * end))
    merits: list[Merit] = []
    ratios: list[PositionRatio] = []
    for item in items:
        if item.dataset.kind == "current":
            merits += current_merits(item, case.title)
        elif item.dataset.kind == "profile":
            merits += symmetry_merits(item, case, profile_time)
        elif item.dataset.kind == "velocity":
            found = position_ratios(item, case, solution, chosen, left_out)
            ratios += found
            merits += velocity_merits(found, chosen)
    return Comparison(case, solution, items, tuple(merits), tuple(ratios))


# ---- predictions --------------------------------------------------------------------------------------------------


def check_origins(found: Sequence[Comparison]) -> None:
    """Refuse cases that would read the positions of one file from different origins.

    Parameters
    ----------
    found : sequence of Comparison
        Comparisons of several cases with the same files.

    Raises
    ------
    InputError
        The cases differ in cell.position_origin, and a file all were given has positions.
    """
    placed = ({i.dataset.label for i in one.items if not isinstance(i.dataset.data, Series)} for one in found)
    shared, first = set.intersection(*placed), found[0].case
    for one in found[1:]:
        origin = one.case.cell.position_origin
        if shared and origin != first.cell.position_origin:
            raise InputError(
                f'{one.case.title}: cell.position_origin = "{origin}", but that of {first.title} is '
                f'"{first.cell.position_origin}", and {min(shared)} would be read at different places; '
                f"give both cases the same"
            )


def beside(solution: Solution, dataset: Dataset) -> Compared:
    """A data set and its prediction at the same times and positions."""
    data = dataset.data
    if isinstance(data, Series):
        predicted = recorded(solution, "i" if dataset.kind == "current" else "V", data.time)
        return Compared(dataset, data.value, predicted, data.error)
    if isinstance(data, ConcentrationMap):
        found = dataset.forward(solution) if dataset.forward else profile_at(solution, data, dataset.beam_width)
        return Compared(dataset, data.c, found, data.error)
    v, spread = velocity_at(solution, data), position_spread(solution, data)
    error = None if data.error is None else np.hypot(data.error, spread)
    return Compared(dataset, data.v, np.abs(v) if data.unsigned else v, error)


# ---- figures of merit ---------------------------------------------------------------------------------------------


def current_merits(item: Compared, title: str) -> list[Merit]:
    """Predicted/measured current: within 10 % at all times? And is it constant after 200 min?"""
    assert isinstance(item.dataset.data, Series)
    found = ratio_statistics(item.ratio)
    values = _values(found)
    text = (
        f"predicted/measured current: {found.mean:.3f} on average, {found.low:.3f} to {found.high:.3f}, within 10 % at "
        f"{100 * found.within:.0f} % of {found.count} points"
    )
    merits = [Merit("current_ratio", text, values)]
    late = item.ratio[item.dataset.data.time >= WINDOW[0]]
    if np.count_nonzero(np.isfinite(late)) > 2:
        after = ratio_statistics(late)
        text = f"after 200 min the ratio of currents is {after.mean:.3f} with a scatter of {after.sd:.3f}"
        merits.append(Merit("current_ratio_late", text, _values(after)))
    return merits


def _values(found: RatioStatistics) -> dict[str, float]:
    return {name: float(getattr(found, name)) for name in ("count", "mean", "sd", "low", "high", "within")}


def position_ratios(
    item: Compared, case: Case, solution: Solution, window: tuple[float, float], left_out: Sequence[float]
) -> list[PositionRatio]:
    """Measured/predicted velocity at each position, averaged over the window.

    For the solvent's speed in the lab frame the sign is taken from the model, the interface velocity taken off and the
    anion's velocity formed by the local epsilon; beside it the published way (cellsim.instruments.velocities).
    """
    data = item.dataset.data
    assert isinstance(data, VelocityTable)
    inside = item.used & (data.time >= window[0]) & (data.time <= window[1])
    if not inside.any():
        return []
    phi = float(case.transport.phi_0(case.c0))
    if not (data.quantity == "v_0" and data.frame == "lab" and data.unsigned and phi < 1):
        return _plain_ratios(item, data, inside, left_out)
    error = np.full(data.v.shape, 1e-20) if data.error is None else data.error
    measured = MeasuredSpeeds(data.position[inside], data.time[inside], data.v[inside], error[inside])
    both = compare_velocities(
        solution, case.transport, measured, beam=data.beam_width, position_error=data.position_error
    )
    local, published = (ratio_of_speeds(both, start=window[0], end=window[1], published=way) for way in (False, True))
    columns = zip(local.position, local.ratio, local.error, published.ratio, strict=True)
    return [PositionRatio(float(x), float(r), float(e), float(p), _left_out(x, left_out)) for x, r, e, p in columns]


def _plain_ratios(
    item: Compared, data: VelocityTable, inside: NDArray[np.bool_], left_out: Sequence[float]
) -> list[PositionRatio]:
    """The same for velocities that need no conversion."""
    found = []
    for place in data.positions:
        here = inside & (data.position == place)
        if here.any():
            ratio = float(np.mean(item.ratio[here]))
            relative = 0.0 if item.error is None else item.error[here] / item.predicted[here]
            error = float(np.sqrt(np.mean(np.square(relative)) / np.count_nonzero(here)))
            found.append(PositionRatio(float(place), ratio, error, ratio, _left_out(place, left_out)))
    return found


def _left_out(place: float, left_out: Sequence[float]) -> bool:
    return any(abs(place - p) < 1e-6 for p in left_out)


def velocity_merits(ratios: Sequence[PositionRatio], window: tuple[float, float]) -> list[Merit]:
    """Mean and spread over the positions that count."""
    kept = [r for r in ratios if not r.left_out]
    if not kept:
        return []
    merits = []
    span = f"{window[0] / MINUTE:.0f}-{window[1] / MINUTE:.0f} min"
    outside = f", {len(ratios) - len(kept)} left out" if len(kept) < len(ratios) else ""
    ways = [("velocity_ratio", "anion, interface frame, local epsilon", [r.ratio for r in kept])]
    if any(np.isfinite(r.published) and r.published != r.ratio for r in kept):
        ways.append(("velocity_ratio_published", "the published way", [r.published for r in kept]))
    for name, how, values in ways:
        mean, sd = float(np.mean(values)), float(np.std(values, ddof=1)) if len(values) > 1 else 0.0
        noise = float(np.sqrt(np.mean([r.error**2 for r in kept])))
        text = (
            f"measured/predicted velocity, {span} ({how}): {mean:.2f} with a spread of {sd:.2f} over {len(kept)} "
            f"positions{outside}; the errors of the data alone would make {noise:.2f}"
        )
        merits.append(Merit(name, text, {"mean": mean, "sd": sd, "count": float(len(kept)), "noise": noise}))
    return merits


def symmetry_merits(item: Compared, case: Case, time: float | None) -> list[Merit]:
    """Where the measured and the predicted profile cross their own mean, and their even over odd part.

    A cubic in x is fitted over the points with errors as weights; even/odd is the second Legendre moment of the change
    over the first, over the span that lies symmetric about the centre. Both have errors by the covariance of the fit,
    points closer than the map's resolution counted as one. The own mean, not c0, so that a gain that drifts
    does not pass for an asymmetry.
    """
    data = item.dataset.data
    assert isinstance(data, ConcentrationMap)
    candidates = np.flatnonzero(item.used.sum(axis=1) >= 8)
    if not candidates.size:
        return []
    row = int(candidates[-1] if time is None else candidates[np.argmin(np.abs(data.time[candidates] - time))])
    half = 0.5 * case.cell.thickness
    good = item.used[row] & (np.abs(data.position - half) < half)
    u = data.position[good] / half - 1
    span = min(-float(u.min()), float(u.max())) if good.any() else 0.0
    good_span = np.abs(u) <= span * (1 + 1e-9)
    if span <= 0.3 or np.count_nonzero(good_span) < 8:
        return []
    together = max(1.0, data.resolution / float(np.median(np.diff(data.position))))
    error = None if item.error is None else item.error[row][good][good_span] * np.sqrt(together)
    u = u[good_span] / span
    found = {
        who: _symmetry(u, values[row][good][good_span] - case.c0, error if who == "measured" else None)
        for who, values in (("measured", item.measured), ("predicted", item.predicted))
    }
    if found["measured"] is None or found["predicted"] is None:
        return []
    values: dict[str, float] = {"time": float(data.time[row])}
    parts = []
    for who in ("measured", "predicted"):
        crossing, crossing_error, even, even_error = found[who]  # type: ignore[misc]
        values |= {
            f"{who}_crossing": crossing * span * half,
            f"{who}_crossing_error": crossing_error * span * half,
            f"{who}_even_over_odd": even,
            f"{who}_even_over_odd_error": even_error,
        }
        bars = (
            (f" ± {1e3 * crossing_error * span * half:.3f}", f" ± {even_error:.3f}") if who == "measured" else ("", "")
        )
        parts.append(
            f"{who} crosses its mean {1e3 * crossing * span * half:+.3f}{bars[0]} mm from the centre, even/odd part "
            f"{even:+.3f}{bars[1]}"
        )
    return [Merit("symmetry", f"profile at {data.time[row] / MINUTE:.0f} min: " + "; ".join(parts), values)]


def _symmetry(u: Array, change: Array, error: Array | None) -> tuple[float, float, float, float] | None:
    """Crossing of the mean next to the centre and moment ratio of a cubic, each with its error."""
    from numpy.polynomial import legendre

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
    slope = float(legendre.legval(crossing, legendre.legder(shape)))
    value = legendre.legvander(np.array([crossing]), 3)[0] * [0, 1, 1, 1]
    crossing_error = float(np.sqrt(value @ covariance @ value)) / abs(slope)
    even = float(solved[2] / solved[1])
    gradient = np.array([0, -even / solved[1], 1 / solved[1], 0])
    return crossing, crossing_error, even, float(np.sqrt(gradient @ covariance @ gradient))
