"""Frames: what is sent arrives, and whatever else comes out of a pipe is one kind of error."""

import io
import json
import struct
import tracemalloc

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from kipoi_deepmr.models.host import frames
from kipoi_deepmr.models.host.frames import FrameError

JSON = st.recursive(st.none() | st.booleans() | st.integers() | st.text() | st.floats(allow_nan=False),
                    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=8)
HEADERS = st.dictionaries(st.text().filter(lambda key: key != "arrays"), JSON)
SHAPES = hnp.array_shapes(min_dims=0, min_side=0)
ARRAYS = st.lists(st.sampled_from(["|u1", "<f4"]).flatmap(lambda dtype: hnp.arrays(dtype, SHAPES)))


def sent(header, arrays=()):
    stream = io.BytesIO()
    frames.write(stream, header, arrays)
    return stream.getvalue()


def by_hand(header):
    text = json.dumps(header).encode() if not isinstance(header, bytes) else header
    return struct.pack("<I", len(text)) + text


class Trickle(io.BytesIO):
    """Gives a byte at a time, as a pipe may."""

    def readinto(self, buffer):
        return super().readinto(memoryview(buffer)[:1])


@given(HEADERS, ARRAYS)
def test_what_is_sent_arrives(header, arrays):
    stream = Trickle(sent(header, arrays) + sent({"next": 1}))
    received, copies = frames.read(stream)
    assert received == header and len(copies) == len(arrays)
    for array, copy in zip(arrays, copies, strict=True):
        assert copy.dtype == array.dtype and copy.shape == array.shape and copy.tobytes() == array.tobytes()
    assert frames.read(stream) == ({"next": 1}, [])
    assert frames.read(stream) is None


def test_arrays_in_any_memory_order_arrive():
    array = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
    _, (turned, every_second) = frames.read(io.BytesIO(sent({}, [array.T, array[:, ::2]])))
    np.testing.assert_array_equal(turned, array.T)
    np.testing.assert_array_equal(every_second, array[:, ::2])


def reads_or_refuses(data):
    """Read all frames of some bytes; nothing but FrameError may come of it."""
    stream = io.BytesIO(data)
    try:
        while frames.read(stream) is not None:
            pass
    except FrameError:
        pass


@given(st.binary(max_size=200))
@example(b"\x02\0\0\0[]")
@example(by_hand(b"[" * 100_000))
@example(by_hand(b"9" * 10_000))
@example(by_hand(b"\xff\xfe"))
def test_any_bytes_are_frames_or_a_frame_error(data):
    reads_or_refuses(data)


@given(ARRAYS, st.data())
def test_damaged_frames_are_frames_or_a_frame_error(arrays, data):
    whole = bytearray(sent({"reply": "part"}, arrays))
    for _ in range(data.draw(st.integers(1, 4))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    reads_or_refuses(bytes(whole[:data.draw(st.integers(0, len(whole)))]))


@given(HEADERS, ARRAYS, st.data())
def test_a_frame_that_is_cut_off_is_refused(header, arrays, data):
    whole = sent(header, arrays)
    with pytest.raises(FrameError):
        frames.read(io.BytesIO(whole[:data.draw(st.integers(1, len(whole) - 1))]))


@given(st.fixed_dictionaries({"arrays": JSON | st.lists(st.lists(JSON | st.sampled_from(["|u1", "<f4", [2], [0]])))}))
@example({"arrays": [["|O", [1]]]})
@example({"arrays": [["<f8", [1]]]})
@example({"arrays": [["|u1", [-1]]]})
@example({"arrays": [["|u1", [True]]]})
@example({"arrays": [["|u1", [1.0]]]})
@example({"arrays": [["<f4", [2**31 - 1, 0, 2**31 - 1, 2**31 - 1]]]})
@example({"arrays": [["<f4", [1] * 9]]})
@example({"arrays": [["|u1", {"0": 1}]]})
@example({"arrays": "|u1"})
@example({})
def test_lists_of_arrays_are_right_or_refused(header):
    reads_or_refuses(by_hand(header) + bytes(64))


@pytest.mark.parametrize("data", [
    struct.pack("<I", frames.MAX_HEADER_BYTES + 1) + bytes(10),
    by_hand({"arrays": [["|u1", [frames.MAX_ARRAY_BYTES + 1]]]}),
    by_hand({"arrays": [["<f4", [2**30, 2**30]]]}),
    by_hand({"arrays": [["|u1", [2**30]]] * 3}),
])
def test_what_is_too_large_is_refused_before_it_is_allocated(data):
    tracemalloc.start()
    try:
        with pytest.raises(FrameError, match="at most|not the shape"):
            frames.read(io.BytesIO(data))
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("array", [np.zeros(3, np.float16), np.zeros(3, ">f4"), np.array(["a"]), np.array([None])])
def test_other_dtypes_are_not_sent(array):
    with pytest.raises(FrameError, match="dtype"):
        sent({}, [array])
