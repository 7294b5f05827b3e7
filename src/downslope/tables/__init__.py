"""Tables: whatever people have, read into typed columns."""

from downslope.tables._columns import Column, columns_of, counted, listed, names_its_rows, refuse_typing_slip, text_of
from downslope.tables._reading import check_numbers, is_missing, read_table

__all__ = [
    "Column",
    "check_numbers",
    "columns_of",
    "counted",
    "is_missing",
    "listed",
    "names_its_rows",
    "read_table",
    "refuse_typing_slip",
    "text_of",
]
