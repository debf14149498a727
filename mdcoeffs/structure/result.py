"""A structure analysis: in numbers and words, as a dataset (``structure.nc``), and as a figure."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cellsim.base import __version__
from cellsim.drawing.figstyle import COLOURS, DASHES, GREY, TWO_COLUMNS, drawing, label
from cellsim.files.writing import Rows, plain
from mdcoeffs.analysis import LEVEL
from mdcoeffs.frames.snapshot import ANGSTROM
from mdcoeffs.statistics.blocks import Averaged
from mdcoeffs.structure.radial import Radial
from mdcoeffs.structure.shells import CLUSTERS, MOST, ShellSettings

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes


CAGES = ("tetrahedral_order", "tetrahedral_angles", "octahedral_angles")
"""Names of the measures of symmetry of the cages of four and of six sites."""


@dataclass(frozen=True, eq=False)
class Overlap:
    """Where anions begin to overlap: their distance equals their size.

    Parameters
    ----------
    size : float
        Diameter of an anion [m].
    error : float
        Its standard error; NaN where it was given [m].
    distance : float
        (V/N)^(1/3) of the anions [m].
    c_plus : float
        Cation concentration of this run [mol/m^3].
    c_overlap : float
        Cation concentration at which distance = size [mol/m^3].
    radius_of_gyration : float
        Root mean square; NaN where the size was given [m].
    """

    size: float
    error: float
    distance: float
    c_plus: float
    c_overlap: float
    radius_of_gyration: float


@dataclass(frozen=True)
class Shares:
    """Self and distinct shares of the cations' Onsager coefficient, barycentric frame.

    Parameters
    ----------
    own : float
        Omega++ self / Omega++ [1].
    distinct : float
        1 - own [1].
    error : float
        Standard error of both [1].
    """

    own: float
    distinct: float
    error: float


@dataclass(frozen=True, eq=False)
class Structure:
    """What ``mdcoeffs structure`` reports.

    Parameters
    ----------
    title : str
        From the SPECIES.toml.
    settings : ShellSettings
        What was asked for.
    radial : tuple of Radial
        Cation to the sites of each partner, in the order of ``settings.partners``.
    centres : tuple of Radial
        Between centres of molecules, every pair of species; empty where not asked for.
    cutoffs : mapping
        Partner -> end of the first shell [m].
    from_radial : tuple of str
        Partners whose cutoff was found from g(r), not given.
    atoms, molecules : Averaged (partners,)
        Coordinating atoms and molecules in the shell of a cation [1].
    bound : Averaged (partners, MOST + 1)
        Fraction of cations with 0, 1, ... molecules of each partner; the last class holds the rest [1].
    anions : Averaged (MOST + 1,)
        Fraction of cations bound to 0, 1, ... anions of any kind [1].
    cations : Averaged (MOST + 1,)
        Fraction of anions bound to 0, 1, ... cations [1].
    cation_clusters, anion_clusters : Averaged (4,)
        Fraction of cations and of anions that are free, in a pair, in a triple, in something larger [1].
    cluster_size : Averaged (2,)
        Mean number of ions in the cluster of an ion, and in the largest cluster [1].
    sites : Averaged (MOST + 1,)
        Fraction of cations with 0, 1, ... sites of any partner in their shells [1].
    cages : Averaged (3,)
        Tetrahedral order q of the cages of four sites [1], root mean square deviation of their angles from 109.5
        degrees, and of those of the cages of six sites from 90 [degree]; NaN where there are none.
    overlap : Overlap or None
        None without a single anion species of several atoms or a size.
    shares : Shares or None
        None unless [structure] names an Onsager result.
    volume : float
        Mean volume of the box [m^3].
    frames : tuple of int
        Snapshots of each replica.
    notes : tuple of str
        What the user must know.
    """

    title: str
    settings: ShellSettings
    radial: tuple[Radial, ...]
    centres: tuple[Radial, ...]
    cutoffs: Mapping[str, float]
    from_radial: tuple[str, ...]
    atoms: Averaged
    molecules: Averaged
    bound: Averaged
    anions: Averaged
    cations: Averaged
    cation_clusters: Averaged
    anion_clusters: Averaged
    cluster_size: Averaged
    sites: Averaged
    cages: Averaged
    overlap: Overlap | None
    shares: Shares | None
    volume: float
    frames: tuple[int, ...]
    notes: tuple[str, ...] = field(default_factory=tuple)

    @property
    def free(self) -> Averaged:
        """Fraction of cations bound to no anion [1]; bound: one minus it."""
        return self.anions[0]

    def numbers(self) -> dict[str, Any]:
        """What ``summary.json`` holds; SI."""
        partners = {}
        for k, name in enumerate(self.settings.partners):
            partners[name] = {
                "cutoff": self.cutoffs[name],
                "cutoff_from": "g(r)" if name in self.from_radial else "given",
                "atoms": self.atoms[k].numbers(LEVEL),
                "molecules": self.molecules[k].numbers(LEVEL),
                "bound": _each(self.bound[k]),
            }
        clusters = {
            "cations": dict(zip(CLUSTERS, _each(self.cation_clusters), strict=True)),
            "anions": dict(zip(CLUSTERS, _each(self.anion_clusters), strict=True)),
            "mean_size": self.cluster_size[0].numbers(LEVEL),
            "largest": self.cluster_size[1].numbers(LEVEL),
        }
        numbers: dict[str, Any] = {
            "title": self.title,
            "cation": self.settings.cation,
            "volume": self.volume,
            "frames": self.frames,
            "free": self.free.numbers(LEVEL),
            "partners": partners,
            "anions_per_cation": _each(self.anions),
            "cations_per_anion": _each(self.cations),
            "clusters": clusters,
            "sites_per_cation": _each(self.sites),
            "cages": {name: self.cages[k].numbers(LEVEL) for k, name in enumerate(CAGES)},
            "notes": self.notes,
            "mdcoeffs": __version__,
            "level": LEVEL,
        }
        if self.overlap is not None:
            numbers["overlap"] = vars(self.overlap)
        if self.shares is not None:
            numbers["Omega_plus_plus_shares"] = vars(self.shares)
        ready: dict[str, Any] = plain(numbers)
        return ready

    def lines(self) -> list[str]:
        """What the command prints."""
        s = self.settings
        lines = [f"{self.title}: shells of {s.cation}, {sum(self.frames)} frames"]
        for k, name in enumerate(s.partners):
            origin = "first minimum of g(r)" if name in self.from_radial else "given"
            lines.append(
                f"  {name:<10} {_shown(self.molecules[k])} molecules, {_shown(self.atoms[k])} atoms within "
                f"{self.cutoffs[name] / ANGSTROM:.3g} angstrom ({origin})"
            )
        if s.anions:
            bound = [f"{m}: {_shown(self.anions[m])}" for m in range(MOST + 1) if self.anions.value[m] > 5e-4]
            clusters = [f"{name} {_shown(self.cation_clusters[k])}" for k, name in enumerate(CLUSTERS)]
            lines.append(f"  cations by number of anions bound  {', '.join(bound)}")
            lines.append(f"  cations by cluster  {', '.join(clusters)}; largest {_shown(self.cluster_size[1])} ions")
        q, four, six = (self.cages[k] for k in range(3))
        if self.sites.value[4] > 5e-4:
            lines.append(
                f"  cages      {_shown(self.sites[4])} of the cations have 4 sites: tetrahedral order q = {_shown(q)}, "
                f"angles {_shown(four)} degrees from 109.5 (rms)"
            )
        if self.sites.value[6] > 5e-4:
            lines.append(
                f"  cages      {_shown(self.sites[6])} of the cations have 6 sites: angles {_shown(six)} degrees from "
                "90 (rms)"
            )
        if self.overlap is not None:
            o = self.overlap
            lines.append(
                f"  anions     {o.size * 1e9:.3g} nm wide, {o.distance * 1e9:.3g} nm apart at {o.c_plus / 1000:.3g} "
                f"mol/L; they overlap from {o.c_overlap / 1000:.3g} mol/L"
            )
        if self.shares is not None:
            own, distinct, error = self.shares.own, self.shares.distinct, self.shares.error
            lines.append(f"  Omega++    self {own:.3g}, distinct {distinct:.3g} +- {error:.2g}")
        return lines + [f"  note       {note}" for note in self.notes]

    def dataset(self) -> xr.Dataset:
        """g(r), running coordination N and running Kirkwood-Buff integral G, between sites and between centres."""
        import xarray as xr

        variables: dict[str, Any] = {}
        coordinates: dict[str, Any] = {}
        for kind, radial in (("site", self.radial), ("centre", self.centres)):
            if not radial:
                continue
            axis, pair = f"{kind}_r", f"{kind}_pair"
            coordinates |= {axis: (axis, radial[0].r, {"units": "m"}), pair: (pair, [each.name for each in radial])}
            long_name = "running Kirkwood-Buff integral, Krueger-Vlugt weight, corrected for the closed box"
            mended = {"units": "m^3", "long_name": long_name}
            curves = {
                "g": ([each.g for each in radial], {"units": "1"}),
                "N": ([each.running_coordination() for each in radial], {"units": "1"}),
                "G": ([each.running_integral() for each in radial], mended),
            }
            for name, (values, attributes) in curves.items():
                variables[f"{kind}_{name}"] = ((pair, axis), np.array([v.value for v in values]), attributes)
                variables[f"{kind}_{name}_error"] = ((pair, axis), np.array([v.error for v in values]), attributes)
        attributes = {"title": self.title, "mdcoeffs": __version__, "summary": json.dumps(self.numbers())}
        return xr.Dataset(variables, coordinates, attributes)

    def tables(self) -> dict[str, Rows]:
        """None: ``radial.csv`` is there since the first pass."""
        return {}

    def draw(self, path: Path) -> Path:
        """g(r) with the shells, composition of the shell, cations by anions bound, clusters."""
        note = f"{sum(self.frames)} frames; bars: 95 % intervals. " + "; ".join(self.notes)
        many = [str(m) for m in range(MOST)] + [f"{MOST}+"]
        with drawing(path, 2, 2, title=self.title, note=note, width=TWO_COLUMNS, height=2.4) as (_, axes):
            _radial(axes[0], self)
            _composition(axes[1], self)
            _bars(axes[2], {"": self.anions}, many)
            axes[2].set(xlabel="anions bound to a cation", ylabel="fraction of cations")
            _bars(axes[3], {"cations": self.cation_clusters, "anions": self.anion_clusters}, CLUSTERS)
            axes[3].set(xlabel="cluster the ion is in", ylabel="fraction")
            axes[3].legend()
        return path


def _each(mean: Averaged) -> list[dict[str, Any]]:
    return [mean[k].numbers(LEVEL) for k in range(mean.value.size)]


def _shown(mean: Averaged) -> str:
    return f"{float(mean.value):.3g}" + ("" if np.isnan(mean.error) else f" +- {float(mean.error):.2g}")


def _radial(axes: Axes, result: Structure) -> None:
    top = 0.0
    for k, (name, radial) in enumerate(zip(result.settings.partners, result.radial, strict=True)):
        colour, dash = COLOURS[k % len(COLOURS)], DASHES[k % len(DASHES)]
        r = radial.r / ANGSTROM
        axes.plot(r, radial.g.value, color=colour, linestyle=dash, label=name)
        axes.fill_between(r, *radial.g.interval(LEVEL), color=colour, alpha=0.25, linewidth=0)
        axes.axvline(result.cutoffs[name] / ANGSTROM, color=colour, linestyle=dash, linewidth=0.7)
        top = max(top, float(radial.g.value.max()))
    ticks = [0, 1, 2, 5, 10, 20, 50, 100]
    axes.set_yscale("symlog", linthresh=2.0)
    axes.set_yticks(ticks, [str(tick) for tick in ticks])
    axes.set_ylim(0, 1.3 * max(top, 1.5))
    axes.set_xlabel(label("$r$", "Å"))
    axes.set_ylabel(label(f"$g$({result.settings.cation}–site)", ""))
    axes.legend(title="vertical: end of shell")


def _composition(axes: Axes, result: Structure) -> None:
    x, bars = np.arange(len(result.settings.partners)), {"elinewidth": 1, "capsize": 2}
    shown = {"molecules": (-0.2, result.molecules, COLOURS[0]), "atoms": (0.2, result.atoms, COLOURS[5])}
    for text, (shift, mean, colour) in shown.items():
        axes.bar(x + shift, mean.value, 0.36, yerr=_bar_lengths(mean), color=colour, label=text, error_kw=bars)
    axes.set_xticks(x, result.settings.partners)
    axes.set_ylabel(f"in the shell of a {result.settings.cation}")
    axes.legend()


def _bars(axes: Axes, means: Mapping[str, Averaged], names: Sequence[str]) -> None:
    """Shares by class, one bar or two side by side; classes that hold nobody are left out, from the fourth on."""
    width, bars = 0.7 / len(means), {"elinewidth": 1, "capsize": 2, "ecolor": GREY}
    for k, (text, mean) in enumerate(means.items()):
        held = np.flatnonzero(mean.value > 1e-4)
        last = max(int(held[-1]) + 1 if held.size else 1, min(4, len(names)))
        x = np.arange(last) + (k - 0.5 * (len(means) - 1)) * 0.4
        error = np.nan_to_num(_bar_lengths(mean))[:, :last]
        axes.bar(x, mean.value[:last], width, yerr=error, color=COLOURS[k], label=text, error_kw=bars)
        axes.set_xticks(range(last), names[:last])
    axes.set_ylim(0, 1.0)


def _bar_lengths(mean: Averaged) -> Any:
    low, high = mean.interval(LEVEL)
    return np.array([mean.value - low, high - mean.value])
