"""What the Hittorf cells of Wang et al. 2022 say of LiPF6 in EC:EMC 1:1 by weight: moles carried per faraday.

The compositions and densities are those of the authors' repository, github.com/ndrewwang/SolventSeg (MIT licence,
Copyright (c) 2022 ndrewwang), the data of "Current-driven solvent segregation in lithium-ion electrolytes": mass
fractions of salt and EMC in the anodic and the cathodic chamber after 0.5 mA for 20 h (results/Result_Summary_55100),
each chamber 4 mL, begun with 12.5 % of salt; and densities at 25 degC of solutions of known composition
(trainingset/Ternary_Physicochemical_Training). The numbers it prints stand in lipf6_ec_emc.toml.

    python cases/mixed_solvent/hittorf.py
"""

import numpy as np

F = 96485.332
M = np.array([151.905, 88.06, 104.10])  # LiPF6, EC, EMC [g/mol]
CHARGE, CHAMBER = 0.5e-3 * 20 * 3600, 4.0  # [C], [cm^3]

# mass fractions of LiPF6 and EMC, anodic then cathodic chamber, four experiments
ANODIC = np.array([[0.13309, 0.44512], [0.13289, 0.44401], [0.13358, 0.44747], [0.13313, 0.44357]])
CATHODIC = np.array([[0.11787, 0.43346], [0.11800, 0.43420], [0.11823, 0.43323], [0.11807, 0.43457]])

# mass fractions of LiPF6 and EC, density [g/cm^3] and conductivity [mS/cm] at 25 degC
SOLUTIONS = np.array(
    [
        [0.0, 0.0, 1.0061, 0.0],
        [0.07384, 0.0, 1.0674, 1.59],
        [0.13444, 0.0, 1.1176, 4.66],
        [0.0, 0.3, 1.0948, 0.0],
        [0.06277, 0.28117, 1.1428, 6.79],
        [0.12247, 0.26326, 1.1885, 8.69],
        [0.16218, 0.25135, 1.2189, 8.42],
        [0.0, 0.5, 1.1573, 0.0],
        [0.04039, 0.47981, 1.1881, 5.32],
        [0.0669, 0.46655, 1.2084, 8.17],
        [0.09783, 0.45109, 1.232, 9.91],
        [0.12876, 0.43562, 1.2556, 10.1],
        [0.15914, 0.42043, 1.2789, 9.15],
        [0.18952, 0.40524, 1.3021, 7.56],
        [0.0, 0.7, 1.2263, 0.0],
        [0.06468, 0.65472, 1.2746, 7.46],
        [0.13, 0.609, 1.3234, 9.15],
    ]
)


def fractions(x: np.ndarray) -> np.ndarray:
    """Mass fractions of salt, EC, EMC from those of salt and EC."""
    return np.column_stack([x[:, 0], x[:, 1], 1 - x[:, 0] - x[:, 1]])


def main() -> None:
    """Print volumes, conductivities and moles carried per faraday."""
    w = fractions(SOLUTIONS[:, :2])
    specific, *_ = np.linalg.lstsq(w, 1 / SOLUTIONS[:, 2], rcond=None)  # [cm^3/g]
    V = specific * M
    miss = np.max(np.abs(w @ specific * SOLUTIONS[:, 2] - 1))
    print(f"partial molar volumes (cm^3/mol): LiPF6 {V[0]:.2f}, EC {V[1]:.2f}, EMC {V[2]:.2f}; densities to {miss:.2%}")

    def amounts(x: np.ndarray) -> np.ndarray:
        """Moles in a chamber."""
        w = fractions(np.column_stack([x[:, 0], 1 - x[:, 0] - x[:, 1]]))
        return CHAMBER / (w @ specific)[:, None] * w / M

    begin = amounts(np.array([[0.125, 0.4375]]))
    per_faraday = 0.5 * (amounts(CATHODIC) - amounts(ANODIC)) * F / CHARGE  # carried towards the cathode, cell frame
    mean, error = per_faraday.mean(axis=0), per_faraday.std(axis=0, ddof=1) / np.sqrt(len(per_faraday))
    r = begin[0] / begin[0, 2]
    tau = per_faraday - per_faraday[:, 2:] * r
    print(f"begun at r_PF6 = {r[0]:.4f}, r_EC = {r[1]:.4f}, c = {1e3 * begin[0, 0] / CHAMBER:.3f} mol/L")
    for name, a, b in zip(("PF6", "EC", "EMC"), mean, error, strict=True):
        print(f"  {name:4} carried per faraday in the cell's frame {a:6.3f} +- {b:.3f}")
    for name, column in zip(("PF6", "EC"), tau.T, strict=False):
        print(f"  tau_{name:4} with respect to EMC {column.mean():6.3f} +- {column.std(ddof=1) / 2:.3f}")
    print(f"  covariance of these two means {np.cov(tau[:, :2].T).ravel() / len(tau)}")
    rows = np.abs(SOLUTIONS[:, 1] / (1 - SOLUTIONS[:, 0]) - 0.5) < 0.01
    for x, kappa in zip(w[rows], SOLUTIONS[rows, 3], strict=True):
        n = x / M
        print(f"  kappa = {kappa:5.2f} mS/cm at r_PF6 = {n[0] / n[2]:.4f}, c = {1e3 * n[0] / (x @ specific):.3f} mol/L")


if __name__ == "__main__":
    main()
