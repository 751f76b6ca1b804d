"""The heat pump: a TESPy model of its cycle, and the map of its COP that simulations read."""
