"""What a reader sees of sweeps: tables, curves, figures, the report."""
