"""The exception for a user's mistake: shown as one or two lines, exit code 2, never a traceback."""

from __future__ import annotations


class UserError(Exception):
    """Says what was wrong, the value, what is allowed and what to do. Several faults may be joined by newlines."""
