"""How long a six-parameter fit takes to 46 profiles of 60 points and a current, its profiles, and a posterior of five.

    python benchmarks/fit_speed.py [--part fit | posterior]

The cell and its errors are those of fit_coverage.py; three starts; everything in this process, one core. The posterior
is of five parameters (t+0 without its slope), by the full model: until 2000 draws are worth as much as independent ones
and R-hat is below 1.01. `--stretch` samples it by emcee's stretch moves alone, as an independent route to the same
numbers.

Measured in turns, three times, on two cores at a load average of 4 to 5, processor time: fit 0.21 to 0.38 s, profiles
0.56 to 0.68 s; with differences between whole runs for derivatives 0.26 to 0.44 s and 0.77 to 0.89 s. Posterior: 36 s,
29 s of processor time; before, by stretch moves alone and at a load of 10, 202 s of processor time for 550 to 920
effective draws.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import replace

import numpy as np
from fit_coverage import START, TRUTH, exact, truth_of

from cellsim.fit import posterior
from cellsim.fit.estimate import estimate
from cellsim.fit.likelihood_profile import profiles
from cellsim.fit.parameters import Space
from cellsim.fit.problem import Problem, synthetic
from cellsim.fit.set_model import constant_form

SEEDS = (1, 2, 3)


def five() -> tuple[Problem, np.ndarray]:
    """The six-parameter problem with a constant t+0, and the truth."""
    six = exact("six")
    t_plus = constant_form("t_plus", START["t_plus"], extra={"frame": "solvent"})
    model = replace(six.model, forms=tuple(t_plus if form.name == "t_plus" else form for form in six.model.forms))
    problem = replace(six, model=model, space=Space(model.parameters))
    return problem, problem.space.point(truth_of("six") | {"t_plus": TRUTH["t_plus"]})


def timed() -> tuple[float, float]:
    return time.perf_counter(), time.process_time()


def spent(begun: tuple[float, float]) -> str:
    wall, processor = (now - then for now, then in zip(timed(), begun, strict=True))
    return f"{wall:.2f} s ({processor:.2f} s of processor time)"


def fits() -> None:
    blank = exact("six")
    truth = blank.space.point(truth_of("six"))
    estimate(synthetic(blank, truth, np.random.default_rng(0)), starts=1)  # compiled code is loaded
    for seed in SEEDS:
        problem = synthetic(blank, truth, np.random.default_rng(seed))
        begun = timed()
        found = estimate(problem, starts=3)
        fitted, begun = spent(begun), timed()
        curves = profiles(found)
        shapes = ", ".join(sorted({c.shape for c in curves.values()}))
        pulls = (found.u - truth) / found.sd
        print(
            f"seed {seed}: fit {fitted}, {found.evaluations} runs, 3 starts; six profiles {spent(begun)}, {shapes}; "
            f"largest |found - truth| {np.max(np.abs(pulls)):.1f} standard errors",
            flush=True,
        )


def sampled(steps: int, stretch: bool) -> None:
    blank, truth = five()
    found = estimate(synthetic(blank, truth, np.random.default_rng(SEEDS[0])))
    if stretch:
        posterior.PROPOSED = 0.0
    begun = timed()
    post = posterior.sample(found, steps=steps)
    print(f"posterior: {spent(begun)}; {post.message}; {post.acceptance:.2f} of the moves accepted")
    for k, name in enumerate(found.space.names):
        mean, sd = post.draws[:, k].mean(), post.draws[:, k].std()
        print(
            f"  {name:8s} mean {(mean - found.u[k]) / found.sd[k]:+.3f} standard errors from the best point, spread "
            f"{sd / found.sd[k]:.3f} of the standard error; {post.effective[k]:.0f} effective draws, R-hat "
            f"{post.r_hat[k]:.4f}"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--part", choices=("fit", "posterior"))
    parser.add_argument("--steps", type=int, default=4000, help="most steps of each walker of the posterior")
    parser.add_argument("--stretch", action="store_true", help="sample by stretch moves alone")
    options = parser.parse_args()
    if options.part != "posterior":
        fits()
    if options.part != "fit":
        sampled(options.steps, options.stretch)


if __name__ == "__main__":
    main()
