"""`python -m train.plan`: what a run needs, before it is started. Nothing else imports this package."""
