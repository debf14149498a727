"""Onsager coefficients from molecular dynamics, with error bars.

Names are imported when they are first used, so that the command line starts at once.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mdcoeffs.activity import activity_of
    from mdcoeffs.analysis import analyse, analyse_into, analyse_many
    from mdcoeffs.chain.to_set import set_from_recipe
    from mdcoeffs.inputs.species import Replica, Species, read_species
    from mdcoeffs.md.simulate import simulate_system
    from mdcoeffs.md.system import read_system
    from mdcoeffs.onsager import onsager_from_file
    from mdcoeffs.onsager.displacements import CollectiveDisplacements, SelfMSD
    from mdcoeffs.onsager.estimate import OnsagerEstimate, estimate_onsager
    from mdcoeffs.onsager.motion import collective_displacements
    from mdcoeffs.onsager.result import OnsagerResult, read_onsager

_MODULES = {
    "activity_of": "activity",
    "analyse": "analysis",
    "analyse_into": "analysis",
    "analyse_many": "analysis",
    "collective_displacements": "onsager.motion",
    "Replica": "inputs.species",
    "Species": "inputs.species",
    "read_species": "inputs.species",
    "CollectiveDisplacements": "onsager.displacements",
    "SelfMSD": "onsager.displacements",
    "OnsagerEstimate": "onsager.estimate",
    "estimate_onsager": "onsager.estimate",
    "OnsagerResult": "onsager.result",
    "onsager_from_file": "onsager",
    "read_onsager": "onsager.result",
    "simulate_system": "md.simulate",
    "read_system": "md.system",
    "set_from_recipe": "chain.to_set",
}

__all__ = [
    "CollectiveDisplacements",
    "OnsagerEstimate",
    "OnsagerResult",
    "Replica",
    "SelfMSD",
    "Species",
    "activity_of",
    "analyse",
    "analyse_into",
    "analyse_many",
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
    if name in _MODULES:
        return getattr(import_module(f"mdcoeffs.{_MODULES[name]}"), name)
    raise AttributeError(f"module 'mdcoeffs' has no attribute {name!r}")
