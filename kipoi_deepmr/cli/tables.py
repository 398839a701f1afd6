"""Tables as aligned text."""

MAX_ROWS = 20


def table_of(header, rows, title, n_rows=None):
    """Aligned text of the first rows (tuples of str), and how many more there are."""
    n_rows = n_rows or len(rows)
    shown = [header, *rows[:MAX_ROWS]]
    widths = [max(len(row[i]) for row in shown) for i in range(len(header))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in shown]
    more = [f"  and {n_rows - MAX_ROWS} more"] if n_rows > MAX_ROWS else []
    return "\n".join([f"{title}:", *("  " + line for line in lines), *more])
