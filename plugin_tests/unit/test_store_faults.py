"""Stores with flipped bits, repeated loci, absurd claims or other metadata: refused with one line, never counted."""

import json
import re
import runpy
import shutil
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from mixed_kinds import mixed_effects

from kipoi_deepmr import effects_store
from kipoi_deepmr.effects_store import record
from kipoi_deepmr.errors import InputError

FLIP_BITS = runpy.run_path(str(Path(__file__).parents[2] / "validation" / "flip_bits.py"))


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    path = tmp_path_factory.mktemp("store") / "whole.zarr"
    FLIP_BITS["fill"](FLIP_BITS["writer"](path))
    return path


@pytest.fixture
def store(whole, tmp_path):
    shutil.copytree(whole, tmp_path / "e.zarr")
    return tmp_path / "e.zarr"


def check(path):
    effects_store.open_effects(str(path))
    effects_store.check_chunks(str(path))


def test_no_flipped_bit_is_silent(store):
    silent, kinds = FLIP_BITS["silent_flips"](store, 300)
    assert silent == [] and {"chunk", ".zmetadata", ".zarray", ".zattrs", "completed.jsonl"} <= set(kinds)
    check(store)


def test_a_flipped_bit_before_a_resume_is_mended_or_refused(store):
    assert FLIP_BITS["unmended_flips"](store, 12, seed=1) == []


@pytest.mark.parametrize("name", [".zmetadata", ".zattrs", ".zgroup", "start/.zarray", "effect/.zattrs"])
def test_metadata_that_is_gone_is_noticed_and_mended(store, whole, name):
    (store / name).unlink()
    with pytest.raises(InputError, match=f"{re.escape(name)}: damaged since it was written.*mends it"):
        check(store)
    effects_store.reopen(str(store))
    writer = FLIP_BITS["writer"](store)
    assert writer.blocks() == []
    FLIP_BITS["fill"](writer)
    assert FLIP_BITS["contents"](store) == FLIP_BITS["contents"](whole)


@pytest.mark.parametrize("name", ["zarr.json", "effect/zarr.json", "more/.zarray"])
def test_metadata_that_was_added_is_noticed(store, name):
    (store / name).parent.mkdir(exist_ok=True)
    (store / name).write_text("{}")
    with pytest.raises(InputError, match=f"{re.escape(name)}: damaged since"):
        check(store)


def test_a_record_of_another_format(store):
    lines = (store / effects_store.RECORD).read_text().splitlines(keepends=True)
    head = {**json.loads(lines[0]), "format": 2}
    head.pop("crc32")
    (store / effects_store.RECORD).write_text(json.dumps(head) + "\n" + "".join(lines[1:]))
    with pytest.raises(InputError, match=f"its record is of format 2, and this kipoi_deepmr reads {record.FORMAT}"):
        check(store)


def edit_arrays(store, name, **changes):
    """Change the metadata of an array, in both places, and leave no record."""
    (store / effects_store.RECORD).unlink(missing_ok=True)
    for file, key in ((".zmetadata", f"{name}/.zarray"), (f"{name}/.zarray", None)):
        content = json.loads((store / file).read_text())
        (content["metadata"][key] if key else content).update(changes)
        (store / file).write_text(json.dumps(content))


@pytest.mark.parametrize("name, changes, said", [
    ("effect", {"dtype": ">f4"}, "effect has dtype '>f4'; it should be '<f4'"),
    ("start", {"dtype": ">i8"}, "start has dtype '>i8'"),
    ("end", {"dtype": "<u8"}, "end has dtype '<u8'"),
    ("effect", {"order": "F"}, "has order 'F'; it should be 'C'"),
    ("effect", {"fill_value": 0.5}, "effect has fill_value 0.5; it should be 'NaN'"),
    ("end", {"shape": [2 * 10 ** 9]}, "claims 2,000,000,000 numbers"),
    ("mark", {"shape": [2 * 10 ** 9]}, "claims 2,000,000,000 numbers"),
])
def test_metadata_of_a_store_without_a_record(store, name, changes, said):
    edit_arrays(store, name, **changes)
    with pytest.raises(InputError, match=said):
        check(store)


def test_all_loci_claimed_without_a_record(store):
    names = {v.name: v.dims for v in effects_store.DECLARED[1].all if v.dims[0] == "locus"}
    for name in names:
        shape = json.loads((store / name / ".zarray").read_text())["shape"]
        edit_arrays(store, name, shape=[2 * 10 ** 9, *shape[1:]])
    with pytest.raises(InputError, match="claims 2,000,000,000 numbers"):
        check(store)


def loaded(store):
    effects = xr.open_zarr(store, chunks=None).load()
    for variable in effects.variables.values():
        variable.encoding.clear()
    return effects


def rewritten(effects, path):
    effects.to_zarr(path, zarr_format=2)
    return path


def with_attributes(effects, name, **attributes):
    return effects.assign({name: effects[name].assign_attrs(attributes)})


@pytest.mark.parametrize("change, said", [
    (lambda e: xr.concat([e, e], "locus"), r"locus l0 \(chr1:0-8, \+\) is there twice"),
    (lambda e: xr.concat([e, e], "mark", data_vars="minimal"), "mark A is there twice"),
    (lambda e: xr.concat([e, e], "variant", data_vars="minimal"), "position are not those of loci"),
    (lambda e: e.assign_coords(mark=["A", "A"]), "mark A is there twice"),
    (lambda e: e.assign_coords(position=e.position + 1), "not those of loci"),
    (lambda e: e.assign_coords(position=("variant", e.position.values[::-1])), "position are not those of loci"),
    (lambda e: e.assign_coords(start=e.start + 10 ** 18, end=e.end + 10 ** 18), "not those of loci"),
    (lambda e: e.assign(alt_base=e.ref_base), "locus l0 are not the three of each base of one sequence"),
    (lambda e: with_attributes(e, "effect", units="kcal/mol"), "effect is in 'kcal/mol'"),
    (lambda e: e.assign(effect=e.effect.astype("f8")), "effect has dtype '<f8'; it should be '<f4'"),
])
def test_stores_that_xarray_changed_are_refused(store, tmp_path, change, said):
    with pytest.raises(InputError, match=said):
        check(rewritten(change(loaded(store)), tmp_path / "changed.zarr"))


def test_a_scale_by_which_xarray_would_read_other_numbers(store, tmp_path):
    effects = loaded(store)
    effects["effect"].encoding["scale_factor"] = np.float32(2)
    with pytest.raises(InputError, match="effect is stored with scale_factor"):
        check(rewritten(effects, tmp_path / "changed.zarr"))


def test_what_xarray_appends_to_a_store_is_noticed(store):
    effects = loaded(store).drop_attrs(deep=False)
    effects.to_zarr(store, append_dim="locus")
    with pytest.raises(InputError, match="damaged since it was written"):
        check(store)


@pytest.mark.parametrize("change", [lambda e: e, lambda e: e.isel(locus=slice(5, 20)), lambda e: e.isel(mark=[1, 0])])
def test_copies_by_xarray_are_read(store, tmp_path, change):
    effects = change(loaded(store))
    check(rewritten(effects, tmp_path / "copy.zarr"))
    copy = effects_store.open_effects(str(tmp_path / "copy.zarr"))
    np.testing.assert_array_equal(copy["effect"], effects["effect"])


@pytest.mark.parametrize(("name", "text"), [(None, None), ("ref_base", "ACGT"), ("alt_base", "AC"),
                                            ("alt_base", "<DEL>")])
def test_stretches_without_a_record_change_what_is_there(tmp_path, name, text):
    """In a copy by xarray a window of four bases, whatever it says, must be one of the locus."""
    effects = mixed_effects("single,windows:4,deletions:3,regions")
    if name:
        window = int(np.flatnonzero(effects["kind"].values == "windows")[0])
        assert str(effects["ref_base"].values[1, window]) != text
        effects[name][1, window] = text
    effects.to_zarr(str(tmp_path / "e.zarr"), zarr_format=2)
    if name is None:
        check(tmp_path / "e.zarr")
        return
    with pytest.raises(InputError, match="of locus q do not change the bases that it has|letters other than A, C"):
        check(tmp_path / "e.zarr")
