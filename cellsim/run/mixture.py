"""A case of n components: mixed solvents, several salts. Read, run, kept and drawn as a binary one is.

The case file is the same (docs/schema.md), but for ``[electrolyte.composition]`` in place of ``salt``.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from cellsim.base import Array, InputError
from cellsim.cell.geometry import Cell
from cellsim.cell.protocol import Protocol
from cellsim.drawing import figstyle
from cellsim.drawing.figstyle import ANGSTROM, CONCENTRATION, CURRENT, SPEED
from cellsim.electrolyte.mixture_file import load_electrolyte
from cellsim.electrolyte.mixture_set import MixtureSet, short_sum
from cellsim.files.folder import text_hash
from cellsim.files.schema import Table, read_json_table, read_toml
from cellsim.instruments.records import Setup
from cellsim.model import mixture
from cellsim.run.case import (
    Case,
    Output,
    SolverChoice,
    bare,
    case_of,
    changed,
    electrode_lines,
    read_measured,
    read_output,
    read_solver,
)
from cellsim.run.cell_tables import read_cell
from cellsim.run.figures import View, draw_series, make_view, position_axis, profile_points, time_text
from cellsim.run.folder import CASE, SUMMARY, read_solution, write_report
from cellsim.run.simulation import DEFAULT, choose_solver
from cellsim.run.steps import duration, read_protocol, step_lines
from cellsim.solvers.solution import MixtureSolution, Solution

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from cellsim.instruments.measurement import Measurement


@dataclass(frozen=True)
class MixtureCase:
    """A polarisation experiment on n components; parameters as of :class:`.Case`.

    Parameters
    ----------
    title : str
        Free text, shown in figures.
    cell : Cell
        Geometry, temperature, electrodes, separator.
    transport : MixtureSet
        The electrolyte, bound to the cell's temperature.
    protocol : Protocol
        The steps.
    r0 : ndarray, shape (K,)
        Initial, uniform composition: moles of each component per mole of the reference solvent [1].
    output, solver, text, path, inputs, measured
        As of :class:`.Case`.
    """

    title: str
    cell: Cell
    transport: MixtureSet
    protocol: Protocol
    r0: Array
    output: Output = field(default_factory=Output)
    solver: SolverChoice = field(default_factory=SolverChoice)
    text: str = ""
    path: Path = Path("case.toml")
    inputs: Mapping[str, str] = field(default_factory=dict)
    measured: tuple[Measurement, ...] = ()

    @property
    def start(self) -> Array:
        """What :func:`cellsim.simulate` takes as `c0`."""
        return self.r0

    @property
    def c0(self) -> float:
        """Concentration of the cation as filled [mol/m^3]."""
        return float(self.transport.r_plus(self.r0) * self.transport.c_0(self.r0))

    @property
    def filled(self) -> Array:
        """As :attr:`.Case.filled`: the composition."""
        return self.r0

    @property
    def initial(self) -> None:
        """As of :class:`.Case`: every run begins uniformly."""

    @property
    def fastest(self) -> str:
        """As :attr:`.Case.fastest`."""
        return DEFAULT

    @property
    def setup(self) -> Setup:
        """What data measured on it need to know."""
        return Setup(self.cell, self.transport, self.protocol, self.c0, r0=self.r0)


def read_case(
    path: str | Path,
    *,
    folder: str | Path | None = None,
    changes: Mapping[str, Any] | None = None,
    whole: bool = True,
) -> Case | MixtureCase:
    """Read and check a case of a binary salt or of n components, whichever its transport set is.

    Parameters
    ----------
    path : str or Path
        The TOML file.
    folder : str or Path, optional
        What the paths inside it are relative to; default: the folder it lies in.
    changes : mapping, optional
        As of :func:`.load_case`.
    whole : bool
        Whether [output] and [measured] are read too; a plan needs neither, and they need not fit a changed cell.

    Returns
    -------
    Case or MixtureCase

    Raises
    ------
    InputError
        As :func:`.load_case`.
    """
    top = read_toml(path)
    top = top if folder is None else Table(top.data, Path(folder) / Path(path).name, "", top.text)
    if changes:
        top = changed(top, changes)
    return any_case_of(top if whole else bare(top))


def any_case_of(top: Table) -> Case | MixtureCase:
    """A case of a binary salt or of n components from its file as read; see :func:`read_case`."""
    table = top.data.get("electrolyte")
    name = table.get("transport") if isinstance(table, dict) else None
    chosen = top.file.parent / str(name)
    if not (isinstance(name, str) and chosen.is_file() and "species" in read_toml(chosen)):
        return case_of(top)
    top.only("title", "cell", "electrolyte", "electrodes", "step", "measured", "output", "solver")
    inputs = {top.file.name: text_hash(top.text)}
    cell = read_cell(top, inputs)
    transport, r0 = _electrolyte(top.table("electrolyte"), cell, inputs)
    protocol = read_protocol(top, cell, inputs)
    output, solver = read_output(top.table("output", {}), cell, protocol), read_solver(top.table("solver", {}))
    title = top.string("title", top.file.stem)
    case = MixtureCase(title, cell, transport, protocol, r0, output, solver, top.text, top.file, inputs)
    return replace(case, measured=read_measured(top, case.setup, inputs))


def _electrolyte(table: Table, cell: Cell, inputs: dict[str, str]) -> tuple[MixtureSet, Array]:
    if "salt" in table:
        raise table.error("salt", "belongs to a set of one salt; give the composition of this one instead")
    table.only("transport", "change", "composition", "extrapolate")
    name, changes = table.string("transport"), table.table("change", {}).data
    try:
        transport = load_electrolyte(name, T=cell.temperature, folder=table.file.parent, changes=changes)
    except InputError as error:
        raise InputError(f"{table.where('transport')}: {error}") from error
    assert isinstance(transport, MixtureSet)
    inputs[name] = text_hash(transport.text)
    transport = transport.with_extrapolation(cast(Any, table.choice("extrapolate", ["error", "clamp"], "error")))
    given = table.table("composition")
    given.only("r", "c")
    form = given.exactly_one("r", "c")
    amounts = given.table(form)
    unit = "mol/m^3" if form == "c" else ""
    with table.located():
        values = {key: amounts.quantity(key, unit) for key in amounts}
        return transport, transport.r_of(**{form: values}, where=given.where().split(": ")[-1])


def describe(case: MixtureCase) -> list[str]:
    """What will be run, in lines to print.

    Raises
    ------
    InputError
        If the solver named cannot run this case.
    """
    transport, r0 = case.transport, case.r0
    filled = zip(transport.species, transport.concentrations(r0) / 1e3, strict=True)
    amounts = ", ".join(f"{name} {c:.4g}" for name, c in filled)
    ratios = ", ".join(f"r_{name} = {r:.4g}" for name, r in zip(transport.components, r0, strict=True))
    clamp = ', held at the ends of its range (extrapolate = "clamp")' if transport.extrapolate == "clamp" else ""
    before, after = electrode_lines(case.cell)
    return [
        case.title,
        before,
        f"electrolyte   {transport.name} ({transport.status}){clamp}",
        f"composition   {amounts} mol/L; {ratios}",
        after,
        *step_lines(case.protocol.steps),
        *(f"measured      {data.kind}: {data.label}" for data in case.measured),
        f"solver        {choose_solver(case.solver.name, transport, case.cell)}, {case.solver.cells} cells, "
        f"rtol {case.solver.rtol:g}",
    ]


def summarise(case: MixtureCase, solution: Solution) -> dict[str, Any]:
    """What summary.json holds of a run of n components."""
    transport, attributes = case.transport, solution.attributes
    i, V, at = solution["i"], solution["V"], transport.at(case.r0)
    faces = solution["c_face"]
    names = transport.species
    return {
        "title": case.title,
        "case": str(case.path.resolve()),
        "transport": transport.name,
        "transport_status": transport.status,
        "species": list(names),
        "solver": attributes["solver"],
        "status": solution.status,
        "message": solution.message,
        "exit_code": 0 if solution.succeeded else 1,
        "steps": [dict(entry) for entry in solution.log],
        "i_0": i[0],
        "i_end": i[-1],
        "i_end_over_i_0": i[-1] / i[0] if i[0] else None,
        "rho_plus": float(mixture.current_fraction(transport, case.r0)),
        "Ne": float(mixture.newman_number(at)),
        "tau": dict(zip(transport.components, at.tau.tolist(), strict=True)),
        "voltage_shares": dict(zip(transport.components, mixture.voltage_shares(at).tolist(), strict=True)),
        "V_0": V[0],
        "V_end": V[-1],
        "V_end_ohmic": solution["V_ohmic"][-1],
        "V_end_component": dict(zip(transport.components, solution["V_component"][:, -1].tolist(), strict=True)),
        "c_min": {name: float(c.min()) for name, c in zip(names, faces, strict=True)},
        "c_max": {name: float(c.max()) for name, c in zip(names, faces, strict=True)},
        "salt_drift": solution.salt_drift,
        "time_end": float(solution["time"][-1]),
        "time_steps": attributes.get("time_steps"),
        "spatial_doubt": attributes.get("spatial_doubt"),
        "wall_time": attributes["wall_time"],
        "clamped": bool(attributes["clamped"]),
        "versions": json.loads(attributes["versions"]),
        "inputs": dict(case.inputs),
    }


def told(summary: Mapping[str, Any]) -> list[str]:
    """The few numbers of a summary that one wants to see at once."""
    ratio = summary["i_end_over_i_0"]
    parts = ", ".join(f"{name} {value:.3g}" for name, value in summary["V_end_component"].items())
    spans = (
        f"{name} {summary['c_min'][name] / 1e3:.4g}-{summary['c_max'][name] / 1e3:.4g}" for name in summary["species"]
    )
    return [
        f"{summary['title']}: {duration(summary['time_end'])} in {summary['wall_time']:.2f} s, {summary['status']}",
        f"i   {summary['i_0']:.4g} -> {summary['i_end']:.4g} A/m^2"
        + (f" (ratio {ratio:.4g}; rho+ of a small voltage: {summary['rho_plus']:.4g})" if ratio else ""),
        f"V   {summary['V_0']:.4g} -> {summary['V_end']:.4g} V; at the end ohmic "
        f"{summary['V_end_ohmic']:.3g}, {parts} V",
        f"c   {', '.join(spans)} mol/L; amounts kept to {summary['salt_drift']:.1e}",
        *(["properties were held at the ends of their range (clamped)"] if summary["clamped"] else []),
        f"transport set: {summary['transport']} ({summary['transport_status']})",
    ]


def read_kept(directory: str | Path, case_path: str | Path | None = None) -> tuple[MixtureCase, MixtureSolution] | None:
    """A kept run of n components, None where the folder holds one of a binary salt; errors as :func:`.read_run`."""
    directory = Path(directory)
    solution = read_solution(directory)
    if not isinstance(solution, MixtureSolution):
        return None
    if case_path is None:
        case_path = read_json_table(directory / SUMMARY, what="the summary of a run").string("case")
    case = read_case(directory / CASE, folder=Path(str(case_path)).parent)
    if not isinstance(case, MixtureCase):
        raise InputError(f"{directory}: its case names a set of a binary salt now; say where it was with --case")
    return case, solution


# ---- figures ------------------------------------------------------------------------------------------------------


def drawer(case: MixtureCase, solution: Solution) -> Callable[[Path], None]:
    """What draws the figures of a run and writes its report into a folder."""

    def draw(directory: Path) -> None:
        figures = write_figures(case, solution, directory)
        rows = [("status", solution.status, "")]
        summary = summarise(case, solution)
        for name in case.transport.species:
            span = f"{summary['c_min'][name] / 1e3:.4g} to {summary['c_max'][name] / 1e3:.4g}"
            rows.append((f"concentration of {name}, least and largest", span, "mol/L"))
        rows += [
            ("current density at the start", f"{summary['i_0']:.4g}", "A/m^2"),
            ("current density at the end", f"{summary['i_end']:.4g}", "A/m^2"),
            ("current fraction of a small voltage", f"{summary['rho_plus']:.4g}", ""),
            ("voltage at the end", f"{summary['V_end']:.4g}", "V"),
            ("of it ohmic", f"{summary['V_end_ohmic']:.4g}", "V"),
            *((f"of it by the gradient of {name}", f"{v:.4g}", "V") for name, v in summary["V_end_component"].items()),
            ("largest relative change of an amount", f"{summary['salt_drift']:.1e}", ""),
        ]
        write_report(solution, directory, case, figures=figures, rows=rows)

    return draw


def write_figures(case: MixtureCase, solution: Solution, directory: str | Path) -> list[Path]:
    """Draw all figures of a run of n components.

    Parameters
    ----------
    case : MixtureCase
        What was run.
    solution : Solution
        What came out.
    directory : str or Path
        An existing folder.

    Returns
    -------
    list of Path
        The files written; a run that kept a single state has no figures.
    """
    if solution["time"].size < 2:
        return []
    view = make_view(solution, case)
    drawn = {"current.png": _draw_current, "profiles.png": _draw_profiles, "velocities.png": _draw_velocities}
    if case.transport.neutral:
        drawn["solvents.png"] = _draw_solvents
    for name, draw in drawn.items():
        draw(view, case, Path(directory) / name)
    return [Path(directory) / name for name in drawn]


def _draw_current(view: View, case: MixtureCase, path: Path) -> None:
    """i(t), and the voltage with what each component adds."""
    solution = view.solution
    with figstyle.drawing(path, 2, title=view.title, note=view.note, sharex=True) as (_, axes):
        axes[0].plot(view.time, solution["i"])
        for data in view.of_kind("current"):
            draw_series(axes[0], view, data, 1.0)
        axes[0].set_ylabel(figstyle.label("$i$", CURRENT, "current density"))
        small = np.max(np.abs(solution["V"])) < 0.5
        factor, unit = (1e3, "mV") if small else (1.0, "V")
        axes[1].plot(view.time, factor * solution["V"], color="black", label="cell voltage")
        for data in view.of_kind("voltage"):
            draw_series(axes[1], view, data, factor)
        parts = {"ohmic": solution["V_ohmic"]}
        parts |= dict(zip(case.transport.components, solution["V_component"], strict=True))
        interfaces = solution["V_positive"] + solution["V_negative"]
        parts |= {"interfaces": interfaces} if np.any(interfaces) else {}
        for k, (name, values) in enumerate(parts.items()):
            look: Any = {"color": figstyle.COLOURS[k % 6], "linestyle": figstyle.DASHES[1 + k % 6]}
            axes[1].plot(view.time, factor * values, linewidth=1.0, label=name, **look)
        axes[1].set_ylabel(figstyle.label("$V$", unit, "voltage"))
        figstyle.legend_above(axes[1], columns=4)
        axes[1].set_xlabel(view.time_label)
        axes[1].set_xlim(0, None)


def _lines(axes: Axes, view: View, name: str, factor: float, times: tuple[float, ...]) -> None:
    for time, colour in zip(times, figstyle.shades(len(times)), strict=True):
        x = view.along(view.at_time("position_face", time))
        axes.plot(x, factor * view.at_time(name, time), color=colour, label=time_text(view, time))


def _draw_profiles(view: View, case: MixtureCase, path: Path) -> None:
    """c(x) of every species at chosen times, and of every sum of species that was measured."""
    measured = view.of_kind("profile")
    names = tuple(dict.fromkeys([*case.transport.species, *(data.species for data in measured)]))
    labels = "; ".join(dict.fromkeys(data.label for data in measured))
    note = f"Lines: prediction. Points: {labels}. {view.note}" if measured else view.note
    with figstyle.drawing(path, len(names), title=view.title, note=note, height=1.45, sharex=True) as (_, axes):
        for panel, name in zip(axes, names, strict=True):
            own = [data for data in measured if data.species == name]
            for data, marker in zip(own, figstyle.MARKERS, strict=False):
                for time in view.profile_times:
                    profile_points(panel, view, data, time, marker)
            _lines(panel, view, f"c_face_{name}", 1e-3, view.profile_times)
            if name in case.transport.species:
                panel.set_ylabel(figstyle.label(name, CONCENTRATION))
            else:  # too long for an axis
                panel.set_title(short_sum(name), loc="left")
                panel.set_ylabel(figstyle.label("$c$", CONCENTRATION))
        figstyle.legend_above(axes[0], f"$t$ ({view.time_unit})", min(len(view.profile_times), 5))
        position_axis(axes[-1], view)


def _draw_velocities(view: View, case: MixtureCase, path: Path) -> None:
    """Velocity of every species against position, interface frame; not at t = 0, when they step at the walls."""
    names = case.transport.species
    times = tuple(t for t in view.profile_times if t > 0) or (float(view.solution["time"][-1]),)
    note = "Interface frame. " + view.note
    with figstyle.drawing(path, len(names), title=view.title, note=note, height=1.45, sharex=True) as (_, axes):
        for panel, name in zip(axes, names, strict=True):
            _lines(panel, view, f"v_{name}", ANGSTROM, times)
            panel.axhline(0, color=figstyle.GREY, linewidth=0.5, zorder=1)
            panel.set_ylabel(figstyle.label(f"$v$ {name}", SPEED))
        figstyle.legend_above(axes[0], f"$t$ ({view.time_unit})", min(len(times), 5))
        position_axis(axes[-1], view)


def _draw_solvents(view: View, case: MixtureCase, path: Path) -> None:
    """How the solvents of a mixture part: each one's share of all solvent across the cell, over the salt's profile."""
    transport, solution = case.transport, view.solution
    solvents = [*(transport.components[k] for k in transport.neutral), transport.solvent]
    note = "Share of all solvent molecules; dotted: as filled. " + view.note
    shown = solvents[:-1]
    with figstyle.drawing(path, 1 + len(shown), title=view.title, note=note, height=2.0, sharex=True) as (_, axes):
        times = view.profile_times
        for panel, name in zip(axes, shown, strict=False):
            for time, colour in zip(times, figstyle.shades(len(times)), strict=True):
                amounts = {each: view.at_time(f"c_face_{each}", time) for each in solvents}
                share = 100 * amounts[name] / sum(amounts.values())
                x = view.along(view.at_time("position_face", time))
                panel.plot(x, share, color=colour, label=time_text(view, time))
            first = {each: solution[f"c_{each}"][0, 0] for each in solvents}
            panel.axhline(100 * first[name] / sum(first.values()), color=figstyle.GREY, linestyle=":", linewidth=0.9)
            panel.set_ylabel(f"{name} of the solvent (%)")
        _lines(axes[-1], view, f"c_face_{transport.cation}", 1e-3, times)
        axes[-1].set_ylabel(figstyle.label(f"{transport.cation} salt", CONCENTRATION))
        figstyle.legend_above(axes[0], f"$t$ ({view.time_unit})", min(len(times), 5))
        position_axis(axes[-1], view)
