# ruff: noqa: E402
"""Speed of the solvers on the polarisation of a cell: error beside time, FiPy, sundials, compiled, PyBaMM in one run.

    python benchmarks/polarization.py -o runs/polarization [--peer-python PYTHON] [--repeats 30] [--part PART]

PART is accuracy, size, ensemble, batch, breathing or tangents.

The cell is cases/steinruck2020/rs.toml: 0.3 V for 1000 min, 200 output times. The reference is the spectral solver
with 159 unknowns at rtol 1e-9, which finite volumes confirm (Richardson, printed). Errors: the largest of
|i/i_ref - 1| at t >= 60 s, and of |c - c_ref|/c_average at both walls there. Times are of one thread: `first` from
scratch (import of the solver and compiled code from its cache included), `repeated` the minimum of many calls of
simulate(), which gives times, current, status and states; profiles and derived quantities are made when read, and
`with c` reads i, c and c_face too. PyBaMM's repeated time is that of solver.solve() alone on a model already built.
PYTHON is an interpreter with requirements-peers.lock installed; without it PyBaMM is left out.
"""

from __future__ import annotations

import argparse
import functools
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(name, "1")

import numpy as np

from cellsim.cell.protocol import Protocol, hold_voltage
from cellsim.drawing.figstyle import COLOURS, GREY, MARKERS, TWO_COLUMNS, drawing
from cellsim.run.case import Case, load_case
from cellsim.run.ensemble import Member, simulate_many
from cellsim.run.simulation import output_times, simulate
from cellsim.solvers.march import Options
from cellsim.solvers.solution import Solution
from cellsim.workers import Workers

ROOT = Path(__file__).parents[1]
CASE = ROOT / "cases/steinruck2020/rs.toml"
LATE = 60.0
FAST = ("sundials", "compiled")
REFERENCE = Options(rtol=1e-9, unknowns=159)
FIRST = "import time; a = time.perf_counter(); import sys; sys.path.insert(0, {here!r}); import polarization as p; \
case = p.load_case(p.CASE); b = time.perf_counter(); p.solve(case, {solver!r}, p.Options(**{options!r})); \
print(time.perf_counter() - b)"


def solve(case: Case, solver: str, options: Options, times: np.ndarray | None = None) -> Solution:
    """One run of the case."""
    return simulate(case.cell, case.transport, case.protocol, c0=case.c0, times=times, solver=solver, options=options)


def errors(s: Solution, reference: Solution, c0: float) -> tuple[float, float]:
    """Largest error of i and of c at the walls from `LATE` on."""
    late = reference["time"] >= LATE
    i = np.max(np.abs(s["i"] / reference["i"] - 1)[late])
    walls = np.max(np.abs(s["c_face"][:, [0, -1]] - reference["c_face"][:, [0, -1]])[late]) / c0
    return float(i), float(walls)


def clock(function: Callable[[], Any], repeats: int) -> tuple[float, float, float]:
    """Smallest and median wall time and smallest processor time of calls [s]; the last does not see a busy machine."""
    wall, processor = [], []
    for _ in range(repeats):
        begun, begun_processor = time.perf_counter(), time.process_time()
        function()
        wall.append(time.perf_counter() - begun)
        processor.append(time.process_time() - begun_processor)
    return min(wall), float(np.median(wall)), min(processor)


def first_call(solver: str, options: dict[str, Any]) -> float:
    """Wall time of the first run in a fresh process, without the import of cellsim itself [s]."""
    code = FIRST.format(here=str(Path(__file__).parent), solver=solver, options=options)
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    return float(done.stdout.split()[-1])


def ours(case: Case, reference: Solution, repeats: int) -> list[dict[str, Any]]:
    """Error and time of FiPy, sundials and compiled over sizes and tolerances."""
    plans: list[tuple[str, dict[str, Any], int]] = [
        (solver, {"rtol": rtol}, repeats if rtol > 1e-5 else max(repeats // 10, 1))
        for rtol in (1e-3, 3e-4, 1e-4, 5e-5, 2e-5, 1e-5, 1e-6, 1e-7, 1e-8)
        for solver in FAST
    ]
    plans += [("fipy", {"cells": cells, "rtol": rtol}, 1) for cells, rtol in ((40, 1e-3), (80, 1e-4), (160, 2e-5))]
    rows = []
    for solver, choice, times in plans:
        options = Options(**choice)
        s = solve(case, solver, options)
        error_i, error_c = errors(s, reference, case.c0)
        wall, median, processor = clock(lambda o=options, n=solver: solve(case, n, o), times)  # type: ignore[misc]

        def with_c(o: Options = options, n: str = solver) -> None:
            s = solve(case, n, o)
            _ = s["i"], s["c"], s["c_face"]

        rows.append({
            "tool": solver, "size": s.attributes.get("unknowns", options.cells), "rtol": options.rtol,
            "error_i": error_i, "error_c": error_c, "repeated": wall, "median": median, "processor": processor,
            "with_c": clock(with_c, times)[0] if solver in FAST else wall, "first": None,
        })  # fmt: skip
        print(line(rows[-1]), flush=True)
    for solver, choice in (*((name, {"rtol": 3e-4}) for name in FAST), ("fipy", {"cells": 80, "rtol": 1e-4})):
        row = next(r for r in rows if r["tool"] == solver and r["rtol"] == choice["rtol"])
        row["first"] = first_call(solver, choice)
    return rows


def peer(case: Case, reference: Solution, python: str, repeats: int, folder: Path) -> list[dict[str, Any]]:
    """The same of PyBaMM, in its own process and environment."""
    transport = case.transport
    low, high = transport.c_range
    c = np.linspace(max(low, 0.02 * case.c0), high, 1500)  # the walls stay above 0.09 c0
    np.savez(
        folder / "problem.npz", thickness=case.cell.thickness, voltage=case.protocol.steps[0].value[0],
        c_init=case.c0, K=transport.thermal_voltage, i_0=reference["i"][0], c=c, D=transport.D(c),
        M=transport.migration(c), resistivity=1 / transport.kappa(c), W=transport.potential_integral(c),
        times=reference["time"], i=reference["i"], walls=reference["c_face"][:, [0, -1]], late=LATE,
    )  # fmt: skip
    script = Path(__file__).with_name("polarization_pybamm.py")
    subprocess.run(
        [python, str(script), str(folder / "problem.npz"), str(folder / "pybamm.json"), str(repeats), "pchip"],
        check=True, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    found = json.loads((folder / "pybamm.json").read_text())
    rows = [row for row in found["rows"] if "failed" not in row]
    for row in front(rows):
        print(line(row), flush=True)
    return rows


def front(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows that no other beats in both error and time, slowest last."""
    best: list[dict[str, Any]] = []
    for row in sorted(rows, key=lambda r: r["repeated"]):
        if not best or worst(row) < worst(best[-1]):
            best.append(row)
    return best


def worst(row: dict[str, Any]) -> float:
    """The larger of both errors."""
    return max(row["error_i"], row["error_c"])


def line(row: dict[str, Any]) -> str:
    """A row of the table."""
    mesh = f" {row['mesh']} {row['stretch']:g}" if "mesh" in row else ""
    cpu = 1e3 * row["processor"]
    first = "" if row.get("first") is None else f"{1e3 * row['first']:.0f}"
    with_c = "" if "with_c" not in row else f"{1e3 * row['with_c']:.2f}"
    return (
        f"| {row['tool']}{mesh} | {row['size']} | {row['rtol']:.0e} | {row['error_i']:.1e} | {row['error_c']:.1e} "
        f"| {1e3 * row['repeated']:.2f} | {1e3 * row['median']:.2f} | {cpu:.2f} | {with_c} | {first} |"
    )


HEAD = (
    "| tool | size | rtol | error i | error c | repeated / ms | median / ms | cpu / ms | with c / ms | first / ms |\n"
    "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |"
)


def at_error(rows: list[dict[str, Any]], tool: str, error: float) -> dict[str, Any] | None:
    """The fastest row of a tool with both errors at most `error`."""
    fine = [row for row in rows if row["tool"] == tool and worst(row) <= error]
    return min(fine, key=lambda r: r["repeated"]) if fine else None


def accuracy(case: Case, arguments: argparse.Namespace, folder: Path) -> None:
    """The table and the work-precision figure."""
    times = np.union1d([0.0], output_times(case.protocol))
    reference = solve(case, "sundials", REFERENCE, times)
    print(HEAD)
    rows = ours(case, reference, arguments.repeats)
    if arguments.peer_python:
        rows += peer(case, reference, arguments.peer_python, arguments.repeats, folder)
        rows += [row | {"tool": row["tool"] + " again"} for row in ours(case, reference, arguments.repeats)[:6]]
    lines = [HEAD] + [line(row) for row in rows if row["tool"] != "PyBaMM"]
    lines += [line(row) for row in front([row for row in rows if row["tool"] == "PyBaMM"])]
    for error in (1e-3, 1e-4):
        for name, others in (("sundials", ("fipy", "PyBaMM")), ("compiled", ("sundials", "fipy", "PyBaMM"))):
            us = at_error(rows, name, error)
            for other in others:
                them = at_error(rows, other, error)
                if us and them:
                    ratio = them["repeated"] / us["repeated"]
                    lines.append(
                        f"\nError <= {error:g}: {name} {1e3 * us['repeated']:.2f} ms, {other} "
                        f"{1e3 * them['repeated']:.2f} ms, {ratio:.1f} times "
                        f"(processor time {them['processor'] / us['processor']:.1f} times)."
                    )
    (folder / "accuracy.md").write_text("\n".join(lines) + "\n")
    (folder / "accuracy.json").write_text(json.dumps(rows, indent=1))
    print("\n".join(line for line in lines if "Error" in line))
    with drawing(folder / "work_precision.png", title="Work and precision, RS case") as (_figure, axes):
        for k, tool in enumerate(("fipy", "PyBaMM", "sundials", "compiled")):
            mine = [row for row in rows if row["tool"] == tool]
            axes[0].loglog([1e3 * r["repeated"] for r in mine], [worst(r) for r in mine], MARKERS[k],
                           color=COLOURS[k], alpha=0.35, fillstyle="none")  # fmt: skip
            best = front(mine)
            axes[0].loglog([1e3 * r["repeated"] for r in best], [worst(r) for r in best], MARKERS[k] + "-",
                           color=COLOURS[k], label={"fipy": "FiPy"}.get(tool, tool))  # fmt: skip
        axes[0].axhline(1e-3, color=GREY, lw=0.6)
        axes[0].set_xlabel("time of a repeated run / ms")
        axes[0].set_ylabel("largest error of i and c / 1")
        axes[0].legend()


def size(case: Case, arguments: argparse.Namespace, folder: Path) -> None:
    """Time against cells, unknowns, duration, members and workers."""
    from cellsim.solvers.banded import Banded
    from cellsim.solvers.march import fatal_limits
    from cellsim.solvers.packing import Physics
    from cellsim.solvers.sundials import CvodeRun

    times = output_times(case.protocol)
    result: dict[str, Any] = {}
    cells = np.array([25, 50, 100, 200, 400, 800, 1600])

    def volumes(n: int) -> None:
        options = Options(cells=n)
        physics = Physics(case.cell, case.transport, case.c0, case.transport.c_range[0], 1e-6)
        limits = fatal_limits(case.transport, case.c0, options)
        CvodeRun(Banded(physics, n, options.stretch), case.protocol, times, limits, options, None).go()

    result["finite volumes"] = [clock(lambda n=n: volumes(int(n)), 6)[0] for n in cells]  # type: ignore[misc]
    result["fipy"] = [clock(lambda n=n: solve(case, "fipy", Options(cells=int(n), rtol=1e-4)), 1)[0] for n in cells]  # type: ignore[misc]
    unknowns = np.array([15, 31, 47, 71, 107, 159])
    result["spectral"] = [
        clock(lambda n=n: solve(case, "sundials", Options(unknowns=int(n))), 20)[0]  # type: ignore[misc]
        for n in unknowns
    ]
    durations = np.array([600.0, 6e3, 6e4, 6e5])

    def last(duration: float) -> None:
        protocol = Protocol((hold_voltage(0.3, duration),))
        simulate(case.cell, case.transport, protocol, c0=case.c0, solver="sundials", options=Options(rtol=3e-4))

    result["duration"] = [clock(lambda d=d: last(float(d)), 40)[0] for d in durations]  # type: ignore[misc]
    counts, speed = np.array([8, 32, 128, 512]), {}
    for workers in (1, 2):
        with Workers(workers) as pool:

            def many(n: int, pool: Workers = pool) -> None:
                simulate_many([member(case, k) for k in range(n)], workers=pool, keep=last_current)

            many(4 * workers)
            speed[workers] = [clock(lambda n=n: many(int(n)), 2)[0] for n in counts]  # type: ignore[misc]
    result["ensemble 1"], result["ensemble 2"] = speed[1], speed[2]
    result["load"] = os.getloadavg()[0]
    table = {key: [float(v) for v in np.atleast_1d(value)] for key, value in result.items()}
    (folder / "size.json").write_text(json.dumps(table, indent=1))
    print(json.dumps(table))
    with drawing(folder / "size.png", columns=3, width=TWO_COLUMNS, title="Cost against size") as (_figure, axes):
        for k, name in enumerate(("fipy", "finite volumes", "spectral")):
            x = unknowns if name == "spectral" else cells
            axes[0].loglog(x, 1e3 * np.array(table[name]), MARKERS[k] + "-", color=COLOURS[k],
                           label={"fipy": "FiPy", "finite volumes": "sundials, volumes",
                                  "spectral": "sundials, spectral"}[name])  # fmt: skip
        axes[0].set_xlabel("cells or unknowns / 1")
        axes[1].semilogx(durations / 60, 1e3 * np.array(table["duration"]), "o-", color=COLOURS[2])
        axes[1].set_xlabel("duration / min")
        axes[1].set_ylim(bottom=0)
        for workers in (1, 2):
            axes[2].loglog(counts, np.array(table[f"ensemble {workers}"]), MARKERS[workers] + "-",
                           color=COLOURS[workers], label=f"{workers} worker" + "s" * (workers > 1))  # fmt: skip
        axes[2].set_xlabel("members / 1")
        for ax, unit in zip(axes, ("ms", "ms", "s"), strict=True):
            ax.set_ylabel(f"time / {unit}")
        axes[0].legend()
        axes[2].legend()


def member(case: Case, k: int) -> Member:
    """Members that differ: the voltage runs from 0.05 to 0.3 V."""
    voltage = 0.05 + 0.25 * (k % 97) / 96
    protocol = Protocol((hold_voltage(voltage, 6e4),))
    return Member(case.cell, case.transport, protocol, case.c0, solver="sundials", options=Options(rtol=1e-6))


def last_current(s: Solution) -> float:
    """What an ensemble keeps."""
    return float(s["i"][-1])


def ensemble(case: Case, arguments: argparse.Namespace, folder: Path) -> None:
    """An ensemble of FiPy runs, at least 10 s of serial work, on one and on two warm workers, taken in turns."""
    members = [
        Member(case.cell, case.transport, Protocol((hold_voltage(0.1 + 0.01 * k, 6e4),)), case.c0, solver="fipy",
               options=Options(cells=60, rtol=1e-4))
        for k in range(16)
    ]  # fmt: skip
    spent: dict[int, list[float]] = {1: [], 2: []}
    with Workers(1) as one, Workers(2) as two:
        for pool in (one, two):
            simulate_many(members[:4], workers=pool, keep=last_current, chunk=1)
        for _ in range(3):
            for count, pool in ((1, one), (2, two)):
                work = functools.partial(simulate_many, members, workers=pool, keep=last_current, chunk=1)
                spent[count].append(clock(work, 1)[0])
    text = (f"ensemble of {len(members)} FiPy runs: one warm worker {min(spent[1]):.1f} s, two {min(spent[2]):.1f} s, "
            f"{min(spent[1]) / min(spent[2]):.2f} times; load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} "
            "cores")  # fmt: skip
    (folder / "ensemble.md").write_text(text + "\n")
    print(text)


def batch(case: Case, arguments: argparse.Namespace, folder: Path) -> None:
    """Members that differ in voltage or in the set, one by one and together, on one thread and on two, in turns.

    Few members and many rounds show what one thread needs on a busy machine too: some rounds are not interrupted.
    Besides the wall time the processor time is given, and how much of it Python took: the part that only one thread
    does at a time, so that what two cores can gain is known where the machine is too busy to show it.
    """
    from dataclasses import replace

    from cellsim.solvers import compiled

    size, options = arguments.members, Options(rtol=1e-3)
    times = np.union1d([0.0], output_times(case.protocol))

    def scaled(k: int) -> Any:
        D, factor = case.transport.D_source, 1 + 0.1 * k / size
        return replace(case.transport, D_source=lambda c, m, r: factor * D(c, m, r))

    def of(kind: str) -> list[Member]:
        if kind == "voltages":
            protocols = [Protocol((hold_voltage(0.2 + 0.1 * k / size, 6e4),)) for k in range(size)]
            return [Member(case.cell, case.transport, p, case.c0, times, "compiled", options) for p in protocols]
        sets = [scaled(k) for k in range(size)]
        return [Member(case.cell, t, case.protocol, case.c0, times, "compiled", options) for t in sets]

    inside, whole = [0.0], compiled.integrate_each

    def watched(*arguments: Any) -> None:
        begun = time.thread_time()
        whole(*arguments)
        inside[0] += time.thread_time() - begun

    lines = ["| members differ in | way | wall / ms | processor / ms | of it compiled / ms |", "| --- " * 5 + "|"]
    for kind in ("voltages", "sets"):
        spent: dict[str, list[tuple[float, ...]]] = {}
        for _ in range(arguments.rounds):
            ways: dict[str, Callable[[list[Member]], Any]] = {
                "one by one": lambda members: [last_current(m.run()) for m in members],
                "together, one thread": lambda members: simulate_many(members, workers=1, keep=last_current),
                "together, two threads": lambda members: simulate_many(members, workers=2, keep=last_current),
            }
            for name, way in ways.items():
                members = of(kind)  # tables of a set are made once, and are part of the work
                inside[0], compiled.integrate_each = 0.0, watched
                begun, processor = time.perf_counter(), time.process_time()
                way(members)
                found = time.perf_counter() - begun, time.process_time() - processor, inside[0]
                spent.setdefault(name, []).append(tuple(1e3 * t / size for t in found))
                compiled.integrate_each = whole
        for name, rows in spent.items():
            wall, processor, within = (min(column) for column in zip(*rows, strict=True))
            lines.append(f"| {kind} | {name} | {wall:.3f} | {processor:.3f} | {within:.3f} |")
    lines.append(
        f"\nper run, smallest of {arguments.rounds} times {size} members; "
        f"load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores"
    )
    (folder / "batch.md").write_text("\n".join(lines) + "\n")
    print("\n".join(lines))


def breathing(case: Case, arguments: argparse.Namespace, folder: Path) -> None:
    """Partial molar volumes by a density curve: LiPF6 in ethyl methyl carbonate, 0.1 V across 1 mm, error beside time.

    The curve is one of plausible size and bend, 1007 + 126 c - 3 c^2 kg/m^3 with c in mol/L; the properties are those
    of the library's LiPF6 in EC:EMC. The material solver, which integrates the same on finite volumes, runs once.
    """
    from dataclasses import replace

    from cellsim.cell.geometry import Cell
    from cellsim.electrolyte.volumes import DensityVolumes

    liquid = load_case(ROOT / "cases/liquid_lipf6.toml")
    base = liquid.transport.with_motion("volume")
    volumes = DensityVolumes.from_density(lambda c: 1007 + 0.126 * c - 3e-6 * c**2, 0.1519, 0.1041, 3500.0)
    transport = replace(base, volumes=volumes, M_e=0.1519, M_0=0.1041)
    cell, protocol = Cell(1e-3, transport.T), Protocol((hold_voltage(0.1, 36_000.0),))
    times = output_times(protocol)

    def run(solver: str, options: Options) -> Solution:
        return simulate(cell, transport, protocol, c0=1000.0, times=times, solver=solver, options=options)

    reference = run("compiled", REFERENCE)
    stretch = float(np.ptp(reference["thickness"])) / cell.thickness
    lines = [
        f"the thickness changes by {stretch:.1e}",
        "| solver | rtol | cells | error i | error c | wall / ms | processor / ms |",
        "| --- " * 7 + "|",
    ]
    plans = [("compiled", {"rtol": rtol}, arguments.repeats) for rtol in (1e-3, 1e-4, 2e-5)]
    plans += [("sundials", {"rtol": rtol}, arguments.repeats) for rtol in (1e-3, 1e-4, 2e-5)]
    plans += [("material", {"cells": 40, "rtol": 1e-4, "refine": False}, 1)]
    for solver, choice, repeats in plans:
        options = Options(**choice)  # type: ignore[arg-type]
        error_i, error_c = errors(run(solver, options), reference, 1000.0)
        wall, _, processor = clock(lambda n=solver, o=options: run(n, o), repeats)  # type: ignore[misc]
        cells = options.cells if solver == "material" else ""
        lines.append(
            f"| {solver} | {options.rtol:g} | {cells} | {error_i:.1e} | {error_c:.1e} | {1e3 * wall:.2f} "
            f"| {1e3 * processor:.2f} |"
        )
    fresh = [replace(transport, name=f"set {k}") for k in range(arguments.rounds)]

    def anew(members: list[Any] = fresh) -> Solution:
        return simulate(cell, members.pop(), protocol, c0=1000.0, times=times, solver="compiled", options=Options())

    wall, _, processor = clock(anew, arguments.rounds)
    lines.append(
        f"\ncompiled, a set that is new each time, its tables included: {1e3 * wall:.1f} ms, {1e3 * processor:.1f}"
    )
    (folder / "breathing.md").write_text("\n".join(lines) + "\n")
    print("\n".join(lines))


def derivatives(case: Case, arguments: argparse.Namespace, folder: Path) -> None:
    """Derivatives of i and c by seven parameters: error beside processor time, by shared time steps and differences.

    The error is the largest at t >= 60 s over the largest derivative there, the worst of the parameters; the reference
    are differences of runs at rtol 1e-8 with 107 unknowns, extrapolated from two steps. Every run has a set of its own,
    whose tables are made. Ways take turns, the smallest time of all rounds counts.
    """
    from cellsim.run.simulation import NUDGE, Call, simulate_beside, wanted_times
    from cellsim.run.tangents import PARAMETERS

    names = ("kappa", "D", "t_plus", "chi", "thickness", "R_positive", "R_negative")
    times = wanted_times(case.protocol, None)

    def call(options: Options) -> Call:
        transport = case.transport.with_extrapolation("clamp").with_extrapolation(case.transport.extrapolate)
        return Call(case.cell, transport, case.protocol, case.c0, times, options)

    def run(c: Call) -> Solution:
        return simulate(c.cell, c.transport, c.protocol, c0=c.c0, times=c.times, solver="compiled", options=c.options)

    Rows = dict[str, dict[str, np.ndarray]]

    def slope(up: Solution, down: Solution, change: float) -> dict[str, np.ndarray]:
        return {v: (up[v] - down[v]) / change for v in ("i", "c_face")}

    def beside(options: Options, *, precise: bool) -> Rows:
        own = call(options)
        changes = [NUDGE * PARAMETERS[n][1](own) for n in names]
        others = [PARAMETERS[n][2](own, by) for n, by in zip(names, changes, strict=True)]
        first, *rest = simulate_beside(own, others, precise=precise)
        return {n: slope(s, first, by) for n, s, by in zip(names, rest, changes, strict=True)}

    def differences(options: Options, step: float) -> Rows:
        """Central ones, one-sided of second order for resistances, which are 0 and cannot be less."""
        own, found = call(options), {}
        base = run(own)
        for n in names:
            by = step * PARAMETERS[n][1](own)
            up = run(PARAMETERS[n][2](own, by))
            if n.startswith("R_"):
                twice, once = slope(run(PARAMETERS[n][2](own, 2 * by)), base, 2 * by), slope(up, base, by)
                found[n] = {v: 2 * once[v] - twice[v] for v in once}
            else:
                found[n] = slope(up, run(PARAMETERS[n][2](own, -by)), 2 * by)
        return found

    exact = Options(rtol=1e-8, unknowns=107)
    near, far = differences(exact, 2e-3), differences(exact, 4e-3)
    reference = {n: {v: (4 * near[n][v] - far[n][v]) / 3 for v in near[n]} for n in names}
    late = np.union1d([0.0], times) >= LATE

    def error(found: Rows, v: str) -> float:
        off = [np.abs(found[n][v] - reference[n][v])[late].max() / np.abs(reference[n][v])[late].max() for n in names]
        return float(max(off))

    ways: list[tuple[str, float, Callable[[], Any]]] = []
    for rtol in (1e-4, 2e-5, 1e-5, 1e-6):
        o = Options(rtol=rtol)
        ways += [
            ("run alone, set at hand", rtol, functools.partial(run, call(o))),
            ("tangents", rtol, functools.partial(beside, o, precise=True)),
            ("shared steps of the run itself", rtol, functools.partial(beside, o, precise=False)),
            ("differences of 15 runs, 2 %", rtol, functools.partial(differences, o, 0.02)),
        ]
    best, results = [np.inf] * len(ways), [None] * len(ways)
    for _ in range(max(arguments.repeats // 30, 3)):
        for k, (_name, _rtol, way) in enumerate(ways):
            begun = time.process_time()
            results[k] = way()
            best[k] = min(best[k], time.process_time() - begun)
    lines = ["| way | rtol | error of di/dp | error of dc/dp | processor time / ms |", "| --- " * 5 + "|"]
    for (name, rtol, _), spent, found in zip(ways, best, results, strict=True):
        off = [f"{error(found, v):.1e}" if isinstance(found, dict) else "" for v in ("i", "c_face")]
        lines.append(f"| {name} | {rtol:.0e} | {off[0]} | {off[1]} | {1e3 * spent:.2f} |")
    lines.append(f"\nseven parameters; load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    (folder / "tangents.md").write_text("\n".join(lines) + "\n")
    print("\n".join(lines))


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", "--out", type=Path, default=Path("runs/polarization"))
    parser.add_argument("--peer-python", help="interpreter with requirements-peers.lock")
    parser.add_argument("--repeats", type=int, default=300)
    parser.add_argument("--rounds", type=int, default=5, help="of the batch")
    parser.add_argument("--members", type=int, default=2000, help="of the batch")
    parts = {"accuracy": accuracy, "size": size, "ensemble": ensemble, "batch": batch, "breathing": breathing}
    parts["tangents"] = derivatives
    parser.add_argument("--part", choices=tuple(parts), action="append")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    case = load_case(CASE)
    for part in arguments.part or parts:
        parts[part](case, arguments, arguments.out)


if __name__ == "__main__":
    main()
