"""Fuzzing: every parser that reads hostile bytes has a target in `fuzz/targets`; see CONTRIBUTING.md."""
