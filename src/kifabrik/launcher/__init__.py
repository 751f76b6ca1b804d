"""The launcher: one process per run and node, between the sealed world and the sandbox.

    assignment  what it is told to do        work       what it believes of it
    privacy     its memory closed to others  gpus       held while a run has them
    lease       keys asked for and checked   staging    data and code opened into memory
    journal     sealed, chained log          keeper     sealed, chained checkpoints
    outputs     declared outputs, sealed     program    the job in its room, judged
    closing     the end, signed              attempt    the whole, step by step

Invariants:
- attempt key, run key and every opened byte live in this process's memory and in a memory filesystem
  of its own mount namespace: both end with the process, however it ends;
- nothing is run that the signed order does not name; nothing is sealed to a recipient that the signed
  lease does not name;
- what the factory is told carries no name, path or output of the job.
"""
