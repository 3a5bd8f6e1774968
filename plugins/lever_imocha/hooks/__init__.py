"""Airflow hooks: they make clients from Airflow connections."""
