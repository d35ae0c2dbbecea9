"""Patches as pure functions of documents: JSON patch, JSON merge patch, strategic merge patch.

PURE. Each module takes decoded JSON and gives decoded JSON; none mutates the document it is given.
"""
