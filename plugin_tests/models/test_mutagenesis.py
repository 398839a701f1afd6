"""Mutants and their effects, against loops and against models whose effects are known in closed form."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from conftest import LENGTH, MARKS, member_weights, write_model

from kipoi_deepmr import dna, effects_store, mutagenesis
from kipoi_deepmr.errors import InputError
from kipoi_deepmr.loci import Loci, Selection
from kipoi_deepmr.models import Description, Ensemble, Model
from kipoi_deepmr.models.host.session import BATCHES
from kipoi_deepmr.models.kipoi_model import KipoiModel
from kipoi_deepmr.mutagenesis import engines
from kipoi_deepmr.pipeline import predict
from kipoi_deepmr.pipeline.mutants import planned


def slow_mutants(text):
    """All mutants by loops: (position, letter before, letter after, sequence)."""
    return [(i, before, after, text[:i] + after + text[i + 1:])
            for i, before in enumerate(text) for after in "ACGT" if after != before]


def test_mutants_run_over_positions_then_letters():
    text = "GATTACACCG"
    mutants, ref_base, alt_base = mutagenesis.saturation_mutants(dna.encode(text))
    found = zip(map(dna.decode, mutants), map(chr, ref_base), map(chr, alt_base), strict=True)
    assert list(found) == [(sequence, before, after) for _, before, after, sequence in slow_mutants(text)]


@pytest.fixture
def loci(bed_file, genome_file):
    return Loci.from_bed(bed_file, genome_file)


def test_effects_equal_the_closed_form_on_both_strands(models, loci):
    """Position by position, letter by letter: float32 predictions of size 10 leave errors of 1e-5 in differences."""
    effects = mutagenesis.saturate(Ensemble.from_kipoi(models, "dir"), loci)
    weights = member_weights()
    assert set(loci.strand) == {"+", "-"}
    for i, sequence in enumerate(loci.sequences):
        for v, (position, before, after, _) in enumerate(slow_mutants(dna.decode(sequence))):
            expected = weights[:, position, "ACGT".index(after)] - weights[:, position, "ACGT".index(before)]
            np.testing.assert_allclose(effects["member_effect"][i, :, v], expected, atol=1e-5)
            np.testing.assert_allclose(effects["effect"][i, v], expected.mean(0), atol=1e-5)
            np.testing.assert_allclose(effects["effect_se"][i, v], expected.std(0, ddof=1), atol=1e-5)
            assert (effects["position"][v], effects["ref_base"][i, v], effects["alt_base"][i, v]) == \
                (position, before, after)
        reference = [sum(w[p, "ACGT".index(b)] for p, b in enumerate(dna.decode(sequence))) for w in weights]
        np.testing.assert_allclose(effects["reference"][i], reference, rtol=1e-5)


def test_dataset_is_labelled(models, loci):
    effects = mutagenesis.saturate(Ensemble.from_kipoi(models, "dir", marks=["C", "A"]), loci)
    assert dict(effects.sizes) == {"locus": 9, "member": 3, "variant": 3 * LENGTH, "mark": 2}
    assert effects["mark"].values.tolist() == ["C", "A"] and effects["member"].values.tolist() == ["0", "1", "2"]
    assert effects["strand"].values.tolist() == loci.strand.tolist()


def test_ddof(models, loci):
    ensemble = Ensemble.from_kipoi(models, "dir")
    one, zero = (mutagenesis.saturate(ensemble, loci, ddof=d)["effect_se"].values for d in (1, 0))
    np.testing.assert_allclose(zero, one * np.sqrt(2 / 3), rtol=1e-5)
    with pytest.raises(InputError, match="ddof = 3 needs more than 3 members"):
        mutagenesis.saturate(ensemble, loci, ddof=3)


def test_batch_size_does_not_matter(models, loci):
    small, large = (mutagenesis.saturate(Ensemble.from_kipoi(models, "dir", batch_size=b), loci) for b in (5, 512))
    np.testing.assert_allclose(small["effect"], large["effect"], atol=1e-5)


def test_short_loci_share_a_batch(loci):
    """As many as a batch holds, and their effects are those of each alone."""
    asked = []

    class Weighed(Model):
        def __init__(self, k):
            self.weights = member_weights()[k]

        def describe(self):
            return Description(f"m{self.weights[0, 0, 0]}", MARKS, LENGTH, "ACGT", f"{self.weights[0, 0, 0]}")

        def predict(self, sequences, item=None):
            asked.append(len(sequences))
            return np.einsum("nla,lam->nm", dna.one_hot(sequences), self.weights)[None]

    def ensemble(batch_size=None):
        made = Ensemble([Weighed(0), Weighed(1)], batch_size=batch_size)
        asked.clear()
        return made

    n_rows = 1 + 3 * LENGTH
    together = mutagenesis.saturate(ensemble(), loci)
    assert asked == 2 * [9 * n_rows]
    for batch_size, sizes in ((4 * n_rows + 5, [4, 4, 4, 4, 1, 1]), (5, 18 * [1])):
        found = mutagenesis.saturate(ensemble(batch_size), loci)
        np.testing.assert_allclose(found["effect"], together["effect"], atol=1e-5)
        assert [n // n_rows for n in asked] == sizes


def test_batches_are_measured_once_for_a_model(models, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    sizes = []
    for _ in range(2):
        with Ensemble.from_kipoi(models, "dir") as ensemble:
            sizes.append([choice.batch_size for choice in engines.choose(ensemble).choices])
        monkeypatch.setattr(KipoiModel, "measure_batch", None)
    assert sizes[0] == sizes[1] and set(sizes[0]) <= set(BATCHES)
    kept = (tmp_path / "cache" / "kipoi_deepmr" / "batch_sizes").iterdir()
    assert sum(path.suffix != ".lock" for path in kept) == len(models)
    with Ensemble.from_kipoi(models, "dir", batch_size=5) as ensemble:
        assert {choice.batch_size for choice in engines.choose(ensemble).choices} == {5}


def test_batches_are_halved_until_they_fit_into_memory(models, loci, tmp_path):
    expected = KipoiModel(models[0], "dir").mutants(loci.sequences[0])
    code = f"""
        with open({str(tmp_path / "sizes")!r}, "a") as sizes:
            sizes.write(f"{{len(x)}} ")
        if len(x) > 5:
            raise MemoryError
        predicted ="""
    path = Path(models[0]) / "model.py"
    path.write_text(path.read_text().replace("\n        predicted =", code))
    member = KipoiModel(models[0], "dir")
    assert member.measure_batch() == BATCHES[0]
    (tmp_path / "sizes").unlink()
    np.testing.assert_allclose(member.mutants(loci.sequences[0]), expected, rtol=1e-6)
    assert (tmp_path / "sizes").read_text().split() == ["37", "18", "9", *9 * ["4"], "1"]


def test_nan_names_locus_member_and_mark(tmp_path, loci):
    weights = member_weights()
    start = dna.decode(loci.sequences[4])[:8]
    nan = write_model(tmp_path / "nan", weights[1], nan_start=start)
    good = write_model(tmp_path / "good", weights[0])
    with pytest.raises(InputError, match="locus locus4: member nan predicts nan for mark A of the reference"):
        mutagenesis.saturate(Ensemble.from_kipoi([good, nan], "dir"), loci)


def test_any_object_with_the_interface_is_a_member(loci):
    class CountOf(Model):
        """Counts letters; knows nothing of Kipoi."""

        def __init__(self, scale):
            self.scale = scale

        def describe(self):
            return Description(f"x{self.scale}", MARKS, LENGTH, "ACGT", str(self.scale))

        def predict(self, sequences, item=None):
            return self.scale * np.stack([(sequences == ord(c)).sum(1) for c in "ACG"], axis=1)[None]

    effects = mutagenesis.saturate(Ensemble([CountOf(1), CountOf(3)]), loci)
    first = effects.isel(locus=0, variant=0)
    expected = [2.0 * ((first.alt_base == c).item() - (first.ref_base == c).item()) for c in "ACG"]
    assert first.effect.values.tolist() == expected


def test_mutants_of_some_positions_alone(models, loci):
    """The others are missing, and all the rest is as if every position was mutated; the models predict no more."""
    mutated = np.random.default_rng(0).random((len(loci), LENGTH)) < 0.4
    mutated[0], mutated[1, :5] = True, True
    ensemble = Ensemble.from_kipoi(models, "dir")
    asked = []

    class Counted(Model):
        def __init__(self, model):
            self.model = model

        def describe(self):
            return self.model.describe()

        def predict(self, sequences, item=None):
            asked.append(len(sequences))
            return self.model.predict(sequences, item)

    counted = Ensemble([Counted(model) for model in ensemble.models])
    asked.clear()
    some = mutagenesis.saturate(counted, dataclasses.replace(loci, mutated=mutated))
    assert sum(asked) == len(models) * (len(loci) + 3 * mutated.sum())
    whole, variants = mutagenesis.saturate(ensemble, loci), np.repeat(mutated, 3, axis=1)
    for name in ("effect", "effect_se", "member_effect"):
        found, expected = (np.moveaxis(effects[name].values, -2, 1) for effects in (some, whole))
        assert np.isnan(found[~variants]).all()
        np.testing.assert_allclose(found[variants], expected[variants], atol=1e-5)
    for name in ("reference", "ref_base", "alt_base"):
        assert (some[name].values == whole[name].values).all()


def slow_effects(ensemble, loci):
    """Member effects of every mutant of a plan, one sequence after the other: (locus, member, variant, mark)."""
    found = np.full((len(loci), len(ensemble.names), loci.n_variants, len(ensemble.marks)), np.nan)
    for i, sequence in enumerate(loci.sequences):
        reference, mutants = ensemble.predict(sequence[None])[:, 0], loci.mutants_of(i)
        singles = mutagenesis.saturation_mutants(sequence)[0]
        made = {v: singles[v:v + 1] for v in np.flatnonzero((mutants.kind == "single") & (mutants.length > 0))}
        for variants, draws, sequences in loci.plan.sequences(i, sequence, mutants):
            made.update({v: sequences[k * draws:(k + 1) * draws] for k, v in enumerate(variants)})
        for variant, sequences in made.items():
            each = [ensemble.predict(one[None])[:, 0].astype(np.float64) - reference for one in sequences]
            found[i, :, variant] = np.mean(each, axis=0)
    return found


@pytest.mark.parametrize(("kinds", "n_draws"), [("single,windows:3,deletions:2:1", 4), ("windows:4,windows:5:1", 1),
                                                ("regions,pairs", 3), ("pairs", 2)])
def test_mutants_of_several_bases(models, loci, genome_file, tmp_path, kinds, n_draws):
    """As if each sequence were predicted alone; stored and read again with every fact about them."""
    rows = [f"{chrom}\t{start + first}\t{start + last}\t{mark}\n" for chrom, start in zip(
        loci.chrom, loci.start, strict=True) for first, last, mark in ((1, 4, "A"), (6, 8, "B"))]
    (tmp_path / "r.bed").write_text("".join(rows[:-1]))
    ensemble = Ensemble.from_kipoi(models, "dir")
    mutated = np.ones((len(loci), LENGTH), bool)
    mutated[0, 4] = False
    selection = planned(Selection(dataclasses.replace(loci, mutated=mutated), {}, len(loci), genome_file),
                        ensemble.marks, mutants=kinds, mutant_draws=n_draws,
                        **({"instrument_regions": str(tmp_path / "r.bed")} if "regions" in kinds or "pairs" in kinds
                           else {}))
    chosen = selection.loci
    effects = mutagenesis.saturate(ensemble, chosen)
    expected = slow_effects(ensemble, chosen)
    np.testing.assert_allclose(effects["member_effect"], expected, atol=2e-5)
    np.testing.assert_allclose(effects["effect"], expected.mean(1), atol=2e-5)
    np.testing.assert_allclose(effects["effect_se"], expected.std(1, ddof=1), atol=2e-5)
    predict(ensemble, selection, str(tmp_path / "e.zarr"), quiet=True)
    stored = effects_store.open_effects(str(tmp_path / "e.zarr"), pairs=True)
    assert stored.attrs["settings"]["mutants"] == kinds
    for name in effects.variables:
        np.testing.assert_array_equal(stored[name].values, effects[name].values)
    (tmp_path / "e.zarr" / effects_store.RECORD).unlink()
    effects_store.check_chunks(str(tmp_path / "e.zarr"))
    _check_letters(stored, chosen, n_draws)
    n_pairs = int((stored["kind"] == "pairs").sum())
    assert effects_store.open_effects(str(tmp_path / "e.zarr")).sizes["variant"] == stored.sizes["variant"] - n_pairs


def _check_letters(stored, loci, n_draws):
    """What the store says of each mutant's bases is what was predicted."""
    for i, sequence in enumerate(loci.sequences):
        text, mutants = dna.decode(sequence), loci.mutants_of(i)
        assert "".join(stored["sequence"].values[i]) == text
        for variants, draws, sequences in loci.plan.sequences(i, sequence, mutants):
            for k, variant in enumerate(variants):
                start, n = int(stored["position"][i, variant]), int(stored["length"][i, variant])
                ref, alt, kind = (stored[name].values[..., variant] for name in ("ref_base", "alt_base", "kind"))
                made = dna.decode(sequences[k * draws])[start:start + n]
                expected = {"deletions": (text[start:start + n], ""), "pairs": ("", "")}.get(
                    str(kind), (text[start:start + n], "*" if n_draws > 1 else made))
                assert (ref[i], alt[i]) == expected


def test_engines_agree_on_mutants_of_several_bases(cooperativity):
    """The exact engine, also through the reverse complement, against every sequence as a whole."""
    members, files = cooperativity
    ensemble = Ensemble.from_kipoi(members[:2], "dir", settings={"augment": ["rc"]})
    loci = Loci.from_bed(**files, n_loci=2)
    chosen = planned(Selection(loci, {}, 2, files["fasta_file"]), ensemble.marks,
                     mutants="single,windows:8,deletions:3", mutant_draws=4).loci
    exact, naive = (mutagenesis.saturate(ensemble, chosen, engines=engines.choose(ensemble, name, chosen))
                    for name in ("exact", "naive"))
    scale = np.abs(naive["reference"].values).max()
    np.testing.assert_allclose(exact["member_effect"], naive["member_effect"], atol=2e-5 * scale)
