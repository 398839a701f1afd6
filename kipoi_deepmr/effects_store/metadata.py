"""What the files of metadata say of a store's arrays, checked before any of them is read."""

import json
from pathlib import Path

import numpy as np

from ..errors import InputError
from . import record
from .variables import DECLARED

LEAST_CLAIM = 1 << 28  # bytes of coordinates that are believed
MOST_COMPRESSED = 1000  # bytes for each byte of all files


def check_metadata(path):
    """Check the files of metadata of any Zarr store, of a store of effects or another.

    numcodecs has a codec `pickle`, and what is unpickled can do anything; xarray reads coordinates as soon as it opens.

    Raises
    ------
    InputError
        They name a codec that could run code, claim more than the files can hold, or say that the numbers of a declared
        variable lie on disk in another way than `Writer` and xarray write them: no chunk would show it.
    ValueError
        They are no JSON.
    """
    for name in record.metadata(path):
        content = json.loads(Path(path, name).read_bytes())
        if not name.endswith(".zattrs") and _names_pickle(content):
            raise InputError(f"{path}: {name} has a codec pickle, which could run any code; such a store is not read")
        for variable, array in _arrays(name, content):
            _check_claim(path, variable, array)
            _check_layout(path, variable, array)


def _names_pickle(tree):
    """Whether metadata, but for attributes, name a codec pickle, under whatever key Zarr may look."""
    if isinstance(tree, dict):
        return any(key in ("id", "name", "object_codec_id") and "pickle" in str(value).lower() or _names_pickle(value)
                   for key, value in tree.items() if not key.endswith((".zattrs", "attributes")))
    return isinstance(tree, list) and any(map(_names_pickle, tree))


def _arrays(name, content):
    """Names and metadata of the arrays that a file tells of, in Zarr's formats 2 and 3."""
    if Path(name).name == ".zmetadata":
        found = [(str(Path(key).parent), value) for key, value in _dict(_dict(content).get("metadata")).items()
                 if key.endswith(".zarray")]
    else:
        inline = _dict(_dict(_dict(content).get("consolidated_metadata")).get("metadata"))
        found = [(str(Path(name).parent), content), *inline.items()]
    return [(variable, array) for variable, array in found if isinstance(array, dict) and "shape" in array]


def _check_claim(path, variable, array):
    """Refuse coordinates that are said to be so long that reading them would fill the memory for nothing."""
    shape = array["shape"]
    if not (isinstance(shape, list) and len(shape) == 1 and isinstance(shape[0], int) and 8 * shape[0] > LEAST_CLAIM):
        return
    on_disk = sum(file.stat().st_size for file in Path(path).rglob("*") if file.is_file())
    if 8 * shape[0] > MOST_COMPRESSED * on_disk:
        raise InputError(f"{path}: {variable} claims {shape[0]:,} numbers, and all files together hold {on_disk:,} "
                         "bytes; the store is damaged or incomplete")


def _check_layout(path, variable, array):
    dtypes = {v.name: np.dtype(v.dtype) for each in DECLARED.values() for v in each.all}
    if variable not in dtypes or dtypes[variable].kind == "U":
        allowed = {"order": ("C",)}
    else:
        dtype = dtypes[variable]
        allowed = {"dtype": (dtype.str,), "data_type": (dtype.name,), "order": ("C",),
                   "fill_value": ("NaN",) if dtype.kind == "f" else (None, 0)}
    codecs = array.get("codecs")
    endian = [_dict(_dict(codec).get("configuration")).get("endian", "little")
              for codec in (codecs if isinstance(codecs, list) else ())]
    for key, value, right in [*((key, array[key], right) for key, right in allowed.items() if key in array),
                              *(("endian", value, ("little",)) for value in endian)]:
        if value not in right:
            raise InputError(f"{path}: {variable} has {key} {value!r:.20}; it should be {right[0]!r}")


def _dict(value):
    return value if isinstance(value, dict) else {}
