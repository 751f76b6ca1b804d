"""What a run used: readings of one attempt, footprints of whole runs, and the rules that share energy out.

Everything here is pure and whole numbers: milliseconds, millijoules, milligrams, micro-euro. So readings
and footprints can stand in a signed statement and are equal where they are equal. docs/metering.md
explains the rules to people.

Invariants:
- what was estimated is never called measured, and stays marked through every sum;
- runs that are on a node throughout a period are together never given more energy than its counters counted in it.
"""
