"""Kernels: the C++ and CUDA texts of the book, and their launchers."""
