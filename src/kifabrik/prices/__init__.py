"""What computing costs: a price list in TOML, and the exact sums made with it.

Invariants:
- prices are read as decimals and kept in whole micro-euro, so equal lists give equal sums;
- a cost is rounded up to the micro-euro, a time bought with a budget down to the second: what fits a
  budget never costs more than it.
"""
