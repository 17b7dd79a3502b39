"""Rows of files and data sets to traces, one at a time, each with where it stands."""
