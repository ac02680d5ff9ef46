"""What this package asks of the operating system beyond opening a file: nothing of images here."""
