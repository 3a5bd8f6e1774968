"""What is going on, why, and what to do: pages for the people who run the workflow, in Airflow's own page."""
