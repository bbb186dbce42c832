"""The AWS front: from bytes on a socket to a slice's operation and back. Knows no service's meaning."""
