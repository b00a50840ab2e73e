"""The Python face of the native core, and a slow NumPy twin of every kernel in reference/."""
