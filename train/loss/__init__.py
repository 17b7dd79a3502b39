"""Losses over labelled positions."""
