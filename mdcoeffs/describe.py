"""An Onsager result in a few lines of text."""

from __future__ import annotations

import numpy as np

from mdcoeffs.estimate import OnsagerEstimate
from mdcoeffs.onsager_run import OnsagerResult


def lines_of(result: OnsagerResult) -> list[str]:
    """What the command prints: coefficients with intervals, window, doubts.

    Parameters
    ----------
    result : OnsagerResult
        The result.

    Returns
    -------
    list of str
    """
    m = result.matrix
    lines = [f"{result.title}: {m.c / 1000:.4g} mol/L, {m.T:g} K, {m.frame} frame"]
    errors = [np.nan] * 3 if m.covariance is None else np.sqrt(np.diag(m.covariance)).tolist()
    for name, (i, j), error in zip(("++", "+-", "--"), ((0, 0), (0, 1), (1, 1)), errors, strict=True):
        shown = f"{m.Omega[i, j]:.4g}" + ("" if np.isnan(error) else f" +- {error:.2g}")
        lines.append(f"  Omega{name:<3} {shown} mol^2/(J m s)")
    wanted = [("kappa", "kappa", "S/m"), ("t_plus", "t+0" if m.frame == "solvent" else "t+", "")]
    wanted += [("rho_plus", "rho+", ""), ("newman_number", "Ne", "")] if m.frame == "solvent" else []
    for key, name, unit in wanted:
        text = f"  {name:<8} {getattr(m, key):.4g} {unit}".rstrip()
        if m.samples is not None:
            low, high = m.interval(key)
            text += f"  (95 %: {low:.4g} to {high:.4g})"
        lines.append(text)
    if result.ideal is not None and result.self_diffusion is not None:
        D = result.self_diffusion.D
        lines.append(f"  self     D+ {D[0]:.4g}, D- {D[1]:.4g} m^2/s; t_app {result.ideal.t_app:.4g}")
        lines.append(f"  NE       kappa_NE {result.ideal.kappa_NE:.4g} S/m, ionicity {result.ideal.ionicity:.4g}")
    if isinstance(m, OnsagerEstimate):
        lines.append(f"  window   {m.window[0]:.3g} to {m.window[1]:.3g} s; {m.n_origins:.0f} independent origins")
    if result.drift_velocity.size:
        speed = float(np.max(np.linalg.norm(result.drift_velocity, axis=1)))
        lines.append(f"  drift    {speed:.2g} m/s of the centre of mass, removed")
    lines += [f"  note     {note}" for note in result.notes]
    return lines
