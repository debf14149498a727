"""Makes the SYNTHETIC current and profiles of this folder: steinruck2020_rs is the truth, noise from seed 20261121.

    python cases/fit_example/make_data.py

Current: 46 times, 1 %. Profiles: 15 times, 40 places fixed in the laboratory, 2 % of the average concentration.
"""

from pathlib import Path

import numpy as np

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


if __name__ == "__main__":
    main()
