"""The Measurements page in a real Chromium, on a real master with real builds."""
