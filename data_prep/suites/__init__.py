"""Suites of problems from a recipe: known benchmarks, files, data sets, the embedded world, Reasoning Gym."""

from data_prep.suites.load import load_suite

__all__ = ["load_suite"]
