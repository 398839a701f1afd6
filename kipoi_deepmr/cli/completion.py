"""Completion scripts for shells, made of the parsers by shtab."""

import argparse

from .parser import add_commands

# What Kipoi's own command line has; only its names are completed, and file names after them.
KIPOI_COMMANDS = ("env", "get-example", "info", "init", "list_plugins", "ls", "predict", "preproc", "pull", "test",
                  "test-source")


def completion_script(prog, shell):
    """A script that completes one program's command line.

    Parameters
    ----------
    prog : str
        `kipoi-deepmr`, or `kipoi` and the name of the plugin: then `kipoi deepmr` and `kipoi postproc deepmr` are
        completed.
    shell : str
        One of `parser.SHELLS`.

    Returns
    -------
    str
    """
    import shtab

    program, *inner = prog.split()
    parser = argparse.ArgumentParser(prog=program)
    if inner:
        _add_kipoi(parser)
    else:
        add_commands(parser)
    _complete_files(parser, shtab.FILE)
    return shtab.complete(parser, shell, root_prefix=f"{program}_completion")


def _add_kipoi(parser):
    commands = parser.add_subparsers()
    for name in KIPOI_COMMANDS:
        commands.add_parser(name, help="of Kipoi").add_argument("rest", nargs="*", help="see `kipoi --help`")
    add_commands(commands.add_parser("deepmr", help="Deep Mendelian Randomization"))
    postproc = commands.add_parser("postproc", help="of Kipoi's plugins").add_subparsers()
    add_commands(postproc.add_parser("deepmr", help="Deep Mendelian Randomization"))


def _complete_files(parser, as_files):
    """Where free text goes, offer the names of files."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for command in action.choices.values():
                _complete_files(command, as_files)
        elif action.nargs != 0 and action.type is None and not action.choices:
            action.complete = as_files
