# /// script
# requires-python = ">=3.10"
# dependencies = []
# ///
"""A script that has no lock, and needs none."""

print("hello")
