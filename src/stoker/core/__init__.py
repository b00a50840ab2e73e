"""The nouns every layer shares: requests, sampling, what came back, and time. Pure."""
