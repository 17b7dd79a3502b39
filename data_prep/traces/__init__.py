"""Rows of files and data sets to traces, one at a time, each with its origin."""

from data_prep.trace import Trace

__all__ = ["Trace"]
