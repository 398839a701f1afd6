"""Real ensembles, as the strong mutants of their stores: TAL1 and GATA1 nets, and splice sites of OpenSpliceAI.

data/network_samples.npz holds members' standardised effects (half precision), loci and units of `sample`.
"""

from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from kipoi_deepmr import network
from kipoi_deepmr.instruments.assignment import assignment_of
from kipoi_deepmr.instruments.sample import Sample

DATA = np.load(Path(__file__).resolve().parent.parent / "data" / "network_samples.npz")


def fitted(name, marks):
    members = DATA[f"{name}_members"].astype(np.float32)
    locus = DATA[f"{name}_locus"].astype(np.int64)
    gathered = Sample(members.mean(0, dtype=np.float64), members, locus, DATA[f"{name}_sd"], int(locus.max()) + 1,
                      np.full(len(marks), 0.05), np.zeros(len(marks), bool), 20_000)
    return network.fit(None, assignment=assignment_of(gathered, marks))


def test_gata_and_tal1_act_on_both_and_not_on_each_other():
    """Three nets trained elsewhere; "both" is the AND of GATA and TAL1: no mutant is its own."""
    found = fitted("tal_gata", ("both", "GATA", "TAL1"))
    verdict = found.verdicts.set_index(["exposure", "outcome"])["verdict"]
    direct = found.direct.set_index(["exposure", "outcome"])["direct_std"]
    assert list(found.marks["cause"]) == [False, True, True]
    for pair in (("GATA", "TAL1"), ("TAL1", "GATA")):
        assert abs(direct[pair]) < 0.05 and verdict[pair] == "no effect beyond the minimum"
    for mark in ("GATA", "TAL1"):
        assert direct[mark, "both"] > 0.4 and verdict[mark, "both"] == "direct effect"
        assert verdict["both", mark] == "cannot be told: no mutant acts on both alone"


def test_splice_sites_act_on_each_other_less_in_longer_exons():
    """Exon definition: both directions at once, by amounts that each exon has of its own."""
    found = fitted("splice", ("acceptor", "donor"))
    assert set(found.verdicts["verdict"]) == {"direct effect"}
    length = DATA["splice_length"]
    for i, j in ((0, 1), (1, 0)):
        local = np.array([found.instruments.rays.local.at_locus(locus)[i, j] for locus in range(len(length))])
        assert stats.spearmanr(length, local)[0] < -0.5
        assert np.abs(local[length > 200]).max() < 0.1 < np.median(local[length < 110])


@pytest.mark.parametrize("name, marks", [("tal_gata", ("both", "GATA", "TAL1")), ("splice", ("acceptor", "donor"))])
def test_the_order_of_marks_changes_nothing(name, marks):
    members, order = DATA[f"{name}_members"].astype(np.float32), np.arange(len(marks))[::-1]
    locus = DATA[f"{name}_locus"].astype(np.int64)
    turned = Sample(members.mean(0, dtype=np.float64)[:, order], members[..., order], locus, DATA[f"{name}_sd"][order],
                    int(locus.max()) + 1, np.full(len(marks), 0.05), np.zeros(len(marks), bool), 20_000)
    other = network.fit(None, assignment=assignment_of(turned, tuple(np.array(marks)[order]))).matrix
    assert np.allclose(other[np.ix_(order, order)], fitted(name, marks).matrix, atol=1e-9, equal_nan=True)
