"""The laboratory on the command line: what is put on the bench, tables, figures and summary.json."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from cellsim.base import InputError
from cellsim.electrolyte.set_file import list_sets, load_set
from cellsim.files.schema import parse_toml
from cellsim.laboratory import EXPERIMENTS, Bench, Noise, Record, bench_of
from cellsim.laboratory.figures import draw_record
from cellsim.laboratory.reading import ABSOLUTE
from cellsim.model.plan import layer_of
from cellsim.run.case import load_case

NUMBERS = "summary.json"
ORDINARY = Noise(voltage=1e-5, current=2e-3, impedance=2e-3, velocity=0.02)
"""Ordinary good instruments: 10 uV, 0.2 % of a current, 0.2 % of an impedance, 2 % of a velocity."""
UNITS = {
    "kappa": "S/m", "D": "m²/s", "rho_plus": "", "t_plus": "", "t_plus_V": "", "chi": "", "dU/dlnm": "V",
    "(1-t_plus)chi": "", "R_int": "Ω m²", "alpha": "", "beta": "",
}  # fmt: skip


def put_on_bench(
    source: str | Path, *, c: float | None = None, r: float | None = None, T: float | None = None,
    thickness: float | None = None, resistance: float | None = None, noise: Noise | None = None,
) -> Bench:  # fmt: skip
    """A bench from the name of a shipped set, a set's file, or a case.

    A case gives its set, temperature, concentration, thickness and the small-signal resistance of its interfaces, half
    to each electrode; its separator and its protocol are left aside.

    Parameters
    ----------
    source : str or Path
        Name or file.
    c, r : float, optional
        Salt concentration [mol/m^3] or salt per solvent molecule [1]; at most one.
    T : float, optional
        Temperature, for a set [K].
    thickness : float, optional
        [m]
    resistance : float, optional
        Of each interface [ohm m^2].
    noise : Noise, optional
        Of the instruments.

    Returns
    -------
    Bench

    Raises
    ------
    InputError
        Neither a set nor a case, two concentrations, or one outside the range of the set.
    """
    if c is not None and r is not None:
        raise InputError("--c and --r both give the concentration; say one of them")
    given: dict[str, Any] = {"thickness": thickness, "resistance": resistance, "noise": noise}
    if _is_case(source):
        case = load_case(source)
        if T is not None:
            raise InputError(f"{source}: a case has its own temperature; leave --temperature out")
        transport = case.transport
        c = case.c0 if c is None and r is None else c
        given["thickness"] = case.cell.thickness if thickness is None else thickness
        if resistance is None:
            given["resistance"] = 0.5 * layer_of(case.cell, transport, case.c0).resistance
    else:
        transport = load_set(source, T)
    if r is not None:
        c = transport.c_of(r=r)
    return bench_of(transport, c, **{k: v for k, v in given.items() if v is not None})


def _is_case(source: str | Path) -> bool:
    """Whether a file looks like a case; whatever else is wrong with it is said by whoever reads it."""
    path = Path(source)
    if str(source) in list_sets() or not path.is_file():
        return False
    try:
        return "cell" in parse_toml(path.read_text(encoding="utf-8"), path).data
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read ({error})") from error


def catalogue() -> list[str]:
    """The experiments, one line each."""
    return [
        *(f"{name:22} {what}" for name, (_, what) in EXPERIMENTS.items()),
        f"{'all':22} every one of them",
        "cellsim lab EXPERIMENT SET; `cellsim sets` lists the sets",
    ]


def do(name: str, bench: Bench) -> list[Record]:
    """Do one experiment, or all.

    Parameters
    ----------
    name : str
        One of :data:`~cellsim.laboratory.EXPERIMENTS`, or "all".
    bench : Bench
        What stands on the bench.

    Returns
    -------
    list of Record

    Raises
    ------
    InputError
        Unknown name.
    """
    if name != "all" and name not in EXPERIMENTS:
        raise InputError(f"lab {name!r} is no experiment; choose one of {', '.join(EXPERIMENTS)}, all")
    return [EXPERIMENTS[one][0](bench) for one in (EXPERIMENTS if name == "all" else (name,))]


def lines(bench: Bench, records: list[Record]) -> list[str]:
    """The table: quantity, true, inferred, difference, whether the assumption holds.

    Parameters
    ----------
    bench : Bench
        What stood on the bench.
    records : list of Record
        What was done on it.

    Returns
    -------
    list of str
    """
    told = [
        f"{bench.transport.name} ({bench.transport.status}), {bench.c / 1e3:.4g} mol/L, "
        f"{bench.transport.T:.2f} K, "
        f"L = {1e3 * bench.thickness:.4g} mm, {1e4 * bench.resistance:.4g} Ω cm² at each electrode"
    ]
    for record in records:
        told += ["", f"{record.title}: assumes {record.assumption}"]
        told.append(f"  {'quantity':14}{'true':>10}{'inferred':>23}{'difference':>12}  {'read from':40}  assumption")
        for one in record.readings:
            error = f" ± {one.error:.1g}" if one.error > 0 else ""
            value = f"{one.inferred:.4g}{error} {UNITS.get(one.quantity, one.unit)}".strip()
            plain = one.quantity in ABSOLUTE
            difference = f"{one.difference:+.4f}" if plain else f"{100 * one.difference:+.2f} %"
            told.append(
                f"  {one.quantity:14}{one.true:10.4g}{value:>23}{difference:>12}  {one.method:40}  {one.verdict}"
            )
    return told


def write_lab(bench: Bench, records: list[Record], directory: str | Path) -> list[Path]:
    """Write a figure per experiment and ``summary.json``.

    Parameters
    ----------
    bench : Bench
        What stood on the bench.
    records : list of Record
        What was done on it.
    directory : str or Path
        Made if it is not there.

    Returns
    -------
    list of Path
    """
    directory = Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / NUMBERS
    path.write_text(json.dumps(summary(bench, records), indent=1) + "\n", encoding="utf-8")  # before what takes time
    return [*(draw_record(bench, record, directory / f"{record.name}.png") for record in records), path]


def summary(bench: Bench, records: list[Record]) -> dict[str, Any]:
    """What :func:`write_lab` writes as JSON, SI.

    Parameters
    ----------
    bench : Bench
        What stood on the bench.
    records : list of Record
        What was done on it.

    Returns
    -------
    dict
    """
    noise = bench.noise
    return {
        "transport": bench.transport.name, "transport_status": bench.transport.status, "T": bench.transport.T,
        "c": bench.c, "thickness": bench.thickness, "resistance": bench.resistance,
        "noise": {k: getattr(noise, k) for k in ("voltage", "current", "impedance", "velocity", "seed")},
        "experiments": [
            {
                "name": r.name, "assumption": r.assumption, "reference": r.reference,
                "conditions": {k: _plain(v) for k, v in r.conditions.items()},
                "readings": [
                    {"quantity": x.quantity, "unit": x.unit, "true": x.true, "inferred": _plain(x.inferred),
                     "error": _plain(x.error), "difference": _plain(x.difference), "method": x.method,
                     "holds": x.holds, "verdict": x.verdict}
                    for x in r.readings
                ],
            }
            for r in records
        ],
    }  # fmt: skip


def _plain(value: Any) -> float | None:
    return float(value) if math.isfinite(value) else None
