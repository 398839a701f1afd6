"""Frames on pipes: a length-prefixed JSON header, then the raw bytes of arrays.

A frame is the header's length (4 bytes, little-endian), the header (a JSON object whose `arrays` lists dtype and
shape of each array), and the arrays' bytes in that order. Sizes are checked before anything is allocated, and memory is
taken as bytes come; nothing is evaluated.
"""

import json
import struct

import numpy as np

MAX_HEADER_BYTES = 1 << 24
MAX_ARRAY_BYTES = 1 << 31  # of all arrays of a frame together
MAX_DIMENSIONS = 8
LEAST_PIECE = 1 << 16  # bytes for which memory is taken at once
ITEM_BYTES = {"|u1": 1, "<f4": 4, "<f8": 8}

_LENGTH = struct.Struct("<I")


class FrameError(ValueError):
    """What stands in the pipe is not a frame, or what should be sent cannot be one."""


class CutOff(FrameError):
    """The stream ends within a frame."""


def write(stream, header, arrays=()):
    """Send one frame.

    Parameters
    ----------
    stream : object with `write`
    header : dict
        JSON values; `arrays` is added here.
    arrays : sequence of array
        uint8, float32 or float64.

    Raises
    ------
    FrameError
        Another dtype, or a frame above the limits.
    """
    arrays = [np.asarray(array, order="C") for array in arrays]
    listed = [[array.dtype.str, list(array.shape)] for array in arrays]
    text = json.dumps(dict(header, arrays=listed)).encode("utf-8")
    _check_header_size(len(text))
    _sizes(listed)
    stream.write(_LENGTH.pack(len(text)) + text)
    for array in arrays:
        if array.size:
            stream.write(memoryview(array.reshape(-1)).cast("B"))


def read(stream, check=None):
    """The next frame.

    Parameters
    ----------
    stream : object with `readinto`
    check : callable, optional
        Given the header and the list of dtypes and shapes before the arrays are read, to raise `FrameError`.

    Returns
    -------
    (dict, list of array), or None where the stream ends between two frames.

    Raises
    ------
    FrameError
        Anything else than a frame within the limits.
    """
    prefix = _read_exactly(stream, _LENGTH.size, may_end=True)
    if prefix is None:
        return None
    length, = _LENGTH.unpack(bytes(prefix))
    _check_header_size(length)
    header = _parsed(_read_exactly(stream, length))
    listed = header.pop("arrays", None)
    sizes, arrays = _sizes(listed), []
    if check is not None:
        check(header, listed)
    for (dtype, shape), size in zip(listed, sizes):
        arrays.append(np.frombuffer(_read_exactly(stream, size), dtype=dtype).reshape(shape) if size
                      else np.zeros(shape, dtype))
    return header, arrays


def _check_header_size(length):
    if length > MAX_HEADER_BYTES:
        raise FrameError(f"a header of {length} bytes; at most {MAX_HEADER_BYTES} are allowed")


def _parsed(text):
    try:
        header = json.loads(bytes(text).decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise FrameError(f"the header is not JSON ({error})") from error
    if not isinstance(header, dict):
        raise FrameError("the header is not a JSON object")
    return header


def _sizes(listed):
    """Bytes of each array of a header's list."""
    if not isinstance(listed, list):
        raise FrameError("the header lists no arrays")
    sizes = [_size(entry) for entry in listed]
    _check_array_size(sum(sizes))
    return sizes


def _size(entry):
    if not (isinstance(entry, list) and len(entry) == 2):
        raise FrameError(f"an array is described by its dtype and shape, not {entry!r:.100}")
    dtype, shape = entry
    if not (isinstance(dtype, str) and dtype in ITEM_BYTES):
        raise FrameError("arrays are of dtype {}, not {!r:.100}".format(" or ".join(ITEM_BYTES), dtype))
    if not (isinstance(shape, list) and len(shape) <= MAX_DIMENSIONS
            and all(type(n) is int and n >= 0 for n in shape)):
        raise FrameError(f"{shape!r:.100} is not the shape of an array")
    extent = ITEM_BYTES[dtype]
    for n in shape:
        extent *= max(n, 1)  # numpy refuses a large shape even where it holds nothing
    _check_array_size(extent)
    return 0 if 0 in shape else extent


def _check_array_size(size):
    if size > MAX_ARRAY_BYTES:
        raise FrameError(f"arrays of {size} bytes; at most {MAX_ARRAY_BYTES} are allowed")


def _read_exactly(stream, size, may_end=False):
    """`size` bytes, or None if the stream ends before the first and `may_end`."""
    buffer, done = bytearray(), 0
    while done < size:
        if done == len(buffer):
            buffer.extend(bytes(min(max(done, LEAST_PIECE), size - done)))
        with memoryview(buffer) as view, view[done:] as rest:
            n = stream.readinto(rest)
        if not n:
            if may_end and not done:
                return None
            raise CutOff("the stream ends within a frame")
        done += n
    return buffer
