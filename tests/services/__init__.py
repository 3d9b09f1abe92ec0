"""Real servers on loopback, each a context manager: an authenticated package index and a trusted-publishing issuer."""
