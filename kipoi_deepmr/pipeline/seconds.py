"""How long estimation and all that follows takes one processor: from steps that were timed, the rest as measured."""

from typing import NamedTuple

from ..effects_store import Shape
from ..instruments.rays import FEW_MARKS
from ..meta import order
from ..mr.pairs import holds_fits, moderates
from ..report import shapes
from ..report.contents import MAX_GLOBAL_ROWS, MAX_PAIRS
from ..threads import n_threads
from .duration import in_words
from .sampled import most_causes

# Seconds of the machine that was measured (docs/performance.md), multiplied by `Rates.slow`
LEAST = {"network": 0.1, "estimate": 0.3, "aggregate": 1.3, "report": 1.6}  # of the smallest
READ = 1.2e-8  # a number of the effects that is read
RECORD, NUMBER_OF_RECORD = 2e-5, 4e-7  # of the VCF
# Numbers of the effects that the network reads a second, of few marks, which have several starts, and of many
NUMBERS_OF_NETWORK = 10_000_000, 33_000_000
# A pair of the network, one of causes, one at a locus where there are causes, and two causes and a mark
PAIR_OF_NETWORK, CAUSE_OF_NETWORK, PAIR_AND_LOCUS_OF_NETWORK, CAUSES_OF_NETWORK = 1e-7, 1.2e-5, 6.4e-9, 1.6e-8
PAIR_OF_CROWDED = 1.9e-8  # a pair whose exposure can be a cause, for each mutant that moves many marks
PAIR_OF_FILES, PAIR_OF_CAUSES_IN_FILES = 2e-6, 5e-6
NAMED_FROM, NAMED_TO, NAME = 40, 200, 0.02  # marks with small names on the figure of the network, and seconds of one
UNNAMED, PAIR_OF_UNNAMED = 1.2, 2e-6  # seconds of a figure without names, and of a pair of it
ROW_OF_FIGURE, VERDICT = 3.4e-6, 1.2e-6  # a row of the global table, for its figure and for its verdict
# Of the report: a row of local effects that is shown, a mutant and what each mark adds, a pair that is listed, one that
# is read, a variable of the array that is read for a pair, a part of it and what each number adds
ROW_OF_REPORT, MUTANT_OF_REPORT, MARK_OF_MUTANT, PAIR_OF_REPORT = 2.8e-4, 9e-5, 1e-6, 1.5e-5
PAIR_READ, PAIR_READ_IN_PARQUET, VARIABLE_READ, PART_READ, NUMBER_OF_PART = 3.8e-6, 3e-6, 1.5e-3, 2e-4, 1.6e-9
FEW = 0.01  # causes: a network of hardly any has no direct effects
VARIABLES = 5  # of the array that the report reads
ROWS_OF_REPORT, MUTANTS_OF_REPORT, MARKS_OF_REPORT = 6_000, 30_000, 160  # the most of it


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
        every = {"network": rates.slow * of_network(sizes, known), "aggregate": aggregate,
                 "report": rates.slow * of_report(sizes, counts, known, network, parquet)}
        if "aggregate" not in stages:
            every["network"] += rates.slow * of_network_files(sizes, known.causes)
        return cls({name: n for name, n in every.items() if name in stages}, pooled * ("aggregate" in stages))

    def with_estimate(self, options, sizes, counts, known, rates):
        """These and that of estimation, which comes after the network."""
        taken, shared = _of_estimate(options, sizes, counts, known, rates)
        taken += rates.slow * of_network(sizes, known) * counts.infers
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
        fits, passes = counts.rows * (rates.effect + rates.spread), 1 + twice + (counts.in_table > 0)
    else:
        twice = twice and not holds_fits(sizes, counts.pairs, options)
        fits, passes = counts.rows * rates.spread * twice, 1 + twice
    of_table = counts.in_table * rates.row + loci * rates.row_locus * (counts.in_table > 0)
    fits += counts.pairs * counts.methods * rates.moderated
    passes_of_block = (counts.diagnosed > 0) + (options.vcf != "none")
    serial = rates.slow * (LEAST["estimate"] + numbers * READ * (passes + passes_of_block))
    serial += loci * (rates.shrink + rates.view + (passes - 1) * rates.again) + of_table
    serial += counts.diagnosed * rates.diagnosed + loci * rates.diagnosed_locus * (counts.diagnosed > 0)
    if options.vcf != "none":
        records = loci * sizes["variant"] * known.of_mutants
        width = min(20, sizes["mark"]) if counts.wide else 2 * sizes["mark"] + counts.pairs * known.share
        serial += rates.slow * records * (RECORD + width * NUMBER_OF_RECORD)
    return serial + fits, fits


def _of_aggregate(sizes, counts, known, rates, network):
    rows = counts.pairs * counts.methods
    of_figure = rates.slow * ROW_OF_FIGURE * (rows if rows <= order.MOST_ROWS else 0)
    seconds = rates.slow * LEAST["aggregate"] + rows * (rates.pooled + rates.judged) + of_figure
    seconds += counts.rows * rates.read
    if network:
        seconds += rates.slow * (VERDICT * rows + of_network_files(sizes, known.causes))
    return seconds, rows * rates.pooled


def of_network(sizes, known):
    """Seconds in which a network is inferred, of the machine that was measured."""
    marks, loci = sizes["mark"], sizes["locus"]
    numbers = loci * sizes["variant"] * marks * (1 + sizes["member"])
    of_pairs = marks ** 2 * (PAIR_OF_NETWORK + CAUSE_OF_NETWORK * known.causes
                             + PAIR_AND_LOCUS_OF_NETWORK * loci * (known.causes > FEW))
    if marks > FEW_MARKS:
        of_pairs += marks * most_causes(sizes) * PAIR_OF_CROWDED * known.crowded
    of_causes = CAUSES_OF_NETWORK * known.causes ** 2 * marks ** 3
    return LEAST["network"] + numbers / NUMBERS_OF_NETWORK[marks > FEW_MARKS] + of_pairs + of_causes


def of_network_files(sizes, causes):
    """Seconds in which a network's files and figure are written, of the machine that was measured."""
    marks = sizes["mark"]
    figure = NAME * marks if marks <= NAMED_TO else UNNAMED + PAIR_OF_UNNAMED * marks ** 2
    return marks ** 2 * (PAIR_OF_FILES + PAIR_OF_CAUSES_IN_FILES * causes) + figure


def of_report(sizes, counts, known, network, parquet):
    """Seconds that the report takes, of the machine that was measured."""
    loci, marks, shown = sizes["locus"], sizes["mark"], min(counts.pairs, MAX_PAIRS)
    rows = counts.pairs * counts.methods
    mutants = min(loci * sizes["variant"], MUTANTS_OF_REPORT // (1 + 3 * (rows > MAX_GLOBAL_ROWS)))
    seconds = LEAST["report"] + min(loci * shown, ROWS_OF_REPORT) * ROW_OF_REPORT
    seconds += mutants * (MUTANT_OF_REPORT + MARK_OF_MUTANT * min(marks, MARKS_OF_REPORT))
    seconds += min(counts.pairs, MAX_GLOBAL_ROWS) * PAIR_OF_REPORT
    seconds += rows * (PAIR_READ_IN_PARQUET if parquet else PAIR_READ)
    if counts.wide:
        shape = Shape(range(counts.methods), loci, range(max(1, counts.pairs // max(1, marks - 1))), range(marks), 0)
        part = PART_READ + NUMBER_OF_PART * shape.block * shape.group * marks
        seconds += shown * VARIABLES * (VARIABLE_READ + -(-loci // shape.block) * part)
    return seconds + (shapes.seconds(sizes) if network and known.causes > FEW else 0)
