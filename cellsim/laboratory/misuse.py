"""The chain with one thing done wrong at a time: what t+0 it then gives."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from cellsim.errors import RangeError
from cellsim.laboratory.bench import Bench
from cellsim.laboratory.chain import REFERENCE, assemble, steady_current
from cellsim.laboratory.concentration_cell import concentration_cell
from cellsim.laboratory.impedance import impedance
from cellsim.laboratory.reading import Record
from cellsim.laboratory.restricted_diffusion import restricted_diffusion
from cellsim.steady import depleting_voltage, steady_state


def misuses(bench: Bench, *, voltage: float = 0.01, large: float = 0.2) -> tuple[tuple[str, Record], ...]:
    """The four experiments as they should be, and with one fault each.

    Parameters
    ----------
    bench : Bench
        The electrolyte and the cell.
    voltage : float
        Of the small signals [V].
    large : float
        A voltage that is not small; at most half of the one that empties a face, and halved while its steady state
        leaves the range of the set [V].

    Returns
    -------
    tuple of (str, Record)
        What is done wrong, and the chain that follows; the first one is right.
    """
    spectrum = impedance(bench, voltage=voltage)
    diffusion = restricted_diffusion(bench, voltage=voltage)
    steady = steady_current(bench, spectrum, voltage=voltage)
    potential = concentration_cell(bench)
    large = _within_range(bench, min(large, 0.5 * depleting_voltage(bench.cell, bench.transport, bench.c)))
    first = 0.01 * bench.diffusion_time

    def with_steady(record: Record, **how: bool) -> Record:
        return assemble(bench, spectrum, diffusion, record, potential, **how)

    def with_diffusion(record: Record) -> Record:
        return assemble(bench, spectrum, record, steady, potential)

    def measured(**how: float) -> Record:
        return assemble(bench, spectrum, diffusion, steady, potential, **how)  # type: ignore[arg-type]

    return (
        ("nothing wrong", measured()),
        (f"{large:.2g} V held instead of {voltage:.2g} V", with_steady(steady_current(bench, spectrum, voltage=large))),
        ("interfaces not taken out", with_steady(steady, corrected=False)),
        ("current read after 0.05 L²/D", with_steady(steady_current(bench, spectrum, voltage=voltage, duration=0.05))),
        (
            f"first current read at {first:.0f} s",
            with_steady(steady_current(bench, spectrum, voltage=voltage, first=first)),
        ),
        (
            "ln U read at once after a short pulse",
            with_diffusion(restricted_diffusion(bench, voltage=voltage, pulse=0.02, window=(1.0, 0.4))),
        ),
        ("open-circuit bias of 0.2 mV", with_diffusion(restricted_diffusion(bench, voltage=voltage, offset=2e-4))),
        (
            "straight line through U over a factor of 9",
            assemble(bench, spectrum, diffusion, steady, concentration_cell(bench, span=3.0, order=1)),
        ),
        ("area 5 % too large", measured(area_ratio=1.05)),
        ("thickness 5 % too large", measured(thickness_ratio=1.05)),
    )


def _within_range(bench: Bench, voltage: float) -> float:
    """The voltage, halved until both faces stay inside the range of the set."""
    for _ in range(20):
        try:
            steady_state(bench.cell, bench.transport, bench.c, voltage=voltage)
            break
        except RangeError:
            voltage *= 0.5
    return float(voltage)


def misuse(bench: Bench, *, voltage: float = 0.01) -> Record:
    """:func:`misuses` as one record: t+0 of each.

    Parameters
    ----------
    bench : Bench
        The electrolyte and the cell.
    voltage : float
        Of the small signals [V].

    Returns
    -------
    Record
    """
    found = misuses(bench, voltage=voltage)
    readings = tuple(replace(record["t_plus"], method=what) for what, record in found)
    return Record(
        "misuse",
        "The chain with one fault at a time",
        "what the chain assumes, and one thing is done wrong in each row but the first",
        REFERENCE,
        readings,
        {"chi": np.array([record["chi"].difference for _, record in found])},
        {"voltage": voltage},
    )
