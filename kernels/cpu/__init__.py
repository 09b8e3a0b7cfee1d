"""CUDA kernels on a machine without a GPU: an emulator and a checker of memory."""
