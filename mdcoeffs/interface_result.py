"""What ``mdcoeffs interface`` finds: regions, barriers, predictions, profiles, with their errors."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mdcoeffs.blocks import Averaged
from mdcoeffs.interface_file import InterfaceSettings
from mdcoeffs.rates import Estimate
from mdcoeffs.verdict import Verdict

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class RegionResult:
    """One region: its population, who crossed, and what that means.

    Parameters
    ----------
    name : str
        Of the region.
    series : tuple of array (samples,)
        Population over time, one per replica; from the start [1].
    population : Averaged
        Mean since `settled`, less the stoichiometric number: the excess [1].
    entered, left : tuple of int
        Crossings through the lower and the upper face [1].
    donors : float
        Mean number of ions that could enter [1].
    time : float
        Time the crossings were counted over, all replicas [s].
    entry, exit : Estimate
        Rates of one ion outside and inside [1/s].
    verdict : Verdict
        What the crossings say.
    """

    name: str
    series: tuple[Array, ...]
    population: Averaged
    entered: tuple[int, int]
    left: tuple[int, int]
    donors: float
    time: float
    entry: Estimate
    exit: Estimate
    verdict: Verdict


@dataclass(frozen=True, eq=False)
class BarrierResult:
    """One well with its barrier.

    Parameters
    ----------
    name : str
        Of the barrier.
    profile : Averaged
        Free energy along z, over k_B (bins,) [K].
    numbers : Averaged
        Barrier over k_B [K], curvature [J/m^2], places of well and top [m].
    frequency : float
        Of the well [1/s]; NaN where the well is none.
    rate : float
        Of transition-state theory, transmission 1 [1/s].
    rate_factor : float
        One standard error of the rate, as a factor [1].
    transmission : Estimate, optional
        Entry rate of the region over `rate`; the interval is that of counting.
    """

    name: str
    profile: Averaged
    numbers: Averaged
    frequency: float
    rate: float
    rate_factor: float
    transmission: Estimate | None = None


@dataclass(frozen=True)
class Predicted:
    """A rate at another temperature.

    Parameters
    ----------
    T : float
        Temperature [K].
    rate : Estimate
        Of one ion; 95 % by the counts behind gamma [1/s].
    likely : tuple of float
        The same at 68 % [1/s].
    needed : Estimate
        Run in which EC is expected to reach one half [s].
    """

    T: float
    rate: Estimate
    likely: tuple[float, float]
    needed: Estimate


@dataclass(frozen=True, eq=False)
class InterfaceResult:
    """What ``mdcoeffs interface`` reports.

    Parameters
    ----------
    title : str
        From the SPECIES.toml.
    T : float
        Temperature [K].
    settings : InterfaceSettings
        What was asked.
    edges, charge_edges : array
        Edges of the bins [m].
    profiles : tuple of str
        Names of the densities.
    density : Averaged
        (profiles, bins) [1/m^3].
    charge : Averaged, optional
        Charge per area from the lower end of the box, at the upper ends of the charge bins [C/m^2].
    changes : array
        Where it changes its sign beyond two standard errors [m].
    times : tuple of array
        Of the samples of the populations, one per replica [s].
    regions : tuple of RegionResult
        The regions.
    barriers : tuple of BarrierResult
        The barriers.
    variance : dict
        Profile -> displacement variance (lags, layers, 3) [m^2].
    lags : tuple of float
        Lags as taken [s].
    correlation : Averaged, optional
        Slope of the second region over the first, and Pearson's r [1].
    ratio : Estimate, optional
        gamma of the prediction [1].
    split : tuple of float, optional
        dE over k_B [K] and dS over k_B [1] at that gamma.
    predicted : tuple of Predicted
        Rates at other temperatures.
    notes : tuple of str
        What the user must know.
    frames : tuple of int
        Frames averaged over in each replica.
    """

    title: str
    T: float
    settings: InterfaceSettings
    edges: Array
    charge_edges: Array
    profiles: tuple[str, ...]
    density: Averaged
    charge: Averaged | None
    changes: Array
    times: tuple[Array, ...]
    regions: tuple[RegionResult, ...]
    barriers: tuple[BarrierResult, ...]
    variance: dict[str, Averaged]
    lags: tuple[float, ...]
    correlation: Averaged | None
    ratio: Estimate | None = None
    split: tuple[float, float] | None = None
    predicted: tuple[Predicted, ...] = ()
    notes: tuple[str, ...] = ()
    frames: tuple[int, ...] = ()

    @property
    def z(self) -> Array:
        """Middles of the bins of the densities [m]."""
        return np.asarray(0.5 * (self.edges[1:] + self.edges[:-1]))
