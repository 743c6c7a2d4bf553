"""Grafana: links, provisioning, dashboards."""
