"""Sweeps: one case over lists of values of any of its keys, or of its transport set's (docs/sweep.md).

Every combination is a case of its own, read and checked like one; the runs are members of an ensemble. What is kept of
each is a few numbers and its current and voltage over time, and beside them closed forms: of a binary salt also the
limiting current by quadrature, of n components Sand's time.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cellsim.base import Array, ConvergenceError, InputError, RangeError
from cellsim.electrolyte.mixture_set import MixtureSet
from cellsim.files.folder import result_folder, text_hash
from cellsim.files.writing import write_netcdf, write_rows
from cellsim.model.closed_forms import Layer, depletion_time, sand_time
from cellsim.model.mixture import sand_time as sand_time_of_species
from cellsim.model.plan import layer_of, stop_concentration
from cellsim.model.small_signals import settling_time
from cellsim.model.steady import LimitingCurrent, limiting_current
from cellsim.run.axes import Sweep
from cellsim.run.case import Case, changed
from cellsim.run.ensemble import Member, simulate_many
from cellsim.run.mixture import MixtureCase, any_case_of
from cellsim.run.simulation import charging, output_times
from cellsim.solvers.solution import MixtureSolution, Solution

if TYPE_CHECKING:
    import xarray as xr

SAMPLES = 200
"""Times at which current and voltage of each run are kept."""
HERE, HERE_OF_SPECIES = 300, 6
"""Up to so many runs of a fast solver are made in this process, and of n components: starting others takes longer."""

MEMBERS = "members"
"""Folder in that of the sweep, where single results wait until all are there."""

COMMON = {
    "i_0": ("A/m^2", "current density at the start"),
    "i_end": ("A/m^2", "current density at the end"),
    "V_0": ("V", "voltage at the start"),
    "V_end": ("V", "voltage at the end"),
    "V_bulk_end": ("V", "voltage at the end without the interfaces"),
    "charge": ("C/m^2", "charge passed per area"),
    "time_end": ("s", "end of the run"),
    "time_to_1_percent": (
        "s",
        "time in the last step after which its current, or an imposed current's voltage, stays within 1 % of the end",
    ),
    "time_to_depletion": ("s", "time at which no salt was left at an electrode, if that happened"),
    "salt_drift": ("1", "relative change of the salt inventory, or of the amount of a species"),
}
"""What is kept of every run: name -> unit and meaning."""
QUANTITIES = COMMON | {
    "c_min": ("mol/m^3", "least salt concentration of the run"),
    "c_max": ("mol/m^3", "largest salt concentration of the run"),
}
"""What is kept of a run of a binary salt; of n components see :func:`species_quantities`."""

LAWS = {
    "sand_time": ("s", "Sand's time of the first current, for the properties at the average concentration"),
    "depletion_by_formula": (
        "s",
        "when these properties would deplete an electrode of this cell, its thickness counted",
    ),
    "settling_by_formula": (
        "s",
        "when a small response of this cell would stay within 1 % of its end, to a first step",
    ),
}
"""Closed forms of constant properties beside them: name -> unit and meaning."""


def species_quantities(transport: MixtureSet) -> dict[str, tuple[str, str]]:
    """What is kept of a run of n components, name -> unit and meaning: of every species, and of every cosolvent."""
    found = dict(COMMON)
    for name in transport.species:
        found[f"c_min_{name}"] = ("mol/m^3", f"least concentration of {name} in the run")
        found[f"c_max_{name}"] = ("mol/m^3", f"largest concentration of {name} in the run")
    for name in transport.components:
        found[f"V_end_{name}"] = ("V", f"voltage at the end that the gradient of {name} adds")
    for name in cosolvents(transport):
        found[f"share_min_{name}"] = ("1", f"least share of {name} among the solvent molecules in the run")
        found[f"share_max_{name}"] = ("1", f"largest share of {name} among the solvent molecules in the run")
    return found


def cosolvents(transport: MixtureSet) -> tuple[str, ...]:
    """Names of the neutral components."""
    return tuple(transport.components[k] for k in transport.neutral)


# ---- running ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class SweepResult:
    """What came of a sweep.

    Parameters
    ----------
    sweep : Sweep
        What was asked.
    title : str
        Of the case.
    drive : str
        "voltage" or "current": what the first step that is no rest imposes.
    status : ndarray of str, shape (n,)
        Of each run; "refused" where it could not be made.
    message : list of str
        What went wrong, "" where nothing did.
    meanings : mapping
        Name -> unit and meaning of what is listed: :data:`QUANTITIES` and :data:`LAWS` of a binary salt,
        :func:`species_quantities` and Sand's time of n components.
    values : mapping
        The same names -> values, shape (n,) [SI]; NaN where there is none.
    curves : ndarray, shape (n, 3, SAMPLES)
        Time [s], i [A/m^2] and V [V] of each run.
    limits : list of LimitingCurrent or None
        By quadrature.
    layers : list of Layer or None
        Constant properties of each run's cell at its average concentration; None where the first step is no hold.
    transport : MixtureSet, optional
        That of the first run of n components; None of a binary salt.
    """

    sweep: Sweep
    title: str
    drive: str
    status: Array
    message: list[str]
    meanings: Mapping[str, tuple[str, str]]
    values: Mapping[str, Array]
    curves: Array
    limits: list[LimitingCurrent | None]
    layers: list[Layer | None]
    transport: MixtureSet | None = None

    @property
    def refused(self) -> list[int]:
        """Runs that could not be made."""
        return [k for k, status in enumerate(self.status) if status == "refused"]

    def limit(self) -> Array:
        """Limiting current of each run's cell [A/m^2]."""
        return np.array([np.nan if limit is None else limit.i for limit in self.limits])

    def lines(self) -> list[str]:
        """What to print: how many, what ended early, and a table where it is short."""
        n = self.status.size
        ended = [f"{int(np.sum(self.status == s))} {s}" for s in dict.fromkeys(self.status)]
        lines = [f"{self.title}: {n} runs ({', '.join(ended)})"]
        points = self.sweep.points()
        shown = ("c_min", "c_max") if self.transport is None else "c_min"
        ends = [name for name in self.values if name.startswith(shown)]
        rows = [["", "status", "i_0", "i_end", "V_end", *ends]]
        rows.append(["", "", "A/m^2", "A/m^2", "V", *["mol/L"] * len(ends)])
        if self.transport is None:
            rows = [[*rows[0], "i_limit"], [*rows[1], "A/m^2"]]
        for k in range(min(n, 40)):
            v = {name: values[k] for name, values in self.values.items()}
            numbers = [v["i_0"], v["i_end"], v["V_end"], *(v[name] / 1e3 for name in ends)]
            numbers += [self.limit()[k]] if self.transport is None else []
            rows.append(
                [self.sweep.words(points[k]), self.status[k], *("-" if np.isnan(x) else f"{x:.4g}" for x in numbers)]
            )
        widths = [max(len(row[j]) for row in rows) for j in range(len(rows[0]))]
        lines += [
            "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip() for row in rows
        ]
        if n > 40:
            lines.append(f"and {n - 40} more in sweep.csv")
        return lines + [f"{self.sweep.words(points[k])}: {self.message[k]}" for k in self.refused[:5]]


def run_sweep(
    sweep: Sweep,
    directory: str | Path,
    *,
    workers: int | None = None,
    scheduler: str | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> SweepResult:
    """Make the runs; those that an interrupted call has made are read from `directory`.

    Parameters
    ----------
    sweep : Sweep
        What to run.
    directory : str or Path
        Where results are kept until all are there.
    workers, scheduler
        As :func:`.simulate_many`; default: this process where that is faster, else one per core.
    progress : callable, optional
        Called with the number done and of all.

    Returns
    -------
    SweepResult

    Raises
    ------
    InputError
        If not a single one of the runs can be made; then the first one's reason.
    """
    points = sweep.points()
    cases: list[Case | MixtureCase | InputError] = []
    for point in points:
        try:
            cases.append(any_case_of(changed(sweep.top, point)))
        except InputError as error:
            cases.append(error)
    made = [k for k, case in enumerate(cases) if not isinstance(case, InputError)]
    if not made:
        assert isinstance(cases[0], InputError)
        many = "the run" if len(points) == 1 else f"all {len(points)} runs, the first"
        raise InputError(f"nothing can be run; the case refuses {many} with {sweep.words(points[0])}: {cases[0]}")
    first = _one_kind(sweep, {k: cases[k] for k in made})  # type: ignore[misc]
    members = [_member(cases[k], sweep.words(points[k])) for k in made]  # type: ignore[arg-type]
    slow = {member.solver for member in members} & {"fipy", "material"}
    here = HERE if isinstance(first, Case) else HERE_OF_SPECIES
    if workers is None and scheduler is None and len(members) <= here and not slow:
        workers = 1
    transport = first.transport if isinstance(first, MixtureCase) else None
    meanings = QUANTITIES | LAWS
    if transport is not None:
        meanings = species_quantities(transport) | {"sand_time": LAWS["sand_time"]}
    folder = Path(directory) / MEMBERS
    keep = kept if transport is None else partial(kept, solvents=(*cosolvents(transport), transport.solvent))
    outcomes = simulate_many(members, workers=workers, scheduler=scheduler, keep=keep, folder=folder, progress=progress)
    n = len(points)
    status, message = np.full(n, "refused", dtype=object), [""] * n
    values = {name: np.full(n, np.nan) for name in meanings}
    curves = np.full((n, 3, SAMPLES), np.nan)
    limits: list[LimitingCurrent | None] = [None] * n
    layers: list[Layer | None] = [None] * n
    for k, case in enumerate(cases):
        if isinstance(case, InputError):
            message[k] = str(case)
    for k, outcome in zip(made, outcomes, strict=True):
        case = cases[k]
        if isinstance(case, Case):
            limits[k] = _limit(case)
            layers[k], laws = _laws(case)
        elif isinstance(case, MixtureCase):
            laws = _laws_of_species(case)
        for name, value in laws.items():
            values[name][k] = value
        if not outcome.succeeded:
            message[k] = outcome.error.partition(": ")[2] or outcome.error
            continue
        status[k], message[k] = str(outcome.value["status"]), str(outcome.value["message"])
        for name in meanings.keys() - LAWS.keys():
            values[name][k] = outcome.value[name]
        curves[k] = outcome.value["curves"]
    drive = next((step.drive for step in first.protocol.steps if not step.is_rest), "current")
    title = f"{first.title}: over {', '.join(axis.key for axis in sweep.axes)}"
    return SweepResult(sweep, title, drive, status, message, meanings, values, curves, limits, layers, transport)


def _one_kind(sweep: Sweep, cases: Mapping[int, Case | MixtureCase]) -> Case | MixtureCase:
    """The first case, once all are known to be of the same species: of others no table has a common column."""
    first = next(iter(cases.values()))
    for k, case in cases.items():
        own, other = (c.transport.species if isinstance(c, MixtureCase) else ("one salt",) for c in (first, case))
        if own != other:
            raise InputError(
                f"{sweep.top.file}: a sweep is over sets of the same species, and these have {', '.join(own)} in one "
                f"run and {', '.join(other)} in the run with {sweep.words(sweep.points()[k])}; make two sweeps of it"
            )
    return first


def _member(case: Case | MixtureCase, label: str) -> Member:
    times = output_times(case.protocol)
    if isinstance(case, Case) and case.cell.has_double_layers:
        times = np.union1d(times, charging(case.cell, case.transport, case.start).times(case.protocol))
    return Member(
        case.cell, case.transport, case.protocol, case.start, times, case.solver.name, case.solver.options, label
    )


def kept(solution: Solution, solvents: Sequence[str] = ()) -> dict[str, Any]:
    """What is kept of one run: :data:`QUANTITIES` or :func:`species_quantities`, status, and curves.

    Parameters
    ----------
    solution : Solution
        The run.
    solvents : sequence of str
        Of n components the neutral species, the reference solvent last.

    Returns
    -------
    dict
    """
    t, i, V = solution["time"], solution["i"], solution["V"]
    interfaces = solution["V_positive"] + solution["V_negative"]
    own = _of_species(solution, solvents) if isinstance(solution, MixtureSolution) else _ends_of_salt(solution)
    last = solution.log[-1]
    response = i if "voltage" in str(last["drive"]) else V
    even = np.linspace(0.0, 1.0, SAMPLES)
    spread = np.interp(even, np.linspace(0, 1, t.size), t)  # as dense as the solver's own output: early times are kept
    return {
        "status": solution.status,
        "message": solution.message,
        "i_0": float(i[0]),
        "i_end": float(i[-1]),
        "V_0": float(V[0]),
        "V_end": float(V[-1]),
        "V_bulk_end": float(V[-1] - interfaces[-1]),
        "charge": float(np.trapezoid(i, t)),
        "time_end": float(t[-1]),
        "time_to_1_percent": _settled(t - last["t_start"], response, t >= last["t_start"]),
        "time_to_depletion": float(t[-1]) if solution.status == "depleted" else np.nan,
        "salt_drift": float(solution.salt_drift),
        "curves": np.array([spread, np.interp(spread, t, i), np.interp(spread, t, V)]),
    } | own


def _ends_of_salt(solution: Solution) -> dict[str, float]:
    every = np.concatenate([solution["c"].ravel(), solution["c_face"].ravel()])
    return {"c_min": float(every.min()), "c_max": float(every.max())}


def _of_species(solution: MixtureSolution, solvents: Sequence[str]) -> dict[str, float]:
    """Of every species its least and largest concentration, of every component its part of V, and the shares."""
    found: dict[str, float] = {}
    names, components = solution.labels["species"], solution.labels["component"]
    for k, name in enumerate(names):
        every = np.concatenate([solution["c"][k].ravel(), solution["c_face"][k].ravel()])
        found |= {f"c_min_{name}": float(every.min()), f"c_max_{name}": float(every.max())}
    for k, name in enumerate(components):
        found[f"V_end_{name}"] = float(solution["V_component"][k, -1])
    amounts = {name: solution["c_face"][names.index(name)] for name in solvents}
    for name in solvents[:-1]:
        share = amounts[name] / sum(amounts.values())
        found |= {f"share_min_{name}": float(share.min()), f"share_max_{name}": float(share.max())}
    return found


def _settled(t: Array, y: Array, here: Array) -> float:
    """Time after which y stays within 1 % of its last value; NaN where that is zero."""
    t, y = t[here], y[here]
    if y[-1] == 0:
        return np.nan
    out = np.flatnonzero(np.abs(y / y[-1] - 1) > 0.01)
    if not out.size:
        return 0.0
    k = int(out[-1])
    if k + 1 >= t.size:
        return np.nan
    a, b = np.abs(y[[k, k + 1]] / y[-1] - 1)
    return float(t[k] + (t[k + 1] - t[k]) * (a - 0.01) / max(a - b, 1e-300))


def _laws(case: Case) -> tuple[Layer | None, dict[str, float]]:
    """What the closed forms say of a case whose first step holds something from a uniform start."""
    step = case.protocol.steps[0]
    if step.is_rest or step.time is not None or case.initial is not None or case.cell.is_blocked:
        return None, {}
    try:
        layer = layer_of(case.cell, case.transport, case.c0)
    except RangeError:
        return None, {}
    if step.drive == "voltage":
        return layer, {"settling_by_formula": settling_time(layer)}
    i, c_min = abs(float(step.value[0])), case.solver.options.c_min
    c_min = stop_concentration(case.transport, case.c0) if c_min is None else c_min
    formula = depletion_time(layer, i, c_min)
    found = {"sand_time": sand_time(layer, i), "settling_by_formula": _held_current_settles(layer)}
    return layer, found | ({"depletion_by_formula": formula} if np.isfinite(formula) else {})


def _laws_of_species(case: MixtureCase) -> dict[str, float]:
    """Sand's time of n components, where the first step holds a current."""
    step = case.protocol.steps[0]
    if step.is_rest or step.time is not None or step.drive != "current":
        return {}
    return {"sand_time": sand_time_of_species(case.cell, case.transport, case.r0, float(step.value[0]))}


def _held_current_settles(layer: Layer) -> float:
    """When the voltage of a small held current is within 1 % of its end [s], by the slowest mode of the profile."""
    share = layer.diffusion_resistance / (layer.diffusion_resistance + layer.bulk_resistance + layer.resistance)
    return max(0.0, float(np.log(8 * share / (np.pi**2 * 0.01)) / layer.relaxation_rate))


def _limit(case: Case) -> LimitingCurrent | None:
    if case.cell.is_blocked:
        return None
    values = [value for step in case.protocol.steps for value in step.value if value]
    try:
        return limiting_current(case.cell, case.transport, case.c0, direction=-1 if values and values[0] < 0 else 1)
    except (ConvergenceError, RangeError):
        return None


# ---- writing ---------------------------------------------------------------------------------------------------------


def write_sweep(result: SweepResult, directory: str | Path, *, figures: bool = True) -> list[Path]:
    """Write ``sweep.nc`` (the swept keys as dimensions), ``sweep.csv`` (a row per run) and the figures.

    Parameters
    ----------
    result : SweepResult
        What :func:`run_sweep` gave.
    directory : str or Path
        The folder.
    figures : bool
        Whether to draw.

    Returns
    -------
    list of Path
    """
    names = ["sweep.csv", "sweep.nc", *(["sweep.png", "sweep_curves.png"] if figures else [])]
    with result_folder(directory, last="sweep.nc", stale=("sweep.png", "sweep_curves.png")) as fresh:
        if figures:
            from cellsim.run.sweep_figures import draw, draw_curves  # which draws what is defined here

            draw(result, fresh / "sweep.png")
            draw_curves(result, fresh / "sweep_curves.png")
        write_rows(fresh / "sweep.csv", table(result))
        write_netcdf(fresh / "sweep.nc", dataset(result))
    shutil.rmtree(Path(directory) / MEMBERS, ignore_errors=True)
    return [Path(directory) / name for name in names]


def table(result: SweepResult) -> list[list[str]]:
    """A row per run, units in the header."""
    axes, points = result.sweep.axes, result.sweep.points()
    heads = [f"{axis.key} ({axis.unit})" if axis.unit else axis.key for axis in axes]
    heads += ["status", *(f"{name} ({unit})" for name, (unit, _) in result.meanings.items())]
    binary = result.transport is None
    rows = [[*heads, *(["limiting_current (A/m^2)", "limited_by"] if binary else []), "message"]]
    for k, point in enumerate(points):
        own = []
        for axis in axes:
            place = axis.values.index(point[axis.key])
            own.append(f"{axis.numbers[place]:.12g}" if axis.numbers is not None else axis.texts()[place])
        numbers = [_number(result.values[name][k]) for name in result.meanings]
        limit = result.limits[k]
        tail = (["", ""] if limit is None else [_number(limit.i), limit.limited_by]) if binary else []
        rows.append([*own, result.status[k], *numbers, *tail, result.message[k]])
    return rows


def _number(value: float) -> str:
    return "" if np.isnan(value) else f"{value:.10g}"


def dataset(result: SweepResult) -> xr.Dataset:
    """The result with the swept keys as dimensions."""
    import xarray as xr

    sweep, shape = result.sweep, result.sweep.shape
    names = [re.sub(r"\W+", "_", axis.key).strip("_") for axis in sweep.axes]
    dims = ["run"] if sweep.paired else names
    coordinates: dict[str, Any] = {}
    for name, axis in zip(names, sweep.axes, strict=True):
        numbers = axis.numbers
        values = numbers if numbers is not None else np.array(axis.texts(), dtype=str)
        coordinates[name] = (
            "run" if sweep.paired else name,
            values,
            {"units": axis.unit or "1", "long_name": axis.key},
        )
    variables: dict[str, Any] = {"status": (dims, result.status.astype(str).reshape(shape))}
    for name, (unit, meaning) in result.meanings.items():
        variables[name] = (dims, result.values[name].reshape(shape), {"units": unit, "long_name": meaning})
    if result.transport is None:
        limited = [("" if limit is None else limit.limited_by) for limit in result.limits]
        about = {"units": "A/m^2", "long_name": "largest steady current density, by quadrature"}
        variables["limiting_current"] = (dims, result.limit().reshape(shape), about)
        variables["limited_by"] = (dims, np.array(limited, dtype=str).reshape(shape))
    variables["message"] = (dims, np.array(result.message, dtype=str).reshape(shape))
    for k, (name, unit) in enumerate((("time", "s"), ("i", "A/m^2"), ("V", "V"))):
        variables[f"curve_{name}"] = ([*dims, "sample"], result.curves[:, k].reshape(*shape, SAMPLES), {"units": unit})
    case = {"case_toml": sweep.top.text, "case": sweep.top.file.name, "digest": text_hash(sweep.top.text)}
    return xr.Dataset(variables, coordinates, {"title": result.title, "paired": int(sweep.paired), **case})
