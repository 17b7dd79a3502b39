"""Rows of files and data sets to traces, one at a time, each with the place it was read from."""

from data_prep.trace import Trace

__all__ = ["Trace"]
