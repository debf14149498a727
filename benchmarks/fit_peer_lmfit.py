"""The peer's side of fit_peer.py: lmfit on the same data, by its own optimiser and its own derivatives.

Runs in an environment of its own (requirements-peers.lock). "shared": the residuals of cellsim (its requirements and
the package itself must be importable). "own": nothing of cellsim; the cell is a PyBaMM model written here from the
equations, finite volumes on an even mesh, solved by IDAKLU.
"""

from __future__ import annotations

import json
import logging
import sys
import time
from pathlib import Path
from typing import Any

import lmfit
import numpy as np
from scipy.interpolate import CubicSpline

F, R = 96485.33212, 8.314462618
STEP = 1e-5
"""MINPACK's epsfcn: steps of its square root, 0.3 % of a parameter, far above the solvers' error."""


def fit(residual: Any, names: list[str], start: list[float], step: float | None) -> dict[str, Any]:
    """Minimise; parameters are multiples of a scale, positive ones above 0."""
    parameters = lmfit.Parameters()
    for k, value in enumerate(start):
        parameters.add(f"p{k}", value=value, min=-np.inf)
    count = [0]

    def counted(p: lmfit.Parameters) -> Any:
        count[0] += 1
        return residual([p[f"p{k}"].value for k in range(len(names))])

    begun, processor = time.perf_counter(), time.process_time()
    more = {} if step is None else {"epsfcn": step}
    found = lmfit.minimize(counted, parameters, method="leastsq", scale_covar=False, **more)
    return {
        "value": dict(zip(names, (float(p.value) for p in found.params.values()), strict=True)),
        "error": dict(zip(names, (float(p.stderr or np.nan) for p in found.params.values()), strict=True)),
        "chi2": float(found.chisqr), "runs": count[0], "s": time.perf_counter() - begun,
        "cpu": time.process_time() - processor,
    }  # fmt: skip


def shared(data: dict[str, Any], step: float | None) -> dict[str, Any]:
    """With the residuals of cellsim."""
    sys.path[:0] = [str(Path(__file__).resolve().parents[1]), str(Path(__file__).resolve().parent)]
    from fit_peer import problem_of

    problem = problem_of(data)
    space, scale = problem.space, dict(zip(data["names"], data["scale"], strict=True))
    names = list(space.names)
    problem.residuals(space.start)  # compiled and cached things of the first call

    def residual(p: list[float]) -> Any:
        values = {n: x * scale[n] for n, x in zip(names, p, strict=True)}
        return problem.residuals(space.point(values))

    start = [space.parameters[k].start / scale[n] for k, n in enumerate(names)]
    return fit(residual, names, start, step)


class Own:
    """The cell as a PyBaMM model: kappa and chi constant, ln D and t+0 straight lines in r."""

    def __init__(self, data: dict[str, Any], n: int, rtol: float) -> None:
        import pybamm

        logging.getLogger("pybamm").setLevel(logging.ERROR)
        self.data, self.n, self.names = data, n, [str(x) for x in data["names"]]
        d = {k: float(data[k]) for k in ("L", "T", "V", "R_int", "V_e", "V_0", "c0", "r0")}
        q = {name: pybamm.InputParameter(name) for name in self.names}
        c = pybamm.Variable("c", domain="electrolyte")  # over c0
        i = pybamm.Variable("i")  # over i_0
        charge = pybamm.Variable("charge")  # [C/m^2] over i_0 * 1e4 s
        i_0 = d["V"] / (d["L"] / 0.13 + 2 * d["R_int"])

        def ratio(y: Any) -> Any:
            return y * d["c0"] * d["V_0"] / (1 - y * d["c0"] * d["V_e"])

        def D(y: Any) -> Any:
            return 1e-11 * q["D.k0"] * pybamm.exp(q["D.a1"] * (ratio(y) / d["r0"] - 1))

        def M(y: Any) -> Any:  # salt moved per charge
            t = q["t_plus.k0"] + q["t_plus.a1"] * (ratio(y) / d["r0"] - 1)
            return (1 - y * d["c0"] * d["V_e"]) * (1 - t) / F

        def W(y: Any) -> Any:  # integral of (1 - t) chi dln r in closed form
            r = ratio(y)
            return q["chi"] * ((1 - q["t_plus.k0"] + q["t_plus.a1"]) * pybamm.log(r) - q["t_plus.a1"] * r / d["r0"])

        left, right = pybamm.boundary_value(c, "left"), pybamm.boundary_value(c, "right")
        flux = -D(c) * d["c0"] / d["L"] * pybamm.grad(c) - M(c) * i_0 * i
        model = pybamm.BaseModel()
        model.rhs = {c: -pybamm.div(flux) / (d["c0"] * d["L"]), charge: i / 1e4}
        K = 2 * R * d["T"] / F
        ohmic = i * i_0 * (d["L"] / (0.13 * q["kappa"]) + 2 * d["R_int"])
        model.algebraic = {i: (ohmic + K * (W(left) - W(right))) / d["V"] - 1}
        model.initial_conditions = {c: pybamm.Scalar(1.0), i: pybamm.Scalar(1.0), charge: pybamm.Scalar(0.0)}
        slope = {side: (-M(y) * i * i_0 * d["L"] / (D(y) * d["c0"]), "Neumann")
                 for side, y in (("left", left), ("right", right))}  # fmt: skip
        model.boundary_conditions = {c: slope}
        model.variables = {"current": i * i_0, "salt": c * d["c0"], "passed": charge * i_0 * 1e4}
        x = pybamm.SpatialVariable("x", domain="electrolyte", coord_sys="cartesian")
        geometry = pybamm.Geometry({"electrolyte": {x: {"min": pybamm.Scalar(0.0), "max": pybamm.Scalar(1.0)}}})
        grid = pybamm.Mesh(geometry, {"electrolyte": pybamm.MeshGenerator(pybamm.Uniform1DSubMesh)}, {x: n})
        options = {"extrapolation": {"order": {"gradient": "quadratic", "value": "quadratic"}, "use bcs": True}}
        pybamm.Discretisation(grid, {"electrolyte": pybamm.FiniteVolume(options)}).process_model(model)
        self.model = model
        self.solver = pybamm.IDAKLUSolver(rtol=rtol, atol=1e-2 * rtol)
        self.times = np.concatenate([[0.0], data["times"]])

    def residual(self, p: list[float]) -> Any:
        """Whitened residuals."""
        d = self.data
        s = self.solver.solve(self.model, [0.0, self.times[-1]], t_interp=self.times,
                              inputs=dict(zip(self.names, p, strict=True)))  # fmt: skip
        i = np.interp(d["times"], s.t, s["current"].entries)
        # both interfaces creep in the lab by lithium's own volume; the points do not
        creep = np.interp(d["times"], s.t, s["passed"].entries) * float(d["V_metal"]) / F
        centres = (np.arange(self.n) + 0.5) / self.n * float(d["L"])
        rows = s["salt"].entries[:, -len(d["times"]) :].T
        x = (np.arange(60) + 0.5) / 60 * float(d["L"])
        profile = np.array([CubicSpline(centres, row)(x + by) for row, by in zip(rows, creep, strict=True)])
        return np.concatenate([(d["i"] - i) / d["i_error"], (d["c"] - profile).ravel() / float(d["c_error"])])

    def start(self) -> list[float]:
        """Multiples of the scale."""
        return [float(x) for x in self.data["start"] / self.data["scale"]]


def main() -> None:
    """Data file, output file."""
    data = dict(np.load(sys.argv[1]))
    data["names"] = [str(x) for x in data["names"]]
    rows: dict[str, Any] = {"lmfit": lmfit.__version__}
    rows["lmfit, our residuals"] = shared(data, STEP)
    rows["lmfit, our residuals, its default step"] = shared(data, None)
    for n in (60, 120, 240, 480):
        own = Own(data, n, 1e-6)
        own.residual(own.start())
        rows[f"lmfit, PyBaMM, {n} cells"] = fit(own.residual, own.names, own.start(), STEP)
    Path(sys.argv[2]).write_text(json.dumps(rows), encoding="utf-8")


if __name__ == "__main__":
    main()
