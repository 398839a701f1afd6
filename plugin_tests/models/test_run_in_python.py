"""`kipoi_deepmr.run`: the tables of the command, the network, figures, the page; how objects show themselves."""

import gc
import os

import numpy as np
import pandas as pd
import pytest

import kipoi_deepmr
from kipoi_deepmr import dna, effects_store, pipeline
from kipoi_deepmr.errors import InputError
from kipoi_deepmr.loci import Loci, Locus, Selection
from kipoi_deepmr.models import Ensemble

LENGTH, N_LOCI = 30, 40
HOSTILE = ("<script>alert(1)</script>", "a\tb\n\x1b[31m&\"'")


def function(seed):
    """A chain: the second mark follows the first by 0.8, but for motifs of its own."""
    first, own = np.random.default_rng(0).normal(size=(2, LENGTH, 4))
    place = np.random.default_rng(1).random(LENGTH)
    first[place > 0.4], own[place < 0.6] = 0, 0
    noise = 0.02 * np.random.default_rng(seed).normal(size=(LENGTH, 4, 2))
    weights = np.stack([first, 0.8 * first + own], -1) + noise
    return lambda one_hot: np.einsum("nla,lam->nm", one_hot, weights)


def ensemble_of(marks=("A", "B"), n=3):
    return Ensemble.from_function([function(k) for k in range(1, n + 1)], length=LENGTH, marks=marks)


def loci_of(names=None):
    sequences = dna.BASES[np.random.default_rng(3).integers(0, 4, (N_LOCI, LENGTH))]
    return Loci.from_list([Locus("chr1", 100 * i, 100 * i + LENGTH, "+", names[i] if names else f"locus{i}", sequence)
                           for i, sequence in enumerate(sequences)])


@pytest.fixture(scope="module")
def result():
    return kipoi_deepmr.run(ensemble_of(), loci_of(), quiet=True)


def test_the_tables_are_those_of_the_command(result, tmp_path):
    loci = loci_of()
    found = pipeline.run(ensemble_of(), Selection(loci, {}, len(loci)), str(tmp_path / "out"),
                         estimate_options={"vcf": "none"}, quiet=True, report=False)
    pd.testing.assert_frame_equal(result.local, found.local)
    pd.testing.assert_frame_equal(result.global_effects, found.global_)
    table = pd.read_csv(tmp_path / "out" / "network.tsv", sep="\t")
    np.testing.assert_allclose(result.network.direct["direct"], table["direct"])
    assert set(table) <= set(result.network_table) >= {"verdict", "reason"}
    for name, own in (("diagnostics.tsv", result.diagnostics), ("diagnostics_by_pair.tsv", result.diagnostics_by_pair)):
        written = pd.read_csv(tmp_path / "out" / name, sep="\t")
        assert list(written) == list(own) and len(written) == len(own) > 0
    effects = effects_store.open_effects(str(tmp_path / "out" / "effects.zarr"))
    np.testing.assert_array_equal(result.effects["effect"], effects["effect"])


def test_it_finds_what_the_functions_do_and_says_it(result):
    effect = result.network_table.set_index(["exposure", "outcome"])
    assert effect.loc[("A", "B"), "direct"] == pytest.approx(0.8, abs=0.05)
    first, strongest, other = repr(result).splitlines()
    assert first == "Result: 40 loci, 3 members, 2 marks, engine naive"
    assert strongest.startswith("  A → B: direct effect; 1 sd of A moves B by 0.6") and "by egger" in strongest
    assert other.startswith("  B → A: no effect beyond the minimum; ")
    assert "<td" in result._repr_html_() and "A → B" in result._repr_html_()
    with pytest.raises(AttributeError):
        result.local = None


def test_figures(result):
    assert result.heatmap().get_xlabel().startswith("outcome")
    assert len(result.plot_network().patches) >= 1
    axes = result.heatmap().figure.add_subplot()
    assert result.heatmap(ax=axes) is axes


def test_the_page(result, tmp_path):
    path = result.report(str(tmp_path / "mine.html"))
    assert path == str(tmp_path / "mine.html") and "direct effect" in (tmp_path / "mine.html").read_text()
    assert result.report() == os.path.join(result.folder, "report.html")
    with pytest.raises(InputError, match="there is no folder"):
        result.report(str(tmp_path / "no" / "mine.html"))


def test_a_temporary_folder_lives_as_long_as_the_result():
    found = kipoi_deepmr.run(ensemble_of(), loci_of(), quiet=True, preset="quick")
    effects, folder = found.effects, found.folder
    assert os.path.isdir(folder) and found.network is None
    assert "no network was inferred" in repr(found) and "no network was inferred" in found._repr_html_()
    assert "global effect" in found.heatmap().figure.axes[1].get_ylabel()
    with pytest.raises(InputError, match="no network was inferred"):
        found.plot_network()
    del found
    gc.collect()
    assert not os.path.exists(folder) and np.isfinite(effects["effect"].values).all()


def test_a_folder_is_kept_and_taken_up_again(tmp_path, capsys):
    calls = []

    def counting(k):
        made = function(k)
        return lambda one_hot: (calls.append(len(one_hot)), made(one_hot))[1]

    def ensemble():
        return Ensemble.from_function([counting(k) for k in (1, 2, 3)], length=LENGTH, batch_size=64)

    out = tmp_path / "out"
    first = kipoi_deepmr.run(ensemble(), loci_of(), out)
    assert "predict" in capsys.readouterr().err  # the progress bar
    assert (out / "report.html").exists() and not (out / "instruments.vcf.gz").exists()
    made = ensemble()
    before = sum(calls)
    second = kipoi_deepmr.run(made, loci_of(), out, method="ivw", report=False, quiet=True)
    assert sum(calls) - before < 3 * N_LOCI * LENGTH  # none of the mutants again
    assert set(second.local["method"]) == {"ivw"} and first.folder == second.folder == str(out)
    with pytest.raises(InputError, match="it holds the effects of another run"):
        kipoi_deepmr.run(ensemble(), loci_of()[:5], out, quiet=True)


@pytest.mark.parametrize("changes, message", [
    ({"engin": "naive"}, "run: unknown option 'engin'; did you mean \"engine\"?"),
    ({"engine": "exakt"}, "engine: "),
    ({"loci": ["ACGT"]}, "loci: a list is none; make them by Loci.from_bed or Loci.from_sequences"),
    ({"loci": loci_of()[:0]}, "loci: there are none"),
    ({"ensemble": None}, "ensemble: a NoneType is none; make it by Ensemble.from_torch"),
    ({"ensemble": "short"}, "the loci have 30 bases, but the models take 29"),
])
def test_bad_input_is_one_line(changes, message):
    given = {"ensemble": ensemble_of(), "loci": loci_of(), **changes}
    if given["ensemble"] == "short":
        functions = [lambda one_hot, k=k: function(k)(np.pad(one_hot, ((0, 0), (0, 1), (0, 0)))) for k in (1, 2)]
        given["ensemble"] = Ensemble.from_function(functions, length=LENGTH - 1)
    with pytest.raises(InputError) as error:
        kipoi_deepmr.run(**given, quiet=True)
    assert str(error.value).startswith(message) and "\n" not in str(error.value)


def test_models_in_memory_have_no_way_to_a_cluster():
    distributed = pytest.importorskip("distributed")
    assert distributed
    from kipoi_deepmr.cluster import _recipe
    from kipoi_deepmr.mutagenesis import engines

    with pytest.raises(InputError, match="these exist only in this Python: save them"):
        _recipe(engines.naive(ensemble_of()))


def test_hostile_names_are_escaped():
    marks = HOSTILE
    loci = loci_of([HOSTILE[i % 2] + str(i) for i in range(N_LOCI)])
    ensemble = ensemble_of(marks)
    found = kipoi_deepmr.run(ensemble, loci, quiet=True, preset="quick")
    for shown in (found, ensemble, loci):
        page, text = shown._repr_html_(), repr(shown)
        assert "<script" not in page and "&lt;script&gt;" in page and "\x1b" not in page + text
        assert "\t" not in text and r"\t" in text and r"\x1b" in text
    assert len(repr(loci).splitlines()) == 12 and "and 30 more" in repr(loci)
