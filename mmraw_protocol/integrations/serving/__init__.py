"""Refs in inference servers: what every server's plugin shares, and none of what differs.

Nothing here imports a server. A plugin brings its `Engine` (versions, log), the layout of the
served model, and a hook that asks `RefImages` for pictures.
"""
