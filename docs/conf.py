"""The site: what is written in docs/, the public Python interface, and the command line, as warnings-free HTML."""

import os
import re

from docutils import nodes
from docutils.parsers.rst import Directive

from kipoi_deepmr import __version__
from kipoi_deepmr.cli.parser import make_parser

project = "kipoi_deepmr"
author = "kipoi_deepmr developers"
copyright = author
release = version = __version__
repository = "https://github.com/kipoi/kipoi-deepmr/blob/main"

extensions = ["myst_parser", "numpydoc", "sphinx.ext.autodoc"]
html_theme = "furo"
html_title = f"kipoi_deepmr {release}"
html_copy_source = False
exclude_patterns = ["_build"]

# A link to a heading is checked, one to a file outside docs/ leads to the repository.
myst_heading_anchors = 3
myst_enable_extensions = ["dollarmath", "amsmath"]
default_role = "py:obj"  # what docstrings have in backticks is a link where there is such a thing
autodoc_typehints = "none"
autodoc_member_order = "bysource"
numpydoc_show_class_members = False
os.environ["COLUMNS"] = "100"


def links_to_the_repository(app, name, source):
    """Make absolute what a page's links say of files that are not pages."""
    source[0] = re.sub(r"\]\(\.\./(?!CHANGELOG|CONTRIBUTING)", f"]({repository}/", source[0])


class Commands(Directive):
    """The `--help` of every command, a section each, as the parsers have it."""

    def run(self):
        return list(self._sections(make_parser("kipoi deepmr"), "kipoi deepmr"))

    def _sections(self, parser, name):
        help_text = nodes.literal_block(text=parser.format_help(), language="text")
        commands = [choice for action in parser._actions if isinstance(action.choices, dict)
                    for choice in action.choices.items()]
        if name != "kipoi deepmr":
            section = nodes.section(ids=[nodes.make_id(name)], names=[name])
            section += [nodes.title(text=name), help_text]
            yield section
        else:
            yield help_text
        for word, command in commands:
            yield from self._sections(command, f"{name} {word}")


def setup(app):
    """Called by Sphinx."""
    app.connect("source-read", links_to_the_repository)
    app.add_directive("commands", Commands)
