"""The folder of a run: its files, what they were made of, and reading them back."""
