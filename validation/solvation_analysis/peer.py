"""What solvation-analysis gives for its own LiPF6 in BN/FEC: run in an environment that has it.

pip install solvation-analysis        (0.4.2 here; GPL-3, as are its data, so nothing of them is kept here)
python validation/solvation_analysis/peer.py > validation/solvation_analysis/peer.json
"""

import json
import warnings
from pathlib import Path

import numpy as np
import pandas as pd

warnings.simplefilter("ignore")

import MDAnalysis as mda  # noqa: E402
import solvation_analysis  # noqa: E402
from solvation_analysis.residence import Residence  # noqa: E402
from solvation_analysis.solute import Solute  # noqa: E402

DATA = Path(solvation_analysis.__file__).parent / "tests" / "data" / "bn_fec_data"
RADII = {"pf6": 2.8, "bn": 2.61468, "fec": 2.43158}


def main() -> None:
    u = mda.Universe(str(DATA / "bn_fec.data"), str(DATA / "bn_fec_short_wrap.dcd"))
    groups = {"pf6": "byres type 20", "bn": "byres type 5", "fec": "byres type 19"}
    solute = Solute.from_atoms(
        u.select_atoms("type 22"), {k: u.select_atoms(v) for k, v in groups.items()}, radii=RADII,
        rdf_init_kwargs={"range": (0, 8.0)},
    )  # fmt: skip
    solute.run(step=1)
    pairing = {k: float(v) for k, v in solute.pairing.solvent_pairing.items()}
    data = pd.read_csv(DATA / "bn_solv_df_large.csv", index_col=[0, 1, 2, 3])
    residence = Residence(data, step=1)
    found = {
        "version": solvation_analysis.__version__, "radii_angstrom": RADII,
        "coordination_numbers": {k: float(v) for k, v in solute.coordination.coordination_numbers.items()},
        "pairing": pairing,
        "residence_1_over_e_frames": {k: float(v) for k, v in residence.residence_times_cutoff.items()},
        "autocovariance": {k: np.round(v[:200:5], 6).tolist() for k, v in residence.auto_covariances.items()},
    }  # fmt: skip
    print(json.dumps(found, indent=1))


main()
