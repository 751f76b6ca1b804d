"""Connectors: bring a company's data in, sealed before it leaves the house, and bring results back."""
