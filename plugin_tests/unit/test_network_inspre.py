"""inspre against the R package, along the whole path: fits, cross-validation and stability."""

import json
from pathlib import Path

import numpy as np
import pytest

from kipoi_deepmr.network import inspre

DATA = Path(__file__).resolve().parent.parent / "data"
SHARED = Path(__file__).resolve().parents[3] / "shared" / "reference" / "network"
HERE = ("d4_cyclic_noisy", "d10_cyclic_vu")
ELSEWHERE = ("d4_acyclic_exact", "d10_cyclic_exact", "d10_acyclic_bimmer")


def reference(name):
    path = DATA / f"inspre_{name}.json" if name in HERE else SHARED / f"inspre_{name}.json"
    if not path.exists():
        pytest.skip(f"{path} is not there")
    return json.loads(path.read_text())


def matrix(rows):
    return np.array(rows, dtype=object).astype(float)


@pytest.mark.parametrize("name", HERE + ELSEWHERE)
def test_the_path_is_that_of_r(name):
    expected = reference(name)
    s, result = expected["settings"], expected["result"]
    settings = inspre.Settings(s["rho"], s["its"], s["delta_target"], s["mu"], s["tau"], s["solve_its"],
                               s["constraint"], s["warm_start"])
    weight = None
    if expected["SE"] is not None:
        weight = inspre.weights(matrix(expected["SE"]), s["max_med_ratio"])
        assert np.allclose(weight, matrix(expected["W"]), rtol=1e-12, atol=0)
    masks = np.array(result["masks"]).astype(bool) if s["cv_folds"] else None
    path = inspre.path(matrix(expected["R_hat"]), weight, s["nlambda"], s["lambda_min_ratio"], masks, settings)
    for ours, theirs in ((path.penalty, "lambda"), (path.u, "U"), (path.v, "V"), (path.direct, "G_columns"),
                         (path.lagrangian, "L"), (path.rho, "rho")):
        assert np.allclose(ours, matrix(result[theirs]), rtol=1e-10, atol=1e-10), theirs
    if masks is not None:
        assert np.allclose(path.test_error, matrix(result["test_error"]), rtol=1e-10)
        assert np.allclose(path.stability, matrix(result["D_hat"]), atol=1e-12)
        assert path.best == result["chosen"]["min_test_error_index0"]
