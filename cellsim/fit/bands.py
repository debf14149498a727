"""What the uncertainty of a set means: bands on its own functions, and on predicted i(t), c(x, t) and v(x, t).

Draws of the set's numbers, from the covariance its file states or from a posterior, each run through the cell. Draws
that no cell can be run with are counted, never passed over in silence.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cellsim.base import Array, CellsimError, ConvergenceError, InputError, Progress
from cellsim.cell.geometry import Cell, InitialProfile
from cellsim.cell.protocol import Protocol
from cellsim.drawing import figstyle
from cellsim.drawing.figstyle import ANGSTROM, CURRENT, SPEED
from cellsim.electrolyte.properties import PRODUCT, PROPERTIES
from cellsim.electrolyte.set_file import parse_set
from cellsim.files.folder import replacing
from cellsim.fit.estimate import Estimate
from cellsim.fit.parameters import Space
from cellsim.fit.set_model import SetModel, own_numbers
from cellsim.instruments.looks import SetLook
from cellsim.run.case import Case
from cellsim.run.ensemble import Member, simulate_many
from cellsim.solvers.march import Options
from cellsim.solvers.solution import Solution

if TYPE_CHECKING:
    import xarray as xr

QUANTILES = (0.025, 0.16, 0.5, 0.84, 0.975)
FRACTIONS = (0.03, 0.1, 0.3, 1.0)
"""Of the run: when profiles are drawn."""
POSITIONS, TIMES = 41, 60
"""Places and times at which a case gets its bands."""
FUNCTIONS = tuple("one_minus_t_plus_chi" if name == "chi" else name for name in PROPERTIES)
"""What is drawn of a set: its properties, chi times (1 - t+), which is what the equations and so the data see of it."""


@dataclass(frozen=True)
class Bands:
    """Quantiles of a prediction over draws of the set, a :class:`.Result` like any other.

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

    def lines(self) -> list[str]:
        """What the terminal shows."""
        low, middle, high = (float(self.i[k, -1]) for k in (0, 2, 4))
        lines = [f"i at the end: {middle:.4g} A/m^2, 95 % {low:.4g} to {high:.4g} ({self.draws} draws of the set)"]
        if self.failed:
            lines.append(f"{self.failed} draws could not be run and are left out: the bands are too narrow")
        return lines

    def numbers(self) -> dict[str, Any]:
        """Quantiles of current and voltage against time, SI."""
        fields = ("time", "quantiles", "i", "V", "draws", "failed")
        return {name: getattr(self, name) for name in fields}

    def dataset(self) -> xr.Dataset:
        """All of them, with units and dimensions."""
        import xarray as xr

        over_time, maps = ("quantile", "time"), ("quantile", "time", "position")
        variables = {
            "i": (over_time, self.i, {"units": "A/m^2"}),
            "V": (over_time, self.V, {"units": "V"}),
            "c": (maps, self.c, {"units": "mol/m^3"}),
            "v_minus": (maps, self.v_minus, {"units": "m/s", "long_name": "anion velocity, interface frame"}),
        }
        coords = {
            "quantile": list(self.quantiles),
            "time": ("time", self.time, {"units": "s"}),
            "position": ("position", self.position, {"units": "m"}),
        }
        return xr.Dataset(variables, coords, {"draws": self.draws, "failed": self.failed})

    def draw(self, path: str | Path, *, title: str = "", note: str = "") -> Path:
        """Median, 68 % and 95 % of i(t), and 95 % of c(x) and v-(x) at four times of the run.

        Parameters
        ----------
        path : str or Path
            PNG, PDF or SVG.
        title, note : str
            Above and below.

        Returns
        -------
        Path
        """
        unit, scale = ("min", 60.0) if self.time[-1] > 1200 else ("s", 1.0)
        t, mm, blue = self.time / scale, 1e3 * self.position, figstyle.COLOURS[0]
        text = f"{self.draws} draws; shaded: 95 % (dark: 68 %)."
        if self.failed:
            text += f" {self.failed} draws could not be run and are left out."
        layout = {"title": title, "note": f"{text} {note}".strip(), "width": figstyle.TWO_COLUMNS, "height": 2.3}
        with figstyle.drawing(path, 1, 3, **layout) as (_, axes):
            for low, high, alpha in ((0, 4, 0.2), (1, 3, 0.3)):
                axes[0].fill_between(t, self.i[low], self.i[high], color=blue, alpha=alpha, linewidth=0)
            axes[0].plot(t, self.i[2], color=blue)
            axes[0].set_xlabel(figstyle.label("$t$", unit))
            axes[0].set_ylabel(figstyle.label("$i$", CURRENT))
            shown = np.unique(np.searchsorted(self.time, np.array(FRACTIONS) * self.time[-1]))
            for k, colour in zip(np.minimum(shown, t.size - 1), figstyle.shades(shown.size), strict=True):
                for panel, values in ((axes[1], 1e-3 * self.c), (axes[2], ANGSTROM * self.v_minus)):
                    panel.fill_between(mm, values[0, k], values[4, k], color=colour, alpha=0.25, linewidth=0)
                    panel.plot(mm, values[2, k], color=colour, label=f"{t[k]:.3g} {unit}")
            axes[1].set_ylabel(figstyle.label("$c$", "mol L$^{-1}$"))
            axes[2].set_ylabel(figstyle.label("$v_-$", SPEED))
            axes[1].legend(fontsize=6)
            for panel in axes[1:]:
                panel.set_xlabel(figstyle.label("$x$", "mm"))
        return Path(path)


def normal_draws(space: Space, mean: Array, covariance: Array, count: int, seed: int = 0) -> Array:
    """Draws u of a joint normal distribution inside the bounds, shape (count, p).

    Raises
    ------
    InputError
        A covariance so wide that most draws leave the bounds.
    """
    generator = np.random.default_rng(seed)
    low, high = space.bounds
    draws: list[Array] = []
    tried = 0
    while len(draws) < count:
        u = generator.multivariate_normal(mean, covariance, method="cholesky")
        tried += 1
        if np.all(u > low) and np.all(u < high):
            draws.append(u)
        elif tried > 50 and len(draws) < 0.2 * tried:
            raise InputError("most draws of the set's covariance leave the bounds of its parameters; it is too wide")
    return np.array(draws)


def bands(
    model: SetModel,
    draws: Array,
    cell: Cell,
    protocol: Protocol,
    *,
    c0: float | InitialProfile,
    times: Array,
    positions: Array,
    solver: str = "sundials",
    options: Options | None = None,
    quantiles: Sequence[float] = QUANTILES,
    workers: int = 1,
    progress: Progress | None = None,
) -> Bands:
    """Run a cell for every draw and take quantiles.

    Parameters
    ----------
    model : SetModel
        Values -> set.
    draws : ndarray, shape (n, p)
        Points u of the model's parameters.
    cell, protocol, c0
        As :func:`cellsim.simulate`.
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
    for u in draws:
        try:
            transport = model.at(space.values(u), cell.temperature)
        except InputError:  # counted as failed below, like a run that does not end
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

    runs = simulate_many(members, keep=keep, workers=workers, progress=progress)
    good = [o.value for o in runs if o.succeeded and o.value is not None]
    failed = len(draws) - len(good)
    if len(good) < max(2, len(draws) // 2):
        why = next((o.error for o in runs if o.error), "they end early")
        raise ConvergenceError(f"{failed} of {len(draws)} draws of the set could not be run to the end: {why}")
    q = np.quantile(np.array(good), list(quantiles), axis=0)
    k = positions.size
    c, v = q[:, 2 : 2 + k].transpose(0, 2, 1), q[:, 2 + k :].transpose(0, 2, 1)
    return Bands(times, positions, tuple(quantiles), q[:, 0], q[:, 1], c, v, len(good), failed)


def bands_of_case(
    case: Case, draws: int, *, seed: int = 0, workers: int = 1, progress: Progress | None = None
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
        model,
        points,
        case.cell,
        case.protocol,
        c0=case.start,
        times=times,
        positions=positions,
        workers=workers,
        progress=progress,
    )


def write_bands(case: Case, bands: Bands, directory: str | Path) -> list[str]:
    """Write ``bands.csv`` (i and V with their quantiles) and ``bands.png``; what was found, in lines."""
    directory = Path(directory)
    names = [f"{100 * q:g}%" for q in bands.quantiles]
    head = ["time (s)", *(f"i {n} (A/m^2)" for n in names), *(f"V {n} (V)" for n in names)]
    table = np.column_stack([bands.time, bands.i.T, bands.V.T])
    with replacing(directory / "bands.csv") as partial:
        np.savetxt(partial, table, delimiter=",", header=",".join(head), comments="", fmt="%.9g")
    bands.draw(directory / "bands.png", title=case.title, note=case.transport.note)
    return bands.lines()


# ---- on the functions of a fitted set ------------------------------------------------------------------------------


@dataclass(frozen=True)
class PropertyBands:
    """The set's functions over what was visited, with 95 % bands.

    Parameters
    ----------
    c : ndarray, shape (n,)
        [mol/m^3]
    best : dict
        Function (:data:`FUNCTIONS`) -> values, shape (n,) [SI].
    low, high : dict
        2.5 and 97.5 % quantiles over draws of the parameters.
    """

    c: Array
    best: dict[str, Array]
    low: dict[str, Array]
    high: dict[str, Array]


def visited(fit: Estimate) -> tuple[float, float]:
    """Smallest and largest concentration in any of the experiments, walls included [mol/m^3]."""
    problem, values = fit.problem, fit.values
    visited = []
    for e in problem.experiments:
        transport = problem.transport(values, e.cell.temperature)
        for o in e.observations:
            if isinstance(o.look, SetLook):
                visited.append(o.look.c if np.isnan(o.look.c_ref) else np.append(o.look.c, o.look.c_ref))
        solution = e.run(transport, values)
        if solution is not None:
            visited.append(solution["c_face"])
    return min(float(c.min()) for c in visited), max(float(c.max()) for c in visited)


def draws(fit: Estimate, count: int = 300, seed: int = 0) -> Array:
    """Points u by the curvature, shape (count, p), inside the bounds; flat directions reach two units."""
    weight, directions = np.linalg.eigh(fit.information)
    sd = np.minimum(1 / np.sqrt(np.maximum(weight, 1e-30)), 2.0)
    points = fit.u + (np.random.default_rng(seed).standard_normal((count, fit.u.size)) * sd) @ directions.T
    return np.clip(points, *fit.space.bounds)


def property_bands(fit: Estimate, points: Array | None = None, *, nodes: int = 60) -> PropertyBands:
    """The set's functions over what was visited.

    Parameters
    ----------
    fit : Estimate
        The fit.
    points : ndarray, shape (n, p), optional
        Draws u; default by the curvature.
    nodes : int
        Concentrations.

    Returns
    -------
    PropertyBands
    """
    c = np.linspace(*visited(fit), nodes)
    T = fit.problem.experiments[0].cell.temperature

    def values(u: Array) -> Array:
        transport = fit.problem.transport(fit.space.values(u), T)
        return np.array([getattr(transport, name)(c) for name in FUNCTIONS])

    sampled = []
    for u in draws(fit) if points is None else points:
        try:
            sampled.append(values(u))
        except CellsimError:
            continue
    best = values(fit.u)
    low, high = np.quantile(np.array(sampled), [0.025, 0.975], axis=0) if sampled else (best, best)
    return PropertyBands(c, *(dict(zip(FUNCTIONS, rows, strict=True)) for rows in (best, low, high)))


def draw_properties(
    bands: PropertyBands, path: str | Path, *, fitted: Sequence[str] = (), title: str = "", note: str = ""
) -> Path:
    """The four functions over the concentrations visited, with 95 % bands.

    Parameters
    ----------
    bands : PropertyBands
        What :func:`property_bands` gives.
    path : str or Path
        PNG, PDF or SVG.
    fitted : sequence of str
        The properties that were fitted; the others are drawn grey.
    title, note : str
        Above and below.

    Returns
    -------
    Path
    """
    size = {"width": figstyle.TWO_COLUMNS, "height": 1.8}
    x = bands.c / 1e3
    with figstyle.drawing(path, 2, 2, title=title, note=note, sharex=True, **size) as (_, axes):
        for panel, (name, best) in zip(axes, bands.best.items(), strict=True):
            kind = PROPERTIES.get(name)
            scale = 10.0 ** np.floor(np.log10(np.max(np.abs(best)))) if name == "D" else 1.0
            touched = name in fitted or (kind is None and {"chi", "t_plus"} & set(fitted))
            colour = figstyle.COLOURS[0] if touched else figstyle.GREY
            low, high = bands.low[name] / scale, bands.high[name] / scale
            panel.fill_between(x, low, high, color=colour, alpha=0.25, linewidth=0)
            panel.plot(x, best / scale, color=colour)
            symbol, unit = (kind.symbol, kind.figure_unit) if kind else (PRODUCT, "1")
            power = "" if scale == 1.0 else f"10$^{{{int(np.log10(scale))}}}$ "
            panel.set_ylabel(figstyle.label(symbol, power + unit))
            # a band that says "not known" would flatten the rest: three times the best value is enough of it
            size_of = float(np.max(np.abs(best / scale)))
            bottom, top = max(float(np.min(low)), -3 * size_of), min(float(np.max(high)), 3 * size_of)
            pad = 0.08 * (top - bottom) or 0.1 * size_of
            panel.set_ylim(bottom - pad, top + pad)
            panel.set_xlim(x[0], x[-1])
        for panel in axes[2:]:
            panel.set_xlabel(figstyle.label("$c$", "mol L$^{-1}$", "salt, where the experiments have been"))
    return Path(path)
