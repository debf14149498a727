"""An Onsager result on disk (``onsager.nc``, ``summary.json``, and the way back), in words and as a one-page figure."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cellsim.base import InputError, __version__
from cellsim.drawing.figstyle import COLOURS, DASHES, GREY, TWO_COLUMNS, drawing, label
from cellsim.electrolyte.onsager import OnsagerMatrix
from mdcoeffs.onsager.analysis import OnsagerResult
from mdcoeffs.onsager.estimate import EXPONENT_RULE, OnsagerEstimate

if TYPE_CHECKING:
    from matplotlib.axes import Axes


LEVEL = 0.95
"""Probability the intervals in the summary hold."""
_IONS = ("cation", "anion")
_PAIRS = ("pp", "pm", "mm")


def to_dataset(result: OnsagerResult) -> Any:
    """All of a result as an xarray Dataset with units.

    Parameters
    ----------
    result : OnsagerResult
        As :func:`mdcoeffs.onsager.analysis.onsager_from_file` gives it.

    Returns
    -------
    xarray.Dataset
        Dimensions ``ion``, ``ion_2`` (cation, anion), ``pair`` (pp, pm, mm), ``pair_2``, ``sample``, ``lag``,
        ``self_lag``, ``beta_lag``.
    """
    import xarray as xr

    m = result.matrix
    omega = "mol^2/(J m s)"
    variables: dict[str, tuple[tuple[str, ...], Any, dict[str, str]]] = {
        "Omega": (("ion", "ion_2"), m.Omega, {"units": omega, "long_name": f"Onsager matrix, {m.frame} frame"}),
        "correlation": (("lag", "ion", "ion_2"), result.correlations,
                        {"units": "m^2", "long_name": f"<dr_i . dr_j>, {m.frame} frame"}),
    }  # fmt: skip
    coordinates: dict[str, Any] = {
        "ion": list(_IONS), "ion_2": list(_IONS), "pair": list(_PAIRS), "pair_2": list(_PAIRS),
        "lag": ("lag", result.lag, {"units": "s"}),
    }  # fmt: skip
    if m.covariance is not None:
        variables["covariance"] = (("pair", "pair_2"), m.covariance,
                                   {"units": f"({omega})^2", "long_name": "covariance of Omega"})  # fmt: skip
    if m.samples is not None:
        variables["samples"] = (("sample", "ion", "ion_2"), m.samples,
                                {"units": omega, "long_name": "posterior samples of Omega"})  # fmt: skip
    if result.self_part is not None:
        coordinates["self_lag"] = ("self_lag", result.self_part.lag, {"units": "s"})
        variables["self_msd"] = (("self_lag", "ion"), result.self_part.msd,
                                 {"units": "m^2", "long_name": "single particles, barycentric frame"})  # fmt: skip
    exponent = m.local_exponent if isinstance(m, OnsagerEstimate) else None
    if exponent is not None:
        coordinates["beta_lag"] = ("beta_lag", exponent.lag, {"units": "s"})
        variables["beta"] = (("beta_lag", "pair"), exponent.beta, {"units": "1", "long_name": "local exponent"})
    attributes = {
        "title": result.title, "z": np.array(m.z), "nu": np.array(m.nu), "c": m.c, "T": m.T, "frame": m.frame,
        "cation": result.names[0], "anion": result.names[1], "volume": result.volume,
        "summary": json.dumps(summary(result)), "mdcoeffs": __version__,
    }  # fmt: skip
    return xr.Dataset(variables, coordinates, attributes)


def write_netcdf(result: OnsagerResult, path: str | Path) -> None:
    """Write ``onsager.nc``, whole or not at all."""
    path = Path(path)
    partial = path.with_name(path.name + ".partial")
    to_dataset(result).to_netcdf(partial, engine="h5netcdf")
    partial.replace(path)


def read_onsager(path: str | Path) -> OnsagerMatrix:
    """Read an Onsager matrix back.

    Parameters
    ----------
    path : str or Path
        ``onsager.nc``, or the folder it stands in.

    Returns
    -------
    OnsagerMatrix
        With covariance and samples where the file has them.

    Raises
    ------
    InputError
        No such file, or not an Onsager result.
    """
    import xarray as xr

    path = Path(path)
    path = path / "onsager.nc" if path.is_dir() else path
    if not path.is_file():
        raise InputError(f"{path}: no such Onsager result")
    try:
        with xr.open_dataset(path, engine="h5netcdf") as stored:
            data = stored.load()
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: not a NetCDF4 file of mdcoeffs ({error})") from error
    if "Omega" not in data or "frame" not in data.attrs:
        raise InputError(f"{path}: not an Onsager result (no Omega)")
    a = data.attrs
    return OnsagerMatrix(
        data["Omega"].values, tuple(a["z"]), tuple(a["nu"]), float(a["c"]), float(a["T"]), str(a["frame"]),
        covariance=data["covariance"].values if "covariance" in data else None,
        samples=data["samples"].values if "samples" in data else None,
    )  # fmt: skip


def summary(result: OnsagerResult) -> dict[str, Any]:
    """What ``summary.json`` holds: SI numbers, intervals at 95 %, window, doubts, provenance.

    Parameters
    ----------
    result : OnsagerResult
        The result.

    Returns
    -------
    dict
        Ready for JSON; NaN and infinity become null.
    """
    m = result.matrix
    found: dict[str, Any] = {
        "title": result.title, "cation": result.names[0], "anion": result.names[1], "frame": m.frame,
        "temperature": m.T, "c": m.c, "z": list(m.z), "nu": list(m.nu), "counts": list(result.counts),
        "Omega": {name: float(m.Omega[i, j]) for name, (i, j) in zip(_PAIRS, ((0, 0), (0, 1), (1, 1)), strict=True)},
        "L_fong": {name: float(m.fong[i, j]) for name, (i, j) in zip(_PAIRS, ((0, 0), (0, 1), (1, 1)), strict=True)},
        "L_wheeler_newman": {
            name: float(m.wheeler_newman[i, j]) for name, (i, j) in zip(_PAIRS, ((0, 0), (0, 1), (1, 1)), strict=True)
        },
        "quantities": _quantities(m),
        "volume": result.volume, "frames": list(result.frames), "duration": result.duration,
        "drift_velocity": result.drift_velocity.tolist(), "longest_step_over_box": result.longest_step,
        "notes": list(result.notes), "inputs": result.inputs, "mdcoeffs": __version__, "level": LEVEL,
    }  # fmt: skip
    if m.covariance is not None:
        found["Omega_standard_error"] = dict(zip(_PAIRS, np.sqrt(np.diag(m.covariance)).tolist(), strict=True))
    if isinstance(m, OnsagerEstimate):
        found |= {
            "window": list(m.window), "criterion": m.criterion, "relaxation_time": m.relaxation_time,
            "independent_origins": m.n_origins, "replicas": m.n_replicas,
        }  # fmt: skip
        if m.local_exponent is not None:
            found["local_exponent"] = {
                "window": list(m.local_exponent.window),
                **dict(zip(_PAIRS, m.local_exponent.mean.tolist(), strict=True)),
            }
    if result.slopes is not None:
        found |= {"window": list(result.slopes.window), "replicas": int(result.slopes.runs.shape[0])}
    if result.self_diffusion is not None and result.ideal is not None:
        found["self"] = {
            "D_plus": float(result.self_diffusion.D[0]), "D_minus": float(result.self_diffusion.D[1]),
            "standard_error": result.self_diffusion.standard_error.tolist(),
            "t_app": result.ideal.t_app, "kappa_NE": result.ideal.kappa_NE, "ionicity": result.ideal.ionicity,
            "Omega_self": list(result.ideal.Omega_self), "Omega_distinct": list(result.ideal.Omega_distinct),
        }  # fmt: skip
    ready: dict[str, Any] = plain(found)
    return ready


def write_summary(result: OnsagerResult, path: str | Path) -> None:
    """Write ``summary.json``."""
    Path(path).write_text(json.dumps(summary(result), indent=2) + "\n", encoding="utf-8")


def _quantities(m: OnsagerMatrix) -> dict[str, Any]:
    names = ["kappa", "t_plus", "t_minus"] + (["rho_plus", "newman_number"] if m.frame == "solvent" else [])
    found = {}
    for name in names:
        entry: dict[str, Any] = {"value": float(getattr(m, name))}
        if m.samples is not None:
            entry["interval"] = list(m.interval(name, LEVEL))
        found[name] = entry
    return found


def plain(value: Any) -> Any:
    """The same for JSON: NaN and infinity become null, tuples lists."""
    if isinstance(value, dict):
        return {key: plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def lines_of(result: OnsagerResult) -> list[str]:
    """What the command prints: coefficients with intervals, window, doubts.

    Parameters
    ----------
    result : OnsagerResult
        The result.

    Returns
    -------
    list of str
    """
    m = result.matrix
    lines = [f"{result.title}: {m.c / 1000:.4g} mol/L, {m.T:g} K, {m.frame} frame"]
    errors = [np.nan] * 3 if m.covariance is None else np.sqrt(np.diag(m.covariance)).tolist()
    for name, (i, j), error in zip(("++", "+-", "--"), ((0, 0), (0, 1), (1, 1)), errors, strict=True):
        shown = f"{m.Omega[i, j]:.4g}" + ("" if np.isnan(error) else f" +- {error:.2g}")
        lines.append(f"  Omega{name:<3} {shown} mol^2/(J m s)")
    wanted = [("kappa", "kappa", "S/m"), ("t_plus", "t+0" if m.frame == "solvent" else "t+", "")]
    wanted += [("rho_plus", "rho+", ""), ("newman_number", "Ne", "")] if m.frame == "solvent" else []
    for key, name, unit in wanted:
        text = f"  {name:<8} {getattr(m, key):.4g} {unit}".rstrip()
        if m.samples is not None:
            low, high = m.interval(key)
            text += f"  (95 %: {low:.4g} to {high:.4g})"
        lines.append(text)
    if result.ideal is not None and result.self_diffusion is not None:
        D = result.self_diffusion.D
        lines.append(f"  self     D+ {D[0]:.4g}, D- {D[1]:.4g} m^2/s; t_app {result.ideal.t_app:.4g}")
        lines.append(f"  NE       kappa_NE {result.ideal.kappa_NE:.4g} S/m, ionicity {result.ideal.ionicity:.4g}")
    if isinstance(m, OnsagerEstimate):
        lines.append(f"  window   {m.window[0]:.3g} to {m.window[1]:.3g} s; {m.n_origins:.0f} independent origins")
    if result.drift_velocity.size:
        speed = float(np.max(np.linalg.norm(result.drift_velocity, axis=1)))
        lines.append(f"  drift    {speed:.2g} m/s of the centre of mass, removed")
    lines += [f"  note     {note}" for note in result.notes]
    return lines


_PAIR_LABELS = (("++", 0, 0), ("+-", 0, 1), ("--", 1, 1))


def onsager_figure(result: OnsagerResult, path: str | Path) -> None:
    """Draw correlations, beta(t), the window, and the posterior of t+ and rho+ on one page.

    Parameters
    ----------
    result : OnsagerResult
        What was estimated.
    path : str or Path
        PNG, PDF or SVG.
    """
    m = result.matrix
    factor, unit = _time_unit(float(result.lag[-1]))
    note = f"{m.frame} frame, {m.T:g} K, {m.c / 1000:.3g} mol/L"
    if isinstance(m, OnsagerEstimate):
        note += f", {m.n_replicas} replica(s), {m.n_origins:.0f} independent origins"
    if result.notes:
        note += ". " + "; ".join(result.notes)
    with drawing(path, 2, 2, title=result.title, note=note, width=TWO_COLUMNS, height=2.4) as (_, axes):
        _correlations(axes[0], result, factor, unit)
        _exponent(axes[1], result, factor, unit)
        name = r"$t_+^0$" if m.frame == "solvent" else r"$t_+$"
        _posterior(axes[2], result, "t_plus", f"{name} ({m.frame} frame)")
        _posterior(axes[3], result, "rho_plus", r"current fraction $\rho_+$")


def _time_unit(longest: float) -> tuple[float, str]:
    units = ((1e15, "fs"), (1e12, "ps"), (1e9, "ns"), (1e6, "µs"))
    return next(((f, u) for f, u in units if longest * f < 5e4), units[-1])


def _window(axes: Axes, result: OnsagerResult, factor: float) -> None:
    m = result.matrix
    found = m.window if isinstance(m, OnsagerEstimate) else result.slopes.window if result.slopes else None
    if found is None:
        return
    low, high = (min(max(v * factor, axes.get_xlim()[0]), axes.get_xlim()[1]) for v in found)
    axes.axvspan(low, high, color=GREY, alpha=0.15, linewidth=0, zorder=0)


def _correlations(axes: Axes, result: OnsagerResult, factor: float, unit: str) -> None:
    lag = result.lag * factor
    shown = lag <= lag[-1] / 4 if result.slopes is None else np.ones(lag.size, dtype=bool)
    volume = result.counts[0] + result.counts[1]
    for k, (name, i, j) in enumerate(_PAIR_LABELS):
        C = result.correlations[:, i, j] / volume * 1e20
        sign = np.sign(np.median(C[shown]))
        text = rf"$\langle\Delta r_{name[0]}\cdot\Delta r_{name[1]}\rangle$" + (" × (−1)" if sign < 0 else "")
        good = shown & (sign * C > 0)
        axes.loglog(lag[good], sign * C[good], color=COLOURS[k], linestyle=DASHES[k], label=text)
    if result.self_part is not None:
        own = result.self_part
        inside = (own.lag > 0) & (own.lag * factor <= lag[shown][-1])
        for k, ion in enumerate("+-"):
            C = own.msd[inside, k] * own.counts[k] / volume * 1e20
            axes.loglog(own.lag[inside] * factor, C, color=GREY, linewidth=0.8, linestyle=DASHES[2 * k],
                        label=f"self {ion}")  # fmt: skip
    low = np.abs(result.correlations[shown][:, [0, 1], [0, 1]]).min() / volume * 1e20
    axes.set_ylim(bottom=low / 30)
    axes.set_xlabel(label("$t$", unit, "lag"))
    axes.set_ylabel(label("", "Å²", "correlation per ion"))
    _window(axes, result, factor)
    axes.legend(ncols=1)


def _exponent(axes: Axes, result: OnsagerResult, factor: float, unit: str) -> None:
    m = result.matrix
    axes.set_xlabel(label("$t$", unit, "lag"))
    axes.set_ylabel(label(r"$\beta$", "", "local exponent"))
    axes.set_ylim(0, 2)
    axes.set_xscale("log")
    axes.axhline(1.0, color=GREY, linestyle=":", linewidth=0.9, zorder=1)
    axes.axhspan(1 - EXPONENT_RULE, 1 + EXPONENT_RULE, color=COLOURS[4], alpha=0.2, linewidth=0, zorder=0)
    if not isinstance(m, OnsagerEstimate) or m.local_exponent is None:
        axes.set_xlim(result.lag[0] * factor, result.lag[-1] * factor)
        _window(axes, result, factor)
        if result.slopes is not None:
            low, high = (v * factor for v in result.slopes.window)
            for k, (name, i, j) in enumerate(_PAIR_LABELS):
                axes.plot([low, high], [result.slopes.exponent[i, j]] * 2, color=COLOURS[k], linestyle=DASHES[k],
                          label=name)  # fmt: skip
            axes.legend()
        return
    exponent = m.local_exponent
    axes.set_xlim(exponent.lag[0] * factor, result.lag[-1] * factor / 4)
    for k, (name, _, _) in enumerate(_PAIR_LABELS):
        axes.plot(exponent.lag * factor, exponent.beta[:, k], color=COLOURS[k], linestyle=DASHES[k], label=name)
    _window(axes, result, factor)
    axes.set_title(f"window from {m.window[0] * factor:.3g} {unit} (grey)", loc="right")
    axes.legend(ncols=3, loc="upper center")


def _posterior(axes: Axes, result: OnsagerResult, name: str, text: str) -> None:
    m = result.matrix
    axes.set_xlabel(text)
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    if name == "rho_plus" and m.frame != "solvent":
        _mark(axes, "defined in the solvent frame only")
        return
    value = float(getattr(m, name))
    if m.samples is None:
        axes.axvline(value, color=COLOURS[0])
        _mark(axes, f"{value:.3g}; no posterior")
        return
    draws = m.draws(name)
    low, high = m.interval(name)
    span = np.quantile(draws, [0.002, 0.998])
    axes.hist(draws, bins=61, range=(float(span[0]), float(span[1])), color=COLOURS[5], density=True)
    axes.axvline(value, color=COLOURS[0])
    for end in (low, high):
        axes.axvline(end, color=COLOURS[0], linestyle=":")
    axes.set_ylabel("posterior")
    axes.set_title(f"{value:.3g}, 95 %: {low:.3g} to {high:.3g}", loc="right")


def _mark(axes: Axes, text: str, *, right: bool = False, top: bool = True) -> None:
    """A few words in a corner of a panel."""
    axes.annotate(
        text, (1.0 if right else 0.0, 1.0 if top else 0.0), xycoords="axes fraction",
        xytext=(-3 if right else 3, -3 if top else 3), textcoords="offset points",
        ha="right" if right else "left", va="top" if top else "bottom",
    )  # fmt: skip
