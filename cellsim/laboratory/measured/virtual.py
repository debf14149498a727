"""Records of the virtual laboratory through the estimators of real files."""

from __future__ import annotations

import numpy as np

from cellsim.base import InputError
from cellsim.laboratory.measured.fraction import Resistances, fraction
from cellsim.laboratory.measured.potentials import potentials
from cellsim.laboratory.measured.quantity import Finding, Typed
from cellsim.laboratory.measured.relaxation import relaxation
from cellsim.laboratory.measured.spectrum import spectrum
from cellsim.laboratory.reading import Record


def analyse_record(record: Record, *, seed: int = 0) -> Finding:
    """What the estimators of `cellsim analyse` read off a record of the virtual laboratory.

    Parameters
    ----------
    record : Record
        Of an impedance, a restricted diffusion, a current fraction or concentration cells; with noisy instruments, for
        without noise there is no interval.
    seed : int
        Of the random numbers that make the interval.

    Returns
    -------
    Finding

    Raises
    ------
    InputError
        A record of another experiment.
    """
    bench, arrays, conditions = record.bench, record.arrays, record.conditions
    thickness = Typed(bench.thickness, label="thickness")
    if record.name == "impedance":
        Z = arrays["Z_real"] + 1j * arrays["Z_imag"]
        return spectrum(arrays["omega"], Z, thickness=thickness, per_area=True, files=(record.title,), seed=seed)
    if record.name == "restricted_diffusion":
        return relaxation(arrays["time"], arrays["U"], thickness, files=(record.title,), seed=seed)
    if record.name == "current_fraction":
        later = arrays["time"] > 0
        interfaces = Typed(conditions["R_i"], label="interfaces").draws()
        high = Typed(conditions["R_high"], conditions["R_high_error"], "high-frequency resistance").draws()
        resistances = Resistances(interfaces, interfaces, high - interfaces)
        t, i = arrays["time"][later], arrays["i"][later]
        return fraction(t, i, Typed(conditions["voltage"]), resistances, files=(record.title,), seed=seed)
    if record.name == "concentration_cell":
        x = np.log(arrays["m"] / float(bench.transport.m(bench.c)))
        K = float(bench.transport.thermal_voltage)
        return potentials(x, arrays["U"], thermal_voltage=K, files=(record.title,), seed=seed)
    raise InputError(f"{record.name} is no record that can be analysed as a file of an instrument is")
