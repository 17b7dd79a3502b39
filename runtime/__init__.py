"""What makes commands survive kills: atomic writes, sealed folders, journal, locks, ranks, heartbeats."""
