"""STACIE and kinisi on the systems of onsager_kinds.py: do their 95 % intervals of the conductivity hold?

Runs in an environment of its own (requirements-peers.lock) and knows nothing of cellsim: what it is given is the
displacement of the charge of each replica, every frame, in units in which its diffusion coefficient is 1.

STACIE (doi:10.1021/acs.jcim.5c01475) chooses its cut-off frequency itself; its two usual models of the spectrum are
asked, exp(polynomial) of degrees 0 and 2 and Lorentz. kinisi (doi:10.1021/acs.jctc.4c01249) leaves the start of
diffusion to the user: it is told five times the slowest time of the system, which no user knows; lags are 30 from
there to a fifth of the run. Names of methods after the folder choose among them.
"""

import sys
import time
import warnings
from pathlib import Path

import numpy as np
import scipp as sc
from kinisi.diffusion import Diffusion
from stacie import ExpPolyModel, LorentzModel, compute_spectrum, estimate_acint

KINDS = ("plain", "slow", "two", "ladder", "stretched", "inertia", "inertia_and_slow")


def stacie(q, slowest, model):
    """Interval by STACIE; `q` of shape (replicas, frames, 3)."""
    steps = np.diff(q, axis=1).transpose(0, 2, 1).reshape(-1, q.shape[1] - 1)
    result = estimate_acint(compute_spectrum(steps, prefactors=1.0, timestep=1.0, include_zero_freq=False), model)
    return result.acint - 1.96 * result.acint_std, result.acint + 1.96 * result.acint_std


def kinisi(q, slowest):
    """Interval by kinisi's Bayesian regression to the mean-squared displacement."""
    frames = q.shape[1]
    start = max(1, round(5 * slowest))
    lags = np.unique(np.linspace(start, max(frames // 5, start + 5), 30).astype(int))
    squared = [np.sum((q[:, n:] - q[:, :-n]) ** 2, axis=-1).ravel() for n in lags]
    samples = np.array([q.shape[0] * frames / n for n in lags])
    variance = np.array([np.var(s, ddof=1) for s in squared]) / samples
    time_unit, area = sc.Unit("ps"), sc.units.angstrom**2
    data = sc.DataArray(
        data=sc.Variable(dims=["time interval"], values=[s.mean() for s in squared], variances=variance, unit=area),
        coords={
            "time interval": sc.array(dims=["time interval"], values=lags.astype(float), unit=time_unit),
            "n_samples": sc.array(dims=["time interval"], values=samples),
        },
    )
    fit = Diffusion(sc.DataGroup({"da": data, "dimensionality": sc.scalar(3)}))
    fit.bayesian_regression(start_dt=sc.scalar(float(start), unit=time_unit), progress=False)
    return np.quantile(fit.gradient.values / 6, [0.025, 0.975])


METHODS = {
    "STACIE, exp(polynomial)": lambda q, slowest: stacie(q, slowest, ExpPolyModel([0, 2])),
    "STACIE, Lorentz": lambda q, slowest: stacie(q, slowest, LorentzModel()),
    "kinisi, told the start": kinisi,
}


def main(folder, names):
    """Print coverage, failures and time by kind."""
    methods = {name: METHODS[name] for name in names or METHODS}
    print("| kind | " + " | ".join(f"{name}: holds, n, median width, s" for name in methods) + " |")
    print("|" + "---|" * (1 + len(methods)))
    for kind in KINDS:
        cells = []
        files = sorted(folder.glob(f"{kind}-[0-9]*.npz"))
        for method in methods.values():
            held, width, failed, began = [], [], 0, time.process_time()
            for file in files:
                data = np.load(file)
                try:
                    with warnings.catch_warnings():
                        warnings.simplefilter("ignore")
                        low, high = method(data["q"], float(data["slowest"]))
                except Exception as failure:  # a peer may refuse what it will; how often is part of the answer
                    print(kind, file.name, repr(failure)[:100], file=sys.stderr)
                    failed += 1
                    continue
                held.append(low <= 1 <= high)
                width.append(high - low)
            seconds = (time.process_time() - began) / max(len(files), 1)
            share = f"{np.mean(held):.2f}, {len(held)}, {np.median(width):.2f}" if held else "none"
            cells.append(share + f", {seconds:.1f}" + (f" ({failed} refused)" if failed else ""))
        print(f"| {kind.replace('_', ' ')} | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
