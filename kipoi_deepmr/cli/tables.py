"""Text of at most so many lines: headlines, aligned tables, and how much is left out."""

from typing import NamedTuple

from ..display import shortened

MAX_LINES = 20  # of what a command says at its end
LETTERS, LETTERS_OF_NAME = 42, 26  # of a cell
NAMES = ("exposure", "outcome", "mark")  # columns


class Part(NamedTuple):
    """Lines that stay together: a headline, then lines of which the last may be left out.

    Attributes
    ----------
    head : tuple of str
        What stays: the headline, and the header of a table.
    rows : tuple of str
    n_rows : int
        How many there are of what the rows show, if that is more than there are rows.
    where : str
        Where those are that are left out.
    """

    head: tuple
    rows: tuple = ()
    n_rows: int = 0
    where: str = ""

    def lines(self, most=MAX_LINES):
        """At most so many lines, but the head at least; the last one counts what is left out."""
        n_rows = max(self.n_rows, len(self.rows))
        room = max(most - len(self.head), 0)
        if n_rows <= min(room, len(self.rows)):
            return [*self.head, *self.rows]
        shown = self.rows[:max(room - 1, 0)]
        more = f"  and {n_rows - len(shown):,} more{f' in {self.where}' if self.where else ''}"
        return [*self.head, *shown, *([more] if room else [])]

    def __str__(self):
        return "\n".join(self.lines(len(self.head) + MAX_LINES))


def said(text):
    """A `Part` of lines that all stay; None for no text."""
    return Part(tuple(text.splitlines())) if text else None


def table_of(header, rows, title, n_rows=0, where=""):
    """A title and aligned columns (tuples of str) as a `Part`. Of long cells the middle is left out."""
    most = [LETTERS_OF_NAME if title in NAMES else LETTERS for title in header]
    columns = [shortened(cells, n) for cells, n in zip(zip(*rows, strict=True), most, strict=False)]
    lines = [header, *([short[cell] for short, cell in zip(columns, row, strict=True)] for row in rows)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(header))]
    lines = ["  " + "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
             for line in lines]
    return Part((f"{title}:", lines[0]), tuple(lines[1:]), n_rows, where)


def fitted(parts, most=MAX_LINES):
    """The text of all parts in at most so many lines, of which the longest parts lose the last ones.

    Heads stay, also where they are more lines than that. An empty line follows the first part.

    Parameters
    ----------
    parts : sequence of Part or None
    most : int

    Returns
    -------
    str
    """
    parts = [part for part in parts if part]
    size = [len(part.lines(most)) for part in parts]
    while sum(size) + 1 > most:
        longest = max((i for i, part in enumerate(parts) if size[i] > len(part.head)), default=None,
                      key=size.__getitem__)
        if longest is None:
            break
        size[longest] -= 1
    first, *others = (part.lines(n) for part, n in zip(parts, size, strict=True))
    return "\n".join([*first, *([""] if others else []), *(line for lines in others for line in lines)])
