"""How well approximated effects agree with exact ones, on a sample of loci."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from ..loci import Loci

N_LOCI = 5
N_TOP = 100  # mutants of a locus, fewer where it has fewer than 300


class Predictor(Protocol):
    """What predicts all mutants of a sequence, as `engines.Engines` does."""

    def mutants(self, sequence: np.ndarray, item: int | None = None) -> np.ndarray:
        """(members, 1 + 3 L, marks)."""


def measure(exact: Predictor, approximated: Predictor, loci: Loci, marks: Sequence[str]) -> dict:
    """Compare effects by two engines.

    Returns
    -------
    dict of JSON values
        loci (names of those of the sample), mutants (their number), top (how many of a locus's mutants with the largest
        effects are compared), and for each mark what `compare` gives.
    """
    sample = np.unique(np.linspace(0, len(loci) - 1, N_LOCI).round().astype(int))
    pairs = [[_effects(each, loci, i) for i in sample] for each in (exact, approximated)]
    by_mark = {mark: compare(*(np.stack(effects)[..., k] for effects in pairs)) for k, mark in enumerate(marks)}
    return {"loci": loci.name[sample].tolist(), "mutants": sum(map(len, pairs[0])), "top": n_top(len(pairs[0][0])),
            "marks": by_mark}


def compare(exact: np.ndarray, approximated: np.ndarray) -> dict:
    """Agreement of approximated effects with exact ones.

    Parameters
    ----------
    exact, approximated : (loci, variants) arrays
        Effects on one mark.

    Returns
    -------
    dict of float or None
        pearson: correlation over all; rmse: root mean square error by the standard deviation of the exact ones; top:
        share of the `n_top` mutants with the largest exact effects, either way, that are among as many by the
        approximation, the mean over loci. None where a number is not defined.
    """
    spread, error = exact.std(), np.sqrt(((approximated - exact) ** 2).mean())
    constant = not (spread > 0 and approximated.std() > 0)
    shared = [len(np.intersect1d(_largest(a), _largest(b))) for a, b in zip(exact, approximated, strict=True)]
    return {"pearson": None if constant else float(np.corrcoef(exact.ravel(), approximated.ravel())[0, 1]),
            "rmse": float(error / spread) if spread > 0 else None,
            "top": float(np.mean(shared) / n_top(exact.shape[1]))}


def caution(approximation: dict) -> str:
    """That effects are approximated, for people."""
    engine = approximation["engine"]
    listed = engine if isinstance(engine, str) else ", ".join(dict.fromkeys(engine))
    return (f"caution: effects are approximated ({listed}), not predicted; against exact effects of "
            f"{approximation['mutants']:,} mutants at {len(approximation['loci'])} loci")


def sentence(approximation: dict) -> str:
    """`caution`, and what `measure` found."""
    found = {name: [each[name] for each in approximation["marks"].values() if each[name] is not None]
             for name in ("pearson", "rmse", "top")}
    spans = {name: f"{min(values):.2f} to {max(values):.2f}" if values else "NA" for name, values in found.items()}
    return (f"{caution(approximation)}: correlation {spans['pearson']}, error {spans['rmse']} of their standard "
            f"deviation, share of the {approximation['top']} largest {spans['top']}")


def n_top(n_variants: int) -> int:
    """How many of a locus's mutants count as those of the largest effects."""
    return min(N_TOP, n_variants // 3)


def _largest(effects):
    return np.argsort(-np.abs(effects), kind="stable")[:n_top(len(effects))]


def _effects(predictor, loci, number):
    """Mean over members of a locus's effects: (variants, marks)."""
    predicted = predictor.mutants(loci.sequences[number], loci.item_of(number), loci.positions_of(number))
    predicted = predicted.astype(np.float64)
    return (predicted[:, 1:] - predicted[:, :1]).mean(0)
