"""Do the intervals of residence times hold the truth? Prescribed Poisson exchange, many systems, seed fixed.

    python benchmarks/residence_coverage.py [systems]

Each system: cations whose partners come and go with a known mean residence time; the 95 % intervals of the mean time
of four bonds (continuous) and of C(t) over the window of the fit. The exact binomial test is at 1 %, Bonferroni over
the four.
"""

import sys
import time

import numpy as np
from scipy.stats import binomtest

from mdcoeffs.residence.lifetimes import Intervals, lag_sums, survival
from mdcoeffs.synthetic.partners import Partner, exchange

DT = 1e-12
CASES = {
    "anion, 20 frames, 1 run": (Partner("X", 2, 20e-12, 0.4), 20, 1000, 1),
    "solvent, 5 frames, 1 run": (Partner("S", 4, 5e-12, 0.7), 20, 1000, 1),
    "anion, 60 frames, 4 runs": (Partner("X", 2, 60e-12, 0.6), 20, 600, 4),
    "linker, 15 frames, 1 run": (Partner("X", 2, 30e-12, 0.5), 30, 1200, 1),
}
SEED = 20260101


def one_system(case: str, seed: int) -> tuple[bool, float, float]:
    """(interval of the mean time holds, share of C(t) held, z)."""
    partner, cations, frames, runs = CASES[case]
    tau = partner.tau / 2 if case.startswith("linker") else partner.tau
    sums = []
    for run in range(runs):
        made = exchange([partner], cations=cations, frames=frames, dt=DT, seed=[SEED, seed, run])
        h = made.states[0].all(axis=2) if case.startswith("linker") else made.states[0].reshape(frames, -1)
        sums.append(lag_sums(Intervals.of_states(h), frames // 2))
    found = survival(sums, DT)
    low, high = found.mean_interval()
    inside = (found.lag >= found.window[0]) & (found.lag <= found.window[1])
    exact = np.exp(-found.lag / tau)
    c_low, c_high = found.C.interval()
    return (
        low < tau < high,
        float(((c_low <= exact) & (exact <= c_high))[inside].mean()),
        float((found.mean.value - np.log(tau)) / found.mean.error),
    )


def main(systems: int = 200) -> int:
    bad = 0
    for case in CASES:
        begin = time.perf_counter()
        rows = [one_system(case, k) for k in range(systems)]
        held = sum(row[0] for row in rows)
        p = binomtest(held, systems, 0.95).pvalue
        bad += p < 0.01 / len(CASES)
        z = np.array([row[2] for row in rows])
        print(
            f"{case:<26} mean time held {held}/{systems} (p = {p:.2g}), z {z.mean():+.2f} +- {z.std():.2f}; "
            f"C(t) held {np.mean([row[1] for row in rows]):.3f}; {time.perf_counter() - begin:.0f} s"
        )
    return bad


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 200))
