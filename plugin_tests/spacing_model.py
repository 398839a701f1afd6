"""A model in closed form in which the spacing of two motifs decides what one mark does to the other."""

import numpy as np

from kipoi_deepmr.loci import Loci, Locus
from kipoi_deepmr.models import Description, Model

LENGTH = 200
MOTIFS = {"X": "GATAAGGC", "Y": "CAGGTGTT"}
PAIR_EFFECT = 3.0  # of X on Y where the motifs touch
DECAY = 50.0  # bp over which the effect falls to 1 / e


def effect_at(distance):
    """The true causal effect of X on Y at a distance of the motifs' centres."""
    return PAIR_EFFECT * np.exp(-np.asarray(distance) / DECAY)


class Spacing(Model):
    """X is how well X's best site fits its motif; Y is Y's fit, and on top X times an effect that falls with distance.

    A site's fit is 10 times the product over its bases of 1, or of `penalty` where the motif has another base.

    Parameters
    ----------
    k : int
        Members differ in their penalty and a little in the effect.
    depends : bool
        Whether distance matters; if not, the effect is that at 40 bp everywhere.
    """

    def __init__(self, k, depends=True):
        self.k, self.depends = k, depends
        rng = np.random.default_rng(k)
        self.penalty, self.factor = 0.35 + 0.03 * rng.normal(), 1 + 0.02 * rng.normal()

    def describe(self):
        return Description(f"spacing{self.k}", tuple(MOTIFS), LENGTH, "ACGT", f"{self.k}")

    def predict(self, sequences, item=None):
        (x, x_at), (y, y_at) = (self._best(sequences, motif) for motif in MOTIFS.values())
        effect = effect_at(np.abs(x_at - y_at) if self.depends else 40.0)
        return np.stack([x, y + self.factor * effect * x], axis=1)[None]

    def _best(self, sequences, motif):
        """Fit of each sequence's best site, and where it begins."""
        windows = np.lib.stride_tricks.sliding_window_view(sequences, len(motif), axis=1)
        fits = 10 * self.penalty ** (windows != np.frombuffer(motif.encode(), np.uint8)).sum(-1)
        return fits.max(1), fits.argmax(1)


def n_sites(sequence):
    """How many sites a sequence has that differ from a motif in one base at most: those that a mutant may prefer."""
    windows = np.lib.stride_tricks.sliding_window_view(sequence, 8)
    return sum(((windows != np.frombuffer(motif.encode(), np.uint8)).sum(1) <= 1).sum() for motif in MOTIFS.values())


def loci_and_motifs(n, seed=0):
    """n loci with one site of each motif at a random distance of 10 to 160 bp, the sites as BED, and the distances."""
    rng = np.random.default_rng(seed)
    loci, lines, distances = [], [], []
    for i in range(n):
        distance = int(rng.integers(10, 160))
        first = int(rng.integers(0, LENGTH - distance - 8))
        sites = dict(zip(("X", "Y") if i % 2 else ("Y", "X"), (first, first + distance), strict=True))
        sequence = _with_sites(rng, sites)
        while n_sites(sequence) > 2:
            sequence = _with_sites(rng, sites)
        lines += [f"chr1\t{1000 * i + at}\t{1000 * i + at + 8}\t{mark}" for mark, at in sites.items()]
        loci.append(Locus("chr1", 1000 * i, 1000 * i + LENGTH, "+", f"locus{i}", sequence))
        distances.append(distance)
    return Loci.from_list(loci), "\n".join(lines) + "\n", np.array(distances)


def _with_sites(rng, sites):
    sequence = rng.choice(np.frombuffer(b"ACGT", np.uint8), LENGTH)
    for mark, at in sites.items():
        sequence[at:at + 8] = np.frombuffer(MOTIFS[mark].encode(), np.uint8)
    return sequence
