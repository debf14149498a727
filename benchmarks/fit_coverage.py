"""Do the 95 % intervals of `cellsim.fit` hold the truth in 95 % of synthetic experiments, and are they the shortest?

    python benchmarks/fit_coverage.py --n 200 --jobs 2
    python benchmarks/fit_coverage.py --n 200 --jobs 2 --design correlated

Experiment k has the random stream (seed, k), fixed before anything is run. The cell: 3 mm of PEO-LiTFSI, r = 0.1,
363.15 K, volumes of steinruck2020_rs, 0.3 V, 0.02 ohm m^2 at each interface and known; the current at 46 times from 600
to 40 000 s with an error of 1 %, 60 points of a profile at each with an error of 2 % of the mean concentration.

six          kappa, chi constant; D and t+0 with a slope in r: six parameters, all independent errors known
correlated   kappa, D, t+0, chi constant: errors correlated over 0.3 mm along a profile, all stated half as large as
             they are, their levels free
tables       no run at all: the four tables of cases/fit_example/tables.toml, nine parameters

Resumable: every finished experiment is a line of the store; run the same command again to go on. The first `--walked`
experiments have their profile likelihoods walked in full (cellsim.fit.likelihood_profile.profile); the first
`--profiled` have the profile taken at the truth, which says as well whether the interval holds it, at a tenth of the
time. Where both are there they must agree.

Rules. Every parameter, by curvature and by profile likelihood: exact two-sided binomial test of the coverage, 1 % over
all of them (Bonferroni). Scatter of the estimates over the Cramer-Rao bound at the truth at most 1.2, its own error
1/sqrt(2n).
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from multiprocessing import Pool
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import binomtest
from scipy.stats import chi2 as chi2_distribution

from cellsim.cell.geometry import Cell
from cellsim.cell.kinetics import Electrode, Resistance
from cellsim.cell.protocol import Protocol, hold_voltage
from cellsim.electrolyte.set_file import read_set
from cellsim.fit.descent import inverse
from cellsim.fit.estimate import estimate
from cellsim.fit.experiment import Experiment, Observation
from cellsim.fit.likelihood_profile import delta_at, profile
from cellsim.fit.parameters import Space
from cellsim.fit.problem import Problem, synthetic
from cellsim.fit.recipe import read_recipe
from cellsim.fit.set_model import SetModel, constant_form, polynomial_form
from cellsim.instruments.measurement import ConcentrationMap, series
from cellsim.instruments.noise import independent

LEVEL, ALPHA, SCATTER = 0.95, 0.01, 1.2
TIMES = np.linspace(600.0, 40000.0, 46)
POINTS, THICKNESS, R0, T = 60, 3e-3, 0.1, 363.15
CURRENT_ERROR, PROFILE_ERROR, LENGTH = 0.01, 0.02, 0.3e-3
UNDERSTATED = 0.5
"""Stated over true error where the noise level is free."""
TRUTH = {"kappa": 0.13, "D": 1e-11, "t_plus": 0.2, "chi": 1.5}
SLOPES = {"D": -0.3, "t_plus": -0.3}
"""ln D and t+0 per r/0.1 - 1: over the cell (r = 0.02 to 0.2) D changes by a factor of 1.7, t+0 by 0.5."""
START = {"kappa": 0.11, "D": 1.3e-11, "t_plus": 0.3, "chi": 1.2}
DESIGNS = ("six", "correlated", "tables")
TABLES = Path(__file__).resolve().parents[1] / "cases" / "fit_example" / "tables.toml"


def model_of(design: str) -> SetModel:
    """What is fitted, from starts away from the truth."""
    if design == "six":
        D = polynomial_form("D", START["D"], 1, variable="r", centre=R0)
        t = polynomial_form("t_plus", START["t_plus"], 1, variable="r", centre=R0, extra={"frame": "solvent"})
    else:
        D = constant_form("D", START["D"])
        t = constant_form("t_plus", START["t_plus"], extra={"frame": "solvent"})
    kappa, chi = (constant_form(n, START[n], extra=x) for n, x in (("kappa", {}), ("chi", {"basis": "molal"})))
    return SetModel(read_set("steinruck2020_rs"), (kappa, D, t, chi))


def truth_of(design: str) -> dict[str, float]:
    """Values by parameter name."""
    if design == "tables":  # the laws of make_data.py, s = r/0.08 - 1, as polynomials about the fit's own centre x0
        x0 = read_recipe(TABLES).problem.model.forms[0].template["constants"]["x0"]
        a, b = x0 / 0.08, x0 / 0.08 - 1
        return {
            "kappa.k0": 0.16 * np.exp(-0.3 * b**2),
            "kappa.a1": -0.6 * a * b,
            "kappa.a2": -0.3 * a**2,
            "D.k0": 1e-11 * np.exp(-0.2 * b),
            "D.a1": -0.2 * a,
            "t_plus.k0": 0.25 - 0.15 * b,
            "t_plus.a1": -0.15 * a,
            "chi.k0": 1.5 * np.exp(0.5 * b),
            "chi.a1": 0.5 * a,
        }
    if design == "correlated":
        return dict(TRUTH)
    made = {"kappa": TRUTH["kappa"], "chi": TRUTH["chi"]}
    for name, slope in SLOPES.items():
        made |= {f"{name}.k0": TRUTH[name], f"{name}.a1": slope}
    return made


def exact(design: str) -> Problem:
    """The problem with data that carry no noise, and their true errors."""
    if design == "tables":
        problem = read_recipe(TABLES).problem
        return synthetic(problem, problem.space.point(truth_of(design)), None)
    model = model_of(design)
    electrode = Electrode(Resistance(np.array([0.02])))
    cell = Cell(THICKNESS, T, positive=electrode, negative=electrode)
    x = (np.arange(POINTS) + 0.5) / POINTS * THICKNESS
    space = Space(model.parameters)
    u = space.point(truth_of(design))
    c0 = float(model.at(space.values(u), T).c_of(r=R0))
    correlated = design == "correlated"
    current = Observation.of(series("current", TIMES, np.ones(TIMES.size), error=1.0))
    ones = np.ones((TIMES.size, POINTS))
    profiles = Observation.of(ConcentrationMap(TIMES, x, ones, PROFILE_ERROR * c0 * ones).measurement(c0))
    profiles = replace(profiles, noise=replace(profiles.noise, length=LENGTH * correlated, free=correlated))
    made = Problem(
        space, model, (Experiment("cell", cell, Protocol((hold_voltage(0.3, 40000.0),)), c0, (current, profiles)),)
    )
    i = made.predictions(u)[0]
    current = replace(current, noise=independent(CURRENT_ERROR * i, free=correlated))
    made = replace(made, experiments=(replace(made.experiments[0], observations=(current, profiles)),))
    return synthetic(made, u, None)


def understated(problem: Problem, factor: float) -> Problem:
    """The same data, their errors stated `factor` times as large as they are."""
    e = problem.experiments[0]
    observations = tuple(replace(o, noise=o.noise.with_errors(o.noise.own * factor)) for o in e.observations)
    return replace(problem, experiments=(replace(e, observations=observations),))


def bound(design: str) -> dict[str, float]:
    """Cramer-Rao bound of every parameter at the truth, in the fit's coordinates [1]."""
    problem = exact(design)
    u = problem.space.point(truth_of(design))
    sd = np.sqrt(np.diag(inverse(problem.information(problem.jacobian(u)))))
    return dict(zip(problem.space.names, (float(x) for x in sd), strict=True))


def run_one(k: int, seed: int, design: str, walked: int, profiled: int) -> dict[str, Any]:
    """Make, fit and judge experiment k; profile likelihoods where k is among the first so many."""
    truth = truth_of(design)
    problem = exact(design)
    drawn = synthetic(problem, problem.space.point(truth), np.random.default_rng(np.random.SeedSequence([seed, k])))
    if design == "correlated":
        drawn = understated(drawn, UNDERSTATED)
    began = time.perf_counter()
    found = estimate(drawn, starts=1)
    fitted = time.perf_counter() - began
    row: dict[str, Any] = {"k": k, "chi2": found.chi2, "levels": found.levels.tolist(), "runs": found.evaluations}
    for j, name in enumerate(found.space.names):
        p = found.space.parameters[j]
        walk = profile(found, name, level=LEVEL) if k < walked else None
        row[name] = {
            "pull": float((found.u[j] - p.u(truth[name])) / found.sd[j]), "off": float(found.u[j] - p.u(truth[name])),
            "sd": float(found.sd[j]), "curvature": list(found.interval(name, LEVEL)),
            "delta": delta_at(found, name, truth[name]) if k < profiled else None,
            "walk": None if walk is None else list(walk.interval),
            "shape": None if walk is None else walk.shape,
        }  # fmt: skip
    return row | {"fit_s": fitted, "s": time.perf_counter() - began}


def verdict(rows: Sequence[dict[str, Any]], truth: dict[str, float], limit: dict[str, float]) -> dict[str, Any]:
    """Per parameter: coverages, their p, scatter over the bound; and whether all rules hold."""
    n = len(rows)
    threshold = float(chi2_distribution.ppf(LEVEL, 1))
    table: dict[str, Any] = {}
    for name, true in truth.items():
        own = [row[name] for row in rows]
        curvature = [one["curvature"][0] <= true <= one["curvature"][1] for one in own]
        by_profile = [one["delta"] <= threshold for one in own if one["delta"] is not None]
        walked = [one for one in own if one["walk"] is not None and one["delta"] is not None]
        agree = [(one["walk"][0] <= true <= one["walk"][1]) == (one["delta"] <= threshold) for one in walked]
        off = np.array([one["off"] for one in own])
        table[name] = {
            "curvature": float(np.mean(curvature)), "p_curvature": _p(curvature),
            "profile": float(np.mean(by_profile or [np.nan])), "p_profile": _p(by_profile),
            "profiled": len(by_profile), "walked": len(walked), "agree": sum(agree),
            "bounded": sum(one["shape"] == "bounded" for one in walked),
            "scatter": float(np.sqrt(np.mean((off - off.mean()) ** 2) * n / (n - 1)) / limit[name]),
            "bias": float(np.mean(off) / limit[name]),
            "stated": float(np.mean([one["sd"] for one in own]) / limit[name]),
        }  # fmt: skip
    tests = 2 * len(truth)
    smallest = min(min(one["p_curvature"], one["p_profile"]) for one in table.values())
    widest = max(one["scatter"] for one in table.values())
    good = (
        smallest >= ALPHA / tests
        and widest <= SCATTER
        and all(one["agree"] == one["bounded"] == one["walked"] for one in table.values())
    )
    return {"table": table, "p": smallest, "needed": ALPHA / tests, "scatter": widest, "good": bool(good)}


def _p(held: Sequence[bool]) -> float:
    return float(binomtest(int(np.sum(held)), len(held), LEVEL).pvalue) if held else 1.0


def stored(path: Path, head: dict[str, Any]) -> dict[int, dict[str, Any]]:
    """Finished experiments of an earlier run with the same settings; an incomplete last line is dropped."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(head) + "\n")
        return {}
    text = path.read_text()
    whole = text[: text.rfind("\n") + 1]
    if whole != text:
        path.write_text(whole)
    lines = whole.splitlines()
    if not lines or json.loads(lines[0]) != head:
        raise SystemExit(f"{path} belongs to other settings ({lines[0] if lines else 'empty'}); choose another --out")
    return {row["k"]: row for row in map(json.loads, lines[1:])}


def lacks(row: dict[str, Any], walked: int, profiled: int) -> bool:
    """Whether a stored experiment was judged with less than is asked now."""
    own = next(one for one in row.values() if isinstance(one, dict))
    return (row["k"] < profiled and own["delta"] is None) or (row["k"] < walked and own["walk"] is None)


def report(rows: Sequence[dict[str, Any]], design: str) -> tuple[str, bool]:
    """The table (Markdown) and the verdict."""
    found = verdict(rows, truth_of(design), bound(design))
    n = len(rows)
    lines = [
        f"Design {design}, {n} experiments; coverage of 95 % intervals, p of the exact binomial test.", "",
        "| parameter | curvature | p | profile | p | scatter / bound | mean error / bound | stated / bound |",
        "|" + "---|" * 8,
    ]  # fmt: skip
    for name, one in found["table"].items():
        lines.append(
            f"| {name} | {one['curvature']:.3f} | {one['p_curvature']:.3f} | {one['profile']:.3f} "
            f"| {one['p_profile']:.3f} | {one['scatter']:.3f} | {one['bias']:+.3f} | {one['stated']:.3f} |"
        )
    walked = sum(one["walked"] for one in found["table"].values())
    profiled = max(one["profiled"] for one in found["table"].values())
    agree = sum(one["agree"] for one in found["table"].values())
    fits = np.array([row["fit_s"] for row in rows])
    levels = np.array([row["levels"] for row in rows]).mean(axis=0)
    lines += [
        "",
        f"Error of a scatter {1 / np.sqrt(2 * n):.3f}, of a mean error {1 / np.sqrt(n):.3f}. Profiles at the truth "
        f"in {profiled} experiments; walked in full: {walked}, {agree} of them say of the truth the same.",
        f"Mean noise levels {', '.join(f'{x:.3f}' for x in levels)}. A fit: median {np.median(fits):.2f} s, largest "
        f"{fits.max():.2f} s, median {np.median([row['runs'] for row in rows]):.0f} runs of the cell.",
        f"Rules: smallest p {found['p']:.4f} >= {found['needed']:.5f}, scatter {found['scatter']:.3f} <= {SCATTER}: "
        + ("PASS" if found["good"] else "FAIL"),
    ]
    return "\n".join(lines), found["good"]


def main(argv: Sequence[str] | None = None) -> int:
    """Run or resume the study, print the table; exit code 0 when the rules hold."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n", type=int, default=200, help="number of experiments")
    parser.add_argument("--seed", type=int, default=20261121)
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    parser.add_argument("--design", choices=DESIGNS, default="six")
    parser.add_argument("--walked", type=int, default=8, help="how many have their profiles walked in full")
    parser.add_argument("--profiled", type=int, help="how many have the profile taken at the truth (default: all)")
    parser.add_argument("--out", type=Path, help="default build/fit_coverage-DESIGN.jsonl")
    options = parser.parse_args(argv)
    out = options.out or Path(f"build/fit_coverage-{options.design}.jsonl")
    profiled = options.n if options.profiled is None else options.profiled
    done = stored(out, {"seed": options.seed, "design": options.design, "version": 1})
    wanted = [k for k in range(options.n) if k not in done or lacks(done[k], options.walked, profiled)]
    one = partial(run_one, seed=options.seed, design=options.design, walked=options.walked, profiled=profiled)
    with out.open("a") as store, Pool(options.jobs) as pool:
        for row in pool.imap_unordered(one, wanted):
            done[row["k"]] = row
            store.write(json.dumps(row) + "\n")
            store.flush()
            if sys.stderr.isatty():
                print(f"\r{len(done)}/{options.n}", end="", file=sys.stderr)
    text, good = report([done[k] for k in range(options.n)], options.design)
    print(text)
    return 0 if good else 1


if __name__ == "__main__":
    raise SystemExit(main())
