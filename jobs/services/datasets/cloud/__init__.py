"""Files of Cloud Storage that become datasets, and which object a training reads."""
