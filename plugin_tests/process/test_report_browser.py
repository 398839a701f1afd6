"""report.html in a real headless Chromium."""

import http.server
import re
import shutil
import threading
from urllib.parse import quote

import numpy as np
import pandas as pd
import pytest
from finished_runs import METHODS, chain_effects, seal, write_run
from mixed_kinds import run_of_kinds
from report_pages import Opened, changed, held

from kipoi_deepmr.report import write_report
from kipoi_deepmr.runs.finished import FinishedRun

HOSTILE = ("<script>alert(1)</script>", '"; DROP', "</script><img src=x onerror=alert(1)>", "__proto__",
           "$x_{1}$ {{7*7}}", "datum.effect")
# what would run or ask for something if it got into the page as HTML
INJECTED = """<script>window.sprung = 1; fetch("http://{address}/fetch")</script><base href="http://{address}/">
<img src="http://{address}/image" onerror="window.sprung = 1"><svg onload="window.sprung = 1"></svg>
<iframe src="http://{address}/frame"></iframe><link rel="stylesheet" href="http://{address}/style">
<script src="http://{address}/script"></script><object data="http://{address}/object"></object>
<p style="background: url(http://{address}/background)">x</p><video src="http://{address}/video"></video>"""
CHARTS = ("network", "heatmap", "telling", "histogram", "forest", "scatter", "funnel", "leave-one-out", "tracks")


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


def test_methods_side_by_side_and_only_direct_effects(browser, tmp_path):
    """One row a pair, by size; every heading says what it means."""
    write_run(tmp_path / "out", effects=chain_effects())
    opened = Opened(browser, write_report(str(tmp_path / "out")))
    table = pd.read_csv(tmp_path / "out" / "global.tsv", sep="\t")
    first = table.query("method == 'ivw'")
    first = first.loc[first["standardised"].abs().sort_values(ascending=False, na_position="last").index]
    headings = opened.headings("global-table")
    assert headings[:4] == ["exposure", "outcome", "verdict", "sd per sd"]
    assert opened.column("global-table", 1) == first["exposure"].tolist()
    for name, column in (("effect", "estimate"), ("adjusted p", "qvalue")):
        for method in METHODS:
            of_method = table[table["method"] == method].set_index(["exposure", "outcome"])[column]
            expected = of_method.loc[list(first[["exposure", "outcome"]].itertuples(index=False, name=None))]
            shown = opened.column("global-table", headings.index(f"{name} ({method})") + 1)
            shown = [float(v.removeprefix("<")) for v in shown]
            assert np.allclose(shown, expected, rtol=5e-3)
    for heading in opened.tab.locator("th button").all():
        assert len(heading.get_attribute("title")) > len("Click to sort. It"), heading.inner_text()
    opened.tab.check("#global-table input[type=checkbox]")
    assert len(opened.column("global-table", 1)) == (first["verdict"] == "direct effect").sum() > 0
    assert opened.complaints == []
    opened.tab.close()


def test_significant_ones_only_without_verdicts(browser, tmp_path):
    write_run(tmp_path / "out", n_loci=5)
    for name in ("global.tsv", "local.tsv"):
        assert (tmp_path / "out" / name).exists()
    table = pd.read_csv(tmp_path / "out" / "global.tsv", sep="\t", keep_default_na=False).assign(verdict="NA")
    table["reason"] = "no network was inferred (--network none)"
    table.to_csv(tmp_path / "out" / "global.tsv", sep="\t", index=False)
    seal(tmp_path / "out")
    opened = Opened(browser, write_report(str(tmp_path / "out")))
    assert opened.tab.inner_text("#verdict-none") == "No verdicts: no network was inferred (--network none)."
    opened.tab.check("#global-table input[type=checkbox]")
    significant = table[table["qvalue"].astype(float) < 0.05][["exposure", "outcome"]].drop_duplicates()
    assert len(opened.column("global-table", 1)) == len(significant) > 0 and opened.complaints == []
    opened.tab.close()


def test_instrument_rules_side_by_side(report, browser, folder, tmp_path):
    """The table is there if, and only if, the run compared two rules."""
    assert report.tab.is_hidden("#rules")
    rules = {"exposure": ["B", "A"], "outcome": ["A", "B"], "method": ["ivw", "ivw"], "n_loci": [40, 39],
             "direct": [0.5, 0.25], "regions": [0.5, 0.125], "difference": [0.0, 0.125], "ci_low": [-0.1, None],
             "ci_high": [0.1, 0.2], "pvalue": [1.0, 0.01], "spearman": [0.9, 0.8]}
    (tmp_path / "report.html").write_text(changed(folder / "report.html", lambda data: {**data, "rules": rules}))
    opened = Opened(browser, tmp_path / "report.html")
    assert opened.tab.is_visible("#rules") and opened.complaints == []
    assert opened.column("rules-table", 7) == ["0", "0.125"] and opened.column("rules-table", 8) == ["-0.1", "NA"]
    opened.tab.click("#rules-table tbody tr:nth-child(1) button")
    opened.shows("#pair-summary", "B \u2192 A")
    opened.tab.close()


def test_a_locus_is_shown_as_it_is(report, folder):
    """What is chosen by table, list or keyboard is what the locus's instruments and lines show."""
    report.tab.select_option("#pair-select", label="B \u2192 A")
    report.shows("#pair-summary", "B \u2192 A")
    report.tab.fill("#locus-input", "locus17")
    report.tab.press("#locus-input", "Enter")
    report.shows("#locus-summary", "locus17 (chr1:1701-1730, - strand), B \u2192 A")
    run = FinishedRun(str(folder))
    effect, _, instruments = run.effects_at(17)
    chosen = np.flatnonzero(instruments.of_pairs(1, 0))
    ref, alt = (run.effects[name].values[17][chosen] for name in ("ref_base", "alt_base"))
    seen = [f"{v // 3} {r}>{a}" for v, r, a in zip(chosen, ref, alt, strict=True)]
    assert report.column("instrument-table", 2) == seen[:25]
    other = dict(zip("ACGT", "TGCA", strict=True))  # the locus lies on the minus strand
    genomic = [f"chr1:{1730 - v // 3} {other[r]}>{other[a]}" for v, r, a in zip(chosen, ref, alt, strict=True)]
    assert report.column("instrument-table", 1) == genomic[:25]
    assert np.allclose([float(v) for v in report.column("instrument-table", 3)], effect[chosen, 1][:25], rtol=2e-3)
    report.drawn(*CHARTS)
    assert report.tab.locator("#scatter svg path[aria-roledescription='line mark']").count() == 2


def test_links_to_genome_browsers(report):
    """Only to a known assembly and of a plain name."""
    report.tab.select_option("#pair-select", label="B \u2192 A")
    report.shows("#pair-summary", "B \u2192 A")
    assert report.tab.locator("#browsers a").count() == 0
    report.tab.select_option("#assembly", "mm39")
    report.tab.fill("#locus-input", "locus16")
    report.tab.press("#locus-input", "Enter")
    report.shows("#locus-summary", "locus16")
    assert [link.get_attribute("href") for link in report.tab.locator("#browsers a").all()] == [
        "https://genome.ucsc.edu/cgi-bin/hgTracks?db=mm39&position=chr1%3A1601-1630",
        "https://igv.org/app/?genome=mm39&locus=chr1%3A1601-1630"]


def test_a_name_that_is_no_contig_makes_no_link(browser, folder, tmp_path):
    def odd(data):
        return {**data, "assembly": "hg38", "loci": {**data["loci"], "chrom": ["chr1&x=<b>"] * 40}}

    (tmp_path / "report.html").write_text(changed(folder / "report.html", odd))
    opened = Opened(browser, tmp_path / "report.html")
    assert "chr1&x=<b>:" in opened.tab.inner_text("#locus-summary")
    assert opened.tab.locator("#browsers a").count() == 0
    opened.tab.close()


def test_a_cell_of_the_heat_map_opens_its_pair(report, folder):
    """By mouse and by keyboard; the cell's words are the pair's effect."""
    heat = held(folder / "report.html")["data"]["heat"]
    box = report.tab.locator("#matrix").bounding_box()
    side = box["width"] / len(heat["marks"])
    report.tab.mouse.move(box["x"] + 1.5 * side, box["y"] + 0.5 * side)
    x, y = heat["marks"][0], heat["marks"][1]
    table = pd.read_csv(folder / "global.tsv", sep="\t").query("exposure == @x and outcome == @y and method == 'ivw'")
    assert report.tab.inner_text("#matrix-told").startswith(
        f"{x} \u2192 {y}: {table['standardised'].iloc[0]:.4g}, {table['verdict'].iloc[0]}")
    report.tab.mouse.click(box["x"] + 1.5 * side, box["y"] + 0.5 * side)
    report.shows("#pair-summary", f"{x} \u2192 {y}")
    report.tab.focus("#matrix")
    for key in ("ArrowUp", "ArrowDown", "ArrowLeft", "Enter"):
        report.tab.keyboard.press(key)
    report.shows("#pair-summary", f"{y} \u2192 {x}")


def test_colours_of_the_heat_map_by_day_and_night(report):
    """The middle of the scale is light by day and dark by night; both ends are those of the figures."""
    def ends():
        return report.tab.evaluate("""() => {
          const canvas = document.querySelector('#matrix'), n = canvas.width;
          const context = new OffscreenCanvas(n, n).getContext('2d', {willReadFrequently: true});
          context.drawImage(canvas, 0, 0);
          const pixels = [...context.getImageData(0, 0, n, n).data];
          const seen = new Set();
          for (let i = 0; i < pixels.length; i += 4) seen.add(pixels.slice(i, i + 3).join());
          return [...seen]; }""")
    assert "0,114,178" in ends()
    middle = "getComputedStyle(document.documentElement).getPropertyValue('--middle').trim()"
    light = report.tab.evaluate(middle)
    report.tab.emulate_media(color_scheme="dark")
    report.tab.wait_for_timeout(200)
    dark = report.tab.evaluate(middle)
    assert int(light[1:3], 16) > 230 and int(dark[1:3], 16) < 60 and "0,114,178" in ends()


def test_keyboard_alone(report):
    report.tab.keyboard.press("Tab")
    assert report.tab.evaluate("document.activeElement.textContent") == "Skip to the results"
    report.tab.locator("#local-table tbody button").nth(3).focus()
    name = report.tab.evaluate("document.activeElement.textContent")
    report.tab.keyboard.press("Enter")
    report.shows("#locus-summary", f"{name} (")
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
    assert len(report.column("local-table", 1)) == 40 and report.tab.is_visible("#provenance-list")
    report.tab.emulate_media(media="screen")
    report.tab.wait_for_timeout(300)
    assert len(report.column("local-table", 1)) == 25 and not report.tab.is_visible("#provenance-list")


def test_what_is_printed_has_whole_tables_and_the_settings(report, tmp_path):
    report.tab.evaluate("""addEventListener('beforeprint', () => { window.printed = [
        document.querySelectorAll('#local-table tbody tr').length, document.querySelector('details').open]; })""")
    report.tab.pdf(path=str(tmp_path / "report.pdf"))
    assert report.tab.evaluate("window.printed") == [40, True]
    assert len(report.column("local-table", 1)) == 25


def test_traffic_lights(report, folder):
    """Advice for amber and red alone, by groups."""
    shares = pd.read_csv(folder / "diagnostics_by_pair.tsv", sep="\t")
    shares = shares.query("exposure == 'A' and outcome == 'B'").iloc[0]
    report.tab.select_option("#pair-select", label="A \u2192 B")
    report.shows("#pair-summary", "A \u2192 B")
    assert report.tab.locator("#pair-lights h4").all_inner_texts() == ["direction", "pleiotropy", "strength"]
    items = report.tab.locator("#pair-lights li").all_inner_texts()
    seen = set()
    for flag, share in shares[3:].items():
        colour = "none" if flag == "presso" else "green" if share <= 0.1 else "amber" if share <= 1 / 3 else "red"
        item = next(item for item in items if re.match(rf"\S+ \S+ (tested )?{flag.replace('_', ' ')}( \d|$)", item))
        assert ("not tested" if colour == "none" else colour) in item
        assert ("Red when" in item) == (colour in ("amber", "red"))
        assert colour == "none" or f" {round(100 * share, 1):g} %" in item
        seen.add(colour)
    assert "green" in seen and seen & {"amber", "red"}


def test_the_network_answers_to_mouse_and_keyboard(browser, tmp_path):
    """Point, drag, hide small effects, open a pair by an arrow."""
    write_run(tmp_path / "out", effects=chain_effects())
    path = write_report(str(tmp_path / "out"))
    network, marks = (held(path)["data"][name] for name in ("network", "marks"))
    opened = Opened(browser, path)
    tab, n = opened.tab, len(network["exposure"])
    assert tab.locator("#network .hit").count() == n >= 2 and tab.locator("#network circle").count() == 4
    tab.focus("#network .hit[aria-label^='B \u2192 C']")
    at = network["exposure"].index(marks.index("B"))
    assert f"B \u2192 C: {network['effect'][at]:.4g} [" in tab.inner_text("#network-told")
    tab.keyboard.press("Enter")
    opened.shows("#pair-summary", "B \u2192 C")
    circle = tab.locator("#network circle").nth(0)
    circle.scroll_into_view_if_needed()
    before = circle.bounding_box()
    tab.mouse.move(before["x"] + 7, before["y"] + 7)
    assert tab.inner_text("#network-told").startswith(f"{marks[network['marks'][0]]}: acts on 1 mark")
    assert tab.locator("#network .faded").count() > 0
    tab.mouse.down()
    tab.mouse.move(before["x"] + 47, before["y"] + 27, steps=3)
    tab.mouse.up()
    tab.wait_for_timeout(100)
    after = tab.locator("#network circle").nth(0).bounding_box()
    assert (after["x"] - before["x"], after["y"] - before["y"]) == pytest.approx((40, 20), abs=2)
    tab.fill("#network-slider", "1")
    assert tab.locator("#network .hit").count() == 1 and f"1 of {n} effects" in tab.inner_text("#network-size")
    assert opened.complaints == []
    tab.close()


LINKED = ("A>B&x=1", "</script><b>", "100 %", "C>D", "B&x=1", "#pair=A>B")


def test_links_lead_to_their_pair_and_locus(browser, tmp_path):
    """Also where names hold what links are made of; the address follows what is shown."""
    write_run(tmp_path / "out", marks=LINKED, n_loci=3, methods=("ivw",))
    path = write_report(str(tmp_path / "out"))
    for x, y in (("A>B&x=1", "C>D"), ("</script><b>", "#pair=A>B")):
        link = f"#pair={quote(x, safe='')}>{quote(y, safe='')}&locus=locus2"
        opened = Opened(browser, path, link)
        opened.shows("#pair-summary", f"{x} \u2192 {y}").shows("#locus-summary", "locus2 (")
        assert opened.tab.is_hidden("#link-problem")
        opened.tab.select_option("#pair-select", index=3)
        name = opened.tab.locator("#pair-select option").nth(3).get_attribute("title")
        opened.shows("#pair-summary", name).shows("#locus-summary", name)
        opened.tab.fill("#locus-input", "locus1")
        opened.tab.press("#locus-input", "Enter")
        opened.shows("#locus-summary", "locus1 (")
        shown, address = opened.tab.inner_text("#pair-summary"), opened.tab.evaluate("location.href")
        assert opened.complaints == []
        opened.tab.close()
        again = Opened(browser, path, "#" + address.partition("#")[2])
        again.shows("#pair-summary", shown)
        again.shows("#locus-summary", "locus1 (")
        again.tab.close()


@pytest.mark.parametrize("link, said", [
    ("#pair=A>nowhere", "a pair that is not in this report: A>nowhere."), ("#pair=A", "not in this report: A."),
    ("#pair=%E0%A4%A>B", "not in this report: "), ("#pair=A>A", "no local effects of A \u2192 A"),
    ("#pair=A>B&locus=<b>x</b>", "a locus that is not in this report: <b>x</b>."), ("#locus=", "a locus that is not")])
def test_a_link_that_names_nothing_says_so(browser, folder, link, said):
    opened = Opened(browser, folder / "report.html", link)
    assert said in opened.tab.inner_text("#link-problem") and opened.complaints == []
    opened.tab.close()


def test_hostile_names(browser, tmp_path):
    folder = tmp_path / "out"
    write_run(folder, marks=HOSTILE, n_loci=3)
    write_report(str(folder))
    opened = Opened(browser, folder / "report.html").drawn(*CHARTS)
    assert opened.whole("global-table", 1) | opened.whole("global-table", 2) == set(HOSTILE)
    labels = set(opened.tab.locator("#heatmap svg title").all_text_contents())
    assert set(HOSTILE) == labels == set(opened.tab.locator("#network circle title").all_text_contents())
    for x in HOSTILE:
        y = HOSTILE[HOSTILE.index(x) - 1]
        opened.tab.select_option("#pair-select", label=f"{x} \u2192 {y}")
        opened.shows("#pair-summary", f"{x} \u2192 {y}").shows("#locus-summary", f"{x} \u2192 {y}").drawn(*CHARTS)
        assert opened.tab.locator("#instrument-table tbody tr").count() > 0
    opened.tab.fill("#global-table input[type=search]", "<script>")
    assert opened.count("global-table") == "1 to 10 of 10 (of 30)"
    assert opened.tab.locator("main img, main script").count() == 0
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
    ({"instrument_z": 50.0}, {"forest": "No locus has an estimate", "pair-summary": "no estimate",
                              "telling": "The page holds no instruments of this pair's loci",
                              "scatter": "No mutant of this locus is an instrument"}),
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
    assert "The page holds no instruments of this locus" in opened.tab.inner_text("#tracks")
    assert opened.complaints == []
    opened.tab.close()


@pytest.mark.parametrize("mutants", ["single,windows:5:4,deletions:3", "windows:5:4"])
def test_mutants_of_several_bases_are_bars_and_rows(browser, tmp_path, mutants):
    """As wide as what they change, dark where they are instruments; the table names kind, bases and draws."""
    folder = run_of_kinds(tmp_path, mutants, mutant_draws=3, report=True)
    report = Opened(browser, folder / "report.html").drawn("tracks", "scatter", "leave-one-out")
    report.tab.fill("#locus-input", "turned")
    report.tab.press("#locus-input", "Enter")
    report.shows("#locus-summary", "turned (c1:1-24, - strand)").shows("#tracks-figure", "Bars: mutants of several")
    run = FinishedRun(str(folder))
    effects, (_, _, instruments) = run.effects, run.effects_at(1)
    kind, length, position = effects["kind"].values, effects["length"].values[1], effects["position"].values[1]
    wide = (kind != "single") & (length > 0)
    pair = [run.strongest[role].iloc[0] for role in ("exposure", "outcome")]
    chosen = np.flatnonzero(instruments.of_pairs(*("AB".index(mark) for mark in pair)))
    bars = report.tab.locator("#tracks svg .mark-rect.role-mark path")
    assert bars.count() == 2 * wide.sum()
    dark = bars.evaluate_all("all => all.filter((bar) => bar.getAttribute('fill-opacity') === '0.85').length")
    assert dark == 2 * wide[chosen].sum() > 0
    assert report.column("instrument-table", 3) == kind[chosen][:25].tolist()
    assert report.column("instrument-table", 4) == [str(n) for n in length[chosen][:25]]
    assert report.column("instrument-table", 5) == [str(n) for n in effects["draws"].values[chosen][:25]]
    window = next(v for v in chosen if kind[v] == "windows")
    p, n = position[window], length[window]
    report.tab.fill("#instrument-table input", "windows")
    assert report.column("instrument-table", 1)[0] == f"c1:{24 - p - n + 1}-{24 - p} windows"
    assert report.column("instrument-table", 2)[0] == f"{p}-{p + n - 1} windows"
    assert report.complaints == [] and report.requests == [report.address]
    report.tab.close()
