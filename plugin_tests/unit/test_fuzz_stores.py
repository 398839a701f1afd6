"""Stores that are damaged, edited or foreign: refused with one line, mended by their writer, never silently used."""

import json
import shutil
import warnings

import numpy as np
import pytest
import xarray as xr
import zarr
from hypothesis import example, given
from hypothesis import strategies as st
from profiles import fewer

from kipoi_deepmr import dna, effects_store, mutagenesis, pipeline
from kipoi_deepmr.errors import InputError
from kipoi_deepmr.loci import Loci, Selection
from kipoi_deepmr.models import Ensemble

N, LENGTH, MARKS, MEMBERS = 6, 10, ("A", "B"), ("m1", "m2")
TABLES = ("local.tsv", "local.vcf.gz")


def random_effects(loci, rng):
    """Effects of all mutants of loci, as a store takes them."""
    members = rng.normal(size=(N, 2, loci.n_variants, 2)).astype("f4")
    data = {"effect": members.mean(1), "effect_se": members.std(1), "member_effect": members,
            "reference": np.ones((N, 2, 2), "f4")}
    if not loci.plan:
        ref = np.repeat(loci.sequences, 3, axis=1)
        alt = np.array([[b for base in s for b in b"ACGT" if b != base] for s in loci.sequences], np.uint8)
        return {**data, "ref_base": ref.view("S1").astype("U1"), "alt_base": alt.view("S1").astype("U1")}
    ensemble = Ensemble.from_function([lambda x: x[:, :2, 0], lambda x: x[:, :2, 1]], length=LENGTH, marks=MARKS)
    told = mutagenesis.saturate(ensemble, loci)
    return {name: data.get(name, told[name].values) for name in told.data_vars}


OF_KINDS = pytest.mark.parametrize("job", [None, "single,windows:3,deletions:2"], indirect=True)


@pytest.fixture(scope="module")
def job(tmp_path_factory, request):
    """A folder, and how to write the store: three blocks of two loci on a genome."""
    mutants = getattr(request, "param", None)
    folder = tmp_path_factory.mktemp("stores")
    rng = np.random.default_rng(0)
    sequences, start = rng.choice(dna.BASES, (N, LENGTH)), np.arange(N) * LENGTH
    (folder / "genome.fa").write_text(">chr1\n" + sequences.tobytes().decode() + "\n")
    loci = Loci(np.full(N, "chr1"), start, start + LENGTH, np.full(N, "+"), np.array([f"l{i}" for i in range(N)]),
                sequences)
    if mutants:
        selection = Selection(loci, {}, N, str(folder / "genome.fa"))
        loci = pipeline.planned(selection, MARKS, mutants=mutants).loci
    data = random_effects(loci, rng)

    def write(path):
        writer = effects_store.Writer(str(path), loci, MARKS, MEMBERS, {
            "settings": {"ddof": 0, "marks": list(MARKS)}, "dropped": {}, "fasta_file": str(folder / "genome.fa")})
        for block in writer.blocks():
            writer.write(block, {name: values[block] for name, values in data.items()})
        writer.close()
        return path

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(effects_store.variables, "MAX_LOCI_PER_CHUNK", 2)
        write(folder / "whole.zarr")
        (folder / "tables").mkdir()
        estimate(folder / "whole.zarr", folder / "tables")
        yield folder, write


def estimate(store, folder):
    pipeline.estimate(str(store), str(folder / "local.tsv"), method=["ivw"], instrument_z=1.0, diagnostics="none")


def estimated(store, folder):
    """The tables that come of a store, or None if it is refused with one line."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # those of Zarr on odd metadata
        try:
            estimate(store, folder)
        except InputError as error:
            assert "\n" not in str(error) and not list(folder.iterdir())
            return None
    return tables_of(folder)


def tables_of(folder):
    return [(folder / name).read_bytes() for name in TABLES]


def copied(folder, with_record=True):
    copy = folder / "copy.zarr"
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(folder / "whole.zarr", copy)
    if not with_record:
        (copy / effects_store.RECORD).unlink()
    return copy


def files_of(store):
    return {str(p.relative_to(store)): p.read_bytes() for p in sorted(store.rglob("*")) if p.is_file()}


EDITS = st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 30), st.binary(max_size=8))


def edited(content, where, n, new):
    at = int(where * len(content))
    return content[:at] + new + content[at + n:]


@given(st.data())
@fewer(10)
def test_a_chunk_that_is_not_what_was_written_is_refused_and_mended(job, data):
    folder, write = job
    store = copied(folder)
    chunks = sorted(store.glob("*/[0-9]*"))
    chunk = data.draw(st.sampled_from(chunks))
    whole = chunk.read_bytes()
    damaged = data.draw(st.none() | EDITS.map(lambda edit: edited(whole, *edit)))
    if damaged is None:
        chunk.unlink()
    else:
        chunk.write_bytes(damaged)
    if damaged == whole:
        return
    assert estimated(store, folder / "more") is None
    effects_store.reopen(str(store))
    assert files_of(write(store)) == files_of(folder / "whole.zarr")


@OF_KINDS
@given(st.data())
@fewer(10)
def test_a_damaged_copy_without_a_record_is_read_or_refused(job, data):
    folder, _ = job
    store = copied(folder, with_record=False)
    chunk = data.draw(st.sampled_from(sorted(store.glob("*/[0-9]*"))))
    chunk.write_bytes(edited(chunk.read_bytes(), *data.draw(EDITS)))
    estimated(store, folder / "more")


@given(EDITS | st.binary(max_size=40).map(lambda new: (0, 10_000, new)))
@example((0, 10_000, b'{"format": 2, "loci": 6, "block": 2, "files": {}}\n'))
@example((0, 10_000, b'{"format": 2, "loci": 6, "block": 2, "files": {"../../x/0": 1}}\n'))
@example((0, 10_000, b"[" * 50_000 + b"\n"))
@example((0.999, 10_000, b""))
@example(lambda whole: whole.replace(b'/0": ', b'/0": 1', 1))
@example(lambda whole: whole.replace(b'"first": 2', b'"first": 3'))
@example(lambda whole: b"".join(whole.splitlines(keepends=True)[:-1]))
@fewer(10)
def test_a_damaged_record_is_noticed_and_made_anew(job, edit):
    folder, write = job
    store = copied(folder)
    record = store / effects_store.RECORD
    whole = record.read_bytes()
    record.write_bytes(edit(whole) if callable(edit) else edited(whole, *edit))
    found = estimated(store, folder / "more")
    assert found is None or found == tables_of(folder / "tables")
    effects_store.reopen(str(store))
    assert files_of(write(store)) == files_of(folder / "whole.zarr")


JSON = st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.sampled_from(
    ["<f8", "<U1", "|O", "C", "F", "../..", "blosc", "zstd", "pickle", "0.0", [2], "NaN"]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=5), inner, max_size=2), max_leaves=4)


def nodes(tree, path=()):
    yield path
    for key, value in tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ():
        yield from nodes(value, (*path, key))


@OF_KINDS
@given(st.sampled_from([".zmetadata", ".zattrs", "effect/.zarray", "name/.zattrs"]), st.booleans(), st.data())
@fewer(4)
def test_edited_metadata_is_read_or_refused(job, name, with_record, data):
    folder, _ = job
    store = copied(folder, with_record)
    tree = json.loads((store / name).read_text())
    *parents, last = data.draw(st.sampled_from(list(nodes(tree))[1:]))
    parent = tree
    for key in parents:
        parent = parent[key]
    parent[last] = data.draw(JSON)
    (store / name).write_text(json.dumps(tree))
    estimated(store, folder / "more")


def changes(effects):
    """Stores that are not ours, or are no more, by what was done to them."""
    yield effects.drop_vars("position")
    of_plan = {"length", "kind", "draws", "sequence"} & set(effects.variables)
    for name in of_plan:
        yield effects.drop_vars(name)
    for name in ("effect", "effect_se", "ref_base", "reference"):
        yield effects.drop_vars(name)
        yield effects.assign({name: effects[name].transpose()})
        yield effects.assign({name: effects[name].isel({effects[name].dims[-1]: 0}, drop=True)})
        yield effects.assign({name: (effects[name].dims, np.zeros(effects[name].shape, "i2"))})
        yield effects.assign({name: (effects[name].dims, np.full(effects[name].shape, b"xyz"))})
        yield effects.assign({name: (effects[name].dims, np.full(effects[name].shape, "\u00e9\u00e9"))})
    for name in ("effect", "effect_se"):
        for value in (np.nan, np.inf, -1.0, 1e38):
            yield effects.assign({name: effects[name] * 0 + np.float32(value)})
    for dim in effects.dims:
        yield effects.isel({dim: slice(0, 0)})
        yield effects.isel({dim: slice(0, 1)})
        yield effects.rename({dim: "other"})
    for name, value in (("start", -5), ("end", 0), ("start", 2 ** 62), ("position", 10 ** 6), ("position", -1),
                        *((("length", 10 ** 6), ("length", -1), ("draws", -1)) if of_plan else ())):
        assign = effects.assign_coords if name in effects.coords else effects.assign
        yield assign({name: effects[name] * 0 + value})
    for name, value in (("strand", "x"), ("chrom", "chr9"), ("chrom", ""), ("name", "a\tb\n"), ("mark", ""),
                        *((("kind", "pairs"), ("kind", "x"), ("kind", "single")) if of_plan else ())):
        yield effects.assign_coords({name: (effects[name].dims, np.full(effects[name].shape, value))})
    for attributes in ({}, {"format_version": True}, {"fasta_file": 3}, {"fasta_file": "../x"}, {"settings": []},
                       {"dropped": "x"}):
        yield effects.assign_attrs({"format": 1, **attributes}) if not attributes else effects.assign_attrs(attributes)


@OF_KINDS
@pytest.mark.parametrize("version", [2, 3] if int(zarr.__version__.split(".")[0]) > 2 else [2])
def test_foreign_and_changed_stores_are_read_or_refused(job, version):
    folder, _ = job
    effects = xr.open_zarr(folder / "whole.zarr", chunks=None).load()
    for variable in effects.variables.values():
        variable.encoding.clear()
    for number, changed in enumerate(changes(effects)):
        store = folder / f"changed{version}_{number}.zarr"
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                changed.to_zarr(store, zarr_format=version, consolidated=True)
            except (TypeError, ValueError):
                continue  # xarray itself cannot write it
        estimated(store, folder / "more")
    estimated(folder / "genome.fa", folder / "more")
    assert number > 50
