"""How long estimation and all that follows takes one processor: from steps that were timed, the rest as measured."""

from typing import NamedTuple

from ..mr.pairs import HELD_FITS, moderates
from ..report import shapes
from ..threads import n_threads
from .duration import in_words

# Seconds of the machine that was measured (docs/performance.md), multiplied by `Rates.slow`
LEAST = {"network": 0.2, "estimate": 0.5, "aggregate": 1.6, "report": 2.0}  # of the smallest
READ = 3e-8  # a number of the effects that is read
TABLE_READ = 8e-6  # a row of the local table
RECORD, NUMBER_OF_RECORD = 2e-5, 4e-7  # of the VCF
NUMBERS_OF_NETWORK = 10_000_000  # of the effects that are read a second
PAIR_OF_NETWORK, PAIR_AND_LOCUS_OF_NETWORK = 1e-5, 1.5e-7
PAIR_OF_FILES, PAIR_OF_CAUSES_IN_FILES = 1.1e-5, 2.1e-5
NAMED_FROM, NAMED_TO, NAME = 40, 200, 0.02  # marks with small names on the figure of the network, and seconds of one
UNNAMED = 1.8  # seconds of a figure without names
PAIR_OF_REPORT, LOCUS_OF_REPORT, LOCI_OF_REPORT = 1.1e-5, 5e-4, 6_000  # most pairs and loci on the page
PAIR_OF_REPORT_IN_PARQUET = 3.6e-6
PAIRS_OF_REPORT = 60


class Seconds(NamedTuple):
    """How long stages take.

    Attributes
    ----------
    of_stage : dict of str to float
        Seconds of one processor.
    shared : float
        Of all these, what several processors do together.
    """

    of_stage: dict
    shared: float

    @classmethod
    def after(cls, sizes, counts, known, rates, stages, parquet=False):
        """Those of stages that follow estimation, or run without it.

        Parameters
        ----------
        sizes : dict of str to int
            Of the effects' dimensions.
        counts : Counts
        known : Sampled
        rates : Rates
        stages : sequence of str
        parquet : bool
            Whether tables are Parquet, which is read faster.
        """
        network = "network" in stages
        aggregate, pooled = _of_aggregate(sizes, counts, known, rates, network)
        every = {"network": rates.slow * of_network(sizes, known.causes), "aggregate": aggregate,
                 "report": rates.slow * of_report(sizes, counts.pairs, network, parquet)}
        if "aggregate" not in stages:
            every["network"] += rates.slow * of_network_files(sizes, known.causes)
        return cls({name: n for name, n in every.items() if name in stages}, pooled * ("aggregate" in stages))

    def with_estimate(self, options, sizes, counts, known, rates):
        """These and that of estimation, which comes after the network."""
        taken, shared = _of_estimate(options, sizes, counts, known, rates)
        taken += rates.slow * of_network(sizes, known.causes) * counts.infers
        network = {name: n for name, n in self.of_stage.items() if name == "network"}
        return Seconds({**network, "estimate": taken, **{**self.of_stage, **network}}, self.shared + shared)

    @property
    def text(self):
        """About how long the stages take."""
        stages, n = ", ".join(f"{name} {in_words(each)}" for name, each in self.of_stage.items()), n_threads()
        gone_by = sum(self.of_stage.values()) - self.shared * (1 - 1 / n)
        return f"about: {stages} (of one processor{f'; {in_words(gone_by)} in all with the {n} here' * (n > 1)})"


def _of_estimate(options, sizes, counts, known, rates):
    loci = sizes["locus"]
    numbers = loci * sizes["variant"] * sizes["mark"] * (2 + sizes["member"])
    twice = moderates(options)
    if counts.wide:
        fits = counts.rows * (rates.effect + rates.spread)
        passes = 1 + twice
        of_table = counts.in_table * (rates.row + rates.spread)
        passes += (1 + twice) * (counts.in_table > 0)
    else:
        held = counts.fits <= HELD_FITS
        fits, passes = 0.0 if held or not twice else counts.rows * rates.spread, 1 + (twice and not held)
        of_table = counts.in_table * rates.row
    fits += counts.pairs * counts.methods * rates.moderated
    passes_of_block = (counts.diagnosed > 0) + (options.vcf != "none")
    serial = rates.slow * (LEAST["estimate"] + numbers * READ * (passes + passes_of_block))
    serial += loci * (rates.shrink + passes * rates.view) + of_table + counts.diagnosed * rates.diagnosed
    if options.vcf != "none":
        records = loci * sizes["variant"] * known.of_mutants
        width = min(20, sizes["mark"]) if counts.wide else 2 * sizes["mark"] + counts.pairs * known.share
        serial += rates.slow * records * (RECORD + width * NUMBER_OF_RECORD)
    return serial + fits, fits


def _of_aggregate(sizes, counts, known, rates, network):
    rows = counts.pairs * counts.methods
    seconds = rates.slow * LEAST["aggregate"] + rows * (rates.pooled + rates.judged)
    seconds += counts.rows * (rates.read if counts.wide else rates.slow * TABLE_READ)
    if network:
        seconds += rates.slow * of_network_files(sizes, known.causes)
    return seconds, rows * rates.pooled


def of_network(sizes, causes):
    """Seconds in which a network is inferred, of the machine that was measured."""
    marks, loci = sizes["mark"], sizes["locus"]
    numbers = loci * sizes["variant"] * marks * (1 + sizes["member"])
    of_pairs = marks ** 2 * (PAIR_OF_NETWORK + loci * causes * PAIR_AND_LOCUS_OF_NETWORK)
    return LEAST["network"] + numbers / NUMBERS_OF_NETWORK + of_pairs


def of_network_files(sizes, causes):
    """Seconds in which a network's files and figure are written, of the machine that was measured."""
    marks = sizes["mark"]
    of_pairs = marks ** 2 * (PAIR_OF_FILES + PAIR_OF_CAUSES_IN_FILES * causes)
    return of_pairs + (NAME * marks if marks <= NAMED_TO else UNNAMED)


def of_report(sizes, pairs, network, parquet):
    """Seconds that the report takes, of the machine that was measured."""
    shown = min(sizes["locus"] * min(pairs, PAIRS_OF_REPORT), LOCI_OF_REPORT)
    return (LEAST["report"] + shown * LOCUS_OF_REPORT + (shapes.seconds(sizes) if network else 0)
            + pairs * (PAIR_OF_REPORT_IN_PARQUET if parquet else PAIR_OF_REPORT))
