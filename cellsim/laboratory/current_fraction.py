"""Steady current under a small voltage: the current fraction rho+, with the correction of Bruce and Vincent."""

from __future__ import annotations

import numpy as np

from cellsim.cell.protocol import Protocol, hold_voltage
from cellsim.laboratory import figures
from cellsim.laboratory.bench import AnyBench
from cellsim.laboratory.reading import Check, Reading, Record
from cellsim.model.small_signals import bruce_vincent

REFERENCE = (
    "Evans, Vincent & Bruce, Polymer 28 (1987) 2324, doi:10.1016/0032-3861(87)90394-6; "
    "Balsara & Newman 2015, doi:10.1149/2.0651514jes"
)


def current_fraction(
    bench: AnyBench,
    *,
    voltage: float = 0.01,
    duration: float = 1.0,
    first: float | None = None,
    R_high: float | None = None,
    R_high_error: float = 0.0,
    R_i: float | None = None,
) -> Record:
    """Hold a voltage until the current stands still.

    Parameters
    ----------
    bench : Bench or MixtureBench
        The cell.
    voltage : float
        Voltage held [V].
    duration : float
        How long, in L^2/D [1].
    first : float, optional
        When the first current is read [s]; default: not read but taken from Ohm's law with the resistance that
        impedance finds, as Balsara and Newman advise.
    R_high : float, optional
        R_b + R_i by impedance [ohm m^2]; default: the true one.
    R_high_error : float
        Its standard error [ohm m^2].
    R_i : float, optional
        Interfacial part of it [ohm m^2]; default: the true one.

    Returns
    -------
    Record
        rho+ corrected and, as the second reading, the bare ratio of the currents.
    """
    layer, scale = bench.layer, bench.diffusion_time
    R_i = layer.resistance if R_i is None else R_i
    R_high = layer.bulk_resistance + layer.resistance if R_high is None else R_high
    end = duration * scale
    early = first if first is not None and first < end else 1e-4 * end
    times = np.unique(
        np.concatenate([[0.0, early], np.geomspace(1e-7 * end, end, 150), np.linspace(0.9 * end, end, 40)])
    )
    solution = bench.run(Protocol((hold_voltage(voltage, end),)), times)
    t, i = solution["time"], solution["i"].copy()
    noise = bench.noise.current
    i = i * (1 + noise * bench.noise.draw(3, i.size))
    last = t >= 0.98 * end
    i_ss = float(i[last].mean())
    i_0 = voltage / R_high if first is None else float(np.interp(first, t, i))
    i_ss_error = noise * i_ss / np.sqrt(last.sum())
    i_0_error = i_0 * (R_high_error / R_high if first is None else noise)
    rho = bruce_vincent(voltage, i_0, i_ss, R_i, R_i)
    span = voltage - i_0 * R_i, voltage - i_ss * R_i
    error = abs(rho) * voltage * np.hypot(i_0_error / (i_0 * span[0]), i_ss_error / (i_ss * span[1]))
    exact = solution["i"]
    decay = max(abs(exact[0] - exact[-1]), 1e-12 * abs(exact[0]))
    missed = abs(np.interp(early, t, exact) - exact[0]) / decay if first is not None else 0.0
    drift = abs(np.interp(0.9 * end, t, exact) - exact[-1]) / decay
    checks = (
        *bench.swing(solution),
        Check("part of the decay in the last tenth of the run", float(drift), 0.005),
        Check("part of the decay before the current was first read", float(missed), 0.01),
    )
    bare = Check("interfacial per bulk resistance, uncorrected", layer.resistance / layer.bulk_resistance, 0.01)
    return Record(
        bench,
        "current_fraction",
        "Steady current",
        "small voltage, steady state, interfaces known and subtracted",
        REFERENCE,
        (
            Reading(
                "rho_plus",
                "1",
                bench.rho_plus,
                rho,
                float(error),
                "Bruce-Vincent" if first is not None else "Bruce-Vincent, i_0 by Ohm's law",
                checks,
            ),
            Reading(
                "rho_plus",
                "1",
                bench.rho_plus,
                i_ss / i_0,
                float(i_ss / i_0 * np.hypot(i_0_error / i_0, i_ss_error / i_ss)),
                "bare ratio i_ss/i_0",
                (*checks, bare),
            ),
        ),
        {"time": t, "i": i, "i_0": np.array(i_0), "i_ss": np.array(i_ss)},
        {
            "voltage": voltage,
            "duration": end,
            "i_0": i_0,
            "i_ss": i_ss,
            "i_ss_error": float(i_ss_error),
            "R_i": R_i,
            "R_high": R_high,
            "R_high_error": R_high_error,
        },
        panels=(figures.current,),
    )
