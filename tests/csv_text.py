"""CSV files as text."""

import csv
from io import StringIO


def table(rows, names):
    """Text of a log."""
    text = StringIO()
    csv.writer(text, lineterminator="\n").writerows([names, *rows])
    return text.getvalue()
