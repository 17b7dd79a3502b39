"""Which traces are worth training on: filters, duplicates, contamination, verification, selection."""
