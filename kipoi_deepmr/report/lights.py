"""Diagnostics as traffic lights: a colour for the share of loci at which a flag is red, a sentence for each flag."""

from ..mr.diagnostics.table import GROUPS, RED

GREEN_TO, AMBER_TO = 0.10, 1 / 3  # twice what a test at 5 % gives by chance; a third of the loci

# flag: when it is red, and what to do: the table of docs/diagnostics.md (a test compares them)
SENTENCES = {
    "direction": (
        "the instruments explain at least as much of the outcome as of the exposure",
        "Look at the reverse pair: the effect may run the other way, or both marks follow a third. `--instruments "
        "direct` takes only mutants that act on the exposure; `--steiger` drops those that move the outcome more."),
    "shared": (
        "more than half of the instruments move the outcome more than the exposure, by a tenth, each in units of that "
        "mark's effects at the locus",
        "They may act on the outcome itself: compare both directions, and take `--instruments direct`."),
    "heterogeneity": (
        "Cochran's Q, p < 0.05",
        "The instruments disagree: read the random-effects interval, and compare `ivw` with `median_weighted` and "
        "`egger_robust`."),
    "egger_heterogeneity": (
        "Rücker's Q, p < 0.05",
        "An intercept does not explain the disagreement either: prefer the medians, the modes or `egger_robust` to "
        "`egger`."),
    "pleiotropy": (
        "Egger's intercept, p < 0.05",
        "Instruments act on the outcome past the exposure, mostly one way: report `egger` or `egger_robust` beside "
        "`ivw`, and see `--instruments direct`."),
    "presso": (
        "MR-PRESSO's global test, p < 0.05 (`--diagnostics all`)",
        "More scatter than errors explain: look at `outliers`, and prefer robust methods."),
    "outliers": (
        "an instrument's p < 0.05 after Bonferroni",
        "See which mutants they are in the VCF: often they hit a motif of the outcome's own."),
    "nonlinear": (
        "quadratic term, p < 0.05",
        "The outcome saturates, or gains and losses differ: the slope is an average over this locus's mutants; try "
        "another `--scale`."),
    "dilution": (
        "I²_GX < 0.9; with `direct` and `regions`, that of the ensemble's mean",
        "Exposure effects hardly differ beyond their errors: Egger is drawn towards 0 by that factor; do not report "
        "it alone."),
    "weak": (
        "mean F < 10, or most instruments below 10; with `direct` and `regions`, mean F of the ensemble's mean < 10",
        "Raise `--instrument_z`, or take `raps` or `divw`, which allow for errors of the exposure."),
    "influence": (
        "leaving out one instrument moves IVW by more than its standard error",
        "The estimate hangs on one mutant: quote `loo_low` to `loo_high`."),
}


def sentences():
    """One dict a flag, in the order of `mr.diagnostics.RED`: what it is about, name, when it is red, what to do."""
    return [{"group": group, "name": flag, "red_when": _plain(SENTENCES[flag][0]), "to_do": _plain(SENTENCES[flag][1])}
            for group, flags in GROUPS.items() for flag in flags]


def colour_of(share, tested=True):
    """green, amber or red for a share of loci; none where nothing was tested."""
    if not tested or share != share:
        return "none"
    return "green" if share <= GREEN_TO else "amber" if share <= AMBER_TO else "red"


def bits_of(red):
    """Flags with commas between them, as diagnostics.tsv has them, as a number: bit i for the i-th of `RED`."""
    up = set(red.split(",")) if red else set()
    return sum(1 << bit for bit, flag in enumerate(RED) if flag in up)


def _plain(markdown):
    return markdown.replace("`", "")
