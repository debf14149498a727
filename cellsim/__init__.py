"""Concentrated-solution model of Li | electrolyte | Li: see README.md and docs/.

>>> import cellsim
>>> case = cellsim.load_case("cases/steinruck2020/rs.toml")  # doctest: +SKIP
>>> solution = cellsim.simulate(case.cell, case.transport, case.protocol, c0=case.c0)  # doctest: +SKIP
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_PUBLIC = {
    "simulate": "cellsim.simulation",
    "simulate_many": "cellsim.ensemble",
    "Member": "cellsim.ensemble",
    "Workers": "cellsim.ensemble",
    "sensitivities": "cellsim.sensitivity",
    "Options": "cellsim.solvers.state",
    "Solution": "cellsim.solution",
    "TransportSet": "cellsim.transport",
    "load_set": "cellsim.set_file",
    "list_sets": "cellsim.set_file",
    "load_case": "cellsim.case",
    "Case": "cellsim.case",
    "Cell": "cellsim.cell",
    "Separator": "cellsim.cell",
    "Electrode": "cellsim.kinetics",
    "Resistance": "cellsim.kinetics",
    "ButlerVolmer": "cellsim.kinetics",
    "Protocol": "cellsim.protocol",
    "StopConditions": "cellsim.protocol",
    "hold_voltage": "cellsim.protocol",
    "hold_current": "cellsim.protocol",
    "rest": "cellsim.protocol",
    "OnsagerMatrix": "cellsim.onsager",
}
__all__ = [
    "ButlerVolmer",
    "Case",
    "Cell",
    "Electrode",
    "Member",
    "OnsagerMatrix",
    "Options",
    "Protocol",
    "Resistance",
    "Separator",
    "Solution",
    "StopConditions",
    "TransportSet",
    "Workers",
    "__version__",
    "hold_current",
    "hold_voltage",
    "list_sets",
    "load_case",
    "load_set",
    "rest",
    "sensitivities",
    "simulate",
    "simulate_many",
]

if TYPE_CHECKING:
    from cellsim.case import Case, load_case
    from cellsim.cell import Cell, Separator
    from cellsim.ensemble import Member, Workers, simulate_many
    from cellsim.kinetics import ButlerVolmer, Electrode, Resistance
    from cellsim.onsager import OnsagerMatrix
    from cellsim.protocol import Protocol, StopConditions, hold_current, hold_voltage, rest
    from cellsim.sensitivity import sensitivities
    from cellsim.set_file import list_sets, load_set
    from cellsim.simulation import simulate
    from cellsim.solution import Solution
    from cellsim.solvers.state import Options
    from cellsim.transport import TransportSet


def __getattr__(name: str) -> Any:
    """Load public names when first asked for, so that ``import cellsim`` stays quick."""
    if name not in _PUBLIC:
        raise AttributeError(f"module 'cellsim' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_PUBLIC[name]), name)
