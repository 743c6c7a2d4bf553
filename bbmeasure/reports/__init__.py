"""Reading back what was captured: statistics, and the JSON that API and command line answer."""
