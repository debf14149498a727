"""Concentrated-solution model of Li | electrolyte | Li: see README.md and docs/.

>>> import cellsim
>>> case = cellsim.load_case("cases/steinruck2020/rs.toml")  # doctest: +SKIP
>>> solution = cellsim.simulate(case.cell, case.transport, case.protocol, c0=case.c0)  # doctest: +SKIP
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cellsim.base import __version__

_PUBLIC = {
    "simulate": "cellsim.run.simulation",
    "simulate_many": "cellsim.run.ensemble",
    "Member": "cellsim.run.ensemble",
    "Workers": "cellsim.workers",
    "sensitivities": "cellsim.run.ensemble",
    "tangents": "cellsim.run.tangents",
    "Options": "cellsim.solvers.march",
    "Solution": "cellsim.solvers.solution",
    "TransportSet": "cellsim.electrolyte.transport",
    "load_set": "cellsim.electrolyte.set_file",
    "list_sets": "cellsim.electrolyte.set_file",
    "load_case": "cellsim.run.case",
    "last_profile": "cellsim.run.case",
    "Case": "cellsim.run.case",
    "Cell": "cellsim.cell.geometry",
    "InitialProfile": "cellsim.cell.geometry",
    "Separator": "cellsim.cell.geometry",
    "Electrode": "cellsim.cell.kinetics",
    "Resistance": "cellsim.cell.kinetics",
    "ButlerVolmer": "cellsim.cell.kinetics",
    "Protocol": "cellsim.cell.protocol",
    "StopConditions": "cellsim.cell.protocol",
    "hold_voltage": "cellsim.cell.protocol",
    "hold_current": "cellsim.cell.protocol",
    "rest": "cellsim.cell.protocol",
    "OnsagerMatrix": "cellsim.electrolyte.onsager",
}
__all__ = [
    "ButlerVolmer",
    "Case",
    "Cell",
    "Electrode",
    "InitialProfile",
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
    "last_profile",
    "list_sets",
    "load_case",
    "load_set",
    "rest",
    "sensitivities",
    "simulate",
    "simulate_many",
    "tangents",
]

if TYPE_CHECKING:
    from cellsim.cell.geometry import Cell, InitialProfile, Separator
    from cellsim.cell.kinetics import ButlerVolmer, Electrode, Resistance
    from cellsim.cell.protocol import Protocol, StopConditions, hold_current, hold_voltage, rest
    from cellsim.electrolyte.onsager import OnsagerMatrix
    from cellsim.electrolyte.set_file import list_sets, load_set
    from cellsim.electrolyte.transport import TransportSet
    from cellsim.run.case import Case, load_case
    from cellsim.run.cell_tables import last_profile
    from cellsim.run.ensemble import Member, sensitivities, simulate_many
    from cellsim.run.simulation import simulate
    from cellsim.run.tangents import tangents
    from cellsim.solvers.march import Options
    from cellsim.solvers.solution import Solution
    from cellsim.workers import Workers


def __getattr__(name: str) -> Any:
    """Load public names when first asked for, so that ``import cellsim`` stays quick."""
    if name not in _PUBLIC:
        raise AttributeError(f"module 'cellsim' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_PUBLIC[name]), name)
