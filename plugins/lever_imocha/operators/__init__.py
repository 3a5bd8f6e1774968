"""Airflow operators: one call to a vendor each, for any DAG, and those of the project's own DAGs."""
