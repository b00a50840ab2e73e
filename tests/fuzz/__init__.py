"""Fuzz targets: functions of bytes that must end well whatever the bytes (docs/how-to/fuzz.md)."""
