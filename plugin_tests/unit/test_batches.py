"""The sizes of batches that are kept in the user's cache: whatever lies there, and whoever else writes."""

import threading

import pytest

from kipoi_deepmr.models import batches
from kipoi_deepmr.models.host.session import BATCHES
from kipoi_deepmr.models.model import Description


class Measured:
    """A model that counts how often its batch is measured."""

    def __init__(self, size):
        self.size, self.n = size, 0

    def describe(self):
        return Description("m", ("A",), 12, "ACGT", "checksum")

    def measure_batch(self):
        self.n += 1
        return self.size


@pytest.fixture
def place(tmp_path, monkeypatch):
    """The file of `Measured`, which is not there yet."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert batches.batch_size(Measured(BATCHES[1])) == BATCHES[1]
    path, = (path for path in tmp_path.rglob("*") if path.is_file() and path.suffix != ".lock")
    path.unlink()
    return path


def test_it_is_measured_once(place):
    first, second = Measured(BATCHES[1]), Measured(BATCHES[2])
    assert [batches.batch_size(first), batches.batch_size(second)] == [BATCHES[1]] * 2
    assert (first.n, second.n) == (1, 0)


@pytest.mark.parametrize("content", [b"", b"garbage", b"\xff\xfe\x00", b"256", b"1 256\n", b"3 256\n", b"2 -256\n",
                                     b"2 0\n", b"2 100000000000\n", b"2 256 256", b"2 nan", b"2 1e3", b"{}" * 10_000])
def test_what_is_not_ours_is_measured_and_written_again(place, content):
    place.write_bytes(content)
    assert batches.batch_size(Measured(BATCHES[2])) == BATCHES[2]
    again = Measured(BATCHES[0])
    assert batches.batch_size(again) == BATCHES[2] and again.n == 0


@pytest.mark.parametrize("content", [None, b"garbage"])
def test_all_who_measure_at_once_use_one_size(place, content):
    if content is not None:
        place.write_bytes(content)
    barrier, found = threading.Barrier(8), []

    class Together(Measured):
        def measure_batch(self):
            barrier.wait(20)  # all have found nothing
            return self.size

    asking = [threading.Thread(target=lambda k=k: found.append(batches.batch_size(Together(BATCHES[k % 4]))))
              for k in range(8)]
    for thread in asking:
        thread.start()
    for thread in asking:
        thread.join()
    assert len(found) == 8 and len(set(found)) == 1


def test_a_folder_that_stands_there(place):
    place.mkdir()
    (place / "x").write_text("")
    assert batches.batch_size(Measured(BATCHES[2])) == BATCHES[2]
