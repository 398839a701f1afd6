"""Imports point one way: a folder imports only from those after it in docs/architecture.md; so do those of tests."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "kipoi_deepmr"
CHAIN = re.search(r"^ {4}(cli > .*)$", (ROOT / "docs" / "architecture.md").read_text(), re.M)[1].split(" > ")
ONLY_IN = {"kipoi": "models", "kipoiseq": "models", "kipoi_utils": "models", "pysam": "output",
           "xarray": "effects_store", "zarr": "effects_store", "dask": "effects_store",
           "distributed": "cluster"}


def imports_of(path):
    """(level, dotted module, names) of every import statement, nested ones included."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom):
            yield node.level, node.module or "", [a.name for a in node.names]
        elif isinstance(node, ast.Import):
            for alias in node.names:
                yield 0, alias.name, []


def part_of(path):
    """First folder or module below the package that a file belongs to."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def internal_targets(path):
    """The parts of our package that a file imports."""
    depth = len(path.relative_to(PACKAGE).parts)
    for level, module, names in imports_of(path):
        if level == depth:
            yield from [module.split(".")[0]] if module else names
        elif level == 0 and module.split(".")[0] == "kipoi_deepmr":
            yield module.split(".")[1]


FILES = [path for path in sorted(PACKAGE.rglob("*.py")) if path != PACKAGE / "__init__.py"]


def test_the_chain_names_every_part():
    assert {part_of(path) for path in FILES} == set(CHAIN)


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_point_one_way(path):
    below = CHAIN[CHAIN.index(part_of(path)):]
    for target in internal_targets(path):
        assert target.startswith("__") or target in below, f"{part_of(path)} imports {target}"


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_libraries_stay_where_they_belong(path):
    for level, module, _ in imports_of(path):
        owner = ONLY_IN.get(module.split(".")[0]) if level == 0 else None
        allowed = (None, part_of(path).removeprefix("local_"))
        assert owner in allowed, f"{part_of(path)} imports {module}"


# Tests

TESTS = sorted((ROOT / "plugin_tests").rglob("*.py"))
NOT_IN_UNIT_TESTS = {"distributed", "keras", "kipoi", "playwright", "tensorflow", "tf_keras", "torch"}


@pytest.mark.parametrize("path", TESTS, ids=lambda p: str(p.relative_to(ROOT / "plugin_tests")))
def test_no_test_depends_on_another(path):
    for _, module, _ in imports_of(path):
        assert not module.startswith("test_"), f"{path} imports {module}: put what both need beside conftest.py"


@pytest.mark.parametrize("path", [path for path in TESTS if path.parent.name == "unit"], ids=lambda p: p.name)
def test_unit_tests_need_numpy_alone(path):
    for _, module, names in imports_of(path):
        assert module.split(".")[0] not in NOT_IN_UNIT_TESTS, f"{path} imports {module}"
        assert module != "kipoi_deepmr.cli" or "main" not in names, f"{path} runs commands"
