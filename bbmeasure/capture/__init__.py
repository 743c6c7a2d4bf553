"""The capture pipeline: gives each record its build, its series and its time, and hands it to storage."""
