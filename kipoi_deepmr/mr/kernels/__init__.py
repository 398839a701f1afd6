"""Compiled loops that estimators share."""
