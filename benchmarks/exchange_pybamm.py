"""The peer's side of exchange.py: Li | electrolyte | Li in PyBaMM's own equations, with an exported electrolyte.

Runs in an environment of its own (requirements-peers.lock) and knows nothing of cellsim. Salt balance and charge
balance are those of PyBaMM's full submodels, through the functions of ``pybamm.LithiumIonParameters``: flux
-D_e grad c + t_plus i/F in a medium at rest, current kappa_e (chiRT_over_Fc grad c - grad phi).

    python benchmarks/exchange_pybamm.py PARAMETERS.py PROBLEM.npz OUT.npz CELLS
"""

from __future__ import annotations

import runpy
import sys

import numpy as np
import pybamm


def build(values: pybamm.ParameterValues, problem, cells: int) -> pybamm.BaseModel:
    """The discretised model, under a constant current."""
    param = pybamm.LithiumIonParameters()
    i, thickness, T = float(problem["i"]), float(problem["thickness"]), float(problem["T"])
    c = pybamm.Variable("c", domain="electrolyte", scale=float(problem["c0"]))
    phi = pybamm.Variable("phi", domain="electrolyte")
    x = pybamm.SpatialVariable("x", domain="electrolyte", coord_sys="cartesian")
    left, right = pybamm.boundary_value(c, "left"), pybamm.boundary_value(c, "right")
    current = pybamm.PrimaryBroadcastToEdges(pybamm.Scalar(i), "electrolyte")
    flux = -param.D_e(c, T) * pybamm.grad(c) + param.t_plus(c, T) * current / param.F

    def slope(at):  # of c at a wall: the metal takes and gives i/F of cations
        return -(1 - param.t_plus(at, T)) * i / (param.D_e(at, T) * param.F)

    model = pybamm.BaseModel()
    model.rhs = {c: -pybamm.div(flux)}
    i_e = param.kappa_e(c, T) * (param.chiRT_over_Fc(c, T) * pybamm.grad(c) - pybamm.grad(phi))
    model.algebraic = {phi: thickness**2 * pybamm.div(i_e)}
    model.initial_conditions = {c: pybamm.Scalar(float(problem["c0"])), phi: pybamm.Scalar(0.0)}
    wall = param.chiRT_over_Fc(left, T) * slope(left) - i / param.kappa_e(left, T)
    model.boundary_conditions = {
        c: {"left": (slope(left), "Neumann"), "right": (slope(right), "Neumann")},
        phi: {"left": (wall, "Neumann"), "right": (pybamm.Scalar(0.0), "Dirichlet")},
    }
    model.variables = {"V": pybamm.boundary_value(phi, "left"), "left": left, "right": right}
    geometry = pybamm.Geometry({"electrolyte": {x: {"min": pybamm.Scalar(0.0), "max": pybamm.Scalar(thickness)}}})
    s = np.linspace(-1, 1, cells + 1)
    edges = 0.5 * (1 + np.tanh(1.5 * s) / np.tanh(1.5)) * thickness
    edges[0], edges[-1] = 0.0, thickness
    submesh = pybamm.MeshGenerator(pybamm.UserSupplied1DSubMesh, {"edges": edges})
    values.process_model(model)
    values.process_geometry(geometry)
    mesh = pybamm.Mesh(geometry, {"electrolyte": submesh}, {x: cells})
    options = {"extrapolation": {"order": {"gradient": "quadratic", "value": "quadratic"}, "use bcs": True}}
    pybamm.Discretisation(mesh, {"electrolyte": pybamm.FiniteVolume(options)}).process_model(model)
    return model


def main() -> None:
    """Run it and write the voltage and the walls."""
    exported, problem, out, cells = sys.argv[1:5]
    data = dict(np.load(problem))
    values = pybamm.ParameterValues(runpy.run_path(exported)["get_parameter_values"]())
    times = data["times"]
    model = build(values, data, int(cells))
    solution = pybamm.IDAKLUSolver(rtol=1e-8, atol=1e-10).solve(model, [times[0], times[-1]], t_interp=times)
    found = {name: np.interp(times, solution.t, solution[name].entries) for name in ("V", "left", "right")}
    np.savez(out, version=pybamm.__version__, **found)


if __name__ == "__main__":
    main()
