"""Not a test: `pytest empty` collects nothing."""
