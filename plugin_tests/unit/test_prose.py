"""README and the pages under docs/: spelling, style, short lines, and no option that does not exist."""

import re
from pathlib import Path

import pytest

from kipoi_deepmr.cli.parser import make_parser, subcommands

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
WIDTH = 100
NAMES = "aparent,commun,nome,te,ue,modle,shft"  # as names, and misspelt on purpose in tests; in lower case

NOT_PROSE = re.compile(r"^```.*?^```$|^\$\$.*?\$\$$|^<!--.*?-->$|^ *\|.*?$|^!\[.*?$|^\#.*?$|^    .*?$", re.M | re.S)
LINK = re.compile(r"\]\([^)]*\)|https?://\S+")

# what the checks of a linter do not know, each in place of plainer words (CONTRIBUTING.md)
HARD = re.compile(r"""\b(
    anew|so \ many|goes \ on \ with|parted \ by|lies \ not|takes? \ (it|them|these|those) \ for
    |where \ not|what \ is \ (told|found|given)|is \ told \ (of|nothing)|are \ told|by \ itself \ alone|but \ for
    |holds? \ the \ truth|here \ and \ there|say \ it \ by|as \ good \ as
)\b""", re.X | re.I)
OPTION = re.compile(r"(?<![\w-])--([a-zA-Z][\w-]+)")
OF_OTHER_PROGRAMS = {"fai", "gres", "name", "nthreads", "resources", "scheduler_file", "figure", "from", "loci",
                     "configfile", "cores", "fasta", "recipe", "rm", "samples", "snakefile", "user"}
STYLE = ("archaism", "cliches", "hedging", "lexical_illusions", "malapropisms", "misc", "mixed_metaphors",
         "needless_variants", "nonwords", "redundancy", "weasel_words")


def prose_of(page):
    """The text without tables, code and formulas; lines keep their numbers."""
    def blank(match):
        return re.sub(r"[^\n]", "", match[0])

    return LINK.sub("", NOT_PROSE.sub(blank, page.read_text())).replace("`", "")


def test_words_are_spelt_right(capsys):
    codespell = pytest.importorskip("codespell_lib")
    texts = [*PAGES, ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *(ROOT / "example_models").rglob("*.md"),
             *(path for folder in ("kipoi_deepmr", "plugin_tests", "benchmarks", "validation")
               for path in (ROOT / folder).rglob("*.py"))]
    assert len(texts) > 300
    n_errors = codespell.main("--quiet-level", "35", "--ignore-words-list", NAMES, *map(str, texts))
    assert n_errors == 0, capsys.readouterr().out


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_lines_of_prose_are_short(page):
    lines = NOT_PROSE.sub(lambda match: re.sub(r"[^\n]", "", match[0]), page.read_text()).split("\n")
    assert not [(k, line) for k, line in enumerate(lines, 1) if len(line) > WIDTH]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_prose_is_plain(page):
    lines = prose_of(page).split("\n")
    assert not [(k, match[0], line) for k, line in enumerate(lines, 1) for match in HARD.finditer(line)]


def test_every_option_of_a_page_exists():
    def options(parser):
        yield from (name for action in parser._actions for name in action.option_strings)
        for command in subcommands(parser).values():
            yield from options(command)

    known = {name.lstrip("-").replace("-", "_") for name in options(make_parser("kipoi deepmr"))} | OF_OTHER_PROGRAMS
    named = {(page.name, name) for page in (ROOT / "docs").glob("*.md") for name in OPTION.findall(page.read_text())}
    assert len(named) > 200
    assert not [(page, name) for page, name in named if name.replace("-", "_") not in known]


def test_style(linted):
    assert not [error for page in PAGES for error in linted(page.name, prose_of(page))]


def test_the_checks_can_fail(linted, tmp_path, capsys):
    page = tmp_path / "page.md"
    page.write_text("It is told of the variants, where not.\n\n| where not | `where not` |\n\n```\nwhere not\n```\n")
    assert len(HARD.findall(prose_of(page))) == 2
    assert linted("page", "We took the the very unique end result, and I.\n")
    page.write_text("te" "h\n")
    assert pytest.importorskip("codespell_lib").main("--quiet-level", "35", str(page)) != 0


@pytest.fixture(scope="module")
def linted():
    """A function of a name and a text: what proselint's checks of words and phrases say."""
    tools = pytest.importorskip("proselint.tools")
    from proselint.checks import __register__
    from proselint.registry import CheckRegistry

    CheckRegistry().register_many(__register__)
    config = {"max_errors": 1000, "checks": dict.fromkeys(STYLE, True)}
    return lambda name, text: [(name, error.check_result.message, tools.LintFile(name, text).line_col_of(
        error.check_result.span[0])) for error in tools.LintFile(name, text).lint(config)]
