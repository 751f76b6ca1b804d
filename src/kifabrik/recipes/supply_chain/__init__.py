"""Supply chains: simulate whole networks under many scenarios, and find the stock they need."""
