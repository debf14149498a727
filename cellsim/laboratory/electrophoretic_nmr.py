"""Electrophoretic NMR: velocities in a field, seen in the laboratory; t+0 only once the solvent's own is taken off."""

from __future__ import annotations

import numpy as np

from cellsim.cell.protocol import Protocol, hold_current
from cellsim.electrolyte.transport import TransportSet
from cellsim.laboratory import figures
from cellsim.laboratory.bench import Bench
from cellsim.laboratory.reading import Check, Reading, Record
from cellsim.model.closed_forms import sand_time
from cellsim.solvers.solution import FRAMES

REFERENCE = (
    "Timachova, Newman & Balsara, J. Electrochem. Soc. 166 (2019) A264, doi:10.1149/2.0591902jes; "
    "volume frame: Kilchert et al. 2022, arXiv:2209.05769"
)


def transference(transport: TransportSet, v_plus: float, v_minus: float) -> float:
    """Share of the current that the cations carry at these velocities, z+ nu+ v+/(z+ nu+ v+ + z- nu- v-).

    Parameters
    ----------
    transport : TransportSet
        The salt.
    v_plus, v_minus : float
        Velocities in one frame [m/s].

    Returns
    -------
    float
        Transference number in that frame [1].
    """
    plus = transport.z_plus * transport.nu_plus * v_plus
    return plus / (plus + transport.z_minus * transport.nu_minus * v_minus)


def electrophoretic_nmr(bench: Bench, *, field: float = 2000.0, longest: float = 0.05) -> Record:
    """A field across the uniform solution for a moment; velocities of cation, anion and solvent in the middle.

    Parameters
    ----------
    bench : Bench
        The cell, closed at both ends: no volume flows through it.
    field : float
        [V/m]
    longest : float
        Duration; less where the electrodes would empty sooner than twenty times that [s].

    Returns
    -------
    Record
        t+ from the velocities as they are in the laboratory, and relative to the solvent.
    """
    transport, layer = bench.transport, bench.layer
    i = layer.kappa * field
    duration = min(longest, 0.05 * sand_time(layer, i))
    solution = bench.run(Protocol((hold_current(i, duration),)), np.linspace(0, duration, 11))
    lab = FRAMES.index("lab")
    middle = np.argmin(np.abs(solution["face"] - 0.5 * bench.thickness))
    true_v = [float(solution[name][lab, -1, middle]) for name in ("v_plus", "v_minus", "v_0")]
    noise = bench.noise.velocity
    v_plus, v_minus, v_0 = (v * (1 + noise * d) for v, d in zip(true_v, bench.noise.draw(5, 3), strict=True))
    t_lab = transference(transport, v_plus, v_minus)
    t_solvent = transference(transport, v_plus - v_0, v_minus - v_0)
    scale = (1 - t_solvent) / (v_minus - v_0), t_solvent / (v_plus - v_0)
    spread = [
        abs(t_solvent * (1 - t_solvent)) * noise * abs(v) / abs(r)
        for v, r in ((v_plus, v_plus - v_0), (v_minus, v_minus - v_0))
    ]
    solvent = abs(t_solvent * scale[0] - (1 - t_solvent) * scale[1]) * noise * abs(v_0)
    error = float(np.sqrt(spread[0] ** 2 + spread[1] ** 2 + solvent**2))
    error_lab = abs(t_lab * (1 - t_lab)) * noise * np.sqrt(2)
    t_volume = 1 - layer.phi_0 * (1 - layer.t_plus)
    reach = Check(
        "diffusion length at the electrodes, per distance to the middle",
        float(np.sqrt(layer.D * duration) / (0.5 * bench.thickness)),
        0.2,
    )
    drift = Check("solvent velocity per anion velocity", abs(true_v[2] / true_v[1]), 0.01)
    metal = Check(
        "motion of the electrodes per anion velocity", abs(float(solution["v_interface"][-1]) / true_v[1]), 0.01
    )
    return Record(
        bench,
        "electrophoretic_nmr",
        "Electrophoretic NMR",
        "the solution is still uniform where it is seen, and the frame is named",
        REFERENCE,
        (
            Reading("t_plus", "1", layer.t_plus, t_solvent, error, "velocities less the solvent's", (reach,)),
            Reading(
                "t_plus", "1", layer.t_plus, t_lab, float(error_lab), "lab velocities taken as they are", (reach, drift)
            ),
            Reading(
                "t_plus_V", "1", t_volume, t_lab, float(error_lab), "the same, called volume frame", (reach, metal)
            ),
        ),
        {
            "v": np.array([v_plus, v_minus, v_0]),
            "v_solvent": np.array([v_plus - v_0, v_minus - v_0, 0.0]),
            "x": solution["face"],
            "v_plus": solution["v_plus"][lab, -1],
            "v_minus": solution["v_minus"][lab, -1],
            "v_0": solution["v_0"][lab, -1],
            "error": noise * np.abs([v_plus, v_minus, v_0]),
        },
        {"field": field, "duration": duration, "current": i},
        panels=(figures.velocities, figures.frames),
    )
