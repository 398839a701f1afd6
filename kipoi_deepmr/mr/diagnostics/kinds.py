"""Instruments by kind of mutants: how many there are, how strong, and how many of them move the outcome more."""

import numpy as np
import pandas as pd

COUNT, F, SHARED = "n_instruments_", "f_statistic_", "shared_share_"


def of_kinds(block, size, pairs, mutants, more):
    """Columns of each kind of mutants; none where there is but one kind.

    Parameters
    ----------
    block : kipoi_deepmr.mr.block.Block
    size : (locus, variant, mark) float64
        How much mutants move each mark, in units of all the locus's mutants.
    pairs : dict of int to list of int
        Outcomes by exposure.
    mutants : kipoi_deepmr.effects_store.StoredMutants
    more : float
        Times by which an instrument must move the outcome more than the exposure to count.

    Returns
    -------
    dict of str to (locus, pair) array
        n_instruments_KIND; f_statistic_KIND, the mean F; shared_share_KIND. The last two are NaN without instruments.
    """
    if len(mutants.kinds) < 2:
        return {}
    each = [(x, y) for x, outcomes in pairs.items() for y in outcomes]
    columns = {name + kind: np.zeros((len(block.effect), len(each)), np.int64 if name == COUNT else np.float64)
               for kind in mutants.kinds for name in (COUNT, F, SHARED)}
    with np.errstate(all="ignore"):
        for place, (x, y) in enumerate(each):
            chosen = block.instruments.of_pairs(x, y)
            f = np.where(chosen, np.square(block.effect[..., x] / block.effect_se[..., x]), 0.0)
            shared = chosen & (size[..., y] > more * size[..., x])
            for number, kind in enumerate(mutants.kinds):
                of_kind = mutants.of_kind == number
                n = chosen[:, of_kind].sum(1)
                columns[COUNT + kind][:, place] = n
                columns[F + kind][:, place] = f[:, of_kind].sum(1) / n
                columns[SHARED + kind][:, place] = shared[:, of_kind].sum(1) / n
    return columns


def kinds_of(table):
    """The kinds of mutants that a table of diagnostics has columns of."""
    return [name[len(COUNT):] for name in table.columns if name.startswith(COUNT)]


def sums_over_instruments(table):
    """Of a table's columns by kind, counts as they are, and the others times these: what adds up over loci."""
    found = {}
    for kind in kinds_of(table):
        n = table[COUNT + kind]
        found |= {COUNT + kind: n, **{name + kind: (table[name + kind] * n).fillna(0.0) for name in (F, SHARED)}}
    return pd.DataFrame(found, index=table.index)


def means_over_instruments(sums, n_rows):
    """From sums over loci: instruments a locus, and means over instruments; NaN without."""
    found = {}
    for kind in kinds_of(sums):
        n = sums[COUNT + kind]
        found |= {COUNT + kind: n / n_rows, **{name + kind: sums[name + kind] / n.where(n > 0) for name in (F, SHARED)}}
    return pd.DataFrame(found, index=sums.index)
