"""Several kept runs over one another: current, voltage and profiles, with legends that say in what the runs differ."""

from __future__ import annotations

import tomllib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cellsim.base import Array, InputError
from cellsim.drawing import figstyle
from cellsim.drawing.figstyle import CONCENTRATION
from cellsim.run.case import NAMES, Case
from cellsim.run.figures import Look, View, draw_series, make_view, position_axis, time_scale, time_text
from cellsim.solvers.solution import Solution

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST_DIFFERENCES = 3
"""Differences that a legend tells; runs that differ in more are called by their folders."""
MOST_RUNS = 24
"""Curves that can be told from one another in one panel, by a colour map where there are more than seven."""
_ASIDE = ("title", "output", "measured")
"""What makes no difference to a run."""
_SHORT = {key: name for name, key in NAMES.items()}


@dataclass(frozen=True)
class Overlay:
    """Runs to be drawn over one another.

    Parameters
    ----------
    views : tuple of View
        One for each run, on one time axis and with one origin of positions.
    labels : tuple of str
        Of each, in legends.
    times : tuple of float
        When profiles are drawn [s].
    """

    views: tuple[View, ...]
    labels: tuple[str, ...]
    times: tuple[float, ...]

    @property
    def longest(self) -> View:
        """The run that ends last."""
        return max(self.views, key=lambda view: float(view.solution["time"][-1]))

    @property
    def thickest(self) -> View:
        """The run of the thickest cell: its length decides the unit of positions."""
        return max(self.views, key=lambda view: float(view.solution["thickness"][0]))

    @property
    def note(self) -> str:
        """What has to be said of any of the runs."""
        return " ".join(dict.fromkeys(view.note for view in self.views if view.note))

    def strokes(self) -> list[dict[str, Any]]:
        """Colour and line of each run: seven that print apart, or shades in the order given."""
        n = len(self.views)
        if n <= len(figstyle.COLOURS):
            pairs = zip(figstyle.COLOURS[:n], figstyle.DASHES[:n], strict=True)
            return [{"color": colour, "linestyle": dash, "linewidth": 1.1} for colour, dash in pairs]
        return [{"color": colour, "linewidth": 1.0} for colour in figstyle.shades(n)]


def overlay(
    runs: Sequence[tuple[Case, Solution]],
    folders: Sequence[str],
    *,
    times: Sequence[float] = (),
    labels: Sequence[str] = (),
    look: Look | None = None,
) -> Overlay:
    """Make ready to draw runs over one another.

    Parameters
    ----------
    runs : sequence of (Case, Solution)
        As :func:`.read_run` gives them.
    folders : sequence of str
        Their names, where the cases do not tell them apart.
    times : sequence of float, optional
        When profiles are drawn [s]; default three times that all runs reach.
    labels : sequence of str, optional
        In place of what the runs differ in.
    look : Look, optional
        How figures are drawn.

    Returns
    -------
    Overlay

    Raises
    ------
    InputError
        Runs of a single state, a number of labels that is not that of the runs, a time that no run reaches.
    """
    if len(runs) > MOST_RUNS:
        raise InputError(f"{len(runs)} runs cannot be distinguished in one figure; give {MOST_RUNS} at most")
    for folder, (_, solution) in zip(folders, runs, strict=True):
        if solution["time"].size < 2:
            raise InputError(f"{folder}: holds a single state, which makes no curve; leave it out")
    if labels and len(labels) != len(runs):
        raise InputError(f"{len(labels)} labels for {len(runs)} runs; give one for each, in their order")
    ends = [float(solution["time"][-1]) for _, solution in runs]
    for time in times:
        if time > max(ends) * (1 + 1e-9):
            raise InputError(f"--at: {time:.6g} s lies after the end of every run, at {max(ends):.6g} s the last")
        if time < 0:
            raise InputError(f"--at: {time:.6g} s lies before the start")
    scale, unit = time_scale(max(ends))
    look = look or Look()
    views = [make_view(solution, case) for case, solution in runs]
    if len({view.origin_name for view in views}) > 1:  # one axis has one origin: that of the equations
        views = [replace(view, origin=0.0, origin_name="positive interface") for view in views]
    views = [
        replace(
            view,
            title="",  # a title speaks of one run
            note=view.note * look.note,
            time_scale=scale,
            time_unit=unit,
            look=look,
        )
        for view in views
    ]
    chosen = tuple(sorted(set(times))) or _common_times(views[int(np.argmin(ends))])
    return Overlay(tuple(views), tuple(labels) or differences(runs, folders), chosen)


def _common_times(shortest: View) -> tuple[float, ...]:
    """Three of the times at which the run that ends first would be drawn, its end among them."""
    later = [time for time in shortest.profile_times if time > 0]
    return tuple(later[k] for k in sorted({0, len(later) // 2, len(later) - 1}))


# ---- what differs ---------------------------------------------------------------------------------------------------


def differences(runs: Sequence[tuple[Case, Solution]], folders: Sequence[str]) -> tuple[str, ...]:
    """What tells each run from the others: the keys of its case that are not the same in all, or its folder.

    Parameters
    ----------
    runs : sequence of (Case, Solution)
        The runs.
    folders : sequence of str
        Their names.

    Returns
    -------
    tuple of str
        One for each, no two alike.
    """
    told = [_told(case, solution) for case, solution in runs]
    keys = [key for key in dict.fromkeys(k for one in told for k in one) if len({one.get(key) for one in told}) > 1]
    if not 0 < len(keys) <= MOST_DIFFERENCES:
        return _apart(folders, folders)
    labels = [", ".join(_words(key, one.get(key)) for key in keys) for one in told]
    return _apart(labels, folders)


def _apart(labels: Sequence[str], folders: Sequence[str]) -> tuple[str, ...]:
    """Labels of which no two are alike: with the folder, and then a number, where they were."""
    twice = [f"{label} ({folder})" for label, folder in zip(labels, folders, strict=True)]
    named = [
        long if labels.count(label) > 1 and long != f"{label} ({label})" else label
        for label, long in zip(labels, twice, strict=True)
    ]
    return tuple(
        f"{name}, {named[:k].count(name) + 1}" if named.count(name) > 1 else name for k, name in enumerate(named)
    )


def _told(case: Case, solution: Solution) -> dict[str, str]:
    """Every value of a case that matters to its run, by the shortest name that says what it is."""
    data = {key: value for key, value in tomllib.loads(case.text).items() if key not in _ASIDE}
    flat = dict(_flat(data))
    told = {"solver": str(solution.attributes.get("solver", "")), "set": str(solution.attributes.get("transport", ""))}
    hidden = ("solver.name", "electrolyte.transport")
    names = {key: _name(key, flat) for key in flat if key not in hidden}
    counts = Counter(names.values())
    # two steps may have a duration each; only then is it said of which one
    told |= {name if counts[name] == 1 else key: flat[key] for key, name in names.items()}
    return told


def _flat(data: Any, name: str = "") -> list[tuple[str, str]]:
    if isinstance(data, Mapping):
        return [pair for key, value in data.items() for pair in _flat(value, f"{name}.{key}" if name else key)]
    if isinstance(data, list) and data and isinstance(data[0], Mapping):
        return [pair for k, value in enumerate(data) for pair in _flat(value, f"{name}[{k}]")]
    return [(name, str(data))]


def _name(key: str, flat: Mapping[str, str]) -> str:
    """A key in short: that of --set where it has one, the drive for the value of a step."""
    if key in _SHORT:
        return _SHORT[key]
    for prefix in ("electrolyte.salt.", "electrolyte.change.", "electrolyte."):
        if key.startswith(prefix):
            return key.removeprefix(prefix)
    step, _, last = key.partition("].")
    if step.startswith("step[") and last in ("value", "duration", "hold"):
        return flat.get(f"{step}].hold", last) if last == "value" else last
    return key.removeprefix("electrodes.").replace(".", " ")


def _words(key: str, value: str | None) -> str:
    if value is None:
        return f"no {key}"
    return value if key in ("set", "solver") else f"{key} {value}"


# ---- figures --------------------------------------------------------------------------------------------------------


def draw_overlay(found: Overlay, directory: str | Path) -> list[Path]:
    """Draw ``current``, ``voltage`` and ``profiles`` of all runs, as far as they are not imposed alike.

    Parameters
    ----------
    found : Overlay
        What :func:`overlay` gives.
    directory : str or Path
        An existing folder.

    Returns
    -------
    list of Path
        The files written.
    """
    suffix, written = found.views[0].look.suffix, []
    for name, variable in (("current", "i"), ("voltage", "V")):
        values = [view.solution[variable] for view in found.views]
        if any(np.ptp(one) > 1e-6 * np.max(np.abs(one)) for one in values):
            written.append(Path(directory) / f"{name}.{suffix}")
            _draw_in_time(found, name, values, written[-1])
    written.append(Path(directory) / f"profiles.{suffix}")
    _draw_profiles(found, written[-1])
    return written


def _draw_in_time(found: Overlay, name: str, values: Sequence[Array], path: Path) -> None:
    """A current density or a voltage of all runs, and what the cases hold of measurements of it."""
    view = found.longest
    factor, unit = view.current_unit
    if name == "voltage":
        small = max(float(np.max(np.abs(one))) for one in values) < 0.5 or view.look.paper_units
        factor, unit = (1e3, "mV") if small else (1.0, "V")
    symbol, what = ("$i$", "current density") if name == "current" else ("$V$", "voltage")
    with figstyle.drawing(path, note=found.note, height=_height(found, 2.3)) as (_, axes):
        for one, own, label, stroke in zip(values, found.views, found.labels, found.strokes(), strict=True):
            axes[0].plot(own.time, factor * one, label=figstyle.raised(label), **stroke)
        measured = {data.label: data for own in found.views for data in own.of_kind(name)}
        for data in measured.values():
            draw_series(axes[0], view, data, factor)
        axes[0].set_ylabel(figstyle.label(symbol, unit, what))
        low, high = axes[0].get_ylim()
        axes[0].set_ylim(min(low, 0.0), max(high, 0.0))
        view.time_axis(axes[0])
        _legend(axes[0], found)


def _draw_profiles(found: Overlay, path: Path) -> None:
    """A panel for each time, and one for the end of each run where the runs end apart."""
    ends = [float(view.solution["time"][-1]) for view in found.views]
    panels: list[float | None] = list(found.times)
    if max(ends) > min(ends) * (1 + 1e-9):
        panels.append(None)
    thick = found.thickest
    with figstyle.drawing(path, len(panels), note=found.note, height=1.45, sharex=True, sharey=True) as (_, axes):
        for panel, time in zip(axes, panels, strict=True):
            for view, end, label, stroke in zip(found.views, ends, found.labels, found.strokes(), strict=True):
                at = end if time is None else time
                if at > end * (1 + 1e-9):
                    continue
                x = view.at_time("position_face", at) - view.origin + thick.origin
                panel.plot(thick.along(x), view.at_time("c_face", at) / 1e3, label=figstyle.raised(label), **stroke)
            told = "at the end of each run" if time is None else f"$t$ = {time_text(thick, time)} {thick.time_unit}"
            panel.set_title(told, loc="right", y=0.86)
        low, high = axes[0].get_ylim()
        axes[0].set_ylim(max(low, 0.0), high + 0.12 * (high - low))
        axes[len(axes) // 2].set_ylabel(figstyle.label("$c$", CONCENTRATION, "salt concentration"))
        position_axis(axes[-1], thick)
        _legend(axes[0], found)


def _columns(found: Overlay) -> int:
    """Columns of the legend: as many labels as fit side by side."""
    return max(1, min(len(found.labels), int(56 / (max(len(label) for label in found.labels) + 6))))


def _height(found: Overlay, plain: float) -> float:
    return plain + 0.14 * -(-len(found.labels) // _columns(found))


def _legend(axes: Axes, found: Overlay) -> None:
    figstyle.legend_above(axes, columns=_columns(found))
