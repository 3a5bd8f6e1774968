"""The steps in order: rules, clients and ledger put together; no Airflow."""
