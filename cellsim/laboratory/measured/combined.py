"""The four experiments of Balsara and Newman from files, put together as a set; what is written of a finding."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import tomli_w

from cellsim.base import Array, F, InputError
from cellsim.electrolyte.set_file import parse_set
from cellsim.electrolyte.transport import TransportSet
from cellsim.files.folder import result_folder
from cellsim.files.schema import Table, read_toml
from cellsim.files.writing import write_json, write_netcdf, write_text
from cellsim.laboratory.chain import REFERENCE, solve_chain
from cellsim.laboratory.measured import figures
from cellsim.laboratory.measured.quantity import Assumption, Finding, Measured
from cellsim.laboratory.measured.request import KINDS, Request, analyse

EXPERIMENTS = ("impedance", "relaxation", "fraction", "concentration-cell")
PARAMETERS = ("kappa.value", "D.value", "t_plus.value", "chi.value")
NUMBERS, SET = "summary.json", "set.toml"
NAMES = ("kappa", "D", "t_plus", "chi")
SPAN = 1.25
"""The set is valid from c/SPAN to c SPAN unless the file says otherwise."""


@dataclass(frozen=True)
class Chain:
    """Four findings and what follows from them.

    Parameters
    ----------
    finding : Finding
        kappa, D, rho+, dU/dln m, t+0 and chi, with everything that the four assumed.
    parts : tuple of Finding
        The four.
    text : str
        The transport set, TOML.
    """

    finding: Finding
    parts: tuple[Finding, ...]
    text: str


def read_chain(path: str | Path) -> Chain:
    """Analyse the four experiments that a file names, and put them together.

    Parameters
    ----------
    path : str or Path
        TOML with ``[cell]``, ``[salt]``, ``[solvent]``, ``[volumes]`` and a table per experiment (docs/analyse.md).

    Returns
    -------
    Chain

    Raises
    ------
    InputError
        Anything wrong in it or in the files it names, one sentence.

    References
    ----------
    Balsara & Newman 2015, doi:10.1149/2.0651514jes.
    """
    if Path(path).suffix.lower() != ".toml":
        raise InputError(f"{path}: chain takes one TOML file that names the four experiments (docs/analyse.md)")
    top = read_toml(path)
    top.only("title", "name", "cell", "salt", "solvent", "volumes", "range", *EXPERIMENTS)
    cell = top.table("cell")
    cell.only("thickness", "area", "temperature", "c")
    T, c = cell.quantity("temperature", "K", above=0), cell.quantity("c", "mol/m^3", above=0)
    # volumes and salt are judged by the reader of sets, and give molalities and K
    transport = parse_set(_set_text(top, T, c, (1.0, 1e-10, 0.3, 1.0), None), top.file).bind(T)
    requests = [_request(top, kind, cell, transport) for kind in EXPERIMENTS]  # what is wrong is said before any work
    needs = (requests[0], "thickness", "kappa"), (requests[0], "area", "kappa"), (requests[1], "thickness", "D")
    for request, key, what in needs:
        if key not in request.values:
            raise InputError(f"{top.file}: {request.kind} gives no {what} without cell.{key}; state it with its error")
    parts = tuple(analyse(request) for request in requests)
    spectrum, rest, steady, cells = parts
    drawn = [found[name].draws for found, name in zip(parts, ("kappa", "D", "rho_plus", "dU/dlnm"), strict=True)]
    kappa, D, rho, slope = drawn
    t_plus, chi = solve_chain(
        kappa,  # type: ignore[arg-type]
        D,  # type: ignore[arg-type]
        rho,  # type: ignore[arg-type]
        slope,  # type: ignore[arg-type]
        c,
        K=float(transport.thermal_voltage),
        charge=transport.z_plus * transport.nu_plus * F,
    )
    draws = np.stack([kappa, D, np.asarray(t_plus), np.asarray(chi)])
    measured = (
        spectrum["kappa"],
        rest["D"],
        steady["rho_plus"],
        cells["dU/dlnm"],
        Measured.of("t_plus", "1", draws[2], "all four, solvent frame"),
        Measured.of("chi", "1", draws[3], "all four, molal basis"),
    )
    values = np.median(draws, axis=1)
    text = _set_text(top, T, c, tuple(values), _covariance(draws))
    parse_set(text, top.file).bind(T)
    finding = Finding(
        "chain",
        "The chain of Balsara and Newman",
        tuple(name for found in parts for name in found.files),
        measured,
        tuple(replace(one, what=f"{found.kind}: {one.what}") for found in parts for one in found.assumptions)
        + _agreements(spectrum, rest, steady),
        tuple(f"{found.kind}: {note}" for found in parts for note in found.notes),
        REFERENCE,
        {"correlation": np.corrcoef(draws), "covariance": np.cov(draws)},
        {"c": c, "temperature": T, **{found.kind: found.conditions for found in parts}},
        (figures.chain, figures.correlations),
    )
    return Chain(finding, parts, text)


def _agreements(spectrum: Finding, rest: Finding, steady: Finding) -> tuple[Assumption, ...]:
    """D and rho+ of the last arc beside those of the other experiments, where the arc was recorded."""
    found = []
    for name, other, what in (("D", rest, "the rest"), ("rho_plus", steady, "the steady current")):
        if all(one.quantity != name for one in spectrum.measured):
            continue
        difference = spectrum[name].draws - other[name].draws
        distance = abs(float(np.median(difference))) / max(float(np.std(difference)), 1e-300)
        found.append(
            Assumption(
                f"{name} of the spectrum's last arc, {spectrum[name].value:.3g}, agrees with that of {what}, "
                f"{other[name].value:.3g} ({distance:.1f} standard errors apart)",
                distance < 3,
                "one of the two is not what it seems",
            )
        )
    return tuple(found)


def _request(top: Table, kind: str, cell: Table, transport: TransportSet) -> Request:
    """The request of one table of the file, with the cell's numbers where it has none of its own."""
    table = top.table(kind)
    keys = KINDS[kind].keys
    own = [key for key in keys if key not in ("at", "temperature")]
    table.only("file", *own)
    values: dict[str, Any] = {}
    labels = {}
    for key in own:
        if key in table:
            values[key] = table.strings(key) if key == "column" else table.string(key)
            if key in ("before", "after"):
                values[key] = str(table.path(key))
        elif key in ("thickness", "area") and key in cell:
            values[key], labels[key] = cell.string(key), f"cell.{key}"
    named = {key: f"{top.file}: {'cell' if key in labels else kind}.{key}" for key in keys}
    if kind == "concentration-cell":
        values["at"] = _at(table, cell, transport)
    return Request(
        kind,
        (table.path("file"),),
        values,
        lambda key: named[key],
        labels,
        lambda c: np.asarray(transport.m(c)),
        float(transport.thermal_voltage),
    )


def _at(table: Table, cell: Table, transport: TransportSet) -> str:
    """The average salt concentration of the cell, in the variable that the table of concentration cells is in."""
    from cellsim.instruments.tables import read_table

    names = [column.name.lower() for column in read_table(table.path("file")).columns]
    c = cell.quantity("c", "mol/m^3")
    if "m" in names or "molality" in names:
        return f"{float(transport.m(np.array(c)))!r} mol/kg"
    return f"{float(transport.r(np.array(c)))!r}" if "r" in names else f"{c!r} mol/m^3"


def _covariance(draws: Array) -> list[list[float]]:
    matrix = np.cov(draws)
    return [[float(x) for x in row] for row in 0.5 * (matrix + matrix.T)]


def _set_text(top: Table, T: float, c: float, values: tuple[float, ...], covariance: list[list[float]] | None) -> str:
    """The file of a set with four constants."""
    span: Mapping[str, Any] = top.table("range", {}).data
    kappa, D, t_plus, chi = (float(v) for v in values)
    document: dict[str, Any] = {
        "name": top.string("name", top.file.stem),
        "title": top.string("title", top.file.stem),
        "status": "measured",
        "note": f"constants at {c / 1e3:.4g} mol/L and {T:.2f} K, from the four experiments of Balsara and Newman",
        **{key: dict(top.table(key).data) for key in ("salt", "solvent", "volumes")},
        "range": {
            "variable": "c",
            "min": f"{c / SPAN!r} mol/m^3",
            "max": f"{c * SPAN!r} mol/m^3",
            "T_min": f"{T!r} K",
            "T_max": f"{T!r} K",
            **span,
        },
        "kappa": {"value": f"{kappa!r} S/m", "source": "impedance"},
        "D": {"value": f"{D!r} m^2/s", "source": "restricted diffusion"},
        "t_plus": {"value": t_plus, "frame": "solvent", "source": "the chain of Balsara and Newman"},
        "chi": {"value": chi, "basis": "molal", "source": "the chain of Balsara and Newman"},
    }
    if covariance is not None:
        document["covariance"] = {
            "parameters": list(PARAMETERS),
            "matrix": covariance,
            "source": "draws of the four experiments, put together",
        }
    return tomli_w.dumps(document)


# ---- what is written ---------------------------------------------------------------------------------------------


def catalogue() -> list[str]:
    """The experiments, one line each."""
    return [
        *(f"{name:20} {kind.what}" for name, kind in KINDS.items()),
        f"{'chain':20} all four, named in a TOML file: κ, D, t₊⁰ and χ with covariance, a transport set",
        "cellsim analyse KIND FILE (docs/analyse.md)",
    ]


def write_measured(measured: Finding | Chain, directory: str | Path) -> list[Path]:
    """Write ``KIND.png``, ``KIND.nc`` and ``summary.json`` into a folder, all or nothing.

    Of a chain those of its four findings besides, and ``set.toml``.

    Parameters
    ----------
    measured : Finding or Chain
        What was measured.
    directory : str or Path
        Made if it is not there.

    Returns
    -------
    list of Path
        The files, the summary last.
    """
    directory = Path(directory)
    with result_folder(directory, last=NUMBERS, stale=(SET,)) as fresh:
        if isinstance(measured, Chain):
            written = [path for found in (*measured.parts, measured.finding) for path in _written(found, fresh)]
            written.append(write_text(fresh / SET, measured.text))
            numbers = measured.finding.numbers() | {"experiments": [found.numbers() for found in measured.parts]}
        else:
            written, numbers = _written(measured, fresh), measured.numbers()
        written.append(write_json(fresh / NUMBERS, numbers))
    return [directory / path.name for path in written]


def _written(found: Finding, folder: Path) -> list[Path]:
    """Figure and arrays of a finding."""
    import xarray as xr

    variables = {
        name: (tuple(f"{'columns' if k else 'points'}_{n}" for k, n in enumerate(np.shape(values))), np.asarray(values))
        for name, values in found.arrays.items()
    }
    return [
        found.draw(folder / f"{found.kind}.png"),
        write_netcdf(folder / f"{found.kind}.nc", xr.Dataset(variables, attrs={"title": found.title})),
    ]
