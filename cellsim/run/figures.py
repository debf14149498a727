"""The figures of a run: current and voltage, profiles, velocities, and a map over time and position.

Prediction as line, measured data as points with error bars; the frame and the origin of positions are named, and so
is what the transport set rests on unless it was measured.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from cellsim.base import Array
from cellsim.cell.protocol import lasting
from cellsim.drawing import figstyle
from cellsim.drawing.figstyle import ANGSTROM, CONCENTRATION, CURRENT, SPEED
from cellsim.instruments.records import not_imposed
from cellsim.solvers.solution import FRAMES, Solution

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from cellsim.cell.protocol import Protocol
    from cellsim.instruments.measurement import Measurement
    from cellsim.run.case import Case
    from cellsim.run.mixture import MixtureCase


@dataclass(frozen=True)
class Look:
    """How figures are drawn where a journal asks for something else.

    Parameters
    ----------
    suffix : {"png", "pdf", "svg"}
        The file format.
    title, note : bool
        Whether they are drawn.
    time : {"linear", "root", "log"}
        The time axis: t, its square root, in which the first layers of diffusion are straight, or its logarithm. The
        map has no logarithmic one.
    paper_units : bool
        mA/cm^2 and mV in place of A/m^2 and whatever unit fits.
    """

    suffix: str = "png"
    title: bool = True
    note: bool = True
    time: Literal["linear", "root", "log"] = "linear"
    paper_units: bool = False


@dataclass(frozen=True)
class View:
    """A solution and how to show it.

    Parameters
    ----------
    solution : Solution
        The run.
    title, note : str
        Above and below every figure.
    origin : float
        Distance of the origin of positions from the positive interface at t = 0 [m].
    origin_name : str
        In words.
    time_scale, time_unit
        Seconds in one unit of the time axis, and its name.
    profile_times : tuple of float
        When profiles are drawn [s].
    positions : tuple of float
        Where v(t) is drawn: distance from the positive interface at t = 0, fixed in the lab [m].
    measured : tuple of Measurement
        Data to overlay.
    look : Look
        How it is drawn.
    """

    solution: Solution
    title: str = ""
    note: str = ""
    origin: float = 0.0
    origin_name: str = "positive interface"
    time_scale: float = 60.0
    time_unit: str = "min"
    profile_times: tuple[float, ...] = ()
    positions: tuple[float, ...] = ()
    measured: tuple[Measurement, ...] = ()
    look: Look = Look()

    def clock(self, time: Array) -> Array:
        """Times [s] on the axis: in its unit, or the root of that."""
        shown = np.asarray(time) / self.time_scale
        return np.sqrt(np.maximum(shown, 0.0)) if self.look.time == "root" else np.asarray(shown)

    @property
    def time(self) -> Array:
        """Times of the run on the axis."""
        return self.clock(self.solution["time"])

    @property
    def time_label(self) -> str:
        """Label of a time axis."""
        if self.look.time == "root":
            return figstyle.label(r"$\sqrt{t}$", f"{self.time_unit}$^{{1/2}}$", "root of time")
        return figstyle.label("$t$", self.time_unit, "time")

    def time_axis(self, axes: Axes) -> None:
        """Label, scale and ends of a time axis; a logarithmic one begins with the first state after the start."""
        axes.set_xlabel(self.time_label)
        if self.look.time == "log":
            axes.set_xscale("log")
            axes.set_xlim(float(self.time[self.time > 0][0]), float(self.time[-1]))
        else:
            axes.set_xlim(0, float(self.time[-1]))

    @property
    def current_unit(self) -> tuple[float, str]:
        """Factor from SI, and unit, of a current density."""
        return (0.1, "mA cm$^{-2}$") if self.look.paper_units else (1.0, CURRENT)

    @property
    def position_label(self) -> str:
        """Label of a position axis."""
        return figstyle.label("$x$", self.length_unit, f"from {self.origin_name},")

    @property
    def length_unit(self) -> str:
        """Unit of positions: mm, or µm in a thin cell."""
        return "mm" if self.solution["thickness"][0] > 0.5e-3 else "µm"

    def along(self, x: Array | float) -> Any:
        """Distances from the positive interface [m] -> positions on the axis, in its unit."""
        return (np.asarray(x, dtype=float) - self.origin) * (1e3 if self.length_unit == "mm" else 1e6)

    def at_time(self, name: str, time: float) -> Array:
        """A variable at `time` [s], linear between the kept states; velocities in the interface frame [SI]."""
        values = self.solution[name]
        values = values[FRAMES.index("interface")] if values.ndim == 3 else values
        k = int(np.clip(np.searchsorted(self.solution["time"], time), 1, values.shape[0] - 1))
        t0, t1 = self.solution["time"][k - 1 : k + 1]
        w = float(np.clip((time - t0) / (t1 - t0), 0.0, 1.0))
        return np.asarray((1 - w) * values[k - 1] + w * values[k])

    def of_kind(self, kind: str) -> list[Measurement]:
        """The overlays of one kind."""
        return [data for data in self.measured if data.kind == kind]


def time_scale(longest: float) -> tuple[float, str]:
    """Seconds in the unit of a time axis that reaches to `longest` [s], and its name."""
    return (1.0, "s") if longest < 300 else (60.0, "min") if longest <= 50 * 3600 else (3600.0, "h")


def make_view(solution: Solution, case: Case | MixtureCase | None = None) -> View:
    """Decide what the figures of a run show.

    Parameters
    ----------
    solution : Solution
        The run.
    case : Case, optional
        Its case: title, origin of positions, times, positions and data to overlay.

    Returns
    -------
    View
    """
    attributes = solution.attributes
    end = float(solution["time"][-1])
    scale, unit = time_scale(end)
    thickness = float(solution["thickness"][0])
    view = View(
        solution,
        title=str(attributes.get("transport", "")),
        note=_note(solution),
        time_scale=scale,
        time_unit=unit,
        profile_times=_default_times(solution),
        positions=tuple(thickness * f for f in (0.2, 0.35, 0.5, 0.65, 0.8)),
    )
    if case is None:
        return view
    chosen = tuple(t for t in case.output.profiles_at if t <= end * (1 + 1e-9))
    if case.output.profiles_at and len(chosen) < len(case.output.profiles_at):
        chosen = (*chosen, end)  # the run ended early: its last state is what there is to see
    centre = case.cell.position_origin == "centre"
    return replace(
        view,
        title=case.title,
        origin=case.cell.from_origin(0.0),
        origin_name="cell centre" if centre else "positive interface",
        profile_times=chosen or view.profile_times,
        positions=case.output.positions or view.positions,
        measured=(*case.measured, *not_imposed(case.protocol, solution)),
    )


MOST_TIMES = 7
"""Profiles in one figure where a case names none."""


def _default_times(solution: Solution) -> tuple[float, ...]:
    """Five times between which the salt moves alike, to two digits; the start and the end of each of several steps.

    Of many steps, which are often the halves of cycles, the ends of two in succession at three moments of the run: ends
    that are as far apart as cycles are would all show the same half.
    """
    end = float(solution["time"][-1])
    if len(solution.log) < 2:
        inner = (float(f"{solution['time'][k]:.1e}") for k in solution.spread_states()[1:-1])
        return (0.0, *sorted({time for time in inner if 0 < time < end}), end)
    times = {0.0}
    for entry in solution.log:
        start, stop = float(entry["t_start"]), float(entry["t_end"])
        times |= {stop} if len(solution.log) > 3 else {start + 0.05 * (stop - start), stop}
    spread = sorted(times)
    if len(spread) > MOST_TIMES:
        moments = np.linspace(0.0, end, MOST_TIMES // 2 + 1)[1:]
        last = [max(int(np.argmin(np.abs(np.array(spread) - moment))), 2) for moment in moments]
        spread = sorted({0.0, *(spread[k - step] for k in last for step in (0, 1))})
    return tuple(spread)


def _note(solution: Solution) -> str:
    attributes, parts = solution.attributes, []
    status = attributes.get("transport_status", "measured")
    if status != "measured":
        text = f"Transport set {attributes.get('transport', '')}: {str(status).upper()}"
        parts.append(f"{text}, {attributes['transport_note']}" if attributes.get("transport_note") else text)
    if attributes.get("clamped"):
        parts.append("Properties held at the ends of their range where the run left it")
    if not solution.succeeded:
        parts.append(f"Run ended early ({solution.status}): {solution.message}")
    return ". ".join(part.rstrip(".") for part in parts) + ("." if parts else "")


def draw_current(view: View, path: Path) -> None:
    """i(t); with the voltage and its parts below it unless the voltage was held."""
    solution = view.solution
    factor, unit = view.current_unit
    i, with_voltage = factor * solution["i"], _shows_voltage(view)
    rows, note = 2 if with_voltage else 1, view.note
    highest, deepest = _highest(view, i), _highest(view, -i)
    if highest is not None or deepest is not None:
        moment = lasting(float(solution.attributes["charging_time"]))
        note = f"The axis leaves out the peak of the first {moment}, in which the double layers charge. {note}"
    with figstyle.drawing(path, rows, title=view.title, note=note, sharex=True) as (_, axes):
        top = axes[0]
        top.plot(view.time, i, color=figstyle.COLOURS[0], label="prediction")
        for data in view.of_kind("current"):
            draw_series(top, view, data, factor)
        top.set_ylabel(figstyle.label("$i$", unit, "current density"))
        if not with_voltage and i[0] > 0:
            first = slice(1, 2) if view.look.time == "log" else slice(0, 1)
            if highest is None:
                top.plot(view.time[first], i[first], "o", color=figstyle.COLOURS[0], clip_on=False, zorder=4)
                top.annotate(
                    f"$i_0$ = {i[0]:.4g} {unit}",
                    (view.time[first][0], i[first][0]),
                    xytext=(6, 6 if view.look.time == "log" else 0),
                    textcoords="offset points",
                    va="center",
                )
            top.set_ylim(0, highest)
            limit = small_signal_limit(solution)
            if limit is not None:
                text = "small-voltage steady state, $i_0/(1+\\mathrm{Ne})$"
                limit *= factor
                figstyle.reference(top, limit, text, clear_of=(view.time, i))
        elif np.any(i):
            low, high = 1.08 * i.min() if deepest is None else -deepest, 1.08 * i.max() if highest is None else highest
            top.set_ylim(min(0.0, low), max(0.0, high))
        if view.of_kind("current"):
            figstyle.legend_above(top)
        if with_voltage:
            _draw_voltage(axes[1], view)
        view.time_axis(axes[-1])


def _highest(view: View, i: Array) -> float | None:
    """End of the axis of a current, where the double layers charge by one that would hide the rest; None: the peak's.

    It is left out where it lasts less than a hundredth of a step and is several times what comes after.
    """
    solution = view.solution
    charging, time = float(solution.attributes.get("charging_time", 0.0)), solution["time"]
    spans = [(entry["t_start"], entry["t_end"]) for entry in solution.log]
    if not charging or view.look.time == "log" or any(b - a < CHARGING * charging for a, b in spans):
        return None
    later = ~np.any([(time >= a) & (time <= a + charging) for a, _ in spans], axis=0)
    highest = float(i[later].max())
    return 1.08 * highest if 0 < highest < i.max() / PEAK and highest > 1e-3 * i.max() else None


CHARGING, PEAK = 100, 3
"""A current that charges double layers for less than the first part of a step, and is higher than the second times what
follows, is left out of an axis."""


def _shows_voltage(view: View) -> bool:
    """Whether the figure of the current has the voltage below it."""
    V = view.solution["V"]
    return bool(np.ptp(V) > 1e-6 * np.max(np.abs(V))) or bool(view.of_kind("voltage"))


def draw_voltage(view: View, path: Path) -> None:
    """The parts of a held voltage: ohmic loss, concentration and interfaces. They explain why the current decays."""
    with figstyle.drawing(path, title=view.title, note=view.note) as (_, axes):
        _draw_voltage(axes[0], view)
        lines = np.concatenate([np.asarray(line.get_ydata(), dtype=float) for line in axes[0].get_lines()])
        low, high = min(0.0, float(np.nanmin(lines))), max(0.0, float(np.nanmax(lines)))
        high = high if high > low else 1.0  # a rest without a gradient
        axes[0].set_ylim(low - 0.05 * (high - low) * (low < 0), high + 0.3 * (high - low))  # room for the names
        axes[0].legend(loc="upper center", ncols=2)
        view.time_axis(axes[0])


def _draw_voltage(axes: Axes, view: View) -> None:
    solution, factor, unit = view.solution, 1.0, "V"
    largest = max(
        [float(np.max(np.abs(solution["V"])))] + [float(np.max(np.abs(d.value))) for d in view.of_kind("voltage")]
    )
    if largest < 0.5 or view.look.paper_units:
        factor, unit = 1e3, "mV"
    axes.plot(view.time, factor * solution["V"], color="black", label="cell voltage")
    interfaces = solution["V_positive"] + solution["V_negative"]
    parts = [("ohmic", solution["V_ohmic"]), ("concentration", solution["V_concentration"])]
    if np.any(interfaces):
        parts.append(("interfaces", interfaces))
    for (name, values), colour, dash in zip(parts, figstyle.COLOURS, figstyle.DASHES[1:], strict=False):
        axes.plot(view.time, factor * values, color=colour, linestyle=dash, linewidth=1.0, label=name)
    for data in view.of_kind("voltage"):
        draw_series(axes, view, data, factor)
    predicted = float(np.max(np.abs(solution["V"])))
    if view.of_kind("voltage") and largest > 5 * predicted:
        axes.set_yscale("symlog", linthresh=factor * 10 ** np.floor(np.log10(0.3 * max(predicted, 1e-9))), linscale=0.5)
        axes.minorticks_off()
    axes.set_ylabel(figstyle.label("$V$", unit, "voltage"))
    figstyle.legend_above(axes, columns=2)


def draw_series(axes: Axes, view: View, data: Measurement, factor: float) -> None:
    """A measured current or voltage as points, in grey; `factor` from SI to the unit of the axis."""
    inside = data.time <= view.solution["time"][-1] * (1 + 1e-9)
    error = None if data.error is None else factor * data.error[inside]
    size = {"markersize": 1.6, "markeredgewidth": 0.5} if inside.sum() > 80 else {}
    figstyle.points(
        axes,
        view.clock(data.time[inside]),
        factor * data.value[inside],
        error,
        label=data.label,
        color=figstyle.GREY,
        **size,
    )


def small_signal_limit(solution: Solution) -> float | None:
    """Steady current density of the same cell at small voltage, scaled from i_0 [A/m^2]; None where it has no meaning.

    i_0 (R_b + R_s)/(R_b (1 + Ne) + R_s), with R_b the electrolyte's and R_s the interfaces' resistance; for R_s = 0
    it is i_0/(1 + Ne). Balsara & Newman 2015, doi:10.1149/2.0651514jes; PHYSICS section 4. None where the current is
    not the response to one voltage, or where the interfaces are not resistances.
    """
    i = solution["i"]
    if len(solution.log) > 1 or "initial" in solution.attributes or i[0] == 0 or i[-1] == 0:
        return None
    interfaces = (solution["V_positive"] + solution["V_negative"]) / i
    if abs(interfaces[-1] - interfaces[0]) > 1e-6 * abs(interfaces[0]):
        return None
    bulk, series = float(solution["V_ohmic"][0] / i[0]), float(interfaces[0])
    Ne = float(np.mean(solution["Ne"][0]))
    return float(i[0] * (bulk + series) / (bulk * (1 + Ne) + series))


def draw_profiles(view: View, path: Path) -> None:
    """c(x) at chosen times, with r on the right; a panel for each time where there are measured profiles."""
    times = view.profile_times
    if view.of_kind("profile"):
        _draw_with_data(view, path)
        return
    with figstyle.drawing(path, title=view.title, note=view.note, height=2.9) as (_, axes):
        panel = axes[0]
        for time, colour in zip(times, figstyle.shades(len(times)), strict=True):
            _profile(panel, view, time, colour)
        panel.set_ylabel(figstyle.label("$c$", CONCENTRATION, "salt concentration"))
        low, high = panel.get_ylim()
        panel.set_ylim(max(low, 0.0), high)
        position_axis(panel, view)
        r_axis(panel, view.solution)
        figstyle.legend_above(panel, f"$t$ ({view.time_unit})", min(len(times), 5))


def _draw_with_data(view: View, path: Path) -> None:
    times = view.profile_times
    names = "; ".join(dict.fromkeys(data.label for data in view.of_kind("profile")))
    note = f"Lines: prediction. Points: {names}. "
    with figstyle.drawing(
        path, len(times), title=view.title, note=note + view.note, height=1.25, sharex=True, sharey=True
    ) as (_, axes):
        for panel, time, colour in zip(axes, times, figstyle.shades(len(times)), strict=True):
            for data, marker in zip(view.of_kind("profile"), figstyle.MARKERS, strict=False):
                profile_points(panel, view, data, time, marker)
            _profile(panel, view, time, colour)
            panel.set_title(f"$t$ = {time_text(view, time)} {view.time_unit}", loc="right", y=0.86)
            r_axis(panel, view.solution, with_label=panel is axes[len(axes) // 2])
        axes[len(axes) // 2].set_ylabel(figstyle.label("$c$", CONCENTRATION, "salt concentration"))
        position_axis(axes[-1], view)


def _profile(axes: Axes, view: View, time: float, colour: Any) -> None:
    x, c = view.along(view.at_time("position_face", time)), view.at_time("c_face", time)
    axes.plot(x, c / 1e3, color=colour, label=time_text(view, time), zorder=4)


def profile_points(axes: Axes, view: View, data: Measurement, time: float, marker: str) -> None:
    """The measured profile nearest to `time`, if one lies within half its spacing, seen from the moving interface."""
    assert data.position is not None
    times = data.times
    nearest = float(times[np.argmin(np.abs(times - time))])
    spacing = float(np.median(np.diff(times))) if times.size > 1 else 60.0
    if abs(nearest - time) > 0.51 * spacing:
        return
    here, shift = data.at(nearest), float(view.at_time("interface_shift", time))
    error = None if data.error is None else data.error[here] / 1e3
    x = view.along(data.position[here] - shift)
    figstyle.points(axes, x, data.value[here] / 1e3, error, color=figstyle.GREY, marker=marker, markersize=2.0)


def _pairs(solution: Solution) -> tuple[Array, Array]:
    """Increasing pairs (c [mol/L], r) of a run."""
    c, keep = np.unique(solution["c"].ravel() / 1e3, return_index=True)
    return c, solution["r"].ravel()[keep]


def r_axis(axes: Axes, solution: Solution, *, with_label: bool = True) -> None:
    """r on the right-hand axis, by the run's own pairs (c, r), carried on to both sides."""
    c, r = _pairs(solution)
    steep = max((r[-1] - r[0]) / (c[-1] - c[0]) if c[-1] > c[0] else 0.0, r[-1] / c[-1])
    c = np.concatenate([[-c[-1], 0.0], c, [4 * c[-1]]])
    r = np.concatenate([[-r[-1], 0.0], r, [r[-1] + 3 * c[-2] * steep]])

    def forward(value: Any) -> Any:
        return np.interp(value, c, r)

    def back(value: Any) -> Any:
        return np.interp(value, r, c)

    second = axes.secondary_yaxis("right", functions=(forward, back))
    second.spines["right"].set_visible(True)
    if with_label:
        second.set_ylabel("salt per solvent unit $r$")


def position_axis(axes: Axes, view: View) -> None:
    """The position axis, with the sign of the electrodes at its ends, in a row of their own above the label."""
    axes.set_xlabel(view.position_label, labelpad=12.0)
    axes.set_xlim(*view.along(np.array([0.0, float(np.max(view.solution["thickness"]))])))
    for x, sign, side in ((0.0, "(+)", "left"), (1.0, "(−)", "right")):
        axes.annotate(
            sign, (x, 0), xycoords="axes fraction", xytext=(0, -15), textcoords="offset points", ha=side, va="top"
        )


def time_text(view: View, time: float) -> str:
    """A time in the unit of the axes."""
    return f"{time / view.time_scale:.4g}"


MOST_COLUMNS = 600
"""States in a map: it is about as many points wide, and every corner of its mesh costs 300 bytes while it is drawn."""


def draw_map(view: View, path: Path) -> None:
    """c over time and position, with lines of equal r."""
    solution = view.solution
    keep = np.flatnonzero(np.diff(view.time, prepend=-np.inf) > 1e-9 * view.time[-1])
    if keep.size > MOST_COLUMNS:
        even = np.linspace(view.time[0], view.time[-1], MOST_COLUMNS)
        keep = np.unique(keep[np.searchsorted(view.time[keep], even).clip(0, keep.size - 1)])
    x = view.along(solution["position_face"][keep])
    t = np.broadcast_to(view.time[keep][:, None], x.shape)
    c = solution["c_face"][keep] / 1e3
    r = np.interp(c, *_pairs(solution))
    with figstyle.drawing(path, title=view.title, note=view.note, height=2.6) as (figure, axes):
        panel = axes[0]
        mesh = panel.pcolormesh(t, x, c, cmap=figstyle.SEQUENTIAL, shading="gouraud", rasterized=True)
        bar = figure.colorbar(mesh, ax=panel, pad=0.02, aspect=25)
        bar.set_label(figstyle.label("$c$", CONCENTRATION, "salt concentration"))
        if np.ptp(r) > 1e-3 * np.max(r):
            _contours(panel, t, x, c, r)
            panel.set_title("lines: salt per solvent unit $r$", loc="left")
        panel.set_xlabel(view.time_label)
        panel.set_ylabel(view.position_label)


def _contours(axes: Axes, t: Array, x: Array, c: Array, r: Array) -> None:
    """Lines of equal r, pale on dark and dark on pale, labelled late in the run or where they are widest apart."""
    from matplotlib.ticker import MaxNLocator

    levels = [v for v in MaxNLocator(6).tick_values(r.min(), r.max()) if r.min() < v < r.max()]
    if not levels:
        return
    middle = 0.5 * (c.min() + c.max())
    dark = [float(np.interp(v, np.sort(r.ravel()), np.sort(c.ravel()))) > middle for v in levels]
    lines = axes.contour(t, x, r, levels=levels, colors=["black" if d else "white" for d in dark], linewidths=0.7)
    late, widest = int(np.searchsorted(t[:, 0], 0.8 * t[-1, 0])), _widest(r)
    spots = [spot for v in levels for spot in [_spot(t, x, r, v, late) or _spot(t, x, r, v, widest)] if spot]
    axes.clabel(lines, fmt=lambda value: f"{value:.3g}", fontsize=figstyle.FONT, manual=spots)


def _widest(r: Array) -> int:
    """A state in the middle of those whose concentrations are farthest apart."""
    spread = np.ptp(r, axis=1)
    rows = np.flatnonzero(spread > 0.98 * spread.max())
    return int(rows[rows.size // 2])


def _spot(t: Array, x: Array, r: Array, level: float, row: int) -> tuple[float, float] | None:
    """Where a line of equal r crosses one state, unless that is too near a wall for a label."""
    crossing = np.flatnonzero(np.diff(np.sign(r[row] - level)))
    if not crossing.size:
        return None
    place = float(x[row, crossing[0]])
    margin = 0.05 * float(x[row, -1] - x[row, 0])
    return (float(t[row, 0]), place) if x[row, 0] + margin < place < x[row, -1] - margin else None


def draw_velocities(view: View, path: Path) -> None:
    """Anion and solvent velocity against position, interface frame; not at t = 0, when they step at the walls."""
    times = [t for t in view.profile_times if t > 0] or [float(view.solution["time"][-1])]
    v_s = float(view.at_time("v_interface", times[-1]))
    added = f"{float(f'{v_s * ANGSTROM:.2g}'):g} {SPEED} (interfaces, last time)"
    note = "Interface frame. " if v_s == 0 else f"Interface frame; for the lab frame add {added}. "
    with figstyle.drawing(path, 2, title=view.title, note=note + view.note, height=1.9, sharex=True) as (_, axes):
        colours = figstyle.shades(len(times))
        for panel, name, text in zip(axes, ("v_minus", "v_0"), ("anion $v_-$", "solvent $v_0$"), strict=True):
            for time, colour in zip(times, colours, strict=True):
                x = view.along(view.at_time("position_face", time))
                panel.plot(x, view.at_time(name, time) * ANGSTROM, color=colour, label=time_text(view, time))
            panel.axhline(0, color=figstyle.GREY, linewidth=0.5, zorder=1)
            panel.set_ylabel(figstyle.label(text, SPEED))
        figstyle.legend_above(axes[0], f"$t$ ({view.time_unit})")
        position_axis(axes[1], view)


def draw_velocity_at_positions(view: View, path: Path) -> None:
    """|v-| in the interface frame and v0 in the lab frame against time, at positions fixed in the lab."""
    solution = view.solution
    positions = np.array(view.positions)
    anion = np.abs(solution.at("v_minus", positions) - solution["v_interface"][:, None]) * ANGSTROM
    solvent = solution.at("v_0", positions) * ANGSTROM
    note = f"Anion and solvent velocity at positions fixed in the lab, from {view.origin_name} at $t$ = 0. "
    with figstyle.drawing(path, 2, title=view.title, note=note + view.note, height=2.2, sharex=True) as (_, axes):
        digits, plus = (2 if view.length_unit == "mm" else 0), ("+" if view.origin else "")
        for k, x in enumerate(view.along(positions)):
            look: dict[str, Any] = {
                "color": figstyle.COLOURS[k % 7],
                "linestyle": figstyle.DASHES[k % 7],
                "linewidth": 1.1,
            }
            axes[0].plot(view.time, anion[:, k], label=f"{x:{plus}.{digits}f}", **look)
            axes[1].plot(view.time, solvent[:, k], **look)
        axes[1].plot(view.time, solution["v_interface"] * ANGSTROM, color=figstyle.GREY, linewidth=0.8, linestyle=":")
        axes[1].annotate(
            "interface",
            (view.time[-1], solution["v_interface"][-1] * ANGSTROM),
            xytext=(0, -2),
            ha="right",
            va="top",
            textcoords="offset points",
            color=figstyle.GREY,
        )
        axes[0].set_ylabel(figstyle.label("$|v_-|$, interface frame", SPEED))
        axes[1].set_ylabel(figstyle.label("$v_0$, lab frame", SPEED))
        figstyle.legend_above(axes[0], f"position ({view.length_unit})", 3)
        axes[0].set_ylim(0, _without_spike(view, anion)[1])
        axes[1].set_ylim(*_without_spike(view, np.column_stack([solvent, solution["v_interface"] * ANGSTROM])))
        view.time_axis(axes[1])


def _without_spike(view: View, values: Array) -> tuple[float, float]:
    """Limits of an axis that leave out the first twentieth of the run, when the velocities fall from their start."""
    part = 1e-3 if view.look.time == "log" else 0.05
    later = values[view.solution["time"] >= part * view.solution["time"][-1]]
    low, high = min(0.0, float(np.nanmin(later))), max(0.0, float(np.nanmax(later)))
    margin = 0.12 * (high - low) or 1.0
    return low - margin * (low < 0), high + margin


def figure_of_protocol(protocol: Protocol, title: str = "") -> Figure:
    """What a protocol imposes in time, one panel for each drive that it has.

    Parameters
    ----------
    protocol : Protocol
        Its steps; each is drawn with its whole duration, as if no stop condition ended it.
    title : str
        Above the panels.

    Returns
    -------
    Figure
    """
    scale, unit = time_scale(protocol.duration)
    drives = [drive for drive in ("voltage", "current") if any(step.drive == drive for step in protocol.steps)]
    note = "Steps may end earlier by their stop conditions." if any(s.stop.given for s in protocol.steps) else ""
    labels = {"voltage": figstyle.label("$V$", "V", "voltage"), "current": figstyle.label("$i$", CURRENT, "current")}
    with figstyle.panels(len(drives), title=title, note=note, height=1.8, sharex=True) as (figure, axes):
        for panel, drive in zip(axes, drives, strict=True):
            for step, (_, begins, _) in zip(protocol.steps, protocol.spans(), strict=True):
                if step.drive == drive:
                    own = np.array([0.0, step.duration]) if step.time is None else step.time
                    own = np.append(own[own < step.duration], step.duration)
                    values = [step.at(float(t)) for t in own]
                    panel.plot((begins + own) / scale, values, color=figstyle.COLOURS[0])
            panel.axhline(0, color=figstyle.GREY, linewidth=0.5, zorder=1)
            panel.set_ylabel(labels[drive])
        axes[-1].set_xlabel(figstyle.label("$t$", unit, "time"))
        axes[-1].set_xlim(0, protocol.duration / scale)
    return figure


__all__ = ["FIGURES", "Look", "figure_of_protocol", "write_figures"]

FIGURES = {
    "current.png": draw_current,
    "voltage.png": draw_voltage,
    "profiles.png": draw_profiles,
    "velocities.png": draw_velocities,
    "velocity_at_positions.png": draw_velocity_at_positions,
    "map.png": draw_map,
}
"""Name of the file and what draws it; the second one where the voltage is held, so that the first does not show it."""


def write_figures(
    solution: Solution, directory: str | Path, *, case: Case | None = None, look: Look | None = None
) -> list[Path]:
    """Draw all figures of a run.

    Parameters
    ----------
    solution : Solution
        The run, complete or partial.
    directory : str or Path
        An existing folder.
    case : Case, optional
        Its case: title, origin of positions, times, positions and data to overlay.
    look : Look, optional
        How they are drawn.

    Returns
    -------
    list of Path
        The files written, named as :data:`FIGURES`. A run that kept a single state has no figures.
    """
    if solution["time"].size < 2:
        return []
    look = look or Look()
    view = replace(make_view(solution, case), look=look)
    view = replace(view, title=view.title * look.title, note=view.note * look.note)
    written = []
    for name, draw in FIGURES.items():
        if draw is draw_voltage and _shows_voltage(view):
            continue
        written.append((Path(directory) / name).with_suffix(f".{look.suffix}"))
        draw(view, written[-1])
    return written
