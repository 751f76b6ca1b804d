"""The same rules as `kifabrik.plant.workload.engine`, written a second time as plainly as can be: no heaps.

Every moment looks at every node, every running and every waiting job.
"""

import math
from dataclasses import dataclass, field


@dataclass
class Job:
    number: int
    submit: float
    seconds: float
    estimate: float
    gpus: int
    tenant: int = 0
    watts: float = 0.0
    start: float = math.inf
    nodes: list = field(default_factory=list)


class PlainScheduler:
    def __init__(
        self, jobs, nodes, gpus, *, order="fifo", backfill=False, half_life=7 * 86400.0, power=None, idle=0.0
    ):
        self.waiting, self.running = [], []
        self.jobs, self.gpus, self.order, self.backfill = jobs, gpus, order, backfill
        self.free = [gpus] * nodes
        self.now = 0.0
        self.kept = None  # (job, time, {node: GPUs that may be used beside it})
        tenants = max(job.tenant for job in jobs) + 1
        self.use, self.decay = [0.0] * tenants, math.log(2) / half_life
        self.power, self.idle = power, idle

    def takes(self, job):
        return job.gpus if job.gpus <= self.gpus else -(-job.gpus // self.gpus) * self.gpus

    def find(self, free, job):
        """Nodes for a job by best fit, or None."""
        takes = self.takes(job)
        if takes <= self.gpus:
            fitting = [(left, node) for node, left in enumerate(free) if left >= takes]
            return [min(fitting)[1]] if fitting else None
        whole = [node for node, left in enumerate(free) if left == self.gpus]
        count = takes // self.gpus
        return whole[:count] if len(whole) >= count else None

    def give(self, free, job, nodes, sign):
        for node in nodes:
            free[node] += sign * min(self.takes(job), self.gpus)

    def run(self):
        coming = sorted(self.jobs, key=lambda job: (job.submit, job.number))
        while coming or self.waiting or self.running:
            moments = [job.submit for job in coming[:1]] + [job.start + job.seconds for job in self.running]
            if self.power and self.waiting:
                moments.append((self.now // 3600 + 1) * 3600)
            moment = min(moments)
            self.account(moment)
            self.now = moment
            for job in [job for job in self.running if job.start + job.seconds <= moment]:
                self.running.remove(job)
                self.give(self.free, job, job.nodes, 1)
                if job.seconds < job.estimate:
                    self.kept = None
            while coming and coming[0].submit <= moment:
                self.waiting.append(coming.pop(0))
            self.start_what_may()

    def account(self, moment):
        left = math.exp(-self.decay * (moment - self.now))
        for tenant in range(len(self.use)):
            held = sum(self.takes(job) for job in self.running if job.tenant == tenant)
            if moment > self.now:
                self.use[tenant] = self.use[tenant] * left + held * (1.0 - left) / self.decay

    def in_order(self):
        if self.order == "sjf":
            return sorted(self.waiting, key=lambda job: (job.estimate, job.number))
        if self.order == "fair":
            return sorted(self.waiting, key=lambda job: (self.use[job.tenant], job.tenant, job.number))
        return sorted(self.waiting, key=lambda job: job.number)

    def powered(self, job):
        if not self.power:
            return True
        drawn = self.idle + sum(each.watts for each in self.running)
        return drawn + job.watts <= self.power[int(self.now // 3600) % len(self.power)] + 1e-6

    def begin(self, job, nodes):
        job.start, job.nodes = self.now, nodes
        self.give(self.free, job, nodes, -1)
        self.waiting.remove(job)
        self.running.append(job)

    def start_what_may(self):
        head = self.start_in_order()
        if head is None or not self.backfill or len(self.waiting) == 1 or not any(self.free):
            return
        if self.kept is None or self.kept[0] is not head:
            self.kept = self.reserve(head)
        for job in self.in_order()[1:]:
            nodes = self.find_beside_the_reservation(job)
            if nodes is not None:
                if not self.powered(job):
                    return
                self.begin(job, nodes)

    def start_in_order(self):
        while self.waiting:
            head = self.in_order()[0]
            nodes = self.find(self.free, head)
            if nodes is None:
                return head
            if not self.powered(head):
                return None
            self.kept = None
            self.begin(head, nodes)
        return None

    def find_beside_the_reservation(self, job):
        _, time, spare = self.kept
        if self.now + job.estimate <= time:
            return self.find(self.free, job)
        nodes = self.find([min(left, spare.get(node, left)) for node, left in enumerate(self.free)], job)
        if nodes is not None and self.powered(job):
            for node in set(nodes) & set(spare):
                spare[node] -= min(self.takes(job), self.gpus)
        return nodes

    def reserve(self, head):
        """When and on which nodes the head can start first if running jobs take as long as they say."""
        free, takes = list(self.free), self.takes(head)
        count = max(1, takes // self.gpus)
        chosen = [node for node, left in enumerate(free) if left == self.gpus] if takes > self.gpus else []
        time = self.now
        for job in sorted(self.running, key=lambda job: (job.start + job.estimate, job.number)):
            if len(chosen) == count:
                break
            for node in job.nodes:
                free[node] += min(self.takes(job), self.gpus)
                if free[node] >= min(takes, self.gpus) and node not in chosen and len(chosen) < count:
                    chosen.append(node)
            time = job.start + job.estimate
        return head, time, {node: free[node] - min(takes, self.gpus) for node in chosen}
