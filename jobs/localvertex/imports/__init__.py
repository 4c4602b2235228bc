"""Models that become publishers' models of this server: from Hugging Face, or from files of this machine.

What is taken, how it is checked, and how far it is. Nothing of a model is ever run here as code.
"""
