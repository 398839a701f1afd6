"""The order in which global effects are shown."""


def strongest_first(table):
    """Index of a table of global effects, the largest absolute standardised effect first.

    Rows without one come after them, by `|estimate / se|`, and rows without an estimate last.
    """
    strength = (table["estimate"] / table["se"]).abs()
    size = table["standardised"].abs() if "standardised" in table else strength * float("nan")
    keys = table.assign(_size=size.fillna(-1), _strength=strength.fillna(-1))
    return keys.sort_values(["_size", "_strength"], ascending=False, kind="stable").index
