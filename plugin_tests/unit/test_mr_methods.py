"""The registered methods: what their records promise, and what it takes to add one."""

import inspect
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import kipoi_deepmr
from kipoi_deepmr import methods, mr
from kipoi_deepmr.mr import notes
from kipoi_deepmr.mr.estimators.closed_form import CLOSED

PACKAGE = Path(kipoi_deepmr.__file__).parent


def problem(n, seed=0):
    rng = np.random.default_rng(seed)
    bx = 1 + rng.random(n)
    return bx, np.full(n, 0.1), 2 * bx + 0.1 * rng.normal(size=n), np.full(n, 0.1)


def more_of(method, data, n_members=4):
    """What a method needs beside effects and standard errors."""
    rng = np.random.default_rng(1)
    x, y = (b + 0.1 * rng.normal(size=(n_members, len(b))) for b in (data[0], data[2]))
    values = {methods.ALL_MEMBERS: {"bx_members": x, "by_members": y}, methods.OUTCOME_MEMBERS: {"by_members": y},
              methods.COVARIATES: {"covariates": x[:0], "covariates_se": x[:0]}}
    return {name: value for need in method.needs for name, value in values[need].items()}


@pytest.mark.parametrize("method", methods.METHODS.values(), ids=lambda method: method.name)
def test_a_record_says_what_the_method_does(method):
    enough, too_few = problem(method.fewest), problem(method.fewest - 1)
    solved = mr.fit(*enough, method.name, **more_of(method, enough))
    assert solved.note == "" and np.isfinite([solved.estimate, solved.se]).all()
    failed = mr.fit(*too_few, method.name, **more_of(method, too_few))
    assert failed.note == notes.too_few(method.fewest - 1, method.fewest) and np.isnan(failed.estimate)
    assert method.takes_psi == ("psi" in inspect.signature(mr.ESTIMATORS[method.name]).parameters)
    assert set(method.needs) <= set(methods.NEEDS) and method.closed_form in {"", *CLOSED}


def test_the_list_is_read_without_numpy():
    code = "import sys; sys.modules['numpy'] = None; from kipoi_deepmr import methods; print(*methods.METHODS)"
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert printed.split() == list(mr.METHODS)


NEW = '''"""The ratio of the means."""

import numpy as np

from ..problems import finish, prepare


def ratio_of_means(bx, sx, by, sy, mask=None, *, factor=1.0, alpha=0.05):
    problems = prepare(bx, by, mask, 2)
    estimate = factor * problems.by.sum(-1) / problems.bx.sum(-1)
    return finish(problems, alpha, estimate, np.ones_like(estimate))
'''
USE = """
from kipoi_deepmr import mr
print(mr.fit([1, 2], [1, 1], [4, 5], [1, 1], "ratio_of_means", factor=2).estimate)
"""


def test_an_estimator_is_a_file_and_a_record(tmp_path):
    copied = tmp_path / "kipoi_deepmr"
    shutil.copytree(PACKAGE, copied, ignore=shutil.ignore_patterns("__pycache__"))
    (copied / "mr" / "estimators" / "mean.py").write_text(NEW)
    registry = copied / "methods.py"
    first = '    Method("wald_mean"'
    assert registry.read_text().count(first) == 1
    registry.write_text(registry.read_text().replace(first, '    Method("ratio_of_means", "mean", 2),\n' + first))
    printed = subprocess.run([sys.executable, "-c", USE], cwd=tmp_path, capture_output=True, text=True)
    assert printed.returncode == 0, printed.stderr
    assert float(printed.stdout) == 6.0
