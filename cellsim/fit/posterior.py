"""The posterior by an ensemble sampler (emcee), with the checks that say whether to believe it.

Foreman-Mackey et al., doi:10.1086/670067. Free noise levels are integrated out under a prior flat in their logarithm:
n ln(chi2)/2 of that observation takes the place of chi2/2.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from cellsim.base import Array, InputError, interrupted
from cellsim.files.folder import write_arrays
from cellsim.files.reading import numbers, read_arrays
from cellsim.fit.estimate import Estimate
from cellsim.fit.parameters import Space
from cellsim.fit.problem import Problem
from cellsim.workers import holding

TIMES = 50
"""Autocorrelation times a chain must hold before its autocorrelation time can be believed."""
EVERY = 30.0
"""Longest time between two states of the chain on the disk [s]."""
SPLIT = 1.02
"""Largest ratio of pooled to mean spread of the chain's two halves, walker groups taken together."""


@dataclass(frozen=True)
class Posterior:
    """Draws and whether they may be believed.

    Parameters
    ----------
    space : Space
        The parameters.
    draws : ndarray, shape (n, p)
        Points u, burn-in off and thinned.
    autocorrelation : ndarray, shape (p,)
        Autocorrelation times, in steps [1].
    steps : int
        Steps of every walker, burn-in included.
    acceptance : float
        Fraction of moves accepted [1].
    split : ndarray, shape (p,)
        Spread of the halves pooled over their own: 1 where the chain has settled [1].
    converged : bool
        All checks passed.
    message : str
        Which did not, and what to do.
    """

    space: Space
    draws: Array
    autocorrelation: Array
    steps: int
    acceptance: float
    split: Array
    converged: bool
    message: str

    def values(self, name: str) -> Array:
        """Draws of one parameter, shape (n,), SI."""
        k = self.space.index(name)
        p = self.space.parameters[k]
        return np.array([p.value(float(x)) for x in self.draws[:, k]])

    def interval(self, name: str, level: float = 0.95) -> tuple[float, float]:
        """Equal-tailed interval [SI]."""
        low, high = np.quantile(self.values(name), [0.5 * (1 - level), 0.5 * (1 + level)])
        return float(low), float(high)


def log_posterior(problem: Problem, u: Array, levels: Array) -> float:
    """Up to a constant; minus infinity outside the bounds.

    Parameters
    ----------
    problem : Problem
        Data and priors.
    u : ndarray, shape (p,)
        Point.
    levels : ndarray, shape (observations,)
        Noise levels of observations where they are not free.
    """
    low, high = problem.space.bounds
    if np.any(u < low) or np.any(u > high) or not np.all(np.isfinite(u)):
        return -np.inf
    total = 0.0
    for o, predicted, level in zip(problem.observations, problem.predictions(u), levels, strict=True):
        if not np.all(np.isfinite(predicted)):
            return -np.inf
        chi2 = float(np.sum(o.residual(predicted) ** 2))
        if o.noise.free:
            own = len(o.profiled) * len(o.noise.slices)
            total -= 0.5 * (o.size - own) * np.log(chi2)
        else:
            total -= 0.5 * chi2 / level**2
    prior, joint = problem.space.prior_residuals(u), problem.space.joint
    return total - 0.5 * float(prior @ prior) + (0.0 if joint is None else joint.log_jacobian(u))


def sample(
    fit: Estimate,
    *,
    steps: int = 4000,
    walkers: int | None = None,
    seed: int = 0,
    workers: int = 1,
    file: str | Path | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Posterior:
    """Draw from the posterior, until the checks pass or `steps` are done.

    Parameters
    ----------
    fit : Estimate
        Where the walkers begin, spread by its covariance.
    steps : int
        Most steps of each walker.
    walkers : int, optional
        Default four per parameter, 16 at least.
    seed : int
        Of everything random.
    workers : int
        Processes.
    file : path, optional
        File (.npz) that keeps the chain; a later call goes on from there as if there had been one call.
    progress : callable, optional
        Called with (steps done, of all).

    Returns
    -------
    Posterior

    Raises
    ------
    InputError
        A file of another fit, or one that is damaged.
    """
    import emcee

    space = fit.space
    count = walkers or max(16, 4 * space.size)
    # emcee's own file is HDF5, which does not survive a disk that fills (a signal) nor a kill while it writes
    backend = emcee.backends.Backend()
    begun = _take_up(backend, fit, Path(file), (count, space.size)) if file is not None and Path(file).exists() else 0
    saved = time.monotonic()

    def save() -> None:
        nonlocal saved
        if file is not None and backend.iteration > begun:
            _keep(backend, fit, Path(file))
        saved = time.monotonic()

    generator = np.random.default_rng(seed)
    with holding(partial(log_posterior, fit.problem, levels=fit.levels), workers) as of_points:
        # emcee would send the problem along with every point; here each process holds it, and gets points alone
        sampler: Any = emcee.EnsembleSampler(count, space.size, of_points, backend=backend, vectorize=True)
        sampler.log_prob_fn = of_points  # emcee's wrapper prints a traceback for Ctrl-C
        sampler._random = np.random.RandomState(generator.integers(2**31) + begun)
        state = backend.get_last_sample() if begun else _walkers(fit, count, generator)
        done = begun
        settled = False
        while done < steps and not settled:
            batch = min(100, steps - done)
            try:
                for _ in sampler.sample(state, iterations=batch, skip_initial_state_check=True):
                    done += 1
                    if time.monotonic() - saved > EVERY:
                        save()
            except (KeyboardInterrupt, SystemError) as error:
                if interrupted(error):
                    save()
                raise
            state = backend.get_last_sample()
            if progress is not None:
                progress(done, steps)
            settled = done >= 500 and _judge(space, sampler, done)[0]
        if done > begun:
            save()
        return _summary(space, sampler, done)


def _keep(backend: Any, fit: Estimate, file: Path) -> None:
    """The chain, the state of the random numbers, and which fit they belong to."""
    kind, keys, place, gauss, cached = backend.random_state
    assert kind == "MT19937"
    done = backend.iteration  # room beyond it has been made for the steps to come
    arrays = {"chain": backend.chain[:done], "log_probability": backend.log_prob[:done], "accepted": backend.accepted}
    arrays |= {"random_keys": keys, "random_numbers": np.array([place, gauss, cached]), "fit": _mark(fit)}
    write_arrays(file, arrays, synced=True)


def _take_up(backend: Any, fit: Estimate, file: Path, shape: tuple[int, int]) -> int:
    """Fill a backend with the chain that a file keeps; how many steps it has."""
    arrays = read_arrays(file, what="the chain of a posterior")
    where, mark = str(file), _mark(fit)
    chain = numbers(arrays, "chain", ("steps", "walkers", "parameters"), where=where)
    if chain.shape[1:] != shape:
        raise InputError(
            f"{file}: holds a chain of {chain.shape[1]} walkers in {chain.shape[2]} dimensions, not {shape[0]} in "
            f"{shape[1]}; choose another file"
        )
    stored = numbers(arrays, "fit", ("numbers",), where=where)
    if stored.shape != mark.shape or not np.allclose(stored, mark, rtol=1e-6, atol=1e-6):
        raise InputError(f"{file}: its chain belongs to another fit; choose another file, or delete it")
    backend.reset(*shape)
    backend.iteration, backend.chain = len(chain), chain
    backend.log_prob = numbers(arrays, "log_probability", (len(chain), shape[0]), where=where)
    backend.accepted = numbers(arrays, "accepted", (shape[0],), where=where)
    place, gauss, cached = numbers(arrays, "random_numbers", (3,), where=where)
    keys = numbers(arrays, "random_keys", (624,), where=where)
    if not len(chain) or not 0 <= place <= 624 or keys.min() < 0 or keys.max() >= 2**32:
        raise InputError(f"{file}: the state of its random numbers is none; delete it")
    backend.random_state = ("MT19937", keys.astype(np.uint32), int(place), int(gauss), float(cached))
    return len(chain)


def _mark(fit: Estimate) -> Array:
    """What tells a fit from another."""
    return np.array([*fit.u, fit.chi2, *fit.levels])


def _walkers(fit: Estimate, count: int, generator: np.random.Generator) -> Array:
    """First positions: by the covariance, flat directions limited to half a unit, inside the bounds."""
    weight, directions = np.linalg.eigh(fit.information)
    sd = np.minimum(1 / np.sqrt(np.maximum(weight, 1e-30)), 0.5)
    points = fit.u + (generator.standard_normal((count, fit.u.size)) * sd) @ directions.T
    low, high = fit.space.bounds
    inside = 1e-6
    return np.clip(points, low + inside, high - inside)


def _judge(space: Space, sampler: Any, done: int) -> tuple[bool, Array, Array, str]:
    tau = np.atleast_1d(sampler.get_autocorr_time(tol=0))
    chain = sampler.get_chain(discard=done // 3)
    half = chain.shape[0] // 2
    parts = [chain[:half].reshape(-1, space.size), chain[half:].reshape(-1, space.size)]
    own = np.mean([np.var(part, axis=0) for part in parts], axis=0)
    split = np.sqrt(np.var(np.concatenate(parts), axis=0) / np.maximum(own, 1e-300))
    long_enough = bool(np.all(np.isfinite(tau)) and done * 2 / 3 > TIMES * float(np.max(tau)))
    settled = bool(np.all(split < SPLIT))
    if long_enough and settled:
        return True, tau, split, f"converged: {done} steps, longest autocorrelation time {np.max(tau):.0f}"
    worst = space.names[int(np.nanargmax(tau))] if np.any(np.isfinite(tau)) else space.names[0]
    text = (
        f"not converged after {done} steps: {worst} decorrelates in {np.nanmax(tau):.0f} steps"
        if not long_enough
        else f"not converged after {done} steps: the halves of the chain differ ({np.max(split):.3f})"
    )
    return False, tau, split, text + "; take more steps, or state a prior for what is not identified"


def _summary(space: Space, sampler: Any, done: int) -> Posterior:
    good, tau, split, message = _judge(space, sampler, done)
    burn = max(done // 3, 1)
    thin = max(1, int(0.5 * np.nanmin(tau))) if np.any(np.isfinite(tau)) else 1
    draws = sampler.get_chain(discard=burn, thin=thin, flat=True)
    return Posterior(
        space, np.asarray(draws), tau, done, float(np.mean(sampler.acceptance_fraction)), split, good, message
    )
