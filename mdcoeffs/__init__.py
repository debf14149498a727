"""Onsager coefficients from molecular dynamics, with error bars.

Names are imported when they are first used, so that the command line starts at once.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mdcoeffs.activity import activity_of
    from mdcoeffs.collective import collective_displacements
    from mdcoeffs.config import Replica, Species, read_species
    from mdcoeffs.displacements import CollectiveDisplacements, SelfMSD
    from mdcoeffs.estimate import OnsagerEstimate, estimate_onsager
    from mdcoeffs.onsager_run import OnsagerResult, onsager_from_file
    from mdcoeffs.report import read_onsager
    from mdcoeffs.simulate import simulate_system
    from mdcoeffs.system import read_system
    from mdcoeffs.to_set import set_from_recipe

_HOMES = {
    "activity_of": "activity",
    "collective_displacements": "collective",
    "Replica": "config",
    "Species": "config",
    "read_species": "config",
    "CollectiveDisplacements": "displacements",
    "SelfMSD": "displacements",
    "OnsagerEstimate": "estimate",
    "estimate_onsager": "estimate",
    "OnsagerResult": "onsager_run",
    "onsager_from_file": "onsager_run",
    "read_onsager": "report",
    "simulate_system": "simulate",
    "read_system": "system",
    "set_from_recipe": "to_set",
}

__all__ = [
    "CollectiveDisplacements",
    "OnsagerEstimate",
    "OnsagerResult",
    "Replica",
    "SelfMSD",
    "Species",
    "activity_of",
    "collective_displacements",
    "estimate_onsager",
    "onsager_from_file",
    "read_onsager",
    "read_species",
    "read_system",
    "set_from_recipe",
    "simulate_system",
    "synthetic",
]


def __getattr__(name: str) -> Any:
    if name == "synthetic":
        return import_module("mdcoeffs.synthetic")
    if name in _HOMES:
        return getattr(import_module(f"mdcoeffs.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'mdcoeffs' has no attribute {name!r}")
