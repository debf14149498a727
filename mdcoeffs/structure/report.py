"""A structure analysis on disk and on paper: ``structure.nc``, ``summary.json``, the figure, a few lines of text."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cellsim.base import __version__
from cellsim.drawing.figstyle import COLOURS, DASHES, GREY, TWO_COLUMNS, drawing, label
from mdcoeffs.frames.reading import ANGSTROM
from mdcoeffs.onsager.report import LEVEL, plain
from mdcoeffs.statistics.blocks import Averaged
from mdcoeffs.structure.analysis import Structure
from mdcoeffs.structure.radial import Radial
from mdcoeffs.structure.shells import CLUSTERS, MOST

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def entry(one: Averaged) -> dict[str, Any]:
    """A mean for JSON: value, standard error, interval."""
    low, high = one.interval(LEVEL)
    return {"value": float(one.value), "standard_error": float(one.error), "interval": [float(low), float(high)],
            "blocks": int(one.blocks)}  # fmt: skip


def write_radial(radial: list[Radial], path: Path) -> None:
    """g(r) as a table (CSV), so that there is something to look at when no first shell is found."""
    columns = [radial[0].r / ANGSTROM] + [part for one in radial for part in (one.g.value, one.g.error)]
    head = "r_angstrom," + ",".join(f"g_{one.name},error_{one.name}" for one in radial)
    np.savetxt(path, np.stack(columns, axis=1), delimiter=",", header=head, comments="", fmt="%.6g")


def structure_summary(result: Structure) -> dict[str, Any]:
    """What ``summary.json`` holds.

    Parameters
    ----------
    result : Structure
        The result.

    Returns
    -------
    dict
        Ready for JSON; SI.
    """
    s = result.settings
    found: dict[str, Any] = {
        "title": result.title, "cation": s.cation, "volume": result.volume, "frames": list(result.frames),
        "free": entry(result.free),
        "partners": {
            name: {
                "cutoff": result.cutoffs[name], "cutoff_from": "g(r)" if name in result.found else "given",
                "atoms": entry(result.atoms[k]), "molecules": entry(result.molecules[k]),
                "bound": [entry(result.bound[k, m]) for m in range(MOST + 1)],
            }
            for k, name in enumerate(s.partners)
        },
        "anions_per_cation": [entry(result.anions[m]) for m in range(MOST + 1)],
        "cations_per_anion": [entry(result.cations[m]) for m in range(MOST + 1)],
        "clusters": {
            "cations": {name: entry(result.cation_clusters[k]) for k, name in enumerate(CLUSTERS)},
            "anions": {name: entry(result.anion_clusters[k]) for k, name in enumerate(CLUSTERS)},
            "mean_size": entry(result.cluster_size[0]), "largest": entry(result.cluster_size[1]),
        },
        "notes": list(result.notes), "mdcoeffs": __version__, "level": LEVEL,
    }  # fmt: skip
    if result.overlap is not None:
        found["overlap"] = vars(result.overlap)
    if result.shares is not None:
        found["Omega_plus_plus_shares"] = vars(result.shares)
    ready: dict[str, Any] = plain(found)
    return ready


def write_structure(result: Structure, folder: Path) -> None:
    """Write ``structure.nc`` and ``summary.json`` into a folder that exists."""
    import xarray as xr

    variables: dict[str, Any] = {}
    coordinates: dict[str, Any] = {}
    for kind, radial in (("site", result.radial), ("centre", result.centres)):
        if not radial:
            continue
        axis, pair = f"{kind}_r", f"{kind}_pair"
        coordinates |= {axis: (axis, radial[0].r, {"units": "m"}), pair: (pair, [one.name for one in radial])}
        n = [one.running_coordination() for one in radial]
        G = [one.running_integral() for one in radial]
        for name, parts, unit in (("g", [one.g for one in radial], "1"), ("N", n, "1"), ("G", G, "m^3")):
            for what, values in (("", [p.value for p in parts]), ("_error", [p.error for p in parts])):
                variables[f"{kind}_{name}{what}"] = ((pair, axis), np.array(values), {"units": unit})
        variables[f"{kind}_G"][2]["long_name"] = (
            "running Kirkwood-Buff integral, Krueger-Vlugt weight, closed box mended"
        )
    data = xr.Dataset(variables, coordinates, {"title": result.title, "mdcoeffs": __version__,
                                               "summary": json.dumps(structure_summary(result))})  # fmt: skip
    partial = folder / "structure.nc.partial"
    data.to_netcdf(partial, engine="h5netcdf")
    partial.replace(folder / "structure.nc")
    text = json.dumps(structure_summary(result), indent=2) + "\n"
    (folder / "summary.json").write_text(text, encoding="utf-8")


def structure_lines(result: Structure) -> list[str]:
    """What the command prints.

    Parameters
    ----------
    result : Structure
        The result.

    Returns
    -------
    list of str
    """
    s = result.settings
    lines = [f"{result.title}: shells of {s.cation}, {sum(result.frames)} frames"]
    for k, name in enumerate(s.partners):
        origin = "first minimum of g(r)" if name in result.found else "given"
        lines.append(
            f"  {name:<10} {_shown(result.molecules[k])} molecules, {_shown(result.atoms[k])} atoms within "
            f"{result.cutoffs[name] / ANGSTROM:.3g} angstrom ({origin})"
        )
    if s.anions:
        many = [f"{m}: {_shown(result.anions[m])}" for m in range(MOST + 1) if result.anions.value[m] > 5e-4]
        lines.append(f"  cations by number of anions bound  {', '.join(many)}")
        both = [f"{name} {_shown(result.cation_clusters[k])}" for k, name in enumerate(CLUSTERS)]
        lines.append(f"  cations by cluster  {', '.join(both)}; largest {_shown(result.cluster_size[1])} ions")
    if result.overlap is not None:
        o = result.overlap
        lines.append(
            f"  anions     {o.size * 1e9:.3g} nm wide, {o.distance * 1e9:.3g} nm apart at {o.c_plus / 1000:.3g} mol/L; "
            f"they overlap from {o.c_overlap / 1000:.3g} mol/L"
        )
    if result.shares is not None:
        h = result.shares
        lines.append(f"  Omega++    self {h.own:.3g}, distinct {h.distinct:.3g} +- {h.error:.2g}")
    return lines + [f"  note       {note}" for note in result.notes]


def _shown(one: Averaged) -> str:
    return f"{float(one.value):.3g}" + ("" if np.isnan(one.error) else f" +- {float(one.error):.2g}")


def structure_figure(result: Structure, path: str | Path) -> None:
    """g(r) with the shells, composition of the shell, cations by anions bound, clusters.

    Parameters
    ----------
    result : Structure
        The result.
    path : str or Path
        PNG, PDF or SVG.
    """
    note = f"{sum(result.frames)} frames; bars: 95 % intervals. " + "; ".join(result.notes)
    with drawing(path, 2, 2, title=result.title, note=note, width=TWO_COLUMNS, height=2.4) as (_, axes):
        _radial(axes[0], result)
        _composition(axes[1], result)
        _bars(axes[2], result.anions, [str(m) for m in range(MOST)] + [f"{MOST}+"], "anions bound to a cation",
              "fraction of cations")  # fmt: skip
        _bars(axes[3], result.cation_clusters, list(CLUSTERS), "cluster the ion is in", "fraction", "cations", -0.2, 0)
        _bars(axes[3], result.anion_clusters, list(CLUSTERS), "cluster the ion is in", "fraction", "anions", 0.2, 1)
        axes[3].legend()


def _radial(axes: Axes, result: Structure) -> None:
    top = 0.0
    for k, one in enumerate(result.radial):
        colour, dash = COLOURS[k % len(COLOURS)], DASHES[k % len(DASHES)]
        name = result.settings.partners[k]
        r = one.r / ANGSTROM
        axes.plot(r, one.g.value, color=colour, linestyle=dash, label=name)
        axes.fill_between(r, *one.g.interval(LEVEL), color=colour, alpha=0.25, linewidth=0)
        axes.axvline(result.cutoffs[name] / ANGSTROM, color=colour, linestyle=dash, linewidth=0.7)
        top = max(top, float(one.g.value.max()))
    axes.set_yscale("symlog", linthresh=2.0)
    axes.set_yticks([0, 1, 2, 5, 10, 20, 50, 100], ["0", "1", "2", "5", "10", "20", "50", "100"])
    axes.set_ylim(0, 1.3 * max(top, 1.5))
    axes.set_xlabel(label("$r$", "Å"))
    axes.set_ylabel(label(f"$g$({result.settings.cation}–site)", ""))
    axes.legend(title="vertical: end of shell")


def _composition(axes: Axes, result: Structure) -> None:
    x = np.arange(len(result.settings.partners))
    for shift, one, text, colour in (
        (-0.2, result.molecules, "molecules", COLOURS[0]),
        (0.2, result.atoms, "atoms", COLOURS[5]),
    ):
        low, high = one.interval(LEVEL)
        axes.bar(x + shift, one.value, 0.36, yerr=[one.value - low, high - one.value], color=colour, label=text,
                 error_kw={"elinewidth": 1, "capsize": 2})  # fmt: skip
    axes.set_xticks(x, result.settings.partners)
    axes.set_ylabel(f"in the shell of a {result.settings.cation}")
    axes.legend()


def _bars(
    axes: Axes, one: Averaged, names: list[str], x_label: str, y_label: str, text: str = "", shift: float = 0.0,
    colour: int = 0,
) -> None:  # fmt: skip
    last = max(int(np.flatnonzero(one.value > 1e-4)[-1]) + 1 if np.any(one.value > 1e-4) else 1, min(4, len(names)))
    x, low, high = np.arange(last), *one.interval(LEVEL)
    error = np.nan_to_num([one.value - low, high - one.value])[:, :last]
    axes.bar(x + shift, one.value[:last], 0.7 if not text else 0.36, yerr=error, color=COLOURS[colour], label=text,
             error_kw={"elinewidth": 1, "capsize": 2, "ecolor": GREY})  # fmt: skip
    axes.set_xticks(x, names[:last])
    axes.set_ylim(0, 1.0)
    axes.set_xlabel(x_label)
    axes.set_ylabel(y_label)
