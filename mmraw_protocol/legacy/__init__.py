"""Drop-in modules for code of earlier implementations."""
