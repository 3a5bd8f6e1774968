"""Alerts: they tell a person of a trouble, and of its end."""
