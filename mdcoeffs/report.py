"""An Onsager result on disk: ``onsager.nc`` and ``summary.json``, and the way back."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cellsim import __version__
from cellsim.errors import InputError
from cellsim.onsager import OnsagerMatrix
from mdcoeffs.estimate import OnsagerEstimate
from mdcoeffs.onsager_run import OnsagerResult

Array = NDArray[np.float64]

LEVEL = 0.95
"""Probability the intervals in the summary hold."""
_IONS = ("cation", "anion")
_PAIRS = ("pp", "pm", "mm")


def to_dataset(result: OnsagerResult) -> Any:
    """All of a result as an xarray Dataset with units.

    Parameters
    ----------
    result : OnsagerResult
        As :func:`mdcoeffs.onsager_run.onsager_from_file` gives it.

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
