"""True causal effects, and test loci on which they are known."""

from pathlib import Path

import numpy as np
import pandas as pd

from .binding import BACKGROUND, EXPOSURE, OUTCOME, affinities, anscombe
from .sequences import motif_mutants, sample_sequences

N_TEST = 1_000

# A mutant cannot show an effect through an exposure that it does not move. Where GATA binds whatever single base
# changes (a very strong match, or another match beside it), all differences are near 0 and the truth is 0/0.
# One Anscombe unit is the standard deviation of Poisson noise on this scale.
MIN_EXPOSURE_CHANGE = 1.0

CONTIG = "chrSim"
SPACER = 50  # background bases before, between and after the test loci
FASTA_WIDTH = 60


def true_local_effects(bases, gata_starts, pwms, parameters):
    """True effect of GATA on TAL1 per sequence, and the largest change of GATA behind it.

    Over all single mutants within the GATA motif: regression through the origin of TAL1's differences on GATA's, both
    differences of noise-free, unconfounded, Anscombe-transformed affinities (paper, Methods: True causal effect
    computation).

    Returns
    -------
    effect, largest_change : ndarray (n,), ndarray (n,)
    """
    unconfounded = parameters._replace(eta=0.0, nu=0.0, tau=0.0)
    return _slopes(bases, gata_starts, pwms, lambda b: anscombe(affinities(b, pwms, unconfounded)))


def visible_local_effects(bases, gata_starts, pwms, parameters):
    """The same slopes on the labels that confounded sequences have on average, without Poisson noise.

    A confounder that adds to both counts moves them to where the Anscombe transform is flatter. A network that has
    learnt the labels perfectly shows these effects, not the unconfounded ones.
    """
    def mean_label(b):
        off, on = (anscombe(affinities(b, pwms, parameters, hidden)) for hidden in (0.0, 1.0))
        return (off + on) / 2

    return _slopes(bases, gata_starts, pwms, mean_label)[0]


def _slopes(bases, gata_starts, pwms, labels_of):
    mutants = motif_mutants(bases, gata_starts, len(pwms[EXPOSURE]))
    mutant = labels_of(mutants.reshape(-1, bases.shape[1])).reshape(*mutants.shape[:2], 2)
    exposure, outcome = np.moveaxis(mutant - labels_of(bases)[:, None], -1, 0)
    effect = (exposure * outcome).sum(axis=1) / (exposure**2).sum(axis=1)
    return effect, np.abs(exposure).max(axis=1)


def draw_test_loci(pwms, parameters, rng, n=N_TEST):
    """Test loci: generated sequences that hold both motifs and whose GATA a mutant within its motif can move.

    Returns
    -------
    bases : ndarray (n, length)
    truth : DataFrame, the columns of truth.tsv
    counts : dict, how many sequences were generated, held both motifs, and were removed by MIN_EXPOSURE_CHANGE
    """
    generated = sample_sequences(n, pwms, rng)
    both = (generated.starts[:, :2] >= 0).all(axis=1)
    bases, starts = generated.bases[both], generated.starts[both]
    effect, largest_change = true_local_effects(bases, starts[:, 0], pwms, parameters)
    kept = largest_change >= MIN_EXPOSURE_CHANGE
    truth = pd.DataFrame({"locus": locus_names(kept.sum()), "exposure": EXPOSURE, "outcome": OUTCOME,
                          "true_effect": effect[kept]})
    truth[["gata_start", "tal1_start"]] = starts[kept, :2]
    truth["largest_gata_change"] = largest_change[kept]
    counts = {"generated": n, "with_both_motifs": int(both.sum()), "removed": int((~kept).sum())}
    return bases[kept], with_reverse(truth), counts


def locus_names(n):
    """Names of n test loci."""
    return [f"locus{i:04d}" for i in range(1, n + 1)]


def with_reverse(truth):
    """The truth table and, below it, the pair TAL1 -> GATA: 0 at each locus, as GATA's affinity has no TAL1 in it."""
    reverse = truth.assign(exposure=OUTCOME, outcome=EXPOSURE, true_effect=0.0)
    return pd.concat([truth, reverse], ignore_index=True)


def write_test_loci(folder, bases, truth, rng):
    """Write test_loci.fa, test_loci.bed and truth.tsv: one contig, the loci between stretches of background."""
    folder = Path(folder)
    length = bases.shape[1]
    step = length + SPACER
    contig = rng.choice(4, size=len(bases) * step + SPACER, p=BACKGROUND)
    starts = SPACER + step * np.arange(len(bases))
    contig[starts[:, None] + np.arange(length)] = bases
    text = "".join(np.array(list("ACGT"))[contig])
    lines = [text[i:i + FASTA_WIDTH] for i in range(0, len(text), FASTA_WIDTH)]
    (folder / "test_loci.fa").write_text("\n".join([f">{CONTIG}", *lines, ""]))
    bed = [f"{CONTIG}\t{s}\t{s + length}\t{name}\t0\t+\n"
           for s, name in zip(starts, locus_names(len(bases)), strict=True)]
    (folder / "test_loci.bed").write_text("".join(bed))
    truth.to_csv(folder / "truth.tsv", sep="\t", index=False, float_format="%.8f", lineterminator="\n")


def true_global_effect(truth):
    """Mean and standard deviation of the true local effects of GATA on TAL1."""
    forward = truth.loc[truth["exposure"] == EXPOSURE, "true_effect"]
    return {"exposure": EXPOSURE, "outcome": OUTCOME, "mean": float(forward.mean()), "sd": float(forward.std())}
