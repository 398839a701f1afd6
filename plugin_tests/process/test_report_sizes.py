"""report.html of 2, 20, 164 and 919 marks in Chromium: nothing overlaps, nothing is cut, nothing is complained of."""

import json
import shutil
import subprocess
import tarfile
import time
from pathlib import Path

import pytest
from finished_runs import chain_effects, write_run
from report_pages import Opened
from wide_case import make_store
from wide_tables import long_names, write_tables

from kipoi_deepmr import pipeline
from kipoi_deepmr.report import write_report

AXE = "axe-core@4.10.3"
CACHE = Path.home() / ".cache" / "kipoi_deepmr" / "axe"

# pairs of visible texts of one chart that lie on each other
OVERLAPS = """() => [...document.querySelectorAll('main svg')].flatMap((svg) => {
  const seen = [...svg.querySelectorAll('text')].filter((text) => text.textContent.trim()
    && getComputedStyle(text).opacity > 0 && text.getBoundingClientRect().width);
  const boxes = seen.map((text) => text.getBoundingClientRect());
  return seen.flatMap((a, i) => seen.slice(i + 1).filter((_, k) => {
    const [x, y] = [boxes[i], boxes[i + 1 + k]];
    return Math.min(x.right, y.right) - Math.max(x.left, y.left) > 2
      && Math.min(x.bottom, y.bottom) - Math.max(x.top, y.top) > 4;
  }).map((b) => `${a.textContent} | ${b.textContent}`)); })"""
# elements beyond the right end of the page, but for those within something that scrolls
CUT = """() => { const end = document.documentElement.clientWidth + 1;
  const scrolls = (each) => each && ((['auto', 'scroll'].includes(getComputedStyle(each).overflowX)
    && each.getBoundingClientRect().right <= end) || scrolls(each.parentElement));
  return [document.documentElement.scrollWidth > end && 'page', ...[...document.querySelectorAll('body *:not(.skip)')]
    .filter((each) => each.getBoundingClientRect().right > end && !scrolls(each.parentElement))
    .map((each) => `${each.tagName}#${each.id}.${each.getAttribute('class')}`)].filter(Boolean); }"""


@pytest.fixture(scope="module", params=[2, 20, 164, 919])
def page(request, tmp_path_factory):
    """The number of marks, and the path of the page of a run with so many."""
    n, folder = request.param, tmp_path_factory.mktemp("sizes")
    if n == 2:
        write_run(folder / "out", effects=chain_effects(n_loci=10).isel(mark=[0, 1]))
    elif n == 20:
        store = make_store(folder, n, n_loci=6, length=60, n_members=3)
        pipeline.run_again(store, str(folder / "out"), report=False)
    else:
        write_tables(folder / "out", long_names(n), n_edges=n)
    return n, write_report(str(folder / "out"))


@pytest.mark.parametrize("width", [1200, 400])
def test_nothing_overlaps_and_nothing_is_cut(browser, page, width):
    n, path = page
    assert Path(path).stat().st_size < 15e6
    opened = Opened(browser, path, viewport={"width": width, "height": 900}).drawn("heatmap", "histogram", "forest")
    opened.tab.wait_for_timeout(300)
    assert opened.tab.evaluate(OVERLAPS) == []
    assert opened.tab.evaluate(CUT) == []
    assert opened.complaints == [] and opened.requests == [opened.address]
    assert 3 - (n == 2) <= opened.tab.locator("#headline li").count() <= 10
    labels = opened.tab.locator("#network text[data-name]").count()
    assert (labels == n) if n == 2 else labels > (5 if width == 1200 else 0)
    opened.tab.close()


@pytest.fixture(scope="session")
def axe():
    """The script of axe-core, from npm: once, into the user's cache."""
    found = CACHE / f"{AXE.replace('@', '-')}.js"
    if not found.is_file():
        npm = shutil.which("npm") or pytest.skip("needs the program npm")
        CACHE.mkdir(parents=True, exist_ok=True)
        done = subprocess.run([npm, "pack", AXE, "--silent"], cwd=CACHE, capture_output=True, text=True, timeout=120)
        if done.returncode:
            pytest.skip(f"axe-core cannot be had from npm: {done.stderr.strip()[-200:]}")
        with tarfile.open(CACHE / done.stdout.split()[-1]) as archive:
            found.write_bytes(archive.extractfile("package/axe.min.js").read())
    return found.read_text()


def test_axe_finds_nothing_serious(browser, page, axe):
    opened = Opened(browser, page[1], viewport={"width": 1200, "height": 900}).drawn("heatmap", "forest")
    opened.tab.evaluate(axe)
    result = opened.tab.evaluate("axe.run(document, {resultTypes: ['violations']})")
    serious = [(each["id"], each["help"], each["nodes"][0]["html"][:200]) for each in result["violations"]
               if each["impact"] in ("serious", "critical")]
    assert serious == [] and result["testEngine"]["version"] == AXE.partition("@")[2], json.dumps(serious)
    opened.tab.close()


@pytest.mark.alone
def test_the_first_view_of_919_marks(browser, tmp_path):
    """It is there, and the page is small; how long it takes is printed, since that says as much of the machine."""
    path = write_report(str(write_tables(tmp_path / "out", long_names(919), n_edges=919)))
    began = time.perf_counter()
    tab = browser.new_page()
    tab.goto(f"file://{path}")
    tab.wait_for_selector("html[data-seen]")
    size = Path(path).stat().st_size
    print(f"seen after {time.perf_counter() - began:.2f} s, {size / 1e6:.1f} MB")
    assert size < 15e6
    tab.close()
