"""Validation of the kinds' own fields: `rules` for what a table can say, a module for the rest."""
