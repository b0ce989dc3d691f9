"""How LODA programs run: arithmetic, memory, the plain interpreter and the compiler to Python."""
