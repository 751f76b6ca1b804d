"""Where everything lies: a network as arrays (`Plan`), a block of scenarios as arrays (`State`), and their columns.

All arrays of state have shape [something, scenario], so each inner loop runs along scenarios in consecutive memory.

Invariants:
    - What a network does not use has no rows: making, what stands aside, drawn lead times, books of lanes that cost
      nothing, books of what only few nodes do.
"""

from typing import Any, Final, NamedTuple

NO_DEMAND, CERTAIN, NORMAL, CONTINUOUS, DISCRETE, REPLAY = range(6)
BASE_STOCK, ECHELON, MIN_MAX, FIXED_LOT, FIXED_QUANTITY = range(5)
PRIORITY, PROPORTIONAL, FIRST_COME = range(3)
EITHER: Final = -2
"""Start of a trouble that is there while one of two others is."""

ON_HAND, OWED, TRANSIT, ASKED, MET, MADE, SHORT = range(7)
USUAL_SUMS: Final = 7
"""What is summed of every node. TRANSIT is units under way in the periods counted, whenever they left."""
LOST, SHIPPED_OUT, MET_OUT, ASKED_OUT, RAW, ELSEWHERE, ORDERS = range(7, 14)
SUMS: Final = 14
"""What is summed where it can be other than zero. ELSEWHERE is money: the holding cost of raw material, of what is
set aside and of what waits outside."""
SHIPPED, UNDER_WAY, ORDERED = range(3)
LANE_SUMS: Final = 3
"""What is summed of lanes with books. ORDERED is periods with an order, where that costs something."""

# columns of node_ints
RULE, REVIEW, OFFSET, ALLOCATION, PLAIN, DEMAND, TABLE, STEPS, FACTOR_AT, FACTORS = range(10)
ORDER_AT, ORDER_LENGTH, MAKING_AT, MAKING_LENGTH, WHOLE, D_ORDERS, D_OUT = range(10, 17)
PLAIN_RULE, SINK, MAKES, BOOK, BLOCKED = range(17, 22)
NODE_INTS: Final = 22
# columns of node_reals
LEVEL, POINT, QUANTITY, MINIMUM, LOT, ORDER_CAP, MAKE_CAP, STORAGE, WAITS, MEAN, SD, REST = range(12)
ROUNDING: Final = 12
"""An order of no more is what rounding leaves of none."""
NODE_REALS: Final = 13
# columns of lane_ints
SOURCE, TARGET, L_ORDER_AT, L_ORDER_LENGTH, ORDER_TIME, RING_AT, RING_LENGTH, LEAD, LEAD_TABLE = range(9)
LEAD_STEPS, CROSSES, D_TO, D_TRANSIT, D_RECEIPTS, D_LANE, EXTRA, ARRIVED, MOVES, ALONE = range(9, 19)
BEFORE_LEAVING, LANE_BOOK, HEARS, COUNTS_ORDERS = range(19, 23)
LANE_INTS: Final = 23
# columns of lane_reals
UNITS, QUOTA, CAPACITY, LANE_LOT, SOURCE_RATE = range(5)
LANE_REALS: Final = 5
# rows of scratch
MADE_NOW, LEFT, CAME, LEADS, OLD_SHARE, NEW_SHARE, MET_NOW, UNPLACED, SENT, UNIT_PERIODS, POSITION = range(11)
CAPACITY_LEFT, STOCK = range(11, 13)
SCRATCH: Final = 13


class Plan(NamedTuple):
    """A network as arrays; nodes in topological order. Shapes: [node], [lane], [group] unless said otherwise."""

    node_ints: Any  # [node, *]: see the columns above
    node_reals: Any
    out_start: Any  # [node + 1] into out_lane
    out_lane: Any
    group_start: Any  # [node + 1] into groups of alternative lanes
    group_lane_start: Any  # [group + 1] into group_lane
    group_lane: Any
    group_units: Any  # [group]: units of the component in one good unit
    group_rate: Any  # [group]: holding cost of a unit of the component
    raw_at: Any  # [group]: row of raw material, where the node makes; -1 elsewhere
    coming_at: Any  # [group]: row of what is coming, where the node is not plain; -1 elsewhere
    lane_ints: Any
    lane_reals: Any
    factors: Any  # demand factors, one after the other
    tables: Any  # [table, 2 * (PLACES + 1)]
    begins: Any  # [discrete table, 2 * (PLACES + 1)]
    ends: Any  # ends of ranks, all discrete tables one after the other
    values: Any
    keys: Any  # [stream, 2]: nodes, then lanes, then disruptions, then shared lucks
    troubles: Any  # [disruption, 4]: start (-1: by chance; EITHER), duration, two others
    trouble_reals: Any  # [disruption, 4]: chance, probability, recovery, share
    capacity_loss_start: Any  # [node + 1] into capacity_loss
    capacity_loss: Any  # disruptions
    stock_loss_start: Any  # [node + 1] into stock_loss
    stock_loss: Any  # disruptions
    luck_start: Any  # [node + 1] into luck
    luck: Any  # shared scores
    luck_weight: Any
    echelon_start: Any  # [node + 1] into echelon
    echelon: Any  # nodes downstream
    echelon_units: Any
    echelon_lane_start: Any
    echelon_lane: Any
    echelon_lane_units: Any
    echelon_raw_start: Any
    echelon_raw: Any  # rows of raw material
    echelon_raw_units: Any
    scores: Any  # [SCORES + 1]
    normal: Any  # [2 * (PLACES + 1)]


class State(NamedTuple):
    """State of a block; all [something, scenario]."""

    level: Any  # stock on hand less what is owed
    position: Any  # order position
    asked: Any  # all demand of the period
    outside: Any  # outside demand of the period
    order: Any  # what the node ordered, in good units
    owed_out: Any  # owed to outside customers
    orders: Any  # rings of orders
    ring: Any  # rings of shipments
    making: Any  # rings of what is being made
    owed: Any  # [lane]
    raw: Any  # [group with raw material]
    coming: Any  # [group of a node that is not plain]: raw, ordered and under way
    aside: Any  # [extra lane]: set aside at the source
    waiting: Any  # [extra lane]: arrived and not received
    held: Any  # [extra lane]: ordered at an outside supplier who cannot ship
    moving: Any  # [extra lane]: under way, for echelon positions and where it can stand still
    arrival: Any  # [random lane]: latest arrival so far
    trouble: Any  # [disruption]
    happens: Any  # [disruption]
    shared: Any  # [luck]: normal score
    dice: Any  # [1]: random words
    scratch: Any  # [SCRATCH]
    part: Any  # [rows of books]: sums of some periods
    total: Any  # float64, sums of all periods
    lane_part: Any  # [rows of lanes' books]
    lane_total: Any


class Record(NamedTuple):
    """What is kept of each period, where asked; else of length 0."""

    nodes: Any  # [figure, period, node, scenario]
    lanes: Any  # [figure, period, lane, scenario]


N_LEVEL, N_ORDER, N_DEMAND, N_MADE, N_MET, N_OWED_OUT, N_SHIPPED_OUT = range(7)
NODE_RECORDS: Final = 7
E_SHIPPED, E_OWED, E_ASIDE, E_WAITING, E_RAW, E_UNDER_WAY = range(6)
LANE_RECORDS: Final = 6
