"""Real processes and the networks between them."""
