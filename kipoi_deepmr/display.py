"""Objects as text and as HTML: how `repr` and notebooks show them. Names come from outside: they are escaped."""

import html
from collections import Counter

from .errors import on_one_line

MAX_ROWS = 10
_STYLE = "text-align: left; padding: 0 1em 0 0"


def listed(names, most=MAX_ROWS):
    """The first names, and how many more there are."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(on_one_line(name) for name in names[:most]) + more


def counted(n, name, names=None):
    """A number and what is counted, in the plural (by default with an s) where there is not one."""
    return f"{n:,} {name if n == 1 else names or name + 's'}"


def shortened(names, most):
    """Names for a line of text: without the middle where they are longer, and still all different.

    Parameters
    ----------
    names : iterable of str
    most : int
        Letters of a name; more for names that would be the same.

    Returns
    -------
    dict of str to str
    """
    shown, left = {}, set(names)
    while left:
        shown.update({name: without_middle(name, most) for name in left})
        uses, most = Counter(shown.values()), 2 * most
        left = {name for name, short in shown.items() if uses[short] > 1 and short != on_one_line(name)}
    return shown


def without_middle(text, most):
    """A text on one line, of at most so many letters."""
    text, half = on_one_line(text), (most - 1) // 2
    return text if len(text) <= most else f"{text[:most - 1 - half]}…{text[-half:]}"


def of_loci(n):
    """A number of loci."""
    return counted(n, "locus", "loci")


def as_text(title, lines, n_all=None):
    """A title and indented lines, the first `MAX_ROWS` of `n_all`."""
    n_all = len(lines) if n_all is None else n_all
    more = [f"and {n_all - MAX_ROWS:,} more"] if n_all > MAX_ROWS else []
    return "\n".join([title, *(f"  {line}" for line in [*lines[:MAX_ROWS], *more])])


def as_html(title, header, rows, notes=(), n_all=None):
    """A title, notes and a table of the first `MAX_ROWS` of `n_all` rows.

    Parameters
    ----------
    title : str
    header : sequence of str
    rows : sequence of sequences of str
    notes : sequence of str
    n_all : int, optional
        By default as many as there are rows.

    Returns
    -------
    str
        HTML in which every text is escaped.
    """
    def cells(kind, row):
        return "<tr>" + "".join(f'<{kind} style="{_STYLE}">{escaped(cell)}</{kind}>' for cell in row) + "</tr>"

    n_all = len(rows) if n_all is None else n_all
    more = [f"and {n_all - MAX_ROWS:,} more"] if n_all > MAX_ROWS else []
    table = [f"<table><thead>{cells('th', header)}</thead><tbody>", *(cells("td", row) for row in rows[:MAX_ROWS]),
             "</tbody></table>"] if rows else []
    return "\n".join([f"<div><strong>{escaped(title)}</strong>", *(f"<div>{escaped(note)}</div>" for note in notes),
                      *table, *(f"<div>{escaped(line)}</div>" for line in more), "</div>"])


def escaped(text):
    """A text for HTML."""
    return html.escape(on_one_line(text))
