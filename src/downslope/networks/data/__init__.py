"""Data become examples: tables, arrays and samples are read, turned into numbers, and asked what can be learnt."""
