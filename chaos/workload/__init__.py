"""What is done to a cluster while faults strike it, every operation into the history."""
