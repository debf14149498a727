"""Fit the raw MRI profiles of Thienenkamp 2022 under the measured current, and say what they hold.

    python validation/thienenkamp2022/run.py [FOLDER] [--quick]

FOLDER (default: runs/validation/thienenkamp2022) receives table.md, numbers.json and fit.png, and keeps each rival fit
and each profile likelihood as soon as it is done: a run that was stopped goes on where it was. --quick: every third
profile, three rivals, no profile likelihoods.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
from thienenkamp2022_cell import Choice, first_edges, fit, noise_of, pixels, quotient, signal_size
from thienenkamp2022_checks import (
    CONSTANT,
    QUICK,
    RIVALS,
    SHORT_OF_LIKE,
    HeldOut,
    Rival,
    held_out,
    rivals,
    voltage,
    wall,
    weak_directions,
    with_voltage,
    without_effect,
)
from thienenkamp2022_figure import draw

from cellsim.fit.checks import whiteness
from cellsim.fit.estimate import Estimate, describe, directions
from cellsim.fit.likelihood_profile import profiles

PER_CM2 = 1e-4
"""1/m^2 -> 1/cm^2."""
KINDS = (
    ("pattern",), ("sensitivity",), ("pattern", "sensitivity"), ("pattern", "gain"), ("pattern", "background"),
)  # fmt: skip


def main(folder: Path, *, quick: bool = False) -> dict[str, Any]:
    """Everything; returns the numbers of numbers.json."""
    folder.mkdir(parents=True, exist_ok=True)
    every = 3 if quick else 1
    constant = Choice(every=every)
    first = fit(constant)
    sigma, spread, base = noise_of(first)
    noise = sigma, spread
    found = fit(constant, first.values, noise, signal_size(first)[1])
    some, between, correlation = pixels()
    numbers: dict[str, Any] = {
        "pixel correlation": correlation[:6].tolist(), "plateau": float(np.median(signal_size(found)[1][0].max())),
        "noise between profiles": between, "noise of the fit": sigma * float(found.levels[0]),
        "pattern": spread.pattern, "pixels": some.z.size, "edges": first_edges().__dict__,
        "chi2": found.chi2_data, "degrees of freedom": found.degrees_of_freedom,
    }  # fmt: skip
    numbers["shared errors"] = {
        " + ".join(kinds): -2 * (noise_of(first, kinds)[2] - base) for kinds in (KINDS[:2] if quick else KINDS)
    } | {"none": -2 * (noise_of(first, ())[2] - base)}
    names = QUICK if quick else tuple(RIVALS)
    table = rivals(names, every, found.values, noise, folder, print)
    numbers["rivals"] = {r.name: r.__dict__ for r in table}

    numbers["wall"] = {r.name: wall(RIVALS[r.name], r.values) for r in table}
    look = whiteness(found, signal_size(found)[0].shape)
    numbers["quotient"] = quotient(found, constant) * PER_CM2
    numbers["whiteness"] = [c.__dict__ for c in look.checks]
    numbers["directions"] = {
        motion: [[d.sd, d.text, d.weights["area"], d.weights["t_plus"]]
                 for d in weak_directions(Choice(every=every, solvent_motion=motion), found.values, noise)[:2]]
        for motion in ("volume", "none")
    }  # fmt: skip
    numbers["held out"] = scores(held_out(constant, found.values))
    numbers["kappa and chi"] = without_effect(constant, found)
    u = voltage(constant, found, 24 if quick else 80)
    numbers["voltage"] = {
        "checks": [c.__dict__ | {"passed": c.passed} for c in u.checks],
        "resistance": {f"{t:.0f}": [float(np.interp(t, u.resistance.time, a)) for a in
                                    (u.resistance.value, u.resistance.low, u.resistance.high, u.resistance.share)]
                       for t in (10, 600, 1800, 3600, 4800, 7200, 12000, 23400)},
    }  # fmt: skip
    if not quick:
        joint = with_voltage(CONSTANT, found.values, noise)
        left = joint.residuals[joint.problem.size - 16 : joint.problem.size]
        numbers["voltage"]["in the likelihood"] = [
            *describe(joint), f"chi2 of 16 voltages: {float(left @ left):.1f}",
            f"quotient: {quotient(joint, CONSTANT) * PER_CM2:.4f} 1/cm2",
            directions(joint.data_information, joint.space)[0].text,
        ]  # fmt: skip
        numbers["profiles"] = intervals(found, folder)
    numbers["describe"] = describe(found)
    (folder / "numbers.json").write_text(json.dumps(numbers, indent=1, default=float), encoding="utf-8")
    (folder / "table.md").write_text(written(table, numbers), encoding="utf-8")
    draw(folder / "fit.png", found, look, u)
    return numbers


def scores(h: HeldOut) -> dict[str, float]:
    """A forecast in numbers."""
    return {
        "chi2 per point": h.model.chi2_per_point, "inside 95 %": h.model.inside, "rms": h.model.rms,
        "null chi2 per point": h.null.chi2_per_point, "null rms": h.null.rms,
        "gain of ln density": h.model.log_density - h.null.log_density, "points": float(h.model.z.size),
        "D": h.early.values.get("D", h.early.values.get("D.k0", np.nan)), "area": h.early.values["area"],
    }  # fmt: skip


def intervals(found: Estimate, folder: Path) -> dict[str, Any]:
    """Profile likelihoods, the area's read as the quotient's."""
    numbers = {}
    names = ("area", "D", "growth", "time_offset")
    kept = profiles(found, names, folder=folder / "profiles", progress=lambda k, n: print(f"profile {k}/{n}"))
    for name, p in kept.items():
        low, high = p.interval
        entry: dict[str, Any] = {"interval": [low, high], "shape": p.shape, "checked": p.checked, "better": p.better}
        entry["curvature"] = list(found.interval(name))
        if name == "area":
            q = quotient(found, CONSTANT) * found.values["area"] * PER_CM2
            entry["quotient"] = [q / high, q / low]
        numbers[name] = entry
    return numbers


def written(table: list[Rival], numbers: dict[str, Any]) -> str:
    """The rivals and the checks as Markdown."""
    like = [r for r in table if r.name not in SHORT_OF_LIKE]
    best = min(r.aic for r in like)
    lines = [
        "| assumptions | q (1/cm2) | D (1e-13 m2/s) | growth (µm) | level | Δ AIC | trend | lowest c/c0 |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for r in table:
        growth = f"{r.values['growth'] * 1e6:.1f} ± {r.errors['growth'] * 1e6:.1f}" if "growth" in r.values else "-"
        aic = f"{r.aic - best:.1f}" if r in like else "other data"
        lines.append(
            f"| {r.name} | {r.quotient * PER_CM2:.3f} ± {r.quotient * r.quotient_sd * PER_CM2:.3f} | "
            f"{r.D * 1e13:.2f} ± {r.D * r.D_sd * 1e13:.2f} | {growth} | {r.level:.3f} | {aic} | {r.trend:.2f} | "
            f"{numbers['wall'][r.name][0]:.2f} at {numbers['wall'][r.name][1]:.0f} s |"
        )
    rest = {k: v for k, v in numbers.items() if k != "rivals"}
    return "\n".join(lines) + "\n\n```\n" + json.dumps(rest, indent=1, default=float) + "\n```\n"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", nargs="?", type=Path, default=Path("runs/validation/thienenkamp2022"))
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args()
    main(options.folder, quick=options.quick)
    print((options.folder / "table.md").read_text(encoding="utf-8"))
