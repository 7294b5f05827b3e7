"""Tables: users' data in any format, read into typed columns; one registry of formats."""

from downslope._column_names import calendar_parts, heading
from downslope.tables._categories import (
    InputColumn,
    columns_of,
    counted,
    listed,
    names_its_rows,
    refuse_typing_slip,
    text_of,
    texts_of,
)
from downslope.tables._cells import is_missing
from downslope.tables._clock import Clock, checked_time_unit, time_unit
from downslope.tables._formats import table_suffixes
from downslope.tables._numpy_arrays import array_in
from downslope.tables._reading import check_writable, read_cells, read_table, write_table
from downslope.tables._row_groups import RowGroups, is_streamed
from downslope.tables._table import Table, TableColumn, cell_name, check_numbers, refuse_text

__all__ = [
    "Clock",
    "InputColumn",
    "RowGroups",
    "Table",
    "TableColumn",
    "array_in",
    "calendar_parts",
    "cell_name",
    "check_numbers",
    "check_writable",
    "checked_time_unit",
    "columns_of",
    "counted",
    "heading",
    "is_missing",
    "is_streamed",
    "listed",
    "names_its_rows",
    "read_cells",
    "read_table",
    "refuse_text",
    "refuse_typing_slip",
    "table_suffixes",
    "text_of",
    "texts_of",
    "time_unit",
    "write_table",
]
