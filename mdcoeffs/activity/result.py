"""An activity analysis: in numbers and words, as tables (``waves.csv``, ``pairs.csv``), and as a figure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cellsim.base import Array, Bools, __version__
from cellsim.drawing.figstyle import COLOURS, GREY, TWO_COLUMNS, drawing, label
from cellsim.files.writing import Rows, plain
from mdcoeffs.activity.waves import Limit
from mdcoeffs.analysis import LEVEL, columns
from mdcoeffs.statistics.blocks import Averaged

if TYPE_CHECKING:
    from matplotlib.axes import Axes

ROUTES = ("both", "waves", "pairs")
"""Ways to chi; both: the mean of least variance of the other two."""
SEEN = 3.0
"""Height of the figure, at most, in the largest of the measured values and chi [1]."""
PLATEAU = (0.7, 0.85)
"""The running integral is averaged from the second to its end, of its length; less the mean from the first to the
second, that is the error of the truncation [1]."""


@dataclass(frozen=True, eq=False)
class Pairs:
    """The route of Kirkwood-Buff integrals.

    Parameters
    ----------
    reach : array (bins,)
        Upper ends L of the integrals [m].
    running : Averaged (bins,)
        rho_s (A_ss + A_00 - 2 A_s0) of the integrals to L; 1/chi on a plateau [1].
    integrals : Averaged (3,)
        G_ss, G_s0, G_00 averaged over the plateau [m^3].
    """

    reach: Array
    running: Averaged
    integrals: Averaged

    @property
    def plateau(self) -> Bools:
        """Bins the result is averaged over, (bins,)."""
        return np.asarray(self.reach >= PLATEAU[1] * self.reach[-1])


@dataclass(frozen=True, eq=False)
class Waves:
    """The route of composition waves.

    Parameters
    ----------
    k : array (shells,)
        Wave number [1/m].
    Y : Averaged (shells,)
        Mean square of the composition wave [1].
    limit : Limit
        1/Y at k -> 0, the models and their weights.
    """

    k: Array
    Y: Averaged
    limit: Limit


@dataclass(frozen=True, eq=False)
class Activity:
    """chi at one concentration, with its error.

    Parameters
    ----------
    title : str
        From the SPECIES.toml.
    c : float
        Salt concentration [mol/m^3].
    T : float
        Temperature [K].
    chi : float
        Thermodynamic factor 1 + d ln gamma / d ln m, molal basis [1].
    error : float
        Its standard error: statistics and the extrapolation [1].
    route : str
        Where `chi` comes from, one of `ROUTES`.
    routes : mapping
        Route -> (chi, its error) [1]; both: their mean of least variance.
    share : float
        Weight of the waves in that mean [1].
    values : float
        Blocks behind the error, for Student's t [1].
    difference : tuple of float
        chi of the waves less chi of the pairs, and the standard error of that difference, for both see the same
        frames [1].
    phi_0 : tuple of float
        Volume fraction of the solvent c_0 V_0 from the same fluctuations, and its standard error [1].
    screening_length : tuple of float
        sqrt(S_zz/k^2) for k -> 0, the Debye length of the ions, and its standard error [m].
    pairs : Pairs
        What the Kirkwood-Buff integrals say.
    waves : Waves
        What the composition waves say.
    frames : tuple of int
        Frames of each replica.
    points : tuple of int
        Ions and solvent points in the box.
    volume : float
        Mean volume of the box [m^3].
    notes : tuple of str
        What the user must know.
    """

    title: str
    c: float
    T: float
    chi: float
    error: float
    route: str
    routes: Mapping[str, tuple[float, float]]
    share: float
    values: float
    difference: tuple[float, float]
    phi_0: tuple[float, float]
    screening_length: tuple[float, float]
    pairs: Pairs
    waves: Waves
    frames: tuple[int, ...]
    points: tuple[int, int]
    volume: float
    notes: tuple[str, ...] = ()

    def interval(self, level: float = 0.95) -> tuple[float, float]:
        """Interval that holds chi with probability `level` [1]; Student's t."""
        chi, error, blocks = np.array([self.chi, self.error, self.values])
        low, high = Averaged(chi, error, blocks, np.array(True)).interval(level)
        return float(low), float(high)

    def numbers(self) -> dict[str, Any]:
        """What ``summary.json`` holds; SI."""
        G = self.pairs.integrals
        integrals = zip(("G_ss", "G_s0", "G_00"), G.value, G.error, strict=True)
        ready: dict[str, Any] = plain(
            {
                "title": self.title,
                "c": self.c,
                "T": self.T,
                "chi": self.chi,
                "standard_error": self.error,
                "interval": self.interval(LEVEL),
                "basis": "molal",
                "route": self.route,
                "routes": {name: {"chi": chi, "standard_error": error} for name, (chi, error) in self.routes.items()},
                "share_of_waves": self.share,
                "difference": with_error(*self.difference),
                "phi_0": with_error(*self.phi_0),
                "screening_length": with_error(*self.screening_length),
                "integrals": {name: with_error(value, error) for name, value, error in integrals},
                "numbers": self.points,
                "volume": self.volume,
                "frames": self.frames,
                "notes": self.notes,
                "mdcoeffs": __version__,
                "level": LEVEL,
            }
        )
        return ready

    def lines(self) -> list[str]:
        """What the command prints."""
        low, high = self.interval(LEVEL)
        ions = self.points[0]
        lines = [
            f"{self.title}: {self.c / 1000:.4g} mol/L, {sum(self.frames)} frames, {ions} ions",
            f"  chi        {self.chi:.3g} +- {self.error:.2g}, 95 % interval {low:.3g} to {high:.3g} ({self.route})",
        ]
        for name in ("waves", "pairs"):
            chi, error = self.routes[name]
            lines.append(f"  {name}      {chi:.3g} +- {error:.2g}")
        lines.append(f"  difference {self.difference[0]:+.2g} +- {self.difference[1]:.2g}")
        lines.append(f"  phi_0      {self.phi_0[0]:.4g} +- {self.phi_0[1]:.2g} from the same fluctuations")
        length, error = (1e9 * value for value in self.screening_length)
        if np.isfinite(length):
            lines.append(f"  screening  {length:.3g} +- {error:.2g} nm")
        return lines + [f"  note       {note}" for note in self.notes]

    def dataset(self) -> None:
        """None: what is behind the figure is in the tables."""

    def tables(self) -> dict[str, Rows]:
        """Mean squares of the waves, and running integrals."""
        w, p = self.waves, self.pairs
        waves = {"k_per_nm": w.k * 1e-9, "Y": w.Y.value, "Y_error": w.Y.error, "independent": w.limit.independent}
        waves["chi_of_k_fitted"] = w.limit.curve[:, 0]
        pairs = {"L_nm": p.reach * 1e9, "Y": p.running.value, "Y_error": p.running.error}
        return {"waves.csv": columns(waves), "pairs.csv": columns(pairs)}

    def draw(self, path: Path) -> Path:
        """Both routes: 1/Y against k^2 with its limit, and 1/Y against the reach of the integrals."""
        note = f"{sum(self.frames)} frames of {self.points[0]} ions; bars and bands: one standard error. "
        title, note = f"{self.title}, {self.c / 1000:.3g} mol/L", note + "; ".join(self.notes)
        with drawing(path, 1, 2, title=title, note=note, width=TWO_COLUMNS, height=2.4) as (_, axes):
            _waves(axes[0], self)
            _pairs(axes[1], self)
            for axis in axes:
                band = self.chi - self.error, self.chi + self.error
                axis.axhspan(*band, color=COLOURS[2], alpha=0.25, linewidth=0)
                axis.axhline(self.chi, color=COLOURS[2], label=r"$\chi$" + f", {self.route}")
                axis.legend()
            limits = np.array([axis.get_ylim() for axis in axes])
            seen = SEEN * max(self.chi + self.error, *(1 / self.waves.Y.value))
            for axis in axes:  # a limit that is not known does not hide what is
                axis.set_ylim(max(limits[:, 0].min(), 0.0), min(limits[:, 1].max(), seen))
        return path


def with_error(value: Any, error: Any) -> dict[str, Any]:
    """A number, or an array of them, and its standard error, as ``summary.json`` has them."""
    return {"value": value, "standard_error": error}


def _waves(axes: Axes, result: Activity) -> None:
    w = result.waves
    x, bars = (w.k * 1e-9) ** 2, w.Y.error / w.Y.value**2
    axes.errorbar(x, 1 / w.Y.value, bars, fmt="o", color=COLOURS[0], markersize=3, label="waves of the box")
    axes.plot(x, w.limit.curve[:, 0], color=GREY, label="models, averaged")
    chi, error = result.routes["waves"]
    axes.errorbar([0], [chi], [error], fmt="s", color=COLOURS[1], markersize=4, label=r"limit $k \to 0$")
    axes.set_xlabel(label("$k^2$", "nm$^{-2}$"))
    axes.set_ylabel(label("$1/Y$", ""))


def _pairs(axes: Axes, result: Activity) -> None:
    p = result.pairs
    reach, chi = p.reach * 1e9, 1 / p.running.value
    band = p.running.error / p.running.value**2
    axes.plot(reach, chi, color=COLOURS[0], label="pairs within $L$")
    axes.fill_between(reach, chi - band, chi + band, color=COLOURS[0], alpha=0.25, linewidth=0)
    axes.axvspan(reach[p.plateau][0], reach[-1], color=GREY, alpha=0.15, linewidth=0, label="averaged")
    axes.set_xlabel(label("$L$", "nm"))
    axes.set_ylabel(label("$1/Y$", ""))
