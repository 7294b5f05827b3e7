"""Data: tables, arrays and samples read, encoded as examples, and measured by simple learners."""
