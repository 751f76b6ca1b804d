"""Predictive maintenance from readings: what is usual, when it was not, how early, and how often for nothing.

reading, cells      CSV files and workbooks as machines and people write them
faults              stops that are known, and when
model               what is usual: how the sensors go together
alarms              times that do not fit, and the limit that keeps false alarms rare
judging             faults announced, lead times, false alarms a month; the same for simple limits
watching            one study: learn, set the limit, watch, judge; what was learnt applied to new readings
checking            a learnt model applied to new readings
saving, report      what people get
"""
