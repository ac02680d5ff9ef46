"""Functions of the operating system that this package needs beyond opening a file."""
