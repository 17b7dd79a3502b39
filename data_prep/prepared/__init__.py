"""The prepared set: traces tokenised and labelled once, kept on disk and mapped from there."""
