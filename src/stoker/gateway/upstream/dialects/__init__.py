"""The protocols that foreign servers speak, each turned from and into OpenAI's."""
