"""Estimators: one file a family."""
