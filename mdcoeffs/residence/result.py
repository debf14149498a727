"""A residence analysis: in numbers and words, as a dataset (``residence.nc``), and as a figure."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cellsim.base import __version__
from cellsim.drawing.figstyle import COLOURS, DASHES, GREY, MARKERS, TWO_COLUMNS, drawing, label, time_unit
from cellsim.files.writing import Rows, plain
from mdcoeffs.analysis import LEVEL
from mdcoeffs.residence.bonds import ResidenceSettings
from mdcoeffs.residence.lifetimes import Survival

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes

FIT = ("a", "tau_0", "beta")
MEANING = {
    "continuous": "present in every frame from the origin on",
    "tolerant": "absences up to the tolerance bridged",
    "intermittent": "present at the origin and at the lag, whatever happened between",
}


@dataclass(frozen=True, eq=False)
class Residence:
    """What ``mdcoeffs residence`` reports.

    Parameters
    ----------
    title : str
        From the SPECIES.toml.
    settings : ResidenceSettings
        What was asked for.
    cutoffs : mapping
        Partner -> end of the shell [m].
    curves : mapping
        (name of the bond, mode) -> Survival. Names: ``Li-site(X)``, ``Li-X``, ``anion-Li-anion``.
    absent : tuple of str
        Bonds that exist in no snapshot.
    dt : float
        Time between snapshots [s].
    frames : tuple of int
        Snapshots of each replica.
    notes : tuple of str
        What the user must know.
    """

    title: str
    settings: ResidenceSettings
    cutoffs: Mapping[str, float]
    curves: Mapping[tuple[str, str], Survival]
    absent: tuple[str, ...]
    dt: float
    frames: tuple[int, ...]
    notes: tuple[str, ...]

    @property
    def bonds(self) -> list[str]:
        """Names of the bonds that exist."""
        return list(dict.fromkeys(name for name, _ in self.curves))

    @property
    def modes(self) -> list[str]:
        """Modes of the curves."""
        return list(dict.fromkeys(mode for _, mode in self.curves))

    def numbers(self) -> dict[str, Any]:
        """What ``summary.json`` holds; SI."""
        curves: dict[str, Any] = {}
        for (name, mode), curve in self.curves.items():
            curves.setdefault(name, {})[mode] = _numbers(curve)
        ready: dict[str, Any] = plain(
            {
                "title": self.title,
                "cutoffs": self.cutoffs,
                "tolerance": self.settings.tolerance,
                "frame_interval": self.dt,
                "frames": self.frames,
                "curves": curves,
                "absent": self.absent,
                "modes": {mode: MEANING[mode] for mode in self.modes},
                "notes": self.notes,
                "mdcoeffs": __version__,
                "level": LEVEL,
            }
        )
        return ready

    def lines(self) -> list[str]:
        """What the command prints."""
        factor, unit = self._unit()
        lines = [f"{self.title}: residence, {sum(self.frames)} frames {self.dt * factor:.3g} {unit} apart"]
        for (name, mode), curve in self.curves.items():
            text = "no fit"
            if curve.fit is not None:
                mean, low, high = (v * factor for v in (curve.fit.value[3], *curve.mean_interval(LEVEL)))
                text = f"{mean:.4g} {unit} (95 %: {low:.4g} to {high:.4g}), beta {curve.fit.value[2]:.2f}"
            lines.append(f"  {name:<18} {mode:<13} {text}")
        lines += [f"  {name:<18} exists in no frame" for name in self.absent]
        return lines + [f"  note       {note}" for note in self.notes]

    def _unit(self) -> tuple[float, str]:
        return time_unit(self.dt * max(self.frames))

    def dataset(self) -> xr.Dataset:
        """C and its standard error; dimensions ``bond``, ``mode``, ``lag``."""
        import xarray as xr

        names, modes, dimensions = self.bonds, self.modes, ("bond", "mode", "lag")
        lag = max((curve.lag for curve in self.curves.values()), key=len, default=np.zeros(1))
        C, error = np.full((2, len(names), len(modes), lag.size), np.nan)
        for (name, mode), curve in self.curves.items():
            where = names.index(name), modes.index(mode), slice(curve.lag.size)
            C[where], error[where] = curve.C.value, curve.C.error
        return xr.Dataset(
            {"C": (dimensions, C, {"units": "1"}), "C_error": (dimensions, error, {"units": "1"})},
            {"bond": names, "mode": modes, "lag": ("lag", lag, {"units": "s"})},
            {"title": self.title, "mdcoeffs": __version__, "summary": json.dumps(self.numbers())},
        )

    def tables(self) -> dict[str, Rows]:
        """None beside the summary and the dataset."""
        return {}

    def draw(self, path: Path) -> Path:
        """Autocorrelations of sites and of linkers with their fits, and mean times."""
        factor, unit = self._unit()
        note = (
            f"{sum(self.frames)} frames. Points: continuous correlations (present in every frame), bars 95 %; lines: "
            f"a exp(-(t/tau)^beta). " + "; ".join(self.notes)
        )
        shells = self.settings.shells
        sites = [name for name in self.bonds if "-site(" in name]
        ions = [f"{shells.cation}-{name}" for name in shells.anions]
        links = [name for name in self.bonds if name in ions or name.startswith("anion-")]
        with drawing(path, 1, 3, title=self.title, note=note, width=TWO_COLUMNS, height=2.6) as (_, axes):
            _curves(axes[0], self, sites, factor, unit)
            _times(axes[1], self, factor, unit)
            _curves(axes[2], self, links, factor, unit)
        return path


def _numbers(curve: Survival) -> dict[str, Any]:
    if curve.fit is None or curve.mean is None:
        return {"mean_time": None}
    value, error = curve.fit.value, curve.fit.error
    fit = {name: {"value": value[k], "standard_error": error[k]} for k, name in enumerate(FIT)}
    mean = {"value": value[3], "interval": curve.mean_interval(LEVEL), "extrapolated": curve.floor > 1 / math.e}
    return {"mean_time": mean, "fit": fit, "window": curve.window}


def _curves(axes: Axes, result: Residence, names: list[str], factor: float, unit: str) -> None:
    for k, name in enumerate(names):
        curve = result.curves[name, "continuous"]
        look: dict[str, Any] = {
            "color": COLOURS[k % len(COLOURS)],
            "linestyle": "none",
            "marker": MARKERS[k % len(MARKERS)],
        }
        shown = (curve.lag > 0) & (curve.C.value > 1e-3)
        low, high = curve.C.interval(LEVEL)
        bars = np.nan_to_num([(curve.C.value - low)[shown], (high - curve.C.value)[shown]])
        t = curve.lag[shown] * factor
        axes.errorbar(t, curve.C.value[shown], yerr=bars, markersize=2.5, elinewidth=0.7, label=name, **look)
        if curve.fit is not None:
            t = np.geomspace(curve.window[0], curve.window[1], 200)
            line: dict[str, Any] = {
                "color": COLOURS[k % len(COLOURS)],
                "linestyle": DASHES[k % len(DASHES)],
                "linewidth": 0.9,
            }
            axes.plot(t * factor, curve.curve(t), **line)
    axes.set_xscale("log")
    axes.set_ylim(0, 1.05)
    axes.set_xlabel(label("$t$", unit, "lag"))
    axes.set_ylabel(label("$C$", ""))
    if names:
        axes.legend(loc="lower left", fontsize="x-small")


def _times(axes: Axes, result: Residence, factor: float, unit: str) -> None:
    names, modes = result.bonds, result.modes
    for m, mode in enumerate(modes):
        look: dict[str, Any] = {"color": COLOURS[m], "marker": MARKERS[m], "markersize": 4, "linestyle": "none"}
        look |= {"elinewidth": 1, "capsize": 2, "ecolor": GREY}
        for k, name in enumerate(names):
            curve = result.curves[name, mode]
            if curve.fit is None:
                continue
            value, low, high = (v * factor for v in (curve.fit.value[3], *curve.mean_interval(LEVEL)))
            error = [[max(value - low, 0.0)], [max(high - value, 0.0)]] if np.isfinite(high) else None
            face = "white" if curve.floor > 1 / math.e else COLOURS[m]
            x = k + 0.2 * (m - 0.5 * (len(modes) - 1))
            axes.errorbar([x], [value], error, markerfacecolor=face, label=mode if k == 0 else None, **look)
    axes.set_yscale("log")
    axes.set_xticks(range(len(names)), names, rotation=35, ha="right", fontsize="x-small")
    axes.set_ylabel(label(r"$\tau$", unit, "mean time"))
    axes.legend(fontsize="x-small", title="hollow: extrapolated", title_fontsize="x-small")
