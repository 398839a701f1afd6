"""Groups of marks by the columns of a run's table of marks, and their colours."""

from ..plots.heatmap import GROUPS_UP_TO, group_colours


def groups_of(run, marks):
    """The columns by which the page can colour marks.

    Parameters
    ----------
    run : FinishedRun
    marks : list of str

    Returns
    -------
    list of dict
        Of JSON values: `column`, `groups` by name, `colours` of these, `of`, the group's number for each mark (-1 for a
        mark without a value). Columns with one group or with more than there are colours are left out.
    """
    found = []
    for column, values in (run.told.get("mark_columns") or {}).items():
        names = list(dict.fromkeys(values[mark] for mark in marks if mark in values))
        if 1 < len(names) <= GROUPS_UP_TO:
            number = {name: i for i, name in enumerate(names)}
            found.append({"column": column, "groups": names, "colours": group_colours(names),
                          "of": [number.get(values.get(mark), -1) for mark in marks]})
    return found
