"""`python -m train.plan` estimates what a run needs before it starts. Only `train.study` imports this package."""
