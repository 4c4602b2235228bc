"""What rows say of tools, in the words of OpenAI's messages and of Gemini's contents: which there are, which the model
calls, and what they answered."""
