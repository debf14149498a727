"""Makes the SYNTHETIC data of this folder: current and profiles of steinruck2020_rs, noise from seed 20261121.

    python cases/fit_example/make_data.py

Current: 46 times, 1 %. Profiles: 15 times, 40 places fixed in the laboratory, 2 % of the average concentration.
Tables: kappa (4 %), D (6 %), rho+ (+-0.02) and dU/dln m (3 %) at eight concentrations, of the laws in `tables`.
"""

from pathlib import Path

import numpy as np

from cellsim.base import F, R
from cellsim.run.case import load_case
from cellsim.run.simulation import simulate
from cellsim.solvers.march import Options

HERE = Path(__file__).parent


def main() -> None:
    case = load_case(HERE / "cell.toml")
    rng = np.random.default_rng(20261121)
    times = np.linspace(0, 40000, 46)  # potentiostat files begin with their step
    late = times[3::3]
    places = (np.arange(40) + 0.5) / 40 * case.cell.thickness
    run = simulate(case.cell, case.transport, case.protocol, c0=case.c0, times=times, solver="sundials",
                   options=Options(rtol=1e-6))  # fmt: skip
    i = np.interp(times, run["time"], run["i"])
    i = i + 0.01 * np.mean(i) * rng.standard_normal(i.size)
    with (HERE / "current.csv").open("w", encoding="utf-8") as file:
        file.write("# SYNTHETIC, make_data.py\ntime (s),I (mA)\n")
        for t, x in zip(times, i * case.cell.area * 1e3, strict=True):
            file.write(f"{t:.3f},{x:.6f}\n")
    sigma = 0.02 * case.c0
    seen = run.at("c", places, frame="lab")  # the interfaces move past a camera that stands still
    with (HERE / "profiles.csv").open("w", encoding="utf-8") as file:
        file.write("# SYNTHETIC, make_data.py\ntime (s),position (mm),c (mol/L),error (mol/L)\n")
        for t in late:
            k = int(np.argmin(np.abs(run["time"] - t)))
            c = seen[k] + sigma * rng.standard_normal(places.size)
            for x, value in zip(places, c, strict=True):
                file.write(f"{t:.3f},{1e3 * x:.4f},{value / 1e3:.5f},{sigma / 1e3:.5f}\n")
    tables(np.random.default_rng(20261129))


def tables(rng: np.random.Generator) -> None:
    """The four experiments of Balsara and Newman at eight concentrations: t+0 = 0.25 - 0.15 s, s = r/0.08 - 1."""
    r = np.array([0.02, 0.04, 0.06, 0.08, 0.10, 0.12, 0.14, 0.16])
    s = r / 0.08 - 1
    c = 1 / (134.9e-6 + 39.99e-6 / r)
    kappa, D = 0.16 * np.exp(-0.3 * s**2), 1.0e-11 * np.exp(-0.2 * s)
    t_plus, chi = 0.25 - 0.15 * s, 1.5 * np.exp(0.5 * s)
    K = 2 * R * 363.15 / F
    slope = K * (1 - t_plus) * chi
    rho = 1 / (1 + kappa * K * (1 - t_plus) ** 2 * chi / (F * D * c))
    with (HERE / "tables.csv").open("w", encoding="utf-8") as file:
        file.write("# SYNTHETIC, make_data.py\nr,kappa (mS/cm),error kappa (mS/cm),D (cm^2/s),error D (cm^2/s),")
        file.write("rho_plus,error rho_plus,dU/dlnm (mV),error dU/dlnm (mV)\n")
        for row in zip(r, kappa, D, rho, slope, strict=True):
            values = np.array(row[1:]) * (10, 1e4, 1, 1e3)
            errors = values * (0.04, 0.06, 0.02 / values[2], 0.03)
            seen = values + errors * rng.standard_normal(4)
            told = ",".join(f"{x:.4g},{sd:.4g}" for x, sd in zip(seen, errors, strict=True))
            file.write(f"{row[0]:g},{told}\n")


if __name__ == "__main__":
    main()
