"""What several test trees share: a running cluster, and the ways to ask it."""
