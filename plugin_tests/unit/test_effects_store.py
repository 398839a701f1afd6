"""The Dataset on disk: written by blocks, opened, checked."""

import json
import pickle

import numpy as np
import pytest
import xarray as xr

from kipoi_deepmr import dna, effects_store
from kipoi_deepmr.errors import InputError
from kipoi_deepmr.loci import Loci

N, LENGTH, MEMBERS, MARKS = 150, 20, ("m1", "m2"), ("A", "B", "C")


@pytest.fixture
def loci():
    start = np.arange(N) * 30
    return Loci(np.array(["chr1"] * N), start, start + LENGTH, np.array(["+", "-"] * (N // 2)),
                np.array([f"l{i}" for i in range(N)]), np.random.default_rng(0).choice(dna.BASES, (N, LENGTH)))


@pytest.fixture
def data():
    rng = np.random.default_rng(1)
    v, t = 3 * LENGTH, len(MARKS)
    return {"effect": rng.normal(size=(N, v, t)).astype("f4"), "effect_se": rng.random((N, v, t)).astype("f4"),
            "reference": rng.random((N, 2, t)).astype("f4"), "member_effect": rng.random((N, 2, v, t)).astype("f4"),
            "ref_base": rng.choice(list("ACGT"), (N, v)), "alt_base": rng.choice(list("ACGT"), (N, v))}


def write(path, loci, data, **options):
    attributes = {"seed": 3, "nested": {"a": [1], "name": "pickle"}}
    writer = effects_store.Writer(str(path), loci, MARKS, MEMBERS, attributes, **options)
    kept = {name: values for name, values in data.items() if options.get("keep_members", True) or
            name != "member_effect"}
    for block in writer.blocks():
        writer.write(block, {name: values[block] for name, values in kept.items()})
    return writer


def test_round_trip(tmp_path, loci, data):
    assert len(start(tmp_path / "e.zarr", loci).blocks()) == 3
    writer = write(tmp_path / "e.zarr", loci, data)
    assert writer.n_done == N and not (tmp_path / "e.zarr").exists()
    writer.close()
    assert not (tmp_path / "e.zarr.partial").exists()
    opened = effects_store.open_effects(str(tmp_path / "e.zarr"))
    for name, values in data.items():
        assert (opened[name].values == values).all() and opened[name].dtype == values.dtype, name
    for name in ("chrom", "start", "end", "strand", "name"):
        assert (opened[name].values == getattr(loci, name)).all()
    assert opened["position"].values.tolist() == [i // 3 for i in range(3 * LENGTH)]
    assert opened.attrs["nested"] == {"a": [1], "name": "pickle"}


def test_every_variable_is_as_declared(tmp_path, loci, data):
    write(tmp_path / "e.zarr", loci, data).close()
    opened = effects_store.open_effects(str(tmp_path / "e.zarr"))
    declared = {v.name: v for v in effects_store.DECLARED[1].all}
    assert set(opened.variables) == set(declared)
    for name, variable in declared.items():
        assert opened[name].dims == variable.dims
        assert opened[name].dtype.kind == "U" if variable.dtype == "U" else opened[name].dtype == variable.dtype
        assert opened[name].attrs["description"] == variable.meaning


def test_without_members(tmp_path, loci, data):
    write(tmp_path / "e.zarr", loci, data, keep_members=False).close()
    assert "member_effect" not in effects_store.open_effects(str(tmp_path / "e.zarr"))


def test_plain_xarray_reads_it(tmp_path, loci, data):
    write(tmp_path / "e.zarr", loci, data).close()
    assert xr.open_zarr(tmp_path / "e.zarr")["effect"].sel(mark="B").shape == (N, 3 * LENGTH)


def test_discard_and_replace(tmp_path, loci, data):
    writer = write(tmp_path / "e.zarr", loci, data)
    writer.discard()
    assert list(tmp_path.iterdir()) == []
    write(tmp_path / "e.zarr", loci, data).close()
    write(tmp_path / "e.zarr", loci, {**data, "effect": data["effect"] + 1}).close()
    assert (effects_store.open_effects(str(tmp_path / "e.zarr"))["effect"].values == data["effect"] + 1).all()


def read_all(folder):
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def start(path, loci, settings=None, **more):
    return effects_store.Writer(str(path), loci, MARKS, MEMBERS, {"settings": settings or {}}, **more)


def begin(path, loci, data, n_blocks, **more):
    """A run that is killed after `n_blocks` of its three blocks."""
    writer = start(path, loci, **more)
    for block in writer.blocks()[:n_blocks]:
        writer.write(block, {name: values[block] for name, values in data.items()})
    return writer


def finish(writer, data):
    for block in writer.blocks():
        writer.write(block, {name: values[block] for name, values in data.items()})
    writer.close()


def test_a_killed_run_goes_on(tmp_path, loci, data):
    finish(start(tmp_path / "undisturbed.zarr", loci), data)
    begin(tmp_path / "e.zarr", loci, data, 1)
    writer = start(tmp_path / "e.zarr", loci)
    assert writer.n_done == 64 and writer.blocks()[0].start == 64
    finish(writer, data)
    assert read_all(tmp_path / "e.zarr") == read_all(tmp_path / "undisturbed.zarr")
    assert not (tmp_path / "e.zarr.partial").exists()


@pytest.mark.parametrize("damage", ["flip a bit", "cut", "remove"])
def test_a_damaged_block_is_written_again(tmp_path, loci, data, damage):
    begin(tmp_path / "e.zarr", loci, data, 2)
    chunk = tmp_path / "e.zarr.partial" / "effect" / "0.0.0"
    content = chunk.read_bytes()
    flipped = content[:40] + bytes([content[40] ^ 4]) + content[41:]
    chunk.write_bytes({"flip a bit": flipped, "cut": content[:-1]}.get(damage, b""))
    if damage == "remove":
        chunk.unlink()
    writer = start(tmp_path / "e.zarr", loci)
    assert 0 in [block.start for block in writer.blocks()]
    finish(writer, data)
    assert (effects_store.open_effects(str(tmp_path / "e.zarr"))["effect"].values == data["effect"]).all()


@pytest.mark.parametrize("keep", range(0, 400, 50))
def test_a_record_cut_anywhere_is_read_as_far_as_it_goes(tmp_path, loci, data, keep):
    begin(tmp_path / "e.zarr", loci, data, 2)
    record = tmp_path / "e.zarr.partial" / effects_store.RECORD
    record.write_bytes(record.read_bytes()[:keep])
    writer = start(tmp_path / "e.zarr", loci)
    finish(writer, data)
    assert (effects_store.open_effects(str(tmp_path / "e.zarr"))["effect"].values == data["effect"]).all()


@pytest.mark.parametrize("damage", [lambda text: text[:-20], lambda text: text[:-20] + b"\xff" + text[-19:]])
def test_a_damaged_record_is_gone_on_with_and_read_again(tmp_path, loci, data, damage):
    begin(tmp_path / "e.zarr", loci, data, 2)
    record = tmp_path / "e.zarr.partial" / effects_store.RECORD
    record.write_bytes(damage(record.read_bytes()))
    assert begin(tmp_path / "e.zarr", loci, data, 1).n_done == 128
    assert [block.start for block in start(tmp_path / "e.zarr", loci).blocks()] == [128]


def test_loci_without_effects_are_remembered(tmp_path, loci, data):
    writer = start(tmp_path / "e.zarr", loci)
    for block in writer.blocks()[:2]:
        writer.write(block, {name: values[block] for name, values in data.items()}, {3: "why"})
    writer = start(tmp_path / "e.zarr", loci)
    assert writer.dropped == {3: "why", 67: "why"}
    finish(writer, data)


def test_fragments_of_a_killed_run_are_removed(tmp_path, loci, data):
    begin(tmp_path / "e.zarr", loci, data, 1)
    (tmp_path / "e.zarr.partial" / "effect" / "1.0.0.c0ffee.partial").write_text("x")
    finish(start(tmp_path / "e.zarr", loci), data)
    assert not list(tmp_path.rglob("*.partial"))


def test_an_unfinished_run_of_other_settings(tmp_path, loci, data):
    begin(tmp_path / "e.zarr", loci, data, 1, settings={"ddof": 1})
    with pytest.raises(InputError, match="unfinished run of other settings.*ddof: 1 -> 0"):
        start(tmp_path / "e.zarr", loci, settings={"ddof": 0})
    assert start(tmp_path / "e.zarr", loci, settings={"ddof": 0}, replace=True).n_done == 0


def test_chunks_hold_about_a_megabyte():
    assert effects_store.loci_per_block(5, 3000, 4) == 4
    assert effects_store.loci_per_block(5, 1800, 164) == 1
    assert effects_store.loci_per_block(2, 30, 2) == effects_store.MAX_LOCI_PER_CHUNK


def test_stores_that_are_refused(tmp_path, loci, data):
    with pytest.raises(InputError, match="no such effects store"):
        effects_store.open_effects(str(tmp_path / "none.zarr"))
    (tmp_path / "file.zarr").write_text("x")
    with pytest.raises(InputError, match="not a Zarr store"):
        effects_store.open_effects(str(tmp_path / "file.zarr"))
    xr.Dataset({"a": 1}).to_zarr(tmp_path / "other.zarr", zarr_format=2)
    with pytest.raises(InputError, match="not one of DeepMR"):
        effects_store.open_effects(str(tmp_path / "other.zarr"))


@pytest.mark.parametrize("version", [0, 3, "1", True, None])
def test_other_format_versions_are_refused(tmp_path, loci, data, version):
    write(tmp_path / "e.zarr", loci, data).close()
    (tmp_path / "e.zarr" / effects_store.RECORD).unlink()
    for name in (".zattrs", ".zmetadata"):
        path = tmp_path / "e.zarr" / name
        content = json.loads(path.read_text())
        (content if name == ".zattrs" else content["metadata"][".zattrs"])["format_version"] = version
        path.write_text(json.dumps(content))
    with pytest.raises(InputError, match=f"format version {version!r}; this kipoi_deepmr reads 1 and 2"):
        effects_store.open_effects(str(tmp_path / "e.zarr"))


class Trap:
    """Makes a file when it is unpickled."""

    def __init__(self, path):
        self._path = path

    def __reduce__(self):
        return open, (self._path, "w")


@pytest.mark.parametrize("edit", [
    {"dtype": "|O", "filters": [{"id": "pickle", "protocol": 5}]}, {"filters": [{"id": "pickle", "protocol": 5}]},
    {"compressor": {"id": "pickle", "protocol": 5}}, {"filters": [{"id": "vlen-utf8"}, {"id": "pickle"}]}])
@pytest.mark.parametrize("consolidated", [True, False])
def test_a_store_with_pickles_is_refused_before_it_is_read(tmp_path, edit, consolidated):
    """mark is a coordinate, which xarray reads as soon as it opens a store."""
    xr.Dataset({"a": ("mark", np.arange(3.0))}, {"mark": np.arange(3)}, {"format": "kipoi_deepmr effects"}).to_zarr(
        tmp_path / "e.zarr", zarr_format=2, consolidated=consolidated)
    for name, keys in ((".zmetadata", ("metadata", "mark/.zarray")), ("mark/.zarray", ())):
        path = tmp_path / "e.zarr" / name
        if path.exists():
            content = array = json.loads(path.read_text())
            for key in keys:
                array = array[key]
            array.update({"filters": None, "compressor": None, **edit})
            path.write_text(json.dumps(content))
    (tmp_path / "e.zarr" / "mark" / "0").write_bytes(pickle.dumps(Trap(str(tmp_path / "sprung"))))
    with pytest.raises(InputError, match="has a codec pickle, which could run any code"):
        effects_store.open_effects(str(tmp_path / "e.zarr"))
    assert not (tmp_path / "sprung").exists()


def test_incomplete_store_is_refused(tmp_path, loci, data):
    write(tmp_path / "e.zarr", loci, data).close()
    opened = xr.open_zarr(tmp_path / "e.zarr", chunks=None).load()
    opened.drop_vars("effect_se").to_zarr(tmp_path / "less.zarr", zarr_format=2)
    with pytest.raises(InputError, match="without effect_se"):
        effects_store.open_effects(str(tmp_path / "less.zarr"))


def test_variables_that_are_not_declared(loci, data):
    with pytest.raises(ValueError, match="declared"):
        effects_store.dataset(loci, MARKS, MEMBERS, {**data, "more": data["effect"]})
