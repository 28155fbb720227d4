"""The load engine: the open loop with its timer, connections and stream readers."""
