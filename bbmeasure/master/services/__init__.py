"""The services of ``c["services"]``."""
