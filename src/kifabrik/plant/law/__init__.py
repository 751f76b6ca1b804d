"""What the law asks for: thresholds and registers as dated rows, and their fields filled from a year."""
