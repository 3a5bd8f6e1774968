"""Lever and iMocha as one workflow on Apache Airflow."""
