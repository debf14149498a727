"""A virtual laboratory: textbook experiments done on the full model, with the truth beside what they infer.

>>> from cellsim import load_set
>>> from cellsim.laboratory import bench_of, chain
>>> record = chain(bench_of(load_set("landesfeind2019_ec_dmc")))
>>> abs(record["t_plus"].difference) < 0.02
True
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

from cellsim.laboratory.bench import AnyBench, Bench, InstrumentNoise, MixtureBench, bench_of
from cellsim.laboratory.chain import assemble, chain, misuse, misuses, solve_chain, steady_current
from cellsim.laboratory.concentration_cell import concentration_cell
from cellsim.laboratory.current_fraction import current_fraction
from cellsim.laboratory.impedance import impedance, low_frequency_impedance, sine_impedance, step_impedance
from cellsim.laboratory.reading import Check, Reading, Record
from cellsim.laboratory.restricted_diffusion import restricted_diffusion
from cellsim.laboratory.transference import (
    electrophoretic_nmr,
    electrophoretic_nmr_of_species,
    hittorf,
    hittorf_of_species,
)

__all__ = [
    "EXPERIMENTS",
    "Bench",
    "Check",
    "InstrumentNoise",
    "MixtureBench",
    "Reading",
    "Record",
    "assemble",
    "bench_of",
    "chain",
    "concentration_cell",
    "current_fraction",
    "electrophoretic_nmr",
    "electrophoretic_nmr_of_species",
    "experiments_on",
    "hittorf",
    "hittorf_of_species",
    "impedance",
    "low_frequency_impedance",
    "misuse",
    "misuses",
    "restricted_diffusion",
    "sine_impedance",
    "solve_chain",
    "steady_current",
    "step_impedance",
]

EXPERIMENTS: dict[str, tuple[Callable[[Bench], Record], str]] = {
    "impedance": (impedance, "a spectrum: kappa, R_int, and D and rho+ from the diffusion arc"),
    "restricted-diffusion": (restricted_diffusion, "open circuit after a current: D"),
    "current-fraction": (current_fraction, "steady current, Bruce-Vincent correction: rho+"),
    "concentration-cell": (concentration_cell, "U between two concentrations: (1 - t+0) chi"),
    "enmr": (electrophoretic_nmr, "velocities in a field, lab and solvent frame: t+"),
    "low-frequency": (low_frequency_impedance, "impedance at w -> 0, several distances: rho+, alpha, beta"),
    "hittorf": (hittorf, "salt carried from compartment to compartment: t+"),
    "chain": (chain, "Balsara and Newman: kappa, D, t+0 and chi from four experiments"),
    "misuse": (misuse, "the chain with one thing done wrong at a time"),
}
"""Name on the command line: what does it, and what it measures."""

OF_SPECIES: dict[str, Callable[[MixtureBench], Record]] = {
    "impedance": impedance,
    "restricted-diffusion": restricted_diffusion,
    "current-fraction": current_fraction,
    "enmr": electrophoretic_nmr_of_species,
    "low-frequency": low_frequency_impedance,
    "hittorf": hittorf_of_species,
}
"""Those of them that are done on n components."""

NOT_OF_SPECIES = {
    "concentration-cell": "between two compositions of n components the voltage depends on the profile in between, so "
    "that no curve U(m) exists",
    "chain": "its four numbers describe one salt in one solvent",
    "misuse": "its four numbers describe one salt in one solvent",
}
"""Why the others are not."""


def experiments_on(bench: AnyBench) -> Mapping[str, Callable[[], Record]]:
    """What can be done on a bench: name -> a function without arguments that does it.

    Parameters
    ----------
    bench : Bench or MixtureBench
        What stands there.
    """
    if isinstance(bench, Bench):
        return {name: partial(experiment, bench) for name, (experiment, _) in EXPERIMENTS.items()}
    return {name: partial(experiment, bench) for name, experiment in OF_SPECIES.items()}
