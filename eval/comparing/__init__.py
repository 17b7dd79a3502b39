"""Comparing finished runs: reading each run, finding what differs, and pairing differences."""
