"""Arrays in lists and dicts, as Kipoi's inputs, outputs and schemas hold them."""


def leaves(tree, path=()):
    """All that is neither list nor dict, each with the keys that lead to it.

    Parameters
    ----------
    tree : array, schema, or (nested) dict, list or tuple of them

    Returns
    -------
    list of (tuple of str or int, leaf)
    """
    if isinstance(tree, dict):
        items = tree.items()
    elif isinstance(tree, (list, tuple)):
        items = enumerate(tree)
    else:
        return [(path, tree)]
    return [leaf for key, branch in items for leaf in leaves(branch, path + (key,))]


def rebuilt(tree, values):
    """The same dicts and lists around other leaves: `values` is an iterator over them, in the order of `leaves`."""
    if isinstance(tree, dict):
        return {key: rebuilt(branch, values) for key, branch in tree.items()}
    if isinstance(tree, (list, tuple)):
        return [rebuilt(branch, values) for branch in tree]
    return next(values)


def matched(tree, schema):
    """The leaves of a tree, each with what it is called and the schema that describes it.

    A schema of another form than the tree (a dict for a list, one array for a list of one) is matched by order if it
    has as many leaves.

    Returns
    -------
    list of (tuple of str or int, leaf, str, schema or None)
        The name is the keys joined by "/", where a list's schema gives names to numbers; empty for a tree that is
        itself a leaf.
    """
    own, described = leaves(tree), leaves(schema)
    found = [(path, leaf, _at(schema, path)) for path, leaf in own]
    if len(own) == len(described) and not any(one for _, _, one in found):
        return [(path, leaf, _name(schema, known), one) for (path, leaf), (known, one) in zip(own, described)]
    return [(path, leaf, _name(schema, path), one) for path, leaf, one in found]


def _at(schema, path):
    """What a schema holds at a path, or None where it has another form."""
    for key in path:
        known = isinstance(schema, dict) and key in schema
        listed = isinstance(schema, (list, tuple)) and isinstance(key, int) and key < len(schema)
        if not known and not listed:
            return None
        schema = schema[key]
    return schema if hasattr(schema, "shape") else None


def _name(schema, path):
    parts = []
    for depth, key in enumerate(path):
        named = _at(schema, path[:depth + 1]) if isinstance(key, int) else None
        parts.append(str(getattr(named, "name", None) or key))
    return "/".join(parts)
