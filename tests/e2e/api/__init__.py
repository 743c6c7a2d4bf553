"""The JSON API of a real master."""
