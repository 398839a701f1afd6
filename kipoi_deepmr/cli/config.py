"""`--config`: options from a YAML or JSON file, or from the run.json of an earlier run."""

import argparse
import json
import os
import stat

from ..errors import InputError, nearest
from ..options.kinds import joined_words
from . import plain_yaml
from .parser import COMMANDS, subcommands

NOT_OF_A_FILE = ("help", "version", "config")
SEVERAL = "+", "*"  # of words of the command line
# What decides which program runs and what is replaced is the user's to say: not a record's, nor another user's.
OWN_WORDS = ("output", "overwrite", "python", "env")
# of a command on a run's folder, whose run.json must not name the code that runs
MODELS = ("models", "source", "module")


def parse(parser, argv):
    """Parse a command line; what it leaves out and its `--config` file has is taken from there.

    Parameters
    ----------
    parser : argparse.ArgumentParser
        As `make_parser` makes it; not to be used again, since the file's values become its defaults.
    argv : list of str

    Returns
    -------
    argparse.Namespace

    Raises
    ------
    InputError
        The file cannot be read, has an option that no subcommand has, or a value that its option does not take.
    SystemExit
        As argparse ends the program.
    """
    path = _path_in(argv)
    if path is None:
        return parser.parse_args(argv)
    leaf = _leaf(parser, argv)
    values = _values(path, leaf, _options_of_all(parser), set(_given_in(argv)))
    for name in _replaced(argv) & values.keys():
        del values[name]
    before = {action.dest: action.default for action in leaf._actions}
    for action in leaf._actions:
        action.required = action.required and action.dest not in values
    leaf.set_defaults(**values, from_file=tuple(sorted(values)))
    return _one_of_each_group(path, leaf, parser.parse_args(argv), values, before)


def _path_in(argv):
    finder = argparse.ArgumentParser(add_help=False)
    finder.add_argument("--config", nargs="?")
    return finder.parse_known_args(argv)[0].config


def _given_in(argv):
    """Names of the options in a command line."""
    for word in argv:
        if word.startswith("--"):
            yield word[2:].partition("=")[0].replace("-", "_")
        elif word.startswith("-o"):
            yield "output"


def _replaced(argv):
    """Names of the options that those in a command line are in place of."""
    command, given = next((COMMANDS[word] for word in argv if word in COMMANDS), None), set(_given_in(argv))
    declared = [each for options in command.options for each in options.declared()] if command else []
    return {name for each in declared if each.option.replaces and each.name in given
            for name in each.option.replaces[1]}


def _leaf(parser, argv):
    """The parser of the subcommand, or of its own subcommand."""
    for word in argv:
        commands = subcommands(parser)
        if word not in commands:
            break
        parser = commands[word]
    return parser


def _options(parser):
    """The actions of a subcommand by the names that a file may use."""
    named = {}
    for action in parser._actions:
        for name in action.option_strings or [f"--{action.dest}"]:
            if name.startswith("--") and action.dest not in NOT_OF_A_FILE:
                named[name[2:]] = action
    return named


def _options_of_all(parser):
    names = set(_options(parser))
    return names.union(*map(_options_of_all, subcommands(parser).values()))


def _values(path, leaf, known, on_command_line):
    """What the file says for a subcommand, by the name of its attribute, checked as the command line's words are."""
    command, options, values = leaf.prog.split()[-1], _options(leaf), {}
    given, others = _read(path, command)
    for key, value in given.items():
        name = str(key).replace("-", "_")
        if name not in known:
            raise InputError(f"{path}: unknown option {key!r}{nearest(key, sorted(options))}")
        if name in options and value is not None and name not in on_command_line:
            if others and name in _own_words(command):
                raise InputError(f"{path}: {key} is not taken from {others}; say --{name} on the command line")
            if options[name].dest in values:
                raise InputError(f"{path}: {name} is there twice, with - and with _")
            values[options[name].dest] = _value(options[name], value, f"{path}: {key}")
    return values


def _read(path, command):
    """The options in a file, all of it or a run.json's `arguments`, and whose words they are if not the user's own."""
    try:
        with open(path, encoding="utf-8-sig") as file:
            text, others = file.read(), _others(os.fstat(file.fileno()))
        content = plain_yaml.parsed(path, text)
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not a text file ({error})") from error
    if not isinstance(content, dict):
        raise InputError(f"{path}: holds no options; write one a line, as in 'method: [ivw, egger]'")
    if isinstance(content.get("arguments"), dict) and "settings" in content:
        content, others = dict(content["arguments"]), "the record of a run"
        # it says where that run wrote, and this one writes elsewhere
        for name in ("output", "overwrite") if command != "annotate" else _own_words(command):
            content.pop(name, None)
    return content, others


def _own_words(command):
    return OWN_WORDS + MODELS if command == "annotate" else OWN_WORDS


def _others(status):
    """Whose words a file holds, if they are not the user's own; None if they are."""
    if status.st_uid not in (os.geteuid(), 0):
        return "a file of another user"
    if status.st_mode & stat.S_IWOTH and stat.S_ISREG(status.st_mode):
        return "a file that every user can write"
    return None


def _value(action, value, where):
    if action.nargs == 0:
        if not isinstance(value, bool):
            raise InputError(f"{where}: is true or false, not {value!r}")
        return value or action.default
    found = [_converted(action, word, where) for word in _words(action, value, where)]
    return found if action.nargs in SEVERAL else found[0]


def _converted(action, word, where):
    try:
        return (action.type or str)(word)
    except argparse.ArgumentTypeError as error:
        raise InputError(f"{where}: {error}") from error


def _words(action, value, where):
    """The words of the command line that say the same."""
    if action.nargs not in SEVERAL:
        if isinstance(value, list) and value and action.type is not None:
            return [getattr(action.type, "join", joined_words)([_word(item, where) for item in value])]
        if isinstance(value, list) and len(value) == 1:  # run.json has a list of methods, and a figure shows one
            value = value[0]
        return [_word(value, where)]
    if isinstance(value, dict):
        if action.type is None:
            return [json.dumps(value)]
        value = list(value.items())
    items = value if isinstance(value, list) else [value]
    if not items:
        raise InputError(f"{where}: an empty list; leave the option out")
    return [_word(item, where) if action.type is None else _named(item, where) for item in items]


def _named(item, where):
    """NAME=VALUE or NAME=A,B of a pair; text is taken as it is."""
    if isinstance(item, (list, tuple)) and len(item) == 2:
        name, value = item
        if isinstance(value, list):
            return f"{name}={joined_words([_word(one, where) for one in value])}"
        return f"{name}={value if isinstance(value, str) else json.dumps(value)}"
    return _word(item, where)


def _word(value, where):
    if isinstance(value, bool):
        raise InputError(f"{where}: YAML reads yes, no, on, off, true and false as truth values; write it in quotes")
    if isinstance(value, (list, dict)) or value is None:
        raise InputError(f"{where}: {value!r} is not a value of this option")
    return str(value)


def _one_of_each_group(path, leaf, arguments, values, before):
    """Of options that exclude each other, the command line's in place of the file's."""
    for group in leaf._mutually_exclusive_groups:
        names = [action.dest for action in group._group_actions]
        chosen = [name for name in names if getattr(arguments, name) != before[name]]
        from_file = [name for name in chosen if getattr(arguments, name) is values.get(name)]
        if len(chosen) > 1 and len(chosen) == len(from_file):
            raise InputError(f"{path}: {' and '.join(chosen)} exclude each other")
        for name in from_file if len(chosen) > 1 else ():
            setattr(arguments, name, before[name])
    return arguments
