"""The example ensemble: its simulation against a slow, obvious version, and the files that it ships."""

import hashlib
import importlib.util
import json
import math
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from kipoi_deepmr.simulation import binding, scenarios, sequences, training
from kipoi_deepmr.simulation import truth as truth_of

EXAMPLE = Path(__file__).resolve().parents[2] / "example_models" / "tf_cooperativity"


def load_script(name):
    """Import one of the example's scripts from its path, without running it."""
    spec = importlib.util.spec_from_file_location(f"tf_cooperativity_{name}", EXAMPLE / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


train = load_script("train")
compare = load_script("compare")


@pytest.fixture(scope="module")
def pwms():
    return binding.load_pwms()


@pytest.fixture(scope="module")
def record():
    return json.loads((EXAMPLE / "training.json").read_text())


@pytest.fixture(scope="module")
def parameters(record):
    return binding.Parameters(record["alpha"], record["gamma"])


@pytest.fixture(scope="module")
def truth():
    return pd.read_csv(EXAMPLE / "truth.tsv", sep="\t")


@pytest.fixture(scope="module")
def loci():
    """Base codes of the shipped test loci, cut out of the FASTA by hand."""
    lines = (EXAMPLE / "test_loci.fa").read_text().splitlines()
    contig = "".join(lines[1:])
    bed = pd.read_csv(EXAMPLE / "test_loci.bed", sep="\t", header=None)
    return encode(contig[start:end] for start, end in zip(bed[1], bed[2], strict=True))


def encode(sequences):
    return np.array([["ACGT".index(base) for base in sequence] for sequence in sequences], dtype=np.uint8)


# The slow, obvious version: one sequence, one letter at a time.

BACKGROUND = {"A": 0.27, "C": 0.23, "G": 0.23, "T": 0.27}


def slow_binding(sequence, pwm):
    probabilities = []
    for offset in range(len(sequence) - len(pwm) + 1):
        energy = 0.0
        for k, row in enumerate(pwm):
            base = sequence[offset + k]
            energy -= math.log(row["ACGT".index(base)] / BACKGROUND[base])
        probabilities.append(1 / (1 + math.exp(energy)))
    return probabilities


def slow_soft_or(probabilities):
    nowhere = 1.0
    for p in probabilities:
        nowhere *= 1 - p
    return 1 - nowhere


def slow_affinities(sequence, pwms, alpha, gamma):
    gata = slow_soft_or(slow_binding(sequence, pwms["GATA"]))
    tal1 = slow_soft_or(slow_binding(sequence, pwms["TAL1"]))
    return 1 + alpha * gata, 1 + alpha * gamma * gata * tal1


def slow_true_effect(sequence, gata_start, pwms, alpha, gamma):
    def scaled(s):
        return [2 * math.sqrt(c + 3 / 8) for c in slow_affinities(s, pwms, alpha, gamma)]

    reference = scaled(sequence)
    products, squares, changes = 0.0, 0.0, []
    for position in range(gata_start, gata_start + len(pwms["GATA"])):
        for base in "ACGT":
            if base != sequence[position]:
                mutant = scaled(sequence[:position] + base + sequence[position + 1 :])
                x, y = mutant[0] - reference[0], mutant[1] - reference[1]
                products, squares = products + x * y, squares + x * x
                changes.append(abs(x))
    return products / squares, max(changes)


GATA_SITE, TAL1_SITE = "ACAGATAAGG", "CGGACCAGATGTTCAG"
SPACER = "CTCTACGCTTCCATTCGTCCTTACGCTTACCTTGACCTCTTGC" * 3


def padded(*parts):
    return ("".join(parts) + SPACER)[:100]


SEQUENCES = {
    "no motif": padded(),
    "GATA alone": padded(SPACER[:20], GATA_SITE),
    "both": padded(SPACER[:20], GATA_SITE, SPACER[:20], TAL1_SITE),
    "at the left end": padded(GATA_SITE, TAL1_SITE),
    "at the right end": SPACER[: 100 - 26] + TAL1_SITE + GATA_SITE,
    "two GATA sites": padded(GATA_SITE, SPACER[:7], TAL1_SITE, SPACER[:7], GATA_SITE),
    "one letter": "A" * 100,
}


@pytest.mark.parametrize("sequence", SEQUENCES.values(), ids=SEQUENCES)
def test_binding_and_affinities_agree_with_the_slow_version(sequence, pwms):
    bases = encode([sequence, sequence[::-1]])
    for pwm in pwms.values():
        fast = binding.binding_probability(bases, pwm)
        np.testing.assert_allclose(fast[0], slow_binding(sequence, pwm), rtol=1e-12)
        np.testing.assert_allclose(binding.soft_or(fast)[0], slow_soft_or(slow_binding(sequence, pwm)), rtol=1e-9)
    fast = binding.affinities(bases, pwms, binding.Parameters(101.0, 9.5))
    np.testing.assert_allclose(fast[0], slow_affinities(sequence, pwms, 101.0, 9.5), rtol=1e-9)
    np.testing.assert_allclose(fast[1], slow_affinities(sequence[::-1], pwms, 101.0, 9.5), rtol=1e-9)


def test_true_local_effects_agree_with_the_slow_version(pwms):
    starts = {"both": 20, "at the left end": 0, "at the right end": 90, "two GATA sites": 0, "GATA alone": 20}
    bases = encode(SEQUENCES[name] for name in starts)
    parameters = binding.Parameters(101.0, 9.5)
    fast = truth_of.true_local_effects(bases, np.array(list(starts.values())), pwms, parameters)
    slow = [slow_true_effect(SEQUENCES[name], start, pwms, *parameters[:2]) for name, start in starts.items()]
    np.testing.assert_allclose(np.transpose(fast), slow, rtol=1e-6)


def test_a_second_strong_site_saturates_the_exposure(pwms):
    """What the rule on the largest change is for: with another site of the factor, no mutant of the first moves it."""
    change = [
        truth_of.true_local_effects(encode([SEQUENCES[name]]), np.array([start]), pwms, binding.Parameters(100, 10))[1]
        for name, start in [("both", 20), ("two GATA sites", 0)]
    ]
    assert change[0] > truth_of.MIN_EXPOSURE_CHANGE
    assert change[1] < 1e-3 * truth_of.MIN_EXPOSURE_CHANGE


def test_pwms_are_probabilities_and_have_the_known_consensus(pwms):
    for mark, core in [("GATA", "AGATAAG"), ("TAL1", "CAGATG")]:
        np.testing.assert_allclose(pwms[mark].sum(axis=1), 1, atol=2e-6)  # the collection has six digits
        assert core in "".join("ACGT"[i] for i in pwms[mark].argmax(axis=1))


def test_sampled_sequences_hold_their_motifs_where_they_say(pwms):
    bases, starts = sequences.sample_sequences(4000, pwms, np.random.default_rng(5))
    held = starts >= 0
    np.testing.assert_allclose(held.mean(axis=0), 0.5, atol=0.04)
    np.testing.assert_allclose(held.all(axis=1).mean(), 0.25, atol=0.03)
    for column, pwm in enumerate(pwms.values()):
        rows = np.flatnonzero(held[:, column])
        instances = bases[rows[:, None], starts[rows, column, None] + np.arange(len(pwm))]
        frequencies = (instances[..., None] == np.arange(4)).mean(axis=0)
        np.testing.assert_allclose(frequencies, pwm, atol=0.05)
    gata, tal1 = starts[held.all(axis=1)].T
    assert ((gata + len(pwms["GATA"]) <= tal1) | (tal1 + len(pwms["TAL1"]) <= gata)).all()


def test_background_has_its_frequencies(pwms):
    bases, starts = sequences.sample_sequences(4000, pwms, np.random.default_rng(6))
    background = bases[(starts < 0).all(axis=1)]
    np.testing.assert_allclose(np.bincount(background.ravel()) / background.size, list(BACKGROUND.values()), atol=0.01)


def test_mutate_once_changes_one_base_and_it_lies_in_a_motif_if_there_is_one(pwms):
    originals = sequences.sample_sequences(500, pwms, np.random.default_rng(7))
    mutants = sequences.mutate_once(originals, pwms, np.random.default_rng(8))
    rows, positions = np.nonzero(mutants != originals.bases)
    np.testing.assert_array_equal(rows, np.arange(500))
    widths = [len(pwm) for pwm in pwms.values()]
    for position, starts in zip(positions, originals.starts, strict=True):
        inside = [s <= position < s + w for s, w in zip(starts, widths, strict=True) if s >= 0]
        assert any(inside) or not inside


def test_gamma_comes_from_an_even_mixture():
    gammas = np.array([scenarios.draw_parameters(np.random.default_rng(seed)).gamma for seed in range(2000)])
    assert gammas.min() == 0
    assert 0.46 < (gammas > 5).mean() < 0.54
    np.testing.assert_allclose(gammas[gammas > 5].mean(), 10, atol=0.1)
    np.testing.assert_allclose(gammas[gammas > 5].std(), 0.5, atol=0.05)


def test_validation_shares_no_original_with_training(pwms):
    (train_bases, train_labels), (valid_bases, valid_labels) = scenarios.training_data(
        pwms, binding.Parameters(100, 10), np.random.default_rng(9)
    )
    assert len(train_bases) + len(valid_bases) == 12_500
    assert len(train_labels) == len(train_bases) and len(valid_labels) == len(valid_bases)
    # a copy differs from its original in one base; unrelated sequences differ in about 75
    for bases in valid_bases[:100]:
        assert (train_bases != bases).sum(axis=1).min() > 1


def test_importing_the_script_does_not_import_tensorflow():
    code = (
        "import importlib.util as u, sys; "
        f"s = u.spec_from_file_location('train', {str(EXAMPLE / 'train.py')!r}); "
        "s.loader.exec_module(u.module_from_spec(s)); "
        "assert not {'tensorflow', 'keras'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


# The shipped files


def test_shipped_truth_follows_from_the_shipped_loci(pwms, parameters, record, truth, loci):
    forward = truth[truth["exposure"] == "GATA"]
    effect, change = truth_of.true_local_effects(loci, forward["gata_start"].to_numpy(), pwms, parameters)
    np.testing.assert_allclose(forward["true_effect"], effect, atol=1e-8)
    np.testing.assert_allclose(forward["largest_gata_change"], change, atol=1e-8)
    assert (change >= 1).all()
    assert record["true_global_effect"]["mean"] == pytest.approx(effect.mean(), abs=1e-8)
    counts = record["test_loci"]
    assert counts["kept"] == len(forward) == counts["with_both_motifs"] - counts["removed"]


def test_truth_covers_both_directions_and_the_reverse_is_zero(truth):
    reverse = truth[truth["exposure"] == "TAL1"]
    assert len(truth) == 2 * len(reverse)
    assert (reverse["true_effect"] == 0).all()


def test_shipped_bed_and_fasta_fit_each_other(truth):
    bed = pd.read_csv(EXAMPLE / "test_loci.bed", sep="\t", header=None)
    header, *lines = (EXAMPLE / "test_loci.fa").read_text().splitlines()
    assert header == ">chrSim"
    assert set(map(len, lines[:-1])) == {60}
    assert (bed[0] == "chrSim").all() and (bed[5] == "+").all()
    assert (bed[2] - bed[1] == 100).all()
    assert (bed[1].to_numpy()[1:] > bed[2].to_numpy()[:-1]).all()
    assert bed[2].max() < sum(map(len, lines))
    assert list(bed[3]) == list(truth.loc[truth["exposure"] == "GATA", "locus"])
    assert bed[3].is_unique


def test_the_seed_reproduces_the_shipped_loci(tmp_path, record):
    pwms, parameters, (_, test_rng, spacer_rng) = train.simulation(record["seed"])
    assert parameters[:2] == (record["alpha"], record["gamma"])
    bases, truth, _ = truth_of.draw_test_loci(pwms, parameters, test_rng)
    truth_of.write_test_loci(tmp_path, bases, truth, spacer_rng)
    for name in ("test_loci.fa", "test_loci.bed"):
        assert (tmp_path / name).read_text() == (EXAMPLE / name).read_text()
    # the last digit may differ between machines' exp and log
    shipped = pd.read_csv(EXAMPLE / "truth.tsv", sep="\t")
    pd.testing.assert_frame_equal(pd.read_csv(tmp_path / "truth.tsv", sep="\t"), shipped, rtol=0, atol=2e-8)


# The shipped models


@pytest.fixture(scope="module")
def models():
    pytest.importorskip("tensorflow")
    import kipoi

    return [kipoi.get_model(str(EXAMPLE / str(member)), source="dir") for member in range(1, 6)]


@pytest.fixture(scope="module")
def predictions(models, loci):
    """Predictions for the test loci, (member, locus, mark)."""
    return np.stack([model.predict_on_batch(sequences.one_hot(loci)) for model in models])


def test_models_declare_their_marks_and_shapes(models):
    for model in models:
        assert model.schema.targets.column_labels == ["GATA", "TAL1"]
        assert model.schema.targets.shape == (2,)
        assert model.schema.inputs.shape == (100, 4)
        assert model.info.license == "MIT"


def test_the_default_dataloader_gives_the_test_loci(models, loci, tmp_path):
    for name in ("test_loci.fa", "test_loci.bed"):  # a copy: the FASTA gets an index beside it
        shutil.copy(EXAMPLE / name, tmp_path)
    dataloader = models[0].default_dataloader(
        intervals_file=str(tmp_path / "test_loci.bed"), fasta_file=str(tmp_path / "test_loci.fa")
    )
    inputs = dataloader.load_all()["inputs"]
    assert inputs.dtype == np.float32
    np.testing.assert_array_equal(inputs, sequences.one_hot(loci))


def test_weights_are_the_recorded_ones_and_small(models, record):
    for model, member in zip(models, record["members"], strict=True):
        weights = b"".join(array.tobytes() for array in model.model.get_weights())
        assert hashlib.sha256(weights).hexdigest() == member["weights_sha256"]
    assert sum(path.stat().st_size for path in EXAMPLE.glob("*/model.keras")) < 1e6


def test_recorded_accuracy_reaches_the_papers(record):
    for member in record["members"]:
        assert member["validation_r2"]["GATA"] > 0.8
        assert member["validation_r2"]["TAL1"] > 0.7


def test_recorded_r2_is_that_of_the_shipped_weights(models, pwms, parameters, record):
    _, (bases, labels) = scenarios.training_data(pwms, parameters, train.simulation(record["seed"])[2][0])
    r2 = training.explained_variance(labels, models[0].predict_on_batch(sequences.one_hot(bases)))
    np.testing.assert_allclose(r2, list(record["members"][0]["validation_r2"].values()), atol=1e-3)


def test_predictions_follow_the_true_affinities(models, pwms, parameters, truth, loci):
    """Over the test loci and the mutants within their GATA motif; the correlations measured are 0.87 to 0.95.

    The loci alone would say little: each holds both motifs, so their true affinities differ by 2 % (sd / mean) only.
    """
    starts = truth.loc[truth["exposure"] == "GATA", "gata_start"].to_numpy()
    mutants = sequences.motif_mutants(loci, starts, len(pwms["GATA"])).reshape(-1, binding.LENGTH)
    bases = np.concatenate([loci, mutants])
    expected = binding.anscombe(binding.affinities(bases, pwms, parameters))
    for model in models:
        predicted = model.predict_on_batch(sequences.one_hot(bases))
        for mark in range(2):
            assert np.corrcoef(predicted[:, mark], expected[:, mark])[0, 1] > 0.85


def test_predictions_on_the_loci_have_the_true_level(predictions, pwms, parameters, loci):
    """Root mean squared error per member against the noise-free truth: measured at most 0.70 (GATA) and 2.3 (TAL1)."""
    errors = predictions - binding.anscombe(binding.affinities(loci, pwms, parameters))
    assert (np.sqrt((errors**2).mean(axis=1)) < [0.8, 2.5]).all()


def test_members_differ(predictions):
    for i in range(5):
        for j in range(i):
            assert np.abs(predictions[i] - predictions[j]).mean() > 0.2  # measured 0.4 to 1.7 per mark


# The comparison with the truth


@pytest.fixture
def finished_run(tmp_path, truth):
    """A run's tables over the first 20 loci, the estimates 10 % above the truth and one locus without an estimate."""
    locus_names = truth["locus"].unique()[:20]
    local = truth[truth["locus"].isin(locus_names)].reset_index(drop=True)
    local = local[["locus", "exposure", "outcome"]].assign(method="ivw", estimate=1.1 * local["true_effect"])
    # two of the twenty intervals miss the truth
    half_width = np.where(local["locus"].isin(locus_names[1:3]), 0.01, 1.0)
    local = local.assign(ci_low=local["estimate"] - half_width, ci_high=local["estimate"] + half_width)
    local.loc[0, ["estimate", "ci_low", "ci_high"]] = np.nan
    effects = pd.DataFrame(
        {"exposure": ["GATA", "TAL1"], "outcome": ["TAL1", "GATA"], "method": "ivw"}
        | {"estimate": [3.5, 0.1], "ci_low": [3.25, -0.2], "ci_high": [3.75, 0.4]}
    )
    local.to_csv(tmp_path / "local.tsv", sep="\t", index=False, na_rep="NA")
    effects.to_csv(tmp_path / "global.tsv", sep="\t", index=False, na_rep="NA")
    return tmp_path


def test_compare_prints_estimate_beside_truth(finished_run, truth, capsys):
    compare.main([str(finished_run)])
    header, forward, reverse, *_ = capsys.readouterr().out.splitlines()
    mean_truth = truth.loc[1:19, "true_effect"].mean()
    assert header.split()[:5] == ["pair", "method", "loci", "estimate", "95"]
    expected = f"GATA -> TAL1 ivw 19 3.500 [3.250, 3.750] {mean_truth:.3f} {17 / 19:.3f} 1.000"
    assert forward.split() == expected.split()
    assert reverse.split() == "TAL1 -> GATA ivw 20 0.100 [-0.200, 0.400] 0.000 1.000 NA".split()


def test_compare_says_na_where_there_is_no_global_estimate(finished_run, capsys):
    effects = pd.read_csv(finished_run / "global.tsv", sep="\t")
    effects.iloc[:1].to_csv(finished_run / "global.tsv", sep="\t", index=False)
    compare.main([str(finished_run)])
    assert capsys.readouterr().out.splitlines()[2].split()[:8] == "TAL1 -> GATA ivw 20 NA [NA, NA]".split()


def test_compare_refuses_a_run_on_other_loci(finished_run, capsys):
    local = pd.read_csv(finished_run / "local.tsv", sep="\t")
    local.assign(locus="elsewhere").to_csv(finished_run / "local.tsv", sep="\t", index=False)
    with pytest.raises(SystemExit, match="2"):
        compare.main([str(finished_run)])
    assert "local.tsv" in capsys.readouterr().err


def test_compare_names_the_file_it_misses(tmp_path, capsys):
    with pytest.raises(SystemExit, match="2"):
        compare.main([str(tmp_path)])
    assert "global.tsv" in capsys.readouterr().err
