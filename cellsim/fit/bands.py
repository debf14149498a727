"""What the uncertainty of a set does to a prediction: bands on i(t), c(x, t) and v(x, t).

Draws of the set's numbers, from the covariance its file states or from a posterior, each run through the cell. Draws
that no cell can be run with are counted, never passed over in silence.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from cellsim.base import Array, ConvergenceError, InputError
from cellsim.cell.geometry import Cell
from cellsim.cell.protocol import Protocol
from cellsim.drawing import figstyle
from cellsim.drawing.figstyle import ANGSTROM, CURRENT, SPEED
from cellsim.electrolyte.set_file import parse_set
from cellsim.fit.parameters import Space
from cellsim.fit.set_model import SetModel, own_numbers
from cellsim.run.case import Case
from cellsim.run.ensemble import Member, simulate_many
from cellsim.solvers.march import Options
from cellsim.solvers.solution import Solution

if TYPE_CHECKING:
    pass

QUANTILES = (0.025, 0.16, 0.5, 0.84, 0.975)


@dataclass(frozen=True)
class Bands:
    """Quantiles of a prediction over draws of the set.

    Parameters
    ----------
    time : ndarray, shape (t,)
        [s]
    position : ndarray, shape (k,)
        From the positive interface [m].
    quantiles : tuple of float
        Which.
    i, V : ndarray, shape (q, t)
        Current density and voltage [A/m^2, V].
    c, v_minus : ndarray, shape (q, t, k)
        Concentration and anion velocity, interface frame [mol/m^3, m/s].
    draws : int
        How many runs they rest on.
    failed : int
        How many draws could not be run to the end; they are left out, which biases the bands.
    """

    time: Array
    position: Array
    quantiles: tuple[float, ...]
    i: Array
    V: Array
    c: Array
    v_minus: Array
    draws: int
    failed: int


def normal_draws(space: Space, mean: Array, covariance: Array, count: int, seed: int = 0) -> Array:
    """Draws u of a joint normal distribution inside the bounds, shape (count, p).

    Raises
    ------
    InputError
        A covariance so wide that most draws leave the bounds.
    """
    generator = np.random.default_rng(seed)
    low, high = space.bounds
    kept: list[Array] = []
    tried = 0
    while len(kept) < count:
        u = generator.multivariate_normal(mean, covariance, method="cholesky")
        tried += 1
        if np.all(u > low) and np.all(u < high):
            kept.append(u)
        elif tried > 50 and len(kept) < 0.2 * tried:
            raise InputError("most draws of the set's covariance leave the bounds of its parameters; it is too wide")
    return np.array(kept)


def bands(
    model: SetModel,
    draws: Array,
    cell: Cell,
    protocol: Protocol,
    *,
    c0: float,
    times: Array,
    positions: Array,
    solver: str = "sundials",
    options: Options | None = None,
    quantiles: Sequence[float] = QUANTILES,
    workers: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> Bands:
    """Run a cell for every draw and take quantiles.

    Parameters
    ----------
    model : SetModel
        Values -> set.
    draws : ndarray, shape (n, p)
        Points u of the model's parameters.
    cell, protocol, c0
        As :func:`cellsim.simulate`; c0 in mol/m^3.
    times : ndarray, shape (t,)
        [s]
    positions : ndarray, shape (k,)
        From the positive interface [m].
    solver, options
        As :func:`cellsim.simulate`.
    quantiles : sequence of float
        Which to take.
    workers : int
        Processes.
    progress : callable, optional
        Called with (runs done, of all).

    Returns
    -------
    Bands

    Raises
    ------
    ConvergenceError
        Fewer than half the draws could be run.
    """
    space = Space(model.parameters)
    members = []
    bad = 0
    for u in draws:
        try:
            transport = model.at(space.values(u), cell.temperature)
        except InputError:
            bad += 1
            continue
        members.append(Member(cell, transport, protocol, c0, times, solver, options or Options(rtol=1e-5)))

    def keep(s: Solution) -> Array | None:
        if not s.succeeded:
            return None
        columns = [np.interp(times, s["time"], s[name]) for name in ("i", "V")]
        maps = []
        for values in (s["c_face"], s["v_minus"][0]):
            rows = [np.interp(positions, f, row) for f, row in zip(s["position_face"], values, strict=True)]
            grid = np.array(rows)
            maps += [np.interp(times, s["time"], column) for column in grid.T]
        return np.array(columns + maps)

    found = simulate_many(members, keep=keep, workers=workers, progress=progress)
    good = [o.value for o in found if o.succeeded and o.value is not None]
    failed = len(draws) - len(good)
    if len(good) < max(2, len(draws) // 2):
        why = next((o.error for o in found if o.error), "they end early")
        raise ConvergenceError(f"{failed} of {len(draws)} draws of the set could not be run to the end: {why}")
    q = np.quantile(np.array(good), list(quantiles), axis=0)
    k = positions.size
    c, v = q[:, 2 : 2 + k].transpose(0, 2, 1), q[:, 2 + k :].transpose(0, 2, 1)
    return Bands(times, positions, tuple(quantiles), q[:, 0], q[:, 1], c, v, len(good), failed)


POSITIONS = 41
TIMES = 60


def bands_of_case(
    case: Case, draws: int, *, seed: int = 0, workers: int = 1, progress: Callable[[int, int], None] | None = None
) -> Bands:
    """Bands on i(t), c(x, t), v-(x, t) by draws of the set's own covariance.

    Parameters
    ----------
    case : Case
        Its set must have a [covariance].
    draws : int
        How many.
    seed : int
        Of the draws.
    workers : int
        Processes.
    progress : callable, optional
        Called with (runs done, of all).

    Returns
    -------
    Bands

    Raises
    ------
    InputError
        A set without a covariance, or with volumes that vary.
    """
    if case.transport.volumes.varies:
        raise InputError(f"{case.path}: bands need constant partial molar volumes")
    model, mean, covariance = own_numbers(
        parse_set(case.transport.text, case.transport.name), case.transport.solvent_motion
    )
    points = normal_draws(Space(model.parameters), mean, covariance, draws, seed)
    end = case.protocol.duration
    times = np.union1d(np.geomspace(1e-3 * end, end, TIMES // 2), np.linspace(0, end, TIMES // 2))
    positions = np.linspace(0, case.cell.thickness, POSITIONS)
    return bands(
        model, points, case.cell, case.protocol, c0=case.c0, times=times, positions=positions, workers=workers,
        progress=progress,
    )  # fmt: skip


_FRACTIONS = (0.03, 0.1, 0.3, 1.0)
"""Of the run: when profiles are drawn."""


def draw_bands(found: Bands, path: str | Path, *, title: str = "", note: str = "") -> Path:
    """Median, 68 % and 95 % of i(t), and 95 % of c(x) and v-(x) at four times of the run.

    Parameters
    ----------
    found : Bands
        With the five quantiles of :data:`cellsim.fit.bands.QUANTILES`.
    path : str or Path
        PNG, PDF or SVG.
    title, note : str
        Above and below.

    Returns
    -------
    Path
    """
    unit, scale_t = ("min", 60.0) if found.time[-1] > 1200 else ("s", 1.0)
    t_shown, mm = found.time / scale_t, 1e3 * found.position
    text = f"{found.draws} draws; shaded: 95 % (dark: 68 %)." + (
        f" {found.failed} draws could not be run and are left out." if found.failed else ""
    )
    with figstyle.drawing(
        path, 1, 3, title=title, note=f"{text} {note}".strip(), width=figstyle.TWO_COLUMNS, height=2.3
    ) as (_, axes):
        blue = figstyle.COLOURS[0]
        for low, high, alpha in ((0, 4, 0.2), (1, 3, 0.3)):
            axes[0].fill_between(t_shown, found.i[low], found.i[high], color=blue, alpha=alpha, linewidth=0)
        axes[0].plot(t_shown, found.i[2], color=blue)
        axes[0].set_xlabel(figstyle.label("$t$", unit))
        axes[0].set_ylabel(figstyle.label("$i$", CURRENT))
        shown = np.unique(np.searchsorted(found.time, np.array(_FRACTIONS) * found.time[-1]))
        for k, colour in zip(shown, figstyle.shades(shown.size), strict=True):
            k = min(int(k), found.time.size - 1)
            for panel, values, scale in ((axes[1], found.c, 1e-3), (axes[2], found.v_minus, ANGSTROM)):
                panel.fill_between(
                    mm, scale * values[0, k], scale * values[4, k], color=colour, alpha=0.25, linewidth=0
                )
                panel.plot(mm, scale * values[2, k], color=colour, label=f"{t_shown[k]:.3g} {unit}")
        axes[1].set_ylabel(figstyle.label("$c$", "mol L$^{-1}$"))
        axes[2].set_ylabel(figstyle.label("$v_-$", SPEED))
        axes[1].legend(fontsize=6)
        for panel in axes[1:]:
            panel.set_xlabel(figstyle.label("$x$", "mm"))
    return Path(path)
