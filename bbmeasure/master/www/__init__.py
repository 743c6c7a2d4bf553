"""The web plugin: the Measurements page and the JSON API."""
