"""Events that others send over HTTP: leadup's own records, or a GTM server container's event data."""

from leadup.kit import Connector

connector = Connector(
    name="collector",
    summary="Events sent to `POST /collect/NAME`: leadup's own records, or a GTM server container's event data",
    settings="leadup_connectors.collector.settings:CollectorSettings",
    push="leadup_connectors.collector.push:Collector",
)
