"""Two implementations asked the same generated cases: python -m tests.differential --help."""
