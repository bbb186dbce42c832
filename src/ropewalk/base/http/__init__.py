"""HTTP/1.1 for both families: one server (an asyncio Protocol on httptools), plain messages."""
