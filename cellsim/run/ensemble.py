"""Many runs at once: on the cores of one machine, or on a dask cluster by the address of its scheduler."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from cellsim.base import InputError
from cellsim.cell.geometry import Cell
from cellsim.cell.protocol import Protocol
from cellsim.electrolyte.transport import TransportSet
from cellsim.files.folder import read_values, replacing, write_values
from cellsim.run.simulation import simulate
from cellsim.solvers.march import Options
from cellsim.solvers.solution import Solution
from cellsim.workers import Workers, mapped

Keep = Callable[[Solution], Any]


@dataclass(frozen=True)
class Member:
    """One run of an ensemble; arguments as :func:`cellsim.simulate`.

    Parameters
    ----------
    cell : Cell
    transport : TransportSet
    protocol : Protocol
    c0 : float
        Initial salt concentration [mol/m^3].
    times : array_like, optional
        Output times [s].
    solver : str
        Name of the solver.
    options : Options, optional
        Grid and tolerances.
    label : str
        For reports.
    """

    cell: Cell
    transport: TransportSet
    protocol: Protocol
    c0: float
    times: ArrayLike | None = None
    solver: str = "auto"
    options: Options | None = None
    label: str = ""

    def run(self) -> Solution:
        """The solution of this member."""
        return simulate(
            self.cell,
            self.transport,
            self.protocol,
            c0=self.c0,
            times=self.times,
            solver=self.solver,
            options=self.options,
        )


@dataclass(frozen=True)
class Outcome:
    """What became of one member.

    Attributes
    ----------
    index : int
        Place in the ensemble.
    value : Solution or whatever `keep` made of it; None after a failure
    error : str
        What went wrong, "" where nothing did.
    label : str
        The member's.
    resumed : bool
        Whether it was read from the folder of an earlier call.
    """

    index: int
    value: Any
    error: str = ""
    label: str = ""
    resumed: bool = False

    @property
    def succeeded(self) -> bool:
        """Whether there is a value."""
        return not self.error


def simulate_many(
    members: Sequence[Member],
    *,
    workers: int | Workers | None = None,
    scheduler: str | None = None,
    keep: Keep | None = None,
    folder: str | Path | None = None,
    progress: Callable[[int, int], None] | None = None,
    chunk: int | None = None,
) -> list[Outcome]:
    """Run an ensemble.

    Order is kept. A member that fails is reported in its place and stops nobody. A worker that dies (out of memory,
    killed) loses nothing: what it was doing is done again, member by member, and only a member that takes its worker
    down twice is given up.

    Parameters
    ----------
    members : sequence of Member
        Runs over sets, cells or protocols.
    workers : int or Workers, optional
        Processes on this machine, default one per core; 1: in this process. Pass :class:`Workers` to keep them warm.
    scheduler : str, optional
        Address of a dask scheduler, ``"tcp://host:8786"``; then its workers do the work.
    keep : callable, optional
        Makes of a Solution what is wanted, in the worker, ``lambda s: s["i"]``; default the whole Solution, some
        megabytes each, which takes longer to send than a sundials run takes.
    folder : str or Path, optional
        Where every result is kept as soon as it is there; a later call with the same members reads them instead of
        running again. What `keep` makes must then be numbers, texts, arrays, or lists and mappings of them.
    progress : callable, optional
        Called with the number done and the number of all.
    chunk : int, optional
        Members sent to a worker at a time; default a few dozen parcels per worker.

    Returns
    -------
    list of Outcome

    Raises
    ------
    InputError
        Both `workers` and `scheduler` given.
    """
    if workers is not None and scheduler is not None:
        raise InputError("give workers or scheduler, not both")
    store = None if folder is None else _Store(Path(folder), members, keep)
    done: dict[int, Outcome] = {} if store is None else store.found()
    todo = [k for k in range(len(members)) if k not in done]
    work = mapped(
        partial(_run, keep=keep), [members[k] for k in todo], workers=workers, scheduler=scheduler, chunk=chunk
    )
    for one in work:
        index = todo[one.index]
        error = "" if one.error is None else f"{type(one.error).__name__}: {one.error}"
        done[index] = Outcome(index, one.value, error, members[index].label)
        if store is not None:
            store.save(done[index])
        if progress is not None:
            progress(len(done), len(members))
    return [done[k] for k in range(len(members))]


def _run(member: Member, keep: Keep | None) -> Any:
    solution = member.run()
    return solution if keep is None else keep(solution)


class _Store:
    """Results on disk, one file per member, named by its place and the digest of all that determines it."""

    def __init__(self, folder: Path, members: Sequence[Member], keep: Keep | None) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        tag = "" if keep is None else getattr(keep, "__qualname__", type(keep).__name__)
        self.names = [f"member-{k:06d}-{_digest(member, tag)}" for k, member in enumerate(members)]
        self.labels = [member.label for member in members]

    def found(self) -> dict[int, Outcome]:
        """What an earlier call left."""
        outcomes = {}
        for k, name in enumerate(self.names):
            if (self.folder / f"{name}.nc").is_file():
                value: Any = Solution.from_netcdf(self.folder / f"{name}.nc")
            elif (self.folder / f"{name}.npz").is_file():
                value = read_values(self.folder / f"{name}.npz")
            else:
                continue
            outcomes[k] = Outcome(k, value, "", self.labels[k], True)
        return outcomes

    def save(self, outcome: Outcome) -> None:
        """Keep a value, whole or not at all; failures are tried again next time."""
        if not outcome.succeeded:
            return
        name = self.names[outcome.index]
        if isinstance(outcome.value, Solution):
            with replacing(self.folder / f"{name}.nc") as partial_file:
                outcome.value.to_netcdf(partial_file)
        else:
            write_values(self.folder / f"{name}.npz", outcome.value)


def _digest(member: Member, tag: str) -> str:
    """Digest of what determines a result: for a set its values on its range, whatever functions they come from."""
    digest = hashlib.sha256(tag.encode())

    def add(value: Any) -> None:
        if isinstance(value, TransportSet):
            c = np.geomspace(*value.c_range, 64)
            held = value.with_extrapolation("clamp")
            for array in (c, held.kappa(c), held.D(c), held.t_plus(c), held.one_minus_t_plus_chi(c), held.phi_0(c)):
                digest.update(np.ascontiguousarray(array, dtype=float).tobytes())
            for part in (
                value.name,
                value.T,
                value.extrapolate,
                value.solvent_motion,
                value.z_plus,
                value.z_minus,
                value.nu_plus,
                value.nu_minus,
                value.M_e,
                value.M_0,
            ):
                add(part)
        elif is_dataclass(value) and not isinstance(value, type):
            for field in fields(value):
                if field.name != "label":
                    digest.update(field.name.encode())
                    add(getattr(value, field.name))
        elif isinstance(value, Mapping):
            for key in sorted(value):
                digest.update(str(key).encode())
                add(value[key])
        elif isinstance(value, np.ndarray | list | tuple):
            if isinstance(value, np.ndarray) or all(isinstance(v, int | float) for v in value):
                digest.update(np.asarray(value, dtype=float).tobytes())
            else:
                for part in value:
                    add(part)
        else:
            digest.update(repr(value).encode() + b";")

    add(member)
    return digest.hexdigest()[:16]
