"""Native code: one scheduler, and a printer for LLVM."""
