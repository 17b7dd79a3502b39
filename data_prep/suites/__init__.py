"""Suites of problems from a recipe: known benchmarks, files, data sets, the embedded world, Reasoning Gym."""
