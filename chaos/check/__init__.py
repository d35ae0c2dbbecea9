"""Checkers. Pure: a verdict follows from the history alone, `unknown` where that is silent."""
