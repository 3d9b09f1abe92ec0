"""Conformance: scenarios written once, run on every engine."""
