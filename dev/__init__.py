"""Tools of the development environment: PostgreSQL, Airflow's services, the demo."""
