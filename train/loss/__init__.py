"""What is minimised: losses over labelled positions."""
