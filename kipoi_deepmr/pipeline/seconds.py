"""How long estimation and all that follows takes one processor, from what was measured (docs/performance.md)."""

import math

from ..methods import METHODS
from ..mr.pairs import COMPILED_FROM
from ..report import shapes

LEAST = {"network": 0.2, "estimate": 1.0, "aggregate": 1.8, "report": 2.0}  # seconds of the smallest
# Of compiled loops: seconds of a fit, and more of it for the root of the number of its instruments
FIT, OF_INSTRUMENTS = 5.5e-8, 1.8e-8
RELATIVE = {"ratios": 1.0, "origin": 1.0, "line": 1.25, "additive_origin": 2.5, "additive_line": 3.0}
# Fits a second in arrays, and of methods without compiled loops, by module; of 15 instruments
ARRAYS = 300_000
OTHERS = {"regression": 23_000, "simex": 200_000, "median": 4_200, "mode": 630, "raps": 19_000, "divw": 105_000,
          "likelihood": 75_000, "contamination": 63_000, "lasso": 51_000, "correlated": 75_000, "two_stage": 360_000}
NUMBERS, NUMBERS_OF_NETWORK = 8_000_000, 10_000_000  # of the effects that are read a second
MODERATED_PAIRS, DIAGNOSED = 400_000, 5_000  # a second
PAIR_OF_NETWORK, PAIR_AND_LOCUS_OF_NETWORK = 1e-5, 1.5e-7  # seconds
PAIR, PAIR_WITH_ESTIMATE, PAIR_OF_FILES, LOCAL_EFFECT = 4.5e-5, 2.5e-5, 2e-5, 2.9e-7  # seconds, of `aggregate`
PAIR_IN_PARQUET = 5.5e-6
NAMED_FROM, NAMED_TO, NAME = 40, 200, 0.015  # marks with names on the figure of the network, and seconds of one
PAIR_OF_REPORT, LOCUS_OF_REPORT, LOCI_OF_REPORT = 1.1e-5, 5e-4, 6_000  # seconds; most pairs and loci on the page
PAIR_OF_REPORT_IN_PARQUET = 3.6e-6
PAIRS_OF_REPORT = 60


def seconds_of(options, sizes, counts, known, network, whole_run, diagnosed, parquet=False):
    """Roughly how long each stage takes.

    Parameters
    ----------
    options : EstimateOptions
    sizes : dict of str to int
        Of the effects' dimensions.
    counts : (int, int, int)
        Pairs, local effects, and fits of all methods and members.
    known : Sampled
    network : bool
        Whether a network is inferred.
    whole_run : bool
        Whether the other stages follow.
    diagnosed : float
        Rows of diagnostics with an estimate.
    parquet : bool
        Whether tables are Parquet, which is written faster.

    Returns
    -------
    dict of str to float
        Seconds of one processor, by stage.
    """
    pairs, rows, fits = counts
    n_methods, marks, loci = len(options.method), sizes["mark"], sizes["locus"]
    numbers = loci * sizes["variant"] * marks * (1 + sizes["member"])
    of_method = fits / n_methods
    estimate = LEAST["estimate"] + numbers / NUMBERS + diagnosed / DIAGNOSED
    estimate += of_method * sum(_seconds_of_fit(METHODS[name], of_method, known.instruments) for name in options.method)
    if options.spread_shrinkage == "moderated":
        estimate += pairs * n_methods / MODERATED_PAIRS
    of_network = LEAST["network"] + numbers / NUMBERS_OF_NETWORK
    of_network += marks ** 2 * (PAIR_OF_NETWORK + loci * known.causes * PAIR_AND_LOCUS_OF_NETWORK)
    if not whole_run:
        return {"estimate": estimate + (of_network if options.instruments == "direct" else 0)}
    aggregate = LEAST["aggregate"] + rows * LOCAL_EFFECT
    aggregate += pairs * n_methods * (PAIR_IN_PARQUET if parquet else PAIR + PAIR_WITH_ESTIMATE * known.of_pairs)
    if network:
        aggregate += pairs * PAIR_OF_FILES * known.causes + NAME * marks * (NAMED_FROM < marks <= NAMED_TO)
    elif options.instruments == "direct":
        estimate += of_network
    shown = min(loci * min(pairs, PAIRS_OF_REPORT), LOCI_OF_REPORT)
    return {**({"network": of_network} if network else {}), "estimate": estimate, "aggregate": aggregate,
            "report": LEAST["report"] + shown * LOCUS_OF_REPORT + (shapes.seconds(sizes) if network else 0)
            + pairs * (PAIR_OF_REPORT_IN_PARQUET if parquet else PAIR_OF_REPORT)}


def _seconds_of_fit(method, n_fits, instruments):
    """Seconds of one fit, if there are `n_fits` by this method."""
    if method.closed_form and n_fits >= COMPILED_FROM:
        return RELATIVE[method.closed_form] * (FIT + OF_INSTRUMENTS * math.sqrt(instruments))
    return 1 / (ARRAYS if method.closed_form else OTHERS.get(method.module, ARRAYS))
