"""What is printed at the end: loci used and dropped, instruments, the strongest effects."""

import os
import shlex

import numpy as np

from ..meta.order import strongest_first
from ..mutagenesis import agreement
from ..pipeline.duration import in_words
from ..runs.outputs import OUTPUTS
from .tables import MAX_ROWS, table_of

NAMES_SHOWN = 3

# What members differ by, where they are not models trained apart, by the setting that makes them
NOT_DEEP = {"mc_dropout": "dropout masks", "augment": "augmented views", "member_columns": "replicate columns"}


def of_models(ensemble):
    """What the models are, how DNA goes in and marks come out, and what to know of their marks."""
    lines = [f"models: {len(ensemble.described)}, which make {_counted(ensemble.names, 'member')}: "
             f"{_listed(ensemble.names)}"]
    for title, attribute in (("run by", "framework"), ("input", "layout"), ("output", "outputs")):
        lines += _by_model(title, {d.name: getattr(d, attribute) for d in ensemble.described})
    for d in ensemble.described:
        lines += [f"note on {d.name}: {note}" for note in d.notes]
    return "\n".join(lines)


def of_reference(ensemble, measured, of_what):
    """Predictions of one sequence: mean and spread over members."""
    spread = measured.reference.std(0, ddof=1) if len(ensemble.names) > 1 else np.full(len(ensemble.marks), np.nan)
    rows = [(mark, _number(mean), _number(sd))
            for mark, mean, sd in zip(ensemble.marks, measured.reference.mean(0), spread, strict=True)]
    return table_of(("mark", "mean", "sd over members"), rows, f"{_counted(rows, 'mark')}, predictions of {of_what}")


def of_engines(engines):
    """Which engine predicts the mutants of which model, and why."""
    told = {choice.model: f"{choice.engine}: {choice.why}" for choice in engines.choices}
    return "\n".join(_by_model("engine", told))


def of_approximation(told):
    """That effects are approximated, and how well, mark by mark; empty if they are not."""
    if told is None:
        return ""
    rows = [(mark, *(_number(np.nan if value is None else value) for value in found.values()))
            for mark, found in told["marks"].items()]
    header = ("mark", "correlation", "error / sd", f"share of the top {told['top']}")
    return table_of(header, rows, agreement.caution(told))


def of_cost(ensemble, measured, n_loci):
    """How long a run takes."""
    rate = measured.mutants_per_second
    return (f"cost: {rate:,.0f}" if rate >= 10 else f"cost: {rate:.2g}") + (
        f" mutants a second through {_counted(ensemble.names, 'member')}; {measured.mutants_per_locus:,} mutants a "
        f"locus: about {in_words(measured.seconds(n_loci))} for {n_loci:,} loci")


def of_next_step(command, has_loci):
    """The command that runs what was checked, from that which checked it: its program's name, then its words."""
    program, *words = command
    words = ["run" if number == words.index("check") else word for number, word in enumerate(words)
             if word not in ("-q", "--quiet")]
    loci = [] if has_loci else ["--intervals_file", "loci.bed", "--fasta_file", "genome.fa"]
    return f"next: {program} {shlex.join([*words, *loci, '-o', 'OUT'])}"


def of_fitness(measured):
    """Whether the models can be used, and if not why."""
    if not measured.problems:
        return "fit for DeepMR: yes"
    return "\n".join(["fit for DeepMR: no", *(f"  {problem}" for problem in measured.problems)])


def of_caution(ensemble):
    """One line if members are not models trained apart."""
    kinds = [kind for setting, kind in NOT_DEEP.items() if ensemble.settings.get(setting)]
    if not kinds:
        return ""
    return (f"caution: members that differ by {' and '.join(kinds)} show only a part of a model's uncertainty; "
            "models trained apart, a deep ensemble, remain the recommended kind (docs/ensembles.md)")


def of_loci(selection, dropped=None):
    """Loci used, and those dropped with reasons and names: those of the selection, or all of `dropped`."""
    dropped = selection.dropped if dropped is None else dropped
    n_dropped, before = (sum(map(len, each.values())) for each in (dropped, selection.dropped))
    n_used = len(selection.loci) + before - n_dropped
    lines = [f"loci: {n_used} used, {n_dropped} dropped, of {selection.n_candidates}"]
    for reason, names in dropped.items():
        more = f" and {len(names) - NAMES_SHOWN} more" if len(names) > NAMES_SHOWN else ""
        lines.append(f"  {len(names)} dropped: {reason}: {', '.join(names[:NAMES_SHOWN])}{more}")
    return "\n".join(lines)


def _few(notes):
    more = [f"  and {len(notes) - MAX_ROWS} more"] if len(notes) > MAX_ROWS else []
    return [*notes[:MAX_ROWS], *more]


def of_global(table):
    """A verdict for every pair and why, then global effects; both with the strongest first."""
    order = strongest_first(table)
    verdicts = table.loc[order].drop_duplicates(["exposure", "outcome"])
    parts = []
    n_verdicts, verdicts = len(verdicts), verdicts.head(MAX_ROWS)
    if verdicts["verdict"].notna().any():
        rows = [(row.exposure, row.outcome, row.verdict, _number(row.standardised), row.reason)
                for row in verdicts.itertuples()]
        header = ("exposure", "outcome", "verdict", "sd per sd", "reason")
        parts.append(table_of(header, rows, "verdicts, strongest first", n_verdicts))
    elif len(verdicts):
        parts.append(f"no verdicts: {verdicts['reason'].iloc[0]}")
    rows = []
    for row in table.loc[order[:MAX_ROWS]].itertuples():
        interval = f"{_number(row.estimate)} [{_number(row.ci_low)}, {_number(row.ci_high)}]"
        rows.append((row.exposure, row.outcome, row.method, str(row.n_loci), interval, _p_value(row.pvalue),
                     _number(row.tau)))
    header = ("exposure", "outcome", "method", "loci", "global effect [95 % interval]", "p", "tau")
    effects = "\n".join([table_of(header, rows, "global effects, strongest first", len(table)),
                         *_few(table.attrs.get("notes", []))])
    return "\n\n".join([*parts, effects, *_of_rules(table.attrs.get("rules"))])


def _of_rules(compared):
    """Global effects by two instrument rules, the largest difference for its error first; empty without."""
    if not compared:
        return []
    rows = [(each["exposure"], each["outcome"], each["method"], str(each["n_loci"]),
             *(f"{_number(each[name])} [{_number(each[f'{of}ci_low'])}, {_number(each[f'{of}ci_high'])}]"
               for name, of in (("direct", "direct_"), ("regions", "regions_"), ("difference", ""))),
             _number(each["spearman"]))
            for each in sorted(compared, key=lambda each: (np.isnan(each["pvalue"]), each["pvalue"]))]
    header = ("exposure", "outcome", "method", "loci", "direct", "regions", "difference", "Spearman over loci")
    return [table_of(header, rows, "instruments that the effects show against those of your regions, 95 % intervals")]


def of_network(found):
    """Verdicts of a network, the strongest direct effects first."""
    table = found.direct.merge(found.verdicts, on=["exposure", "outcome"])
    order = table["direct_std"].abs().fillna(-1).sort_values(ascending=False, kind="stable").index
    rows = [(row.exposure, row.outcome, row.verdict, _number(row.direct_std), _p_value(row.qvalue_min_effect),
             row.reason) for row in table.loc[order].itertuples()]
    header = ("exposure", "outcome", "verdict", "direct, sd per sd", "q beyond the minimum", "reason")
    return table_of(header, rows, "verdicts, strongest first")


def of_marks(found):
    """Which marks can be causes."""
    rows = [(row.mark, "yes" if row.cause else "no", str(row.n_own_mutants), str(row.n_own_loci), row.twins or "-",
             row.reason or "-") for row in found.marks.itertuples()]
    header = ("mark", "cause", "own mutants", "at loci", "near copies", "why not")
    return table_of(header, rows, "marks")


def of_strata(found):
    """Whether effects differ between strata, and trends, the clearest first."""
    tests = found.tests
    order = tests[["q_between_pvalue", "slope_pvalue"]].min(axis=1).sort_values(kind="stable").index
    rows = [(row.covariate, row.exposure, row.outcome, row.method, str(row.n_loci), _p_value(row.q_between_pvalue),
             _number(row.slope), _p_value(row.slope_pvalue)) for row in tests.loc[order].itertuples()]
    header = ("covariate", "exposure", "outcome", "method", "loci", "p between strata", "slope", "p of slope")
    return "\n".join([table_of(header, rows, "strata"), *found.notes])


def of_calibration(calibration, found, left_out):
    """Reliability of each mark before and after, and what of the observed values was not used."""
    rows = []
    for one in found:
        counts = calibration.counts[one.mark]
        rows.append((one.mark, one.distribution, str(counts.used), str(counts.missing), str(counts.left_out),
                     *(_number(x) for x in (one.miscalibration_area, one.coverage, one.sharpness))))
    header = ("mark", "distribution", "observed values", "missing", "left out", "miscalibration area",
              "95 % intervals hold", "sharpness")
    lines = [f"  {n} {reason}" for reason, n in left_out.items()]
    table = table_of(header, rows, f"recalibration {calibration.recalibration}, each value by a fit to other sequences")
    return "\n".join([table, *(["not used:", *lines] if lines else [])])


def of_files(folder):
    """What the folder holds now."""
    names = [name for name in OUTPUTS if os.path.exists(os.path.join(folder, name))]
    return f"written to {folder}: {', '.join(names)}"


def _counted(things, name):
    return f"{len(things)} {name}{'s' * (len(things) != 1)}"


def _by_model(title, texts):
    """Lines of what is said of each model: one if it is the same for all."""
    if len(set(texts.values())) == 1:
        return [f"{title}: {next(iter(texts.values()))}"]
    return [f"{title} of {name}: {text}" for name, text in texts.items()]


def _listed(names):
    more = f" and {len(names) - MAX_ROWS} more" if len(names) > MAX_ROWS else ""
    return ", ".join(names[:MAX_ROWS]) + more


def _p_value(value):
    """A p-value; one too small for a number is no zero."""
    return "<1e-300" if value == 0 else _number(value)


def _number(value):
    return "NA" if np.isnan(value) else f"{value:.3g}"
