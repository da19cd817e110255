"""What integration tests share: an engine of their own, the clients, images made by others' tools, and the leak check."""
