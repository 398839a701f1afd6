"""The exact engine compiled for processors with narrower vector registers gives the numbers of the slow version.

Without AVX-512 blocks are of eight floats, without AVX of four, as on AArch64; both are run here with the features of
this processor masked.
"""

import os
import platform
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from llvmlite.binding import get_host_cpu_features

pytestmark = pytest.mark.skipif(platform.machine() != "x86_64", reason="features are masked on x86-64 only")
AVX512 = "AVX512F AVX512CD AVX512_SKX AVX512_CLX AVX512_CNL AVX512_ICL AVX512_SPR"

SCRIPT = """
import sys
sys.path.insert(0, sys.argv[1])
import exact_naive
import numpy as np
from kipoi_deepmr import dna, exact
from kipoi_deepmr.exact import graph as g, kernels

rng = np.random.default_rng(0)
nodes, add, conv = exact_naive.layers_with(rng)
add(conv(9, 4, 64))
last = add(g.Activation("relu"))
for dilation in (1, 4):
    add(conv(3, 64, 64, dilation), last)
    last = add(g.Add(), last, add(g.Activation("relu")))
profile = add(conv(11, 64, 2))
add(g.Pool("max", 3, 3), last)
add(conv(5, 64, 40))
add(g.Activation("gelu"))
counts = add(g.Summary("average"))
graph = exact.Graph(tuple(nodes), (profile, counts), 60)
sequence = rng.choice(dna.BASES, 60)
outputs = [exact.Output(profile, "softmax_mean"), exact.Output(profile), counts]
found = exact.Engine(graph, outputs).mutants(sequence)
more = (g.Node("mean", g.Summary("softmax_mean"), (profile,)), g.Node("flat", g.Flatten(), (profile,)))
expected = exact_naive.mutants(exact.Graph((*graph.nodes, *more), ("mean", "flat", counts), 60), sequence)
print(kernels.VECTOR, np.abs(found - expected).max() / np.abs(expected).max())
"""


@pytest.mark.parametrize("name, lanes", [("haswell", 8), ("x86-64", 4)])
def test_narrower_registers(name, lanes, tmp_path):
    host = get_host_cpu_features()
    if not host.get("avx2"):
        pytest.skip("this processor has no AVX2")
    wide = ("avx512", "avx10", "amx", "evex512") if lanes == 8 else ("avx", "amx", "evex512", "fma", "f16c", "vaes",
                                                                      "vpclmulqdq", "xop", "gfni")
    features = ",".join(f"{'-' if each.startswith(wide) or not on else '+'}{each}" for each, on in host.items())
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(Path(__file__).parent.parent)], capture_output=True, text=True, timeout=280,
        env={**os.environ, "NUMBA_CPU_NAME": name, "NUMBA_CPU_FEATURES": features, "NUMBA_CACHE_DIR": str(tmp_path),
             "NPY_DISABLE_CPU_FEATURES": AVX512})
    assert done.returncode == 0, done.stderr[-3000:]
    vector, error = done.stdout.split()[-2:]
    assert int(vector) == lanes and float(error) < 1e-5
    assert np.isfinite(float(error))
