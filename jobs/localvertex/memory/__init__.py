"""Whether a training or a model server fits into the memory of a machine, known before it starts."""
