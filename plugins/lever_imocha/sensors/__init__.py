"""Airflow sensors: they wait for something at a vendor, with or without a worker."""
