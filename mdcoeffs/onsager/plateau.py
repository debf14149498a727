"""The zero-frequency plateau of a 2 x 2 current spectrum, with a calibrated posterior.

In coordinates whitened by the low-frequency average the spectrum is S = [[e^a, phi e^a], [., e^b + phi^2 e^a]], and
each of a, b, phi is a constant plus relaxations w_m (s tau_m)^2 / (1 + (s tau_m)^2) on a geometric grid of times tau_m.
The constants are the plateau. Which relaxations are there is averaged over (Bayesian model averaging): none at
all; the fastest of the grid alone; or that and any unbroken run of slower ones, with weights correlated between
neighbours. The fastest has a weight of its own because it stands for inertia, which lowers the spectrum of a liquid
where slower relaxations raise it: correlated with them, it would hide a weak slow one. The time next slower than the
slowest that the evidence asks for is always allowed too: without it the plateau comes out too high.
The constants below were set on seeds that the coverage study (benchmarks/onsager_coverage.py) does not use.

The spectrum of the ion currents of a run, as independent Gaussian amplitudes.

The increments of the summed displacements are expanded in sines that vanish at both ends of the run (DST-I). For a
stationary process the amplitudes are then independent, with covariance S(f), the current spectrum, and
S(f -> 0) = Omega. The sines vanish at the ends, so a bounded motion does not leak into low frequencies, and for
increments correlated between neighbours only the independence is exact.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from cellsim.base import N_A, Array, InputError, k_B
from mdcoeffs.onsager.displacements import CollectiveDisplacements

EXACT_BINS = 40
"""Frequencies kept one by one, from the lowest."""
BIN_RATIO = 1.1
"""Above them, ratio of the edges of a bin."""


@dataclass(frozen=True, eq=False)
class CurrentSpectrum:
    """Outer products of the sine amplitudes, summed over directions, replicas and frequencies of a bin.

    Parameters
    ----------
    s : array (bins,)
        Discrete frequency 2 sin(omega dt/2), root-mean-square over the bin, in units of 1/dt.
    W : array (bins, 2, 2)
        Sums of outer products; expectation ``dof * S`` with S(0) = Omega [mol^2/(J m s)].
    dof : array (bins,)
        Number of real Gaussian amplitudes summed.
    dt : float
        Time between frames [s].
    steps : tuple of int
        Number of increments of each replica.
    """

    s: Array
    W: Array
    dof: Array
    dt: float
    steps: tuple[int, ...]

    @property
    def longest(self) -> int:
        """Steps of the longest replica."""
        return max(self.steps)


def current_spectrum(
    replicas: Sequence[CollectiveDisplacements], *, lags: tuple[float, float] | None = None
) -> CurrentSpectrum:
    """Spectrum of the ion currents of all replicas together.

    Parameters
    ----------
    replicas : sequence of CollectiveDisplacements
        Runs of one system, in one frame of reference.
    lags : (float, float), optional
        Keep only half-periods between these two times [s].

    Returns
    -------
    CurrentSpectrum
        With the normalisation S(0) = Omega = <dx_i dx_j>/(2 k_B T V N_A^2 t) per direction.

    References
    ----------
    doi:10.1063/5.0155301, Eq. 23, as a spectrum.
    """
    parts = []
    for run in replicas:
        scale = 2.0 * k_B * run.temperature * run.volume * N_A**2 * run.dt
        steps = np.diff(run.R[:, list(run.ions)], axis=0)
        # Orthogonal: independent increments stay independent, so pure diffusion is a flat spectrum, amplitude by
        # amplitude, and not only on average.
        v = fft.dst(steps, type=1, axis=0, norm="ortho")
        W = np.einsum("kix,kjx->kij", v, v) / scale
        n = W.shape[0]
        k = np.arange(1, n + 1)
        keep = np.ones(n, dtype=bool)
        if lags is not None:
            half_period = (n + 1) * run.dt / k
            slack = 1e-9 * run.dt
            keep = (half_period >= lags[0] - slack) & (half_period <= max(lags[1], lags[0]) + run.dt)
        # 2 sin(omega/2), not omega: in it the spectrum of steps that forget exponentially is exactly 1/(1 + (s tau)^2).
        parts.append(_binned(2.0 * np.sin(np.pi * k[keep] / (2 * (n + 1))), W[keep]))
    same = all(len(p[0]) == len(parts[0][0]) and np.array_equal(p[0], parts[0][0]) for p in parts)
    if same:  # replicas of one length share their frequencies
        s, W, dof = parts[0][0], sum(p[1] for p in parts), sum(p[2] for p in parts)
    else:
        s, W, dof = (np.concatenate([p[m] for p in parts]) for m in range(3))
        order = np.argsort(s, kind="stable")
        s, W, dof = s[order], W[order], dof[order]
    return CurrentSpectrum(
        s=s,
        W=np.asarray(W, dtype=float),
        dof=np.asarray(dof, dtype=float),
        dt=replicas[0].dt,
        steps=tuple(run.n_frames - 1 for run in replicas),
    )


def _binned(s: Array, W: Array) -> tuple[Array, Array, Array]:
    n = s.size
    if n == 0:
        return s, W, np.zeros(0)
    # The lowest frequencies say where the plateau is and stay apart; higher ones are added up in ranges of one ratio,
    # over which no model of the grid changes: amplitudes of one variance lose nothing when their squares are added.
    starts = [0]
    while True:
        last = starts[-1]
        after = last + 1 if last < EXACT_BINS else max(last + 1, int(last * BIN_RATIO))
        if after >= n:
            break
        starts.append(after)
    edges = np.array(starts)
    width = np.diff(np.append(edges, n))
    mean_s = np.sqrt(np.add.reduceat(s**2, edges) / width)
    return mean_s, np.add.reduceat(W, edges, axis=0), 3.0 * width


SIGMA = 0.8
"""Prior scale of a relaxation's weight, in log units of the spectrum."""
INERTIA = 1.0
"""Prior scale of the weight of the fastest time of the grid, half a step."""
NEIGHBOURS = 0.9
"""Prior correlation of the weights of neighbouring grid times: spectra are smooth."""
RATIO = 1.9
"""Ratio of neighbouring relaxation times of the grid."""
TIMES_BEYOND = 1
"""Grid times slower than the slowest relaxation asked for that are always allowed."""
NO_PART = 0.02
"""Prior probability that one of the two blocks (a | b and phi) does not relax where the other does."""
CROSS = 0.5
"""Scale of the weights of the cross term phi, relative to those of a and b."""
OFF = 1e10
"""Prior precision that switches a weight off."""
STUDENT = 8.0
"""Degrees of freedom of the proposal distribution."""
OCCAM = 2e-3
"""Pairs of models below this probability are left out of the average (Occam's window)."""
SPARE = 20
"""Proposals drawn of every model beyond the samples taken from it."""


@dataclass(frozen=True, eq=False)
class Plateau:
    """Posterior of the plateau.

    Parameters
    ----------
    samples : array (S, 2, 2)
        Posterior samples of S(0), in the units of the spectrum; positive definite.
    relaxation : array (S,)
        Slowest relaxation time allowed in the model of each sample, in units of the step, 0 for none.
    effective_size : float
        Effective number of independent samples behind them.
    edge : float
        Posterior probability that the slowest relaxation is at the limit of what the run can show.
    """

    samples: Array
    relaxation: Array
    effective_size: float
    edge: float


def flat_plateau(W: Array, dof: float, n_samples: int, rng: np.random.Generator) -> Plateau:
    """Posterior for a spectrum taken as constant: samples L = C B^-1 with C C^T = W, B Bartlett's factor.

    Parameters
    ----------
    W : array (2, 2)
        Sum of outer products.
    dof : float
        Number of real Gaussian amplitudes behind it, above 2.
    n_samples : int
        Number of samples.
    rng : Generator
        Source of randomness.

    Returns
    -------
    Plateau
        Its intervals for a diagonal element are exact (right-Haar prior).
    """
    C = _cholesky(W)
    B = np.zeros((n_samples, 2, 2))
    B[:, 0, 0] = np.sqrt(rng.chisquare(dof, n_samples))
    B[:, 1, 1] = np.sqrt(rng.chisquare(dof - 1, n_samples))
    B[:, 1, 0] = rng.standard_normal(n_samples)
    L = C @ np.linalg.inv(B)
    return Plateau(L @ np.swapaxes(L, 1, 2), np.zeros(n_samples), float(n_samples), 0.0)


def relaxing_plateau(
    spectrum: CurrentSpectrum, n_samples: int, rng: np.random.Generator, *, prior_flat: float = 0.5
) -> Plateau:
    """Posterior averaged over all models of the approach to the plateau.

    Parameters
    ----------
    spectrum : CurrentSpectrum
        Whole spectrum, up to the sampling frequency.
    n_samples : int
        Number of samples.
    rng : Generator
        Source of randomness.
    prior_flat : float
        Prior probability that nothing relaxes (pure diffusion from the first step on), at least 0 and below 1.

    Returns
    -------
    Plateau
        Equally weighted samples.
    """
    s, dof = spectrum.s, spectrum.dof
    grid = _grid(spectrum.longest)
    # In units in which the lowest frequencies are white and of size one, the priors mean the same for every salt.
    C = _whitening(spectrum)
    inverse = np.linalg.inv(C)
    Y = inverse @ spectrum.W @ inverse.T
    x = (s[:, None] * grid[None, :]) ** 2
    X = np.column_stack([np.ones_like(s), x / (1.0 + x)])
    data = _Data(Y[:, 0, 0], Y[:, 0, 1], Y[:, 1, 1], dof, X)
    models = _models(grid.size)
    first = _fit_first(data, models.precision)
    second = _fit_second(data, models.precision)
    weight = _joint(models, first.evidence, second.evidence, prior_flat)
    # Systematic, not random: every pair of models gets its share of the samples to within one.
    position = (rng.random() + np.arange(n_samples)) / n_samples
    pick = np.minimum(np.searchsorted(np.cumsum(weight), position), weight.size - 1)
    chosen = models.beyond[np.stack(np.unravel_index(pick, (models.last.size,) * 2))]
    a, b, phi = np.empty((3, n_samples))
    efficiency = np.zeros(2)
    for i in np.unique(chosen[0]):
        mine = np.flatnonzero(chosen[0] == i)
        values, log_weight = _draw_first(data, first, models, i, mine.size + SPARE, rng)
        drawn, share = _resample(log_weight, mine.size, rng)
        a[mine] = values[drawn]
        efficiency[0] += share * mine.size / n_samples
    for j in np.unique(chosen[1]):
        mine = np.flatnonzero(chosen[1] == j)
        values, cross, log_weight = _draw_second(data, second, models, j, mine.size + SPARE, rng)
        drawn, share = _resample(log_weight, mine.size, rng)
        b[mine], phi[mine] = values[drawn], cross[drawn]
        efficiency[1] += share * mine.size / n_samples
    # From logarithms and a slope, so that every sample is positive definite, however far it lies out.
    S = np.empty((n_samples, 2, 2))
    S[:, 0, 0] = np.exp(a)
    S[:, 0, 1] = S[:, 1, 0] = phi * S[:, 0, 0]
    S[:, 1, 1] = np.exp(b) + phi**2 * S[:, 0, 0]
    S = C @ S @ C.T
    last = models.last[chosen].max(axis=0)
    relaxation = np.where(last > 0, grid[np.maximum(last, 1) - 1], 0.0)
    slowest = np.maximum.outer(models.last, models.last).ravel()
    edge = float(np.sum(weight[slowest == grid.size]))
    return Plateau(0.5 * (S + np.swapaxes(S, 1, 2)), relaxation, float(n_samples * efficiency.min()), edge)


@dataclass(frozen=True, eq=False)
class _Data:
    """Whitened second moments and design matrix (bins, 1 + times)."""

    q11: Array
    q12: Array
    q22: Array
    dof: Array
    X: Array

    @property
    def XX(self) -> Array:
        K, p = self.X.shape
        return (self.X[:, :, None] * self.X[:, None, :]).reshape(K, p * p)

    def residual(self, phi: Array) -> Array:
        return self.q22 - 2 * phi * self.q12 + phi**2 * self.q11


@dataclass(frozen=True, eq=False)
class _Models:
    """None, the fastest time alone, that and each unbroken run of the others: the prior precision of the weights,
    the number of the slowest time, the model that goes one time beyond.
    """

    on: NDArray[np.bool_]
    precision: Array
    last: NDArray[np.int64]
    beyond: NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class _Fit:
    """Maximum a posteriori, negative Hessian and log evidence (Laplace) of every model."""

    theta: Array
    hessian: Array
    evidence: Array


def _grid(steps: int) -> Array:
    """Relaxation times, geometric, from half a step to steps/(4 pi), in units of the step."""
    times = max(1, int(np.floor(np.log(steps / (4 * np.pi) / 0.5) / np.log(RATIO))) + 1)
    return np.asarray(0.5 * RATIO ** np.arange(times), dtype=np.float64)


def _cholesky(W: Array) -> Array:
    d = np.sqrt(np.diag(W))
    if not np.all(d > 0):
        raise InputError("an ion species does not move at all; check the selection and the trajectory")
    if 1.0 - (W[0, 1] / (d[0] * d[1])) ** 2 < 1e-12:
        raise InputError("cations and anions move exactly together, so the Onsager matrix is singular")
    return np.asarray(np.linalg.cholesky(W), dtype=np.float64)


def _whitening(spectrum: CurrentSpectrum) -> Array:
    """Cholesky factor of the average over the lowest tenth of the amplitudes (at least 60 of them)."""
    total = np.cumsum(spectrum.dof)
    k = min(int(np.searchsorted(total, max(60.0, 0.1 * total[-1]))), total.size - 1)
    return _cholesky(spectrum.W[: k + 1].sum(axis=0) / total[k])


def _models(times: int) -> _Models:
    keys = [(0, 0), (2, 1)] + [(i, j) for j in range(2, times + 1) for i in range(2, j + 1)]  # slower times i to j
    where = {key: n for n, key in enumerate(keys)}
    on = np.zeros((len(keys), times + 1), dtype=bool)
    on[:, 0] = True
    precision = np.zeros((len(keys), times + 1, times + 1))
    precision[:, np.arange(1, times + 1), np.arange(1, times + 1)] = OFF
    beyond = np.zeros(len(keys), dtype=np.int64)
    distance = np.abs(np.subtract.outer(np.arange(times), np.arange(times)))
    for n, (i, j) in enumerate(keys[1:], start=1):
        on[n, 1] = on[n, i : j + 1] = True
        precision[n, 1, 1] = 1 / INERTIA**2
        run = distance[: j - i + 1, : j - i + 1]
        precision[n, i : j + 1, i : j + 1] = np.linalg.inv(SIGMA**2 * NEIGHBOURS**run)
        beyond[n] = where[i, min(j + TIMES_BEYOND, times)]
    return _Models(on, precision, np.array([j for _, j in keys], dtype=np.int64), beyond)


def _joint(models: _Models, first: Array, second: Array, prior_flat: float) -> Array:
    """Probability of every pair (model of a, model of b and phi), raveled.

    Given that something relaxes, either block is without with probability NO_PART; where both relax, they have the
    slowest time in common.
    """
    times = int(models.last.max())
    some = models.last > 0
    part = np.where(some, (1 - NO_PART) / np.maximum(models.last - 1, 1) / times, NO_PART)
    prior = np.outer(part, part)
    same = np.equal.outer(models.last, models.last)
    both = np.logical_and.outer(some, some)
    prior = np.where(both, prior * times * same, prior)
    prior *= (1 - prior_flat) / (1 - NO_PART**2)
    prior[0, 0] = prior_flat
    log = np.add.outer(first, second)
    weight = prior * np.exp(log - np.max(log[prior > 0]))
    weight /= weight.sum()
    # What is left out would cost proposals of its own for a share that no interval shows.
    weight[weight < min(OCCAM, 0.5 * weight.max())] = 0.0
    return np.asarray(weight.ravel() / weight.sum(), dtype=np.float64)


def _resample(log_weight: Array, n: int, rng: np.random.Generator) -> tuple[NDArray[np.int64], float]:
    """Indices of n draws chosen in proportion to their importance; and the effective share of all draws."""
    p = np.exp(log_weight - log_weight.max())
    p /= p.sum()
    return rng.choice(p.size, size=n, p=p), float(1.0 / (p.size * np.sum(p**2)))


def _solve(H: Array, g: Array) -> Array:
    """Solve the small systems of all models at once."""
    return np.asarray(np.linalg.solve(H, g[..., None])[..., 0], dtype=np.float64)


def _times(P: Array, theta: Array) -> Array:
    """Product of each model's precision matrix with its parameters."""
    return np.asarray(np.einsum("bij,bj->bi", P, theta), dtype=np.float64)


def _damped(step: Array, X: Array) -> tuple[Array, float]:
    """Newton step shortened so that no log-spectrum moves by more than 2; and the largest move."""
    move = np.abs(step @ X.T).max(axis=1)
    return step * np.minimum(1.0, 2.0 / np.maximum(move, 1e-30))[:, None], float(move.max())


def _fit_first(d: _Data, P: Array) -> _Fit:
    """a: chi-squared amplitudes with log-variance X theta."""
    B, p, _ = P.shape
    XX, X = d.XX, d.X
    theta = np.zeros((B, p))
    theta[:, 0] = np.log(d.q11.sum() / d.dof.sum())
    for _ in range(100):
        r = d.q11 * np.exp(-theta @ X.T)
        # Mean of the curvature as it is, r/2, and as it is expected, dof/2: the first alone takes steps far too
        # long where the model lies above the data, the second alone is slow near the maximum.
        H = ((0.25 * (r + d.dof)) @ XX).reshape(B, p, p)
        H += P
        step, move = _damped(_solve(H, 0.5 * (r - d.dof) @ X - _times(P, theta)), X)
        theta = theta + step
        if move < 1e-6:
            break
    a = theta @ X.T
    r = d.q11 * np.exp(-a)
    H = ((0.5 * r) @ XX).reshape(B, p, p)
    H += P
    top = -0.5 * a @ d.dof - 0.5 * r.sum(axis=1) - 0.5 * (theta * _times(P, theta)).sum(axis=1)
    prior = 0.5 * np.linalg.slogdet(P[:, 1:, 1:])[1]
    return _Fit(theta, H, top + prior - 0.5 * np.linalg.slogdet(H)[1])


def _fit_second(d: _Data, P: Array) -> _Fit:
    """b and phi: regression of the second current on the first, log residual variance X theta."""
    B, p, _ = P.shape
    XX, X = d.XX, d.X
    b = np.zeros((B, p))
    b[:, 0] = np.log((d.q22.sum() - d.q12.sum() ** 2 / d.q11.sum()) / d.dof.sum())
    for _ in range(200):
        e = np.exp(-b @ X.T)
        A = ((d.q11 * e) @ XX).reshape(B, p, p)
        A += P / CROSS**2
        f = _solve(A, (d.q12 * e) @ X)
        r = d.residual(f @ X.T) * e
        H = ((0.25 * (r + d.dof)) @ XX).reshape(B, p, p)
        H += P
        step, move = _damped(_solve(H, 0.5 * (r - d.dof) @ X - _times(P, b)), X)
        b = b + step
        if move < 1e-6:
            break
    e = np.exp(-b @ X.T)
    phi = f @ X.T
    r = d.residual(phi) * e
    H = np.empty((B, 2 * p, 2 * p))
    H[:, :p, :p] = ((0.5 * r) @ XX).reshape(B, p, p)
    H[:, p:, p:] = ((d.q11 * e) @ XX).reshape(B, p, p)
    H[:, :p, p:] = ((e * (d.q12 - phi * d.q11)) @ XX).reshape(B, p, p)
    H[:, p:, :p] = np.swapaxes(H[:, :p, p:], 1, 2)
    H[:, :p, :p] += P
    H[:, p:, p:] += P / CROSS**2
    theta = np.concatenate([b, f], axis=1)
    penalty = (b * _times(P, b)).sum(axis=1) + (f * _times(P, f)).sum(axis=1) / CROSS**2
    top = -0.5 * (b @ X.T) @ d.dof - 0.5 * r.sum(axis=1) - 0.5 * penalty
    prior = np.linalg.slogdet(P[:, 1:, 1:])[1] - (p - 1) * math.log(CROSS)  # of b and of phi, half each
    return _Fit(theta, H, top + prior - 0.5 * np.linalg.slogdet(H)[1])


def _propose(theta: Array, hessian: Array, m: int, rng: np.random.Generator) -> tuple[Array, Array]:
    """m draws of a multivariate Student t around the maximum, and minus their log density (up to a constant)."""
    p = theta.size
    L = np.linalg.cholesky(hessian)
    scale = np.sqrt(STUDENT / rng.chisquare(STUDENT, m))
    raw = rng.standard_normal((m, p)) * scale[:, None]
    draws = theta + np.linalg.solve(L.T, raw.T).T
    return draws, 0.5 * (STUDENT + p) * np.log1p((raw**2).sum(axis=1) / STUDENT)


def _draw_first(d: _Data, fit: _Fit, models: _Models, i: int, m: int, rng: np.random.Generator) -> tuple[Array, Array]:
    """Plateau a of model i, with log importance weights."""
    on = np.flatnonzero(models.on[i])
    P = models.precision[i][np.ix_(on, on)]
    x, minus_q = _propose(fit.theta[i, on], fit.hessian[i][np.ix_(on, on)], m, rng)
    a = x @ d.X[:, on].T
    log_p = -0.5 * a @ d.dof - 0.5 * np.exp(-a) @ d.q11 - 0.5 * np.einsum("mi,ij,mj->m", x, P, x)
    return x[:, 0], log_p + minus_q


def _draw_second(
    d: _Data, fit: _Fit, models: _Models, j: int, m: int, rng: np.random.Generator
) -> tuple[Array, Array, Array]:
    """Plateaus b and phi of model j, with log importance weights."""
    on = np.flatnonzero(models.on[j])
    P = models.precision[j][np.ix_(on, on)]
    both = np.concatenate([on, on + d.X.shape[1]])
    x, minus_q = _propose(fit.theta[j, both], fit.hessian[j][np.ix_(both, both)], m, rng)
    b, phi = x[:, : on.size] @ d.X[:, on].T, x[:, on.size :] @ d.X[:, on].T
    log_p = -0.5 * b @ d.dof - 0.5 * (np.exp(-b) * d.residual(phi)).sum(axis=1)
    for part in (x[:, : on.size], x[:, on.size :] / CROSS):
        log_p = log_p - 0.5 * np.einsum("mi,ij,mj->m", part, P, part)
    return x[:, 0], x[:, on.size], log_p + minus_q
