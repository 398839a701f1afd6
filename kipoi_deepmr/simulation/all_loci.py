"""Test loci of a round of the paper's simulation with both motifs, also those whose GATA no single mutant moves."""

import os

import numpy as np
import pandas as pd

from .binding import BACKGROUND, EXPOSURE, OUTCOME, Parameters, affinities, anscombe
from .round_folder import read_record
from .scenarios import pwms_of
from .sequences import sample_sequences
from .truth import (
    CONTIG,
    MIN_EXPOSURE_CHANGE,
    SPACER,
    locus_names,
    true_local_effects,
    visible_local_effects,
    with_reverse,
    write_test_loci,
)

DRAWS = 50  # random sequences in place of a motif
SEED = 1
REGIONS = "regions.bed"


def write_all_loci(source, folder, scenario, n_test, streams):
    """Write test_loci.fa, test_loci.bed, truth.tsv and regions.bed, of both motifs.

    The truth of loci that the round left out is the slope of TAL1 on GATA over random sequences in place of the GATA
    motif; NaN where these do not move GATA either, since it binds elsewhere, too. What the labels show there is NaN.

    Parameters
    ----------
    source : str
        Folder of the round.
    folder : str
    scenario : Scenario
    n_test : int
        Test sequences before selection.
    streams : sequence of numpy.random.Generator
        As the round was made by.
    """
    parameters, pwms = Parameters(**read_record(source)["parameters"]), pwms_of(scenario)
    generated = sample_sequences(n_test, pwms, streams[1])
    both = (generated.starts[:, :2] >= 0).all(axis=1)
    bases, starts = generated.bases[both], generated.starts[both]
    effect, change = true_local_effects(bases, starts[:, 0], pwms, parameters)
    ablated, ablated_change = ablated_effects(bases, starts[:, 0], pwms, parameters)
    kept = change >= MIN_EXPOSURE_CHANGE
    truth = pd.DataFrame({"locus": locus_names(len(bases)), "exposure": EXPOSURE, "outcome": OUTCOME})
    truth["true_effect"] = np.where(kept, effect, np.where(ablated_change >= MIN_EXPOSURE_CHANGE, ablated, np.nan))
    truth["visible_effect"] = np.where(kept, visible_local_effects(bases, starts[:, 0], pwms, parameters), np.nan)
    truth["kept"] = kept.astype(int)
    truth = with_reverse(truth)
    truth.loc[truth["exposure"] == OUTCOME, "visible_effect"] = 0.0
    write_test_loci(folder, bases, truth, streams[2])
    _write_regions(os.path.join(folder, REGIONS), bases.shape[1], starts, pwms)


def _write_regions(path, length, starts, pwms):
    first = SPACER + (length + SPACER) * np.arange(len(starts))
    with open(path, "w", encoding="utf-8") as file:
        for locus, places in zip(first, starts, strict=True):
            for mark, place in zip((EXPOSURE, OUTCOME), places, strict=False):
                file.write(f"{CONTIG}\t{locus + place}\t{locus + place + len(pwms[mark])}\t{mark}\n")


def ablated_effects(bases, starts, pwms, parameters):
    """Slope of TAL1 on GATA over random sequences in place of the GATA motif, and GATA's mean change: (n,) each."""
    unconfounded, width = parameters._replace(eta=0.0, nu=0.0, tau=0.0), len(pwms[EXPOSURE])
    made = np.repeat(bases[:, None], DRAWS, axis=1)
    rows, draws = np.ogrid[:len(bases), :DRAWS]
    random = np.random.default_rng(SEED).choice(4, (len(bases), DRAWS, width), p=BACKGROUND)
    made[rows[..., None], draws[..., None], starts[:, None, None] + np.arange(width)] = random

    def labels(b):
        return anscombe(affinities(b, pwms, unconfounded))

    of_made = labels(made.reshape(-1, bases.shape[1])).reshape(*made.shape[:2], 2)
    x, y = np.moveaxis(of_made - labels(bases)[:, None], -1, 0)
    return (x * y).sum(axis=1) / (x ** 2).sum(axis=1), np.abs(x.mean(axis=1))
