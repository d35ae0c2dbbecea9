"""Kubernetes' API as data and pure rules: types, decoding, defaults, selectors, errors, tables.

PURE: no clock, socket, thread or global chance. The only files read are the checked-in facts
beside this module, lazily.
"""
