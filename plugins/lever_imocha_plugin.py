"""The one file that Airflow loads as a plugin where the package lies in its plugins folder without being installed.

An installed one names its plugin by an entry point; Airflow 3.3 calls it an error to find a plugin twice.
"""

from importlib.metadata import entry_points

if not entry_points(group="airflow.plugins", name="lever_imocha"):
    from lever_imocha.plugin import LeverImochaPlugin as LeverImochaPlugin
