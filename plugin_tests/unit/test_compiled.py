"""Machine code that is kept between processes: found again, and made again where its files are damaged."""

import importlib.util
import logging

import numba
import pytest

from kipoi_deepmr.compiled import compiled, is_cached

SOURCE = """
def scaled(x, factor):
    return factor * x
"""


@pytest.fixture
def scaled(tmp_path, monkeypatch):
    """Makes the function's dispatcher, as a new process does, with a cache below tmp_path."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(numba.config, "CACHE_DIR", "")
    (tmp_path / "functions").mkdir()
    path = tmp_path / "functions" / "functions.py"
    path.write_text(SOURCE)

    def made():
        spec = importlib.util.spec_from_file_location("functions", path)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return compiled(module.scaled)

    return made


def hits(dispatcher):
    return sum(dispatcher.stats.cache_hits.values())


def test_the_next_process_finds_it(scaled):
    first = scaled()
    assert not is_cached(first)
    assert first(3.0, 2.0) == 6.0 and hits(first) == 0 and is_cached(first)
    second = scaled()
    assert second(3.0, 2.0) == 6.0 and hits(second) == 1


DAMAGES = {
    "empty": lambda content: b"",
    "cut in its checksum": lambda content: content[:7],
    "cut off": lambda content: content[:-1],
    "cut in half": lambda content: content[:len(content) // 2],
    "garbage": lambda content: bytes(range(256)) * 40,
    "zeros": lambda content: bytes(len(content)),
    "one byte": lambda content: content[:len(content) // 2] + bytes([content[len(content) // 2] ^ 1])
    + content[len(content) // 2 + 1:],
}


@pytest.mark.parametrize("kind", DAMAGES)
@pytest.mark.parametrize("suffix", ["nbi", "nbc"])
def test_a_damaged_file_is_made_again(scaled, tmp_path, suffix, kind):
    assert scaled()(3.0, 2.0) == 6.0
    path, = tmp_path.glob(f"cache/**/*.{suffix}")
    whole = path.read_bytes()
    path.write_bytes(DAMAGES[kind](whole))
    mended = scaled()
    assert mended(3.0, 2.0) == 6.0 and hits(mended) == 0
    assert path.stat().st_size == len(whole)
    after = scaled()
    assert after(3.0, 2.0) == 6.0 and hits(after) == 1


@pytest.mark.parametrize("suffix", ["nbi", "nbc"])
def test_a_file_that_cannot_be_read_or_replaced_is_done_without(scaled, tmp_path, suffix, caplog):
    """A folder stands for it, which root cannot read either."""
    assert scaled()(3.0, 2.0) == 6.0
    path, = tmp_path.glob(f"cache/**/*.{suffix}")
    path.unlink()
    path.mkdir()
    with caplog.at_level(logging.WARNING):
        without = scaled()
        assert without(3.0, 2.0) == 6.0 and hits(without) == 0
    assert [record.message for record in caplog.records if "compiled functions cannot be kept there" in record.message]


def test_numbas_own_files_are_replaced(scaled, tmp_path):
    """Those that an earlier version left behind, without checksums."""
    dispatcher = scaled()
    dispatcher._cache._cache_file = numba.core.caching.IndexDataCacheFile(
        dispatcher._cache.cache_path, dispatcher._cache._impl.filename_base,
        dispatcher._cache._impl.locator.get_source_stamp())
    assert dispatcher(3.0, 2.0) == 6.0
    again = scaled()
    assert again(3.0, 2.0) == 6.0 and hits(again) == 0
    last = scaled()
    assert last(3.0, 2.0) == 6.0 and hits(last) == 1
