"""Pages of HTML: one self-contained file each, that asks nobody for anything."""
