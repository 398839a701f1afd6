"""Every input and output form of the zoo: the effects that `predict` stores are those known in closed form.

Each mutant's effect is compared on its own, on both strands, whether loci come from BED and FASTA or from the model's
dataloader. That the comparison would notice faults is shown by faults in the weights and in our own code.
"""

import sys
from importlib.util import find_spec

import numpy as np
import pytest
from zoo_files import FILES
from zoo_models import INPUTS, LENGTH, OUTPUTS, Locus, weights_of_members

from kipoi_deepmr import dna, effects_store, pipeline
from kipoi_deepmr.models import Ensemble
from kipoi_deepmr.models.host import columns, layout, marks, saturation, session

PLACES = ((7, "+"), (23, "-"), (50, "-"), (64, "+"))
GENOME = "".join(np.random.default_rng(5).choice(list("ACGT"), 90))
CASES = {case.name: case for case in INPUTS + OUTPUTS + FILES}
WEIGHTS = weights_of_members()
RUNS = [(case, source) for case in INPUTS for source in ("bed", "dataloader")]
RUNS += [(case, "bed") for case in OUTPUTS + FILES]
each_run = pytest.mark.parametrize("case, source", [
    pytest.param(*run, id="-".join(map(str, run)), marks=pytest.mark.skipif(
        any(not find_spec(package) for package in run[0].packages), reason="needs a package")) for run in RUNS])


@pytest.fixture(scope="session")
def files(tmp_path_factory):
    """BED and FASTA of four loci on both strands."""
    folder = tmp_path_factory.mktemp("loci")
    (folder / "genome.fa").write_text(f">chr1\n{GENOME}\n")
    (folder / "loci.bed").write_text("".join(
        f"chr1\t{start}\t{start + LENGTH}\tlocus{start}\t0\t{strand}\n" for start, strand in PLACES))
    return {"intervals_file": str(folder / "loci.bed"), "fasta_file": str(folder / "genome.fa")}


def effects_of(case, source, files, folder, python=None):
    """What `predict` stores for two members of a form, and what is said of their input."""
    models = [case.write(folder / name, weights) for name, weights in zip("ab", WEIGHTS, strict=True)]
    kipoi_source = None if case.framework == "file" else "dir"
    given = files
    if source == "dataloader":
        stranded = {} if case.inputs else {"use_strand": True}
        given = {"dataloader_args": {**files, **stranded}}
    with Ensemble.from_kipoi(models, kipoi_source, pythons=[python] * 2, settings=case.settings, **given) as ensemble:
        selection = pipeline.select_loci(ensemble, **given)
        pipeline.predict(ensemble, selection, str(folder / "effects.zarr"), quiet=True)
        return effects_store.open_effects(str(folder / "effects.zarr")).load(), ensemble.described[0].layout


def compare(case, effects, weights=WEIGHTS, places=PLACES):
    """Every effect against the difference of two sums over positions; AssertionError where one is wrong."""
    assert tuple(effects["mark"].values) == case.marks and tuple(effects["member"].values) == ("a", "b")
    tolerance = 0 if case.exact else 2e-5
    for number, (start, strand) in enumerate(places):
        locus = Locus.at(GENOME, start, strand)
        variant = 0
        for position, before in enumerate(locus.text):
            for after in "ACGT".replace(before, ""):
                mutant = locus._replace(text=locus.text[:position] + after + locus.text[position + 1:])
                expected = [case.truth(one, mutant) - case.truth(one, locus) for one in weights]
                found = effects["member_effect"].values[number, :, variant]
                np.testing.assert_allclose(found, expected, rtol=0, atol=tolerance)
                np.testing.assert_allclose(effects["effect"].values[number, variant], np.mean(expected, 0), atol=1e-5)
                assert effects["ref_base"].values[number, variant] == before
                assert effects["alt_base"].values[number, variant] == after
                variant += 1
        reference = [case.truth(one, locus) for one in weights]
        np.testing.assert_allclose(effects["reference"].values[number], reference, rtol=0, atol=tolerance)
    assert variant == effects.sizes["variant"] == 3 * LENGTH


@pytest.fixture(scope="session")
def stored(files, tmp_path_factory):
    """Effects of any case, computed once."""
    known = {}

    def get(case, source):
        if (case, source) not in known:
            known[case, source] = effects_of(case, source, files, tmp_path_factory.mktemp("form"))
        return known[case, source]
    return get


@each_run
def test_effects_are_the_closed_form(case, source, stored):
    effects, layout_said = stored(case, source)
    compare(case, effects)
    assert layout_said.startswith(case.layout)


@pytest.mark.parametrize("name", ["x and its reverse complement, told by the doc", "profiles in a window",
                                  "signal channels on both strands, and side inputs"])
def test_effects_from_workers_are_the_closed_form(name, files, tmp_path):
    effects, _ = effects_of(CASES[name], "bed", files, tmp_path, sys.executable)
    compare(CASES[name], effects)


FAULTS = {
    "a transposed letter": lambda weights: weights[:, :, :, [1, 0, 2, 3]],
    "letters complemented": lambda weights: weights[:, :, :, ::-1],
    "positions off by one": lambda weights: np.roll(weights, 1, axis=2),
    "positions reversed": lambda weights: weights[:, :, ::-1],
    "swapped members": lambda weights: weights[::-1],
    "swapped marks": lambda weights: weights[..., [1, 0, 2]],
}


@each_run
def test_other_weights_and_loci_are_noticed(case, source, stored):
    """The comparison fails for every form if the model's weights were other ones, or its loci."""
    effects, _ = stored(case, source)
    for fault in FAULTS.values():
        with pytest.raises(AssertionError):
            compare(case, effects, weights=fault(WEIGHTS))
    for places in ([(start, "+") for start, _ in PLACES], [(start + 1, strand) for start, strand in PLACES],
                   PLACES[::-1]):
        with pytest.raises(AssertionError):
            compare(case, effects, places=places)


def fault_in(owner, name, change):
    """A fault in our code: a function that gives what `change` makes of it and of its arguments."""
    original = getattr(owner, name)
    return owner, name, lambda *arguments: change(original, *arguments)


OWN_FAULTS = {
    "letters transposed": ("4,L", fault_in(layout, "_letter_order", lambda f, *a: f(*a).translate(
        str.maketrans("AC", "CA")))),
    "mutations off by one": ("text", fault_in(saturation, "rows", lambda f, *a: np.roll(f(*a), 1, axis=1))),
    "members swapped": ("1,L,4", fault_in(Ensemble, "answers", lambda f, *a: f(*a)[::-1])),
    "marks reversed": ("labels", fault_in(marks.Marks, "read", lambda f, *a: f(*a)[:, ::-1])),
    "strand forgotten": ("4,L", fault_in(dna, "reverse_complement", lambda f, sequence: sequence)),
    "second strand not complemented": ("x and its reverse complement, told by the doc", fault_in(
        layout, "reverse_complement", lambda f, sequences: sequences[:, ::-1])),
    "second strand not reversed": ("x and its reverse complement, told by the doc", fault_in(
        layout, "reverse_complement", lambda f, sequences: f(sequences)[:, ::-1])),
    "side inputs of another locus": ("side inputs", fault_in(
        session.HostedModel, "_inputs", lambda f, self, item: f(self, item and 0))),
    "signals of another locus": ("signal channels on both strands, and side inputs", fault_in(
        session.HostedModel, "_inputs", lambda f, self, item: f(self, item and 0))),
    "window off by one": ("positions", fault_in(
        columns, "checked_window", lambda f, *a: tuple(end - 1 for end in f(*a)))),
    "strands added up": ("profiles", fault_in(
        columns, "summarised", lambda f, values, *a: f(values.sum(-1, keepdims=True), *a))),
}


@pytest.mark.parametrize("fault", OWN_FAULTS)
def test_faults_in_our_code_are_noticed(fault, files, tmp_path, monkeypatch):
    name, change = OWN_FAULTS[fault]
    monkeypatch.setattr(*change)
    effects, _ = effects_of(CASES[name], "bed", files, tmp_path)
    with pytest.raises(AssertionError):
        compare(CASES[name], effects)
