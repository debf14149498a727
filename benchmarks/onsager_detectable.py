"""Which slow motions could any estimator see? The most powerful test against plain diffusion, for `onsager_kinds.py`.

    python benchmarks/onsager_detectable.py --n 400 --seed 20261215 [--short]

Systems with one slow bounded motion are those of the study. The test is told everything: Omega, the motion's time and
its strength, and the plain walk it is to be told from, which is the likeliest one (the mean of the spectrum over all
amplitudes). By Neyman and Pearson no test of the same amplitudes that warns on 5 % of those plain walks finds more of
these motions. Where it does not, kappa is the short-time value and nobody can know it: the share of such systems is a
lower bound for misses without a warning of any estimator whose intervals for plain walks are narrow.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from functools import partial
from itertools import pairwise

import numpy as np
from onsager_kinds import simulated
from scipy.stats import wishart

from cellsim.base import Array
from cellsim.electrolyte.relations import conductivity
from cellsim.workers import mapped
from mdcoeffs.onsager.spectrum import current_spectrum

FALSE_ALARMS = 0.05
REPEATS = 400
LENGTHS = (3, 6, 10, 20, 100, np.inf)


def log_ratio(of: Array, true: Array, plain: Array, dof: Array, rng: np.random.Generator) -> Array:
    """Log likelihood ratio of `true` (bins, n, n) to `plain` (n, n) for amplitudes of the spectrum `of`."""
    total = np.zeros(REPEATS)
    for here, S, f in zip(of, true, dof, strict=True):
        W = wishart.rvs(f, here, size=REPEATS, random_state=rng)
        change = np.linalg.inv(plain) - np.linalg.inv(S)
        total += 0.5 * np.einsum("ij,mji->m", change, W)
        total -= 0.5 * f * (np.linalg.slogdet(S)[1] - np.linalg.slogdet(plain)[1])
    return total


def power(k: int, seed: int, short: bool) -> tuple[float, float, bool]:
    """Frames over slowest time, power of the test, and whether the plain walk's kappa is two standard errors off."""
    system, runs = simulated(("slow", k), seed, short)
    spectrum = current_spectrum(runs)
    true = system["spectrum"](2 * np.arcsin(0.5 * spectrum.s))
    unit = np.trace(system["Omega"])
    dof = np.maximum(np.rint(spectrum.dof), 2)
    plain = np.average(true, axis=0, weights=dof)
    rng = np.random.default_rng([seed, k])
    null, alternative = (
        log_ratio(of / unit, true / unit, plain / unit, dof, rng) for of in (np.broadcast_to(plain, true.shape), true)
    )
    found = float(np.mean(alternative > np.quantile(null, 1 - FALSE_ALARMS)))
    ratio = conductivity(plain, system["z"]) / conductivity(system["Omega"], system["z"])
    return system["frames"] / system["slowest"], found, bool(ratio - 1 > 2 * ratio * np.sqrt(2 / dof.sum()))


def main(argv: Sequence[str] | None = None) -> int:
    """Print the share that cannot be seen, all together and by length of the run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n", type=int, default=400, help="systems")
    parser.add_argument("--seed", type=int, default=20261215)
    parser.add_argument("--short", action="store_true", help="slowest times up to a third of the run")
    parser.add_argument("--workers", type=int, default=1)
    options = parser.parse_args(argv)
    work = partial(power, seed=options.seed, short=options.short)
    rows = [returned.result() for returned in mapped(work, range(options.n), workers=options.workers)]
    length, found, off = np.array(rows).T
    unseen = off * (1 - found)
    error = unseen.std() / np.sqrt(len(unseen))
    print(f"{len(rows)} systems, {np.mean(off):.3f} of them off where diffusion alone is believed")
    print(f"unseen by the most powerful test with {FALSE_ALARMS:.0%} false alarms: {unseen.mean():.3f} +- {error:.3f}")
    for low, high in pairwise(LENGTHS):
        some = (length >= low) & (length < high)
        if some.any():
            print(f"  runs of {low:g} to {high:g} slowest times: {unseen[some].mean():.3f} of {some.sum()}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
