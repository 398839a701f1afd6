"""The heat map of more marks than a chart can hold: one byte a pair, marks that behave alike beside each other."""

import base64

import numpy as np

from ..plots.heatmap import clustered, marks_of, matrix_of

MOST_MARKS = 1_000
MISSING = -128
STEPS = 127  # of one sign


def matrix(run):
    """Effects of all pairs by the first method, standardised if that is known.

    Parameters
    ----------
    run : FinishedRun

    Returns
    -------
    dict
        Of JSON values: `marks` by name, in the order of a clustering; `cells`, base64 of int8 (exposure, outcome): the
        effect as 127ths of `most`, beyond which effects look alike, and -128 where there is none; `what` they are;
        `left_out`, how many marks are not shown: those whose largest effect is smallest.
    """
    table = run.of_first_method
    standardised = table["standardised"].notna().any()
    effects = matrix_of(table, marks_of(table), table["standardised" if standardised else "estimate"])
    sizes = np.nan_to_num(np.abs(effects))
    shown = np.sort(np.argsort(-np.maximum(sizes.max(0), sizes.max(1)), kind="stable")[:MOST_MARKS])
    names = np.array(marks_of(table), object)[shown]
    effects = effects[np.ix_(shown, shown)]
    order = clustered(effects)
    effects = effects[np.ix_(order, order)]
    known = np.abs(effects[np.isfinite(effects) & (effects != 0)])
    most = float(np.quantile(known, 0.99)) if len(known) else 1.0
    cells = np.clip(np.rint(np.nan_to_num(effects) / most * STEPS), -STEPS, STEPS)
    cells = np.where(np.isfinite(effects), cells, MISSING).astype(np.int8)
    return {"marks": [str(name) for name in names[order]], "most": float(f"{most:.4g}"),
            "cells": base64.b64encode(cells.tobytes()).decode(), "left_out": len(sizes) - len(shown),
            "what": "sd of outcome per sd of exposure" if standardised else "effect"}
