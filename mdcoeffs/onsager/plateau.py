"""Omega as the zero-frequency limit of a current spectrum, averaged over what the way there may look like.

The spectrum is diffusion, bounded motions, persistence and inertia, and an error of that model (:mod:`.relaxation`).
Which of them are there is not known, and the answer depends on it most where the data cannot tell: a motion too slow or
too weak to be seen in the spectrum still hides the limit. So nothing is chosen. No bounded motion, one of any time and
shape, or several, with and without inertia and error, are all fitted; each counts by its evidence, and the samples of
Omega come from all of them. A motion that is not seen is thus allowed for at every time and strength at which it would
not be seen, and widens the interval by as much as it should.

The prior is stated in :class:`Beliefs`. It was set on seeds that the coverage study does not use.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import product

import numpy as np
from scipy.special import chdtri, gammaln, logsumexp

from cellsim.base import Array, InputError, Ints
from mdcoeffs.onsager.relaxation import (
    EXPONENTIAL,
    FULL_INERTIA,
    NO_INERTIA,
    PERSISTENT,
    TABLE_STEP,
    Amplitudes,
    Form,
    Prior,
    log_posterior,
    matrices,
    matrix_size,
    maximise,
    mode_size,
    shape_tables,
    short_time,
    spectra,
    trusted,
)
from mdcoeffs.onsager.spectrum import CurrentSpectrum

RATIO = 2.2
"""Largest ratio of neighbouring times of the grid on which bounded motions are looked for."""
FASTEST = 0.5
"""Shortest time of a bounded motion, in steps."""
LOCATED = 0.45
"""A time whose logarithm is known to better than this is a parameter of its own instead of a sum over the grid."""
HOPELESS = 3.0
"""One more motion that lowers the log evidence by more than this ends the search: yet another would do so again."""
NEGLIGIBLE = 500.0
"""Candidates this many times less probable than the best are left out."""
TOGETHER = 1e-4
"""Smallest eigenvalue of the correlations of the slowest amplitudes; below, one species follows from the others."""
STUDENT = 6.0
"""Degrees of freedom of the proposal distribution."""
FAR = 3.0
"""Standard deviations up to which the size of Omega is coarsened."""
FAR_SHARE = math.exp(-0.5 * FAR**2)
"""Share of the draws beyond the distance up to which all the rest is: the same FAR for the two elements of a salt."""
FIRST_DRAWS = 200, 1000
"""Draws of every candidate, from which its evidence is estimated, for up to two ions and for more: their parameters,
some forty, the proposal fits less well (with 200 the widths of intervals of four species scattered by 5 to 20 %)."""
FURTHER_DRAWS = (3, 12), (3, 12, 48)
"""Draws for each sample, more in the next round where too few of them count; the same."""
COUNTED = 10.0, 3.0
"""How many samples one draw that counts may stand for before the next round; the same."""
DRAWN_SPECTRA = 200
"""Samples whose whole spectrum is kept, for figures and checks."""


@dataclass(frozen=True)
class Beliefs:
    """What is believed before the data are seen.

    Parameters
    ----------
    flat : float
        Probability that there is no bounded motion at all.
    further : float
        Probability of one more, given one.
    shapes : tuple of float
        Probabilities of :data:`.SHAPES` for the first; further ones are exponential, since a sum of those is anything,
        or persistent.
    inertia : tuple of float
        Probabilities of no inertia and full inertia.
    trust : tuple of (float, float)
        Degrees of freedom of the model's own error in a third of an octave, and their probabilities: what is summed is
        right to the last digit, or to 7 %.
    strength : (float, float, float)
        Of the log of the diagonal elements of G, the gain over diffusion at short times: mean and standard deviation of
        what all ions have in common, and standard deviation of each apart. A motion that moves the cations moves the
        anions too: a weak one must not pay twice for being weak.
    weaker : float
        How much lower the mean is for further ones: every liquid has some slow motion that is too weak to be seen.
    persistence : (float, float, float)
        The same of the diagonal elements of P, the loss at short times.
    soon : (float, float)
        Probability that persistence is that of the ions' own velocities, and over what range of ln tau it then falls.
    cross : float
        Standard deviation of the off-diagonal elements of its root.
    alike : (float, float)
        Probability, for each pair of ions, that what relaxes moves them in the proportions of diffusion, and how near:
        the standard deviation that then takes the place of `cross` and of that of each ion apart where all pairs do, G
        proportional to 1. Ratios of elements of Omega then hardly depend on how much relaxes.
    nearby : (float, float)
        Probability that a further motion lies around one that is there, and how far, in ln tau: real relaxations are
        rarely single exponentials.
    lasting : float
        The slowest persistence is this many times faster than the slowest bounded motion that a run can show. A current
        that persists over a sixtieth of the run is a drift; the lowest frequencies are to say so.
    inertia_time : (float, float)
        Of ln tau_v in steps, within ln 0.25 and ln 8: a longer one is seen as what it is by the bounded motions' signs.
    motions : int
        Largest number of bounded motions.
    coarse : (float, float)
        Powers to which the posterior density of Omega is raised in a form with bounded motions and no inertia before
        samples are drawn: that of its size, ln det, and that of all the rest, given the size. The true form of a
        spectrum lies near one of those summed over, and is none of them: extrapolated to zero frequency, all elements
        are off together, and their ratios less so. A form with inertia has a parameter for just these errors at short
        times, and where one shape stands for a whole family of times with one G, ratios depend on the motion's form
        hardly at all: there they are left alone. So is the evidence (fractional posteriors: Bhattacharya et al. 2019,
        doi:10.1214/18-AOS1712).
    """

    flat: float = 0.35
    further: float = 0.85
    shapes: tuple[float, ...] = (0.4, 0.1, 0.1, 0.1, 0.08, 0.08, 0.14)
    inertia: tuple[float, float] = (0.75, 0.25)
    trust: tuple[tuple[float, float], ...] = ((math.inf, 0.7), (400.0, 0.3))
    strength: tuple[float, float, float] = (-0.8, 1.7, 0.8)
    weaker: float = 0.8
    persistence: tuple[float, float, float] = (-1.2, 1.0, 0.8)
    cross: float = 1.0
    alike: tuple[float, float] = (0.35, 0.1)
    nearby: tuple[float, float] = (0.6, 1.2)
    soon: tuple[float, float] = (0.7, 1.0)
    lasting: float = 5.0
    inertia_time: tuple[float, float] = (0.4, 1.0)
    motions: int = 3
    coarse: tuple[float, float] = (0.65, 0.78)

    def number(self, motions: int) -> float:
        """Probability of that many bounded motions."""
        if motions == 0:
            return self.flat
        return (1 - self.flat) * self.further ** (motions - 1) * (1 - self.further)

    def shape(self, motions: int, trust: float) -> dict[int, float]:
        """Probabilities of the shapes of the last of that many motions; where the model may err, few will do."""
        shapes = {EXPONENTIAL: 1 - self.shapes[PERSISTENT], PERSISTENT: self.shapes[PERSISTENT]}
        if motions == 1 and math.isinf(trust):
            shapes = dict(enumerate(self.shapes))
        return {shape: probability for shape, probability in shapes.items() if probability > 0}


@dataclass(frozen=True, eq=False)
class Plateau:
    """Posterior of the plateau.

    Parameters
    ----------
    samples : array (S, n, n)
        Posterior samples of S(0), in the units of the spectrum; positive definite.
    relaxation : array (S,)
        Slowest relaxation time of each sample, in units of the step, 0 for none.
    effective_size : float
        Effective number of independent samples behind them.
    edge : float
        Posterior probability that the slowest relaxation is at the limit of what the run can show.
    shown : array (draws,)
        Places of some of the samples.
    spectra : array (draws, bins, n, n)
        Their whole spectrum; empty where it was taken as constant.
    """

    samples: Array
    relaxation: Array
    effective_size: float
    edge: float
    shown: Ints = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    spectra: Array = field(default_factory=lambda: np.zeros((0, 0, 2, 2)))


def flat_plateau(W: Array, dof: float, n_samples: int, rng: np.random.Generator) -> Plateau:
    """Posterior for a spectrum taken as constant: samples L = C B^-1 with C C^T = W, B Bartlett's factor.

    Parameters
    ----------
    W : array (n, n)
        Sum of outer products.
    dof : float
        Number of real Gaussian amplitudes behind it, above n.
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
    n = C.shape[0]
    B = np.zeros((n_samples, n, n))
    for i in range(n):
        B[:, i, i] = np.sqrt(rng.chisquare(dof - i, n_samples))
        B[:, i, :i] = rng.standard_normal((n_samples, i))
    L = C @ np.linalg.inv(B)
    return Plateau(L @ np.swapaxes(L, 1, 2), np.zeros(n_samples), float(n_samples), 0.0)


def relaxing_plateau(
    spectrum: CurrentSpectrum, n_samples: int, rng: np.random.Generator, *, beliefs: Beliefs | None = None
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
    beliefs : Beliefs, optional
        The prior.

    Returns
    -------
    Plateau
        Equally weighted samples.
    """
    C = _whitening(spectrum)
    search = _Search(spectrum, C, beliefs or Beliefs())
    candidates = _probable(search.candidates(), NEGLIGIBLE**2)
    candidates = _probable(search.shared(candidates), NEGLIGIBLE)
    # Laplace's evidence is off by factors where the posterior is skewed or cut by a bound; draws of each mend it.
    several = int(search.n > 2)
    drawn = [search.draw(candidate.fit, FIRST_DRAWS[several], rng) for candidate in candidates]
    weight = np.array([c.log_prior + _log_mean(log) for c, (_, log) in zip(candidates, drawn, strict=True)])
    weight = np.exp(weight - logsumexp(weight))
    position = (rng.random() + np.arange(n_samples)) / n_samples
    pick = np.minimum(np.searchsorted(np.cumsum(weight), position), weight.size - 1)
    shown = np.sort(rng.choice(n_samples, size=min(DRAWN_SPECTRA, n_samples), replace=False))
    samples, relaxation = np.empty((n_samples, *C.shape)), np.zeros(n_samples)
    curves = np.empty((shown.size, spectrum.s.size, *C.shape))
    effective = 0.0
    for k in np.unique(pick):
        mine, fit = np.flatnonzero(pick == k), candidates[k].fit
        thetas, log = drawn[k]
        for per_sample in FURTHER_DRAWS[several]:  # more where the proposal is a poor one
            draws = per_sample * mine.size
            if draws > log.size:
                more, log_more = search.draw(fit, draws - log.size, rng)
                thetas, log = np.concatenate([thetas, more]), np.concatenate([log, log_more])
            p = _truncated(search.coarsened(fit, thetas, log))
            if np.sum(p**2) * mine.size < COUNTED[several]:
                break
        effective += mine.size * min(1.0, 1 / (mine.size * float(np.sum(p**2))))
        thetas = thetas[rng.choice(p.size, size=mine.size, p=p)]
        samples[mine] = matrices(thetas, C.shape[0])
        if fit.form.shapes:
            relaxation[mine] = np.exp(np.max(thetas[:, fit.form.times(C.shape[0])], axis=1))
        _, places, to = np.intersect1d(mine, shown, return_indices=True)
        curves[to] = spectra(thetas[places], fit.form, search.data)
    edge = float(np.mean(relaxation > 0.5 * math.exp(search.slowest)))
    return Plateau(_symmetric(C @ samples @ C.T), relaxation, effective, edge, shown, _symmetric(C @ curves @ C.T))


def _symmetric(A: Array) -> Array:
    return np.asarray(0.5 * (A + np.swapaxes(A, -1, -2)))


def _cholesky(W: Array) -> Array:
    d = np.sqrt(np.diag(W))
    if not np.all(d > 0):
        raise InputError("a species does not move at all; check the selection and the trajectory")
    if np.linalg.eigvalsh(W / np.outer(d, d))[0] < TOGETHER:
        raise InputError(
            "the species move together, so that their Onsager matrix is singular: in a salt without solvent the centre "
            "of mass is at rest and the current of one ion determines that of the other; ask for the matrix of all "
            'species (estimate_species, or matrix = "species" in [estimate]), which treats this case'
        )
    return np.asarray(np.linalg.cholesky(W), dtype=np.float64)


def _whitening(spectrum: CurrentSpectrum) -> Array:
    """Cholesky factor of the average over the lowest tenth of the amplitudes (at least 60 of them)."""
    total = np.cumsum(spectrum.dof)
    k = min(int(np.searchsorted(total, max(60.0, 0.1 * total[-1]))), total.size - 1)
    return _cholesky(spectrum.W[: k + 1].sum(axis=0) / total[k])


def _truncated(log_weight: Array) -> Array:
    """Importance weights, normalised, none above sqrt(n) times their mean.

    One draw far out in the proposal's tail would otherwise stand for a tenth of all samples. Ionides,
    doi:10.1198/106186008X320456.
    """
    p = np.exp(log_weight - log_weight.max())
    p = np.minimum(p, p.mean() * math.sqrt(p.size))
    return np.asarray(p / p.sum())


def _log_mean(log_weight: Array) -> float:
    top = float(log_weight.max())
    p = np.exp(log_weight - top)
    return top + math.log(float(np.minimum(p, p.mean() * math.sqrt(p.size)).mean()))


@dataclass(frozen=True, eq=False)
class _Fit:
    """A form of the spectrum at its best.

    `held` are the components whose times are not free, `data` what it was fitted to, `free` the places of the free
    parameters, `covariance` theirs, `log_constant` the normalisation of their prior, `evidence` Laplace's, in logs.
    """

    form: Form
    held: tuple[int, ...]
    data: Amplitudes
    theta: Array
    prior: Prior
    free: Ints
    covariance: Array
    log_constant: float
    evidence: float

    def deviation(self, place: int) -> float:
        """Standard deviation of a free parameter."""
        return float(np.sqrt(self.covariance.diagonal()[np.searchsorted(self.free, place)]))


@dataclass(frozen=True, eq=False)
class _Candidate:
    """A fit and the log of its prior probability, the density in ln tau times the spacing of the grid included."""

    fit: _Fit
    log_prior: float

    @property
    def log_weight(self) -> float:
        return self.log_prior + self.fit.evidence


def _probable(candidates: Iterable[_Candidate], ratio: float) -> list[_Candidate]:
    """Those that are no more than `ratio` times less probable than the best."""
    every = list(candidates)
    best = max(candidate.log_weight for candidate in every)
    return [candidate for candidate in every if candidate.log_weight > best - math.log(ratio)]


class _Search:
    """All forms worth fitting to one spectrum, whitened by `C`."""

    def __init__(self, spectrum: CurrentSpectrum, C: Array, beliefs: Beliefs) -> None:
        inverse = np.linalg.inv(C)
        self.n, self.beliefs = C.shape[0], beliefs
        # Slower than 1/(4 pi) of the run a motion has less than one amplitude to itself.
        self.fastest, self.slowest = math.log(FASTEST), math.log(max(spectrum.longest / (4 * math.pi), 1.0))
        self.lasting = max(self.slowest - math.log(beliefs.lasting), self.fastest + 0.1)
        self.span = max(self.slowest - self.fastest, 0.5)
        number = math.ceil(self.span / math.log(RATIO)) + 1
        self.grid = np.linspace(self.fastest, self.fastest + self.span, number)
        self.spacing = self.grid[1] - self.grid[0]
        first = self.fastest - 2 * TABLE_STEP
        times = first + TABLE_STEP * np.arange(int((self.slowest + 4 * TABLE_STEP - first) / TABLE_STEP) + 2)
        W = np.ascontiguousarray(inverse @ spectrum.W @ inverse.T)
        tables = shape_tables(spectrum.s, np.asarray(times, dtype=np.float64))
        thirds = np.floor(3 * np.log2(spectrum.s / spectrum.s[0])).astype(np.int64)
        group = np.unique(thirds, return_inverse=True)[1].astype(np.int64)
        ions = tuple(range(self.n))
        self.data = Amplitudes(spectrum.s**2, W, spectrum.dof, tables, first, group, math.inf, 0.0, ions)

    # ---- which forms ----------------------------------------------------------------------------------------------

    def candidates(self) -> Iterator[_Candidate]:
        """No bounded motion, then one after another, each added to the best of what is there."""
        beliefs = self.beliefs
        for (trust, credit), inertia in product(beliefs.trust, (NO_INERTIA, FULL_INERTIA)):
            if beliefs.inertia[inertia] == 0:
                continue
            self.data = trusted(self.data, trust)
            start = np.zeros(Form((), inertia).size(self.n))
            start[matrix_size(self.n) :] = beliefs.inertia_time[0]
            present = self.fit(Form((), inertia), start)
            log_inertia = math.log(beliefs.inertia[inertia] * credit)
            if beliefs.flat > 0:
                yield _Candidate(present, log_inertia + math.log(beliefs.flat))
            log_path = 0.0
            for number in range(1, beliefs.motions + 1):
                log_number, before, best = math.log(beliefs.number(number)), present.evidence + log_path, None
                for shape, probability in beliefs.shape(number, trust).items():
                    added = self.added(present, shape)
                    log_shape = log_path + math.log(probability)
                    for candidate in added:
                        yield _Candidate(candidate.fit, candidate.log_prior + log_inertia + log_number + log_shape)
                    evidence = float(logsumexp([c.log_weight for c in added])) + log_shape
                    if best is None or evidence > best[0]:
                        best = evidence, max(added, key=lambda c: c.log_weight).fit
                if best is None or not best[0] > before - HOPELESS:
                    break
                present = best[1]
                log_path = best[0] - present.evidence  # what the other times and the prior add

    def shared(self, candidates: Iterable[_Candidate]) -> Iterator[_Candidate]:
        """Each of them, and beside those with motions the same with G proportional to 1."""
        probability = self.beliefs.alike[0] ** (self.n * (self.n - 1) // 2)
        for candidate in candidates:
            fit = candidate.fit
            if not fit.form.shapes or self.n == 1 or probability == 0:
                yield candidate
                continue
            if probability < 1:
                yield _Candidate(fit, candidate.log_prior + math.log(1 - probability))
            again = self.fit(fit.form, fit.theta, fit.held, alike=True, data=fit.data)
            yield _Candidate(again, candidate.log_prior + math.log(probability))

    def added(self, present: _Fit, shape: int) -> list[_Candidate]:
        """One more component: at its own time where the data tell it, and at those of the grid elsewhere."""
        form = Form((*present.form.shapes, shape), present.form.inertia)
        place = int(form.times(self.n)[-1])
        density = self.density(present, shape)
        on_grid = []
        start = self.extended(present, self.grid[0], shape)
        for log_time, p in zip(self.grid[: density.size], density, strict=True):
            start[place] = log_time
            fit = self.fit(form, start, (*present.held, len(form.shapes) - 1))
            on_grid.append(_Candidate(fit, math.log(self.spacing * p)))
            start = fit.theta.copy()  # of the neighbouring time: half as many steps as from nothing
        best = max(range(density.size), key=lambda k: on_grid[k].log_weight)
        fit = self.fit(form, on_grid[best].fit.theta, present.held)
        if not math.isfinite(fit.evidence) or fit.deviation(place) > LOCATED:
            return on_grid
        # The fit at its own time stands for the grid around it, which would be counted twice.
        apart = np.abs(self.grid[: density.size] - fit.theta[place]) > max(
            0.6 * self.spacing, 2.5 * fit.deviation(place)
        )
        located = _Candidate(fit, math.log(density[best] * self.span))
        return [located, *(candidate for candidate, far in zip(on_grid, apart, strict=True) if far)]

    def density(self, present: _Fit, shape: int) -> Array:
        """Prior density in ln tau of one more bounded motion, on the grid."""
        uniform = np.full(self.grid.size, 1 / self.span)
        if shape == PERSISTENT:
            share, width = self.beliefs.soon
            soon = share * np.exp((self.fastest - self.grid) / width) / width
            return np.asarray((1 - share) * uniform + soon)[self.grid <= self.lasting]
        if not present.form.shapes:
            return uniform
        share, width = self.beliefs.nearby
        distance = np.abs(self.grid[:, None] - present.theta[present.form.times(self.n)]).min(axis=1)
        return np.asarray((1 - share) * uniform + share * np.exp(-distance / width) / (2 * width))

    def extended(self, present: _Fit, log_time: float, shape: int) -> Array:
        """Where the search with one more bounded motion begins."""
        motion = np.zeros(mode_size(self.n))
        motion[0], motion[1 : 1 + self.n] = log_time, 0.5 * math.log(0.05 if shape == PERSISTENT else 0.3)
        end = present.form.size(self.n) - present.form.inertia
        return np.concatenate([present.theta[:end], motion, present.theta[end:]])

    # ---- one form -------------------------------------------------------------------------------------------------

    def prior(self, form: Form, held: tuple[int, ...], alike: bool) -> Prior:
        """Of all parameters; flat in those of Omega and, within bounds, in ln tau."""
        size, n, beliefs = form.size(self.n), self.n, self.beliefs
        free, limit = np.ones(size, dtype=bool), np.full(size, 40.0)
        prior = Prior(np.zeros(size), np.zeros((size, size)), free, -limit, limit)
        for m, place in enumerate(form.times(n)):
            if m in held:
                prior.free[place] = False
            else:
                latest = self.lasting if form.shapes[m] == PERSISTENT else self.slowest
                prior.low[place], prior.high[place] = self.fastest - 0.2, latest
            gains, crosses = slice(place + 1, place + 1 + n), slice(place + 1 + n, place + mode_size(n))
            mean, common, apart = beliefs.persistence if form.shapes[m] == PERSISTENT else beliefs.strength
            cross = beliefs.cross
            if alike:
                cross = apart = beliefs.alike[1]
            prior.mean[gains] = (mean - (beliefs.weaker if m else 0.0)) / 2
            prior.precision[gains, gains] = 4 * np.linalg.inv(common**2 + apart**2 * np.eye(n))
            prior.precision[crosses, crosses] = np.eye(n * (n - 1) // 2) / cross**2
        if form.inertia:
            prior.low[-1], prior.high[-1] = math.log(0.25), math.log(8.0)
            prior.mean[-1], prior.precision[-1, -1] = beliefs.inertia_time[0], 1 / beliefs.inertia_time[1] ** 2
        return prior

    def fit(
        self,
        form: Form,
        start: Array,
        held: tuple[int, ...] = (),
        *,
        alike: bool = False,
        data: Amplitudes | None = None,
    ) -> _Fit:
        """The maximum and Laplace's evidence; `held` are the components whose times stay where they are."""
        data = data or self.data
        prior = self.prior(form, held, alike)
        theta, top, information = maximise(start, form.places, form.inertia, data, prior)
        free = np.flatnonzero(prior.free)
        information = information[np.ix_(free, free)] + 1e-9 * np.eye(free.size)
        own_times = len(form.shapes) - len(held)
        stated = free[np.diag(prior.precision)[free] > 0]
        proper = np.linalg.slogdet(prior.precision[np.ix_(stated, stated)] / (2 * math.pi))[1]
        constant = float(0.5 * proper - own_times * math.log(self.span))
        times = np.delete(theta[form.times(self.n)], held)
        try:
            covariance = np.linalg.inv(information)
            np.linalg.cholesky(covariance)
            inside = bool(np.all((times > self.fastest) & (times < self.slowest - 0.02)))
            inside = inside and bool(np.all(np.isfinite(short_time(theta, self.n, form.places, False))))
        except np.linalg.LinAlgError:
            inside = False
        if not inside:  # nothing depends on a parameter there, or a time is at its bound: Laplace's evidence is none
            return _Fit(form, held, data, theta, prior, free, np.eye(free.size), constant, -math.inf)
        volume = 0.5 * float(np.linalg.slogdet(2 * math.pi * covariance)[1])
        return _Fit(
            form, held, data, theta, prior, free, _symmetric(covariance), constant, float(top) + constant + volume
        )

    def draw(self, fit: _Fit, m: int, rng: np.random.Generator) -> tuple[Array, Array]:
        """`m` draws of the parameters of a form from Student's t around its maximum, with log importance weights.

        Their mean is the evidence.
        """
        n, p = self.n, fit.free.size
        centre = short_time(fit.theta, n, fit.form.places, False)
        slope = np.zeros((p, p))
        for k, place in enumerate(fit.free):
            step = np.zeros(fit.theta.size)
            step[place] = 1e-5
            ends = [short_time(fit.theta + sign * step, n, fit.form.places, False)[fit.free] for sign in (1, -1)]
            slope[:, k] = (ends[0] - ends[1]) / 2e-5
        scale = np.linalg.cholesky(_symmetric(slope @ fit.covariance @ slope.T) + 1e-12 * np.eye(p))
        raw = rng.standard_normal((m, p)) * np.sqrt(STUDENT / rng.chisquare(STUDENT, m))[:, None]
        draws = np.tile(centre, (m, 1))
        draws[:, fit.free] += raw @ scale.T
        log_q = gammaln(0.5 * (STUDENT + p)) - gammaln(0.5 * STUDENT) - 0.5 * p * math.log(STUDENT * math.pi)
        log_q = log_q - np.log(np.diag(scale)).sum() - 0.5 * (STUDENT + p) * np.log1p((raw**2).sum(1) / STUDENT)
        thetas, log_p = log_posterior(draws, fit.form.places, fit.form.inertia, fit.data, fit.prior)
        return thetas, log_p + fit.log_constant - log_q

    def coarsened(self, fit: _Fit, thetas: Array, log_weight: Array) -> Array:
        """Log weights of draws after the density of Omega, as if Gaussian, was raised to `Beliefs.coarse`."""
        if not fit.form.shapes or fit.form.inertia:
            return log_weight
        p, count = _truncated(log_weight), self.n * (self.n + 1) // 2
        apart = thetas[:, :count] - p @ thetas[:, :count]
        size = apart[:, : self.n].sum(axis=1)
        size_square = size**2 / max(float(p @ size**2), 1e-12)
        spread = (apart.T * p) @ apart + 1e-12 * np.eye(count)
        whole = np.einsum("ki,ij,kj->k", apart, np.linalg.inv(spread), apart)
        far = FAR**2, float(chdtri(max(count - 1, 1), FAR_SHARE))
        squares = np.array([np.clip(size_square, 0.0, far[0]), np.clip(whole - size_square, 0.0, far[1])])
        size_power, rest_power = self.beliefs.coarse
        if any(shape not in (EXPONENTIAL, PERSISTENT) for shape in fit.form.shapes):
            rest_power = 1.0
        return np.asarray(log_weight + 0.5 * np.array([1 - size_power, 1 - rest_power]) @ squares)
