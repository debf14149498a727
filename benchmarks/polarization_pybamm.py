"""The peer's side of polarization.py: the same cell as a PyBaMM model, written to be as fast as PyBaMM can be.

Runs in an environment of its own (requirements-peers.lock) and knows nothing of cellsim: what it is given is one file
with the problem as numbers. Salt balance and voltage law in the volume frame, current an algebraic variable; finite
volumes on a graded mesh whose grading, size and tolerances are scanned; IDAKLU with its compiled functions; the
discretised model is built once and solved again, without reading any output, for the repeated time.
"""

from __future__ import annotations

import json
import logging
import sys
import time

import numpy as np
import pybamm

F, R = 96485.33212, 8.314462618


def build(problem, n: int, mesh: str, stretch: float, interpolator: str):
    """A discretised model on `n` cells."""
    thickness, voltage, c_init, K = (float(problem[k]) for k in ("thickness", "voltage", "c_init", "K"))
    model = pybamm.BaseModel()
    c = pybamm.Variable("c", domain="electrolyte")  # over c_init
    i = pybamm.Variable("i")  # over i_0
    i_0 = float(problem["i_0"])
    nodes = problem["c"] / c_init

    def table(name, x):
        return pybamm.Interpolant(nodes, problem[name], x, interpolator=interpolator)

    D = float(problem["D"][0]) if np.ptp(problem["D"]) == 0 else table("D", c)
    scale = c_init / thickness
    # M is a straight line in c for a constant t+0 and constant volumes; else a table
    slope = np.polyfit(nodes, problem["M"], 1)
    straight = np.max(np.abs(np.polyval(slope, nodes) - problem["M"])) < 1e-10 * np.max(problem["M"])

    def M(x):
        return slope[1] + slope[0] * x if straight else table("M", x)

    def D_at(x):
        return D if isinstance(D, float) else table("D", x)

    left, right = pybamm.boundary_value(c, "left"), pybamm.boundary_value(c, "right")
    flux = -D * scale * pybamm.grad(c) - M(c) * i_0 * i
    model.rhs = {c: -pybamm.div(flux) / (c_init * thickness)}
    x = pybamm.SpatialVariable("x", domain="electrolyte", coord_sys="cartesian")
    resistance = thickness * pybamm.Integral(table("resistivity", c), x)
    model.algebraic = {i: i * i_0 * resistance / voltage + K / voltage * (table("W", left) - table("W", right)) - 1}
    model.initial_conditions = {c: pybamm.Scalar(1.0), i: pybamm.Scalar(1.0)}
    model.boundary_conditions = {
        c: {
            "left": (-M(left) * i * i_0 / (D_at(left) * scale), "Neumann"),
            "right": (-M(right) * i * i_0 / (D_at(right) * scale), "Neumann"),
        }
    }
    model.variables = {"current": i * i_0, "left": left, "right": right}
    geometry = pybamm.Geometry({"electrolyte": {x: {"min": pybamm.Scalar(0.0), "max": pybamm.Scalar(1.0)}}})
    if mesh == "tanh":
        s = np.linspace(-1, 1, n + 1)
        edges = 0.5 * (1 + np.tanh(stretch * s) / np.tanh(stretch))
        edges[0], edges[-1] = 0.0, 1.0
        submesh = pybamm.MeshGenerator(pybamm.UserSupplied1DSubMesh, {"edges": edges})
    elif mesh == "exponential":
        submesh = pybamm.MeshGenerator(pybamm.Exponential1DSubMesh, {"side": "symmetric", "stretch": stretch})
    else:
        submesh = pybamm.MeshGenerator(pybamm.Chebyshev1DSubMesh)
    options = {"extrapolation": {"order": {"gradient": "quadratic", "value": "quadratic"}, "use bcs": True}}
    grid = pybamm.Mesh(geometry, {"electrolyte": submesh}, {x: n})
    discretisation = pybamm.Discretisation(grid, {"electrolyte": pybamm.FiniteVolume(options)})
    discretisation.process_model(model)
    return model


def measure(problem, n, mesh, stretch, interpolator, rtol, atol, repeats):
    """Errors and times of one configuration."""
    times = problem["times"]
    begun = time.perf_counter()
    model = build(problem, n, mesh, stretch, interpolator)
    solver = pybamm.IDAKLUSolver(rtol=rtol, atol=atol)
    span = [times[0], times[-1]]
    solution = solver.solve(model, span, t_interp=times)
    first = time.perf_counter() - begun
    spent, processor = [], []
    for _ in range(repeats):
        begun, begun_processor = time.perf_counter(), time.process_time()
        solution = solver.solve(model, span, t_interp=times)
        spent.append(time.perf_counter() - begun)
        processor.append(time.process_time() - begun_processor)
    i = np.interp(times, solution.t, solution["current"].entries)
    walls = np.array([np.interp(times, solution.t, solution[side].entries) for side in ("left", "right")]).T
    late = times >= float(problem["late"])
    error_i = float(np.max(np.abs(i / problem["i"] - 1)[late]))
    error_c = float(np.max(np.abs(walls - problem["walls"] / float(problem["c_init"]))[late]))
    return {
        "tool": "PyBaMM", "mesh": mesh, "stretch": stretch, "size": n, "interpolator": interpolator, "rtol": rtol,
        "atol": atol, "first": first, "repeated": min(spent), "median": float(np.median(spent)),
        "processor": min(processor), "error_i": error_i, "error_c": error_c,
    }  # fmt: skip


def main() -> None:
    """Scan and write a table as JSON: problem file, output file, repeats."""
    logging.getLogger("pybamm").setLevel(logging.ERROR)
    problem = dict(np.load(sys.argv[1]))
    repeats = int(sys.argv[3])
    rows = []
    for mesh, stretch in (("tanh", 1.0), ("tanh", 1.5), ("tanh", 2.0), ("exponential", 2.3), ("chebyshev", 0.0)):
        for n in (30, 40, 50, 65, 80, 120, 240):
            for rtol, atol in ((1e-3, 1e-4), (1e-4, 1e-5), (1e-5, 1e-7)):
                if (n >= 120) != (rtol <= 1e-5) or (mesh != "tanh" and n not in (50, 80)):
                    continue
                try:
                    row = measure(problem, n, mesh, stretch, sys.argv[4], rtol, atol, repeats)
                except pybamm.SolverError as error:
                    row = {"tool": "PyBaMM", "mesh": mesh, "size": n, "rtol": rtol, "failed": str(error)[:200]}
                rows.append(row)
    with open(sys.argv[2], "w", encoding="utf-8") as file:
        json.dump({"version": pybamm.__version__, "rows": rows}, file)


if __name__ == "__main__":
    main()
