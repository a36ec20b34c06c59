"""Events and facts from files: CSV, JSON lines and Parquet, plain or gzipped, in a file, a folder or a glob."""

from leadup.kit import Connector

connector = Connector(
    name="files",
    summary="Events and facts from CSV, JSON lines and Parquet files, plain or gzipped",
    settings="leadup_connectors.files.settings:FilesSettings",
    source="leadup_connectors.files.source:FilesSource",
    guess="leadup_connectors.files.guess:guess",
)
