"""Every command in a page, a workflow or the help parses, and its options go together."""

import re
import shlex
from pathlib import Path

import pytest

from kipoi_deepmr.cli.examples import EXAMPLES
from kipoi_deepmr.cli.parser import check_together, make_parser, subcommands
from kipoi_deepmr.errors import InputError

ROOT = Path(__file__).resolve().parents[2]
FILES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md")),
         *sorted((ROOT / "example_models").glob("*/*.md")), *sorted((ROOT / "docs" / "workflows").iterdir())]
FENCE = re.compile(r"^```bash\n(.*?)^```$", re.M | re.S)
COMMAND = re.compile(r"""(?:kipoi\ (?:postproc\ )?deepmr|kipoi-deepmr)\ +(?=[a-z])([^`\n]*)""", re.X)
SHELL = set("|&;<>()")


def commands_in(text):
    """The words of each command that is written out; what `--config` reads is not there to be checked."""
    for match in COMMAND.finditer(text.replace("\\\n", " ")):
        words = shlex.shlex(match[1], posix=True, punctuation_chars="|&;<>()")
        words.whitespace_split = True
        taken = []
        for word in words:
            if set(word) <= SHELL:
                break
            taken.append(word)
        if not {"...", "\N{HORIZONTAL ELLIPSIS}", "--config"} & {*taken}:
            yield taken


def texts_of(path):
    """The parts of a file that are commands."""
    text = path.read_text()
    return FENCE.findall(text) if path.suffix == ".md" else [re.sub(r'"\n\s*"', " ", text).replace('"', "")]


def told_of(words):
    """What is wrong with a command; empty if nothing is."""
    try:
        arguments = make_parser("kipoi deepmr").parse_args(words)
        return "\n".join(check_together(arguments)) if arguments.command != "completion" else ""
    except InputError as error:
        return str(error)
    except SystemExit as stopped:
        return "not parsed" if stopped.code else ""


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_commands_of_a_page(path):
    found = [words for text in texts_of(path) for words in commands_in(text)]
    assert [(words, told) for words in found if (told := told_of(words))] == []


def test_commands_of_the_help():
    parser = make_parser("kipoi deepmr")
    progs = {name: f"kipoi deepmr {name}".strip() for name in ("", *subcommands(parser))}
    progs |= {f"plot {name}": f"kipoi deepmr plot {name}" for name in subcommands(subcommands(parser)["plot"])}
    found = [words for name, text in EXAMPLES.items() for words in commands_in(text.replace("%(prog)s", progs[name]))]
    assert len(found) >= 25
    assert [(words, told) for words in found if (told := told_of(words))] == []


def test_commands_are_found_and_can_be_refused():
    assert len([words for path in FILES for text in texts_of(path) for words in commands_in(text)]) > 80
    (words,) = commands_in("kipoi-deepmr simulate -o 'a b' \\\n  --eta 3 | head  # why\nkipoi deepmr table ...\n")
    assert words == ["simulate", "-o", "a b", "--eta", "3"] and told_of(words) == ""
    assert "--eta goes without --graph" in told_of([*words, "--graph", "chain"])
    assert told_of([*words, "--etha", "3"]) == "not parsed"
