"""SYNTHETIC beamline data of the Steinrück 2020 experiment, analysed by our own chain as if measured.

    python validation/steinruck2020/synthetic_beamline.py [FOLDER]

The truth is the RS reconstruction (not the paper's Table S3). Written to FOLDER/data (default folder:
runs/validation/steinruck2020_synthetic) are a potentiostat table, an XAM intensity map and a table of velocities that
came out of joint fits to synthetic correlation functions, with their data sheets; `cellsim compare` reads them back
beside RS and PNB and draws the paper's Figs. 3-5. Nothing here is a measurement, and nothing of it tests the paper: it
tests the chain, and shows what the paper's figures of merit look like where RS is exactly true.

How the noise was judged. The manuscript prints no errors in numbers. What it says and shows is

- XAM: error bars for one curve only (Fig. 4); 2 % of the average concentration is assumed, put in as a number of
  photons (a real beam counts far more: this stands for whatever made those bars). Energy and path length are in the SI,
  which is not available: 7.35 keV and 1 mm are assumed.
- XPCS: velocities are "not resolvable" beyond about 550 min, and over 200-400 min the ratio measured/model scatters by
  0.08 over four positions (RS), which bounds the errors. Noise of g2 (0.015 a point), relaxation time (20 s at
  q = 0.0038 /Å, falling as 1/q), moving fraction 0.3, contrast 0.15 and 10 min a series are chosen so that the fits
  lose the velocity at about 550 min and have 2-5 % at 300 min. q from 0.0029 to 0.0192 /Å and 72 curves are the
  paper's.
- Positions: ± 0.04 mm (caption of Fig. 5): every position is off by a number drawn once.
- Current: 0.2 % of its median, assumed.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cellsim import Solution, load_case
from cellsim.base import to_si
from cellsim.compare.report import ComparisonResult, Wanted, compare_case, write_comparison
from cellsim.instruments.attenuation import attenuation
from cellsim.instruments.xam import Raster, counted, transmitted
from cellsim.instruments.xpcs.correlation import CorrelationSet, add_noise, g2_of_solution, geometry
from cellsim.instruments.xpcs.fit import fit_velocity
from cellsim.run.case import Case
from cellsim.run.folder import predict

Array = NDArray[np.float64]

CASES = Path(__file__).resolve().parents[2] / "cases" / "steinruck2020"
MINUTE, ANGSTROM, MM = 60.0, 1e-10, 1e-3
SEED = 2020

BEAMS = np.array([-0.85, -0.50, -0.15, 0.20, 0.55])  # mm from the centre (caption of Fig. 5)
POSITION_ERROR, BEAM = 0.04, 0.015  # mm
OUTLIER = -0.85  # mm, left out as in the paper

ENERGY, PATH = "7.35 keV", "1 mm"  # assumed, see above
XAM_NOISE = 0.02  # of c_average
SCANS = (-20.0, -10.0, 10.0, 30.0, 100.0, 200.0, 300.0, 500.0, 707.0, 969.0)  # min
RASTER = np.arange(-1.65, 1.6501, 0.03)  # mm from the centre

RINGS, AZIMUTHS = np.geomspace(0.0029, 0.0192, 9), np.deg2rad(5 + 22.5 * np.arange(8))  # 1/angstrom, rad
DELAYS = np.geomspace(1.0, 400.0, 40)  # s
G2_NOISE, CONTRAST, MOVING, TAU_0, SERIES = 0.015, 0.15, 0.3, 20.0, 600.0
CERTAIN = 0.25  # a velocity is tabulated where its error is below this part of it
SERIES_AT = np.arange(50.0, 651.0, 50.0)  # min

CURRENT_NOISE = 0.002
LABEL = "SYNTHETIC DATA made from the RS reconstruction with assumed noise; not the measurements of Steinrück 2020."


def write_current(solution: Solution, folder: Path, rng: np.random.Generator) -> Path:
    """Current density once a minute, as a German potentiostat would export it."""
    t = np.arange(0.5, 999.6, 1.0)
    clean = np.interp(t * MINUTE, solution["time"], solution["i"])
    noise = CURRENT_NOISE * float(np.median(clean))
    j = clean + noise * rng.standard_normal(t.size)
    rows = [f"{a:.2f};{b / 10:.6f}".replace(".", ",") for a, b in zip(t, j, strict=True)]  # A/m^2 -> mA/cm^2
    (folder / "current.csv").write_text("time (min);j (mA/cm^2)\n" + "\n".join(rows) + "\n", encoding="utf-8")
    sheet = folder / "current.toml"
    sheet.write_text(
        f'kind = "current"\nfile = "current.csv"\nlabel = "synthetic current"\nerror = "{noise:.4g} A/m^2"\n',
        encoding="utf-8",
    )
    return sheet


def write_xam(case: Case, solution: Solution, folder: Path, rng: np.random.Generator) -> Path:
    """Photon counts of a raster, repeated."""
    light = attenuation(to_si(ENERGY, "J"), salt="LiTFSI", solvent="EO")
    path = to_si(PATH, "m")
    slope = float(light.depth_slope(case.transport, case.c0, path))
    photons = 1.5 / (XAM_NOISE * case.c0 * slope) ** 2  # two scans before: 1/N + 1/(2 N)
    incident = photons * float(np.exp(light.optical_depth(case.transport, case.c0, path)))
    raster = Raster(RASTER * MM + 0.5 * case.cell.thickness, path, BEAM * MM, incident)
    seen = counted(transmitted(solution, case.transport, light, raster, np.array(SCANS) * MINUTE), rng)
    np.savez(
        folder / "xam.npz", time=np.array(SCANS), time_unit="min", position=RASTER, position_unit="mm",
        intensity=seen.intensity,
    )  # fmt: skip
    sheet = folder / "xam.toml"
    sheet.write_text(
        f'kind = "xam"\nfile = "xam.npz"\nlabel = "synthetic XAM"\nenergy = "{ENERGY}"\npath_length = "{PATH}"\n'
        f'salt = "LiTFSI"\nsolvent = "EO"\nbeam_width = "{BEAM} mm"\ncounted = true\n',
        encoding="utf-8",
    )
    return sheet


def fitted_velocities(
    solution: Solution, thickness: float, rng: np.random.Generator, times: Array
) -> tuple[list[tuple[float, float, float, float]], int]:
    """|v0| in the lab from joint fits to synthetic g2: (min, mm, A/s, error) each, and how many were lost."""
    q, azimuth = geometry(RINGS / ANGSTROM, AZIMUTHS)
    tau_0 = TAU_0 * 0.0038 / (q * ANGSTROM)
    off = POSITION_ERROR * rng.standard_normal(BEAMS.size)
    found, lost = [], 0
    for minutes in times:
        for nominal, true in zip(BEAMS, BEAMS + off, strict=True):
            g2 = g2_of_solution(
                solution, q, azimuth, DELAYS, position=true * MM + 0.5 * thickness,
                start=minutes * MINUTE - 0.5 * SERIES, duration=SERIES, contrast=CONTRAST, h=MOVING,
                tau0=tau_0, beam=BEAM * MM,
            )  # fmt: skip
            fit = fit_velocity(add_noise(CorrelationSet(q, azimuth, DELAYS, g2, np.full(g2.shape, G2_NOISE)), rng))
            if fit.resolved and not fit.ambiguous and fit.error < CERTAIN * fit.v:
                found.append((float(minutes), float(nominal), fit.v / ANGSTROM, fit.error / ANGSTROM))
            else:
                lost += 1
    return found, lost


def write_velocities(
    solution: Solution, thickness: float, folder: Path, rng: np.random.Generator, times: Array
) -> tuple[Path, int, float]:
    """The table of velocities; how many series resolved none; the last time with velocities at two positions."""
    rows, lost = fitted_velocities(solution, thickness, rng, times)
    text = "\n".join(f"{t:g},{x:g},{v:.4f},{e:.4f}" for t, x, v, e in rows)
    head = "time (min),position (mm),v_0 (angstrom/s),error (angstrom/s)\n"
    (folder / "velocities.csv").write_text(head + text + "\n", encoding="utf-8")
    sheet = folder / "velocities.toml"
    sheet.write_text(
        'kind = "velocity"\nfile = "velocities.csv"\nlabel = "synthetic XPCS"\nquantity = "v_0"\nframe = "lab"\n'
        f'unsigned = true\nposition_error = "{POSITION_ERROR} mm"\nbeam_width = "{BEAM} mm"\n',
        encoding="utf-8",
    )
    seen = [t for t in times if sum(row[0] == t for row in rows) >= 2]
    return sheet, lost, float(max(seen)) if seen else float("nan")


def main(folder: Path, times: Array = SERIES_AT, *, draw: bool = True) -> tuple[ComparisonResult, dict[str, float]]:
    """Make the data, read them back, compare them with RS and PNB, write figures and page.

    Returns what was found of both, and ``lost`` (series without a velocity) and ``resolved_until`` [min].
    """
    data = folder / "data"
    data.mkdir(parents=True, exist_ok=True)
    case = load_case(CASES / "rs.toml")
    solution = predict(case)
    rng = np.random.default_rng(SEED)
    velocities, lost, until = write_velocities(solution, case.cell.thickness, data, rng, times)
    sheets = [write_current(solution, data, rng), write_xam(case, solution, data, rng), velocities]
    wanted = Wanted((OUTLIER * MM,), (200 * MINUTE, 400 * MINUTE), 707 * MINUTE)
    found = tuple(compare_case(CASES / f"{name}.toml", sheets, wanted) for name in ("rs", "pnb"))
    result = ComparisonResult(found, "SYNTHETIC data, analysed as if measured", LABEL)
    if draw:
        write_comparison(result, folder)
    return result, {"lost": float(lost), "resolved_until": until}


if __name__ == "__main__":
    target = Path(sys.argv[1] if len(sys.argv) > 1 else "runs/validation/steinruck2020_synthetic")
    result, numbers = main(target)
    print(LABEL)
    print("\n".join(result.lines()))
    lost, until = numbers["lost"], numbers["resolved_until"]
    print(f"{lost:.0f} series resolved no velocity; two positions or more until {until:.0f} min")
    print(f"written to {target}")
