"""What the uncertainty of a set means for a prediction: bands on i(t), V(t), c(x, t) and v(x, t).

Draws of the set's numbers, from the covariance its file states or from a posterior, each run through the cell. Draws
that no cell can be run with are counted, never passed over in silence.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cellsim.base import Array, ConvergenceError, InputError, Progress
from cellsim.cell.geometry import Cell, InitialProfile
from cellsim.cell.protocol import Protocol
from cellsim.drawing import figstyle
from cellsim.drawing.figstyle import ANGSTROM, CONCENTRATION, CURRENT, SPEED
from cellsim.electrolyte.mixture_set import Electrolyte
from cellsim.electrolyte.relations import band
from cellsim.files.writing import replacing, write_netcdf
from cellsim.fit.mixture_model import MixtureModel, own_model
from cellsim.fit.parameters import JointPrior, Space
from cellsim.fit.set_model import SetModel
from cellsim.run.case import Case
from cellsim.run.ensemble import Member, simulate_many
from cellsim.run.mixture import MixtureCase
from cellsim.run.simulation import FASTEST
from cellsim.solvers.march import Options
from cellsim.solvers.solution import FRAMES as KNOWN_FRAMES
from cellsim.solvers.solution import Solution

if TYPE_CHECKING:
    import xarray as xr

QUANTILES = (0.025, 0.16, 0.5, 0.84, 0.975)
FRACTIONS = (0.03, 0.1, 0.3, 1.0)
"""Of the run: when profiles are drawn."""
POSITIONS, TIMES = 41, 60
"""Places and times at which a case gets its bands."""

SPECIES = ("v_0", "v_minus", "v_plus")
FRAMES = ("interface", "lab")
"""Velocities that get bands: of these species of a binary salt, or of all of n components, in these frames."""
LEVEL = 0.95
"""Of the bands that hold everywhere at once."""
UNFINISHED = "bands.partial"
"""Folder of the draws that have been run while others have not."""


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
        Which, point by point.
    i, V : ndarray, shape (q, t)
        Current density and voltage [A/m^2, V].
    c : ndarray, shape (q, t, k)
        Concentration of the salt; of n components that of the cation [mol/m^3].
    velocities : mapping
        (velocity, frame), of :data:`SPECIES` or ``"v_EC"`` and of :data:`FRAMES` -> quantiles, shape (q, t, k) [m/s].
    everywhere : mapping
        "i", "V", "c", those of `others` and every (velocity, frame) -> lower and upper end of the band that holds 95 %
        of the draws at all times and places at once, shape (2, t) or (2, t, k) [SI].
    draws : int
        How many runs they rest on.
    failed : int
        How many draws could not be run to the end; they are left out, which biases the bands.
    shares : mapping
        Of several solvents the share of each in all solvent molecules -> quantiles, shape (q, t, k) [1].
    others : mapping
        Of n components the concentrations of the others, ``"c_EC"`` -> quantiles, shape (q, t, k) [mol/m^3].
    """

    time: Array
    position: Array
    quantiles: tuple[float, ...]
    i: Array
    V: Array
    c: Array
    velocities: Mapping[tuple[str, str], Array]
    everywhere: Mapping[str | tuple[str, str], Array]
    draws: int
    failed: int
    shares: Mapping[str, Array] = field(default_factory=dict)
    others: Mapping[str, Array] = field(default_factory=dict)

    @property
    def v_minus(self) -> Array:
        """Anion velocity, interface frame, shape (q, t, k) [m/s]."""
        return self.velocities["v_minus", "interface"]

    @property
    def _answer(self) -> tuple[str, Array]:
        """The current, or the voltage where the current is imposed at the end."""
        imposed = bool(np.ptp(self.i[:, -1]) <= 1e-9 * np.max(np.abs(self.i)))
        return ("V", self.V) if imposed else ("i", self.i)

    def lines(self) -> list[str]:
        """What the terminal shows."""
        name, values = self._answer
        unit = {"i": "A/m^2", "V": "V"}[name]
        low, middle, high = (float(values[k, -1]) for k in (0, 2, 4))
        lines = [
            f"{name} at the end: {middle:.4g} {unit}, 95 % {low:.4g} to {high:.4g} ({self.draws} draws of the set)"
        ]
        for solvent, share in self.shares.items():
            low, middle, high = (100 * share[k, -1][[0, -1]] for k in (0, 2, 4))
            ends = (f"{m:.4g} % ({a:.4g} to {b:.4g})" for a, m, b in zip(low, middle, high, strict=True))
            lines.append(f"{solvent} of the solvent at the end, at the two electrodes: {', '.join(ends)}")
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

        variables: dict[str, Any] = {}
        plain = {"i": (self.i, "A/m^2"), "V": (self.V, "V"), "c": (self.c, "mol/m^3")}
        for name, (values, unit) in (plain | {name: (c, "mol/m^3") for name, c in self.others.items()}).items():
            dims = ("time", "position")[: values.ndim - 1]
            variables[name] = (("quantile", *dims), values, {"units": unit})
            variables[f"{name}_everywhere"] = (("end", *dims), self.everywhere[name], {"units": unit})
        for name, share in self.shares.items():
            variables[f"share_{name}"] = (("quantile", "time", "position"), share, {"units": "1"})
        for species in dict.fromkeys(name for name, _ in self.velocities):
            both = np.stack([self.velocities[species, frame] for frame in FRAMES])
            ends = np.stack([self.everywhere[species, frame] for frame in FRAMES])
            variables[species] = (("frame", "quantile", "time", "position"), both, {"units": "m/s"})
            variables[f"{species}_everywhere"] = (("frame", "end", "time", "position"), ends, {"units": "m/s"})
        coords = {
            "quantile": list(self.quantiles),
            "end": ["low", "high"],
            "frame": list(FRAMES),
            "time": ("time", self.time, {"units": "s"}),
            "position": ("position", self.position, {"units": "m"}),
        }
        return xr.Dataset(variables, coords, {"draws": self.draws, "failed": self.failed, "level_everywhere": LEVEL})

    def draw(self, path: str | Path, *, title: str = "", note: str = "") -> Path:
        """Median, 68 % and 95 % of i(t), and 95 % of three maps of x at four times of the run.

        These are c, v- and the solvent's velocity; of n components c of the cation and of two others.

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
        text = f"{self.draws} draws; shaded: 95 % (dark: 68 %); dashed: 95 % at all times at once."
        if self.failed:
            text += f" {self.failed} draws could not be run and are left out."
        layout = {"title": title, "note": f"{text} {note}".strip(), "width": figstyle.TWO_COLUMNS, "height": 2.0}
        with figstyle.drawing(path, 2, 2, **layout) as (_, axes):
            name, values = self._answer
            for low, high, alpha in ((0, 4, 0.2), (1, 3, 0.3)):
                axes[0].fill_between(t, values[low], values[high], color=blue, alpha=alpha, linewidth=0)
            axes[0].plot(t, values[2], color=blue)
            for end in self.everywhere[name]:
                axes[0].plot(t, end, color=blue, linestyle="--", linewidth=0.7)
            axes[0].set_xlabel(figstyle.label("$t$", unit))
            axes[0].set_ylabel(figstyle.label(f"${name}$", {"i": CURRENT, "V": "V"}[name]))
            shown = np.unique(np.searchsorted(self.time, np.array(FRACTIONS) * self.time[-1]))
            for k, colour in zip(np.minimum(shown, t.size - 1), figstyle.shades(shown.size), strict=True):
                for panel, (values, label) in zip(axes[1:], self._maps(), strict=False):
                    panel.fill_between(mm, values[0, k], values[4, k], color=colour, alpha=0.25, linewidth=0)
                    panel.plot(mm, values[2, k], color=colour, label=f"{t[k]:.3g} {unit}")
                    panel.set_ylabel(label)
            axes[1].legend(fontsize=6)
            for panel in axes[1:]:
                panel.set_xlabel(figstyle.label("$x$", "mm"))
        return Path(path)

    def _maps(self) -> list[tuple[Array, str]]:
        """What is drawn against x: values, shape (q, t, k), and the label of the axis."""
        if not self.others:
            return [
                (1e-3 * self.c, figstyle.label("$c$", CONCENTRATION)),
                (ANGSTROM * self.v_minus, figstyle.label("$v_-$", SPEED)),
                (ANGSTROM * self.velocities["v_0", "lab"], figstyle.label("$v_0$", SPEED, "lab")),
            ]
        maps = [(1e-3 * self.c, figstyle.label("cation", CONCENTRATION))]
        maps += [(100 * share, f"{name} of the solvent (%)") for name, share in list(self.shares.items())[:-1]]
        # a single anion is where its cation is
        others = {name: c for name, c in self.others.items() if not np.allclose(c, self.c, rtol=1e-9)}
        return maps + [(1e-3 * c, figstyle.label(name[2:], CONCENTRATION)) for name, c in others.items()]


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


def prior_draws(space: Space, prior: JointPrior, count: int, seed: int = 0) -> Array:
    """Draws u of a set's numbers, shape (count, p): of those it brought along, or else of its normal distribution.

    Raises
    ------
    InputError
        As :func:`normal_draws`, or draws of which most lie outside the bounds.
    """
    if prior.draws is None:
        return normal_draws(space, prior.mean, prior.covariance, count, seed)
    low, high = space.bounds
    inside = prior.draws[np.all((prior.draws > low) & (prior.draws < high), axis=1)]
    if len(inside) < 0.2 * len(prior.draws):
        raise InputError("most draws of the set leave the bounds of its parameters; they are too wide")
    rows = np.random.default_rng(seed).choice(len(inside), count, replace=count > len(inside))
    return np.asarray(inside[rows])


def bands(
    model: SetModel | MixtureModel,
    draws: Array,
    cell: Cell,
    protocol: Protocol,
    *,
    c0: float | InitialProfile | Array,
    times: Array,
    positions: Array,
    solver: str = FASTEST,
    options: Options | None = None,
    quantiles: Sequence[float] = QUANTILES,
    workers: int = 1,
    folder: Path | None = None,
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
    folder : Path, optional
        Where the draws that have been run are kept until all are, so that a call after a kill goes on from them.
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
    concentrations, species = ["c"], list(SPECIES)
    if isinstance(model, MixtureModel):
        concentrations = [f"c_{name}" for name in model.base.species]
        species = [f"v_{name}" for name in model.base.species]
    keep = partial(_kept, times, positions, concentrations, species)
    good, failed = runs_of_draws(
        model,
        draws,
        cell,
        protocol,
        c0,
        times,
        keep,
        solver=solver,
        options=options,
        workers=workers,
        folder=folder,
        progress=progress,
    )
    others = concentrations[1:]
    names: list[Any] = ["i", "V", "c", *others, *((name, frame) for name in species for frame in FRAMES)]
    found: dict[Any, Array] = {}
    whole: dict[Any, Array] = {}
    for k, name in enumerate(names):
        values = np.array([run[k] for run in good])
        found[name] = band(values, quantiles)
        whole[name] = everywhere(values)
    i, V, c, *rest = (found.pop(name) for name in ("i", "V", "c", *others))
    more = dict(zip(others, rest, strict=True))
    shares: dict[str, Array] = {}
    if isinstance(model, MixtureModel) and model.base.neutral:
        solvents = [*(model.base.components[k] for k in model.base.neutral), model.base.solvent]
        amounts = np.array([[run[names.index(f"c_{name}")] for run in good] for name in solvents])
        of_all = band(amounts / amounts.sum(axis=0), quantiles, axis=1)
        shares = {name: of_all[:, k] for k, name in enumerate(solvents)}
    return Bands(times, positions, tuple(quantiles), i, V, c, found, whole, len(good), failed, shares, more)


def runs_of_draws(
    model: SetModel | MixtureModel,
    draws: Array,
    cell: Cell,
    protocol: Protocol,
    c0: float | InitialProfile | Array,
    times: Array,
    keep: Callable[[Solution], list[Array] | None],
    *,
    solver: str,
    options: Options | None = None,
    workers: int = 1,
    folder: Path | None = None,
    progress: Progress | None = None,
) -> tuple[list[list[Array]], int]:
    """What `keep` makes of the run of each draw that comes to its end, and how many do not.

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
    runs = simulate_many(members, keep=keep, workers=workers, folder=folder, progress=progress)
    if folder is not None:
        shutil.rmtree(folder)
    good = [o.value for o in runs if o.succeeded and o.value is not None]
    failed = len(draws) - len(good)
    if len(good) < max(2, len(draws) // 2):
        why = next((o.error for o in runs if o.error), "they end early")
        raise ConvergenceError(f"{failed} of {len(draws)} draws of the set could not be run to the end: {why}")
    return good, failed


def _kept(
    times: Array, positions: Array, concentrations: Sequence[str], species: Sequence[str], s: Solution
) -> list[Array] | None:
    """i, V, concentrations and velocities of a run at `times` and `positions`; None of one that ends early."""
    if not s.succeeded:
        return None
    t = s["time"]

    def at_places(values: Array) -> Array:
        rows = [np.interp(positions, faces, row) for faces, row in zip(s["position_face"], values, strict=True)]
        return np.stack([np.interp(times, t, column) for column in np.array(rows).T], axis=1)

    places = [KNOWN_FRAMES.index(frame) for frame in FRAMES]
    maps = [*(s[s.at_faces(name)] for name in concentrations), *(s[v][place] for v in species for place in places)]
    return [np.interp(times, t, s["i"]), np.interp(times, t, s["V"]), *(at_places(values) for values in maps)]


def everywhere(values: Array, level: float = LEVEL) -> Array:
    """The band that holds `level` of all curves as a whole, in the proportions of the band that holds it pointwise.

    The 95 % quantiles at every point, about the median, are widened by one factor until that share of the curves lies
    inside everywhere.

    Parameters
    ----------
    values : ndarray, shape (n, ...)
        Curves or maps.
    level : float
        Share of them to be held [1].

    Returns
    -------
    ndarray, shape (2, ...)
        Lower and upper end.
    """
    low, middle, high = np.quantile(values, [0.5 - level / 2, 0.5, 0.5 + level / 2], axis=0)
    size = np.maximum(np.max(np.abs(middle)), 1e-300)
    with np.errstate(divide="ignore", invalid="ignore"):
        off = np.where(values >= middle, (values - middle) / (high - middle), (middle - values) / (middle - low))
    # where nothing varies, such as the voltage that is held, round-off is no excursion
    off = np.where((high - low) > 1e-12 * size, off, 0.0)
    factor = max(float(band(off.reshape(len(values), -1).max(axis=1), [level])[0]), 1.0)
    return np.stack([middle - factor * (middle - low), middle + factor * (high - middle)])


def bands_of_case(
    case: Case | MixtureCase,
    draws: int,
    *,
    seed: int = 0,
    workers: int = 1,
    folder: str | Path | None = None,
    progress: Progress | None = None,
) -> Bands:
    """Bands on i(t), V(t), c(x, t) and the velocities by draws of the set's own covariance.

    Parameters
    ----------
    case : Case or MixtureCase
        Its set must have a [covariance].
    draws : int
        How many.
    seed : int
        Of the draws.
    workers : int
        Processes.
    folder : str or Path, optional
        The run's folder. Draws of n components, which take a second each, are kept in its :data:`UNFINISHED` until all
        have been run; a call after a kill goes on from them.
    progress : callable, optional
        Called with (runs done, of all).

    Returns
    -------
    Bands

    Raises
    ------
    InputError
        A set without a covariance.
    """
    model, points = own_draws(case, draws, seed)
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
        solver=case.fastest,
        workers=workers,
        folder=Path(folder) / UNFINISHED if folder is not None and isinstance(case, MixtureCase) else None,
        progress=progress,
    )


def drawn_sets(transport: Electrolyte, count: int, *, seed: int = 0) -> list[Electrolyte]:
    """The set with the numbers that its own [covariance] names drawn anew, from the draws beside it where it has them.

    Parameters
    ----------
    transport : TransportSet or MixtureSet
        With a covariance.
    count : int
        How many are drawn.
    seed : int
        Of the draws.

    Returns
    -------
    list of TransportSet or MixtureSet
        Fewer than `count` where drawn numbers make no electrolyte: properties or a matrix that are not positive.

    Raises
    ------
    InputError
        A set without a covariance.
    """
    model, prior = own_model(transport)
    space = Space(model.parameters)
    found: list[Electrolyte] = []
    for u in prior_draws(space, prior, count, seed):
        with suppress(InputError):
            found.append(model.at(space.values(u), transport.T))
    return found


def own_draws(case: Case | MixtureCase, count: int, seed: int) -> tuple[SetModel | MixtureModel, Array]:
    """The set of a case as a model of the numbers its [covariance] names, and draws of them.

    Raises
    ------
    InputError
        A set without a covariance.
    """
    model, prior = own_model(case.transport)
    return model, prior_draws(Space(model.parameters), prior, count, seed)


def write_bands(case: Case | MixtureCase, bands: Bands, directory: str | Path) -> list[str]:
    """Write ``bands.csv`` (i and V with their quantiles), ``bands.nc`` and ``bands.png``; what was found, in lines."""
    directory = Path(directory)
    names = [f"{100 * q:g}%" for q in bands.quantiles]
    head = ["time (s)", *(f"i {n} (A/m^2)" for n in names), *(f"V {n} (V)" for n in names)]
    table = np.column_stack([bands.time, bands.i.T, bands.V.T])
    with replacing(directory / "bands.csv") as partial:
        np.savetxt(partial, table, delimiter=",", header=",".join(head), comments="", fmt="%.9g")
    write_netcdf(directory / "bands.nc", bands.dataset())
    bands.draw(directory / "bands.png", title=case.title, note=case.transport.note)
    return bands.lines()
