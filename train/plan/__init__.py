"""`python -m train.plan`: what a run needs, estimated before it is started. Nothing else imports this package."""
