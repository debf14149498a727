"""The posterior by an ensemble sampler (emcee), with the checks that say whether to believe it.

Foreman-Mackey et al., doi:10.1086/670067. Half of the moves propose a point from Student's t distribution with the
covariance that the best point already knows, whatever the walker's place (Hastings, doi:10.1093/biomet/57.1.97): where
the posterior is nearly normal a chain forgets within a few steps. The others are emcee's stretch, which needs to know
nothing of its shape. Free noise levels are integrated out under a prior flat in their logarithm: n ln(chi2)/2 of that
observation takes the place of chi2/2.

Effective sample size and R-hat are those of Vehtari et al., doi:10.1214/20-BA1221: of ranks brought to a normal
distribution, every walker a chain, its halves apart.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from scipy.special import ndtri
from scipy.stats import rankdata

from cellsim.base import Array, InputError, interrupted
from cellsim.files.reading import numbers, read_arrays
from cellsim.files.writing import write_arrays
from cellsim.fit.estimate import Estimate
from cellsim.fit.parameters import Space
from cellsim.fit.problem import Problem
from cellsim.workers import holding

TIMES = 50
"""Autocorrelation times a chain must hold before its autocorrelation time can be believed."""
EVERY = 30.0
"""Longest time between two states of the chain on the disk [s]."""
R_HAT = 1.01
"""Largest ratio of the spread of all halves of all walkers, taken together, to that of one."""
EFFECTIVE = 2000
"""Independent draws that are worth as much as the chain: 95 % limits to 6 % of a standard deviation."""
LEAST = 100
"""Steps between two looks at the chain."""
PROPOSED, FREEDOM = 0.5, 6.0
"""Share of moves that propose from the fit's covariance: where they are of no use a chain takes twice the steps. And
the degrees of freedom of that distribution: tails wider than those of the posterior, so that a walker far out does not
have to wait."""
WIDEST = 0.5
"""Standard deviation in u to which directions that the data do not see are limited, to begin with and in proposals."""


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
    r_hat : ndarray, shape (p,)
        Spread of all half chains together over that of one: 1 where they have settled to one distribution [1].
    effective : ndarray, shape (p,)
        Independent draws worth as much as those kept, before thinning [1].
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
    r_hat: Array
    effective: Array
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
    """Draw from the posterior, until the checks pass and :data:`EFFECTIVE` draws are there, or `steps` are done.

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
        moves = [(emcee.moves.MHMove(_Proposals(fit)), PROPOSED), (emcee.moves.StretchMove(), 1 - PROPOSED)]
        sampler: Any = emcee.EnsembleSampler(count, space.size, of_points, backend=backend, vectorize=True, moves=moves)
        sampler.log_prob_fn = of_points  # emcee's wrapper prints a traceback for Ctrl-C
        sampler._random = np.random.RandomState(generator.integers(2**31) + begun)
        state = backend.get_last_sample() if begun else _walkers(fit, count, generator)
        done = begun
        settled = False
        while done < steps and not settled:
            batch = min(LEAST, steps - done)
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
            settled = _judge(space, sampler, done).enough
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


class _Proposals:
    """Points from Student's t distribution about the best point, for :class:`emcee.moves.MHMove`."""

    def __init__(self, fit: Estimate) -> None:
        self._at, (sd, directions) = fit.u, _spread(fit)
        self._root, self._inverse = directions * sd, directions / sd

    def __call__(self, points: Array, random: np.random.RandomState) -> tuple[Array, Array]:
        """As many points, and ln of the density at `points` over that at them."""
        n, p = points.shape
        scale = np.sqrt(random.chisquare(FREEDOM, n) / FREEDOM)[:, None]
        new = self._at + random.standard_normal((n, p)) / scale @ self._root.T
        return new, self._log_density(points) - self._log_density(new)

    def _log_density(self, points: Array) -> Array:
        z = (points - self._at) @ self._inverse
        return np.asarray(-0.5 * (FREEDOM + points.shape[1]) * np.log1p(np.sum(z**2, axis=1) / FREEDOM))


def _spread(fit: Estimate) -> tuple[Array, Array]:
    """Standard deviations and directions of the covariance, flat ones limited."""
    weight, directions = np.linalg.eigh(fit.information)
    return np.minimum(1 / np.sqrt(np.maximum(weight, 1e-30)), WIDEST), directions


def _walkers(fit: Estimate, count: int, generator: np.random.Generator) -> Array:
    """First positions: by the covariance, inside the bounds."""
    sd, directions = _spread(fit)
    points = fit.u + (generator.standard_normal((count, fit.u.size)) * sd) @ directions.T
    low, high = fit.space.bounds
    inside = 1e-6
    return np.clip(points, low + inside, high - inside)


@dataclass(frozen=True)
class _Verdict:
    """What the checks say of a chain, burn-in off."""

    autocorrelation: Array
    r_hat: Array
    effective: Array
    converged: bool
    message: str

    @property
    def enough(self) -> bool:
        return self.converged and bool(np.all(self.effective >= EFFECTIVE))


def _judge(space: Space, sampler: Any, done: int) -> _Verdict:
    tau = np.atleast_1d(sampler.get_autocorr_time(tol=0))
    r_hat, effective = diagnosed(sampler.get_chain(discard=done // 3))
    long_enough = bool(np.all(np.isfinite(tau)) and done * 2 / 3 > TIMES * float(np.max(tau)))
    settled = bool(np.all(r_hat < R_HAT))
    what = f"{np.min(effective):.0f} effective draws, R-hat {np.max(r_hat):.3f}"
    if long_enough and settled:
        text = f"converged: {done} steps, longest autocorrelation time {np.max(tau):.0f}, {what}"
        return _Verdict(tau, r_hat, effective, True, text)
    if long_enough:
        why = f"the walkers differ ({what})"
    elif np.any(np.isfinite(tau)):
        why = f"{space.names[int(np.nanargmax(tau))]} decorrelates in {np.nanmax(tau):.0f} steps"
    else:
        why = "they are too few to say more"
    text = f"not converged after {done} steps: {why}"
    text += "; take more steps, or state a prior for what is not identified"
    return _Verdict(tau, r_hat, effective, False, text)


def diagnosed(chains: Array) -> tuple[Array, Array]:
    """R-hat and effective sample size of every parameter, of ranks brought to a normal distribution.

    Parameters
    ----------
    chains : ndarray, shape (steps, chains, p)
        Burn-in off. The two halves of a chain count as two.

    Returns
    -------
    r_hat, effective : ndarray, shape (p,)
        [1]; infinite and 0 where there are fewer than four steps in a half, or nothing moves.

    References
    ----------
    Vehtari, Gelman, Simpson, Carpenter & Buerkner 2021, doi:10.1214/20-BA1221, equations 1 to 14: R-hat is the larger
    of that of the values and that of their distances from the median; the autocorrelation is summed by Geyer's initial
    monotone sequence.
    """
    half = chains.shape[0] // 2
    p = chains.shape[2]
    if half < 4:
        return np.full(p, np.inf), np.zeros(p)
    split = np.concatenate([chains[:half], chains[-half:]], axis=1)
    r_hat, effective = np.empty((2, p))
    for k in range(p):
        x = split[:, :, k]
        z, folded = _scores(x), _scores(np.abs(x - np.median(x)))
        r_hat[k], effective[k] = max(_r_hat(z), _r_hat(folded)), _effective(z)
    return r_hat, effective


def _scores(x: Array) -> Array:
    """Normal scores of the ranks, shape kept."""
    ranks = rankdata(x.ravel()).reshape(x.shape)
    return np.asarray(ndtri((ranks - 0.375) / (x.size + 0.25)))


def _variances(x: Array) -> tuple[float, float]:
    """Mean variance within the chains, and the estimate of that of all, shape of `x` (steps, chains)."""
    n = x.shape[0]
    within = float(np.mean(np.var(x, axis=0, ddof=1)))
    return within, within * (n - 1) / n + float(np.var(np.mean(x, axis=0), ddof=1))


def _r_hat(x: Array) -> float:
    within, whole = _variances(x)
    return float(np.sqrt(whole / within)) if within > 0 else np.inf


def _effective(x: Array) -> float:
    n, m = x.shape
    within, whole = _variances(x)
    if within <= 0:
        return 0.0
    centred = x - x.mean(axis=0)
    spectrum = np.fft.rfft(centred, 2 * n, axis=0)
    covariance = np.fft.irfft(np.abs(spectrum) ** 2, axis=0)[:n].mean(axis=1) / n
    rho = 1 - (within - covariance * n / (n - 1)) / whole
    rho[0] = 1.0
    pairs = rho[: n // 2 * 2].reshape(-1, 2).sum(axis=1)
    positive = int(np.argmax(pairs < 0)) if np.any(pairs < 0) else pairs.size
    tau = -1 + 2 * float(np.sum(np.minimum.accumulate(pairs[:positive])))
    return float(n * m / max(tau, 1 / np.log10(n * m)))


def _summary(space: Space, sampler: Any, done: int) -> Posterior:
    verdict = _judge(space, sampler, done)
    tau = verdict.autocorrelation
    burn = max(done // 3, 1)
    thin = max(1, int(0.5 * np.nanmin(tau))) if np.any(np.isfinite(tau)) else 1
    draws = sampler.get_chain(discard=burn, thin=thin, flat=True)
    return Posterior(
        space,
        np.asarray(draws),
        tau,
        done,
        float(np.mean(sampler.acceptance_fraction)),
        verdict.r_hat,
        verdict.effective,
        verdict.converged,
        verdict.message,
    )
