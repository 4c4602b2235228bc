"""What a training gets of the machine: the device it runs on, and whether the memory is enough."""
