"""The control plane's end of the agent protocol: one gateway, used by every control plane. Knows only the waist."""
