"""What is printed at the end: verdicts first, then what they rest on and what is wrong, in at most 20 lines."""

import os
import shlex

import numpy as np

from ..display import counted, listed, of_loci, shortened
from ..errors import on_one_line
from ..meta.order import strongest_first
from ..mutagenesis import agreement
from ..network.verdicts import CANNOT_BE_TOLD, DIRECT, HIDDEN, INDIRECT_BEGINS, NONE, NOT_CLEAR
from ..pipeline.duration import in_words
from ..runs.outputs import OUTPUTS
from ..shape.words import SATURATING, UNKNOWN
from .tables import LETTERS_OF_NAME, MAX_LINES, Part, said, table_of

NAMES_SHOWN = 3
# how a verdict begins, and pairs with it in the singular and the plural
VERDICTS = {
    DIRECT: ("direct effect", "direct effects"),
    INDIRECT_BEGINS: ("indirect effect", "indirect effects"),
    HIDDEN: ("with possibly a hidden common cause",) * 2,
    NONE: ("with no effect beyond the minimum",) * 2,
    CANNOT_BE_TOLD: ("that cannot be told",) * 2,
}

# What members differ by, where they are not models trained apart, by the setting that makes them
NOT_DEEP = {"mc_dropout": "dropout masks", "augment": "augmented views", "member_columns": "replicate columns"}


def of_models(ensemble):
    """What the models are, how DNA goes in and marks come out, and what to know of their marks."""
    lines = [f"models: {len(ensemble.described)}, which make {counted(len(ensemble.names), 'member')}: "
             f"{listed(ensemble.names, MAX_LINES)}"]
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
    title = f"{counted(len(rows), 'mark')}, predictions of {of_what}"
    return table_of(("mark", "mean", "sd over members"), rows, title)


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


def of_cost(ensemble, measured, n_loci, what="mutants"):
    """How long a run takes; what is predicted, mutants or the sequences of which they are means."""
    rate = measured.mutants_per_second
    return (f"cost: {rate:,.0f}" if rate >= 10 else f"cost: {rate:.2g}") + (
        f" {what} a second through {counted(len(ensemble.names), 'member')}; {measured.mutants_per_locus:,} {what} a "
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
        return None
    return said(f"caution: members that differ by {' and '.join(kinds)} show only a part of a model's uncertainty; "
                "models trained apart, a deep ensemble, remain the recommended kind (docs/ensembles.md)")


def of_selection(selection, dropped=None):
    """Loci used, and those dropped with reasons and names: those of the selection, or all of `dropped`."""
    dropped = selection.dropped if dropped is None else dropped
    n_dropped, before = (sum(map(len, each.values())) for each in (dropped, selection.dropped))
    n_used = len(selection.loci) + before - n_dropped
    rows = [f"  {len(names)} dropped: {reason}: {_few(names)}" for reason, names in dropped.items()]
    return Part((f"loci: {n_used} used, {n_dropped} dropped, of {selection.n_candidates}",), tuple(rows))


def of_global(table, where):
    """How many pairs have which verdict, then verdicts and effects, the strongest first.

    Parameters
    ----------
    table : pandas.DataFrame
        Global effects of all methods; of several the first one is shown. Where it holds the strongest pairs alone,
        `attrs["pairs"]` says how many there are.
    where : str
        The file that holds them.

    Returns
    -------
    Part
    """
    methods = list(dict.fromkeys(table["method"]))
    first = table[table["method"] == methods[0]] if methods else table
    rows = []
    for row in first.loc[strongest_first(first)[:MAX_LINES]].itertuples():
        rows.append((row.exposure, row.outcome, _verdict(row), _interval(row.estimate, row.ci_low, row.ci_high),
                     _number(row.standardised), str(row.n_loci), _p_value(row.pvalue)))
    header = ("exposure", "outcome", "verdict", f"{methods[0] if methods else 'effect'} [95 % interval]", "sd per sd",
              "loci", "p")
    of_others = f" (by {methods[0]}, the first of {len(methods)} methods)" if len(methods) > 1 else ""
    n_pairs = table.attrs.get("pairs", len(first))
    of_all = f"of {counted(n_pairs, 'ordered pair')} the strongest: " if n_pairs > len(first) else ""
    return table_of(header, rows, f"{of_all}{_of_verdicts(first)}{of_others}", n_pairs, where)


def _verdict(row):
    if row.verdict == NONE and NOT_CLEAR in row.reason:
        return f"{NONE} (not clear)"
    return row.verdict if isinstance(row.verdict, str) else "NA"


def _of_verdicts(table):
    """How many pairs have which verdict; of no effects, how many are estimated beyond the minimum all the same."""
    pairs = counted(len(table), "ordered pair")
    if not len(table):
        return f"verdicts: {pairs}"
    if table["verdict"].isna().all():
        return f"no verdicts on {pairs}: {table['reason'].iloc[0]}"
    number = {kind: table["verdict"].str.startswith(kind).sum() for kind in VERDICTS}
    unclear = (table["verdict"].eq(NONE) & table["reason"].str.contains(NOT_CLEAR, regex=False)).sum()
    return _counts(pairs, number, unclear)


def _counts(pairs, number, unclear):
    told = {kind: counted(number[kind], *VERDICTS[kind]) for kind in VERDICTS if number[kind]}
    if unclear:
        told[NONE] += f" ({unclear:,} of them estimated beyond it, but not clearly)"
    return f"verdicts on {pairs}: {', '.join(told.values())}"


def of_notes(notes):
    """What a stage left out or could not do; None for no notes."""
    return Part(("notes:",), tuple(f"  {note}" for note in notes)) if notes else None


def of_rules(compared):
    """Global effects by two instrument rules, the largest difference for its error first; None without."""
    if not compared:
        return None
    rows = [(each["exposure"], each["outcome"], each["method"], str(each["n_loci"]),
             *(_interval(each[name], each[f"{of}ci_low"], each[f"{of}ci_high"])
               for name, of in (("direct", "direct_"), ("regions", "regions_"), ("difference", ""))),
             _number(each["spearman"]))
            for each in sorted(compared, key=lambda each: (np.isnan(each["pvalue"]), each["pvalue"]))[:MAX_LINES]]
    header = ("exposure", "outcome", "method", "loci", "direct", "regions", "difference", "Spearman over loci")
    return table_of(header, rows, "instruments that the effects show against those of your regions, 95 % intervals",
                    len(compared))


def of_network(found, where):
    """Verdicts of a network, the strongest direct effects first."""
    pairs, judgement = found.pairs, found.judgement
    size = np.nan_to_num(np.abs(pairs.direct_std(np.arange(len(pairs)))), nan=-1)
    order = np.argsort(-size, kind="stable")[:MAX_LINES]
    table = pairs.direct_table(order).assign(**dict(zip(("verdict", "reason"), judgement.texts(order), strict=True)))
    rows = [(row.exposure, row.outcome, _verdict(row), _number(row.direct_std), _p_value(row.qvalue_min_effect),
             str(row.n_loci)) for row in table.itertuples()]
    header = ("exposure", "outcome", "verdict", "direct, sd per sd", "q beyond the minimum", "loci")
    told = _counts(counted(len(pairs), "ordered pair"), judgement.numbers, judgement.n_not_clear)
    return table_of(header, rows, told, len(pairs), where)


def of_marks(found):
    """How many marks can be causes, and why the others cannot."""
    marks = found.marks
    rows = [f"  {on_one_line(row.mark)}: {row.reason}" + (f" (near copy of {on_one_line(row.twins)})" * bool(row.twins))
            for row in marks[~marks["cause"]].itertuples()]
    return Part((f"marks: {marks['cause'].sum()} of {len(marks)} have mutants of their own and can be causes",),
                tuple(rows))


def of_strata(found):
    """Whether effects differ between strata, and trends, the clearest first."""
    tests = found.tests
    order = tests[["q_between_pvalue", "slope_pvalue"]].min(axis=1).sort_values(kind="stable").index[:MAX_LINES]
    rows = [(row.covariate, row.exposure, row.outcome, row.method, str(row.n_loci), _p_value(row.q_between_pvalue),
             _number(row.slope), _p_value(row.slope_pvalue)) for row in tests.loc[order].itertuples()]
    header = ("covariate", "exposure", "outcome", "method", "loci", "p between strata", "slope", "p of slope")
    return table_of(header, rows, "strata", tests.attrs.get("rows", len(tests)))


def of_shape(found):
    """What the curve of a pair is called, its slopes and tests, and what the curves of single loci are called."""
    curve, row = found.curve, found.table.iloc[0]
    rows = [f"  slope {where}: {_interval(*(row[f'slope_{name}{end}'] for end in ('', '_ci_low', '_ci_high')))}"
            for name, where in (("reference", "at the reference"), ("half", "at half of full ablation"),
                                ("full", f"at full ablation ({_number(curve.full)} on {on_one_line(found.exposure)})"))]
    rows.append(f"  test against a line: p = {_p_value(curve.pvalue)}; that it bends by more than the minimum: p = "
                f"{_p_value(curve.pvalue_min_bend)}")
    words = found.loci.loc[found.loci["note"] == "", "shape"].value_counts()
    rows.append(f"  loci one by one: {', '.join(f'{n:,} {word}' for word, n in words.items())}")
    notes = found.loci.loc[found.loci["note"] != "", "note"].value_counts()
    rows += [f"  {counted(n, 'locus', 'loci')} left out: {note}" for note, n in notes.items()]
    x = on_one_line(found.exposure)
    if np.isfinite(curve.shape.turn):
        side = "above" if curve.shape.word == SATURATING else "below"
        rows.insert(0, f"  {side} an effect of {_number(curve.shape.turn)} on {x} the slope is less than half of the "
                       "steepest")
    return Part((f"{x} -> {on_one_line(found.outcome)}: {curve.shape.word} ({counted(curve.n_loci, 'locus', 'loci')}, "
                 f"{counted(round(curve.n_instruments), 'instrument')})",), tuple(rows))


def of_state(found):
    """Whether the effect of a pair depends on levels and distances."""
    rows = [(row.covariate, row.verdict, str(row.n_loci),
             _interval(row.effect_low, row.effect_low_ci_low, row.effect_low_ci_high),
             _interval(row.effect_high, row.effect_high_ci_low, row.effect_high_ci_high),
             _p_value(row.pvalue_adjusted), row.note) for row in found.dependences]
    header = ("depends on", "verdict", "loci", "slope where it is low", "slope where it is high", "adjusted p", "")
    return table_of(header, rows, "slopes of loci by what differs between them (10 % and 90 % quantile)")


def of_interactions(found, where):
    """Verdicts on pairs of regions, the clearest first."""
    rows = [(row.exposure, row.exposure_2, row.outcome, row.verdict, str(row.n_loci),
             *(_number(value) for value in (row.effect, row.effect_2, row.effect_both)),
             _interval(row.interaction, row.interaction_ci_low, row.interaction_ci_high),
             "" if row.model == UNKNOWN else row.model) for row in found.ordered()]
    header = ("region", "region", "outcome", "verdict", "loci", "without 1st", "without 2nd", "without both",
              "interaction", "model")
    on_scale = f", effects on the scale {found.scale}" if found.scale != "identity" else ""
    return table_of(header, rows, f"interactions of two regions{on_scale}", where=where)


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
    return "\n".join([str(table), *(["not used:", *lines] if lines else [])])


def of_tracks(done, value):
    """What tracks hold."""
    counts = done.counts
    which = {"largest": "the largest absolute effect of its mutants, with its sign",
             "mean": "the mean of its three mutants"}[value]
    rows = [f"  {counts.shared:,} lie in several loci and have the mean of their values"] if counts.shared else []
    rows += [f"  {of_loci(counts.lost)} without predictions left out"] if counts.lost else []
    instruments = [] if counts.instruments is None else [counted(counts.instruments, "instrument")]
    wide = [counted(counts.wide, "mutant") + " of several bases"] if counts.wide else []
    bases = [f"{counted(counts.bases, 'base')}, {which}"] if counts.bases or not wide else []
    return Part((f"tracks of {counted(done.n_marks, 'mark')}: {'; '.join(bases + wide + instruments)}",), tuple(rows))


def of_files(folder):
    """How many files the folder holds now, and with which one to start."""
    names = [name for name in OUTPUTS if os.path.exists(os.path.join(folder, name))]
    first = next((name for name in ("report.html", "global.tsv", "global.parquet") if name in names), None)
    return said(f"written to {folder}: {counted(len(names), 'file')}"
                + (f"; start with {os.path.join(folder, first)}" if first else ""))


def _few(names):
    """The first names, short ones, and how many more there are."""
    short = shortened(names[:NAMES_SHOWN], LETTERS_OF_NAME)
    return listed([short.get(name, name) for name in names], NAMES_SHOWN)


def _by_model(title, texts):
    """Lines of what is said of each model: one if it is the same for all."""
    if len(set(texts.values())) == 1:
        return [f"{title}: {next(iter(texts.values()))}"]
    return [f"{title} of {name}: {text}" for name, text in texts.items()]


def _interval(value, low, high):
    return "NA" if np.isnan(value) else f"{_number(value)} [{_number(low)}, {_number(high)}]"


def _p_value(value):
    """A p-value; one too small for a number is no zero."""
    return "<1e-300" if value == 0 else _number(value)


def _number(value):
    return "NA" if np.isnan(value) else f"{value:.3g}"
