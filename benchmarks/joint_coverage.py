"""Beam times with a hidden truth: current, raw g2 at five positions, raw transmission; do the intervals hold?

    python benchmarks/joint_coverage.py --n 200 --jobs 2
    python benchmarks/joint_coverage.py --n 3 --without-noise
    python benchmarks/joint_coverage.py --n 200 --without-g2

Beam time k has the random stream (seed, k), fixed before anything is run. Its truth is drawn (D, t+0, chi, R_int); its
files are written as instruments would (a table of currents, photon counts of X-ray absorption, correlation functions
at five positions and four times) and a fit's file names them, as a user would write it; what is fitted starts from
other values. The correlation functions are averaged over the beam and over the series, velocity gradient and drift
included, which the fit's look leaves out. SYNTHETIC throughout.

Cell: 2.6 mm of PEO-LiTFSI, r = 0.1, 363.15 K, 0.3 V, volumes and conductivity of steinruck2020_rs, known.

Resumable: every finished beam time is a line of the store; run the same command again to go on. Rules: exact two-sided
binomial test of the coverage of every parameter by curvature and by the likelihood ratio at the truth, 1 % over all of
them (Bonferroni). Pulls are given beside their mean and spread; the spread over what the fit states says the same as
the scatter over the Cramer-Rao bound, which the fit states to first order.

Nearly all of the time goes into the correlation functions; without them the same currents and photon counts are fitted.
Without noise the pulls are what the fit leaves out of the beam line: the means over the beam and over the series.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import binomtest
from scipy.stats import chi2 as chi2_distribution
from studies import resumed

from cellsim.base import to_si
from cellsim.fit.estimate import estimate
from cellsim.fit.likelihood_profile import delta_at
from cellsim.fit.recipe import read_recipe
from cellsim.instruments.attenuation import attenuation
from cellsim.instruments.xam import Raster, counted, transmitted
from cellsim.instruments.xpcs.correlation import CorrelationSet, add_noise, g2_of_solution, geometry
from cellsim.instruments.xpcs.files import write_npz
from cellsim.run.case import load_case
from cellsim.run.simulation import simulate
from cellsim.solvers.march import Options
from cellsim.solvers.solution import Solution

LEVEL, ALPHA = 0.95, 0.01
RANGES = {"D": (0.7e-11, 1.4e-11), "t_plus": (0.0, 0.35), "chi": (1.1, 2.0), "R_int": (0.02, 0.08)}
START = {"D": 1e-11, "t_plus": 0.2, "chi": 1.5, "R_int": 0.04}
THICKNESS, LENGTH_OF_RUN = 2.6e-3, 40000.0
CURRENT_AT = np.linspace(600.0, 39000.0, 40)
CURRENT_ERROR, XAM_ERROR = 0.01, 0.02
SCANS = np.array([-1200.0, -600.0, 2000.0, 6000.0, 15000.0, 38000.0])
ENERGY, PATH, BEAM = "7.35 keV", "1 mm", 15e-6
RASTER = np.arange(0.05e-3, THICKNESS, 0.05e-3)
BEAMS = np.array([0.12, 0.32, 0.5, 0.68, 0.88]) * THICKNESS
SERIES_AT, SERIES = np.array([3000.0, 8000.0, 16000.0, 36000.0]), 600.0
DELAYS = np.geomspace(1.0, 300.0, 30)
RINGS, AZIMUTHS = np.geomspace(0.004, 0.015, 5), np.deg2rad(5 + 30.0 * np.arange(6))
G2_ERROR, CONTRAST, MOVING, TAU_0 = 0.01, 0.15, 0.3, 40.0

CELL = """
title = "SYNTHETIC beam time"

[cell]
thickness = "{thickness} mm"
area = "1 cm^2"
temperature = "363.15 K"

[electrolyte]
transport = "steinruck2020_rs"
salt = {{ r = 0.1 }}
extrapolate = "clamp"

[electrolyte.change]
D = "{D} m^2/s"
t_plus = "{t_plus}"
chi = "{chi}"

[electrodes.positive]
resistance = "{half} ohm m^2"

[electrodes.negative]
resistance = "{half} ohm m^2"

[[step]]
hold = "voltage"
value = "0.3 V"
duration = "{duration} s"
"""
FIT = """
title = "SYNTHETIC beam time"

[[experiment]]
case = "cell.toml"
data = [{ file = "current.csv", error = "1 %" }, "xam.toml"]

[fit.D]
form = "constant"

[fit.t_plus]
form = "constant"

[fit.chi]
form = "constant"

[nuisance.R_int]
start = "0.04 ohm m^2"
"""


def case_text(values: dict[str, float]) -> str:
    """A case of the cell with these properties."""
    return CELL.format(
        thickness=1e3 * THICKNESS,
        duration=LENGTH_OF_RUN,
        half=0.5 * values["R_int"],
        D=values["D"],
        t_plus=values["t_plus"],
        chi=values["chi"],
    )


def make(k: int, seed: int, folder: Path, *, noisy: bool = True, g2: bool = True) -> dict[str, float]:
    """Write the files of beam time k; returns its truth."""
    rng = np.random.default_rng(np.random.SeedSequence([seed, k]))
    truth = {name: float(rng.uniform(*ends)) for name, ends in RANGES.items()}
    hidden = folder / "truth.toml"
    hidden.write_text(case_text(truth))
    case = load_case(hidden)
    hidden.unlink()
    (folder / "cell.toml").write_text(case_text(START))
    (folder / "fit.toml").write_text(FIT.replace('"xam.toml"', '"xam.toml", "xpcs.toml"') if g2 else FIT)
    times = np.unique(np.concatenate([np.linspace(0.0, LENGTH_OF_RUN, 401), CURRENT_AT]))
    run = simulate(
        *(case.cell, case.transport, case.protocol),
        c0=case.c0,
        times=times,
        solver="compiled",
        options=Options(rtol=1e-6, cells=320),
    )
    i = np.interp(CURRENT_AT, run["time"], run["i"])
    # error = "1 %" of a fit's file is relative to the mean magnitude; with noise relative to each point (early currents
    # are three times the mean) intervals of R_int held in 21 of 27
    i = i + noisy * CURRENT_ERROR * float(np.mean(np.abs(i))) * rng.standard_normal(CURRENT_AT.size)
    rows = [f"{t:.6g},{0.1 * x:.8g}" for t, x in zip(CURRENT_AT, i, strict=True)]
    (folder / "current.csv").write_text("time (s),j (mA/cm^2)\n" + "\n".join(rows) + "\n")
    light, path = attenuation(to_si(ENERGY, "J"), salt="LiTFSI", solvent="EO"), to_si(PATH, "m")
    slope = float(light.depth_slope(case.transport, case.c0, path))
    photons = (
        1.5 / (XAM_ERROR * case.c0 * slope) ** 2 * float(np.exp(light.optical_depth(case.transport, case.c0, path)))
    )
    seen = transmitted(run, case.transport, light, Raster(RASTER, path, BEAM, photons), SCANS)
    seen = counted(seen, rng) if noisy else seen
    np.savez(
        folder / "xam.npz", time=SCANS, time_unit="s", position=RASTER, position_unit="m", intensity=seen.intensity
    )
    (folder / "xam.toml").write_text(
        f'kind = "xam"\nfile = "xam.npz"\nenergy = "{ENERGY}"\npath_length = "{PATH}"\nsalt = "LiTFSI"\n'
        f'solvent = "EO"\nbeam_width = "{BEAM} m"\ncounted = true\n'
    )
    if g2:
        write_correlations(run, rng if noisy else None, folder)
    return truth


def write_correlations(run: Solution, rng: np.random.Generator | None, folder: Path) -> None:
    """Write g2 at five positions and four times, and the list of them."""
    q, azimuth = geometry(RINGS * 1e10, AZIMUTHS)
    listed = [f'kind = "xpcs"\ntitle = "SYNTHETIC XPCS"\nbeam_width = "{BEAM} m"\n']
    for n, (middle, place) in enumerate((t, x) for t in SERIES_AT for x in BEAMS):
        g2 = g2_of_solution(
            run,
            q,
            azimuth,
            DELAYS,
            position=place,
            start=middle - 0.5 * SERIES,
            duration=SERIES,
            contrast=CONTRAST,
            h=MOVING,
            tau0=TAU_0 * 0.004e10 / q,
            beam=BEAM,
        )
        curves = CorrelationSet(q, azimuth, DELAYS, g2, np.full(g2.shape, G2_ERROR))
        write_npz(curves if rng is None else add_noise(curves, rng), folder / f"g2_{n}.npz")
        listed.append(f'[[series]]\nfile = "g2_{n}.npz"\nposition = "{place} m"\ntime = "{middle} s"\n')
    (folder / "xpcs.toml").write_text("\n".join(listed))


def run_one(k: int, seed: int, *, noisy: bool = True, g2: bool = True) -> dict[str, Any]:
    """Make, fit and judge beam time k."""
    with tempfile.TemporaryDirectory() as scratch:
        truth = make(k, seed, Path(scratch), noisy=noisy, g2=g2)
        began = time.process_time()
        problem = read_recipe(Path(scratch) / "fit.toml").problem
        read = time.process_time() - began
        found = estimate(problem, starts=1)
        used = time.process_time() - began
        row: dict[str, Any] = {"k": k, "chi2": found.chi2, "points": sum(o.size for o in problem.observations)}
        for j, name in enumerate(found.space.names):
            p = found.space.parameters[j]
            low, high = found.interval(name, LEVEL)
            row[name] = {
                "true": truth[name],
                "held": bool(low <= truth[name] <= high),
                "pull": float((found.u[j] - p.u(truth[name])) / found.sd[j]),
                "sd": float(found.sd[j]),
                "delta": delta_at(found, name, truth[name]),
            }
    return row | {"read_s": read, "s": used}


def report(rows: Sequence[dict[str, Any]]) -> tuple[str, bool]:
    """The table (Markdown) and whether the rules hold."""
    threshold, n = float(chi2_distribution.ppf(LEVEL, 1)), len(rows)
    lines = [
        f"{n} beam times; coverage of 95 % intervals, p of the exact binomial test.",
        "",
        "| parameter | curvature | p | likelihood ratio | p | mean pull | sd of pulls |",
        "|" + "---|" * 7,
    ]
    smallest = 1.0
    for name in RANGES:
        own = [row[name] for row in rows]
        held, inside = [one["held"] for one in own], [one["delta"] <= threshold for one in own]
        p, p_inside = (float(binomtest(int(np.sum(x)), n, LEVEL).pvalue) for x in (held, inside))
        smallest = min(smallest, p, p_inside)
        pulls = np.array([one["pull"] for one in own])
        lines.append(
            f"| {name} | {np.mean(held):.3f} | {p:.3f} | {np.mean(inside):.3f} | {p_inside:.3f} | {pulls.mean():+.2f} "
            f"| {pulls.std():.2f} |"
        )
    seconds = np.array([row["s"] for row in rows])
    read = np.median([row["read_s"] for row in rows])
    good = smallest >= ALPHA / (2 * len(RANGES))
    lines += [
        "",
        f"Processor time of a beam time: median {np.median(seconds):.1f} s, largest {seconds.max():.1f} s, of which "
        f"the correlation functions {read:.1f} s. Error of a spread {1 / np.sqrt(2 * n):.2f}.",
        f"Smallest p {smallest:.4f} (needed {ALPHA / (2 * len(RANGES)):.5f}): {'PASS' if good else 'FAIL'}",
    ]
    return "\n".join(lines), good


def main(argv: Sequence[str] | None = None) -> int:
    """Run or resume the study, print the table; exit code 0 when the rules hold."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n", type=int, default=200, help="number of beam times")
    parser.add_argument("--seed", type=int, default=20261201)
    parser.add_argument("--workers", type=int, default=1, help="processes")
    parser.add_argument("--store", type=Path, help="finished beam times; default in build/")
    parser.add_argument("--without-noise", action="store_true", help="pulls of noise-free beam times; nothing is kept")
    parser.add_argument("--without-g2", action="store_true", help="currents and photon counts alone")
    options = parser.parse_args(argv)
    if options.without_noise:
        for k in range(options.n):
            row = run_one(k, options.seed, noisy=False, g2=not options.without_g2)
            print(f"beam time {k}: " + ", ".join(f"{name} {row[name]['pull']:+.3f}" for name in RANGES), flush=True)
        return 0
    study = partial(run_one, seed=options.seed, g2=not options.without_g2)
    store = options.store or Path(f"build/joint_coverage{'_without_g2' if options.without_g2 else ''}.jsonl")
    head = {"seed": options.seed, "g2": not options.without_g2, "version": 1}
    text, good = report(resumed(store, head, study, options.n, workers=options.workers))
    print(text)
    return 0 if good else 1


if __name__ == "__main__":
    raise SystemExit(main())
