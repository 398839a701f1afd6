"""What a model returns as numpy's arrays: tensors of any framework, device and precision."""

import numpy as np

from .errors import ModelError, one_line

# numbers of fewer bits than float32, under the names that frameworks give them; the first is the least precise
NARROW = ("bfloat16", "float16")


def as_array(value):
    """An array of a type that numpy knows.

    Parameters
    ----------
    value : array, tensor, or anything that numpy turns into an array
        A tensor may need a gradient, be on another device, sparse or quantised; bfloat16 and smaller types become
        float32. What an array masks becomes NaN.

    Raises
    ------
    ModelError
        It cannot be turned into one.
    """
    try:
        return _plain(np.asarray(_of_torch(value) if hasattr(value, "detach") else _dense(value)))
    except ModelError:
        raise
    except Exception as error:
        raise ModelError(f"the model's output, a {type(value).__name__}, is no array and cannot be turned into one: "
                         f"{one_line(error)}") from error


def precision_of(values):
    """The least precise type of floating-point numbers among outputs, by name: bfloat16, float16, float32 or float64.

    Whole numbers count as float64, since none is rounded.
    """
    names = {_type_name(value) for value in values}
    return next((name for name in NARROW + ("float32",) if name in names), "float64")


def _type_name(value):
    """Name of the type of numbers, whatever framework calls it (torch.bfloat16, <dtype: 'bfloat16'>, dtype('<f4'))."""
    kind = getattr(value, "dtype", None)
    if kind is None:
        return "float64"
    text = str(getattr(kind, "name", kind)).split(".")[-1]
    return "bfloat16" if text.startswith("float8") else text


def _of_torch(value):
    """A PyTorch tensor's numbers."""
    value = value.detach()
    if getattr(value, "is_quantized", False):
        value = value.dequantize()
    if getattr(value, "layout", None) is not None and not str(value.layout).endswith("strided"):
        value = value.to_dense()
    value = value.cpu()
    if str(value.dtype) in ("torch.bfloat16",) or str(value.dtype).startswith("torch.float8"):
        value = value.float()
    return value.resolve_conj().numpy() if hasattr(value, "resolve_conj") else value.numpy()


def _dense(value):
    """Sparse matrices in full, masked numbers as NaN, arrays of a graphics card as numpy's."""
    if hasattr(value, "toarray"):
        return value.toarray()
    if isinstance(value, np.ma.MaskedArray):
        return value.astype(np.result_type(value.dtype, np.float32)).filled(np.nan)
    if type(value).__module__.split(".")[0] == "cupy":
        return value.get()
    return value


def _plain(array):
    """The same numbers in a type of numpy's own: those of ml_dtypes, such as TensorFlow's bfloat16, as float32."""
    is_foreign = array.dtype.kind == "V" and array.dtype.names is None and "float" in array.dtype.name
    return array.astype(np.float32) if is_foreign else array
