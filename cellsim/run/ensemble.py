"""Many runs at once, and what outputs answer to parameters.

On the cores of one machine, or on a dask cluster by the address of its scheduler. Runs of the compiled solver go
through one compiled loop, block after block, in threads; those of the others in processes.

Sensitivities of runs of the compiled solver come from runs that share their time steps (:func:`.simulate_beside`).
Those of the other solvers are central differences over whole runs: scikit-sundae exposes no forward sensitivities, and
complex steps cannot pass CVODE's real states. Central differences with steps of a few per cent and the solver's
tolerance at 1e-5 reach one per mille, with any solver, protocol and output, and run in parallel.
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, fields, is_dataclass
from functools import partial
from itertools import chain
from pathlib import Path
from threading import Lock
from typing import Any, Literal, cast

import numpy as np
from numpy.typing import ArrayLike

from cellsim.base import Array, CellsimError, ConvergenceError, InputError
from cellsim.cell.geometry import Cell, InitialProfile
from cellsim.cell.protocol import Protocol
from cellsim.electrolyte.mixture_set import MixtureSet
from cellsim.electrolyte.transport import TransportSet
from cellsim.files.reading import read_values
from cellsim.files.writing import write_values
from cellsim.run.simulation import (
    NUDGE,
    Call,
    choose_solver,
    simulate_beside,
    simulate_together,
    simulate_whole,
    wanted_times,
)
from cellsim.solvers.march import Options
from cellsim.solvers.solution import Solution
from cellsim.workers import Workers, cores, mapped

Keep = Callable[[Solution], Any]


@dataclass(frozen=True)
class Member:
    """One run of an ensemble; arguments as :func:`cellsim.simulate`.

    Parameters
    ----------
    cell : Cell
    transport : TransportSet or MixtureSet
    protocol : Protocol
    c0 : float, InitialProfile or ndarray
        Initial salt concentration [mol/m^3]; of n components r, shape (K,) [1].
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
    transport: TransportSet | MixtureSet
    protocol: Protocol
    c0: float | InitialProfile | Array
    times: ArrayLike | None = None
    solver: str = "auto"
    options: Options | None = None
    label: str = ""

    def run(self) -> Solution:
        """The solution of this member."""
        return simulate_whole(
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

    Order is kept. A member that fails is reported in its place and stops nobody.

    Members of the solver "compiled" run in threads of this process, some dozens in one compiled call that holds no
    lock of the interpreter; nothing is copied or sent, and each gives what it gives by itself, to the last bit. So does
    what `keep` makes, but only one thread at a time: where that takes longer than the run itself, pass
    :class:`Workers`, which sends these members to processes too. Members of the other solvers always run in processes.
    A process that dies (out of memory, killed) loses nothing: what it was doing is done again, member by member, and
    only a member that takes its process down twice is given up.

    Parameters
    ----------
    members : sequence of Member
        Runs over sets, cells or protocols.
    workers : int or Workers, optional
        Threads or processes on this machine, default one per core; 1: in this process alone. :class:`Workers` are
        processes that stay warm between calls.
    scheduler : str, optional
        Address of a dask scheduler, ``"tcp://host:8786"``; then its workers do the work.
    keep : callable, optional
        Makes of a Solution what is wanted, where it was run, ``lambda s: s["i"]``; default the whole Solution, whose
        states alone take 50 kB, and which takes longer to send between processes than a sundials run takes. What
        `keep` does not return is freed, so that memory does not grow with the number of members.
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
    done: dict[int, Outcome] = {} if store is None else store.finished()
    todo = [k for k in range(len(members)) if k not in done]
    # Members come back as they finish, not in order: a slow one must not hold back what the others have to store, for
    # what is stored is all that a call that was killed finds again.
    here = scheduler is None and not isinstance(workers, Workers)
    together = [k for k in todo if here and _goes_together(members[k])]
    apart = sorted(set(todo) - set(together))
    work = chain(
        _in_threads(members, together, keep, workers if isinstance(workers, int) else None),
        _in_processes(members, apart, keep, workers, scheduler, chunk),
    )
    for index, value, problem in work:
        # As text: an exception of a solver may hold what no process can send, and one failure must not end the others.
        error = "" if problem is None else f"{type(problem).__name__}: {problem}"
        done[index] = Outcome(index, value, error, members[index].label)
        if store is not None:
            store.save(done[index])
        if progress is not None:
            progress(len(done), len(members))
    return [done[k] for k in range(len(members))]


def _run(member: Member, keep: Keep | None) -> Any:
    solution = member.run()
    return solution if keep is None else keep(solution)


def _in_processes(
    members: Sequence[Member],
    indices: list[int],
    keep: Keep | None,
    workers: int | Workers | None,
    scheduler: str | None,
    chunk: int | None,
) -> Iterator[tuple[int, Any, Exception | None]]:
    chosen = [members[k] for k in indices]
    for returned in mapped(partial(_run, keep=keep), chosen, workers=workers, scheduler=scheduler, chunk=chunk):
        yield indices[returned.index], returned.value, returned.error


# ---- members of the compiled solver: in threads, without a copy ----------------------------------------------------

BLOCK = 64
"""Members whose protocol steps are done in one compiled call: what Python does between two calls is then a tenth, and
what is held at a time, states and tables, some 10 MB for each thread."""


def _goes_together(member: Member) -> bool:
    """Whether it is one of the compiled solver, which runs many at once."""
    return member.solver == "compiled" and not isinstance(member.transport, MixtureSet)


def _in_threads(
    members: Sequence[Member], indices: list[int], keep: Keep | None, workers: int | None
) -> Iterator[tuple[int, Any, Exception | None]]:
    """Block after block, with one thread in this one, else as many threads; at most two blocks a thread wait.

    What Python does of a block is done by one thread at a time, under a lock of ours. Left to the interpreter's lock,
    which numpy lets go at every larger array, two threads took twice as long as one where every member has a set of its
    own, whose tables Python makes.
    """
    count = min(workers or cores(), -(-len(indices) // BLOCK_LEAST))
    size = max(1, min(BLOCK, -(-len(indices) // max(count, 1))))
    blocks = [indices[k : k + size] for k in range(0, len(indices), size)]
    if count <= 1:
        for block in blocks:
            yield from _block(members, block, keep)
        return
    waiting, turn = deque(blocks), Lock()
    pool = ThreadPoolExecutor(count)
    try:
        running: set[Future[Any]] = set()
        while running or waiting:
            while waiting and len(running) < 2 * count:
                running.add(pool.submit(_in_turn, turn, members, waiting.popleft(), keep))
            finished, running = wait(running, return_when=FIRST_COMPLETED)
            for future in finished:
                yield from future.result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


BLOCK_LEAST = 8
"""Members that are worth a further thread."""


Kept = list[tuple[int, Any, Exception | None]]


def _in_turn(turn: Lock, members: Sequence[Member], block: list[int], keep: Keep | None) -> Kept:
    """:func:`_block`, holding the lock but in compiled calls."""

    @contextmanager
    def aside() -> Iterator[None]:
        turn.release()
        try:
            yield
        finally:
            turn.acquire()

    with turn:
        return _block(members, block, keep, aside)


def _block(
    members: Sequence[Member],
    block: list[int],
    keep: Keep | None,
    aside: Callable[[], AbstractContextManager[None]] = nullcontext,
) -> Kept:
    """Run some members together; what `keep` makes of each."""
    times: dict[Any, Any] = {}
    calls, failed = {}, {}
    for k in block:
        member = members[k]
        try:
            choose_solver(member.solver, member.transport, member.cell)
            # times that members share are put in order once
            key = tuple(s.duration for s in member.protocol.steps) if member.times is None else id(member.times)
            if key not in times:
                times[key] = wanted_times(member.protocol, member.times)
            options = member.options or Options()
            calls[k] = Call(
                *(member.cell, cast(TransportSet, member.transport), member.protocol),
                *(cast(float | InitialProfile, member.c0), times[key], options),
            )
        except Exception as error:  # reported in its place, as below
            failed[k] = error
    found: dict[int, Any] = dict(zip(calls, simulate_together(list(calls.values()), aside), strict=True)) | failed
    return [(k, *_kept(found[k], keep)) for k in block]


def _kept(solution: Solution | Exception, keep: Keep | None) -> tuple[Any, Exception | None]:
    if isinstance(solution, Exception):
        return None, solution
    if keep is None:
        return solution, None
    try:
        return keep(solution), None
    except Exception as error:  # one member's trouble must not end the others'; it is reported in its place
        return None, error


class _Store:
    """Results on disk, one file per member, named by its place and the digest of all that determines it."""

    def __init__(self, folder: Path, members: Sequence[Member], keep: Keep | None) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        tag = "" if keep is None else getattr(keep, "__qualname__", type(keep).__name__)
        self.names = [f"member-{k:06d}-{_digest(member, tag)}" for k, member in enumerate(members)]
        self.labels = [member.label for member in members]

    def finished(self) -> dict[int, Outcome]:
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
            outcome.value.to_netcdf(self.folder / f"{name}.nc")
        else:
            write_values(self.folder / f"{name}.npz", outcome.value)


def _digest(member: Member, tag: str) -> str:
    """Digest of what determines a result: for a set its values on its range, whatever functions they come from."""
    digest = hashlib.sha256(tag.encode())

    def add(value: Any) -> None:
        if isinstance(value, MixtureSet):
            at = value.at(value.samples)
            for array in (at.kappa, at.tau, at.L, at.G, at.c_0, value.partial_volumes(value.samples), value.r_range):
                digest.update(np.ascontiguousarray(array, dtype=float).tobytes())
            add(repr((value.species, value.charges, value.T, value.extrapolate)))
        elif isinstance(value, TransportSet):
            c = np.geomspace(*value.c_range, 64)
            clamped = value.with_extrapolation("clamp")
            for array in (
                c,
                clamped.kappa(c),
                clamped.D(c),
                clamped.t_plus(c),
                clamped.one_minus_t_plus_chi(c),
                clamped.phi_0(c),
            ):
                digest.update(np.ascontiguousarray(array, dtype=float).tobytes())
            for item in (
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
                add(item)
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
                for item in value:
                    add(item)
        else:
            digest.update(repr(value).encode() + b";")

    add(member)
    return digest.hexdigest()[:16]


@dataclass(frozen=True)
class Sensitivities:
    """Outputs at a point of the parameter space and their derivatives.

    Attributes
    ----------
    value : ndarray, shape (outputs,)
        Outputs at the parameters.
    jacobian : ndarray, shape (outputs, parameters)
        d(output)/d(parameter).
    error : ndarray, shape (outputs, parameters), or None
        Estimated error of the derivatives, from a second step; None where it was not asked for.
    """

    value: Array
    jacobian: Array
    error: Array | None = None


def sensitivities(
    build: Callable[[Array], Member],
    parameters: ArrayLike,
    outputs: Callable[[Solution], Any],
    *,
    step: float = 0.03,
    scale: ArrayLike | None = None,
    estimate_error: bool = False,
    method: Literal["auto", "together", "differences"] = "auto",
    workers: int | Workers | None = 1,
    scheduler: str | None = None,
) -> Sensitivities:
    """Derivatives of outputs with respect to parameters.

    By "differences" of whole runs d(output)/d(p) = [output(p + h) - output(p - h)]/(2h), h = `step` times `scale`: an
    error of the order h^2 from the curvature, and of the solver's error over h. Ask the solver for 1e-5 or better
    (`Options(rtol=1e-5)`). "Together" the compiled solver makes one run for each parameter by the time steps of the run
    itself, with h a millionth of `scale`: the derivative of the solution that it finds. For parameters by name see
    :func:`cellsim.tangents`.

    Parameters
    ----------
    build : callable
        Makes a member of an ensemble from parameters, shape (p,); in parallel runs it is called here, not in workers.
    parameters : array_like, shape (p,)
        Where to differentiate.
    outputs : callable
        Makes numbers of a Solution, all in the same places every time, ``lambda s: s["i"]``.
    step : float
        Relative step [1].
    scale : array_like, shape (p,), optional
        What a parameter's step is relative to; default its own size, 1 for zero.
    estimate_error : bool
        Of differences, at twice the runs: a second, double step, the extrapolated derivative and an estimate of what is
        left.
    method : {"auto", "together", "differences"}
        "auto": together where members name the solver "compiled", no error is asked for and the parameters move neither
        durations nor output times; else differences.
    workers, scheduler
        Of differences, as :func:`cellsim.run.ensemble.simulate_many`; default: in this process.

    Returns
    -------
    Sensitivities

    Raises
    ------
    InputError
        An unknown method, or "together" of members that the compiled solver does not carry.
    ConvergenceError
        If one of the runs fails.
    """
    if method not in ("auto", "together", "differences"):
        raise InputError(f"method = {method!r} must be auto, together or differences")
    point = np.atleast_1d(np.asarray(parameters, dtype=float))
    size = np.abs(point) if scale is None else np.broadcast_to(np.asarray(scale, dtype=float), point.shape)
    size = np.where(size > 0, size, 1.0)
    if method == "together" or (method == "auto" and not estimate_error and _goes_together(build(point))):
        try:
            return _together(build, point, NUDGE * size, outputs)
        except CellsimError:  # steps, stop conditions or times that the parameters move
            if method == "together":
                raise
    h = step * size
    factors = (1.0, 2.0) if estimate_error else (1.0,)
    points = [point] + [
        point + sign * factor * h[k] * np.eye(point.size)[k]
        for factor in factors
        for k in range(point.size)
        for sign in (1, -1)
    ]
    outcomes = simulate_many(
        [build(p) for p in points], keep=outputs, workers=None if scheduler else workers, scheduler=scheduler
    )
    for outcome in outcomes:
        if not outcome.succeeded:
            raise ConvergenceError(
                f"run {outcome.index} of {len(points)} for the sensitivities failed: {outcome.error}"
            )
    values = np.array([np.atleast_1d(np.asarray(outcome.value, dtype=float)) for outcome in outcomes])
    pairs = values[1:].reshape(len(factors), point.size, 2, -1)
    slopes = [((pairs[f, :, 0] - pairs[f, :, 1]) / (2 * factor * h[:, None])).T for f, factor in enumerate(factors)]
    if not estimate_error:
        return Sensitivities(values[0], slopes[0])
    correction = (slopes[0] - slopes[1]) / 3
    return Sensitivities(values[0], slopes[0] + correction, np.abs(correction))


def _together(
    build: Callable[[Array], Member], point: Array, changes: Array, outputs: Callable[[Solution], Any]
) -> Sensitivities:
    """By runs that share their time steps."""
    calls = []
    for change in np.concatenate([np.zeros((1, point.size)), np.diag(changes)]):
        m = build(point + change)
        if not _goes_together(m):
            raise InputError(
                f'method = "together": only the compiled solver makes such runs, of one salt, and a member names the '
                f'solver "{m.solver}"; use Member(..., solver="compiled") or method = "differences"'
            )
        transport, c0 = cast(TransportSet, m.transport), cast(float | InitialProfile, m.c0)
        times, options = wanted_times(m.protocol, m.times), m.options or Options()
        calls.append(Call(m.cell, transport, m.protocol, c0, times, options))
    value, *others = (
        np.atleast_1d(np.asarray(outputs(s), dtype=float)) for s in simulate_beside(calls[0], calls[1:], precise=True)
    )
    return Sensitivities(value, np.column_stack([(x - value) / h for x, h in zip(others, changes, strict=True)]))
