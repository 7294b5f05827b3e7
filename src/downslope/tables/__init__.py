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
from downslope.tables._cells import is_missing
from downslope.tables._clock import CALENDAR, Clock, calendar_parts, checked_time_unit, time_unit
from downslope.tables._formats import table_suffixes
from downslope.tables._names import column_named, heading, plain_names, shared_part, typed
from downslope.tables._numpy_arrays import array_in
from downslope.tables._reading import check_writable, read_cells, read_table, write_table
from downslope.tables._table import Table, TableColumn, cell_name, check_numbers

__all__ = [
    "CALENDAR",
    "Clock",
    "InputColumn",
    "Table",
    "TableColumn",
    "array_in",
    "calendar_parts",
    "cell_name",
    "check_numbers",
    "check_writable",
    "checked_time_unit",
    "column_named",
    "columns_of",
    "counted",
    "heading",
    "is_missing",
    "listed",
    "names_its_rows",
    "plain_names",
    "read_cells",
    "read_table",
    "refuse_typing_slip",
    "shared_part",
    "table_suffixes",
    "text_of",
    "time_unit",
    "typed",
    "write_table",
]
