"""Slurm from the factory's side: its commands, its queue, its accounts.

Invariants:
- nothing goes through a shell; every value that reaches a command line was checked here first;
- one call answers for all runs, never one call per run;
- Slurm decides who runs when; kifabrik says what is wanted and reads what happened.
"""
