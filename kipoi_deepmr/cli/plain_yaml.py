"""Options in YAML or JSON: text, numbers, truth values, lists and mappings, each key once; nothing else is read."""

import json

from ..errors import InputError

MOST_VALUES = 10_000  # with those that an alias repeats
REFUSED = {"timestamp": "a date", "binary": "binary data", "set": "a set", "omap": "an ordered mapping",
           "pairs": "a list of pairs", "merge": "a merge of mappings"}
TAG = "tag:yaml.org,2002:"


def parsed(path, text):
    """The value that a file's text says.

    Raises
    ------
    InputError
        It is neither YAML nor JSON, has a key twice, an alias within itself, more values than options can need, or
        something that options are not made of; the message names the line where that is known.
    """
    try:
        content = json.loads(text, object_pairs_hook=lambda pairs: _once(path, pairs))
    except RecursionError as error:
        raise InputError(f"{path}: lists or mappings within each other without end") from error
    except InputError:
        raise
    except ValueError:
        content = _yaml(path, text)
    _check_text(path, content)
    return content


def _once(path, pairs):
    found = {}
    for key, value in pairs:
        if key in found:
            raise InputError(f"{path}: {key!r:.40} is there twice")
        found[key] = value
    return found


def _yaml(path, text):
    import yaml

    loader = None
    try:
        loader = yaml.SafeLoader(text)
        node = loader.get_single_node()
        if node is not None:
            _size(path, node, {})
            return loader.construct_document(node)
        return None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f", line {mark.line + 1}" if mark else ""
        what = " ".join(str(getattr(error, "problem", None) or error).split())
        raise InputError(f"{path}{where}: neither YAML nor JSON ({what})") from error
    except RecursionError as error:
        raise InputError(f"{path}: lists or mappings within each other without end") from error
    except InputError:
        raise
    except ValueError as error:  # of a number or a date that Python does not have
        raise InputError(f"{path}: neither YAML nor JSON ({error})") from error
    finally:
        if loader is not None:
            loader.dispose()


def _size(path, node, sizes):
    """How many values a node stands for, aliases written out; `sizes` are those of nodes seen, None while within."""
    if id(node) in sizes:
        if sizes[id(node)] is None:
            raise _refused(path, node, "an alias within what it stands for")
        return sizes[id(node)]
    sizes[id(node)] = None
    kind = REFUSED.get(node.tag.removeprefix(TAG))
    if kind:
        raise _refused(path, node, f"YAML reads this as {kind}; write text in quotes")
    total = 1
    children = node.value if isinstance(node.value, list) else []
    names = set()
    for child in children:
        for part in child if isinstance(child, tuple) else (child,):
            total += _size(path, part, sizes)
        if isinstance(child, tuple):
            name = child[0].value if isinstance(child[0].value, str) else id(child[0])
            if name in names:
                raise _refused(path, child[0], f"{name!r:.40} is there twice")
            names.add(name)
    if total > MOST_VALUES:
        raise _refused(path, node, f"more than {MOST_VALUES:,} values; no option takes so many")
    sizes[id(node)] = total
    return total


def _refused(path, node, what):
    return InputError(f"{path}, line {node.start_mark.line + 1}: {what}")


def _check_text(path, value):
    """Raise `InputError` for text with half a character, as an escape such as \\ud800 makes it."""
    if isinstance(value, str):
        try:
            value.encode()
        except UnicodeEncodeError as error:
            raise InputError(f"{path}: {value!a:.60} has half a character (a lone surrogate)") from error
    elif isinstance(value, dict):
        for pair in value.items():
            for part in pair:
                _check_text(path, part)
    elif isinstance(value, list):
        for part in value:
            _check_text(path, part)
