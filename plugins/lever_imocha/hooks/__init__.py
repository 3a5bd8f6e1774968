"""Airflow connections become clients."""
