"""A current spectrum as diffusion, bounded motions and inertia, and the likelihood of measured amplitudes under it.

The increments of a random walk on top of bounded motions have the spectrum::

    S(f) = L [1 + sum_m x_m(f) G_m - sum_p x_p(f) P_p - x_v(f)] L^T,      Omega = L L^T = S(0)

Every x rises from 0 at f = 0 to 1 at the highest frequency of the spectrum. x_m belongs to a bounded motion whose
position forgets itself as a :data:`SHAPES` function of t/tau_m; G_m, positive semi-definite, is how much faster than
diffusion it makes the ions at short times. P_p, positive semi-definite too, is the share of the currents that persists
over tau_p. x_v = y/(1 + y), y = (s tau_v)^2, is inertia of all of the motion. Whatever the parameters, Omega is
positive definite; where S is not, they are impossible.

Parameters are one flat array: ln L_ii^2 and L_ij/L_jj; of each component ln tau, ln C_ii and C_ij/C_ii, where G or P is
C C^T; with inertia ln tau_v. Everything is compiled: an estimate evaluates the likelihood some ten thousand times.

No such sum is a liquid to the last percent, and the amplitudes at high frequencies are so many that they would have the
last percent anyway, at the cost of the few at low ones, which alone know the plateau. So the likelihood allows, where
`trust` is finite, that in every group of frequencies, three to an octave, the spectrum is L M^(1/2) Delta M^(T/2) L^T
with Delta drawn from an inverse Wishart distribution of that many degrees of freedom about 1: a relative error of
sqrt(2/trust), whose integral is in closed form. How far to trust is averaged over with all the rest.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

import numba
import numpy as np
from scipy.optimize import nnls
from scipy.special import multigammaln

from cellsim.base import Array, Bools, Ints

SHAPES = ("exponential", "stretched 0.75", "stretched 0.55", "stretched 0.4", "ladder 12", "ladder 4", "persistent")
"""How a bounded motion forgets: exp(-t/tau); exp(-(t/t0)^beta) of mean time tau; the first modes tau/p^2 of a Rouse
chain, whose last is 144 or 16 times faster than the first.
The last is none: a share of the current that persists over tau, as what surrounds the ions follows them."""
EXPONENTIAL, PERSISTENT = 0, len(SHAPES) - 1
"""Place of the one that lowers the spectrum at high frequencies instead of raising it."""
NO_INERTIA, FULL_INERTIA = 0, 1
"""Velocities persist not at all, or in all of the motion; in a share of it: a persistent component."""
TABLE_STEP = 0.15
"""Spacing of the tables in ln tau; linear between, which is within 0.2 % of the highest frequency's value."""


@dataclass(frozen=True)
class Form:
    """Which bounded motions there are, and whether inertia.

    Parameters
    ----------
    shapes : tuple of int
        Places in :data:`SHAPES`, one for each bounded motion.
    inertia : int
        ``NO_INERTIA`` or ``FULL_INERTIA``.
    """

    shapes: tuple[int, ...] = ()
    inertia: int = NO_INERTIA

    @property
    def places(self) -> Ints:
        """The shapes as an array."""
        return np.array(self.shapes, dtype=np.int64)

    def size(self, n: int) -> int:
        """Number of parameters for `n` ions."""
        return matrix_size(n) + mode_size(n) * len(self.shapes) + self.inertia

    def times(self, n: int) -> Ints:
        """Places of ln tau of the bounded motions of `n` ions among the parameters."""
        return matrix_size(n) + mode_size(n) * np.arange(len(self.shapes))


class Amplitudes(NamedTuple):
    """What the compiled functions read: the data and the tables of the shapes.

    Parameters
    ----------
    s2 : array (bins,)
        Squared discrete frequency, 4 sin^2(omega/2) [1].
    W : array (bins, n, n)
        Sums of outer products of amplitudes.
    dof : array (bins,)
        Number of real amplitudes in each.
    tables : array (shapes, times, bins)
        From :func:`shape_tables`.
    first : float
        ln tau of the tables' first row; the others follow at :data:`TABLE_STEP`.
    group : array (bins,)
        Group of frequencies that each belongs to, from 0.
    trust : float
        Degrees of freedom of the model's own error in a group; infinite for none.
    constant : float
        What makes the likelihoods of different `trust` comparable.
    ions : tuple of int
        0 to n - 1. The length of a tuple is part of its type, so that the compiled loops over ions are unrolled: an
        estimate takes half the time.
    """

    s2: Array
    W: Array
    dof: Array
    tables: Array
    first: float
    group: Ints
    trust: float
    constant: float
    ions: tuple[int, ...]


def trusted(data: Amplitudes, trust: float) -> Amplitudes:
    """The same data under a model that is right to sqrt(2/trust) in each group of frequencies only."""
    if math.isinf(trust):
        return data._replace(trust=trust, constant=0.0)
    n, total = len(data.ions), np.bincount(data.group, data.dof)
    constant = np.array([multigammaln(0.5 * (trust + dof), n) for dof in total]) - multigammaln(0.5 * trust, n)
    return data._replace(trust=trust, constant=float(np.sum(constant + 0.5 * n * total * math.log(2 / trust))))


class Prior(NamedTuple):
    """Of the parameters of one form: Gaussian within bounds, flat where the precision, a matrix, is 0."""

    mean: Array
    precision: Array
    free: Bools
    low: Array
    high: Array


def matrix_size(n: int) -> int:
    """Number of parameters of Omega for `n` ions."""
    return n * (n + 1) // 2


def mode_size(n: int) -> int:
    """Number of parameters of a bounded motion of `n` ions."""
    return 1 + n * (n + 1) // 2


def shape_tables(s: Array, log_times: Array) -> Array:
    """x_m at the frequencies of a spectrum, for every shape and time.

    Parameters
    ----------
    s : array (bins,)
        2 sin(omega/2), omega in radians per step [1].
    log_times : array (times,)
        ln tau, tau in steps [1].

    Returns
    -------
    array (shapes, times, bins)
        1 at s = 2, the highest frequency of a sampled process.
    """
    tables = np.empty((len(SHAPES), log_times.size, s.size))
    for k in range(len(SHAPES)):
        weights, times = _exponentials(k)
        tau = np.maximum(times[:, None] * np.exp(log_times), 1e-3)
        a = np.exp(-1 / tau)
        # Increments of an Ornstein-Uhlenbeck motion sampled once a step: (1 - a^2) s^2 / ((1 - a)^2 + a s^2).
        amplitude = weights[:, None] * (1 + a) / (1 - a)
        corner = a / (1 - a) ** 2

        def spectrum(q: Array, amplitude: Array = amplitude, corner: Array = corner) -> Array:
            return np.sum(amplitude[..., None] * q / (1 + corner[..., None] * q), axis=0)

        tables[k] = spectrum(s**2) / spectrum(np.array([4.0]))
    return tables


@lru_cache
def _exponentials(shape: int) -> tuple[Array, Array]:
    """Weights and times of exponentials that make up a shape; times in units of its tau."""
    name = SHAPES[shape]
    if name in ("exponential", "persistent"):
        return np.ones(1), np.ones(1)
    kind, number = name.split()
    if kind == "ladder":
        times = 1.0 / np.arange(1, int(number) + 1) ** 2
        return times / times.sum(), times
    beta = float(number)
    times = np.geomspace(1e-5, 60.0, 40)
    t = np.concatenate([[0.0], np.geomspace(1e-6, 200.0, 400)])
    weights, _ = nnls(np.exp(-t[:, None] / times), np.exp(-(t**beta)))
    some = weights > 1e-8
    return weights[some] / weights.sum(), times[some] * beta / math.gamma(1 / beta)


# ---- compiled -------------------------------------------------------------------------------------------------------

_compiled = numba.njit(cache=True, error_model="numpy")
_within = numba.njit(error_model="numpy", inline="always")  # of the caller, where the number of ions is a constant


@_within
def _factor(A: Any, R: Any, n: Any) -> Any:
    """Lower Cholesky factor R of the n x n matrix A; False where A is not positive definite."""
    for i in range(n):
        for j in range(i + 1):
            value = A[i, j]
            for a in range(j):
                value -= R[i, a] * R[j, a]
            if i > j:
                R[i, j] = value / R[j, j]
            elif value <= 0:
                return False
            else:
                R[i, i] = np.sqrt(value)
    return True


@_within
def _invert(R: Any, X: Any, n: Any) -> None:
    """Inverse X of a lower triangular R, n x n."""
    for i in range(n):
        X[i, i] = 1 / R[i, i]
        for j in range(i):
            value = 0.0
            for a in range(j, i):
                value += R[i, a] * X[a, j]
            X[i, j] = -value / R[i, i]


@_within
def _congruence(X: Any, A: Any, out: Any, n: Any) -> None:
    """X A X^T for lower triangular X and symmetric A, n x n."""
    for i in range(n):
        for j in range(i + 1):
            value = 0.0
            for a in range(i + 1):
                for b in range(j + 1):
                    value += X[i, a] * A[a, b] * X[j, b]
            out[i, j] = value
            out[j, i] = value


@_compiled
def _triangle(theta: Any, n: int) -> Any:
    """L, whose square is Omega."""
    L = np.zeros((n, n))
    place = n
    for i in range(n):
        L[i, i] = np.exp(0.5 * theta[i])
    for i in range(n):
        for j in range(i):
            L[i, j] = theta[place] * L[j, j]
            place += 1
    return L


@_compiled
def _square_root(theta: Any, start: int, n: int) -> Any:
    """C, whose square is G, of the bounded motion whose parameters begin at `start`."""
    C = np.zeros((n, n))
    place = start + 1 + n
    for i in range(n):
        C[i, i] = np.exp(theta[start + 1 + i])
        for j in range(i):
            C[i, j] = theta[place] * C[i, i]
            place += 1
    return C


@_compiled
def _terms(theta: Any, n: int, shapes: Any, inertia: int, data: Any, slopes: bool) -> Any:
    """L, and the sum in brackets as scalars times matrices; with `slopes` its derivatives too.

    d S = L (E M + M E^T + v D) L^T for each parameter: E of those of Omega, v (over frequencies) and D of the others.
    """
    modes, bins, size, tables = shapes.size, data.s2.size, theta.size, data.tables
    start, per = n * (n + 1) // 2, 1 + n * (n + 1) // 2
    L = _triangle(theta, n)
    terms = modes + (1 if inertia > 0 else 0)
    x = np.zeros((terms, bins))
    G = np.zeros((terms, n, n))
    E, v, D = np.zeros((size, n, n)), np.zeros((size if slopes else 0, bins)), np.zeros((size, n, n))
    if slopes:
        Li = np.zeros((n, n))
        _invert(L, Li, n)
        place = n
        for i in range(n):
            E[i, i, i] = 0.5
            for j in range(i):
                for a in range(n):
                    E[place, a, j] = Li[a, i] * L[j, j]
                place += 1
    for m in range(modes):
        at = start + m * per
        u = (theta[at] - data.first) / TABLE_STEP
        cell = min(max(int(u), 0), tables.shape[1] - 2)
        low, high = tables[shapes[m], cell], tables[shapes[m], cell + 1]
        sign = -1.0 if shapes[m] == PERSISTENT else 1.0
        x[m] = sign * (low + (u - cell) * (high - low))
        C = _square_root(theta, at, n)
        G[m] = C @ C.T
        if slopes:
            v[at] = sign * (high - low) / TABLE_STEP
            D[at] = G[m]
            place = at + 1 + n
            for i in range(n):
                D[at + 1 + i, i, :] += G[m, i, :]
                D[at + 1 + i, :, i] += G[m, :, i]
                v[at + 1 + i] = x[m]
                for j in range(i):
                    D[place, i, :] += C[i, i] * C[:, j]
                    D[place, :, i] += C[i, i] * C[:, j]
                    v[place] = x[m]
                    place += 1
    if inertia > 0:
        at = start + modes * per
        y = data.s2 * np.exp(2 * theta[at])
        x[modes] = -y / (1 + y)
        G[modes] = np.eye(n)
        if slopes:
            v[at] = -2 * y / (1 + y) ** 2
            D[at] = G[modes]
    return L, x, G, E, v, D


@_compiled
def log_likelihood(theta: Any, shapes: Any, inertia: int, data: Any, gradient: Any, information: Any) -> float:
    """Log likelihood of the amplitudes; where `gradient` is not empty, its gradient and Fisher's information as well.

    W ~ Wishart(S, dof) at every frequency. With R R^T the bracket, Y = (LR)^-1 W (LR)^-T and T the sum of Y in a group,
    the value is -sum(dof ln det LR) - sum over groups of (trust + dof)/2 ln det(1 + T/trust), which without limit to
    trust is tr T/2. With A = R^-1 (dS in the frame of L) R^-T and Phi its lower triangle, half the diagonal, a
    derivative is tr(H Phi Y) - dof tr(A)/2, H = (trust + dof)(trust + T)^-1, and the information sum dof tr(A A)/2, of
    which the part that a group has in common counts no more than trust: positive definite, unlike the curvature, so
    that a search cannot go astray.
    """
    W, dof, n, bins = data.W, data.dof, len(data.ions), data.dof.size
    L, x, G, E, v, D = _terms(theta, n, shapes, inertia, data, gradient.size > 0)
    Li = np.zeros((n, n))
    _invert(L, Li, n)
    M, B = np.empty((bins, n, n)), np.empty((n, n))
    Y, Ri = np.empty((bins, n, n)), np.zeros((bins, n, n))
    R, Q = np.zeros((n, n)), np.zeros((n, n))
    groups = data.group[-1] + 1
    T, total, H = np.zeros((groups, n, n)), np.zeros(groups), np.zeros((groups, n, n))
    matrix = n * (n + 1) // 2
    gradient[:] = 0
    information[:] = 0
    value = data.constant
    for k in range(bins):
        for i in range(n):
            for j in range(n):
                M[k, i, j] = 1.0 if i == j else 0.0
                for t in range(x.shape[0]):
                    M[k, i, j] += x[t, k] * G[t, i, j]
        if not _factor(M[k], R, n):
            return -np.inf
        _invert(R, Ri[k], n)
        for i in range(n):
            for j in range(i + 1):
                Q[i, j] = 0.0
                for a in range(j, i + 1):
                    Q[i, j] += Ri[k, i, a] * Li[a, j]
        _congruence(Q, W[k], Y[k], n)
        total[data.group[k]] += dof[k]
        for i in range(n):
            value -= dof[k] * np.log(L[i, i] * R[i, i])
            for j in range(n):
                T[data.group[k], i, j] += Y[k, i, j]
    for g in range(groups):
        if np.isinf(data.trust):
            for i in range(n):
                value -= 0.5 * T[g, i, i]
                H[g, i, i] = 1.0
        else:
            for i in range(n):
                for j in range(n):
                    B[i, j] = T[g, i, j] / data.trust + (1.0 if i == j else 0.0)
            if not _factor(B, R, n):
                return -np.inf
            for i in range(n):
                value -= (data.trust + total[g]) * np.log(R[i, i])
            if gradient.size > 0:
                _invert(R, Q, n)
                for i in range(n):
                    for j in range(n):
                        for a in range(max(i, j), n):
                            H[g, i, j] += Q[a, i] * Q[a, j] * (1 + total[g] / data.trust)
    if gradient.size == 0:
        return value
    # Symmetric matrices as vectors of their lower triangles, the off-diagonal elements times sqrt(2): the information
    # is then one product of matrices.
    packed = n * (n + 1) // 2
    A, N = np.empty((gradient.size, bins * packed)), np.empty(bins * packed)
    mean = np.zeros((gradient.size, groups * packed))
    frame = np.empty((packed, packed))
    for k in range(bins):
        g = data.group[k]
        Rk, scale = Ri[k], np.sqrt(0.5 * dof[k])
        p = 0
        for i in range(n):
            for j in range(i + 1):
                weight = 1.0 if i == j else np.sqrt(2.0)
                c = 0
                for a in range(n):
                    for b in range(a + 1):
                        frame[p, c] = Rk[i, a] * Rk[j, b]
                        if a != b:
                            frame[p, c] += Rk[i, b] * Rk[j, a]
                        frame[p, c] *= weight * scale
                        c += 1
                element = 0.0
                for a in range(n):
                    element += Y[k, j, a] * H[g, a, i]
                if i == j:
                    element = 0.5 * (element - dof[k])
                N[k * packed + p] = element / (weight * scale)
                p += 1
        for q in range(gradient.size):
            for p in range(packed):
                A[q, k * packed + p] = 0.0
            c = 0
            for i in range(n):
                for j in range(i + 1):
                    if q < matrix:
                        element = 0.0
                        for a in range(n):
                            element += E[q, i, a] * M[k, a, j] + M[k, i, a] * E[q, j, a]
                    else:
                        element = v[q, k] * D[q, i, j]
                    for p in range(packed):
                        A[q, k * packed + p] += frame[p, c] * element
                    c += 1
            for p in range(packed):
                mean[q, g * packed + p] += A[q, k * packed + p] * 2 * scale
    gradient[:] = A @ N
    information[:, :] = A @ A.T
    if not np.isinf(data.trust):
        for g in range(groups):
            for q in range(gradient.size):
                for p in range(packed):
                    mean[q, g * packed + p] *= np.sqrt(0.5 / (data.trust + total[g]))
        information -= mean @ mean.T
    return value


@_compiled
def maximise(theta: Any, shapes: Any, inertia: int, data: Any, prior: Any) -> Any:
    """Maximum of likelihood times Gaussian prior within bounds, its log density, and the information there.

    Scoring with Levenberg's damping; a step moves no logarithm by more than 1.5, for the likelihood of a spectrum is
    far from a parabola that far away. It ends where a step gains less than 1e-4 and moves less than 0.02: a hundredth
    of what the importance weights of :mod:`.plateau` make up for.
    """
    size = theta.size
    gradient, information, none, nothing = np.empty(size), np.empty((size, size)), np.empty(0), np.empty((0, 0))
    damping = 1e-3
    value = log_likelihood(theta, shapes, inertia, data, gradient, information)
    value -= 0.5 * ((theta - prior.mean) @ (prior.precision @ (theta - prior.mean)))
    for _ in range(40):
        slope = gradient - prior.precision @ (theta - prior.mean)
        H = information + prior.precision
        for q in range(size):
            if not prior.free[q]:
                H[q, :] = 0
                H[:, q] = 0
                H[q, q] = 1
                slope[q] = 0
        trial, reached = theta, -np.inf
        for _ in range(10):
            damped = H.copy()
            for q in range(size):
                damped[q, q] = H[q, q] * (1 + damping) + 1e-9
            step = np.linalg.solve(damped, slope)
            largest = np.abs(step).max()
            trial = theta + step * min(1.0, 1.5 / max(largest, 1e-300))
            trial = np.minimum(np.maximum(trial, prior.low), prior.high)
            reached = log_likelihood(trial, shapes, inertia, data, none, nothing)
            reached -= 0.5 * ((trial - prior.mean) @ (prior.precision @ (trial - prior.mean)))
            if reached >= value - 1e-10:
                break
            damping = 6 * damping + 1e-4
        if reached < value - 1e-10:
            break
        gain, move = reached - value, np.abs(trial - theta).max()
        theta, value, damping = trial, reached, max(0.2 * damping, 1e-6)
        log_likelihood(theta, shapes, inertia, data, gradient, information)
        if gain < 1e-4 and move < 0.02:
            break
    return theta, value, information + prior.precision


@_compiled
def short_time(theta: Any, n: int, shapes: Any, back: bool) -> Any:
    """The same parameters with Omega (1 + sum G), inertia left out, in place of Omega; `back` for the way back.

    What the data fix is the spectrum where it has most frequencies, at its upper end; Omega follows from it by taking
    off what is bounded. In these coordinates the posterior is close to Gaussian, in those of Omega it is a banana: with
    them 95 % intervals came out at 87 %. The Jacobian is one. Not a number where the parameters are impossible.
    """
    L = _triangle(theta, n)
    total = np.eye(n)
    start, per = n * (n + 1) // 2, 1 + n * (n + 1) // 2
    for m in range(shapes.size):
        C = _square_root(theta, start + m * per, n)
        total += (-1.0 if shapes[m] == PERSISTENT else 1.0) * (C @ C.T)
    R = np.zeros((n, n))
    if not _factor(total, R, n):
        return np.full(theta.size, np.nan)
    L = L @ np.linalg.inv(R) if back else L @ R
    out = theta.copy()
    place = n
    for i in range(n):
        out[i] = 2 * np.log(L[i, i])
        for j in range(i):
            out[place] = L[i, j] / L[j, j]
            place += 1
    return out


@_compiled
def log_posterior(draws: Any, shapes: Any, inertia: int, data: Any, prior: Any) -> Any:
    """Parameters, and likelihood times Gaussian prior, of draws in the coordinates of :func:`short_time`."""
    thetas, values = draws.copy(), np.full(draws.shape[0], -1e300)
    none, nothing = np.empty(0), np.empty((0, 0))
    for k in range(draws.shape[0]):
        if np.abs(draws[k]).max() > 50:
            continue
        theta = short_time(draws[k], len(data.ions), shapes, True)
        if np.isnan(theta[0]):
            continue
        thetas[k] = theta
        if np.any(theta < prior.low) or np.any(theta > prior.high):
            continue
        value = log_likelihood(theta, shapes, inertia, data, none, nothing)
        values[k] = max(value - 0.5 * ((theta - prior.mean) @ (prior.precision @ (theta - prior.mean))), -1e300)
    return thetas, values


def matrices(thetas: Array, n: int) -> Array:
    """Omega of parameters, shape (draws, n, n), in the units of the spectrum."""
    L = np.zeros((thetas.shape[0], n, n))
    lower = np.tril_indices(n, -1)
    diagonal = np.exp(0.5 * thetas[:, :n])
    L[:, np.arange(n), np.arange(n)] = diagonal
    L[:, lower[0], lower[1]] = thetas[:, n : matrix_size(n)] * diagonal[:, lower[1]]
    return np.asarray(L @ np.swapaxes(L, 1, 2))


def spectra(thetas: Array, form: Form, data: Amplitudes) -> Array:
    """S of parameters at the frequencies of the data, shape (draws, bins, n, n)."""
    n = len(data.ions)
    out = np.empty((thetas.shape[0], data.s2.size, n, n))
    for k, theta in enumerate(thetas):
        L, x, G, *_ = _terms(theta, n, form.places, form.inertia, data, False)
        out[k] = L @ (np.eye(n) + np.einsum("tk,tij->kij", x, G)) @ L.T
    return out
