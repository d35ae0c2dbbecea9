"""The commands of `triplane`, by topic: how flags become calls and results become text."""
