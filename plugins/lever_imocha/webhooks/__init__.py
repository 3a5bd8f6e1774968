"""Receivers in Airflow's API server: verify, parse, persist, answer."""
