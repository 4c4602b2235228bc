"""Training steps on a processor: the same mathematics as transformers and peft, in fewer passes.

Each module holds one operation with its backward pass written out. `decoder` puts them together for plain LoRA on the
most common decoders; `packed` puts some of them under transformers' own forward pass of all others."""
