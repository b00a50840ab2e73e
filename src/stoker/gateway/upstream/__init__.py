"""Servers that are not ours: what they are sent, what they answer, and how far each is trusted."""
