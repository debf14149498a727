"""A comparison judged with the error of its transport set: chi squared with the covariance of the prediction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from cellsim.base import Array, Progress
from cellsim.compare.comparison import Compared
from cellsim.electrolyte.mixture_set import Electrolyte
from cellsim.fit.bands import own_draws, runs_of_draws
from cellsim.instruments.looks import ROLES
from cellsim.instruments.measurement import Measurement
from cellsim.run.case import Case
from cellsim.run.mixture import MixtureCase
from cellsim.solvers.solution import Solution


@dataclass(frozen=True)
class WithSetError:
    """A comparison judged with the error of its transport set, measurement by measurement.

    Parameters
    ----------
    labels : tuple of str
        Of the measurements.
    points : tuple of int
        Compared, of each.
    chi2, chi2_data : tuple of float
        Per point, with the covariance of the prediction and without; NaN without errors of the data [1].
    share : tuple of float
        Standard deviation of the prediction over that of the data, in the mean square [1].
    draws, failed : int
        Runs it rests on, and draws that could not be run.
    """

    labels: tuple[str, ...]
    points: tuple[int, ...]
    chi2: tuple[float, ...]
    chi2_data: tuple[float, ...]
    share: tuple[float, ...]
    draws: int
    failed: int

    def lines(self) -> list[str]:
        """What the terminal shows."""
        lines = [f"with the error of the transport set ({self.draws} draws of its covariance):"]
        for label, n, chi2, plain, share in zip(
            self.labels, self.points, self.chi2, self.chi2_data, self.share, strict=True
        ):
            said = "states no errors" if np.isnan(chi2) else f"chi^2 per point {chi2:.3g} (without: {plain:.3g})"
            more = "" if np.isnan(share) else f"; the set's error is {share:.2g} times that of the data"
            lines.append(f"  {label}: {n} points, {said}{more}")
        if self.failed:
            lines.append(f"  {self.failed} draws could not be run and are left out")
        return lines

    def numbers(self) -> list[dict[str, Any]]:
        """The same for JSON."""
        names = ("label", "points", "chi2_per_point", "chi2_per_point_of_data_alone", "set_over_data")
        rows = zip(self.labels, self.points, self.chi2, self.chi2_data, self.share, strict=True)
        return [dict(zip(names, row, strict=True)) for row in rows]


def with_set_error(
    case: Case | MixtureCase,
    items: Sequence[Compared],
    draws: int,
    *,
    seed: int = 0,
    workers: int = 1,
    progress: Progress | None = None,
) -> WithSetError:
    """Chi squared of a comparison when the set's own covariance is counted as an error of the prediction.

    r^T (C_data + C_prediction)^-1 r, C_prediction from draws of the set's numbers, each run through the cell. Points of
    one prediction err together: one shift of all of them counts once, not once per point.

    Parameters
    ----------
    case : Case or MixtureCase
        Its set must have a [covariance].
    items : sequence of Compared
        Measurements with their predictions.
    draws : int
        How many.
    seed, workers, progress
        As of :func:`cellsim.fit.bands.bands_of_case`.

    Returns
    -------
    WithSetError

    Raises
    ------
    InputError
        A set without a covariance.
    ConvergenceError
        Fewer than half the draws could be run.
    """
    model, drawn = own_draws(case, draws, seed)
    measured = [item.measurement for item in items]
    times = np.unique(np.concatenate([[0.0], *(m.look.times(ROLES) for m in measured)]))
    times = times[(times >= 0) & (times <= case.protocol.duration)]
    keep = partial(_seen, measured, case.transport)
    good, failed = runs_of_draws(
        model,
        drawn,
        case.cell,
        case.protocol,
        case.start,
        times,
        keep,
        solver=case.fastest,
        workers=workers,
        progress=progress,
    )
    columns: list[tuple[float, float, float]] = []
    for k, item in enumerate(items):
        seen = np.array([run[k] for run in good])
        used = item.used & np.all(np.isfinite(seen), axis=0)
        if item.error is None or not used.any():
            columns.append((np.nan, np.nan, np.nan))
            continue
        r = ((item.measured - item.predicted) / item.error)[used]
        A = ((seen - seen.mean(axis=0)) / item.error)[:, used] / np.sqrt(len(good) - 1)
        y = A @ r  # by Woodbury: as many unknowns as draws
        chi2 = float(r @ r - y @ np.linalg.solve(np.eye(len(good)) + A @ A.T, y))
        columns.append((chi2 / r.size, float(r @ r) / r.size, float(np.sqrt(np.mean(np.sum(A**2, axis=0))))))
    chi2s, plain, share = zip(*columns, strict=True)
    labels, points = tuple(m.label for m in measured), tuple(item.count for item in items)
    return WithSetError(labels, points, chi2s, plain, share, len(good), failed)


def _seen(measured: Sequence[Measurement], transport: Electrolyte, s: Solution) -> list[Array] | None:
    """Predictions of all measurements by a run, None of one that ends early; a cell needs no set."""
    return [m.predict(transport, s, ROLES) for m in measured] if s.succeeded else None
