"""Keeps a node of a Slurm cluster fit for the next job: what must hold before one, what is cleared after it.

    job      which job Slurm calls for, from the environment it gives
    agent    whether the node agent answers
    fitness  what must hold before a run begins
    traces   what a tenant's user leaves on a machine: files, processes, shared memory, queues
    hooks    prolog and epilog, step by step
    drain    taking the node out, with the reason
    scripts  the shell scripts slurm.conf names

Invariants:
- a job that is none of ours is let through, whatever is wrong with the node, and nothing of its is touched; but
  where the operator says so, the GPUs it had are overwritten;
- while a node is fit no command of Slurm is called: slurmctld may be starting ten thousand jobs;
- of jobs on one node one at a time is prepared or cleared away, so none sees another's halfway.
"""
