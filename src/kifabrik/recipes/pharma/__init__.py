"""Pharma research on confidential compounds: from measurements to a model one may trust, and a screened library."""
