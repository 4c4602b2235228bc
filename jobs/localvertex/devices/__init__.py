"""What this machine computes with: which graphics cards there are, and which of them trains and serves, and why."""
