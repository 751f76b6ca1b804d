"""Puts this folder on the import path, so that test modules share the writers of test material in it."""
