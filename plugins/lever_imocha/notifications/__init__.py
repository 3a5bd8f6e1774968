"""Alerts: they tell a person of an incident, and of its end."""
