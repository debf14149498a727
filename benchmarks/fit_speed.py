"""How long a six-parameter fit takes to 46 profiles of 60 points and a current, and its six profile likelihoods.

    python benchmarks/fit_speed.py

The cell and its errors are those of fit_coverage.py; three starts; everything in this process, one core.
"""

from __future__ import annotations

import time

import numpy as np
from fit_coverage import exact, truth_of

from cellsim.fit.estimate import estimate
from cellsim.fit.likelihood_profile import profiles
from cellsim.fit.problem import synthetic

SEEDS = (1, 2, 3)


def main() -> None:
    blank = exact("six")
    truth = blank.space.point(truth_of("six"))
    estimate(synthetic(blank, truth, np.random.default_rng(0)), starts=1)  # compiled code is loaded
    for seed in SEEDS:
        problem = synthetic(blank, truth, np.random.default_rng(seed))
        begun = time.perf_counter()
        found = estimate(problem, starts=3)
        fitted = time.perf_counter()
        curves = profiles(found)
        done = time.perf_counter()
        pulls = (found.u - truth) / found.sd
        shapes = ", ".join(sorted({c.shape for c in curves.values()}))
        print(
            f"seed {seed}: fit {fitted - begun:.1f} s ({found.evaluations} runs, 3 starts); six profiles "
            f"{done - fitted:.1f} s ({shapes}); largest |found - truth| {np.max(np.abs(pulls)):.1f} standard errors"
        )


if __name__ == "__main__":
    main()
