"""simulate(): a cell, a transport set and a protocol in, a Solution out."""

from __future__ import annotations

import json
import platform
import time as clock
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import cache, lru_cache
from importlib import import_module, metadata
from typing import TYPE_CHECKING, Any, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cellsim.base import InputError, RangeError
from cellsim.cell.geometry import Cell, InitialProfile, average_of
from cellsim.cell.protocol import Protocol
from cellsim.electrolyte.mixture_set import MixtureSet
from cellsim.electrolyte.transport import TransportSet
from cellsim.solvers.march import Options
from cellsim.solvers.solution import MixtureSolution, Solution, SolverRun

if TYPE_CHECKING:
    from cellsim.model.charging import Charging

SOLVERS = {
    "compiled": "cellsim.solvers.compiled",
    "fipy": "cellsim.solvers.fipy",
    "material": "cellsim.solvers.material",
    "sundials": "cellsim.solvers.sundials",
}
"""Name of a solver -> the module whose `solve` runs it; imported when first asked for, FiPy alone takes a second."""
DEFAULT = "sundials"
"""What "auto" stands for: it refines its grid until the tolerance is met, in a thousandth of FiPy's time."""
FASTEST = "compiled"
"""What fits, bands and designs take, which run a cell a hundred times, where volumes do not vary."""
VARYING_VOLUMES = ("compiled", "sundials", "material")
"""The solvers that carry partial molar volumes which vary with concentration, the one that "auto" takes first."""


DOUBLE_LAYERS = "sundials"
"""The solver that carries double layers in time; "auto" takes it where an electrode has one."""


MIXTURE_SOLVERS = ("fipy", "sundials")
"""The solvers that carry n components."""


@overload
def simulate(
    cell: Cell,
    transport: MixtureSet,
    protocol: Protocol,
    *,
    c0: Mapping[str, float] | ArrayLike,
    times: ArrayLike | None = ...,
    solver: str = ...,
    options: Options | None = ...,
    attributes: Mapping[str, Any] | None = ...,
    progress: Callable[[float], None] | None = ...,
) -> MixtureSolution: ...
@overload
def simulate(
    cell: Cell,
    transport: TransportSet,
    protocol: Protocol,
    *,
    c0: float | InitialProfile,
    times: ArrayLike | None = ...,
    solver: str = ...,
    options: Options | None = ...,
    attributes: Mapping[str, Any] | None = ...,
    progress: Callable[[float], None] | None = ...,
) -> Solution: ...
@overload
def simulate(
    cell: Cell,
    transport: TransportSet | MixtureSet,
    protocol: Protocol,
    *,
    c0: Any,
    times: ArrayLike | None = ...,
    solver: str = ...,
    options: Options | None = ...,
    attributes: Mapping[str, Any] | None = ...,
    progress: Callable[[float], None] | None = ...,
) -> Solution: ...
def simulate(
    cell: Cell,
    transport: TransportSet | MixtureSet,
    protocol: Protocol,
    *,
    c0: Any,
    times: ArrayLike | None = None,
    solver: str = "auto",
    options: Options | None = None,
    attributes: Mapping[str, Any] | None = None,
    progress: Callable[[float], None] | None = None,
) -> Solution:
    """Run a protocol on a cell.

    Parameters
    ----------
    cell : Cell
        Geometry, temperature and electrodes.
    transport : TransportSet or MixtureSet
        Properties at the cell's temperature.
    protocol : Protocol
        Steps in order.
    c0 : float or InitialProfile
        Initial salt concentration: uniform [mol/m^3], or a profile. Of n components the concentrations by name
        [mol/m^3], or r, the moles per mole of the reference solvent, as an array in the order of the components [1].
    times : array_like, shape (n,), optional
        Times at which the result is wanted [s]; default :func:`output_times`, with double layers those of
        :meth:`.Charging.times` too. Starts and ends of steps are always kept.
    solver : {"auto", "compiled", "fipy", "material", "sundials"}
        "auto": sundials, or compiled where the partial molar volumes vary with concentration and no electrode has a
        double layer. Fipy and sundials carry n components; sundials alone carries double layers.
    options : Options, optional
        Grid and tolerances.
    attributes : mapping, optional
        Further provenance to keep in the result.
    progress : callable, optional
        Called with the fraction done.

    Returns
    -------
    Solution
        With a status; a run that ends early keeps what it reached. Of n components a :class:`.MixtureSolution`.

    Raises
    ------
    InputError
        Bad input, before any work is done.
    """
    options = options or Options()
    chosen = choose_solver(solver, transport, cell)
    wanted = wanted_times(protocol, times)
    if isinstance(transport, MixtureSet):
        _check_temperature(cell, transport)
        r0 = transport.initial(c0)
        begun = clock.perf_counter()
        from cellsim.solvers.mixture import solve as solve_mixture

        run = solve_mixture(chosen, cell, transport, protocol, wanted, r0, options, progress)
    else:
        _check(cell, transport, c0, options)
        if cell.has_double_layers:
            layers = charging(cell, transport, c0)
            wanted = wanted if times is not None else np.union1d(wanted, layers.times(protocol))
            attributes = {"charging_time": layers.settled} | dict(attributes or {})
        begun = clock.perf_counter()
        run = import_module(SOLVERS[chosen]).solve(cell, transport, protocol, wanted, c0, options, progress)
    return _solution(run, chosen, cell, transport, c0, options, clock.perf_counter() - begun, attributes)


def _check(cell: Cell, transport: TransportSet, c0: float | InitialProfile, options: Options) -> None:
    check_initial_state(cell, transport, c0)
    lowest = c0.extremes[0] if isinstance(c0, InitialProfile) else c0
    if options.c_min is not None and options.c_min >= lowest:
        raise InputError(
            f"solver.c_min = {options.c_min:.4g} mol/m^3 is not below the initial concentration, {lowest:.4g} mol/m^3"
        )


def _solution(
    run: SolverRun,
    solver: str,
    cell: Cell,
    transport: TransportSet | MixtureSet,
    c0: Any,
    options: Options,
    elapsed: float,
    attributes: Mapping[str, Any] | None = None,
) -> Solution:
    kind: type[Solution] = Solution
    if isinstance(transport, MixtureSet):
        kind, motion = MixtureSolution, {"species": ",".join(transport.species)}
    else:
        motion = {"solvent_motion": transport.solvent_motion}
    clamped = transport.extrapolate == "clamp" and not transport.contains(run.extremes)
    provenance = _provenance(solver, transport, options, clamped, elapsed) | motion
    provenance |= {"cell_thickness": cell.thickness}
    if isinstance(c0, InitialProfile):
        provenance |= {"initial": c0.source, "initial_time": c0.time}
    return kind(
        run.arrays,
        run.coordinates,
        run.status,
        run.message,
        provenance | dict(run.attributes) | dict(attributes or {}),
        run.log,
    )


def wanted_times(protocol: Protocol, times: ArrayLike | None) -> NDArray[np.float64]:
    """The times of a result in order, each once [s]; default :func:`output_times`.

    Raises
    ------
    InputError
        A time that is negative or not finite.
    """
    if times is None:
        return _output_times(tuple(float(step.duration) for step in protocol.steps))
    wanted = np.unique(np.asarray(times, dtype=float))
    if wanted.size and not (wanted[0] >= 0 and np.isfinite(wanted[-1])):
        raise InputError("output times must be finite and not negative")
    wanted.flags.writeable = False
    return wanted


@dataclass(frozen=True)
class Call:
    """A run of a binary salt by the compiled solver; arguments as :func:`simulate`."""

    cell: Cell
    transport: TransportSet
    protocol: Protocol
    c0: float | InitialProfile
    times: NDArray[np.float64]
    options: Options


def simulate_together(
    calls: Sequence[Call], aside: Callable[[], AbstractContextManager[None]] = nullcontext
) -> list[Solution | Exception]:
    """The solutions of runs by the compiled solver, those of their protocol steps that are alike in one compiled call.

    Each is what :func:`simulate` gives by itself, to the last bit; its `wall_time` is its share of the time of all.

    Parameters
    ----------
    calls : sequence of Call
        Their times as :func:`wanted_times` gives them.
    aside : callable, optional
        Gives the context of every compiled call, in which others may use the interpreter.

    Returns
    -------
    list of Solution or Exception
        In their order; of a run that cannot be made, why.

    Raises
    ------
    KeyboardInterrupt
        One was interrupted.
    """
    from cellsim.solvers.compiled import solve_many

    found: dict[int, Solution | Exception] = {}
    begun = clock.perf_counter()
    arguments = {}
    for k, c in enumerate(calls):
        try:
            _check(c.cell, c.transport, c.c0, c.options)
            arguments[k] = (c.cell, c.transport, c.protocol, c.times, c.c0, c.options)
        except Exception as error:  # one run's trouble must not end the others'; it is reported in its place
            found[k] = error
    runs = solve_many(list(arguments.values()), aside)
    elapsed = (clock.perf_counter() - begun) / max(len(runs), 1)
    for k, run in zip(arguments, runs, strict=True):
        c = calls[k]
        if not isinstance(run, Exception) and run.status == "interrupted":
            raise KeyboardInterrupt
        found[k] = (
            run
            if isinstance(run, Exception)
            else _solution(run, FASTEST, c.cell, c.transport, c.c0, c.options, elapsed)
        )
    return [found[k] for k in range(len(calls))]


NUDGE = 1e-6
"""Change of a parameter for :func:`simulate_beside`, relative to its scale: its curvature then counts for some 1e-6 of
the derivative, and rounding for less."""


def simulate_beside(
    first: Call, others: Sequence[Call], *, precise: bool = False, known: Solution | None = None
) -> list[Solution]:
    """The solution of a run, and beside it those of runs with other numbers that take its very time steps.

    For derivatives: what they differ by is smooth down to rounding; see :func:`cellsim.solvers.compiled.solve_beside`.

    Parameters
    ----------
    first : Call
        What decides grid and steps; its times and options are those of all.
    others : sequence of Call
        Runs whose numbers differ little.
    precise : bool
        Whether all are made more exactly than the first run by itself, so that the derivatives are as exact as it is.
    known : Solution, optional
        Of the first run, where it was made before: saves its time.

    Returns
    -------
    list of Solution
        The first, that of :func:`simulate` by the compiled solver to the last bit if not `precise`, and the others in
        their order. At the end of a step that ends by its stop condition each has its own time.

    Raises
    ------
    InputError
        Bad input, or a cell that the compiled solver does not carry.
    ConvergenceError
        The first run ends early, or one beside it cannot follow it.
    """
    from cellsim.solvers.compiled import solve_beside

    calls = (first, *others)
    for c in calls:
        choose_solver(FASTEST, c.transport, c.cell)
        _check(c.cell, c.transport, c.c0, c.options)
        if not np.array_equal(c.times, first.times):
            raise InputError("times: runs that share their time steps must have the same output times")
    begun = clock.perf_counter()
    arguments = [(c.cell, c.transport, c.protocol, c.c0) for c in calls]
    runs = solve_beside(
        arguments[0], arguments[1:], first.times, first.options, precise, None if known is None else known.arrays
    )
    elapsed = (clock.perf_counter() - begun) / len(runs)
    return [
        _solution(run, FASTEST, c.cell, c.transport, c.c0, first.options, elapsed)
        for run, c in zip(runs, calls, strict=True)
    ]


def simulate_whole(*arguments: Any, **options: Any) -> Solution:
    """As :func:`simulate`, for those who run many: Ctrl-C ends them all, where the solver would keep what this run has.

    A fit took the run that was interrupted for one that failed, and went on.

    Raises
    ------
    KeyboardInterrupt
        The run was interrupted.
    """
    solution = simulate(*arguments, **options)
    if solution.status == "interrupted":
        raise KeyboardInterrupt
    return solution


@lru_cache(maxsize=64)
def _options_text(options: Options) -> str:
    return json.dumps(asdict(options))


def _provenance(
    solver: str, transport: TransportSet | MixtureSet, options: Options, clamped: bool, elapsed: float
) -> dict[str, Any]:
    return {
        "solver": solver,
        "solver_options": _options_text(options),
        "transport": transport.name,
        "transport_status": transport.status,
        "transport_note": transport.note,
        "transport_toml": transport.text,
        "clamped": int(clamped),
        "versions": _versions_text(),
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "wall_time": elapsed,
    }


def fastest(cell: Cell) -> str:
    """The solver for those who run a binary cell a hundred times."""
    return DOUBLE_LAYERS if cell.has_double_layers else FASTEST


def choose_solver(solver: str, transport: TransportSet | MixtureSet, cell: Cell) -> str:
    """The solver that "auto" stands for, or the one named.

    Raises
    ------
    InputError
        Unknown name, the volume frame asked to carry volumes that vary, or a double layer that no run in time takes.
    """
    if solver not in ("auto", *SOLVERS):
        raise InputError(f"solver.name = {solver!r} must be one of auto, {', '.join(SOLVERS)}")
    if cell.has_double_layers:
        return _with_double_layers(solver, transport, cell)
    if isinstance(transport, MixtureSet):
        if solver not in ("auto", *MIXTURE_SOLVERS):
            raise InputError(
                f"solver.name = {solver!r}: {transport.name} has {len(transport.species)} species, which only "
                f"{' and '.join(MIXTURE_SOLVERS)} carry"
            )
        return DEFAULT if solver == "auto" else solver
    breathing = transport.volumes.varies and transport.solvent_motion == "volume"
    if solver == "auto":
        return VARYING_VOLUMES[0] if breathing else DEFAULT
    if breathing and solver not in VARYING_VOLUMES:
        raise InputError(
            f"solver.name = {solver!r}: the partial molar volumes of {transport.name} vary with concentration, which "
            'only a coordinate that moves with the solvent carries; use solver.name = "auto", "compiled", "sundials" '
            'or "material"'
        )
    return solver


def _with_double_layers(solver: str, transport: TransportSet | MixtureSet, cell: Cell) -> str:
    side, electrode = next((s, e) for s in ("positive", "negative") if (e := getattr(cell, s)).capacitance)
    key = f"electrodes.{side}.capacitance = {electrode.capacitance:.4g} F/m^2"
    if isinstance(transport, MixtureSet):
        raise InputError(
            f"{key}: runs of {transport.name}, which has {len(transport.species)} species, carry no double layer; "
            "leave the capacitance out"
        )
    if solver not in ("auto", DOUBLE_LAYERS):
        raise InputError(
            f"{key}: of the solvers only {DOUBLE_LAYERS} carries a double layer in time, not {solver}; "
            f'use solver.name = "{DOUBLE_LAYERS}" or "auto", or leave the capacitance out'
        )
    for side in ("positive", "negative"):
        phase = getattr(cell, side).phase
        if phase != 1:
            raise InputError(
                f"electrodes.{side}.phase = {phase:g}: a run in time takes a capacitance, phase = 1; the exponent of "
                "a constant-phase element is for impedances (cellsim lab impedance)"
            )
    return DOUBLE_LAYERS


def _check_temperature(cell: Cell, transport: TransportSet | MixtureSet) -> None:
    if abs(transport.T - cell.temperature) > 0.01:
        raise InputError(
            f"cell.temperature = {cell.temperature:.2f} K, but the transport set {transport.name} was loaded at "
            f"{transport.T:.2f} K"
        )


def check_initial_state(cell: Cell, transport: TransportSet, c0: float | InitialProfile) -> None:
    """Refuse an initial concentration [mol/m^3] the set cannot carry, or a set bound to another temperature.

    Raises
    ------
    InputError
    """
    name, values = "electrolyte.salt", np.array([])
    if isinstance(c0, InitialProfile):
        name, values = c0.source, np.array(c0.extremes)
        if not (np.all(np.isfinite(values)) and values[0] > 0):
            raise InputError(f"{name}: c = {values[0]:.4g} mol/m^3 must be positive")
        breathes = transport.volumes.varies and transport.solvent_motion == "volume"
        if abs(c0.thickness / cell.thickness - 1) > (BREATHING if breathes else 1e-6):
            raise InputError(
                f"{name}: the profile is {1e3 * c0.thickness:.6g} mm thick, cell.thickness is "
                f"{1e3 * cell.thickness:.6g} mm; the two must agree"
            )
    elif isinstance(c0, str) or not (np.isfinite(c0) and c0 > 0):
        raise InputError(f"electrolyte.salt: c = {c0!r} mol/m^3 must be positive")
    else:
        values = np.array([c0])
    _check_temperature(cell, transport)
    if values[-1] >= transport.volumes.c_saturation:
        raise InputError(
            f"{name}: c = {values[-1] / 1e3:.4g} mol/L lies beyond saturation of the volume balance of "
            f"{transport.name} ({transport.volumes.c_saturation / 1e3:.4g} mol/L); no room is left for solvent"
        )
    if transport.extrapolate == "error":
        try:
            transport.check(values if isinstance(c0, InitialProfile) else float(c0), what=f"{name}: c")
        except RangeError as error:
            raise InputError(str(error)) from error


BREATHING = 0.05
"""Where the volumes vary the electrolyte's thickness is that of its state; a profile's may differ by this part."""
MOST_STATES = 4000
"""Default output times of a run: a state with all that is derived from it takes 31 kB, 18 kB of them in a file."""


def charging(cell: Cell, transport: TransportSet, c0: float | InitialProfile) -> Charging:
    """How the double layers of a cell charge, of which a result has further default output times."""
    from cellsim.model.charging import Charging

    return Charging.of(cell, transport.with_extrapolation("clamp"), average_of(c0))


def output_times(protocol: Protocol, early: int = 60, even: int = 140) -> NDArray[np.float64]:
    """Default output times of a protocol: in every step dense early, then even.

    Parameters
    ----------
    protocol : Protocol
        The steps.
    early, even : int
        Times of a step spread in powers of ten, and evenly. Where there are so many steps that these would make more
        than :data:`MOST_STATES`, half of those are shared by all steps alike and half by their durations, but none
        gets fewer than seven.

    Returns
    -------
    ndarray, shape (n,)
        Increasing [s].
    """
    return _output_times(tuple(float(step.duration) for step in protocol.steps), early, even).copy()


@lru_cache(maxsize=64)
def _output_times(durations: tuple[float, ...], early: int = 60, even: int = 140) -> NDArray[np.float64]:
    """Those of steps of these durations [s]; ensembles and fits ask for the same ones again and again."""
    times, start, full, total = [], 0.0, early + even, sum(durations)
    for t in durations:
        share = 0.5 * MOST_STATES * (1 / len(durations) + t / total)
        part = 1.0 if full * len(durations) <= MOST_STATES else min(share / full, 1.0)
        some, rest = max(round(part * early), 3), max(round(part * even), 4)
        first = 10.0 ** -min(5.0, some / 4)  # four times in a decade, or they are no curve
        times.append(start + np.union1d(np.geomspace(first * t, t, some), np.linspace(0.0, t, rest + 1)[1:]))
        start += t
    found = np.unique(np.concatenate(times))
    found.flags.writeable = False  # it is handed out again and again
    return found


@cache
def _versions_text() -> str:
    return json.dumps(dict(versions()))


@cache
def versions() -> Mapping[str, str]:
    """Versions of what computed the result."""
    packages = ("cellsim", "fipy", "scikit-sundae", "numpy", "scipy", "xarray")
    return {"python": platform.python_version()} | {p: metadata.version(p) for p in packages}
