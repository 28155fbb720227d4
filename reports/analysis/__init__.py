"""Pure analysis of a recorded run: sequences in, structs out."""
