"""The plant: the digital twin of an AI factory's power, cooling, river and heat; usable alone, knows no factory.

Units are SI everywhere (W, J, s, K, °C for temperatures at an edge, m³/s, kg/s) unless a name says otherwise.
"""
