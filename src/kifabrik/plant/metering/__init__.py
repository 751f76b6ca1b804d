"""Meters of real sites: readings from CSV, Modbus and MQTT, what is odd about them, and where they are kept."""
