"""Turns spec/ into code: load (closed keyword subset) -> ir -> one emitter per target."""
