"""Check exercises, and name the mistake."""
