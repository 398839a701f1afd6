"""Variables whose values are computed when a slice of them is read."""

import numpy as np
import xarray as xr
from xarray.backends import BackendArray
from xarray.core import indexing


class _Computed(BackendArray):
    """A variable whose values are computed when a slice of them is read."""

    def __init__(self, variable, read, dtype):
        self.shape, self.dtype, self._read = variable.shape, np.dtype(dtype or variable.dtype), read

    def __getitem__(self, key):
        return indexing.explicit_indexing_adapter(key, self.shape, indexing.IndexingSupport.OUTER, self._values)

    def _values(self, key):
        kept = tuple(slice(k, k + 1) if isinstance(k, (int, np.integer)) else k for k in key)
        values = self._read(*kept)
        return values[tuple(0 if isinstance(k, (int, np.integer)) else slice(None) for k in key)]


def with_computed(effects, readers, dtype=None):
    """A Dataset some of whose variables are computed when a slice of them is read.

    Parameters
    ----------
    effects : xarray.Dataset
    readers : dict of str to callable
        For each variable to replace, a function of one index a dimension (slices or arrays of integers) that gives the
        values there; they are of the same shape as those replaced.
    dtype : numpy dtype, optional
        Of the values that the readers give; that of the variable replaced by default.

    Returns
    -------
    xarray.Dataset
    """
    computed = {}
    for name, read in readers.items():
        values = indexing.LazilyIndexedArray(_Computed(effects[name], read, dtype))
        computed[name] = xr.Variable(effects[name].dims, values, effects[name].attrs)
    return effects.assign(computed)
