"""Pyrometer in the conventions of training frameworks: a module each, imported by who uses it.

`lightning`, `huggingface`, `keras`: callbacks. `jax`, `numpy`: pure functions that compute a step's
statistics. Importing `pyrometer` imports none of them, and no framework.
"""
