"""Correlated Brownian walkers of known Onsager matrix: the test double of every estimator.

The long-time slope of every correlation is exactly the prescribed one, whatever happens at short times: a
ballistic start is a filter with unit response at zero frequency, a sub-diffusive onset is an added bounded
(Ornstein-Uhlenbeck) motion. Or the whole spectrum is given, and made frequency by frequency.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import fft
from scipy.signal import lfilter
from scipy.special import gamma

from cellsim.base import N_A, Array, InputError, k_B
from mdcoeffs.onsager.displacements import CollectiveDisplacements

LONGER = 8
"""How many times longer the periodic process is from which a walk is cut: its ends then do not know each other."""


@dataclass(frozen=True, eq=False)
class Onset:
    """A motion that adds to the mobility at short times and is bounded: the sub-diffusive onset.

    Parameters
    ----------
    time : float
        Relaxation time of the bounded motion [s].
    Omega : array (n, n)
        Of the species that :func:`walk` (two) or :func:`mixture_walk` (all but the last) prescribes; what it adds to
        the Onsager matrix at lags much shorter than `time`; nothing at long lags
        [mol^2/(J m s)].
    """

    time: float
    Omega: Array

    def __post_init__(self) -> None:
        object.__setattr__(self, "Omega", _positive(self.Omega, "onset.Omega", semi=True))
        if not self.time > 0:
            raise InputError(f"onset.time = {self.time!r} s must be positive")


@dataclass(frozen=True)
class Solvent:
    """An explicit solvent species of a synthetic box.

    Parameters
    ----------
    count : int
        Number of molecules.
    mass : float
        Mass of one molecule, in the unit of the ions' masses.
    """

    count: int
    mass: float

    def __post_init__(self) -> None:
        if self.count < 1 or not self.mass > 0:
            raise InputError(f"a solvent needs count >= 1 and mass > 0, got {self.count} and {self.mass:g}")


@dataclass(frozen=True, eq=False)
class ParticleWalk:
    """Positions of single particles whose sums are a collective walk.

    Parameters
    ----------
    positions : array (frames, particles, 3)
        Unwrapped positions, species after species [m].
    species : array of int (particles,)
        Index of the species of each particle.
    displacements : CollectiveDisplacements
        The sums over species, of the same walk.
    """

    positions: Array
    species: NDArray[np.int64]
    displacements: CollectiveDisplacements


def walk(
    Omega: ArrayLike,
    *,
    frames: int,
    dt: float,
    seed: int | np.random.SeedSequence | np.random.Generator,
    z: Sequence[float] = (1, -1),
    n_salt: int = 100,
    c: float = 1000.0,
    T: float = 300.0,
    nu: Sequence[int] | None = None,
    ballistic_time: float = 0.0,
    onset: Onset | Sequence[Onset] = (),
    solvents: Solvent | Sequence[Solvent] = (),
    masses: Sequence[float] = (7.0, 280.0),
    molecular_volumes: Sequence[float] | None = None,
) -> CollectiveDisplacements:
    """Walk with prescribed solvent-frame Onsager matrix.

    Per direction the ions' summed displacements have <dx_i dx_j> = 2 k_B T V N_A^2 Omega_ij t at long times.

    Parameters
    ----------
    Omega : array (2, 2)
        Onsager matrix in the solvent frame, positive definite [mol^2/(J m s)].
    frames : int
        Number of frames.
    dt : float
        Time between frames [s].
    seed : int, SeedSequence or Generator
        Source of randomness; the same seed gives the same walk.
    z : sequence of float (2,)
        Charge numbers of cation and anion.
    n_salt : int
        Number of formula units in the box.
    c : float
        Salt concentration; fixes the volume [mol/m^3].
    T : float
        Temperature [K].
    nu : sequence of int (2,), optional
        Stoichiometric numbers; the smallest neutral ones when left out.
    ballistic_time : float
        Persistence time of the steps, 0 for none [s].
    onset : Onset or sequence of Onset
        Bounded motions that make the onset sub-diffusive.
    solvents : Solvent or sequence of Solvent
        Explicit solvent; then the walk comes in the barycentric frame, total momentum exactly conserved.
    masses : sequence of float (2,)
        Masses of cation and anion; used with `solvents`.
    molecular_volumes : sequence of float, optional
        Volumes of one particle of each species, solvents last [m^3].

    Returns
    -------
    CollectiveDisplacements
        In the solvent frame, or, with explicit solvent, in the barycentric one.

    Raises
    ------
    InputError
        Omega not positive definite, charges of one sign, non-positive sizes.
    """
    rng = np.random.default_rng(seed)
    matrix = _positive(Omega, "Omega", semi=False, n=2)
    nu_pm = _stoichiometry(z) if nu is None else (int(nu[0]), int(nu[1]))
    if frames < 2 or n_salt < 1 or not dt > 0 or not c > 0 or not T > 0:
        raise InputError("frames >= 2, n_salt >= 1, dt > 0, c > 0 and T > 0 are needed")
    if not ballistic_time >= 0:
        raise InputError(f"ballistic_time = {ballistic_time!r} s must not be negative")
    volume = n_salt / (N_A * c)
    rate = 2.0 * k_B * T * volume * N_A**2
    steps = frames - 1
    R = np.zeros((frames, 2, 3))
    increments = _gaussian(rng, steps + 1, rate * dt * matrix)
    if ballistic_time > 0:
        rho = float(np.exp(-dt / ballistic_time))
        start = _gaussian(rng, 1, rate * dt * matrix * (1 - rho) / (1 + rho))
        increments = lfilter([1 - rho], [1, -rho], increments, axis=0, zi=rho * start)[0]
    R[1:] = np.cumsum(increments[:steps], axis=0)
    R += _bounded(rng, frames, dt, onset, rate, 2)
    counts = tuple(n_salt * n for n in nu_pm)
    time: Array = dt * np.arange(frames, dtype=np.float64)
    explicit = (solvents,) if isinstance(solvents, Solvent) else tuple(solvents)
    if explicit:
        R = _with_solvent(rng, R, counts, masses, explicit, float(np.trace(matrix)) * rate * dt)
    return CollectiveDisplacements(
        R=R,
        time=time,
        volume=volume,
        temperature=T,
        z=(float(z[0]), float(z[1]), *([0.0] * len(explicit))),
        counts=(*counts, *(s.count for s in explicit)),
        frame="barycentric" if explicit else "solvent",
        masses=(float(masses[0]), float(masses[1]), *(s.mass for s in explicit)),
        molecular_volumes=None if molecular_volumes is None else tuple(molecular_volumes),
    )


def mixture_walk(
    Omega: ArrayLike,
    *,
    frames: int,
    dt: float,
    seed: int | np.random.SeedSequence | np.random.Generator,
    z: Sequence[float],
    counts: Sequence[int],
    masses: Sequence[float],
    names: Sequence[str],
    volume: float,
    T: float = 300.0,
    own: float = 1.0,
    onset: Onset | Sequence[Onset] = (),
) -> CollectiveDisplacements:
    """Walk of n species with prescribed Onsager matrix in the frame of the last one.

    Parameters
    ----------
    Omega : array (n - 1, n - 1)
        Matrix of all species but the last, in its frame; positive semi-definite [mol^2/(J m s)].
    frames : int
        Number of frames.
    dt : float
        Time between frames [s].
    seed : int, SeedSequence or Generator
        Source of randomness.
    z, counts, masses, names : sequence (n,)
        Charge numbers, numbers of particles, masses in any one unit, and names.
    volume : float
        Of the box [m^3].
    T : float
        Temperature [K].
    own : float
        Size of the motion of the last species in the box, relative to the trace of Omega; 0 for none [1].
    onset : Onset or sequence of Onset
        Bounded motions that make the onset sub-diffusive.

    Returns
    -------
    CollectiveDisplacements
        In the box (``"lab"``), where the last species moves too.

    Raises
    ------
    InputError
        Omega that is not positive, sizes that do not fit.
    """
    rng = np.random.default_rng(seed)
    matrix, n = np.asarray(Omega, dtype=float), len(counts)
    if matrix.shape != (n - 1, n - 1) or np.linalg.eigvalsh(matrix)[0] < -1e-12 * np.trace(matrix):
        raise InputError(f"Omega must be a positive matrix of {n - 1} species")
    scale = 2.0 * k_B * T * volume * N_A**2 * dt
    steps = _gaussian(rng, frames - 1, scale * matrix)
    carrier = np.sqrt(own * scale * np.trace(matrix)) * rng.standard_normal((frames - 1, 3)) / counts[-1]
    N = np.asarray(counts, dtype=float)
    R = np.zeros((frames, n, 3))
    R[1:, :-1] = np.cumsum(steps, axis=0)
    R[:, :-1] += _bounded(rng, frames, dt, onset, scale / dt, n - 1)
    R[1:] += N[:, None] * np.cumsum(carrier, axis=0)[:, None, :]
    return CollectiveDisplacements(
        R=R,
        time=dt * np.arange(frames, dtype=np.float64),
        volume=volume,
        temperature=T,
        z=tuple(z),
        counts=tuple(counts),
        frame="lab",
        masses=tuple(masses),
        names=tuple(names),
    )


def particles(
    displacements: CollectiveDisplacements,
    D_self: Sequence[float],
    *,
    seed: int | np.random.SeedSequence | np.random.Generator,
    spread: float | None = None,
) -> ParticleWalk:
    """Split a collective walk into particles of prescribed self-diffusion coefficient (small systems only).

    Every particle moves with its species' mean plus a Brownian motion of its own; these sum to zero, so the
    collective displacement is kept to round-off.

    Parameters
    ----------
    displacements : CollectiveDisplacements
        The walk to split.
    D_self : sequence of float (species,)
        Self-diffusion coefficient of each species at lags where the collective motion diffuses [m^2/s].
    seed : int, SeedSequence or Generator
        Source of randomness.
    spread : float, optional
        Edge of the cube the starting points fill; the cube root of the volume when left out [m].

    Returns
    -------
    ParticleWalk
        Positions of every particle and the sums they belong to.

    Raises
    ------
    InputError
        A D_self smaller than the share of the collective motion, so that no such particles exist.
    """
    rng = np.random.default_rng(seed)
    d = displacements
    edge = d.volume ** (1 / 3) if spread is None else spread
    parts = []
    for k, n in enumerate(d.counts):
        mean = d.R[:, k, :] / n
        shared = float(np.mean(np.diff(mean, axis=0) ** 2))
        own = 2.0 * float(D_self[k]) * d.dt - shared
        if own < 0 or (n == 1 and own > 1e-2 * shared):
            raise InputError(
                f"D_self = {D_self[k]:g} m^2/s of species {k} does not fit its collective motion "
                f"({shared / (2 * d.dt):.3g} m^2/s)"
            )
        steps = rng.standard_normal((d.n_frames, n, 3))
        steps -= steps.mean(axis=1, keepdims=True)
        steps *= np.sqrt(own * n / max(n - 1, 1))
        steps[0] = 0.0
        start = edge * rng.random((1, n, 3))
        parts.append(start + np.cumsum(steps, axis=0) + (mean - mean[:1])[:, None, :])
    return ParticleWalk(
        positions=np.concatenate(parts, axis=1),
        species=np.repeat(np.arange(len(d.counts)), d.counts),
        displacements=d,
    )


def _positive(matrix: ArrayLike, name: str, *, semi: bool, n: int = 0) -> Array:
    M = np.asarray(matrix, dtype=float)
    if M.ndim != 2 or M.shape != (n or len(M),) * 2 or not np.all(np.isfinite(M)):
        raise InputError(f"{name} must be a finite {f'{n} x {n}' if n else 'square'} matrix")
    if not np.allclose(M, M.T, rtol=1e-12, atol=0.0):
        raise InputError(f"{name} must be symmetric")
    low = float(np.linalg.eigvalsh(M)[0]) / float(np.max(np.abs(M)) or 1.0)
    if low < -1e-12 or (low <= 0 and not semi):
        raise InputError(f"{name} must be positive {'semi-' if semi else ''}definite")
    return M


def _stoichiometry(z: Sequence[float]) -> tuple[int, int]:
    plus, minus = float(z[0]), float(z[1])
    if not plus > 0 > minus or plus != round(plus) or minus != round(minus):
        raise InputError(f"z = {tuple(z)} must be whole numbers, z[0] > 0 > z[1]; give nu for others")
    common = int(np.gcd(round(plus), round(-minus)))
    return round(-minus) // common, round(plus) // common


def _root(covariance: Array) -> Array:
    """A square root of a positive semi-definite matrix: covariance = root @ root.T."""
    values, vectors = np.linalg.eigh(covariance)
    root: Array = vectors * np.sqrt(np.clip(values, 0.0, None))
    return root


def _gaussian(rng: np.random.Generator, n: int, covariance: Array) -> Array:
    """n independent draws (n, species, 3) with `covariance` between species, directions independent."""
    draws: Array = np.einsum("ij,tjx->tix", _root(covariance), rng.standard_normal((n, len(covariance), 3)))
    return draws


def _bounded(
    rng: np.random.Generator, frames: int, dt: float, onset: Onset | Sequence[Onset], rate: float, n: int
) -> Array:
    """Sum of stationary Ornstein-Uhlenbeck displacements (frames, n, 3), exact at any dt, zero at frame 0."""
    moved = np.zeros((frames, n, 3))
    for mode in (onset,) if isinstance(onset, Onset) else onset:
        if len(mode.Omega) != n:
            raise InputError(f"onset.Omega is of {len(mode.Omega)} species, the walk's matrix is of {n}")
        rho = float(np.exp(-dt / mode.time))
        covariance = 0.5 * rate * mode.time * mode.Omega
        start = _gaussian(rng, 1, covariance)
        kicks = _gaussian(rng, frames - 1, (1 - rho**2) * covariance)
        x = np.concatenate([start, lfilter([1.0], [1.0, -rho], kicks, axis=0, zi=rho * start)[0]])
        moved += x - x[0]
    return moved


def _with_solvent(
    rng: np.random.Generator,
    R: Array,
    counts: Sequence[int],
    masses: Sequence[float],
    solvents: Sequence[Solvent],
    scale: float,
) -> Array:
    """Solvent-frame ion displacements -> barycentric displacements of ions and solvents, momentum zero."""
    m_ion = np.asarray(masses, dtype=float)
    n_ion = np.asarray(counts, dtype=float)
    m_s = np.array([s.mass for s in solvents])
    n_s = np.array([s.count for s in solvents], dtype=float)
    total = float(m_ion @ n_ion + m_s @ n_s)
    d_0 = -np.einsum("k,tkx->tx", m_ion, R) / total
    ions = R + n_ion[None, :, None] * d_0[:, None, :]
    own = np.cumsum(np.sqrt(scale) * rng.standard_normal((R.shape[0], len(solvents), 3)), axis=0)
    own -= own[:1]
    own -= n_s[None, :, None] * (np.einsum("k,tkx->tx", m_s, own) / float(m_s @ n_s))[:, None, :]
    return np.concatenate([ions, n_s[None, :, None] * d_0[:, None, :] + own], axis=1)


# ---- walks of any spectrum -----------------------------------------------------------------------------------------


def walk_of_spectrum(
    spectrum: Callable[[Array], Array],
    *,
    frames: int,
    dt: float,
    seed: int | np.random.SeedSequence | np.random.Generator,
    z: Sequence[float] = (1, -1),
    nu: Sequence[int] = (1, 1),
    n_salt: int = 100,
    c: float = 1000.0,
    T: float = 300.0,
) -> CollectiveDisplacements:
    """Gaussian walk whose increments have a given spectrum, exactly.

    A periodic process is made frequency by frequency, each an independent amplitude of covariance S, and cut.

    Parameters
    ----------
    spectrum : callable
        omega (frequencies,) in radians per step, 0 to pi -> S (frequencies, 2, 2), positive semi-definite, S(0) = Omega
        [mol^2/(J m s)].
    frames : int
        Number of frames.
    dt : float
        Time between frames [s].
    seed : int, SeedSequence or Generator
        Source of randomness.
    z, nu : sequence (2,)
        Charge and stoichiometric numbers.
    n_salt : int
        Number of formula units in the box.
    c : float
        Salt concentration; fixes the volume [mol/m^3].
    T : float
        Temperature [K].

    Returns
    -------
    CollectiveDisplacements
        In the solvent frame.

    Raises
    ------
    InputError
        Fewer than two frames, or a spectrum that is not positive semi-definite.
    """
    if frames < 2 or not dt > 0:
        raise InputError("frames >= 2 and dt > 0 are needed")
    rng = np.random.default_rng(seed)
    period = 2 ** int(np.ceil(np.log2(LONGER * frames)))
    S = np.asarray(spectrum(np.linspace(0, np.pi, period // 2 + 1)), dtype=float)
    values, vectors = np.linalg.eigh(S)
    if np.any(values[:, 0] < -1e-12 * values[:, 1]):
        raise InputError("the spectrum must be positive semi-definite at all frequencies")
    root = vectors * np.sqrt(np.maximum(values, 0.0))[:, None, :]
    noise = rng.standard_normal((2, S.shape[0], 2, 3)) / np.sqrt(2)
    amplitudes = noise[0] + 1j * noise[1]
    amplitudes[[0, -1]] = np.sqrt(2) * noise[0][[0, -1]]  # the ends of the half spectrum are real
    steps = fft.irfft(root @ amplitudes * np.sqrt(period), n=period, axis=0)
    first = int(rng.integers(period - frames))
    volume = n_salt / (N_A * c)
    R = np.zeros((frames, 2, 3))
    R[1:] = np.sqrt(2 * k_B * T * volume * N_A**2 * dt) * np.cumsum(steps[first : first + frames - 1], axis=0)
    return CollectiveDisplacements(
        R=R,
        time=dt * np.arange(frames, dtype=np.float64),
        volume=volume,
        temperature=T,
        z=(float(z[0]), float(z[1])),
        counts=(n_salt * int(nu[0]), n_salt * int(nu[1])),
        frame="solvent",
    )


def bounded_motion(omega: Array, time: float) -> Array:
    """Spectrum of the increments of an Ornstein-Uhlenbeck motion of unit variance, relaxing in `time` steps."""
    a = np.exp(-1 / time)
    return np.asarray((2 - 2 * np.cos(omega)) * (1 - a * a) / (1 + a * a - 2 * a * np.cos(omega)))


def stretched_motion(omega: Array, mean_time: float, beta: float) -> Array:
    """The same of a motion that forgets itself as exp(-(t/t0)^beta), of mean time t0 Gamma(1/beta)/beta.

    `omega` must be the whole grid from 0 to pi: the spectrum is that of the periodic process of twice its length.
    """
    period = 2 * (omega.size - 1)
    t = np.minimum(np.arange(period), period - np.arange(period))
    C = np.exp(-((t * gamma(1 / beta) / beta / mean_time) ** beta))
    return np.maximum(fft.rfft(2 * C - np.roll(C, 1) - np.roll(C, -1)).real, 0.0)


def inertia(omega: Array, time: float) -> Array:
    """Factor on the spectrum of a walk whose velocities persist over `time` steps."""
    a = np.exp(-1 / time)
    return np.asarray((1 - a) ** 2 / (1 + a * a - 2 * a * np.cos(omega)))
