"""The heat map of all ordered pairs: a byte a pair, marks that behave alike beside each other."""

import base64

import numpy as np
import pandas as pd

from ..network.significance import FALSE_DISCOVERY_RATE
from ..network.verdicts import NONE
from ..plots.heatmap import clustered, marks_of, matrix_of
from .glance import is_believed

MOST_MARKS = 1_000
MISSING = -128
MANY_MARKS = 20
STEPS = 127  # of one sign
EMPTY, FILLED, HOLLOW = 0, 1, 2  # dots


def heat(run):
    """Effects of all pairs by the first method, standardised if that is known.

    Parameters
    ----------
    run : FinishedRun

    Returns
    -------
    dict
        Of JSON values: `marks` by name, in the order of a clustering; `cells`, base64 of int8 (exposure, outcome): the
        effect as 127ths of `most`, and -128 where there is none; `dots`, base64 of 2 bits a cell, from the lowest: 1
        for an effect that is believed, 2 for one that is doubtful; `ends`, whether effects lie beyond -`most` and
        `most`; `what` they are; `left_out`, how many marks are not shown: those whose largest effect is smallest.
    """
    table = run.of_first_method
    standardised = table["standardised"].notna().any()
    names = marks_of(table)
    effects = matrix_of(table, names, table["standardised" if standardised else "estimate"])
    dots = np.nan_to_num(matrix_of(table, names, _dots(table))).astype(np.uint8)
    sizes = np.nan_to_num(np.abs(effects))
    shown = np.sort(np.argsort(-np.maximum(sizes.max(0), sizes.max(1)), kind="stable")[:MOST_MARKS])
    order = shown[clustered(effects[np.ix_(shown, shown)])]
    effects, dots = effects[np.ix_(order, order)], dots[np.ix_(order, order)]
    known = effects[np.isfinite(effects) & (effects != 0)]
    most = _most(effects[dots > 0] if (dots > 0).any() else known, 1.0 if len(order) <= MANY_MARKS else 0.9)
    cells = np.clip(np.rint(np.nan_to_num(effects) / most * STEPS), -STEPS, STEPS)
    cells = np.where(np.isfinite(effects), cells, MISSING).astype(np.int8)
    return {"marks": [str(names[i]) for i in order], "most": float(f"{most:.4g}"),
            "cells": base64.b64encode(cells.tobytes()).decode(), "dots": base64.b64encode(_packed(dots)).decode(),
            "ends": [bool((known < -most).any()), bool((known > most).any())], "left_out": len(sizes) - len(shown),
            "what": "sd of outcome per sd of exposure" if standardised else "effect"}


def _most(effects, share):
    """The size at which colours end: few wild effects must not make all others pale."""
    sizes = np.abs(effects[np.isfinite(effects) & (effects != 0)])
    return float(np.quantile(sizes, share)) if len(sizes) else 1.0


def _dots(table):
    """Filled for an effect that is believed, hollow for a significant one that is doubtful."""
    significant = (table["qvalue"] < FALSE_DISCOVERY_RATE).to_numpy()
    if table["verdict"].isna().all():
        return np.where(significant, FILLED, EMPTY)
    # by the few texts that there are: millions of texts would take gigabytes
    code, verdicts = pd.factorize(table["verdict"])
    believed, doubtful = (np.array([*map(is_so, verdicts), of_missing])[code] for is_so, of_missing in (
        (is_believed, False), (NONE.__ne__, True)))
    return np.where(believed, FILLED, np.where(significant & doubtful, HOLLOW, EMPTY))


def _packed(dots):
    """2 bits a cell, four cells a byte, the first in the lowest bits."""
    flat = np.zeros(-(-dots.size // 4) * 4, np.uint8)
    flat[:dots.size] = dots.ravel()
    return (flat.reshape(-1, 4) << np.array([0, 2, 4, 6], np.uint8)).sum(1, dtype=np.uint8).tobytes()
