"""The set-up: what can be chosen, and what is made in Lever, in the ledger and in the settings file."""
