"""Airflow triggers: they wait without a worker."""
