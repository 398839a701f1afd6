"""The notebook in docs/ runs from its first to its last cell in a kernel of its own, and shows what it says."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

NOTEBOOK = Path(__file__).resolve().parents[2] / "docs" / "notebook.ipynb"


def test_the_notebook_runs(tmp_path):
    pytest.importorskip("nbmake")
    pytest.importorskip("torch")
    copy = Path(shutil.copy(NOTEBOOK, tmp_path))
    done = subprocess.run([sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--nbmake", "--overwrite",
                           f"--rootdir={tmp_path}", copy], cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    cells = [cell for cell in json.loads(copy.read_text())["cells"] if cell["cell_type"] == "code"]
    shown = [output.get("data", {}) for cell in cells for output in cell["outputs"]]
    pages = ["".join(each.get("text/html", "")) for each in shown]
    assert any("GATA → TAL1" in page and "direct effect" in page for page in pages)
    assert any("engine exact" in page for page in pages)
    assert sum("image/png" in each for each in shown) == 2 and (tmp_path / "report.html").is_file()
    assert all(cell["outputs"] == [] for cell in cells[:1])
