"""Tables: whatever people have, read into typed columns; one registry of formats."""

from downslope.tables._categories import (
    InputColumn,
    columns_of,
    counted,
    listed,
    names_its_rows,
    refuse_typing_slip,
    text_of,
)
from downslope.tables._formats import table_suffixes
from downslope.tables._reading import check_writable, read_cells, read_table, write_table
from downslope.tables._table import Table, cell_name, check_numbers, is_missing

__all__ = [
    "InputColumn",
    "Table",
    "cell_name",
    "check_numbers",
    "check_writable",
    "columns_of",
    "counted",
    "is_missing",
    "listed",
    "names_its_rows",
    "read_cells",
    "read_table",
    "refuse_typing_slip",
    "table_suffixes",
    "text_of",
    "write_table",
]
