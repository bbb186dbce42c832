"""Pure decisions: time, snapshot and seed come in as arguments, a plan comes out. No I/O, no clock, no randomness."""
