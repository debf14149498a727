"""Damaged files of every kind: no traceback, no signal, no hang, no leaked warning, exit codes 0, 1 and 2 only.

A few inputs of each kind here; thousands by ``CELLSIM_FUZZ=3000 pytest tests/fuzz`` (and ``CELLSIM_FUZZ_SEED``), which
prints what it counted. Every input runs in a forked process of its own, so that one that dies fails one test only.
"""

import os
import shutil
import sys
import warnings
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))

from child import LIMIT, in_child
from kinds import KINDS, SHIFTED, make_seeds

from mdcoeffs.onsager.estimate import estimate_onsager
from mdcoeffs.synthetic.walkers import walk

INPUTS = int(os.environ.get("CELLSIM_FUZZ", "0"))
SEED = int(os.environ.get("CELLSIM_FUZZ_SEED", "17"))
FAST = 2
"""Inputs of a kind in the fast suite."""


@pytest.fixture(scope="module")
def seeds(tmp_path_factory):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        estimate_onsager(
            walk(np.eye(2) * 1e-10, frames=60, dt=1e-12, seed=1)
        )  # compiled here, not by a child with a limit
        return make_seeds(tmp_path_factory.mktemp("seeds"))


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_a_good_file_is_taken(kind, seeds, tmp_path):
    from dataclasses import replace

    # the first call on a fresh machine compiles: a minute where the processor is slow, which is no hang
    call = replace(kind, damage=lambda raw, rng: raw).outcome(seeds, tmp_path, np.random.default_rng(1))
    end = in_child(call, limit=6 * LIMIT)
    assert (end.code, end.faults) == (0, []), end.err[-1500:]


def tried(kind, number, count, seeds, tmp_path):
    """So many damaged inputs of a kind, in words where they go wrong."""
    faults, codes = [], Counter()
    for k in range(count):
        folder = tmp_path / str(k)
        folder.mkdir()
        end = in_child(kind.outcome(seeds, folder, np.random.default_rng([SEED, number, k])))
        shutil.rmtree(folder)
        codes[f"signal {end.signal}" if end.signal else end.code] += 1
        faults += [(k, *end.faults, (end.err or end.out)[-700:])] if end.faults else []
    print(f"\n{kind.name}: {count} inputs, exit codes {dict(codes)}, {len(faults)} faults")
    return "\n\n".join(" | ".join(map(str, fault)) for fault in faults[:5])


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_a_damaged_file_is_one_sentence(kind, seeds, tmp_path):
    faults = tried(kind, KINDS.index(kind), -(-INPUTS // len(KINDS)) or FAST, seeds, tmp_path)
    assert not faults, faults


@pytest.mark.parametrize("kind", SHIFTED, ids=lambda kind: kind.name)
def test_lost_and_doubled_stretches_are_found_out(kind, seeds, tmp_path):
    faults = tried(kind, 100 + SHIFTED.index(kind), -(-INPUTS // len(KINDS)) or FAST, seeds, tmp_path)
    assert not faults, faults
