"""Shear viscosity from the stress of a box at equilibrium, by the estimator of the Onsager coefficients.

The integral of the stress over time is a displacement (Helfand's): it grows as the summed displacement of ions does,
and eta = V/(2 k_B T) d/dt <dG^2> is to the stress what Omega is to the currents, the limit of a spectrum at low
frequency. The five independent components of the stress stand for directions. Stress differs from current in one way:
its spectrum falls with frequency, by orders of magnitude, and never rises. So the integral is read at steps so long
that little of the fall is left, and the prior, :data:`STRESS`, knows of nothing but persistence.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import fft

from cellsim.base import Array, InputError, __version__, k_B
from cellsim.drawing.figstyle import COLOURS, GREY, TWO_COLUMNS, drawing, label, time_unit
from cellsim.electrolyte.relations import QUANTILES, TWO_SIDED, band
from cellsim.files.folder import file_hash
from cellsim.files.writing import Rows, plain
from mdcoeffs.analysis import LEVEL
from mdcoeffs.frames.snapshot import uneven
from mdcoeffs.inputs.stress import read_stress
from mdcoeffs.onsager.estimate import independent_origins
from mdcoeffs.onsager.judgement import (
    LOW_FREQUENCIES,
    SURPRISE,
    UNFINISHED,
    EstimateWarning,
    SpectrumFit,
    spectrum_fit,
)
from mdcoeffs.onsager.plateau import Beliefs, relaxing_plateau
from mdcoeffs.onsager.relaxation import SHAPES
from mdcoeffs.onsager.spectrum import CurrentSpectrum, assembled
from mdcoeffs.statistics.correlate import running_integral

if TYPE_CHECKING:
    import xarray as xr

STRESS = Beliefs(
    flat=0.1,
    shapes=(0.0,) * (len(SHAPES) - 1) + (1.0,),
    persistence=(-1.0, 1.2, 0.8),
    soon=(0.3, 1.5),
    lasting=1.0,
    coarse=(0.8, 0.8),
)
"""What is believed of a stress before it is seen: it persists, over several times, and is never bounded."""
LEFT = 0.75
"""The step is so long that the spectrum at its highest frequency is still this share of that at low ones [1]."""
MIN_STEPS = 60
"""Fewest such steps, all runs together."""
RUN_STEPS = 40
"""Fewest in each run: in shorter ones slow persistence cannot be seen, and a trial held 0.87 of 194 truths."""
COARSE = 0.05
"""Largest share of the plateau that may be left at the highest frequency of the table: a third of it is added [1]."""
LOWEST = 12
"""Frequencies whose mean stands for the plateau where the step is chosen."""
logger = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class StressSeries:
    """The stress of a box along a run at equilibrium and constant volume.

    Parameters
    ----------
    time : array (frames,)
        Evenly spaced [s].
    stress : array (components, frames)
        Independent shear stresses of one variance, five or three of them [Pa].
    label : str
        For messages.

    Raises
    ------
    InputError
        Fewer than `MIN_STEPS` frames, times that do not increase evenly, values that are not finite, a stress that does
        not fluctuate.
    """

    time: Array
    stress: Array
    label: str = "stress"

    def __post_init__(self) -> None:
        t, P = np.asarray(self.time, dtype=float), np.asarray(self.stress, dtype=float)
        if P.ndim != 2 or P.shape[0] not in (3, 5) or P.shape[1] != t.size:
            raise InputError(f"{self.label}: stress has shape {P.shape}, allowed are (5, {t.size}) and (3, {t.size})")
        if t.size < MIN_STEPS:
            raise InputError(
                f"{self.label}: {t.size} rows are too few for a viscosity, at least {MIN_STEPS} are needed"
            )
        if not (np.all(np.isfinite(t)) and np.all(np.isfinite(P))):
            raise InputError(f"{self.label}: holds a time or a stress that is no finite number")
        step = float(t[1] - t[0])
        bad = np.flatnonzero(uneven(t[1:], t[:-1], float(t[0]), step)) if step > 0 else np.zeros(1, dtype=int)
        if bad.size:
            k = int(bad[0]) + 1
            raise InputError(
                f"{self.label}: row {k + 1} is at {t[k]:.6g} s and the one before at {t[k - 1]:.6g} s, the first step "
                f"is {step:.6g} s: rows must follow at even, increasing times; give the parts as tables of their own"
            )
        if not np.all(np.ptp(P, axis=1) > 0):
            raise InputError(f"{self.label}: a component of the stress is constant; check the columns")
        object.__setattr__(self, "time", t)
        object.__setattr__(self, "stress", P)

    @property
    def dt(self) -> float:
        """Time between rows [s]."""
        return float((self.time[-1] - self.time[0]) / (self.time.size - 1))

    @property
    def duration(self) -> float:
        """Length of the run [s]."""
        return self.dt * self.time.size


@dataclass(frozen=True, eq=False)
class ViscosityEstimate:
    """A shear viscosity with its posterior and how it was found.

    Parameters
    ----------
    samples : array (S,)
        Posterior samples [Pa s].
    T : float
        Temperature [K].
    volume : float
        Of the box [m^3].
    step : float
        Time over which the stress was integrated from one displacement to the next [s].
    steps : int
        How many there are, all runs together.
    components : int
        Independent components of the stress, 5 or 3.
    relaxation_time : float
        Slowest persistence allowed for, posterior median; 0 for none [s].
    n_origins : float
        Independent origins: steps of a plain random walk in as many directions with the same error bar.
    spectrum : SpectrumFit
        The spectrum of the stress and its model; S(0) = eta [Pa s].
    lag, running : array (lags,)
        Lag times [s], and the Green-Kubo integral up to them [Pa s], which the estimate does not use.
    duration : float
        Length of all runs [s].
    warnings : tuple of EstimateWarning
        Named doubts.
    """

    samples: Array
    T: float
    volume: float
    step: float
    steps: int
    components: int
    relaxation_time: float
    n_origins: float
    spectrum: SpectrumFit
    lag: Array
    running: Array
    duration: float
    warnings: tuple[EstimateWarning, ...] = ()

    @property
    def value(self) -> float:
        """Median [Pa s]."""
        return float(np.median(self.samples))

    @property
    def relative_error(self) -> float:
        """Standard deviation of its logarithm, as the interval has it [1]."""
        low, high = np.log(self.interval())
        return float(high - low) / (2 * TWO_SIDED)

    def interval(self, level: float = LEVEL) -> tuple[float, float]:
        """Ends of the interval of equal tails [Pa s]."""
        low, high = np.quantile(self.samples, [0.5 - level / 2, 0.5 + level / 2])
        return float(low), float(high)


def estimate_viscosity(
    runs: StressSeries | Sequence[StressSeries],
    *,
    T: float,
    volume: float,
    averaged: bool = False,
    n_samples: int = 4000,
    seed: int = 0,
) -> ViscosityEstimate:
    """Shear viscosity, eta = V/(k_B T) times the integral of <P_xy(0) P_xy(t)> over t.

    Parameters
    ----------
    runs : StressSeries or sequence of them
        Runs of one liquid at equilibrium, of one box and one time between rows.
    T : float
        Temperature [K].
    volume : float
        Of the box [m^3].
    averaged : bool
        Whether each row is the mean of the stress since the row before, and not its value at that moment.
    n_samples : int
        Number of posterior samples.
    seed : int
        Of the samples.

    Returns
    -------
    ViscosityEstimate

    Raises
    ------
    InputError
        Runs that differ in their step, a stress that is too coarse in time, or that lasts too long for the runs.

    References
    ----------
    Helfand 1960, doi:10.1103/PhysRev.119.1, Eq. 3.14; Daivis & Evans 1994, doi:10.1063/1.466970 (five components).
    """
    series = [runs] if isinstance(runs, StressSeries) else list(runs)
    if not series:
        raise InputError("a viscosity needs at least one table of the stress")
    first = series[0]
    for run in series[1:]:
        if abs(run.dt - first.dt) > 1e-6 * first.dt or len(run.stress) != len(first.stress):
            raise InputError(
                f"{run.label}: has {len(run.stress)} components every {run.dt:.6g} s, and {first.label} "
                f"{len(first.stress)} every {first.dt:.6g} s; runs must be alike"
            )
    scale = volume / (k_B * T)
    fine = stress_spectrum(series, 1, scale)
    _check_fine(fine, first, averaged)
    width = step_of(fine)
    each = [run.time.size // width for run in series]
    if sum(each) < MIN_STEPS or min(each) < RUN_STEPS:
        raise InputError(
            f"the stress persists over about {width * first.dt:.3g} s, and the runs hold {' + '.join(map(str, each))} "
            f"times as much: at least {RUN_STEPS} in each and {MIN_STEPS} in all are needed for a viscosity; use "
            "longer runs of a liquid whose shear stress averages to zero"
        )
    spectrum = fine if width == 1 else stress_spectrum(series, width, scale)
    plateau = relaxing_plateau(spectrum, n_samples, np.random.default_rng(seed), beliefs=STRESS)
    fit = spectrum_fit(spectrum, plateau)
    times = plateau.relaxation * spectrum.dt
    lag, running = running_integral(
        [run.stress for run in series], first.dt, min(50 * width, min(run.time.size for run in series) // 4)
    )
    found = ViscosityEstimate(
        samples=plateau.samples[:, 0, 0],
        T=T,
        volume=volume,
        step=spectrum.dt,
        steps=sum(each),
        components=len(first.stress),
        relaxation_time=float(np.median(times)),
        n_origins=independent_origins(plateau.samples, len(first.stress)),
        spectrum=fit,
        lag=lag,
        running=scale * running,
        duration=sum(run.duration for run in series),
    )
    return replace(found, warnings=_doubts(found, plateau.edge, times, spectrum))


def stress_spectrum(series: Sequence[StressSeries], width: int, scale: float) -> CurrentSpectrum:
    """Spectrum of the mean stress of `width` rows at a time, which is a step of Helfand's displacement over its length.

    Parameters
    ----------
    series : sequence of StressSeries
        The runs.
    width : int
        Rows in a step.
    scale : float
        V/(k_B T) [1/Pa].

    Returns
    -------
    CurrentSpectrum
        S(0) = eta [Pa s], a matrix of one element.
    """
    parts, lengths, dt = [], [], series[0].dt * width
    for run in series:
        n = run.time.size // width
        means = run.stress[:, : n * width].reshape(len(run.stress), n, width).mean(axis=2)
        amplitudes = fft.dst(means, type=1, axis=1, norm="ortho")
        k = np.arange(1, n + 1)
        s = 2.0 * np.sin(np.pi * k / (2 * (n + 1)))
        W = scale * dt / 2 * np.sum(amplitudes**2, axis=0)
        parts.append((s, W[:, None, None], np.full(n, float(len(run.stress)))))
        lengths.append(n)
    return assembled(parts, dt=dt, steps=tuple(lengths))


def step_of(fine: CurrentSpectrum) -> int:
    """How many rows make a step: half a period of the highest frequency at which the spectrum is still near its limit.

    Parameters
    ----------
    fine : CurrentSpectrum
        Of the rows.

    Returns
    -------
    int
    """
    mean = fine.W[:, 0, 0] / fine.dof
    some = np.cumsum(fine.dof) <= LOWEST * fine.dof[0]
    near = np.flatnonzero(mean >= LEFT * fine.W[some, 0, 0].sum() / fine.dof[some].sum())
    highest = 2 / math.pi * math.asin(0.5 * fine.s[near[-1]]) if near.size else 1.0
    return max(1, int(1 / highest))


def _check_fine(fine: CurrentSpectrum, run: StressSeries, averaged: bool) -> None:
    """Refuse values at moments so far apart that what lies between them is lost: it would come back in the plateau."""
    mean, top = fine.W[:, 0, 0] / fine.dof, fine.s > 1.9
    left = float(mean[top].mean() / mean[:LOWEST].mean()) if np.any(top) else 1.0
    if not averaged and left > COARSE:
        raise InputError(
            f"{run.label}: rows {run.dt:.3g} s apart miss what the stress does between them (at the highest frequency "
            f"{100 * left:.0f} % of its spectrum are left, allowed are {100 * COARSE:.0f} %); write it more often, or, "
            "where each row is a mean over the time since the one before, say so (--averaged)"
        )


def _doubts(
    found: ViscosityEstimate, edge: float, times: Array, spectrum: CurrentSpectrum
) -> tuple[EstimateWarning, ...]:
    doubts = []
    longest = spectrum.longest * spectrum.dt
    if edge > UNFINISHED:
        slow = float(np.median(times[8 * math.pi * times > longest]))
        doubts.append(
            EstimateWarning(
                "slow-relaxation",
                f"the stress persists over {slow:.3g} s, and runs of {longest:.3g} s show "
                "little of what is slower: the viscosity may be larger than the interval says; use longer runs",
            )
        )
    if found.spectrum.surprise < SURPRISE:
        doubts.append(
            EstimateWarning(
                "low-frequencies",
                f"the slowest {LOW_FREQUENCIES} amplitudes do not fit the model of the spectrum (probability "
                f"{found.spectrum.surprise:.1g}): the stress drifts, does not average to zero or is not in equilibrium",
            )
        )
    for doubt in doubts:
        logger.info("%s: %s", doubt.name, doubt.text)
    return tuple(doubts)


# ---- what is reported -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class ViscosityResult:
    """What ``mdcoeffs viscosity`` reports.

    Parameters
    ----------
    title : str
        Of the figure.
    estimate : ViscosityEstimate
        The viscosity and how it was found.
    inputs : mapping
        File name -> SHA-256.
    """

    title: str
    estimate: ViscosityEstimate
    inputs: dict[str, str] = field(default_factory=dict)

    def numbers(self) -> dict[str, Any]:
        """What ``summary.json`` holds: SI numbers, the interval at 95 %, doubts, provenance."""
        e = self.estimate
        ready: dict[str, Any] = plain(
            {
                "title": self.title,
                "viscosity": {"value": e.value, "interval": e.interval(), "relative_error": e.relative_error},
                "temperature": e.T,
                "volume": e.volume,
                "components": e.components,
                "step": e.step,
                "steps": e.steps,
                "relaxation_time": e.relaxation_time,
                "independent_origins": e.n_origins,
                "duration": e.duration,
                "warnings": {doubt.name: doubt.text for doubt in e.warnings},
                "inputs": self.inputs,
                "mdcoeffs": __version__,
                "level": LEVEL,
            }
        )
        return ready

    def lines(self) -> list[str]:
        """What the command prints."""
        e = self.estimate
        low, high = e.interval()
        factor, unit = (1e3, "mPa s") if e.value < 1 else (1.0, "Pa s")
        return [
            f"{self.title}: {e.T:g} K, {e.components} components of the stress over {e.duration:.3g} s",
            f"  eta      {e.value * factor:.4g} {unit}  (95 %: {low * factor:.4g} to {high * factor:.4g})",
            f"  steps    {e.steps} of {e.step:.3g} s; the slowest persistence allowed for is {e.relaxation_time:.3g} s",
            f'  use as   viscosity = "{e.value * factor:.4g} {unit}" and viscosity_error = '
            f'"{100 * e.relative_error:.2g} %" in [estimate]',
            *(f"  note     {doubt.name}: {doubt.text}" for doubt in e.warnings),
        ]

    def tables(self) -> dict[str, Rows]:
        """None beside the summary and the dataset."""
        return {}

    def dataset(self) -> xr.Dataset:
        """Samples, spectrum with its model, and the Green-Kubo integral."""
        import xarray as xr

        e, fit = self.estimate, self.estimate.spectrum
        model = band(fit.draws[:, :, 0, 0])
        eta = {"units": "Pa s"}
        variables: dict[str, tuple[Any, ...]] = {
            "samples": (("sample",), e.samples, eta | {"long_name": "posterior samples of the viscosity"}),
            "spectrum": (
                ("frequency",),
                fit.data[:, 0, 0],
                eta | {"long_name": "spectrum of the stress, V/(k_B T) of it"},
            ),
            "model": (("quantile", "frequency"), model, eta | {"long_name": "its model, posterior quantiles"}),
            "running_integral": (("lag",), e.running, eta | {"long_name": "Green-Kubo integral up to a lag"}),
        }
        coordinates = {
            "frequency": ("frequency", fit.frequency, {"units": "1/s"}),
            "quantile": np.array(QUANTILES),
            "lag": ("lag", e.lag, {"units": "s"}),
        }
        return xr.Dataset(variables, coordinates, {"title": self.title, "T": e.T, "volume": e.volume})

    def draw(self, path: Path) -> Path:
        """The spectrum with its model, and the Green-Kubo integral beside the interval."""
        e, fit = self.estimate, self.estimate.spectrum
        low, high = e.interval()
        milli, scale = 1e3, (1e-9, "GHz") if fit.frequency[-1] < 1e12 else (1e-12, "THz")
        note = ". ".join(f"{doubt.name}: {doubt.text}" for doubt in e.warnings)
        with drawing(path, 1, 2, title=self.title, note=note, width=TWO_COLUMNS, height=2.4) as (_, (left, right)):
            f = fit.frequency * scale[0]
            ends = band(fit.draws[:, :, 0, 0]) * milli
            left.plot(f, fit.data[:, 0, 0] * milli, ".", color=COLOURS[0], markersize=2.5, alpha=0.6)
            left.plot(f, ends[1], color=COLOURS[0], label="model, 95 %")
            left.fill_between(f, ends[0], ends[2], color=COLOURS[0], alpha=0.2, linewidth=0)
            left.set_xscale("log")
            left.set_ylim(bottom=0, top=1.6 * high * milli)
            left.set_xlabel(label("$f$", scale[1], "frequency"))
            left.set_ylabel(label("", "mPa s", "spectrum of the stress"))
            left.legend()
            factor, unit = time_unit(float(e.lag[-1]))
            right.axhspan(low * milli, high * milli, color=COLOURS[0], alpha=0.2, linewidth=0, label="estimate, 95 %")
            right.axhline(e.value * milli, color=COLOURS[0])
            right.plot(e.lag[1:] * factor, e.running[1:] * milli, color=GREY, label="Green-Kubo integral")
            right.set_xscale("log")
            right.set_ylim(bottom=0, top=1.6 * high * milli)
            right.set_xlabel(label("$t$", unit, "lag"))
            right.set_ylabel(label(r"$\eta$", "mPa s"))
            right.legend()
        return path


def viscosity_of_tables(
    paths: Sequence[str | Path], *, T: float, volume: float, averaged: bool = False, title: str = "", seed: int = 0
) -> ViscosityResult:
    """Shear viscosity from tables of the stress, one for each run.

    Parameters
    ----------
    paths : sequence of str or Path
        As :func:`mdcoeffs.inputs.stress.read_stress` takes them.
    T : float
        Temperature [K].
    volume : float
        Of the box [m^3].
    averaged, seed
        As for :func:`estimate_viscosity`.
    title : str
        Of the figure; the names of the files when left out.

    Returns
    -------
    ViscosityResult

    Raises
    ------
    InputError
        A table that cannot be read, one given twice, and as :func:`estimate_viscosity`.
    """
    files = [Path(path) for path in paths]
    runs = [StressSeries(*read_stress(path), path.name) for path in files]
    inputs = {str(path): file_hash(path) for path in files}
    if len(set(inputs.values())) < len(files):
        raise InputError(f"{', '.join(map(str, files))}: two of these tables are the same; give every run once")
    for name, value, (low, high), unit in (
        ("temperature", T, (1.0, 1e5), "K"),
        ("volume", volume, (1e-28, 1e-12), "m^3"),
    ):
        if not low <= value <= high:
            raise InputError(f"{name} = {value:g} {unit} must lie between {low:g} and {high:g} {unit}")
    return ViscosityResult(
        title or ", ".join(dict.fromkeys(path.name for path in files)),
        estimate_viscosity(runs, T=T, volume=volume, averaged=averaged, seed=seed),
        inputs,
    )
