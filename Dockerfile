FROM apache/airflow:3.3.2-python3.11

# Against the image's own constraints, so that its core libraries stay as they were tested together.
COPY --chown=airflow:0 requirements.txt /requirements.txt
RUN pip install --no-cache-dir "apache-airflow==${AIRFLOW_VERSION}" -r /requirements.txt \
    --constraint "${HOME}/constraints.txt"

# The package itself: only an installed distribution can declare connection types to Airflow.
COPY --chown=airflow:0 pyproject.toml README.md LICENSE /opt/airflow/
COPY --chown=airflow:0 plugins /opt/airflow/plugins
RUN pip install --no-cache-dir --no-deps -e /opt/airflow

COPY --chown=airflow:0 dags /opt/airflow/dags
COPY --chown=airflow:0 include /opt/airflow/include

# The stock image does not put the project's root on the path.
ENV PYTHONPATH=/opt/airflow
