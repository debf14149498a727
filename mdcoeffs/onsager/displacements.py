"""Summed displacements per species, the only thing an Onsager coefficient needs from a trajectory.

The frame change acts on the displacements themselves, ``dr_i^r = dr_i - N_i d_r`` with ``d_r`` the
displacement of the reference (solvent, centre of mass, centre of volume), so it needs neither zero drift nor
momentum conservation.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.fft import irfft, next_fast_len, rfft

from cellsim.base import N_A, Array, InputError
from mdcoeffs.frames.snapshot import uneven

FRAMES = ("barycentric", "solvent", "volume", "lab")
"""Frames of reference of a displacement."""
ALIKE, ALIKE_STEPS = 0.95, 25
"""Correlation of the steps of two replicas above which they are one run [1], over at least so many steps."""
ROLES = ("cation", "anion", "solvent")
"""What a species is in a binary electrolyte."""


def _frozen(values: Any, name: str) -> Array:
    """A read-only float64 view of `values`; one sentence if it is not finite numbers."""
    try:
        array = np.asarray(values, dtype=np.float64).view()
    except (TypeError, ValueError) as error:
        raise InputError(f"{name} is not an array of numbers: {error}") from error
    if not np.all(np.isfinite(array)):
        bad = np.argwhere(~np.isfinite(array))[0]
        raise InputError(f"{name} holds NaN or infinity, first at index {tuple(int(k) for k in bad)}")
    array.setflags(write=False)
    return array


@dataclass(frozen=True, eq=False)
class SelfMSD:
    """Mean-squared displacement of single particles, averaged over each species.

    ``msd[k, i] = < |r(t + lag[k]) - r(t)|^2 >`` over all particles of species i and all time origins.

    Parameters
    ----------
    lag : array (lags,)
        Lag times, increasing from zero or above [s].
    msd : array (lags, species)
        Mean-squared displacement [m^2].
    counts : sequence of int (species,)
        Number of particles of each species.
    duration : float
        Length of the trajectory behind it, all replicas together [s].
    frame : str
        Frame the single displacements were taken in, one of `FRAMES`.

    Raises
    ------
    InputError
        Shapes that do not match, lags out of order, NaN, a negative mean square.
    """

    lag: Array
    msd: Array
    counts: tuple[int, ...]
    duration: float = math.nan
    frame: str = "barycentric"

    def __post_init__(self) -> None:
        object.__setattr__(self, "lag", _frozen(self.lag, "lag"))
        object.__setattr__(self, "msd", _frozen(self.msd, "msd"))
        object.__setattr__(self, "counts", tuple(int(n) for n in self.counts))
        if self.frame not in FRAMES:
            raise InputError(f"frame = {self.frame!r} is unknown; allowed are {', '.join(FRAMES)}")
        if self.lag.ndim != 1 or self.msd.shape != (self.lag.size, len(self.counts)):
            raise InputError(
                f"msd has shape {self.msd.shape}, not (lags, species) = ({self.lag.size}, {len(self.counts)})"
            )
        if np.any(np.diff(self.lag) <= 0) or np.any(self.lag < 0):
            raise InputError("lag times must increase strictly from zero or above")
        if np.any(self.msd < 0):
            raise InputError("msd holds a negative mean square")


@dataclass(frozen=True, eq=False)
class CollectiveDisplacements:
    """Displacement since frame 0, summed over all particles of each species, with what scales it.

    Parameters
    ----------
    R : array (frames, species, 3)
        Summed, unwrapped, cumulative displacement ``sum_a [r_a(t) - r_a(0)]`` [m].
    time : array (frames,)
        Times of the frames, evenly spaced [s].
    volume : float
        Mean volume of the box [m^3].
    temperature : float
        Temperature [K].
    z : sequence of float (species,)
        Charge numbers, 0 for a solvent.
    counts : sequence of int (species,)
        Number of particles (ions, molecules) of each species.
    frame : str
        Frame of `R`: ``"barycentric"``, ``"solvent"``, ``"volume"`` or ``"lab"`` (the box, drift included).
    masses : sequence of float (species,), optional
        Mass of one particle of each species, in any one unit; only ratios enter.
    molecular_volumes : sequence of float (species,), optional
        Partial volume of one particle, zero for the cation by convention [m^3]; they must fill the box.
    roles : sequence of str (species,), optional
        ``"cation"``, ``"anion"`` or ``"solvent"``; taken from the sign of `z` when left out.
    names : sequence of str (species,), optional
        Names of the species for messages and tables; the roles when left out.
    self_msd : SelfMSD, optional
        Single-particle mean-squared displacements of the same run.
    axes : tuple of int
        Directions that an estimate uses, 0 to 2: fewer than three in a crystal or in a confined liquid.

    Raises
    ------
    InputError
        Shape mismatch, NaN, time not increasing or not even, net charge, a mass that is not positive.

    Notes
    -----
    Several replicas are a list of these.
    """

    R: Array
    time: Array
    volume: float
    temperature: float
    z: tuple[float, ...]
    counts: tuple[int, ...]
    frame: str
    masses: tuple[float, ...] | None = None
    molecular_volumes: tuple[float, ...] | None = None
    roles: tuple[str, ...] | None = None
    names: tuple[str, ...] | None = None
    self_msd: SelfMSD | None = None
    axes: tuple[int, ...] = (0, 1, 2)

    def __post_init__(self) -> None:
        def put(name: str, value: Any) -> None:
            object.__setattr__(self, name, value)

        put("R", _frozen(self.R, "R"))
        put("time", _frozen(self.time, "time"))
        put("z", tuple(float(v) for v in _frozen(self.z, "z").ravel()))
        put("counts", tuple(_whole(n) for n in _frozen(self.counts, "counts").ravel()))
        if self.R.ndim != 3 or self.R.shape[2] != 3:
            raise InputError(f"R has shape {self.R.shape}, allowed is (frames, species, 3)")
        if not self.axes or len(set(self.axes)) < len(self.axes) or not set(self.axes) <= {0, 1, 2}:
            raise InputError(f"axes = {self.axes} must be some of 0, 1 and 2, each once")
        if self.time.shape != (self.R.shape[0],):
            raise InputError(f"time has shape {self.time.shape}, but R has {self.R.shape[0]} frames")
        for name in ("masses", "molecular_volumes"):
            if getattr(self, name) is not None:
                put(name, tuple(float(v) for v in _frozen(getattr(self, name), name).ravel()))
        if self.roles is None:
            put("roles", tuple("cation" if q > 0 else "anion" if q < 0 else "solvent" for q in self.z))
        put("roles", tuple(self.roles or ()))
        put("names", tuple(self.roles or ()) if self.names is None else tuple(self.names))
        species = self.R.shape[1]
        for name in ("z", "counts", "roles", "names", "masses", "molecular_volumes"):
            value = getattr(self, name)
            if value is not None and len(value) != species:
                raise InputError(f"{name} has {len(value)} entries, but R has {species} species")
        self._check_values()

    def _check_values(self) -> None:
        if self.frame not in FRAMES:
            raise InputError(f"frame = {self.frame!r} is unknown; allowed are {', '.join(FRAMES)}")
        for name in ("volume", "temperature"):
            value = float(getattr(self, name))
            if not (math.isfinite(value) and value > 0):
                raise InputError(f"{name} = {value!r} must be a positive number")
            object.__setattr__(self, name, value)
        check_even_times(self.time)
        if any(n <= 0 for n in self.counts):
            raise InputError(f"counts = {self.counts} must all be at least 1")
        if any(role not in ROLES for role in self.roles or ()):
            raise InputError(f"roles = {self.roles} must be among {', '.join(ROLES)}")
        for q, role in zip(self.z, self.roles or (), strict=True):
            if (role == "cation") != (q > 0) or (role == "anion") != (q < 0):
                raise InputError(f"a {role} cannot have z = {q:g}; cations have z > 0, anions z < 0, solvents 0")
        check_neutral(self.z, self.counts)
        if self.masses is not None and any(m <= 0 for m in self.masses):
            raise InputError(f"masses = {self.masses} must all be positive")
        if self.molecular_volumes is not None and any(v < 0 for v in self.molecular_volumes):
            raise InputError(f"molecular_volumes = {self.molecular_volumes} must not be negative")

    @property
    def along(self) -> Array:
        """`R` along the directions used (frames, species, axes) [m]."""
        return np.asarray(self.R[:, :, list(self.axes)])

    @property
    def n_frames(self) -> int:
        """Number of frames."""
        return int(self.R.shape[0])

    @property
    def dt(self) -> float:
        """Time between frames [s]."""
        return float((self.time[-1] - self.time[0]) / (self.time.size - 1))

    @property
    def duration(self) -> float:
        """Time from the first to the last frame [s]."""
        return float(self.time[-1] - self.time[0])

    @property
    def concentrations(self) -> Array:
        """Concentration of every species (species,) [mol/m^3]."""
        return np.asarray(self.counts, dtype=float) / (N_A * self.volume)

    @property
    def ions(self) -> tuple[int, int]:
        """Indices of the one cation and the one anion species of a binary salt."""
        assert self.roles is not None
        cations = [k for k, role in enumerate(self.roles) if role == "cation"]
        anions = [k for k, role in enumerate(self.roles) if role == "anion"]
        if len(cations) != 1 or len(anions) != 1:
            raise InputError(
                f"a binary salt has one cation and one anion species, found {len(cations)} and {len(anions)}"
            )
        return cations[0], anions[0]

    @property
    def solvents(self) -> tuple[int, ...]:
        """Indices of the solvent species; may be empty."""
        assert self.roles is not None
        return tuple(k for k, role in enumerate(self.roles) if role == "solvent")

    @property
    def nu(self) -> tuple[int, int]:
        """Stoichiometric numbers (nu_+, nu_-) of the salt, from the counts of the ions."""
        plus, minus = (self.counts[k] for k in self.ions)
        common = math.gcd(plus, minus)
        return plus // common, minus // common

    @property
    def c(self) -> float:
        """Salt concentration [mol/m^3]."""
        return float(self.concentrations[self.ions[0]] / self.nu[0])

    def reference_displacement(self, frame: str, *, solvents: Sequence[int | str] | None = None) -> Array:
        """Displacement d_r(t) of a reference, in the frame of `R`.

        Parameters
        ----------
        frame : str
            ``"solvent"``: centre of mass of the chosen solvents; ``"barycentric"``: of everything;
            ``"volume"``: mean displacement weighted with the molecular volumes.
        solvents : sequence of int or str, optional
            Indices or names of the solvent species that make the solvent frame; all of them when left out.

        Returns
        -------
        array (frames, 3)
            d_r [m].

        Raises
        ------
        InputError
            No solvent, no masses or no molecular volumes where they are needed.
        """
        if frame == "solvent":
            chosen = self._chosen_solvents(solvents)
            weights = np.zeros(len(self.z))
            if len(chosen) == 1:
                weights[chosen[0]] = 1.0
            else:
                weights[list(chosen)] = np.asarray(self._need("masses", frame))[list(chosen)]
        elif frame == "barycentric":
            if not self.solvents:
                raise InputError("the barycentric frame needs the displacements of all species, the solvent's too")
            weights = np.asarray(self._need("masses", frame))
        elif frame == "volume":
            weights = np.asarray(self._need("molecular_volumes", frame))
            filled = float(weights @ np.asarray(self.counts)) / self.volume
            if not 0.9 <= filled <= 1.1:
                raise InputError(
                    f"molecular_volumes fill {filled:.3f} of the box, allowed is 0.9-1.1: check their unit"
                )
        else:
            raise InputError(f"frame = {frame!r} cannot be changed to; choose solvent, barycentric or volume")
        total = float(weights @ np.asarray(self.counts, dtype=float))
        d: Array = np.einsum("k,tkx->tx", weights / total, self.R)
        return d

    def to_frame(self, frame: str, *, solvents: Sequence[int | str] | None = None) -> CollectiveDisplacements:
        """The same displacements seen from another reference: dr_i^r = dr_i - N_i d_r.

        Parameters
        ----------
        frame : str
            ``"solvent"``, ``"barycentric"`` or ``"volume"``.
        solvents : sequence of int or str, optional
            Solvent species that make the solvent frame (one, or several mass-averaged); all when left out.

        Returns
        -------
        CollectiveDisplacements
            New data in the frame asked for.

        References
        ----------
        doi:10.1063/5.0155301, Eq. 24 (Shao & Zhang 2023), written for displacements.
        """
        if frame == self.frame and solvents is None:
            return self
        d = self.reference_displacement(frame, solvents=solvents)
        moved = self.R - np.asarray(self.counts, dtype=float)[None, :, None] * d[:, None, :]
        return replace(self, R=moved, frame=frame)

    def _chosen_solvents(self, solvents: Sequence[int | str] | None) -> tuple[int, ...]:
        assert self.names is not None
        if not self.solvents:
            raise InputError("the solvent frame needs the displacements of a solvent species, R has none")
        if solvents is None:
            return self.solvents
        chosen = []
        for entry in solvents:
            if isinstance(entry, str):
                if entry not in self.names:
                    raise InputError(f"solvent {entry!r} is not among the species {', '.join(self.names)}")
                entry = self.names.index(entry)
            if entry not in self.solvents:
                raise InputError(f"species {entry} is not a solvent; solvents are {self.solvents}")
            chosen.append(int(entry))
        if not chosen or len(set(chosen)) != len(chosen):
            raise InputError("solvents must name at least one solvent species, each once")
        return tuple(chosen)

    def _need(self, name: str, frame: str) -> tuple[float, ...]:
        value: tuple[float, ...] | None = getattr(self, name)
        if value is None:
            raise InputError(f"{name} are needed to go to the {frame} frame")
        return value


def _whole(value: float) -> int:
    if value != round(value):
        raise InputError(f"counts must be whole numbers, found {value:g}")
    return round(value)


def check_neutral(z: Sequence[float], counts: Sequence[int]) -> None:
    """Refuse a net charge.

    Parameters
    ----------
    z : sequence of float (species,)
        Charge numbers.
    counts : sequence of int (species,)
        Particles of each species.

    Raises
    ------
    InputError
        The charges do not add up to zero.
    """
    charge = sum(q * n for q, n in zip(z, counts, strict=True))
    scale = sum(abs(q) * n for q, n in zip(z, counts, strict=True))
    if abs(charge) > 1e-6 * max(scale, 1.0):
        raise InputError(f"net charge of the box is {charge:g} e, but an electrolyte is neutral: check z and counts")


def check_even_times(time: ArrayLike) -> None:
    """Refuse times that are not strictly increasing and even, by the rule of `mdcoeffs.frames.snapshot`.

    Parameters
    ----------
    time : array (frames,)
        Times of the frames [s].

    Raises
    ------
    InputError
        Fewer than two frames, frames out of order or duplicated (joined runs), a gap.
    """
    t = np.asarray(time, dtype=float)
    if t.size < 2:
        raise InputError(f"{t.size} frame(s) contain no displacement; at least 2 are needed")
    steps = np.diff(t)
    if np.any(steps == 0):
        raise InputError(f"frame {int(np.argmax(steps == 0)) + 1} has the same time as the one before (joined runs?)")
    if np.any(steps < 0):
        raise InputError(f"frame {int(np.argmax(steps < 0)) + 1} is earlier than the one before (joined runs?)")
    bad = uneven(t[1:], t[:-1], float(t[0]), float(steps[0]))
    if np.any(bad):
        k = int(np.argmax(bad))
        raise InputError(
            f"frames are not evenly spaced: step {steps[k]:.6g} s before frame {k + 1}, the first was {steps[0]:.6g} s"
        )


def check_replicas(replicas: Sequence[CollectiveDisplacements]) -> None:
    """Refuse replicas that are not repeats of one system (species, counts, temperature, frame, step).

    Parameters
    ----------
    replicas : sequence of CollectiveDisplacements
        The runs to be combined.

    Raises
    ------
    InputError
        An empty list, or a replica that differs from the first.
    """
    if not replicas:
        raise InputError("no replica given; at least one is needed")
    first = replicas[0]
    for k, other in enumerate(replicas[1:], start=2):
        for name in ("z", "counts", "roles", "frame"):
            if getattr(other, name) != getattr(first, name):
                raise InputError(
                    f"replica {k} has {name} = {getattr(other, name)}, replica 1 has {getattr(first, name)}"
                )
        for name, slack in (("temperature", 1e-3), ("volume", 2e-2), ("dt", 1e-3)):
            a, b = getattr(first, name), getattr(other, name)
            if abs(a - b) > slack * a:
                raise InputError(f"replica {k} has {name} = {b:.6g}, replica 1 has {a:.6g}; they must agree")
    _check_independent(replicas)


def _check_independent(replicas: Sequence[CollectiveDisplacements]) -> None:
    """Refuse replicas that move alike: the same run twice, or parts of one run that overlap.

    The steps of two runs are laid over one another at every shift; the best one decides. Independent runs of N steps
    agree to about 1/sqrt(9 N) there, the same run stored twice to its rounding.
    """
    steps = [np.diff(run.R, axis=0).reshape(run.n_frames - 1, -1) for run in replicas]
    steps = [each - each.mean(axis=0) for each in steps]  # a drift may be the same in all
    steps = [each / scale if (scale := np.sqrt(np.mean(each**2))) > 0 else each for each in steps]
    size = next_fast_len(2 * max((len(each) for each in steps), default=1), real=True)
    spectra = [rfft(each, size, axis=0) for each in steps] if len(steps) > 1 else []
    for (a, left), (b, right) in combinations(enumerate(spectra), 2):
        overlay = irfft(np.einsum("fk,fk->f", left, right.conj()), size)
        shift = int(np.argmax(overlay))
        shift -= size if shift > size // 2 else 0
        one, other = steps[a][max(shift, 0) :], steps[b][max(-shift, 0) :]
        length = min(len(one), len(other))
        one, other = one[:length], other[:length]
        scale = math.sqrt(float(np.sum(one**2) * np.sum(other**2)))
        if length >= ALIKE_STEPS and scale > 0 and float(np.sum(one * other)) > ALIKE * scale:
            raise InputError(
                f"replicas {a + 1} and {b + 1} move alike over {length} steps: they are one run, or parts of one that "
                "overlap; give every run once"
            )


def mean_volume(replicas: Sequence[CollectiveDisplacements]) -> float:
    """Mean box volume of several replicas, weighted with their durations [m^3]."""
    weight = sum(r.duration for r in replicas)
    return sum(r.volume * r.duration for r in replicas) / weight
