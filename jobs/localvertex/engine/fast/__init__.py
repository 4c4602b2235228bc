"""Training steps of Gemma 3 with LoRA on a processor: the same mathematics as transformers and peft, in fewer passes.

Each module holds one operation with its backward pass written out; `gemma` puts them together."""
