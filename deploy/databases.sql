-- Two roles that are no superusers, each with one database of its own. psql runs this as the superuser, again at each start:
-- passwords changed in .env are set anew.
\set ON_ERROR_STOP on
\getenv airflow_password AIRFLOW_DB_PASSWORD
\getenv ledger_password LEDGER_DB_PASSWORD

SELECT format('CREATE ROLE %I', name) FROM (VALUES ('airflow'), ('lever_imocha')) AS wanted (name)
WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = name) \gexec
ALTER ROLE airflow LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION PASSWORD :'airflow_password';
ALTER ROLE lever_imocha LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION PASSWORD :'ledger_password';

SELECT format('CREATE DATABASE %1$I OWNER %1$I', name) FROM (VALUES ('airflow'), ('lever_imocha')) AS wanted (name)
WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = name) \gexec
REVOKE ALL ON DATABASE airflow, lever_imocha FROM PUBLIC;

-- A killed scheduler's orphans would keep its locks on the runs.
ALTER DATABASE airflow SET idle_in_transaction_session_timeout = '60s';
