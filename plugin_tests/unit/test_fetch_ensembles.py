"""example_models/fetch.py: weights of others are used only if their checksum is right, and nothing is replaced."""

import hashlib
import importlib.util
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "example_models" / "fetch.py"


@pytest.fixture
def fetch(monkeypatch):
    """The script, which fetches one small file and makes nothing of it."""
    spec = importlib.util.spec_from_file_location("fetch", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    sha256 = hashlib.sha256(b"weights").hexdigest()
    monkeypatch.setitem(module.FILES, "small", {"1/w.pt": ("https://example.invalid/w.pt", sha256)})
    monkeypatch.setitem(module.MAKERS, "small", lambda folder, ours: None)
    return module


def source(folder, content):
    (folder / "from" / "1").mkdir(parents=True)
    (folder / "from" / "1" / "w.pt").write_bytes(content)
    return folder / "from"


def test_a_right_file_is_used_and_kept(fetch, tmp_path):
    fetch.fetch("small", tmp_path / "to", source(tmp_path, b"weights"))
    place = tmp_path / "to" / "1" / "w.pt"
    assert place.read_bytes() == b"weights"
    before = place.stat().st_mtime_ns
    fetch.fetch("small", tmp_path / "to")  # needs neither the folder nor a network
    assert place.stat().st_mtime_ns == before


def test_another_checksum_writes_nothing(fetch, tmp_path):
    with pytest.raises(SystemExit, match="SHA-256"):
        fetch.fetch("small", tmp_path / "to", source(tmp_path, b"other"))
    assert not (tmp_path / "to").exists()


def test_what_is_there_is_never_replaced(fetch, tmp_path):
    (tmp_path / "to" / "1").mkdir(parents=True)
    (tmp_path / "to" / "1" / "w.pt").write_bytes(b"mine")
    with pytest.raises(SystemExit, match="w.pt: its SHA-256 is not"):
        fetch.fetch("small", tmp_path / "to", source(tmp_path, b"weights"))
    assert (tmp_path / "to" / "1" / "w.pt").read_bytes() == b"mine"


def test_only_https(fetch):
    with pytest.raises(SystemExit, match="only https"):
        fetch.download("http://example.invalid/w.pt")
    assert all(url.startswith("https://") and len(sha256) == 64
               for files in fetch.FILES.values() for url, sha256 in files.values())
