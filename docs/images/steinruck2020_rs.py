"""Draws the README's figure: python docs/images/steinruck2020_rs.py (from the root of the repository)."""

from pathlib import Path

import cellsim
from cellsim.drawing import figstyle
from cellsim.drawing.figstyle import ANGSTROM, CONCENTRATION, CURRENT, SPEED
from cellsim.run.figures import make_view, position_axis, time_text

HERE = Path(__file__).parent


def main() -> None:
    case = cellsim.load_case(HERE.parents[1] / "cases/steinruck2020/rs.toml")
    solution = cellsim.simulate(case.cell, case.transport, case.protocol, c0=case.c0)
    view = make_view(solution, case)
    path = HERE / "steinruck2020_rs.png"
    with figstyle.drawing(path, 1, 3, note=view.note, width=figstyle.TWO_COLUMNS, height=2.3) as (_, axes):
        axes[0].plot(view.time, solution["i"], color=figstyle.COLOURS[0])
        axes[0].set(xlabel=view.time_label, ylabel=figstyle.label("$i$", CURRENT, "current density"), xlim=(0, None))
        axes[0].set_ylim(0, None)
        times = view.profile_times
        for time, colour in zip(times, figstyle.shades(len(times)), strict=True):
            x = view.along(view.at_time("position_face", time))
            axes[1].plot(x, view.at_time("c_face", time) / 1e3, color=colour, label=time_text(view, time))
            if time > 0:
                axes[2].plot(x, view.at_time("v_minus", time) * ANGSTROM, color=colour)
                axes[2].plot(x, view.at_time("v_0", time) * ANGSTROM, color=colour, linestyle="--")
        axes[1].set_ylabel(figstyle.label("$c$", CONCENTRATION, "salt"))
        axes[1].legend(title=f"$t$ ({view.time_unit})", loc="lower left")
        axes[2].set_ylabel(figstyle.label("$v$", SPEED, "velocity"))
        axes[2].text(0, -240, "anion, $v_-$", ha="center")
        axes[2].set_ylim(None, 150)
        axes[2].text(0, 110, "solvent, $v_0$", ha="center")
        for panel in axes[1:]:
            position_axis(panel, view)


if __name__ == "__main__":
    main()
