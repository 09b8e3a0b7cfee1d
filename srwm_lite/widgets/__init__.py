"""Pictures that move: one Python class and one ES module each."""
