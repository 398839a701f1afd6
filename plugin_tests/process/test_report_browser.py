"""report.html in a real headless Chromium."""

import http.server
import json
import re
import shutil
import threading
import time

import numpy as np
import pandas as pd
import pytest
from finished_runs import write_run

from kipoi_deepmr.report import write_report
from kipoi_deepmr.report.write import page as page_of
from kipoi_deepmr.runs.finished import FinishedRun

HOSTILE = ("<script>alert(1)</script>", '"; DROP', "</script><img src=x onerror=alert(1)>", "__proto__",
           "$x_{1}$ {{7*7}}", "datum.effect")
# what would run or ask for something if it got into the page as HTML
INJECTED = """<script>window.sprung = 1; fetch("http://{address}/fetch")</script><base href="http://{address}/">
<img src="http://{address}/image" onerror="window.sprung = 1"><svg onload="window.sprung = 1"></svg>
<iframe src="http://{address}/frame"></iframe><link rel="stylesheet" href="http://{address}/style">
<script src="http://{address}/script"></script><object data="http://{address}/object"></object>
<p style="background: url(http://{address}/background)">x</p><video src="http://{address}/video"></video>"""
CHARTS = ("heatmap", "histogram", "forest", "scatter", "funnel", "leave-one-out", "tracks")


@pytest.fixture(scope="module")
def browser():
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if not chromium:
        pytest.skip("needs the program chromium")
    sync_playwright = pytest.importorskip("playwright.sync_api").sync_playwright
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield opened
        opened.close()


class Opened:
    """A report in a tab of its own, and all that the browser complained of or asked for."""

    def __init__(self, browser, path, **options):
        self.tab = browser.new_page(**options)
        self.complaints, self.requests = [], []
        self.tab.on("console", lambda message: self.complaints.append(message.text))
        self.tab.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.tab.on("dialog", lambda dialog: (self.complaints.append("dialog"), dialog.dismiss()))
        self.tab.on("request", lambda request: self.requests.append(request.url))
        self.address = f"file://{path}"
        self.tab.goto(self.address)
        self.tab.wait_for_selector("html[data-ready]")

    def drawn(self, *charts):
        for chart in charts:
            self.tab.wait_for_selector(f"#{chart} svg, #{chart} canvas", timeout=10_000)
        return self

    def column(self, table, number):
        return self.tab.locator(f"#{table} tbody td:nth-child({number})").all_inner_texts()

    def count(self, table):
        return self.tab.inner_text(f"#{table} [aria-live]")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("browser") / "out"
    write_run(folder, n_loci=40)
    write_report(str(folder))
    return folder


@pytest.fixture
def report(browser, folder):
    opened = Opened(browser, folder / "report.html").drawn(*CHARTS)
    yield opened
    assert opened.complaints == [] and opened.requests == [opened.address]
    opened.tab.close()


def test_search_sort_and_filter(report, folder):
    local = pd.read_csv(folder / "local.tsv", sep="\t")
    local = local.query("exposure == 'A' and outcome == 'B' and method == 'ivw'")
    report.tab.select_option("#pair-select", label="A \u2192 B")
    assert report.count("local-table") == "1 to 25 of 40"
    report.tab.click("#local-table button:text-is('effect')")
    shown = [float(v) for v in report.column("local-table", 4)]
    assert np.allclose(shown, local["estimate"].sort_values(ascending=False)[:25], rtol=1e-3)
    assert report.tab.get_attribute("#local-table th:nth-child(4)", "aria-sort") == "descending"
    report.tab.click("#local-table button:text-is('effect')")
    assert float(report.column("local-table", 4)[0]) == pytest.approx(local["estimate"].min(), rel=1e-3)
    report.tab.click("#local-table button:text-is('Next')")
    assert report.count("local-table") == "26 to 40 of 40" and len(report.column("local-table", 1)) == 15
    report.tab.fill("#local-table input[type=search]", "LOCUS3")
    assert set(report.column("local-table", 1)) == {"locus3", *(f"locus{i}" for i in range(30, 40))}
    report.tab.fill("#local-table input[type=search]", "nowhere")
    assert report.count("local-table") == "no row (of 40)"


def test_significant_ones_only(report, folder):
    table = pd.read_csv(folder / "global.tsv", sep="\t").query("method == 'egger'")
    expected = (table["qvalue"] < 0.05).sum()
    report.tab.select_option("#method", label="egger")
    report.tab.check("#global-table input[type=checkbox]")
    assert len(report.column("global-table", 1)) == expected


def test_instrument_rules_side_by_side(report, browser, folder, tmp_path):
    """The table is there if, and only if, the run compared two rules."""
    assert report.tab.is_hidden("#rules")
    rules = {"exposure": ["B", "A"], "outcome": ["A", "B"], "method": ["ivw", "ivw"], "n_loci": [40, 39],
             "direct": [0.5, 0.25], "regions": [0.5, 0.125], "difference": [0.0, 0.125], "ci_low": [-0.1, None],
             "ci_high": [0.1, 0.2], "pvalue": [1.0, 0.01], "spearman": [0.9, 0.8]}
    text = (folder / "report.html").read_text()
    assert text.count('"rules":null') == 1
    (tmp_path / "report.html").write_text(text.replace('"rules":null', f'"rules":{json.dumps(rules)}'))
    opened = Opened(browser, tmp_path / "report.html")
    assert opened.tab.is_visible("#rules") and opened.complaints == []
    assert opened.column("rules-table", 7) == ["0", "0.125"] and opened.column("rules-table", 8) == ["-0.1", "NA"]
    opened.tab.click("#rules-table tbody tr:nth-child(1) button")
    assert opened.tab.inner_text("#pair-summary").startswith("B \u2192 A")
    opened.tab.close()


def test_a_locus_is_shown_as_it_is(report, folder):
    """What is chosen by table, list or keyboard is what the locus's instruments and lines show."""
    report.tab.select_option("#pair-select", label="B \u2192 A")
    report.tab.fill("#locus-input", "locus17")
    report.tab.press("#locus-input", "Enter")
    assert "locus17 (chr1:1700-1730, - strand), B \u2192 A" in report.tab.inner_text("#locus-summary")
    run = FinishedRun(str(folder))
    effect, _, instruments = run.effects_at(17)
    chosen = np.flatnonzero(instruments.of_pairs(1, 0))
    ref, alt = (run.effects[name].values[17][chosen] for name in ("ref_base", "alt_base"))
    substitutions = [f"{v // 3} {r}>{a}" for v, r, a in zip(chosen, ref, alt, strict=True)]
    assert report.column("instrument-table", 1) == substitutions[:25]
    assert np.allclose([float(v) for v in report.column("instrument-table", 3)], effect[chosen, 1][:25], rtol=2e-3)
    report.drawn(*CHARTS)
    assert report.tab.locator("#scatter svg path[aria-roledescription='line mark']").count() == 2


def test_a_cell_of_the_heat_map_shows_its_pair(report):
    cells = report.tab.locator("#heatmap svg path[aria-roledescription='rect mark']")
    assert cells.count() == 6
    cells.nth(4).click(position={"x": 5, "y": 5})
    told = report.tab.inner_text("#pair-summary").split(",")[0]
    assert told in cells.nth(4).get_attribute("aria-label").replace("; ", ",").replace("pair: ", "").split(",")


def test_keyboard_alone(report):
    report.tab.keyboard.press("Tab")
    assert report.tab.evaluate("document.activeElement.textContent") == "Skip to the results"
    report.tab.locator("#local-table tbody button").nth(3).focus()
    name = report.tab.evaluate("document.activeElement.textContent")
    report.tab.keyboard.press("Enter")
    assert report.tab.inner_text("#locus-summary").startswith(f"{name} (")
    report.tab.locator("#local-table th button").first.focus()
    report.tab.keyboard.press("Enter")
    assert report.tab.get_attribute("#local-table th", "aria-sort") == "ascending"
    assert report.tab.evaluate("[...document.querySelectorAll('.chart')].every(c => c.tabIndex === 0 && c.ariaLabel)")


def test_dark_and_on_paper(report):
    def colours():
        return report.tab.evaluate("[getComputedStyle(document.body).backgroundColor, "
                                   "getComputedStyle(document.querySelector('#forest svg text')).fill]")
    assert colours() == ["rgb(255, 255, 255)", "rgb(28, 28, 28)"]
    report.tab.emulate_media(color_scheme="dark")
    report.tab.wait_for_timeout(300)
    assert colours() == ["rgb(22, 22, 22)", "rgb(232, 232, 232)"]
    report.tab.emulate_media(media="print")
    assert colours() == ["rgb(255, 255, 255)", "rgb(0, 0, 0)"]
    assert not report.tab.is_visible("#global-table .pager") and report.tab.is_visible("#global-table table")


def test_traffic_lights(report, folder):
    shares = pd.read_csv(folder / "diagnostics_by_pair.tsv", sep="\t")
    shares = shares.query("exposure == 'A' and outcome == 'B'").iloc[0]
    report.tab.select_option("#pair-select", label="A \u2192 B")
    items = report.tab.locator("#pair-lights li").all_inner_texts()
    by_name = {item.split(": ", 1)[1].split(" at ")[0].replace(" ", "_"): item for item in items}
    for flag, share in shares[3:].items():
        if flag == "presso":
            assert any("not tested pleiotropy: presso" in item for item in items)
            continue
        colour = "green" if share <= 0.1 else "amber" if share <= 1 / 3 else "red"
        assert colour in by_name[flag].split(" ")[1] and f"at {round(100 * share, 1):g} % of" in by_name[flag]


def test_hostile_names(browser, tmp_path):
    folder = tmp_path / "out"
    write_run(folder, marks=HOSTILE, n_loci=3)
    write_report(str(folder))
    opened = Opened(browser, folder / "report.html").drawn(*CHARTS)
    assert set(opened.column("global-table", 1)) | set(opened.column("global-table", 2)) == set(HOSTILE)
    labels = set(opened.tab.locator("#heatmap svg text").all_text_contents())
    assert set(HOSTILE) <= labels
    for x in HOSTILE:
        y = HOSTILE[HOSTILE.index(x) - 1]
        opened.tab.select_option("#pair-select", label=f"{x} \u2192 {y}")
        opened.drawn(*CHARTS)
        assert f"{x} \u2192 {y}" in opened.tab.inner_text("#pair-summary")
        assert opened.tab.locator("#instrument-table tbody tr").count() > 0
    opened.tab.fill("#global-table input[type=search]", "<script>")
    assert opened.count("global-table") == "1 to 10 of 10 (of 30)"
    assert opened.tab.locator("main img:not(#network-image), main script").count() == 0
    assert opened.complaints == [] and opened.requests == [opened.address]
    opened.tab.close()


@pytest.fixture
def asked():
    """An address, and the requests that come there."""
    requests = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            requests.append(self.path)
            self.send_error(404)

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"127.0.0.1:{server.server_port}", requests
        server.shutdown()


def test_what_got_into_the_page_would_not_run_and_ask_for_nothing(browser, folder, tmp_path, asked):
    """The policy of the page, in case that escaping has a hole; without it all of this happens."""
    address, requests = asked
    whole = (folder / "report.html").read_text()
    policy = re.search("<meta http-equiv=.Content-Security-Policy.[^>]*>", whole)[0]
    assert whole.index(policy) < whole.index("<script") and whole.index(policy) < whole.index("<style")
    injected = whole.replace('<main id="main">', '<main id="main">' + INJECTED.format(address=address))
    for name, text in (("with", injected), ("without", injected.replace(policy, ""))):
        (tmp_path / f"{name}.html").write_text(text)
        opened = Opened(browser, tmp_path / f"{name}.html").drawn("heatmap")
        opened.tab.wait_for_timeout(500)
        sprung = opened.tab.evaluate("window.sprung")
        assert (sprung, bool(requests)) == ((None, False) if name == "with" else (1, True)), (name, requests)
        opened.tab.close()


@pytest.mark.parametrize("options, said", [
    ({"instrument_z": 50.0}, {"heatmap": "No pair has an estimate", "forest": "No locus has an estimate",
                              "scatter": "No mutant of this locus is an instrument", "pair-summary": "no estimate"}),
    ({"diagnostics": "none", "methods": ("median_simple",)}, {"pair-lights": "The run made no diagnostics"}),
])
def test_little_to_show(browser, tmp_path, options, said):
    write_run(tmp_path / "out", n_loci=3, **options)
    opened = Opened(browser, write_report(str(tmp_path / "out"))).drawn("tracks")
    for place, text in said.items():
        assert text in opened.tab.inner_text(f"#{place}")
    assert opened.complaints == [] and opened.count("local-table") == "1 to 3 of 3"
    opened.tab.close()


def test_loci_without_details(browser, folder, tmp_path):
    shutil.copytree(folder, tmp_path / "out", ignore=shutil.ignore_patterns("effects.zarr"))
    opened = Opened(browser, write_report(str(tmp_path / "out"))).drawn("heatmap", "histogram", "forest")
    assert "effects.zarr is not in the folder" in opened.tab.inner_text("#left-out")
    assert "The page holds no instruments of this locus" in opened.tab.inner_text("#scatter")
    assert opened.complaints == []
    opened.tab.close()


def blocks_of_164_marks(folder, size):
    """The data of a page of 26,732 pairs and 2,000 loci, from those of a small one, filled up to `size` bytes."""
    text = (folder / "report.html").read_text()
    found = dict(re.findall(r'<script type="application/json" id="([\w-]+)">(.*?)</script>', text, re.S))
    del found["letters"]
    data, pair, n = json.loads(found["data"]), json.loads(found["pair-0"]), 2000
    rng = np.random.default_rng(0)
    x, y = np.nonzero(~np.eye(164, dtype=bool))
    data["marks"] = [f"mark number {i}" for i in range(164)]
    z = rng.normal(size=len(x))
    numbers = {name: np.abs(z).round(5).tolist() for name in data["global"]}
    data["global"] = {**numbers, "estimate": z.round(5).tolist(), "exposure": x.tolist(), "outcome": y.tolist(),
                      "method": [0] * len(x)}
    data["methods"] = ["ivw"]
    data["pairs"] = [[int(a), int(b)] for a, b in zip(x[:60], y[:60], strict=True)]
    data["lights"] = None
    data["loci"] = {name: [values[0]] * n for name, values in data["loci"].items()}
    data["loci"]["locus"] = [f"locus {i}" for i in range(n)]
    columns = {name: (1 + rng.uniform(size=n)).round(4).tolist() for name in pair["methods"]["ivw"]}
    pair = json.dumps({"locus": list(range(n)), "n": [9] * n, "note": [""] * n, "red": [3] * n,
                       "methods": {"ivw": columns}})
    detail = json.loads(found["locus-0"])
    of = dict(zip("ABC", data["marks"][:3], strict=True))
    detail = {key: {of[k]: {of[q]: w for q, w in v.items()} if key == "without" else v for k, v in value.items()}
              if isinstance(value, dict) else value for key, value in detail.items()}
    blocks = {"data": json.dumps(data), **{f"pair-{i}": pair for i in range(60)}}
    left = size - sum(map(len, blocks.values()))
    detail = json.dumps({**detail, "filler": "x" * max(0, left // n - 3000)})
    return {**blocks, **{f"locus-{i}": detail for i in range(n)}}


@pytest.mark.alone
def test_50_mb_open_in_5_seconds(browser, folder, tmp_path):
    path = tmp_path / "big.html"
    path.write_text(page_of(blocks_of_164_marks(folder, 50_000_000)))
    assert 45e6 < path.stat().st_size < 55e6
    began = time.perf_counter()
    opened = Opened(browser, path).drawn("heatmap")
    took = time.perf_counter() - began
    print(f"opened in {took:.1f} s")
    assert took < 5 and opened.count("global-table") == "1 to 25 of 26,732"
    began = time.perf_counter()
    opened.tab.click("#global-table button:text-is('effect')")
    opened.tab.fill("#global-table input[type=search]", "number 163")
    assert opened.count("global-table") == "1 to 25 of 326 (of 26,732)"
    print(f"sorted and searched in {time.perf_counter() - began:.1f} s")
    assert time.perf_counter() - began < 2 and opened.complaints == []
    opened.tab.close()


def test_a_heat_map_of_very_many_pairs_filters_and_zooms(browser, folder, tmp_path, monkeypatch):
    """As many marks as a page cannot list: here three, with a low limit."""
    monkeypatch.setattr("kipoi_deepmr.report.contents.MAX_GLOBAL_ROWS", 4)
    monkeypatch.setattr("kipoi_deepmr.report.contents.MAX_PAIRS", 1)
    copy = tmp_path / "out"
    shutil.copytree(folder, copy)
    write_report(str(copy))
    opened = Opened(browser, copy / "report.html")
    opened.tab.wait_for_selector("#matrix")
    assert "3 of 3 marks" in opened.tab.inner_text("#matrix-told")
    opened.tab.fill("#matrix-search", "b")
    assert "1 of 3 marks" in opened.tab.inner_text("#matrix-told")
    opened.tab.fill("#matrix-search", "")
    opened.tab.evaluate("document.querySelector('#matrix').scrollIntoView()")
    box = opened.tab.locator("#matrix").bounding_box()
    opened.tab.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 6)
    assert re.fullmatch(r"[ABC] \u2192 [ABC]: \S+( or more)?", opened.tab.inner_text("#matrix-told"))
    pixels = opened.tab.evaluate("document.querySelector('#matrix').getContext('2d').getImageData(0, 0, 820, 820).data"
                                 ".reduce((seen, v, i) => (i % 4 < 3 ? seen.add(v) : seen), new Set()).size")
    assert pixels > 3 and opened.complaints == [] and opened.requests == [opened.address]
    opened.tab.close()
