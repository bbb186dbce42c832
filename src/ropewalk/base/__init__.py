"""The ground floor: clock, entropy, errors, settings, logging, HTTP. Imports nothing of ours."""
