"""What several tests share: tiny models, servers, leak checks."""
