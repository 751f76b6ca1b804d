"""The customer's side: a member's machine.

    profile   who this machine is          session   connected, with everything verified
    catalogue names, from the log          seal      folders to dataset versions
    apply     job files to signed orders   follow    logs, opened here
    results   outputs leased and opened    proof     order -> lease -> run key -> output -> log
    models    results by name and version  sdk       the same for scripts

Invariants:
- nothing leaves this machine unsealed, and nothing is shown as verified that was not verified here;
- recipients come from lists the keyholder signed, never from the factory's word.
"""
