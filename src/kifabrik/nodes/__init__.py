"""What runs on a node of a cluster beside the launchers: its agent, and the stub that jobs start.

Invariants:
- the node's key is the agent's alone: a job's own processes, and the user they belong to, never see it;
- who calls the agent is what the kernel says about the socket and the process behind it, not what it says itself;
- a launcher lives in the control groups of the job it belongs to, and no longer than the job's stub.
"""
