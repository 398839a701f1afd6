"""`check`: are models fit for DeepMR, how are they read, what does a run cost."""

import io
import re
import sys
import time

import numpy as np
import pytest
from conftest import LENGTH, member_weights, write_model

from kipoi_deepmr import dna
from kipoi_deepmr.cli import main
from kipoi_deepmr.cli.commands import _steps
from kipoi_deepmr.models import Description, Ensemble, Model
from kipoi_deepmr.models.host import saturation
from kipoi_deepmr.mutagenesis import engines, trust
from kipoi_deepmr.mutagenesis.check import Measured, _of_positions, measure, random_sequences
from kipoi_deepmr.mutagenesis.unusable import Unusable


@pytest.fixture
def check(capsys):
    """Run `check`; its exit code and what it says."""
    def run(models, *options):
        code = main(["check", *map(str, models), "--source", "dir", *map(str, options)])
        said = capsys.readouterr()
        return code, said.out + re.sub(r"[^\n]*\r", "", said.err)  # as a terminal shows it, without progress

    return run


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr("kipoi_deepmr.mutagenesis.check.SECONDS", 0.02)


def test_an_ensemble_that_is_fit(models, check):
    code, said = check(models)
    following = f"run {' '.join(map(str, models))} --source dir --intervals_file loci.bed --fasta_file genome.fa -o OUT"
    assert code == 0 and said.endswith(f"fit for DeepMR: yes\n\nnext: kipoi-deepmr {following}\n")
    assert "models: 3, which make 3 members: 0, 1, 2" in said
    assert re.search(r"input: .*\(12, 4\).*ACGT", said) and re.search(r"about .* s( or less)? for 1,000 loci", said)
    each = np.einsum("nla,klam->km", dna.one_hot(random_sequences(1, LENGTH)), member_weights())
    for mark, mean, sd in zip("ABC", each.mean(0), each.std(0, ddof=1), strict=True):
        assert re.search(rf"^  {mark}\s+{re.escape(f'{mean:.3g}')}\s+{re.escape(f'{sd:.3g}')}$", said, re.M)


def test_one_model_is_told_how_to_get_more(models, check):
    code, said = check(models[:1])
    assert code == 1 and "fit for DeepMR: no\n  one model alone gives no standard errors" in said
    for way in ("MODEL MODEL", "--member_columns", "--mc_dropout", "--augment"):
        assert way in said
    assert check(models[:1], "--augment", "rc")[0] == 0


def test_one_mark(models, check):
    code, said = check(models, "--marks", "B")
    assert code == 1 and "1 mark, predictions" in said and "  one mark only (B): a causal effect needs" in said


def constant_models(folder, constant_marks):
    """Two members of marks A, B, C, of which some are the same for every sequence."""
    for k, weights in enumerate(member_weights(n_members=2)):
        weights[..., constant_marks] = weights[:, :1, constant_marks]
        write_model(folder / f"m{k}", weights)
    return [folder / "m0", folder / "m1"]


def test_outputs_that_do_not_depend_on_the_input(tmp_path, check):
    code, said = check(constant_models(tmp_path, [0, 1, 2]))
    assert code == 1 and "its outputs do not depend on the sequence: they are the same for 9 different ones" in said
    assert "note on" in said and "the same for all" in said


def test_one_mark_that_depends_on_the_input(tmp_path, check):
    code, said = check(constant_models(tmp_path, [0, 2]))
    assert code == 1 and "only B depends on the sequence: all other marks are the same" in said


def test_a_constant_mark_among_others_is_a_note(tmp_path, check):
    code, said = check(constant_models(tmp_path, [2]))
    assert code == 0 and re.search("note on .*: the same for all .*C", said)


def test_predictions_that_are_no_numbers(tmp_path, check):
    folders = [write_model(tmp_path / str(k), w, nan_start="A") for k, w in enumerate(member_weights(n_members=2))]
    code, said = check(folders)
    assert code == 1 and "member 0 predicts nan for mark A: every prediction must be a finite number" in said


def test_loci(models, check, bed_file, genome_file):
    code, said = check(models, "--intervals_file", bed_file, "--fasta_file", genome_file)
    assert code == 0 and "loci: 9 used" in said and "predictions of locus locus0:" in said and "for 9 loci" in said
    assert "for 2,000 loci" in check(models, "--n_loci", "2000")[1]
    assert f"--intervals_file {bed_file} --fasta_file {genome_file} -o OUT" in said.splitlines()[-1]


def test_many_marks(tmp_path, check):
    names = [f"mark{i}" for i in range(25)]
    folders = [write_model(tmp_path / str(k), weights, names)
               for k, weights in enumerate(member_weights(n_members=2, n_marks=25))]
    said = check(folders)[1]
    assert "25 marks, predictions of" in said and "  mark18 " in said and "  mark19 " not in said
    assert "and 6 more" in said


@pytest.mark.parametrize("options, message", [
    (["--marks", "Z"], 'no mark "Z"'), (["--alphabet", "ACGX"], "alphabet"), (["--mark_window", "0:1"], "no positions"),
    (["--intervals_file", "none.bed"], "none.bed"), (["--augment", "flip"], '"flip" is not understood'),
    (["--mc_dropout", "3"], "holds neither"),
])
def test_bad_input(models, check, options, message):
    code, said = check(models, *options)
    assert code == 2 and message in said and said.count("\n") == 1


class Slow(Model):
    """Two marks, one thousandth of a second a sequence."""

    def __init__(self, weight):
        self.weight = weight

    def describe(self):
        return Description(f"slow{self.weight}", ("A", "B"), 30, "ACGT", str(self.weight))

    def predict(self, sequences, item=None):
        time.sleep(0.001 * len(sequences))
        return self.weight * np.stack([sequences.sum(1), sequences[:, 0]], axis=-1)[None].astype(np.float32)


def test_cost_is_what_the_members_take():
    measured = measure(engines.naive(Ensemble([Slow(1), Slow(2)], batch_size=64)), random_sequences(1, 30)[0])
    assert 250 < measured.mutants_per_second <= 500 and measured.mutants_per_locus == 90
    assert Measured(None, 500, 90, []).seconds(4000) == pytest.approx(720)


def test_a_quiet_check_says_why_models_are_not_fit(models, capsys):
    assert main(["check", str(models[0]), "--source", "dir", "-q"]) == 1
    out, err = capsys.readouterr()
    assert not out and err.startswith("fit for DeepMR: no\n  one model alone gives no standard errors")
    assert main(["check", *map(str, models), "--source", "dir", "-q"]) == 0
    assert capsys.readouterr() == ("", "")


def test_an_engine_is_tried_on_few_mutants():
    """Where it is compared with the model, and nowhere else."""
    class Sums(Slow):
        def predict(self, sequences, item=None):
            asked.append(len(sequences))
            return np.stack([sequences.sum(1), sequences[:, 0]], axis=-1)[None].astype(np.float64)

    def mutants(sequence, item, positions):
        asked.append(len(positions))
        rows = [saturation.rows(sequence, 1 + 3 * position, 4 + 3 * position) for position in positions]
        found = Slow.predict(Slow(1), np.concatenate([sequence[None], *rows])).astype(np.float64)
        found[..., wrong] *= 1.1
        return found

    def changed(sequence, several, item):
        found = Slow.predict(Slow(1), np.concatenate([sequence[None], several])).astype(np.float64)
        found[:, 1:] += lost
        return found

    asked, wrong, lost, probes = [], 1, 0, [(random_sequences(1, 2000)[0], None)]
    trust.check(Sums(1), mutants, changed, probes, used=[0])
    assert asked == [22 + 7, 7]
    with pytest.raises(Unusable, match="mark B"):
        trust.check(Sums(1), mutants, changed, probes, used=[0, 1])
    lost = 100
    with pytest.raises(Unusable, match="mark A"):
        trust.check(Sums(1), mutants, changed, probes, used=[0])


class Terminal(io.StringIO):
    """Standard error that somebody looks at."""

    def isatty(self):
        return True


@pytest.mark.parametrize("stream", [Terminal, io.StringIO])
def test_progress(monkeypatch, stream):
    """A terminal shows it at once, and then clears the line; a file gets none of what takes no time."""
    shown = stream()
    monkeypatch.setattr(sys, "stderr", shown)
    with _steps(False) as now:
        time.sleep(0.15)
        now("trying engines")
    expected = ["check: loading models", "check: trying engines"] if stream is Terminal else []
    assert [text for text in expected if text in shown.getvalue()] == expected
    assert shown.getvalue().endswith(" \r" if expected else "") and bool(shown.getvalue()) == bool(expected)
    with _steps(True) as now:
        now("nothing")
    assert "nothing" not in shown.getvalue()


class Counted(Model):
    """Two marks; counts the sequences that it predicts."""

    def __init__(self, weight):
        self.weight, self.n = weight, 0

    def describe(self):
        return Description(f"counted{self.weight}", ("A", "B"), 2000, "ACGT", str(self.weight))

    def predict(self, sequences, item=None):
        self.n += len(sequences)
        time.sleep(0.004 * len(sequences))
        return self.weight * np.stack([sequences.sum(1), sequences[:, 0]], axis=-1)[None].astype(np.float32)


def test_slow_models_are_asked_for_few_sequences(monkeypatch):
    monkeypatch.setattr("kipoi_deepmr.mutagenesis.check.LONG", 1.0)
    both = [Counted(1), Counted(2)]
    with Ensemble(both, batch_size=512) as ensemble:
        examined = [model.n for model in both]
        measured = measure(engines.choose(ensemble, quiet=True), random_sequences(1, 2000)[0])
    assert max(model.n - before for model, before in zip(both, examined, strict=True)) < 60
    assert measured.mutants_per_second <= 1 / 0.008


def test_the_exact_engine_shows_its_speed_by_some_positions(monkeypatch):
    asked, now = [], [0.0]

    def call(positions):
        asked.append(positions)
        now[0] += 0.01 + 0.002 * len(positions)

    monkeypatch.setattr(time, "perf_counter", lambda: now[0])
    monkeypatch.setattr("kipoi_deepmr.mutagenesis.check.SECONDS", 0.2)
    assert _of_positions(5000, call) == pytest.approx(0.01 + 5000 * 0.002)
    assert [len(each) for each in asked][0] == 16 and sum(map(len, asked)) < 150
    assert all(each == list(range(each[0], each[-1] + 1)) and 0 <= each[0] and each[-1] < 5000 for each in asked)
    asked.clear()
    assert _of_positions(20, call) == pytest.approx(0.05) and asked[-1] == list(range(20))
