"""InfluxDB store, client and line protocol."""
