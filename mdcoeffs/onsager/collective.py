"""The front door of Python users: a universe or plain arrays to summed displacements."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mdcoeffs.inputs.species import Species, SpeciesFile
from mdcoeffs.onsager.displacements import CollectiveDisplacements


def collective_displacements(
    source: Any, species: Sequence[Species], *, temperature: float, **options: Any
) -> CollectiveDisplacements:
    """Summed displacements of every species, unwrapped, the drift of the centre of mass taken away.

    Parameters
    ----------
    source : MDAnalysis.Universe or mapping
        A universe; or a mapping of arrays with the names that `mdcoeffs.inputs.arrays` lists, in SI units: ``time``
        and one of ``R``, ``positions``, ``labels``, ``box``, ...
    species : sequence of Species
        What is what.
    temperature : float
        Temperature [K].
    **options
        For a universe those of :func:`.read_trajectory`; for arrays ``coordinates``, ``volume``,
        ``start``, ``stop``, ``stride``.

    Returns
    -------
    CollectiveDisplacements
        Barycentric; "lab" for arrays without masses.

    Raises
    ------
    InputError
        Bad input of any kind, one sentence.

    Examples
    --------
    >>> from mdcoeffs import Species, collective_displacements
    >>> species = [Species("Li", 1, "cation"), Species("X", -1, "anion"), Species("S", 0, "solvent")]
    >>> run = collective_displacements(arrays, species, temperature=353.0)  # doctest: +SKIP
    """
    if isinstance(source, Mapping):
        from mdcoeffs.inputs.arrays import arrays_to_reading

        file = SpeciesFile(Path("arrays"), temperature, tuple(species), (), **({"self_part": "none"} | options))
        return arrays_to_reading(source, file).displacements
    from mdcoeffs.frames.trajectory import read_trajectory

    keywords = {"self_part": "none"} | options
    return read_trajectory(source, species, temperature=temperature, **keywords).displacements
