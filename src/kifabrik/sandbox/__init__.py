"""Room two: the customer's code runs here, with its data and without network.

    room       what a room contains and what bounds it
    memory     the memory filesystem of a run, in mounts of the launcher's own
    streamed   a folder whose bytes are made when they are read, in mounts of the launcher's own
    uids       a user id for each run
    limits     control groups: bounds, kills, and what was used
    sockets    the bound on sockets, which no control group has
    syscalls   numbers of the system calls the filter speaks about
    seccomp    the filter itself
    stage      everything outside that the room will see, at places its user can reach
    arguments  the command line of bubblewrap
    launch     start a room
    running    a running room: stop it, learn how it ended
    leftovers  end and remove what a killed launcher left behind
    remains    everything on the machine that no run holds any more
    clearing   end and remove that
    gpu_memory overwrite what a run left in a GPU
    proc_files what the kernel tells of processes and mounts
    slurm_groups  which Slurm job a process belongs to
    check      whether this machine can do all that

Only the standard library and `kifabrik.errors` are imported, so that any Python on a node can start it.
"""
