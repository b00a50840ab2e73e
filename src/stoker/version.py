"""The version, apart from the package's root so that every layer may name it."""

VERSION = "0.1.0"
