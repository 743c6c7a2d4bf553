"""InfluxDB as a store, and its line protocol."""
