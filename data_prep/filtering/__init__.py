"""Which traces are worth training: filters, duplicates, contamination, verification, selection."""
