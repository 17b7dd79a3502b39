"""Finished runs beside each other: what is read of each, what differs, and the paired differences."""
