"""The presentation of sweeps: tables, curves, figures, the report."""
