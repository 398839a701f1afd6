"""A pytest plugin: marks each test with its folder (`unit`, `models` ...), and says at the end what was left out."""

from collections import Counter
from pathlib import Path

import pytest

TIERS = ("unit", "models", "process", "environment")
LEFT_OUT = pytest.StashKey()


def tier_of(item):
    """The tier a test is marked with, which is its folder's otherwise."""
    marked = [tier for tier in TIERS if item.get_closest_marker(tier)]
    return marked[0] if marked else item.path.relative_to(Path(__file__).parent).parts[0]


@pytest.hookimpl(tryfirst=True)  # before -m chooses
def pytest_collection_modifyitems(items):
    for item in items:
        item.add_marker(tier_of(item))


def pytest_make_parametrize_id(val):
    """Bytes make no name of a test: those of a compressor change from second to second, and so would the name."""
    return "bytes" if isinstance(val, (bytes, bytearray)) else None


def pytest_deselected(items):
    config = items[0].config if items else None
    if items:
        left_out = config.stash.setdefault(LEFT_OUT, Counter())
        left_out.update(tier_of(item) for item in items)
        if hasattr(config, "workeroutput"):
            config.workeroutput["left_out"] = dict(left_out)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node):
    """Every process of pytest-xdist collects, and leaves out, the same."""
    output = getattr(node, "workeroutput", {})
    node.config.stash[LEFT_OUT] = Counter(output.get("left_out", {}))


def pytest_terminal_summary(terminalreporter, config):
    left_out = config.stash.get(LEFT_OUT, {})
    if left_out:
        counts = ", ".join(f"{left_out[tier]} of {tier}" for tier in TIERS if left_out[tier])
        terminalreporter.write_line(f"left out: {counts}; `make test-all` runs all tests", yellow=True)
