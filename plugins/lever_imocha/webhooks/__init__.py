"""Receivers: verify, parse, persist, answer; a process of their own, or part of Airflow's API server."""
