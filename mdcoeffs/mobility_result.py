"""What a mobility analysis gives."""

from __future__ import annotations

from dataclasses import dataclass

from mdcoeffs.friction import FrictionFit
from mdcoeffs.lagged import Estimate, Lagged
from mdcoeffs.mobility import Exponent
from mdcoeffs.mobility_config import Friction
from mdcoeffs.paddlewheel import Response
from mdcoeffs.rotation import Relaxation


@dataclass(frozen=True, eq=False)
class Mover:
    """Translation of one species, or of chosen atoms.

    Parameters
    ----------
    name : str
        Name.
    what : str
        ``"molecules"`` (centres of mass) or ``"atoms"``.
    count : int
        Particles, in one replica.
    msd : Lagged
        Squared displacements [m^2].
    law : Exponent
        Their power law.
    M : Estimate, optional
        Mobility order parameter; None for the cation itself [1].
    D : Estimate
        Self-diffusion coefficient, the mean square over 6 t at the end of the window; says something only
        where the exponent is 1 [m^2/s].
    """

    name: str
    what: str
    count: int
    msd: Lagged
    law: Exponent
    M: Estimate | None
    D: Estimate


@dataclass(frozen=True, eq=False)
class Turner:
    """Rotation of one kind of axis.

    Parameters
    ----------
    name : str
        Name.
    count : int
        Axes, in one replica.
    msad : Lagged
        Squared unwrapped angles [rad^2].
    law : Exponent
        Their power law.
    M : Estimate
        Rotational order parameter M_theta [1].
    correlations : tuple of Lagged
        Autocorrelations C_1 and C_2 [1].
    relaxations : tuple of Relaxation
        Their relaxation times.
    step : float
        Root mean square angle between two frames [rad].
    """

    name: str
    count: int
    msad: Lagged
    law: Exponent
    M: Estimate
    correlations: tuple[Lagged, Lagged]
    relaxations: tuple[Relaxation, Relaxation]
    step: float


@dataclass(frozen=True, eq=False)
class MobilityResult:
    """What ``mdcoeffs mobility`` reports.

    Parameters
    ----------
    title : str
        From the SPECIES.toml.
    temperature : float
        Temperature [K].
    cation : str
        The working ion.
    window : tuple of float
        First and last lag of the power laws [s].
    movers : tuple of Mover
        Species in the order of the file, then chosen atoms.
    turners : tuple of Turner
        Rotors.
    response : Response, optional
        Paddle-wheel.
    jumps : int, optional
        Jumps found, whether counted in the response or not.
    bjerrum : float, optional
        Bjerrum length [m].
    conductivity : float, optional
        As given, for the table [S/m].
    friction : FrictionFit, optional
        kappa = A r exp(-r / r_star).
    friction_data : Friction, optional
        The conductivities behind it.
    frames : tuple of int
        Frames of each replica.
    interval : float
        Time between frames [s].
    notes : tuple of str
        What the user must know.
    """

    title: str
    temperature: float
    cation: str
    window: tuple[float, float]
    movers: tuple[Mover, ...]
    turners: tuple[Turner, ...]
    response: Response | None
    jumps: int | None
    bjerrum: float | None
    conductivity: float | None
    friction: FrictionFit | None
    friction_data: Friction | None
    frames: tuple[int, ...]
    interval: float
    notes: tuple[str, ...]
