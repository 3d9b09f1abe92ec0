#!/usr/bin/env -S uv run --locked --script
# /// script
# requires-python = ">=3.10"
# dependencies = ["idna>=3.4"]
# ///
"""Prints the host names given, in the form that DNS takes. Its lock lies beside it."""

import sys

import idna

for name in sys.argv[1:]:
    print(idna.encode(name).decode())
