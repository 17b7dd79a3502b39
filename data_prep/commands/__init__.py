"""What `python -m data_prep COMMAND` does; one module for each command."""
