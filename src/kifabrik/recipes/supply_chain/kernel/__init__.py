"""The simulator's inner loops: a block of scenarios, side by side, through all periods.

`block` runs the periods; `drawing` throws the dice; `ordering`, `making` and `serving` are what a node does,
`sending` what a lane does; `layout` says where everything lies; `jit` how it is compiled.
"""
