"""Velocities of anion and solvent, each in a named frame."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cellsim import figstyle
from cellsim.plots.profiles import position_axis, time_text
from cellsim.plots.view import ANGSTROM, SPEED, View

Array = NDArray[np.float64]


def draw_velocities(view: View, path: Path) -> None:
    """Anion and solvent velocity against position, interface frame; not at t = 0, when they step at the walls."""
    times = [t for t in view.profile_times if t > 0] or [float(view.solution["time"][-1])]
    v_s = float(view.at_time("v_interface", times[-1]))
    note = (
        "Interface frame. "
        if v_s == 0
        else f"Interface frame; for the lab frame add {v_s * ANGSTROM:.2g} {SPEED} (interfaces, last time). "
    )
    with figstyle.drawing(
        path, 2, title=view.title, note=note + view.note, height=1.9, sharex=True
    ) as (_, axes):  # fmt: skip
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
    with figstyle.drawing(
        path, 2, title=view.title, note=note + view.note, height=2.2, sharex=True
    ) as (_, axes):  # fmt: skip
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
            "interface", (view.time[-1], solution["v_interface"][-1] * ANGSTROM), xytext=(0, -2), ha="right", va="top",
            textcoords="offset points", color=figstyle.GREY,
        )  # fmt: skip
        axes[0].set_ylabel(figstyle.label("$|v_-|$, interface frame", SPEED))
        axes[1].set_ylabel(figstyle.label("$v_0$, lab frame", SPEED))
        figstyle.legend_above(axes[0], f"position ({view.length_unit})", 3)
        axes[0].set_ylim(0, _without_spike(view, anion)[1])
        axes[1].set_ylim(*_without_spike(view, np.column_stack([solvent, solution["v_interface"] * ANGSTROM])))
        axes[1].set_xlabel(view.time_label)
        axes[1].set_xlim(0, float(view.time[-1]))


def _without_spike(view: View, values: Array) -> tuple[float, float]:
    """Limits of an axis that leave out the first twentieth of the run, when the velocities fall from their start."""
    later = values[view.time >= 0.05 * view.time[-1]]
    low, high = min(0.0, float(np.nanmin(later))), max(0.0, float(np.nanmax(later)))
    margin = 0.12 * (high - low) or 1.0
    return low - margin * (low < 0), high + margin
