"""Run RS, RS in its volume reading, and PNB, and write the table of verdicts and its figure.

    python validation/steinruck2020/run.py [FOLDER]

FOLDER (default: runs/validation/steinruck2020) receives table.md and comparison.png.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
from steinruck2020_bulk import concentrations, currents, volumes
from steinruck2020_motion import estimates, frame_of_t_plus, lab_frame, regime_checks, velocities
from steinruck2020_runs import ANGSTROM, BEAMS, MINUTE, NAMES, SETS, Check, Run, ratio, run_all

from cellsim.drawing import figstyle

HEAD = """# Steinrück 2020: statements against the model

Written by `python validation/steinruck2020/run.py`. All three sets are reconstructions from the paper's text, not its
Table S3; D and (1-t+0) chi were chosen so that the RS velocities fall into the stated groups. Lines are those of the
accepted manuscript; "estimate" and "trial pair" are independent calculations; the trial pair is an earlier
reconstruction (trial_rs.toml, trial_pnb.toml), run here too to compare the solvers. x counts from the cell centre
towards the negative electrode; the manuscript does not say where its x points, so the velocity statements are read both
ways. |v-| is in the interface frame, at positions fixed in the lab; ± is what 0.04 mm of position does,
slow/medium/fast are below 50, below 100 and above 100 Å/s. RS volume: t+ = 0.2 read in the volume frame.

| where | statement | model | verdict |
| --- | --- | --- | --- |
"""


def all_checks(runs: dict[str, Run]) -> list[Check]:
    """Every check, in the order of the manuscript, then the independent estimates."""
    parts = (currents, concentrations, volumes, regime_checks, velocities, lab_frame, frame_of_t_plus, estimates)
    return [check for part in parts for check in part(runs)]


def table(checks: list[Check]) -> str:
    """The checks as a Markdown table."""
    rows = [
        " | ".join(("", *(_cell(t) for t in (c.where, c.statement, c.number, c.verdict)), "")).strip() for c in checks
    ]
    kinds = ("holds", "holds in part", "fails", "not checkable")
    counts = ", ".join(f"{sum(c.verdict == kind for c in checks)} {kind}" for kind in kinds)
    return HEAD + "\n".join(rows) + f"\n\n{counts}.\n"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def draw(runs: dict[str, Run], path: Path) -> None:
    """Current, current ratio, profile at 707 min and velocity at 300 min of the three sets."""
    note = (
        "Reconstructions, not the paper's tabulated coefficients. Band: within 10 % of RS. Points: beam positions, "
        "with x as here (filled) and mirrored (open)."
    )
    title = "Li | PEO-LiTFSI | Li, 0.3 V, 90 °C: RECONSTRUCTIONS of Steinrück 2020"
    with figstyle.drawing(path, 2, 2, title=title, note=note, width=figstyle.TWO_COLUMNS, height=2.3) as (_, axes):
        current, quotient, profile, velocity = axes
        quotient.axhspan(0.9, 1.1, color="0.92", zorder=0)
        for threshold in (50, 100):
            velocity.axhline(threshold, color=figstyle.GREY, linestyle=":", linewidth=0.8)
        for name, colour, dash in zip(SETS, figstyle.COLOURS, figstyle.DASHES, strict=False):
            run = runs[name]
            look: Any = {"color": colour, "linestyle": dash}
            s = run.solution
            current.plot(s["time"] / MINUTE, s["i"], label=NAMES[name], **look)
            quotient.plot(s["time"][1:] / MINUTE, ratio(runs, name, "rs"), **look)
            profile.plot(run.x(707), run.along("c_face", 707) / 1e3, **look)
            velocity.plot(run.x(300), np.abs(run.along("v_minus", 300)) / ANGSTROM, **look)
            if name != "rs_volume":
                for x, fill in ((BEAMS, colour), (-BEAMS, "white")):
                    v = run.speeds(x)[run.row(300)]
                    velocity.plot(x, v, "o", color=colour, markerfacecolor=fill)
        profile.axhline(runs["rs"].case.c0 / 1e3, color=figstyle.GREY, linestyle=":", linewidth=0.8)
        profile.axvline(0, color=figstyle.GREY, linestyle=":", linewidth=0.8)
        current.set(xlabel="time $t$ (min)", ylabel="current density $i$ (A m$^{-2}$)", ylim=(0, None))
        quotient.set(xlabel="time $t$ (min)", ylabel="$i\\,/\\,i_{\\mathrm{RS}}$", ylim=(0.7, 1.15))
        profile.set(xlabel="from cell centre, $x$ (mm)", ylabel="$c$ at 707 min (mol L$^{-1}$)")
        velocity.set(xlabel="from cell centre, $x$ (mm)", ylabel="$|v_-|$ at 300 min, interface\nframe (Å s$^{-1}$)")
        current.legend()


def main(folder: Path) -> list[Check]:
    """Run, write the table and the figure, return the checks."""
    folder.mkdir(parents=True, exist_ok=True)
    runs = run_all()
    checks = all_checks(runs)
    (folder / "table.md").write_text(table(checks), encoding="utf-8")
    draw(runs, folder / "comparison.png")
    return checks


if __name__ == "__main__":
    target = Path(sys.argv[1] if len(sys.argv) > 1 else "runs/validation/steinruck2020")
    found = main(target)
    print((target / "table.md").read_text(encoding="utf-8"))
