"""Numbers measured from real files, with their intervals and with the assumptions that were checked.

>>> from cellsim.laboratory.measured import typed
>>> typed("0.50 ± 0.01 mm", "m", field="thickness").error
1e-05
"""

from __future__ import annotations

from cellsim.laboratory.measured.combined import Chain, catalogue, read_chain, write_measured
from cellsim.laboratory.measured.curves import limiting, potentials
from cellsim.laboratory.measured.fraction import Resistances, fraction
from cellsim.laboratory.measured.quantity import Assumption, Finding, Measured, Typed, typed
from cellsim.laboratory.measured.relaxation import relaxation
from cellsim.laboratory.measured.request import KINDS, MEASURED, Request, analyse, analyse_record
from cellsim.laboratory.measured.spectrum import spectrum

__all__ = [
    "KINDS",
    "MEASURED",
    "Assumption",
    "Chain",
    "Finding",
    "Measured",
    "Request",
    "Resistances",
    "Typed",
    "analyse",
    "analyse_record",
    "catalogue",
    "fraction",
    "limiting",
    "potentials",
    "read_chain",
    "relaxation",
    "spectrum",
    "typed",
    "write_measured",
]
