"""The laboratory on the command line: what is put on the bench, tables, figures and summary.json."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from cellsim.base import CellsimError, InputError
from cellsim.electrolyte.mixture_file import load_electrolyte
from cellsim.electrolyte.mixture_set import MixtureSet
from cellsim.electrolyte.set_file import list_sets
from cellsim.files.folder import result_folder
from cellsim.files.schema import read_toml
from cellsim.files.writing import write_json, write_netcdf
from cellsim.laboratory import (
    EXPERIMENTS,
    NOT_OF_SPECIES,
    InstrumentNoise,
    MixtureBench,
    Record,
    bench_of,
    experiments_on,
)
from cellsim.laboratory.bench import AnyBench
from cellsim.laboratory.measured import MEASURED, analyse_record
from cellsim.run.mixture import MixtureCase, read_case

NUMBERS = "summary.json"
NONE: Mapping[str, str] = {}
ORDINARY = InstrumentNoise(voltage=1e-5, current=2e-3, impedance=2e-3, velocity=0.02)
"""Ordinary good instruments: 10 uV, 0.2 % of a current, 0.2 % of an impedance, 2 % of a velocity."""


def put_on_bench(
    source: str | Path,
    *,
    c: float | None = None,
    r: float | None = None,
    T: float | None = None,
    thickness: float | None = None,
    resistance: float | None = None,
    noise: InstrumentNoise | None = None,
    capacitance: float | None = None,
    phase: float | None = None,
) -> AnyBench:
    """A bench from the name of a shipped set, a set's file, or a case.

    A case gives its set, temperature, concentration, thickness, the small-signal resistance of its interfaces at the
    start, half to each electrode, and their double layers, the mean to each; its separator and its protocol are left
    aside (:func:`left_aside` says what).

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
    noise : InstrumentNoise, optional
        Of the instruments.
    capacitance, phase : float, optional
        Of each double layer [F/m^2], and the exponent of a constant-phase element [1]; see :class:`.Bench`.

    Returns
    -------
    Bench or MixtureBench

    Raises
    ------
    InputError
        Neither a set nor a case, two concentrations, one outside the range of the set, or a blocking electrode.
    """
    if c is not None and r is not None:
        raise InputError("--c and --r both give the concentration; say one of them")
    given: dict[str, Any] = {"thickness": thickness, "resistance": resistance, "noise": noise}
    given |= {"capacitance": capacitance, "phase": phase}
    if _is_case(source):
        case = read_case(source)
        if T is not None:
            raise InputError(f"{source}: a case has its own temperature; leave --temperature out")
        sides = (case.cell.positive, case.cell.negative)
        if case.cell.is_blocked:
            raise InputError(f"{source}: blocking = true: the experiments need two electrodes that lithium crosses")
        layers = [side for side in sides if side.capacitance]
        if layers and capacitance is None:
            given["capacitance"] = sum(side.capacitance for side in layers) / len(layers)
        if layers and phase is None:
            given["phase"] = sum(side.phase for side in layers) / len(layers)
        given["thickness"] = case.cell.thickness if thickness is None else thickness
        if resistance is None:
            given["resistance"] = 0.5 * sum(side.small_signal(case.c0, case.cell.temperature, 0.0) for side in sides)
        if isinstance(case, MixtureCase):
            if c is not None or r is not None:
                raise InputError(
                    f"{source}: --c and --r give the amount of one salt; this case states its composition, "
                    f"{', '.join(case.transport.components)}: change it there"
                )
            return MixtureBench(case.transport, case.r0, **{k: v for k, v in given.items() if v is not None})
        c, transport = case.c0 if c is None and r is None else c, case.transport
    else:
        loaded = load_electrolyte(source, T)
        if isinstance(loaded, MixtureSet):
            raise InputError(
                f"{source}: has {len(loaded.species)} species, and an experiment needs their amounts; give a case, "
                "which states the composition"
            )
        transport = loaded
    if r is not None:
        c = transport.c_of(r=r)
    return bench_of(transport, c, **{k: v for k, v in given.items() if v is not None})


def left_aside(source: str | Path) -> list[str]:
    """What a case states that the bench does not take over, a sentence each; nothing for a set."""
    if not _is_case(source):
        return []
    case = read_case(source)
    cell, told = case.cell, []
    if case.initial is not None:
        told.append(f"{source}: the profile of [initial] is left aside; the bench begins with its average everywhere")
    if (cell.separator.porosity, cell.separator.macmullin) != (1.0, 1.0):
        told.append(
            f"{source}: the separator (porosity {cell.separator.porosity:.3g}, MacMullin number "
            f"{cell.separator.macmullin:.3g}) is ignored; the bench contains electrolyte only"
        )
    one, other = cell.positive, cell.negative
    if cell.has_double_layers and (one.capacitance, one.phase) != (other.capacitance, other.phase):
        told.append(
            f"{source}: the double layers of the electrodes differ; the bench has the mean of those stated at both"
        )
    for side, electrode in (("positive", cell.positive), ("negative", cell.negative)):
        R = electrode.resistance.value
        if R.size > 1 and R.min() != R.max():
            told.append(
                f"{source}: electrodes.{side}.resistance changes from {1e4 * R[0]:.4g} to {1e4 * R[-1]:.4g} Ω cm²; "
                "the bench keeps the one at the start"
            )
        if electrode.kinetics is not None:
            told.append(
                f"{source}: electrodes.{side}.kinetics is taken as its small-signal resistance at the average salt"
            )
    return told


def _is_case(source: str | Path) -> bool:
    """Whether a file looks like a case; whatever else is wrong with it is said by whoever reads it."""
    path = Path(source)
    if str(source) in list_sets() or not path.is_file():
        return False
    return "cell" in read_toml(path)


def catalogue() -> list[str]:
    """The experiments, one line each."""
    return [
        *(f"{name:22} {what}" for name, (_, what) in EXPERIMENTS.items()),
        f"{'all':22} all of these experiments",
        "cellsim lab EXPERIMENT SET; `cellsim sets` lists the sets",
    ]


def do(name: str, bench: AnyBench) -> list[Record]:
    """Do one experiment, or all.

    Parameters
    ----------
    name : str
        One of :data:`~cellsim.laboratory.EXPERIMENTS`, or "all".
    bench : Bench or MixtureBench
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
    able = experiments_on(bench)
    if name in NOT_OF_SPECIES and isinstance(bench, MixtureBench):
        has = f"{bench.transport.name} has {len(bench.transport.species)} species"
        raise InputError(f"lab {name}: {NOT_OF_SPECIES[name]}, and {has}; choose one of {', '.join(able)}")
    return [able[experiment]() for experiment in (able if name == "all" else (name,))]


def do_all(bench: AnyBench) -> tuple[list[Record], dict[str, str]]:
    """Do every experiment that can be done; one that cannot does not keep the others from their readings.

    Parameters
    ----------
    bench : Bench or MixtureBench
        What stands on the bench.

    Returns
    -------
    records : list of Record
        Of those that were done.
    failed : dict
        Name of each other one, and why, one sentence.
    """
    records, failed = [], {}
    for name, experiment in experiments_on(bench).items():
        try:
            records.append(experiment())
        except CellsimError as error:
            failed[name] = str(error)
    return records, failed


def lines(bench: AnyBench, records: Sequence[Record], failed: Mapping[str, str] = NONE) -> list[str]:
    """What the terminal shows of several experiments on one bench, and why others could not be done."""
    amounts = f"{bench.c / 1e3:.4g} mol/L"
    if isinstance(bench, MixtureBench):
        c = bench.transport.concentrations(bench.r) / 1e3
        amounts = ", ".join(f"{name} {x:.4g}" for name, x in zip(bench.transport.species, c, strict=True)) + " mol/L"
    head = (
        f"{bench.transport.name} ({bench.transport.status}), {amounts}, {bench.transport.T:.2f} K, "
        f"L = {1e3 * bench.thickness:.4g} mm, {1e4 * bench.resistance:.4g} Ω cm² at each electrode"
    )
    not_done = [line for name, why in failed.items() for line in ("", f"{name}: not done; {why}")]
    shown = (line for record in records for line in ("", *record.lines(), *as_measured(record)))
    return [head, *shown, *not_done]


def as_measured(record: Record) -> list[str]:
    """What `cellsim analyse` reads off the same record, a line a number; nothing of perfect instruments.

    Parameters
    ----------
    record : Record
        An experiment of the laboratory. The numbers above are the textbook's, so that its bias is seen; these are those
        of the estimators that real files go through, with their intervals.

    Returns
    -------
    list of str
    """
    if not record.bench.noise.any or record.name not in MEASURED:
        return []
    try:
        found = analyse_record(record)
    except InputError as error:
        return [f"  cellsim analyse: {error}"]
    broken = [f"  cellsim analyse, not met: {one.what}" for one in found.assumptions if not one.holds]
    return [*(f"  cellsim analyse: {one.line().strip()}" for one in found.measured), *broken]


def write_lab(
    bench: AnyBench, records: Sequence[Record], directory: str | Path, failed: Mapping[str, str] = NONE
) -> list[Path]:
    """Write a figure and a dataset per experiment, and ``summary.json``.

    Parameters
    ----------
    bench : Bench or MixtureBench
        What stood on the bench.
    records : sequence of Record
        What was done on it.
    directory : str or Path
        Made if it is not there.
    failed : mapping
        Experiments that could not be done, and why.

    Returns
    -------
    list of Path
    """
    directory = Path(directory)
    written = []
    with result_folder(directory, last=NUMBERS) as fresh:
        for record in records:
            written += [record.draw(fresh / f"{record.name}.png")]
            if record.arrays:
                written += [write_netcdf(fresh / f"{record.name}.nc", record.dataset())]
        written.append(write_json(fresh / NUMBERS, numbers(bench, records, failed)))
    return [directory / path.name for path in written]


def numbers(bench: AnyBench, records: Sequence[Record], failed: Mapping[str, str] = NONE) -> dict[str, Any]:
    """What stood on the bench and what was found there, SI."""
    return {
        "transport": bench.transport.name,
        "transport_status": bench.transport.status,
        "T": bench.transport.T,
        "c": bench.c,
        **({"r": _by_name(bench)} if isinstance(bench, MixtureBench) else {}),
        "thickness": bench.thickness,
        "resistance_per_interface": bench.resistance,
        "noise": asdict(bench.noise),
        "experiments": [record.numbers() for record in records],
        "failed": dict(failed),
    }


def _by_name(bench: MixtureBench) -> dict[str, float]:
    return dict(zip(bench.transport.components, bench.r.tolist(), strict=True))
