"""Compatibility: between versions of the specification, and with what came before this package."""
